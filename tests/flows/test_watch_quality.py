"""`watch_quality`: a new eval run each time, compared with the one that the watch began with."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from flows.parameters import Watch
from flows.watch_quality import watch_quality
from pareta_batch.errors import OutputError
from pareta_batch.ledger.ledger import Ledger
from pareta_batch.ledger.schema import quality_scores
from pareta_cli.app import app
from pareta_client import AsyncPareta
from pareta_evals.history import load_scores, series_of
from pareta_sandbox.faults.kinds import EvalRunFails, ModelWeakens
from pareta_sandbox.models.roster import Model
from pareta_sandbox.state import eval_runs
from pareta_sandbox.state.eval_sets import EvalRow, EvalSet
from pareta_sandbox.testing import Sandbox
from tasks import events
from tests.flows.datasets import write_rows
from tests.flows.test_compare_models import rows


@pytest.fixture
def pareta(direct: Sandbox) -> Sandbox:
    """A service to run against; these flows run without a Prefect server."""
    return direct


def watch(folder: Path, count: int = 20, **fields: object) -> Watch:
    comparison = {
        "name": "sentiment",
        "task": "sentiment-classification",
        "rows": rows(folder, count),
        "models": ["wren-1", "heron-2"],
        "frontier": "none",
    }
    return Watch.model_validate({"name": "sentiment", "comparison": comparison | fields})


async def test_each_run_is_a_new_occasion_on_the_same_eval_set(pareta: Sandbox, tmp_path: Path) -> None:
    first, second, third = [await watch_quality(watch(tmp_path)) for _ in range(3)]
    books = pareta.books()
    assert (books.requests["POST /v1/eval-sets"], books.eval_runs_created) == (1, 3)
    assert [each.drift.reference for each in (first, second, third)] == [first.run_id] * 3
    assert (first.since_last, second.since_last) == (None, None)
    assert third.since_last is not None
    assert third.since_last.reference == second.run_id


async def test_models_that_answer_as_before_have_not_drifted(pareta: Sandbox, tmp_path: Path) -> None:
    await watch_quality(watch(tmp_path))
    report = await watch_quality(watch(tmp_path))
    assert {change.model for change in report.drift.changes} == {"wren-1", "heron-2"}
    assert report.drift.drifted == ()
    assert Path(report.plot).read_text().count("<svg") == 1


async def test_a_plot_of_somebody_else_is_refused_before_anything_is_bought(pareta: Sandbox, tmp_path: Path) -> None:
    theirs = tmp_path / "theirs.svg"
    theirs.write_text("<svg>mine</svg>")
    before = pareta.books()
    with pytest.raises(OutputError, match="existing file is not a report of ours; move it or choose another plot"):
        await watch_quality(watch(tmp_path).model_copy(update={"plot": str(theirs)}))
    pareta.silent_since(before)
    assert theirs.read_text() == "<svg>mine</svg>"


async def test_a_model_that_became_worse_has_drifted_and_an_event_says_so(
    pareta: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    emitted: list[tuple[str, list[str]]] = []
    monkeypatch.setattr(events, "uses_prefect", lambda: True)
    monkeypatch.setattr(
        "prefect.events.emit_event", lambda event, payload, **_: emitted.append((event, payload["models"]))
    )
    prompt = "Is this review positive, negative or neutral? Answer with one word.\n\nIt is not good at all"
    # Only the lowest level reads past a negation.
    told = write_rows(
        tmp_path / "told.jsonl", [{"input": f"{prompt} ({n})", "expected": "negative"} for n in range(12)]
    )
    watched = watch(tmp_path, rows=told, models=["wren-2", "heron-2"])
    steady = [await watch_quality(watched) for _ in range(2)]
    assert ([report.drift.drifted for report in steady], emitted) == ([(), ()], [])
    pareta.inject(ModelWeakens(model="heron-2", level=1))
    report = await watch_quality(watched)
    (drop,) = report.drift.drifted
    assert (drop.model, drop.difference, report.drift.reference) == ("heron-2", -1, steady[0].run_id)
    assert emitted == [("pareta.quality.drifted", ["heron-2"])]


async def test_other_rows_begin_a_new_series(pareta: Sandbox, tmp_path: Path) -> None:
    await watch_quality(watch(tmp_path))
    (tmp_path / "more").mkdir()
    report = await watch_quality(watch(tmp_path / "more", count=21))
    assert report.drift.reference == report.run_id
    assert str(report.drift) == "The series begins with this run."


async def test_a_run_that_failed_is_no_quality_at_all(pareta: Sandbox, tmp_path: Path) -> None:
    await watch_quality(watch(tmp_path))
    pareta.inject(EvalRunFails(times=1))
    state = await watch_quality(watch(tmp_path), return_state=True)
    assert (state.is_failed(), state.name) == (True, "EvalRunFailed")
    assert (await watch_quality(watch(tmp_path))).drift.drifted == ()


async def test_a_watch_without_credit_says_so_as_an_event(
    pareta: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    emitted: list[tuple[str, str]] = []
    monkeypatch.setattr(events, "uses_prefect", lambda: True)
    monkeypatch.setattr(
        "prefect.events.emit_event",
        lambda event, resource, **_: emitted.append((event, resource["prefect.resource.id"])),
    )
    pareta.set_balance(0)
    state = await watch_quality(watch(tmp_path), return_state=True)
    assert (state.is_failed(), state.name) == (True, "InsufficientCredits")
    assert emitted == [("pareta.credits.exhausted", "pareta.watch.sentiment")]
    assert pareta.books().eval_runs_created == 0


def test_a_watch_of_an_unknown_model_ends_as_bad_input_before_anything_is_bought(
    pareta: Sandbox, tmp_path: Path
) -> None:
    given = watch(tmp_path)
    unknown = given.model_copy(update={"comparison": given.comparison.model_copy(update={"models": ("wren-99",)})})
    path = tmp_path / "watch.json"
    path.write_text(unknown.model_dump_json(), encoding="utf-8")
    ended = CliRunner().invoke(app, ["watch", str(path)])
    assert (ended.exit_code, "'wren-99'" in ended.stderr) == (2, True), ended.output
    assert pareta.books().eval_runs_created == 0


async def test_rows_without_an_answer_are_an_event_of_their_own_and_no_drift(
    pareta: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    emitted: list[tuple[str, dict[str, float]]] = []
    monkeypatch.setattr(events, "uses_prefect", lambda: True)
    monkeypatch.setattr(
        "prefect.events.emit_event", lambda event, payload, **_: emitted.append((event, payload["unanswered"]))
    )
    await watch_quality(watch(tmp_path))
    monkeypatch.setattr(eval_runs, "answer_row", silent_in_part("heron-2"))
    report = await watch_quality(watch(tmp_path))
    assert report.drift.drifted == ()
    ((event, unanswered),) = emitted
    assert (event, list(unanswered)) == ("pareta.quality.unavailable", ["heron-2"])


async def test_the_score_of_each_row_is_kept_in_the_ledger(pareta: Sandbox, tmp_path: Path) -> None:
    first = await watch_quality(watch(tmp_path))
    ledger = Ledger.open()
    try:
        kept = load_scores(ledger, series_of("sentiment", await eval_set_of(first.run_id)))
    finally:
        ledger.close()
    assert {(entry["run_id"], entry["model"]) for entry in kept} == {
        (first.run_id, "wren-1"),
        (first.run_id, "heron-2"),
    }
    assert [len(entry["scores"]) for entry in kept] == [20, 20]


async def test_a_watch_that_began_before_scores_were_kept_reads_them_from_the_service(
    pareta: Sandbox, tmp_path: Path
) -> None:
    first = await watch_quality(watch(tmp_path))
    ledger = Ledger.open()
    try:
        with ledger.transaction() as db:
            db.execute(quality_scores.delete())
        second = await watch_quality(watch(tmp_path))
        assert second.drift.reference == first.run_id
        assert {change.n for change in second.drift.changes} == {20}
    finally:
        ledger.close()


def silent_in_part(model_id: str) -> Callable[..., tuple[str, int, str | None]]:
    """Return a replacement of `eval_runs.answer_row` that fails the even rows of one model."""
    original = eval_runs.answer_row

    def answer_row(eval_set: EvalSet, row: EvalRow, model: Model, level: int) -> tuple[str, int, str | None]:
        if model.id == model_id and re.search(r"[02468]\)", str(row)):
            return "", 0, "upstream timed out"
        return original(eval_set, row, model, level)

    return answer_row


async def eval_set_of(run_id: str) -> str:
    async with AsyncPareta.from_env() as client:
        return str((await client.evals.runs.retrieve(run_id)).eval_set_id)
