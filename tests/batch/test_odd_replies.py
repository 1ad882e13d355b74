"""Odd replies through the engine: one outcome for each row, with its receipt, whatever the service said."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pareta_batch.ledger.ledger import Ledger
from pareta_batch.run import run_batch
from pareta_client import AsyncPareta
from pareta_sandbox.faults.odd_replies import SHAPES
from pareta_sandbox.testing import OddReply, Sandbox, Status, running
from tests.batch.batches import QUICK, batch_in, ledger_in, numbered, read_answers, run
from tests.examples import share_of

ANSWERS: dict[str, str | None] = {
    # shape: flag of the row that is settled with it
    "parts": None,
    "content_number": "unclear",
    "content_object": "unclear",
    "nested": None,
    "lone_surrogate": None,
    "raw_newline": None,
    "not_utf8": None,
    "byte_order_mark": None,
    "tool_call": None,
    "reasoning": None,
    "refusal": "empty",
    "logprobs": None,
    "several": None,
    "finish_cut": "cut",
    "finish_filtered": "filtered",
    "finish_unknown": "unclear",
    "finish_object": "unclear",
    "tokens_text": None,
    "tokens_huge": None,
    "tokens_list": None,
    "no_usage": None,
    "receipt_decimal": None,
    "receipt_words": None,
    "receipt_huge": None,
    "gzip_members": None,
    "gzip_claimed": None,
}
UNUSABLE = sorted(SHAPES.keys() - ANSWERS.keys() - {"event_stream"})
BESIDES = {"tool_call": "pick_team", "reasoning": "about money", "refusal": "cannot help", "logprobs": "logprob"}


@pytest.mark.parametrize("shape", ANSWERS)
async def test_an_answer_in_an_odd_shape_is_settled_in_one_post(
    tmp_path: Path, sandbox: Sandbox, ledger: Ledger, shape: str
) -> None:
    sandbox.inject(OddReply(shape=shape, times=1))
    batch = batch_in(tmp_path, 2, max_in_flight=1)
    async with asyncio.timeout(30):
        report = await run(batch, sandbox, ledger)
    odd, good = read_answers(batch)
    assert (report.status, report.settled, sandbox.books().completions_seen) == ("completed", 2, 2)
    assert (odd["flag"], good["flag"]) == (ANSWERS[shape], None)
    if shape not in ("receipt_words", "receipt_huge"):
        assert report.billed_micro_usd == sandbox.books().debited_micro_usd
    if shape in BESIDES:
        assert BESIDES[shape] in json.dumps(odd["message"])
        assert good["message"] is None
    if shape == "several":
        assert [choice["index"] for choice in odd["message"]] == [0, 1]
    if shape in ("tokens_huge", "tokens_list", "receipt_words"):
        assert odd["notes"]


@pytest.mark.parametrize("shape", UNUSABLE)
async def test_a_success_that_is_no_answer_is_asked_again_with_the_same_key(
    tmp_path: Path, sandbox: Sandbox, ledger: Ledger, shape: str
) -> None:
    sandbox.inject(OddReply(shape=shape, times=2))
    batch = batch_in(tmp_path, 1)
    async with asyncio.timeout(30):
        report = await run(batch, sandbox, ledger, policy=QUICK)
    (row,) = read_answers(batch)
    assert (report.settled, row["attempts"], row["flag"], bool(row["answer"])) == (1, 3, None, True)
    assert report.billed_micro_usd == sandbox.books().debited_micro_usd, "the first, useless reply was the paid one"
    assert (report.replayed, report.unknown) == (0, 0)
    sandbox.debited_once()


@pytest.mark.parametrize("shape", ["empty_body", "gateway_message", "finish_abort"])
async def test_a_service_that_never_answers_fails_the_row_with_its_text_and_its_receipt(
    tmp_path: Path, sandbox: Sandbox, ledger: Ledger, shape: str
) -> None:
    fault = sandbox.inject(OddReply(shape=shape))
    batch = batch_in(tmp_path, 2, budget_usd=1)
    async with asyncio.timeout(30):
        report = await run(batch, sandbox, ledger, policy=QUICK)
    assert (report.errors, sandbox.books().completions_seen) == ({"MalformedReplyError": 2}, 12)
    assert (report.billed_unanswered, report.unknown, report.not_paid) == (2, 0, 0)
    assert report.unanswered_micro_usd == report.billed_micro_usd == sandbox.books().debited_micro_usd > 0
    assert "for replies without a usable answer" in str(report)
    if shape == "gateway_message":
        assert all("token expired" in row["error"] for row in read_answers(batch))
    sandbox.remove(fault)
    again = await run(batch, sandbox, ledger, policy=QUICK)
    assert (again.settled, again.unanswered_micro_usd) == (2, 0)
    assert again.billed_micro_usd == sandbox.books().debited_micro_usd, "and what was paid before is still counted"


async def test_a_row_that_was_billed_and_is_stopped_before_its_answer_keeps_its_receipt(
    tmp_path: Path, sandbox: Sandbox, ledger: Ledger
) -> None:
    sandbox.inject(OddReply(shape="null", times=1))
    sandbox.inject(Status(status=401, skip=1))
    report = await run(batch_in(tmp_path, 3, max_in_flight=1), sandbox, ledger)
    assert report.stopped == "AuthenticationError"
    assert report.billed_micro_usd == report.unanswered_micro_usd == sandbox.books().debited_micro_usd > 0


async def test_an_event_stream_in_answer_to_a_plain_call_is_assembled(
    tmp_path: Path, sandbox: Sandbox, ledger: Ledger
) -> None:
    sandbox.inject(OddReply(shape="event_stream", times=1))
    batch = batch_in(tmp_path, 2, max_in_flight=1)
    report = await run(batch, sandbox, ledger)
    assert (report.settled, sandbox.books().completions_seen) == (2, 2)
    assert all(row["answer"] for row in read_answers(batch))


async def test_half_a_402_stops_the_batch_with_one_post_for_each_call_in_flight(
    tmp_path: Path, sandbox: Sandbox, ledger: Ledger
) -> None:
    sandbox.inject(Status(status=402, broken_off=True))
    report = await run(batch_in(tmp_path, 30, max_in_flight=2), sandbox, ledger)
    assert (report.stopped, report.unknown, report.pending) == ("InsufficientCreditsError", 0, 30)
    assert sandbox.books().completions_seen <= 2


async def test_a_429_for_missing_credit_stops_the_batch_as_a_402_does(
    tmp_path: Path, sandbox: Sandbox, ledger: Ledger
) -> None:
    sandbox.inject(Status(status=429, detail="insufficient_quota", retry_after_s=0))
    report = await run(batch_in(tmp_path, 30, max_in_flight=2), sandbox, ledger)
    assert (report.stopped, report.unknown, report.pending) == ("InsufficientCreditsError", 0, 30)
    assert sandbox.books().completions_seen <= 2


@pytest.mark.parametrize("status", [405, 407, 410])
async def test_a_status_of_another_service_stops_the_batch_as_a_refused_request(
    tmp_path: Path, sandbox: Sandbox, ledger: Ledger, status: int
) -> None:
    sandbox.inject(Status(status=status))
    report = await run(batch_in(tmp_path, 4, max_in_flight=2), sandbox, ledger)
    assert (report.stopped, report.pending) == ("RequestRefused", 4)


async def test_half_a_429_pauses(tmp_path: Path, sandbox: Sandbox, ledger: Ledger) -> None:
    sandbox.inject(Status(status=429, broken_off=True, times=2))
    report = await run(batch_in(tmp_path, 10), sandbox, ledger)
    assert (report.settled, report.refused, report.unknown) == (10, 2, 0)


def test_every_shape_has_its_outcome_here() -> None:
    assert set(ANSWERS) | set(UNUSABLE) | {"event_stream"} == set(SHAPES)
    assert "finish_abort" in UNUSABLE


leaves = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8)
anything = st.recursive(
    leaves, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
)


def fields(**given: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Make objects in which each field may be missing, or be anything."""
    return st.fixed_dictionaries({}, optional={name: value | anything for name, value in given.items()})


