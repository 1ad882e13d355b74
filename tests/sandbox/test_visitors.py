"""Access to the control routes: people and programs of this machine, no page of another site."""

import httpx
import pytest

from pareta_sandbox.pytest_plugin import SandboxFactory
from pareta_sandbox.testing import Sandbox
from tests.sandbox.talk import asked, client

CONTROL = [
    ("GET", "/_sandbox/books", None),
    ("GET", "/_sandbox/journal", None),
    ("POST", "/_sandbox/top-up", {"micro_usd": 1_000_000}),
    ("PUT", "/_sandbox/balance", {"micro_usd": 0}),
    ("PATCH", "/_sandbox/settings", {"latency_ms": 5000}),
    ("GET", "/_sandbox/faults", None),
    ("POST", "/_sandbox/faults", {"kind": "status"}),
    ("DELETE", "/_sandbox/faults", None),
    ("DELETE", "/_sandbox/faults/fault_1", None),
    ("GET", "/_sandbox/scenarios", None),
    ("POST", "/_sandbox/scenarios", {"name": "black-friday"}),
    ("POST", "/_sandbox/endpoints/ep_seed_tickets/stop", None),
    ("POST", "/_sandbox/endpoints/ep_seed_tickets/start", None),
]
OF_ANOTHER_PAGE = {
    "another site": {"origin": "https://evil.example"},
    "a file": {"origin": "null"},
    "another port": {"origin": "http://127.0.0.1:3000"},
    "a subdomain": {"origin": "http://127.0.0.1.evil.example"},
    "an image or a form": {"sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors"},
    "another port of this machine": {"sec-fetch-site": "same-site"},
    "a form of text": {"origin": "https://evil.example", "content-type": "text/plain"},
}


@pytest.mark.parametrize(("method", "path", "body"), CONTROL)
@pytest.mark.parametrize("page", OF_ANOTHER_PAGE)
def test_a_page_of_another_origin_reaches_no_control_route(
    http: httpx.Client, sandbox: Sandbox, method: str, path: str, body: object, page: str
) -> None:
    before = sandbox.books()
    reply = http.request(method, path, json=body, headers=OF_ANOTHER_PAGE[page])
    assert (reply.status_code, "a web page" in reply.json()["detail"]) == (403, True)
    assert not [name for name in reply.headers if name.startswith("access-control")]
    assert sandbox.books() == before
    assert http.get("/_sandbox/faults").json()["faults"] == []


@pytest.mark.parametrize(
    ("method", "path", "body"), [*CONTROL, ("GET", "/", None), ("GET", "/docs", None), ("GET", "/openapi.json", None)]
)
def test_a_name_that_was_pointed_here_reaches_no_control_route_and_no_page(
    http: httpx.Client, sandbox: Sandbox, method: str, path: str, body: object
) -> None:
    before = sandbox.books()
    reply = http.request(method, path, json=body, headers={"host": "evil.example:8765"})
    assert (reply.status_code, "--allow-host evil.example" in reply.json()["detail"]) == (403, True)
    assert sandbox.books() == before


def test_a_preflight_is_answered_without_leave(http: httpx.Client) -> None:
    asking = {"origin": "https://evil.example", "access-control-request-method": "POST"}
    for path in ("/_sandbox/top-up", "/v1/chat/completions"):
        reply = http.options(path, headers=asking)
        assert reply.status_code >= 400
        assert not [name for name in reply.headers if name.startswith("access-control")]


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", "LOCALHOST:9000", "127.9.9.9:1", "[::1]:8765", "localhost."]
)
def test_this_machine_may_be_named_as_people_do(http: httpx.Client, host: str) -> None:
    assert http.get("/_sandbox/books", headers={"host": host}).status_code == 200


@pytest.mark.parametrize(
    "host", ["10.0.0.1", "0.0.0.0", "localhost.evil.example", "127.0.0.1.evil.example", "", "evil@127.0.0.1", "127.1"]
)
def test_other_hosts_are_refused(http: httpx.Client, host: str) -> None:
    assert http.get("/_sandbox/books", headers={"host": host}).status_code == 403


def test_its_own_page_and_programs_may_do_everything(http: httpx.Client, sandbox: Sandbox) -> None:
    own = {"origin": sandbox.base_url, "sec-fetch-site": "same-origin"}
    for headers in (own, {"sec-fetch-site": "none"}, {}):
        reply = http.post("/_sandbox/top-up", json={"micro_usd": 1}, headers=headers)
        assert reply.status_code == 200


def test_its_pages_are_shown_in_no_frame(http: httpx.Client) -> None:
    for path in ("/", "/docs"):
        assert http.get(path).headers["x-frame-options"] == "DENY"


def test_a_host_may_be_allowed_by_name(sandbox_factory: SandboxFactory) -> None:
    sandbox = sandbox_factory(allow_hosts=("Sandbox.Test",))
    with client(sandbox) as http:
        assert http.get("/_sandbox/books", headers={"host": "sandbox.test:8765"}).status_code == 200
        assert http.get("/_sandbox/books", headers={"host": "other.test"}).status_code == 403


def test_bound_to_every_address_it_answers_to_addresses_and_not_to_names(sandbox_factory: SandboxFactory) -> None:
    sandbox = sandbox_factory(host="0.0.0.0")
    with client(sandbox) as http:
        assert http.get("/_sandbox/books").status_code == 200
        assert http.get("/_sandbox/books", headers={"host": "192.168.1.7:8765"}).status_code == 200
        assert http.get("/_sandbox/books", headers={"host": "evil.example"}).status_code == 403
        assert http.get("/_sandbox/books", headers={"origin": "http://evil.example"}).status_code == 403


def test_a_page_of_another_origin_needs_a_key_for_the_rest(http: httpx.Client) -> None:
    reply = http.post(
        "/v1/chat/completions", json=asked(), headers={"origin": "https://evil.example", "authorization": ""}
    )
    assert reply.status_code == 401


def test_a_page_under_a_name_that_was_pointed_here_buys_nothing(http: httpx.Client, sandbox: Sandbox) -> None:
    headers = {"host": "evil.example:8765", "origin": "http://evil.example:8765"}
    assert http.post("/v1/chat/completions", json=asked(), headers=headers).status_code == 403
    assert sandbox.books().completions == 0


def test_a_program_may_reach_the_service_by_any_name(http: httpx.Client) -> None:
    assert http.post("/v1/chat/completions", json=asked(), headers={"host": "sandbox"}).status_code == 200
