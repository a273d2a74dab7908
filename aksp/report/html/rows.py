"""The results as data for the page's scripts: columns of numbers, and every text once.

A report has thousands of results that repeat their texts. So each text stands once in ``strings``, and is elsewhere
known by its index; replicas of a workload share an entry of ``entries``, and differ in ``rows`` by their resource.
Columns are lists of one length; -1 stands for nothing.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Hashable, Iterable
from typing import Any, Final, TextIO

from aksp.compliance.fingerprints import fingerprints
from aksp.model.assignment import Exemption
from aksp.model.compliance import AssignmentSummary, ComplianceState, Report, Result, RuleDescriptor, SharedResult
from aksp.model.json_text import encode
from aksp.model.resource import Resource
from aksp.model.times import day
from aksp.report import wire
from aksp.report.fields import FOUND, ResultField, owner_name
from aksp.report.html.commented import lines
from aksp.report.html.remedy import remedy
from aksp.report.interface import Show
from aksp.report.parse import NamedExemption
from aksp.report.text import safe

#: Digits of the fingerprint in the link to a finding: enough for a million findings.
LINK_LENGTH: Final = 12
NOTHING: Final = -1
#: Entries of a list that are made text at once.
_PIECE: Final = 4096
#: How many findings are remembered by their identity.
_REMEMBERED: Final = 4096

# Characters that could end the element around the data, or that a script takes for a line end.
_ESCAPES: Final = str.maketrans(
    {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"}
)


class Rows:
    """Results put into columns.

    ``counts`` has the number of results by assignment, ``by_cluster`` by cluster and assignment, members as what they are of.
    """

    def __init__(self, report: Report, show: Show) -> None:
        self.counts: Counter[str] = Counter()
        self.by_cluster: Counter[tuple[str, str]] = Counter()
        self._strings: dict[str, int] = {}
        self._assignments = {line.name: at for at, line in enumerate(report.lines)}
        self._exemptions: dict[int, tuple[Exemption, int]] = {}
        self._findings: dict[Hashable, int] = {}
        # Numbers of findings: hashing those of thousands of replicas would take longer than everything else.
        self._known: dict[SharedResult, int] = {}
        self._entries: dict[tuple[Hashable, ...], int] = {}
        self._place = ("", "", "")
        self._remedies: dict[tuple[int, ...], int] = {}
        self._links: Counter[str] = Counter()
        self._last: tuple[Resource, str] | None = None
        self.data: dict[str, Any] = {
            "states": [state.value for state in ComplianceState],
            "strings": [],
            "clusters": [safe(each.name) for each in report.clusters],
            "assignments": [_assignment(line, report.rules.get(line.definition)) for line in report.lines],
            "exemptions": [],
            "findings": _columns(*(field.header.lower() for field in FOUND)),
            "entries": _columns(
                "link", "assignment", "state", "exemption", "cluster", "namespace", "kind", "owner", "finding", "remedy"
            ),
            "resources": _columns("name", "file"),
            "rows": _columns("entry", "resource", "line"),
            "remedies": [],
        }
        self._add_all(fingerprints(wire.shown(report, show)))
        self.data["strings"] = list(self._strings)
        # The indexes take as much memory as the data.
        for index in (self._strings, self._findings, self._known, self._entries, self._remedies):
            index.clear()

    def write(self, out: TextIO) -> None:
        """Write the data as JSON that can stand in a ``script`` element: nothing in it ends the element.

        Piece by piece: the whole may take a tenth of a gigabyte, and each step on its way as much again.
        """
        before = "{"
        for name, value in self.data.items():
            out.write(f'{before}"{name}":')
            _write_json(value, out)
            before = ",\n"
        out.write("}")

    def exemptions(self) -> list[dict[str, Any]]:
        """The exemptions that the results name, with the number of results of each."""
        named = Counter(self.data["entries"]["exemption"][entry] for entry in self.data["rows"]["entry"])
        return [{**each, "count": named[at]} for at, each in enumerate(self.data["exemptions"])]

    def _add_all(self, results: Iterable[tuple[Result, str]]) -> None:
        rows, resources = self.data["rows"], self.data["resources"]
        for result, fingerprint in results:
            self.counts[result.assignment.name] += 1
            resource, source = result.resource, result.source
            self.by_cluster[resource.cluster, result.assignment.assignment] += 1
            # A resource's results follow one another; it may be written in several files.
            here = resource, source.file if source else ""
            if here != self._last:
                resources["name"].append(self._string(resource.name))
                resources["file"].append(self._string(source.file) if source else NOTHING)
                self._last = here
            rows["entry"].append(self._entry(result, fingerprint))
            rows["resource"].append(len(resources["name"]) - 1)
            rows["line"].append(source.line if source else NOTHING)

    def _entry(self, result: Result, fingerprint: str) -> int:
        resource, owner = result.resource, result.owner
        assignment = self._assignments[result.assignment.name]
        exemption = self._exemption(result.exemption)
        finding = self._finding(result)
        subject: Hashable = owner or (resource.name, resource.uid)
        key = (
            fingerprint, assignment, result.state, exemption, finding, resource.namespace, resource.kind, subject
        )  # fmt: skip
        # Results are in the order of cluster, namespace and kind, so earlier ones never come again.
        if self._place != (resource.cluster, resource.namespace, resource.kind):
            self._place = resource.cluster, resource.namespace, resource.kind
            self._entries.clear()
        known = self._entries.get(key)
        if known is not None:
            return known
        entries = self.data["entries"]
        number = self._entries[key] = len(entries["link"])
        link = fingerprint[:LINK_LENGTH]
        # Replicas that differ, as in a roll-out, have one fingerprint and an entry each.
        self._links[link] += 1
        again = self._links[link]
        row = {
            "link": link if again == 1 else f"{link}-{again}",
            "assignment": assignment,
            "state": list(ComplianceState).index(result.state),
            "exemption": exemption,
            "cluster": self.data["clusters"].index(safe(resource.cluster)) if resource.cluster else NOTHING,
            "namespace": self._string(resource.namespace),
            "kind": self._string(resource.kind),
            "owner": self._string(owner_name(result)) if owner else NOTHING,
            "finding": finding,
            "remedy": self._remedy(result),
        }
        for name, value in row.items():
            entries[name].append(value)
        return number

    def _finding(self, result: Result) -> int:
        known = self._known.get(result.shared)
        if known is not None:
            return known
        values = tuple(self._value(field, result) for field in FOUND)
        columns = self.data["findings"]
        at = self._findings.get(values)
        if at is None:
            at = self._findings[values] = len(self._findings)
            for column, value in zip(columns.values(), values, strict=True):
                column.append(value)
        # Replicas follow one another.
        if len(self._known) >= _REMEMBERED:
            self._known.clear()
        self._known[result.shared] = at
        return at

    def _remedy(self, result: Result) -> int:
        found = remedy(result)
        if found is None:
            return NOTHING
        # The first item is the kind; the others are the lines, which many of them share.
        key = (self._string(found.kind), *(self._line(line) for line in found.lines))
        at = self._remedies.get(key)
        if at is None:
            at = self._remedies[key] = len(self._remedies)
            self.data["remedies"].append(key)
        return at

    def _exemption(self, exemption: Exemption | None) -> int:
        if exemption is None:
            return NOTHING
        known = self._exemptions.get(id(exemption))
        if known is None:
            known = self._exemptions[id(exemption)] = (exemption, len(self.data["exemptions"]))
            self.data["exemptions"].append(_exemption(exemption))
        return known[1]

    def _value(self, field: ResultField, result: Result) -> int:
        value = field.read(result)
        if value is None:
            return NOTHING
        return self._string(value) if "type" in field.schema else self._line("\n".join(lines(value)))

    def _string(self, text: str) -> int:
        return self._line(safe(text))

    def _line(self, text: str) -> int:
        """The index of a text, made safe to print."""
        return self._strings.setdefault(text, len(self._strings))


def _columns(*names: str) -> dict[str, Any]:
    """Numbers by column; their links alone are texts."""
    return {name: [] if name == "link" else array("q") for name in names}


def _assignment(line: AssignmentSummary, rule: RuleDescriptor | None) -> dict[str, str]:
    texts = {
        "name": line.name,
        "definition": line.definition,
        "effect": line.effect,
        "severity": line.severity,
        "title": line.display_name,
        "mode": line.enforcement_mode,
        "scope": line.scope,
        "rule": rule.display_name if rule else "",
        "description": rule.description if rule else "",
        "remediation": rule.remediation if rule else "",
        "category": rule.category if rule else "",
        "version": rule.version if rule else "",
    }
    return {name: safe(text) for name, text in texts.items()}


def _exemption(exemption: Exemption) -> dict[str, str]:
    # Of an exemption in a report that was read back only the name is known.
    known = not isinstance(exemption, NamedExemption)
    until = day(exemption.expires_on) if exemption.expires_on else "no end date"
    return {
        "name": safe(exemption.name),
        "assignment": safe(exemption.assignment),
        "category": exemption.category.value if known else "",
        "until": until if known else "",
        "why": safe(": ".join(dict.fromkeys(text for text in (exemption.display_name, exemption.description) if text))),
        "by": safe(exemption.requested_by),
    }


def _write_json(value: Any, out: TextIO) -> None:
    """A table of columns, or a list, in pieces."""
    if isinstance(value, dict):
        before = "{"
        for name, column in value.items():
            out.write(f"{before}{_json(name)}:")
            _write_json(column, out)
            before = ","
        out.write("}" if value else "{}")
        return
    before = "["
    for at in range(0, len(value), _PIECE):
        out.write(before + _json(list(value[at : at + _PIECE]))[1:-1])
        before = ","
    out.write("]" if value else "[]")


def _json(value: Any) -> str:
    return encode(value, compact=True).translate(_ESCAPES)
