"""A report read back from its JSON: what the add-on stored in the cluster, or a file of `-o json`.

Rendered as JSON again it is the same document. Not in it are what definitions say of themselves, an exemption but for its
name, changes that would comply, and columns of files.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Any, Final, TypeVar

from msgspec import structs
from msgspec.structs import replace

from aksp.errors import InvalidInput
from aksp.model.assignment import PRINTED_VERSION, Exemption, ExemptionCategory, full_name
from aksp.model.compliance import (
    AssignmentKey,
    AssignmentSummary,
    ClusterSummary,
    ComplianceState,
    Counts,
    Finding,
    Gap,
    GroupSummary,
    KnownLocation,
    Report,
    Result,
    ScopeSummary,
    SharedResult,
    Target,
    TargetKind,
)
from aksp.model.json_text import Number, decode
from aksp.model.resource import Container, Owner, Resource
from aksp.report import wire
from aksp.report.contradictions import refuse_contradictions
from aksp.report.fields import NAMED, OBJECTS, ResultField
from aksp.report.wire import WireField, WireKind
from aksp.yaml_reader import open_regular

#: Bytes of the longest file, some two million results.
_LONGEST: Final = 1 << 30
#: The largest whole number that every reader of JSON takes as it is.
_MOST: Final = (1 << 53) - 1
_Word = TypeVar("_Word", bound=StrEnum)
_Part = TypeVar("_Part")
#: Fields that reports from before there were initiatives do not have.
_LATER: Final = ("initiative", "referenceId", "cluster")
_OTHERS: Final = tuple(field for field in NAMED if field.within != "resource")


class NamedExemption(Exemption, frozen=True, kw_only=True):
    """An exemption of which the report tells only the name. Its category and end mean nothing."""


def report_from(document: Mapping[str, Any]) -> Report:
    """The report that a JSON document tells. Fields that are not known are passed over.

    Raises InvalidInput naming the field for a document that is no report, of another version, or contradicts itself.
    """
    head = _Fields(document, "")
    version, kind = document.get("apiVersion"), document.get("kind")
    if (version, kind) != (PRINTED_VERSION, wire.KIND):
        raise InvalidInput(
            f"this is no {wire.KIND} of {PRINTED_VERSION}: apiVersion {version!r}, kind {kind!r}",
            hint="it may be from another version of aksp, or not a report",
        )
    reader = _Results()
    results = tuple(reader.result(each) for each in head.items("results"))
    report = Report(
        **_values(head, wire.HEAD),
        target=Target(**_values(head.fields("target"), wire.TARGET)),
        assignments=tuple(_summary(each, reader.severities) for each in head.items("assignments")),
        results=results,
        gaps=tuple(_gap(each) for each in head.items("gaps")),
        # Reports from before there were several clusters have neither.
        clusters=tuple(_cluster(each, reader.severities) for each in head.optional_items("clusters")),
        scopes=tuple(ScopeSummary(**_values(each, wire.SCOPE)) for each in head.optional_items("scopes")),
    )
    clusters = {one.name: one.assignments for one in report.clusters} or {"": report.assignments}
    lines = {(cluster, line.name) for cluster, own in clusters.items() for one in own for line in one.judged}
    for at, one in enumerate(results):
        if (one.resource.cluster, one.assignment.name) not in lines:
            where = f"cluster {_shown(one.resource.cluster)}" if one.resource.cluster else "the report"
            name = _shown(one.assignment.name)
            raise InvalidInput(f"results[{at}].assignment: {name} is not among the assignments of {where}")
    refuse_contradictions(report)
    return report


def read_report(path: str, *, of_many: bool = False) -> Report:
    """The report in a file of ``-o json``, or in one from standard input for ``-``.

    Raises InvalidInput, also for one of several clusters, unless ``of_many`` says that it may be.
    """
    try:
        if path == "-":
            data = sys.stdin.buffer.read(_LONGEST + 1)
        else:
            with open_regular(Path(path)) as stream:
                data = stream.read(_LONGEST + 1)
        if len(data) > _LONGEST:
            raise InvalidInput(f"is longer than {_LONGEST >> 30} GiB", where=path)
        document = decode(data.decode(json.detect_encoding(data), "surrogatepass"))
    except (OSError, ValueError, RecursionError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise InvalidInput(
            f"cannot be read as a report: {reason}", where=path, hint="`aksp compliance -o json=FILE` writes one"
        ) from error
    try:
        report = report_from(document)
    except InvalidInput as error:
        hint = error.hint or "it may be damaged: `aksp compliance -o json=FILE` writes one"
        raise InvalidInput(error.what, where=path, hint=hint) from error
    if report.clusters and not of_many:
        raise InvalidInput(
            "this is a report of several clusters", where=path, hint="write one of a single cluster: --cluster NAME"
        )
    return report


class _Fields:
    """A JSON object whose fields are read by type. ``at``: its place in the document."""

    __slots__ = ("_at", "_values")

    def __init__(self, values: Any, at: str) -> None:
        if not isinstance(values, Mapping):
            raise InvalidInput(f"{at or 'the report'}: expected an object, found {_shown(values)}")
        self._values: Mapping[str, Any] = values
        self._at = at

    def text(self, name: str) -> str:
        value = self.any(name)
        if isinstance(value, str):
            return value
        raise self._not(name, "a text")

    def optional_text(self, name: str) -> str | None:
        return None if self.any(name) is None else self.text(name)

    def whole(self, name: str) -> int:
        value = self.any(name)
        if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _MOST:
            return value
        raise self._not(name, f"a whole number from 0 to {_MOST}")

    def number(self, name: str) -> float:
        value = self.any(name)
        # A decimal that another program wrote, such as 66.70.
        value = float(value.text) if isinstance(value, Number) else value
        if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 100:
            return float(value)
        raise self._not(name, "a number from 0 to 100")

    def optional_number(self, name: str) -> float | None:
        return None if self.any(name) is None else self.number(name)

    def has(self, name: str) -> bool:
        return name in self._values

    def names(self) -> list[str]:
        return list(self._values)

    def word(self, name: str, words: type[_Word]) -> _Word:
        try:
            return words(self.text(name))
        except ValueError:
            raise self._not(name, f"one of {', '.join(words)}") from None

    def fields(self, name: str) -> _Fields:
        return _Fields(self.any(name), self._path(name))

    def optional_fields(self, name: str) -> _Fields | None:
        return None if self.any(name) is None else self.fields(name)

    def items(self, name: str) -> Iterator[_Fields]:
        listed = self.any(name)
        if not isinstance(listed, list):
            raise self._not(name, "a list")
        return (_Fields(each, f"{self._path(name)}[{at}]") for at, each in enumerate(listed))

    def optional_items(self, name: str) -> Iterator[_Fields]:
        return self.items(name) if self.has(name) else iter(())

    def texts(self, name: str) -> tuple[str, ...]:
        listed = self.any(name)
        if not isinstance(listed, list) or not all(isinstance(each, str) for each in listed):
            raise self._not(name, "a list of texts")
        return tuple(listed)

    def any(self, name: str) -> Any:
        try:
            return self._values[name]
        except KeyError:
            raise InvalidInput(f"{self._path(name)} is missing") from None

    def _path(self, name: str) -> str:
        return f"{self._at}.{name}" if self._at else name

    def _not(self, name: str, expected: str) -> InvalidInput:
        return InvalidInput(f"{self._path(name)}: expected {expected}, found {_shown(self._values[name])}")


class _Results:
    """Reads results. What replicas share is one object again, as formats expect of a large report."""

    def __init__(self) -> None:
        self.severities: dict[str, str] = {}
        self._known: dict[tuple[type, str], Any] = {}
        self._last: Resource | None = None

    def result(self, fields: _Fields) -> Result:
        resource = _resource(fields.fields("resource"))
        # Results of one resource follow one another.
        if self._last is None or resource != structs.replace(self._last, cluster=""):
            self._last = resource
        assert self._last is not None
        parts: dict[str, dict[str, Any]] = {}
        for field in _OTHERS:
            within = fields.optional_fields(field.within) if field.within else fields
            if within is not None and field.name in _LATER and not within.has(field.key):
                parts.setdefault(field.holder, {})[field.attribute] = None
            elif within is not None:
                parts.setdefault(field.holder, {})[field.attribute] = _value(within, field)
        if (cluster := parts["resource"]["cluster"] or "") != self._last.cluster:
            self._last = structs.replace(self._last, cluster=cluster)
        key = self._one(AssignmentKey, parts["assignment"])
        self.severities.setdefault(key.name, key.severity)
        container, owner, source = parts.get("finding.container"), parts.get("owner"), parts.get("source")
        finding = {**parts["finding"], "container": Container(**container) if container else None}
        waived = {**parts["exemption"], "assignment": key.assignment, "category": ExemptionCategory.WAIVER}
        shared = {
            "assignment": key,
            "state": parts["state"]["value"],
            "finding": self._one(Finding, finding),
            "owner": self._one(Owner, owner) if owner else None,
            "exemption": self._one(NamedExemption, waived) if waived["name"] is not None else None,
        }
        return self._one(SharedResult, shared).of(self._last, KnownLocation(**source) if source else None)

    def _one(self, of: type[_Part], values: Mapping[str, Any]) -> _Part:
        # As text: values may be lists, and 1, 1.0 and true are equal keys but different values.
        key = of, repr(values)
        if key not in self._known:
            self._known[key] = of(**values)
        made: _Part = self._known[key]
        return made


def _value(within: _Fields, field: ResultField) -> Any:
    """The value of a field, of the type that the schema says."""
    match field.schema.get("type"):
        case "string":
            return within.text(field.key)
        case "integer":
            return within.whole(field.key)
        case ["string", "null"]:
            return within.optional_text(field.key)
        case _ if field.name == "state":
            return within.word(field.key, ComplianceState)
        case _:
            return within.text(field.key) if "$ref" in field.schema else within.any(field.key)


def _values(fields: _Fields, of: Mapping[str, WireField]) -> dict[str, Any]:
    """The values of an object's fields by what the model calls them, but for objects within it."""
    return {
        one.attribute: _READ[one.kind](fields, key)
        for key, one in of.items()
        if one.kind in _READ and (not one.added or fields.has(key))
    }


