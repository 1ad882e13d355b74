"""Eval sets: rows with truth, created from Python objects."""

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
LONGEST_PROMPT = 500

Items = Iterable[Mapping[str, Any]]


def create_set(
    task: str | None, items: Items, name: str | None, prompt: str | None, key: str, settings: Settings
) -> Operation[EvalSet]:
    """Store rows; without a task, the one that fits rows and prompt cleanly is used.

    Raises ValueError for missing rows or for neither task nor prompt, and ScoringUndecidedError.
    """
    rows = _rows(items)
    wanted = _prompt(prompt)
    if not task and wanted is None:
        raise ValueError("task is required (or prompt, from which the service works out the task)")
    return _create_set(task, rows, name, wanted, key, settings)


def _create_set(
    task: str | None, rows: Sequence[bytes], name: str | None, prompt: str | None, key: str, settings: Settings
) -> Operation[EvalSet]:
    if not task:
        assert prompt is not None
        proposal = yield from _propose(rows, prompt, f"{key}-proposal", settings)
        task = proposal.bound_task
        if task is None:
            raise _undecided(proposal, prompt)
    fields = {"task_id": task, "name": name or f"eval set of {len(rows)} rows"}
    call = _form(PATH, key, fields if prompt is None else {**fields, "prompt": prompt}, rows)
    answer = yield from exchange(call, settings)
    return record_of(EvalSet, answer.reply, "eval_set")


def propose_contract(items: Items, prompt: str, key: str, settings: Settings) -> Operation[ProposalResult]:
    """Ask how rows would be scored under a prompt; nothing is stored. Raises ValueError if either is missing."""
    rows = _rows(items)
    wanted = _prompt(prompt)
    if wanted is None:
        raise ValueError("prompt is required: one sentence on what the model should do with each row")
    return _propose(rows, wanted, key, settings)


def _propose(rows: Sequence[bytes], prompt: str, key: str, settings: Settings) -> Operation[ProposalResult]:
    answer = yield from exchange(_form(f"{PATH}/propose-contract", key, {"prompt": prompt}, rows), settings)
    return record_of(ProposalResult, answer.reply)


def _rows(items: Items) -> list[bytes]:
    rows = [as_json(item) for item in items or ()]
    if not rows:
        raise ValueError("items is required and must not be empty")
    return rows


def _prompt(prompt: str | None) -> str | None:
    return (prompt or "").strip()[:LONGEST_PROMPT] or None


def _form(path: str, key: str, fields: Mapping[str, str], rows: Sequence[bytes]) -> Call:
    return post_form(path, key, fields, "items", ("items.jsonl", b"\n".join(rows), "application/jsonl"))


def _undecided(proposal: ProposalResult, prompt: str) -> ScoringUndecidedError:
    fitting = tuple(task for one in proposal.proposals if (task := text_or_none(one.task_id)))
    if proposal.get("conflict"):
        why = f"the rows look like another job than the prompt describes ({(proposal.conflict or {}).get('reasoning')})"
    elif proposal.get("split"):
        why = "the rows are of several kinds; split them into sets of one kind"
    elif fitting == (JUDGED_TASK,):
        why = "no task scores these rows; task='custom-eval' has judges grade each answer"
    else:
        why = f"it could be any of {', '.join(fitting)}" if fitting else "no task fits"
    return ScoringUndecidedError(f"cannot tell how to score prompt {prompt!r}: {why}. Pass task=…", proposals=fitting)


def list_sets(settings: Settings) -> Operation[list[EvalSet]]:
    """List the stored sets."""
    answer = yield from exchange(get(PATH), settings)
    return records_of(EvalSet, answer.reply, "eval_sets")


def retrieve_set(eval_set_id: str, settings: Settings) -> Operation[EvalSet]:
    """Read one set."""
    answer = yield from exchange(get(set_path(eval_set_id)), settings)
    return record_of(EvalSet, answer.reply, "eval_set")


def delete_set(eval_set_id: str, settings: Settings) -> Operation[None]:
    """Delete one set."""
    yield from exchange(delete(set_path(eval_set_id)), settings)


def frontier_models(task: str | None, settings: Settings) -> Operation[list[FrontierModel]]:
    """List the vendors' models to compare with; with a task, each says whether it is benchmarked on it."""
    answer = yield from exchange(get("/v1/eval/frontier-models", {"task": task or None}), settings)
    return records_of(FrontierModel, answer.reply, "frontier_models")


def set_path(eval_set_id: str) -> str:
    """Give the path of one set."""
    return f"{PATH}/{segment('eval_set_id', eval_set_id)}"
