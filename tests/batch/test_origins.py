"""Who started a batch, and what all batches of one origin were billed."""

from pareta_batch.ledger.ledger import Ledger
from pareta_batch.ledger.origins import billed_to, claim_origin, origin_of
from pareta_batch.ledger.outcomes import Outcome
from pareta_batch.rows.requests import RowRequest
from tests.batch.batches import on_both_databases


def bought(ledger: Ledger, name: str, micro_usd: int) -> None:
    ledger.register_rows(name, [RowRequest(0, "1", "f", ())])
    ledger.record(name, [Outcome(key="1", fingerprint="f", state="settled", attempts=1, billed_micro_usd=micro_usd)])


@on_both_databases
def test_the_first_who_claims_a_batch_has_started_it(ledger: Ledger) -> None:
    assert origin_of("b", ledger) is None
    assert claim_origin("b", "one", ledger) == "one"
    assert claim_origin("b", "two", ledger) == "one"
    bought(ledger, "b", 1)
    assert claim_origin("b", "two", ledger, replaces=True) == origin_of("b", ledger) == "one"


@on_both_databases
def test_a_claim_without_rows_is_replaced_on_demand(ledger: Ledger) -> None:
    claim_origin("b", "one", ledger)
    assert claim_origin("b", "two", ledger, replaces=True) == "two"


@on_both_databases
def test_rows_from_before_have_no_origin(ledger: Ledger) -> None:
    bought(ledger, "b", 1)
    assert claim_origin("b", "one", ledger) is None


@on_both_databases
def test_what_an_origin_was_billed_is_added_up_but_for_one_batch(ledger: Ledger) -> None:
    assert billed_to(["one", "two"], ledger, but="a") == 0
    for name, origin, micro_usd in (("a", "one", 1), ("b", "one", 20), ("c", "two", 300), ("d", "three", 4000)):
        claim_origin(name, origin, ledger)
        bought(ledger, name, micro_usd)
    assert billed_to(["one", "two"], ledger, but="a") == 320
    assert billed_to([], ledger, but="a") == 0
