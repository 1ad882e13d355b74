"""The public API for tests."""

import time

import httpx
import pytest

from pareta_sandbox.pytest_plugin import SandboxFactory
from pareta_sandbox.testing import Sandbox, attach, running
from tests.sandbox.talk import complete


def test_a_sandbox_is_up_and_down_again_in_a_moment() -> None:
    began = time.monotonic()
    for _ in range(5):
        with running() as sandbox:
            assert sandbox.books().requests == {}
    assert time.monotonic() - began < 30  # no end waits for a timeout


def test_two_sandboxes_keep_separate_books(
    http: httpx.Client, sandbox: Sandbox, sandbox_factory: SandboxFactory
) -> None:
    other = sandbox_factory()
    complete(http)
    assert (sandbox.books().completions, other.books().completions) == (1, 0)


def test_an_attached_sandbox_sees_the_same_books(http: httpx.Client, sandbox: Sandbox) -> None:
    complete(http)
    assert attach(sandbox.base_url).books() == sandbox.books()


def test_asking_for_the_books_is_not_a_request(sandbox: Sandbox) -> None:
    before = sandbox.books()
    sandbox.books()
    sandbox.silent_since(before)


def test_silence_is_broken_by_any_request(http: httpx.Client, sandbox: Sandbox) -> None:
    before = sandbox.books()
    http.get("/v1/models")
    with pytest.raises(AssertionError, match="GET /v1/models"):
        sandbox.silent_since(before)


def test_debited_once_fails_without_keys(http: httpx.Client, sandbox: Sandbox) -> None:
    complete(http, key="a")
    sandbox.debited_once()
    complete(http)
    with pytest.raises(AssertionError, match="have no idempotency key"):
        sandbox.debited_once()


def test_debited_once_fails_when_a_key_was_billed_twice(sandbox_factory: SandboxFactory) -> None:
    sandbox = sandbox_factory(idempotency=False)
    with httpx.Client(base_url=sandbox.base_url, headers={"authorization": "Bearer pareta_sk_x"}) as http:
        complete(http, key="a")
        complete(http, key="a")
    with pytest.raises(AssertionError, match="more than once"):
        sandbox.debited_once()


def test_the_bound_on_calls_in_flight_is_checked(http: httpx.Client, sandbox: Sandbox) -> None:
    complete(http)
    sandbox.never_more_in_flight_than(1)
    with pytest.raises(AssertionError, match="in flight"):
        sandbox.never_more_in_flight_than(0)


def test_settings_change_while_it_runs(http: httpx.Client, sandbox: Sandbox) -> None:
    sandbox.change(latency_ms=120)
    began = time.monotonic()
    complete(http)
    assert time.monotonic() - began >= 0.12


def test_requests_are_counted_by_route_and_by_key(http: httpx.Client, sandbox: Sandbox) -> None:
    complete(http, key="a")
    complete(http, key="a")
    http.get("/v1/endpoints/ep_seed_tickets")
    http.get("/v1/endpoints/ep_seed_licenses")
    books = sandbox.books()
    assert books.requests == {"POST /v1/chat/completions": 2, "GET /v1/endpoints/{id}": 2}
    assert books.requests_by_key == {"a": 2}
    assert books.statuses == {200: 4}


def test_a_mistake_in_a_control_call_is_told(sandbox: Sandbox) -> None:
    with pytest.raises(ValueError, match="404"):
        sandbox.stop_endpoint("ep_nothing")
