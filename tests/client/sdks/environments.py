"""One virtual environment for each pinned SDK, made once and kept in the project's own folder."""

import subprocess
import sys
from pathlib import Path

KEPT_IN = Path(__file__).parents[3] / ".pareta" / "sdks"


def python_with(*requirements: str) -> Path:
    """Return a Python with exactly these packages; create its environment on the first call."""
    folder = KEPT_IN / "+".join(requirements)
    python, done = folder / "bin" / "python", folder / "installed"
    if not done.exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
        install = [str(python), "-m", "pip", "install", "-qq", "--disable-pip-version-check", *requirements]
        subprocess.run(install, check=True)
        done.touch()
    return python
