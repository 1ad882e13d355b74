"""Replies of the Prefect server are lost: Prefect's client asks again, and the server has made the change already."""

import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from prefect import flow
from prefect.client.schemas.objects import State
from prefect.states import Completed, Failed, Running

from flows.complete_batch import complete_batch
from flows.outcomes import named_outcome, report_of
from flows.repeated_states import with_its_data
from flows.run_pipeline import run_pipeline
from pareta_sandbox.faults.kinds import Status
from pareta_sandbox.testing import Sandbox
from tests.flows.datasets import batch
from tests.flows.test_run_pipeline import pipeline, statuses


@pytest.fixture
def lost(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Lose the first reply to each change at the Prefect server, and return the names of the states among them."""
    changes: set[tuple[str, bytes]] = set()
    names: list[str] = []
    send = httpx.AsyncClient.send

    async def send_and_lose(client: httpx.AsyncClient, request: httpx.Request, **options: Any) -> httpx.Response:
        reply = await send(client, request, **options)
        change = request.url.path, request.content
        if request.method == "GET" or not request.url.path.startswith("/api/") or change in changes:
            return reply
        changes.add(change)
        if request.url.path.endswith("/set_state"):
            names.append(json.loads(request.content)["state"]["name"])
        raise httpx.ReadTimeout("the reply came too late", request=request)

    monkeypatch.setattr(httpx.AsyncClient, "send", send_and_lose)
    # Prefect's client would wait for 2 s before it asks again.
    monkeypatch.setattr("prefect.client.base.clamped_poisson_interval", lambda seconds, jitter: 0.01)
    return names


async def test_a_completed_run_keeps_its_result(lost: list[str], prefect_server: None) -> None:
    @flow
    @named_outcome
    async def answers() -> str:
        return "all of it"

    assert await answers() == "all of it"
    assert lost == ["Running", "Completed"]


async def test_a_failed_run_keeps_its_report(lost: list[str], pareta: Sandbox, tmp_path: Path) -> None:
    pareta.inject(Status(status=402, skip=3))
    state = await complete_batch(batch(tmp_path), return_state=True)
    assert (state.name, (await report_of(state)).stopped) == ("InsufficientCredits", "InsufficientCreditsError")
    assert lost == ["Running", "InsufficientCredits"]
    pareta.debited_once()


@pytest.mark.long
async def test_a_pipeline_keeps_the_reports_of_its_subflows(lost: list[str], pareta: Sandbox, tmp_path: Path) -> None:
    report = await run_pipeline(pipeline(tmp_path))
    assert (report.status, report.batch.settled, statuses()) == ("completed", 12, ["stopped"])
    assert sorted(lost) == ["Completed"] * 3 + ["Running"] * 3
    pareta.debited_once()


@pytest.mark.parametrize(
    "answer",
    [
        Completed(message="done", data="of the server"),
        Completed(message="done by another process"),
        Completed(name="Skipped", message="done"),
        Failed(message="done"),
        Running(),
    ],
    ids=repr,
)
def test_another_state_of_the_server_is_the_state_of_the_run(answer: State[str]) -> None:
    assert with_its_data(Completed(message="done", data="ours"), answer) is answer


def test_the_same_state_of_the_server_is_taken_with_the_data_of_the_run() -> None:
    proposed: State[str] = Completed(message="done", data="ours")
    answer: State[str] = Completed(message="done")
    kept = with_its_data(proposed, answer)
    assert (kept.data, kept.id, kept.timestamp) == ("ours", answer.id, answer.timestamp)
