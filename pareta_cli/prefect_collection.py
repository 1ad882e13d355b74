"""Entry point of Prefect's collections, in any process that uses Prefect.

A worker and a client find the block type of the credentials here, a server the patch of its cursors.
"""

from importlib import import_module

from pareta_batch import use_json_logs
from pareta_cli.bundle import BUNDLED, bundled_packages_used
from pareta_cli.failed_statements import close_failed_statements

# This module is the first of this project that a worker imports.
use_json_logs()
# A server loads the collections when it starts, before its first request.
close_failed_statements()

# With a wheel, `tasks` in a process of other software is not ours.
_top_level = not BUNDLED.is_dir() or bundled_packages_used()
ParetaCredentials = import_module(
    "tasks.credentials" if _top_level else "pareta_cli.bundled.tasks.credentials"
).ParetaCredentials
