"""Eval sets and runs: the candidates really answer, the answers are really scored, the run is billed once."""

import httpx
import pytest

from pareta_sandbox.pytest_plugin import SandboxFactory
from pareta_sandbox.testing import EvalRunFails, EvalRunHangs, ModelWeakens, PriceChange, Sandbox
from tests.sandbox.talk import (
    LICENSES,
    MIT,
    QUESTION,
    JsonObject,
    client,
    complete,
    content,
    eval_set,
    finished,
    licence_set,
    start_run,
)


def results(run: JsonObject) -> dict[str, JsonObject]:
    listed = run["results"]
    assert isinstance(listed, list)
    return {str(result["model_id"]): result for result in listed}


def inner(run: JsonObject) -> JsonObject:
    record = run["run"]
    assert isinstance(record, dict)
    return record


def completed(http: httpx.Client, set_id: str, *candidates: str) -> JsonObject:
    run = finished(http, start_run(http, set_id, *candidates).json()["run_id"])
    assert inner(run)["status"] == "completed"
    return run


def test_a_run_measures_the_stronger_model_better(http: httpx.Client) -> None:
    found = results(completed(http, licence_set(http), "wren-1", "heron-1", "summit-pro"))
    assert found["wren-1"]["quality_mean"] == 0.5  # it knows titles only, and one row has none
    assert found["heron-1"]["quality_mean"] == 1
    assert (found["heron-1"]["kind"], found["summit-pro"]["kind"]) == ("open", "frontier")


def test_a_model_that_weakens_scores_and_answers_as_a_weaker_one_does(http: httpx.Client, sandbox: Sandbox) -> None:
    set_id = licence_set(http)
    fault = sandbox.inject(ModelWeakens(model="heron-1", level=1))
    found = results(completed(http, set_id, "wren-1", "heron-1", "heron-2"))
    assert found["heron-1"]["per_item"] == found["wren-1"]["per_item"]
    assert (found["heron-1"]["quality_mean"], found["heron-2"]["quality_mean"]) == (0.5, 1)
    assert sandbox.hits(fault) == 2
    sandbox.remove(fault)
    assert results(completed(http, set_id, "heron-1"))["heron-1"]["quality_mean"] == 1


def test_an_endpoint_answers_as_weakly_as_its_model_does_by_then(http: httpx.Client, sandbox: Sandbox) -> None:
    served = next(each["model"] for each in http.get("/v1/endpoints").json() if each["id"] == LICENSES)
    sandbox.inject(ModelWeakens(model=served, times=1))
    assert [content(complete(http, MIT.removeprefix("MIT License"))) for _ in range(2)] == ["NOASSERTION", "MIT"]


def test_a_price_change_strikes_completions_and_eval_runs_and_the_books_know(
    http: httpx.Client, sandbox: Sandbox
) -> None:
    set_id = licence_set(http)
    before = [complete(http).headers["x-pareta-billed"] for _ in range(2)]
    cost = results(completed(http, set_id, "wren-1"))["wren-1"]["mean_cost_micro_usd"]
    sandbox.inject(PriceChange(factor=20, skip=1))
    after = [complete(http).headers["x-pareta-billed"] for _ in range(2)]
    assert [int(each) for each in after] == [int(before[0]), 20 * int(before[0])]
    dear = results(completed(http, set_id, "wren-1"))["wren-1"]["mean_cost_micro_usd"]
    assert isinstance(cost, int)
    assert dear == pytest.approx(20 * cost, rel=0.1)
    debits = [debit.amount_micro_usd for debit in sandbox.books().debits]
    assert sum(debits) == sandbox.books().debited_micro_usd


def test_every_result_has_an_interval_a_cost_and_its_items(http: httpx.Client) -> None:
    result = results(completed(http, licence_set(http), "wren-1"))["wren-1"]
    assert result["quality_ci_low"] == 0
    assert result["quality_ci_high"] == 1
    assert isinstance(result["mean_cost_micro_usd"], int)
    assert (result["n_succeeded"], result["error_count"], result["exact_match"]) == (2, 0, 50)
    assert result["per_item"] == [
        {"idx": 0, "score": 1.0, "prediction": "MIT", "error": None},
        {"idx": 1, "score": 0.0, "prediction": "NOASSERTION", "error": None},
    ]


def test_a_run_is_debited_once_for_what_its_candidates_cost(http: httpx.Client, sandbox: Sandbox) -> None:
    run = completed(http, licence_set(http), "wren-1", "summit-pro")
    books = sandbox.books()
    assert [debit.amount_micro_usd for debit in books.debits] == [inner(run)["total_cost_micro_usd"]]
    assert books.debits[0].kind == "eval_run"
    assert books.held_micro_usd == 0
    assert books.balances


def test_a_run_that_cannot_be_paid_is_refused_before_any_work(http: httpx.Client, sandbox: Sandbox) -> None:
    set_id = licence_set(http)
    sandbox.set_balance("0.0001")
    assert start_run(http, set_id, "summit-pro").status_code == 402
    books = sandbox.books()
    assert (books.eval_runs_created, books.debited_micro_usd, books.held_micro_usd) == (0, 0, 0)


def test_runs_go_on_at_the_same_time(sandbox_factory: SandboxFactory) -> None:
    sandbox = sandbox_factory(eval_s=2)  # the third starts before the first ends
    with client(sandbox) as http:
        set_id = licence_set(http)
        started = [start_run(http, set_id, "wren-1") for _ in range(3)]
        assert [reply.json()["status"] for reply in started] == ["queued"] * 3
        assert {reply.status_code for reply in started} == {202}
        for reply in started:
            finished(http, reply.json()["run_id"])
    assert sandbox.books().highest_eval_runs_in_flight == 3
    assert sandbox.books().eval_runs_in_flight == 0


