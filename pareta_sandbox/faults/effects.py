"""What a fault does to a request: at the door, before any work, and to the reply, after it."""

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
    SlowBody,
    Status,
    TruncatedJson,
)
from pareta_sandbox.faults.odd_replies import Reply, odd
from pareta_sandbox.http.errors import ClientGone, Refusal
from pareta_sandbox.http.exchange import HttpExchange, encoded

Tampering = Drop | Hang | TruncatedJson | OddReply | KeyEcho | SlowBody | CutStream

BAD_GATEWAY = b"<html>\r\n<head><title>Bad Gateway</title></head>\r\n<body><h1>Bad Gateway</h1></body>\r\n</html>\r\n"
PIECES = 10


async def apply_before(call: HttpExchange, faults: Sequence[Fault], draws: random.Random) -> None:
    """Do what the faults do before any work, and prepare what they do to the reply.

    Raises Refusal for an injected status and Gone when the connection is dropped or the reply was given.
    """
    for fault in faults:
        match fault:
            case Latency():
                await asyncio.sleep(draw_ms(fault.ms, fault.sigma, draws) / 1000)
            case Status():
                wait = retry_after(fault.retry_after_s, fault.retry_after)
                refusal = Refusal(fault.status, fault.detail, {"retry-after": wait} if wait else {})
                if fault.broken_off:
                    prepare(call, Drop(when="in_body"))
                raise refusal
            case KeyEcho(where="error"):
                raise Refusal(fault.status, f"Incorrect API key provided: {call.api_key}.")
            case Html():
                await call.reply(fault.status, BAD_GATEWAY, encoded({"content-type": "text/html"}))
                raise ClientGone
            case Drop(when="before"):
                await call.drop(fault.how)
            case Hang(when="before"):
                await hang(call, fault)
            case Drop() | Hang() | TruncatedJson() | OddReply() | KeyEcho() | SlowBody() | CutStream():
                prepare(call, fault)
            case _:
                pass  # faults of deploys and eval runs strike there


async def hang(call: HttpExchange, fault: Hang) -> None:
    """Say nothing for the fault's time, then drop the connection."""
    try:
        await asyncio.wait_for(call.hung_up(), fault.seconds)
    except TimeoutError:
        await call.drop()
    raise ClientGone


def prepare(call: HttpExchange, fault: Tampering) -> None:
    """Let the fault stand between the reply and the connection."""
    tampering = _Tampering(call, fault)

    def wrap(send: Send) -> Send:
        tampering.send = send
        return tampering

    call.intercept_send(wrap)


class _Tampering:
    """A `send` that spoils the reply on its way out."""

    def __init__(self, call: HttpExchange, fault: Tampering) -> None:
        self.send: Send
        self._call = call
        self._fault = fault
        self._bodies = 0
        self._start: Message | None = None

    async def __call__(self, message: Message) -> None:
        match self._fault, message["type"]:
            case Drop(when="after", how=how), _:
                await self._call.drop(how)
            case Hang() as fault, _:
                await hang(self._call, fault)
            case TruncatedJson() | OddReply() | KeyEcho(), "http.response.start":
                self._start = message  # its length is known with the body
            case TruncatedJson(), _:
                await self._half(message)
            case OddReply() as fault, _:
                await self._odd(message, fault)
            case KeyEcho() as fault, _:
                await self._with_key(message, fault)
            case Drop(how=how), "http.response.body":
                await self.send({**message, "body": message["body"][: len(message["body"]) // 2], "more_body": True})
                await self._flushed()
                await self._call.drop(how)
            case SlowBody(seconds=seconds), "http.response.body":
                await self._slowly(message, seconds)
            case CutStream() as cut, "http.response.body":
                await self._cut(message, cut)
            case _:
                await self.send(message)

    async def _half(self, message: Message) -> None:
        body = message.get("body", b"")
        await self._instead(message, body[: len(body) // 2])

    async def _odd(self, message: Message, fault: OddReply) -> None:
        if self._start is None or message.get("more_body"):
            await self._instead(message, message.get("body", b""))
            return
        correct = Reply(message["body"], self._start["status"], dict(self._start["headers"]))
        made = odd(fault.shape, correct) if fault.body is None else replace(correct, body=fault.body.encode())
        self._start.update(status=made.status, headers=list(made.headers.items()))
        await self._instead(message, made.body)

    async def _with_key(self, message: Message, fault: KeyEcho) -> None:
        key = (self._call.api_key or "").encode()
        body = message.get("body", b"")
        if fault.where == "answer":
            body = body.replace(b'"content": "', b'"content": "' + key + b" ")
        elif self._start is not None:
            told = [(b"x-told", key), (b"x-request-id", b"req_" + key)]
            kept = [header for header in self._start["headers"] if header[0] != b"x-request-id"]
            self._start["headers"] = kept + told
        await self._instead(message, body)

    async def _instead(self, message: Message, body: bytes) -> None:
        """Send another body, with its length where it is known."""
        if self._start is not None:
            kept = [(k, v) for k, v in self._start["headers"] if k != b"content-length"]
            length = [] if message.get("more_body") else [(b"content-length", str(len(body)).encode())]
            await self.send({**self._start, "headers": kept + length})
            self._start = None
        await self.send({**message, "body": body})

    async def _slowly(self, message: Message, seconds: float) -> None:
        body = message.get("body", b"")
        size = max(1, -(-len(body) // PIECES))
        pieces = [body[start : start + size] for start in range(0, len(body), size)] or [b""]
        for number, piece in enumerate(pieces, 1):
            # The pause comes first: with its last piece the body is whole, and the caller waits no longer.
            await asyncio.sleep(seconds / len(pieces))
            await self.send({**message, "body": piece, "more_body": message.get("more_body") or number < len(pieces)})

    async def _cut(self, message: Message, cut: CutStream) -> None:
        ending = not message.get("more_body")
        if ending if cut.when == "after" else self._bodies >= cut.after_chunks:
            await self._flushed()
            await self._call.drop()
        self._bodies += 1
        await self.send(message)

    async def _flushed(self) -> None:
        # Abandoning a connection throws away what is still in its buffer; let that leave first.
        for _ in range(3):
            await asyncio.sleep(0.005)
