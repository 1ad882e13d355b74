"""Registration of the commands: `--debug` on each of them, and every error in one or two lines."""

import asyncio
import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from pareta_batch import masked
from pareta_cli.debugging import debug, print_error, print_traceback
from pareta_cli.interruption import STOPPED

CommandFunction = Callable[..., None]

Debug = Annotated[bool, typer.Option("--debug", help="Print the traceback of an error.")]

UsageError: type[typer.BadParameter] = typer.BadParameter.__mro__[1]
"""Base class of the errors for an unknown command, option or value; Typer does not export it."""
TOO_FEW = "NoArgsIsHelpError"
"""Usage error that carries the help: the user passed no arguments."""


def register(app: typer.Typer, name: str, command: CommandFunction, panel: str) -> None:
    """Add a command to the program, under a panel of its help."""
    app.command(name, rich_help_panel=panel)(_with_debug(command))


class Program(TyperGroup):
    """The program; its usage errors are printed in one line."""

    def make_context(self, info_name: str | None, args: list[str], parent: Any = None, **extra: Any) -> Any:
        """Parse the options before the command; raise typer.Exit for an invalid one."""
        with _usage_errors_in_one_line():
            return super().make_context(info_name, args, parent, **extra)

    def invoke(self, ctx: Any) -> Any:
        """Parse the arguments of the command and run it; raise typer.Exit for invalid ones."""
        with _usage_errors_in_one_line():
            return super().invoke(ctx)


def _with_debug(command: CommandFunction) -> CommandFunction:
    """Return the command with the option `--debug`, which the command itself does not receive."""

    @wraps(command)
    def wrapped(*args: Any, **options: Any) -> None:
        if options.pop("debug"):
            debug.set(True)
        with _unexpected_errors_in_one_line():
            command(*args, **options)

    signature = inspect.signature(command)
    option = inspect.Parameter("debug", inspect.Parameter.KEYWORD_ONLY, default=False, annotation=Debug)
    wrapped.__signature__ = signature.replace(parameters=[*signature.parameters.values(), option])  # type: ignore[attr-defined]
    wrapped.__annotations__ = {**command.__annotations__, "debug": Debug}
    return wrapped


@contextmanager
def _usage_errors_in_one_line() -> Iterator[None]:
    try:
        yield
    except UsageError as error:
        if type(error).__name__ == TOO_FEW:
            raise
        command = error.ctx.command_path.partition(" ")[2] if error.ctx else ""
        message = " ".join(error.format_message().split()).rstrip(".")
        print_error(f"{masked(message)}; see: {' '.join(['pareta-pipeline', *command.split()])} --help")
        print_traceback(error)
        raise typer.Exit(2) from None


@contextmanager
def _unexpected_errors_in_one_line() -> Iterator[None]:
    try:
        yield
    except (typer.Exit, typer.Abort, UsageError, BrokenPipeError):
        raise
    except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 - reported by its class
        text = " ".join(str(error).split())
        print_error(masked(f"unexpected {type(error).__name__}: {text:.300}"))
        if not debug.get():
            typer.echo("run the same command with --debug for the traceback, and report it", err=True)
        print_traceback(error)
        raise typer.Exit(STOPPED) from None
