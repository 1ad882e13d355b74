"""The question of a batch: a prompt, messages or a chat history, and the examples in front of it."""

from typing import Annotated, Literal

from pydantic import ConfigDict, Field, model_validator

from pareta_batch.form_schema import QUESTIONS
from pareta_batch.rows import SourceField
from pareta_batch.spec_base import Spec


class Attachment(Spec):
    """An image, a PDF or audio: from a column of each row, or one file for all rows."""

    model_config = ConfigDict(title="Attachment")

    column: str | None = Field(
        None, min_length=1, title="Column", description="Column with a path, a URL (images only), or a list of them"
    )
    path: str | None = Field(None, min_length=1, title="Path", description="File or URL that every row attaches")
    kind: Literal["image", "pdf", "audio"] | None = Field(
        None, title="Kind", description="Required type; by default each type that the content has"
    )
    detail: Literal["auto", "low", "high"] | None = Field(
        None, title="Detail", description="Resolution at which the model sees an image"
    )
    optional: bool = Field(False, title="Optional", description="A row without a value is sent without the attachment")

    @model_validator(mode="after")
    def one_source_of_the_file(self) -> "Attachment":
        if (self.column is None) == (self.path is None):
            raise ValueError("an attachment needs exactly one of column and path")
        return self


class TextPart(Spec):
    """A text between attachments."""

    model_config = ConfigDict(title="Text part")

    text: str = Field(min_length=1, title="Text", description="Template of the text, as in the prompt")


class MessageSpec(Spec):
    """One message: its role, and the template of its text, or a list of texts and attachments."""

    model_config = ConfigDict(title="Message")

    role: Literal["system", "developer", "user", "assistant"] = Field(title="Role", description="Role of the message")
    content: str | tuple[TextPart | Attachment, ...] = Field(
        min_length=1, title="Content", description="Template of the text, or a list of texts and attachments"
    )

    @model_validator(mode="after")
    def only_users_attach(self) -> "MessageSpec":
        if self.role != "user" and not isinstance(self.content, str):
            raise ValueError(f"a message of the role {self.role} has one text; only user messages have a list")
        return self

    @property
    def text(self) -> str:
        """The templates of the message's texts, for a report."""
        if isinstance(self.content, str):
            return self.content
        return "\n".join(part.text if isinstance(part, TextPart) else f"[{_source(part)}]" for part in self.content)


MULTI_LINE = Field(json_schema_extra={"format": "json-string"})
"""Field with an editor of several lines in Prefect's form, which shows other texts in one line. No server checks it."""


class Question(Spec):
    """The question of a batch: exactly one of `prompt`, `messages` and `messages_column`."""

    prompt: Annotated[str, MULTI_LINE] | None = Field(
        None,
        min_length=1,
        title="Prompt",
        description="Prompt of each row; {column} or {column.field[0]} is replaced by the row's value",
    )
    messages: tuple[MessageSpec, ...] | None = Field(
        None, min_length=1, title="Messages", description="In place of the prompt: a list of role and template"
    )
    messages_column: str | None = Field(
        None,
        min_length=1,
        title="Messages column",
        description="In place of the prompt: the column with the chat history of each row, a list of role and content",
    )
    system_prompt: Annotated[str, MULTI_LINE] | None = Field(
        None,
        title="System prompt",
        description="System message of each row; {column} is replaced as in the prompt, {{ }} are literal braces",
    )
    template: Literal["braces", "jinja"] = Field(
        "braces",
        title="Template",
        description="Syntax of all templates: {column}, or Jinja with conditions and loops",
    )
    examples: SourceField | None = Field(
        None,
        title="Examples",
        description="Dataset with the columns user and assistant; its rows precede the question of each row",
    )

    attachments: tuple[Attachment, ...] = Field(
        (),
        title="Attachments",
        description="Images, PDFs and audio, added to the last message of the user",
    )
    files_folder: str | None = Field(
        None,
        min_length=1,
        title="Files folder",
        description="Folder of the files that columns name; no other file is attached. By default relative paths begin "
        "at the folder of the dataset, and any file may be named",
    )

    @model_validator(mode="after")
    def one_source_of_the_question(self) -> "Question":
        given = [name for name in QUESTIONS if getattr(self, name) is not None]
        if len(given) != 1:
            found = (
                " and ".join(given)
                if given
                else "none of them (a file made for OpenAI's batch API is a dataset of the format openai_batch)"
            )
            raise ValueError(f"a batch needs exactly one of {', '.join(QUESTIONS)}; it has {found}")
        if self.messages is not None and self.system_prompt is not None:
            raise ValueError(
                "system_prompt is for prompt and messages_column; write it as a message of the role system"
            )
        if self.messages is not None and all(each.role in ("system", "developer") for each in self.messages):
            raise ValueError("messages: there is no question; add a message of the role user")
        return self

    @property
    def attached_paths(self) -> list[str]:
        """Paths and URLs of the attachments of all rows."""
        parts = [part for each in self.messages or () if not isinstance(each.content, str) for part in each.content]
        attached = (part for part in (*self.attachments, *parts) if isinstance(part, Attachment))
        return [each.path for each in attached if each.path is not None]

    @property
    def shown_question(self) -> str:
        """The question, for a report."""
        if self.messages is not None:
            return "\n\n".join(f"{each.role}: {each.text}" for each in self.messages)
        return self.prompt or f"the chat history in column {self.messages_column!r}"


def _source(attachment: Attachment) -> str:
    return f"column {attachment.column}" if attachment.column else str(attachment.path)
