"""The tables in docs/prefect.md, made from the code: `python -m flows.reference` writes them anew."""

from pathlib import Path

from flows.reasons import REASONS
from pareta_client.retry import Verdict
from tasks.retries import RETRIED, RETRIES

PAGE = Path("docs/prefect.md")


def endings_table() -> str:
    """Say of each error in which state it ends a run, what to do next, and whether flow retries are made."""
    rows = [
        f"| `{error}` | `{reason.state}` | {reason.next_step} | {'made' if reason.retry_helps else 'given up'} |"
        for error, reason in REASONS.items()
    ]
    return "\n".join(["| what ended it | state | next step | flow retries |", "|---|---|---|---|", *rows])


def retries_table() -> str:
    """Say of each verdict how often a task is tried, and how long it waits before each retry."""
    delays = ", ".join(f"{delay:.0f} s" for delay in RETRIES["retry_delay_seconds"])
    jitter = f"{RETRIES['retry_jitter_factor']:.0%}"
    again = f"{1 + RETRIES['retries']} | {delays}, up to {jitter} more"
    rows = [f"| {verdict.value} | {again if verdict in RETRIED else '1 | –'} |" for verdict in Verdict]
    rows.append(f"| rows of a shard left unanswered | {again} |")
    return "\n".join(["| verdict | attempts | waits before a retry |", "|---|---|---|", *rows])


TABLES = {"endings": endings_table, "retries": retries_table}


def written(page: str) -> str:
    """Give the page with its tables made anew."""
    for name, table in TABLES.items():
        before, begin, rest = page.partition(f"<!-- {name}: ")
        heading, newline, rest = rest.partition("\n")
        _, end, after = rest.partition(f"<!-- end of {name} -->")
        page = f"{before}{begin}{heading}{newline}{table()}\n{end}{after}"
    return page


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
