"""The ledger: what is enrolled is sent until it has a final outcome, and what was paid is never lost."""

import math
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from pareta_batch.engine.planning import register_rows
from pareta_batch.errors import DatasetError, LedgerError, OutputError
from pareta_batch.ledger.ledger import Ledger
from pareta_batch.rows.requests import RowRequest, row_requests
from tests.batch.batches import answered, batch_in, failed, ledger_in, numbered, write_rows


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    opened = ledger_in(tmp_path)
    yield opened
    opened.close()


def missing(ledger: Ledger, shard: int = 0, size: int = 100) -> list[RowRequest]:
    return list(ledger.missing("test", shard, size))


def test_every_row_is_missing_until_it_is_settled(tmp_path: Path, ledger: Ledger) -> None:
    plan = register_rows(batch_in(tmp_path), ledger)
    assert (plan.total, plan.to_send) == (3, 3)
    first, *_ = missing(ledger)
    ledger.record("test", [answered(first.key, first.fingerprint)])
    assert [ask.key for ask in missing(ledger)] == ["r1", "r2"]


def test_what_is_sent_is_what_the_prompt_says(tmp_path: Path, ledger: Ledger) -> None:
    document = "ä {braces} " * 100_000
    batch = batch_in(tmp_path, [{"id": "r0", "text": document}], system_prompt="Be brief.")
    register_rows(batch, ledger)
    (ask,) = missing(ledger)
    assert ask.messages == (
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": f"Which team? {document}"},
    )
    assert [ask] == list(row_requests(batch))


def test_an_answer_is_never_replaced(tmp_path: Path, ledger: Ledger) -> None:
    register_rows(batch_in(tmp_path), ledger)
    first, *_ = missing(ledger)
    ledger.record("test", [answered(first.key, first.fingerprint, answer="paid for")])
    ledger.record("test", [failed(first.key, first.fingerprint, retryable=True)])
    ledger.record("test", [answered(first.key, first.fingerprint, answer="another")])
    assert ledger.outcomes_of("test", [first.key])[first.key].answer == "paid for"


def test_a_failure_that_may_pass_is_missing_and_one_that_will_not_is_final(tmp_path: Path, ledger: Ledger) -> None:
    register_rows(batch_in(tmp_path), ledger)
    one, other, _ = missing(ledger)
    ledger.record(
        "test",
        [failed(one.key, one.fingerprint, retryable=True), failed(other.key, other.fingerprint, retryable=False)],
    )
    assert [ask.key for ask in missing(ledger)] == ["r0", "r2"]
    tally = ledger.tally("test")
    assert (tally.settled, tally.failed, tally.pending, tally.errors) == (0, 2, 1, {"APIStatusError": 2})


def test_a_failed_row_that_is_answered_later_is_settled_without_its_error(tmp_path: Path, ledger: Ledger) -> None:
    register_rows(batch_in(tmp_path), ledger)
    first, *_ = missing(ledger)
    ledger.record("test", [failed(first.key, first.fingerprint, retryable=True)])
    ledger.record("test", [answered(first.key, first.fingerprint)])
    outcome = ledger.outcomes_of("test", [first.key])[first.key]
    assert (outcome.state, outcome.error, outcome.error_message) == ("settled", None, None)


def test_an_edited_row_is_new_work_and_what_was_paid_for_the_old_one_is_kept(tmp_path: Path, ledger: Ledger) -> None:
    batch = batch_in(tmp_path)
    register_rows(batch, ledger)
    ledger.record("test", [answered(ask.key, ask.fingerprint) for ask in missing(ledger)])
    rows = numbered(3)
    write_rows(tmp_path / "rows.jsonl", [{**rows[0], "text": "edited"}, *rows[1:]])
    plan = register_rows(batch, ledger)
    assert (plan.total, plan.changed, plan.to_send) == (3, 1, 1)
    assert "1 changed since an earlier run (new work)" in str(plan)
    write_rows(tmp_path / "rows.jsonl", rows)
    assert register_rows(batch, ledger).to_send == 0


def test_rows_that_left_the_dataset_are_not_sent_and_not_counted(tmp_path: Path, ledger: Ledger) -> None:
    batch = batch_in(tmp_path, 5)
    register_rows(batch, ledger)
    write_rows(tmp_path / "rows.jsonl", numbered(2))
    assert register_rows(batch, ledger).total == 2
    assert ledger.tally("test").total == 2


def test_rows_that_moved_are_the_same_work_in_the_new_order(tmp_path: Path, ledger: Ledger) -> None:
    batch = batch_in(tmp_path)
    register_rows(batch, ledger)
    first, *_ = missing(ledger)
    ledger.record("test", [answered(first.key, first.fingerprint)])
    write_rows(tmp_path / "rows.jsonl", numbered(3)[::-1])
    plan = register_rows(batch, ledger)
    assert (plan.changed, plan.to_send) == (0, 2)
    assert [ask.key for ask in missing(ledger)] == ["r2", "r1"]


