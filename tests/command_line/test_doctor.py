"""`pareta-pipeline doctor` finds what is wrong, names the command that solves it, and spends nothing."""

import json
import os
import resource
import shutil
from collections import namedtuple
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from typer.testing import CliRunner, Result

from pareta_batch.engine.planning import register_rows
from pareta_batch.ledger.ledger import Ledger
from pareta_cli import doctor
from pareta_cli.app import app
from pareta_cli.version_check import compared
from pareta_client import APIStatusError, EndpointNotReadyError, NotFoundError, ParetaError, PermissionDeniedError
from pareta_sandbox.faults.kinds import KeyEcho
from pareta_sandbox.testing import Sandbox, running
from tests.batch.batches import batch_in
from tests.ports import closed_port

SUBJECTS = ["versions", "key", "service", "clock", "prefect", "ledger", "files", "disk"]


@pytest.fixture(scope="module")
def module_service() -> Iterator[Sandbox]:
    with running(keys=("pareta_sk_right_key",)) as sandbox:
        yield sandbox


@pytest.fixture(autouse=True)
def service(module_service: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Sandbox:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PARETA_API_KEY", "pareta_sk_right_key")
    monkeypatch.setenv("PARETA_BASE_URL", module_service.base_url)
    monkeypatch.setenv("PARETA_LEDGER_URL", f"sqlite:///{tmp_path}/ledger.db")
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    monkeypatch.setattr("pareta_cli.prefect_checks.get_current_settings", no_server)
    module_service.clear_faults()
    return module_service


class no_server:  # noqa: N801 - stands in for a function
    """Settings of a machine without a configured Prefect server."""

    class api:  # noqa: N801
        url: str | None = None


def examine(*options: str) -> Result:
    return CliRunner().invoke(app, ["doctor", *options])


def faults(*options: str) -> dict[str, dict[str, Any]]:
    ended = examine("--json", *options)
    report = json.loads(ended.stdout)
    assert [check["subject"] for check in report["checks"]] == SUBJECTS
    found = {check["subject"]: check for check in report["checks"] if not check["ok"]}
    assert (ended.exit_code, report["ok"]) == ((2, False) if found else (0, True))
    assert all(check["fix"] for check in found.values())
    return found


def test_a_healthy_machine_is_0_with_one_line_for_each_check_and_spends_nothing(service: Sandbox) -> None:
    before = service.books()
    ended = examine()
    assert ended.exit_code == 0, ended.output
    assert [line.split()[:2] for line in ended.stdout.splitlines()] == [["ok", subject] for subject in SUBJECTS]
    after = service.books()
    assert after.debited_micro_usd == before.debited_micro_usd
    assert {route.split()[0] for route in after.requests} == {"GET"}


@pytest.mark.parametrize(
    ("python", "requirements", "said", "fix"),
    [
        (">=3.11", ["prefect>=3", "pydantic", "absent; python_version < '3'", "absent; extra == 'x'"], None, None),
        (">=99", [], "Python 3.", "python3 -m venv .venv  # with Python >=99"),
        (">=3.11,<3.11", ["prefect>=3"], "Python 3.", "python3 -m venv .venv  # with Python <3.11,>=3.11"),
        (">=3", ["prefect>=2,<3", "pydantic<1"], "; pydantic 2.", "pip install 'prefect<3,>=2' 'pydantic<1'"),
        (">=3", ["no-such-package>=1"], "no-such-package is missing, needed >=1", "pip install 'no-such-package>=1'"),
        (
            ">=3",
            ["no-such-package"],
            "no-such-package is missing, needed in any version",
            "pip install 'no-such-package'",
        ),
    ],
)
def test_a_version_out_of_range_is_a_fault_with_the_command_that_installs_it(
    python: str, requirements: list[str], said: str | None, fix: str | None
) -> None:
    found = compared(SpecifierSet(python), map(Requirement, requirements))
    assert (found.ok, found.fix) == (said is None, fix), found
    assert (said or "prefect 3.") in found.text


def test_a_missing_key_is_a_fault_and_the_service_is_asked_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PARETA_API_KEY")
    found = faults()
    assert set(found) == {"key"}
    assert found["key"]["fix"].startswith("export PARETA_API_KEY=")


@pytest.mark.parametrize("key", ["pareta_sk_wrong_key", "wrong"])
def test_a_key_that_is_refused_is_a_fault_and_is_not_shown(monkeypatch: pytest.MonkeyPatch, key: str) -> None:
    monkeypatch.setenv("PARETA_API_KEY", key)
    found = faults()
    assert set(found) == {"key"}
    assert "the service refuses it" in found["key"]["text"]
    assert key not in examine().output.replace("wrong with", "")


def test_a_key_that_cannot_be_sent_is_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PARETA_API_KEY", "pareta_sk_with space")
    assert set(faults()) == {"key"}
    assert "pareta_sk_with" not in examine().output


@pytest.mark.parametrize("address", ["ftp://host", "not a url", "https://me:secret@host"])
def test_an_address_that_cannot_be_used_is_a_fault_without_its_password(
    monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    monkeypatch.setenv("PARETA_BASE_URL", address)
    assert {"service"} <= set(faults()) <= {"key", "service"}
    assert "secret" not in examine("--debug").output


def test_a_service_that_is_not_reached_is_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    with closed_port() as port:
        monkeypatch.setenv("PARETA_BASE_URL", f"http://127.0.0.1:{port}")
        found = faults()
    assert set(found) == {"service"}
    assert "curl" in found["service"]["fix"]


@pytest.mark.parametrize(
    ("error", "subject"),
    [
        (APIStatusError("it is broken", status_code=500), "service"),
        (EndpointNotReadyError("it is down", status_code=503), "service"),
        (NotFoundError("no such route", status_code=404), "service"),
        (PermissionDeniedError("not for you", status_code=403), "key"),
    ],
)
def test_a_service_that_answers_with_an_error_is_a_fault(
    monkeypatch: pytest.MonkeyPatch, error: ParetaError, subject: str
) -> None:
    monkeypatch.setattr(doctor, "ask_service", lambda key: doctor.ServiceAnswer("http://127.0.0.1", error, 0.1, None))
    found = faults()
    assert set(found) == {subject}
    assert str(error) in found[subject]["text"]


def test_a_key_that_the_service_says_back_is_masked(service: Sandbox) -> None:
    service.inject(KeyEcho(where="error"))
    assert "right_key" not in examine("--debug").output
    assert "right_key" not in examine("--json").output


@pytest.mark.parametrize(("minutes", "said"), [(-10, "ahead of the service"), (10, "behind the service")])
def test_a_clock_that_is_off_is_a_fault(monkeypatch: pytest.MonkeyPatch, minutes: int, said: str) -> None:
    date = format_datetime(datetime.now(UTC) + timedelta(minutes=minutes), usegmt=True)
    answer = doctor.ServiceAnswer("http://127.0.0.1", None, 0.1, date)
    monkeypatch.setattr(doctor, "ask_service", lambda key: answer)
    found = faults()
    assert set(found) == {"clock"}
    assert said in found["clock"]["text"]
    assert "timedatectl" in found["clock"]["fix"]


@pytest.mark.parametrize("date", [None, "yesterday"])
def test_a_service_without_a_readable_date_is_no_clock_fault(monkeypatch: pytest.MonkeyPatch, date: str | None) -> None:
    answer = doctor.ServiceAnswer("http://127.0.0.1", None, 0.1, date)
    monkeypatch.setattr(doctor, "ask_service", lambda key: answer)
    assert faults() == {}


@pytest.mark.parametrize("url", ["mysql://me:secret@host/db", "sqlite:////proc/nowhere/ledger.db"])
def test_a_ledger_that_cannot_be_used_is_a_fault_without_its_password(
    monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    monkeypatch.setenv("PARETA_LEDGER_URL", url)
    assert set(faults()) == {"ledger"}
    assert "secret" not in examine("--debug").output


def test_a_batch_that_a_run_holds_is_named(tmp_path: Path) -> None:
    ledger = Ledger.open()
    register_rows(batch_in(tmp_path, name="held"), ledger)
    try:
        assert "no batch is locked" in examine().stdout
        with ledger.lease("held"):
            assert "1 batch; running: held" in examine().stdout
    finally:
        ledger.close()


def test_a_low_limit_of_open_files_is_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (256, 512))
    assert faults()["files"]["fix"].startswith("ulimit -n")


def test_a_full_disk_is_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(1 << 40, 1 << 40, 1 << 20))
    assert faults()["disk"]["fix"].startswith("df -h")


def test_a_folder_that_is_not_writable_is_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda *_: False)
    assert "not writable" in faults()["disk"]["text"]


def test_a_prefect_server_that_does_not_answer_is_a_fault_within_the_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    from prefect.settings import PREFECT_API_URL, get_current_settings, temporary_settings

    monkeypatch.setattr("pareta_cli.prefect_checks.get_current_settings", get_current_settings)
    with closed_port() as port, temporary_settings({PREFECT_API_URL: (url := f"http://127.0.0.1:{port}/api")}):
        found = faults()
    assert set(found) == {"prefect"}
    assert f"{url} does not answer" in found["prefect"]["text"]


def test_a_check_that_breaks_is_a_fault_and_the_others_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> None:
        raise ZeroDivisionError("boom")

    monkeypatch.setattr(doctor, "_open_files", broken)
    report = json.loads(examine("--json").stdout)
    assert [check["text"] for check in report["checks"] if not check["ok"]] == ["ZeroDivisionError: boom"]
    assert len(report["checks"]) == len(SUBJECTS)
