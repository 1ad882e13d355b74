"""Runs of a batch in processes with variables of OpenTelemetry; this module imports nothing of it."""

import asyncio
import atexit
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pareta_batch.spec import Batch
from pareta_client import AsyncPareta
from pareta_sandbox.testing import Sandbox
from tests.batch.batches import batch_in, until
from tests.batch.processes import _run_batch
from tests.forks import fresh


@dataclass(frozen=True)
class Ran:
    """The modules of OpenTelemetry that a process had imported at its end, and the lines of its standard error."""

    modules: list[str]
    stderr: list[str]


async def ran_with(variables: Mapping[str, str], folder: Path, sandbox: Sandbox, ledger_url: str) -> Ran:
    """Run a batch of 30 rows in a process with these variables."""
    files = folder / "modules", folder / "stderr"
    given = (batch_in(folder, 30).model_dump_json(), sandbox.api_key, sandbox.base_url, ledger_url)
    with fresh(_run, dict(variables), *map(str, files), *given) as process:
        await until(lambda: not process.is_alive(), within_s=90)
    assert process.exitcode == 0, files[1].read_text()
    modules, stderr = (file.read_text().splitlines() for file in files)
    return Ran(modules, stderr)


def _run(
    variables: dict[str, str], modules: str, stderr: str, batch: str, api_key: str, base_url: str, ledger_url: str
) -> None:
    os.environ.update(variables)
    with Path(stderr).open("w") as errors:
        os.dup2(errors.fileno(), sys.stderr.fileno())
    client = AsyncPareta(api_key=api_key, base_url=base_url)
    asyncio.run(_run_batch(Batch.model_validate_json(batch), client, ledger_url))
    Path(modules).write_text("".join(f"{name}\n" for name in sys.modules if name.startswith("opentelemetry")))
    # A process of multiprocessing ends without them.
    atexit._run_exitfuncs()
