"""Entry point of Prefect's collections: the block type of the credentials, in any process that uses Prefect."""

from importlib import import_module

from pareta_batch import use_json_logs
from pareta_cli.bundle import BUNDLED, bundled_packages_used

# This module is the first of this project that a worker imports.
use_json_logs()

# With a wheel, `tasks` in a process of other software is not ours.
_top_level = not BUNDLED.is_dir() or bundled_packages_used()
ParetaCredentials = import_module(
    "tasks.credentials" if _top_level else "pareta_cli.bundled.tasks.credentials"
).ParetaCredentials