def _moment(head: _Fields, name: str) -> datetime:
    text = head.text(name)
    try:
        moment = datetime.fromisoformat(text)
        # In the first and in the last year another zone may have no such time.
        known = moment.tzinfo is not None and 1 < moment.year < 9999
    except ValueError:
        known = False
    if not known:
        raise InvalidInput(f"{name}: expected a time such as 2026-09-01T10:00:00Z, found {_shown(text)}")
    return moment


def _summary(fields: _Fields, severities: Mapping[str, str]) -> AssignmentSummary:
    values = _values(fields, wire.ASSIGNMENT)
    line = AssignmentSummary(**{"severity": severities.get(values["name"], ""), **values})
    return replace(
        line,
        members=tuple(_member(one, line, severities) for one in fields.optional_items("members")),
        groups=tuple(GroupSummary(**_values(one, wire.GROUP)) for one in fields.optional_items("groups")),
    )


def _member(fields: _Fields, of: AssignmentSummary, severities: Mapping[str, str]) -> AssignmentSummary:
    values = _values(fields, wire.MEMBER)
    name = full_name(of.name, values["reference"])
    return AssignmentSummary(
        **{"severity": severities.get(name, ""), **values},
        name=name,
        enforcement_mode=of.enforcement_mode,
        scope=of.scope,
        initiative=of.definition,
        azure_id=of.azure_id,
        azure_initiative_id=of.azure_definition_id,
    )


