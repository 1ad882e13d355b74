"""Models of the service: open models by public alias, and frontier models of vendors."""

from dataclasses import dataclass
from typing import Literal

from pareta_sandbox.state.money import Rates

Kind = Literal["open", "frontier"]


@dataclass(frozen=True, slots=True)
class Model:
    """A model: its skill level (1 to 5), its prices and its latency."""

    id: str
    kind: Kind
    vendor: str
    level: int
    rates: Rates
    first_token_ms: float
    ms_per_token: float
    context_k: int
    vision: bool = False
    benchmarked: bool = True

    def fits(self, prompt_tokens: int) -> bool:
        """Return whether a prompt fits into the context window."""
        return prompt_tokens <= self.context_k * 1_000

    def latency_ms(self, completion_tokens: int) -> float:
        """Return the duration of an answer, in milliseconds."""
        return self.first_token_ms + self.ms_per_token * completion_tokens


OPEN = (
    Model("wren-1", "open", "open-weights", 1, Rates(40, 80), 40, 1.0, 16),
    Model("wren-2", "open", "open-weights", 2, Rates(80, 160), 60, 1.5, 32),
    Model("heron-1", "open", "open-weights", 3, Rates(200, 400), 120, 2.5, 32, vision=True),
    Model("heron-2", "open", "open-weights", 4, Rates(350, 700), 180, 4.0, 128, vision=True),
)
FRONTIER = (
    Model("summit-mini", "frontier", "Northwind", 4, Rates(800, 3_200), 250, 5.0, 200, vision=True),
    Model("meridian-2", "frontier", "Meridian", 5, Rates(2_500, 10_000), 350, 8.0, 200, benchmarked=False),
    Model("summit-pro", "frontier", "Northwind", 5, Rates(5_000, 20_000), 600, 12.0, 1_000, vision=True),
)
# The frontier price on receipts uses the list price of this model.
BASELINE = FRONTIER[-1]

MODELS = {model.id: model for model in (*OPEN, *FRONTIER)}
