"""Batches with known costs, pilots drawn from them, and how often a forecast from the pilot holds."""

from collections import Counter
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pareta_batch.money.cost_forecast import forecast
from pareta_batch.money.prices import Answered

PROMPT_RATE, ANSWER_RATE, OVERHEAD_TOKENS = 0.1, 0.6, 40


@dataclass(frozen=True)
class Rows:
    """How rows are distributed: spread of the logs of prompt and answer lengths, and how both go together.

    `shape` names the distribution of answer lengths; `rare` is the share of rows with `times` as long answers.
    """

    name: str
    answers: float = 1.0
    prompts: float = 1.0
    together: float = 0.0
    shape: str = "lognormal"
    rare: float = 0.0
    times: float = 1.0


LOGNORMAL = (
    Rows("log-normal 0.5", 0.5),
    Rows("log-normal 0.5, with the prompt", 0.5, together=0.7),
    Rows("log-normal 1", 1.0),
    Rows("log-normal 1, with the prompt", 1.0, together=0.7),
    Rows("log-normal 1.5", 1.5),
    Rows("log-normal 1, prompts alike", 1.0, prompts=0.1),
)
OTHERS = (
    Rows("exponential", shape="exponential"),
    Rows("uniform", shape="uniform"),
    Rows("one word or two", shape="words"),
    Rows("3 rows in 10, 10 times as long", 0.3, rare=0.3, times=10),
    Rows("1 row in 10, 20 times as long", 0.3, rare=0.1, times=20),
    Rows("1 row in 100, 100 times as long", 0.3, rare=0.01, times=100),
)


@dataclass(frozen=True)
class Coverage:
    """Shares of the pilots whose interval held the truth, or lay below or above it; mean width over the truth."""

    held: float
    too_low: float
    too_high: float
    width: float


def coverage(kind: Rows, pilot: int, rest: int = 1_000, samples: int = 400, seed: int = 1) -> Coverage:
    """Draw batches and pilots anew, and count how often the forecast of the rest holds."""
    rng = np.random.default_rng([seed, pilot, rest])
    ends = [_one(kind, pilot, rest, rng) for _ in range(samples)]
    low, high, truth = np.array(ends).T
    return Coverage(
        held=float(np.mean((low <= truth) & (truth <= high))),
        too_low=float(np.mean(high < truth)),
        too_high=float(np.mean(low > truth)),
        width=float(np.mean((high - low) / truth)),
    )


def _one(kind: Rows, pilot: int, rest: int, rng: np.random.Generator) -> tuple[float, float, float]:
    n = pilot + rest
    logs = rng.standard_normal((2, n))
    of_bytes = np.ceil(np.exp(7.4 + kind.prompts * logs[0]))
    prompts = np.ceil(OVERHEAD_TOKENS + of_bytes / 4 * np.exp(0.1 * rng.standard_normal(n)))
    answers = np.ceil(_answers(kind, logs, rng))
    billed = np.ceil(PROMPT_RATE * prompts + ANSWER_RATE * answers)
    answered = [
        Answered(int(size), int(cost), int(prompt), int(answer))
        for size, cost, prompt, answer in zip(
            of_bytes[:pilot], billed[:pilot], prompts[:pilot], answers[:pilot], strict=True
        )
    ]
    made = forecast(answered, Counter(of_bytes[pilot:].astype(int).tolist()))
    return made.low, made.high, float(billed[pilot:].sum())


def _answers(kind: Rows, logs: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.float64]:
    n = logs.shape[1]
    match kind.shape:
        case "exponential":
            lengths = rng.exponential(100.0, n) + 1
        case "uniform":
            lengths = rng.uniform(1, 200, n)
        case "words":
            lengths = rng.integers(2, 4, n).astype(np.float64)
        case _:
            own = kind.together * logs[0] + np.sqrt(1 - kind.together**2) * logs[1]
            lengths = np.exp(4 + kind.answers * own)
    return lengths * np.where(rng.random(n) < kind.rare, kind.times, 1.0)
