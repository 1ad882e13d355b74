"""Upper bound for a client that knows the rate limit (burst 1): `python benchmarks/paced.py [--seconds 12]`.

Calls start at even intervals, independent of the answers, at and below the allowed rate of 200 requests/s. The
sandbox has a latency of 100 ms and runs in a separate process. Two calls less than 5 ms apart cause a refusal.
"""

import argparse
import asyncio
import time

from client import table
from pressure import limited

from pareta_batch.engine.loop_thread import LoopThread
from pareta_client import AsyncPareta, RateLimitError
from pareta_sandbox.testing import RateLimit

ALLOWED_PER_S = 200
PACES = (200, 195, 190, 185, 180, 170)


async def paced(base_url: str, api_key: str, per_s: float, seconds: float) -> tuple[int, int]:
    """Start calls at even intervals; return the numbers of answered and of refused calls."""
    async with AsyncPareta(api_key=api_key, base_url=base_url, max_retries=0) as pareta:

        async def answered() -> bool:
            try:
                messages = [{"role": "user", "content": "My invoice is wrong."}]
                await pareta.chat.completions.create(model="ep_seed_tickets", messages=messages, max_tokens=10)
            except RateLimitError:
                return False
            return True

        began = time.monotonic()
        calls = []
        for number in range(int(per_s * seconds)):
            await asyncio.sleep(max(0.0, began + number / per_s - time.monotonic()))
            calls.append(asyncio.create_task(answered()))
        results = await asyncio.gather(*calls)
    return sum(results), len(results) - sum(results)


async def measure(per_s: float, seconds: float, loop: LoopThread) -> list[str]:
    """Measure one rate against a new sandbox, on an event loop with the timers of a batch session."""
    with limited(RateLimit(per_s=ALLOWED_PER_S, burst=1, retry_after="none")) as sandbox:
        answered, refused = await loop.run(paced(sandbox.base_url, sandbox.api_key, per_s, seconds))
    share = answered / seconds / ALLOWED_PER_S
    return [f"{per_s:.0f}", f"{answered / seconds:.0f}", f"{100 * share:.0f} %", f"{100 * refused / answered:.1f} %"]


async def measure_all(seconds: float) -> list[list[str]]:
    """Measure every rate, one after the other."""
    loop = LoopThread("paced")
    try:
        return [await measure(per_s, seconds, loop) for per_s in PACES]
    finally:
        loop.close(asyncio.sleep(0), within_s=1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=12.0)
    rows = asyncio.run(measure_all(parser.parse_args().seconds))
    heads = ["calls/s", "answered/s", "of the allowed rate", "refused / answered"]
    print(table("Evenly spaced calls, 200 requests/s, burst 1", heads, rows))


if __name__ == "__main__":
    main()
