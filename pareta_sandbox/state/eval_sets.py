"""Eval sets: labelled rows, their prompt, and the scoring of their answers."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from pareta_sandbox.http.errors import invalid
from pareta_sandbox.models import catalogue
from pareta_sandbox.models.catalogue import TASKS
from pareta_sandbox.models.scoring import Expected, Strategy

MAX_PROMPT_CHARS = 4_000
MAX_ROWS = 100_000
PLACEHOLDER = re.compile(r"\{(\w+)\}")


@dataclass(slots=True)
class EvalRow:
    """A row: the input of the model and the expected answer. Documents can be attached later."""

    input: str | dict[str, object]
    expected: Expected
    unreadable: set[str] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class EvalSet:
    """An eval set."""

    id: str
    name: str
    task_id: str | None
    prompt: str | None
    strategy: Strategy
    rows: tuple[EvalRow, ...]
    created: int

    def conversation(self, row: EvalRow) -> tuple[str, str]:
        """Return the system message and the user message of a row."""
        text = format_input(row.input)
        if self.prompt is None:
            return (TASKS[self.task_id].system_prompt or "" if self.task_id else ""), text
        if isinstance(row.input, dict) and PLACEHOLDER.search(self.prompt):
            values = row.input
            return "", PLACEHOLDER.sub(lambda m: str(values.get(m.group(1), m.group())), self.prompt)
        return "", f"{self.prompt}\n\n{text}"

    def answering_task(self, row: EvalRow) -> str:
        """Return the task that answers a row."""
        return self.task_id or catalogue.route_task("\n".join(self.conversation(row)))

    def record(self) -> dict[str, object]:
        """Return the set as a JSON object of the service."""
        return {
            "id": self.id,
            "task_id": self.task_id,
            "name": self.name,
            "item_count": len(self.rows),
            "scoring_strategy": self.strategy,
            "prompt": self.prompt,
            "created_at": self.created,
        }


def build(set_id: str, items: bytes, task_id: str | None, prompt: str | None, name: str | None, at: int) -> EvalSet:
    """Build a set from JSON lines; refuse invalid input with 422 and the line number.

    A set needs a task (first generation) or a prompt (second generation). Without a task, the prompt and the
    expected answers determine task and scoring.
    """
    if not task_id and not prompt:
        raise invalid(["body", "prompt"], "an eval set needs a prompt (or a task_id)", "missing")
    if task_id and task_id not in TASKS:
        raise invalid(["body", "task_id"], f"unknown task '{task_id}'; there are: {', '.join(TASKS)}")
    if prompt and len(prompt) > MAX_PROMPT_CHARS:
        raise invalid(["body", "prompt"], f"the prompt is longer than {MAX_PROMPT_CHARS} characters")
    rows = parse_rows(items, documents_may_follow=bool(task_id and TASKS[task_id].has_blob_input))
    task = task_id or matching_task(prompt or "", rows)
    strategy = strategy_for(task, rows)
    return EvalSet(set_id, name or f"eval set ({len(rows)} items)", task, prompt, strategy, rows, at)


def parse_rows(items: bytes, *, documents_may_follow: bool) -> tuple[EvalRow, ...]:
    """Parse JSON lines into rows."""
    try:
        lines = items.decode("utf-8").splitlines()
    except UnicodeDecodeError as error:
        raise invalid(["body", "items"], f"items is not UTF-8: {error.reason} at byte {error.start}") from error
    numbered = [(number, line) for number, line in enumerate(lines, 1) if line.strip()]
    if not numbered:
        raise invalid(["body", "items"], "items is empty: one JSON object a line is needed")
    if len(numbered) > MAX_ROWS:
        raise invalid(["body", "items"], f"items has more than {MAX_ROWS} rows")
    return tuple(_row(number, line, documents_may_follow) for number, line in numbered)


def _row(number: int, line: str, documents_may_follow: bool) -> EvalRow:
    where: list[str | int] = ["body", "items", number]
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise invalid(where, f"line {number} is not JSON: {error}", "json_invalid") from error
    if not isinstance(row, dict):
        raise invalid(where, f"line {number} is not a JSON object")
    expected = row.get("expected_output", row.get("expected"))
    if not isinstance(expected, (str, dict)) or expected == {}:
        raise invalid(where, f"line {number} needs 'expected' (or 'expected_output'): a string or an object")
    content = row.get("input", {} if documents_may_follow else None)
    if not isinstance(content, (str, dict)):
        raise invalid(where, f"line {number} needs 'input': a string or an object")
    return EvalRow(content, expected)


def matching_task(prompt: str, rows: tuple[EvalRow, ...]) -> str | None:
    """Return the task of a prompt, or None if the shape of the rows contradicts it."""
    ranked = catalogue.scores(prompt)
    if not ranked:
        return None
    task = TASKS[ranked[0][0]]
    return task.id if task.extraction != all(is_label(row.expected) for row in rows) else None


def strategy_for(task: str | None, rows: tuple[EvalRow, ...]) -> Strategy:
    """Return the scoring strategy: by label if every expected answer is one label, else by field."""
    if not all(is_label(row.expected) for row in rows):
        return "field_f1"
    if task and not TASKS[task].extraction:
        return TASKS[task].scorer
    return "field_f1" if task and any(isinstance(row.expected, dict) for row in rows) else "exact_match"


def is_label(expected: Expected) -> bool:
    """Return whether an expected answer is one label: a string, or an object with one string."""
    if isinstance(expected, str):
        return True
    return len(expected) == 1 and isinstance(next(iter(expected.values())), str)


def format_input(content: str | Mapping[str, object]) -> str:
    """Format the input of a row as text: a single string unchanged, several fields as `name: value` lines."""
    if isinstance(content, str):
        return content
    if len(content) == 1 and isinstance(only := next(iter(content.values())), str):
        return only
    return "\n".join(
        f"{k}: {v if isinstance(v, str) else json.dumps(v, ensure_ascii=False)}" for k, v in content.items()
    )
