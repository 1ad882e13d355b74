"""One batch of every kind of request, on the endpoint that routes tickets."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pareta_batch.spec import Batch
from tests import files
from tests.batch.batches import batch_in, write_rows

Rows = list[dict[str, object]]
Make = Callable[[Path, Rows], dict[str, Any]]

TEAMS = ("billing", "technical", "account", "shipping", "sales")


def rows_of(count: int) -> Rows:
    return [{"id": f"r{n}", "text": f"My invoice number {n} is wrong.", "limit": 5 + n % 5} for n in range(count)]


def _messages(folder: Path, rows: Rows) -> dict[str, Any]:
    for row in rows:
        row["meta"] = {"tags": [row["text"]]}
    ask = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Which team? {meta.tags[0]}"}]
    return {"prompt": None, "messages": ask}


def _history(folder: Path, rows: Rows) -> dict[str, Any]:
    for row in rows:
        row["chat"] = [
            {"role": "user", "content": "Hello"},
            {"role": "assistant", "content": None, "tool_calls": [{"id": "c", "type": "function", "function": {}}]},
            {"role": "tool", "tool_call_id": "c", "content": "7"},
            {"role": "user", "content": f"Which team? {row['text']}"},
        ]
    return {"prompt": None, "messages_column": "chat"}


def _examples(folder: Path, rows: Rows) -> dict[str, Any]:
    shown = write_rows(folder / "examples.jsonl", [{"user": "It crashes.", "assistant": "technical"}])
    return {"examples": str(shown)}


def _jinja(folder: Path, rows: Rows) -> dict[str, Any]:
    return {"template": "jinja", "prompt": "Which team? {% for part in [text] %}{{ part }}{% endfor %}"}


def _sampling(folder: Path, rows: Rows) -> dict[str, Any]:
    return {"sampling_columns": {"max_tokens": "limit"}}


def _tools(folder: Path, rows: Rows) -> dict[str, Any]:
    team = {"type": "object", "properties": {"team": {"enum": list(TEAMS)}}}
    tools = [{"type": "function", "function": {"name": "route", "parameters": team}}]
    return {"sampling": {"max_tokens": 10, "tools": tools}, "answer_columns": ("tool_calls",)}


def _reasoning(folder: Path, rows: Rows) -> dict[str, Any]:
    return {"sampling": {"max_tokens": 40, "reasoning_effort": "low", "logprobs": True}}


def _url(folder: Path, rows: Rows) -> dict[str, Any]:
    for row in rows:
        row["picture"] = f"https://example.com/invoice-{row['id']}.png"
    return {"prompt": "Which team?", "attachments": [{"column": "picture"}]}


def _attached(make: Callable[[str], bytes]) -> Make:
    def changes(folder: Path, rows: Rows) -> dict[str, Any]:
        for row in rows:
            files.write(folder / f"{row['id']}.bin", make(str(row["text"])))
            row["file"] = f"{row['id']}.bin"
        return {"prompt": "Which team?", "attachments": [{"column": "file"}]}

    return changes


def _schema(folder: Path, rows: Rows) -> dict[str, Any]:
    # The models of this endpoint answer the year as text: each row has two turns.
    for number, row in enumerate(rows):
        row["text"] = f"Copyright (c) 20{number + 10} Ada"
    asked = {"model": "ep_seed_contracts", "prompt": "Extract copyright holder and year.\n\n{text}"}
    return {**asked, "sampling": {"max_tokens": 90}, "answer_schema": YEAR, "ask_again": 2}


def _duplicates(folder: Path, rows: Rows) -> dict[str, Any]:
    for number, row in enumerate(rows):
        row["text"] = f"My invoice number {number // 2} is wrong."
    return {}


YEAR: dict[str, Any] = {
    "type": "object",
    "properties": {"copyright_holder": {"type": ["string", "null"]}, "year": {"type": "integer"}},
    "required": ["year"],
}

KINDS: dict[str, Make] = {
    "prompt": lambda folder, rows: {},
    "messages": _messages,
    "history": _history,
    "examples": _examples,
    "jinja": _jinja,
    "sampling": _sampling,
    "tools": _tools,
    "reasoning": _reasoning,
    "url": _url,
    "image": _attached(files.png),
    "pdf": _attached(files.pdf),
    "audio": _attached(files.wav),
}


OF_SEVERAL_REQUESTS: dict[str, Make] = {"schema": _schema, "duplicates": _duplicates}
"""Kinds of rows that have no request of their own, or several."""
WITH_FILES = ("url", "image", "pdf", "audio")


def team_of(row: dict[str, Any]) -> str:
    """Return the team that a row was routed to: the answer, or the argument of the call."""
    if not row.get("tool_calls"):
        return str(row["answer"])
    return str(json.loads(row["tool_calls"][0]["function"]["arguments"])["team"])


def batch_of(kind: str, folder: Path, count: int, **changes: Any) -> Batch:
    """Make a batch of one kind of request."""
    rows = rows_of(count)
    own = (KINDS | OF_SEVERAL_REQUESTS)[kind](folder, rows)
    return batch_in(folder, rows, **{**own, **changes})
