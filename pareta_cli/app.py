"""`pareta-pipeline`: run the flows from a terminal or a script.

Exit status: 0 done · 1 done with more failures than tolerated · 2 bad input or configuration · 3 stopped early
"""

import os
import sys
from typing import Annotated

import typer

from pareta_batch import LOG_FORMAT, logs_are_json
from pareta_cli import batch_commands, spec_commands
from pareta_cli.checks import print_checks
from pareta_cli.credentials_command import credentials
from pareta_cli.debugging import debug as debug_is_on
from pareta_cli.environment import disable_prefect_telemetry, is_command
from pareta_cli.init_command import init
from pareta_cli.interruption import end_on_signals
from pareta_cli.lifeline import without_key
from pareta_cli.options import AsJson, bad_input, report_bad_input
from pareta_cli.outlets import LogFormat, use_durable_outputs, use_json_lines
from pareta_cli.registration import CommandFunction, Debug, Program, register
from pareta_cli.run_commands import complete, flow_command, retry_failed
from pareta_cli.schedule_command import schedule
from pareta_cli.server_command import server
from pareta_cli.setup_command import set_up
from pareta_cli.spec_kinds import Command
from pareta_cli.spend_command import spend

PASS_THROUGH = {"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []}

app = typer.Typer(cls=Program, no_args_is_help=True, help=__doc__, pretty_exceptions_enable=False)


def print_version(wanted: bool) -> None:
    """Print the version and raise typer.Exit, if the option was passed."""
    if wanted:
        from importlib.metadata import version

        typer.echo(f"pareta-pipeline {version('pareta-pipelines')}")
        raise typer.Exit


@app.callback()
def program(
    version: Annotated[
        bool, typer.Option("--version", callback=print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
    debug: Debug = False,
    log_format: Annotated[
        LogFormat, typer.Option(envvar=LOG_FORMAT, help="Format of log lines and messages on standard error.")
    ] = LogFormat.TEXT,
) -> None:
    """Store the options of the program."""
    disable_prefect_telemetry()
    debug_is_on.set(debug)
    if log_format is LogFormat.JSON:
        use_json_lines()


def demo(
    keep: Annotated[
        bool, typer.Option("--keep", help="Leave the Prefect server running, to look at the runs.")
    ] = False,
) -> None:
    """Run the whole pipeline on real licence texts against a local sandbox."""
    from pareta_cli.demo import run_demo
    from pareta_cli.prefect_server import ServerError

    try:
        with report_bad_input():
            raise typer.Exit(run_demo(keep=keep))
    except ServerError as error:
        raise bad_input(error, status=3) from None


def sandbox(context: typer.Context) -> None:
    """Run a local Pareta service, or show its books; same as `python -m pareta_sandbox`."""
    # The sandbox imports no code of the client that it tests: replace this process, and drop the key.
    os.execve(sys.executable, [sys.executable, "-m", "pareta_sandbox", *context.args], without_key())  # noqa: S606


def doctor(as_json: AsJson = False) -> None:
    """Check key, service, clock, Prefect API, ledger, limits and disk; nothing is spent."""
    from pareta_cli.doctor import diagnose

    print_checks(diagnose(), as_json=as_json)


FLOWS: dict[Command, str] = {
    Command.COMPARE: "Compare models on eval rows.",
    Command.PROMOTE: "Compare models, and deploy the winner if it passes the gate.",
    Command.WATCH: "Score models again on the same rows, and report a drop in quality.",
    Command.RUN: "Run the whole pipeline: endpoint, batch, comparisons, report.",
}

COMMANDS: dict[str, dict[str, CommandFunction]] = {
    "Run": {
        "deploy": flow_command(Command.DEPLOY, "Deploy or reuse an endpoint, and check that it answers."),
        "complete": complete,
        **{command.value: flow_command(command, text) for command, text in FLOWS.items()},
        "retry-failed": retry_failed,
    },
    "Look": {
        "doctor": doctor,
        "validate": spec_commands.validate,
        "quote": spec_commands.quote,
        "status": batch_commands.status,
        "export": batch_commands.export,
        "spend": spend,
    },
    "Control": {"pause": batch_commands.pause, "resume": batch_commands.resume, "set": batch_commands.set_},
    "Set up": {
        "init": init,
        "schema": spec_commands.schema,
        "set-up": set_up,
        "credentials": credentials,
        "schedule": schedule,
        "server": server,
        "demo": demo,
    },
}
"""Commands by the panel of the help that lists them."""

for panel, commands in COMMANDS.items():
    for name, command in commands.items():
        register(app, name, command, panel)
# The sandbox has an option parser of its own, which `--debug` would not reach.
app.command("sandbox", rich_help_panel="Set up", context_settings=PASS_THROUGH)(sandbox)


def main() -> None:
    """Run the command line."""
    is_command.set(True)
    use_durable_outputs()
    end_on_signals()
    if logs_are_json():  # also for errors in the options themselves
        use_json_lines()
    app()
