"""What `set-up` makes of its options and of a server that people have changed, and what it prints."""

import asyncio
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from prefect import get_client
from prefect.server.concurrency import lease_storage
from prefect.settings import PREFECT_API_URL, temporary_settings

from pareta_cli.server_setup import LEASES_IN_MEMORY, SetUp, SetUpError, read_limits, set_up
from tasks.endpoint_slots import limit_name
from tests.end_to_end.processes import until

NAME = "complete-batch/set-up"
TRIGGER = {
    "name": "pareta-set-up",
    "enabled": False,
    "expect": ["pareta.dataset.added"],
    "match": {"prefect.resource.id": "pareta.dataset.*"},
    "parameters": {"batch": {"name": "{{ event.payload.name }}"}},
}
FILE: dict[str, Any] = {
    "deployments": [
        {
            "name": "set-up",
            "entrypoint": "flows.complete_batch.complete_batch",
            "description": "Answer rows.",
            "tags": ["pareta"],
            "work_pool": {"name": "pareta"},
            "concurrency_limit": {"limit": 1, "collision_strategy": "ENQUEUE"},
            "schedules": [{"slug": "nights", "cron": "0 3 * * *", "timezone": "Europe/Berlin", "active": False}],
            "triggers": [TRIGGER],
            "parameters": {"batch": {"name": "b", "model": "auto", "dataset": "rows.csv", "prompt": "{{ x }} {text}"}},
        },
        {
            "name": "guard-set-up",
            "entrypoint": "flows.stop_idle_endpoints.stop_idle_endpoints",
            "work_pool": {"name": "pareta"},
            "schedules": [{"slug": "often", "interval": 900, "timezone": "Etc/UTC"}],
            "parameters": {"guard": {"name_prefix": "t", "dry_run": True}},
        },
    ]
}


class Server:
    """The test server's API, used as its UI does."""

    def __init__(self) -> None:
        self._url = str(PREFECT_API_URL.value())

    def ask(self, method: str, path: str, body: object = None) -> Any:
        # The server answers 503 while its database is busy.
        reply = until(lambda: self._answer(method, path, body), within_s=60, what=f"{method} {path}")
        assert reply.is_success, reply.text
        return reply.json() if reply.content else None

    def _answer(self, method: str, path: str, body: object) -> httpx.Response | None:
        reply = httpx.request(method, f"{self._url}{path}", json=body, timeout=60)
        return None if reply.status_code == httpx.codes.SERVICE_UNAVAILABLE else reply

    def deployment(self, name: str = NAME) -> dict[str, Any]:
        found: dict[str, Any] = self.ask("GET", f"/deployments/name/{name}")
        return found

    def automation(self) -> dict[str, Any]:
        found = self.ask("POST", "/automations/filter", {"automations": {"name": {"any_": ["pareta-set-up"]}}})
        (automation,) = [each for each in found if each["name"] == "pareta-set-up"]
        return dict(automation)

    def delete_all(self) -> None:
        for each in self.ask("POST", "/deployments/filter"):
            self.ask("DELETE", f"/deployments/{each['id']}")
        for each in self.ask("POST", "/variables/filter"):
            self.ask("DELETE", f"/variables/{each['id']}")
        for each in self.ask("POST", "/automations/filter"):
            self.ask("DELETE", f"/automations/{each['id']}")


@pytest.fixture
def server(prefect_server: None) -> Iterator[Server]:
    found = Server()
    found.delete_all()
    yield found
    found.delete_all()


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[str]]:
    """Return what writes prefect.yaml, sets up, and returns the printed lines."""
    monkeypatch.chdir(tmp_path)

    def setting_up(file: dict[str, Any] = FILE, **options: Any) -> list[str]:
        (tmp_path / "prefect.yaml").write_text(yaml.safe_dump(file))
        lines: list[str] = []
        set_up(SetUp(**options), lines.append)
        return lines

    return setting_up


def changed_file(change: Callable[[dict[str, Any]], object], number: int = 0) -> dict[str, Any]:
    file: dict[str, Any] = json.loads(json.dumps(FILE))
    change(file["deployments"][number])
    return file


@pytest.mark.parametrize("option", ["auto", "=3", "auto=", "auto=0", "auto=many"])
def test_a_limit_that_is_none_is_refused(option: str) -> None:
    with pytest.raises(SetUpError, match="MODEL=SLOTS"):
        read_limits([option])


