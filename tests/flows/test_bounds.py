"""A deployment that events start: its files, its batches and its money are its own."""

import asyncio
from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path

import pytest

from flows import bounds as module
from flows.bounds import Bounds, admit, admit_batch, admit_known_batch
from pareta_batch.answers.output_claims import claim
from pareta_batch.errors import NotAllowed
from pareta_batch.ledger.ledger import Ledger
from pareta_batch.ledger.origins import claim_origin, origin_of
from pareta_batch.ledger.outcomes import Outcome
from pareta_batch.rows.requests import RowRequest
from pareta_batch.spec import Batch
from pareta_evals.spec import Comparisons

HERE, ELSEWHERE = "complete-batch/on-new-dataset", "complete-batch/complete-tickets"
OWN = Bounds(folder="inbox", budget_usd=5)


@pytest.fixture(autouse=True)
def started_as(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Return what sets the deployment that the runs are of; the working folder has an inbox."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "inbox").mkdir()
    (tmp_path / "inbox/rows.csv").write_text("id,text\n1,a\n")
    monkeypatch.setenv("PARETA_LEDGER_URL", f"sqlite:///{tmp_path}/ledger.db")

    def be(origin: str) -> None:
        async def current_origin() -> str:
            return origin

        monkeypatch.setattr(module, "current_origin", current_origin)

    be(HERE)
    return be


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    opened = Ledger.open(f"sqlite:///{tmp_path}/ledger.db")
    yield opened
    opened.close()


def batch(name: str = "new", **fields: object) -> Batch:
    given = {"dataset": "inbox/rows.csv", "prompt": "{text}", "sampling": {"max_tokens": 5}, **fields}
    return Batch.model_validate({"name": name, "model": "auto", **given})


def started(wanted: Batch, bounds: Bounds | None = OWN) -> Batch:
    return asyncio.run(admit_batch(wanted, bounds))


def refusal(wanted: Batch, bounds: Bounds = OWN) -> str:
    with pytest.raises(NotAllowed) as refused:
        started(wanted, bounds)
    return str(refused.value)


def billed(ledger: Ledger, name: str, micro_usd: int) -> None:
    ledger.register_rows(name, [RowRequest(0, "1", "f", ())])
    ledger.record(name, [Outcome(key="1", fingerprint="f", state="settled", attempts=1, billed_micro_usd=micro_usd)])


def test_a_new_batch_is_started_with_its_files_under_the_folder_and_the_budget(tmp_path: Path, ledger: Ledger) -> None:
    run = started(batch())
    assert run.dataset == str(tmp_path / "inbox/rows.csv")
    assert run.output == str(tmp_path / "inbox/answers/new.jsonl")
    assert run.budget_usd == 5
    assert origin_of("new", ledger) == HERE


def test_the_same_event_again_continues_its_own_batch() -> None:
    assert started(batch()) == started(batch())


@pytest.mark.parametrize("origin", [ELSEWHERE, "complete-batch"])
def test_a_batch_that_was_started_elsewhere_is_not_taken_over(ledger: Ledger, origin: str) -> None:
    claim_origin("payroll", origin, ledger)
    assert f"batch 'payroll': was started by '{origin}'" in refusal(batch("payroll"))
    assert origin_of("payroll", ledger) == origin


def test_an_event_that_names_a_batch_before_it_is_there_does_not_own_it(
    ledger: Ledger, started_as: Callable[[str], None]
) -> None:
    started(batch("payroll"))
    started_as(ELSEWHERE)
    started(batch("payroll"), None)
    billed(ledger, "payroll", 1)
    started_as(HERE)
    assert f"was started by '{ELSEWHERE}'" in refusal(batch("payroll"))


def test_a_batch_from_before_origins_were_recorded_is_not_taken_over(ledger: Ledger) -> None:
    billed(ledger, "payroll", 1)
    assert "older than the ledger's origins" in refusal(batch("payroll"))


def test_a_run_without_bounds_may_continue_every_batch_and_is_not_its_origin(
    ledger: Ledger, started_as: Callable[[str], None]
) -> None:
    started(batch())
    billed(ledger, "new", 1)
    started_as(ELSEWHERE)
    assert started(batch(), None) == batch()
    assert origin_of("new", ledger) == HERE


OUTSIDE = ("other.csv", "inbox/../other.csv", "/etc/passwd.csv", "~/x.csv", "s3://b/x.csv")
FIELDS = ("dataset", "output", "examples", "files_folder")


@pytest.mark.parametrize(
    ("field", "path"),
    # A spec with an output on an object store is invalid.
    [pair for pair in product(FIELDS, OUTSIDE) if pair != ("output", "s3://b/x.csv")],
)
def test_a_file_outside_the_folder_is_refused_and_starts_no_batch(ledger: Ledger, field: str, path: str) -> None:
    assert field in refusal(batch(**{field: path}))
    assert origin_of("new", ledger) is None


def test_a_page_that_leads_out_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "inbox/out.html").symlink_to(tmp_path / "index.html")
    assert "page" in refusal(batch(output="inbox/out.csv"))


