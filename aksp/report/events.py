"""What changes in a watched cluster, a line each: for people and their pipes, and as JSON."""

from __future__ import annotations

from typing import Final

from aksp.model.assignment import PRINTED_VERSION
from aksp.model.compliance import ComplianceState
from aksp.model.event import Event
from aksp.model.times import rfc3339
from aksp.report import wire
from aksp.report.figures import one_decimal
from aksp.report.formats.json import encode_readable
from aksp.report.text import safe, width_of

_COLUMNS = ("TIME", "CHANGE", "NAMESPACE", "RESOURCE", "CONTAINER", "ASSIGNMENT", "STATE", "MESSAGE")
#: Widths that usually suffice. Later lines are not known yet, so longer cells just move the rest.
_WIDTHS = (20, 8, 14, 36, 16, 22, 12, 0)

KIND: Final = "ComplianceEvent"


def heading() -> str:
    """The names of the columns."""
    return _line(_COLUMNS)


def line(event: Event) -> str:
    """One change in columns. None of them but the last, the message, has blanks in it."""
    result, gap = event.result, event.gap
    if result is None:
        assert gap is not None  # an event is about one of the two
        about = str(gap.resource) if gap.resource is not None and str(gap.resource) not in gap.message else ""
        cells = ["-", "-", "-", "-", _word(gap.reason), safe(f"{about}: {gap.message}" if about else gap.message)]
    else:
        resource, container = result.resource, result.finding.container
        cells = [
            _word(resource.namespace),
            _word(f"{resource.kind}/{resource.name}"),
            _word(container.name if container else ""),
            _word(result.assignment.name),
            result.state.value,
            safe(_message(event)),
        ]
    return _line((rfc3339(event.at), event.type.value, *cells))


def json_line(event: Event, state: ComplianceState, percent: float | None) -> str:
    """One change as one line of JSON, what it is about as in a report; state and percentage are those of the whole after it."""
    document = {
        "apiVersion": PRINTED_VERSION,
        "kind": KIND,
        "type": event.type.value,
        "at": rfc3339(event.at),
        "result": wire.result(event.result) if event.result is not None else None,
        "before": wire.result(event.before) if event.before is not None else None,
        "gap": wire.gap(event.gap) if event.gap is not None else None,
        "gone": event.gone,
        "state": state.value,
        "compliancePercent": one_decimal(percent),
    }
    return encode_readable(document)


def _message(event: Event) -> str:
    result = event.result
    assert result is not None
    message = result.finding.message
    if event.gone:
        return f"{message} (the {result.resource.kind} is gone)".lstrip()
    if event.before is not None and event.before.state is not result.state:
        return f"{message} (was {event.before.state})".lstrip()
    return message


def _line(cells: tuple[str, ...]) -> str:
    padded = (text + " " * (width - width_of(text)) for text, width in zip(cells, _WIDTHS, strict=True))
    return "  ".join(padded).rstrip()


def _word(text: str) -> str:
    """A cell without blanks, so that scripts can split a line at blanks."""
    return safe(text).replace(" ", "\\x20") or "-"
