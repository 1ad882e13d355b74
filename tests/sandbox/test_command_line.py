"""`python -m pareta_sandbox` as another process."""

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import get_args

import httpx
import pytest
import yaml

from pareta_sandbox import cli as remote
from pareta_sandbox.__main__ import is_loopback
from pareta_sandbox.faults import scenario
from pareta_sandbox.testing import Fault, Sandbox, attach, running
from tests.end_to_end.processes import until
from tests.grids import first_of
from tests.ports import closed_port
from tests.sandbox.talk import LICENSES, client, complete

EVERY_FAULT = [
    "status status=429 retry_after_s=2 retry_after=date for_s=5",
    "html status=503",
    "latency ms=20 sigma=0.5 endpoint=ep_seed_tickets",
    "rate_limit per_s=5 burst=2 concurrent=4 retry_after=none",
    "drop when=after how=reset share=0.5",
    "hang when=before seconds=1",
    'reply_headers headers={"x-test":"1"}',
    "truncated_json times=1",
    "odd_reply shape=parts times=1",
    "key_echo where=answer",
    "slow_body seconds=1 skip=3",
    "cut_stream when=after",
    "endpoint_stops after_completions=5 times=null",
    "model_weakens model=heron-2 level=2 share=0.3",
    "price_change factor=20 skip=3",
    "eval_run_fails error=gone",
    "eval_run_hangs after_s=1",
    "deploy_fails at_pct=10",
    "deploy_stream_cut at_pct=50",
]
RUN = [sys.executable, "-m", "pareta_sandbox"]


@contextmanager
def started(*arguments: str, where: str = "127.0.0.1") -> Iterator[tuple[subprocess.Popen[str], str]]:
    command = [*RUN, *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            assert line.startswith(f"pareta sandbox ready at http://{where}:"), line
            yield process, line.rsplit(" ", 1)[1].strip()
        finally:
            process.kill()


@pytest.mark.parametrize("number", first_of([signal.SIGTERM, signal.SIGINT]))
def test_it_says_where_it_is_and_prints_its_books_when_it_is_stopped(number: signal.Signals) -> None:
    with started("--port", "0", "--latency-ms", "0", "--balance-usd", "2") as (process, base_url):
        sandbox = attach(base_url)
        with client(sandbox) as http:
            assert complete(http, key="a").status_code == 200
        sandbox.debited_once()
        process.send_signal(number)
        printed, complaints = process.communicate(timeout=30)
    assert process.returncode == 0
    assert "1 debits" in printed
    assert "POST /v1/chat/completions" in printed
    assert complaints == ""


def test_it_ends_quietly_when_nobody_reads_its_books() -> None:
    with started("--port", "0") as (process, _):
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        process.send_signal(signal.SIGTERM)
        assert (process.wait(timeout=30), process.stderr.read()) == (0, "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is full")
def test_books_that_cannot_be_printed_for_another_reason_are_an_error() -> None:
    command = "from pareta_sandbox.printing import print_text as say; say('books')"
    with Path("/dev/full").open("w") as full:
        done = subprocess.run([sys.executable, "-c", command], stdout=full, stderr=subprocess.PIPE, text=True)
    assert done.returncode != 0
    assert "No space left" in done.stderr


def test_the_options_reach_the_service() -> None:
    with started("--port", "0", "--keys", "pareta_sk_a,pareta_sk_b", "--balance-usd", "0.000001") as (_, base_url):
        with httpx.Client(base_url=base_url, headers={"authorization": "Bearer pareta_sk_b"}) as http:
            assert complete(http).status_code == 402
        with client(attach(base_url)) as http:
            assert http.get("/v1/models").status_code == 401


def test_a_call_in_flight_does_not_keep_it_from_stopping() -> None:
    with started("--port", "0", "--latency-ms", "60000") as (process, base_url):
        address = httpx.URL(base_url)
        with socket.create_connection((address.host, address.port or 0)) as waiting:
            waiting.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n")
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=30)
    assert process.returncode == 0


