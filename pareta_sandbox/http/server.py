"""HTTP/1.1 server with uvicorn's protocol: in the foreground, or in a thread for tests."""

import asyncio
import socket
import threading
from collections.abc import Callable
from dataclasses import replace
from email.utils import formatdate

import uvicorn
from uvicorn.server import ServerState

from pareta_sandbox.http.app import App
from pareta_sandbox.http.connection import Protocol
from pareta_sandbox.service import Service
from pareta_sandbox.settings import Settings

BACKLOG = 2048
JOURNAL_FLUSHES_PER_S = 20
SHUTDOWN_GRACE_S = 0.5  # running requests may finish within this time, then they are cancelled


class Server:
    """A sandbox bound to a port.

    Not uvicorn's own `Server`: that one takes 0.2 s to stop, in every test, and re-raises signals.
    """

    def __init__(self, settings: Settings) -> None:
        self._socket = bind_socket(settings.host, settings.port)
        port: int = self._socket.getsockname()[1]
        self.service = Service(replace(settings, port=port))
        self._state = ServerState()
        self._config = uvicorn.Config(
            App(self.service),
            http=Protocol,
            ws="none",
            lifespan="off",
            access_log=False,
            log_level="warning",
            server_header=False,
            proxy_headers=False,
            timeout_keep_alive=75,
        )
        self._stopped = asyncio.Event()

    async def serve(self, ready: Callable[[], None]) -> None:
        """Serve until stopped; call `ready` once requests are accepted."""
        self._config.load()
        server = await asyncio.get_running_loop().create_server(self._protocol, sock=self._socket, backlog=BACKLOG)
        clock = asyncio.create_task(self._tick())
        ready()
        await self._stopped.wait()
        server.close()
        clock.cancel()
        await self._finish()

    def stop(self) -> None:
        """Stop serving; call it on the event loop of the server."""
        self._stopped.set()

    def _protocol(self) -> Protocol:
        return Protocol(config=self._config, server_state=self._state, app_state={})

    async def _tick(self) -> None:
        while True:
            self._state.default_headers = [(b"date", formatdate(usegmt=True).encode())]
            for _ in range(JOURNAL_FLUSHES_PER_S):
                await asyncio.sleep(1 / JOURNAL_FLUSHES_PER_S)
                self.service.journal.flush()

    async def _finish(self) -> None:
        for connection in list(self._state.connections):
            connection.shutdown()
        if self._state.tasks:
            _, late = await asyncio.wait(set(self._state.tasks), timeout=SHUTDOWN_GRACE_S)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
        await self.service.stop()
        for connection in list(self._state.connections):
            connection.transport.abort()
        await asyncio.sleep(0)


class ServerThread:
    """A server in a thread of this process, with a separate event loop."""

    def __init__(self, settings: Settings) -> None:
        self._server = Server(settings)
        self.base_url = self._server.service.base_url
        self._ready = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = threading.Thread(target=self._run, name="pareta-sandbox", daemon=True)

    def start(self) -> None:
        """Start serving, and wait until requests are accepted."""
        self._thread.start()
        if not self._ready.wait(timeout=10):
            raise RuntimeError("the sandbox did not start within 10 seconds")

    def stop(self) -> None:
        """Stop serving, and join the thread."""
        if self._loop is not None and self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._server.stop)
        self._thread.join(timeout=10)

    def _run(self) -> None:
        asyncio.run(self._serve())

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        await self._server.serve(self._ready.set)


def bind_socket(host: str, port: int) -> socket.socket:
    """Bind a socket; port 0 picks a free port. Raises OSError if the port is in use."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # The protocol is explicit because asyncio sets TCP_NODELAY only on sockets whose protocol is TCP.
    # Without it every reply waits 40 ms for the delayed acknowledgement of the client.
    bound = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((host, port))
    except OSError:
        bound.close()
        raise
    bound.setblocking(False)
    return bound
