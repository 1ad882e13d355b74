"""`run_pipeline`: one endpoint, stopped whatever happens; the batch and the comparisons side by side."""

from pathlib import Path

import pytest

from flows.deploy_endpoint import deploy_endpoint
from flows.outcomes import report_of
from flows.parameters import Deployment, Pipeline
from flows.run_pipeline import run_pipeline
from pareta_batch.errors import DatasetError, OutputError
from pareta_batch.ledger.ledger import Ledger
from pareta_client import Pareta
from pareta_sandbox.faults.kinds import Status
from pareta_sandbox.testing import Sandbox
from tests.flows.datasets import batch
from tests.flows.test_compare_models import rows


@pytest.fixture
def pareta(direct: Sandbox) -> Sandbox:
    """A service to run against; these flows run without a Prefect server."""
    return direct


def pipeline(folder: Path, **fields: object) -> Pipeline:
    work = batch(folder).model_dump(exclude={"name", "model", "approve_above_usd", "credentials"})
    comparison = {
        "name": "sentiment",
        "task": "sentiment-classification",
        "rows": rows(folder),
        "models": ["wren-1", "heron-2"],
    }
    given = {"name": "reviews", "task": "sentiment-classification", "batch": work, "comparisons": [comparison]}
    return Pipeline.model_validate(given | fields)


def statuses() -> list[str | None]:
    with Pareta.from_env() as client:
        return [endpoint.status for endpoint in client.endpoints.list() if endpoint.name == "reviews"]


async def test_the_whole_way(pareta: Sandbox, tmp_path: Path) -> None:
    report = await run_pipeline(pipeline(tmp_path))
    assert report.batch.settled == 12
    assert report.comparisons is not None
    assert [each.status for each in report.comparisons.comparisons] == ["completed"]
    page = Path(report.report).read_text()
    assert all(f"r{number}" in page for number in range(12))
    assert report.comparisons.comparisons[0].verdict.sentence in page
    assert statuses() == ["stopped"]


async def test_a_second_run_reuses_the_endpoint_and_answers_nothing_again(pareta: Sandbox, tmp_path: Path) -> None:
    await run_pipeline(pipeline(tmp_path))
    before = pareta.books()
    await run_pipeline(pipeline(tmp_path))
    assert statuses() == ["stopped"]
    # The smoke call is the only completion.
    assert pareta.books().completions == before.completions + 1


async def test_the_endpoint_is_stopped_when_the_batch_is(pareta: Sandbox, tmp_path: Path) -> None:
    pareta.inject(Status(status=402, skip=3))
    state = await run_pipeline(pipeline(tmp_path), return_state=True)
    assert state.name == "InsufficientCredits"
    assert (await report_of(state)).batch.pending > 0
    assert statuses() == ["stopped"]


async def test_the_endpoint_is_stopped_when_the_flow_fails(pareta: Sandbox, tmp_path: Path) -> None:
    pareta.inject(Status(status=400))
    state = await run_pipeline(pipeline(tmp_path), return_state=True)
    assert state.is_failed()
    assert statuses() == ["stopped"]


async def test_a_failed_comparison_does_not_sink_the_batch(pareta: Sandbox, tmp_path: Path) -> None:
    pareta.inject(Status(route="eval_runs", status=402))
    state = await run_pipeline(pipeline(tmp_path), return_state=True)
    assert (state.name, (await report_of(state)).batch.settled) == ("ComparisonFailed", 12)


async def test_with_model_auto_nothing_is_deployed(pareta: Sandbox, tmp_path: Path) -> None:
    report = await run_pipeline(pipeline(tmp_path, model="auto", task=None, comparisons=()))
    assert report.batch.settled == 12
    assert not any("endpoints" in route for route in pareta.books().requests)


async def test_a_bad_dataset_deploys_nothing(pareta: Sandbox, tmp_path: Path) -> None:
    bad = pipeline(tmp_path).batch.model_copy(update={"dataset": "missing.csv"})
    with pytest.raises(DatasetError, match=r"missing\.csv"):
        await run_pipeline(pipeline(tmp_path, batch=bad.model_dump()))
    assert pareta.books().requests == {}


async def test_deploying_twice_makes_one_endpoint(pareta: Sandbox, tmp_path: Path) -> None:
    deployment = Deployment(name="reviews", task="sentiment-classification")
    assert await deploy_endpoint(deployment) == await deploy_endpoint(deployment)
    assert statuses() == ["live"]


@pytest.mark.parametrize("report", ["notes.html", "answers.html", "report.csv"])
async def test_a_report_over_another_file_is_refused_before_anything_is_deployed(
    pareta: Sandbox, tmp_path: Path, report: str
) -> None:
    (tmp_path / "notes.html").write_text("<!doctype html><title>mine</title>")
    work = batch(tmp_path, output=str(tmp_path / "answers.csv")).model_dump(
        exclude={"name", "model", "approve_above_usd", "credentials"}
    )
    before = pareta.books()
    with pytest.raises(OutputError, match=r"choose another report|choose a report in \.html"):
        await run_pipeline(pipeline(tmp_path, batch=work, report=str(tmp_path / report)))
    pareta.silent_since(before)
    assert statuses() == []


async def test_a_truth_column_that_is_not_there_is_named_before_anything_is_deployed(
    pareta: Sandbox, tmp_path: Path
) -> None:
    with pytest.raises(DatasetError, match=r"has no column 'sentimnt' \(the truth column\); it has: id, text"):
        await run_pipeline(pipeline(tmp_path, truth_column="sentimnt"))
    assert statuses() == []


async def test_a_second_run_of_a_pipeline_or_of_its_batch_is_refused_before_an_endpoint_is_deployed(
    pareta: Sandbox, tmp_path: Path
) -> None:
    ledger = Ledger.open(f"sqlite:///{tmp_path}/ledger.db")
    before = pareta.books()
    for held, what in (("pipeline:reviews", "pipeline 'reviews'"), ("reviews", "batch 'reviews'")):
        with ledger.lease(held):
            state = await run_pipeline(pipeline(tmp_path), return_state=True)
        assert state.name == "BatchBusy"
        assert f"{what} is being worked on" in (state.message or "")
    pareta.silent_since(before)
    ledger.close()
