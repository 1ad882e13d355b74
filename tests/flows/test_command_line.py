"""`pareta-pipeline` as a script sees it: what it prints where, and its exit status."""

import json
import re
from pathlib import Path
from typing import Literal

import pytest
from typer.testing import CliRunner, Result

from flows.parameters import Pipeline
from pareta_batch import dollars
from pareta_batch.engine.control import Controls
from pareta_batch.ledger.ledger import Ledger
from pareta_cli import demo
from pareta_cli.app import app
from pareta_cli.specs import read_spec
from pareta_sandbox.faults.kinds import Drop, KeyEcho, OddReply, Status
from pareta_sandbox.testing import Sandbox
from tasks import uses_prefect
from tests.flows.datasets import batch, write_rows
from tests.flows.test_compare_models import comparisons
from tests.flows.test_run_pipeline import pipeline


@pytest.fixture
def pareta(mostly_direct: Sandbox) -> Sandbox:
    """A service to run against; every command is tried on a Prefect server and without one."""
    return mostly_direct


on_both = pytest.mark.parametrize("mostly_direct", ["server", "direct"], indirect=True)


def spec(folder: Path, **fields: object) -> str:
    path = folder / "batch.json"
    path.write_text(batch(folder, **fields).model_dump_json(), encoding="utf-8")  # type: ignore[arg-type]
    return str(path)


def pareta_pipeline(*arguments: str) -> Result:
    return CliRunner().invoke(app, arguments)


@on_both
def test_done_is_0_and_json_prints_the_report_alone(pareta: Sandbox, tmp_path: Path) -> None:
    ended = pareta_pipeline("complete", spec(tmp_path), "--json")
    assert (ended.exit_code, json.loads(ended.stdout)["settled"]) == (0, 12)


@on_both
def test_the_link_to_the_run_is_printed_if_there_is_a_flow_run(pareta: Sandbox, tmp_path: Path) -> None:
    ended = pareta_pipeline("complete", spec(tmp_path))
    links = [line for line in ended.stderr.splitlines() if re.fullmatch(r"run: http://\S+/runs/flow-run/\S+", line)]
    assert len(links) == uses_prefect()


def test_a_command_ends_with_what_this_run_did_and_its_files(pareta: Sandbox, tmp_path: Path) -> None:
    pareta.inject(Status(status=402, skip=5))
    stopped = pareta_pipeline("complete", spec(tmp_path, max_in_flight=1))
    assert "this run: 6 rows sent, 5 settled, 0 failed, 0 replayed; $" in stopped.stdout
    pareta.clear_faults()
    pareta.inject(Status(status=422, times=1))
    ended = pareta_pipeline("complete", spec(tmp_path, max_in_flight=1))
    *_, counts, answers, page = ended.stdout.splitlines()
    assert counts.startswith("this run: 7 rows sent, 6 settled, 1 failed, 0 replayed; $")
    assert (answers, page) == (f"answers:  {tmp_path}/answers.jsonl", f"page:     {tmp_path}/answers.html")
    again = pareta_pipeline("complete", spec(tmp_path))
    assert "this run: 0 rows sent, 0 settled, 0 failed, 0 replayed; $0.00 billed\n" in again.stdout


def test_a_replayed_answer_is_counted_apart(pareta: Sandbox, tmp_path: Path) -> None:
    pareta.inject(Drop(when="after", times=1))
    ended = pareta_pipeline("complete", spec(tmp_path))
    assert "this run: 12 rows sent, 12 settled, 0 failed, 1 replayed; $" in ended.stdout


def test_a_comparison_ends_with_its_cost_and_its_page(pareta: Sandbox, tmp_path: Path) -> None:
    path = tmp_path / "comparisons.json"
    path.write_text(comparisons(tmp_path, "one").model_dump_json(), encoding="utf-8")
    first, second = (pareta_pipeline("compare", str(path)).stdout.splitlines()[-2:] for _ in range(2))
    billed = pareta.books().debited_micro_usd
    assert first[0] == f"this run: 1 comparison decided, 0 failed; {dollars(billed)} for eval runs and smoke calls"
    assert first[1].startswith("page:     ")
    assert second[0] == "this run: 1 comparison decided, 0 failed; $0.00 for eval runs and smoke calls"


