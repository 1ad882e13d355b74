"""The question of a batch: a prompt, messages or a chat history, and the examples in front of it."""

from typing import Literal

from pydantic import ConfigDict, Field, model_validator

from pareta_batch.rows import SourceField
from pareta_batch.spec_base import Spec

SOURCES = ("prompt", "messages", "messages_column")


class MessageSpec(Spec):
    """One message: its role, and the template of its text."""

    model_config = ConfigDict(title="Message")

    role: Literal["system", "developer", "user", "assistant"] = Field(title="Role", description="Role of the message")
    content: str = Field(min_length=1, title="Content", description="Template of the text, as in the prompt")


class Question(Spec):
    """The question of a batch: exactly one of `prompt`, `messages` and `messages_column`."""

    prompt: str | None = Field(
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
    system_prompt: str | None = Field(
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

    @model_validator(mode="after")
    def one_source_of_the_question(self) -> "Question":
        given = [name for name in SOURCES if getattr(self, name) is not None]
        if len(given) != 1:
            found = " and ".join(given) if given else "none of them"
            raise ValueError(f"a batch needs exactly one of {', '.join(SOURCES)}; it has {found}")
        if self.messages is not None and self.system_prompt is not None:
            raise ValueError(
                "system_prompt is for prompt and messages_column; write it as a message of the role system"
            )
        if self.messages is not None and all(each.role in ("system", "developer") for each in self.messages):
            raise ValueError("messages: there is no question; add a message of the role user")
        return self

    @property
    def shown_question(self) -> str:
        """The question, for a report."""
        if self.messages is not None:
            return "\n\n".join(f"{each.role}: {each.content}" for each in self.messages)
        return self.prompt or f"the chat history in column {self.messages_column!r}"
