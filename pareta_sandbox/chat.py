"""Chat completions: read the request, answer it, bill it once, and send it whole or as a stream."""

import asyncio
import hashlib
import json
import time
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from pareta_sandbox import answerers, catalogue, money
from pareta_sandbox.call import JSON_TYPE, Call, Header
from pareta_sandbox.completion import Completion, chunk, chunk_head, chunked, rendered
from pareta_sandbox.endpoints import Endpoint
from pareta_sandbox.mischief import at_the_door
from pareta_sandbox.refusals import Refusal, too_long
from pareta_sandbox.replays import Replay, idempotency_key
from pareta_sandbox.roster import MODELS, Model
from pareta_sandbox.service import Service

LARGEST_BODY = 20 * 1024 * 1024
STREAM_HEADERS: list[Header] = [(b"content-type", b"text/event-stream; charset=utf-8"), (b"cache-control", b"no-cache")]


class Part(BaseModel):
    """A piece of a message's content; only text is read."""

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
    """What a stream carries beside the text."""

    include_usage: bool = False


class ChatRequest(BaseModel):
    """The fields of a request that change the answer; others pass through unread."""

    model_config = ConfigDict(extra="ignore")

    model: str = Field(min_length=1)
    messages: list[Message] = Field(min_length=1)
    stream: bool = False
    stream_options: StreamOptions | None = None
    n: int = Field(1, ge=1, le=8)
    max_tokens: int | None = Field(None, ge=1)
    max_completion_tokens: int | None = Field(None, ge=1)
    temperature: float | None = Field(None, ge=0, le=2)
    top_p: float | None = Field(None, ge=0, le=1)
    stop: str | list[str] | None = None

    def asked(self) -> tuple[str, str]:
        """Return the system text and the last user message."""
        system = "\n".join(m.text for m in self.messages if m.role in ("system", "developer"))
        user = next((m.text for m in reversed(self.messages) if m.role == "user"), self.messages[-1].text)
        return system, user

    @property
    def has_system(self) -> bool:
        """Tell whether the caller sent a system message."""
        return any(m.role in ("system", "developer") for m in self.messages)


