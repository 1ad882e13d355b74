"""Proposed scoring of rows under a prompt: proposals, a conflict with the data, or mixed rows."""

from collections import Counter

from pareta_sandbox.models import catalogue
from pareta_sandbox.models.catalogue import TASKS
from pareta_sandbox.state.eval_sets import EvalRow, is_label


def propose(prompt: str, rows: tuple[EvalRow, ...]) -> dict[str, object]:
    """Propose the tasks that match both the prompt and the shape of the expected answers."""
    shapes = Counter("label" if is_label(row.expected) else "fields" for row in rows)
    shape, fitting = shapes.most_common(1)[0]
    ranked = catalogue.scores(prompt)
    intended = ranked[0][0] if ranked else None
    best = [(task, score) for task, score in ranked if score == ranked[0][1] and fits(task, shape)]
    evidence = {"validated_n": fitting, "total_n": len(rows)}
    mixed = len(shapes) > 1
    return {
        "prompt": prompt,
        "proposals": [
            {"task_id": task, "confidence": catalogue.confidence(score), "evidence": evidence, "warning": None}
            for task, score in best
        ],
        "homogeneous": not mixed,
        "split": {"closest_task": intended, **evidence} if mixed else None,
        "conflict": _conflict(intended, shape) if intended and not best else None,
        "closest_task": intended,
        "message": None if best else "no task of the catalogue fits: pass a task_id to choose one",
    }


def fits(task: str, shape: str) -> bool:
    """Return whether a task accepts answers of a shape; a single extracted field counts as a label."""
    return TASKS[task].extraction or shape == "label"


def _conflict(intended: str, shape: str) -> dict[str, str]:
    found = "one label a row" if shape == "label" else "several fields a row"
    return {
        "intended_task": intended,
        "reasoning": f"the prompt reads as '{intended}', but what is expected is {found}",
    }
