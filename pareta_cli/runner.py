"""Flow run in the process of the command, with progress on the terminal and an exit status."""

import asyncio
from typing import Any

from pydantic import BaseModel

from flows.outcome_table import ExitStatus, end_state
from flows.outcomes import IncompleteRun, end_reason
from flows.signals import run_until_interrupted
from pareta_batch import logs_are_json
from pareta_cli.debugging import print_error, print_traceback
from pareta_cli.progress_bar import messages, show_progress
from pareta_cli.spec_kinds import AnyFlow


def run_flow(flow: AnyFlow, parameter: BaseModel) -> tuple[Any, ExitStatus]:
    """Run a flow to its end and show its progress; return its result, if any, and the exit status."""
    try:
        with show_progress(messages):
            result = run_until_interrupted(lambda: flow(parameter), _notify)
    except IncompleteRun as incomplete:
        _notify(incomplete.message)
        return incomplete.report, end_state(end_reason(incomplete.report)).exit_status
    except asyncio.CancelledError:
        _notify("run cancelled before its end; run it again: only the missing rows are sent")
        return None, ExitStatus.STOPPED
    except SystemExit:
        raise
    except BaseException as error:  # noqa: BLE001 - reported by its class: an interrupt or a signal of Prefect, too
        if logs_are_json():
            print_error(f"{type(error).__name__}: {error}")
        else:
            messages.print(f"{type(error).__name__}: {error}", style="red", markup=False, soft_wrap=True)
        print_traceback(error)
        return None, end_state(error).exit_status
    return result, ExitStatus.DONE


def _notify(text: str) -> None:
    messages.print(text, style="yellow", markup=False, soft_wrap=True)
