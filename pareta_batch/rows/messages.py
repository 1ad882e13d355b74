"""Messages of a row: from templates, or from a chat history in a column, with examples in front of the question."""

from collections.abc import Container, Iterator
from dataclasses import dataclass
from itertools import takewhile

from pareta_batch.errors import DatasetError
from pareta_batch.rows.attached_places import root_of
from pareta_batch.rows.attachments import Attacher, check_row_size
from pareta_batch.rows.dataset import Dataset, Row
from pareta_batch.rows.history import INSTRUCTIONS, history_of
from pareta_batch.rows.identity import Message
from pareta_batch.rows.message_templates import SYSTEM_PROMPT, MessageTemplate, message_templates
from pareta_batch.rows.placeholders import column_of, value_of
from pareta_batch.rows.prompt_template import jinja_columns
from pareta_batch.rows.source import AnyDataset
from pareta_batch.rows.storage import base_of
from pareta_batch.rows.values import is_missing, text_of
from pareta_batch.spec import BatchWork

EXAMPLE_COLUMNS = ("user", "assistant")


@dataclass(frozen=True)
class MessageBuilder:
    """The messages of a batch: templates around the examples, or a history in a column, and the attachments."""

    question: BatchWork
    before: tuple[MessageTemplate, ...]
    examples: tuple[Message, ...]
    after: tuple[MessageTemplate, ...]
    attacher: Attacher

    @classmethod
    def of(cls, question: BatchWork, dataset: Dataset, source: AnyDataset) -> "MessageBuilder":
        """Parse the templates and read the examples; raises DatasetError for a problem of the spec."""
        try:
            templates = tuple(message_templates(question))
        except ValueError as error:
            raise DatasetError([str(error)]) from None
        before = tuple(takewhile(lambda each: each.role in INSTRUCTIONS, templates))
        after = templates[len(before) :]
        builder = cls(question, before, _examples_in(question.examples), after, _attacher(question, source))
        if problems := [*builder._unknown_columns(dataset), *builder._missing_columns(dataset)]:
            raise DatasetError(problems)
        return builder

    def messages(self, row: Row) -> tuple[Message, ...]:
        """Return the messages of a row; raises ValueError for a missing or an invalid value."""
        before = [template.message(row.values, self.attacher) for template in self.before]
        found = [*before, *self.examples, *(each.message(row.values, self.attacher) for each in self.after)]
        if self.question.messages_column is not None:
            column = self.question.messages_column
            found = self._with_history(before, history_of(value_of(column, row.values), column))
        self._attach(found, row)
        check_row_size(
            [part for message in found if isinstance(message["content"], list) for part in message["content"]]
        )
        return tuple(found)

    def naming(self, column: str) -> str:
        """Return the place that names a column, for a message."""
        name = next((each.name for each in self._templates if column in each.columns), None)
        if name is None:
            return "the messages column" if column == self.question.messages_column else "attachments"
        return {"prompt": "the prompt", SYSTEM_PROMPT: "the system prompt"}.get(name, name)

    def unknown_names(self, columns: Container[str]) -> Iterator[str]:
        """Yield a problem for each name of a Jinja template that is a column of no row."""
        for each in self._templates:
            for name in each.unknown_names(columns):
                yield f"{each.name}: unknown name {name!r}: no row has a column of this name; correct the template"

    @property
    def _templates(self) -> tuple[MessageTemplate, ...]:
        return (*self.after, *self.before)

    def _with_history(self, before: list[Message], given: list[Message]) -> list[Message]:
        instructions = [*takewhile(lambda message: message["role"] in INSTRUCTIONS, given)]
        if before and instructions:
            raise ValueError(
                f"{self.question.messages_column!r} has a {instructions[0]['role']} message, as system_prompt; drop one"
            )
        return [*before, *instructions, *self.examples, *given[len(instructions) :]]

    def _attach(self, messages: list[Message], row: Row) -> None:
        """Add the attachments to the last message of the user."""
        if not (parts := self.attacher.parts(self.question.attachments, row.values)):
            return
        place = next((n for n in reversed(range(len(messages))) if messages[n]["role"] == "user"), None)
        if place is None:
            raise ValueError("there is no message of the user for the attachments; add one")
        content = messages[place]["content"]
        own = [{"type": "text", "text": content}] if isinstance(content, str) else content
        messages[place] = {**messages[place], "content": [*own, *parts]}

    def _unknown_columns(self, dataset: Dataset) -> Iterator[str]:
        has = f"{dataset.path} has no column {{}}; it has: {', '.join(dataset.columns)}"
        for each in self._templates:
            hint = "; text in braces is written {{{{{}}}}}" if each.name == SYSTEM_PROMPT else ""
            for column in each.unknown(dataset.columns):
                yield has.format(repr(column)) + f" (named in {self.naming(column)}{hint.format(column)})"
        for attached in self.question.attachments:
            if attached.column and not column_of(attached.column, dataset.columns):
                yield has.format(repr(attached.column)) + " (named in attachments)"
        if (history := self.question.messages_column) is not None and not column_of(history, dataset.columns):
            yield has.format(repr(history)) + " (the messages column)"
        if (column_of_ids := self.question.id_column) is not None and column_of_ids not in dataset.columns:
            yield has.format(repr(column_of_ids)) + " (the id column)"

    def _missing_columns(self, dataset: Dataset) -> Iterator[str]:
        """Yield a problem for each column in Jinja syntax, and for a question that no column changes."""
        attached = any(each.column for each in self.question.attachments)
        named = bool(self.question.messages_column) or attached or any(each.columns for each in self._templates)
        sources = [(each.name, text.source) for each in self._templates for text in each.texts]
        if self.question.template == "braces":
            for name, source in sources:
                for column in jinja_columns(source, dataset.columns, loose=not named):
                    yield f"{name}: {{{{ {column} }}}} is Jinja syntax; write {{{column}}}, or set template: jinja"
                    named = True
        if not named:
            shape = "{{{{ {} }}}}" if self.question.template == "jinja" else "{{{}}}"
            columns = ", ".join(shape.format(column) for column in dataset.columns)
            name, source = sources[0]
            yield f"{name} {source!r:.80}: no column, so all rows would have the same prompt; use one of: {columns}"


def _attacher(question: BatchWork, source: AnyDataset) -> Attacher:
    """Return the attacher of a batch; relative paths begin at the files folder, else at the dataset's folder."""
    if question.files_folder is not None:
        folder = root_of(question.files_folder)
        return Attacher(folder, folder)
    return Attacher(base_of(source))


def _examples_in(dataset: AnyDataset | None) -> tuple[Message, ...]:
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
