"""Values of another type than promised, in every field there is: reading an answer never raises but a ParetaError."""

import inspect
import json
from collections.abc import Callable
from typing import Any

import pytest

import pareta_client
from pareta_client.core.steps import Failed, Received, Reply
from pareta_client.errors import ParetaError
from pareta_client.models.record import Record
from pareta_client.operations.endpoints import deploy_and_wait, deploy_call, wait_until_live
from pareta_client.operations.eval_runs import RunOn, create_run, wait_for_run, wait_timing
from pareta_client.operations.eval_sets import create_set, propose_contract
from tests.client.playing import play, reply, settings

ODD: list[Any] = [None, True, 7, -1.5, "", "odd", [], [1], ["odd"], [{"id": 7}], {}, {"id": []}]
ALSO_READ = {
    "benchmarked", "candidate_model_ids", "evidence", "has_blob_input", "homogeneous", "id", "matched", "ambiguous",
    "task", "taskName", "vision",
}  # fmt: skip
ROWS = [{"input": "a"}]
NEW_SET = RunOn(None, None, ROWS, None, "sort these")


def kinds() -> list[type[Record]]:
    public = (getattr(pareta_client, name) for name in dir(pareta_client))
    return [kind for kind in public if inspect.isclass(kind) and issubclass(kind, Record)]


def read_all(value: object) -> None:
    if isinstance(value, list):
        for item in value:
            read_all(item)
    if isinstance(value, Record):
        for name in dir(type(value)):
            if not name.startswith(("_", "model_")) and not callable(getattr(type(value), name)):
                read_all(getattr(value, name))
        for name in type(value).model_fields:
            read_all(getattr(value, name))


@pytest.mark.parametrize("kind", kinds(), ids=lambda kind: kind.__name__)
def test_no_odd_value_keeps_a_record_from_being_read(kind: type[Record]) -> None:
    names = {field.validation_alias or name for name, field in kind.model_fields.items()} | ALSO_READ
    for name in names:
        for odd in ODD:
            raw = {str(name): odd}
            record = kind.model_validate(raw)
            read_all(record)
            assert record.to_dict() == raw


@pytest.mark.parametrize("name", ["id", "status", "candidate_model_ids", "total_cost_micro_usd", "error_detail"])
def test_no_odd_value_keeps_a_run_from_being_read(name: str) -> None:
    for odd in ODD:
        read_all(pareta_client.EvalRun.model_validate({"run": {name: odd}}))


def ends_well(operation: Any, *bodies: Any) -> bool:
    came: list[Reply | Failed | Received] = [reply(200, json.dumps(body).encode()) for body in bodies]
    played = play(operation, came)
    return played.error is None or isinstance(played.error, ParetaError)


def proposing(**fields: Any) -> dict[str, Any]:
    return {"homogeneous": True, "proposals": [{"task_id": "t", "confidence": "low"}], **fields}


@pytest.mark.parametrize("odd", ODD, ids=repr)
@pytest.mark.parametrize(
    "ends",
    [
        lambda odd: ends_well(create_set(None, ROWS, None, "p", "k", settings()), proposing(conflict=odd), {}),
        lambda odd: ends_well(create_set(None, ROWS, None, "p", "k", settings()), proposing(split=odd), {}),
        lambda odd: ends_well(create_set(None, ROWS, None, "p", "k", settings()), proposing(proposals=odd), {}),
        lambda odd: ends_well(
            create_set(None, ROWS, None, "p", "k", settings()),
            proposing(proposals=[{"task_id": odd, "confidence": "high"}]),
            {},
        ),
        lambda odd: ends_well(propose_contract(ROWS, "p", "k", settings()), odd),
        lambda odd: ends_well(
            create_run(RunOn(None, "t", ROWS, None, None), ["m"], "all", None, "k", settings()),
            {"eval_set": {"id": odd}},
            {"frontier_models": [{"id": odd}]},
            {"run_id": odd},
        ),
        lambda odd: ends_well(
            create_run(RunOn("es_1", "t", None, None, None), ["m"], None, None, "k", settings()), {"run_id": odd}
        ),
        lambda odd: ends_well(
            wait_for_run("r", wait_timing(1, 1), settings()), *[{"run": {"status": odd}, "results": odd}] * 2
        ),
        lambda odd: ends_well(wait_until_live("e", 1, 0.1, settings()), *[{"status": odd}] * 2),
    ],
)
def test_no_odd_value_ends_an_operation_otherwise_than_with_an_answer_or_an_error_of_ours(
    ends: Callable[[Any], bool], odd: Any
) -> None:
    assert ends(odd)


@pytest.mark.parametrize("odd", ODD, ids=repr)
@pytest.mark.parametrize("field", ["id", "name", "status"])
def test_a_deployment_ends_whatever_its_endpoint_says(field: str, odd: Any) -> None:
    event = (
        b"event: complete\ndata: %s\n\n" % json.dumps({"endpoint": {"id": "ep", "status": "live", field: odd}}).encode()
    )
    call = deploy_call("t", "recommended", None, {}, "k")
    live = reply(200, b'{"id": "ep", "status": "live"}')
    played = play(deploy_and_wait(call, settings()), [reply(), Received(event), Received(b""), live])
    assert played.error is None or isinstance(played.error, ParetaError)
