"""The decisions of members and their parent, as pure functions: shares of the slots, allotments of the budget."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pareta_batch.members.allotments import Allotment, Demand, next_grants
from pareta_batch.members.funds import prices_from, prices_json
from pareta_batch.members.shares import Held, next_shares
from pareta_batch.money.prices import NO_PRICES, Prices
from tests.batch.simulated_members import Simulation

BOUND = 1_000
"""Above the bound of one simulated request in micro-USD, by the prices that its receipts reveal."""

counts = st.integers(0, 40)
holdings = st.dictionaries(st.text("abcdef", min_size=1), st.builds(Held, counts, counts), min_size=1)


@given(st.integers(0, 100), holdings, counts)
def test_no_share_is_raised_beyond_the_free_slots(slots: int, living: dict[str, Held], withheld: int) -> None:
    before = sum(held.most for held in living.values()) + withheld
    shares = next_shares(slots, living, withheld)
    after = sum(max(shares[token], held.confirmed) for token, held in living.items()) + withheld
    assert after <= max(slots, before)
    assert shares.keys() == living.keys()
    if after > before:
        assert after <= slots


@given(st.integers(0, 100), st.dictionaries(st.text("abcdef", min_size=1), st.just(Held()), min_size=1), counts)
def test_shares_become_equal_and_use_every_slot(slots: int, living: dict[str, Held], withheld: int) -> None:
    for _ in range(3):
        shares = next_shares(slots, living, withheld)
        living = {token: Held(share, share) for token, share in shares.items()}
    assert max(shares.values()) - min(shares.values()) <= 1
    assert sum(shares.values()) == max(0, slots - withheld)
    assert next_shares(slots, living, withheld) == shares, "nothing moves any more"


@pytest.mark.parametrize("seed", range(6))
def test_calls_in_flight_never_exceed_the_limit_while_members_join_and_die(seed: int) -> None:
    draws = random.Random(seed)
    run = Simulation(slots=32, seed=seed)
    run.join(3)

    def change(run: Simulation) -> None:
        if draws.random() < 0.01:
            run.join()
        elif draws.random() < 0.01 and len(run.members) > 1:
            run.kill()

    for slots in (32, 8, 32):
        run.slots = slots
        began = run.now
        run.run(30, change)
        # When the limit is lowered, the calls in flight end first: at most one exchange each way, and the latency.
        settled = [(calls, limit) for at, calls, limit in run.in_flight if at > began + 3]
        assert all(calls <= limit for calls, limit in settled), max(settled)
    recent = [calls for at, calls, _ in run.in_flight if at > run.now - 2]
    assert max(recent) >= 16, "the slots of dead members are used again"


@given(st.integers(1, 5), st.dictionaries(st.text("abcdef", min_size=1), st.booleans(), min_size=6))
def test_with_fewer_slots_than_members_those_that_hold_shards_get_them(slots: int, holds: dict[str, bool]) -> None:
    living = {token: Held(not held, not held) for token, held in holds.items()}
    holders = {token for token, held in holds.items() if held}
    for _ in range(3):
        shares = next_shares(slots, living, holders=holders)
        living = {token: Held(share, share) for token, share in shares.items()}
    assert sum(shares[token] for token in holders) == min(slots, len(holders))


demands = st.builds(Demand, st.integers(0, 500), st.integers(0, 500), st.integers(0, 100), st.booleans())
allotments = st.dictionaries(
    st.text("abcdef", min_size=1), st.builds(Allotment, st.integers(0, 800), st.none() | demands), min_size=1
)


@given(st.integers(-50, 2000), allotments, st.booleans())
def test_grants_never_exceed_the_free_budget(free: int, members: dict[str, Allotment], priced: bool) -> None:
    grants = next_grants(free, members, priced=priced)
    assert all(grant > 0 for grant in grants.values())
    assert sum(grants.values()) <= max(0, free)


@given(st.integers(0, 2000), allotments)
def test_a_member_that_returns_its_surplus_gets_no_addition(free: int, members: dict[str, Allotment]) -> None:
    # Both would repeat for ever, and the budget would never count as reached.
    grants = next_grants(free, members, priced=True)
    for token, member in members.items():
        if member.demand is not None and member.demand.idle and member.demand.returned(member.granted):
            assert token not in grants


def test_the_budget_is_reached_while_some_members_have_no_rows() -> None:
    run = Simulation(slots=24, ceiling=300_000)
    run.join(8)
    for member in run.members[:3]:
        member.rows = 20
    run.run(120, check_ceiling)
    assert run.stopped
    assert run.billed > 300_000 - BOUND


@given(demands, st.integers(0, 800))
def test_a_member_returns_no_more_than_its_surplus(demand: Demand, granted: int) -> None:
    returned = demand.returned(granted)
    assert 0 <= returned <= max(0, granted - demand.used)


@pytest.mark.parametrize("members", [1, 3, 8])
@pytest.mark.parametrize("seed", range(3))
def test_the_ceiling_holds_and_is_used_to_the_last_bound(members: int, seed: int) -> None:
    run = Simulation(slots=24, ceiling=300_000, seed=seed)
    run.join(members)
    run.run(120, check_ceiling)
    assert run.stopped
    assert run.billed > 300_000 - BOUND, "less than the bound of one request is left"


@pytest.mark.parametrize("seed", range(4))
def test_the_ceiling_holds_while_members_die(seed: int) -> None:
    draws = random.Random(seed)
    run = Simulation(slots=24, ceiling=300_000, seed=seed)
    run.join(8)

    def change(run: Simulation) -> None:
        check_ceiling(run)
        if draws.random() < 0.003 and len(run.members) > 2:
            run.kill()
            run.join()

    run.run(150, change)
    assert run.stopped
    assert run.dead
    # The bounds of the calls that were lost with their members stay used.
    assert run.granted > 300_000 - BOUND


def check_ceiling(run: Simulation) -> None:
    assert run.billed <= run.granted <= 300_000


@pytest.mark.parametrize("prices", [NO_PRICES, Prices().learn(700, 11, 13), Prices().learn(7, 3, 2).learn(900, 3, 2)])
def test_prices_are_kept_exactly(prices: Prices) -> None:
    assert prices_from(prices_json(prices)) == prices
    assert prices.merged(NO_PRICES) == NO_PRICES.merged(prices) == prices


receipts = st.lists(st.tuples(st.integers(1, 500), st.integers(1, 50)), min_size=1, max_size=6)


@given(receipts, receipts)
def test_merged_prices_bound_the_receipts_of_both(one: list[tuple[int, int]], other: list[tuple[int, int]]) -> None:
    learned = []
    for tokens in (one, other):
        prices = NO_PRICES
        for prompt, completion in tokens:
            prices = prices.learn(2 * prompt + 3 * completion, prompt, completion)
        learned.append(prices)
    merged = learned[0].merged(learned[1])
    for prompt, completion in one + other:
        assert (merged.at_most(1, prompt, completion) or 0) >= 2 * prompt + 3 * completion
