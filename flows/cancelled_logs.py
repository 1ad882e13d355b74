"""Log lines of a cancelled run: a cancelled task is no crash.

Prefect logs "Crash detected!" at ERROR for every task that a Cancel interrupts. Its flow engine logs the end of a
cancelled run at ERROR too. A run that really crashes has a line of its flow at ERROR.
"""

import logging
from functools import partial

INTERRUPTED = "Execution was cancelled by the runtime environment."
CRASHED = f"Crash detected! {INTERRUPTED}"
ENDS = {
    "prefect.task_runs": (CRASHED, f"Finished in state Crashed({INTERRUPTED!r})"),
    "prefect.flow_runs": ("Finished in state Running()", "Finished in state Cancelled('Flow run was cancelled.')"),
}
"""Messages at ERROR that report no error, by the logger."""


def log_cancelled_tasks_as_information() -> None:
    """Lower the level of these messages in this process."""
    for name, messages in ENDS.items():
        logging.getLogger(name).addFilter(partial(_lower, messages))


def _lower(messages: tuple[str, ...], record: logging.LogRecord) -> bool:
    """Keep every record, and lower the level of those that report no error."""
    message = record.getMessage()
    if record.levelno == logging.ERROR and message in messages:
        record.levelno, record.levelname = logging.INFO, logging.getLevelName(logging.INFO)
        if message == CRASHED:
            record.msg, record.args = "Interrupted, because its run is being cancelled.", ()
    return True
