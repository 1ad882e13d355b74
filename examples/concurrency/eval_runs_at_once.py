"""Concurrent eval runs: models are compared on several eval sets at once."""

import asyncio
import sys

from pareta_client import AsyncPareta

TASK = "license-identification"
SETS = {
    "permissive": [
        {"input": "MIT License. Permission is hereby granted, free of charge.", "expected": "MIT"},
        {"input": "Apache License, Version 2.0, January 2004", "expected": "Apache-2.0"},
    ],
    "copyleft": [
        {"input": "Mozilla Public License Version 2.0", "expected": "MPL-2.0"},
        {"input": "GNU GENERAL PUBLIC LICENSE Version 3, 29 June 2007", "expected": "GPL-3.0-only"},
    ],
}


async def main(*models: str) -> None:
    """Run every eval set, and print the quality of each model with its interval."""
    async with AsyncPareta.from_env() as pa:
        runs = await asyncio.gather(
            *(
                pa.evals.runs.create(
                    task=TASK,
                    items=rows,
                    models=models,
                    frontier="benchmarked",
                    name=name,
                    wait=True,
                    poll_interval=0.5,
                )
                for name, rows in SETS.items()
            )
        )
    for name, run in zip(SETS, runs, strict=True):
        print(f"{name}: {run.status}, ${run.cost}")
        for result in run.results:
            print(f"  {result.model_id}: {result.quality_mean} [{result.quality_ci_low}, {result.quality_ci_high}]")


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
