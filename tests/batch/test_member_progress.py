"""The rate and the estimate of a run with members count from the first call, not from the start of the members."""

import time

import pytest

from pareta_batch.members.counts import Counts, RunProgress

ROWS = 1000


@pytest.mark.parametrize("start_s", [0.0, 15.0, 600.0], ids="members start after {:.0f} s".format)
def test_the_rate_counts_from_the_first_call(start_s: float, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    progress = RunProgress("b", ROWS, ROWS, lambda: progress.counts.in_flight, began=now, sends_since=now)
    now += start_s
    progress.update(Counts())
    assert (progress.snapshot().rate, progress.snapshot().eta_s) == (0.0, None)
    for done in (0, 100, 200):
        now += 1.0
        progress.update(Counts(in_flight=32, sent=done, settled=done))
    shown = progress.snapshot()
    assert shown.rate == pytest.approx(200 / 3)
    assert shown.eta_s == pytest.approx((ROWS - 200) / (200 / 3))
    assert progress.wall_s() == pytest.approx(start_s + 3)