def test_equal_rows_without_an_id_are_each_answered(tmp_path: Path, ledger: Ledger) -> None:
    batch = batch_in(tmp_path, [{"text": "same"}, {"text": "same"}], id_column=None, reuse={"duplicates": False})
    assert register_rows(batch, ledger).to_send == 2
    assert len({ask.key for ask in missing(ledger)}) == 2


def test_shards_are_ranges_of_rows_and_only_those_with_missing_rows_are_planned(tmp_path: Path, ledger: Ledger) -> None:
    batch = batch_in(tmp_path, 7, shard_size=3)
    assert register_rows(batch, ledger).missing == {0: 3, 1: 3, 2: 1}
    ledger.record("test", [answered(ask.key, ask.fingerprint) for ask in missing(ledger, 1, 3)])
    assert register_rows(batch, ledger).missing == {0: 3, 2: 1}
    assert [ask.key for ask in missing(ledger, 2, 3)] == ["r6"]


def test_another_batch_of_the_same_rows_is_work_of_its_own(tmp_path: Path, ledger: Ledger) -> None:
    register_rows(batch_in(tmp_path), ledger)
    register_rows(batch_in(tmp_path, name="other"), ledger)
    first, *_ = missing(ledger)
    ledger.record("test", [answered(first.key, first.fingerprint)])
    assert len(list(ledger.missing("other", 0, 100))) == 3
    assert ledger.batches() == ["other", "test"]


def test_documents_leave_the_ledger_when_their_answer_is_in(tmp_path: Path, ledger: Ledger) -> None:
    register_rows(batch_in(tmp_path, [{"id": "r0", "text": "a secret document"}]), ledger)
    (ask,) = missing(ledger)
    ledger.record("test", [answered(ask.key, ask.fingerprint)])
    register_rows(batch_in(tmp_path, [{"id": "r0", "text": "a secret document"}]), ledger)
    ledger.close()
    assert not any(b"a secret document" in path.read_bytes() for path in tmp_path.glob("ledger.db"))


class TestEnrolmentIsAllOrNothing:
    """A dataset that does not fit changes nothing."""

    def refused(self, ledger: Ledger, folder: Path, rows: Sequence[dict[str, object]], **changes: object) -> str:
        register_rows(batch_in(folder), ledger)
        with pytest.raises(DatasetError) as caught:
            register_rows(batch_in(folder, rows, **changes), ledger)
        assert [ask.key for ask in missing(ledger)] == ["r0", "r1", "r2"]
        return str(caught.value)

    def test_a_duplicate_id_names_both_lines(self, tmp_path: Path, ledger: Ledger) -> None:
        path = tmp_path / "rows.jsonl"
        again: dict[str, object] = {"id": "r0", "text": "again"}
        rows = [*numbered(2), again]
        assert self.refused(ledger, tmp_path, rows) == (
            f"{path} line 3: duplicate id 'r0' in column 'id'; it is also at {path} line 1"
        )

    @pytest.mark.parametrize("gap", [{}, {"text": None}, {"text": float("nan")}])
    def test_a_missing_value_names_its_line(self, tmp_path: Path, ledger: Ledger, gap: dict[str, object]) -> None:
        gapped: dict[str, object] = {"id": "r1", **gap}
        message = self.refused(ledger, tmp_path, [*numbered(1), gapped])
        assert message == f"{tmp_path / 'rows.jsonl'} line 2: no value for column 'text', which the prompt names"

    @pytest.mark.parametrize("gap", [None, "", float("nan")])
    def test_a_missing_id_names_its_line(self, tmp_path: Path, ledger: Ledger, gap: object) -> None:
        gapped: dict[str, object] = {"id": gap, "text": "x"}
        message = self.refused(ledger, tmp_path, [*numbered(1), gapped])
        assert message == f"{tmp_path / 'rows.jsonl'} line 2: no value in the id column 'id'"

    def test_an_unknown_column_lists_those_there_are(self, tmp_path: Path, ledger: Ledger) -> None:
        message = self.refused(ledger, tmp_path, numbered(1), prompt="{document}", id_column="key")
        assert message.splitlines() == [
            f"{tmp_path / 'rows.jsonl'} has no column 'document'; it has: id, text (named in the prompt)",
            f"{tmp_path / 'rows.jsonl'} has no column 'key'; it has: id, text (the id column)",
        ]

    def test_every_problem_is_counted_and_the_first_ten_are_shown(self, tmp_path: Path, ledger: Ledger) -> None:
        message = self.refused(ledger, tmp_path, [{"id": n, "text": None if n else "x"} for n in range(14)])
        assert len(message.splitlines()) == 11
        assert message.endswith("… and 3 more")

    def test_a_prompt_that_is_none_is_refused(self, tmp_path: Path, ledger: Ledger) -> None:
        assert self.refused(ledger, tmp_path, numbered(1), prompt="{").startswith("prompt: ")

    def test_an_output_that_cannot_be_written_is_refused(self, tmp_path: Path, ledger: Ledger) -> None:
        (tmp_path / "file").touch()
        (tmp_path / "answers.csv").mkdir()
        with pytest.raises(OutputError, match="cannot be written"):
            register_rows(batch_in(tmp_path, output=str(tmp_path / "file" / "answers.csv")), ledger)
        with pytest.raises(OutputError, match="is a folder"):
            register_rows(batch_in(tmp_path, output=str(tmp_path / "answers.csv")), ledger)
        with pytest.raises(OutputError, match="is the dataset itself"):
            register_rows(batch_in(tmp_path, output=str(tmp_path / "rows.jsonl")), ledger)
        assert ledger.batches() == []


