"""The books: balance, append-only debits, and counters of requests. Amounts are integer micro-USD."""

from collections import Counter
from typing import Literal

from pydantic import BaseModel, ConfigDict

from pareta_sandbox.http.errors import Refusal
from pareta_sandbox.state.journal import Entry, Journal
from pareta_sandbox.state.money import dollars

MAX_ROUTES = 500  # further routes are counted as "others", so that invented paths cannot fill the memory

DebitKind = Literal["completion", "eval_run"]


class Debit(BaseModel):
    """A debit: micro-USD, Unix time, endpoint or eval run, and the idempotency key of the request."""

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
    debit_count: int
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
        """Whether opening balance, adjustments and debits add up to the balance."""
        debited = sum(debit.amount_micro_usd for debit in self.debits)
        expected = self.opening_balance_micro_usd + self.adjustments_micro_usd - debited
        return debited == self.debited_micro_usd and self.balance_micro_usd == expected


class Gauge:
    """Number of operations in flight, with its highest value."""

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
    """Exact balance: hold before the work, debit after it, never below zero.

    The journal is the source of truth: an existing journal overrides `opening_balance`.
    """

    def __init__(self, journal: Journal, opening_balance: int) -> None:
        self.journal = journal
        if not journal.total("opening")[0]:
            journal.write("opening", "balance", opening_balance)
        self.opening = journal.total("opening")[1]
        self.balance = self.opening + journal.total("adjustment")[1] - journal.total("debit")[1]
        self.held = 0
        self.requests: Counter[str] = Counter()
        self.statuses: Counter[int] = Counter()
        self.completions_seen = 0
        self.completions = 0
        self.eval_runs_created = 0
        self.in_flight = Gauge()
        self.eval_runs_in_flight = Gauge()

    def hold(self, amount: int) -> None:
        """Reserve an amount for work that starts; refuse it with 402 if the balance does not cover it."""
        if self.balance - self.held < amount:
            raise Refusal(402, "Insufficient credits: top up your balance in the dashboard to continue.")
        self.held += amount

    def release(self, amount: int) -> None:
        """Release a reserved amount."""
        self.held -= amount

    def debit(self, amount: int, kind: DebitKind, endpoint: str, key: str | None, request_id: str) -> None:
        """Record a debit."""
        self.balance -= amount
        self.journal.write("debit", endpoint, amount, key, request_id, kind)

    def record_replay(self, key: str, request_id: str) -> None:
        """Record the replay of a stored answer."""
        self.journal.write("replay", "chat", 0, key, request_id)

    def record_request(self, route: str, key: str | None, request_id: str) -> None:
        """Record a request on its arrival."""
        known = route in self.requests or len(self.requests) < MAX_ROUTES
        self.requests[route if known else "others"] += 1
        self.journal.write("request", route, None, key, request_id)

    def record_answer(self, route: str, status: int, request_id: str) -> None:
        """Count an answer by its status, and record an error."""
        self.statuses[status] += 1
        if status >= 400:
            self.journal.write("error", route, None, None, request_id, str(status))

    def record_drop(self, route: str, request_id: str) -> None:
        """Record a request that got no answer."""
        self.journal.write("error", route, None, None, request_id, "dropped")

    def top_up(self, amount: int) -> None:
        """Add an amount to the balance; a negative amount reduces it."""
        self.balance += amount
        self.journal.write("adjustment", "balance", amount)

    def set_balance(self, amount: int) -> None:
        """Set the balance."""
        self.top_up(amount - self.balance)

    def snapshot(self, *, debits: bool = True) -> Snapshot:
        """Return a snapshot of the books, optionally without the list of debits."""
        count, debited = self.journal.total("debit")
        return Snapshot.model_construct(
            opening_balance_micro_usd=self.opening,
            balance_micro_usd=self.balance,
            held_micro_usd=self.held,
            adjustments_micro_usd=self.journal.total("adjustment")[1],
            debited_micro_usd=debited,
            debit_count=count,
            debits=tuple(_debit(entry) for _, entry in self.journal.entries("debit")) if debits else (),
            requests=dict(self.requests),
            statuses=dict(self.statuses),
            requests_by_key=self.journal.keys() if debits else {},
            completions_seen=self.completions_seen,
            completions=self.completions,
            replays=self.journal.total("replay")[0],
            in_flight=self.in_flight.now,
            highest_in_flight=self.in_flight.highest,
            eval_runs_created=self.eval_runs_created,
            eval_runs_in_flight=self.eval_runs_in_flight.now,
            highest_eval_runs_in_flight=self.eval_runs_in_flight.highest,
        )


def _debit(entry: Entry) -> Debit:
    return Debit.model_validate(
        {
            "amount_micro_usd": entry.amount,
            "at": entry.at,
            "kind": entry.detail,
            "endpoint": entry.subject,
            "key": entry.key,
            "request_id": entry.request_id,
        }
    )


def format_books(books: Snapshot) -> str:
    """Format the books for people."""
    lines = [
        f"balance             {dollars(books.balance_micro_usd)}",
        f"debited             {dollars(books.debited_micro_usd)} in {books.debit_count} debits",
        f"completions         {books.completions} ({books.completions_seen} requests, {books.replays} replays)",
        f"highest in flight   {books.highest_in_flight}",
        f"eval runs           {books.eval_runs_created} (highest in flight {books.highest_eval_runs_in_flight})",
    ]
    lines += [f"{count:>7} × {route}" for route, count in sorted(books.requests.items())]
    lines += [f"{count:>7} × status {status}" for status, count in sorted(books.statuses.items())]
    return "\n".join(lines)
