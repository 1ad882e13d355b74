"""Standard streams: they ignore a closed reader, so that a closed terminal does not fail a paid run, or write JSON."""

import errno
import io
import os
import sys
from enum import StrEnum
from typing import TextIO, cast

from pareta_batch import LOG_FORMAT, JsonLines, use_json_logs

READER_GONE = {errno.EPIPE, errno.EIO, errno.ENXIO, errno.EBADF, errno.ECONNRESET}


class _DurableOutput(io.FileIO):
    """File descriptor that is replaced by the null device when its reader is closed.

    With `must_arrive` false, output is dropped on every OSError: a full disk under a log does not end the run.
    """

    def __init__(self, fd: int, *, must_arrive: bool) -> None:
        super().__init__(fd, "w", closefd=False)
        self._must_arrive = must_arrive

    def write(self, content: "memoryview | bytes") -> int:  # type: ignore[override]  # FileIO takes any buffer
        """Write the content, or drop it if the reader is closed."""
        try:
            return super().write(content) or 0
        except OSError as error:
            self._drop_from_now_on()
            if self._must_arrive and error.errno not in READER_GONE:
                sys.stderr.write(f"standard output: {error.strerror}; redirect it, and run the command again\n")
                raise SystemExit(1) from None
        return len(content)

    def _drop_from_now_on(self) -> None:
        with open(os.devnull, "wb") as null:  # noqa: PTH123 - a device
            os.dup2(null.fileno(), self.fileno())


def use_durable_outputs() -> None:
    """Replace the standard streams of this process by streams that ignore a closed reader."""
    sys.stdout = _durable(sys.stdout, must_arrive=True)
    sys.stderr = _durable(sys.stderr, must_arrive=False)


class LogFormat(StrEnum):
    """The format of log lines and messages on standard error."""

    TEXT = "text"
    JSON = "json"


def use_json_lines() -> None:
    """Write log lines and messages of this process as JSON objects, one a line."""
    os.environ[LOG_FORMAT] = LogFormat.JSON.value
    if sys.stderr is not None and not isinstance(sys.stderr, JsonLines):
        sys.stderr = cast(TextIO, JsonLines(sys.stderr))
    use_json_logs()


def _durable(stream: TextIO, *, must_arrive: bool) -> TextIO:
    # A stream that was closed at start is None, which the type stubs omit.
    if stream is None or not isinstance(stream, io.TextIOWrapper):
        return stream
    stream.flush()
    raw: io.RawIOBase = _DurableOutput(stream.fileno(), must_arrive=must_arrive)
    buffer = io.BufferedWriter(raw)
    return io.TextIOWrapper(
        buffer, stream.encoding, stream.errors, line_buffering=stream.line_buffering, write_through=False
    )
