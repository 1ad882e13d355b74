"""Upper bounds of token prices, learned from receipts, and of the cost of requests without a receipt."""

from dataclasses import dataclass, replace
from fractions import Fraction
from math import ceil


@dataclass(frozen=True)
class Prices:
    """Upper bounds of the price of a token in micro-USD, None until the first receipt; exact fractions.

    The service bills `prompt_tokens × rate_1 + completion_tokens × rate_2`. So `billed / prompt_tokens` of any receipt
    bounds the first rate, and `billed / completion_tokens` bounds the second. The lowest quotient is the best bound.

    A receipt above these bounds refutes them: `rise` is its multiple of the bound. From then on the highest quotient
    of such receipts counts. `least_prompt_tokens` bounds the tokens that the service adds to every prompt.
    """

    prompt: Fraction | None = None
    completion: Fraction | None = None
    least_prompt_tokens: int = 0
    most_completion_tokens: int = 0
    rise: Fraction | None = None

    @property
    def known(self) -> bool:
        """Whether a receipt with token counts was seen."""
        return self.prompt is not None and self.completion is not None

    def at_most(self, requests: int, prompt_tokens: int, completion_tokens: int) -> int | None:
        """Return the upper bound in micro-USD for a number of requests and their total tokens, each rounded up."""
        if self.prompt is None or self.completion is None:
            return None
        return ceil(self.prompt * prompt_tokens + self.completion * completion_tokens) + requests

    def of_requests(self, requests: int, prompt_bytes: int, max_tokens: int | None) -> int | None:
        """Return the upper bound in micro-USD of requests from their total prompt bytes (a token has at least one)."""
        longest = max(max_tokens or 0, self.most_completion_tokens)
        return self.at_most(requests, prompt_bytes + requests * self.least_prompt_tokens, requests * longest)

    def learn(self, billed: int | None, prompt_tokens: int | None, completion_tokens: int | None) -> "Prices":
        """Return the bounds after another receipt; a receipt of 0 (a replay) or without tokens changes nothing."""
        if not billed or not prompt_tokens or not completion_tokens:
            return self
        seen = replace(
            self,
            least_prompt_tokens=min(self.least_prompt_tokens or prompt_tokens, prompt_tokens),
            most_completion_tokens=max(self.most_completion_tokens, completion_tokens),
        )
        quotients = Fraction(billed, prompt_tokens), Fraction(billed, completion_tokens)
        if self.prompt is None or self.completion is None:
            return replace(seen, prompt=quotients[0], completion=quotients[1])
        bound = self.at_most(1, prompt_tokens, completion_tokens) or 0
        if billed > bound:
            return seen.raised(Fraction(billed, bound), *quotients)
        if self.rise is not None:
            return seen
        return replace(seen, prompt=min(self.prompt, quotients[0]), completion=min(self.completion, quotients[1]))

    def raised(self, rise: Fraction, prompt: Fraction | None = None, completion: Fraction | None = None) -> "Prices":
        """Return the bounds after a receipt of `rise` × its bound: its quotients if given, else all × `rise`."""
        if self.prompt is None or self.completion is None:
            return self
        return replace(
            self,
            prompt=max(self.prompt, self.prompt * rise if prompt is None else prompt),
            completion=max(self.completion, self.completion * rise if completion is None else completion),
            rise=max(self.rise or rise, rise),
        )

    def merged(self, other: "Prices") -> "Prices":
        """Return the bounds from the receipts of both: the lower ones, or the higher ones once a price has risen."""
        if self.prompt is None or self.completion is None:
            return other
        if other.prompt is None or other.completion is None:
            return self
        choose = min if self.rise is None and other.rise is None else max
        return Prices(
            prompt=choose(self.prompt, other.prompt),
            completion=choose(self.completion, other.completion),
            least_prompt_tokens=min(self.least_prompt_tokens, other.least_prompt_tokens),
            most_completion_tokens=max(self.most_completion_tokens, other.most_completion_tokens),
            rise=max(filter(None, (self.rise, other.rise)), default=None),
        )

    def refuted_by(self, later: "Prices") -> bool:
        """Return whether `later` has a higher bound than these known bounds."""
        if self.prompt is None or self.completion is None or later.prompt is None or later.completion is None:
            return False
        return later.prompt > self.prompt or later.completion > self.completion


NO_PRICES = Prices()


@dataclass(frozen=True)
class Answered:
    """An answered row: prompt size, receipt in micro-USD, and tokens of prompt and answer (0 if not reported)."""

    prompt_bytes: int
    billed_micro_usd: int
    prompt_tokens: int = 0
    completion_tokens: int = 0
