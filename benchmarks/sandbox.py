"""Throughput of the sandbox, and growth of its memory.

    python benchmarks/sandbox.py --completions 1000000
    python benchmarks/sandbox.py --streams 1000

The sandbox runs in a separate process without latency; this process sends requests at full speed.
"""

import argparse
import asyncio
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import aiohttp

PAGE_KIB = 4
BODY = {"model": "ep_seed_tickets", "messages": [{"role": "user", "content": "Which team? My invoice is wrong."}]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--completions", type=int, default=20_000)
    parser.add_argument("--in-flight", type=int, default=64)
    parser.add_argument("--file", action="store_true", help="keep the books in a named file instead of a temporary one")
    parser.add_argument("--streams", type=int, help="instead: number of concurrent streams, each ten seconds long")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        journal = ["--journal", str(Path(folder) / "books.db")] if chosen.file else []
        command = [
            sys.executable,
            "-m",
            "pareta_sandbox",
            "--port",
            "0",
            "--latency-ms",
            "10000" if chosen.streams else "0",
            "--balance-usd",
            "100000",
        ]
        process = subprocess.Popen([*command, *journal], stdout=subprocess.PIPE, text=True)
        try:
            assert process.stdout is not None
            url = process.stdout.readline().split()[-1]
            asyncio.run(stream_all(url, chosen.streams) if chosen.streams else measure(url, process.pid, chosen))
        finally:
            process.terminate()
            process.communicate(timeout=60)


async def measure(url: str, pid: int, chosen: argparse.Namespace) -> None:
    """Send the completions in ten parts, and print a table row for each part."""
    print("| completions | completions/s | server CPU ms each | server memory, MiB |\n|---|---|---|---|")
    part = chosen.completions // 10
    for number in range(1, 11):
        began, cpu = time.perf_counter(), cpu_s(pid)
        await ask(url, part, chosen.in_flight)
        took, used = time.perf_counter() - began, cpu_s(pid) - cpu
        print(
            f"| {number * part:,} | {part / took:,.0f} | {1000 * used / part:.2f} | {memory_mib(pid):.0f} |", flush=True
        )


async def ask(url: str, count: int, in_flight: int) -> None:
    """Send `count` completions, `in_flight` at a time."""
    numbers = iter(range(count))
    headers = {"Authorization": "Bearer pareta_sk_bench"}
    async with aiohttp.ClientSession(url, headers=headers, connector=aiohttp.TCPConnector(limit=0)) as session:

        async def worker() -> None:
            for _ in numbers:
                async with session.post("/v1/chat/completions", json=BODY) as answer:
                    assert answer.status == 200
                    await answer.read()

        await asyncio.gather(*(worker() for _ in range(in_flight)))


async def stream_all(url: str, count: int) -> None:
    """Open `count` streams at once, read them to their ends, and print the duration."""
    headers = {"Authorization": "Bearer pareta_sk_bench"}
    async with aiohttp.ClientSession(url, headers=headers, connector=aiohttp.TCPConnector(limit=0)) as session:

        async def stream() -> bool:
            async with session.post("/v1/chat/completions", json={**BODY, "stream": True}) as answer:
                return (await answer.read()).endswith(b"data: [DONE]\n\n")

        began = time.perf_counter()
        complete = await asyncio.gather(*(stream() for _ in range(count)))
        took = time.perf_counter() - began
        async with session.get("/_sandbox/books", params={"debits": "no"}) as answer:
            books = await answer.json()
    highest = books["highest_in_flight"]
    print(f"{sum(complete)} of {count} streams complete, {highest} at once, in {took:.1f} s (ideal: 10 s)")


def cpu_s(pid: int) -> float:
    """Return the CPU seconds of a process."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / 100


def memory_mib(pid: int) -> float:
    """Return the resident memory of a process, in MiB."""
    return int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1]) * PAGE_KIB / 1024


if __name__ == "__main__":
    main()
