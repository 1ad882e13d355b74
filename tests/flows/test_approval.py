"""Approval of a quote: when one is needed, on a terminal, and from Python."""

import asyncio
import json
from contextlib import suppress
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prefect import get_client
from prefect.client.schemas.responses import SetStateStatus
from prefect.exceptions import Pause
from prefect.flow_engine import run_flow_async
from prefect.input.actions import aread_flow_run_input
from prefect.states import Cancelled, Pending, Scheduled
from pydantic import BaseModel
from typer.testing import CliRunner, Result

from flows.approval import highest_micro_usd, question_of
from flows.approval_errors import Declined
from flows.approval_form import Approval, ApprovalWithCeiling, form_of
from flows.compare_models import compare_models
from flows.complete_batch import complete_batch
from flows.outcome_table import ExitStatus, end_state
from flows.run_pipeline import run_pipeline
from pareta_batch import ApprovalNeeded, Batch, CostRange, Quote
from pareta_cli.app import app
from pareta_evals import ComparisonsQuote
from pareta_sandbox.testing import Sandbox, Status
from tests.flows.datasets import batch, reviews
from tests.flows.test_compare_models import comparisons
from tests.flows.test_run_pipeline import pipeline

MICRO = 1_000_000
BATCH = Batch.model_validate(
    {"name": "b", "model": "auto", "dataset": "rows.csv", "prompt": "{text}", "sampling": {"max_tokens": 5}}
)


