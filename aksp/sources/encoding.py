"""How the text of a file is encoded: as UTF-8, or as UTF-16 with a byte order mark, which PowerShell writes."""

from __future__ import annotations

from codecs import BOM_UTF16_BE, BOM_UTF16_LE

_MARKS = (BOM_UTF16_LE, BOM_UTF16_BE)


def as_utf8(raw: bytes) -> bytes:
    """The text in UTF-8, as kubectl reads a file. What is no text at all stays as it is, for the engine to tell."""
    if not raw.startswith(_MARKS):
        return raw
    try:
        return raw.decode("utf-16").encode()
    except UnicodeError:
        return raw
