"""One client under load: `python contenders.py NAME calls|streams URL IN_FLIGHT WARM_UP SECONDS`; prints its figures.

Every client gets the same load: IN_FLIGHT workers, each of which sends its next request after an answer. The module
runs in an environment with only that client, so the top level imports only the standard library.
"""

import asyncio
import json
import resource
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

MESSAGES = [{"role": "user", "content": "y" * 1_000}]
BODY = {"model": "ep_1", "messages": MESSAGES}
KEY = "pareta_sk_benchmark"
HEADERS = {"Authorization": f"Bearer {KEY}"}

# Measured operations of a client: send one request, and read the chunks of one stream.
Send = Callable[[], Awaitable[Any]]
Chunks = Callable[[], AsyncIterator[Any]]


@asynccontextmanager
async def sdk(url: str, module: str, name: str) -> AsyncIterator[tuple[Send, Chunks]]:
    """Use an SDK with the interface of openai, as its documentation shows, with its defaults."""
    import importlib

    client = getattr(importlib.import_module(module), name)(api_key=KEY, base_url=url)

    async def ask() -> Any:
        answer = await client.chat.completions.create(model="ep_1", messages=MESSAGES)
        return answer.choices[0].message.content

    async def chunks() -> AsyncIterator[Any]:
        async for chunk in await client.chat.completions.create(model="ep_1", messages=MESSAGES, stream=True):
            yield chunk.choices[0].delta.content

    try:
        yield ask, chunks
    finally:
        await (client.close if hasattr(client, "close") else client.aclose)()


@asynccontextmanager
async def raw_aiohttp(url: str) -> AsyncIterator[tuple[Send, Chunks]]:
    """Use aiohttp alone, as the reference."""
    import aiohttp

    path = f"{url}/v1/chat/completions"
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:

        async def ask() -> Any:
            async with session.post(path, json=BODY, headers=HEADERS) as response:
                return (await response.json())["choices"][0]["message"]["content"]

        async def chunks() -> AsyncIterator[Any]:
            async with session.post(path, json={**BODY, "stream": True}, headers=HEADERS) as response:
                async for line in response.content:
                    if line.startswith(b"data: {"):
                        yield json.loads(line[6:])

        yield ask, chunks


@asynccontextmanager
async def raw_httpx(url: str) -> AsyncIterator[tuple[Send, Chunks]]:
    """Use httpx alone, with its defaults and a timeout that is long enough for a full pool."""
    import httpx

    path = f"{url}/v1/chat/completions"
    async with httpx.AsyncClient(timeout=60) as client:

        async def ask() -> Any:
            response = await client.post(path, json=BODY, headers=HEADERS)
            return response.json()["choices"][0]["message"]["content"]

        async def chunks() -> AsyncIterator[Any]:
            async with client.stream("POST", path, json={**BODY, "stream": True}, headers=HEADERS) as response:
                async for line in response.aiter_lines():
                    if line.startswith("data: {"):
                        yield json.loads(line[6:])

        yield ask, chunks


def contender(name: str, url: str) -> Any:
    match name:
        case "raw aiohttp":
            return raw_aiohttp(url)
        case "raw httpx":
            return raw_httpx(url)
        case "openai":
            return sdk(f"{url}/v1", "openai", "AsyncOpenAI")
        case "pareta":
            return sdk(url, "pareta", "AsyncPareta")
        case _:
            return sdk(url, "pareta_client", "AsyncPareta")


async def load(one: Callable[[], Awaitable[float]], in_flight: int, warm_up: float, seconds: float) -> dict[str, Any]:
    """Keep `in_flight` operations in flight, and measure them for `seconds` after `warm_up`.

    `one` returns the duration of one operation in seconds. Operations count that end within the measured period.
    """
    times: list[float] = []

    async def worker() -> None:
        while True:
            times.append(await one())

    # Open connections first: 1,000 calls at once on an empty pool are the worst case of some clients.
    await asyncio.gather(*(one() for _ in range(min(in_flight, 64))))
    workers = [asyncio.create_task(worker()) for _ in range(in_flight)]
    await asyncio.sleep(warm_up)
    times.clear()
    wall, cpu = time.perf_counter(), time.process_time()
    await asyncio.sleep(seconds)
    wall, cpu, measured = time.perf_counter() - wall, time.process_time() - cpu, sorted(times)
    for failed in [worker for worker in workers if worker.done()]:
        failed.result()
    for worker in workers:
        worker.cancel()
    await asyncio.wait(workers)
    return {
        "per_s": len(measured) / wall,
        "cpu_ms": 1_000 * cpu / len(measured),
        "p50_ms": 1_000 * measured[len(measured) // 2],
        "p99_ms": 1_000 * measured[int(len(measured) * 0.99)],
    }


def answering(ask: Send) -> Callable[[], Awaitable[float]]:
    """Measure the time until an answer is complete."""

    async def timed() -> float:
        start = time.perf_counter()
        await ask()
        return time.perf_counter() - start

    return timed


def first_chunk(chunks: Chunks) -> Callable[[], Awaitable[float]]:
    """Measure the time until the first chunk of a stream, and read the stream to its end."""

    async def timed() -> float:
        start, arrived = time.perf_counter(), []
        async for _ in chunks():
            arrived.append(time.perf_counter())
        if len(arrived) != 50:
            raise RuntimeError(f"{len(arrived)} chunks instead of 50")
        return arrived[0] - start

    return timed


async def main(name: str, what: str, url: str, in_flight: int, warm_up: float, seconds: float) -> None:
    async with contender(name, url) as (ask, chunks):
        one = answering(ask) if what == "calls" else first_chunk(chunks)
        measured = await load(one, in_flight, warm_up, seconds)
    measured["peak_mib"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps(measured))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:4], int(sys.argv[4]), float(sys.argv[5]), float(sys.argv[6])))
