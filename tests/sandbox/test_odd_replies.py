"""Odd replies, echoed keys and truncated error bodies on the wire."""

import re
from pathlib import Path

import httpx
import pytest
from pydantic import ValidationError

from pareta_sandbox.faults.odd_replies import SHAPES, Reply, odd
from pareta_sandbox.testing import KeyEcho, OddReply, Sandbox, Status
from tests.sandbox.talk import asked, complete, content

READABLE = ("gzip_claimed", "not_utf8")  # httpx refuses the one, and reads the other only as bytes


@pytest.mark.parametrize("shape", sorted(SHAPES.keys() - set(READABLE)))
def test_every_shape_differs_from_a_correct_reply_and_is_debited_once(
    http: httpx.Client, sandbox: Sandbox, shape: str
) -> None:
    sandbox.inject(OddReply(shape=shape, times=1))
    reply, correct = complete(http), complete(http)
    told = [(each.status_code, each.content, each.headers.get("content-encoding")) for each in (reply, correct)]
    receipts = [
        each.headers["x-pareta-billed"].isdigit() and len(each.headers["x-pareta-billed"]) < 18
        for each in (reply, correct)
    ]
    assert told[0] != told[1] or receipts == [False, True]
    sandbox.completed(2)


def test_any_body_can_be_asked_for(http: httpx.Client, sandbox: Sandbox) -> None:
    sandbox.inject(OddReply(body='{"a": 1}', times=1))
    assert complete(http).json() == {"a": 1}


def test_an_unknown_shape_is_refused_and_the_known_ones_are_named() -> None:
    with pytest.raises(ValidationError, match="unknown shape 'round'; use one of: parts, "):
        OddReply(shape="round")


def test_what_is_no_completion_stays_as_it_is() -> None:
    error = Reply(b'{"detail": "no"}', 400)
    assert odd("parts", error) == error


def test_the_documentation_names_every_shape() -> None:
    table = Path("docs/sandbox.md").read_text(encoding="utf-8").partition("The shapes of `OddReply`")[2]
    named = set(re.findall(r"`(\w+)`", table.partition("## Scenarios")[0]))
    assert named >= set(SHAPES)


def test_the_key_comes_back_where_it_was_asked_for(http: httpx.Client, sandbox: Sandbox) -> None:
    sandbox.inject(KeyEcho(times=1))
    sandbox.inject(KeyEcho(where="answer", times=1, skip=1))
    sandbox.inject(KeyEcho(where="header", times=1, skip=2))
    error, answer, header, after = (complete(http) for _ in range(4))
    assert (error.status_code, sandbox.api_key in error.json()["detail"]) == (401, True)
    assert content(answer).startswith(sandbox.api_key)
    assert sandbox.api_key in header.headers["x-told"]
    assert sandbox.api_key not in after.text


def test_the_key_comes_back_in_a_stream(http: httpx.Client, sandbox: Sandbox) -> None:
    sandbox.inject(KeyEcho(where="answer"))
    assert sandbox.api_key in http.post("/v1/chat/completions", json={**asked("hi"), "stream": True}).text


def test_a_status_may_break_off(http: httpx.Client, sandbox: Sandbox) -> None:
    sandbox.inject(Status(status=402, detail="out of credit", broken_off=True))
    with pytest.raises(httpx.RemoteProtocolError):
        complete(http)
    assert sandbox.books().statuses[402] == 1
