"""The programs in the pages about the client run as they stand."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from pareta_sandbox.testing import running

DOCS = Path(__file__).parents[2] / "docs"
PAGES = (DOCS / "client.md", DOCS / "how-to" / "from-the-official-sdk.md")
PROGRAMS = [text for page in PAGES for text in re.findall(r"```python\n(.*?)```", page.read_text(), re.DOTALL)]


@pytest.mark.parametrize("program", PROGRAMS, ids=range(len(PROGRAMS)))
def test_every_program_of_the_pages_runs(program: str) -> None:
    with running(latency_ms=1, deploy_s=0.05, cold_start_s=0.05) as sandbox:
        environment = {**os.environ, "PARETA_API_KEY": sandbox.api_key, "PARETA_BASE_URL": sandbox.base_url}
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", program],
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert done.returncode == 0, done.stderr


def test_the_pages_have_programs() -> None:
    assert len(PROGRAMS) >= 4
