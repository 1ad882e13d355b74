"""One batch done one way: `python contenders.py HOW URL ROWS IN_FLIGHT FOLDER`; prints its figures as JSON.

Seconds and CPU are those of the work, after imports and the start of Prefect's server.
"""

import asyncio
import json
import os
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path

PROMPT = "Which team should handle this? {text}"
TEXT = "My invoice is wrong, and nobody answers the phone. " * 20


def cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def timed(work: Callable[[], int]) -> dict[str, float]:
    """Do the work; give its wall and CPU seconds, and how many rows it says were answered."""
    cpu, began = cpu_s(), time.monotonic()
    answered = work()
    return {"wall_s": time.monotonic() - began, "cpu_s": cpu_s() - cpu, "answered": answered}


def batch_of(rows: int, in_flight: int, folder: Path) -> "object":
    from pareta_batch.batch import Batch

    dataset = folder / "rows.jsonl"
    dataset.write_text("".join(json.dumps({"id": n, "text": TEXT}) + "\n" for n in range(rows)))
    return Batch(
        name="benchmark",
        model="ep_1",
        dataset=str(dataset),
        prompt=PROMPT,
        id_column="id",
        max_in_flight=in_flight,
        output=str(folder / "answers.jsonl"),
    )


def engine(url: str, rows: int, in_flight: int, folder: Path) -> dict[str, float]:
    """pareta_batch without Prefect: enrol, send, settle, write the answers file."""
    from pareta_batch.ledger import Ledger
    from pareta_batch.run import run_batch
    from pareta_client import AsyncPareta

    batch = batch_of(rows, in_flight, folder)

    async def run() -> int:
        pareta = AsyncPareta(api_key="pareta_sk_x", base_url=url)
        report = await run_batch(batch, pareta, Ledger.open(f"sqlite:///{folder}/ledger.db"))  # type: ignore[arg-type]
        return report.settled

    return timed(lambda: asyncio.run(run()))


def flow(url: str, rows: int, in_flight: int, folder: Path) -> dict[str, float]:
    """The flow complete_batch, on a Prefect server of its own."""
    os.environ["PARETA_LEDGER_URL"] = f"sqlite:///{folder}/ledger.db"
    start_prefect(folder, url)
    from flows.complete_batch import complete_batch

    batch = batch_of(rows, in_flight, folder)
    return timed(lambda: asyncio.run(complete_batch(batch)).settled)  # type: ignore[arg-type]


def prefect_map(url: str, rows: int, in_flight: int, folder: Path) -> dict[str, float]:
    """A task run per row, mapped over a pool of threads, each with the same blocking client."""
    start_prefect(folder, url)
    from prefect import flow as as_flow
    from prefect import task
    from prefect.task_runners import ThreadPoolTaskRunner

    from pareta_client import Pareta

    pareta = Pareta(api_key="pareta_sk_x", base_url=url)

    @task
    def answer(text: str) -> str | None:
        messages = [{"role": "user", "content": PROMPT.format(text=text)}]
        return pareta.chat.completions.create(model="ep_1", messages=messages).choices[0].message.content

    @as_flow(task_runner=ThreadPoolTaskRunner(max_workers=in_flight))  # type: ignore[arg-type]
    def answer_all() -> int:
        return len([future.result() for future in answer.map([TEXT] * rows)])

    return timed(answer_all)


def recipe(url: str, rows: int, in_flight: int, folder: Path) -> dict[str, float]:
    """What the official SDK documents: a client, a semaphore, a gather; nothing is kept if it dies."""
    import pareta

    async def run() -> int:
        slots = asyncio.Semaphore(in_flight)

        async with pareta.AsyncPareta(api_key="pareta_sk_x", base_url=url) as client:

            async def answer() -> object:
                async with slots:
                    messages = [{"role": "user", "content": PROMPT.format(text=TEXT)}]
                    return await client.chat.completions.create(model="ep_1", messages=messages)

            return len(await asyncio.gather(*(answer() for _ in range(rows))))

    return timed(lambda: asyncio.run(run()))


def start_prefect(folder: Path, url: str) -> None:
    """Give this process a Prefect of its own and see that its server answers."""
    os.environ.update(
        PARETA_API_KEY="pareta_sk_x",
        PARETA_BASE_URL=url,
        PREFECT_HOME=str(folder / "prefect"),
        PREFECT_PROFILES_PATH=str(folder / "prefect" / "profiles.toml"),
        PREFECT_SERVER_ALLOW_EPHEMERAL_MODE="true",
        PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS="90",
        PREFECT_SERVER_UI_ENABLED="false",
        PREFECT_SERVER_ANALYTICS_ENABLED="false",
        PREFECT_LOGGING_LEVEL="ERROR",
        DO_NOT_TRACK="1",
    )
    from prefect import flow as as_flow

    as_flow(lambda: None, name="warm-up")()


CONTENDERS = {"engine": engine, "flow": flow, "prefect .map": prefect_map, "recipe": recipe}


def main() -> None:
    how, url, rows, in_flight, folder = sys.argv[1:]
    figures = CONTENDERS[how](url, int(rows), int(in_flight), Path(folder))
    figures["peak_mib"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    figures["own_cpu_s"] = cpu_s()
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
