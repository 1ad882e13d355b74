"""Every deployment in prefect.yaml: Prefect ignores keys that it does not know, and deploys broken entrypoints."""

import re
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import yaml
from prefect import Flow
from prefect.cli.deploy._models import (
    ConcurrencyLimitSpec,
    DeploymentConfig,
    PrefectYamlModel,
    RawScheduleConfig,
    WorkPoolConfig,
)
from prefect.events.schemas.deployment_triggers import DeploymentEventTrigger
from prefect.exceptions import ParameterTypeError
from prefect.flows import load_flow_from_entrypoint
from pydantic import BaseModel

from flows.bounds import Bounds, check_event
from flows.forms import merged
from flows.reference import with_tables
from pareta_batch.errors import EventIncomplete

PROJECT = Path(__file__).parents[2]
FILE = yaml.safe_load((PROJECT / "prefect.yaml").read_text(encoding="utf-8"))
DOCS = (PROJECT / "docs/prefect.md").read_text(encoding="utf-8")
DEPLOYMENTS: list[dict[str, Any]] = FILE["deployments"]
OURS = {"definitions"}  # anchors


def known(model: type[BaseModel]) -> set[str]:
    return {field.alias or name for name, field in model.model_fields.items()}


def full_name(deployment: dict[str, Any]) -> str:
    flow = deployment["entrypoint"].rpartition(".")[2].replace("_", "-")
    return f"{flow}/{deployment['name']}"


each_deployment = pytest.mark.parametrize("deployment", DEPLOYMENTS, ids=full_name)


def test_the_file_has_only_keys_that_prefect_knows() -> None:
    assert FILE.keys() - known(PrefectYamlModel) <= OURS


def test_every_flow_has_a_deployment() -> None:
    deployed = {full_name(deployment).partition("/")[0] for deployment in DEPLOYMENTS}
    assert deployed == {flow.name for flow in every_flow()}


def every_flow() -> list[Flow[..., Any]]:
    modules = [import_module(f"flows.{file.stem}") for file in (PROJECT / "flows").glob("*.py")]
    return [each for module in modules for each in vars(module).values() if isinstance(each, Flow)]


def test_no_two_deployments_have_the_same_name() -> None:
    # Not only per flow: `prefect deploy --name` finds a deployment with a module entrypoint by its own name only.
    names = [deployment["name"] for deployment in DEPLOYMENTS]
    assert len(set(names)) == len(names)


@each_deployment
def test_no_limit_of_a_deployment_cancels_a_run(deployment: dict[str, Any]) -> None:
    limit = deployment.get("concurrency_limit")
    assert limit in (None, {"limit": 1, "collision_strategy": "ENQUEUE"})


@each_deployment
def test_it_has_only_keys_that_prefect_knows(deployment: dict[str, Any]) -> None:
    assert deployment.keys() <= known(DeploymentConfig)
    assert deployment["work_pool"].keys() <= known(WorkPoolConfig)
    limit = deployment.get("concurrency_limit")
    assert not isinstance(limit, dict) or limit.keys() <= known(ConcurrencyLimitSpec)


