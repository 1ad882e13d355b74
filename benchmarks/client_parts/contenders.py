"""One client under load: `python contenders.py NAME calls|streams URL IN_FLIGHT SECONDS`; prints what it measured.

Every client is driven alike: as many workers as may be in flight, each asking again as soon as it was answered. It
runs in an environment that has only that client, so nothing but the standard library is imported at the top.
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

# What a client gives to be measured: ask once, and read a stream's first chunk and then the rest.
Ask = Callable[[], Awaitable[Any]]
Chunks = Callable[[], AsyncIterator[Any]]


@asynccontextmanager
async def sdk(url: str, module: str, name: str) -> AsyncIterator[tuple[Ask, Chunks]]:
    """An SDK with the shape of openai's: the recipe of its documentation, with its defaults."""
    import importlib

    made = getattr(importlib.import_module(module), name)(api_key=KEY, base_url=url)

    async def ask() -> Any:
        answer = await made.chat.completions.create(model="ep_1", messages=MESSAGES)
        return answer.choices[0].message.content

    async def chunks() -> AsyncIterator[Any]:
        async for chunk in await made.chat.completions.create(model="ep_1", messages=MESSAGES, stream=True):
            yield chunk.choices[0].delta.content

    try:
        yield ask, chunks
    finally:
        await (made.close if hasattr(made, "close") else made.aclose)()


@asynccontextmanager
async def raw_aiohttp(url: str) -> AsyncIterator[tuple[Ask, Chunks]]:
    """aiohttp alone: the yardstick."""
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
async def raw_httpx(url: str) -> AsyncIterator[tuple[Ask, Chunks]]:
    """httpx alone, with its defaults and a timeout that lets a full pool be waited for."""
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


async def load(one: Callable[[], Awaitable[Any]], in_flight: int, seconds: float) -> tuple[int, float, float]:
    """Keep so many in flight for so long; gives how many were answered, the time and the CPU it took."""
    wall, cpu = time.perf_counter(), time.process_time()
    ends, answered = wall + seconds, 0

    async def worker() -> None:
        nonlocal answered
        while time.perf_counter() < ends:
            await one()
            answered += 1

    await asyncio.gather(*(worker() for _ in range(in_flight)))
    return answered, time.perf_counter() - wall, time.process_time() - cpu


async def calls(ask: Ask, in_flight: int, seconds: float) -> dict[str, Any]:
    latencies: list[float] = []

    async def timed() -> None:
        start = time.perf_counter()
        await ask()
        latencies.append(time.perf_counter() - start)

    await asyncio.gather(*(ask() for _ in range(min(in_flight, 64))))
    answered, wall, cpu = await load(timed, in_flight, seconds)
    latencies.sort()
    return {
        "per_s": answered / wall,
        "cpu_ms": 1_000 * cpu / answered,
        "p50_ms": 1_000 * latencies[len(latencies) // 2],
        "p99_ms": 1_000 * latencies[int(len(latencies) * 0.99)],
    }


async def streams(chunks: Chunks, in_flight: int, seconds: float) -> dict[str, Any]:
    first: list[float] = []

    async def timed() -> None:
        start = time.perf_counter()
        count = 0
        async for _ in chunks():
            if not count:
                first.append(time.perf_counter() - start)
            count += 1
        if count != 50:
            raise RuntimeError(f"{count} chunks instead of 50")

    await timed()
    first.clear()
    answered, wall, cpu = await load(timed, in_flight, seconds)
    first.sort()
    return {"per_s": answered / wall, "cpu_ms": 1_000 * cpu / answered, "first_ms": 1_000 * first[len(first) // 2]}


async def main(name: str, what: str, url: str, in_flight: int, seconds: float) -> None:
    async with contender(name, url) as (ask, chunks):
        measured = await (calls(ask, in_flight, seconds) if what == "calls" else streams(chunks, in_flight, seconds))
    measured["peak_mib"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps(measured))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]), float(sys.argv[5])))
