"""Every curl command of the documentation works."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from pareta_sandbox.testing import running

PROJECT = Path(__file__).parents[2]
DOCS = (PROJECT / "docs" / "sandbox.md").read_text(encoding="utf-8")
LINES = re.findall(r"^curl .*$", DOCS, re.MULTILINE)


@pytest.mark.skipif(shutil.which("curl") is None, reason="there is no curl on this machine")
@pytest.mark.parametrize("line", LINES)
def test_a_documented_curl_line_is_answered_with_success(line: str) -> None:
    with running() as sandbox:
        environment = {**os.environ, "PARETA_BASE_URL": sandbox.base_url, "PARETA_API_KEY": sandbox.api_key}
        done = subprocess.run(
            ["bash", "-c", line.replace("curl ", "curl --fail-with-body ", 1)],
            env=environment,
            cwd=PROJECT,
            capture_output=True,
            text=True,
            timeout=30,
        )
    assert done.returncode == 0, done.stdout
    assert done.stdout


def test_there_are_documented_curl_lines() -> None:
    assert len(LINES) >= 8