def test_outside_of_the_project_it_says_where_to_run_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SetUpError, match="run the command in the project folder"):
        set_up(SetUp(), print)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda one: one.update(entrypoint="flows.complete_batch.nothing"), "deployment 'set-up': invalid"),
        (lambda one: one.pop("entrypoint"), "KeyError: 'entrypoint'"),
        (lambda one: one["schedules"][0].update(cron="every night"), "deployment 'set-up': invalid"),
        (lambda one: one["triggers"][0].update(posture="Sideways"), "deployment 'set-up': invalid"),
    ],
)
@pytest.mark.usefixtures("server")
def test_a_wrong_file_is_refused_before_the_server_is_changed(
    project: Callable[..., list[str]], change: Callable[[dict[str, Any]], object], problem: str
) -> None:
    with pytest.raises(SetUpError, match=problem):
        project(changed_file(change))


async def limit(model: str) -> int:
    async with get_client() as client:
        return (await client.read_global_concurrency_limit_by_name(limit_name(model))).limit


def test_it_makes_limits_and_sizes_them_anew(project: Callable[..., list[str]], server: Server) -> None:
    for slots in (3, 5):
        assert f"limit pareta:ep_sized: {slots} slots" in project({"deployments": []}, limits={"ep_sized": slots})
        assert asyncio.run(limit("ep_sized")) == slots


def test_a_new_deployment_is_as_in_the_file_and_a_second_set_up_changes_nothing(
    project: Callable[..., list[str]], server: Server
) -> None:
    assert f"{NAME}: created" in project()
    made = server.deployment()
    in_file = FILE["deployments"][0]
    assert made["parameters"] == in_file["parameters"]
    assert made["global_concurrency_limit"]["limit"] == 1
    assert made["concurrency_options"]["collision_strategy"] == "ENQUEUE"
    (schedule,) = made["schedules"]
    assert (schedule["slug"], schedule["active"], schedule["schedule"]["cron"]) == ("nights", False, "0 3 * * *")
    assert not server.automation()["enabled"]
    before = (made, server.automation(), server.deployment("stop-idle-endpoints/guard-set-up"))
    lines = project()
    assert [line for line in lines if "set-up" in line] == [
        f"{NAME}: unchanged",
        "stop-idle-endpoints/guard-set-up: unchanged",
    ]
    again = (server.deployment(), server.automation(), server.deployment("stop-idle-endpoints/guard-set-up"))
    volatile = ("status", "last_polled")
    for old, new in zip(before, again, strict=True):
        assert {key: value for key, value in new.items() if key not in volatile} == {
            key: value for key, value in old.items() if key not in volatile
        }


def operate(server: Server) -> None:
    """Change on the server what operators change in the UI."""
    made, guard = server.deployment(), server.deployment("stop-idle-endpoints/guard-set-up")
    (schedule,) = made["schedules"]
    server.ask("PATCH", f"/deployments/{made['id']}/schedules/{schedule['id']}", {"active": True})
    added = [{"active": True, "schedule": {"cron": "0 7 * * *", "timezone": "Etc/UTC"}}]
    server.ask("POST", f"/deployments/{made['id']}/schedules", added)
    parameters = {"batch": {**made["parameters"]["batch"], "max_in_flight": 64}}
    options = {"concurrency_limit": 3, "concurrency_options": {"collision_strategy": "ENQUEUE"}}
    server.ask("PATCH", f"/deployments/{made['id']}", {"parameters": parameters, **options})
    server.ask("PATCH", f"/automations/{server.automation()['id']}", {"enabled": True})
    server.ask(
        "PATCH", f"/deployments/{guard['id']}", {"parameters": {"guard": {"name_prefix": "t", "dry_run": False}}}
    )


