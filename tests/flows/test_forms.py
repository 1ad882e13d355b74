"""Forms of the deployments: what the server refuses, and values that are completed from the deployment."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prefect import Flow
from prefect.context import FlowRunContext
from prefect.utilities.callables import parameter_schema
from prefect.utilities.schema_tools import ValidationError, validate

from flows.compare_models import compare_models
from flows.complete_batch import complete_batch
from flows.forms import RUN_ID, merged
from flows.promote_winner import promote_winner
from flows.run_pipeline import run_pipeline
from flows.stop_idle_endpoints import stop_idle_endpoints
from tests.flows.test_deployments import every_flow

BATCH = {"name": "b", "model": "auto", "dataset": "rows.csv", "prompt": "{text}"}
WORK = {"dataset": "rows.csv", "prompt": "{text}"}
COMPARISON = {"name": "c", "task": "t", "rows": "rows.jsonl", "models": ["wren-1"]}
PIPELINE = {"name": "p", "task": "t", "batch": WORK}


def refusal(flow: Flow[..., Any], parameter: str, value: object) -> str:
    """Return why the server refuses a value, or an empty text."""
    try:
        validate({parameter: value}, parameter_schema(flow).model_dump_for_openapi(), raise_on_error=True)
    except ValidationError as refused:
        return str(refused)
    return ""


ACCEPTED = [
    (complete_batch, "batch", BATCH),
    (complete_batch, "batch", {"max_in_flight": 64}),
    (complete_batch, "batch", {"budget_usd": 5}),
    (complete_batch, "batch", {**BATCH, "budget_usd": None}),
    (complete_batch, "batch", {**BATCH, "budget_usd": 5, "sampling": {"max_tokens": 5}}),
    (complete_batch, "batch", {**BATCH, "budget_usd": 5, "sampling": {"max_completion_tokens": 5}}),
    (complete_batch, "batch", {**BATCH, "budget_usd": 5, "sampling": {"extra_body": {"max_tokens": 5}}}),
    (complete_batch, "batch", {**BATCH, "output": "out/x.csv"}),
    (complete_batch, "batch", {**BATCH, "output": None}),
    (run_pipeline, "pipeline", PIPELINE),
    (run_pipeline, "pipeline", {"batch": {"max_in_flight": 64}}),
    (run_pipeline, "pipeline", {**PIPELINE, "budget_usd": 5, "batch": {"max_in_flight": 3}}),
    (run_pipeline, "pipeline", {"name": "p", "batch": {"dataset": "new.csv"}}),
    (complete_batch, "batch", {"name": "b", "model": "auto", "dataset": "new.csv", "budget_usd": 5}),
    (complete_batch, "batch", {"name": "b", "model": "auto", "dataset": "chats.jsonl", "messages_column": "chat"}),
    (run_pipeline, "pipeline", {"name": "p", "model": "ep_1", "batch": WORK}),
    (run_pipeline, "pipeline", {"name": "p", "model": "auto", "task": None, "batch": WORK}),
    (promote_winner, "promotion", {"name": "p", "comparison": COMPARISON}),
    (promote_winner, "promotion", {"name": "p", "comparison": COMPARISON | {"rows": {"path": "a", "format": "csv"}}}),
    (promote_winner, "promotion", {"policy": {"max_loss": 0.1}}),
    (compare_models, "comparisons", {"max_runs_in_flight": 2}),
    (stop_idle_endpoints, "guard", {"dry_run": False}),
]

REFUSED = [
    (complete_batch, "batch", {**BATCH, "output": "x.txt"}, "'x.txt' does not match"),
    (complete_batch, "batch", {"output": "x.txt"}, "'x.txt' does not match"),
    (complete_batch, "batch", {**BATCH, "output": ".csv"}, "'.csv' does not match"),
    (complete_batch, "batch", {**BATCH, "budget_usd": 5}, "'sampling' is a required property"),
    (
        complete_batch,
        "batch",
        {**BATCH, "budget_usd": 5, "sampling": {}},
        "'max_tokens' is a required property",
    ),
    (complete_batch, "batch", {**BATCH, "budget_usd": 5, "sampling": {"max_tokens": None}}, "max_tokens"),
    (complete_batch, "batch", {**BATCH, "max_in_flight": 0}, "max_in_flight"),
    (complete_batch, "batch", {"max_in_flite": 3}, "max_in_flite"),
    (complete_batch, "batch", {"prompt": ""}, "prompt"),
    (run_pipeline, "pipeline", {"name": "p", "batch": WORK}, "'task' is a required property"),
    (run_pipeline, "pipeline", {"name": "p", "model": "wren-1", "task": None, "batch": WORK}, "task"),
    (run_pipeline, "pipeline", {**PIPELINE, "budget_usd": 5}, "'sampling' is a required property"),
    (promote_winner, "promotion", {"name": "p", "comparison": COMPARISON | {"task": None}}, "task"),
    (compare_models, "comparisons", {"comparisons": [{"name": "c"}]}, "'models' is a required property"),
    (compare_models, "comparisons", {"comparisons": [{"name": "c", "models": ["wren-1"], "task": "t"}]}, "comparisons"),
]


@pytest.mark.parametrize(("flow", "parameter", "value"), ACCEPTED)
def test_a_value_that_a_run_accepts_or_completes_is_accepted(
    flow: Flow[..., Any], parameter: str, value: object
) -> None:
    assert refusal(flow, parameter, value) == ""


@pytest.mark.parametrize(("flow", "parameter", "value", "reason"), REFUSED)
def test_a_value_that_a_run_refuses_is_refused_before_it_starts(
    flow: Flow[..., Any], parameter: str, value: object, reason: str
) -> None:
    assert reason in refusal(flow, parameter, value)


EACH_FLOW = {each.name: each for each in every_flow()}


@pytest.mark.parametrize("name", sorted(EACH_FLOW))
def test_every_top_level_parameter_has_a_title_and_a_description(name: str) -> None:
    flow = EACH_FLOW[name]
    schema = parameter_schema(flow)
    for parameter, field in schema.properties.items():
        assert field["description"].endswith("."), parameter
        title = field.get("title") or schema.definitions[field["$ref"].rpartition("/")[2]]["title"]
        assert title[0].isupper(), parameter


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=8,
)
objects = st.dictionaries(st.sampled_from("abc"), json_values, max_size=3)


@given(objects, objects)
def test_changes_win_and_the_other_fields_stay(changes: dict[str, Any], own: dict[str, Any]) -> None:
    value = merged(changes, own)
    assert merged(changes, value) == value
    assert merged({}, own) == own
    assert value.keys() == changes.keys() | own.keys()
    for name in own.keys() - changes.keys():
        assert value[name] == own[name]
    for name, change in changes.items():
        if not isinstance(change, dict) or not isinstance(own.get(name), dict):
            assert value[name] == change


def test_an_incomplete_value_outside_of_a_deployment_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(RUN_ID, raising=False)
    assert FlowRunContext.get() is None
    with pytest.raises(Exception, match=r"batch\.name"):
        complete_batch.validate_parameters({"batch": {"max_in_flight": 64}})
