"""Patch of Prefect: a state that the server has already keeps the result and the error of its run.

Reason: docs/decisions/repeated-states-keep-their-results.md.
"""

from typing import Any
from uuid import UUID

from prefect import flow_engine
from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.objects import State
from prefect.utilities.engine import propose_state

AnyState = State[Any]  # of any flow


def keep_data_of_repeated_states() -> None:
    """Change Prefect in this process: its engine takes no state without data in place of the same one with data."""
    flow_engine.propose_state = _propose_and_keep  # type: ignore[attr-defined]  # not exported


def with_its_data(proposed: AnyState, answer: AnyState) -> AnyState:
    """Return the proposed state if the answer is the same one without its data, or else the answer."""
    same = (answer.type, answer.name, answer.message) == (proposed.type, proposed.name, proposed.message)
    if answer is proposed or answer.data is not None or not same:
        return answer
    # As Prefect does with a state that the server accepts.
    proposed.id, proposed.timestamp, proposed.state_details = answer.id, answer.timestamp, answer.state_details
    return proposed


async def _propose_and_keep(client: PrefectClient, state: AnyState, flow_run_id: UUID, force: bool = False) -> AnyState:
    return with_its_data(state, await propose_state(client, state, flow_run_id=flow_run_id, force=force))
