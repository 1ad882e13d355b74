"""The HTML pages and the OpenAPI document."""

from html.parser import HTMLParser

import httpx
import pytest

from pareta_sandbox.faults import scenario
from pareta_sandbox.testing import RateLimit, Sandbox, Status
from tests.sandbox.talk import complete


class Words(HTMLParser):
    """Texts and buttons of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.words = ""
        self.buttons: list[dict[str, str | None]] = []
        self.feed(page)

    def handle_data(self, data: str) -> None:
        self.words += f" {data.strip()}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "button":
            self.buttons.append(dict(attrs))


def test_the_status_page_shows_endpoints_books_faults_and_errors(http: httpx.Client, sandbox: Sandbox) -> None:
    complete(http)
    sandbox.stop_endpoint("ep_seed_tickets")
    complete(http, model="ep_seed_tickets")
    sandbox.inject(RateLimit(per_s=7))
    reply = http.get("/")
    words = Words(reply.text).words
    assert reply.headers["content-type"].startswith("text/html")
    for expected in (
        "$99.99",
        "ep_seed_tickets",
        "stopped",
        "rate limit",
        "per s 7.0",
        "503 Service Unavailable",
        "1 debits",
    ):
        assert expected in words


def test_a_fault_is_told_in_words_and_with_the_time_it_has_left(http: httpx.Client, sandbox: Sandbox) -> None:
    sandbox.inject(Status(status=503, share=0.1, times=3, for_s=60, endpoint="ep_seed_tickets"))
    words = " ".join(Words(http.get("/").text).words.split())
    assert "status 503 10 % of requests to ep_seed_tickets, at most 3 more, for 60 s" in words


def test_errors_of_one_kind_stand_on_one_line(http: httpx.Client) -> None:
    for model in ("ep_a", "ep_b", "ep_c"):
        complete(http, model=model)
    words = Words(http.get("/").text).words
    assert words.count("404 Not Found") == 1
    assert "× 3" in words


def test_every_button_of_the_page_works(http: httpx.Client, sandbox: Sandbox) -> None:
    sandbox.inject(Status(status=500))
    buttons = Words(http.get("/").text).buttons
    assert len(buttons) > len(scenario.names()) + 8
    for button in buttons:
        reply = http.request(
            str(button["data-method"]), f"/_sandbox{button['data-path']}", content=button.get("data-body")
        )
        assert reply.status_code < 300, button


def test_what_callers_send_is_escaped(http: httpx.Client, sandbox: Sandbox) -> None:
    http.post("/v1/endpoints", json={"task": "contract-extraction", "model": "wren-1", "name": "<script>alert(1)"})
    http.get("/v1/<script>alert(2)")
    page = http.get("/").text
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert(1)" in page


def test_the_changing_part_comes_alone_when_asked_for(http: httpx.Client) -> None:
    part = http.get("/", params={"part": "main"}).text
    assert "<html" not in part
    assert "ep_seed_licenses" in part


def test_looking_at_the_page_is_not_a_request(http: httpx.Client, sandbox: Sandbox) -> None:
    before = sandbox.books()
    http.get("/")
    http.get("/docs")
    sandbox.silent_since(before)


@pytest.mark.parametrize(
    ("path", "method"),
    [
        ("/v1/chat/completions", "post"),
        ("/v1/endpoints", "post"),
        ("/v1/eval-sets/{set_id}/attach-blob", "post"),
        ("/v1/eval-runs/{run_id}", "get"),
        ("/_sandbox/faults", "post"),
    ],
)
def test_the_openapi_document_describes_every_route(http: httpx.Client, path: str, method: str) -> None:
    described = http.get("/openapi.json").json()
    operation = described["paths"][path][method]
    assert operation["summary"]
    assert "401" in operation["responses"]


def test_every_reference_in_the_openapi_document_leads_somewhere(http: httpx.Client) -> None:
    text = http.get("/openapi.json").text
    schemas = http.get("/openapi.json").json()["components"]["schemas"]
    named = {part.split('"')[0] for part in text.split('"#/components/schemas/')[1:]}
    assert "ChatRequest" in named
    assert named <= set(schemas)


def test_the_page_of_routes_lists_them(http: httpx.Client) -> None:
    assert "/v1/chat/completions" in Words(http.get("/docs").text).words
