# Generated from pareta_client/resources/_async/tasks.py by `python -m scripts.unasync`: edit that file.
"""`client.tasks`."""

from pareta_client.models.tasks import Leaderboard, Task, TaskMatch
from pareta_client.operations import tasks as calls
from pareta_client.transport import Dispatcher


class Tasks:
    """Catalogue of benchmarked tasks."""

    def __init__(self, dispatcher: Dispatcher) -> None:
        self._dispatcher = dispatcher

    def list(self) -> list[Task]:
        """List all tasks."""
        return self._dispatcher.run(calls.list_tasks(self._dispatcher.settings))

    def retrieve(self, task_id: str, *, examples_n: int | None = None) -> Task:
        """Fetch one task, with `examples_n` examples if not None."""
        return self._dispatcher.run(calls.retrieve(task_id, examples_n, self._dispatcher.settings))

    def match(self, query: str, *, top_k: int = 5, idempotency_key: str | None = None) -> TaskMatch:
        """Search the task that matches a query in natural language."""
        settings = self._dispatcher.settings
        call = calls.match_call(query, top_k, settings.key(idempotency_key))
        return self._dispatcher.run(calls.match(call, settings))

    def leaderboard(self, task_id: str) -> Leaderboard:
        """Fetch the leaderboard of a task."""
        return self._dispatcher.run(calls.leaderboard(task_id, self._dispatcher.settings))

    def recommended(self, task_id: str) -> str | None:
        """Fetch the id of the model that `deploy(model="recommended")` deploys."""
        return self._dispatcher.run(calls.recommended(task_id, self._dispatcher.settings))