def test_it_warns_loudly_when_others_can_reach_it() -> None:
    with started("--port", "0", "--host", "0.0.0.0", where="0.0.0.0") as (process, _):
        process.send_signal(signal.SIGINT)
        _, complaints = process.communicate(timeout=30)
    assert "any program that can reach this machine" in complaints


@pytest.mark.parametrize(
    ("host", "alone"), [("127.0.0.1", True), ("::1", True), ("localhost", True), ("0.0.0.0", False)]
)
def test_loopback_addresses_are_told_from_others(host: str, alone: bool) -> None:
    assert is_loopback(host) is alone


def test_a_port_that_is_taken_is_an_error_of_one_line() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        done = subprocess.run([*RUN, "--port", str(taken.getsockname()[1])], capture_output=True, text=True, timeout=30)
    assert done.returncode == 2
    assert "cannot listen" in done.stderr


def test_a_port_that_does_not_exist_is_an_error_of_one_line() -> None:
    done = subprocess.run([*RUN, "--port", "65536"], capture_output=True, text=True, timeout=30)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "cannot listen" in done.stderr


@pytest.mark.parametrize(
    "arguments", first_of([["--latency-ms", "-1"], ["--balance-usd", "much"], ["--generation", "3"]])
)
def test_a_wrong_option_is_refused(arguments: list[str]) -> None:
    done = subprocess.run([*RUN, *arguments], capture_output=True, text=True, timeout=30)
    assert done.returncode == 2
    assert arguments[0] in done.stderr


def test_commands_reach_a_sandbox_that_runs(capsys: pytest.CaptureFixture[str]) -> None:
    def say(*arguments: str) -> str:
        assert remote.run([*arguments, "--url", sandbox.base_url]) == 0
        return capsys.readouterr().out

    with running(balance_usd=1) as sandbox, client(sandbox) as http:
        assert "$1.000000" in say("books")
        assert "$3.500000" in say("top-up", "2.5")
        assert "$0.000000" in say("balance", "0")
        assert complete(http).status_code == 402
        added = say("fault", "status", "status=503", "times=2").strip()
        assert sandbox.hits(added) == 0
        say("fault", "endpoint_stops", "after_completions=20", "times=null")
        say("clear")
        say("stop", LICENSES)
        assert complete(http).status_code == 503
        say("start", LICENSES)
        assert complete(http).status_code == 402
        assert "has begun" in say("play", "flaky-network")
        assert all(name in say("scenarios") for name in scenario.names())


@pytest.mark.parametrize("fault", EVERY_FAULT)
def test_every_fault_can_be_asked_for_on_the_command_line_over_http_and_in_a_scenario(
    sandbox: Sandbox, http: httpx.Client, fault: str
) -> None:
    kind, *fields = fault.split()
    assert remote.run(["fault", kind, *fields, "--url", sandbox.base_url]) == 0
    (listed,) = http.get("/_sandbox/faults").json()["faults"]
    assert listed["fault"]["kind"] == kind
    assert http.post("/_sandbox/faults", json=listed["fault"]).status_code == 201
    written = yaml.safe_dump({"faults": [listed["fault"]]})
    assert scenario.parse(written, "own").faults[0].kind == kind


def test_every_fault_is_tried() -> None:
    assert sorted(fault.split()[0] for fault in EVERY_FAULT) == sorted(
        str(each.model_fields["kind"].default) for each in get_args(Fault)
    )


def test_the_books_are_shown_by_the_command_of_the_project() -> None:
    with running(balance_usd=3) as sandbox:
        pipeline = str(Path(sys.executable).with_name("pareta-pipeline"))
        command = [pipeline, "sandbox", "books", "--url", sandbox.base_url]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.startswith("balance             $3.000000")


