"""The commented spec that `init` writes for a dataset."""

import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pareta_batch import Dataset, DatasetError, masked
from pareta_cli.dataset_profile import Column, id_column, label_column, profile, text_column
from pareta_cli.spec_reader import read_value
from pareta_cli.spec_scalars import SpecSyntaxError, shown

LONG_DOCUMENT_CHARS = 20_000
LONG_TEXT_CHARS = 2_000
ROWS_PER_CALL_IN_FLIGHT = 4
"""Rows for each call in flight. Raising it guesses fewer calls in flight for small datasets."""
MAX_NAME_CHARS = 100
ENDINGS = re.compile(r"(?i)\.(csv|tsv|jsonl|ndjson|json|parquet|xlsx)(\.(gz|zst))?$")
WIDTH = 100
"""Columns of a line of comments."""


@dataclass(frozen=True)
class FirstSpec:
    """The values of a first spec, each guessed from the dataset or chosen by the user."""

    dataset: str
    name: str
    columns: tuple[Column, ...]
    id_column: str | None
    prompt: str
    model: str = "auto"

    @property
    def rows(self) -> int:
        """Rows of the dataset."""
        return self.columns[0].rows

    @property
    def max_in_flight(self) -> int:
        """Guess: fewer calls in flight for long texts and for few rows."""
        mean = max(column.mean_chars for column in self.columns)
        most = 8 if mean > LONG_DOCUMENT_CHARS else 16 if mean > LONG_TEXT_CHARS else 32
        return max(1, min(most, self.rows // ROWS_PER_CALL_IN_FLIGHT))

    @property
    def max_tokens(self) -> int:
        """Guess: enough for the longest label, else for a paragraph."""
        label = label_column(self.columns)
        return 300 if label is None else 10 + label.longest

    def text(self, schema: str | None) -> str:
        """Return the YAML text, with the path of the schema for editors if there is one."""
        return "\n".join([*([f"# yaml-language-server: $schema={schema}"] if schema else ()), *self._lines(), ""])

    def _lines(self) -> Iterator[str]:
        yield f"# Batch over {_comment(self.dataset)}: {self.rows:,} rows. Columns:"
        for column in self.columns:
            yield f"#   {_comment(column.name)}: {column}"[:WIDTH]
        yield ""
        yield f"name: {scalar(self.name)}"
        yield "model: " + scalar(self.model) + "  # auto, or the id of an endpoint (ep_…)"
        yield f"dataset: {scalar(self.dataset)}"
        if self.id_column is None:
            yield "# id_column: …  # no unique column is named like an id: a hash of the row identifies it"
        else:
            yield f"id_column: {scalar(self.id_column)}"
        yield "# {column} is replaced by the value of the row; {{ and }} are literal braces."
        yield f"prompt: {block(self.prompt)}"
        yield "# system_prompt: …"
        yield f"sampling: {{temperature: 0, max_tokens: {self.max_tokens}}}"
        yield "# A guess: the number of calls in flight at most. A run adapts to rate limits below it."
        yield f"max_in_flight: {self.max_in_flight}"
        yield "# budget_usd: 5             # maximum cost in dollars of all runs of this batch together"
        yield "# tolerated_failures: 0.01  # share of rows that may fail in a completed batch"
        yield f"output: {scalar(f'answers/{self.name}.csv')}"


def first_spec(
    dataset: str, *, name: str | None = None, ids: str | None = None, prompt: str | None = None, model: str = "auto"
) -> FirstSpec:
    """Return the first spec of a dataset, with guesses for values that are None.

    Args:
        ids: Id column; an empty text for none.
        prompt: Prompt; without a {column}, the text column is added to it.

    Raises:
        DatasetError: The dataset cannot be read, or no column has a value in every row.
    """
    opened = Dataset.open(dataset)
    columns = tuple(profile(opened.columns, (row.values for row in opened.rows())))
    found = id_column(columns)
    text = text_column(columns, apart_from=(found, label_column(columns)))
    if text is None:
        raise DatasetError(
            [f"{dataset}: no column has a value in every row and a name without {{ }} : !; fix a column"]
        )
    return FirstSpec(
        dataset=dataset,
        name=name or name_for(dataset),
        columns=columns,
        id_column=(ids or None) if ids is not None else (found.name if found else None),
        prompt=with_column(prompt, text.name) if prompt else _first_prompt(columns, text),
        model=model,
    )


def name_for(dataset: str) -> str:
    """Return a valid batch name from the name of a file."""
    stem = ENDINGS.sub("", Path(dataset).name)
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", stem).strip("-._")
    return name[:MAX_NAME_CHARS] or "batch"


def with_column(prompt: str, column: str) -> str:
    """Return the prompt; one without a column is followed by the text of the row."""
    return prompt if re.search(r"(?<!\{)\{[^{}]+\}", prompt) else f"{prompt}\n\n{{{column}}}"


def _first_prompt(columns: tuple[Column, ...], text: Column) -> str:
    label = label_column(columns)
    if label is None or label is text:
        return f"Summarize this text in one sentence.\n\n{{{text.name}}}"
    labels = ", ".join(sorted(label.labels or ())).replace("{", "{{").replace("}", "}}")
    asked = label.name.replace("{", "{{").replace("}", "}}")
    return f"Which {asked} fits this text? Answer with one of: {labels}.\n\n{{{text.name}}}"


def schema_reference(spec: Path, schema: Path) -> str:
    """Return the path of a schema as an editor reads it from a spec: relative to the folder of the spec."""
    relative = os.path.relpath(schema.resolve(), spec.resolve().parent)
    return relative if relative.startswith(".") and not relative.startswith(".pareta") else f"./{relative}"


def scalar(text: str) -> str:
    """Return a text as a YAML scalar that reads as the same text: plain if possible."""
    if re.fullmatch(r"[A-Za-z0-9_./][A-Za-z0-9_./ -]*[A-Za-z0-9_./-]|[A-Za-z]", text) and _reads_as(text, text):
        return text
    # JSON strings are YAML; escapes keep control characters and unusual line ends.
    return json.dumps(text, ensure_ascii=not text.isprintable())


def block(text: str) -> str:
    """Return a text of several lines as a YAML block, if that reads as the same text."""
    body = "\n".join(f"  {line}" if line else "" for line in text.split("\n"))
    written = f"|-\n{body}"
    return written if _reads_as(f"x: {written}\n", {"x": text}) else json.dumps(text, ensure_ascii=True)


def _reads_as(written: str, value: object) -> bool:
    try:
        return read_value(written) == value
    except SpecSyntaxError:
        return False


def _comment(text: str) -> str:
    return masked(text if text.isprintable() and len(text) <= WIDTH // 2 else shown(text))
