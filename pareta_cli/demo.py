"""Demo: the whole pipeline on real licence texts, against a local sandbox, with all state under one folder."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from examples.licences import write, write_eval_rows
from examples.notices import write_notices
from pareta_batch import Batch, BatchReport, OutputError
from pareta_cli.background_server import start_server
from pareta_cli.environment import prepare_prefect
from pareta_cli.lifeline import start_child
from pareta_cli.options import bad_input
from pareta_cli.prefect_server import (
    MODULE,
    api_url,
    free_port,
    server_arguments,
    server_environment,
    wait_until_ready,
)
from pareta_cli.server_command import stop_command
from pareta_cli.specs import read_spec

if TYPE_CHECKING:
    from flows.parameters import Pipeline
    from flows.reports import PipelineReport

HOME = Path(".pareta/demo")
LOG = HOME / "sandbox.log"
KEPT_SERVER = HOME / "kept-server"
BOOKS = HOME / "sandbox-books.txt"
SPEC = Path(str(files("examples"))) / "licences.yaml"
NOTICES = Path(str(files("examples"))) / "notices.yaml"
NOTICES_HOME = HOME / "notices"
SANDBOX_OPTIONS = ("--port", "0", "--balance-usd", "25", "--cold-start-s", "1", "--deploy-s", "2")
DRAIN_WITHIN_S = 5
"""Seconds to send queued records to Prefect. Raising it delays the end of a demo whose server has died."""
STOP_WITHIN_S = 15
"""Seconds for the sandbox to print its books and exit. Raising it delays the kill of a hung sandbox."""


def run_demo(*, keep: bool = False) -> int:
    """Run examples/licences.yaml and examples/notices.yaml without earlier state, and return the exit status.

    Args:
        keep: Leave the Prefect server running.
    """
    delete_previous_state()
    typer.echo("starting a Prefect server and a sandbox; collecting licence texts …", err=True)
    with kept_server() if keep else own_server() as prefect:
        with sandbox() as base_url:
            isolate_environment(HOME, base_url, prefect.api_url)
            prepare_prefect()
            # Import Prefect only now: it reads the environment at import.
            from flows.complete_batch import complete_batch
            from flows.parameters import Pipeline
            from flows.run_pipeline import run_pipeline
            from pareta_cli.runner import run_flow

            pipeline = read_spec(Pipeline, SPEC)
            write_documents(pipeline)
            prefect.wait_until_ready()
            report, status = run_flow(run_pipeline, pipeline)
            pictures, second = run_flow(complete_batch, notices())
        if report is not None:
            summarize(report)
        if pictures is not None:
            summarize_notices(pictures)
    return int(status) or int(second)


@dataclass(frozen=True)
class DemoServer:
    """The Prefect server of a demo: the value of PREFECT_API_URL, and the wait until it answers."""

    api_url: str
    wait_until_ready: Callable[[], None]


@contextmanager
def own_server() -> Iterator[DemoServer]:
    """Yield a Prefect server that starts meanwhile, in a child process that ends with this process."""
    home, port = HOME / "prefect", free_port()
    home.mkdir(parents=True, exist_ok=True)
    log = home / "server.log"
    environment = server_environment(home, port)
    with log.open("w", encoding="utf-8") as file:
        process = start_child(MODULE, server_arguments(port), stdout=file, stderr=file, environment=environment)
    try:
        url = api_url(port)
        yield DemoServer(url, lambda: wait_until_ready(url, lambda: process.poll() is not None, log))
    finally:
        drain_prefect()
        # SQLite survives it, and a graceful end takes seconds.
        process.kill()
        process.wait()


def drain_prefect() -> None:
    """Send the queued log records and events of Prefect, which would otherwise be reported as lost."""
    if "prefect" not in sys.modules:
        return
    from prefect.events.worker import EventsWorker
    from prefect.logging.handlers import APILogWorker

    for worker in (APILogWorker, EventsWorker):
        worker.drain_all(timeout=DRAIN_WITHIN_S)


@contextmanager
def kept_server() -> Iterator[DemoServer]:
    """Yield a Prefect server in the background, and print how to stop it, also after an interrupted demo."""
    server, _ = start_server(KEPT_SERVER, free_port(), partial(typer.echo, err=True))
    try:
        yield DemoServer(server.api_url, lambda: None)
    finally:
        ui = server.api_url.removesuffix("/api")
        typer.echo(f"Prefect: {ui}, until you stop it: {stop_command(KEPT_SERVER)}")


def delete_previous_state() -> None:
    """Delete the ledger and answers of the last demo, which refer to a sandbox that has ended. Raises OutputError."""
    try:
        HOME.mkdir(parents=True, exist_ok=True)
        for old in (*HOME.glob("ledger.db*"), *HOME.glob("answers.*"), *NOTICES_HOME.glob("answers.*")):
            old.unlink()
        LOG.touch()
    except OSError as error:
        problem = f"not writable: {error.strerror}; run the demo in a folder where you may write"
        raise OutputError(f"demo folder {str(HOME.absolute())!r}: {problem}") from None


def write_documents(pipeline: "Pipeline") -> None:
    """Write the licence texts of the installed distributions as dataset and eval rows."""
    collected = write(str(pipeline.batch.dataset))
    dropped = ", ".join(f"{count} {reason}" for reason, count in collected.dropped.items())
    typer.echo(f"{collected.kept} licence texts in {collected.path} (left out: {dropped})", err=True)
    for comparison in pipeline.comparisons:
        write_eval_rows(str(comparison.rows), pipeline.batch.prompt or "")


def notices() -> Batch:
    """Write the pictures of examples/notices.yaml, and return its batch with all files in the folder of the demo."""
    dataset = write_notices(NOTICES_HOME)
    return read_spec(Batch, NOTICES, (f"dataset={dataset}", f"output={NOTICES_HOME / 'answers.parquet'}"))


def summarize_notices(report: BatchReport) -> None:
    """Print the typed answers of the pictures, and the path of their file."""
    from pyarrow import parquet

    typer.echo(f"\n{report}")
    for row in parquet.read_table(report.output, columns=["id", "answer.copyright_holder", "answer.year"]).to_pylist():
        typer.echo(f"  {row['id']}: {row['answer.copyright_holder']}, {row['answer.year']}")
    typer.echo(f"answers:  {report.output}")


def summarize(report: "PipelineReport") -> None:
    """Print the results, the cost, and the paths of the written files."""
    from pareta_cli.summary import summary

    typer.echo(f"\n{report.batch}")
    if report.quality is not None:
        shares = (report.quality.accuracy, report.quality.ci_low, report.quality.ci_high)
        accuracy, low, high = (f"{100 * share:.1f} %" for share in shares)
        typer.echo(f"measured quality: {accuracy}, 95 % interval {low} to {high}")
    for comparison in report.comparisons.comparisons if report.comparisons else ():
        typer.echo(f"{comparison.name}: {comparison.error or comparison.verdict.sentence}")
    typer.echo(f"{summary(report)}\nbooks:    {BOOKS}")


@contextmanager
def sandbox() -> Iterator[str]:
    """Yield the address of a sandbox on a free port, in a child process that ends with this process."""
    with LOG.open("w") as log:
        process = start_child("pareta_sandbox", SANDBOX_OPTIONS, stdout=subprocess.PIPE, stderr=log)
        try:
            yield _address_in(process)
        finally:
            process.terminate()
            try:
                books, _ = process.communicate(timeout=STOP_WITHIN_S)
            except subprocess.TimeoutExpired:
                process.kill()
                raise
            BOOKS.write_text(books, encoding="utf-8")


def isolate_environment(home: Path, base_url: str, prefect_api_url: str) -> None:
    """Set the environment so that Prefect's files and the ledger are under `home`, with the servers of the demo."""
    for name in [name for name in os.environ if name.startswith("PREFECT_")]:
        del os.environ[name]
    os.environ.update(
        PARETA_API_KEY="pareta_sk_demo",
        PARETA_BASE_URL=base_url,
        PARETA_LEDGER_URL=f"sqlite:///{home}/ledger.db",
        MPLCONFIGDIR=str((home / "matplotlib").resolve()),
        PREFECT_HOME=str((home / "prefect").resolve()),
        PREFECT_PROFILES_PATH=str((home / "prefect" / "profiles.toml").resolve()),
        PREFECT_API_URL=prefect_api_url,
    )


def _address_in(process: subprocess.Popen[str]) -> str:
    """Return the address from the line that a sandbox prints when it is ready."""
    line = process.stdout.readline() if process.stdout else ""
    if not line.strip():
        raise bad_input(f"demo sandbox: did not start; read {LOG}", status=3)
    return line.split()[-1]
