"""Endpoints: deploy with progress, start, stop, delete, cold starts, metrics."""

import asyncio
import time

import httpx
import pytest

from pareta_sandbox.pytest_plugin import SandboxFactory
from pareta_sandbox.testing import DeployFails, DeployStreamCut, EndpointStops, Sandbox, Status
from tests.sandbox.talk import JsonObject, asked, async_client, client, complete, events

DEPLOY = {"task": "license-identification", "model": "wren-2"}


def deployed(http: httpx.Client, **body: str) -> JsonObject:
    name, data = list(events(http.post("/v1/endpoints", json={**DEPLOY, **body}).text))[-1]
    assert name == "complete"
    endpoint = data["endpoint"]
    assert isinstance(endpoint, dict)
    return endpoint


def wait_for(http: httpx.Client, endpoint_id: object, status: str, within_s: float = 30) -> None:
    deadline = time.monotonic() + within_s
    while http.get(f"/v1/endpoints/{endpoint_id}").json()["status"] != status:
        assert time.monotonic() < deadline, f"{endpoint_id} did not become {status} within {within_s} s"


def test_a_deploy_tells_its_progress_and_ends_with_the_live_endpoint(sandbox_factory: SandboxFactory) -> None:
    with client(sandbox_factory(deploy_s=0.2)) as http:
        began = time.monotonic()
        reply = http.post("/v1/endpoints", json={**DEPLOY, "name": "mine", "region": "anything"})
        took = time.monotonic() - began
    told = list(events(reply.text))
    assert reply.headers["content-type"].startswith("text/event-stream")
    assert {name for name, _ in told[:-1]} == {"progress"}
    percents = [data["pct"] for _, data in told[:-1]]
    assert percents == sorted(percents)  # type: ignore[type-var]  # numbers
    assert told[-1][0] == "complete"
    endpoint = told[-1][1]["endpoint"]
    assert isinstance(endpoint, dict)
    assert (endpoint["name"], endpoint["model"], endpoint["status"]) == ("mine", "wren-2", "live")
    assert took >= 0.2


def test_an_endpoint_id_is_the_same_in_every_sandbox(sandbox_factory: SandboxFactory) -> None:
    ids = []
    for _ in range(2):
        with client(sandbox_factory()) as http:
            ids.append(deployed(http, name="mine")["id"])
    assert ids[0] == ids[1]
    assert str(ids[0]).startswith("ep_")


def test_recommended_deploys_what_the_leaderboard_recommends(http: httpx.Client) -> None:
    recommended = http.get("/v1/tasks/license-identification/leaderboard").json()["recommended"]
    assert deployed(http, model="recommended")["model"] == recommended


@pytest.mark.parametrize(("field", "value"), [("task", "nothing"), ("model", "gpt"), ("model", "summit-pro")])
def test_what_does_not_exist_cannot_be_deployed(http: httpx.Client, field: str, value: str) -> None:
    reply = http.post("/v1/endpoints", json={**DEPLOY, field: value})
    assert reply.status_code == 422
    assert reply.json()["detail"][0]["loc"] == ["body", field]


def test_a_stopped_endpoint_answers_503_until_its_cold_start_is_over(sandbox_factory: SandboxFactory) -> None:
    sandbox = sandbox_factory(cold_start_s=600)
    with client(sandbox) as http:
        endpoint = str(deployed(http)["id"])
        assert http.post(f"/v1/endpoints/{endpoint}/stop").json()["status"] == "stopped"
        assert complete(http, model=endpoint).status_code == 503
        assert endpoint not in [model["id"] for model in http.get("/v1/models").json()["data"]]
        assert http.post(f"/v1/endpoints/{endpoint}/start").json()["status"] == "starting"
        assert complete(http, model=endpoint).status_code == 503
        http.post(f"/v1/endpoints/{endpoint}/stop")
        sandbox.change(cold_start_s=0.05)
        http.post(f"/v1/endpoints/{endpoint}/start")
        wait_for(http, endpoint, "live")
        assert complete(http, model=endpoint).status_code == 200
        assert endpoint in [model["id"] for model in http.get("/v1/models").json()["data"]]


