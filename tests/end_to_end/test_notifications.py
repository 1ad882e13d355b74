"""Notifications: one message for each event, through a notification block to a webhook."""

import json
import re
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from pareta_sandbox.faults.kinds import ModelWeakens
from pareta_sandbox.testing import Status
from tests.end_to_end.conftest import House
from tests.end_to_end.processes import kill, until
from tests.end_to_end.test_deployments import BATCH, batch, rows, state_of

Message = dict[str, str]


@pytest.fixture
def inbox() -> Iterator[tuple[str, list[Message]]]:
    """Yield the address of a webhook, and the messages that it has received."""
    messages: list[Message] = []

    class Webhook(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            messages.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Print nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Webhook) as server:
        serving = threading.Thread(target=server.serve_forever)
        serving.start()
        yield f"http://127.0.0.1:{server.server_port}/", messages
        server.shutdown()
        serving.join()


def make_block(house: House, url: str) -> None:
    kind = house.prefect.ask("GET", "/block_types/slug/custom-webhook")["id"]
    (schema, *_) = house.prefect.ask("POST", "/block_schemas/filter", block_schemas={"block_type_id": {"any_": [kind]}})
    data = {"name": "ops", "url": url, "json_data": {"subject": "{{subject}}", "body": "{{body}}"}}
    names = {"name": "ops", "block_type_id": kind, "block_schema_id": schema["id"]}
    house.prefect.ask("POST", "/block_documents/", data=data, **names)


def automation(house: House, name: str) -> dict[str, Any]:
    found = house.prefect.ask("POST", "/automations/filter")
    return dict(next(each for each in found if each["name"] == name))


def set_up(house: House, *options: str) -> str:
    return house.processes.run("pareta-pipeline", "set-up", *options, folder=house.folder, within_s=300)


def drifted(house: House, message: Callable[[str], str]) -> str:
    """Run a watch twice, the second time with a weaker model, and return the message."""
    # Only the lowest level reads past a negation.
    prompt = "Is this review positive, negative or neutral? Answer with one word.\n\nIt is not good at all"
    told = [json.dumps({"input": f"{prompt} ({number})", "expected": "negative"}) for number in range(12)]
    (house.folder / "watched.jsonl").write_text("\n".join(told))
    comparison = {"name": "w", "task": "sentiment-classification", "rows": "watched.jsonl", "frontier": "none"}
    watch = {"name": "reviews", "comparison": {**comparison, "models": ["wren-2", "heron-2"]}}
    for weaker in (False, True):
        if weaker:
            house.pareta.inject(ModelWeakens(model="heron-2", level=1))
        run = house.prefect.ended(house.prefect.run("watch-quality/watch-tickets", watch=watch)["id"])
        assert state_of(run) == ("COMPLETED", "Completed"), run["state"]
    house.pareta.clear_faults()
    return message("watch reviews: quality dropped")


@pytest.mark.long
@pytest.mark.timeout(900)
def test_each_event_sends_one_message_with_name_rows_dollars_and_next_command(
    house: House, inbox: tuple[str, list[Message]]
) -> None:
    url, messages = inbox
    make_block(house, url)
    set_up(house, "--notify", "webhook/ops")

    def message(subject: str) -> str:
        (found,) = until(
            lambda: [each for each in messages if each["subject"] == subject],
            within_s=300,
            what=f"{subject}: {messages}",
        )
        return found["body"]

    def ended(name: str, state: str, **fields: Any) -> str:
        run = house.prefect.run(BATCH, batch=batch(house, name, **fields), on_empty_balance="fail")
        assert house.prefect.ended(run["id"])["state"]["name"] == state
        return str(run["id"])

    house.pareta.inject(Status(status=402, skip=6))
    unpaid = ended("no-credit", "InsufficientCredits")
    house.pareta.clear_faults()
    body = message("complete no-credit on auto: no credit")
    assert f"of {rows(house)} rows settled" in body
    assert "$" in body
    assert f"next: top up, then prefect flow-run retry {unpaid}" in body
    assert f"/runs/flow-run/{unpaid}" in body

    ended("budget", "BudgetReached", budget_usd=0.000001)
    body = message("complete budget on auto: budget reached")
    assert "next: prefect deployment run 'complete-batch/complete-tickets' with a higher budget_usd" in body

    house.pareta.inject(Status(status=422, times=2))
    failed = ended("failures", "TooManyFailures")
    house.pareta.clear_faults()
    assert f"next: prefect flow-run retry {failed}" in message("complete failures on auto: TooManyFailures")

    house.pareta.inject(Status(status=402, skip=6))
    run = house.prefect.run(BATCH, batch=batch(house, "waits"), on_empty_balance="suspend")
    house.prefect.in_state(run["id"], "Suspended")
    house.pareta.clear_faults()
    body = message("complete waits on auto: suspended, no credit")
    assert f"of {rows(house)} rows settled" in body
    assert "$" in body
    assert "next: top up, then Resume in the menu of the run" in body
    assert f"/runs/flow-run/{run['id']}" in body

    run = house.prefect.run(BATCH, batch=batch(house, "asked-first", approve_above_usd=0))
    house.prefect.in_state(run["id"], "AwaitingApproval")
    body = message("complete asked-first on auto: waits for approval")
    assert f"asked-first: {rows(house)} of {rows(house)} rows to send" in body
    assert "above approve_above_usd of $0.00" in body
    assert "next: Resume in the menu of the run, and answer its form" in body
    assert f"/runs/flow-run/{run['id']}" in body

    body = drifted(house, message)
    assert re.search(r"heron-2 .*\n12 rows, \$\d[\d.]* for this run\nnext: pareta-pipeline compare SPEC, with", body)
    assert "with the models heron-2" in body

    house.pareta.change(latency_ms=3000)
    # A run that a person suspends sends no message; the crash after it does.
    by_hand = house.prefect.run(BATCH, batch=batch(house, "by-hand"))
    house.prefect.in_state(by_hand["id"], "Running")
    house.prefect.set_state(by_hand["id"], "PAUSED", "Suspended")
    house.prefect.in_state(by_hand["id"], "Suspended")
    run = house.prefect.run(BATCH, batch=batch(house, "crash"))
    house.prefect.in_state(run["id"], "Running")  # by then it has its name; calls of the other may be those that settle
    house.settled(house.pareta.books().completions, 1)
    kill(until(lambda: house.prefect.process_of(run["id"]), within_s=300, what="its process"))
    assert house.prefect.ended(run["id"])["state"]["name"] == "Crashed"
    house.pareta.change(latency_ms=5)
    assert "next: pareta-pipeline status" in message("complete crash on auto: crashed")
    assert len(messages) == len({each["subject"] for each in messages}) == 7, messages

    disabled = automation(house, "pareta-notify-budget-reached")
    house.prefect.ask("PATCH", f"/automations/{disabled['id']}", enabled=False)
    assert "automations pareta-notify-budget-reached enabled: false on the server" in set_up(house)
    assert not automation(house, "pareta-notify-budget-reached")["enabled"]
    assert automation(house, "pareta-notify-no-credit")["enabled"]
    assert state_of(house.prefect.flow_run(unpaid)) == ("FAILED", "InsufficientCredits")
