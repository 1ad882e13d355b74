"""Comparisons from Python: a labelled frame in, a decision out; the same work is paid once."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from pareta_batch import BudgetReached, DatasetError, InvalidOptions, ModelsUnknown
from pareta_evals import ComparisonSpec, Evaluation, evaluate, evaluate_sync
from pareta_evals.notebook import ComparisonOptions, spec_of
from pareta_report import Policy
from pareta_sandbox.testing import Sandbox

PROMPT = "Is this review positive, negative or neutral? Answer with one word.\n\n"
ROWS = {
    "review": [f"{PROMPT}I love it ({n})" for n in range(12)],
    "label": ["positive"] * 12,
    "language": ["en", "de"] * 6,
}
ASK: Any = {
    "models": ["wren-1", "heron-2"],
    "task": "sentiment-classification",
    "input_column": "review",
    "label_column": "label",
    "wait_s": 60,
}


@pytest.fixture(autouse=True)
def environment(sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PARETA_API_KEY", sandbox.api_key)
    monkeypatch.setenv("PARETA_BASE_URL", sandbox.base_url)
    monkeypatch.setenv("PARETA_LEDGER_URL", f"sqlite:///{tmp_path / 'ledger.db'}")


async def test_a_labelled_frame_is_decided_and_the_same_rows_are_paid_once(sandbox: Sandbox) -> None:
    results = [await evaluate(kind(ROWS), **ASK) for kind in (pd.DataFrame, pl.DataFrame, pa.table)]
    assert sandbox.books().eval_runs_created == 1
    first = results[0]
    assert isinstance(first, Evaluation)
    assert {"wren-1", "heron-2"} <= set(first.table["model"])
    assert first.decision == results[2].decision
    assert first.comparison.verdict.sentence in str(first)


async def test_the_policy_decides() -> None:
    strict = await evaluate(pd.DataFrame(ROWS), **ASK)
    assert not strict.decision.passed, "100 rows are needed by default"
    loose = Policy(min_rows=1, max_loss=1, min_quality=0, min_baseline_quality=0, max_errors=1)
    assert (await evaluate(pd.DataFrame(ROWS), **ASK, policy=loose)).decision.passed


async def test_the_blocking_twin_works_in_a_running_loop() -> None:
    assert evaluate_sync(pd.DataFrame(ROWS), **ASK).comparison.status == "completed"


def test_only_named_columns_are_sent() -> None:
    spec = spec_of(pd.DataFrame(ROWS), ["wren-1"], None, ("review", "label"), {"task": "t", "slice_column": "language"})
    assert spec.rows.content.column_names == ["input", "expected", "language"]  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("frame", "changes", "error", "text"),
    [
        (pd.DataFrame(ROWS), {"label_column": "team"}, DatasetError, "no column 'team'; it has: review"),
        (pd.DataFrame(ROWS), {"slice_column": "region"}, DatasetError, "no column 'region'"),
        ([1], {}, DatasetError, "not a data frame"),
        (pd.DataFrame(ROWS).assign(label=None), {}, DatasetError, "no value for 'expected'"),
        (pd.DataFrame(ROWS), {"models": []}, InvalidOptions, "^evaluate: models: .*"),
        (pd.DataFrame(ROWS), {"taks": "x"}, InvalidOptions, r"^evaluate: taks: .*did you mean task\?"),
        (pd.DataFrame(ROWS), {"models": ["wren-11"]}, ModelsUnknown, "wren-11"),
        (pd.DataFrame(ROWS), {"budget_usd": 0.000001}, BudgetReached, "budget"),
    ],
)
async def test_bad_input_is_refused_before_anything_is_paid(
    sandbox: Sandbox, frame: object, changes: dict[str, object], error: type[Exception], text: str
) -> None:
    with pytest.raises(error, match=text):
        await evaluate(frame, **ASK | changes)
    assert sandbox.books().eval_runs_created == 0


def test_every_field_of_a_comparison_is_a_keyword() -> None:
    assert ComparisonOptions.__annotations__.keys() == ComparisonSpec.model_fields.keys() - {"name", "rows", "models"}


def test_prefect_is_not_imported() -> None:
    code = "import sys; from pareta_evals import evaluate; evaluate; sys.exit('prefect' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