def test_a_ledger_that_cannot_be_opened_says_which_and_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(LedgerError, match=r"ledger sqlite:///.*file.*; set PARETA_LEDGER_URL"):
        Ledger.open(f"sqlite:///{tmp_path}/file/ledger.db")


def test_eval_work_is_remembered_under_its_key(ledger: Ledger) -> None:
    assert ledger.eval_work("k") is None
    ledger.save_eval_work("k", "run_1")
    ledger.save_eval_work("k", "run_2")
    assert ledger.eval_work("k") == "run_2"


ODD = [-1, 10**12 + 1, 2**63, -(2**70), True, "42", 4.2, math.nan, math.inf, [1], {}]


@pytest.mark.parametrize("field", ["prompt_tokens", "completion_tokens", "billed_micro_usd", "latency_ms"])
def test_a_number_that_no_service_should_send_is_unknown_and_costs_nothing_else(
    tmp_path: Path, ledger: Ledger, field: str
) -> None:
    register_rows(batch_in(tmp_path, len(ODD)), ledger)
    for ask, value in zip(missing(ledger), ODD, strict=True):
        ledger.record("test", [answered(ask.key, ask.fingerprint, **{field: value})])
    found = ledger.outcomes_of("test", [f"r{n}" for n in range(len(ODD))]).values()
    assert {each.answer for each in found} == {"billing"}
    assert {getattr(each, field) for each in found} <= {None, 4.2}
    assert ledger.tally("test").settled == len(ODD)


@pytest.mark.parametrize("field", ["answer", "finish_reason", "request_id", "message", "notes", "error_message"])
def test_every_text_is_kept_where_a_database_can_hold_it(tmp_path: Path, ledger: Ledger, field: str) -> None:
    texts = ["a\ud83d", "\ude00\ud83d", "\0", "🎈"[:1], "x" * 100_000]
    register_rows(batch_in(tmp_path, len(texts)), ledger)
    for ask, text in zip(missing(ledger), texts, strict=True):
        ledger.record("test", [answered(ask.key, ask.fingerprint, **{field: text})])
    kept = ledger.outcomes_of("test", [f"r{n}" for n in range(len(texts))])
    assert [getattr(kept[f"r{n}"], field) for n in range(len(texts))] == ["a�", "��", "�", "🎈", texts[-1]]


def test_receipts_of_a_row_that_failed_before_are_added_to_those_of_its_answer(tmp_path: Path, ledger: Ledger) -> None:
    register_rows(batch_in(tmp_path), ledger)
    one, other, third = missing(ledger)
    ledger.record("test", [failed(one.key, one.fingerprint, retryable=True, billed_micro_usd=600)])
    tally = ledger.tally("test")
    assert (tally.billed_micro_usd, tally.billed_unanswered, tally.unanswered_micro_usd) == (600, 1, 600)
    assert (tally.not_paid, tally.unknown) == (2, 0)
    ledger.record("test", [answered(one.key, one.fingerprint, billed_micro_usd=0)])
    ledger.record("test", [failed(other.key, other.fingerprint, retryable=True)])
    ledger.record("test", [answered(other.key, other.fingerprint, billed_micro_usd=7)])
    ledger.record("test", [answered(third.key, third.fingerprint, billed_micro_usd=None)])
    bills = [each.billed_micro_usd for each in ledger.outcomes_of("test", ["r0", "r1", "r2"]).values()]
    assert bills == [600, 7, None]
    assert ledger.tally("test").unanswered_micro_usd == 0
