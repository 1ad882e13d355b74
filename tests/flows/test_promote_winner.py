"""`promote_winner`: what passes the gate is deployed, and nothing else."""

from pathlib import Path

import pytest

from flows.outcome_table import ExitStatus, end_state
from flows.outcomes import end_reason, report_of
from flows.parameters import Promotion
from flows.promote_winner import promote_winner
from pareta_client import Pareta
from pareta_sandbox.faults.kinds import Status
from pareta_sandbox.testing import Sandbox
from tests.flows.test_compare_models import rows


@pytest.fixture
def pareta(direct: Sandbox) -> Sandbox:
    """A service to run against; these flows run without a Prefect server."""
    return direct


def promotion(folder: Path, **policy: object) -> Promotion:
    comparison = {
        "name": "sentiment",
        "task": "sentiment-classification",
        "rows": rows(folder, count=120),
        "models": ["wren-1", "heron-2"],
    }
    return Promotion.model_validate({"name": "sentiment", "comparison": comparison, "policy": policy})


def endpoints() -> dict[str | None, str | None]:
    with Pareta.from_env() as client:
        ours = [each for each in client.endpoints.list() if str(each.name).startswith("sentiment-")]
        return {endpoint.model: endpoint.status for endpoint in ours}


async def test_the_cheapest_model_that_passes_is_deployed_and_live(pareta: Sandbox, tmp_path: Path) -> None:
    report = await promote_winner(promotion(tmp_path, max_loss=0.05))
    assert report.endpoint is not None
    assert endpoints() == {report.decision.model: "live"}


async def test_when_nothing_passes_nothing_is_deployed_and_the_state_says_so(pareta: Sandbox, tmp_path: Path) -> None:
    state = await promote_winner(promotion(tmp_path, min_rows=10_000), return_state=True)
    assert (state.is_failed(), state.name) == (True, "GateNotPassed")
    assert "120 rows are fewer than the 10,000 required" in (state.message or "")
    assert (await report_of(state)).endpoint is None
    assert endpoints() == {}


async def test_a_comparison_that_failed_is_told_from_a_gate_that_was_not_passed(
    pareta: Sandbox, tmp_path: Path
) -> None:
    pareta.inject(Status(route="eval_runs", status=402))
    state = await promote_winner(promotion(tmp_path), return_state=True)
    status = end_state(end_reason(await report_of(state))).exit_status
    assert (state.name, status) == (
        "ComparisonFailed",
        ExitStatus.STOPPED,
    )
    assert endpoints() == {}
