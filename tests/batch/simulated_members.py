"""Members of a run, simulated: the real decisions of parent and members, on a clock of steps."""

import math
import random
from collections.abc import Callable
from dataclasses import dataclass, field

from pareta_batch.members.allotments import Allotment, Demand
from pareta_batch.members.allotted_gate import AllottedGate
from pareta_batch.members.funds import Funds
from pareta_batch.members.shares import Held, next_shares
from pareta_batch.money.budget import Budget, Reservation
from pareta_batch.money.prices import NO_PRICES

STEP_S = 0.05
EXCHANGE_STEPS = 10
MAX_TOKENS = 100
PROMPT_BYTES = 200


@dataclass
class Call:
    ends: float
    reservation: Reservation | None
    cost: int
    tokens: int


@dataclass
class Row:
    """The ledger's row of a member."""

    held: Held = field(default_factory=Held)
    granted: int = 0
    demand: Demand | None = None


class SimulatedMember:
    """A member with calls in flight up to its share, as its budget allows."""

    def __init__(self, phase: int) -> None:
        self.row = Row()
        self.gate = AllottedGate(Budget(ceiling=0, max_tokens=MAX_TOKENS))
        self.share = 0
        self.calls: list[Call] = []
        self.alive = True
        self.phase = phase
        self.billed = 0
        self.answered = 0
        self.rows = math.inf  # those that it can get

    @property
    def budget(self) -> Budget:
        assert self.gate.budget is not None
        return self.gate.budget


@dataclass
class Simulation:
    """A run: `members` that live, dead ones whose calls may still be at the service, and its parent."""

    slots: int
    ceiling: int | None = None
    latency_s: float = 0.5
    timeout_s: float = 5.0
    seed: int = 0
    now: float = 0.0
    steps: int = 0
    stopped: bool = False
    in_flight: list[tuple[float, int, int]] = field(default_factory=list)  # time, calls at the service, slots
    spent: list[tuple[float, int, int]] = field(default_factory=list)  # time, billed, granted
    stopped_at: float | None = None

    def __post_init__(self) -> None:
        self.draws = random.Random(self.seed)
        self.members: list[SimulatedMember] = []
        self.dead: list[tuple[float, SimulatedMember]] = []
        self.orphan_calls: list[Call] = []
        self.funds = Funds(self.ceiling or 0, 0, NO_PRICES)
        self.kept = 0
        self.lost = 0

    def join(self, count: int = 1) -> None:
        self.members += [SimulatedMember(self.draws.randrange(EXCHANGE_STEPS)) for _ in range(count)]

    def kill(self) -> None:
        """Kill a member with its calls in flight: they go on at the service."""
        member = self.members.pop(self.draws.randrange(len(self.members)))
        self.dead.append((self.now, member))
        self.orphan_calls += member.calls
        self.lost += sum(call.cost for call in member.calls)
        in_doubt = len(member.calls)
        kept = self.funds.kept_of_dead(member.row.granted, member.billed, in_doubt, in_doubt * PROMPT_BYTES, MAX_TOKENS)
        self.kept += kept

    def run(self, seconds: float, each_step: Callable[["Simulation"], object] = lambda _: None) -> None:
        end = self.now + seconds
        while self.now < end:
            self.step()
            each_step(self)

    def step(self) -> None:
        self.now += STEP_S
        self.steps += 1
        for member in self.members:
            self._answer(member)
            if not self.stopped:
                self._send(member)
            if self.steps % EXCHANGE_STEPS == member.phase:
                self._exchange(member)
        self.orphan_calls = [call for call in self.orphan_calls if call.ends > self.now]
        if self.steps % EXCHANGE_STEPS == 0:
            self._lead()
        at_service = sum(len(each.calls) for each in self.members) + len(self.orphan_calls)
        self.in_flight.append((self.now, at_service, self.slots))
        self.spent.append((self.now, self.billed, self.granted))

    @property
    def billed(self) -> int:
        """Micro-USD that the service billed, those of lost calls included."""
        return sum(each.billed for each in self.members) + sum(each.billed for _, each in self.dead) + self.lost

    @property
    def granted(self) -> int:
        return sum(each.row.granted for each in self.members) + self.kept

    def _answer(self, member: SimulatedMember) -> None:
        done = [call for call in member.calls if call.ends <= self.now]
        member.calls = [call for call in member.calls if call.ends > self.now]
        for call in done:
            member.answered += 1
            if call.reservation is not None:
                member.billed += call.cost
                member.budget.paid(call.reservation, call.cost, PROMPT_BYTES // 4, call.tokens)

    def _send(self, member: SimulatedMember) -> None:
        member.gate._waiting = []
        while len(member.calls) < member.share and member.answered + len(member.calls) < member.rows:
            reservation = None
            if self.ceiling is not None:
                found = member.budget.reserve(PROMPT_BYTES)
                if not isinstance(found, Reservation):
                    bound = member.budget.prices.of_requests(1, PROMPT_BYTES, MAX_TOKENS) or 1
                    member.gate._waiting, member.gate._bound = [bound], bound
                    return
                reservation = found
            tokens = self.draws.randint(1, MAX_TOKENS)
            # A rate per token: 2 micro-USD for one of the prompt, 3 for one of the answer.
            cost = 2 * (PROMPT_BYTES // 4) + 3 * tokens
            ends = self.now + self.draws.uniform(0.5, 1.5) * self.latency_s
            member.calls.append(Call(ends, reservation, cost, tokens))

    def _exchange(self, member: SimulatedMember) -> None:
        row = member.row
        row.held = Held(row.held.share, max(row.held.share, member.share, len(member.calls)))
        if self.ceiling is not None:
            row.demand, returned = member.gate.demand(member.share, self.now)
            row.granted -= returned
            self.funds.learn([member.gate.prices])
            member.gate.grant(row.granted, self.funds.prices, (0, 0, 0))
        member.share = row.held.share

    def _lead(self) -> None:
        withheld = sum(each.row.held.most for at, each in self.dead if self.now - at < self.timeout_s)
        living = {str(n): each.row for n, each in enumerate(self.members)}
        shares = next_shares(self.slots, {n: row.held for n, row in living.items()}, withheld)
        for n, share in shares.items():
            living[n].held = Held(share, living[n].held.confirmed)
        if self.ceiling is None:
            return
        allotments = {n: Allotment(row.granted, row.demand) for n, row in living.items()}
        if not self.stopped and self.funds.is_reached(self.granted, allotments):
            self.stopped, self.stopped_at = True, self.now
        for n, grant in self.funds.grants(self.granted, allotments).items():
            living[n].granted += grant
