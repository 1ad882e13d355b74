"""Eval work against the sandbox: sets once per content, runs paid for once, baselines reused, bad models refused."""

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
import pytest_asyncio
from pyarrow import fs

from pareta_batch.errors import DatasetError, ModelsUnknown
from pareta_batch.ledger.ledger import Ledger
from pareta_client import AsyncPareta, EvalRun
from pareta_evals.quote import quote_comparisons
from pareta_evals.rows import read_eval_rows
from pareta_evals.runner import EvalRunner
from pareta_evals.spec import Comparisons, ComparisonSpec
from pareta_sandbox.pytest_plugin import SandboxFactory
from pareta_sandbox.testing import Sandbox
from tests.batch.batches import until
from tests.files import pdf, write

TASK = "sentiment-classification"
PROMPT = "Is this review positive, negative or neutral? Answer with one word.\n\n"


def spec(folder: Path, **fields: object) -> ComparisonSpec:
    path = folder / "eval.jsonl"
    rows = [{"input": f"{PROMPT}I love it ({n})", "expected": "positive"} for n in range(10)]
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    given = {"name": "reviews", "task": TASK, "rows": str(path), "models": ["wren-1", "heron-2"]}
    return ComparisonSpec.model_validate(given | fields)


@pytest_asyncio.fixture
async def pareta(sandbox: Sandbox) -> AsyncIterator[AsyncPareta]:
    async with AsyncPareta(api_key=sandbox.api_key, base_url=sandbox.base_url) as client:
        yield client


async def scored(work: EvalRunner) -> EvalRun:
    eval_set_id = await work.eval_set(await work.rows())
    plan = await work.plan(eval_set_id)
    run_id = await work.run(eval_set_id, plan)
    return await work.results(await work.pareta.evals.runs.wait(run_id, timeout=60), plan)


def models(run: EvalRun) -> set[str | None]:
    return {result.model_id for result in run.results}


async def test_the_same_work_again_finds_set_and_run(
    tmp_path: Path, sandbox: Sandbox, pareta: AsyncPareta, ledger: Ledger
) -> None:
    first, again = [await scored(EvalRunner(spec(tmp_path), pareta, ledger)) for _ in range(2)]
    assert first.id == again.id
    assert (sandbox.books().requests["POST /v1/eval-sets"], sandbox.books().eval_runs_created) == (1, 1)


async def test_a_ledger_that_was_lost_finds_the_set_by_its_content(
    tmp_path: Path, sandbox: Sandbox, pareta: AsyncPareta, ledger: Ledger
) -> None:
    await scored(EvalRunner(spec(tmp_path), pareta, ledger))
    empty = Ledger.open(f"sqlite:///{tmp_path}/other.db")
    await scored(EvalRunner(spec(tmp_path), pareta, empty))
    empty.close()
    assert sandbox.books().requests["POST /v1/eval-sets"] == 1


