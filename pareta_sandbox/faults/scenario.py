"""Scenarios in YAML: settings, faults and timed events. A library holds the named ones."""

import asyncio
from decimal import Decimal
from functools import cache, partial
from importlib import resources
from pathlib import Path

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from pareta_sandbox.faults.kinds import Fault
from pareta_sandbox.service import Service
from pareta_sandbox.settings import Change
from pareta_sandbox.state.money import MICRO_PER_USD


class ScenarioError(ValueError):
    """An unknown or malformed scenario."""


class Event(BaseModel):
    """A change that happens `at_s` seconds after the start of the scenario."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    at_s: float = Field(ge=0)
    top_up_usd: Decimal | None = Field(None, ge=-1_000_000, le=1_000_000)
    stop_endpoint: str | None = None
    start_endpoint: str | None = None


class Scenario(BaseModel):
    """A scenario as its YAML file describes it.

    teaches: the lesson, for people.
    balance_usd: the balance at the start; None keeps the current balance.
    stopped: whether every endpoint is stopped at the start.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    teaches: str = ""
    settings: Change = Change()
    balance_usd: Decimal | None = Field(None, ge=0, le=1_000_000)
    stopped: bool = False
    faults: tuple[Fault, ...] = ()
    events: tuple[Event, ...] = ()


def names() -> list[str]:
    """Return the names of the scenarios in the library."""
    return sorted(file.name.removesuffix(".yaml") for file in _library().iterdir() if file.name.endswith(".yaml"))


@cache
def library() -> dict[str, str]:
    """Return what each scenario of the library teaches, by name."""
    return {name: from_library(name).teaches.strip() for name in names()}


def from_library(name: str) -> Scenario:
    """Return a scenario of the library; raises ScenarioError if the name is unknown."""
    if name not in names():
        raise ScenarioError(f"unknown scenario '{name}'; use one of: {', '.join(names())}")
    return parse(_library().joinpath(f"{name}.yaml").read_text(encoding="utf-8"), name)


def load(name_or_file: str) -> Scenario:
    """Return the scenario in a YAML file, or in the library; raises ScenarioError."""
    file = Path(name_or_file)
    if file.suffix not in (".yaml", ".yml"):
        return from_library(name_or_file)
    try:
        return parse(file.read_text(encoding="utf-8"), name_or_file)
    except (OSError, UnicodeDecodeError) as error:
        raise ScenarioError(f"scenario '{name_or_file}' is not readable: {error}") from error


def parse(text: str, source: str) -> Scenario:
    """Parse a scenario; raises ScenarioError with the place of the problem."""
    try:
        return Scenario.model_validate(yaml.safe_load(text))
    except yaml.YAMLError as error:
        raise ScenarioError(f"scenario '{source}' is not valid YAML: {error}") from error
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise ScenarioError(f"scenario '{source}' at {place or 'the top'}: {first['msg']}") from error


def begin(service: Service, scenario: Scenario, name: str) -> None:
    """Begin a scenario in addition to the active faults; call it on the event loop of the service."""
    service.journal.write("scenario", name)
    service.change(**scenario.settings.changes())
    if scenario.balance_usd is not None:
        service.books.set_balance(_micro_usd(scenario.balance_usd))
    if scenario.stopped:
        for endpoint in service.endpoints.all():
            service.endpoints.become(endpoint, "stopped")
    for fault in scenario.faults:
        service.faults.add(fault)
    for event in scenario.events:
        asyncio.get_running_loop().call_later(event.at_s, partial(apply_event, service, event))


def apply_event(service: Service, event: Event) -> None:
    """Apply an event; a deleted endpoint is ignored."""
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
