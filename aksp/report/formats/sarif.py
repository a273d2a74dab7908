"""SARIF 2.1.0 (OASIS), and of it what GitHub's code scanning reads.

GitHub takes 25,000 results of a run and 20 runs of a file, and refuses two runs of one category. More results go into
further runs with categories of their own; none is left out.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Sequence
from typing import Any, Final, TextIO

from msgspec import Struct

from aksp import runners
from aksp.compliance.fleet import separate
from aksp.model.compliance import AssignmentSummary, ComplianceState, Gap, GroupSummary, Report, Target, TargetKind
from aksp.model.resource import Container, Resource
from aksp.model.times import rfc3339
from aksp.report.figures import one_decimal
from aksp.report.interface import Format, Style
from aksp.report.pipeline.repository import Place, PlaceKind, in_file, place_of
from aksp.report.pipeline.sarif_rules import sarif_rules
from aksp.report.pipeline.unique_findings import (
    MOST_LISTED,
    UniqueFinding,
    gap_text,
    is_known,
    other_places,
    unique_findings,
    waiver,
)
from aksp.report.text import safe

SCHEMA: Final = "https://json.schemastore.org/sarif-2.1.0.json"
#: Results of one run that GitHub takes.
MOST_RESULTS: Final = 25_000

_ENCODE: Final = json.JSONEncoder(ensure_ascii=False).encode


class _Rules(Struct, frozen=True, kw_only=True):
    """The definitions' descriptors, where each stands, and the assignments that refuse."""

    descriptors: Sequence[dict[str, Any]]
    index: dict[str, int]
    enforced: Collection[tuple[str, str]]


def render_sarif(report: Report, out: TextIO, style: Style) -> None:
    """Write one log. All text in it is safe to print."""
    write_sarif(report, out, style, MOST_RESULTS)


def write_sarif(report: Report, out: TextIO, style: Style, limit: int) -> None:
    """Write one log, in which no run has more than ``limit`` results, and each cluster has runs of its own."""
    out.write(f'{{"$schema": "{SCHEMA}", "version": "2.1.0", "runs": [')
    before = "\n"
    for each in separate(report):
        found = unique_findings(each.results)
        rules = _rules(each, found)
        for number, part in enumerate(split(found, limit), 1):
            out.write(before)
            # The results come last, a line each.
            out.write(_ENCODE(_run(each, rules, number, style)).removesuffix("}"))
            _write_results((_result(one, rules, each, style) for one in part), out)
            before = ",\n"
    out.write("\n]}\n")


