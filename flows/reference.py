"""Tables of docs/prefect.md, generated from the code: `python -m flows.reference` rewrites them."""

from collections.abc import Iterator
from pathlib import Path

from flows.outcome_table import END_STATES, Ending, StopReason
from pareta_client import (
    APIConnectionError,
    APIStatusError,
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


def end_states_table() -> str:
    """Return the table of end states: cause, state, next step, flow retries, exit status."""
    rows = [
        f"| {_cause(ending)} | `{end.state}` | {end.next_step} | {'made' if end.flow_retry else 'cancelled'} "
        f"| {end.exit_status:d} |"
        for ending, end in END_STATES.items()
    ]
    head = ["| cause | state | next step | flow retries | exit status |", "|---|---|---|---|---|"]
    return "\n".join([*head, *rows])


def _cause(ending: Ending) -> str:
    match ending:
        case StopReason.REQUEST_REFUSED:
            return f"`{APIStatusError.__name__}` that no retry can change (`{ending}`)"
        case StopReason.LEDGER_LOST:
            return f"`{ending}` while rows are sent"
        case StopReason.GATE_NOT_REACHED:
            return f"comparison of a promotion incomplete (`{ending}`)"
        case StopReason():
            return f"`{ending}`"
        case _:
            return f"`{ending.__name__}`"


def retries_table() -> str:
    """Return the table of task retries: verdict, its errors, attempts, delay before each retry."""
    delays = ", ".join(f"{delay:.0f} s" for delay in RETRIES["retry_delay_seconds"])
    attempts = f"{1 + RETRIES['retries']} | {delays}, each up to {RETRIES['retry_jitter_factor']:.0%} longer or shorter"
    errors = {verdict: [name for name, error in _errors() if verdict_of(error) is verdict] for verdict in Verdict}
    rows = [
        f"| {verdict.value} | {', '.join(names)} | {attempts if verdict in RETRIED else '1 | –'} |"
        for verdict, names in errors.items()
    ]
    rows.append(f"| rows of a shard left unanswered | `RowsUnanswered` | {attempts} |")
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


TABLES = {"end states": end_states_table, "retries": retries_table}


def with_tables(page: str) -> str:
    """Return the page with its generated tables replaced."""
    for name, table in TABLES.items():
        before, begin, rest = page.partition(f"<!-- {name}: ")
        heading, newline, rest = rest.partition("\n")
        _, end, after = rest.partition(f"<!-- end of {name} -->")
        page = f"{before}{begin}{heading}{newline}{table()}\n{end}{after}"
    return page


if __name__ == "__main__":
    PAGE.write_text(with_tables(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
