"""Effects of faults on a request: before any work, and on the reply after the work."""

import asyncio
import random
from collections.abc import Sequence
from dataclasses import replace

from starlette.types import Message, Send

from pareta_sandbox.faults.injection import draw_ms, retry_after
from pareta_sandbox.faults.kinds import (
    CutStream,
    Drop,
    Fault,
    Hang,
    Html,
    KeyEcho,
    Latency,
    OddReply,
    ReplyHeaders,
    SlowBody,
    Status,
    TruncatedJson,
)
from pareta_sandbox.faults.odd_replies import Reply, odd
from pareta_sandbox.http.errors import ClientGone, Refusal
from pareta_sandbox.http.exchange import HttpExchange, encode_headers

Tampering = ReplyHeaders | Drop | Hang | TruncatedJson | OddReply | KeyEcho | SlowBody | CutStream

BAD_GATEWAY = b"<html>\r\n<head><title>Bad Gateway</title></head>\r\n<body><h1>Bad Gateway</h1></body>\r\n</html>\r\n"
PIECES = 10


async def apply_before(exchange: HttpExchange, faults: Sequence[Fault], draws: random.Random) -> None:
    """Apply the faults that act before any work, and install those that change the reply.

    Raises:
        Refusal: a fault injects an error status.
        ClientGone: the connection is dropped, or a fault has already sent the reply.
    """
    for fault in faults:
        match fault:
            case Latency():
                await asyncio.sleep(draw_ms(fault.ms, fault.sigma, draws) / 1000)
            case Status():
                wait = retry_after(fault.retry_after_s, fault.retry_after)
                refusal = Refusal(fault.status, fault.detail, {"retry-after": wait} if wait else {})
                if fault.broken_off:
                    prepare(exchange, Drop(when="in_body"))
                raise refusal
            case KeyEcho(where="error"):
                raise Refusal(fault.status, f"Incorrect API key provided: {exchange.api_key}.")
            case Html():
                await exchange.reply(fault.status, BAD_GATEWAY, encode_headers({"content-type": "text/html"}))
                raise ClientGone
            case Drop(when="before"):
                await exchange.drop(fault.how)
            case Hang(when="before"):
                await hang(exchange, fault)
            case ReplyHeaders() | Drop() | Hang() | TruncatedJson() | OddReply() | KeyEcho() | SlowBody() | CutStream():
                prepare(exchange, fault)
            case _:
                pass  # faults of deploys and eval runs apply there


async def hang(exchange: HttpExchange, fault: Hang) -> None:
    """Keep the client waiting for the duration of the fault, then drop the connection."""
    try:
        await asyncio.wait_for(exchange.wait_for_disconnect(), fault.seconds)
    except TimeoutError:
        await exchange.drop()
    raise ClientGone


def prepare(exchange: HttpExchange, fault: Tampering) -> None:
    """Install a fault that changes the reply on its way to the connection."""
    tampering = _Tampering(exchange, fault)

    def wrap(send: Send) -> Send:
        tampering.send = send
        return tampering

    exchange.intercept_send(wrap)


class _Tampering:
    """An ASGI `send` that damages the reply."""

    def __init__(self, exchange: HttpExchange, fault: Tampering) -> None:
        self.send: Send
        self._exchange = exchange
        self._fault = fault
        self._bodies = 0
        self._start: Message | None = None

    async def __call__(self, message: Message) -> None:
        match self._fault, message["type"]:
            case ReplyHeaders(headers=added), "http.response.start":
                await self.send({**message, "headers": [*message["headers"], *encode_headers(added)]})
            case Drop(when="after", how=how), _:
                await self._exchange.drop(how)
            case Hang() as fault, _:
                await hang(self._exchange, fault)
            case TruncatedJson() | OddReply() | KeyEcho(), "http.response.start":
                self._start = message  # sent with the body, which decides the content length
            case TruncatedJson(), _:
                await self._send_half(message)
            case OddReply() as fault, _:
                await self._send_odd(message, fault)
            case KeyEcho() as fault, _:
                await self._send_with_key(message, fault)
            case Drop(how=how), "http.response.body":
                await self.send({**message, "body": message["body"][: len(message["body"]) // 2], "more_body": True})
                await self._wait_until_sent()
                await self._exchange.drop(how)
            case SlowBody(seconds=seconds), "http.response.body":
                await self._send_slowly(message, seconds)
            case CutStream() as cut, "http.response.body":
                await self._send_or_cut(message, cut)
            case _:
                await self.send(message)

    async def _send_half(self, message: Message) -> None:
        body = message.get("body", b"")
        await self._send_body(message, body[: len(body) // 2])

    async def _send_odd(self, message: Message, fault: OddReply) -> None:
        if self._start is None or message.get("more_body"):
            await self._send_body(message, message.get("body", b""))
            return
        correct = Reply(message["body"], self._start["status"], dict(self._start["headers"]))
        changed = odd(fault.shape, correct) if fault.body is None else replace(correct, body=fault.body.encode())
        self._start.update(status=changed.status, headers=list(changed.headers.items()))
        await self._send_body(message, changed.body)

    async def _send_with_key(self, message: Message, fault: KeyEcho) -> None:
        key = (self._exchange.api_key or "").encode()
        body = message.get("body", b"")
        if fault.where == "answer":
            body = body.replace(b'"content": "', b'"content": "' + key + b" ")
        elif self._start is not None:
            echoed = [(b"x-told", key), (b"x-request-id", b"req_" + key)]
            kept = [header for header in self._start["headers"] if header[0] != b"x-request-id"]
            self._start["headers"] = kept + echoed
        await self._send_body(message, body)

    async def _send_body(self, message: Message, body: bytes) -> None:
        """Send the changed body, with a content length if the body is complete."""
        if self._start is not None:
            kept = [(k, v) for k, v in self._start["headers"] if k != b"content-length"]
            length = [] if message.get("more_body") else [(b"content-length", str(len(body)).encode())]
            await self.send({**self._start, "headers": kept + length})
            self._start = None
        await self.send({**message, "body": body})

    async def _send_slowly(self, message: Message, seconds: float) -> None:
        body = message.get("body", b"")
        size = max(1, -(-len(body) // PIECES))
        pieces = [body[start : start + size] for start in range(0, len(body), size)] or [b""]
        for number, piece in enumerate(pieces, 1):
            # Pause before each piece: the client stops waiting once it has the last one.
            await asyncio.sleep(seconds / len(pieces))
            await self.send({**message, "body": piece, "more_body": message.get("more_body") or number < len(pieces)})

    async def _send_or_cut(self, message: Message, cut: CutStream) -> None:
        ending = not message.get("more_body")
        if ending if cut.when == "after" else self._bodies >= cut.after_chunks:
            await self._wait_until_sent()
            await self._exchange.drop()
        self._bodies += 1
        await self.send(message)

    async def _wait_until_sent(self) -> None:
        # Aborting a connection discards its send buffer: wait until the buffer is sent.
        for _ in range(3):
            await asyncio.sleep(0.005)
