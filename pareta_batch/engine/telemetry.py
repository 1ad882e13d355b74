"""OpenTelemetry spans and metrics of a session: one span per run, shard and call.

Names and attributes follow the semantic conventions for GenAI clients. A program without OpenTelemetry never imports
this module. No message, answer or error text is recorded, unless `CAPTURE` is true in the environment.
"""

import json
import logging
import os
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import httpx
from opentelemetry import context, trace
from opentelemetry.context import _SUPPRESS_HTTP_INSTRUMENTATION_KEY  # the key of all HTTP instrumentations
from opentelemetry.trace import INVALID_SPAN, Span, SpanKind, Status, StatusCode

from pareta_batch.engine.instruments import Instruments, attributes_of
from pareta_batch.engine.row_state import RowState
from pareta_batch.engine.stop import StopSignal
from pareta_batch.rows import Message
from pareta_batch.run_context import run_fields
from pareta_batch.spec import Batch
from pareta_client import ChatCompletion, ParetaError, Verdict, verdict_of

CAPTURE = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"
REFUSALS = (Verdict.RATE_LIMIT, Verdict.NOT_READY, Verdict.OUT_OF_CREDIT)
REQUEST_FIELDS = ("max_tokens", "temperature", "top_p", "frequency_penalty", "presence_penalty", "seed")
"""Sampling fields with the same name under `gen_ai.request`."""

log = logging.getLogger(__name__)

Attributes = dict[str, Any]  # values of OpenTelemetry attributes
Calling = Awaitable[ChatCompletion]


