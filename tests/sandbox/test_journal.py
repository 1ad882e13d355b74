"""The journal: append-only, durable in a file, and the source of the balance after a restart."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from pareta_sandbox.pytest_plugin import SandboxFactory
from pareta_sandbox.state.completion import Completion
from pareta_sandbox.state.journal import Journal
from pareta_sandbox.testing import Drop, Html, Sandbox, Status, running
from tests.sandbox.talk import client, complete

DONE = Completion("chatcmpl-1", 1, "ep_x", "MIT", "stop", 5, 1, 7, 90, 0.0)
MAKERS: list[Callable[[Path], Journal]] = [lambda _: Journal(), lambda folder: Journal(folder / "j.db")]


@pytest.fixture(params=MAKERS, ids=["temporary", "file"])
def journal(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Journal]:
    made: Journal = request.param(tmp_path)
    yield made
    made.close()


def test_entries_come_back_in_order_and_numbered(journal: Journal) -> None:
    for n in range(3):
        journal.write("debit", f"ep_{n}", n)
    assert [(n, entry.subject) for n, entry in journal.entries()] == [(1, "ep_0"), (2, "ep_1"), (3, "ep_2")]
    assert [n for n, _ in journal.entries(after=1, limit=1)] == [2]


def test_entries_are_found_by_kind(journal: Journal) -> None:
    journal.write("request", "GET /v1/models")
    journal.write("debit", "ep_0", 5)
    assert [entry.kind for _, entry in journal.entries("debit")] == ["debit"]
    assert journal.total("debit") == (1, 5)
    assert journal.total("replay") == (0, 0)


def test_requests_are_counted_by_key(journal: Journal) -> None:
    for key in ("a", "b", "a", None):
        journal.write("request", "POST /v1/chat/completions", key=key)
    assert journal.keys() == {"a": 2, "b": 1}


def test_an_answer_is_recalled_with_what_was_asked(journal: Journal) -> None:
    journal.save("k", b"asked", DONE)
    assert journal.load("k") == (b"asked", DONE)
    journal.flush()
    assert journal.load("k") == (b"asked", DONE)
    assert journal.load("other") is None


def test_a_file_that_is_opened_again_has_everything(tmp_path: Path) -> None:
    first = Journal(tmp_path / "j.db")
    first.write("debit", "ep_0", 5, key="k")
    first.save("k", b"asked", DONE)
    first.close()
    second = Journal(tmp_path / "j.db")
    assert second.total("debit") == (1, 5)
    assert second.load("k") == (b"asked", DONE)
    second.close()


def test_a_sandbox_goes_on_with_the_books_in_its_file(tmp_path: Path) -> None:
    file = tmp_path / "books.db"
    with running(journal=file, balance_usd=1) as sandbox, client(sandbox) as http:
        billed = int(complete(http, key="k").headers["x-pareta-billed"])
        sandbox.top_up(2)
    with running(journal=file, balance_usd=50) as sandbox, client(sandbox) as http:
        assert sandbox.books().balance_micro_usd == 3_000_000 - billed
        assert complete(http, key="k").headers["x-pareta-billed"] == "0"
        sandbox.debited_once()


def test_the_books_in_a_file_equal_those_without_one(tmp_path: Path, sandbox_factory: SandboxFactory) -> None:
    books = []
    for sandbox in (sandbox_factory(), sandbox_factory(journal=tmp_path / "books.db")):
        with client(sandbox) as http:
            for key in ("a", "a", "b"):
                complete(http, key=key)
            complete(http, model="ep_nobody")
        seen = sandbox.books().model_dump(exclude={"debits"})
        books.append((seen, [(debit.amount_micro_usd, debit.key) for debit in sandbox.books().debits]))
    assert books[0] == books[1]


def test_what_happened_is_read_over_http(http: httpx.Client, sandbox: Sandbox) -> None:
    sandbox.stop_endpoint("ep_seed_tickets")
    complete(http, model="ep_seed_tickets", key="k")
    sandbox.top_up(1)
    entries = http.get("/_sandbox/journal", params={"after": 5}).json()["entries"]
    assert [(e["kind"], e["subject"], e["detail"]) for e in entries] == [
        ("state", "ep_seed_tickets", "stopped"),
        ("request", "POST /v1/chat/completions", None),
        ("error", "POST /v1/chat/completions", "503"),
        ("adjustment", "balance", None),
    ]
    assert http.get("/_sandbox/journal", params={"kind": "nonsense"}).status_code == 422


def test_a_dropped_request_is_an_error_and_a_page_of_html_is_one_with_a_status(
    http: httpx.Client, sandbox: Sandbox
) -> None:
    for fault in (Drop(times=1), Html(times=1), Status(status=500, times=1)):
        sandbox.inject(fault)
        try:
            complete(http)
        except httpx.RemoteProtocolError:
            continue
    entries = http.get("/_sandbox/journal", params={"kind": "error"}).json()["entries"]
    assert [entry["detail"] for entry in entries] == ["dropped", "502", "500"]


def test_a_file_that_is_no_journal_is_an_error_of_one_line(tmp_path: Path) -> None:
    file = tmp_path / "notes.txt"
    file.write_text("not a database, but long enough to be read as one " * 50)
    run = [sys.executable, "-m", "pareta_sandbox", "--port", "0", "--journal", str(file)]
    done = subprocess.run(run, capture_output=True, text=True, timeout=30)
    assert done.returncode == 2
    assert done.stderr.startswith("cannot use the journal: ")
    assert len(done.stderr.splitlines()) == 1


def test_the_memory_of_a_journal_does_not_grow_with_it(journal: Journal) -> None:
    for n in range(10_000):
        journal.write("debit", "ep_0", 1, key=str(n))
        journal.save(str(n), b"asked", DONE)
    assert journal.kept_in_memory < 7_000
    assert journal.total("debit") == (10_000, 10_000)
    assert len(journal.entries("debit")) == 10_000
    assert all(journal.load(str(n)) == (b"asked", DONE) for n in range(0, 10_000, 100))
