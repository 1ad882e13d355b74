"""Body of a chat completion: its model, its validation and its fingerprint."""

import hashlib
import json
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from pareta_sandbox.http.errors import invalid_body
from pareta_sandbox.state import money


class Part(BaseModel):
    """A part of the content of a message; only text is used."""

    type: str
    text: str | None = None


class Message(BaseModel):
    """A message of the conversation."""

    role: Literal["system", "developer", "user", "assistant", "tool", "function"]
    content: str | list[Part] | None = None

    @property
    def text(self) -> str:
        """The text of the message, its parts joined."""
        if isinstance(self.content, list):
            return "\n".join(part.text for part in self.content if part.text)
        return self.content or ""


class StreamOptions(BaseModel):
    """Options of a stream."""

    include_usage: bool = False


class ChatRequest(BaseModel):
    """Fields of a request that affect the answer; other fields are ignored."""

    model_config = ConfigDict(extra="ignore")

    model: str = Field(min_length=1, examples=["ep_seed_tickets", "auto"])
    messages: list[Message] = Field(min_length=1)
    stream: bool = False
    stream_options: StreamOptions | None = None
    n: int = Field(1, ge=1, le=128)
    max_tokens: int | None = Field(None, ge=1)
    max_completion_tokens: int | None = Field(None, ge=1)
    temperature: float | None = Field(None, ge=0, le=2)
    top_p: float | None = Field(None, ge=0, le=1)
    stop: str | list[str] | None = None

    def conversation(self) -> tuple[str, str]:
        """Return the system text and the last user message."""
        system = "\n".join(m.text for m in self.messages if m.role in ("system", "developer"))
        user = next((m.text for m in reversed(self.messages) if m.role == "user"), self.messages[-1].text)
        return system, user

    @property
    def has_system(self) -> bool:
        """Whether the client sent a system message."""
        return any(m.role in ("system", "developer") for m in self.messages)


def parse_request(body: bytes) -> ChatRequest:
    """Parse a request body; refuse it with 422 and a list of validation errors."""
    try:
        return ChatRequest.model_validate_json(body)
    except ValidationError as error:
        raise invalid_body(error) from error


def fingerprint(body: bytes) -> bytes:
    """Return a hash of a JSON body that does not depend on white space or the order of fields."""
    try:
        content = json.dumps(json.loads(body), sort_keys=True)
    except (ValueError, RecursionError):
        # Python's parser has limits that pydantic's lacks, for example on the digits of a number.
        return hashlib.blake2b(body, digest_size=16).digest()
    return hashlib.blake2b(content.encode(), digest_size=16).digest()


def truncate(text: str, request: ChatRequest) -> tuple[str, Literal["stop", "length"]]:
    """Truncate an answer at the stop sequences and at the maximum number of tokens."""
    stops = [request.stop] if isinstance(request.stop, str) else request.stop or []
    for stop in filter(None, stops):
        text = text.partition(stop)[0]
    allowed = request.max_completion_tokens or request.max_tokens
    if allowed is not None and money.tokens(text) > allowed:
        return text[: allowed * 4], "length"
    return text, "stop"
