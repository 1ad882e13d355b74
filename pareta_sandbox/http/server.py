"""Serve the application over HTTP/1.1 with uvicorn's protocol: in the foreground for people, in a thread for tests."""

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
FLUSHES_A_SECOND = 20
GRACE_S = 0.5  # what is being answered may finish; what hangs is cut off


class Server:
    """A sandbox bound to a port.

    Not uvicorn's own `Server`: that one needs 0.2 s to stop, which every test would pay, and re-raises signals.
    """

    def __init__(self, settings: Settings) -> None:
        self._socket = listening(settings.host, settings.port)
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
        self._over = asyncio.Event()

    async def serve(self, ready: Callable[[], None]) -> None:
        """Serve until stopped; calls `ready` when requests are answered."""
        self._config.load()
        server = await asyncio.get_running_loop().create_server(self._protocol, sock=self._socket, backlog=BACKLOG)
        clock = asyncio.create_task(self._tick())
        ready()
        await self._over.wait()
        server.close()
        clock.cancel()
        await self._finish()

    def stop(self) -> None:
        """Stop serving; call it on the server's own event loop."""
        self._over.set()

    def _protocol(self) -> Protocol:
        return Protocol(config=self._config, server_state=self._state, app_state={})

    async def _tick(self) -> None:
        while True:
            self._state.default_headers = [(b"date", formatdate(usegmt=True).encode())]
            for _ in range(FLUSHES_A_SECOND):
                await asyncio.sleep(1 / FLUSHES_A_SECOND)
                self.service.journal.flush()

    async def _finish(self) -> None:
        for connection in list(self._state.connections):
            connection.shutdown()
        if self._state.tasks:
            _, late = await asyncio.wait(set(self._state.tasks), timeout=GRACE_S)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
        await self.service.stop()
        for connection in list(self._state.connections):
            connection.transport.abort()
        await asyncio.sleep(0)


class Background:
    """A server in a thread of this process, with an event loop of its own."""

    def __init__(self, settings: Settings) -> None:
        self._server = Server(settings)
        self.base_url = self._server.service.base_url
        self._ready = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = threading.Thread(target=self._run, name="pareta-sandbox", daemon=True)

    def start(self) -> None:
        """Start serving, and wait until requests are answered."""
        self._thread.start()
        if not self._ready.wait(timeout=10):
            raise RuntimeError("the sandbox did not start within 10 seconds")

    def stop(self) -> None:
        """Stop serving, and wait for the thread."""
        if self._loop is not None and self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._server.stop)
        self._thread.join(timeout=10)

    def _run(self) -> None:
        asyncio.run(self._serve())

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        await self._server.serve(self._ready.set)


def listening(host: str, port: int) -> socket.socket:
    """Bind a socket; port 0 picks a free one. Raises OSError when the port is taken."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # The protocol has to be named: asyncio sets TCP_NODELAY only on sockets that say they are TCP,
    # and without it every reply waits 40 ms for the caller's delayed acknowledgement.
    bound = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((host, port))
    except OSError:
        bound.close()
        raise
    bound.setblocking(False)
    return bound