@each_deployment
def test_its_entrypoint_loads_and_takes_its_parameters(
    deployment: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(PROJECT)
    flow: Flow[..., Any] = load_flow_from_entrypoint(deployment["entrypoint"])
    assert flow.name == full_name(deployment).partition("/")[0]
    # Loaded as a file, it would have another name, and its classes would be others than those the project knows.
    assert f"{flow.fn.__module__}.{flow.fn.__name__}" == deployment["entrypoint"]
    assert flow.validate_parameters(deployment["parameters"]).keys() == flow.parameters.properties.keys()


@each_deployment
def test_a_person_reads_what_it_does_and_finds_it_by_tag(deployment: dict[str, Any]) -> None:
    assert deployment["description"].endswith(".")
    assert "pareta" in deployment["tags"]


@each_deployment
def test_every_field_of_its_form_has_a_description(deployment: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(PROJECT)
    schema = load_flow_from_entrypoint(deployment["entrypoint"]).parameters
    bare = [
        f"{model['title']}.{name}"
        for model in schema.definitions.values()
        for name, field in model.get("properties", {}).items()
        # A box of fields is described by its own model.
        if "description" not in field and "$ref" not in str(field)
    ]
    assert not bare


@each_deployment
def test_a_field_that_does_not_exist_is_refused(deployment: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(PROJECT)
    flow: Flow[..., Any] = load_flow_from_entrypoint(deployment["entrypoint"])
    name, fields = next((name, value) for name, value in deployment["parameters"].items() if isinstance(value, dict))
    with pytest.raises(ParameterTypeError, match="paramater"):
        flow.validate_parameters({name: fields | {"paramater": 1}})


@pytest.mark.parametrize("deployment", [each for each in DEPLOYMENTS if "triggers" in each], ids=full_name)
def test_a_trigger_fills_the_parameters_of_its_flow_from_the_documented_payload(
    deployment: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(PROJECT)
    flow: Flow[..., Any] = load_flow_from_entrypoint(deployment["entrypoint"])
    for trigger in deployment["triggers"]:
        assert trigger.keys() <= known(DeploymentEventTrigger)
        (event,) = trigger["expect"]
        parameters = yaml.safe_dump(trigger["parameters"])
        named = set(re.findall(r"{{ event\.payload\.(\w+) ", parameters))
        assert named
        assert named <= documented_payload(event)
        filled = re.sub(r"{{ event\.payload\.\w+ \| default\('+event-without-\w+'+\) }}", "tickets-9.csv", parameters)
        assert "{{" not in filled
        flow.validate_parameters(merged(yaml.safe_load(filled), deployment["parameters"]))


@pytest.mark.parametrize("deployment", [each for each in DEPLOYMENTS if "triggers" in each], ids=full_name)
def test_a_trigger_whose_event_lacks_a_field_starts_a_run_that_names_the_field(
    deployment: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(PROJECT)
    # A refused event starts no run, and no person sees it.
    assert deployment["enforce_parameter_schema"] is False
    flow: Flow[..., Any] = load_flow_from_entrypoint(deployment["entrypoint"])
    for trigger in deployment["triggers"]:
        parameters = yaml.safe_dump(trigger["parameters"])
        filled = re.sub(r"{{ event\.payload\.\w+ \| default\('+(event-without-\w+)'+\) }}", r"\1.csv", parameters)
        given = flow.validate_parameters(merged(yaml.safe_load(filled), deployment["parameters"]))
        with pytest.raises(EventIncomplete, match="event without field 'name'"):
            check_event(next(iter(given.values())))


def documented_payload(event: str) -> set[str]:
    """Read the fields of an event's payload from its row in docs/prefect.md."""
    (row,) = [line for line in DOCS.splitlines() if line.startswith(f"| `{event}`")]
    return set(re.findall(r"`(\w+)`", row.split("|")[3]))


@pytest.mark.parametrize("deployment", [each for each in DEPLOYMENTS if "schedules" in each], ids=full_name)
def test_a_schedule_names_its_time_zone_and_spends_nothing_unasked(deployment: dict[str, Any]) -> None:
    for schedule in deployment["schedules"]:
        RawScheduleConfig.model_validate(schedule)
        assert schedule["timezone"]
        assert schedule["active"] is ("stop_idle" in deployment["entrypoint"])


def test_the_tables_in_the_docs_are_those_of_the_code() -> None:
    assert with_tables(DOCS) == DOCS


def triggers() -> list[tuple[dict[str, Any], dict[str, Any]]]:
    return [(each, trigger) for each in DEPLOYMENTS for trigger in each.get("triggers", ())]


def test_no_deployment_is_started_by_events_as_it_is_deployed() -> None:
    assert len(triggers()) == 3
    assert [trigger["enabled"] for _, trigger in triggers()] == [False] * 3


def test_what_events_start_has_a_folder_and_a_budget_that_no_event_decides() -> None:
    for deployment, trigger in triggers():
        assert Bounds.model_validate(deployment["parameters"]["bounds"]).budget_usd
        assert "bounds" not in trigger["parameters"]