def _counts(within: _Fields, name: str) -> Counts:
    fields = within.fields(name)
    resources, containers = fields.fields("resources"), fields.fields("containers")
    return Counts(
        resources={state: resources.whole(state) for state in ComplianceState},
        containers={state: containers.whole(state) for state in ComplianceState},
    )


def _gap(fields: _Fields) -> Gap:
    resource = fields.optional_fields("resource")
    # Reports from before there were several clusters have none.
    cluster = fields.text("cluster") if fields.has("cluster") else ""
    return Gap(
        reason=fields.text("reason"),
        message=fields.text("message"),
        resource=_resource(resource, cluster) if resource else None,
        cluster=cluster,
    )


def _cluster(fields: _Fields, severities: Mapping[str, str]) -> ClusterSummary:
    assignments = tuple(_summary(one, severities) for one in fields.items("assignments"))
    return ClusterSummary(**_values(fields, wire.CLUSTER), assignments=assignments)


def _labels(within: _Fields, name: str) -> dict[str, str]:
    labels = within.fields(name)
    return {key: labels.text(key) for key in labels.names()}


def _resource(fields: _Fields, cluster: str = "") -> Resource:
    return Resource(**{field.attribute: _value(fields, field) for field in OBJECTS["resource"]}, cluster=cluster)


def _shown(value: Any) -> str:
    """A value as a message quotes it."""
    text = json.dumps(value, default=repr)
    return text if len(text) <= 60 else f"{text[:60]}…"


_READ: Final[Mapping[WireKind, Callable[[_Fields, str], Any]]] = {
    WireKind.TEXT: _Fields.text,
    WireKind.OPTIONAL: _Fields.optional_text,
    WireKind.ID: lambda fields, name: fields.optional_text(name) or "",
    WireKind.TEXTS: _Fields.texts,
    WireKind.LABELS: _labels,
    WireKind.NUMBER: _Fields.whole,
    WireKind.PERCENT: _Fields.optional_number,
    WireKind.WORD: lambda fields, name: fields.word(name, TargetKind),
    WireKind.STATE: lambda fields, name: fields.word(name, ComplianceState),
    WireKind.COUNTS: _counts,
    WireKind.TIME: _moment,
}
