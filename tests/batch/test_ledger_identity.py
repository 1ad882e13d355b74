"""The id of a ledger: equal for all who open it, different for two ledgers."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

from pareta_batch.ledger.identity import ledger_id
from pareta_batch.ledger.ledger import Ledger
from tests.batch.batches import on_both_databases


@on_both_databases
def test_all_who_open_a_ledger_at_once_read_the_same_id(ledger: Ledger) -> None:
    with ThreadPoolExecutor(4) as threads:
        found = set(threads.map(lambda _: ledger_id(ledger), range(8)))
    assert len(found) == 1
    assert len(found.pop()) == 32


def test_the_id_stays_when_the_file_is_opened_again_and_differs_from_that_of_another(tmp_path: Path) -> None:
    found = []
    for name in ("a.db", "a.db", "b.db"):
        with closing(Ledger.open(f"sqlite:///{tmp_path}/{name}")) as ledger:
            found.append(ledger_id(ledger))
    assert found[0] == found[1] != found[2]
