"""Forecast of the cost of rows to send, from a sample of receipts and the size of every prompt.

Prompt tokens are nearly proportional to the bytes of the prompt. Answer tokens are skewed and hardly depend on it. The
forecast therefore adds two models: weighted least squares on bytes, and a log-normal regression with the uncertainty
of its parameters.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pareta_batch.money.prices import Answered

Numbers = NDArray[np.float64]

DRAWS = 2_000
"""Simulated totals; higher gives a more stable interval and a slower quote."""
BINS = 32
"""Classes of prompt size in the simulation; higher is finer and slower."""
MIN_LOGNORMAL_P = 0.1
"""Shapiro-Wilk p value below which a bootstrap-t interval widens the log-normal one; higher widens it more often."""
MIN_ROWS_FOR_SLOPE = 20
"""Answered rows required to fit answer lengths on prompt sizes; higher is more stable, and misses the dependence."""
MAX_LOG = 6.0
"""Upper bound of the simulated variance of logs, and of the log of mean / longest answer; higher makes the interval
of a pilot of five rows absurdly wide."""
BOUNDS = (0.025, 0.975)


@dataclass(frozen=True)
class Forecast:
    """Total cost of the rows to send (micro-USD): 95 % interval, median, and price of an answer token if known."""

    low: float
    likely: float
    high: float
    answer_token: float | None = None


def forecast(answered: Sequence[Answered], to_send: Mapping[int, int], max_tokens: int | None = None) -> Forecast:
    """Return the forecast of the cost of rows to send; it is deterministic.

    Args:
        answered: a random sample of at least three rows with receipts.
        to_send: bytes of a prompt → number of rows.
        max_tokens: upper bound of the tokens of one answer, or None.
    """
    sizes = np.array([max(row.prompt_bytes, 1) for row in answered], dtype=np.float64)
    remaining = np.repeat(np.maximum(list(to_send), 1), list(to_send.values())).astype(np.float64)
    billed = np.array([row.billed_micro_usd for row in answered], dtype=np.float64)
    if remaining.size == 0:
        return Forecast(0.0, 0.0, 0.0)
    rng = np.random.default_rng([len(answered), remaining.size, int(billed.sum())])
    answers = np.array([row.completion_tokens for row in answered], dtype=np.float64)
    prompts = np.array([row.prompt_tokens for row in answered], dtype=np.float64)
    if answers.min() <= 0 or prompts.min() <= 0:
        return _without_tokens(billed, sizes, remaining, rng)
    price = _answer_price(prompts, answers, billed)
    # The part of the cost without answer tokens: prompt tokens, a fee per request, rounding.
    linear = _linear(billed - price * answers, sizes, remaining, rng)
    total = _skewed(answers, sizes, remaining, rng)
    max_total = np.inf if max_tokens is None else max_tokens * remaining.size
    draws = linear + price * np.minimum(total.draws, max_total)
    low, likely, high = np.quantile(draws, (BOUNDS[0], 0.5, BOUNDS[1]))
    middle = float(np.median(linear))
    wide_low, wide_high = (middle + price * min(end, max_total) for end in total.wide)
    return Forecast(max(min(low, wide_low), 0.0), likely, max(high, wide_high), price or None)


@dataclass(frozen=True)
class _Total:
    """Draws of a sum over the rows to send, and an interval that its own interval must contain."""

    draws: Numbers
    wide: tuple[float, float] = (np.inf, -np.inf)


def _without_tokens(billed: Numbers, sizes: Numbers, remaining: Numbers, rng: np.random.Generator) -> Forecast:
    """Return a forecast from receipts without token counts: at each end, the wider of the two models."""
    skewed, linear = _skewed(billed, sizes, remaining, rng), _linear(billed, sizes, remaining, rng)
    ends = [np.quantile(draws, BOUNDS) for draws in (skewed.draws, linear)]
    low, high = min(skewed.wide[0], *(pair[0] for pair in ends)), max(skewed.wide[1], *(pair[1] for pair in ends))
    return Forecast(max(float(low), 0.0), float(np.median(skewed.draws)), float(high))


def _answer_price(prompts: Numbers, answers: Numbers, billed: Numbers) -> float:
    from scipy.optimize import nnls

    prices, _ = nnls(np.column_stack([prompts, answers]), billed)
    return float(prices[1])


def _linear(values: Numbers, sizes: Numbers, remaining: Numbers, rng: np.random.Generator) -> Numbers:
    """Draw the sum of values = fixed + rate × bytes, with errors proportional to the bytes."""
    fit = values.size > 3 and np.ptp(sizes) > 0
    design = np.column_stack([np.ones_like(sizes), 1 / sizes]) if fit else (1 / sizes)[:, np.newaxis]
    known = np.array([remaining.sum(), remaining.size]) if fit else np.array([remaining.size], dtype=np.float64)
    weighted = values / sizes
    inverse = np.linalg.pinv(design.T @ design)
    fitted = inverse @ design.T @ weighted
    degrees = values.size - fitted.size
    variance = float(((weighted - design @ fitted) ** 2).sum()) / degrees
    error = np.sqrt(variance * (known @ inverse @ known + (remaining**2).sum()))
    draws: Numbers = known @ fitted + error * rng.standard_t(degrees, DRAWS)
    return draws


def _skewed(values: Numbers, sizes: Numbers, remaining: Numbers, rng: np.random.Generator) -> _Total:
    """Draw the sum of log-normal values from the predictive distribution (reference prior, Fenton-Wilkinson sum)."""
    logs, of_sizes = np.log(np.maximum(values, 0.5)), np.log(sizes)
    middle = of_sizes.mean()
    sloped = values.size >= MIN_ROWS_FOR_SLOPE and np.ptp(sizes) > 0
    design = np.column_stack([np.ones_like(logs), *([of_sizes - middle] if sloped else [])])
    counts, classes = _binned(np.log(remaining) - middle)
    inverse = np.linalg.inv(design.T @ design)
    fitted = inverse @ design.T @ logs
    residuals, degrees = logs - design @ fitted, logs.size - fitted.size
    variances = float((residuals**2).sum()) / rng.chisquare(degrees, DRAWS)
    errors = rng.standard_normal((DRAWS, fitted.size)) @ np.linalg.cholesky(inverse).T
    drawn = fitted + np.sqrt(variances)[:, np.newaxis] * errors
    means = drawn[:, :1] + (drawn[:, 1:] * classes if sloped else np.zeros_like(classes))
    means = np.minimum(means, logs.max() + MAX_LOG)
    variances = np.minimum(variances, MAX_LOG)
    sums = (counts * np.exp(means + variances[:, np.newaxis] / 2)).sum(axis=1)
    spread = (counts * np.exp(2 * means + variances[:, np.newaxis])).sum(axis=1) * np.expm1(variances)
    width = np.log1p(spread / sums**2)
    draws = sums * np.exp(np.sqrt(width) * rng.standard_normal(DRAWS) - width / 2)
    if _lognormal(residuals):
        return _Total(draws)
    return _Total(draws, _bootstrap_t(values, sizes, remaining, _slope(fitted, inverse, residuals, degrees), rng))


def _binned(values: Numbers) -> tuple[Numbers, Numbers]:
    """Return the counts and means of `BINS` quantile classes."""
    edges = np.quantile(values, np.linspace(0, 1, BINS + 1)[1:-1])
    member = np.searchsorted(edges, values, side="right")
    counts = np.bincount(member, minlength=BINS).astype(np.float64)
    return counts, np.bincount(member, weights=values, minlength=BINS) / np.maximum(counts, 1)


def _lognormal(residuals: Numbers) -> bool:
    from scipy.stats import shapiro

    return bool(np.ptp(residuals) < 1e-9 or shapiro(residuals).pvalue >= MIN_LOGNORMAL_P)


def _slope(fitted: Numbers, inverse: Numbers, residuals: Numbers, degrees: int) -> float:
    """Return the exponent in value ∝ size^exponent; 0 if it is within two standard errors of 0."""
    if fitted.size < 2:
        return 0.0
    error = np.sqrt(float((residuals**2).sum()) / degrees * inverse[1, 1])
    return float(fitted[1]) if abs(fitted[1]) > 2 * error else 0.0


def _bootstrap_t(
    values: Numbers, sizes: Numbers, remaining: Numbers, slope: float, rng: np.random.Generator
) -> tuple[float, float]:
    """Bound the sum by a ratio estimate on a power of the size: bootstrap-t, no narrower than Student's t.

    Cochran, Sampling Techniques, 3rd ed., 6.3 (the variance of a ratio); Efron and Tibshirani 1993, 12.5.
    """
    from scipy.stats import t

    measures, n = sizes**slope, values.size
    ratio, error = _ratio(values[np.newaxis], measures[np.newaxis])
    chosen = rng.integers(0, n, (DRAWS, n))
    ratios, errors = _ratio(values[chosen], measures[chosen])
    pivots = (ratios - ratio) / np.maximum(errors, 1e-9 * ratio)
    student = float(t.ppf(BOUNDS[1], n - 1))
    low, high = np.quantile(pivots, BOUNDS)
    # The rows to send vary as well as the sample: 1/n + 1/N, not 1/n.
    scale, total = error[0] * np.sqrt(1 + n / remaining.size), (remaining**slope).sum()
    return (
        float(total * (ratio[0] - max(high, student) * scale)),
        float(total * (ratio[0] - min(low, -student) * scale)),
    )


def _ratio(values: Numbers, measures: Numbers) -> tuple[Numbers, Numbers]:
    ratio = values.sum(axis=1) / measures.sum(axis=1)
    residuals = values - ratio[:, np.newaxis] * measures
    n = values.shape[1]
    error = np.sqrt((residuals**2).sum(axis=1) / (n - 1) / n) / measures.mean(axis=1)
    return ratio, error