def test_a_fault_that_does_not_exist_is_an_error_of_one_line() -> None:
    with running() as sandbox:
        done = subprocess.run(
            [*RUN, "fault", "statuss", "--url", sandbox.base_url], capture_output=True, text=True, timeout=30
        )
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)


def remote_command(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if name != "PARETA_BASE_URL"}
    return subprocess.run([*RUN, *arguments], capture_output=True, text=True, env=clean | environment)


@pytest.fixture
def unused_address() -> Iterator[str]:
    with closed_port() as port:
        yield f"http://127.0.0.1:{port}"


@pytest.mark.parametrize("command", first_of(["stop ep_1", "books", "clear"]))
@pytest.mark.parametrize("by", [pytest.param("option", marks=pytest.mark.long), "environment"])
def test_a_command_says_in_one_line_that_nothing_listens(command: str, by: str, unused_address: str) -> None:
    if by == "option":
        ended = remote_command(*command.split(), "--url", unused_address)
    else:
        ended = remote_command(*command.split(), PARETA_BASE_URL=unused_address)
    assert (ended.returncode, ended.stdout, ended.stderr.count("\n")) == (2, "", 1)
    assert f"{command.split()[0]}: nothing listens at {unused_address} (" in ended.stderr
    assert "start one with: python -m pareta_sandbox" in ended.stderr


def test_a_command_follows_the_address_of_the_environment_and_the_option_comes_first(unused_address: str) -> None:
    with running(balance_usd=3) as sandbox:
        assert "$3.00" in remote_command("books", PARETA_BASE_URL=sandbox.base_url).stdout
        assert "$3.00" in remote_command("books", "--url", sandbox.base_url, PARETA_BASE_URL=unused_address).stdout


@pytest.mark.parametrize("closing", [">&-", "| true"])
@pytest.mark.parametrize("arguments", [pytest.param("scenarios", marks=pytest.mark.long), "--port 0"])
def test_a_closed_standard_output_prints_no_traceback(closing: str, arguments: str) -> None:
    command = f"{sys.executable} -m pareta_sandbox {arguments} {closing}"
    if arguments == "scenarios":
        ended = subprocess.run(["bash", "-c", command], stderr=subprocess.PIPE, text=True)
        assert (ended.returncode, ended.stderr) == (0, "")
        return
    with subprocess.Popen(["bash", "-c", f"exec {command}"], stderr=subprocess.PIPE, text=True) as process:
        until(lambda: process.poll() is not None or serving_below(process.pid), within_s=60, what="a sandbox that runs")
        for pid in serving_below(process.pid):
            os.kill(pid, signal.SIGTERM)
        _, told = process.communicate(timeout=60)
    assert told == ""


def serving_below(pid: int) -> list[int]:
    """Return those of a process and its children that have a handler for SIGTERM, as a sandbox that serves has."""
    children = map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())
    return [each for each in (pid, *children) if Path(f"/proc/{each}/comm").read_text() != "bash\n" and handles(each)]


def handles(pid: int, number: int = signal.SIGTERM) -> bool:
    caught = re.search(r"^SigCgt:\s*(\w+)", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    return caught is not None and bool(int(caught[1], 16) >> (number - 1) & 1)


@pytest.mark.parametrize(
    "arguments", first_of([["--nope"], ["--port", "x"], ["books", "--nope"], ["--generation", "9"]])
)
def test_an_error_of_usage_is_2_and_one_line(arguments: list[str]) -> None:
    ended = remote_command(*arguments)
    assert (ended.returncode, ended.stdout, ended.stderr.count("\n")) == (2, "", 1)
    assert ended.stderr.endswith("; see: python -m pareta_sandbox --help\n")


def test_the_sandbox_of_the_project_runs_in_any_folder(tmp_path: Path) -> None:
    command = [str(Path(sys.executable).with_name("pareta-pipeline")), "sandbox", "scenarios"]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert {line.split()[0] for line in ended.stdout.splitlines()} == set(scenario.names())
