"""The fixtures in a project that has only the installed package."""

import subprocess
import sys
from pathlib import Path

OUTSIDERS_TEST = """
import json
import urllib.request

pytest_plugins = ["pareta_sandbox.pytest_plugin"]


def ask(sandbox):
    body = {"model": "ep_seed_tickets", "messages": [{"role": "user", "content": "Which team? My invoice is wrong."}]}
    headers = {"Authorization": f"Bearer {sandbox.api_key}", "Idempotency-Key": "row-1"}
    request = urllib.request.Request(f"{sandbox.base_url}/v1/chat/completions", json.dumps(body).encode(), headers)
    with urllib.request.urlopen(request) as reply:
        return reply.headers["X-Pareta-Billed"]


def test_a_row_is_paid_once(sandbox):
    assert int(ask(sandbox)) > 0
    assert ask(sandbox) == "0"
    sandbox.debited_once()
    sandbox.completed(1)


def test_options_and_more_than_one(sandbox, sandbox_factory):
    other = sandbox_factory(balance_usd="0.5")
    ask(other)
    assert other.books().opening_balance_micro_usd == 500_000
    assert sandbox.books().completions == 0
"""


def test_another_project_uses_the_fixtures(tmp_path: Path) -> None:
    (tmp_path / "test_theirs.py").write_text(OUTSIDERS_TEST)
    run = [sys.executable, "-W", "error", "-m", "pytest", "-q", "-p", "no:randomly", "-p", "no:cacheprovider"]
    run += ["-o", "asyncio_default_fixture_loop_scope=function", str(tmp_path)]
    done = subprocess.run(run, cwd=tmp_path, capture_output=True, text=True, timeout=100)
    assert "2 passed" in done.stdout, done.stdout + done.stderr
