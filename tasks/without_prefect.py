"""Choice of a command that has no Prefect API: Prefect is not imported, which takes half of the start.

Only a command makes it, before it imports the flows: they are then plain functions. Reason:
docs/decisions/runs-without-a-server.md.
"""

import logging
import os
import sys
import tomllib
from pathlib import Path
from typing import Any

OF_A_SERVER = "PREFECT_SERVER_"
"""Prefix of Prefect's settings that change nothing in a run without an API; every other one is left to Prefect."""

PLACES = frozenset({"PREFECT_HOME", "PREFECT_PROFILES_PATH"})
"""Variables with the places of the files that are read here. In a profile, they name other places."""

_left_out = False


def leave_prefect_out() -> None:
    """Keep Prefect out of this process if no API can be configured; call it before the flows are imported."""
    global _left_out
    if "prefect" in sys.modules or may_have_api(Path()):
        return
    _left_out = True
    # As the configuration of Prefect under a terminal; without a handler, Python prints every warning.
    console = logging.StreamHandler()
    console.setLevel(logging.CRITICAL)
    logging.getLogger().addHandler(console)


def is_left_out() -> bool:
    """Return whether this process works without Prefect."""
    return _left_out


def may_have_api(folder: Path) -> bool:
    """Return whether Prefect could find an API, or another setting of a run, from a folder.

    If in doubt, the answer is yes: Prefect itself then reads its settings.
    """
    if any(_is_for_a_run(name.upper()) and name not in PLACES for name in os.environ):
        return True
    try:
        home = Path(os.environ.get("PREFECT_HOME") or "~/.prefect").expanduser()
        profiles = Path(os.environ.get("PREFECT_PROFILES_PATH") or home / "profiles.toml").expanduser()
        return (
            any(file.exists() for file in (folder / "prefect.toml", home / "logging.yml"))
            # Without zeros: also in UTF-16, which Prefect refuses.
            or b"prefect_" in _content(folder / ".env").replace(b"\0", b"").lower()
            or "prefect" in _table(folder / "pyproject.toml").get("tool", {})
            or any(_is_for_a_run(name.upper()) for name in _active_profile(_table(profiles)))
        )
    except (OSError, ValueError, AttributeError, TypeError, RuntimeError):
        # Not readable, not the expected tables, or no home: Prefect reports it.
        return True


def _is_for_a_run(setting: str) -> bool:
    return setting.startswith("PREFECT_") and not setting.startswith(OF_A_SERVER)


def _content(file: Path) -> bytes:
    return file.read_bytes() if file.exists() else b""


def _table(file: Path) -> dict[str, Any]:
    return tomllib.loads(_content(file).decode())


def _active_profile(profiles: dict[str, Any]) -> dict[str, object]:
    """Return the settings of the active profile; without one, Prefect's own default has no API."""
    profile: dict[str, object] = profiles.get("profiles", {}).get(profiles.get("active"), {})
    return profile
