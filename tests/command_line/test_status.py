"""`status` and `export` of a batch whose registration has not ended."""

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from typer.testing import CliRunner

from pareta_batch.engine.planning import register_rows
from pareta_batch.ledger import registration
from pareta_batch.ledger.ledger import Ledger
from pareta_cli.app import app
from tests.batch.batches import batch_in
from tests.batch.test_registering import Interrupted, interrupted


@pytest.fixture(params=["new", "registered before"])
def ledger(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Ledger]:
    """A ledger with a batch of 2,500 rows whose registration was interrupted before its last transaction."""
    monkeypatch.setenv("PARETA_LEDGER_URL", f"sqlite:///{tmp_path}/ledger.db")
    with closing(Ledger.open()) as ledger:
        if request.param != "new":
            register_rows(batch_in(tmp_path, 500), ledger)
        with monkeypatch.context() as patched:
            patched.setattr(registration, "TRANSACTION_CHUNKS", 1)
            patched.setattr(registration.Registration, "finish", interrupted)
            with pytest.raises(Interrupted):
                register_rows(batch_in(tmp_path, 2_500), ledger)
        yield ledger


def status(*options: str) -> str:
    ended = CliRunner().invoke(app, ["status", *options])
    assert ended.exit_code == 0, ended.output
    return ended.stdout


def test_an_interrupted_registration_is_shown_with_the_next_step(tmp_path: Path, ledger: Ledger) -> None:
    for options in ((), (batch_in(tmp_path).name,)):
        shown = status(*options)
        assert ": registering its rows was interrupted: 0 of " in shown
        assert shown.endswith("; run it again, which continues it: pareta-pipeline complete SPEC\n")
    (found,) = json.loads(status("--json"))
    assert found["registration"] == "interrupted"
    register_rows(batch_in(tmp_path, 2_500), ledger)
    assert "0 of 2500 rows settled" in status()
    (found,) = json.loads(status("--json"))
    assert found["registration"] is None


def test_a_registration_that_runs_is_not_called_interrupted(tmp_path: Path, ledger: Ledger) -> None:
    with ledger.lease(batch_in(tmp_path).name):
        assert ": registering its rows: 0 of " in status()
        (found,) = json.loads(status("--json"))
    assert found["registration"] == "running"


def test_an_export_before_the_end_says_what_is_missing(tmp_path: Path, ledger: Ledger) -> None:
    batch = batch_in(tmp_path, 2_500)
    spec = tmp_path / "spec.json"
    spec.write_text(batch.model_dump_json())

    def export() -> str:
        ended = CliRunner().invoke(app, ["export", str(spec)])
        assert (ended.exit_code, ended.stdout) == (0, f"{batch.output_name}\n"), ended.output
        return ended.stderr

    assert ": registering its rows was interrupted: 0 of " in export()
    register_rows(batch, ledger)
    assert export() == f"{batch.name}: 0 of 2500 rows settled, 0 failed, 2500 pending; cost unknown\n"
