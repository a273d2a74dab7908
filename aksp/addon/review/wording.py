"""The words of an answer: what a developer reads who is refused, or warned. Pure.

Kubernetes, "Dynamic Admission Control": the API server quotes the message of a refusal to its
client, and passes warnings on; it asks to keep a warning below 120 characters and cuts those over 256,
and drops warnings once all together pass 4,096.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from aksp.compliance.plan import Ready
from aksp.model.compliance import SharedResult
from aksp.model.json_text import encode
from aksp.report.text import clipped, safe

#: Characters of a whole refusal. Events about refused Pods hold 1,024 bytes, so what matters comes first.
LONGEST_MESSAGE = 4000
LONGEST_LINE = 900
LONGEST_WARNING = 250
ALL_WARNINGS = 3800
#: Violations for which lines are made: more than an answer has room for, however short they are.
ENOUGH = 400
_LONGEST_VALUE = 160
_CONTAINER = {"initContainers": "init container", "ephemeralContainers": "ephemeral container"}


def violation(result: SharedResult, ready: Ready) -> str:
    """One violation: assignment, container, the rule's message, path, observed, expected, the assignment's own message."""
    finding = result.finding
    container, path, expected = finding.container, finding.path, finding.expected
    text = finding.message
    if container is not None:
        text = f"{_CONTAINER.get(container.type, 'container')} {container.name}: {text}"
    if path is not None and expected is not None:
        text = f"{text} ({path} is {_value(finding.observed)}, expected {_value(expected)})"
    elif path is not None:
        text = f"{text} ({path} is {_value(finding.observed)})"
    elif expected is not None:
        text = f"{text} (expected {_value(expected)})"
    if own := ready.assignment.non_compliance_message:
        text = f"{text} {own}"
    return clipped(_head(result.assignment.name) + safe(text), LONGEST_LINE)


def unjudged(assignment: str, message: str) -> str:
    """An assignment that could not be judged."""
    return clipped(safe(f"[{assignment}] could not be judged: {message}"), LONGEST_LINE)


def unnamed(assignment: str, line: str) -> str:
    """A line of a violation, or of what could not be judged, for where the assignment is told besides."""
    return line.removeprefix(_head(assignment))


@lru_cache
def _head(assignment: str) -> str:
    """What lines about an assignment begin with."""
    return safe(f"[{assignment}] ")


def doubt(why: str) -> str:
    """Why an exemption by workload does not apply."""
    return clipped(safe(f"its owner does not count for exemptions: {why}"), LONGEST_LINE)


def refusal(lines: Sequence[str], more: int = 0, *, cut: bool = False) -> str:
    """The message of a refusal: a line for each reason; what does not fit is counted, with ``more`` that have no line.

    With ``cut`` not all of them were looked for.
    """
    return "\n".join(_bounded(lines, LONGEST_MESSAGE, LONGEST_LINE, more, cut))


def warnings(lines: Sequence[str], more: int = 0, *, cut: bool = False) -> tuple[str, ...]:
    """The warnings; what does not fit is counted, with ``more`` that have no line, as in a refusal."""
    return tuple(_bounded(list(dict.fromkeys(lines)), ALL_WARNINGS, LONGEST_WARNING, more, cut))


def _bounded(lines: Sequence[str], total: int, each: int, more: int, cut: bool) -> list[str]:
    kept: list[str] = []
    for at, line in enumerate(lines):
        line = clipped(line, each)
        total -= len(line) + 1
        if total < 0:
            more += len(lines) - at
            break
        kept.append(line)
    if cut:
        return [*kept, f"and at least {more} more" if more else "and perhaps more"]
    return [*kept, f"and {more} more"] if more else kept


def _value(value: Any) -> str:
    if value is None:
        return "not set"
    if isinstance(value, str):
        # Regular expressions are best read as they are written.
        text = value if " " in value else f'"{value}"'
    else:
        # The encoder takes ten times as long for a number alone.
        text = str(value) if type(value) is int else encode(value)
    return clipped(text, _LONGEST_VALUE)
