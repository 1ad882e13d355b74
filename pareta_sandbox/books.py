"""The books: the balance, an append-only list of debits, and counts of what was seen. Money is integer micro-USD."""

import time
from collections import Counter
from collections.abc import Iterable
from typing import Literal

from pydantic import BaseModel, ConfigDict

from pareta_sandbox.money import dollars
from pareta_sandbox.refusals import out_of_credit

DebitKind = Literal["completion", "eval_run"]


class Debit(BaseModel):
    """One debit: micro-USD, Unix time, the endpoint or eval run it is for, and the idempotency key it came with."""

    model_config = ConfigDict(frozen=True)

    amount_micro_usd: int
    at: float
    kind: DebitKind
    endpoint: str
    key: str | None
    request_id: str


class Snapshot(BaseModel):
    """The books at one moment."""

    model_config = ConfigDict(frozen=True)

    opening_balance_micro_usd: int
    balance_micro_usd: int
    held_micro_usd: int
    adjustments_micro_usd: int
    debited_micro_usd: int
    debits: tuple[Debit, ...]
    requests: dict[str, int]
    statuses: dict[int, int]
    requests_by_key: dict[str, int]
    completions_seen: int
    completions: int
    replays: int
    in_flight: int
    highest_in_flight: int
    eval_runs_created: int
    eval_runs_in_flight: int
    highest_eval_runs_in_flight: int

    @property
    def balances(self) -> bool:
        """Tell whether opening balance, adjustments and debits add up to the balance."""
        debited = sum(debit.amount_micro_usd for debit in self.debits)
        expected = self.opening_balance_micro_usd + self.adjustments_micro_usd - debited
        return debited == self.debited_micro_usd and self.balance_micro_usd == expected


class Gauge:
    """Count what is in flight, and remember the highest count."""

    __slots__ = ("highest", "now")

    def __init__(self) -> None:
        self.now = 0
        self.highest = 0

    def __enter__(self) -> None:
        self.now += 1
        self.highest = max(self.highest, self.now)

    def __exit__(self, *_: object) -> None:
        self.now -= 1


class Books:
    """Keep the balance exact: hold before work starts, debit when it is done, never below zero."""

    def __init__(self, balance_micro_usd: int) -> None:
        self.opening = balance_micro_usd
        self.balance = balance_micro_usd
        self.held = 0
        self.adjustments = 0
        self.debited = 0
        self.requests: Counter[str] = Counter()
        self.statuses: Counter[int] = Counter()
        self.requests_by_key: Counter[str] = Counter()
        self.completions_seen = 0
        self.completions = 0
        self.replays = 0
        self.eval_runs_created = 0
        self.in_flight = Gauge()
        self.eval_runs_in_flight = Gauge()
        self._debits: list[Debit] = []

    def hold(self, amount: int) -> None:
        """Set an amount aside for work that starts; refuse with 402 when the balance does not cover it."""
        if self.balance - self.held < amount:
            raise out_of_credit()
        self.held += amount

    def release(self, amount: int) -> None:
        """Give back an amount that was held."""
        self.held -= amount

    def debit(self, amount: int, kind: DebitKind, endpoint: str, key: str | None, request_id: str) -> None:
        """Write down a debit."""
        self.balance -= amount
        self.debited += amount
        entry = Debit.model_construct(
            amount_micro_usd=amount, at=time.time(), kind=kind, endpoint=endpoint, key=key, request_id=request_id
        )
        self._debits.append(entry)

    def top_up(self, amount: int) -> None:
        """Add to the balance (or take from it)."""
        self.balance += amount
        self.adjustments += amount

    def set_balance(self, amount: int) -> None:
        """Set the balance."""
        self.top_up(amount - self.balance)

    def debits(self) -> Iterable[Debit]:
        """Return all debits, oldest first."""
        return tuple(self._debits)

    def snapshot(self) -> Snapshot:
        """Return the books as they stand."""
        return Snapshot.model_construct(
            opening_balance_micro_usd=self.opening,
            balance_micro_usd=self.balance,
            held_micro_usd=self.held,
            adjustments_micro_usd=self.adjustments,
            debited_micro_usd=self.debited,
            debits=tuple(self._debits),
            requests=dict(self.requests),
            statuses=dict(self.statuses),
            requests_by_key=dict(self.requests_by_key),
            completions_seen=self.completions_seen,
            completions=self.completions,
            replays=self.replays,
            in_flight=self.in_flight.now,
            highest_in_flight=self.in_flight.highest,
            eval_runs_created=self.eval_runs_created,
            eval_runs_in_flight=self.eval_runs_in_flight.now,
            highest_eval_runs_in_flight=self.eval_runs_in_flight.highest,
        )


def rendered(books: Snapshot) -> str:
    """Render the books for people."""
    lines = [
        f"balance             {dollars(books.balance_micro_usd)}",
        f"debited             {dollars(books.debited_micro_usd)} in {len(books.debits)} debits",
        f"completions         {books.completions} ({books.completions_seen} requests, {books.replays} replays)",
        f"highest in flight   {books.highest_in_flight}",
        f"eval runs           {books.eval_runs_created} (highest in flight {books.highest_eval_runs_in_flight})",
    ]
    lines += [f"{count:>7} × {route}" for route, count in sorted(books.requests.items())]
    lines += [f"{count:>7} × status {status}" for status, count in sorted(books.statuses.items())]
    return "\n".join(lines)
