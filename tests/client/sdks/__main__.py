"""Run the documented programs with each official SDK and with ours, and compare what they found.

Client and sandbox are ours; only this keeps them from being wrong in the same way.
"""

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pareta_sandbox.testing import running
from tests.client.sdks.environments import python_with

PROGRAMS = Path(__file__).with_name("programs.py")
PROJECT = Path(__file__).parents[3]


@dataclass(frozen=True)
class Comparison:
    """An official package, the module it installs, and the programs that are written for it."""

    package: str
    module: str
    suite: str
    generation: Literal[1, 2]


COMPARISONS = (
    Comparison("pareta==0.2.1", "pareta", "FirstGeneration", 1),
    Comparison("pareta==3.0.4", "pareta", "SecondGeneration", 2),
    Comparison("openai==3.54.0", "openai", "OpenAi", 1),
)

# Two clients that fail alike would agree as well, so it is said which programs end in an error.
ENDS_IN_AN_ERROR = {
    "eval_set_without_a_prompt_or_a_task",
    "failed_deploy",
    "html_of_a_proxy",
    "never_an_answer",
    "no_messages",
    "seed_endpoint_stays",
    "stopped_endpoint",
    "unknown_endpoint",
    "unknown_model",
    "unknown_run",
    "wrong_key",
}


def found_by(python: Path, module: str, comparison: Comparison) -> dict[str, Any]:
    """Run the programs against a sandbox of their own, so that each client finds the same service."""
    with running(generation=comparison.generation, latency_ms=1, deploy_s=0.1, eval_s=0.1, cold_start_s=0.1) as sandbox:
        command = [str(python), str(PROGRAMS), module, comparison.suite, sandbox.base_url, sandbox.api_key]
        done = subprocess.run(command, check=True, capture_output=True, text=True, cwd=PROJECT, env={"PYTHONPATH": "."})
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def differences(theirs: dict[str, Any], ours: dict[str, Any]) -> list[str]:
    """Return the differences between the results of two clients."""
    return [
        f"  {name}\n    official: {json.dumps(theirs.get(name))}\n    ours:     {json.dumps(ours.get(name))}"
        for name in sorted(theirs.keys() | ours.keys())
        if theirs.get(name) != ours.get(name)
    ]


def surprises(found: dict[str, Any]) -> list[str]:
    """Name the programs that ended in an error and should not have, and those that should have."""
    raised = {name for name, result in found.items() if isinstance(result, dict) and "raised" in result}
    wrong = raised ^ (ENDS_IN_AN_ERROR & found.keys())
    return [f"  {name}\n    found: {json.dumps(found[name])}" for name in sorted(wrong)]


def main() -> int:
    """Compare all methods, and return the exit status."""
    failed = False
    for comparison in COMPARISONS:
        theirs = found_by(python_with(comparison.package), comparison.module, comparison)
        ours = found_by(Path(sys.executable), "pareta_client", comparison)
        different = differences(theirs, ours) + surprises(theirs)
        failed = failed or bool(different)
        same = len(theirs) - len(different)
        sys.stdout.write(f"{comparison.package}: {same} of {len(theirs)} programs find the same with pareta_client\n")
        sys.stdout.writelines(f"{line}\n" for line in different)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