async def test_a_crash_before_the_runs_id_was_written_down_presents_the_same_key_again(
    tmp_path: Path, sandbox: Sandbox, pareta: AsyncPareta, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    work = EvalRunner(spec(tmp_path), pareta, ledger)
    eval_set_id = await work.eval_set(await work.rows())
    plan = await work.plan(eval_set_id)
    with monkeypatch.context() as crash:
        crash.setattr(Ledger, "save_eval_work", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            await work.run(eval_set_id, plan)
    await work.run(eval_set_id, plan)
    assert (sandbox.books().requests["POST /v1/eval-runs"], sandbox.books().eval_runs_created) == (2, 1)


async def test_comparisons_side_by_side_with_equal_rows_and_models_share_set_and_run(
    tmp_path: Path, sandbox_factory: SandboxFactory, ledger: Ledger
) -> None:
    # Also where the service honours no keys.
    sandbox = sandbox_factory(idempotency=False)
    async with AsyncPareta(api_key=sandbox.api_key, base_url=sandbox.base_url) as pareta:
        works = [EvalRunner(spec(tmp_path, name=name), pareta, ledger) for name in ("one", "other")]
        await asyncio.gather(*map(scored, works))
    assert (sandbox.books().requests["POST /v1/eval-sets"], sandbox.books().eval_runs_created) == (1, 1)


@pytest.mark.parametrize(
    ("frontier", "baselines"),
    [
        ("none", set[str]()),
        ("benchmarked", {"summit-mini", "summit-pro"}),
        ("all", {"summit-mini", "summit-pro", "meridian-2"}),
        (["meridian-2"], {"meridian-2"}),
    ],
)
async def test_baselines_are_those_that_were_asked_for(
    tmp_path: Path, pareta: AsyncPareta, ledger: Ledger, frontier: object, baselines: set[str]
) -> None:
    run = await scored(EvalRunner(spec(tmp_path, frontier=frontier), pareta, ledger))
    assert models(run) == {"wren-1", "heron-2"} | baselines


async def test_a_baseline_that_was_scored_on_the_same_rows_is_not_bought_again(
    tmp_path: Path, pareta: AsyncPareta, ledger: Ledger
) -> None:
    first = await scored(EvalRunner(spec(tmp_path), pareta, ledger))
    other = await scored(EvalRunner(spec(tmp_path, models=["wren-2"]), pareta, ledger))
    assert first.candidate_models == ["wren-1", "heron-2", "summit-mini", "summit-pro"]
    assert other.candidate_models == ["wren-2"]
    assert models(other) == {"wren-2", "summit-mini", "summit-pro"}


async def test_a_baseline_older_than_its_age_is_bought_again(
    tmp_path: Path, pareta: AsyncPareta, ledger: Ledger
) -> None:
    await scored(EvalRunner(spec(tmp_path), pareta, ledger))
    fresh = spec(tmp_path, models=["wren-2"], baseline_max_age=timedelta(0))
    assert (await scored(EvalRunner(fresh, pareta, ledger))).candidate_models == ["wren-2", "summit-mini", "summit-pro"]


async def test_other_rows_need_other_baselines(tmp_path: Path, pareta: AsyncPareta, ledger: Ledger) -> None:
    await scored(EvalRunner(spec(tmp_path), pareta, ledger))
    other = spec(tmp_path, models=["wren-2"], prompt="Say how the writer feels.")
    assert "summit-pro" in (await scored(EvalRunner(other, pareta, ledger))).candidate_models


async def test_a_watch_scores_everything_anew_on_every_occasion(
    tmp_path: Path, sandbox: Sandbox, pareta: AsyncPareta, ledger: Ledger
) -> None:
    for occasion in ("monday", "tuesday", "tuesday"):
        run = await scored(EvalRunner(spec(tmp_path), pareta, ledger, occasion))
        assert "summit-pro" in run.candidate_models
    assert sandbox.books().eval_runs_created == 2


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"models": ["wren-1", "wren-9"]}, f"'wren-9' is not on the leaderboard of {TASK}, which has: heron-1, "),
        ({"frontier": ["summit-max"]}, "'summit-max' is not on the roster of frontier models, which has: "),
    ],
)
async def test_a_model_that_does_not_exist_is_refused_before_anything_is_billed(
    tmp_path: Path, sandbox: Sandbox, pareta: AsyncPareta, ledger: Ledger, fields: dict[str, object], said: str
) -> None:
    with pytest.raises(ModelsUnknown) as problem:
        await scored(EvalRunner(spec(tmp_path, **fields), pareta, ledger))
    assert said in str(problem.value)
    assert (sandbox.books().debited_micro_usd, sandbox.books().eval_runs_created) == (0, 0)


SCORE = """
import asyncio, sys
from pareta_evals.spec import Comparisons, ComparisonSpec
from pareta_evals.quote import quote_comparisons
from pareta_evals.rows import read_eval_rows
from pareta_evals.runner import EvalRunner
from pareta_batch.ledger.ledger import Ledger
from pareta_client import AsyncPareta

async def main():
    async with AsyncPareta(api_key=sys.argv[2], base_url=sys.argv[3]) as pareta:
        work = EvalRunner(ComparisonSpec.model_validate_json(sys.argv[1]), pareta, Ledger.open(sys.argv[4]))
        eval_set = await work.eval_set(await work.rows())
        await pareta.evals.runs.wait(await work.run(eval_set, await work.plan(eval_set)))

asyncio.run(main())
"""


async def test_killed_while_it_waits_it_waits_for_the_same_run_the_next_time(
    tmp_path: Path, sandbox: Sandbox, pareta: AsyncPareta, ledger: Ledger
) -> None:
    sandbox.change(eval_s=3600)
    wanted = spec(tmp_path)
    arguments = [wanted.model_dump_json(), sandbox.api_key, sandbox.base_url, f"sqlite:///{tmp_path}/ledger.db"]
    with subprocess.Popen([sys.executable, "-c", SCORE, *arguments]) as process:  # noqa: ASYNC220 - nothing else runs
        try:
            reads = "GET /v1/eval-runs/{id}"
            await until(lambda: sandbox.books().requests.get(reads, 0) > 0 or process.poll() is not None, within_s=60)
            assert process.poll() is None, "it ended before it could be killed"
        finally:
            process.kill()
    work = EvalRunner(wanted, pareta, ledger)
    eval_set_id = await work.eval_set(await work.rows())
    run_id = await work.run(eval_set_id, await work.plan(eval_set_id))
    assert (await pareta.evals.runs.retrieve(run_id)).status == "running"
    assert (sandbox.books().requests["POST /v1/eval-sets"], sandbox.books().eval_runs_created) == (1, 1)


