"""Templates of messages: a text, or a list of texts and attachments, with values of a row."""

from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass

from pareta_batch.question import Attachment, MessageSpec, Question, TextPart
from pareta_batch.rows.attachments import Attacher
from pareta_batch.rows.identity import Message
from pareta_batch.rows.jinja_template import JinjaPrompt
from pareta_batch.rows.placeholders import column_of
from pareta_batch.rows.prompt_template import Prompt

SYSTEM_PROMPT = "system_prompt"

Template = Prompt | JinjaPrompt
"""A text with values of a row."""


@dataclass(frozen=True)
class TextPiece:
    """A text of a message: its source and its parsed template."""

    source: str
    template: Template


@dataclass(frozen=True)
class MessageTemplate:
    """The template of one message; `name` is its place in the spec. A single text is sent as text, not as a list."""

    name: str
    role: str
    pieces: tuple[TextPiece | Attachment, ...]
    is_text: bool

    @property
    def texts(self) -> tuple[TextPiece, ...]:
        """The texts of the message."""
        return tuple(piece for piece in self.pieces if isinstance(piece, TextPiece))

    @property
    def attachments(self) -> tuple[Attachment, ...]:
        """The attachments of the message."""
        return tuple(piece for piece in self.pieces if isinstance(piece, Attachment))

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns, paths and names that the message reads."""
        own = (name for text in self.texts for name in text.template.columns)
        return tuple(dict.fromkeys((*own, *(each.column for each in self.attachments if each.column))))

    def message(self, row: Mapping[str, object], attacher: Attacher) -> Message:
        """Return the message of a row; raises ValueError."""
        if self.is_text:
            return {"role": self.role, "content": self.texts[0].template.render(row)}
        return {"role": self.role, "content": [part for piece in self.pieces for part in _parts(piece, row, attacher)]}

    def unknown(self, columns: Container[str]) -> Iterator[str]:
        """Yield the columns of the message that are not in `columns`; names of Jinja are checked in all rows."""
        for text in self.texts:
            if not isinstance(text.template, JinjaPrompt):
                yield from text.template.unknown(columns)
        yield from (each.column for each in self.attachments if each.column and not column_of(each.column, columns))

    def unknown_names(self, columns: Container[str]) -> Iterator[str]:
        """Yield the names of Jinja templates that are not in `columns`."""
        for text in self.texts:
            if isinstance(text.template, JinjaPrompt):
                yield from text.template.unknown(columns)


def message_templates(question: Question) -> Iterator[MessageTemplate]:
    """Yield the templates of a question in the order of the messages; raises ValueError for an invalid one."""
    given: list[tuple[str, str, MessageSpec | str]] = []
    if question.system_prompt:
        given.append((SYSTEM_PROMPT, "system", question.system_prompt))
    if question.prompt is not None:
        given.append(("prompt", "user", question.prompt))
    for number, message in enumerate(question.messages or ()):
        given.append((f"messages[{number}]", message.role, message))
    for name, role, content in given:
        whole = content if isinstance(content, str) else content.content
        parts = (TextPart(text=whole),) if isinstance(whole, str) else whole
        pieces = tuple(
            part if isinstance(part, Attachment) else TextPiece(part.text, _parsed(part.text, name, question.template))
            for part in parts
        )
        yield MessageTemplate(name, role, pieces, isinstance(whole, str))


def _parsed(text: str, name: str, template: str) -> Template:
    return JinjaPrompt.parse(text, name) if template == "jinja" else Prompt.parse(text, name)


def _parts(piece: TextPiece | Attachment, row: Mapping[str, object], attacher: Attacher) -> list[Message]:
    if isinstance(piece, Attachment):
        return attacher.parts([piece], row)
    return [{"type": "text", "text": piece.template.render(row)}]
