"""Reference page of the ledger's schema, from its SQLAlchemy tables and the comments above them."""

import re
from inspect import getsource

import sqlalchemy as sa

from pareta_batch.ledger import run_tables, schema

COMMENTED = re.compile(r'((?:^# .*\n)*)^\w+ = sa\.Table\(\s*"(\w+)"', re.MULTILINE)
INTRODUCTION = """# Ledger

The tables of version {version}, generated from the code. Read them with any SQL client; write to none of them.
Times are UTC.
[The ledger](../batch.md#the-ledger) describes databases, locks and migration.
"""


def ledger_page() -> str:
    """Return the page with the columns of every table."""
    comments = _comments()
    sections = [_section(table, comments.get(table.name, "")) for table in schema.metadata.sorted_tables]
    return "\n\n".join([INTRODUCTION.format(version=schema.VERSION), *sections])


def _comments() -> dict[str, str]:
    source = "\n".join(getsource(module) for module in (schema, run_tables))
    return {name: re.sub(r"^# ?", "", text, flags=re.MULTILINE).strip() for text, name in COMMENTED.findall(source)}


def _section(table: sa.Table, comment: str) -> str:
    lines = [f"## {table.name}", "", comment, "", "| column | type | key | may be null |", "|---|---|---|---|"]
    for column in table.columns:
        key = "primary" if column.primary_key else "index" if column.index else ""
        lines.append(f"| `{column.name}` | `{column.type}` | {key} | {'yes' if column.nullable else 'no'} |")
    return "\n".join(lines)
