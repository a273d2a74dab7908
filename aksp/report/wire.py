"""The report as JSON values: the contract with scripts, apart from the classes of the model."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from enum import StrEnum
from operator import attrgetter
from typing import Any, Final

from msgspec import Struct

from aksp.model.assignment import PRINTED_VERSION
from aksp.model.compliance import ComplianceState, Counts, Gap, Report, Result, SourceLocation
from aksp.model.resource import Resource
from aksp.model.times import rfc3339
from aksp.report.fields import NAMED, OBJECTS
from aksp.report.figures import one_decimal
from aksp.report.interface import Show

KIND: Final = "ComplianceReport"

#: A JSON object.
Wire = dict[str, Any]


def head(report: Report) -> Wire:
    """Everything before the results."""
    return {"apiVersion": PRINTED_VERSION, "kind": KIND, **_written(report, HEAD)}


def results(report: Report, show: Show) -> Iterator[Wire]:
    """The results one at a time: a large cluster has more than fit in memory twice."""
    return (result(each) for each in shown(report, show))


def gaps(report: Report) -> Iterator[Wire]:
    """The gaps one at a time."""
    return (gap(each) for each in report.gaps)


def shown(report: Report, show: Show) -> Iterator[Result]:
    """The results that are asked for, in the report's order."""
    everything = show == Show.ALL
    return (each for each in report.results if everything or each.state is not ComplianceState.COMPLIANT)


def result(result: Result) -> Wire:
    """One result."""
    return {name: read(result) for name, read in _SHAPE}


def gap(gap: Gap) -> Wire:
    """One gap."""
    return {
        "reason": gap.reason,
        "message": gap.message,
        "resource": resource(gap.resource) if gap.resource else None,
        "cluster": gap.cluster,
    }


def resource(of: Resource) -> Wire:
    """A resource's identity."""
    return _RESOURCE(of)


def source(of: SourceLocation | None) -> Wire | None:
    """A place in a file."""
    return _SOURCE(of) if of else None


def _object(name: str) -> Callable[[Any], Wire]:
    """A function that makes a JSON object of an object with its fields."""
    fields = OBJECTS[name]
    keys, values = [one.key for one in fields], attrgetter(*(one.attribute for one in fields))
    return lambda of: dict(zip(keys, values(of), strict=True))


def _reader(name: str) -> Callable[[Result], Any]:
    """A function that reads an object within a result."""
    holder, made = attrgetter(OBJECTS[name][0].holder), _object(name)
    return lambda result: None if (of := holder(result)) is None else made(of)


_RESOURCE: Final = _object("resource")
_SOURCE: Final = _object("source")
#: The keys of a result in their order, each with the function that reads its value.
_SHAPE: Final = tuple(
    {one.within or one.name: _reader(one.within) if one.within else one.read for one in NAMED}.items()
)


def counts(counts: Counts) -> Wire:
    """Counts by state; every state is present."""
    return {"resources": _by_state(counts.resources), "containers": _by_state(counts.containers)}


def _by_state(counts: Mapping[ComplianceState, int]) -> dict[str, int]:
    return {state.value: counts.get(state, 0) for state in ComplianceState}


class WireKind(StrEnum):
    """What a field beside the results holds: `_WRITTEN` writes it, and `aksp.report.parse` reads it."""

    TEXT = "text"
    OPTIONAL = "text, or null"
    ID = "text, null where it is empty"
    TEXTS = "list of texts"
    LABELS = "texts by name"
    NUMBER = "whole number"
    PERCENT = "number from 0 to 100, or null"
    WORD = "kind of target"
    STATE = "state"
    COUNTS = "numbers of resources and containers by state"
    TIME = "time"
    OBJECT = "object"
    OBJECTS = "list of objects"


class WireField(Struct, frozen=True, kw_only=True):
    """A field beside the results: where the model has it, and what it holds. Reports from before it was ``added`` lack it."""

    attribute: str
    kind: WireKind
    write: Callable[[Any], Any] | None
    added: bool


def _fields(
    *, added: Sequence[str] = (), **kinds: WireKind | tuple[WireKind, Mapping[str, WireField]]
) -> Mapping[str, WireField]:
    """The fields of an object by their keys, in the order of JSON."""
    found = {}
    for key, given in kinds.items():
        kind, write = (given[0], _writer(*given)) if isinstance(given, tuple) else (given, _WRITTEN.get(given))
        attribute = _CALLED.get(key) or re.sub("[A-Z]", lambda letter: f"_{letter[0].lower()}", key)
        found[key] = WireField(attribute=attribute, kind=kind, write=write, added=key in added)
    return found


