"""Promote a winner: a model is deployed if it passes the gate, and nothing is deployed otherwise."""

from pathlib import Path

from flows.promote_winner import promote_winner
from pareta_sandbox.testing import Sandbox
from tests.flows.test_promote_winner import endpoints, promotion


async def test_the_model_that_passes_the_gate_is_deployed_and_live(pareta: Sandbox, tmp_path: Path) -> None:
    report = await promote_winner(promotion(tmp_path, max_loss=0.05))
    assert report.endpoint is not None
    assert endpoints() == {report.decision.model: "live"}


async def test_too_few_rows_do_not_pass_the_gate(pareta: Sandbox, tmp_path: Path) -> None:
    state = await promote_winner(promotion(tmp_path, min_rows=10_000), return_state=True)
    assert (state.is_failed(), state.name) == (True, "GateNotPassed")
    assert endpoints() == {}
