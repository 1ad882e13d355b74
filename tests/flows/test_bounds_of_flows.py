"""Pipelines, promotions and watches that events start: their files, their batch and their money are bounded."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from flows import bounds as module
from flows.bounds import Bounds, admit, admit_pipeline, check_event, current_origin
from flows.parameters import Pipeline, Promotion, Watch
from pareta_batch.errors import EventIncomplete, NotAllowed
from pareta_batch.ledger.ledger import Ledger
from pareta_batch.ledger.origins import origin_of

ORIGIN = "run-pipeline/on-new-dataset"
OWN = Bounds(folder="inbox", budget_usd=5)
COMPARISON: dict[str, Any] = {"name": "c", "task": "t", "rows": "inbox/rows.jsonl", "models": ["wren-1"]}


@pytest.fixture(autouse=True)
def inbox(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "inbox").mkdir()
    (tmp_path / "inbox/rows.csv").write_text("id,text\n1,a\n")
    monkeypatch.setenv("PARETA_LEDGER_URL", f"sqlite:///{tmp_path}/ledger.db")

    async def origin() -> str:
        return module._started_by.get() or ORIGIN

    monkeypatch.setattr(module, "current_origin", origin)
    return tmp_path / "inbox"


def pipeline(**fields: Any) -> Pipeline:
    work = {"dataset": "inbox/rows.csv", "prompt": "{text}", "sampling": {"max_tokens": 5}}
    return Pipeline.model_validate({"name": "p", "task": "t", "batch": work, "comparisons": [COMPARISON], **fields})


def promotion(**fields: Any) -> Promotion:
    return Promotion.model_validate({"name": "p", "comparison": COMPARISON, **fields})


def watch(**fields: Any) -> Watch:
    return Watch.model_validate({"name": "w", "comparison": COMPARISON, **fields})


def test_a_pipeline_has_its_files_under_the_folder_and_the_budget(inbox: Path) -> None:
    admitted = asyncio.run(admit_pipeline(pipeline(), OWN))
    assert admitted.batch.dataset == str(inbox / "rows.csv")
    assert admitted.batch.output == str(inbox / "answers/p.jsonl")
    assert admitted.report_path == str(inbox / "reports/p.html")
    assert admitted.comparisons[0].rows == str(inbox / "rows.jsonl")
    assert admitted.budget_usd == 5
    ledger = Ledger.open(f"sqlite:///{inbox.parent}/ledger.db")
    assert origin_of("p", ledger) == ORIGIN
    ledger.close()


async def test_the_batch_of_an_admitted_pipeline_counts_as_started_by_its_deployment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    await admit_pipeline(pipeline(), OWN)
    monkeypatch.undo()
    # The subflow of the batch has no deployment of its own.
    assert await current_origin() == ORIGIN


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"report": "reports/p.html"}, "report"),
        ({"batch": {"dataset": "elsewhere.csv", "prompt": "{text}", "sampling": {"max_tokens": 5}}}, "dataset"),
        ({"comparisons": [{**COMPARISON, "rows": "../rows.jsonl"}]}, "rows"),
        ({"batch": {"dataset": "inbox/rows.csv", "prompt": "{text}"}}, "max_tokens"),
    ],
)
def test_a_pipeline_with_a_file_elsewhere_or_an_unbounded_answer_is_refused(
    fields: dict[str, Any], problem: str
) -> None:
    with pytest.raises(NotAllowed, match=problem):
        asyncio.run(admit_pipeline(pipeline(**fields), OWN))


def test_a_promotion_and_a_watch_have_the_smaller_budget_and_their_files_under_the_folder(inbox: Path) -> None:
    assert admit(promotion(budget_usd=3), OWN).budget_usd == 3
    assert admit(promotion(budget_usd=30), OWN).budget_usd == 5
    assert admit(promotion(), OWN).comparison.rows == str(inbox / "rows.jsonl")
    admitted = admit(watch(), OWN)
    assert (admitted.budget_usd, admitted.plot_path) == (5, str(inbox / "reports/w-quality.svg"))
    with pytest.raises(NotAllowed, match="plot"):
        admit(watch(plot="w.svg"), OWN)
    with pytest.raises(NotAllowed, match="rows"):
        admit(promotion(comparison={**COMPARISON, "rows": "rows.jsonl"}), OWN)


def test_without_bounds_nothing_changes() -> None:
    assert asyncio.run(admit_pipeline(pipeline(), None)) == pipeline()
    assert admit(promotion(), None) == promotion()
    assert admit(watch(), None) == watch()


@pytest.mark.parametrize("parameter", [pipeline(name="event-without-name"), watch(name="event-without-name-watch")])
def test_an_event_without_its_field_is_refused_by_name(parameter: Pipeline | Watch) -> None:
    with pytest.raises(EventIncomplete, match="event without field 'name'"):
        check_event(parameter)
