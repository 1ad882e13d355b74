"""Chat completions: read the request, have it answered, bill it once, and send it whole or as a stream."""

from contextlib import aclosing, nullcontext
from typing import TYPE_CHECKING

from pareta_sandbox.faults.effects import apply_before
from pareta_sandbox.faults.kinds import Status
from pareta_sandbox.http.exchange import JSON_TYPE, Header, HttpExchange
from pareta_sandbox.http.idempotency import Replay, idempotency_key
from pareta_sandbox.routes.chat_request import ChatRequest, fingerprint, parsed
from pareta_sandbox.service import Service
from pareta_sandbox.state.completion import Choices, Completion, Head, chunk, pieces, rendered
from pareta_sandbox.state.endpoints import Endpoint
from pareta_sandbox.state.work import Local, Plan, Work, plan

LARGEST_BODY = 20 * 1024 * 1024
STREAM_HEADERS: list[Header] = [(b"content-type", b"text/event-stream; charset=utf-8"), (b"cache-control", b"no-cache")]

if TYPE_CHECKING:
    from pareta_sandbox.state.upstream import Upstream


class Chat:
    """The handler of `POST /v1/chat/completions`."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._replays = service.replays
        self._upstream = connected(service) if service.settings.upstream else None

    async def __call__(self, call: HttpExchange) -> None:
        """Answer one request."""
        books = self._service.books
        books.completions_seen += 1
        with books.in_flight:
            body = await call.body(LARGEST_BODY)
            request = parsed(body)
            key = idempotency_key(call.header(b"idempotency-key"))
            service = self._service
            active_faults = (
                service.faults.strike("chat", service.endpoints.id_of(request.model), service.admitted.now)
                if service.faults
                else ()
            )
            refused = any(isinstance(fault, Status) for fault in active_faults)
            # Who is only made to wait at the door has a place already.
            with nullcontext() if refused else service.admitted:
                await apply_before(call, active_faults, service.draws)
                await self._answer(call, request, key, body)

    async def _answer(self, call: HttpExchange, request: ChatRequest, key: str | None, body: bytes) -> None:
        honoured = key if self._service.honours_keys else None
        claim = await self._replays.claim(honoured, fingerprint(body) if honoured else b"")
        if isinstance(claim, Replay):
            self._service.books.replayed(key or "", call.request_id)
            await self._replay(call, request, claim.answer)
            return
        try:
            done = await self._new(call, request, key, body)
        except BaseException:
            claim.abandon()
            raise
        claim.settle(done)
        if request.stream:
            await self._end_stream(call, request, done, done.price)
        else:
            await self._whole(call, request, done, done.price)

    async def _new(self, call: HttpExchange, request: ChatRequest, key: str | None, body: bytes) -> Completion:
        planned = await plan(request, self._service)
        work = self._work(planned, body)
        self._service.books.hold(work.most)
        try:
            done = await self._stream(call, work) if request.stream else await work.whole()
            self._debit(call, planned.endpoint, done, key)
        finally:
            self._service.books.release(work.most)
        return done

    def _work(self, planned: Plan, body: bytes) -> Work:
        if self._upstream is None:
            return Local(planned, self._service)
        return self._upstream.work(planned, body)

    def _debit(self, call: HttpExchange, endpoint: Endpoint | None, done: Completion, key: str | None) -> None:
        books = self._service.books
        books.debit(done.price, "completion", endpoint.id if endpoint else "auto", key, call.request_id)
        books.completions += 1
        if endpoint is None:
            return
        endpoint.completions += 1
        endpoint.billed_micro_usd += done.price
        endpoint.baseline_micro_usd += done.baseline
        endpoint.latencies_ms.append(done.latency_ms)
        # What was in flight when it stopped is still answered, and counts for no further stop.
        if self._service.faults and endpoint.state == "live" and self._service.faults.stops(endpoint.id):
            self._service.endpoints.become(endpoint, "stopped")

    async def _replay(self, call: HttpExchange, request: ChatRequest, done: Completion) -> None:
        if not request.stream:
            await self._whole(call, request, done, billed=0)
            return
        for choices in pieces(done.text, done.finish_reason, request.n):
            await _send_chunk(call, done.head, choices)
        await self._end_stream(call, request, done, billed=0)

    async def _whole(self, call: HttpExchange, request: ChatRequest, done: Completion, billed: int) -> None:
        headers = [JSON_TYPE]
        if self._service.settings.generation == 2:
            headers.append((b"x-pareta-billed", str(billed).encode()))
            headers.append((b"x-pareta-frontier-would-have-cost", str(done.baseline).encode()))
        await call.reply(200, rendered(done, request.n), headers)

    async def _stream(self, call: HttpExchange, work: Work) -> Completion:
        # Closed at once when the connection is dropped, so that an upstream does not go on for nobody.
        async with aclosing(work.stream()) as making:
            async for made in making:
                if isinstance(made, Completion):
                    return made
                await _send_chunk(call, work.head, made)
        raise RuntimeError("a stream ended without its completion")

    async def _end_stream(self, call: HttpExchange, request: ChatRequest, done: Completion, billed: int) -> None:
        lines = []
        if request.stream_options and request.stream_options.include_usage:
            lines.append(chunk(done.head, [], done.usage()))
        if self._service.settings.generation == 2:
            lines.append(f": pareta-billed-micro-usd {billed}\n\n".encode())
            lines.append(f": pareta-frontier-would-have-cost-micro-usd {done.baseline}\n\n".encode())
        lines.append(b"data: [DONE]\n\n")
        await call.send({"type": "http.response.body", "body": b"".join(lines), "more_body": False})


def connected(service: Service) -> "Upstream":
    """Return the upstream that was chosen; it is closed with the service."""
    # Imported only now: httpx would take a third of the time a sandbox takes to start.
    from pareta_sandbox.state.upstream import Upstream

    chosen = service.settings
    upstream = Upstream(chosen.upstream or "", chosen.upstream_model, chosen.upstream_key)
    service.at_the_end(upstream.close)
    return upstream


async def _send_chunk(call: HttpExchange, head: Head, choices: Choices) -> None:
    if not call.started:
        # Only now: what goes wrong before the first piece is an error status, not a broken stream.
        await call.send({"type": "http.response.start", "status": 200, "headers": STREAM_HEADERS})
    await call.send({"type": "http.response.body", "body": chunk(head, choices), "more_body": True})
