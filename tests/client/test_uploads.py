"""Large documents over real sockets: streamed from disk to where the service points, without the key."""

import json
import tracemalloc
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from pareta_client import AsyncPareta, Pareta, UploadError
from pareta_sandbox.testing import running
from tests.client.playing import KEY
from tests.client.servers import Conversation, Served, serving

MIB = 1024 * 1024
SIZE = 32 * MIB
OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}"


class Storage:
    """Takes in what is put there without keeping it."""

    def __init__(self, answer: bytes = OK) -> None:
        self.answer = answer
        self.heads: list[bytes] = []
        self.sizes: list[int] = []

    def __call__(self, conversation: Conversation) -> None:
        head, _, rest = conversation.socket.recv(65536).partition(b"\r\n\r\n")
        self.heads.append(head.lower())
        size = len(rest)
        while size < SIZE and (more := conversation.socket.recv(65536)):
            size += len(more)
        self.sizes.append(size)
        conversation.send(self.answer)


def pointing_to(storage: Served) -> Callable[[Conversation], None]:
    """A service that points to a storage elsewhere."""
    minted = {"upload_url": f"{storage.url}/bucket/one?signature=s3cret", "storage_uri": "gs://bucket/one"}

    def script(conversation: Conversation) -> None:
        while conversation.read_request():
            conversation.answer(json.dumps(minted).encode())

    return script


@pytest.fixture
def large(tmp_path: Path) -> Path:
    path = tmp_path / "scan.pdf"
    with path.open("wb") as file:
        file.truncate(SIZE)
    return path


async def through_async(url: str, file: Path) -> Any:
    async with AsyncPareta(api_key=KEY, base_url=url, max_retries=0) as client:
        return await client.evals.sets.upload_document("es_1", file, idx=0, field_name="scan")


async def through_blocking(url: str, file: Path) -> Any:
    with Pareta(api_key=KEY, base_url=url, max_retries=0) as client:
        return client.evals.sets.upload_document("es_1", file, idx=0, field_name="scan")


Way = Callable[[str, Path], Awaitable[Any]]
ways = pytest.mark.parametrize("way", [through_async, through_blocking])


@ways
async def test_a_large_document_is_never_whole_in_memory_and_the_key_stays_with_the_service(
    way: Way, large: Path
) -> None:
    storage = Storage()
    with serving(storage) as elsewhere, serving(pointing_to(elsewhere)) as service:
        tracemalloc.start()
        try:
            await way(service.url, large)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    assert storage.sizes == [SIZE]
    assert peak < SIZE / 4
    assert f"host: 127.0.0.1:{elsewhere.port}".encode() in storage.heads[0]
    assert b"authorization" not in storage.heads[0]
    assert [KEY.encode() in request for request in service.requests] == [True, True]


@ways
async def test_a_storage_that_refuses_is_an_upload_error_and_the_service_is_not_told_otherwise(
    way: Way, large: Path
) -> None:
    refusing = Storage(b"HTTP/1.1 403 No\r\ncontent-length: 8\r\n\r\n<Error/>")
    with serving(refusing) as elsewhere, serving(pointing_to(elsewhere)) as service:
        with pytest.raises(UploadError, match="403") as caught:
            await way(service.url, large)
        assert len(service.requests) == 1
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize("size", [10, 5 * MIB])
async def test_documents_of_any_size_reach_the_sandbox_from_both_faces(size: int) -> None:
    rows = [{"expected_output": {"copyright_holder": "Ada"}}] * 2
    document = b"x" * size
    with running(latency_ms=1) as sandbox:
        async with AsyncPareta(api_key=sandbox.api_key, base_url=sandbox.base_url) as client:
            made = await client.evals.sets.create(task="contract-extraction", items=rows)
            assert made.id is not None
            one = await client.evals.sets.upload_document(made.id, document, idx=0, field_name="document")
        with Pareta(api_key=sandbox.api_key, base_url=sandbox.base_url) as blocking:
            other = blocking.evals.sets.upload_document(made.id, document, idx=1, field_name="document")
    assert (one["size"], other["size"]) == (size, size)
