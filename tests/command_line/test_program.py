"""The program itself: version, panels of the help, and errors in one or two lines, with a traceback on request."""

import re
from collections.abc import Iterator
from contextlib import closing
from importlib.metadata import version
from pathlib import Path

import pytest
import typer
from prefect.settings import PREFECT_API_URL, PREFECT_CLIENT_MAX_RETRIES, temporary_settings
from typer.testing import CliRunner, Result

from pareta_batch import Controls, masked
from pareta_batch.engine.planning import register_rows
from pareta_batch.ledger.ledger import Ledger
from pareta_cli.app import COMMANDS, app
from pareta_cli.debugging import debug
from tests.batch.batches import batch_in
from tests.direct import without_a_server


@pytest.fixture(autouse=True)
def without_debug() -> Iterator[None]:
    token = debug.set(False)
    yield
    debug.reset(token)


def pareta_pipeline(*arguments: str) -> Result:
    return CliRunner().invoke(app, arguments)


def test_the_version_is_that_of_the_package() -> None:
    shown = pareta_pipeline("--version")
    assert (shown.exit_code, shown.stdout) == (0, f"pareta-pipeline {version('pareta-pipelines')}\n")


def test_the_help_lists_every_command_once_under_its_panel() -> None:
    shown = pareta_pipeline("--help").stdout
    listed = re.findall(r"^│ ([a-z][a-z-]*) ", shown, re.MULTILINE)
    assert sorted(listed) == sorted([*(name for panel in COMMANDS.values() for name in panel), "sandbox"])
    assert re.findall(r"─ ([A-Z][a-z ]+) ─", shown) == ["Options", "Run", "Look", "Control", "Set up"]


@pytest.mark.parametrize("command", [name for panel in COMMANDS.values() for name in panel])
def test_every_command_and_option_has_one_plain_sentence(command: str) -> None:
    info = typer.main.get_command(app).commands[command]  # type: ignore[attr-defined]
    texts = [info.help, *(each.help for each in info.params)]
    for whole in texts:
        assert whole is not None, command
        text = whole.split("\n\n")[0]  # the list of commands shows the first paragraph
        assert text[0].isupper() or text.startswith("complete, "), text
        assert text.endswith("."), text
        assert "\n" not in text.strip(), text


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["complet"], "No such command 'complet'. Did you mean 'complete', 'compare'?; see: pareta-pipeline --help"),
        (["--nope"], "No such option: --nope; see: pareta-pipeline --help"),
        (["complete"], "Missing argument 'SPEC'; see: pareta-pipeline complete --help"),
        (["complete", "a", "b"], "Got unexpected extra argument(s) (b); see: pareta-pipeline complete --help"),
        (["quote", "a", "--pilot", "x"], "Invalid value for '--pilot': Input should be a valid integer"),
        (["quote", "a", "--pilo", "3"], "No such option: --pilo (Possible options: --pilot); see: "),
        (["complete", "/nowhere.yaml"], "/nowhere.yaml: no such file; write a spec with"),
        (["set", "a", "b"], "setting 'b': not supported; write max_in_flight=N"),
    ],
)
def test_an_error_of_usage_is_2_and_one_line(arguments: list[str], line: str) -> None:
    ended = pareta_pipeline(*arguments)
    shown = ended.stderr.splitlines()
    assert (ended.exit_code, ended.stdout, len(shown)) == (2, "", 1), ended.stderr
    assert shown[0].startswith(line)


def broken(*_: object, **__: object) -> None:
    raise ZeroDivisionError("with pareta_sk_0123456789 and\npostgresql://me:secret@host/db")


def test_an_unexpected_error_is_3_and_two_lines_without_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pareta_cli.batch_status.batch_statuses", broken)
    ended = pareta_pipeline("status")
    assert (ended.exit_code, ended.stderr.count("\n")) == (3, 2)
    assert ended.stderr.startswith("unexpected ZeroDivisionError: with pareta_sk_… and postgresql://me:…@host/db\n")
    assert "--debug" in ended.stderr


