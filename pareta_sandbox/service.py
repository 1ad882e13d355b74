"""State of a running sandbox, shared by all routes."""

import asyncio
import itertools
import random
from collections.abc import Callable, Coroutine
from dataclasses import replace

from pareta_sandbox.faults.injection import Injection
from pareta_sandbox.faults.kinds import Route
from pareta_sandbox.http.idempotency import Replays
from pareta_sandbox.models import catalogue
from pareta_sandbox.models.roster import Model
from pareta_sandbox.settings import Settings
from pareta_sandbox.state.books import Books, Gauge
from pareta_sandbox.state.completion import Completion
from pareta_sandbox.state.endpoints import Endpoints
from pareta_sandbox.state.journal import Journal


class Service:
    """State and settings of the service: books, endpoints, faults, stored answers, background tasks."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        host = f"[{settings.host}]" if ":" in settings.host else settings.host
        self.base_url = f"http://{host}:{settings.port}"
        self.journal = Journal(settings.journal)
        self.books = Books(self.journal, settings.balance_micro_usd)
        self.endpoints = Endpoints(self.journal)
        self.faults = Injection(settings.seed, self.endpoints.id_of)
        self.draws = random.Random(settings.seed)  # noqa: S311  (latencies, not secrets)
        self.replays: Replays[Completion] = Replays(self.journal)
        self.admitted = Gauge()
        self._numbers = itertools.count(1)
        self._recommended: dict[str, str] = {}
        self._closing: list[Callable[[], Coroutine[None, None, None]]] = []
        self._background: set[asyncio.Task[None]] = set()

    @property
    def honours_keys(self) -> bool:
        """Whether a repeated idempotency key is answered with the stored answer."""
        return self.settings.idempotency and self.settings.generation == 2

    def latency_ms(self, model: Model, completion_tokens: int) -> float:
        """Return the duration of an answer: the configured latency, else the latency of the model."""
        fixed = self.settings.latency_ms
        return model.latency_ms(completion_tokens) if fixed is None else fixed

    def level(self, model: Model, route: Route, endpoint: str | None = None) -> int:
        """Return the skill level for the next prompt: the model's own level, unless a fault lowers it."""
        return self.faults.level(model.id, route, endpoint) or model.level

    def next_number(self) -> int:
        """Return the next serial number for an id."""
        return next(self._numbers)

    async def recommended(self, task: str) -> str:
        """Return the model recommended for a task; the first measurement runs in a worker thread."""
        if task not in self._recommended:
            self._recommended[task] = await asyncio.to_thread(catalogue.recommended, task)
        return self._recommended[task]

    def on_stop(self, close: Callable[[], Coroutine[None, None, None]]) -> None:
        """Register an async function to call when the service stops."""
        self._closing.append(close)

    def change(self, **changes: object) -> None:
        """Change settings while running."""
        self.settings = replace(self.settings, **changes)  # type: ignore[arg-type]  # validated by `Change`

    def run_in_background(self, work: Coroutine[None, None, None]) -> None:
        """Start a background task; the reference protects it from garbage collection."""
        task = asyncio.get_running_loop().create_task(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)

    async def stop(self) -> None:
        """Cancel the background tasks and close every resource."""
        tasks = list(self._background)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for close in self._closing:
            await close()
        self.journal.close()
