"""Two accounts on one server: batches that run at the same time, each with the key and the bill of its own."""

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from pareta_sandbox.testing import Sandbox, running
from tests.end_to_end.conftest import House
from tests.end_to_end.processes import Processes, until
from tests.end_to_end.test_deployments import BATCH, batch, rows, state_of

NAMES = ("north", "south")


@pytest.fixture
def accounts(house: House) -> Iterator[dict[str, Sandbox]]:
    """Save two blocks by the command; yield the service of each, which knows only the key of its own account."""
    opened = {}
    with ExitStack() as stack:
        for name in NAMES:
            key = f"pareta_sk_of_the_{name}"
            # Slow until both batches send.
            opened[name] = stack.enter_context(running(keys=(key,), latency_ms=6000))
            own = {"PARETA_API_KEY": key, "PARETA_BASE_URL": opened[name].base_url}
            person = Processes(house.processes.home, {**house.processes.environment, **own})
            person.run("pareta-pipeline", "credentials", name, folder=house.folder)
        yield opened


@pytest.mark.long
def test_two_accounts_work_at_the_same_time_and_each_pays_for_its_own_batch(
    house: House, accounts: dict[str, Sandbox]
) -> None:
    before = house.pareta.books()
    works = {name: batch(house, f"of-the-{name}", credentials=name, max_in_flight=2) for name in NAMES}
    runs = {name: house.prefect.run(BATCH, batch=work) for name, work in works.items()}

    def both_send() -> bool:
        return all(account.books().in_flight for account in accounts.values())

    until(lambda: both_send() or None, within_s=300, what="two batches that send at the same time")
    for account in accounts.values():
        account.change(latency_ms=5)
    for name, account in accounts.items():
        ended = house.prefect.ended(runs[name]["id"], within_s=300)
        assert state_of(ended) == ("COMPLETED", "Completed"), ended["state"]
        # The rows of both batches have the same texts.
        account.completed(rows(house))
        account.debited_once()
    house.pareta.silent_since(before)
