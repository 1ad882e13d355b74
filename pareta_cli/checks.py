"""Results of checks, printed as lines or as JSON."""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass

import typer

INDENT = " " * 16


@dataclass(frozen=True)
class Check:
    """The result of one check: its subject, whether it passed, the finding or the problem, and what solves it."""

    subject: str
    ok: bool
    text: str
    fix: str | None = None

    def __str__(self) -> str:
        line = f"{'ok' if self.ok else 'FAULT':6} {self.subject:8} {self.text}".replace("\n", "\n" + INDENT)
        return line if self.fix is None else f"{line}\n{INDENT}fix: {self.fix}"


def print_checks(checks: Iterable[Check], *, as_json: bool) -> None:
    """Print each check as soon as it is done; raise typer.Exit with status 2 if one failed."""
    done = []
    for check in checks:
        done.append(check)
        if not as_json:
            typer.echo(check)
    faults = sum(not check.ok for check in done)
    if as_json:
        typer.echo(json.dumps({"ok": not faults, "checks": [asdict(check) for check in done]}, indent=2))
    if faults:
        typer.echo(f"{faults} of {len(done)} checks failed", err=True)
        raise typer.Exit(2)
