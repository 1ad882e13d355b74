"""Addresses of reports: the URL under which a browser opens a file of the worker."""

import os
from pathlib import Path
from urllib.parse import quote

from tasks.direct import run_logger

REPORTS_URL = "PARETA_REPORTS_URL"
"""URL at which a web server shows the working folder of the workers, as in `https://files.example/pareta/`."""


def report_url(path: str) -> str | None:
    """Return the URL of a file under the working folder; None without `PARETA_REPORTS_URL`."""
    prefix = os.environ.get(REPORTS_URL, "")
    file, folder = Path(path).resolve(), Path.cwd().resolve()
    if not prefix or not file.is_relative_to(folder):
        return None
    if not prefix.startswith(("http://", "https://")):
        run_logger().warning("%s %r: not a URL; write http:// or https://", REPORTS_URL, prefix)
        return None
    return f"{prefix.rstrip('/')}/{quote(file.relative_to(folder).as_posix())}"


def address_of(path: str) -> str:
    """Return the URL of a file, or its path if it has none."""
    return report_url(path) or path
