"""`complete_batch` against the sandbox, whose books are the judge."""

import json
from pathlib import Path

import pytest
from prefect.client.schemas.objects import State

from flows.complete_batch import complete_batch
from flows.outcomes import report_of
from pareta_batch.errors import DatasetError, OutputError
from pareta_batch.report import BatchReport
from pareta_batch.spec import Batch
from pareta_cli.summary import summary
from pareta_sandbox.faults.kinds import Status
from pareta_sandbox.testing import Sandbox
from tasks import resources
from tasks.batches import complete_shard
from tests.flows.datasets import batch, failing_at_once, write_rows


@pytest.fixture
def pareta(direct: Sandbox) -> Sandbox:
    """A service to run against; these flows run without a Prefect server."""
    return direct


async def ended(work: Batch) -> State[BatchReport]:
    return await complete_batch(work, return_state=True)


async def test_every_row_is_answered_once_and_debited_once(pareta: Sandbox, tmp_path: Path) -> None:
    report = await complete_batch(batch(tmp_path))
    assert (report.total, report.settled, report.failed, report.pending) == (12, 12, 0, 0)
    pareta.completed(12)
    pareta.debited_once()
    assert report.billed_micro_usd == pareta.books().debited_micro_usd


async def test_the_answers_file_has_every_row_in_input_order_with_its_columns(pareta: Sandbox, tmp_path: Path) -> None:
    work = batch(tmp_path)
    await complete_batch(work)
    rows = [json.loads(line) for line in work.output_path.read_text().splitlines()]
    assert [row["id"] for row in rows] == [f"r{number}" for number in range(12)]
    assert rows[0].keys() == {
        *("id", "text", "answer", "error", "flag", "attempts", "latency_ms"),
        *("prompt_tokens", "completion_tokens", "billed_micro_usd", "request_id"),
    }
    assert {row["answer"] for row in rows} <= {"positive", "negative", "neutral"}


async def test_a_page_beside_the_answers_tells_what_became_of_every_row_and_every_dollar(
    pareta: Sandbox, tmp_path: Path
) -> None:
    pareta.inject(Status(status=429, times=3))
    work = batch(tmp_path, name="paged", max_in_flight=8)
    report = await complete_batch(work)
    assert report.refused == 3
    page = work.page_path.read_text()
    assert page.count('class="row ') == report.total
    assert "Rows and cost by outcome" in page
    assert f"{report.refused} requests of this run were rate limited and sent again" in page
    assert 'class="limits"' in page, "the history of the limit is drawn"


@pytest.mark.parametrize("part_format", ["parquet", "jsonl", "csv"])
async def test_a_folder_of_answers_has_its_page_beside_it(pareta: Sandbox, tmp_path: Path, part_format: str) -> None:
    work = batch(tmp_path, output=f"{tmp_path}/answers.v2/", part_format=part_format, part_rows=5)
    report = await complete_batch(work)
    assert sorted(path.name for path in Path(report.output).glob("[!_]*")) == [
        f"part-{number:05}.{part_format}" for number in range(3)
    ]
    assert report.page == str(work.page_path) == f"{tmp_path}/answers.v2.html"
    assert f"page:     {report.page}" in summary(report)
    page = work.page_path.read_text()
    assert page.count('class="row ') == report.total == 12
    before = pareta.books()
    assert (await complete_batch(work)).settled == 12
    pareta.silent_since(before)


async def test_a_second_run_of_the_same_batch_sends_nothing(pareta: Sandbox, tmp_path: Path) -> None:
    await complete_batch(batch(tmp_path))
    before = pareta.books()
    report = await complete_batch(batch(tmp_path))
    assert report.settled == 12
    pareta.silent_since(before)


async def test_calls_in_flight_never_exceed_the_bound(pareta: Sandbox, tmp_path: Path) -> None:
    await complete_batch(batch(tmp_path, count=40, max_in_flight=3))
    pareta.never_more_in_flight_than(3)


async def test_a_refused_row_is_listed_and_does_not_sink_its_batch(pareta: Sandbox, tmp_path: Path) -> None:
    pareta.inject(Status(status=400, times=1))
    state = await ended(batch(tmp_path))
    report = await report_of(state)
    assert (report.settled, report.failed, report.errors) == (11, 1, {"BadRequestError": 1})
    assert (state.is_failed(), state.name) == (True, "TooManyFailures")