reasons = st.sampled_from(["stop", "length", "content_filter", "tool_calls", "abort", "because", ""])
messages = fields(
    role=st.just("assistant"),
    content=st.text(max_size=20) | st.lists(fields(type=st.just("text"), text=st.text(max_size=5)), max_size=2),
    tool_calls=st.lists(anything, max_size=2),
    refusal=st.text(max_size=5),
)
choices = fields(index=st.integers(), message=messages, finish_reason=reasons, logprobs=anything)
usages = fields(prompt_tokens=st.integers(), completion_tokens=st.integers())
replies = anything | fields(id=st.text(), choices=st.lists(choices, max_size=3), usage=usages, error=anything)


@settings(max_examples=share_of(20), suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(st.lists(replies, min_size=1, max_size=4), st.sampled_from([None, {"type": "json_object"}]))
def test_any_json_ends_in_one_outcome_for_each_row_and_the_receipts_add_up(
    tmp_path_factory: pytest.TempPathFactory, bodies: list[Any], response_format: Any
) -> None:
    folder = tmp_path_factory.mktemp("any")
    sampling = {"max_tokens": 10} | ({"response_format": response_format} if response_format else {})
    batch = batch_in(folder, numbered(len(bodies)), sampling=sampling, max_in_flight=2)
    ledger = ledger_in(folder)
    with running() as sandbox:
        for body in bodies:
            sandbox.inject(OddReply(body=json.dumps(body), share=1.0 / len(bodies)))
        pareta = AsyncPareta(api_key=sandbox.api_key, base_url=sandbox.base_url)

        async def bounded() -> Any:
            async with asyncio.timeout(30):
                return await run_batch(batch, pareta, ledger, policy=QUICK)

        report = asyncio.run(bounded())
        assert (report.settled + report.failed, report.pending, report.stopped) == (len(bodies), 0, None)
        assert report.billed_micro_usd == sandbox.books().debited_micro_usd
        assert set(report.errors) <= {"MalformedReplyError"}
        assert len(read_answers(batch)) == len(bodies)
        sandbox.debited_once()
    ledger.close()