@on_both
@pytest.mark.long
def test_the_total_of_a_pipeline_is_what_the_service_debited_on_the_page_too(pareta: Sandbox, tmp_path: Path) -> None:
    path = tmp_path / "pipeline.json"
    path.write_text(pipeline(tmp_path).model_dump_json(), encoding="utf-8")
    for _ in range(2):
        before = pareta.books().debited_micro_usd
        ended = pareta_pipeline("run", str(path))
        assert ended.exit_code == 0, ended.output
        counts, total, answers, page = ended.stdout.splitlines()[-4:]
        debited = pareta.books().debited_micro_usd
        (stands,) = json.loads(pareta_pipeline("status", "reviews", "--json").stdout)
        bought = debited - stands["tally"]["billed_micro_usd"]
        assert counts.startswith("this run: 12 rows sent" if before == 0 else "this run: 0 rows sent")
        assert total == f"all runs: {dollars(debited)} in all, of it {dollars(bought)} for eval runs and smoke calls"
        if before:
            assert counts.endswith(f"; {dollars(debited - before)} for eval runs and smoke calls")
        assert answers == f"answers:  {tmp_path}/answers.jsonl"
        assert dollars(debited) in Path(page.removeprefix("page:     ")).read_text(encoding="utf-8")


def test_more_failures_than_tolerated_is_1_unless_they_are_tolerated(pareta: Sandbox, tmp_path: Path) -> None:
    pareta.inject(Status(status=422, times=1))
    assert pareta_pipeline("complete", spec(tmp_path)).exit_code == 1
    assert pareta_pipeline("complete", spec(tmp_path), "--set", "tolerated_failures=0.1").exit_code == 0


def test_a_bad_dataset_is_2_and_names_file_and_row(pareta: Sandbox, tmp_path: Path) -> None:
    dataset = write_rows(tmp_path / "bad.jsonl", [{"id": "a", "text": "fine"}, {"id": "b"}])
    ended = pareta_pipeline("complete", spec(tmp_path, dataset=dataset))
    assert ended.exit_code == 2
    assert "bad.jsonl line 2: no value for column 'text'" in ended.stderr


def test_a_bad_spec_is_2(pareta: Sandbox, tmp_path: Path) -> None:
    ended = pareta_pipeline("complete", spec(tmp_path), "--set", "max_in_flight=0")
    assert (ended.exit_code, "max_in_flight" in ended.stderr) == (2, True)


