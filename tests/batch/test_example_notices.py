"""The example with pictures and a schema runs as it is, and its columns have types."""

from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest

from examples.notices import NOTICES, write_notices
from pareta_batch.ledger.ledger import Ledger
from pareta_batch.spec import Batch
from pareta_cli.specs import read_spec
from pareta_sandbox.testing import Sandbox
from tests.batch.batches import run

SPEC = Path(__file__).parents[2] / "examples/notices.yaml"


async def test_the_example_answers_pictures_in_typed_columns(
    tmp_path: Path, sandbox: Sandbox, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_notices()
    batch = read_spec(Batch, SPEC)
    report = await run(batch, sandbox, ledger)
    assert (report.status, report.flagged, report.asked_again) == ("completed", {}, len(NOTICES))
    table = pyarrow.parquet.read_table(batch.output_path)
    assert table.schema.field("answer.year").type == pyarrow.int64()
    assert table.column("answer.year").to_pylist() == [2019, 2021, 2008, 1999, 2024, 2011]
    assert table.column("answer.copyright_holder").to_pylist()[0] == "Ada Lovelace"
    sandbox.debited_once()
