"""The answers file: a row for every input row, in input order, in each format."""

import csv
import errno
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet
import pytest

from pareta_batch.answers.answers_file import RESULTS, write_answers
from pareta_batch.engine.planning import register_rows
from pareta_batch.errors import OutputError
from pareta_batch.ledger.ledger import Ledger
from pareta_batch.ledger.outcomes import Outcome
from pareta_batch.spec import Batch
from tests.batch.batches import answered, batch_in, failed, ledger_in, numbered


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    opened = ledger_in(tmp_path)
    yield opened
    opened.close()


def settle(batch: Batch, ledger: Ledger) -> None:
    """Answer the last row, fail the one before, leave the others pending."""
    register_rows(batch, ledger)
    *_, one, other = ledger.missing(batch.name, 0, 100)
    answer = answered(other.key, other.fingerprint, answer='say "ä\n🎈", {x}', prompt_tokens=3, latency_ms=1.5)
    ledger.record(batch.name, [failed(one.key, one.fingerprint, retryable=False, request_id="req_1"), answer])


def read(path: Path) -> list[dict[str, Any]]:
    if path.suffix == ".csv":
        with path.open(encoding="utf-8", newline="") as file:
            return [{name: value or None for name, value in row.items()} for row in csv.DictReader(file)]
    if path.suffix == ".jsonl":
        return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    rows: list[dict[str, Any]] = pyarrow.parquet.read_table(path).to_pylist()
    return rows


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".parquet"])
def test_every_input_row_is_there_in_input_order_with_what_became_of_it(
    tmp_path: Path, ledger: Ledger, suffix: str
) -> None:
    batch = batch_in(tmp_path, 4, output=str(tmp_path / f"answers{suffix}"))
    settle(batch, ledger)
    rows = read(write_answers(batch, ledger))
    assert [row["id"] for row in rows] == ["r0", "r1", "r2", "r3"]
    assert list(rows[0]) == ["id", "text", *RESULTS]
    assert rows[0]["error"] == "pending: not sent yet"
    assert rows[2]["error"] == "APIStatusError: HTTP 500"
    assert rows[2]["request_id"] == "req_1"
    assert rows[3]["answer"] == 'say "ä\n🎈", {x}'
    assert rows[3]["error"] is None
    assert float(rows[3]["billed_micro_usd"]) == 5


def test_input_columns_keep_their_names_and_results_give_way(tmp_path: Path, ledger: Ledger) -> None:
    rows = [{**row, "answer": "mine", "pareta_answer": "an older one"} for row in numbered(2)]
    batch = batch_in(tmp_path, rows, output=str(tmp_path / "answers.parquet"))
    settle(batch, ledger)
    last = read(write_answers(batch, ledger))[-1]
    assert (last["answer"], last["pareta_answer"]) == ("mine", "an older one")
    assert last["pareta_pareta_answer"].startswith("say")


def test_nested_values_come_back_as_they_were(tmp_path: Path, ledger: Ledger) -> None:
    nested = {"id": "r0", "text": "x", "meta": {"a": [1, None]}}
    batch = batch_in(tmp_path, [*numbered(1), {**nested, "id": "n"}])
    settle(batch, ledger)
    assert read(write_answers(batch, ledger))[-1]["meta"] == {"a": [1, None]}


def test_an_old_file_stays_until_the_new_one_is_whole_and_nothing_stays_beside_it(
    tmp_path: Path, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch = batch_in(tmp_path)
    settle(batch, ledger)
    write_answers(batch, ledger)
    whole = batch.output_path.read_bytes()

    def disk_is_full(*_: object) -> dict[str, Outcome]:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(ledger, "outcomes_of", disk_is_full)
    before = sorted(tmp_path.iterdir())
    with pytest.raises(OutputError, match=r"answers\.jsonl' cannot be written: .*No space left"):
        write_answers(batch, ledger)
    assert batch.output_path.read_bytes() == whole
    assert sorted(tmp_path.iterdir()) == before, "nothing half written is left"
