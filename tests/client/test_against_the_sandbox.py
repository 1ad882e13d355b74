"""Both faces against the sandbox, over real HTTP: what is paid for, and how often."""

import asyncio
import pickle
from collections.abc import Iterator

import pytest

from pareta_client import (
    APIConnectionError,
    APITimeoutError,
    AsyncPareta,
    EvalWaitTimeoutError,
    InsufficientCreditsError,
    MalformedReplyError,
    Pareta,
    RateLimitError,
)
from pareta_sandbox.faults.kinds import CutStream, Drop, Hang, Html, RateLimit, Status, TruncatedJson
from pareta_sandbox.testing import Sandbox, running

MESSAGES = [{"role": "user", "content": "MIT License. Permission is hereby granted, free of charge, to any person"}]
ENDPOINT = "ep_seed_licenses"


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with running(latency_ms=1, deploy_s=0.05, eval_s=0.05, cold_start_s=0.05) as running_sandbox:
        yield running_sandbox


@pytest.fixture
def client(sandbox: Sandbox) -> AsyncPareta:
    return AsyncPareta(api_key=sandbox.api_key, base_url=sandbox.base_url)


async def ask(client: AsyncPareta, key: str | None = None) -> int | None:
    answer = await client.chat.completions.create(model=ENDPOINT, messages=MESSAGES, idempotency_key=key)
    return answer.billed_micro_usd


@pytest.mark.parametrize(
    "fault",
    [
        Status(status=503, times=1),
        Status(status=429, times=1, retry_after_s=0.0, retry_after="seconds"),
        Drop(when="before", times=1),
        Drop(when="after", times=1),
        Drop(when="after", how="reset", times=1),
        Drop(when="in_body", times=1),
    ],
    ids=lambda fault: f"{fault.kind} {getattr(fault, 'when', fault.kind)}",
)
async def test_what_fails_in_passing_is_answered_in_the_end_and_paid_for_once(
    sandbox: Sandbox, client: AsyncPareta, fault: Status | Drop
) -> None:
    sandbox.inject(fault)
    async with client:
        await ask(client)
    books = sandbox.books()
    assert books.debit_count == 1
    assert max(books.requests_by_key.values()) == 2


async def test_a_timed_out_call_that_was_answered_after_all_is_paid_for_once(
    sandbox: Sandbox, client: AsyncPareta
) -> None:
    sandbox.inject(Hang(when="after", times=1, seconds=5))
    async with client.with_options(timeout=0.3, max_retries=20) as impatient:
        assert await ask(impatient) == 0  # the service replays what it had answered
    assert sandbox.books().debit_count == 1


async def test_the_same_key_is_never_paid_for_twice_not_even_by_another_client(sandbox: Sandbox) -> None:
    for _ in range(2):
        async with AsyncPareta(api_key=sandbox.api_key, base_url=sandbox.base_url) as client:
            await ask(client, "batch-row-7")
    assert (sandbox.books().debit_count, sandbox.books().replays) == (1, 1)


async def test_without_credit_the_first_refusal_is_final(sandbox: Sandbox, client: AsyncPareta) -> None:
    sandbox.set_balance(0)
    async with client:
        with pytest.raises(InsufficientCreditsError) as caught:
            await ask(client)
    assert caught.value.attempts == 1
    assert sandbox.books().completions_seen == 1
    assert pickle.loads(pickle.dumps(caught.value)).request_id == caught.value.request_id


async def test_an_error_says_how_long_to_wait(sandbox: Sandbox, client: AsyncPareta) -> None:
    sandbox.inject(RateLimit(per_s=0.1, burst=1))
    async with client.with_options(max_retries=0) as once:
        await ask(once)
        with pytest.raises(RateLimitError) as caught:
            await ask(once)
    assert caught.value.retry_after is not None
    assert caught.value.retry_after > 1


async def test_as_many_calls_are_in_flight_as_are_made_and_no_connection_is_wasted(
    sandbox: Sandbox, client: AsyncPareta
) -> None:
    async with client:
        bills = await asyncio.gather(*(ask(client) for _ in range(200)))
    assert len(bills) == sandbox.books().debit_count == 200


async def test_truncated_json_is_an_error_of_ours_with_an_excerpt(sandbox: Sandbox, client: AsyncPareta) -> None:
    sandbox.inject(TruncatedJson(times=1))
    async with client:
        with pytest.raises(MalformedReplyError) as caught:
            await ask(client)
    assert caught.value.excerpt
    assert caught.value.status_code == 200


async def test_a_proxys_page_with_an_error_status_passes(sandbox: Sandbox, client: AsyncPareta) -> None:
    sandbox.inject(Html(times=1))
    async with client:
        assert await ask(client)


async def test_a_cut_stream_is_a_connection_error_and_not_sent_again(sandbox: Sandbox, client: AsyncPareta) -> None:
    sandbox.inject(CutStream(after_chunks=1))
    async with client:
        stream = await client.chat.completions.create(model=ENDPOINT, messages=MESSAGES, stream=True)
        with pytest.raises(APIConnectionError) as caught:
            async for _ in stream:
                pass
    assert caught.value.chunks_received == stream.received > 0
    assert max(sandbox.books().requests_by_key.values()) == 1


async def test_a_run_whose_wait_ran_out_is_waited_for_again_and_paid_for_once(
    sandbox: Sandbox, client: AsyncPareta
) -> None:
    sandbox.change(eval_s=2)  # much longer than the first wait, on a loaded machine too
    rows = [{"input": MESSAGES[0]["content"], "expected": "MIT"}]
    async with client:
        with pytest.raises(EvalWaitTimeoutError) as caught:
            await client.evals.runs.create(
                task="license-identification",
                items=rows,
                models=["heron-1"],
                wait=True,
                poll_interval=0.02,
                timeout=0.05,
            )
        run = await client.evals.runs.wait(caught.value.run_id, poll_interval=0.02)
    assert run.status == "completed"
    assert sandbox.books().eval_runs_created == 1


def test_the_blocking_face_deploys_asks_and_stops(sandbox: Sandbox) -> None:
    with Pareta(api_key=sandbox.api_key, base_url=sandbox.base_url, timeout=60) as client:
        endpoint = client.endpoints.deploy(task="license-identification", wait=True)
        assert endpoint.id is not None
        assert endpoint.is_live
        client.endpoints.stop(endpoint.id)
        client.endpoints.start(endpoint.id)
        assert client.endpoints.wait_until_live(endpoint.id, timeout=60).is_live
        answer = client.chat.completions.create(model=endpoint.id, messages=MESSAGES)
        assert answer.choices[0].message.content
        assert client.models.list().data


def test_a_deadline_ends_a_call_that_would_be_tried_for_longer(sandbox: Sandbox) -> None:
    sandbox.inject(Hang(when="before"))
    with (
        Pareta(api_key=sandbox.api_key, base_url=sandbox.base_url, deadline=0.3, max_retries=50) as client,
        pytest.raises(APITimeoutError),
    ):
        client.chat.completions.create(model=ENDPOINT, messages=MESSAGES)
