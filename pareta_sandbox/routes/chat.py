"""Route of chat completions: parse, answer, bill once, and send the answer complete or as a stream."""

from contextlib import aclosing, nullcontext
from functools import partial
from typing import TYPE_CHECKING

from pareta_sandbox.faults.effects import apply_before
from pareta_sandbox.faults.kinds import Status
from pareta_sandbox.http.exchange import JSON_TYPE, Header, HttpExchange, read_body
from pareta_sandbox.http.idempotency import idempotency_key
from pareta_sandbox.routes.chat_request import ChatRequest, fingerprint, parse_request
from pareta_sandbox.service import Service
from pareta_sandbox.state.completion import Choices, Completion, Head, chunk, pieces, serialized
from pareta_sandbox.state.endpoints import Endpoint
from pareta_sandbox.state.work import CompletionPlan, Local, plan

MAX_BODY_BYTES = 64 * 1024 * 1024
STREAM_HEADERS: list[Header] = [(b"content-type", b"text/event-stream; charset=utf-8"), (b"cache-control", b"no-cache")]

if TYPE_CHECKING:
    from pareta_sandbox.state.upstream import Forwarded, Upstream

    Work = Local | Forwarded


class Chat:
    """Handler of `POST /v1/chat/completions`."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._replays = service.replays
        self._upstream = open_upstream(service) if service.settings.upstream else None

    async def __call__(self, exchange: HttpExchange) -> None:
        """Answer one request."""
        books = self._service.books
        books.completions_seen += 1
        with books.in_flight:
            body = await read_body(exchange.receive, MAX_BODY_BYTES)
            request = parse_request(body)
            key = idempotency_key(exchange.header(b"idempotency-key"))
            service = self._service
            faults = (
                service.faults.select("chat", service.endpoints.id_of(request.model), service.admitted.now)
                if service.faults
                else ()
            )
            refused = any(isinstance(fault, Status) for fault in faults)
            # A delayed request already counts as admitted; a refused one does not.
            with nullcontext() if refused else service.admitted:
                await apply_before(exchange, faults, service.draws)
                await self._answer(exchange, request, key, body)

    async def _answer(self, exchange: HttpExchange, request: ChatRequest, key: str | None, body: bytes) -> None:
        honoured = key if self._service.honours_keys else None
        work = partial(self._new, exchange, request, key, body)
        done, is_replay = await self._replays.once(honoured, fingerprint(body) if honoured else b"", work)
        if is_replay:
            self._service.books.record_replay(key or "", exchange.request_id)
        if is_replay and request.stream:
            for choices in pieces(done, request.n):
                await _send_chunk(exchange, done.head, choices)
        send = self._end_stream if request.stream else self._whole
        await send(exchange, request, done, 0 if is_replay else done.price)

    async def _new(self, exchange: HttpExchange, request: ChatRequest, key: str | None, body: bytes) -> Completion:
        planned = await plan(request, self._service)
        work = self._work(planned, body)
        self._service.books.hold(work.max_price)
        try:
            done = await self._stream(exchange, work) if request.stream else await work.whole()
            self._debit(exchange, planned.endpoint, done, key)
        finally:
            self._service.books.release(work.max_price)
        return done

    def _work(self, planned: CompletionPlan, body: bytes) -> "Work":
        if self._upstream is None:
            return Local(planned, self._service)
        return self._upstream.work(planned, body)

    def _debit(self, exchange: HttpExchange, endpoint: Endpoint | None, done: Completion, key: str | None) -> None:
        books = self._service.books
        books.debit(done.price, "completion", endpoint.id if endpoint else "auto", key, exchange.request_id)
        books.completions += 1
        self._service.faults.count_tokens(done.prompt_tokens + done.completion_tokens)
        if endpoint is None:
            return
        endpoint.completions += 1
        endpoint.billed_micro_usd += done.price
        endpoint.baseline_micro_usd += done.baseline
        endpoint.latencies_ms.append(done.latency_ms)
        # Requests in flight at the stop are still answered, and cause no further stop.
        if self._service.faults and endpoint.state == "live" and self._service.faults.stops(endpoint.id):
            self._service.endpoints.become(endpoint, "stopped")

    async def _whole(self, exchange: HttpExchange, request: ChatRequest, done: Completion, billed: int) -> None:
        headers = [JSON_TYPE]
        if self._service.settings.generation == 2:
            headers.append((b"x-pareta-billed", str(billed).encode()))
            headers.append((b"x-pareta-frontier-would-have-cost", str(done.baseline).encode()))
        await exchange.reply(200, serialized(done, request.n), headers)

    async def _stream(self, exchange: HttpExchange, work: "Work") -> Completion:
        # Closed at once if the connection is dropped, so that the upstream stops generating.
        async with aclosing(work.stream()) as parts:
            async for part in parts:
                if isinstance(part, Completion):
                    return part
                await _send_chunk(exchange, work.head, part)
        raise RuntimeError("a stream ended without its completion")

    async def _end_stream(self, exchange: HttpExchange, request: ChatRequest, done: Completion, billed: int) -> None:
        lines = []
        if request.stream_options and request.stream_options.include_usage:
            lines.append(chunk(done.head, [], done.usage()))
        if self._service.settings.generation == 2:
            lines.append(f": pareta-billed-micro-usd {billed}\n\n".encode())
            lines.append(f": pareta-frontier-would-have-cost-micro-usd {done.baseline}\n\n".encode())
        lines.append(b"data: [DONE]\n\n")
        await exchange.send({"type": "http.response.body", "body": b"".join(lines), "more_body": False})


def open_upstream(service: Service) -> "Upstream":
    """Open the configured upstream, which is closed with the service."""
    # Imported late: the import of httpx would take a third of the start time of the sandbox.
    from pareta_sandbox.state.upstream import Upstream

    chosen = service.settings
    upstream = Upstream(chosen.upstream or "", chosen.upstream_model, chosen.upstream_key)
    service.on_stop(upstream.close)
    return upstream


async def _send_chunk(exchange: HttpExchange, head: Head, choices: Choices) -> None:
    if not exchange.started:
        # Sent with the first chunk: an earlier failure is then an error status, not a broken stream.
        await exchange.send({"type": "http.response.start", "status": 200, "headers": STREAM_HEADERS})
    await exchange.send({"type": "http.response.body", "body": chunk(head, choices), "more_body": True})
