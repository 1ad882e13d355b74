"""The example of Dask, at small size."""

from pathlib import Path

import pytest

from examples.dask_members import run
from pareta_batch.ledger.ledger import Ledger
from pareta_sandbox.testing import Sandbox

pytest.importorskip("distributed")

pytestmark = [pytest.mark.timeout(900), pytest.mark.filterwarnings("default")]  # warnings of Dask


async def test_dask_members_settle_every_row_once(
    service: Sandbox, ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    service.change(latency_ms=5)
    report = await run()
    assert report.status == "completed"
    assert report.pending == 0
    service.debited_once()
    assert ledger.tally("tickets-of-dask").settled == report.settled
