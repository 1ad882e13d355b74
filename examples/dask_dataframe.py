"""Answers for a data frame of Dask: `python -m examples.dask_dataframe [tcp://scheduler:8786]`.

PARETA_API_KEY and PARETA_LEDGER_URL (PostgreSQL) are set on the workers. A partition that Dask computes again is free.
"""

import sys
from pathlib import Path
from typing import Any

from pareta_batch import ParetaCompleter

TICKETS = Path(__file__).with_name("tickets.csv")

BATCH = {
    "name": "tickets-of-dask-dataframe",
    "prompt": "Which team should handle this ticket? {ticket}",
    "sampling": {"temperature": 0, "max_tokens": 10},
    "max_in_flight": 16,
    "budget_usd": 1.0,
}


def answers(frame: Any) -> Any:  # data frames of Dask, which has no types here
    """Return the data frame with the columns of answers."""
    completer = ParetaCompleter(BATCH)
    # An empty frame gets the columns. Without `meta`, Dask would ask about rows that it makes up.
    return frame.map_partitions(completer, meta=completer(frame._meta))


if __name__ == "__main__":
    import dask.dataframe as dd
    from distributed import Client

    with Client(*sys.argv[1:2]):
        print(answers(dd.read_csv(TICKETS)).compute()[["id", "answer", "error"]])
