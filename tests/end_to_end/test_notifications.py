"""Notifications: one message for each event, through a notification block to a webhook."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

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


@pytest.mark.long
@pytest.mark.timeout(600)
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

    event = ("event", "emit", "pareta.quality.drifted", "--resource-id", "pareta.watch.tickets")
    payload = {
        "watch": "tickets",
        "models": ["wren-1"],
        "sentence": "wren-1 lost 5 points.",
        "rows": 48,
        "cost": "$0.02",
    }
    house.processes.run("prefect", *event, "--payload", json.dumps(payload), folder=house.folder)
    body = message("watch tickets: quality dropped")
    assert body.startswith("wren-1 lost 5 points.\n48 rows, $0.02 for this run\nnext: pareta-pipeline compare")

    house.pareta.change(latency_ms=3000)
    run = house.prefect.run(BATCH, batch=batch(house, "crash"))
    house.settled(house.pareta.books().completions, 1)
    kill(until(lambda: house.prefect.process_of(run["id"]), within_s=300, what="its process"))
    assert house.prefect.ended(run["id"])["state"]["name"] == "Crashed"
    house.pareta.change(latency_ms=5)
    assert "next: pareta-pipeline status" in message("complete crash on auto: crashed")
    assert len(messages) == len({each["subject"] for each in messages}) == 5

    disabled = automation(house, "pareta-notify-budget-reached")
    house.prefect.ask("PATCH", f"/automations/{disabled['id']}", enabled=False)
    assert "automations pareta-notify-budget-reached enabled: false on the server" in set_up(house)
    assert not automation(house, "pareta-notify-budget-reached")["enabled"]
    assert automation(house, "pareta-notify-no-credit")["enabled"]
    assert state_of(house.prefect.flow_run(unpaid)) == ("FAILED", "InsufficientCredits")