def test_a_stop_overtakes_a_start(sandbox_factory: SandboxFactory) -> None:
    with client(sandbox_factory(cold_start_s=0.05)) as http:
        endpoint = deployed(http)["id"]
        for verb in ("stop", "start", "stop"):
            http.post(f"/v1/endpoints/{endpoint}/{verb}")
        deadline = time.monotonic() + 0.15
        while time.monotonic() < deadline:
            assert http.get(f"/v1/endpoints/{endpoint}").json()["status"] == "stopped"


def test_a_deleted_endpoint_is_gone(http: httpx.Client) -> None:
    endpoint = str(deployed(http)["id"])
    assert http.delete(f"/v1/endpoints/{endpoint}").status_code == 204
    assert http.get(f"/v1/endpoints/{endpoint}").status_code == 404
    assert complete(http, model=endpoint).status_code == 404


@pytest.mark.parametrize("change", ["start", "stop", "delete"])
def test_a_seed_endpoint_cannot_be_changed(http: httpx.Client, change: str) -> None:
    path = "/v1/endpoints/ep_seed_licenses"
    reply = http.delete(path) if change == "delete" else http.post(f"{path}/{change}")
    assert reply.status_code == 409
    assert http.get(path).json()["status"] == "live"


def test_the_list_is_a_bare_array(http: httpx.Client) -> None:
    listed = http.get("/v1/endpoints").json()
    assert isinstance(listed, list)
    assert {"id", "name", "model", "status", "task", "url"} <= set(listed[0])


def test_a_failed_deploy_ends_with_an_error_and_leaves_nothing(http: httpx.Client, sandbox: Sandbox) -> None:
    before = http.get("/v1/endpoints").json()
    sandbox.inject(DeployFails(times=1, error="no capacity"))
    assert list(events(http.post("/v1/endpoints", json=DEPLOY).text))[-1] == ("error", {"message": "no capacity"})
    assert http.get("/v1/endpoints").json() == before
    assert deployed(http)["status"] == "live"


def test_a_cut_deploy_stream_has_no_last_event_but_the_deploy_goes_on(sandbox_factory: SandboxFactory) -> None:
    sandbox = sandbox_factory(deploy_s=1)
    sandbox.inject(DeployStreamCut(times=1))
    with client(sandbox) as http:
        told = list(events(http.post("/v1/endpoints", json={**DEPLOY, "name": "cut"}).text))
        assert {name for name, _ in told} == {"progress"}
        found = [endpoint for endpoint in http.get("/v1/endpoints").json() if endpoint["name"] == "cut"]
        assert [endpoint["status"] for endpoint in found] == ["starting"]
        wait_for(http, found[0]["id"], "live")


def test_an_endpoint_can_stop_itself_after_some_completions(http: httpx.Client, sandbox: Sandbox) -> None:
    endpoint = str(deployed(http)["id"])
    sandbox.inject(EndpointStops(after_completions=2, endpoint=endpoint))
    assert [complete(http, model=endpoint).status_code for _ in range(3)] == [200, 200, 503]
    http.post(f"/v1/endpoints/{endpoint}/start")
    assert [complete(http, model=endpoint).status_code for _ in range(3)] == [200, 200, 200]


def test_an_endpoint_can_stop_itself_again_and_again(http: httpx.Client, sandbox: Sandbox) -> None:
    endpoint = str(deployed(http)["id"])
    fault = sandbox.inject(EndpointStops(after_completions=2, times=None))
    for stops in range(1, 4):
        assert [complete(http, model=endpoint).status_code for _ in range(3)] == [200, 200, 503]
        assert sandbox.hits(fault) == stops
        http.post(f"/v1/endpoints/{endpoint}/start")


