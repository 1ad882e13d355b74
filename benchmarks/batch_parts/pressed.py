"""One batch against a limited service: `python pressed.py URL KEY ROWS FOLDER`; prints its figures as JSON.

It runs with the code of the checkout in PYTHONPATH, and uses only what every checkout has.
"""

import asyncio
import json
import resource
import sys
from pathlib import Path

from pareta_batch.ledger.ledger import Ledger
from pareta_batch.run import run_batch
from pareta_batch.spec import Batch, Sampling
from pareta_client import AsyncPareta


def batch_of(rows: int, folder: Path) -> Batch:
    """Create a batch of `rows` rows."""
    dataset = folder / "rows.jsonl"
    dataset.write_text("".join(json.dumps({"id": n, "text": f"Invoice {n} is wrong."}) + "\n" for n in range(rows)))
    return Batch(
        name="pressure",
        model="ep_seed_tickets",
        dataset=str(dataset),
        prompt="Which team? {text}",
        id_column="id",
        sampling=Sampling(max_tokens=10),
        max_in_flight=64,
        output=str(folder / "answers.jsonl"),
    )


def main() -> None:
    url, key, rows, folder = sys.argv[1:]
    client = AsyncPareta(api_key=key, base_url=url)
    report = asyncio.run(
        run_batch(batch_of(int(rows), Path(folder)), client, Ledger.open(f"sqlite:///{folder}/ledger.db"))
    )
    used = resource.getrusage(resource.RUSAGE_SELF)
    figures = {
        "settled": report.settled,
        "refused": report.refused,
        "failed": report.failed,
        "cpu_s": used.ru_utime + used.ru_stime,
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
