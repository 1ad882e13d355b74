"""Messages of a row: from templates, or from a chat history in a column, with examples in front of the question."""

from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass
from itertools import takewhile
from typing import Protocol

from pareta_batch.errors import DatasetError
from pareta_batch.question import Question
from pareta_batch.rows.dataset import Dataset, Row
from pareta_batch.rows.history import INSTRUCTIONS, history_of
from pareta_batch.rows.identity import Message
from pareta_batch.rows.jinja_template import JinjaPrompt
from pareta_batch.rows.prompt_template import Prompt, jinja_columns
from pareta_batch.rows.source import AnyDataset
from pareta_batch.rows.values import is_missing, text_of

SYSTEM_PROMPT = "system_prompt"


class Template(Protocol):
    """A text with values of a row."""

    @property
    def columns(self) -> tuple[str, ...]: ...
    def unknown(self, columns: Container[str]) -> tuple[str, ...]: ...
    def render(self, row: Mapping[str, object]) -> str: ...


@dataclass(frozen=True)
class MessageTemplate:
    """The template of one message; `name` is its place in the spec."""

    name: str
    role: str
    source: str
    text: Template

    def message(self, row: Row) -> Message:
        """Return the message of a row; raises ValueError."""
        return {"role": self.role, "content": self.text.render(row.values)}


@dataclass(frozen=True)
class MessageBuilder:
    """The messages of a batch: templates around the examples, or a history in the column `history`."""

    before: tuple[MessageTemplate, ...]
    examples: tuple[Message, ...]
    after: tuple[MessageTemplate, ...]
    history: str | None = None

    @classmethod
    def of(cls, question: Question, dataset: Dataset) -> "MessageBuilder":
        """Parse the templates and read the examples; raises DatasetError for what no row can change."""
        try:
            builder = cls(*_templates(question), question.messages_column)
        except ValueError as error:
            raise DatasetError([str(error)]) from None
        if problems := [*builder.unknown_columns(question, dataset), *builder.missing_columns(question, dataset)]:
            raise DatasetError(problems)
        return builder

    @property
    def templates(self) -> tuple[MessageTemplate, ...]:
        """All templates, the prompt before the system prompt."""
        return (*self.after, *self.before)

    def messages(self, row: Row) -> tuple[Message, ...]:
        """Return the messages of a row; raises ValueError for a missing or an invalid value."""
        before = [template.message(row) for template in self.before]
        if self.history is None:
            return (*before, *self.examples, *(template.message(row) for template in self.after))
        given = history_of(row.values.get(self.history), self.history)
        instructions = [*takewhile(_instructs, given)]
        if before and instructions:
            raise ValueError(f"{self.history!r} has a {instructions[0]['role']} message, as system_prompt; drop one")
        return (*before, *instructions, *self.examples, *given[len(instructions) :])

    def naming(self, column: str) -> str:
        """Return the name of the template that names a column, for a message."""
        name = next((each.name for each in self.templates if column in each.text.columns), "prompt")
        return {"prompt": "the prompt", SYSTEM_PROMPT: "the system prompt"}.get(name, name)

    def unknown_names(self, columns: Container[str]) -> Iterator[str]:
        """Yield a problem for each name of a Jinja template that is a column of no row."""
        for each in self.templates:
            if isinstance(each.text, JinjaPrompt):
                for name in each.text.unknown(columns):
                    yield f"{each.name}: unknown name {name!r}: no row has a column of this name; correct the template"

    def unknown_columns(self, question: Question, dataset: Dataset) -> Iterator[str]:
        """Yield a problem for each column of the spec that the dataset does not have."""
        has = f"{dataset.path} has no column {{}}; it has: {', '.join(dataset.columns)}"
        for each in self.templates:
            # A name of a Jinja template may be a column that only later rows have.
            for column in () if isinstance(each.text, JinjaPrompt) else each.text.unknown(dataset.columns):
                hint = f"; text in braces is written {{{{{column}}}}}" if each.name == SYSTEM_PROMPT else ""
                yield has.format(repr(column)) + f" (named in {self.naming(column)}{hint})"
        if self.history is not None and self.history not in dataset.columns:
            yield has.format(repr(self.history)) + " (the messages column)"

    def missing_columns(self, question: Question, dataset: Dataset) -> Iterator[str]:
        """Yield a problem for each column in Jinja syntax, and for templates that name no column."""
        named = self.history is not None or any(each.text.columns for each in self.templates)
        if question.template == "braces":
            for each in self.templates:
                for column in jinja_columns(each.source, dataset.columns, loose=not named):
                    yield f"{each.name}: {{{{ {column} }}}} is Jinja syntax; write {{{column}}}, or set template: jinja"
                    named = True
        if not named:
            shape = "{{{{ {} }}}}" if question.template == "jinja" else "{{{}}}"
            columns = ", ".join(shape.format(column) for column in dataset.columns)
            last = self.after[-1]
            yield (
                f"{last.name} {last.source!r:.80}: no column, so all rows would have the same prompt; "
                f"use one of: {columns}"
            )


def _instructs(message: Message) -> bool:
    return message["role"] in INSTRUCTIONS


def _templates(
    question: Question,
) -> tuple[tuple[MessageTemplate, ...], tuple[Message, ...], tuple[MessageTemplate, ...]]:
    """Return the templates before the examples, the examples, and the templates after them."""
    given = [] if not question.system_prompt else [(SYSTEM_PROMPT, "system", question.system_prompt)]
    if question.prompt is not None:
        given.append(("prompt", "user", question.prompt))
    for number, message in enumerate(question.messages or ()):
        given.append((f"messages[{number}]", message.role, message.content))
    parsed = [MessageTemplate(name, role, text, _parsed(text, name, question.template)) for name, role, text in given]
    before = tuple(takewhile(lambda each: each.role in INSTRUCTIONS, parsed))
    return before, examples_in(question.examples), tuple(parsed[len(before) :])


def _parsed(text: str, name: str, template: str) -> Template:
    return JinjaPrompt.parse(text, name) if template == "jinja" else Prompt.parse(text, name)


EXAMPLE_COLUMNS = ("user", "assistant")


def examples_in(dataset: AnyDataset | None) -> tuple[Message, ...]:
    """Return the messages of a dataset of examples, with the columns `user` and `assistant`; raises DatasetError."""
    if dataset is None:
        return ()
    found: list[Message] = []
    for row in Dataset.open(dataset).rows():
        for role in EXAMPLE_COLUMNS:
            value = row.values.get(role)
            if is_missing(value):
                raise DatasetError([f"{row.place}: no value for {role!r}; an example has 'user' and 'assistant'"])
            found.append({"role": role, "content": text_of(value)})
    return tuple(found)
