"""`complete --sample N`: a look at real answers, in rows that the full run does not pay for again."""

import json
import os
import pty
import subprocess
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner, Result

from pareta_batch.samples import MAX_SHOWN_CHARS, SampledRow, sample_positions
from pareta_cli.app import app
from pareta_sandbox.faults.kinds import Status
from pareta_sandbox.testing import Sandbox, running
from tests.command_line.test_processes import PROJECT
from tests.direct import without_a_server

ENDPOINT = "ep_seed_tickets"


@pytest.fixture
def service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Sandbox]:
    monkeypatch.chdir(tmp_path)
    rows = [{"id": f"T-{n}", "ticket": f"Ticket {n}: I was charged twice."} for n in range(30)]
    (tmp_path / "tickets.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    spec = {"name": "tickets", "model": ENDPOINT, "dataset": "tickets.jsonl", "id_column": "id", "prompt": "{ticket}"}
    (tmp_path / "spec.json").write_text(json.dumps(spec | {"sampling": {"max_tokens": 10}}))
    # Without a Prefect server of other tests.
    with running(latency_ms=0) as sandbox, without_a_server():
        monkeypatch.setenv("PARETA_API_KEY", sandbox.api_key)
        monkeypatch.setenv("PARETA_BASE_URL", sandbox.base_url)
        monkeypatch.setenv("PARETA_LEDGER_URL", f"sqlite:///{tmp_path}/ledger.db")
        yield sandbox


def complete(*options: str) -> Result:
    return CliRunner().invoke(app, ["complete", "spec.json", *options])


def sample(*options: str) -> Any:
    ended = complete(*options, "--json")
    assert ended.exit_code == 0, ended.output
    return json.loads(ended.stdout)


def test_a_sample_sends_its_rows_alone_and_prints_prompts_answers_and_costs(service: Sandbox) -> None:
    ended = complete("--sample", "6")
    assert (ended.exit_code, service.books().completions) == (0, 6), ended.output
    assert ended.stdout.count("  prompt: Ticket ") == ended.stdout.count("  answer: ") == 6
    assert "row 1  T-0\n  prompt: Ticket 0: I was charged twice.\n  answer: " in ended.stdout
    assert "tickets: 6 of 6 sampled rows answered, 6 sent now; $" in ended.stdout
    assert "cost of all 30 rows: about $" in ended.stdout
    assert "a full run sends only the other 24 rows" in ended.stdout


@pytest.mark.parametrize(
    ("options", "last"),
    [
        (("complete", "--sample", "6"), "tickets: 6/6 rows, 0 failed"),
        (("quote", "--pilot", "4"), "tickets: 4/4 rows, "),
    ],
)
def test_a_command_that_sends_some_rows_shows_their_progress_after_the_announcement(
    options: tuple[str, ...], last: str, service: Sandbox
) -> None:
    command, *more = options
    ended = CliRunner().invoke(app, [command, "spec.json", *more])
    first, *progress = ended.stderr.splitlines()
    assert (ended.exit_code, first.endswith("ing spec.json …")) == (0, True)
    assert progress[-1].startswith(last)
    assert all(line.startswith("tickets: ") for line in progress)
    assert service.books().completions == int(more[-1])


def test_a_second_look_at_the_same_rows_is_free_and_a_larger_one_sends_only_the_new_ones(service: Sandbox) -> None:
    first, again = sample("--sample", "6"), sample("--sample", "6")
    assert (first["rows"], first["sent"], again["sent"]) == (again["rows"], 6, 0)
    assert service.books().completions == 6
    rows = {row["row"] for row in first["rows"]}
    assert rows == {1, 6, 11, 16, 21, 26}
    larger = sample("--sample", "12")
    assert larger["sent"] == 12 - len({row["row"] for row in larger["rows"]} & rows)


def test_a_full_run_does_not_pay_for_the_sample_again(service: Sandbox) -> None:
    sampled = sample("--sample", "6")
    report = sample()
    assert (report["settled"], service.books().completions) == (30, 30)
    assert len(service.books().debits) == 30
    assert report["billed_micro_usd"] == service.books().debited_micro_usd
    low, high = sampled["quote"]["low_micro_usd"], sampled["quote"]["high_micro_usd"]
    assert low <= report["billed_micro_usd"] - sampled["billed_micro_usd"] <= high
    assert sampled["all_rows_micro_usd"] == sampled["billed_micro_usd"] + sampled["quote"]["likely_micro_usd"]


def test_a_sample_of_all_rows_and_more_is_the_batch(service: Sandbox) -> None:
    report = sample("--sample", "500")
    assert (len(report["rows"]), report["quote"]["to_send"], service.books().completions) == (30, 0, 30)
    assert report["all_rows_micro_usd"] == service.books().debited_micro_usd
    last, total = complete("--sample", "500").stdout.splitlines()[-1:-3:-1]
    assert (last, total.startswith("cost of all 30 rows: ")) == ("no row is left to send", True)


def test_a_few_answers_already_give_a_cost_of_all_rows(service: Sandbox) -> None:
    assert sample("--sample", "2")["all_rows_micro_usd"] > 0


def test_a_failed_row_is_shown_with_its_error_and_the_status_is_1(service: Sandbox) -> None:
    service.inject(Status(status=422, times=1))
    ended = complete("--sample", "3")
    assert ended.exit_code == 1
    assert ended.stdout.count("  error:  BadRequestError: ") == 1
    assert "2 of 3 sampled rows answered" in ended.stdout


def test_a_wrong_prompt_is_2_before_anything_is_sent(service: Sandbox) -> None:
    ended = complete("--sample", "3", "--set", "prompt={nothing}")
    assert (ended.exit_code, service.books().completions) == (2, 0)


def test_a_sample_out_of_credit_is_stopped_and_nothing_is_printed_as_an_answer(service: Sandbox) -> None:
    service.set_balance("0")
    ended = complete("--sample", "3")
    assert (ended.exit_code, ended.stdout) == (3, "")
    assert "InsufficientCredits" in ended.stderr


DEAR = ("--set", "approve_above_usd=0")
PAID = pytest.mark.parametrize("command", [("complete", "--sample", "3"), ("quote", "--pilot", "3")])
"""Commands that send some rows of a batch."""


def invoked(command: tuple[str, ...], *options: str, answer: str = "") -> Result:
    return CliRunner().invoke(app, [command[0], "spec.json", *command[1:], *options], input=answer)


@PAID
@pytest.mark.parametrize(("answer", "status"), [("y\n", 0), ("n\n", 3), ("", 3)])
def test_rows_above_the_threshold_are_sent_after_a_yes(
    command: tuple[str, ...], answer: str, status: int, service: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pareta_cli.approval.is_terminal", lambda: True)
    ended = invoked(command, *DEAR, answer=answer)
    assert ended.exit_code == status, ended.output
    assert "tickets: 3 of 30 rows to send; about $" in ended.stderr
    assert "above approve_above_usd of $0.00\nrun it? [y/N]" in ended.stderr
    assert service.books().completions == (3 if status == 0 else 0)


@PAID
def test_without_a_terminal_the_option_approves(command: tuple[str, ...], service: Sandbox) -> None:
    ended = invoked(command, *DEAR)
    assert (ended.exit_code, service.books().completions_seen) == (2, 0)
    assert "no terminal to ask on; pass --yes, or raise approve_above_usd" in ended.stderr
    assert invoked(command, *DEAR, "--yes").exit_code == 0
    assert service.books().completions == 3


@PAID
def test_a_cost_below_the_threshold_is_not_asked_about(command: tuple[str, ...], service: Sandbox) -> None:
    assert invoked(command, "--set", "approve_above_usd=5").exit_code == 0
    assert service.books().completions == 3


def test_a_second_look_at_the_same_rows_needs_no_approval(service: Sandbox) -> None:
    sample("--sample", "3")
    assert sample("--sample", "3", *DEAR)["sent"] == 0


@pytest.mark.parametrize("options", [(), ("--error", "BadRequestError")])
def test_a_retry_of_failed_rows_is_quoted_by_these_rows(options: tuple[str, ...], service: Sandbox) -> None:
    # The last row has no answer yet, so a run of the batch would send it too.
    service.inject(Status(status=422, times=1))
    assert complete("--sample", "29").exit_code == 1
    ended = CliRunner().invoke(app, ["retry-failed", "spec.json", *options, *DEAR])
    if options:
        assert (ended.exit_code, "tickets: 1 of 30 rows to send" in ended.stderr) == (2, True), ended.output
    else:
        assert "no terminal to ask on" not in ended.stderr, ended.output  # a final failure is not sent again


@given(st.integers(1, 10_000), st.integers(1, 10_000))
def test_positions_are_distinct_ordered_within_the_rows_and_spread_over_them(total: int, count: int) -> None:
    positions = sample_positions(total, count)
    assert len(positions) == min(total, count)
    assert positions == sorted(set(positions))
    assert positions[0] == 0
    assert positions[-1] < total
    gaps = {after - before for before, after in pairwise(positions)}
    assert not gaps or max(gaps) - min(gaps) <= 1


def test_a_long_document_is_cut_and_its_lines_are_indented() -> None:
    long = "first\n\nthird" + "x" * MAX_SHOWN_CHARS
    row = SampledRow(
        row=1, key="a", messages=({"role": "user", "content": long},), answer="", error=None, billed_micro_usd=None
    )
    text = str(row)
    assert "  prompt: first\n\n          third" in text
    assert f"… ({len(long):,} characters)" in text
    assert text.endswith("  answer: (empty)")


@pytest.mark.long
@pytest.mark.usefixtures("service")
def test_prefect_neither_sends_nor_announces_usage_data_on_the_first_command_in_a_terminal(tmp_path: Path) -> None:
    unset = {"DO_NOT_TRACK", "PREFECT_SERVER_ANALYTICS_ENABLED", "PREFECT_API_URL", "CI", "GITHUB_ACTIONS"}
    environment = {name: value for name, value in os.environ.items() if name not in unset}
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-m", "pareta_cli", "complete", "spec.json", "--sample", "1"],
        env=environment | {"PREFECT_HOME": f"{tmp_path}/fresh", "PYTHONPATH": str(PROJECT)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=theirs,  # one terminal is enough for the notice of Prefect
    ) as process:
        assert process.wait(60) == 0
    os.close(theirs)
    os.close(ours)
    assert not (tmp_path / "fresh/.sdk_telemetry/notice_shown").exists()
