"""How the text of a file is encoded: as UTF-8, or as UTF-16 with a byte order mark, which PowerShell writes."""

from __future__ import annotations

import io
import os
from codecs import BOM_UTF16_BE, BOM_UTF16_LE
from pathlib import Path
from typing import IO

#: Bytes of the longest text without a line of ---, as a list of kubectl's is one: what the engine takes at once
#: (engine/frame.go, maxBody), less what is sent with it.
LONGEST_TEXT = 1023 << 20
_MARKS = (BOM_UTF16_LE, BOM_UTF16_BE)


def as_utf8(raw: bytes) -> bytes:
    """The text in UTF-8, as kubectl reads a file. What is no text at all stays as it is, for the engine to tell."""
    if not raw.startswith(_MARKS):
        return raw
    try:
        return raw.decode("utf-16").encode()
    except UnicodeError:
        return raw


def open_utf8(path: Path) -> IO[bytes]:
    """A file's text in UTF-8, to be read. Raises OSError."""
    stream = path.open("rb")
    mark = stream.read(len(BOM_UTF16_LE))
    stream.seek(0)
    if as_utf8(mark) == mark:
        return stream
    with stream:
        if (size := os.fstat(stream.fileno()).st_size) > LONGEST_TEXT:
            raise too_long(size)
        return io.BytesIO(as_utf8(stream.read()))


def too_long(size: int) -> OSError:
    """Why a text of so many bytes is not read."""
    return OSError(
        f"has {size >> 20:,} MiB, and of what no line of --- divides {LONGEST_TEXT >> 20:,} MiB are read at most:"
        " write its objects into several files"
    )
