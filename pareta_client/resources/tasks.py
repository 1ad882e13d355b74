"""`client.tasks`."""

from pareta_client.models.tasks import Leaderboard, Task, TaskMatch
from pareta_client.operations import tasks as calls
from pareta_client.transport import AsyncDispatcher, Dispatcher


class Tasks:
    """The catalogue of benchmarked tasks."""

    def __init__(self, caller: Dispatcher) -> None:
        self._caller = caller

    def list(self) -> list[Task]:
        """List the catalogue."""
        return self._caller.run(calls.list_tasks(self._caller.settings))

    def retrieve(self, task_id: str, *, examples_n: int | None = None) -> Task:
        """Read one task, with `examples_n` of its examples."""
        return self._caller.run(calls.retrieve(task_id, examples_n, self._caller.settings))

    def match(self, query: str, *, top_k: int = 5, idempotency_key: str | None = None) -> TaskMatch:
        """Find the task that fits a question in plain words."""
        settings = self._caller.settings
        call = calls.match_call(query, top_k, settings.key(idempotency_key))
        return self._caller.run(calls.match(call, settings))

    def leaderboard(self, task_id: str) -> Leaderboard:
        """Rank the models of a task by quality and cost."""
        return self._caller.run(calls.leaderboard(task_id, self._caller.settings))

    def recommended(self, task_id: str) -> str | None:
        """Name the model that `deploy(model="recommended")` would take."""
        return self._caller.run(calls.recommended(task_id, self._caller.settings))


class AsyncTasks:
    """The catalogue of benchmarked tasks."""

    def __init__(self, caller: AsyncDispatcher) -> None:
        self._caller = caller

    async def list(self) -> list[Task]:
        """List the catalogue."""
        return await self._caller.run(calls.list_tasks(self._caller.settings))

    async def retrieve(self, task_id: str, *, examples_n: int | None = None) -> Task:
        """Read one task, with `examples_n` of its examples."""
        return await self._caller.run(calls.retrieve(task_id, examples_n, self._caller.settings))

    async def match(self, query: str, *, top_k: int = 5, idempotency_key: str | None = None) -> TaskMatch:
        """Find the task that fits a question in plain words."""
        settings = self._caller.settings
        call = calls.match_call(query, top_k, settings.key(idempotency_key))
        return await self._caller.run(calls.match(call, settings))

    async def leaderboard(self, task_id: str) -> Leaderboard:
        """Rank the models of a task by quality and cost."""
        return await self._caller.run(calls.leaderboard(task_id, self._caller.settings))

    async def recommended(self, task_id: str) -> str | None:
        """Name the model that `deploy(model="recommended")` would take."""
        return await self._caller.run(calls.recommended(task_id, self._caller.settings))
