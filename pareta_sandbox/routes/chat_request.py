"""Body of a chat completion: its model, its validation and its fingerprint."""

import base64
import hashlib
import json
from functools import cached_property
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from pareta_sandbox.http.errors import invalid_body
from pareta_sandbox.models import media
from pareta_sandbox.models.replies import function_to_call
from pareta_sandbox.state import money

COMPLAINT = "JSON schema"
"""Text by which a message is recognized as a complaint about an answer."""


class ImageUrl(BaseModel):
    """An image: a data URL, or a URL that a real service downloads."""

    url: str = Field(min_length=1)


class InputAudio(BaseModel):
    """Audio in base64."""

    data: str = Field(min_length=1)
    format: Literal["wav", "mp3"]


class File(BaseModel):
    """A file as a data URL."""

    file_data: str = Field(min_length=1)
    filename: str | None = None


class Part(BaseModel):
    """A part of the content of a message. A part of a known type needs the field of that type."""

    type: str
    text: str | None = None
    image_url: ImageUrl | None = None
    input_audio: InputAudio | None = None
    file: File | None = None

    @model_validator(mode="after")
    def has_its_content(self) -> "Part":
        if self.type in ("image_url", "input_audio", "file") and getattr(self, self.type) is None:
            raise ValueError(f"a part of the type {self.type} needs the field {self.type}")
        self.medium  # noqa: B018 - refuses invalid content
        return self

    @cached_property
    def medium(self) -> media.Medium | None:
        """The image, PDF or audio as a model reads it; None for a text."""
        if self.type == "image_url" and self.image_url is not None:
            url = self.image_url.url
            if url.startswith(("http://", "https://")):
                return media.Medium("image", f"image at {url}", media.IMAGE_TOKENS)
            return _medium(url, "image")
        if self.type == "input_audio" and self.input_audio is not None:
            return _medium(f"data:,{self.input_audio.data}", "audio")
        if self.type == "file" and self.file is not None:
            return _medium(self.file.file_data, "pdf")
        return None

    @property
    def shown(self) -> str | None:
        """The text of the part as a model reads it."""
        return self.medium.text if self.medium else self.text


def _medium(url: str, kind: str) -> media.Medium:
    head, comma, encoded = url.partition(",")
    if not head.startswith("data:") or not comma:
        raise ValueError(f"the {kind} is no data URL and no http URL")
    try:
        content = base64.b64decode(encoded, validate=True)
    except ValueError:
        raise ValueError(f"the {kind} is no valid base64") from None
    found = media.read(content)
    if found is None or found.kind != kind:
        raise ValueError(f"the content is no {kind}, it is {found.kind if found else 'unknown'}")
    return found


class Message(BaseModel):
    """A message of the conversation."""

    role: Literal["system", "developer", "user", "assistant", "tool", "function"]
    content: str | list[Part] | None = None

    @property
    def text(self) -> str:
        """The text of the message, its parts joined."""
        if isinstance(self.content, list):
            return "\n".join(part.shown for part in self.content if part.shown)
        return self.content or ""

    @property
    def tokens(self) -> int:
        """The tokens of the message: those of its texts, and those of its images, PDFs and audio."""
        if not isinstance(self.content, list):
            return money.tokens(self.text)
        found = [part.medium for part in self.content]
        text = "\n".join(part.text for part in self.content if part.text and part.medium is None)
        return money.tokens(text) + sum(medium.tokens for medium in found if medium)


class Function(BaseModel):
    """A function that a model may call; `parameters` is a JSON schema."""

    model_config = ConfigDict(extra="allow")

    name: str = Field(min_length=1, max_length=64)
    parameters: dict[str, Any] | None = None


class Tool(BaseModel):
    """A tool of a request; only functions are called."""

    type: str
    function: Function | None = None

    @model_validator(mode="after")
    def has_its_function(self) -> "Tool":
        if self.type == "function" and self.function is None:
            raise ValueError("a tool of the type function needs the field function")
        return self


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
    response_format: dict[str, Any] | None = None
    tools: list[Tool] | None = Field(None, min_length=1, max_length=128)
    tool_choice: Literal["none", "auto", "required"] | dict[str, Any] | None = None
    logprobs: bool | None = None
    top_logprobs: int | None = Field(None, ge=0, le=20)
    reasoning_effort: str | None = None

    def conversation(self) -> tuple[str, str]:
        """Return the system text and the last user message."""
        system = "\n".join(m.text for m in self.messages if m.role in ("system", "developer"))
        asked = self.messages[:-2] if self.complains else self.messages
        while asked and self.complains and COMPLAINT in asked[-1].text:
            asked = asked[:-2]
        user = next((m.text for m in reversed(asked) if m.role == "user"), self.messages[-1].text)
        return system, user

    @property
    def complains(self) -> bool:
        """Whether the last message says that an answer does not fit the JSON schema of the request."""
        if self.answer_schema is None or len(self.messages) < 3 or self.messages[-2].role != "assistant":
            return False
        return self.messages[-1].role == "user" and COMPLAINT in self.messages[-1].text

    @property
    def answer_schema(self) -> object:
        """The JSON schema that the answer should have; None without one."""
        given = (self.response_format or {}).get("json_schema")
        return given.get("schema") if isinstance(given, dict) else None

    @property
    def called(self) -> dict[str, Any] | None:
        """The function that the model calls; None if it answers with text, as after the result of a call."""
        if not self.tools or self.messages[-1].role in ("tool", "function"):
            return None
        found = function_to_call([tool.model_dump() for tool in self.tools], self.tool_choice)
        return None if found is None else dict(found)

    @property
    def reasons(self) -> bool:
        """Whether the reply has reasoning besides the answer."""
        return self.reasoning_effort not in (None, "none")

    @property
    def allowed_tokens(self) -> int | None:
        """The maximum number of tokens of the reply, with its reasoning; None without one."""
        return self.max_completion_tokens or self.max_tokens

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


def truncate(text: str, request: ChatRequest, spent: int = 0) -> tuple[str, Literal["stop", "length"]]:
    """Truncate an answer at the stop sequences and at the maximum number of tokens, of which some are spent."""
    stops = [request.stop] if isinstance(request.stop, str) else request.stop or []
    for stop in filter(None, stops):
        text = text.partition(stop)[0]
    allowed = request.allowed_tokens
    if allowed is not None and money.tokens(text) > allowed - spent:
        return text[: max(0, allowed - spent) * 4], "length"
    return text, "stop"
