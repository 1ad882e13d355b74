"""Members as tasks of Ray: a killed worker leaves its rows to the others."""

import asyncio
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from pareta_batch.ledger.ledger import Ledger
from pareta_batch.runners.on_ray import run_on_ray
from pareta_sandbox.testing import Sandbox
from tests.clusters.conftest import all_settled_once, batch_of, killed_while_it_sends, ray_processes, run_on

ray = pytest.importorskip("ray")

pytestmark = [pytest.mark.timeout(900), pytest.mark.filterwarnings("default")]  # warnings of Ray


def members() -> Sequence[int]:
    """Return the ids of the worker processes of Ray below this process that work as members."""
    return ray_processes("ray::work")


async def test_a_killed_worker_leaves_its_rows_to_the_others(tmp_path: Path, service: Sandbox, ledger: Ledger) -> None:
    running = asyncio.ensure_future(run_on(run_on_ray, None, batch_of(tmp_path, "ray"), service, ledger))
    await killed_while_it_sends(service, members)
    all_settled_once(await running, service)
    assert members() == []


async def test_no_variable_of_a_runtime_environment_has_the_key(
    tmp_path: Path, service: Sandbox, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[object] = []
    init = ray.init

    def note(**options: Any) -> Any:
        given.append(options)
        return init(**options)

    monkeypatch.setattr(ray, "init", note)
    await run_on(run_on_ray, None, batch_of(tmp_path, "ray").model_copy(update={"processes": 2}), service, ledger)
    assert service.api_key in os.environ["PARETA_API_KEY"]
    assert given
    assert service.api_key not in str(given)