def _writer(kind: WireKind, fields: Mapping[str, WireField]) -> Callable[[Any], Any]:
    """A function that writes an object with these fields, or a list of some."""
    if kind is WireKind.OBJECT:
        return lambda of: _written(of, fields)
    return lambda many: [_written(one, fields) for one in many]


def _written(of: Any, fields: Mapping[str, WireField]) -> Wire:
    found = {}
    for key, field in fields.items():
        value = getattr(of, field.attribute)
        found[key] = field.write(value) if field.write else value
    return found


#: How a value of a kind is written; those of other kinds are as they are.
_WRITTEN: Final[Mapping[WireKind, Callable[[Any], Any]]] = {
    WireKind.ID: lambda text: text or None,
    WireKind.TEXTS: list,
    WireKind.LABELS: dict,
    WireKind.PERCENT: one_decimal,
    WireKind.WORD: attrgetter("value"),
    WireKind.STATE: attrgetter("value"),
    WireKind.COUNTS: counts,
    WireKind.TIME: rfc3339,
}
#: What the model calls otherwise.
_CALLED: Final = {"aksp": "version", "referenceId": "reference"}
_TEXT, _MEASURED = WireKind.TEXT, {"state": WireKind.STATE, "compliancePercent": WireKind.PERCENT}
TARGET: Final = _fields(
    kind=WireKind.WORD, name=_TEXT, scope=_TEXT, server=WireKind.OPTIONAL, filters=WireKind.TEXTS, added=["filters"]
)
#: The members of one group together.
GROUP: Final = _fields(name=_TEXT, displayName=_TEXT, **_MEASURED, counts=WireKind.COUNTS)
#: One member of an assigned initiative; the mode and the scope are the assignment's.
MEMBER: Final = _fields(
    referenceId=_TEXT, displayName=_TEXT, definition=_TEXT, definitionId=_TEXT, azureDefinitionId=WireKind.ID,
    groupNames=WireKind.TEXTS, effect=_TEXT, severity=_TEXT, **_MEASURED, message=_TEXT, counts=WireKind.COUNTS,
    added=["azureDefinitionId", "severity", "message"],
)  # fmt: skip
ASSIGNMENT: Final = _fields(
    name=_TEXT, displayName=_TEXT, definition=_TEXT, definitionId=_TEXT, azureId=WireKind.ID,
    azureDefinitionId=WireKind.ID, effect=_TEXT, enforcementMode=_TEXT, scope=_TEXT, severity=_TEXT, **_MEASURED, message=_TEXT,
    counts=WireKind.COUNTS, members=(WireKind.OBJECTS, MEMBER), groups=(WireKind.OBJECTS, GROUP),
    added=["azureId", "azureDefinitionId", "severity", "message", "members", "groups"],
)  # fmt: skip
#: One of several clusters, with its own lines of the assignments.
CLUSTER: Final = _fields(
    name=_TEXT, scope=_TEXT, id=_TEXT, location=_TEXT, labels=WireKind.LABELS, server=WireKind.OPTIONAL, **_MEASURED,
    message=_TEXT, gaps=WireKind.NUMBER, counts=WireKind.COUNTS, assignments=(WireKind.OBJECTS, ASSIGNMENT),
)  # fmt: skip
#: The clusters below a scope together.
SCOPE: Final = _fields(
    scope=_TEXT, name=_TEXT, kind=_TEXT, parent=WireKind.OPTIONAL, clusters=WireKind.TEXTS, **_MEASURED,
    gaps=WireKind.NUMBER, counts=WireKind.COUNTS,
)  # fmt: skip
#: The report but for its two long lists, results and gaps, which follow it in this order.
HEAD: Final = _fields(
    aksp=_TEXT, evaluatedAt=WireKind.TIME, target=(WireKind.OBJECT, TARGET), **_MEASURED, counts=WireKind.COUNTS,
    assignments=(WireKind.OBJECTS, ASSIGNMENT), clusters=(WireKind.OBJECTS, CLUSTER), scopes=(WireKind.OBJECTS, SCOPE),
    added=["clusters", "scopes"],
)  # fmt: skip