def test_what_people_changed_is_kept_and_printed_and_changes_of_the_file_arrive(
    project: Callable[..., list[str]], server: Server
) -> None:
    project()
    operate(server)
    automation = server.automation()["id"]

    def change(one: dict[str, Any]) -> None:
        one["parameters"]["batch"]["prompt"] = "Now: {text}"
        one["schedules"][0]["cron"] = "0 4 * * *"
        one["triggers"][0]["expect"] = ["pareta.dataset.changed"]

    lines = "\n".join(project(changed_file(change)))
    made = server.deployment()
    assert made["parameters"]["batch"]["prompt"] == "Now: {text}"
    assert made["parameters"]["batch"]["max_in_flight"] == 64
    assert made["global_concurrency_limit"]["limit"] == 3
    found = {each["slug"]: (each["active"], each["schedule"]["cron"]) for each in made["schedules"]}
    assert found == {"nights": (True, "0 4 * * *"), None: (True, "0 7 * * *")}
    found_automation = server.automation()
    assert (found_automation["enabled"], found_automation["id"]) == (True, automation)
    assert found_automation["trigger"]["expect"] == ["pareta.dataset.changed"]
    assert server.deployment("stop-idle-endpoints/guard-set-up")["parameters"]["guard"]["dry_run"] is False
    for kept in (
        "kept schedules nights active: true on the server, false in the file",
        "kept parameters batch max_in_flight: 64 on the server, nothing in the file",
        "kept concurrency limit: 3 on the server, 1 in the file",
        "kept automations pareta-set-up enabled: true on the server, false in the file",
        "kept parameters guard dry_run: false on the server, true in the file",
    ):
        assert kept in lines
    assert "0 7 * * *" in lines


def test_reset_makes_the_server_as_the_file(project: Callable[..., list[str]], server: Server) -> None:
    project()
    operate(server)
    assert not [line for line in project(reset=True) if "kept" in line]
    made = server.deployment()
    assert made["parameters"] == FILE["deployments"][0]["parameters"]
    assert made["global_concurrency_limit"]["limit"] == 1
    assert [(each["slug"], each["active"]) for each in made["schedules"]] == [("nights", False)]
    assert not server.automation()["enabled"]
    assert server.deployment("stop-idle-endpoints/guard-set-up")["parameters"]["guard"]["dry_run"] is True


def pool_and_queue(server: Server) -> tuple[str, str]:
    made = server.deployment()
    return made["work_pool_name"], made["work_queue_name"]


@pytest.fixture
def other_pool(server: Server) -> Iterator[str]:
    """A work pool that a person has made, with a queue."""
    for each in server.ask("POST", "/work_pools/filter"):
        if each["name"] == "tests-other":
            server.ask("DELETE", "/work_pools/tests-other")
    server.ask("POST", "/work_pools/", {"name": "tests-other", "type": "process"})
    server.ask("POST", "/work_pools/tests-other/queues", {"name": "fast"})
    yield "tests-other"
    server.ask("DELETE", "/work_pools/tests-other")


def test_a_deployment_that_a_person_moved_to_another_work_pool_stays_there_until_a_reset(
    project: Callable[..., list[str]], server: Server, other_pool: str
) -> None:
    project()
    moved = {"work_pool_name": other_pool, "work_queue_name": "fast"}
    server.ask("PATCH", f"/deployments/{server.deployment()['id']}", moved)
    lines = project(changed_file(lambda one: one.update(description="Other words.")))
    assert pool_and_queue(server) == (other_pool, "fast")
    assert f'  kept work pool: "{other_pool}" on the server, "pareta" in the file' in lines
    assert '  kept work queue: "fast" on the server, "default" in the file' in lines
    assert server.deployment()["description"] == "Other words."
    assert not [line for line in project(reset=True) if "kept" in line]
    assert pool_and_queue(server) == ("pareta", "default")


def test_another_work_pool_in_the_file_moves_the_deployment(
    project: Callable[..., list[str]], server: Server, other_pool: str
) -> None:
    project()
    file = changed_file(lambda one: one.update(work_pool={"name": other_pool, "work_queue_name": "fast"}))
    for lines in (project(file), project(file)):
        assert pool_and_queue(server) == (other_pool, "fast")
        assert not [line for line in lines if "kept" in line]


def test_a_deployment_whose_work_pool_was_deleted_returns_to_that_of_the_file(
    project: Callable[..., list[str]], server: Server, other_pool: str
) -> None:
    project(changed_file(lambda one: one.update(work_pool={"name": other_pool})))
    server.ask("DELETE", f"/work_pools/{other_pool}")
    assert server.deployment()["work_pool_name"] is None
    assert not [line for line in project() if "kept" in line]
    assert pool_and_queue(server) == ("pareta", "default")
    server.ask("POST", "/work_pools/", {"name": other_pool, "type": "process"})  # for the fixture


def test_a_schedule_that_a_person_deleted_stays_deleted_and_one_that_left_the_file_is_deleted(
    project: Callable[..., list[str]], server: Server
) -> None:
    project()
    made, guard = server.deployment(), server.deployment("stop-idle-endpoints/guard-set-up")
    server.ask("DELETE", f"/deployments/{made['id']}/schedules/{made['schedules'][0]['id']}")
    assert guard["schedules"]
    project(changed_file(lambda one: one.pop("schedules"), number=1))
    assert server.deployment()["schedules"] == []
    assert server.deployment("stop-idle-endpoints/guard-set-up")["schedules"] == []


