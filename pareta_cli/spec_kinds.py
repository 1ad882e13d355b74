"""Spec files by command: the model and the flow of each, and the detection of the command from the fields."""

from collections.abc import Awaitable, Callable
from enum import StrEnum
from pathlib import Path
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pydantic import BaseModel

    from pareta_cli.specs import Fields

AnyFlow = Callable[..., Awaitable[Any]]  # flows return different reports


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


PARTS = {
    Command.DEPLOY: ("flows.parameters:Deployment", "flows.deploy_endpoint:deploy_endpoint"),
    Command.COMPLETE: ("pareta_batch:Batch", "flows.complete_batch:complete_batch"),
    Command.COMPARE: ("pareta_evals:Comparisons", "flows.compare_models:compare_models"),
    Command.PROMOTE: ("flows.parameters:Promotion", "flows.promote_winner:promote_winner"),
    Command.WATCH: ("flows.parameters:Watch", "flows.watch_quality:watch_quality"),
    Command.RUN: ("flows.parameters:Pipeline", "flows.run_pipeline:run_pipeline"),
}
"""The model of each command's spec, and its flow; by name, so that a command imports only its own."""


def kind_of(command: Command) -> type["BaseModel"]:
    """Return the model of a command's spec."""
    model: type[BaseModel] = resolve_name(PARTS[command][0])
    return model


def flow_of(command: Command) -> AnyFlow:
    """Return the flow of a command; call it late, because Prefect reads the environment when it is imported."""
    flow: AnyFlow = resolve_name(PARTS[command][1])
    return flow


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
