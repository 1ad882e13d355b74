"""The tables in docs/prefect.md, made from the code: `python -m flows.reference` writes them anew."""

from collections.abc import Iterator
from pathlib import Path

from flows.outcome_table import REASONS
from pareta_client import (
    APIConnectionError,
    APITimeoutError,
    DeployError,
    EndpointWaitTimeoutError,
    EvalWaitTimeoutError,
    MalformedReplyError,
    ParetaError,
    ScoringUndecidedError,
    UploadError,
    Verdict,
    error_class,
    verdict_of,
)
from tasks import RETRIED, RETRIES

PAGE = Path("docs/prefect.md")


def endings_table() -> str:
    """Say of each error in which state it ends a run, what to do next, and whether flow retries are made."""
    rows = [
        f"| `{error}` | `{reason.state}` | {reason.next_step} | {'made' if reason.retry_helps else 'given up'} |"
        for error, reason in REASONS.items()
    ]
    return "\n".join(["| what ended it | state | next step | flow retries |", "|---|---|---|---|", *rows])


def retries_table() -> str:
    """Say of each verdict which errors have it, how often a task is tried, and how long it waits before each retry."""
    delays = ", ".join(f"{delay:.0f} s" for delay in RETRIES["retry_delay_seconds"])
    again = f"{1 + RETRIES['retries']} | {delays}, each up to {RETRIES['retry_jitter_factor']:.0%} longer or shorter"
    which = {verdict: [name for name, error in _errors() if verdict_of(error) is verdict] for verdict in Verdict}
    rows = [
        f"| {verdict.value} | {', '.join(names)} | {again if verdict in RETRIED else '1 | –'} |"
        for verdict, names in which.items()
    ]
    rows.append(f"| rows of a shard left unanswered | `RowsUnanswered` | {again} |")
    rows.append("| anything else | a bad dataset, a ledger out of reach, a bug | 1 | – |")
    return "\n".join(["| verdict | errors | attempts | waits before a retry |", "|---|---|---|---|", *rows])


def _errors() -> Iterator[tuple[str, ParetaError]]:
    for status in (400, 401, 402, 403, 404, 408, 409, 422, 429, 500, 502, 503, 504):
        error = error_class(status)("", status_code=status)
        yield f"`{type(error).__name__}` {status}", error
    for other in (
        APIConnectionError(),
        APITimeoutError(),
        MalformedReplyError(""),
        EvalWaitTimeoutError("", waited=0),
        EndpointWaitTimeoutError("", waited=0),
        DeployError(""),
        UploadError(""),
        ScoringUndecidedError(""),
    ):
        yield f"`{type(other).__name__}`", other


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
