"""Commands that run a flow: one factory, and the commands with options of their own."""

import json
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pareta_cli.environment import prepare_prefect, start_without_prefect, without_gc
from pareta_cli.options import AsJson, Overrides, SpecFile, Verbose, Yes, announce, report_bad_input
from pareta_cli.spec_kinds import AnyFlow, Command, flow_of, kind_of

if TYPE_CHECKING:
    from pareta_cli.specs import Spec


def flow_command(command: Command, help_: str) -> Callable[..., None]:
    """Return the function of a command that reads a spec and runs the flow of the same purpose."""

    def run(
        spec: SpecFile,
        overrides: Overrides = None,
        yes: Yes = False,
        as_json: AsJson = False,
        verbose: Verbose = False,
    ) -> None:
        run_spec(command, spec, overrides, yes=yes, as_json=as_json, verbose=verbose)

    run.__doc__ = help_
    return run


def complete(
    spec: SpecFile,
    sample: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=10_000,
            metavar="ROWS",
            help="Send only this many rows, part of the batch, and show their answers.",
        ),
    ] = None,
    overrides: Overrides = None,
    yes: Yes = False,
    as_json: AsJson = False,
    verbose: Verbose = False,
) -> None:
    """Answer every row of a dataset once, and pay for it once."""
    if sample is None:
        run_spec(Command.COMPLETE, spec, overrides, yes=yes, as_json=as_json, verbose=verbose)
        return
    from pareta_batch import Batch
    from pareta_cli.specs import read_spec

    with report_bad_input():
        batch = read_spec(Batch, spec, overrides or ())
        announce(f"starting {spec}")
        from pareta_cli.sample import make_sample

        report = make_sample(batch, sample, approved=yes)
    typer.echo(report.model_dump_json(indent=2) if as_json else str(report))
    raise typer.Exit(int(report.failed > 0))


def retry_failed(
    spec: SpecFile,
    errors: Annotated[
        list[str] | None, typer.Option("--error", metavar="CLASS", help="Send only rows with this error class.")
    ] = None,
    overrides: Overrides = None,
    yes: Yes = False,
    as_json: AsJson = False,
    verbose: Verbose = False,
) -> None:
    """Send only the failed rows of a batch again."""

    def flow() -> AnyFlow:
        from flows.retry_failed import retry_failed

        return partial(retry_failed, errors=tuple(errors or ()))

    run_spec(
        Command.COMPLETE, spec, overrides, yes=yes, as_json=as_json, verbose=verbose, flow=flow, retried=errors or ()
    )


def run_spec(
    command: Command,
    path: Path,
    overrides: list[str] | None,
    *,
    yes: bool,
    as_json: bool,
    verbose: bool,
    flow: Callable[[], AnyFlow] | None = None,
    retried: Sequence[str] | None = None,
) -> None:
    """Read a spec, run its flow, print the report and a summary, and raise typer.Exit with the status.

    Args:
        flow: Returns the flow to run in place of the command's own.
        retried: Error classes of the failed rows to send again; None for a run of all rows.
    """
    with without_gc():
        from pareta_cli.specs import read_spec

        with report_bad_input():
            parameter = read_spec(kind_of(command), path, overrides or ())
        # Only now, not before an error; and not later: the imports below take a second.
        announce(f"starting {path}")
        start_without_prefect(verbose=verbose)
        prepare_prefect(verbose=verbose)
        from pareta_cli.runner import run_flow

        chosen = flow() if flow else flow_of(command)
    result, status = run_flow(chosen, _approved(parameter, retried, yes=yes))
    if result is not None:
        from pareta_cli.summary import summary

        as_text = json.dumps(result) if isinstance(result, str) else result.model_dump_json(indent=2)
        typer.echo(as_text if as_json else "\n".join(filter(None, [str(result), summary(result)])))
    raise typer.Exit(status)


def _approved(spec: "Spec", retried: Sequence[str] | None, *, yes: bool) -> "Spec":
    """Return the spec without its threshold, once a person has approved its quote; else raise typer.Exit."""
    if getattr(spec, "approve_above_usd", None) is None:
        return spec
    if not yes:
        from pareta_cli.approval import ask_for_approval

        with report_bad_input():
            ask_for_approval(spec, retried)
    # The flow has no terminal to ask on.
    return spec.model_copy(update={"approve_above_usd": None})
