"""Log lines as JSON: one valid object a line, whatever is logged, without keys and passwords."""

import io
import json
import logging
import sys
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pareta_batch.json_log import (
    CONSOLE_CLASS,
    LOG_FORMAT,
    JsonConsole,
    JsonFormatter,
    JsonLines,
    masked,
    use_json_logs,
)
from pareta_batch.run_context import name_run, run_fields


def record(message: object, *args: Any, error: BaseException | None = None, **extra: Any) -> logging.LogRecord:
    info = None if error is None else (type(error), error, error.__traceback__)
    made = logging.LogRecord("pareta", logging.WARNING, "file.py", 1, message, args, info)
    made.__dict__.update(extra)
    return made


def line_of(made: logging.LogRecord) -> dict[str, Any]:
    line = JsonFormatter().format(made)
    assert "\n" not in line
    found: dict[str, Any] = json.loads(line, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    return found


def raised(text: str) -> ValueError:
    """Return an error with a traceback."""
    try:
        raise ValueError(text)  # noqa: TRY301 - for its traceback
    except ValueError as error:
        return error


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner) | st.tuples(inner),
)


@given(st.text(), st.lists(VALUES, max_size=2), st.text(), st.dictionaries(st.text(), VALUES, max_size=3))
def test_whatever_is_logged_is_one_valid_object(
    message: str, args: list[Any], cause: str, fields: dict[str, Any]
) -> None:
    found = line_of(record(message, *args, error=raised(cause), event="pareta.test", fields=fields))
    assert datetime.fromisoformat(found["time"]).utcoffset() == timedelta(0)
    assert (found["level"], found["logger"], found["error"]) == ("WARNING", "pareta", "ValueError")
    assert found["traceback"].startswith("Traceback (most recent call last):\n")
    assert found["event"] == "pareta.test"
    assert isinstance(found["fields"], dict)


def test_a_line_has_the_message_and_what_identifies_the_run() -> None:
    token = run_fields.set({})
    try:
        name_run(flow_run_id="f-1", batch="tickets")
        found = line_of(record("%d rows\nof %s", 3, "tickets"))
    finally:
        run_fields.reset(token)
    moment = datetime.fromisoformat(found.pop("time"))
    assert abs(datetime.now(UTC) - moment) < timedelta(minutes=5)
    assert found == {
        "level": "WARNING",
        "logger": "pareta",
        "message": "3 rows\nof tickets",
        "flow_run_id": "f-1",
        "batch": "tickets",
    }
    assert line_of(record("x", flow_run_id="f-2", task_run_id="t-2"))["flow_run_id"] == "f-2"


@pytest.mark.parametrize(
    "secret",
    ["pareta_sk_4711_secret", "s3cret/key+of=another.form"],
)
def test_no_line_has_a_key_or_a_password(secret: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PARETA_API_KEY", secret)
    url = "postgresql://pareta:hunter2@host/db"
    fields = {"a": [{"b": (secret, url)}], secret: 1}
    made = record("%s", secret, error=raised(f"{secret} at {url}"), event="e", fields=fields)
    line = JsonFormatter().format(made)
    assert json.loads(line)["fields"]["a"] == [{"b": ["pareta_sk_…", "postgresql://pareta:…@host/db"]}]
    assert secret not in line
    assert "hunter2" not in line


@pytest.mark.parametrize("password", ["hunter2", "a/b", "/", "p:q/r?s#t"])
def test_a_password_of_a_url_is_masked_whatever_its_characters(password: str) -> None:
    url = f"postgresql+psycopg://pareta:{password}@host/db"
    assert masked(f"no answer: {url}; retry") == "no answer: postgresql+psycopg://pareta:…@host/db; retry"
    assert masked("at http://127.0.0.1:4200/runs") == "at http://127.0.0.1:4200/runs"


def test_messages_that_are_no_log_lines_are_objects_too() -> None:
    plain = io.StringIO()
    stream = JsonLines(plain)
    print("run: http://x", file=stream)
    print("two\nlines", file=stream)
    stream.write("begun ")
    stream.write("and ended\n\n")
    stream.write("Traceback (most recent call last):\n  File …\nValueError: x\n")
    stream.flush()
    found = [json.loads(line) for line in plain.getvalue().splitlines()]
    assert [(each["level"], each["message"].split("\n")[0]) for each in found] == [
        ("INFO", "run: http://x"),
        ("INFO", "two"),
        ("INFO", "begun and ended"),
        ("ERROR", "Traceback (most recent call last):"),
    ]


def test_only_handlers_of_a_console_are_replaced_and_only_if_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    logger = logging.getLogger("tests.json-log")
    console, other = logging.StreamHandler(sys.stderr), logging.StreamHandler(io.StringIO())
    console.setLevel(logging.ERROR)
    logger.handlers = [console, other]
    monkeypatch.delenv(CONSOLE_CLASS, raising=False)
    monkeypatch.delenv(LOG_FORMAT, raising=False)
    use_json_logs()
    assert logger.handlers == [console, other]
    monkeypatch.setattr(logging.root, "handlers", [other])
    monkeypatch.setenv(CONSOLE_CLASS, "set")
    monkeypatch.setenv(LOG_FORMAT, "JSON")
    use_json_logs()
    kept, replaced = logger.handlers
    logger.handlers = []
    assert kept is other
    assert (type(replaced), replaced.level) == (JsonConsole, logging.ERROR)
