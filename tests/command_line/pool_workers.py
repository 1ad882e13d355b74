"""Render the templates of work pools with the job classes of prefect-docker and prefect-kubernetes.

`python -m tests.command_line.pool_workers` installs them in an environment under .pareta; it needs a package index.
"""

import json
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

from pareta_cli.options import PoolType
from pareta_cli.work_pool import Pool, default_template, filled, own_values
from tests.client.sdks.environments import python_with

LEDGER = "postgresql://db.example/pareta"

RENDER = """
import asyncio, json, sys, uuid
from importlib import import_module
from unittest.mock import AsyncMock
from prefect.client.schemas.objects import FlowRun

templates, ledger = json.loads(sys.argv[1]), sys.argv[2]
found = {}
for kind, template in templates.items():
    job_class = getattr(import_module(f"prefect_{kind}.worker"), f"{kind.title()}WorkerJobConfiguration")
    client = AsyncMock()
    client.read_block_document_by_name.return_value.data = {"value": ledger}
    job = asyncio.run(job_class.from_template_and_values(template, {"name": "run"}, client=client))
    job.prepare_for_flow_run(FlowRun(id=uuid.uuid4(), flow_id=uuid.uuid4(), name="run"))
    found[kind] = job.model_dump(mode="json")
print(json.dumps(found))
"""


def main() -> int:
    """Render both templates, check what reaches the containers, and return the exit status."""
    python = python_with(f"prefect=={version('prefect')}", "prefect-docker", "prefect-kubernetes")
    kinds = (PoolType.DOCKER, PoolType.KUBERNETES)
    pools = {kind.value: Pool("p", kind, "registry.example/pareta:1", "pareta-data") for kind in kinds}
    templates = {name: filled(default_template(pool.type), own_values(pool, {})) for name, pool in pools.items()}
    command = [str(python), "-c", RENDER, json.dumps(templates), LEDGER]
    environment = {"PREFECT_HOME": str(Path(sys.prefix) / "peers"), "PATH": "/usr/bin:/bin"}
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    jobs = json.loads(done.stdout)
    docker, pod = jobs["docker"], jobs["kubernetes"]["job_manifest"]["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert docker["image"] == container["image"] == "registry.example/pareta:1"
    assert docker["env"]["PARETA_LEDGER_URL"] == LEDGER
    assert {"name": "PARETA_LEDGER_URL", "value": LEDGER} in container["env"]
    assert docker["volumes"] == ["pareta-data:/data"]
    assert container["volumeMounts"] == [{"name": "data", "mountPath": "/data"}]
    assert docker["command"].split() == container["args"] == ["prefect", "flow-run", "execute"]
    print("work pools: prefect-docker and prefect-kubernetes render both templates")  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main())