async def test_a_quote_says_what_each_model_will_cost_and_buys_nothing(
    tmp_path: Path, sandbox: Sandbox, pareta: AsyncPareta, ledger: Ledger
) -> None:
    wanted = Comparisons(name="all", comparisons=(spec(tmp_path), spec(tmp_path, name="bad", models=["wren-9"])))
    good, bad = (await quote_comparisons(wanted, pareta, ledger)).comparisons
    assert set(good.models) == {"wren-1", "heron-2", "summit-mini", "summit-pro"}
    assert all(cost for cost in good.models.values())
    assert "'wren-9' is not on the leaderboard" in (bad.problem or "")
    books = sandbox.books()
    assert (books.requests.get("POST /v1/eval-sets", 0), books.eval_runs_created) == (0, 0)


async def test_a_quote_knows_what_is_paid_for_and_what_is_reused(
    tmp_path: Path, pareta: AsyncPareta, ledger: Ledger
) -> None:
    run = await scored(EvalRunner(spec(tmp_path), pareta, ledger))
    wanted = Comparisons(name="all", comparisons=(spec(tmp_path), spec(tmp_path, name="next", models=["wren-2"])))
    paid, following = (await quote_comparisons(wanted, pareta, ledger)).comparisons
    assert (paid.paid_for, paid.likely_micro_usd) == (run.id, 0)
    assert (set(following.models), following.reused) == ({"wren-2"}, {"summit-mini": run.id, "summit-pro": run.id})


def contracts(folder: Path, **fields: object) -> ComparisonSpec:
    """Make a comparison on PDFs, for a task that reads documents."""
    wanted = {"copyright_holder": "Ada", "year": "2020", "effective_date": None, "governing_law": None}
    for number in range(3):
        write(folder / f"{number}.pdf", pdf(f"Copyright (c) 2020 Ada\nContract {number}"))
    rows = [{"input": {"document": f"{number}.pdf"}, "expected": wanted} for number in range(3)]
    (folder / "contracts.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    given = {"rows": str(folder / "contracts.jsonl"), "task": "contract-extraction", "document_fields": ["document"]}
    return ComparisonSpec.model_validate(
        {"name": "contracts", "models": ["heron-2"], "frontier": "none", **given, **fields}
    )


async def test_documents_of_rows_are_uploaded_and_read_by_the_models(
    tmp_path: Path, sandbox: Sandbox, pareta: AsyncPareta, ledger: Ledger
) -> None:
    compared = contracts(tmp_path)
    run, _ = [await scored(EvalRunner(compared, pareta, ledger)) for _ in range(2)]
    (result,) = run.results
    assert (result.quality_mean, result.error_count) == (1.0, 0)
    assert sandbox.books().requests["POST /v1/eval-sets/{id}/attach-blob"] == 3, "once, although it was asked twice"
    write(tmp_path / "2.pdf", pdf("Copyright (c) 2021 Bob"))
    changed = await scored(EvalRunner(compared, pareta, ledger))
    assert changed.eval_set_id != run.eval_set_id, "another content is another set"


async def test_documents_in_an_object_store_are_uploaded_too(
    tmp_path: Path, sandbox: Sandbox, pareta: AsyncPareta, ledger: Ledger, bucket: fs.FileSystem
) -> None:
    local = contracts(tmp_path)
    bucket.create_dir("rows/in")
    fs.copy_files(str(tmp_path), "rows/in", destination_filesystem=bucket)
    stored = local.model_copy(update={"rows": "s3://rows/in/contracts.jsonl"})
    run = await scored(EvalRunner(stored, pareta, ledger))
    (result,) = run.results
    assert (result.quality_mean, result.error_count) == (1.0, 0)
    assert sandbox.books().requests["POST /v1/eval-sets/{id}/attach-blob"] == 3


async def test_a_set_whose_uploads_were_interrupted_gets_all_documents(
    tmp_path: Path, sandbox: Sandbox, pareta: AsyncPareta, ledger: Ledger
) -> None:
    compared = contracts(tmp_path)
    work = EvalRunner(compared, pareta, ledger)
    rows = await work.rows()
    assert rows is not None
    (tmp_path / "2.pdf").unlink()
    with pytest.raises(OSError, match=r"2\.pdf"):
        await work.eval_set(rows)
    contracts(tmp_path)
    run = await scored(EvalRunner(compared, pareta, ledger))
    assert run.results[0].error_count == 0
    assert run.results[0].quality_mean == 1.0
    assert sandbox.books().requests["POST /v1/eval-sets"] == 1


@pytest.mark.parametrize(
    ("document", "problem"),
    [
        ("missing.pdf", "there is no such file"),
        (None, "no path in the field 'document'"),
        ("rows.txt", "it begins with"),
    ],
)
def test_a_document_that_cannot_be_uploaded_is_refused_before_anything_is_sent(
    tmp_path: Path, document: object, problem: str
) -> None:
    write(tmp_path / "rows.txt", b"text")
    (tmp_path / "rows.jsonl").write_text(json.dumps({"input": {"document": document}, "expected": "x"}) + "\n")
    with pytest.raises(DatasetError) as caught:
        read_eval_rows(str(tmp_path / "rows.jsonl"), document_fields=["document"])
    assert caught.value.problems[0].startswith(f"{tmp_path / 'rows.jsonl'} line 1: ")
    assert problem in caught.value.problems[0]
