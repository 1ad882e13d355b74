"""A ceiling that is kept by reservation: what a request may cost at most is set aside before it is sent."""

import asyncio
from dataclasses import dataclass
from enum import Enum

from pareta_batch.prices import NO_PRICES, Prices


class No(Enum):
    """Why nothing can be reserved: wait for requests in flight to be settled, or there is no room for another."""

    WAIT = "wait"
    FULL = "full"


@dataclass(frozen=True)
class Reservation:
    """Micro-USD set aside for one request with so many bytes of prompt."""

    micro_usd: int
    prompt_bytes: int


@dataclass
class Purse:
    """Micro-USD spent and set aside under a ceiling.

    Requests in doubt count with what they cost at most. It holds as long as the service charges a rate per token and
    the first answer alone costs no more than the ceiling: before it, nothing is known of the price.
    """

    ceiling: int
    max_tokens: int
    spent: int = 0
    prices: Prices = NO_PRICES
    in_doubt: int = 0
    in_doubt_bytes: int = 0
    _reserved: int = 0

    def reserve(self, prompt_bytes: int) -> Reservation | No:
        """Set aside what a request costs at most."""
        doubtful = self.prices.of_requests(self.in_doubt, self.in_doubt_bytes, self.max_tokens) or 0
        room = self.ceiling - self.spent - self._reserved - doubtful
        bound = self.prices.of_requests(1, prompt_bytes, self.max_tokens)
        if bound is None:
            # The first request goes alone, with all there is.
            bound = room if not self._reserved else room + 1
        if bound <= room and room > 0:
            self._reserved += bound
            return Reservation(bound, prompt_bytes)
        return No.WAIT if self._reserved else No.FULL

    def paid(self, reservation: Reservation, billed: int, prompt_tokens: int | None, answer_tokens: int | None) -> None:
        """Take what the receipt says; the rest is free again."""
        self._reserved -= reservation.micro_usd
        self.spent += billed
        self.prices = self.prices.learn(billed, prompt_tokens, answer_tokens)

    def not_paid(self, reservation: Reservation) -> None:
        """Free what was set aside for a request that was refused or never sent."""
        self._reserved -= reservation.micro_usd

    def doubtful(self, reservation: Reservation) -> None:
        """Count a request that may have been paid for as if it was."""
        self._reserved -= reservation.micro_usd
        self.in_doubt += 1
        self.in_doubt_bytes += reservation.prompt_bytes


class Budget:
    """Shares out a purse among the rows in flight; without one, everything is granted."""

    def __init__(self, purse: Purse | None) -> None:
        self.purse = purse
        self._changed = asyncio.Event()
        self._closed = False

    async def reserve(self, prompt_bytes: int) -> Reservation | None:
        """Wait for room; None when there is none left (or it was closed)."""
        while self.purse is not None and not self._closed:
            match self.purse.reserve(prompt_bytes):
                case No.FULL:
                    return None
                case No.WAIT:
                    self._changed.clear()
                    await self._changed.wait()
                case reservation:
                    return reservation
        return None if self._closed else Reservation(0, prompt_bytes)

    def paid(self, reservation: Reservation, billed: int, prompt_tokens: int | None, answer_tokens: int | None) -> None:
        """Take what the receipt says."""
        if self.purse is not None:
            self.purse.paid(reservation, billed, prompt_tokens, answer_tokens)
            self._changed.set()

    def not_answered(self, reservation: Reservation, *, in_doubt: bool) -> None:
        """Free what was set aside, unless it may have been paid."""
        if self.purse is not None:
            (self.purse.doubtful if in_doubt else self.purse.not_paid)(reservation)
            self._changed.set()

    def close(self) -> None:
        """Grant nothing more."""
        self._closed = True
        self._changed.set()
