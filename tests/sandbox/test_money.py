"""The books are exact, and the balance never goes below zero."""

import asyncio

import httpx

from pareta_sandbox.pytest_plugin import SandboxFactory
from pareta_sandbox.testing import Sandbox
from tests.sandbox.talk import asked, async_client, client, complete


def price_of_one(http: httpx.Client) -> int:
    return int(complete(http).headers["x-pareta-billed"])


def test_every_completion_is_one_debit_and_the_books_balance(http: httpx.Client, sandbox: Sandbox) -> None:
    billed = [int(complete(http, key=f"row-{n}").headers["x-pareta-billed"]) for n in range(5)]
    books = sandbox.books()
    assert [debit.amount_micro_usd for debit in books.debits] == billed
    assert [debit.key for debit in books.debits] == [f"row-{n}" for n in range(5)]
    assert books.balance_micro_usd == 100_000_000 - sum(billed)
    assert books.balances


def test_the_balance_runs_out_at_402_and_a_top_up_mends_it(sandbox_factory: SandboxFactory) -> None:
    sandbox = sandbox_factory(balance_usd=0.0001)
    with client(sandbox) as http:
        price = price_of_one(http)
        affordable = 100 // price
        statuses = [complete(http).status_code for _ in range(affordable + 2)]
        assert statuses == [200] * (affordable - 1) + [402] * 3
        assert isinstance(complete(http).json()["detail"], str)
        sandbox.top_up(1)
        assert complete(http).status_code == 200
    assert sandbox.books().balances


async def test_calls_in_flight_at_once_never_overdraw_the_balance(sandbox_factory: SandboxFactory) -> None:
    sandbox = sandbox_factory(balance_usd="0.000100", latency_ms=50)
    async with async_client(sandbox) as http:
        replies = await asyncio.gather(*(http.post("/v1/chat/completions", json=asked()) for _ in range(20)))
    paid = [int(reply.headers["x-pareta-billed"]) for reply in replies if reply.status_code == 200]
    books = sandbox.books()
    assert {reply.status_code for reply in replies} == {200, 402}
    assert books.balance_micro_usd == 100 - sum(paid) >= 0
    assert books.held_micro_usd == 0
    assert len(paid) == 100 // paid[0]


def test_a_refused_call_costs_nothing(http: httpx.Client, sandbox: Sandbox) -> None:
    sandbox.stop_endpoint("ep_seed_licenses")
    assert complete(http).status_code == 503
    assert sandbox.books().debited_micro_usd == 0


def test_a_longer_document_costs_more(http: httpx.Client) -> None:
    short, long = complete(http, "MIT License"), complete(http, "MIT License\n" + "words " * 500)
    assert int(long.headers["x-pareta-billed"]) > 5 * int(short.headers["x-pareta-billed"])


def test_the_balance_can_be_set(http: httpx.Client, sandbox: Sandbox) -> None:
    sandbox.set_balance(0)
    assert complete(http).status_code == 402
    sandbox.set_balance("0.5")
    assert sandbox.books().balance_micro_usd == 500_000
