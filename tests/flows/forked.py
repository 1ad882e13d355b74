"""Flows in processes of their own that can be killed: forked from one that has imported everything once."""

import asyncio
import multiprocessing
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from multiprocessing.process import BaseProcess
from pathlib import Path

from prefect.settings import PREFECT_API_URL, temporary_settings

from flows.parameters import Pipeline
from flows.run_pipeline import run_pipeline

FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(["tests.flows.forked"])

OURS = ("PARETA_API_KEY", "PARETA_BASE_URL", "PARETA_LEDGER_URL")


@contextmanager
def running_pipeline(pipeline: Pipeline) -> Iterator[BaseProcess]:
    """Run a pipeline in a process of its own, on the same Prefect server and in this folder; kill it at the end."""
    environment = {name: os.environ[name] for name in OURS}
    given = (pipeline, environment, str(PREFECT_API_URL.value()), Path.cwd())
    process = FORKS.Process(target=_run, args=given)
    process.start()
    try:
        yield process
    finally:
        process.kill()
        process.join()


def _run(pipeline: Pipeline, environment: Mapping[str, str], api: str, folder: Path) -> None:
    os.environ.update(environment)
    os.chdir(folder)
    with temporary_settings({PREFECT_API_URL: api}):
        asyncio.run(run_pipeline(pipeline))
