# Generated from pareta_client/resources/_async/tasks.py by `python -m scripts.unasync`: edit that file.
"""`client.tasks`."""

from pareta_client.models.tasks import Leaderboard, Task, TaskMatch
from pareta_client.operations import tasks as calls
from pareta_client.resources.base import Resource


class Tasks(Resource):
    """Catalogue of benchmarked tasks."""

    def list(self) -> list[Task]:
        """List all tasks."""
        return self._run(calls.list_tasks(self._settings))

    def retrieve(self, task_id: str, *, examples_n: int | None = None) -> Task:
        """Fetch one task, with `examples_n` examples if not None."""
        return self._run(calls.retrieve(task_id, examples_n, self._settings))

    def match(self, query: str, *, top_k: int = 5, idempotency_key: str | None = None) -> TaskMatch:
        """Search the task that matches a query in natural language."""
        key = self._settings.key(idempotency_key)
        return self._run(calls.match(query, top_k, key, self._settings))

    def leaderboard(self, task_id: str) -> Leaderboard:
        """Fetch the leaderboard of a task."""
        return self._run(calls.leaderboard(task_id, self._settings))

    def recommended(self, task_id: str) -> str | None:
        """Fetch the id of the model that `deploy(model="recommended")` deploys."""
        return self._run(calls.recommended(task_id, self._settings))
