"""Eval runs: start and wait."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from pareta_client.core import (
    Operation,
    PollTiming,
    exchange,
    get,
    malformed,
    object_of,
    poll,
    post,
    record_of,
    segment,
)
from pareta_client.errors import EvalWaitTimeoutError
from pareta_client.models.evals import EvalRun
from pareta_client.operations.eval_sets import Items, create_set, frontier_models, retrieve_set
from pareta_client.settings import Settings

PATH = "/v1/eval-runs"
FIRST_POLL_S = 0.5
"""First pause between two polls; raising it detects the end of a short run later."""
POLL_GROWTH = 1.5
"""Factor between two pauses; raising it polls less, and detects the end of a run later."""

Frontier = Literal["all", "benchmarked", "none"] | Iterable[str] | None


@dataclass(frozen=True, slots=True)
class RunOn:
    """Rows of a run: a stored set, or rows to store first. `task` also selects the frontier models."""

    eval_set: str | None
    task: str | None
    items: Items | None
    name: str | None
    prompt: str | None


def wait_timing(poll_interval: float = 3.0, timeout: float = 900.0) -> PollTiming:
    """Return the pauses and the timeout of a wait, in seconds; raise ValueError for invalid ones."""
    return PollTiming(timeout, longest=poll_interval, first=FIRST_POLL_S, growth=POLL_GROWTH)


def create_run(
    on: RunOn, models: Iterable[str], frontier: Frontier, wait: PollTiming | None, key: str, settings: Settings
) -> Operation[EvalRun]:
    """Start a run, create its set first if needed, and wait for its end if `wait` is not None.

    Raises ValueError or TypeError for invalid arguments before a request is sent.
    """
    candidates = _id_list("models", models)
    chosen = _frontier(frontier)
    if not candidates and not chosen:
        raise ValueError("models is required: the candidates to compare")
    eval_set = on.eval_set or (yield from _created_set(on, f"{key}-set", settings))
    if isinstance(chosen, str):
        chosen = yield from _frontier_ids(chosen, eval_set, on.task, settings)
    if not candidates and not chosen:
        raise ValueError("models is required: this task has no frontier models")
    body = {"eval_set_id": eval_set, "candidate_model_ids": candidates + chosen}
    answer = yield from exchange(post(PATH, key, body), settings)
    started = object_of(answer.reply)
    run_id = started.get("run_id")
    if not isinstance(run_id, str) or not run_id:
        malformed(answer.reply, "has no run_id")
    if wait is not None:
        return (yield from wait_for_run(run_id, wait, settings))
    run = {"id": run_id, "status": started.get("status"), **body}
    return EvalRun.model_validate({"run": run})


def _created_set(on: RunOn, key: str, settings: Settings) -> Operation[str]:
    if not on.items or not (on.task or on.prompt):
        raise ValueError("pass eval_set=<id>, or items=… with task=… or prompt=… to create one")
    created = yield from create_set(on.task, on.items, on.name, on.prompt, key, settings)
    return created.id or ""


def _frontier(frontier: Frontier) -> list[str] | str:
    """Return the frontier ids, or the keyword "all" or "benchmarked"."""
    if frontier is None or frontier == "none":
        return []
    if not isinstance(frontier, str):
        return _id_list("frontier", frontier)
    if frontier not in ("all", "benchmarked"):
        raise ValueError(f"unknown frontier {frontier!r}: use 'all', 'benchmarked', 'none' or a list of ids")
    return frontier


def _id_list(name: str, ids: Iterable[str] | None) -> list[str]:
    if isinstance(ids, str) or not isinstance(ids, Iterable | None):
        raise TypeError(f"{name} must be a list of ids, not {ids!r}")
    return list(ids or ())


def _frontier_ids(keyword: str, eval_set: str, task: str | None, settings: Settings) -> Operation[list[str]]:
    task = task or (yield from retrieve_set(eval_set, settings)).task_id
    if not task:
        raise ValueError(f"frontier={keyword!r} needs a task, and eval set {eval_set!r} has none; pass task=…")
    models = yield from frontier_models(task, settings)
    return [model.id for model in models if model.id and (keyword == "all" or model.benchmarked)]


def retrieve_run(run_id: str, settings: Settings) -> Operation[EvalRun]:
    """Fetch a run with its results so far."""
    answer = yield from exchange(get(f"{PATH}/{segment('run_id', run_id)}"), settings)
    return record_of(EvalRun, answer.reply)


def wait_for_run(run_id: str, wait: PollTiming, settings: Settings) -> Operation[EvalRun]:
    """Poll with growing pauses until the run has ended; raise EvalWaitTimeoutError after the timeout."""
    return poll(
        lambda: retrieve_run(run_id, settings),
        lambda run: run.is_terminal,
        wait,
        settings.jitter,
        lambda waited, status: EvalWaitTimeoutError(run_id, waited=waited, status=status),
    )