def test_the_same_rows_are_measured_the_same_every_time(http: httpx.Client) -> None:
    first, second = (completed(http, licence_set(http), "wren-1") for _ in range(2))
    assert first["results"] == second["results"]


def test_a_set_of_the_second_generation_has_a_prompt_and_objects(http: httpx.Client) -> None:
    rows: list[JsonObject] = [{"input": {"document": MIT}, "expected_output": {"licence": "MIT"}}]
    reply = eval_set(http, rows, prompt=QUESTION, name="mine")
    record = reply.json()["eval_set"]
    assert reply.status_code == 201
    assert (record["prompt"], record["name"], record["item_count"]) == (QUESTION, "mine", 1)
    assert (record["task_id"], record["scoring_strategy"]) == ("license-identification", "exact_match")
    assert results(completed(http, record["id"], "heron-2", "auto"))["auto"]["quality_mean"] == 1


def test_a_prompt_may_name_the_fields_of_a_row(http: httpx.Client) -> None:
    rows: list[JsonObject] = [{"input": {"title": "t", "body": "I love it"}, "expected_output": {"label": "positive"}}]
    record = eval_set(http, rows, prompt="Is this review positive or negative?\n\n{body}").json()["eval_set"]
    assert results(completed(http, record["id"], "wren-1"))["wren-1"]["per_item"] == [
        {"idx": 0, "score": 1.0, "prediction": "positive", "error": None}
    ]


def test_extraction_is_scored_field_by_field(http: httpx.Client) -> None:
    text = "Copyright (c) 2020 Ada\n\nEffective date: 2021-05-06"
    wanted = {"copyright_holder": "Ada", "year": "2020", "effective_date": "1999-01-01", "governing_law": None}
    record = eval_set(http, [{"input": text, "expected": wanted}], task_id="contract-extraction").json()["eval_set"]
    assert record["scoring_strategy"] == "field_f1"
    assert results(completed(http, record["id"], "heron-2"))["heron-2"]["quality_mean"] == pytest.approx(
        2 / 3, abs=1e-4
    )


def test_an_answer_that_cannot_be_read_is_an_error_not_a_skip(http: httpx.Client) -> None:
    rows: list[JsonObject] = [
        {"input": 'Copyright (c) 2020 The "Quiet" Project', "expected": {"copyright_holder": 'The "Quiet" Project'}}
    ]
    record = eval_set(http, rows, task_id="contract-extraction").json()["eval_set"]
    result = results(completed(http, record["id"], "wren-1"))["wren-1"]
    assert (result["quality_mean"], result["n_succeeded"], result["error_count"]) == (0, 0, 1)


def test_a_run_may_fail_and_costs_nothing(http: httpx.Client, sandbox: Sandbox) -> None:
    sandbox.inject(EvalRunFails(times=1, error="worker died"))
    run = finished(http, start_run(http, licence_set(http), "wren-1").json()["run_id"])
    assert (inner(run)["status"], inner(run)["error_detail"]) == ("failed", "worker died")
    assert inner(run)["total_cost_micro_usd"] == 0
    assert sandbox.books().held_micro_usd == 0


def test_a_run_may_hang_in_running(http: httpx.Client, sandbox: Sandbox) -> None:
    sandbox.inject(EvalRunHangs(times=1))
    run_id = start_run(http, licence_set(http), "wren-1").json()["run_id"]
    statuses = {inner(http.get(f"/v1/eval-runs/{run_id}").json())["status"] for _ in range(20)}
    assert "running" in statuses
    assert statuses <= {"queued", "running"}


@pytest.mark.parametrize(
    ("items", "fields"),
    [
        (b"", {"task_id": "license-identification"}),
        (b"not json", {"task_id": "license-identification"}),
        (b"[1]", {"task_id": "license-identification"}),
        (b'{"input": "x"}', {"task_id": "license-identification"}),
        (b'{"expected": "x"}', {"task_id": "license-identification"}),
        (b"\xff\xfe", {"task_id": "license-identification"}),
        (b'{"input": "x", "expected": "y"}', {"task_id": "nothing"}),
        (b'{"input": "x", "expected": "y"}', {}),
    ],
)
def test_a_set_that_cannot_be_used_is_refused(http: httpx.Client, items: bytes, fields: dict[str, str]) -> None:
    reply = http.post("/v1/eval-sets", files={"items": ("i.jsonl", items)}, data=fields)
    assert reply.status_code == 422
    assert isinstance(reply.json()["detail"], list)


def test_sets_are_listed_retrieved_and_deleted(http: httpx.Client) -> None:
    set_id = licence_set(http)
    assert [found["id"] for found in http.get("/v1/eval-sets").json()["eval_sets"]] == [set_id]
    assert http.get(f"/v1/eval-sets/{set_id}").json()["eval_set"]["item_count"] == 2
    assert http.delete(f"/v1/eval-sets/{set_id}").status_code == 204
    assert http.get(f"/v1/eval-sets/{set_id}").status_code == 404


def test_unknown_sets_runs_and_candidates_are_refused(http: httpx.Client) -> None:
    assert start_run(http, "es_nothing", "wren-1").status_code == 404
    assert start_run(http, licence_set(http), "gpt").status_code == 422
    assert start_run(http, licence_set(http)).status_code == 422
    assert http.get("/v1/eval-runs/run_nothing").status_code == 404
