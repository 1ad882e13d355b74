"""`pareta-pipeline`: run the flows from a terminal or a script.

Exit status: 0 done · 1 done with more failures than tolerated · 2 bad input or configuration · 3 stopped early
"""

import json
import os
import sys
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pareta_cli import batch_commands
from pareta_cli.environment import prepare_prefect
from pareta_cli.interruption import end_on_signals
from pareta_cli.lifeline import without_key
from pareta_cli.options import AsJson, Overrides, SpecFile, Verbose, bad_input, report_bad_input
from pareta_cli.outlets import use_durable_outputs

if TYPE_CHECKING:
    from pydantic import BaseModel

app = typer.Typer(no_args_is_help=True, add_completion=False, help=__doc__)


@app.command()
def demo() -> None:
    """Run the whole pipeline on real licence texts against a local sandbox."""
    from pareta_cli.demo import run_demo

    with report_bad_input():
        raise typer.Exit(run_demo())


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []})
def sandbox(context: typer.Context) -> None:
    """Run a local Pareta service, or show its books; same as `python -m pareta_sandbox`."""
    # The sandbox imports no code of the client that it tests: replace this process, and drop the key.
    os.execve(sys.executable, [sys.executable, "-m", "pareta_sandbox", *context.args], without_key())  # noqa: S606


@app.command()
def deploy(spec: SpecFile, overrides: Overrides = None, as_json: AsJson = False, verbose: Verbose = False) -> None:
    """Deploy or reuse an endpoint, and check that it answers."""
    prepare_prefect(verbose=verbose)
    from flows.deploy_endpoint import deploy_endpoint
    from flows.parameters import Deployment

    _run(deploy_endpoint, Deployment, spec, overrides, as_json)


@app.command()
def complete(spec: SpecFile, overrides: Overrides = None, as_json: AsJson = False, verbose: Verbose = False) -> None:
    """Answer every row of a dataset once, and pay for it once."""
    prepare_prefect(verbose=verbose)
    from flows.complete_batch import complete_batch
    from pareta_batch import Batch

    _run(complete_batch, Batch, spec, overrides, as_json)


@app.command()
def retry_failed(
    spec: SpecFile,
    errors: Annotated[list[str] | None, typer.Option("--error", metavar="CLASS", help="Only this error class")] = None,
    overrides: Overrides = None,
    as_json: AsJson = False,
    verbose: Verbose = False,
) -> None:
    """Send only the failed rows of a batch again."""
    prepare_prefect(verbose=verbose)
    from flows.retry_failed import retry_failed
    from pareta_batch import Batch

    _run(partial(retry_failed, errors=tuple(errors or ())), Batch, spec, overrides, as_json)


@app.command()
def quote(
    spec: SpecFile,
    pilot: Annotated[
        int, typer.Option(min=0, max=1_000_000, help="Rows to send first; their answers are part of the batch")
    ] = 0,
    command: Annotated[
        str | None,
        typer.Option(
            "--for", metavar="COMMAND", help="complete, compare, promote, watch or run; by default from the spec"
        ),
    ] = None,
    overrides: Overrides = None,
    as_json: AsJson = False,
) -> None:
    """Quote the rows to send, the eval runs to buy and their cost; only a pilot sends billed calls."""
    from pareta_cli.quote import make_quote, spec_of

    with report_bad_input():
        quote = make_quote(spec_of(spec, overrides or (), command), pilot)
    typer.echo(quote.model_dump_json(indent=2) if as_json else str(quote))


@app.command()
def compare(spec: SpecFile, overrides: Overrides = None, as_json: AsJson = False, verbose: Verbose = False) -> None:
    """Compare models on eval rows."""
    prepare_prefect(verbose=verbose)
    from flows.compare_models import compare_models
    from pareta_evals import Comparisons

    _run(compare_models, Comparisons, spec, overrides, as_json)


@app.command()
def promote(spec: SpecFile, overrides: Overrides = None, as_json: AsJson = False, verbose: Verbose = False) -> None:
    """Compare models, and deploy the winner if it passes the gate."""
    prepare_prefect(verbose=verbose)
    from flows.parameters import Promotion
    from flows.promote_winner import promote_winner

    _run(promote_winner, Promotion, spec, overrides, as_json)


@app.command()
def watch(spec: SpecFile, overrides: Overrides = None, as_json: AsJson = False, verbose: Verbose = False) -> None:
    """Score models again on the same rows, and report a drop in quality."""
    prepare_prefect(verbose=verbose)
    from flows.parameters import Watch
    from flows.watch_quality import watch_quality

    _run(watch_quality, Watch, spec, overrides, as_json)


@app.command()
def run(spec: SpecFile, overrides: Overrides = None, as_json: AsJson = False, verbose: Verbose = False) -> None:
    """Run the whole pipeline: endpoint, batch, comparisons, report."""
    prepare_prefect(verbose=verbose)
    from flows.parameters import Pipeline
    from flows.run_pipeline import run_pipeline

    _run(run_pipeline, Pipeline, spec, overrides, as_json)


for name, command in batch_commands.COMMANDS.items():
    app.command(name)(command)


@app.command()
def set_up(
    limits: Annotated[
        list[str] | None,
        typer.Option("--limit", metavar="MODEL=SLOTS", help="Maximum calls in flight to an endpoint, over all runs"),
    ] = None,
    repository: Annotated[str | None, typer.Option(help="Git URL that workers clone; by default none")] = None,
    branch: Annotated[str | None, typer.Option(help="Branch of the repository")] = None,
) -> None:
    """Create work pool, block type, limits and deployments on the Prefect server of PREFECT_API_URL."""
    prepare_prefect()
    from pareta_cli.server_setup import SetUpError, read_limits, set_up

    try:
        notes = set_up(read_limits(limits or ()), repository, branch)
    except SetUpError as error:
        raise bad_input(error) from None
    for note in notes:
        typer.echo(f"note: {note}", err=True)
    typer.echo("server set up; start a worker with: prefect worker start --pool pareta")


def main() -> None:
    """Run the command line."""
    use_durable_outputs()
    end_on_signals()
    app()


def _run(
    flow: Callable[[Any], Awaitable[Any]],
    kind: type["BaseModel"],
    spec: Path,
    overrides: list[str] | None,
    as_json: bool,
) -> None:
    from pareta_cli.runner import run_flow
    from pareta_cli.specs import read_spec

    with report_bad_input():
        parameter = read_spec(kind, spec, overrides or ())
    result, status = run_flow(flow, parameter)
    if result is not None:
        as_text = json.dumps(result) if isinstance(result, str) else result.model_dump_json(indent=2)
        typer.echo(as_text if as_json else str(result))
    raise typer.Exit(status)
