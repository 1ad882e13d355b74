"""`pareta-pipeline server`: one server per folder, found by its lock, stopped by its process id."""

import fcntl
import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from typer.testing import CliRunner, Result

from pareta_cli.app import app
from pareta_cli.background_server import ServerState, stop_server
from pareta_cli.prefect_server import server_environment
from tests.ports import free_port


def pareta_pipeline(*arguments: str) -> Result:
    return CliRunner().invoke(app, arguments)


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    """Yield the folder of a server, which is stopped at the end."""
    yield tmp_path / "server"
    stop_server(tmp_path / "server")


@pytest.fixture
def stranger() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        yield process
        process.kill()


def left_behind(home: Path, pid: int) -> None:
    home.mkdir()
    (home / "server.json").write_text(json.dumps({"pid": pid, "api_url": "http://127.0.0.1:9/api"}), encoding="utf-8")


@pytest.mark.server
@pytest.mark.timeout(600)
def test_a_server_is_started_once_found_by_its_url_and_stopped(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PARETA_API_KEY", "pareta_sk_secret")
    port, options = free_port(), ("--home", str(home))
    program = str(Path(sys.executable).with_name("pareta-pipeline"))
    # A process of its own: the server is to survive the command.
    started = subprocess.run(
        [program, "server", "--port", str(port), *options], capture_output=True, text=True, check=False
    )
    assert started.returncode == 0, started.stderr
    url = f"http://127.0.0.1:{port}"
    assert f"ready: {url}\nuse it:  export PREFECT_API_URL={url}/api\n" in started.stdout
    assert f"pareta-pipeline server --stop --home {home}" in started.stdout
    assert httpx.get(f"{url}/api/health", trust_env=False).is_success
    state = ServerState(**json.loads((home / "server.json").read_text()))
    assert b"pareta_sk_secret" not in Path(f"/proc/{state.pid}/environ").read_bytes()
    again = pareta_pipeline("server", *options)
    assert (again.exit_code, f"already running: {url}\n" in again.stdout) == (0, True)
    stopped = pareta_pipeline("server", "--stop", *options)
    assert (stopped.exit_code, stopped.stdout) == (0, f"Prefect server stopped: process {state.pid}\n")
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{url}/api/health", trust_env=False)


@pytest.mark.parametrize("content", [None, "", "{}", '{"pid": 1}', "not JSON"])
def test_without_a_server_stop_ends_no_process_and_says_so(home: Path, content: str | None) -> None:
    if content is not None:
        home.mkdir()
        (home / "server.json").write_text(content, encoding="utf-8")
    stopped = pareta_pipeline("server", "--stop", "--home", str(home))
    assert (stopped.exit_code, stopped.stdout) == (0, f"no Prefect server runs in {home}\n")


def test_a_stale_process_id_that_another_process_has_is_left_alone(
    home: Path, stranger: subprocess.Popen[bytes]
) -> None:
    left_behind(home, stranger.pid)
    assert pareta_pipeline("server", "--stop", "--home", str(home)).exit_code == 0
    assert stranger.poll() is None
    assert not (home / "server.json").exists()


def test_a_port_in_use_is_2_and_one_line(home: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ended = pareta_pipeline("server", "--port", str(port), "--home", str(home))
    assert (ended.exit_code, ended.stderr) == (2, f"port {port}: in use; choose another one with --port\n")


def test_a_folder_that_is_not_writable_is_2_and_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    ended = pareta_pipeline("server", "--home", str(tmp_path / "file"))
    assert (ended.exit_code, ended.stderr.count("\n"), "choose another one with --home" in ended.stderr) == (2, 1, True)


def test_a_server_that_is_being_started_is_not_stopped_blindly(tmp_path: Path) -> None:
    lock = os.open(tmp_path / "server.lock", os.O_RDWR | os.O_CREAT)
    fcntl.flock(lock, fcntl.LOCK_EX)
    ended = pareta_pipeline("server", "--stop", "--home", str(tmp_path))
    os.close(lock)
    assert (ended.exit_code, "another command starts it now" in ended.stderr) == (2, True)


def test_a_server_gets_no_key_no_ledger_and_no_other_api(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PARETA_API_KEY", "pareta_sk_secret")
    monkeypatch.setenv("PARETA_LEDGER_URL", "postgresql://me:secret@host/db")
    monkeypatch.setenv("PREFECT_API_URL", "http://prefect.example/api")
    monkeypatch.setenv("PREFECT_API_KEY", "pnu_secret")
    monkeypatch.setenv("PREFECT_SERVER_LOGGING_LEVEL", "DEBUG")
    environment = server_environment(tmp_path, 4200)
    assert not [name for name, value in environment.items() if "secret" in value or "prefect.example" in value]
    assert environment["PREFECT_SERVER_LOGGING_LEVEL"] == "DEBUG"
    assert environment["PREFECT_HOME"] == str(tmp_path)