@pytest.mark.parametrize("arguments", [["--debug", "status"], ["status", "--debug"]])
def test_debug_prints_the_traceback_of_an_unexpected_error(
    monkeypatch: pytest.MonkeyPatch, arguments: list[str]
) -> None:
    monkeypatch.setattr("pareta_cli.batch_status.batch_statuses", broken)
    ended = pareta_pipeline(*arguments)
    assert ended.exit_code == 3
    assert "Traceback (most recent call last)" in ended.stderr
    assert "in broken" in ended.stderr
    assert "0123456789" not in ended.stderr
    assert "secret" not in ended.stderr


@pytest.mark.parametrize("arguments", [["--debug", "complete", "/nowhere"], ["complete", "/nowhere", "--debug"]])
def test_debug_prints_the_traceback_of_bad_input(arguments: list[str]) -> None:
    ended = pareta_pipeline(*arguments)
    assert (ended.exit_code, "SpecError: /nowhere" in ended.stderr) == (2, True)
    assert "Traceback" not in pareta_pipeline("complete", "/nowhere").stderr


def test_the_key_of_the_environment_is_masked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PARETA_API_KEY", "my-own-key")
    assert masked("sent my-own-key to https://user:pw@host") == "sent pareta_sk_… to https://user:…@host"


@pytest.fixture
def no_api(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("PARETA_LEDGER_URL", f"sqlite:///{tmp_path}/ledger.db")
    with without_a_server():
        yield


def test_resume_without_a_prefect_api_says_what_continues_a_batch(no_api: None, tmp_path: Path) -> None:
    with closing(Ledger.open()) as ledger:
        register_rows(batch_in(tmp_path, name="tickets"), ledger)
    ended = pareta_pipeline("resume", "tickets")
    assert (ended.exit_code, ended.stdout) == (2, "")
    assert ended.stderr.splitlines() == [
        "resuming tickets …",
        "no run of batch 'tickets' is under way; continue the batch with: pareta-pipeline complete SPEC",
        "a run that a Prefect server suspended: this needs a Prefect API; start one with `pareta-pipeline server`, or "
        "set PREFECT_API_URL",
    ]


def test_control_of_a_run_is_confirmed_and_a_paused_run_resumes_without_its_prefect_server(no_api: None) -> None:
    with closing(Ledger.open()) as ledger:
        Controls(ledger, "tickets").begin()
    with temporary_settings({PREFECT_API_URL: "http://127.0.0.1:9/api", PREFECT_CLIENT_MAX_RETRIES: 0}):
        ended = [
            pareta_pipeline(command, "tickets", *more)
            for command, *more in (("pause",), ("set", "max_in_flight=3"), ("resume",))
        ]
    assert [each.stdout for each in ended] == [
        "tickets: paused; calls in flight finish\n",
        "tickets: max_in_flight 3\n",
        "tickets: resumed\n",
    ], [each.stderr for each in ended]
    with closing(Ledger.open()) as ledger:
        live = Controls(ledger, "tickets").live()
    assert live is not None
    assert (live["paused"], live["max_in_flight"]) == (False, 3)


@pytest.mark.parametrize("command", [("pause",), ("resume",), ("set", "max_in_flight=3"), ("status",)])
def test_a_command_for_an_unknown_batch_names_the_known_ones(
    no_api: None, tmp_path: Path, command: tuple[str, ...]
) -> None:
    with closing(Ledger.open()) as ledger:
        register_rows(batch_in(tmp_path, name="tickets"), ledger)
    name, *more = command
    ended = pareta_pipeline(name, "ticket", *more)
    assert (ended.exit_code, ended.stdout) == (2, "")
    error = ended.stderr.removeprefix("resuming ticket …\n")
    assert error.startswith("the ledger has no batch 'ticket'; did you mean 'tickets'?; it has: tickets")


def test_resume_on_a_prefect_server_that_does_not_answer_is_one_line(no_api: None) -> None:
    with temporary_settings({PREFECT_API_URL: "http://127.0.0.1:9/api", PREFECT_CLIENT_MAX_RETRIES: 0}):
        ended = pareta_pipeline("resume", "tickets")
    error = ended.stderr.removeprefix("resuming tickets …\n")
    assert (ended.exit_code, len(error.splitlines())) == (2, 1), ended.stderr
    assert error.startswith("Prefect server http://127.0.0.1:9/api: ")
    assert "unset PREFECT_API_URL" in error
