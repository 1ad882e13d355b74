"""One batch in one way: `python contenders.py HOW URL ROWS IN_FLIGHT FOLDER`; prints its figures as JSON.

Every way first runs a small batch in the same process: imports, TLS, the Prefect server and its first flow count as
start-up. The batch itself has three parts: `before_s` until the first request, `work_s` until the last answer, and
`after_s` until the function returns. The clock of the service measures requests and answers.
"""

import asyncio
import json
import os
import resource
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

from processes import children_cpu_s

PROMPT = "Which team should handle this? {text}"
TEXT = "My invoice is wrong, and nobody answers the phone. " * 20
COPIES = 10
"""Rows with the same text in `engine+copies`; higher leaves fewer requests."""
Do = Callable[[str, int], int]
"""Runs a batch with a name and a number of rows; returns the number of answered rows."""


def client(url: str, in_flight: int, folder: Path) -> Do:
    """Run pareta_client alone with `in_flight` workers and no persistence: an upper bound for the engine."""
    from pareta_client import AsyncPareta

    async def run(rows: int) -> int:
        numbers = iter(range(rows))
        async with AsyncPareta(api_key="pareta_sk_x", base_url=url) as pareta:

            async def work() -> None:
                for _ in numbers:
                    messages = [{"role": "user", "content": PROMPT.format(text=TEXT)}]
                    await pareta.chat.completions.create(model="ep_1", messages=messages)

            await asyncio.gather(*(work() for _ in range(in_flight)))
        return rows

    return lambda _, rows: asyncio.run(run(rows))


def engine(url: str, in_flight: int, folder: Path, copies: int = 1) -> Do:
    """Run pareta_batch without Prefect: register, send, settle, and write the answers file."""
    from pareta_batch.ledger.ledger import Ledger
    from pareta_batch.run import run_batch
    from pareta_client import AsyncPareta

    ledger = Ledger.open(f"sqlite:///{folder}/ledger.db")

    def do(name: str, rows: int) -> int:
        batch = batch_of(name, rows, in_flight, folder, copies)
        pareta = AsyncPareta(api_key="pareta_sk_x", base_url=url)
        return asyncio.run(run_batch(batch, pareta, ledger)).settled  # type: ignore[arg-type]

    return do


def flow(url: str, in_flight: int, folder: Path) -> Do:
    """Run the flow complete_batch on a separate Prefect server."""
    os.environ["PARETA_LEDGER_URL"] = f"sqlite:///{folder}/ledger.db"
    prefect_of_our_own(folder, url)
    from flows.complete_batch import complete_batch

    def do(name: str, rows: int) -> int:
        return asyncio.run(complete_batch(batch_of(name, rows, in_flight, folder))).settled  # type: ignore[arg-type]

    return do


def prefect_map(url: str, in_flight: int, folder: Path) -> Do:
    """Map a task run per row over a thread pool with one blocking client."""
    prefect_of_our_own(folder, url)
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
    def answer_all(rows: int) -> int:
        return len([future.result() for future in answer.map([TEXT] * rows)])

    return lambda _, rows: answer_all(rows)


def recipe(url: str, in_flight: int, folder: Path) -> Do:
    """Follow the documentation of the official SDK: a client, a semaphore and a gather, without persistence."""
    import pareta

    async def run(rows: int) -> int:
        slots = asyncio.Semaphore(in_flight)

        async with pareta.AsyncPareta(api_key="pareta_sk_x", base_url=url) as client:

            async def answer() -> object:
                async with slots:
                    messages = [{"role": "user", "content": PROMPT.format(text=TEXT)}]
                    return await client.chat.completions.create(model="ep_1", messages=messages)

            return len(await asyncio.gather(*(answer() for _ in range(rows))))

    return lambda _, rows: asyncio.run(run(rows))