async def test_failures_within_tolerance_leave_the_run_completed(pareta: Sandbox, tmp_path: Path) -> None:
    pareta.inject(Status(status=400, times=1))
    state = await ended(batch(tmp_path, tolerated_failures=0.1))
    assert state.is_completed()
    assert (await report_of(state)).failed == 1


async def test_an_empty_balance_stops_the_batch_and_a_resume_pays_exactly_the_rest(
    pareta: Sandbox, tmp_path: Path
) -> None:
    pareta.inject(Status(status=402, skip=6))
    state = await ended(batch(tmp_path, count=60))
    report = await report_of(state)
    assert state.name == "InsufficientCredits"
    assert report.settled == 6
    # The first refusal, and at most what was in flight beside it.
    assert pareta.books().completions_seen <= 6 + 4
    assert f"only the {report.pending} missing rows are sent" in (state.message or "")
    pareta.clear_faults()
    assert (await complete_batch(batch(tmp_path, count=60))).settled == 60
    pareta.debited_once()
    pareta.completed(60)


async def test_a_dry_run_sends_nothing_and_ends_with_its_quote(pareta: Sandbox, tmp_path: Path) -> None:
    state = await complete_batch(batch(tmp_path), dry_run=True, return_state=True)
    assert (state.name, state.is_completed()) == ("Quoted", True)
    assert "12 of 12 rows to send" in (state.message or "")
    assert pareta.books().completions_seen == 0


async def test_a_wrong_key_stops_the_batch_and_names_what_to_check(
    pareta: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PARETA_API_KEY", "sk-wrong-and-secret")
    state = await ended(batch(tmp_path))
    assert state.name == "AuthenticationFailed"
    assert "PARETA_API_KEY" in (state.message or "")
    assert "wrong-and-secret" not in (state.message or "")


async def test_an_unknown_endpoint_stops_the_batch(pareta: Sandbox, tmp_path: Path) -> None:
    state = await ended(batch(tmp_path, model="ep_nowhere"))
    assert state.name == "EndpointNotFound"
    assert pareta.books().completions == 0


async def test_a_bad_dataset_fails_the_run_before_anything_is_sent(pareta: Sandbox, tmp_path: Path) -> None:
    dataset = write_rows(tmp_path / "bad.jsonl", [{"id": "a", "text": "fine"}, {"id": "a", "text": "twice"}])
    with pytest.raises(DatasetError, match=r"bad\.jsonl line 2: duplicate id 'a' in column 'id'"):
        await complete_batch(batch(tmp_path, dataset=dataset))
    assert pareta.books().completions_seen == 0


async def test_rows_that_fail_transiently_are_sent_again_by_the_task_retry(
    pareta: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resources, "open_session", failing_at_once)
    monkeypatch.setattr(complete_shard, "retry_delay_seconds", [0.05])
    pareta.inject(Status(status=500, times=3))
    report = await complete_batch(batch(tmp_path))
    assert (report.settled, report.failed) == (12, 0)
    pareta.debited_once()


async def test_with_shard_size_1_every_row_is_a_task_of_its_own(pareta: Sandbox, tmp_path: Path) -> None:
    report = await complete_batch(batch(tmp_path, count=6, shard_size=1))
    assert report.settled == 6
    pareta.completed(6)


async def test_a_page_of_somebody_else_is_not_replaced_and_nothing_is_sent(pareta: Sandbox, tmp_path: Path) -> None:
    work = batch(tmp_path)
    work.page_path.write_text("<!doctype html><title>mine</title>")
    before = pareta.books()
    with pytest.raises(OutputError, match=r"page beside the answers file .*answers\.html': .* choose another output"):
        await complete_batch(work)
    pareta.silent_since(before)
    assert work.page_path.read_text() == "<!doctype html><title>mine</title>"


async def test_the_page_of_another_batch_is_not_replaced_either(pareta: Sandbox, tmp_path: Path) -> None:
    await complete_batch(batch(tmp_path, name="one"))
    before = pareta.books()
    with pytest.raises(OutputError, match="file of batch 'one'; choose another output for batch 'two'"):
        await complete_batch(batch(tmp_path, name="two", output=str(tmp_path / "answers.csv")))
    pareta.silent_since(before)
