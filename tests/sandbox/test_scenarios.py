"""Scenarios: the library is valid, each behaves as described, and own files work."""

import asyncio
import time
from decimal import Decimal
from pathlib import Path

import httpx
import pytest

from pareta_sandbox.faults import scenario
from pareta_sandbox.faults.injection import Injection
from pareta_sandbox.faults.scenario import ScenarioError
from pareta_sandbox.pytest_plugin import SandboxFactory
from pareta_sandbox.testing import Sandbox
from tests.sandbox.talk import asked, async_client, client, complete, finished, licence_set, start_run
from tests.sandbox.test_command_line import started

LIBRARY = scenario.names()


@pytest.mark.parametrize("name", LIBRARY)
def test_every_scenario_of_the_library_begins_and_says_what_it_teaches(sandbox: Sandbox, name: str) -> None:
    sandbox.play(name)
    assert len(scenario.from_library(name).teaches) > 50


def test_the_library_has_the_scenarios_that_are_talked_about() -> None:
    assert {"black-friday", "cold-morning", "empty-wallet", "flaky-network"} <= set(LIBRARY)


def test_the_empty_wallet_runs_out(http: httpx.Client, sandbox: Sandbox) -> None:
    sandbox.play("empty-wallet")
    long = "MIT License " * 300
    statuses = [complete(http, long).status_code for _ in range(40)]
    assert statuses[0] == 200
    assert statuses[-1] == 402
    assert statuses == sorted(statuses)


def test_on_a_cold_morning_nothing_is_live(http: httpx.Client, sandbox: Sandbox) -> None:
    sandbox.play("cold-morning")
    assert {endpoint["status"] for endpoint in http.get("/v1/endpoints").json()} == {"stopped"}
    assert http.get("/v1/models").json()["data"] == []


def test_the_flaky_network_breaks_in_many_ways_but_keys_keep_the_books_right(sandbox: Sandbox) -> None:
    sandbox.play("flaky-network")
    broken: set[str] = set()
    with client(sandbox) as http:
        for row in range(300):
            broken |= persist(http, f"row-{row}")
    assert {"RemoteProtocolError", "502", "JSONDecodeError"} <= broken
    sandbox.completed(300)
    sandbox.debited_once()


def persist(http: httpx.Client, key: str) -> set[str]:
    """Send a row until it is answered; return the statuses and errors of the failed attempts."""
    failures: set[str] = set()
    for _ in range(20):
        try:
            reply = complete(http, key=key)
            if reply.status_code == 200:
                reply.json()
                return failures
            failures.add(str(reply.status_code))
        except (httpx.TransportError, ValueError) as problem:
            failures.add(type(problem).__name__)
    raise AssertionError(f"{key} was not answered in 20 attempts: {failures}")


def test_a_self_stopping_endpoint_stops_after_twenty(http: httpx.Client, sandbox: Sandbox) -> None:
    sandbox.play("self-stopping")
    assert [complete(http).status_code for _ in range(22)] == [200] * 20 + [503] * 2


def test_in_deploy_trouble_the_first_stream_is_cut_and_the_second_deploy_fails(
    http: httpx.Client, sandbox: Sandbox
) -> None:
    sandbox.play("deploy-trouble")
    sandbox.change(deploy_s=0)
    told = [http.post("/v1/endpoints", json={"task": "contract-extraction", "model": "wren-1"}).text for _ in range(3)]
    assert ["complete" in text for text in told] == [False, False, True]
    assert ["event: error" in text for text in told] == [False, True, False]


def test_in_eval_trouble_the_first_run_fails_and_the_second_never_ends(http: httpx.Client, sandbox: Sandbox) -> None:
    sandbox.play("eval-trouble")
    sandbox.change(eval_s=0)
    set_id = licence_set(http)
    failing, hanging, good = (start_run(http, set_id, "wren-1").json()["run_id"] for _ in range(3))
    assert [finished(http, run)["run"]["status"] for run in (failing, good)] == ["failed", "completed"]  # type: ignore[index]
    assert http.get(f"/v1/eval-runs/{hanging}").json()["run"]["status"] == "running"


async def test_on_black_friday_some_are_told_how_long_to_wait(sandbox: Sandbox) -> None:
    sandbox.play("black-friday")
    replies = await at_once(sandbox, 60)
    waits = [reply.headers["retry-after"] for reply in replies if reply.status_code == 429]
    assert waits
    assert all(int(wait) >= 1 for wait in waits)
    assert sum(reply.status_code == 200 for reply in replies) >= 20


