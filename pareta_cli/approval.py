"""Approval of a quote on the terminal, before a flow starts."""

import sys

import typer
from pydantic import BaseModel

from flows.approval import question_of
from flows.approval_errors import Declined
from flows.outcome_table import end_state
from flows.parameters import Pipeline
from flows.quotes import PromotionQuote, WatchQuote
from pareta_batch import Batch
from pareta_cli.options import bad_input
from pareta_cli.quote import make_quote
from pareta_evals import Comparisons


def ask_for_approval(spec: BaseModel) -> None:
    """Ask whether to run a spec whose quote is above `approve_above_usd`; raise typer.Exit unless the answer is yes."""
    if not isinstance(spec, Batch | Comparisons | Pipeline) or spec.approve_above_usd is None:
        return
    quote = make_quote(spec)
    assert not isinstance(quote, PromotionQuote | WatchQuote)
    if (question := question_of(spec, quote)) is None:
        return
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
