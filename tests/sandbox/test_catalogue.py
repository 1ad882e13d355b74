"""The catalogue, its matching, and the measured leaderboards."""

import httpx
import pytest

from pareta_sandbox.models import catalogue
from pareta_sandbox.models.catalogue import TASKS
from pareta_sandbox.models.roster import FRONTIER, MODELS


def test_the_tasks_are_listed_with_their_scorer(http: httpx.Client) -> None:
    tasks = {task["id"]: task for task in http.get("/v1/tasks").json()["tasks"]}
    assert {"license-identification", "contract-extraction", "sentiment-classification"} <= set(tasks)
    assert tasks["license-identification"]["default_scorer"] == "exact_match"
    assert tasks["contract-extraction"]["has_blob_input"] is True


def test_a_task_comes_with_as_many_examples_as_asked_for(http: httpx.Client) -> None:
    task = http.get("/v1/tasks/license-identification", params={"examples_n": 2}).json()
    assert len(task["examples"]) == 2
    assert set(task["examples"][0]) == {"input", "expected_output"}
    assert "examples" not in http.get("/v1/tasks/license-identification").json()
    assert http.get("/v1/tasks/license-identification", params={"examples_n": "many"}).status_code == 422
    assert http.get("/v1/tasks/nothing").status_code == 404


@pytest.mark.parametrize(
    ("query", "task"),
    [
        ("find out which open source licence a file has", "license-identification"),
        ("pull key fields out of vendor contracts", "contract-extraction"),
        ("are our product reviews positive or negative", "sentiment-classification"),
        ("route support tickets to the right team", "support-ticket-routing"),
    ],
)
def test_a_wish_finds_its_task(http: httpx.Client, query: str, task: str) -> None:
    found = http.post("/v1/tasks/match", json={"query": query, "top_k": 2}).json()
    assert (found["type"], found["matched"], found["chosen"]["task_id"]) == ("task", True, task)
    assert len(found["candidates"]) <= 2


def test_a_wish_nobody_can_fulfil_finds_nothing(http: httpx.Client) -> None:
    found = http.post("/v1/tasks/match", json={"query": "bake a cake"}).json()
    assert (found["type"], found["matched"], found["chosen"], found["candidates"]) == ("none", False, None, [])


def test_a_general_wish_finds_a_capability(http: httpx.Client) -> None:
    found = http.post("/v1/tasks/match", json={"query": "write a Python program"}).json()
    assert (found["type"], found["matched"], found["chosen"]) == ("capability", True, None)
    assert found["capability"]["id"] == "coding"


def test_what_the_service_does_not_do_is_unsupported(http: httpx.Client) -> None:
    found = http.post("/v1/tasks/match", json={"query": "make a video of my cat"}).json()
    assert (found["type"], found["matched"], found["capability"]) == ("unsupported", False, None)
    assert "video" in found["reasoning"]


def test_an_empty_wish_is_refused(http: httpx.Client) -> None:
    assert http.post("/v1/tasks/match", json={"query": ""}).status_code == 422


@pytest.mark.parametrize("task", list(TASKS))
def test_a_leaderboard_ranks_by_measured_quality(http: httpx.Client, task: str) -> None:
    board = http.get(f"/v1/tasks/{task}/leaderboard").json()
    qualities = [model["quality"] for model in board["models"]]
    assert qualities == sorted(qualities, reverse=True)
    assert board["recommended"] in [model["name"] for model in board["models"] if model["kind"] == "open"]
    assert board["frontier"]["kind"] == "frontier"
    assert board["metric"] == TASKS[task].scorer


@pytest.mark.parametrize("task", list(TASKS))
def test_models_differ_in_quality_and_the_dearer_open_one_is_never_worse(task: str) -> None:
    opens = sorted(
        (s for s in catalogue.leaderboard(task) if s.kind == "open"), key=lambda s: s.cost_per_request_micro_usd
    )
    qualities = [standing.quality.mean for standing in opens]
    assert qualities == sorted(qualities)
    assert qualities[-1] - qualities[0] > 0.15


def test_the_recommended_model_is_the_cheapest_that_cannot_be_told_from_the_best() -> None:
    for task in TASKS:
        opens = {s.model.id: s for s in catalogue.leaderboard(task) if s.kind == "open"}
        chosen = opens[catalogue.recommended(task)]
        best = max(standing.quality.mean for standing in opens.values())
        assert chosen.quality.high >= best
        cheaper = [s for s in opens.values() if s.cost_per_request_micro_usd < chosen.cost_per_request_micro_usd]
        assert all(standing.quality.high < best for standing in cheaper)


def test_the_frontier_roster_is_annotated_for_a_task_and_sees_documents(http: httpx.Client) -> None:
    everyone = http.get("/v1/eval/frontier-models").json()["frontier_models"]
    seeing = http.get("/v1/eval/frontier-models", params={"task": "contract-extraction"}).json()["frontier_models"]
    assert {model["id"] for model in everyone} == {model.id for model in FRONTIER}
    assert not any(model["benchmarked"] for model in everyone)
    assert all(model["vision"] for model in seeing)
    assert any(model["benchmarked"] for model in seeing)


def test_benchmarked_means_on_the_leaderboard(http: httpx.Client) -> None:
    task = "support-ticket-routing"
    board = {model["name"] for model in http.get(f"/v1/tasks/{task}/leaderboard").json()["models"]}
    roster = http.get("/v1/eval/frontier-models", params={"task": task}).json()["frontier_models"]
    assert {model["id"] for model in roster if model["benchmarked"]} == {
        m for m in board if MODELS[m].kind == "frontier"
    }
