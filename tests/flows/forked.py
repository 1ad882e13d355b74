"""Flows in processes of their own, that can be killed."""

import asyncio
import os
from collections.abc import Mapping
from contextlib import AbstractContextManager
from multiprocessing.process import BaseProcess
from pathlib import Path

from prefect.settings import PREFECT_API_URL, temporary_settings

from flows.parameters import Pipeline
from flows.run_pipeline import run_pipeline
from tests.forks import FORKS, forked

FORKS.set_forkserver_preload(["tests.flows.forked"])

OURS = ("PARETA_API_KEY", "PARETA_BASE_URL", "PARETA_LEDGER_URL")


def running_pipeline(pipeline: Pipeline) -> AbstractContextManager[BaseProcess]:
    """Run a pipeline in a process of its own, on the same Prefect server and in this folder; kill it at the end."""
    environment = {name: os.environ[name] for name in OURS}
    return forked(_run, pipeline, environment, str(PREFECT_API_URL.value()), Path.cwd())


def _run(pipeline: Pipeline, environment: Mapping[str, str], api: str, folder: Path) -> None:
    os.environ.update(environment)
    os.chdir(folder)
    with temporary_settings({PREFECT_API_URL: api}):
        asyncio.run(run_pipeline(pipeline))
