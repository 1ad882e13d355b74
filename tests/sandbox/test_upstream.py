"""Upstream: another server answers, and the sandbox keeps the books."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from pareta_sandbox.pytest_plugin import SandboxFactory
from pareta_sandbox.testing import Sandbox
from tests.end_to_end.processes import until
from tests.sandbox import openai_server
from tests.sandbox.talk import chunks, client, streamed_text


@pytest.fixture(scope="module")
def upstream(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Run an OpenAI-compatible server in another process."""
    file = tmp_path_factory.mktemp("upstream") / "port"
    with subprocess.Popen([sys.executable, str(Path(openai_server.__file__)), str(file)]) as process:
        try:
            until(file.exists, within_s=60, what="the port of the upstream")
            yield f"http://127.0.0.1:{file.read_text()}"
        finally:
            process.kill()


@pytest.fixture
def forwarding(upstream: str, sandbox_factory: SandboxFactory) -> Sandbox:
    """Start a sandbox with this server as its upstream."""
    return sandbox_factory(upstream=upstream)


@pytest.fixture
def http(forwarding: Sandbox) -> Iterator[httpx.Client]:
    """Open an HTTP client of this sandbox."""
    with client(forwarding) as opened:
        yield opened


def ask(http: httpx.Client, text: str, *, key: str | None = None, **fields: object) -> httpx.Response:
    body = {"model": "ep_seed_licenses", "messages": [{"role": "user", "content": text}], **fields}
    return http.post("/v1/chat/completions", json=body, headers={"idempotency-key": key} if key else {})


def test_the_upstream_answers_and_its_tokens_are_billed(http: httpx.Client, forwarding: Sandbox) -> None:
    reply = ask(http, "hello", top_k=7)
    choice = reply.json()["choices"][0]
    assert choice["message"]["content"] == "HELLO"
    assert choice["message"]["tool_calls"] == [{"id": "t1"}]
    assert choice["message"]["seen"] == {"model": "parrot-7b", "roles": ["user"], "top_k": 7}
    assert reply.json()["usage"] == {"prompt_tokens": 1000, "completion_tokens": 500, "total_tokens": 1500}
    assert reply.headers["x-pareta-billed"] == "400"  # heron-1: 200 and 400 micro-USD a thousand tokens
    assert forwarding.books().debited_micro_usd == 400


def test_a_repeated_key_does_not_reach_the_upstream(http: httpx.Client, forwarding: Sandbox) -> None:
    first, again = ask(http, "hello", key="k"), ask(http, "hello", key="k")
    assert again.content == first.content
    assert again.headers["x-pareta-billed"] == "0"
    forwarding.debited_once()


def test_pieces_are_passed_on_and_the_receipt_is_ours(http: httpx.Client, forwarding: Sandbox) -> None:
    reply = ask(http, "one two three", stream=True)
    assert streamed_text(reply.text) == "ONE TWO THREE "
    assert chunks(reply.text)[0]["model"] == "ep_seed_licenses"
    assert ": pareta-billed-micro-usd 400\n" in reply.text
    assert reply.text.endswith("data: [DONE]\n\n")
    forwarding.completed(1)


def test_a_stream_that_the_upstream_breaks_off_is_broken_off_and_costs_nothing(
    http: httpx.Client, forwarding: Sandbox
) -> None:
    with pytest.raises(httpx.RemoteProtocolError):
        ask(http, "break off", stream=True)
    books = forwarding.books()
    assert (books.debits, books.held_micro_usd) == ((), 0)


def test_an_extraction_endpoint_still_injects_its_prompt(http: httpx.Client) -> None:
    body = {"model": "ep_seed_contracts", "messages": [{"role": "user", "content": "hello"}]}
    seen = http.post("/v1/chat/completions", json=body).json()["choices"][0]["message"]["seen"]
    assert seen["roles"] == ["system", "user"]


@pytest.mark.parametrize(("word", "status"), [("fail", 503), ("refuse", 400), ("limit", 429)])
@pytest.mark.parametrize("stream", [False, True])
def test_what_the_upstream_refuses_is_refused_and_costs_nothing(
    http: httpx.Client, forwarding: Sandbox, word: str, status: int, stream: bool
) -> None:
    reply = ask(http, word, stream=stream)
    assert reply.status_code == status
    assert reply.headers.get("retry-after") == ("3" if status == 429 else None)
    books = forwarding.books()
    assert (books.debits, books.held_micro_usd) == ((), 0)


def test_an_upstream_that_is_not_there_is_a_provider_that_is_down(sandbox_factory: SandboxFactory) -> None:
    with client(sandbox_factory(upstream="http://127.0.0.1:9", upstream_model="any")) as http:
        assert ask(http, "hello").status_code == 503
        assert ask(http, "hello", stream=True).status_code == 503


def test_a_balance_that_does_not_cover_the_longest_answer_is_402(http: httpx.Client, forwarding: Sandbox) -> None:
    forwarding.set_balance("0.0005")
    assert ask(http, "hello").status_code == 402
    assert ask(http, "hello", max_tokens=1000).status_code == 200


def test_the_price_never_exceeds_what_was_held(http: httpx.Client) -> None:
    assert int(ask(http, "hello", max_tokens=10).headers["x-pareta-billed"]) < 400
