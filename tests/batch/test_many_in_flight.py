"""Calls in flight: only `max_in_flight` limits them, not the connection limit of the client."""

import asyncio
import resource
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from pareta_batch.engine.open_files import OTHER_FILES, allow_open_files
from pareta_batch.ledger.ledger import Ledger
from pareta_batch.run import run_batch
from pareta_client import AsyncPareta
from tests.batch.batches import batch_in
from tests.client.servers import COMPLETION, HEAD

IN_FLIGHT = 1_200
REPLY = HEAD + b"content-length: %d\r\n\r\n" % len(COMPLETION) + COMPLETION


@dataclass
class Barrier:
    """A stub service that replies when `size` requests are in flight, or after `patience_s` seconds."""

    size: int
    patience_s: float = 30
    port: int = 0
    in_flight: int = 0
    max_in_flight_seen: int = 0
    full: asyncio.Event = field(default_factory=asyncio.Event)

    async def converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while head := await request_head(reader):
            length = next(
                int(line.split(b":")[1]) for line in head.splitlines() if line.lower().startswith(b"content-l")
            )
            await reader.readexactly(length)
            self.in_flight += 1
            self.max_in_flight_seen = max(self.max_in_flight_seen, self.in_flight)
            if self.in_flight >= self.size:
                self.full.set()
            try:
                async with asyncio.timeout(self.patience_s):
                    await self.full.wait()
            except TimeoutError:
                self.full.set()
            self.in_flight -= 1
            writer.write(REPLY)
            await writer.drain()
        writer.close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


async def request_head(reader: asyncio.StreamReader) -> bytes:
    try:
        return await reader.readuntil(b"\r\n\r\n")
    except (asyncio.IncompleteReadError, ConnectionError):
        return b""


@asynccontextmanager
async def barrier(size: int, patience_s: float = 30) -> AsyncIterator[Barrier]:
    # The server's sockets are open files of this process, as are the client's.
    assert allow_open_files(2 * size, "the stub service")
    stub = Barrier(size, patience_s)
    server = await asyncio.start_server(stub.converse, "127.0.0.1", backlog=2 * size)
    stub.port = server.sockets[0].getsockname()[1]
    try:
        yield stub
    finally:
        server.close()


async def test_a_batch_has_more_calls_in_flight_than_a_client_has_connections(tmp_path: Path, ledger: Ledger) -> None:
    batch = batch_in(tmp_path, IN_FLIGHT, max_in_flight=IN_FLIGHT, shard_size=IN_FLIGHT)
    async with barrier(IN_FLIGHT) as service:
        report = await run_batch(batch, AsyncPareta(api_key="pareta_sk_x", base_url=service.url), ledger)
    assert service.max_in_flight_seen == IN_FLIGHT
    assert (report.status, report.settled) == ("completed", IN_FLIGHT)


async def test_behind_a_proxy_too(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, ledger: Ledger) -> None:
    in_flight = 150  # more than httpx's pool has by default
    batch = batch_in(tmp_path, in_flight, max_in_flight=in_flight, shard_size=in_flight)
    async with barrier(in_flight) as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        pareta = AsyncPareta(api_key="pareta_sk_x", base_url="http://service.localhost")
        report = await run_batch(batch, pareta, ledger)
    assert proxy.max_in_flight_seen == in_flight
    assert report.settled == in_flight


LIMITED = f"""
import resource, sys
from pareta_batch.engine.open_files import allow_open_files
resource.setrlimit(resource.RLIMIT_NOFILE, (64, 1_000 + {OTHER_FILES}))
print(allow_open_files(1_000, "batch 'b'"), resource.getrlimit(resource.RLIMIT_NOFILE)[0])
print(allow_open_files(1_001, "batch 'b'"), resource.getrlimit(resource.RLIMIT_NOFILE)[0])
"""


def test_the_soft_limit_of_open_files_is_raised_and_the_hard_limit_is_reported() -> None:
    limit = 1_000 + OTHER_FILES
    assert resource.getrlimit(resource.RLIMIT_NOFILE)[1] >= limit
    ended = subprocess.run([sys.executable, "-c", LIMITED], capture_output=True, text=True, check=True, timeout=60)
    assert ended.stdout.splitlines() == [f"True {limit}", f"False {limit}"]
    assert "max_in_flight=1001 of batch 'b': the process can open too few files" in ended.stderr
    assert f"`ulimit -n {limit + 1}`" in ended.stderr
