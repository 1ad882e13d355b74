"""A loopback service with minimal CPU cost: `python service.py SERVICE_MS`; prints its port.

A POST is answered after SERVICE_MS with the same completion of about 1.2 kB, or with a stream of 50 chunks, 5 ms apart.
GET /counters returns the number of opened connections. GET /times returns the times (monotonic clock) of the first
request and the last answer, and the number of requests. GET /in-flight returns the completions in flight, and their
maximum. Each resets its counters.
"""

import asyncio
import json
import sys
import time

COMPLETION = json.dumps(
    {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": "ep_1",
        "choices": [
            {"index": 0, "message": {"role": "assistant", "content": "x" * 1_000}, "finish_reason": "stop"},
        ],
        "usage": {"prompt_tokens": 250, "completion_tokens": 250, "total_tokens": 500},
    }
).encode()
CHUNK = b'data: {"id":"c","choices":[{"index":0,"delta":{"content":"word "}}]}\n\n'
CHUNKS, CHUNK_SECONDS = 50, 0.005


def head(kind: bytes, length: int | None) -> bytes:
    body = b"transfer-encoding: chunked" if length is None else b"content-length: %d" % length
    return b"HTTP/1.1 200 OK\r\ncontent-type: %s\r\nx-request-id: req_1\r\n%s\r\n\r\n" % (kind, body)


ANSWER = head(b"application/json", len(COMPLETION)) + COMPLETION


def chunked(content: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(content), content)


class Connection(asyncio.Protocol):
    """A connection; its requests are answered in order."""

    opened = 0
    service_seconds = 0.0
    requests = 0
    first_at = last_at = 0.0
    in_flight = highest = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.received = b""
        Connection.opened += 1

    def data_received(self, data: bytes) -> None:
        self.received += data
        while (ends := self.received.find(b"\r\n\r\n")) >= 0:
            top = self.received[:ends].lower()
            at = top.find(b"content-length:")
            length = int(top[at + 15 :].split(b"\r\n", 1)[0]) if at >= 0 else 0
            if len(self.received) < ends + 4 + length:
                return
            body = self.received[ends + 4 : ends + 4 + length]
            self.received = self.received[ends + 4 + length :]
            self.answer(top, body)

    def answer(self, top: bytes, body: bytes) -> None:
        loop = asyncio.get_running_loop()
        if top.startswith(b"get /counters"):
            content = b"%d" % (Connection.opened - 1)
            Connection.opened = 0
            self.send(head(b"text/plain", len(content)) + content)
        elif top.startswith(b"get /times"):
            content = json.dumps([Connection.first_at, Connection.last_at, Connection.requests]).encode()
            Connection.requests = 0
            self.send(head(b"application/json", len(content)) + content)
        elif top.startswith(b"get /in-flight"):
            content = json.dumps([Connection.in_flight, Connection.highest]).encode()
            Connection.highest = Connection.in_flight
            self.send(head(b"application/json", len(content)) + content)
        elif b'"stream":true' in body.replace(b" ", b""):
            self.send(head(b"text/event-stream", None))
            for number in range(1, CHUNKS + 1):
                loop.call_later(number * CHUNK_SECONDS, self.send, chunked(CHUNK))
            loop.call_later((CHUNKS + 1) * CHUNK_SECONDS, self.send, chunked(b"data: [DONE]\n\n") + chunked(b""))
        else:
            if not Connection.requests:
                Connection.first_at = time.monotonic()
            Connection.requests += 1
            Connection.in_flight += 1
            Connection.highest = max(Connection.highest, Connection.in_flight)
            if Connection.service_seconds:
                loop.call_later(Connection.service_seconds, self.complete)
            else:
                self.complete()

    def complete(self) -> None:
        Connection.last_at = time.monotonic()
        Connection.in_flight -= 1
        self.send(ANSWER)

    def send(self, content: bytes) -> None:
        if not self.transport.is_closing():
            self.transport.write(content)


async def serve(service_ms: float) -> None:
    Connection.service_seconds = service_ms / 1_000
    server = await asyncio.get_running_loop().create_server(Connection, "127.0.0.1", 0, backlog=4_096)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(float(sys.argv[1])))
