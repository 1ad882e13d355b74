"""Reference page of the command line: commands, arguments and options, from the Typer program."""

from collections.abc import Iterator
from typing import Any

import typer

from pareta_cli.app import COMMANDS, app

INTRODUCTION = """# Commands

Generated from the program: `pareta-pipeline COMMAND --help` prints the same. [Command line](../command-line.md)
explains their use. Every command has `--debug`: it prints the traceback of an error. `pareta-pipeline --version` prints
the version. `pareta-pipeline sandbox …` has the [options of the sandbox](../sandbox.md).
"""


def commands_page() -> str:
    """Return the page with a section for each command, in the panels of the help."""
    program: Any = typer.main.get_command(app)  # Typer does not export the types of Click
    sections = [
        _section(name, program.commands[name], panel) for panel, commands in COMMANDS.items() for name in commands
    ]
    return "\n\n".join([INTRODUCTION, *sections])


def _section(name: str, command: Any, panel: str) -> str:
    parameters = [each for each in command.params if each.name not in ("help", "debug")]
    usage = " ".join([f"pareta-pipeline {name}", *(_usage(each) for each in parameters if _is_argument(each))])
    lines = [f"## {name}", "", f"*{panel}.* {_text(command.help)}", "", "```", f"{usage} [OPTIONS]", "```"]
    rows = list(_rows(parameters))
    return "\n".join([*lines, "", "| parameter | meaning | default |", "|---|---|---|", *rows] if rows else lines)


def _is_argument(parameter: Any) -> bool:
    return bool(parameter.param_type_name == "argument")


def _usage(argument: Any) -> str:
    shown = _name(argument)
    return shown if argument.required else f"[{shown}]"


def _name(argument: Any) -> str:
    return str(argument.metavar or argument.name.upper())


def _rows(parameters: list[Any]) -> Iterator[str]:
    for each in parameters:
        if getattr(each, "hidden", False):
            continue
        value = f" {each.metavar}" if each.metavar else ""
        shown = _name(each) if _is_argument(each) else ", ".join([*each.opts, *each.secondary_opts]) + value
        yield f"| `{shown}` | {_text(each.help)} | {_default(each)} |"


def _default(parameter: Any) -> str:
    if parameter.required:
        return "required"
    default = parameter.default
    plain = default not in (None, False, "", (), []) and isinstance(default, str | int | float)
    return f"`{default}`" if plain else "–"


def _text(text: str | None) -> str:
    return " ".join((text or "").split()).replace("|", "\\|").replace("<", "&lt;")