async def test_what_was_in_flight_when_an_endpoint_stopped_counts_for_no_other_stop(
    sandbox_factory: SandboxFactory,
) -> None:
    sandbox = sandbox_factory(latency_ms=2_000)  # all eight arrive before the first answer
    fault = sandbox.inject(EndpointStops(after_completions=2, times=None))
    async with async_client(sandbox) as http:
        replies = await asyncio.gather(*(http.post("/v1/chat/completions", json=asked()) for _ in range(8)))
    assert {reply.status_code for reply in replies} == {200}
    assert sandbox.hits(fault) == 1


def test_metrics_tell_latency_cost_and_use(sandbox_factory: SandboxFactory) -> None:
    sandbox = sandbox_factory(latency_ms=20)
    with client(sandbox) as http:
        for _ in range(3):
            complete(http)
        metric = {
            name: http.get(f"/v1/endpoints/ep_seed_licenses/{name}", params={"window": "24h"}).json()
            for name in ("performance", "uptime", "cost", "quality", "activity")
        }
    assert metric["performance"]["p50_ms"] == 20
    assert metric["uptime"]["uptime"] == pytest.approx(1, abs=0.05)
    assert metric["cost"]["total_micro_usd"] == sandbox.books().debited_micro_usd
    assert metric["cost"]["savings_micro_usd"] > 0
    assert 0 < metric["quality"]["quality_mean"] <= 1
    assert metric["activity"]["requests"] == 3


def test_an_endpoint_answers_to_its_name_on_every_route(http: httpx.Client, sandbox: Sandbox) -> None:
    endpoint_id = deployed(http, name="my tickets")["id"]
    path = "/v1/endpoints/my%20tickets"
    assert http.get(path).json()["id"] == endpoint_id
    assert complete(http, model="my tickets").json()["model"] == endpoint_id
    streamed = http.post("/v1/chat/completions", json=asked(model="my tickets", stream=True))
    assert (streamed.status_code, str(endpoint_id) in streamed.text) == (200, True)
    for metric in ("performance", "uptime", "cost", "quality", "activity"):
        assert http.get(f"{path}/{metric}").json()["endpoint_id"] == endpoint_id
    assert http.post(f"{path}/stop").json() == {"id": endpoint_id, "status": "stopped"}
    assert complete(http, model="my tickets").status_code == 503
    assert http.post(f"{path}/start").json()["id"] == endpoint_id
    wait_for(http, endpoint_id, "live")
    sandbox.stop_endpoint("my%20tickets")
    assert http.get(path).json()["status"] == "stopped"
    assert http.delete(path).status_code == 204
    assert http.get(path).status_code == http.get(f"/v1/endpoints/{endpoint_id}").status_code == 404


def test_a_shared_name_addresses_the_endpoint_that_was_deployed_last(http: httpx.Client) -> None:
    first, second = (deployed(http, name="shared", model=model)["id"] for model in ("wren-1", "wren-2"))
    assert http.get("/v1/endpoints/shared").json()["id"] == second
    assert complete(http, model=str(first)).json()["model"] == first
    http.delete("/v1/endpoints/shared")
    assert http.get("/v1/endpoints/shared").json()["id"] == first


def test_an_id_goes_before_a_name(http: httpx.Client) -> None:
    deployed(http, name="ep_seed_licenses")
    assert http.get("/v1/endpoints/ep_seed_licenses").json()["seed"]
    assert http.delete("/v1/endpoints/ep_seed_licenses").status_code == 409


@pytest.mark.parametrize(("by", "asked_by"), [("name", "id"), ("id", "name"), ("name", "name")])
def test_a_fault_of_an_endpoint_strikes_however_it_is_addressed(
    http: httpx.Client, sandbox: Sandbox, by: str, asked_by: str
) -> None:
    endpoint = deployed(http, name="mine")
    sandbox.inject(Status(status=500, endpoint=str(endpoint[by])))
    assert complete(http, model=str(endpoint[asked_by])).status_code == 500
    assert complete(http).status_code == 200
