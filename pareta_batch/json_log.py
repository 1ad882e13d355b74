"""Log lines as JSON, one object a line, by one setting: `PARETA_LOG_FORMAT=json`.

Names no class of Prefect and imports nothing of it: Prefect loads `JsonConsole` while it is imported itself.
"""

import io
import json
import logging
import os
import re
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, TextIO, TypeGuard

from pareta_batch.run_context import run_fields

LOG_FORMAT = "PARETA_LOG_FORMAT"
CONSOLE_CLASS = "PREFECT_LOGGING_HANDLERS_CONSOLE_CLASS"
"""Variable with the class of Prefect's console handler; processes that this one starts inherit it."""
KEY = "PARETA_API_KEY"
TRACEBACK = "Traceback (most recent call last)"
OF_PREFECT = ("flow_run_id", "task_run_id")

_KEYS = re.compile(r"pareta_sk_[A-Za-z0-9_-]+")
# A password may have a slash.
_PASSWORDS = re.compile(r"(://[^/\s:@]*:)[^\s@\"]+@")


def masked(text: str) -> str:
    """Return a text without API keys and without passwords in URLs."""
    if (key := os.environ.get(KEY)) and len(key) > 3:
        text = text.replace(key, "pareta_sk_…")
    return _PASSWORDS.sub(r"\1…@", _KEYS.sub("pareta_sk_…", text))


class JsonFormatter(logging.Formatter):
    """Formatter of one JSON object a line: time, level, logger, message, and the fields that are known."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as one line; keys and passwords are masked."""
        fields: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": _message(record),
            **run_fields.get(),
            **{name: str(value) for name in OF_PREFECT if (value := getattr(record, name, None))},
        }
        if (event := getattr(record, "event", None)) is not None:
            fields |= {"event": event, "fields": getattr(record, "fields", {})}
        if record.exc_info and record.exc_info[0] is not None:
            fields |= {"error": record.exc_info[0].__name__, "traceback": self.formatException(record.exc_info)}
        elif record.exc_text:
            fields |= {"traceback": record.exc_text}
        if record.stack_info:
            fields |= {"stack": record.stack_info}
        return json.dumps(_masked(fields), default=str, ensure_ascii=False)


class JsonConsole(logging.StreamHandler[TextIO]):
    """Console handler of Prefect's logging configuration, with JSON lines."""

    def __init__(self, stream: TextIO | None = None, styles: Mapping[str, str] | None = None) -> None:
        super().__init__(getattr(stream, "plain", stream))
        self.formatter = JsonFormatter()

    def setFormatter(self, fmt: logging.Formatter | None) -> None:  # noqa: N802 - the name of the base class
        """Keep the own formatter: the configuration names one of Prefect's."""


class JsonLines(io.TextIOBase):
    """Standard error whose plain text is written as JSON lines, too; `plain` is the stream below."""

    def __init__(self, plain: TextIO) -> None:
        self.plain = plain
        self._text = ""

    def write(self, text: str) -> int:
        """Write the text as one object, once it ends with its line."""
        self._text += text
        if self._text.endswith("\n"):
            complete, self._text = self._text.strip(), ""
            if complete:
                level = logging.ERROR if TRACEBACK in complete else logging.INFO
                record = logging.LogRecord("pareta_cli", level, "", 0, "%s", (complete,), None)
                self.plain.write(JsonFormatter().format(record) + "\n")
        return len(text)

    def flush(self) -> None:
        """Write what was buffered below."""
        self.plain.flush()

    def fileno(self) -> int:
        """Return the file descriptor of the stream below."""
        return self.plain.fileno()


def logs_are_json() -> bool:
    """Return whether the setting asks for JSON."""
    return os.environ.get(LOG_FORMAT, "").strip().lower() == "json"


def use_json_logs() -> None:
    """Write the log lines of this process, and of those that it starts, as JSON, if the setting asks for it.

    Every handler of a console is replaced; files and the Prefect API are left alone.
    """
    if not logs_are_json():
        return
    os.environ.setdefault(CONSOLE_CLASS, f"{JsonConsole.__module__}.{JsonConsole.__name__}")
    named = (each for each in logging.root.manager.loggerDict.values() if isinstance(each, logging.Logger))
    for logger in (logging.root, *named):
        for handler in filter(_is_console, list(logger.handlers)):
            console = JsonConsole(handler.stream)
            console.setLevel(handler.level)
            logger.removeHandler(handler)
            logger.addHandler(console)
    if not logging.root.handlers:
        logging.root.addHandler(JsonConsole(sys.stderr))


def _is_console(handler: logging.Handler) -> TypeGuard["logging.StreamHandler[TextIO]"]:
    if not isinstance(handler, logging.StreamHandler) or isinstance(handler, JsonConsole):
        return False
    return handler.stream in (sys.stderr, sys.stdout, sys.__stderr__, sys.__stdout__)


def _message(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except Exception as error:  # noqa: BLE001 - a line with the wrong arguments is still a line
        return f"{record.msg} {record.args!r} ({type(error).__name__}: {error})"


def _masked(value: Any) -> Any:  # JSON
    match value:
        case str():
            return masked(value)
        case Mapping():
            return {masked(str(name)): _masked(inner) for name, inner in value.items()}
        case list() | tuple():
            return [_masked(inner) for inner in value]
        case float() if value != value or value in (float("inf"), float("-inf")):
            return str(value)
        case int() | float() | None:
            return value
        case _:
            return masked(str(value))