def test_a_wrong_key_is_2(pareta: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PARETA_API_KEY", "sk-wrong")
    ended = pareta_pipeline("complete", spec(tmp_path))
    assert (ended.exit_code, "PARETA_API_KEY" in ended.stderr, "sk-wrong" in ended.output) == (2, True, False)


@on_both
@pytest.mark.parametrize("where", ["error", "answer", "header"])
def test_a_key_that_the_service_says_back_reaches_no_output_and_no_file(
    pareta: Sandbox, tmp_path: Path, where: Literal["error", "answer", "header"]
) -> None:
    pareta.inject(KeyEcho(where=where, skip=2))
    ended = pareta_pipeline("complete", spec(tmp_path))
    assert ended.exit_code == (2 if where == "error" else 0)
    assert pareta.api_key not in ended.output + ended.stderr
    files = [file for file in tmp_path.rglob("*") if file.is_file()]
    assert {"ledger.db", "batch.json"} < {file.name for file in files}
    assert [file for file in files if pareta.api_key.encode() in file.read_bytes()] == []


@pytest.mark.parametrize("suffix", [".jsonl", ".csv", ".parquet"])
def test_what_came_beside_the_text_is_in_the_answers_file_and_the_page_is_written(
    pareta: Sandbox, tmp_path: Path, suffix: str
) -> None:
    pareta.inject(OddReply(shape="tool_call", times=1))
    pareta.inject(OddReply(shape="tokens_list", times=1, skip=1))
    ended = pareta_pipeline("complete", spec(tmp_path), "--set", f"output={tmp_path}/answers{suffix}")
    assert (ended.exit_code, "12 of 12 rows settled" in ended.stdout) == (0, True)
    answers = (tmp_path / f"answers{suffix}").read_bytes()
    assert b"pick_team" in answers
    assert b"not an integer from 0" in answers
    assert (tmp_path / "answers.html").exists()


def test_an_address_where_nothing_answers_is_2_and_is_named(
    pareta: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PARETA_BASE_URL", "https://nowhere.invalid")
    ended = pareta_pipeline("complete", spec(tmp_path))
    assert (ended.exit_code, "nothing answers at https://nowhere.invalid" in ended.stderr) == (2, True)


def test_a_demo_in_a_folder_that_is_not_writable_is_2_and_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".pareta").write_text("a file, where the demo needs a folder", encoding="utf-8")
    ended = pareta_pipeline("demo")
    assert (ended.exit_code, ended.stderr.count("\n"), ended.stdout) == (2, 1, ""), ended.output
    assert ended.stderr.startswith(f"demo folder '{tmp_path}/.pareta/demo': not writable: ")


def test_the_spec_of_the_demo_is_found_from_any_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert read_spec(Pipeline, demo.SPEC).name == "licences"


def test_an_unexpected_exception_is_3_and_is_named(
    pareta: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("boom")

    monkeypatch.setattr("pareta_batch.rate_limit.limiter.RateLimiter.started", broken)
    ended = pareta_pipeline("complete", spec(tmp_path))
    assert (ended.exit_code, "ZeroDivisionError: boom" in ended.stderr) == (3, True)
    assert "stopped by UnexpectedError: " in ended.stderr


def test_an_empty_balance_is_3_and_says_what_remains(pareta: Sandbox, tmp_path: Path) -> None:
    pareta.inject(Status(status=402, skip=2))
    ended = pareta_pipeline("complete", spec(tmp_path), "--json")
    assert (ended.exit_code, json.loads(ended.stdout)["settled"]) == (3, 2)
    assert "missing rows are sent" in ended.stderr


def test_status_and_export_work_from_the_ledger_alone(pareta: Sandbox, tmp_path: Path) -> None:
    given = spec(tmp_path)
    pareta_pipeline("complete", given)
    before = pareta.books()
    (stands,) = json.loads(pareta_pipeline("status", "reviews", "--json").stdout)
    assert (stands["tally"]["settled"], stands["live"]) == (12, None)
    exported = pareta_pipeline("export", given, "--set", f"output={tmp_path}/again.csv")
    assert (exported.exit_code, (tmp_path / "again.csv").exists()) == (0, True)
    pareta.silent_since(before)


def test_status_of_an_unknown_batch_is_2_and_names_those_there_are(pareta: Sandbox, tmp_path: Path) -> None:
    pareta_pipeline("complete", spec(tmp_path))
    ended = pareta_pipeline("status", "revews")
    assert (ended.exit_code, "it has: reviews" in ended.stderr) == (2, True)


def test_a_quote_sends_nothing_but_its_pilot_which_is_part_of_the_batch(pareta: Sandbox, tmp_path: Path) -> None:
    given = spec(tmp_path)
    told = json.loads(pareta_pipeline("quote", given, "--json").stdout)
    assert (told["to_send"], pareta.books().completions_seen) == (12, 0)
    told = json.loads(pareta_pipeline("quote", given, "--pilot", "6", "--json").stdout)
    assert (told["to_send"], told["basis"], pareta.books().completions) == (6, "receipts", 6)
    pareta_pipeline("complete", given)
    pareta.completed(12)
    pareta.debited_once()


def test_retry_failed_sends_only_what_failed_with_the_class_named(pareta: Sandbox, tmp_path: Path) -> None:
    pareta.inject(Status(status=400, times=2))
    given = spec(tmp_path)
    assert pareta_pipeline("complete", given).exit_code == 1
    assert pareta_pipeline("retry-failed", given, "--error", "BadRequestError").exit_code == 0
    pareta.completed(12)


@on_both
def test_a_run_under_way_is_paused_bounded_and_resumed_and_json_says_how_it_stands(pareta: Sandbox) -> None:
    ledger = Ledger.open()
    Controls(ledger, "reviews").begin()
    ledger.close()
    for command, field, value in (
        (("pause", "reviews"), "paused", True),
        (("set", "reviews", "max_in_flight=3"), "max_in_flight", 3),
        (("resume", "reviews"), "paused", False),
    ):
        ended = pareta_pipeline(*command, "--json")
        assert ended.exit_code == 0, ended.output
        assert json.loads(ended.stdout)[field] == value


def test_without_a_run_there_is_nothing_to_resume(pareta: Sandbox) -> None:
    ended = pareta_pipeline("resume", "reviews")
    assert (ended.exit_code, "the ledger has no batch 'reviews'" in ended.stderr) == (2, True)


def test_a_quote_of_comparisons_says_what_each_model_will_cost(pareta: Sandbox, tmp_path: Path) -> None:
    path = tmp_path / "comparisons.json"
    path.write_text(comparisons(tmp_path, "one").model_dump_json(), encoding="utf-8")
    ended = pareta_pipeline("quote", str(path))
    assert ended.exit_code == 0
    assert "one: 20 rows, about $" in ended.stdout
    assert "  summit-pro: $" in ended.stdout
    assert pareta.books().eval_runs_created == 0


def test_an_export_under_a_name_that_the_ledger_does_not_know_leaves_the_answers(
    pareta: Sandbox, tmp_path: Path
) -> None:
    pareta_pipeline("complete", spec(tmp_path))
    before = (tmp_path / "answers.jsonl").read_bytes()
    exported = pareta_pipeline("export", spec(tmp_path), "--set", "name=reveiws")
    assert (exported.exit_code, "did you mean 'reviews'?" in exported.stderr) == (2, True)
    retried = pareta_pipeline("retry-failed", spec(tmp_path), "--set", "name=reveiws")
    assert (retried.exit_code, "did you mean 'reviews'?" in retried.stderr) == (2, True)
    assert (tmp_path / "answers.jsonl").read_bytes() == before