def split(found: Sequence[UniqueFinding], limit: int) -> Sequence[Sequence[UniqueFinding]]:
    """Parts of at most ``limit``, and one when there is nothing.

    By fingerprint, so that a finding stays in its category while others come and go: in another one GitHub would take
    it for fixed and new.
    """
    number = max(1, -(-len(found) // limit))
    while True:
        parts: list[list[UniqueFinding]] = [[] for _ in range(number)]
        for one in found:
            parts[int(one.fingerprint[:12], 16) % number].append(one)
        if max(map(len, parts)) <= limit:
            return parts
        number += 1


def category(target: Target) -> str:
    """The category by which a repository tells one target's results from another's: ``aksp/cluster/prod/``.

    Results of a part have another category: otherwise those that were left out would be taken for fixed.
    """
    part = f"{safe(' '.join(target.filters)).replace('/', '%2F')}/" if target.filters else ""
    if target.kind is TargetKind.CLUSTER:
        return f"aksp/cluster/{safe(target.name)}/{part}"
    return f"aksp/manifests/{safe(target.name).removeprefix('./').strip('/')}/{part}".replace("//", "/")


def _rules(report: Report, found: Sequence[UniqueFinding]) -> _Rules:
    definitions = dict.fromkeys(
        [
            *(line.definition for line in report.judged),
            *(one.first.assignment.definition for one in found),
        ]
    )
    refusing = {line.definition for line in report.judged if line.enforced}
    return _Rules(
        descriptors=sarif_rules(report, definitions, refusing),
        index={slug: at for at, slug in enumerate(definitions)},
        enforced=report.enforced,
    )


def _run(report: Report, rules: _Rules, number: int, style: Style) -> dict[str, Any]:
    """A run without its results."""
    driver: dict[str, Any] = {"name": "aksp", "version": report.version, "rules": rules.descriptors}
    invocation: dict[str, Any] = {
        "executionSuccessful": not report.gaps,
        "startTimeUtc": rfc3339(report.evaluated_at),
    }
    notifications = [_notification(gap, style) for gap in report.gaps]
    notifications += [_idle(line) for line in report.judged if line.state is ComplianceState.NOT_STARTED]
    if notifications:
        reasons = dict.fromkeys(one["descriptor"]["id"] for one in notifications)
        driver["notifications"] = [{"id": reason} for reason in reasons]
        invocation["toolExecutionNotifications"] = notifications
    name = category(report.target)
    return {
        "tool": {"driver": driver},
        "automationDetails": {"id": name if number == 1 else f"{name}{number}/"},
        "columnKind": "unicodeCodePoints",
        "invocations": [invocation],
        "properties": {
            "target": safe(report.target.name),
            "state": report.state.value,
            "compliancePercent": one_decimal(report.compliance_percent),
            **({"filters": safe(" ".join(report.target.filters))} if report.target.filters else {}),
            **({"initiatives": initiatives} if (initiatives := _initiatives(report)) else {}),
        },
    }


def _notification(gap: Gap, style: Style) -> dict[str, Any]:
    made: dict[str, Any] = {
        "descriptor": {"id": safe(gap.reason)},
        "level": "error",
        "message": {"text": gap_text(gap)},
    }
    location: dict[str, Any] = {}
    if gap.source is not None:
        location["physicalLocation"] = _physical(in_file(gap.source, style))
    if gap.resource is not None:
        location["logicalLocations"] = [_logical(gap.resource, None)]
    if location:
        made["locations"] = [location]
    return made


def _initiatives(report: Report) -> list[dict[str, Any]]:
    """What each initiative came to, with its groups and its members."""
    return [
        {
            "assignment": safe(each.name),
            "initiative": safe(each.definition),
            "state": each.state.value,
            "compliancePercent": one_decimal(each.compliance_percent),
            "groups": [_standing(one.name, one) for one in each.groups],
            "members": [_standing(one.reference, one) for one in each.members],
        }
        for each in report.assignments
        if each.members
    ]


def _standing(name: str, one: AssignmentSummary | GroupSummary) -> dict[str, Any]:
    return {"name": safe(name), "state": one.state.value, "compliancePercent": one_decimal(one.compliance_percent)}


def _idle(line: AssignmentSummary) -> dict[str, Any]:
    """An assignment that judged nothing."""
    return {
        "descriptor": {"id": line.state.value},
        "level": "note",
        "message": {"text": safe(f"assignment {line.name} judged nothing: {line.message}")},
    }


def _write_results(results: Iterable[dict[str, Any]], out: TextIO) -> None:
    out.write(', "results": [')
    before = "\n"
    for result in results:
        out.write(before + _ENCODE(result))
        before = ",\n"
    out.write("]}" if before == "\n" else "\n]}")


def _result(one: UniqueFinding, rules: _Rules, report: Report, style: Style) -> dict[str, Any]:
    first, key = one.first, one.first.assignment
    unlisted = one.count - len(one.resources)
    note = f" The first {MOST_LISTED:,} are listed, {unlisted:,} are not." if unlisted else ""
    at = rules.index[key.definition]
    made: dict[str, Any] = {
        "ruleId": rules.descriptors[at]["id"],
        "ruleIndex": at,
        "level": "error" if (first.resource.cluster, key.name) in rules.enforced else "warning",
        "message": {"text": one.text + note},
        "locations": [
            {
                "physicalLocation": _physical(place_of(first, report.target, style)),
                "logicalLocations": [_logical(resource, first.finding.container) for resource in one.resources],
            },
            # GitHub shows only the first place; other readers list all.
            *({"physicalLocation": _physical(place)} for place in other_places(one, style)),
        ],
        "partialFingerprints": {"primaryLocationLineHash": f"{one.fingerprint}:1", "aksp/v1": one.fingerprint},
        "occurrenceCount": one.count,
    }
    if report.known is not None and first.state is ComplianceState.NON_COMPLIANT:
        made["baselineState"] = "unchanged" if is_known(report, first, one.fingerprint) else "new"
    if first.state is ComplianceState.EXEMPT:
        justification = waiver(first.exemption) if first.exemption else "exempt"
        made["suppressions"] = [{"kind": "external", "status": "accepted", "justification": justification}]
    made["properties"] = {
        "assignment": safe(key.name),
        "effect": safe(key.effect),
        "severity": safe(key.severity),
        "state": first.state.value,
    }
    if first.finding.path:
        made["properties"]["path"] = safe(first.finding.path)
    return made


def _physical(place: Place) -> dict[str, Any]:
    artifact = {"uri": place.uri}
    if place.origin is not PlaceKind.ELSEWHERE:
        artifact["uriBaseId"] = "%SRCROOT%"
    # A live object has no line, and GitHub wants one.
    columns = place.columns or ((1, 1) if place.origin is PlaceKind.OBJECT else None)
    region = {"startLine": place.line}
    if columns:
        region |= {"startColumn": columns[0], "endLine": place.line, "endColumn": max(columns)}
    return {"artifactLocation": artifact, "region": region}


def _logical(resource: Resource, container: Container | None) -> dict[str, Any]:
    name = "/".join(part for part in (resource.kind, resource.namespace, resource.name) if part)
    if container is not None:
        name = f"{name}/{container.type}/{container.name}"
    return {"name": safe(resource.name), "fullyQualifiedName": safe(name), "kind": "resource"}


FORMAT = Format(
    name="sarif",
    description="SARIF 2.1.0 for code scanning, a result per finding of a workload",
    render=render_sarif,
    suffixes=(".sarif", ".sarif.json"),
    in_log=runners.in_json,
)
