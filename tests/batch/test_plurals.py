"""Numbers with their nouns, and the sentences that have them."""

import pytest

from pareta_batch.engine.planning import RunPlan
from pareta_batch.plurals import quantity
from pareta_batch.run_counts import RunCounts


@pytest.mark.parametrize(("number", "text"), [(0, "0 rows"), (1, "1 row"), (2, "2 rows"), (1_000, "1,000 rows")])
def test_only_one_is_in_the_singular(number: int, text: str) -> None:
    assert quantity(number, "row") == text


@pytest.mark.parametrize(
    ("sentence", "text"),
    [
        (RunCounts(sent=1, settled=1, failed=0, replayed=0, billed_micro_usd=1), "1 row sent, 1 settled, "),
        (RunPlan(total=20, missing={0: 20}, changed=0), "20 to send in 1 shard"),
        (RunPlan(total=20, missing={0: 10, 1: 10}, changed=0, reused=1), "; 1 answer taken over from other batches; "),
    ],
)
def test_sentences_of_a_run_have_the_singular(sentence: object, text: str) -> None:
    assert text in str(sentence)