async def test_an_unknown_limit_does_not_say_how_long_to_wait(sandbox: Sandbox) -> None:
    sandbox.play("unknown-limit")
    refused = [reply for reply in await at_once(sandbox, 30) if reply.status_code == 429]
    assert refused
    assert not any("retry-after" in reply.headers for reply in refused)


async def at_once(sandbox: Sandbox, count: int) -> list[httpx.Response]:
    async with async_client(sandbox) as http:
        posts = (http.post("/v1/chat/completions", json=asked(f"MIT License {n}")) for n in range(count))
        return await asyncio.gather(*posts)


async def test_out_of_the_tar_pit_timeouts_and_keys_lead_everybody_and_nobody_pays_twice(sandbox: Sandbox) -> None:
    sandbox.play("tar-pit")
    stuck = 0

    async def insist(key: str) -> None:
        nonlocal stuck
        while True:
            try:
                reply = await http.post("/v1/chat/completions", json=asked(), headers={"idempotency-key": key})
            except httpx.TimeoutException:
                stuck += 1
            else:
                assert reply.status_code == 200
                return

    async with async_client(sandbox, timeout=2) as http:
        await asyncio.gather(*(insist(f"row-{n}") for n in range(100)))
    assert stuck > 0
    sandbox.completed(100)
    sandbox.debited_once()


def test_the_provider_is_down_for_ten_seconds_after_three() -> None:
    (fault,) = scenario.from_library("provider-down").faults
    down = Injection(seed=0).add(fault)
    times = (0, 2.9, 3, 12.9, 13)
    assert [down.applies("chat", None, down.since + at) for at in times] == [False, False, True, True, False]


def test_the_empty_wallet_is_filled_again_after_twenty_seconds() -> None:
    (event,) = scenario.from_library("empty-wallet").events
    assert (event.at_s, event.top_up_usd) == (20, Decimal(5))


def test_a_scenario_of_ones_own_comes_from_a_file(sandbox_factory: SandboxFactory, tmp_path: Path) -> None:
    file = tmp_path / "own.yaml"
    file.write_text(
        """
        teaches: patience
        settings: {latency_ms: 30}
        balance_usd: "0.000001"
        faults: [{kind: status, status: 418, times: 1}]
        events: [{at_s: 0.1, top_up_usd: 1, stop_endpoint: ep_seed_tickets}]
        """
    )
    sandbox = sandbox_factory()
    sandbox.play(str(file))
    with client(sandbox) as http:
        assert [complete(http).status_code for _ in range(2)] == [418, 402]
        deadline = time.monotonic() + 30
        while complete(http).status_code != 200:
            assert time.monotonic() < deadline, "the balance was not topped up"
        assert http.get("/v1/endpoints/ep_seed_tickets").json()["status"] == "stopped"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("faults: [{kind: earthquake}]", "faults.0"),
        ("fault: []", "fault"),
        ("events: [{top_up_usd: 1}]", r"events\.0\.at_s"),
        ("{", "not valid YAML"),
        ("", "the top"),
    ],
)
def test_a_malformed_scenario_says_where(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "own.yaml"
    file.write_text(text)
    with pytest.raises(ScenarioError, match=message):
        scenario.load(str(file))


def test_an_unknown_scenario_names_the_known(http: httpx.Client) -> None:
    with pytest.raises(ScenarioError, match="flaky-network"):
        scenario.load("nothing")
    assert http.post("/_sandbox/scenarios", json={"name": "nothing"}).status_code == 404


def test_the_library_is_listed_over_http(http: httpx.Client) -> None:
    listed = http.get("/_sandbox/scenarios").json()["scenarios"]
    assert [entry["name"] for entry in listed] == LIBRARY
    assert http.post("/_sandbox/scenarios", json={"name": "provider-down"}).status_code == 201


def test_a_sandbox_can_begin_with_a_scenario() -> None:
    with (
        started("--port", "0", "--scenario", "cold-morning") as (_, base_url),
        httpx.Client(base_url=base_url, headers={"authorization": "Bearer pareta_sk_x"}) as http,
    ):
        assert http.get("/v1/models").json()["data"] == []


def test_the_docs_name_every_scenario() -> None:
    page = (Path(__file__).parents[2] / "docs" / "sandbox.md").read_text(encoding="utf-8")
    assert [name for name in LIBRARY if f"| `{name}` |" not in page] == []
