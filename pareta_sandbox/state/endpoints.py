"""Deployed endpoints and their states: `starting`, `live`, `stopped`, deleted."""

import asyncio
import hashlib
import time
from collections import Counter, deque
from dataclasses import dataclass, field
from typing import Literal

from pareta_sandbox.http.errors import Refusal, invalid, not_found
from pareta_sandbox.models import catalogue
from pareta_sandbox.models.catalogue import TASKS, Task
from pareta_sandbox.models.roster import MODELS, OPEN, Model
from pareta_sandbox.state.journal import Journal

State = Literal["starting", "live", "stopped"]

MAX_LATENCIES = 10_000  # per endpoint, for percentiles; more costs memory

SEEDS = {
    "ep_seed_licenses": ("license-identification", "heron-1"),
    "ep_seed_contracts": ("contract-extraction", "heron-2"),
    "ep_seed_sentiment": ("sentiment-classification", "heron-1"),
    "ep_seed_tickets": ("support-ticket-routing", "heron-2"),
}


@dataclass(slots=True)
class Endpoint:
    """A model deployed for a task."""

    id: str
    name: str
    task: Task
    model: Model
    seed: bool
    created: float
    state: State = "starting"
    settled: asyncio.Event = field(default_factory=asyncio.Event)  # set unless starting
    changes: int = 0  # a delayed start is dropped if the state has changed since
    live_since: float | None = None
    live_s: float = 0.0
    completions: int = 0
    failures: int = 0
    billed_micro_usd: int = 0
    baseline_micro_usd: int = 0
    latencies_ms: deque[float] = field(default_factory=lambda: deque(maxlen=MAX_LATENCIES))


class Endpoints:
    """All endpoints of the organisation."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._by_id: dict[str, Endpoint] = {}
        self._names: Counter[str] = Counter()
        for seed_id, (task, model) in SEEDS.items():
            endpoint = Endpoint(seed_id, seed_id, TASKS[task], MODELS[model], True, time.time())
            self._by_id[seed_id] = endpoint
            self.become(endpoint, "live")

    def all(self) -> list[Endpoint]:
        """Return every endpoint, oldest first."""
        return list(self._by_id.values())

    def get(self, id_or_name: str) -> Endpoint:
        """Return an endpoint by its id, else by its name; refuse an unknown one with 404.

        A name shared by several endpoints refers to the one deployed last.
        """
        endpoint = self._find(id_or_name)
        if endpoint is None:
            raise not_found("endpoint", id_or_name)
        return endpoint

    def id_of(self, id_or_name: str) -> str:
        """Return the id of an endpoint given by id or name; an unknown one is returned unchanged."""
        endpoint = self._find(id_or_name)
        return endpoint.id if endpoint else id_or_name

    def _find(self, id_or_name: str) -> Endpoint | None:
        if (endpoint := self._by_id.get(id_or_name)) is not None:
            return endpoint
        return next((each for each in reversed(self._by_id.values()) if each.name == id_or_name), None)

    def deploy(self, task_id: str, alias: str, name: str | None) -> Endpoint:
        """Create an endpoint in state `starting`; its id is a hash of its name, task and model.

        An unknown task or model is refused with 422.
        """
        if task_id not in TASKS:
            raise invalid(["body", "task"], f"unknown task '{task_id}'; there are: {', '.join(TASKS)}")
        model_id = catalogue.recommended(task_id) if alias == "recommended" else alias
        if model_id not in {model.id for model in OPEN}:
            raise invalid(["body", "model"], f"no open model '{alias}' for task '{task_id}'")
        shown = name or f"{task_id}-{model_id}"
        self._names[shown] += 1
        known_as = f"{shown}\n{task_id}\n{model_id}\n{self._names[shown]}"
        endpoint_id = f"ep_{hashlib.sha256(known_as.encode()).hexdigest()[:12]}"
        endpoint = Endpoint(endpoint_id, shown, TASKS[task_id], MODELS[model_id], False, time.time())
        self._by_id[endpoint_id] = endpoint
        return endpoint

    def start(self, endpoint: Endpoint, cold_start_s: float) -> None:
        """Start a stopped endpoint; it is live after its cold start."""
        if endpoint.state == "stopped":
            self.become(endpoint, "starting")
            self.live_later(endpoint, cold_start_s)

    def delete(self, endpoint: Endpoint) -> None:
        """Remove an endpoint."""
        self.become(endpoint, "stopped")
        self._by_id.pop(endpoint.id, None)
        self._journal.write("state", endpoint.id, detail="deleted")

    def become(self, endpoint: Endpoint, state: State) -> None:
        """Change the state of an endpoint, and add up its live time."""
        now = time.time()
        if endpoint.live_since is not None:
            endpoint.live_s += now - endpoint.live_since
        endpoint.live_since = now if state == "live" else None
        endpoint.state = state
        if state == "starting":
            endpoint.settled.clear()
        else:
            endpoint.settled.set()
        endpoint.changes += 1
        self._journal.write("state", endpoint.id, detail=state)

    def live_later(self, endpoint: Endpoint, seconds: float) -> None:
        """Schedule a starting endpoint to become live, unless its state changes first."""
        if seconds <= 0:
            self.become(endpoint, "live")
            return
        changes = endpoint.changes

        def arrive() -> None:
            if endpoint.changes == changes:
                self.become(endpoint, "live")

        asyncio.get_running_loop().call_later(seconds, arrive)


def changeable(endpoint: Endpoint) -> Endpoint:
    """Return the endpoint, or refuse with 409 if it is a seed."""
    if endpoint.seed:
        raise Refusal(409, f"endpoint '{endpoint.id}' is a seed endpoint and cannot be changed")
    return endpoint


def record(endpoint: Endpoint, base_url: str) -> dict[str, object]:
    """Return the endpoint as a JSON object of the service."""
    return {
        "id": endpoint.id,
        "name": endpoint.name,
        "model": endpoint.model.id,
        "status": endpoint.state,
        "task": endpoint.task.id,
        "taskName": endpoint.task.id,
        "url": f"{base_url}/v1",
        "seed": endpoint.seed,
        "createdAt": int(endpoint.created),
        "recommendedSystemPrompt": endpoint.task.system_prompt,
        "promptScaffold": endpoint.task.scaffold,
    }
