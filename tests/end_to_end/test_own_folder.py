"""The folder of a team as the how-to page describes it, and deployments that Prefect's own command makes."""

import csv
import re
from pathlib import Path

import pytest

from tests.end_to_end.conftest import PROJECT, House
from tests.end_to_end.test_deployments import BATCH, batch, state_of

PAGE = (PROJECT / "docs/how-to/own-deployments.md").read_text(encoding="utf-8")
WATCH = "watch-quality/watch-tickets"


@pytest.mark.long
def test_the_folder_of_the_how_to_page_is_set_up_and_its_deployment_runs(house: House, tmp_path: Path) -> None:
    (file,) = re.findall(r"```yaml\n(deployments:.*?)```", PAGE, re.DOTALL)
    (command,) = re.findall(r"^pareta-pipeline (set-up .*)$", PAGE, re.MULTILINE)
    # The folder with the data of the page belongs to this test.
    (tmp_path / "prefect.yaml").write_text(file.replace("/data/", f"{tmp_path}/"))
    (tmp_path / "invoices.csv").write_text("id,text\n1,Paper for the printer\n2,Rent of the office\n")
    printed = house.processes.run("pareta-pipeline", *command.split(), folder=tmp_path)
    assert "complete-batch/complete-invoices: created" in printed
    run = house.prefect.ended(house.prefect.run("complete-batch/complete-invoices")["id"])
    assert state_of(run) == ("COMPLETED", "Completed"), run["state"]
    with (tmp_path / "invoices-answered.csv").open(newline="") as answers:
        assert [row["id"] for row in csv.DictReader(answers) if row["answer"]] == ["1", "2"]
    found = house.prefect.deployment("complete-batch/complete-invoices")
    assert [(each["slug"], each["active"]) for each in found["schedules"]] == [("weekday-mornings", True)]
    house.prefect.ask("DELETE", f"/deployments/{found['id']}")


@pytest.mark.long
def test_prefects_own_command_deploys_single_deployments_which_run(house: House) -> None:
    for full_name in (BATCH, WATCH):
        name = full_name.partition("/")[2]
        printed = house.processes.run("prefect", "--no-prompt", "deploy", "-n", name, folder=house.folder)
        assert full_name in " ".join(printed.split())
    runs = [house.prefect.run(BATCH, batch=batch(house, "by-prefect-deploy")), house.prefect.run(WATCH)]
    assert {state_of(house.prefect.ended(run["id"])) for run in runs} == {("COMPLETED", "Completed")}
    # Set-up finds them as they are, and keeps what `prefect deploy` has written.
    assert f"{BATCH}: " in house.processes.run("pareta-pipeline", "set-up", folder=house.folder, within_s=300)
