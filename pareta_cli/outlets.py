"""Standard output and error that go quiet when their reader is gone: a paid run must not fail for a closed terminal."""

import errno
import io
import os
import sys
from typing import TextIO

READER_GONE = {errno.EPIPE, errno.EIO, errno.ENXIO, errno.EBADF, errno.ECONNRESET}


class _Outlet(io.FileIO):
    """A file descriptor that becomes the null device once nobody reads it any more.

    Messages (`must_arrive` false) are dropped for any error of the system: a full disk under a log ends no run.
    """

    def __init__(self, fd: int, *, must_arrive: bool) -> None:
        super().__init__(fd, "w", closefd=False)
        self._must_arrive = must_arrive

    def write(self, content: "memoryview | bytes") -> int:  # type: ignore[override]  # a buffer, as FileIO takes
        """Write; what cannot be written any more is dropped."""
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


def make_outlets_last() -> None:
    """Replace the standard streams of this process by ones that outlive their reader."""
    sys.stdout = _lasting(sys.stdout, must_arrive=True)
    sys.stderr = _lasting(sys.stderr, must_arrive=False)


def _lasting(stream: TextIO, *, must_arrive: bool) -> TextIO:
    # The type stubs do not say that a stream that was closed at start is None.
    if stream is None or not isinstance(stream, io.TextIOWrapper):
        return stream
    stream.flush()
    raw: io.RawIOBase = _Outlet(stream.fileno(), must_arrive=must_arrive)
    buffer = io.BufferedWriter(raw)
    return io.TextIOWrapper(
        buffer, stream.encoding, stream.errors, line_buffering=stream.line_buffering, write_through=False
    )