def test_a_file_that_the_batch_did_not_write_is_not_overwritten(tmp_path: Path, ledger: Ledger) -> None:
    (tmp_path / "inbox/there.csv").write_text("id\n")
    wanted = batch(output="inbox/there.csv")
    assert "was not written by batch 'new'" in refusal(wanted)
    assert "was not written by batch 'new'" in refusal(batch(output="inbox/rows.csv"))
    claim(batch(output=str(tmp_path / "inbox/there.csv")), ledger)
    assert started(wanted).output == str(tmp_path / "inbox/there.csv")


def test_the_budget_is_of_all_batches_together_that_the_deployment_started(ledger: Ledger) -> None:
    started(batch("first"))
    billed(ledger, "first", 2_000_000)
    assert started(batch("second")).budget_usd == 3
    assert started(batch("second", budget_usd=1)).budget_usd == 1
    assert started(batch("first")).budget_usd == 5
    billed(ledger, "second", 3_000_000)
    assert "the budget of $5.00 of 'complete-batch/on-new-dataset' is used up" in refusal(batch("third"))


def test_what_others_spent_does_not_count(ledger: Ledger) -> None:
    claim_origin("theirs", ELSEWHERE, ledger)
    billed(ledger, "theirs", 50_000_000)
    assert started(batch()).budget_usd == 5


def test_a_budget_needs_bounded_answers() -> None:
    assert "max_tokens" in refusal(batch(sampling={}))


def test_a_retry_continues_batches_of_the_origins_that_are_named_and_no_others(
    ledger: Ledger, started_as: Callable[[str], None]
) -> None:
    claim_origin("ours", ELSEWHERE, ledger)
    claim_origin("payroll", "complete-batch", ledger)
    started_as("retry-failed/after-incomplete-batch")
    named = Bounds(folder="inbox", budget_usd=5, origins=(ELSEWHERE,))
    assert asyncio.run(admit_known_batch(batch("ours"), named)).name == "ours"
    for name in ("payroll", "unknown"):
        with pytest.raises(NotAllowed, match=name):
            asyncio.run(admit_known_batch(batch(name), named))


def test_a_dry_run_starts_nothing_and_reads_nothing_outside(ledger: Ledger) -> None:
    asyncio.run(admit_batch(batch(), OWN, dry_run=True))
    assert origin_of("new", ledger) is None
    with pytest.raises(NotAllowed):
        asyncio.run(admit_batch(batch(dataset="other.csv"), OWN, dry_run=True))


def test_comparisons_read_and_write_under_the_folder(tmp_path: Path) -> None:
    fields = {"name": "c", "task": "t", "rows": "inbox/rows.jsonl", "models": ["a"]}
    wanted = Comparisons.model_validate({"name": "new-models", "comparisons": [fields]})
    found = admit(wanted, OWN)
    assert found.report == str(tmp_path / "inbox/reports/new-models.html")
    assert found.comparisons[0].rows == str(tmp_path / "inbox/rows.jsonl")
    assert found.budget_usd == 5
    for outside in ({"report": "x.html"}, {"comparisons": [{**fields, "rows": "../rows.jsonl"}]}):
        with pytest.raises(NotAllowed):
            admit(Comparisons.model_validate({**wanted.model_dump(), **outside}), OWN)


def test_attachments_are_read_only_below_the_folder_of_the_bounds(tmp_path: Path) -> None:
    assert started(batch()).files_folder == str(tmp_path / "inbox")
    assert "attachment" in refusal(batch("other", attachments=[{"path": "/etc/passwd"}]))
    assert started(batch("third", attachments=[{"path": "inbox/a.png"}])).attachments
