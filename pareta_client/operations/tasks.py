"""Task catalogue."""

from pareta_client.core import Operation, exchange, get, post, record_of, records_of, segment
from pareta_client.models.tasks import Leaderboard, Task, TaskMatch
from pareta_client.settings import Settings

PATH = "/v1/tasks"


def list_tasks(settings: Settings) -> Operation[list[Task]]:
    """List all tasks."""
    answer = yield from exchange(get(PATH), settings)
    return records_of(Task, answer.reply, "tasks")


def retrieve(task_id: str, examples_n: int | None, settings: Settings) -> Operation[Task]:
    """Fetch one task, with `examples_n` examples if not None."""
    answer = yield from exchange(get(_path(task_id), {"examples_n": examples_n}), settings)
    return record_of(Task, answer.reply)


def match(query: str, top_k: int, key: str, settings: Settings) -> Operation[TaskMatch]:
    """Search the task that matches a query in natural language; raise ValueError for an empty query."""
    if not query or not query.strip():
        raise ValueError("query is required")
    answer = yield from exchange(post(f"{PATH}/match", key, {"query": query, "top_k": top_k}), settings)
    return record_of(TaskMatch, answer.reply)


def leaderboard(task_id: str, settings: Settings) -> Operation[Leaderboard]:
    """Fetch the leaderboard of a task."""
    answer = yield from exchange(get(f"{_path(task_id)}/leaderboard"), settings)
    return record_of(Leaderboard, answer.reply)


def recommended(task_id: str, settings: Settings) -> Operation[str | None]:
    """Fetch the id of the model that `model="recommended"` deploys."""
    ranked = yield from leaderboard(task_id, settings)
    return ranked.recommended


def _path(task_id: str) -> str:
    return f"{PATH}/{segment('task_id', task_id)}"
