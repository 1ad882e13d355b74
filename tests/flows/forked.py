"""Flows in processes of their own, that can be killed."""

import asyncio
import faulthandler
import os
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path

from prefect.settings import PREFECT_API_URL, temporary_settings

from flows.parameters import Pipeline
from flows.run_pipeline import run_pipeline
from tests.forks import FORKS, forked

FORKS.set_forkserver_preload(["tests.flows.forked"])

OURS = ("PARETA_API_KEY", "PARETA_BASE_URL", "PARETA_LEDGER_URL")
WITHIN_S = 60


@dataclass(frozen=True)
class RunningPipeline:
    """A pipeline in a process of its own; `output`: the file of what it printed."""

    process: BaseProcess
    output: Path

    def until(self, look: Callable[[], bool]) -> None:
        """Wait until `look` is true; fail with the output of the process if it ended before, or with its stacks."""
        deadline = time.monotonic() + WITHIN_S
        while not look():
            assert self.process.is_alive(), f"it ended with {self.process.exitcode}:\n{self.output.read_text()}"
            if time.monotonic() > deadline:
                self._print_stacks()
                raise AssertionError(f"the pipeline did not come so far:\n{self.output.read_text()}")
            time.sleep(0.02)

    def _print_stacks(self) -> None:
        before = self.output.stat().st_size
        assert self.process.pid
        os.kill(self.process.pid, signal.SIGUSR1)
        deadline = time.monotonic() + WITHIN_S
        while self.output.stat().st_size == before and time.monotonic() < deadline:
            time.sleep(0.02)


@contextmanager
def running_pipeline(pipeline: Pipeline) -> Iterator[RunningPipeline]:
    """Run a pipeline in a process of its own, on the same Prefect server and in this folder; kill it at the end."""
    environment = {name: os.environ[name] for name in OURS}
    output = Path.cwd() / "pipeline.output"
    output.touch()
    with forked(_run, pipeline, environment, str(PREFECT_API_URL.value()), Path.cwd(), output) as process:
        yield RunningPipeline(process, output)


def _run(pipeline: Pipeline, environment: Mapping[str, str], api: str, folder: Path, output: Path) -> None:
    with output.open("a") as opened:
        os.dup2(opened.fileno(), 1)
        os.dup2(opened.fileno(), 2)
    faulthandler.register(signal.SIGUSR1, file=2, all_threads=True)
    os.environ.update(environment)
    os.chdir(folder)
    with temporary_settings({PREFECT_API_URL: api}):
        asyncio.run(run_pipeline(pipeline))
