"""Percentages, counts and values as reports write them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, overload

from aksp.model.compliance import PRECEDENCE, ComplianceState
from aksp.model.json_text import encode


@overload
def one_decimal(percent: float) -> float: ...
@overload
def one_decimal(percent: float | None) -> float | None: ...
def one_decimal(percent: float | None) -> float | None:
    """Rounded to one decimal. Only a true 100 becomes 100.0, and only a true 0 becomes 0.0. None (nothing judged) stays None."""
    if percent is None:
        return None
    if 0.0 < percent < 100.0:
        return min(max(round(percent, 1), 0.1), 99.9)
    return round(percent, 1)


def percent_cell(percent: float | None) -> str:
    """A percentage in a column of them; a dash where nothing was judged."""
    return "-" if percent is None else str(one_decimal(percent))


def compliance_words(percent: float | None) -> str:
    """As in ``66.7% compliant``."""
    return "nothing judged" if percent is None else f"{one_decimal(percent)}% compliant"


_BARS = "▁▂▃▄▅▆▇█"


def sparkline(values: Sequence[float | None]) -> str:
    """A character per value, scaled from the lowest to the highest; a blank where nothing was measured.

    Values that are all alike are a line in the middle.
    """
    known = [value for value in values if value is not None]
    if not known:
        return " " * len(values)
    low, high = min(known), max(known)
    if low == high:
        return "".join(" " if value is None else _BARS[3] for value in values)
    step = (high - low) / (len(_BARS) - 1)
    return "".join(" " if value is None else _BARS[round((value - low) / step)] for value in values)


def total(counts: Mapping[ComplianceState, int]) -> int:
    """How many were judged: all that can roll up."""
    return sum(counts.get(state, 0) for state in PRECEDENCE)


def value_text(value: Any) -> str:
    """An observed or expected value: text as it is, the rest as JSON, nothing for none."""
    match value:
        case None:
            return ""
        case str():
            return value
        case _:
            return encode(value)


def plural(count: int, noun: str) -> str:
    """A count with its noun, as in ``1 pod``, ``300 pods``, ``2 ingresses``."""
    if count == 1:
        return f"1 {noun}"
    if noun.endswith("y") and noun[-2:-1] not in "aeiou":
        return f"{count} {noun[:-1]}ies"
    return f"{count} {noun}{'es' if noun.endswith(('s', 'x', 'ch')) else 's'}"
