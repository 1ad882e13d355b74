"""Everything a running sandbox knows."""

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
    """The state of the service: books, endpoints, eval sets and runs, faults."""

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
        """Tell whether a repeated idempotency key is answered from memory."""
        return self.settings.idempotency and self.settings.generation == 2

    def latency_ms(self, model: Model, completion_tokens: int) -> float:
        """Return how long an answer takes: the same for all when it was set, else the model's own time."""
        fixed = self.settings.latency_ms
        return model.latency_ms(completion_tokens) if fixed is None else fixed

    def level(self, model: Model, route: Route, endpoint: str | None = None) -> int:
        """Return how well a model reads the next prompt: at its own level, unless a fault weakens it."""
        return self.faults.level(model.id, route, endpoint) or model.level

    def next_number(self) -> int:
        """Return the next number for an id."""
        return next(self._numbers)

    async def recommended(self, task: str) -> str:
        """Return the model recommended for a task; measuring it the first time does not hold up other requests."""
        if task not in self._recommended:
            self._recommended[task] = await asyncio.to_thread(catalogue.recommended, task)
        return self._recommended[task]

    def at_the_end(self, close: Callable[[], Coroutine[None, None, None]]) -> None:
        """Have something closed when the service stops."""
        self._closing.append(close)

    def change(self, **changes: object) -> None:
        """Change settings while running."""
        self.settings = replace(self.settings, **changes)  # type: ignore[arg-type]  # checked at the border

    def in_background(self, work: Coroutine[None, None, None]) -> None:
        """Do work beside the requests; it is kept alive until it is done."""
        task = asyncio.get_running_loop().create_task(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)

    async def stop(self) -> None:
        """Cancel what still works in the background."""
        tasks = list(self._background)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for close in self._closing:
            await close()
        self.journal.close()
