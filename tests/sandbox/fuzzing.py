"""Fuzz test of the sandbox with schemathesis, driven by its OpenAPI document: `python -m tests.sandbox.fuzzing`.

It runs in an environment of its own, so that its many dependencies stay out of the project's lock.
"""

import subprocess
import sys

from pareta_sandbox.testing import running
from tests.client.sdks.environments import python_with

SCHEMATHESIS = "schemathesis==4.32.5"
EXAMPLES = "15"
# The sandbox's books differ from call to call, and a deploy's stream is no JSON: what is checked is that nothing is
# answered by accident.
CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance"


def main() -> int:
    """Run the fuzz test on every route, and return the exit status."""
    schemathesis = python_with(SCHEMATHESIS).with_name("schemathesis")
    with running(balance_usd=1_000_000) as sandbox:
        command = [str(schemathesis), "run", f"{sandbox.base_url}/openapi.json", "--checks", CHECKS]
        command += ["--include-path-regex", "^/v1/", "--max-examples", EXAMPLES, "--seed", "1"]
        command += ["--header", f"Authorization: Bearer {sandbox.api_key}"]
        return subprocess.run(command, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
