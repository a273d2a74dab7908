"""Text from a cluster, made safe to print: nothing in it may steer a terminal or hide itself."""

from __future__ import annotations

import re
import unicodedata

# Everything that becomes a blank: line ends and tabs (a cell is one line), and Unicode's other
# spaces, which look like one.
_BLANK = re.compile(r"[\t\n\r\v\f\x85\u2028\u2029\u00a0\u1680\u2000-\u200a\u202f\u205f\u3000]+")


def safe(text: str) -> str:
    """The text on one line, with every character that does not print written as an escape.

    Those are the control characters (C0, C1, ESC among them), the invisible ones of Unicode's
    category Cf (bidirectional overrides and isolates, zero-width characters), lone surrogates,
    private and unassigned code points. Python's ``isprintable`` is exactly this set.
    """
    if text.isprintable():
        return text
    blanked = _BLANK.sub(" ", text)
    if blanked.isprintable():
        return blanked
    return "".join(char if char.isprintable() else _escape(char) for char in blanked)


def _escape(char: str) -> str:
    code = ord(char)
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def clipped(text: str, longest: int) -> str:
    """The text in at most ``longest`` characters, ended by an ellipsis if it is longer."""
    return text if len(text) <= longest else text[: longest - 1] + "…"


def width_of(text: str) -> int:
    """How many terminal columns a safe text takes."""
    if text.isascii():
        return len(text)
    return sum(_char_width(char) for char in text)


def _char_width(char: str) -> int:
    if unicodedata.combining(char) or unicodedata.category(char) in ("Mn", "Me"):
        return 0
    return 2 if unicodedata.east_asian_width(char) in ("W", "F") else 1


# A word that is longer than its column may be broken after these, which separate the parts of images,
# names and paths.
_SEAMS = frozenset("/@:,;&|=")
_WEAK_SEAMS = _SEAMS | frozenset("-._")
# Two ways to break a text are compared for so many lines.
_AHEAD = 8


def wrap(text: str, width: int) -> list[tuple[int, int]]:
    """Where to break a safe text: (start, end) of each line, none over width columns.

    Breaks at blanks, and inside words only where one is longer than a line, or would leave a short
    word alone before it at the price of a line. Nothing is left out but the blanks at the breaks.
    An empty text is one empty line.
    """
    return _lines(text, 0, width, spare=True) or [(0, 0)]


def _lines(text: str, start: int, width: int, *, spare: bool = False) -> list[tuple[int, int]]:
    """The lines from start on; with ``spare``, without lines that a better break spares."""
    lines: list[tuple[int, int]] = []
    end_of_text = len(text.rstrip(" "))
    while start < end_of_text:
        fits = _fitting(text, start, end_of_text, width)
        if fits == end_of_text:
            lines.append((start, fits))
            break
        end = _break(text, start, fits, width, spare=spare)
        lines.append((start, start + len(text[start:end].rstrip(" "))))
        start = end
        while start < end_of_text and text[start] == " ":
            start += 1
    return lines


def _fitting(text: str, start: int, end: int, width: int) -> int:
    """The furthest end, at least one character on, with which the text from start fits."""
    if text.isascii():
        return min(end, start + max(1, width))
    room = width
    for at in range(start, end):
        room -= _char_width(text[at])
        if room < 0:
            return max(at, start + 1)
    return end


def _break(text: str, start: int, fits: int, width: int, *, spare: bool) -> int:
    """Where to end a line that may reach up to fits."""
    blank = text.rfind(" ", start + 1, fits + 1)
    half = start + (fits - start) // 2
    seam = _last(text, half, fits, _SEAMS) or _last(text, start, fits, _WEAK_SEAMS)
    if blank < 0:
        return seam or fits
    if seam <= blank:
        return blank
    after = text.find(" ", blank + 1)
    following = text[blank + 1 :] if after < 0 else text[blank + 1 : after]
    if width_of(following) > width or (spare and _saves_a_line(text, start, blank, seam, width)):
        return seam
    return blank


def _saves_a_line(text: str, start: int, blank: int, seam: int, width: int) -> bool:
    """Whether the line would be one short word, and ends better at a seam of the long one after it."""
    word = text[start:blank]
    if " " in word or width_of(word) * 3 > width:
        return False
    ahead = text[start : start + _AHEAD * width]  # no more of a long text is compared
    return len(_lines(ahead, seam - start, width)) < len(_lines(ahead, blank + 1 - start, width))


def _last(text: str, start: int, end: int, chars: frozenset[str]) -> int:
    """The position after the last of some characters between start and end; 0 for none."""
    return next((at + 1 for at in range(end - 1, start, -1) if text[at] in chars), 0)
