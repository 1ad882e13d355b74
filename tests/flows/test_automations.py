"""The automations of set-up: crashed runs and notifications, merged with what a person changed on the server."""

from collections.abc import Callable
from typing import Any

import pytest
import yaml
from prefect.blocks.notifications import CustomWebhookNotificationBlock
from prefect.blocks.system import Secret
from prefect.server.events.actions import SendNotification
from prefect.server.events.schemas.events import Resource, ResourceSpecification

from flows.outcome_table import END_STATES
from flows.outcomes import suspension_message
from pareta_cli.automations import FILE
from pareta_cli.server_setup import SetUpError
from pareta_client import InsufficientCreditsError
from tests.flows.test_deployments import every_flow
from tests.flows.test_server_setup import Server, project, server

__all__ = ["project", "server"]

CONTENT = yaml.safe_load(FILE.read_text(encoding="utf-8"))
ALL = [*CONTENT["automations"], *CONTENT["notifications"]]
NO_DEPLOYMENTS: dict[str, Any] = {"deployments": []}
SetUpProject = Callable[..., list[str]]
STATES_OF_PREFECT = {"Crashed", "Suspended", "AwaitingApproval"}


def automations(server: Server) -> dict[str, dict[str, Any]]:
    return {each["name"]: each for each in server.ask("POST", "/automations/filter")}


def test_they_are_for_every_flow_of_this_project() -> None:
    named = CONTENT["definitions"]["flows"]["prefect.resource.name"]
    assert sorted(named) == sorted({flow.name for flow in every_flow()})


def test_every_state_that_they_wait_for_exists() -> None:
    expected = {name for each in CONTENT["notifications"] for name in each["trigger"]["expect"]}
    states = {name.removeprefix("prefect.flow-run.") for name in expected if name.startswith("prefect.flow-run.")}
    assert states <= {each.state for each in END_STATES.values()} | STATES_OF_PREFECT


def test_only_a_suspension_for_lack_of_credit_is_a_message() -> None:
    (trigger,) = [each["trigger"] for each in ALL if "prefect.flow-run.Suspended" in each["trigger"]["expect"]]
    match = ResourceSpecification.model_validate(trigger["match"])
    no_credit = InsufficientCreditsError("the balance is empty", status_code=402)
    for message, matches in ((suspension_message(no_credit), True), ("asked for by a person", False), ("", False)):
        labels = {"prefect.resource.id": "prefect.flow-run.1", "prefect.state-message": message}
        assert match.matches(Resource.model_validate(labels)) is matches, message


@pytest.mark.parametrize("fields", CONTENT["notifications"], ids=lambda fields: fields["name"])
def test_every_text_is_a_valid_template(fields: dict[str, str]) -> None:
    for name in ("subject", "body"):
        SendNotification.validate_template(fields[name], name)


def test_without_a_block_only_crashes_are_handled(project: SetUpProject, server: Server) -> None:
    lines = project(NO_DEPLOYMENTS)
    assert "notifications: none; add --notify TYPE/NAME, as in slack/ops" in lines
    assert automations(server).keys() == {each["name"] for each in CONTENT["automations"]}


def test_what_a_person_changed_is_kept(project: SetUpProject, server: Server) -> None:
    CustomWebhookNotificationBlock(name="ops", url="http://127.0.0.1:9/").save("ops", overwrite=True)
    assert f"{len(ALL)} automations: created" in project(NO_DEPLOYMENTS, notify="webhook/ops")
    assert all(each["enabled"] for each in automations(server).values())
    # The block of the last set-up stays in use.
    assert f"{len(ALL)} automations: unchanged" in project(NO_DEPLOYMENTS)

    disabled, deleted = automations(server)["pareta-notify-drift"], automations(server)["pareta-resume-crashed-runs"]
    server.ask("PATCH", f"/automations/{disabled['id']}", {"enabled": False})
    server.ask("DELETE", f"/automations/{deleted['id']}")
    lines = project(NO_DEPLOYMENTS, notify="webhook/ops")
    assert "  kept automations pareta-notify-drift enabled: false on the server, true in the file" in lines
    assert not automations(server)["pareta-notify-drift"]["enabled"]
    assert "pareta-resume-crashed-runs" not in automations(server)

    project(NO_DEPLOYMENTS, reset=True)
    assert automations(server).keys() == {each["name"] for each in ALL}
    assert automations(server)["pareta-notify-drift"]["enabled"]


@pytest.mark.parametrize(
    ("notify", "problem"),
    [
        pytest.param("slack", "not valid; write TYPE/NAME", marks=pytest.mark.long),
        pytest.param("/ops", "not valid|no block", marks=pytest.mark.long),
        ("slack/nobody", "no block 'nobody' of type slack-webhook; make it with: prefect block create slack-webhook"),
        pytest.param("no-such-type/ops", "no block 'ops' of type no-such-type", marks=pytest.mark.long),
        ("secret/quiet", "a secret block sends no notification"),
    ],
)
def test_a_block_that_cannot_notify_is_refused(
    notify: str, problem: str, project: SetUpProject, server: Server
) -> None:
    Secret(value="x").save("quiet", overwrite=True)
    with pytest.raises(SetUpError, match=problem):
        project(NO_DEPLOYMENTS, notify=notify)
