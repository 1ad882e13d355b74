"""Tiny servers on real sockets that answer, drip, drop, hang or talk nonsense, as a test says."""

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nx-request-id: req_1\r\n"
STREAM_HEAD = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nx-request-id: req_1\r\ntransfer-encoding: chunked\r\n\r\n"
)
COMPLETION = b'{"choices":[{"message":{"content":"hello"}}]}'


@dataclass
class Conversation:
    """One connection, from the server's side."""

    socket: socket.socket
    requests: list[bytes] = field(default_factory=list)
    ended: threading.Event = field(default_factory=threading.Event)

    def read_request(self) -> bytes:
        """Read one request with its body; empty if the client left."""
        received = b""
        while b"\r\n\r\n" not in received:
            more = self.socket.recv(65536)
            if not more:
                return b""
            received += more
        head, _, body = received.partition(b"\r\n\r\n")
        length = next(
            (int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length")), 0
        )
        while len(body) < length:
            body += self.socket.recv(65536)
        self.requests.append(head + b"\r\n\r\n" + body)
        return self.requests[-1]

    def send(self, content: bytes) -> None:
        """Send bytes as they are."""
        self.socket.sendall(content)

    def answer(self, body: bytes = COMPLETION, headers: bytes = b"") -> None:
        """Send a whole JSON answer."""
        self.send(HEAD + headers + b"content-length: %d\r\n\r\n" % len(body) + body)

    def chunk(self, content: bytes) -> None:
        """Send one piece of a chunked body; an empty one ends it."""
        self.send(b"%x\r\n%s\r\n" % (len(content), content))

    def wait_until_left(self) -> None:
        """Wait until the client closes its end."""
        with contextlib.suppress(OSError):
            while self.socket.recv(65536):
                pass


@dataclass
class Served:
    """A running server: where it is, and what it has seen."""

    port: int
    conversations: list[Conversation] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def requests(self) -> list[bytes]:
        return [request for conversation in self.conversations for request in conversation.requests]


@contextlib.contextmanager
def serving(script: Callable[[Conversation], None]) -> Iterator[Served]:
    """Run `script` for each connection, in a thread of its own, which then closes it."""
    listener = socket.create_server(("127.0.0.1", 0))
    served = Served(listener.getsockname()[1])
    threads: list[threading.Thread] = []

    def accept() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            conversation = Conversation(connection)
            served.conversations.append(conversation)
            thread = threading.Thread(target=converse, args=(conversation,), daemon=True)
            threads.append(thread)
            thread.start()

    def converse(conversation: Conversation) -> None:
        # The client may leave at any moment: that is what is being tested.
        with contextlib.suppress(OSError), conversation.socket:
            script(conversation)
        conversation.ended.set()

    accepting = threading.Thread(target=accept, daemon=True)
    accepting.start()
    try:
        yield served
    finally:
        with contextlib.suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        for conversation in served.conversations:
            with contextlib.suppress(OSError):
                conversation.socket.shutdown(socket.SHUT_RDWR)
        accepting.join(30)
        for thread in threads:
            thread.join(30)


def answering(body: bytes = COMPLETION, headers: bytes = b"") -> Callable[[Conversation], None]:
    """Answer every request of a connection alike."""

    def script(conversation: Conversation) -> None:
        while conversation.read_request():
            conversation.answer(body, headers)

    return script
