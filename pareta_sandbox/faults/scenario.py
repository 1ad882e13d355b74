"""Scenarios: settings, faults and events of a difficult day, in YAML; a small library of them has names."""

import asyncio
from decimal import Decimal
from functools import partial
from importlib import resources
from pathlib import Path

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from pareta_sandbox.faults.kinds import Fault
from pareta_sandbox.service import Service
from pareta_sandbox.settings import Change
from pareta_sandbox.state.journal import stamped
from pareta_sandbox.state.money import MICRO_PER_USD


class ScenarioError(ValueError):
    """A scenario is unknown or malformed."""


class Event(BaseModel):
    """Something that happens so many seconds after the scenario has begun."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    at_s: float = Field(ge=0)
    top_up_usd: Decimal | None = Field(None, ge=-1_000_000, le=1_000_000)
    stop_endpoint: str | None = None
    start_endpoint: str | None = None


class Scenario(BaseModel):
    """A difficult day.

    teaches: what one can learn from it. stopped: every endpoint is stopped when it begins. balance_usd: the balance
    when it begins.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    teaches: str = ""
    settings: Change = Change()
    balance_usd: Decimal | None = Field(None, ge=0, le=1_000_000)
    stopped: bool = False
    faults: tuple[Fault, ...] = ()
    events: tuple[Event, ...] = ()


def names() -> list[str]:
    """Return the names of the library."""
    return sorted(file.name.removesuffix(".yaml") for file in _library().iterdir() if file.name.endswith(".yaml"))


def named(name: str) -> Scenario:
    """Return a scenario of the library; raises ScenarioError."""
    if name not in names():
        raise ScenarioError(f"there is no scenario '{name}'; there are: {', '.join(names())}")
    return parsed(_library().joinpath(f"{name}.yaml").read_text(encoding="utf-8"), name)


def found(name_or_file: str) -> Scenario:
    """Return the scenario in a file, or the one with that name; raises ScenarioError."""
    file = Path(name_or_file)
    if file.suffix not in (".yaml", ".yml"):
        return named(name_or_file)
    try:
        return parsed(file.read_text(encoding="utf-8"), name_or_file)
    except (OSError, UnicodeDecodeError) as wrong:
        raise ScenarioError(f"cannot read scenario {name_or_file}: {wrong}") from wrong


def parsed(text: str, source: str) -> Scenario:
    """Read a scenario from YAML; raises ScenarioError naming the place."""
    try:
        return Scenario.model_validate(yaml.safe_load(text))
    except yaml.YAMLError as wrong:
        raise ScenarioError(f"scenario {source} is not YAML: {wrong}") from wrong
    except ValidationError as wrong:
        first = wrong.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise ScenarioError(f"scenario {source}, at {place or 'the top'}: {first['msg']}") from wrong


def begin(service: Service, scenario: Scenario, name: str) -> None:
    """Let a scenario begin now, on top of what is on already; call it on the service's event loop."""
    service.journal.write(stamped("scenario", name))
    service.change(**scenario.settings.changes())
    if scenario.balance_usd is not None:
        service.books.set_balance(_micro_usd(scenario.balance_usd))
    if scenario.stopped:
        for endpoint in service.endpoints.all():
            service.endpoints.become(endpoint, "stopped")
    for fault in scenario.faults:
        service.faults.add(fault)
    for event in scenario.events:
        asyncio.get_running_loop().call_later(event.at_s, partial(happen, service, event))


def happen(service: Service, event: Event) -> None:
    """Let an event happen; an endpoint that is gone by then is left alone."""
    if event.top_up_usd is not None:
        service.books.top_up(_micro_usd(event.top_up_usd))
    for endpoint in service.endpoints.all():
        if endpoint.id == event.stop_endpoint:
            service.endpoints.become(endpoint, "stopped")
        if endpoint.id == event.start_endpoint:
            service.endpoints.start(endpoint, service.settings.cold_start_s)


def _micro_usd(usd: Decimal) -> int:
    return int(usd * MICRO_PER_USD)


def _library() -> resources.abc.Traversable:
    return resources.files("pareta_sandbox.faults").joinpath("scenarios")
