"""Batches for tests: datasets in a folder, and a run of a batch without an orchestrator."""

import asyncio
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from pareta_batch.engine.policy import RETRY_POLICY, TIMING, RetryPolicy, Timing
from pareta_batch.ledger.ledger import Ledger
from pareta_batch.ledger.outcomes import Outcome
from pareta_batch.report import BatchReport
from pareta_batch.run import run_batch
from pareta_batch.sampling import Sampling
from pareta_batch.spec import Batch
from pareta_client import AsyncPareta
from pareta_sandbox.testing import Sandbox

ENDPOINT = "ep_seed_tickets"

on_both_databases = pytest.mark.parametrize("ledger_url", ["sqlite", "postgresql"], indirect=True)
"""Runs a test on a ledger of each kind; PostgreSQL is skipped where it is not installed."""

mostly_on_sqlite = pytest.mark.parametrize(
    "ledger_url", ["sqlite", pytest.param("postgresql", marks=pytest.mark.long)], indirect=True
)
"""Runs a test on a ledger of each kind, on PostgreSQL in `make check` only."""


def write_rows(path: Path, rows: Sequence[dict[str, object]]) -> Path:
    """Write rows as JSON lines."""
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def numbered(count: int) -> list[dict[str, object]]:
    """Make rows `r0`, `r1` … of different texts."""
    return [{"id": f"r{n}", "text": f"My invoice number {n} is wrong."} for n in range(count)]


def batch_in(folder: Path, rows: Sequence[dict[str, object]] | int = 3, **changes: Any) -> Batch:
    """Make a batch of rows (or of so many) in a folder, its answers there too."""
    named = {
        "name": "test",
        "model": ENDPOINT,
        "prompt": "Which team? {text}",
        "id_column": "id",
        "sampling": Sampling(max_tokens=10),
        "output": str(folder / "answers.jsonl"),
        **changes,
    }
    if "dataset" not in named:
        named["dataset"] = str(write_rows(folder / "rows.jsonl", numbered(rows) if isinstance(rows, int) else rows))
    return Batch(**named)


def ledger_in(folder: Path) -> Ledger:
    """Open a ledger in a folder."""
    return Ledger.open(f"sqlite:///{folder / 'ledger.db'}")


QUICK = RetryPolicy(backoff=lambda *_: 0.001)
"""Retries without a noticeable wait."""


async def run(
    batch: Batch, sandbox: Sandbox, ledger: Ledger, policy: RetryPolicy = RETRY_POLICY, timing: Timing = TIMING
) -> BatchReport:
    """Run a batch against a sandbox."""
    client = AsyncPareta(api_key=sandbox.api_key, base_url=sandbox.base_url)
    return await run_batch(batch, client, ledger, policy=policy, timing=timing)


def read_answers(batch: Batch) -> list[dict[str, Any]]:
    """Read the answers file of a batch that writes JSON lines."""
    # Not splitlines(): it takes some characters of a document for the end of a line.
    return [json.loads(line) for line in batch.output_path.read_text(encoding="utf-8").strip().split("\n")]


def answered(key: str, fingerprint: str, **changes: Any) -> Outcome:
    """Make an outcome that was answered and paid for."""
    given: dict[str, Any] = {
        "state": "settled",
        "attempts": 1,
        "answer": "billing",
        "finish_reason": "stop",
        "billed_micro_usd": 5,
    }
    return Outcome(key=key, fingerprint=fingerprint, **(given | changes))


def failed(key: str, fingerprint: str, *, retryable: bool, **changes: Any) -> Outcome:
    """Make an outcome that is an error."""
    given: dict[str, Any] = {"state": "failed", "attempts": 1, "error": "APIStatusError", "error_message": "HTTP 500"}
    return Outcome(key=key, fingerprint=fingerprint, retryable=retryable, **(given | changes))


async def until(condition: Callable[[], bool], within_s: float = 30) -> None:
    """Poll until something is so."""
    async with asyncio.timeout(within_s):
        while not await asyncio.to_thread(condition):  # noqa: ASYNC110 - it happens in another process
            await asyncio.sleep(0.005)