def test_one_deployment_is_set_up_by_its_name(project: Callable[..., list[str]], server: Server) -> None:
    for name in ("guard-set-up", "stop-idle-endpoints/guard-set-up"):
        project(names=(name,))
        assert [each["name"] for each in server.ask("POST", "/deployments/filter")] == ["guard-set-up"]
    with pytest.raises(SetUpError, match="no deployment 'guard'; it has complete-batch/set-up"):
        project(names=("guard",))


def test_a_former_name_is_kept_and_said_so_and_a_reset_deletes_it(
    project: Callable[..., list[str]], server: Server
) -> None:
    project(changed_file(lambda one: one.update(name="tickets")))
    lines = project()
    assert any(line.startswith("complete-batch/tickets: kept with its schedules") for line in lines)
    assert server.deployment("complete-batch/tickets")
    assert "complete-batch/tickets: deleted; it is now called complete-tickets" in project(reset=True)


@contextmanager
def behind(refusals: Callable[[str, str], int | None]) -> Iterator[None]:
    """Use the server through a proxy that refuses the requests for which `refusals` returns a status."""
    target = str(PREFECT_API_URL.value()).removesuffix("/api")

    class Proxy(BaseHTTPRequestHandler):
        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            if (status := refusals(self.command, self.path)) is not None:
                reply = httpx.Response(status, headers={"retry-after": "0"}, json={"detail": "database is locked"})
            else:
                headers = {"content-type": "application/json"}
                reply = httpx.request(self.command, target + self.path, content=body, headers=headers, timeout=60)
            self.send_response(reply.status_code)
            for name, value in {"retry-after": "0", "content-length": str(len(reply.content))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(reply.content)

        do_GET = do_POST = do_PATCH = do_PUT = do_DELETE = answer  # noqa: N815 - names of http.server

        def log_message(self, *_: object) -> None:
            """Log nothing."""

    proxy = ThreadingHTTPServer(("127.0.0.1", 0), Proxy)
    threading.Thread(target=proxy.serve_forever, daemon=True).start()
    try:
        with temporary_settings({PREFECT_API_URL: f"http://127.0.0.1:{proxy.server_port}/api"}):
            yield
    finally:
        proxy.shutdown()
        proxy.server_close()


def test_it_survives_a_busy_server(project: Callable[..., list[str]], server: Server) -> None:
    seen: dict[tuple[str, str], int] = {}

    def busy_at_first(method: str, path: str) -> int | None:
        seen[method, path] = seen.get((method, path), 0) + 1
        return 503 if seen[method, path] <= 2 else None

    with behind(busy_at_first):
        assert f"{NAME}: created" in project()
    assert server.deployment()["schedules"]


def test_a_set_up_that_failed_half_way_is_finished_by_the_next(
    project: Callable[..., list[str]], server: Server
) -> None:
    def fails_at_schedules(method: str, path: str) -> int | None:
        return 500 if method == "POST" and path.endswith("/schedules") else None

    with behind(fails_at_schedules), pytest.raises(SetUpError, match="repeat set-up: it continues where it stopped"):
        project()
    assert server.deployment()["schedules"] == []
    lines = project()
    assert f"{NAME}: updated" in lines
    assert not [line for line in lines if "kept" in line]
    assert len(server.deployment()["schedules"]) == 1
    assert server.deployment("stop-idle-endpoints/guard-set-up")["schedules"]
    assert server.automation()


def test_a_repository_is_cloned_from_its_branch(project: Callable[..., list[str]], server: Server) -> None:
    project(repository="https://example.org/pareta.git", branch="release")
    step = {"repository": "https://example.org/pareta.git", "branch": "release"}
    assert server.deployment()["pull_steps"] == [{"prefect.deployments.steps.git_clone": step}]


def test_it_says_when_the_server_forgets_its_leases(
    project: Callable[..., list[str]], server: Server, tmp_path: Path
) -> None:
    (tmp_path / "prefect.yaml").write_text("deployments: []\n")
    assert set_up(SetUp(), print) == (LEASES_IN_MEMORY,)


def test_the_storage_that_it_names_exists() -> None:
    name = LEASES_IN_MEMORY.partition("LEASE_STORAGE=")[2]
    assert name == f"{lease_storage.__name__}.filesystem"
