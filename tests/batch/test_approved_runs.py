"""`approve_above_usd` without a flow: a function that sends rows sends nothing until a person has approved the cost."""

import pickle
from collections.abc import Awaitable, Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pareta_batch import ApprovalNeeded, Batch, Member, Quote, complete, run_with_members, sample_answers
from pareta_batch.approval import high_of_rows, question_above
from pareta_batch.engine.policy import RetryPolicy
from pareta_batch.ledger.ledger import Ledger
from pareta_batch.quoting import quote_rows
from pareta_batch.run import retry_failed, run_batch
from pareta_client import AsyncPareta
from pareta_sandbox.testing import Sandbox, Status
from tests.batch.batches import batch_in, ledger_in, numbered


def client_of(sandbox: Sandbox) -> AsyncPareta:
    return AsyncPareta(api_key=sandbox.api_key, base_url=sandbox.base_url)


Sender = Callable[[Batch, Sandbox, Ledger, bool], Awaitable[object]]


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    opened = ledger_in(tmp_path)
    yield opened
    opened.close()


async def whole(batch: Batch, sandbox: Sandbox, ledger: Ledger, approved: bool) -> object:
    return await run_batch(batch, client_of(sandbox), ledger, approved=approved)


async def sample(batch: Batch, sandbox: Sandbox, ledger: Ledger, approved: bool) -> object:
    return await sample_answers(batch, client_of(sandbox), ledger, 4, approved=approved)


async def pilot(batch: Batch, sandbox: Sandbox, ledger: Ledger, approved: bool) -> object:
    return await quote_rows(batch, client_of(sandbox), ledger, pilot=4, approved=approved)


async def frame(batch: Batch, sandbox: Sandbox, ledger: Ledger, approved: bool) -> object:
    options: Any = {
        "prompt": batch.prompt,
        "sampling": {"max_tokens": 10},
        "approve_above_usd": batch.approve_above_usd,
        "budget_usd": batch.budget_usd,
    }
    asked = pd.DataFrame(numbered(10))
    named: Any = {"api_key": sandbox.api_key, "base_url": sandbox.base_url, "ledger": ledger, "progress": False}
    return await complete(asked, model=batch.model, approved=approved, **named, **options)


SENDERS = [(whole, 10), (sample, 4), (pilot, 4), (frame, 10)]
every_sender = pytest.mark.parametrize(("send", "rows"), SENDERS)


@every_sender
async def test_nothing_is_sent_above_the_threshold_before_it_is_approved(
    send: Sender, rows: int, tmp_path: Path, sandbox: Sandbox, ledger: Ledger
) -> None:
    batch = batch_in(tmp_path, 10, approve_above_usd=0)
    with pytest.raises(
        ApprovalNeeded, match=rf"{rows} of 10 rows to send; .*pass approved=True, or raise approve"
    ) as no:
        await send(batch, sandbox, ledger, False)
    assert sandbox.books().completions_seen == 0
    assert str(pickle.loads(pickle.dumps(no.value))) == str(no.value)
    await send(batch, sandbox, ledger, True)
    sandbox.completed(rows)


@every_sender
@pytest.mark.parametrize("fields", [{"approve_above_usd": 50}, {"approve_above_usd": 1, "budget_usd": 1}])
async def test_a_cost_below_the_threshold_or_a_budget_needs_no_approval(
    send: Sender, rows: int, fields: dict[str, float], tmp_path: Path, sandbox: Sandbox, ledger: Ledger
) -> None:
    await send(batch_in(tmp_path, 10, **fields), sandbox, ledger, False)
    sandbox.completed(rows)


async def test_rows_with_answers_need_no_approval(tmp_path: Path, sandbox: Sandbox, ledger: Ledger) -> None:
    batch = batch_in(tmp_path, 10, approve_above_usd=0)
    for send, _ in SENDERS[:3]:
        await send(batch, sandbox, ledger, True)
        await send(batch, sandbox, ledger, False)
    sandbox.completed(10)


@pytest.mark.parametrize(("status", "errors"), [(500, ()), (422, ("BadRequestError",))])
async def test_a_retry_needs_an_approval_of_the_failed_rows(
    status: int, errors: Sequence[str], tmp_path: Path, sandbox: Sandbox, ledger: Ledger
) -> None:
    sandbox.inject(Status(status=status, times=1))
    batch = batch_in(tmp_path, 10)
    policy = RetryPolicy(max_transient_failures=1)
    report = await run_batch(batch, client_of(sandbox), ledger, policy=policy)
    assert report.failed == 1
    dear = batch.model_copy(update={"approve_above_usd": 0})
    with pytest.raises(ApprovalNeeded, match="1 of 10 rows to send"):
        await retry_failed(dear, client_of(sandbox), ledger, errors)
    assert (await retry_failed(dear, client_of(sandbox), ledger, errors, approved=True)).settled == 10


async def test_members_start_only_after_the_approval(tmp_path: Path, sandbox: Sandbox, ledger: Ledger) -> None:
    async def start(members: Sequence[Member]) -> None:
        raise AssertionError(members)

    with pytest.raises(ApprovalNeeded, match="can cost an unknown amount"):
        await run_with_members(batch_in(tmp_path, 10, approve_above_usd=0), ledger, 2, start)
    assert sandbox.books().requests == {}


@given(to_send=st.integers(0, 5), above=st.integers(0, 50), budget=st.none() | st.integers(1, 100))
def test_an_unknown_cost_of_rows_needs_an_approval_unless_a_budget_bounds_it(
    to_send: int, above: int, budget: int | None
) -> None:
    quote = Quote(name="b", total=5, to_send=to_send, basis="nothing")
    spec = Batch.model_validate(
        {"name": "b", "model": "auto", "dataset": "b.csv", "prompt": "{text}", "sampling": {"max_tokens": 5}}
        | {"approve_above_usd": above, "budget_usd": budget}
    )
    question = question_above(spec, quote, high_of_rows(quote))
    assert (question is None) == (to_send == 0 or (budget is not None and budget <= above))