def curator(url: str, in_flight: int, folder: Path) -> Do:
    """Run the LLM of bespokelabs-curator over a dataset; its first request reads the rate limits of the service."""
    os.environ.update(
        OPENAI_API_KEY="x", CURATOR_CACHE_DIR=str(folder), TELEMETRY_ENABLED="false", CURATOR_DISABLE_RICH_DISPLAY="1"
    )
    # Provides the tokenizer vocabulary, which would be downloaded otherwise.
    import litellm.litellm_core_utils.default_encoding  # noqa: F401
    from bespokelabs import curator as library

    class Answers(library.LLM):  # type: ignore[misc] # not installed where types are checked
        def prompt(self, row: dict[str, str]) -> str:
            return PROMPT.format(text=row["text"])

        def parse(self, row: dict[str, str], response: str) -> dict[str, str]:
            return {"answer": response}

    limits = {"max_concurrent_requests": in_flight, "max_requests_per_minute": 10**7, "max_tokens_per_minute": 10**10}

    def do(name: str, rows: int) -> int:
        llm = Answers(model_name="ep_1", backend="openai", backend_params={"base_url": f"{url}/v1", **limits})
        return len(llm([{"id": f"{name}-{n}", "text": TEXT} for n in range(rows)]).dataset)

    return do


def inspect_ai(url: str, in_flight: int, folder: Path) -> Do:
    """Run the eval of inspect_ai with a task that only generates."""
    os.environ.update(SERVICE_API_KEY="x", SERVICE_BASE_URL=f"{url}/v1")
    import inspect_ai as library
    from inspect_ai.dataset import Sample
    from inspect_ai.solver import generate

    def do(name: str, rows: int) -> int:
        task = library.Task(
            name=name, dataset=[Sample(input=PROMPT.format(text=TEXT)) for _ in range(rows)], solver=generate()
        )
        (log,) = library.eval(
            task,
            model="openai-api/service/ep_1",
            max_connections=in_flight,
            max_samples=in_flight,
            display="none",
            log_dir=str(folder),
        )
        return sum(bool(sample.output.completion) for sample in log.samples or [])

    return do


def batch_of(name: str, rows: int, in_flight: int, folder: Path, copies: int = 1) -> object:
    """Return a batch whose texts are in `copies` rows each."""
    from pareta_batch.spec import Batch

    dataset = folder / f"{name}.jsonl"
    if not dataset.exists():
        with dataset.open("w") as file:
            file.writelines(json.dumps({"id": n, "text": f"{name} {n // copies}: {TEXT}"}) + "\n" for n in range(rows))
    return Batch(
        name=name,
        model="ep_1",
        dataset=str(dataset),
        prompt=PROMPT,
        id_column="id",
        max_in_flight=in_flight,
        output=str(folder / f"{name}-answers.jsonl"),
    )


def prefect_of_our_own(folder: Path, url: str) -> None:
    """Configure a separate Prefect for this process; the first flow starts its server."""
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


CONTENDERS = {
    "client": client,
    "engine": engine,
    "engine+copies": lambda *given: engine(*given, COPIES),
    "flow": flow,
    "prefect .map": prefect_map,
    "recipe": recipe,
    "curator": curator,
    "inspect_ai": inspect_ai,
}


def times(url: str) -> tuple[float, float, int]:
    """Return the times of the first request and the last answer and the number of requests, and reset them."""
    with urllib.request.urlopen(f"{url}/times") as reply:
        first, last, requests = json.loads(reply.read())
        return first, last, requests


def main() -> None:
    how, url, rows, in_flight, folder = sys.argv[1:]
    began = time.monotonic()
    do = CONTENDERS[how](url, int(in_flight), Path(folder))
    do("warm-up", 2 * int(in_flight))
    if how in ("engine", "engine+copies", "flow"):
        batch_of("batch", int(rows), int(in_flight), Path(folder), COPIES if how == "engine+copies" else 1)
    times(url)
    cpu, server_cpu, began_work = time.process_time(), children_cpu_s(), time.monotonic()
    answered = do("batch", int(rows))
    ended = time.monotonic()
    first, last, requests = times(url)
    figures = {
        "start_up_s": began_work - began,
        "wall_s": ended - began_work,
        "before_s": first - began_work,
        "work_s": last - first,
        "after_s": ended - last,
        "cpu_s": time.process_time() - cpu,
        "server_cpu_s": children_cpu_s() - server_cpu,
        "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "answered": answered,
        "requests": requests,
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