class SessionTelemetry:
    """Spans and metrics of one session.

    Args:
        batch: The batch of the session.
        base_url: Address of the service.
        spent_micro_usd: Receipts of earlier runs; None for a member of a run, which does not know them.
        budget_left: Returns the remaining budget in micro-USD; None without a budget.
    """

    def __init__(
        self, batch: Batch, base_url: str, spent_micro_usd: int | None, budget_left: Callable[[], int | None]
    ) -> None:
        url = httpx.URL(base_url)
        port = url.port or (443 if url.scheme == "https" else 80)
        self._gen_ai: Attributes = {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": "pareta",
            "gen_ai.request.model": batch.model,
            "server.address": url.host,
            "server.port": port,
        }
        self._own: Attributes = attributes_of(batch)
        self._batch = batch
        self._sampling = batch.request_fields()
        self._billed = spent_micro_usd or 0
        self._knows_total = spent_micro_usd is not None
        self._budget_left = budget_left
        self._tracer = trace.get_tracer("pareta_batch")
        self._instruments = Instruments()
        self._captures = os.environ.get(CAPTURE, "").strip().lower() == "true"
        self._run = context.get_current()
        self._totals = {"pareta.calls": 0, "gen_ai.usage.input_tokens": 0, "gen_ai.usage.output_tokens": 0}

    @contextmanager
    def run(self, stop: StopSignal) -> Iterator[None]:
        """Trace the run while the body runs; a stop is its error."""
        known = {f"pareta.{name}": value for name, value in run_fields.get().items()}
        before = self._billed
        span = self._start_span(f"batch {self._batch.name}", attributes={**known, **self._own})
        self._run = trace.set_span_in_context(span)
        with harmless():
            self._set_gauges()
        try:
            yield
        finally:
            with harmless():
                span.set_attributes({**self._totals, "pareta.spend_micro_usd": self._billed - before})
                if stop.reason is not None:
                    _set_error(span, stop.reason.reason)
                span.end()
                self._set_gauges()

    @contextmanager
    def shard(self, number: int) -> Iterator[None]:
        """Trace a shard while the body runs; its calls are children of the span."""
        span = self._start_span(f"shard {number}", context=self._run, attributes={**self._own, "pareta.shard": number})
        try:
            with trace.use_span(span, record_exception=False, set_status_on_exception=False):
                yield
        except BaseException as error:
            _set_error(span, getattr(error, "reason", None) or type(error).__name__)
            raise
        finally:
            span.end()

    async def call(self, row: RowState, messages: Sequence[Message], calling: Calling) -> ChatCompletion:
        """Await a call and return its completion, traced and measured; its errors pass through."""
        span, began = self._start_call(row), time.perf_counter()
        ended: ChatCompletion | BaseException | None = None
        token = context.attach(
            context.set_value(_SUPPRESS_HTTP_INSTRUMENTATION_KEY, True, trace.set_span_in_context(span))
        )
        try:
            ended = completion = await calling
        except BaseException as error:
            ended = error
            raise
        else:
            return completion
        finally:
            context.detach(token)
            with harmless():
                self._end_call(span, row, messages, ended, time.perf_counter() - began)

    def _start_call(self, row: RowState) -> Span:
        sampling = self._sampling if row.asked.sampling is None else row.asked.sampling
        asked = {f"gen_ai.request.{name}": sampling[name] for name in REQUEST_FIELDS if sampling.get(name) is not None}
        attempt = {"pareta.attempt": row.attempts, "pareta.resent": row.in_doubt}
        with harmless():
            self._instruments.in_flight.add(1, self._own)
        named = {**self._gen_ai, **self._own, **asked, **attempt}
        return self._start_span(f"chat {self._batch.model}", kind=SpanKind.CLIENT, attributes=named)

    def _start_span(self, name: str, **options: Any) -> Span:  # those of Tracer.start_span
        span: Span = INVALID_SPAN
        with harmless():
            span = self._tracer.start_span(name, **options)
        return span  # noqa: RET504 - the assignment can fail

    def _end_call(
        self,
        span: Span,
        row: RowState,
        messages: Sequence[Message],
        ended: ChatCompletion | BaseException | None,
        seconds: float,
    ) -> None:
        try:
            self._instruments.in_flight.add(-1, self._own)
            self._totals["pareta.calls"] += 1
            if isinstance(ended, ChatCompletion):
                self._answered(span, ended, seconds)
                if row.in_doubt and ended.billed_micro_usd == 0:
                    span.set_attribute("pareta.replayed", True)
            else:
                self._failed(span, ended, seconds)
            if self._captures:
                span.set_attributes({"pareta.row": row.request.key, **_content(messages, ended)})
            self._set_gauges()
        finally:
            span.end()

    def _answered(self, span: Span, completion: ChatCompletion, seconds: float) -> None:
        usage = completion.usage
        named = {**self._gen_ai, "gen_ai.response.model": str(completion.model or self._batch.model)}
        self._instruments.duration.record(seconds, named)
        for kind, tokens in (("input", usage.prompt_tokens), ("output", usage.completion_tokens)):
            if tokens is not None:
                self._instruments.tokens.record(tokens, {**named, "gen_ai.token.type": kind})
                self._totals[f"gen_ai.usage.{kind}_tokens"] += tokens
                span.set_attribute(f"gen_ai.usage.{kind}_tokens", tokens)
        span.set_attribute("gen_ai.response.model", named["gen_ai.response.model"])
        reasons = [str(choice.finish_reason) for choice in completion.choices if choice.finish_reason]
        span.set_attribute("gen_ai.response.finish_reasons", reasons)
        self._paid(span, completion.billed_micro_usd, completion.request_id)

    def _failed(self, span: Span, error: BaseException | None, seconds: float) -> None:
        name = type(error).__name__
        self._instruments.duration.record(seconds, {**self._gen_ai, "error.type": name})
        _set_error(span, name)
        if isinstance(error, ParetaError):
            if verdict_of(error) in REFUSALS:
                self._instruments.refusals.add(1, {**self._own, "error.type": name})
            if (status := getattr(error, "status_code", None)) is not None:
                span.set_attribute("http.response.status_code", status)
            self._paid(span, error.billed_micro_usd, getattr(error, "request_id", None))

    def _paid(self, span: Span, billed: int | None, request_id: str | None) -> None:
        if request_id is not None:
            span.set_attribute("pareta.request_id", request_id)
        if billed is not None:
            span.set_attribute("pareta.billed_micro_usd", billed)
            self._instruments.spend.add(billed, self._own)
            self._billed += billed

    def _set_gauges(self) -> None:
        # The parent of members sets those of its run: a member knows its own part.
        if self._knows_total:
            self._instruments.set_money(self._batch, self._billed, self._budget_left())


def _set_error(span: Span, name: str) -> None:
    # Without a description: messages of the service can repeat the prompt.
    span.set_attribute("error.type", name)
    span.set_status(Status(StatusCode.ERROR))


def _content(messages: Sequence[Message], ended: ChatCompletion | BaseException | None) -> Mapping[str, str]:
    """Return the messages and the answers as the JSON texts of the conventions."""
    asked = [{"role": each["role"], "parts": _parts(each.get("content"))} for each in messages]
    content = {"gen_ai.input.messages": json.dumps(asked, ensure_ascii=False)}
    if isinstance(ended, ChatCompletion):
        answers = [
            {
                "role": "assistant",
                "parts": _parts(choice.message.content),
                "finish_reason": choice.finish_reason or "unknown",
            }
            for choice in ended.choices
        ]
        content["gen_ai.output.messages"] = json.dumps(answers, ensure_ascii=False)
    return content


def _parts(content: Any) -> list[Any]:  # JSON: a text, or parts of a message
    if content is None:
        return []
    return [{"type": "text", "content": content}] if isinstance(content, str) else list(content)


@contextmanager
def harmless() -> Iterator[None]:
    """Log an exception of the body: a paid answer must not be lost because it cannot be measured."""
    try:
        yield
    except Exception:
        log.warning("a call is not measured", exc_info=True)
