"""JSON whose numbers keep their text, from what the engine says of a document to the report.

Python's own numbers would change some of them (``1e400`` becomes infinite, ``1e3`` becomes ``1000.0``), and it refuses
to read or write integers of more than 4,300 digits.
"""

from __future__ import annotations

import functools
import json
import math
import re
from collections.abc import Callable
from typing import Any, Final

import msgspec

#: Digits of the longest integer that Python reads and writes whatever it is told (sys.int_info.str_digits_check_threshold).
_DIGITS: Final = 640


class Number:
    """A JSON number that no number of Python is written like: its text, as it was read.

    It is no dataclass and no struct: msgspec would write one as an object.
    """

    __slots__ = ("text",)

    def __init__(self, text: str) -> None:
        self.text: Final = text

    def __repr__(self) -> str:
        return self.text

    def __eq__(self, other: object) -> bool:
        return self.text == other.text if isinstance(other, Number) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.text)


def _whole(text: str) -> int | Number:
    if len(text) <= _DIGITS and str(whole := int(text)) == text:
        return whole
    return Number(text)


def _fraction(text: str) -> float | Number:
    value = float(text)
    # PyYAML writes a point into a float that has none: 1e-05 becomes 1.0e-05. msgspec leaves out the plus of 1.5e+20.
    return value if repr(value) == text and "." in text and "e" not in text else Number(text)


def _refused(name: str) -> Any:
    raise ValueError(f"{name} is not a number in JSON")


_DECODER: Final = json.JSONDecoder(parse_int=_whole, parse_float=_fraction, parse_constant=_refused)
_FAST: Final = msgspec.json.Decoder(float_hook=_fraction)


def decode(text: str) -> Any:
    """The value of a JSON text; a number that Python would change is a Number. Raises ValueError."""
    # In a third of the time. Whole numbers are Python's there: -0 would be 0, and long ones are too long for it.
    if len(text) <= _DIGITS and "-0" not in text:
        try:
            return _FAST.decode(text)
        except (ValueError, RecursionError):
            pass  # JSON may hold a lone surrogate. For all else the one below has the words.
    try:
        # Without a look for white space around it, which takes as long as a short text.
        value, end = _DECODER.scan_once(text, 0)  # type: ignore[attr-defined]
    except StopIteration:
        end = -1
    return value if end == len(text) else _DECODER.decode(text)


def _held_whole(text: str) -> int:
    value = _whole(text)
    if isinstance(value, Number) and text != "-0":
        raise ValueError(f"an integer of {len(text)} digits is too long")
    return 0 if isinstance(value, Number) else value


def _held_fraction(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"the number {text[:40]} is too large")
    return value


_HELD: Final = json.JSONDecoder(parse_int=_held_whole, parse_float=_held_fraction, parse_constant=_refused).decode


def decode_held(text: str) -> Any:
    """The value of a JSON text that is computed with, as in definitions. Raises ValueError for a number too large for that."""
    return _HELD(text)


class _HasNumber(Exception):
    """There is a Number in the value, which the fast way cannot write."""


def encode(
    value: Any, *, ascii_only: bool = False, indent: int | None = None, compact: bool = False, sort_keys: bool = False
) -> str:
    """A value as JSON text, with every Number as it was read. Raises ValueError for NaN and for infinite floats."""
    options = (ascii_only, indent, compact, sort_keys)
    try:
        return _plain(*options).encode(value)
    except _HasNumber:
        pass
    # Python's encoder writes a placeholder for a value that it does not know. The placeholder is random, so that no text of a
    # document equals it.
    import secrets

    mark = secrets.token_hex(16)
    numbers: list[str] = []

    def marked(one: Any) -> str:
        numbers.append(_kept(one).text)
        return f"{mark}{len(numbers) - 1}"

    text = _encoder(*options, default=marked).encode(value)
    return re.sub(rf'"{mark}([0-9]+)"', lambda found: numbers[int(found[1])], text)


@functools.cache
def _plain(*options: Any) -> json.JSONEncoder:
    """The encoder of values without a Number: made once, since a report has 33,000 results."""

    def stop(one: Any) -> Any:
        _kept(one)
        raise _HasNumber

    return _encoder(*options, default=stop)


def _kept(one: Any) -> Number:
    if isinstance(one, Number):
        return one
    raise TypeError(f"JSON has nothing like a {type(one).__name__}")


def _encoder(
    ascii_only: bool, indent: int | None, compact: bool, sort_keys: bool, *, default: Callable[[Any], Any]
) -> json.JSONEncoder:
    return json.JSONEncoder(
        ensure_ascii=ascii_only,
        indent=indent,
        separators=(",", ":") if compact else None,
        sort_keys=sort_keys,
        allow_nan=False,
        default=default,
    )
