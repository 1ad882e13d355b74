"""Own specs as deployments: made from any folder, updated, listed, removed, and run without a checkout."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from prefect.server.schemas.schedules import CronSchedule
from prefect.settings import PREFECT_API_URL
from typer.testing import CliRunner, Result

from pareta_cli.app import app
from pareta_cli.server_setup import SetUp, set_up
from pareta_sandbox.testing import Sandbox
from tests.flows.test_server_setup import FILE, NAME, Server, other_pool, server  # noqa: F401
from tests.grids import first_of

SCHEDULED = "complete-batch/scheduled-complete-own"
SPEC = {"name": "own", "model": "auto", "dataset": "rows.csv", "id_column": "id", "prompt": "Which team? {text}"}
COMPARISON = {"name": "c", "task": "t", "eval_set": "es_1", "models": ["m"]}
CRON = ("--cron", "0 6 * * 1-5")


def schedule(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["schedule", *arguments])


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    write_spec(tmp_path)
    (tmp_path / "rows.csv").write_text("id,text\n1,My invoice is wrong.\n2,Where is my parcel?\n")
    return tmp_path


def write_spec(folder: Path, **fields: Any) -> None:
    (folder / "own.yaml").write_text(yaml.safe_dump({**SPEC, **fields}))


def test_a_schedule_is_made_updated_listed_and_removed(folder: Path, server: Server) -> None:  # noqa: F811
    made = schedule("own.yaml", *CRON, "--timezone", "Europe/Berlin", "--json")
    assert json.loads(made.stdout) == {"deployment": SCHEDULED, "removed": False}, made.stderr
    found = server.deployment(SCHEDULED)
    assert found["parameters"] == {"batch": SPEC}
    assert found["pull_steps"] == [{"prefect.deployments.steps.set_working_directory": {"directory": str(folder)}}]
    (timing,) = found["schedules"]
    assert (timing["active"], timing["schedule"]["cron"]) == (True, "0 6 * * 1-5")
    assert timing["schedule"]["timezone"] == "Europe/Berlin"

    write_spec(folder, max_in_flight=4)
    assert schedule("own.yaml", "--cron", "30 2 * * *", "--paused").exit_code == 0
    found = server.deployment(SCHEDULED)
    assert (found["parameters"]["batch"]["max_in_flight"], found["paused"]) == (4, True)
    assert [each["schedule"]["cron"] for each in found["schedules"]] == ["30 2 * * *"]
    (listed,) = json.loads(schedule("--list", "--json").stdout)
    assert (listed["name"], listed["paused"], listed["folder"]) == (SCHEDULED, True, str(folder))

    assert schedule("own.yaml", "--remove").stdout == f"{SCHEDULED}: removed\n"
    assert schedule("--list").stdout == ""
    again = schedule("own.yaml", "--remove")
    assert (again.exit_code, again.stderr.splitlines()[-1].split(";")[0]) == (2, f"{SCHEDULED}: no such schedule")
    assert schedule("own.yaml", *CRON).exit_code == 0
    found = server.deployment(SCHEDULED)
    assert (found["parameters"]["batch"]["name"], len(found["schedules"])) == ("own", 1)


def test_a_schedule_is_placed_in_a_work_pool_and_stays_there(
    folder: Path,
    server: Server,  # noqa: F811
    other_pool: str,  # noqa: F811
) -> None:
    assert "--pool pareta\n" in schedule("own.yaml", *CRON).stdout
    made = schedule("own.yaml", *CRON, "--pool", other_pool, "--queue", "fast")
    assert made.exit_code == 0, made.output
    assert f"start a worker with: prefect worker start --pool {other_pool}\n" in made.stdout
    for options in ((), ("--pool", other_pool)):
        again = schedule("own.yaml", *CRON, *options)
        assert f"--pool {other_pool}" in again.stdout
        (listed,) = json.loads(schedule("--list", "--json").stdout)
        assert (listed["work_pool"], listed["work_queue"]) == (other_pool, "fast")
    assert f", work pool {other_pool}" in schedule("--list").stdout
    server.ask("PATCH", f"/deployments/{server.deployment(SCHEDULED)['id']}", {"work_pool_name": "pareta"})
    kept = schedule("own.yaml", *CRON, "--pool", other_pool)
    assert f'kept work pool: "pareta" on the server, "{other_pool}" in the file' in kept.stderr
    assert "--pool pareta\n" in kept.stdout
    for options, expected in ((("--pool", other_pool), (other_pool, "default")), ((), ("pareta", "default"))):
        assert schedule("own.yaml", *CRON, *options, "--reset").exit_code == 0
        found = server.deployment(SCHEDULED)
        assert (found["work_pool_name"], found["work_queue_name"]) == expected


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (("--pool", "none-such"), "--pool 'none-such': no such work pool; the server has: "),
        (("--pool", "none-such"), "make it with: prefect work-pool create none-such --type process"),
        (("--pool", "pareta-docker"), "make it with: pareta-pipeline set-up --pool-type docker"),
        (
            ("--pool", "tests-other", "--queue", "slow"),
            "work pool 'tests-other' has no such queue; it has: default, fast",
        ),
        (("--queue", "slow"), "--queue 'slow': work pool 'pareta' has no such queue; it has: default"),
    ],
)
def test_an_unknown_place_is_refused_and_nothing_is_made(
    options: tuple[str, ...],
    problem: str,
    folder: Path,
    server: Server,  # noqa: F811
    other_pool: str,  # noqa: F811
) -> None:
    refused = schedule("own.yaml", *CRON, *options)
    assert (refused.exit_code, problem in refused.stderr) == (2, True), refused.output
    assert server.ask("POST", "/deployments/filter") == []


@pytest.mark.parametrize("options", first_of([("--pool", "pareta"), ()]))
def test_the_default_pool_is_made_if_it_is_missing_and_otherwise_only_used(
    options: tuple[str, ...],
    folder: Path,
    server: Server,  # noqa: F811
) -> None:
    if any(each["name"] == "pareta" for each in server.ask("POST", "/work_pools/filter")):
        server.ask("DELETE", "/work_pools/pareta")
    made = schedule("own.yaml", *CRON, *options)
    assert (made.exit_code, "work pool pareta: created\n" in made.stderr) == (0, True), made.output
    again = schedule("own.yaml", *CRON, *options)
    assert (again.exit_code, "created" in again.stderr) == (0, False), again.output


def test_a_default_pool_of_another_type_is_used_if_a_person_names_it(
    folder: Path,
    server: Server,  # noqa: F811
) -> None:
    if any(each["name"] == "pareta" for each in server.ask("POST", "/work_pools/filter")):
        server.ask("DELETE", "/work_pools/pareta")
    server.ask("POST", "/work_pools/", {"name": "pareta", "type": "docker"})
    try:
        assert "has type 'docker', not 'process'; pass another --pool" in schedule("own.yaml", *CRON).stderr
        assert schedule("own.yaml", *CRON, "--pool", "pareta").exit_code == 0
    finally:
        server.ask("DELETE", "/work_pools/pareta")


@pytest.mark.parametrize("timezone", ["Europe/Berlin", "Etc/UTC", None])
async def test_prefects_scheduler_plans_the_runs_of_a_cron_schedule(timezone: str | None) -> None:
    # With some versions of its date library it fails for all of them, and says so in the log of the server only.
    planned = await CronSchedule(cron="0 6 * * 1-5", timezone=timezone).get_dates(3)
    assert [(each.hour, each.weekday() < 5) for each in planned] == [(6, True)] * 3


def test_a_deployment_that_was_deleted_on_the_server_is_made_as_in_the_file(
    folder: Path,
    server: Server,  # noqa: F811
) -> None:
    team = folder / "team"
    team.mkdir()
    (team / "prefect.yaml").write_text(yaml.safe_dump(FILE))
    wanted = SetUp(file=Path("team/prefect.yaml"))
    set_up(wanted, print)
    first = server.deployment(NAME)
    assert first["pull_steps"][0]["prefect.deployments.steps.set_working_directory"] == {"directory": str(team)}
    server.ask("DELETE", f"/deployments/{first['id']}")
    set_up(wanted, print)
    second = server.deployment(NAME)
    assert second["parameters"] == first["parameters"]
    assert [each["slug"] for each in second["schedules"]] == ["nights"]


@pytest.mark.long
def test_a_scheduled_spec_runs_in_its_folder_from_anywhere(
    folder: Path,
    pareta: Sandbox,
    server: Server,  # noqa: F811
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    assert schedule("own.yaml", *CRON).exit_code == 0
    run = server.ask("POST", f"/deployments/{server.deployment(SCHEDULED)['id']}/create_flow_run", {})
    # What the worker of a process pool starts for a run.
    environment = {**os.environ, "PREFECT_API_URL": str(PREFECT_API_URL.value())}
    command = [sys.executable, "-m", "prefect", "flow-run", "execute", run["id"]]
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    ended = subprocess.run(command, cwd=elsewhere, env=environment, capture_output=True, text=True, timeout=120)
    state = server.ask("GET", f"/flow_runs/{run['id']}")["state"]
    assert state["type"] == "COMPLETED", (state, ended.stdout, ended.stderr)
    answers = [json.loads(line) for line in (folder / "answers/own.jsonl").read_text().splitlines()]
    assert [each["id"] for each in answers] == ["1", "2"]
    assert list(elsewhere.iterdir()) == []
    assert pareta.books().completions == 2


@pytest.mark.parametrize(
    ("fields", "options", "name", "parameter"),
    [
        ({"name": "e", "task": "t"}, (), "deploy-endpoint/scheduled-deploy-e", "deployment"),
        (SPEC, (), SCHEDULED, "batch"),
        ({"name": "c", "comparisons": [COMPARISON]}, (), "compare-models/scheduled-compare-c", "comparisons"),
        ({"name": "w", "comparison": COMPARISON}, ("watch",), "watch-quality/scheduled-watch-w", "watch"),
        ({"name": "p", "comparison": COMPARISON}, ("promote",), "promote-winner/scheduled-promote-p", "promotion"),
        (
            {"name": "r", "model": "auto", "batch": {"dataset": "d.csv", "prompt": "{x}"}},
            (),
            "run-pipeline/scheduled-run-r",
            "pipeline",
        ),
    ],
)
def test_each_kind_of_spec_has_its_flow(
    folder: Path, fields: dict[str, Any], options: tuple[str, ...], name: str, parameter: str
) -> None:
    from pareta_cli.schedules import Timetable, deployment_of

    (folder / "own.yaml").write_text(yaml.safe_dump(fields))
    found = deployment_of(folder / "own.yaml", [], next(iter(options), None), Timetable("0 6 * * *"))
    assert found.full_name == name
    assert found.fields["parameters"] == {parameter: fields}
    found.flow.validate_parameters(found.fields["parameters"])


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (("own.yaml",), "needs one of --cron, --list and --remove"),
        (("own.yaml", *CRON, "--remove"), "needs one of"),
        (("own.yaml", "--remove", "--pool", "p"), "--pool and --queue need --cron"),
        (("--list", "--queue", "q"), "--pool and --queue need --cron"),
        ((*CRON,), "name the spec file"),
        (("own.yaml", "--list"), "--list takes no SPEC"),
        (("own.yaml", "--cron", "every night"), 'Invalid cron string: "every night"'),
        (("own.yaml", *CRON, "--timezone", "Mars/Base"), "--timezone 'Mars/Base': unknown"),
        (("none.yaml", *CRON), "none.yaml: no such file"),
        (("own.yaml", *CRON, "--set", "dataset=-"), "a worker has no standard input"),
        (("own.yaml", *CRON, "--set", "max_in_flight=0"), "max_in_flight"),
    ],
)
def test_a_wrong_schedule_is_refused_before_the_server_is_asked(
    folder: Path, arguments: tuple[str, ...], problem: str
) -> None:
    refused = schedule(*arguments)
    assert refused.exit_code == 2, refused.output
    assert problem in refused.stderr
