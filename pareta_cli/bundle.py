"""Packages with common names, `flows`, `tasks` and `examples`: in a wheel they are in a folder of this package.

Reason: docs/decisions/wheel.md.
"""

import sys
from pathlib import Path

BUNDLED = Path(__file__).with_name("bundled")


def use_bundled_packages() -> None:
    """Put the bundled packages first on the path of this process. In a clone there are none."""
    if BUNDLED.is_dir() and not bundled_packages_used():
        sys.path.insert(0, str(BUNDLED))


def bundled_packages_used() -> bool:
    """Check whether the path of this process contains the bundled packages."""
    return str(BUNDLED) in sys.path
