"""Answers for a dataset of Ray: `python -m examples.ray_data`.

PARETA_API_KEY and PARETA_LEDGER_URL (PostgreSQL) are set on the workers. A block that Ray computes again is free.
"""

from pathlib import Path
from typing import Any

from pareta_batch import ParetaCompleter

TICKETS = Path(__file__).with_name("tickets.csv")

BATCH = {
    "name": "tickets-of-ray",
    "prompt": "Which team should handle this ticket? {ticket}",
    "sampling": {"temperature": 0, "max_tokens": 10},
    "max_in_flight": 16,
    "budget_usd": 1.0,
}


def answers(dataset: Any, rows_per_block: int = 20, actors: int = 2) -> Any:  # datasets of Ray
    """Return the dataset with the columns of answers; all actors share `max_in_flight`."""
    return dataset.repartition(target_num_rows_per_block=rows_per_block).map_batches(
        ParetaCompleter,
        fn_constructor_kwargs={"batch": BATCH},
        batch_size=rows_per_block,
        batch_format="pyarrow",
        concurrency=actors,
    )


if __name__ == "__main__":
    import ray

    print(answers(ray.data.read_csv(str(TICKETS))).to_pandas()[["id", "answer", "error"]])