def quote(high: int | None) -> Quote:
    cost = None if high is None else CostRange(0, high // 2, high)
    return Quote(name="b", total=10, to_send=10, basis="leaderboard" if cost else "nothing", cost=cost)


@given(
    above=st.none() | st.floats(0, 100),
    budget=st.none() | st.floats(0.01, 100),
    high=st.none() | st.integers(0, 200 * MICRO),
)
def test_an_approval_is_needed_if_the_run_can_cost_more(
    above: float | None, budget: float | None, high: int | None
) -> None:
    spec = BATCH.model_copy(update={"approve_above_usd": above, "budget_usd": budget})
    ends = [end for end in (high, None if budget is None else round(budget * MICRO)) if end is not None]
    needed = above is not None and (not ends or min(ends) > above * MICRO + 1)
    not_needed = above is None or (bool(ends) and min(ends) < above * MICRO - 1)
    question = question_of(spec, quote(high))
    assert not (needed and question is None)
    assert not (not_needed and question is not None)


def test_an_unknown_price_in_a_comparison_needs_an_approval() -> None:
    known = {"name": "c", "rows": 5, "models": {"wren-1": 10.0}}
    for changes, high in (({}, 30), ({"models": {"wren-1": None}}, None), ({"problem": "no such model"}, None)):
        made = ComparisonsQuote.model_validate(
            {"name": "c", "comparisons": [known | changes], "cost": CostRange(3, 10, 30)}
        )
        assert highest_micro_usd(made) == high


def test_the_form_has_a_ceiling_only_where_a_budget_is_possible(tmp_path: Path) -> None:
    bounded, unbounded = batch(tmp_path, sampling={"max_tokens": 5}), batch(tmp_path)
    assert form_of(bounded) is form_of(comparisons(tmp_path, "one")) is ApprovalWithCeiling
    assert form_of(unbounded) is form_of(pipeline(tmp_path)) is Approval


def test_the_form_is_complete() -> None:
    for name, field in ApprovalWithCeiling.model_json_schema()["properties"].items():
        assert {"title", "description"} <= field.keys(), name
    assert ApprovalWithCeiling.model_json_schema()["required"] == ["approve"]


def test_declined_has_an_exit_status() -> None:
    assert end_state(Declined("no")).state == "Declined"
    assert end_state("Declined").exit_status is ExitStatus.STOPPED


def specs(folder: Path) -> dict[str, tuple[Any, BaseModel]]:
    """Return a flow and a spec of each kind with a quote that needs an approval."""
    return {
        "complete": (complete_batch, batch(folder, approve_above_usd=0)),
        "compare": (compare_models, comparisons(folder, "one").model_copy(update={"approve_above_usd": 0})),
        "run": (run_pipeline, pipeline(folder, approve_above_usd=0)),
    }


KINDS = ("complete", "compare", "run")


@pytest.mark.parametrize("command", KINDS)
def test_from_python_a_run_that_no_person_can_approve_ends_before_anything_is_billed(
    command: str, either: Sandbox, tmp_path: Path
) -> None:
    flow, spec = specs(tmp_path)[command]
    with pytest.raises(ApprovalNeeded, match="above approve_above_usd of"):
        asyncio.run(flow(spec))
    assert either.books().debited_micro_usd == 0
    assert not any(route.startswith("POST") for route in either.books().requests)


def command(folder: Path, name: str, *options: str) -> Result:
    _, spec = specs(folder)[name]
    path = folder / "spec.json"
    path.write_text(spec.model_dump_json(exclude_unset=True), encoding="utf-8")
    return CliRunner().invoke(app, [name, str(path), *options])


@pytest.mark.parametrize("name", KINDS)
def test_without_a_terminal_the_command_names_the_option(name: str, direct: Sandbox, tmp_path: Path) -> None:
    ended = command(tmp_path, name)
    assert ended.exit_code == 2
    assert "no terminal to ask on; pass --yes, or raise approve_above_usd" in ended.output
    assert direct.books().debited_micro_usd == 0


@pytest.mark.parametrize("name", KINDS)
def test_yes_approves(name: str, direct: Sandbox, tmp_path: Path) -> None:
    assert command(tmp_path, name, "--yes", "--json").exit_code == 0
    assert direct.books().debited_micro_usd > 0


@pytest.mark.parametrize(("answer", "status"), [("y\n", 0), ("n\n", 3), ("", 3)])
def test_on_a_terminal_the_answer_decides(
    answer: str, status: int, direct: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "spec.json"
    path.write_text(batch(tmp_path, approve_above_usd=0).model_dump_json(exclude_unset=True), encoding="utf-8")
    monkeypatch.setattr("pareta_cli.approval.is_terminal", lambda: True)
    ended = CliRunner().invoke(app, ["complete", str(path)], input=answer)
    assert ended.exit_code == status, ended.output
    assert "run it? [y/N]" in ended.output
    assert ("Declined: nothing was sent" in ended.output) == (status == 3)
    assert (direct.books().debited_micro_usd > 0) == (status == 0)


def test_a_quote_below_the_threshold_runs_without_a_question(direct: Sandbox, tmp_path: Path) -> None:
    path = tmp_path / "spec.json"
    # The price of `auto` is unknown, so the budget bounds the cost.
    work = batch(tmp_path, approve_above_usd=50, budget_usd=50, sampling={"max_tokens": 5})
    path.write_text(work.model_dump_json(exclude_unset=True), encoding="utf-8")
    ended = CliRunner().invoke(app, ["complete", str(path), "--json"])
    assert (ended.exit_code, json.loads(ended.stdout)["settled"]) == (0, 12)


async def deployed(work: Batch) -> UUID:
    """Return a run of a deployment with this batch."""
    async with get_client() as client:
        deployment = await client.create_deployment(await client.create_flow(complete_batch), f"of-{work.name}")
        parameters = {"batch": work.model_dump(mode="json")}
        return (await client.create_flow_run_from_deployment(deployment, parameters=parameters)).id


async def worked(run: UUID) -> tuple[str | None, str]:
    """Run it as a worker does; return the name and the message of its state."""
    async with get_client() as client:
        await client.set_flow_run_state(run, Pending())
        pending = await client.read_flow_run(run)
        with suppress(Pause):
            await run_flow_async(complete_batch, pending, parameters=pending.parameters, return_type="state")
        state = (await client.read_flow_run(run)).state
    assert state is not None
    return state.name, state.message or ""


async def started_again(run: UUID) -> tuple[str | None, str]:
    """Retry the run as the UI and the automation of crashed runs do."""
    async with get_client() as client:
        await client.set_flow_run_state(run, Scheduled(name="AwaitingRetry"))
    return await worked(run)


async def answered(run: UUID, **form: object) -> tuple[str | None, str]:
    async with get_client() as client:
        assert (await client.resume_flow_run(run, run_input=dict(form))).status is SetStateStatus.ACCEPT
    return await worked(run)


async def test_a_decision_holds_when_its_run_is_started_again(pareta: Sandbox, tmp_path: Path) -> None:
    work = batch(tmp_path, name="held", approve_above_usd=0, sampling={"max_tokens": 5})
    run = await deployed(work)
    assert (await worked(run))[0] == "AwaitingApproval"
    pareta.inject(Status(status=402, times=1))
    assert (await answered(run, approve="yes", ceiling_usd=5))[0] == "InsufficientCredits"
    assert (await started_again(run))[0] == "Completed"

    refused = await deployed(batch(tmp_path, name="refused", approve_above_usd=0, output=str(tmp_path / "r.jsonl")))
    await worked(refused)
    assert (await answered(refused, approve="no"))[0] == "Declined"
    assert (await started_again(refused))[0] == "Declined"


async def test_a_run_that_was_cancelled_before_its_decision_asks_again(pareta: Sandbox, tmp_path: Path) -> None:
    run = await deployed(batch(tmp_path, name="left", approve_above_usd=0))
    await worked(run)
    async with get_client() as client:
        await client.set_flow_run_state(run, Cancelled())
    reviews(tmp_path, 14)
    name, message = await started_again(run)
    assert (name, message.partition(" rows")[0]) == ("AwaitingApproval", "left: 14 of 14")
    async with get_client() as client:
        state = (await client.read_flow_run(run)).state
    assert state is not None
    keys = state.state_details.run_input_keyset or {}
    # The form has the present quote.
    assert await aread_flow_run_input(keys["description"], flow_run_id=run) == message
    assert pareta.books().debited_micro_usd == 0
    assert (await answered(run, approve="yes"))[0] == "Completed"
