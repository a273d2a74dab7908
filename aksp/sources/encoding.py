"""How the text of a file is encoded: as UTF-8, or as UTF-16 with a byte order mark, which PowerShell writes."""

from __future__ import annotations

import io
from codecs import BOM_UTF16_BE, BOM_UTF16_LE
from pathlib import Path
from typing import IO

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
        return io.BytesIO(as_utf8(stream.read()))
