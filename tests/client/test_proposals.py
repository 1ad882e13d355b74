"""How rows could be scored, asked of a real server: nothing is stored by asking."""

from pareta_client import AsyncPareta, Pareta
from pareta_sandbox.testing import running

ROWS = [{"input": {"text": "I love it"}, "expected_output": {"label": "positive"}}] * 3
PROMPT = "Is this review positive, negative or neutral?"


async def test_both_faces_are_told_the_task_that_fits() -> None:
    with running() as sandbox:
        with Pareta(api_key=sandbox.api_key, base_url=sandbox.base_url) as blocking:
            told = blocking.evals.propose_contract(items=ROWS, prompt=PROMPT)
        async with AsyncPareta(api_key=sandbox.api_key, base_url=sandbox.base_url) as asynchronous:
            told_again = await asynchronous.evals.propose_contract(items=ROWS, prompt=PROMPT)
        assert told.to_dict() == told_again.to_dict()
        assert "sentiment-classification" in [proposal.task_id for proposal in told.proposals]
        assert sandbox.books().requests.get("POST /v1/eval-sets") is None