class Chat:
    """The handler of `POST /v1/chat/completions`."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._replays = service.replays

    async def __call__(self, call: Call) -> None:
        """Answer one request."""
        books = self._service.books
        books.completions_seen += 1
        with books.in_flight:
            body = await call.body(LARGEST_BODY)
            request = parsed(body)
            key = idempotency_key(call.header(b"idempotency-key"))
            if self._service.faults:
                await self._door(call, request)
            with self._service.admitted:
                await self._answer(call, request, key, body)

    async def _door(self, call: Call, request: ChatRequest) -> None:
        struck = self._service.faults.strike("chat", request.model, self._service.admitted.now)
        await at_the_door(call, struck, self._service.draws)

    async def _answer(self, call: Call, request: ChatRequest, key: str | None, body: bytes) -> None:
        honoured = key if self._service.honours_keys else None
        claim = await self._replays.claim(honoured, fingerprint(body) if honoured else b"")
        if isinstance(claim, Replay):
            self._service.books.replayed(key or "", call.request_id)
            await self._deliver(call, request, claim.answer, billed=0)
            return
        try:
            endpoint, completion = self._complete(request)
            self._service.books.hold(completion.price)
        except BaseException:
            claim.abandon()
            raise
        held = completion.price
        try:
            if request.stream:
                await self._stream(call, request, completion)
            elif completion.latency_ms:
                await asyncio.sleep(completion.latency_ms / 1000)
            self._settle(call, endpoint, completion, key)
            claim.settle(completion)
        except BaseException:
            claim.abandon()
            raise
        finally:
            self._service.books.release(held)
        if request.stream:
            await self._end_stream(call, request, completion, completion.price)
        else:
            await self._deliver(call, request, completion, completion.price)

    def _complete(self, request: ChatRequest) -> tuple[Endpoint | None, Completion]:
        endpoint, task, model = self._serving(request)
        system, user = request.asked()
        if not request.has_system:
            system = catalogue.TASKS[task].system_prompt or ""
        prompt_tokens = sum(money.tokens(m.text) for m in request.messages)
        if not request.has_system and system:
            prompt_tokens += money.tokens(system)
        if not model.fits(prompt_tokens):
            raise too_long(prompt_tokens, model.context_k)
        text, finish = shortened(answerers.reply(task, model.level, system, user), request)
        completion_tokens = money.tokens(text) * request.n
        return endpoint, Completion(
            id=f"chatcmpl-{self._service.next_number():012x}",
            created=int(time.time()),
            model=request.model if endpoint else model.id,
            text=text,
            finish_reason=finish,
            prompt_tokens=prompt_tokens,
            completion_tokens=completion_tokens,
            price=model.rates.price(prompt_tokens, completion_tokens),
            baseline=catalogue.baseline_price(prompt_tokens, completion_tokens),
            latency_ms=self._service.latency_ms(model, completion_tokens),
        )

    def _serving(self, request: ChatRequest) -> tuple[Endpoint | None, str, Model]:
        if request.model == "auto" and self._service.settings.generation == 2:
            task = catalogue.routed("\n".join(request.asked()))
            return None, task, MODELS[catalogue.recommended(task)]
        endpoint = self._service.endpoints.get(request.model)
        if endpoint.state != "live":
            endpoint.failures += 1
            raise Refusal(503, f"endpoint '{endpoint.id}' is {endpoint.state}: start it and wait until it is live")
        return endpoint, endpoint.task.id, endpoint.model

    def _settle(self, call: Call, endpoint: Endpoint | None, done: Completion, key: str | None) -> None:
        books = self._service.books
        books.debit(done.price, "completion", endpoint.id if endpoint else "auto", key, call.request_id)
        books.completions += 1
        if endpoint is None:
            return
        endpoint.completions += 1
        endpoint.billed_micro_usd += done.price
        endpoint.baseline_micro_usd += done.baseline
        endpoint.latencies_ms.append(done.latency_ms)
        if self._service.faults and self._service.faults.stops(endpoint.id):
            self._service.endpoints.become(endpoint, "stopped")

    async def _deliver(self, call: Call, request: ChatRequest, done: Completion, billed: int) -> None:
        if request.stream:
            await self._stream(call, request, done)
            await self._end_stream(call, request, done, billed)
            return
        await call.reply(200, rendered(done, request.n), [JSON_TYPE, *self._receipt(done, billed)])

    def _receipt(self, done: Completion, billed: int) -> list[Header]:
        if self._service.settings.generation == 1:
            return []
        return [
            (b"x-pareta-billed", str(billed).encode()),
            (b"x-pareta-frontier-would-have-cost", str(done.baseline).encode()),
        ]

    async def _stream(self, call: Call, request: ChatRequest, done: Completion) -> None:
        pieces = chunked(done.text)
        # Half of the time passes before the first token, as with real models that read first.
        pause = done.latency_ms / 2000 / len(pieces) if done.latency_ms else 0
        await asyncio.sleep(done.latency_ms / 2000)
        await call.send({"type": "http.response.start", "status": 200, "headers": STREAM_HEADERS})
        await _event(call, [chunk(done, i, {"role": "assistant", "content": ""}) for i in range(request.n)])
        for piece in pieces:
            if pause:
                await asyncio.sleep(pause)
            await _event(call, [chunk(done, i, {"content": piece}) for i in range(request.n)])
        await _event(call, [chunk(done, i, {}, done.finish_reason) for i in range(request.n)])

    async def _end_stream(self, call: Call, request: ChatRequest, done: Completion, billed: int) -> None:
        lines = []
        if request.stream_options and request.stream_options.include_usage:
            last = {**chunk_head(done), "choices": [], "usage": done.usage()}
            lines.append(f"data: {json.dumps(last, ensure_ascii=False)}\n\n")
        if self._service.settings.generation == 2:
            lines.append(f": pareta-billed-micro-usd {billed}\n\n")
            lines.append(f": pareta-frontier-would-have-cost-micro-usd {done.baseline}\n\n")
        lines.append("data: [DONE]\n\n")
        await call.send({"type": "http.response.body", "body": "".join(lines).encode(), "more_body": False})


def parsed(body: bytes) -> ChatRequest:
    """Read a request body; refuses with 422 and a list of what is wrong."""
    try:
        return ChatRequest.model_validate_json(body)
    except ValidationError as wrong:
        details = wrong.errors(include_url=False, include_context=False, include_input=False)
        raise Refusal(422, [{**error, "loc": ["body", *error["loc"]]} for error in details]) from wrong


def fingerprint(body: bytes) -> bytes:
    """Return a hash of what a JSON body says, whatever its spacing and the order of its fields."""
    try:
        content = json.dumps(json.loads(body), sort_keys=True)
    except (ValueError, RecursionError):
        # Python's parser has limits that pydantic's has not, as on the digits of a number.
        return hashlib.blake2b(body, digest_size=16).digest()
    return hashlib.blake2b(content.encode(), digest_size=16).digest()


def shortened(text: str, request: ChatRequest) -> tuple[str, Literal["stop", "length"]]:
    """Cut an answer at its stop words and at the number of tokens allowed."""
    stops = [request.stop] if isinstance(request.stop, str) else request.stop or []
    for stop in filter(None, stops):
        text = text.partition(stop)[0]
    allowed = request.max_completion_tokens or request.max_tokens
    if allowed is not None and money.tokens(text) > allowed:
        return text[: allowed * 4], "length"
    return text, "stop"


async def _event(call: Call, chunks: list[dict[str, object]]) -> None:
    lines = "".join(f"data: {json.dumps(one, ensure_ascii=False)}\n\n" for one in chunks)
    await call.send({"type": "http.response.body", "body": lines.encode("utf-8", "replace"), "more_body": True})
