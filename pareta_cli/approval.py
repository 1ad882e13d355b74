"""Approval of a quote on the terminal, before anything is sent."""

import sys
from collections.abc import Callable, Sequence
from typing import TypeVar

import typer
from pydantic import BaseModel

from flows.approval import question_of
from flows.approval_errors import Declined
from flows.outcome_table import end_state
from flows.parameters import Pipeline
from flows.quotes import PromotionQuote, WatchQuote
from pareta_batch import ALL_UNSETTLED, ApprovalNeeded, Batch, RowSelection
from pareta_cli.options import bad_input
from pareta_cli.quote import make_quote
from pareta_evals import Comparisons

T = TypeVar("T")


def ask_for_approval(spec: BaseModel, retried: Sequence[str] | None = None) -> None:
    """Ask whether to run a spec whose quote is above `approve_above_usd`; raise typer.Exit unless the answer is yes.

    `retried`: error classes of the failed rows to send again, empty for all retryable ones; None for all rows.
    """
    if not isinstance(spec, Batch | Comparisons | Pipeline) or spec.approve_above_usd is None:
        return
    wanted = ALL_UNSETTLED if retried is None else RowSelection(only_failed=True, errors=tuple(retried))
    quote = make_quote(spec, wanted=wanted)
    assert not isinstance(quote, PromotionQuote | WatchQuote)
    if (question := question_of(spec, quote)) is not None:
        _confirm(question)


def with_approval(work: Callable[[bool], T], *, approved: bool) -> T:
    """Return the result of `work(approved)`; if it needs an approval, ask for it and call `work(True)`.

    Raises typer.Exit unless the answer is yes.
    """
    try:
        return work(approved)
    except ApprovalNeeded as needed:
        _confirm(needed.question)
    return work(True)


def _confirm(question: str) -> None:
    if not is_terminal():
        raise bad_input(f"{question}: no terminal to ask on; pass --yes, or raise approve_above_usd")
    typer.echo(question, err=True)
    try:
        answer = typer.confirm("run it?", err=True)
    except typer.Abort:
        answer = False
    if not answer:
        raise bad_input("Declined: nothing was sent", status=end_state(Declined()).exit_status)


def is_terminal() -> bool:
    """Check whether a person can answer."""
    return sys.stdin.isatty()
