"""What a token costs at most, learned from receipts, and what that says of requests without one."""

from dataclasses import dataclass
from math import ceil


@dataclass(frozen=True)
class Prices:
    """Upper bounds of the micro-USD that a token costs, None until a receipt told.

    A receipt is prompt tokens × one rate + completion tokens × another, so `billed / prompt_tokens` of any receipt
    bounds the first rate and `billed / completion_tokens` the second; the lowest seen is the tightest bound.
    `least_prompt_tokens` bounds what the service adds to every prompt.
    """

    prompt: float | None = None
    completion: float | None = None
    least_prompt_tokens: int = 0
    most_completion_tokens: int = 0

    @property
    def known(self) -> bool:
        """Whether a receipt told."""
        return self.prompt is not None and self.completion is not None

    def at_most(self, requests: int, prompt_tokens: int, completion_tokens: int) -> int | None:
        """Bound the cost of so many requests with so many tokens in all; each may have been rounded up."""
        if self.prompt is None or self.completion is None:
            return None
        return ceil(self.prompt * prompt_tokens + self.completion * completion_tokens) + requests

    def of_requests(self, requests: int, prompt_bytes: int, max_tokens: int | None) -> int | None:
        """Bound the cost of requests by the bytes of their prompts: a token is a byte at least."""
        longest = max_tokens or self.most_completion_tokens
        return self.at_most(requests, prompt_bytes + requests * self.least_prompt_tokens, requests * longest)

    def learn(self, billed: int | None, prompt_tokens: int | None, completion_tokens: int | None) -> "Prices":
        """Tighten the bounds by one receipt; one of 0 (a replay) or without tokens says nothing."""
        if not billed or not prompt_tokens or not completion_tokens:
            return self
        return Prices(
            _lower(self.prompt, billed / prompt_tokens),
            _lower(self.completion, billed / completion_tokens),
            min(self.least_prompt_tokens or prompt_tokens, prompt_tokens),
            max(self.most_completion_tokens, completion_tokens),
        )


NO_PRICES = Prices()


def _lower(one: float | None, other: float) -> float:
    return other if one is None else min(one, other)
