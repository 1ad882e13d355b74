"""Eval sets: rows with expected answers, created from Python objects."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pareta_client.core import (
    Call,
    Operation,
    as_json,
    delete,
    exchange,
    get,
    post_form,
    record_of,
    records_of,
    segment,
)
from pareta_client.errors import ScoringUndecidedError
from pareta_client.models.evals import JUDGED_TASK, EvalSet, FrontierModel, ProposalResult
from pareta_client.models.record import text_or_none
from pareta_client.settings import Settings

PATH = "/v1/eval-sets"
MAX_PROMPT_CHARACTERS = 500
"""Limit of the service; a longer prompt is cut."""

Items = Iterable[Mapping[str, Any]]


def create_set(
    task: str | None, items: Items, name: str | None, prompt: str | None, key: str, settings: Settings
) -> Operation[EvalSet]:
    """Store rows; without a task, use the single task that fits rows and prompt.

    Raises ValueError if rows, or both task and prompt, are missing. Raises ScoringUndecidedError without a
    single fitting task.
    """
    rows = _rows(items)
    cut_prompt = _prompt(prompt)
    if not task:
        if cut_prompt is None:
            raise ValueError("task is required, or prompt, from which the service chooses the task")
        proposal = yield from _propose(rows, cut_prompt, f"{key}-proposal", settings)
        task = proposal.bound_task
        if task is None:
            raise _undecided(proposal, cut_prompt)
    fields = {"task_id": task, "name": name or f"eval set of {len(rows)} rows"}
    call = _form(PATH, key, fields if cut_prompt is None else {**fields, "prompt": cut_prompt}, rows)
    answer = yield from exchange(call, settings)
    return record_of(EvalSet, answer.reply, "eval_set")


def propose_contract(items: Items, prompt: str, key: str, settings: Settings) -> Operation[ProposalResult]:
    """Request proposals for scoring rows under a prompt; store nothing. Raises ValueError if an argument is missing."""
    rows = _rows(items)
    cut_prompt = _prompt(prompt)
    if cut_prompt is None:
        raise ValueError("prompt is required: one sentence that describes the task of the model for each row")
    return _propose(rows, cut_prompt, key, settings)


def _propose(rows: Sequence[bytes], prompt: str, key: str, settings: Settings) -> Operation[ProposalResult]:
    answer = yield from exchange(_form(f"{PATH}/propose-contract", key, {"prompt": prompt}, rows), settings)
    return record_of(ProposalResult, answer.reply)


def _rows(items: Items) -> list[bytes]:
    rows = [as_json(item) for item in items or ()]
    if not rows:
        raise ValueError("items is required and must not be empty")
    return rows


def _prompt(prompt: str | None) -> str | None:
    return (prompt or "").strip()[:MAX_PROMPT_CHARACTERS] or None


def _form(path: str, key: str, fields: Mapping[str, str], rows: Sequence[bytes]) -> Call:
    return post_form(path, key, fields, "items", ("items.jsonl", b"\n".join(rows), "application/jsonl"))


def _undecided(proposal: ProposalResult, prompt: str) -> ScoringUndecidedError:
    candidates = tuple(task for one in proposal.proposals if (task := text_or_none(one.task_id)))
    if proposal.get("conflict"):
        problem = f"rows and prompt describe different tasks ({(proposal.conflict or {}).get('reasoning')})"
    elif proposal.get("split"):
        problem = "the rows are of several kinds; create one set for each kind"
    elif candidates == (JUDGED_TASK,):
        problem = "no task scores these rows; with task='custom-eval' judges grade each answer"
    else:
        problem = f"possible tasks: {', '.join(candidates)}" if candidates else "no task fits"
    return ScoringUndecidedError(
        f"undecided scoring for prompt {prompt!r}: {problem}; pass task=…", proposals=candidates
    )


def list_sets(settings: Settings) -> Operation[list[EvalSet]]:
    """List the stored sets."""
    answer = yield from exchange(get(PATH), settings)
    return records_of(EvalSet, answer.reply, "eval_sets")


def retrieve_set(eval_set_id: str, settings: Settings) -> Operation[EvalSet]:
    """Fetch one set."""
    answer = yield from exchange(get(set_path(eval_set_id)), settings)
    return record_of(EvalSet, answer.reply, "eval_set")


def delete_set(eval_set_id: str, settings: Settings) -> Operation[None]:
    """Delete one set."""
    yield from exchange(delete(set_path(eval_set_id)), settings)


def frontier_models(task: str | None, settings: Settings) -> Operation[list[FrontierModel]]:
    """List the frontier models; with a task, `benchmarked` is set for it."""
    answer = yield from exchange(get("/v1/eval/frontier-models", {"task": task or None}), settings)
    return records_of(FrontierModel, answer.reply, "frontier_models")


def set_path(eval_set_id: str) -> str:
    """Return the path of one set."""
    return f"{PATH}/{segment('eval_set_id', eval_set_id)}"
