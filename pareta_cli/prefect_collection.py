"""Entry point of Prefect's collections, in any process that uses Prefect.

The block type of the credentials is for every process, the patch of cursors for a server.
"""

import sys
from importlib import import_module

from pareta_batch import use_json_logs
from pareta_cli.bundle import BUNDLED, bundled_packages_used

# This module is the first of this project that a worker imports.
use_json_logs()
# A server loads the collections when it starts, before its first request.
if "prefect.server.api.server" in sys.modules and sys.version_info < (3, 12):
    import_module("pareta_cli.failed_statements").close_failed_statements()

# With a wheel, `tasks` in a process of other software is not ours.
_top_level = not BUNDLED.is_dir() or bundled_packages_used()
ParetaCredentials = import_module(
    "tasks.credentials" if _top_level else "pareta_cli.bundled.tasks.credentials"
).ParetaCredentials
