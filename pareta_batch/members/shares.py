"""Shares of the slots of a batch: calls in flight of each member, shrunk first and raised later. Pure.

Invariant: the sum over members of max(share, confirmed), plus the withheld shares of dead members, never exceeds the
slots. A member with calls in flight above its share confirms their number, so its share is not given away before they
end. When the slots are lowered, the sum falls to them as calls end, and no share is raised before that.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

SHARDS_PER_MEMBER = 32
"""Shards per member at least, if there are enough rows; higher spreads the last rows better, with more queries.

Of 20,000 rows in shards of 500, four members sent the last ones at a third of the rate for up to 6 s, in 2 of 5 runs.
"""


@dataclass(frozen=True)
class Held:
    """Calls in flight of one member: `share` allowed by the parent, `confirmed` as its maximum by the member."""

    share: int = 0
    confirmed: int = 0

    @property
    def most(self) -> int:
        """Calls that may be in flight now."""
        return max(self.share, self.confirmed)


def next_shares(
    slots: int, living: Mapping[str, Held], withheld: int = 0, holders: Collection[str] = ()
) -> dict[str, int]:
    """Return the next share of each living member; `withheld` slots are those of dead members.

    With fewer slots than members, `holders` of open shards come first: others cannot send the rows of their shards.
    """
    if not living:
        return {}
    usable = max(0, slots - withheld)
    each, extra = divmod(usable, len(living))
    # The members with the highest share keep the remainder: it does not move between members.
    ordered = sorted(living, key=lambda token: (token not in holders, -living[token].share, token))
    wanted = {token: each + (place < extra) for place, token in enumerate(ordered)}
    most = {token: max(min(held.share, wanted[token]), held.confirmed) for token, held in living.items()}
    room = usable - sum(most.values())
    shares = {}
    for token in ordered:
        growth = max(0, min(wanted[token] - most[token], room))
        shares[token] = min(wanted[token], most[token] + growth)
        room -= growth
    return shares


def shard_size(largest: int, to_send: int, members: int) -> int:
    """Return the rows per shard: `largest`, or fewer if the rows to send would not be enough for all members."""
    return max(1, min(largest, to_send // (members * SHARDS_PER_MEMBER)))
