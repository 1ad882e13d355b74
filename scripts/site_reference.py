"""Reference pages of the documentation site, written from the code when the site is built."""

import re
from collections.abc import Callable, Mapping
from pathlib import Path

from scripts.site_commands import commands_page
from scripts.site_ledger import ledger_page
from scripts.site_python import python_page
from scripts.site_specs import specs_page

DOCS = Path(__file__).parents[1] / "docs"
CLIENT_ERRORS = (400, 401, 402, 403, 404, 405, 407, 408, 409, 410, 418, 421, 422, 425, 429, 499)
SERVER_ERRORS = (500, 501, 502, 503, 504)
STATUSES = (301, *CLIENT_ERRORS, *SERVER_ERRORS)
"""The statuses with a rule of their own, and one each of redirects, other 4xx and other 5xx."""


def end_states_page() -> str:
    """Return the page of end states, exit statuses and retries."""
    from flows.reference import end_states_table, retries_table

    return "\n\n".join(
        [
            "# End states and retries",
            "[How a run ends](../prefect.md#how-a-run-ends) explains the columns.",
            "## End states",
            end_states_table(),
            "## Retries of tasks",
            retries_table(),
            "## Retries of the client",
            "A failed call of the client, by HTTP status. Every lost connection is transient and sent again.",
            client_table(),
        ]
    )


def client_table() -> str:
    """Return the table of HTTP statuses: error, verdict, whether the client sends again."""
    from pareta_client import error_class, verdict_of
    from pareta_client.retry import retried_by_client

    errors = [error_class(status)("", status_code=status) for status in STATUSES]
    rows = [
        f"| {error.status_code} | `{type(error).__name__}` | {verdict_of(error).value} "
        f"| {'sends again' if retried_by_client(error) else 'raises'} |"
        for error in errors
    ]
    return "\n".join(["| status | error | verdict | client |", "|---|---|---|---|", *rows])


def events_page() -> str:
    """Return the page of events: the section of the page on the Prefect server."""
    page = (DOCS / "prefect.md").read_text(encoding="utf-8")
    section = page.partition("\n## Events\n")[2].partition("\n## ")[0]
    return "# Events\n" + re.sub(r"\]\((?=[\w#])(?!https?:)", "](../", section.replace("](#", "](prefect.md#"))


def decisions_page() -> str:
    """Return the list of decision records."""
    lines = ["# Decisions\n\nWhy the code is as it is, and what would change it.\n"]
    for record in sorted((DOCS / "decisions").glob("*.md")):
        title = record.read_text(encoding="utf-8").partition("\n")[0].lstrip("# ")
        lines.append(f"- [{title}](../decisions/{record.name})")
    return "\n".join(lines)


PAGES: Mapping[str, Callable[[], str]] = {
    "reference/specs.md": specs_page,
    "reference/commands.md": commands_page,
    "reference/end-states.md": end_states_page,
    "reference/events.md": events_page,
    "reference/ledger.md": ledger_page,
    "reference/python.md": python_page,
    "reference/decisions.md": decisions_page,
}
"""Writers of the generated pages by their path below `docs`."""
