"""Streams of completions: data-only events, receipts as comments, `[DONE]` at the end."""

import time

import httpx

from pareta_sandbox.pytest_plugin import SandboxFactory
from pareta_sandbox.testing import CutStream, Sandbox
from tests.sandbox import talk
from tests.sandbox.talk import asked, chunks, client, complete, streamed_text


def test_the_pieces_of_a_stream_make_the_answer(http: httpx.Client) -> None:
    reply = complete(http, "Licensed under the Apache License, Version 2.0", stream=True)
    assert reply.headers["content-type"].startswith("text/event-stream")
    assert streamed_text(reply.text) == "Apache-2.0"
    assert len(chunks(reply.text)) > 3
    assert chunks(reply.text)[0]["object"] == "chat.completion.chunk"


def test_the_receipt_stands_in_comments_just_before_done(http: httpx.Client, sandbox: Sandbox) -> None:
    lines = [line for line in complete(http, stream=True).text.splitlines() if line]
    billed = sandbox.books().debits[0].amount_micro_usd
    assert lines[-3] == f": pareta-billed-micro-usd {billed}"
    assert lines[-2].startswith(": pareta-frontier-would-have-cost-micro-usd ")
    assert lines[-1] == "data: [DONE]"


def test_usage_comes_last_when_it_is_asked_for(http: httpx.Client) -> None:
    reply = complete(http, stream=True, stream_options={"include_usage": True})
    last = chunks(reply.text)[-1]
    assert last["choices"] == []
    assert isinstance(last["usage"], dict)


def test_the_first_piece_comes_before_the_last_is_made(sandbox_factory: SandboxFactory) -> None:
    sandbox = sandbox_factory(latency_ms=2000)
    with client(sandbox) as http, http.stream("POST", "/v1/chat/completions", json=asked(stream=True)) as reply:
        lines = reply.iter_lines()
        next(lines)
        books = sandbox.books()
        assert (books.in_flight, books.completions) == (1, 0)
        list(lines)
    sandbox.completed(1)


def test_a_cut_stream_is_not_debited(http: httpx.Client, sandbox: Sandbox) -> None:
    sandbox.inject(CutStream(after_chunks=2, times=1))
    got = talk.cut_off(http, "k")
    assert got.count(b"data: ") == 2
    assert sandbox.books().debits == ()
    assert streamed_text(complete(http, key="k", stream=True).text) == "MIT"
    sandbox.debited_once()


def test_a_stream_cut_after_the_debit_lacks_only_its_end(http: httpx.Client, sandbox: Sandbox) -> None:
    sandbox.inject(CutStream(when="after", times=1))
    got = talk.cut_off(http, "k")
    assert streamed_text(got.decode()) == "MIT"
    assert b"[DONE]" not in got
    sandbox.completed(1)


def test_a_caller_who_leaves_a_stream_pays_for_it(sandbox_factory: SandboxFactory) -> None:
    sandbox = sandbox_factory(latency_ms=100)
    with client(sandbox) as http, http.stream("POST", "/v1/chat/completions", json=asked(stream=True)) as reply:
        next(reply.iter_lines())
    deadline = time.monotonic() + 30
    while not sandbox.books().debits and time.monotonic() < deadline:
        time.sleep(0.01)
    sandbox.completed(1)
    assert sandbox.books().in_flight == 0
