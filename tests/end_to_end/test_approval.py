"""Runs that wait for the approval of their quote: suspended with a form, without a process, nothing billed."""

from typing import Any

import pytest

from tests.end_to_end.conftest import House
from tests.end_to_end.processes import until
from tests.end_to_end.test_deployments import BATCH, batch, rows, state_of
from tests.end_to_end.test_stopping import PIPELINE, endpoints, pipeline

COMPARISON = "compare-models/compare-tickets"


def waiting(house: House, deployment: str, **parameters: Any) -> str:
    """Start a run and wait until it waits for its approval; return its id."""
    before = house.pareta.books().debited_micro_usd
    run = house.prefect.run(deployment, **parameters)
    found = house.prefect.in_state(run["id"], "AwaitingApproval")
    assert found["state"]["type"] == "PAUSED"
    assert "above approve_above_usd of $0.00" in found["state"]["message"]
    pid = house.prefect.process_of(run["id"])
    until(lambda: pid not in house.processes.alive(), within_s=300, what="no process while it waits")
    assert house.pareta.books().debited_micro_usd == before
    return str(run["id"])


def answer(house: House, run: str, **form: Any) -> dict[str, Any]:
    """Send the form, as Resume in the menu of the run does, and wait for the end of the run."""
    sent = house.prefect.ask("POST", f"/flow_runs/{run}/resume", run_input=form)
    assert sent["status"] == "ACCEPT", sent
    return house.prefect.ended(run)


def form_of(house: House, run: str) -> dict[str, Any]:
    keys = house.prefect.flow_run(run)["state"]["state_details"]["run_input_keyset"]
    found: dict[str, Any] = until(
        lambda: house.prefect.ask("GET", f"/flow_runs/{run}/input/{keys['schema']}"), within_s=30, what="its form"
    )
    return found


@pytest.mark.long
def test_an_approved_batch_goes_on_with_its_new_ceiling_and_a_declined_one_ends(house: House) -> None:
    before = house.pareta.books().completions
    run = waiting(house, BATCH, batch=batch(house, "asked", approve_above_usd=0))
    assert form_of(house, run)["properties"].keys() == {"approve", "ceiling_usd", "note"}
    refused = house.prefect.ask("POST", f"/flow_runs/{run}/resume", run_input={"note": "no answer"})
    assert refused["status"] == "REJECT"
    ended = answer(house, run, approve="yes", ceiling_usd=5, note="agreed with Kim")
    assert state_of(ended) == ("COMPLETED", "Completed")
    assert ended["state"]["message"].endswith("; approved, ceiling $5.00: agreed with Kim")
    house.pareta.completed(before + rows(house))

    low = answer(
        house, waiting(house, BATCH, batch=batch(house, "low", approve_above_usd=0)), approve="yes", ceiling_usd=1e-6
    )
    assert state_of(low) == ("FAILED", "BudgetReached")

    sent = house.pareta.books().completions
    no = answer(
        house, waiting(house, BATCH, batch=batch(house, "no", approve_above_usd=0)), approve="no", note="too dear"
    )
    assert state_of(no) == ("FAILED", "Declined")
    assert "declined in the form of the run: too dear; nothing was sent" in no["state"]["message"]
    house.pareta.completed(sent)


@pytest.mark.long
def test_a_pipeline_and_a_comparison_wait_before_anything_is_deployed_or_bought(house: House) -> None:
    work = {**pipeline(house, "asked-pipeline"), "approve_above_usd": 0}
    run = waiting(house, PIPELINE, pipeline=work)
    assert endpoints(house, "asked-pipeline") == []
    assert state_of(answer(house, run, approve="yes")) == ("COMPLETED", "Completed")
    assert endpoints(house, "asked-pipeline") == ["stopped"]

    own = house.prefect.deployment(COMPARISON)["parameters"]["comparisons"]
    (comparison,) = own["comparisons"]
    # Rows of its own: those of another test are bought already, and cost nothing.
    rows_of_it = (house.folder / comparison["rows"]).read_text().splitlines(keepends=True)[1:]
    (house.folder / "asked.jsonl").write_text("".join(rows_of_it))
    asked = {
        "name": "asked-comparison",
        "comparisons": [{**comparison, "rows": "asked.jsonl"}],
        "approve_above_usd": 0,
    }
    run = waiting(house, COMPARISON, comparisons=asked)
    assert state_of(answer(house, run, approve="no")) == ("FAILED", "Declined")
    run = waiting(house, COMPARISON, comparisons=asked)
    assert state_of(answer(house, run, approve="yes")) == ("COMPLETED", "Completed")
