"""The figures agree with those of statsmodels, which no one here wrote."""

import numpy as np
import pytest

from pareta_report.stats import intervals, significance
from tests.grids import extremes

pytest.importorskip("statsmodels")

from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import proportion_confint


@pytest.mark.parametrize(("right", "n"), [(0, 20), (1, 1), (37, 40), (40, 40), (500, 1_000)])
def test_the_interval_of_a_proportion_is_statsmodels_exact_one(right: int, n: int) -> None:
    scores = np.array([1.0] * right + [0.0] * (n - right))
    low, high = proportion_confint(right, n, method="beta")
    expected = (0.0 if right == 0 else low, 1.0 if right == n else high)
    assert intervals.of_mean(scores) == pytest.approx(expected)


@pytest.mark.parametrize(("better", "worse"), [(9, 2), (2, 9), (6, 0), (0, 1), (3, 3), (40, 20)])
def test_mcnemar_is_statsmodels_exact_one(better: int, worse: int) -> None:
    expected = mcnemar([[50, better], [worse, 30]], exact=True).pvalue
    differences = np.array([1.0] * better + [-1.0] * worse + [0.0] * 80)
    assert significance.p_of_gaps(differences, differences) == pytest.approx(expected)


@pytest.mark.parametrize("seed", extremes(range(20)))
def test_holm_is_statsmodels_own(seed: int) -> None:
    rng = np.random.default_rng(seed)
    p_values = (rng.uniform(0, 1, rng.integers(1, 30)) ** 4).tolist()
    expected = multipletests(p_values, method="holm")[1]
    assert significance.holm(p_values) == pytest.approx(list(expected))
