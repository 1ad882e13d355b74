"""Spec files by command: the model of each, and the detection of the command from the fields."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pydantic import BaseModel

    from pareta_cli.specs import Fields


class Command(StrEnum):
    """Commands that take a spec of their own."""

    DEPLOY = "deploy"
    COMPLETE = "complete"
    COMPARE = "compare"
    PROMOTE = "promote"
    WATCH = "watch"
    RUN = "run"


OTHER_NAMES = {"pipeline": Command.RUN, "retry-failed": Command.COMPLETE, "export": Command.COMPLETE}
"""Further names of a spec: the object that it describes, and commands that take the spec of another one."""


def kind_of(command: Command) -> type["BaseModel"]:
    """Return the model of a command's spec."""
    # Import only now, and only the model: completion of a command line needs no models, and `complete` only one.
    match command:
        case Command.COMPLETE:
            from pareta_batch import Batch

            return Batch
        case Command.COMPARE:
            from pareta_evals import Comparisons

            return Comparisons
        case _:
            from flows.parameters import Deployment, Pipeline, Promotion, Watch

            others: dict[Command, type[BaseModel]] = {
                Command.DEPLOY: Deployment,
                Command.PROMOTE: Promotion,
                Command.WATCH: Watch,
                Command.RUN: Pipeline,
            }
            return others[command]


def command_named(name: str, option: str) -> Command:
    """Return the command of this name; raises SpecError with all names, for the option or argument that named it."""
    if name in OTHER_NAMES:
        return OTHER_NAMES[name]
    if name not in list(Command):
        from pareta_cli.specs import SpecError

        raise SpecError(f"{option} {name!r}: unknown command; choose one of {', '.join(Command)}")
    return Command(name)


def command_for(path: Path, fields: "Fields") -> Command:
    """Detect the command of a spec from its fields. Raises SpecError if two commands accept it."""
    from pareta_cli.specs import SpecError

    match fields:
        case {"batch": _}:
            return Command.RUN
        case {"comparisons": _}:
            return Command.COMPARE
        case {"policy": _} | {"comparison": _, "ready_within_s": _}:
            return Command.PROMOTE
        case {"comparison": _, "plot": _}:
            return Command.WATCH
        case {"comparison": _}:
            raise SpecError(f"{path}: watch and promote both accept this spec; add --for watch or --for promote")
        case {"task": _} if not fields.keys() & {"dataset", "prompt"}:
            return Command.DEPLOY
        case _:
            return Command.COMPLETE
