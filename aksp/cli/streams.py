"""The standard streams of the process: one that is closed or full, or whose reader has gone."""

from __future__ import annotations

import errno
import io
import os
import sys
from typing import Any

from aksp.errors import InvalidInput


class ReaderGone(Exception):
    """The reader of standard output has stopped reading.

    It is no BrokenPipeError, since any pipe or socket may raise that, and typer and rich turn it into an exit.
    """


class Stream(io.TextIOWrapper):
    """A stream that tells its first failure, and drops all that is written after it.

    It uses the existing buffer. A raw stream in Python could be interrupted after it has written and before it returns the
    count; the buffer would then write the same again.
    """

    def __init__(self, stream: Any, *, encoding: str | None = None) -> None:
        super().__init__(
            stream.buffer,
            encoding=encoding or stream.encoding,
            errors="backslashreplace",
            line_buffering=stream.line_buffering,
            write_through=stream.write_through,
        )
        self._stream = stream  # it would close its buffer when it is collected

    def write(self, text: str, /) -> int:
        try:
            return super().write(text)
        except OSError as error:
            self._fail(error)
            return len(text)

    def flush(self) -> None:
        try:
            super().flush()
        except OSError as error:
            self._fail(error)

    def _fail(self, error: OSError) -> None:
        # What is left in the buffer is written when the process ends, and must not fail.
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self.fileno())
        os.close(nowhere)
        self._tell(error)

    def _tell(self, error: OSError) -> None:
        """Does nothing: that standard error cannot be written cannot be told."""


class Output(Stream):
    """Standard output: writing to it raises InvalidInput or ReaderGone."""

    def _tell(self, error: OSError) -> None:
        if isinstance(error, BrokenPipeError):
            raise ReaderGone from error
        why = "it is closed" if error.errno == errno.EBADF else error.strerror
        raise InvalidInput(f"standard output cannot be written: {why}") from error


def prepare() -> None:
    """Make the streams of this process such that what cannot be written is told once, as an error or not at all.

    Afterwards writing to standard output raises InvalidInput or ReaderGone, and writing to standard error nothing.
    Standard input stays None when it is closed.
    """
    for descriptor, mode in enumerate((os.O_WRONLY, os.O_RDONLY, os.O_RDONLY)):
        try:
            os.fstat(descriptor)
        except OSError:
            # Else the next file that is opened would become the stream. This one fails when it is used.
            os.open(os.devnull, mode)
    # Names may be outside ASCII, whatever the locale is, and documents must contain them.
    sys.stdout = Output(sys.stdout or _opened(1), encoding="utf-8")
    sys.stderr = Stream(sys.stderr or _opened(2))


def _opened(descriptor: int) -> io.TextIOWrapper:
    return open(descriptor, "w", encoding="utf-8", errors="backslashreplace", closefd=False)
