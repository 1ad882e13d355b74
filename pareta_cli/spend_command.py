"""The command `spend`: whose money was spent, from the ledger alone."""

import csv
import json
import sys
from collections.abc import Sequence
from contextlib import closing
from dataclasses import asdict
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from pareta_cli.options import AsJson, bad_input, report_bad_input

if TYPE_CHECKING:
    from pareta_batch import Amounts

Lines = list[dict[str, "str | int | None"]]


class Group(StrEnum):
    """Groups of the money."""

    TEAM = "team"
    PROJECT = "project"
    BATCH = "batch"
    MODEL = "model"


def spend(
    by: Annotated[
        list[Group] | None, typer.Option("--by", help="Group of the lines; can be repeated. By default team.")
    ] = None,
    month: Annotated[bool, typer.Option("--month", help="Show each calendar month (UTC) in its own line.")] = False,
    since: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d"], metavar="DATE", help="First day (UTC).")
    ] = None,
    until: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d"], metavar="DATE", help="Last day (UTC), included.")
    ] = None,
    as_json: AsJson = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print the table as CSV, with amounts in micro-USD.")] = False,
) -> None:
    """Show the money spent by team, project, batch or model; replayed, resent and doubtful requests apart.

    The tags `team` and `project` of the specs name the owner.
    """
    from pareta_batch import Ledger, SpendQuery
    from pareta_batch import spend as spent

    if as_json and as_csv:
        raise bad_input("--json and --csv: only one format at a time; leave one of them out")
    if since and until and since > until:
        raise bad_input(f"--since {since:%Y-%m-%d}: later than --until {until:%Y-%m-%d}; exchange them")
    names = list(dict.fromkeys(map(str, by or [Group.TEAM])))
    end = datetime.max if until is None or until.year == datetime.max.year else until + timedelta(days=1)
    with report_bad_input(), closing(Ledger.open()) as ledger:
        found = spent(ledger, SpendQuery(names, month, since or datetime.min, end))
    columns = [*names, *(["month"] if month else [])]
    lines: Lines = [{**dict(zip(columns, key, strict=True)), **asdict(each)} for key, each in found.items()]
    if as_json:
        typer.echo(json.dumps(lines, indent=2, ensure_ascii=False))
    elif as_csv:
        _print_csv(columns, lines)
    else:
        typer.echo(_table(columns, found))


def _print_csv(columns: Sequence[str], lines: Lines) -> None:
    from pareta_batch import Amounts

    writer = csv.DictWriter(sys.stdout, [*columns, *asdict(Amounts())], lineterminator="\n")
    writer.writeheader()
    writer.writerows(lines)


def _table(columns: Sequence[str], found: "dict[tuple[str | None, ...], Amounts]") -> str:
    from pareta_batch import Amounts

    shown = [
        [*(each or f"(no {column})" for column, each in zip(columns, key, strict=True)), *_cells(amounts)]
        for key, amounts in found.items()
    ]
    total = ["total", *[""] * (len(columns) - 1), *_cells(sum(found.values(), Amounts()))]
    head = [*columns, "answers", "billed", "resent", "replayed", "in doubt"]
    widths = [max(map(len, cells)) for cells in zip(head, *shown, total, strict=True)]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if number < len(columns) else cell.rjust(width)
            for number, (cell, width) in enumerate(zip(cells, widths, strict=True))
        ).rstrip()
        for cells in (head, *shown, total)
    )


def _cells(amounts: "Amounts") -> list[str]:
    from pareta_batch import dollars

    def apart(count: int, at_most: int | None) -> str:
        return f"{count:,} (at most {dollars(at_most)})" if count else "0"

    return [
        f"{amounts.answers:,}",
        dollars(amounts.billed_micro_usd),
        f"{amounts.resent:,}",
        apart(amounts.replayed, amounts.replayed_at_most_micro_usd),
        apart(amounts.in_doubt, amounts.in_doubt_at_most_micro_usd),
    ]
