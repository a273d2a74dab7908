"""Prometheus: metrics of a scan, for node_exporter's textfile collector.

By Prometheus' text-based exposition format. Names that the add-on has too (aksp.addon.record.metrics) mean the same here.
Labels are bounded: assignments, definitions, effects, states, and the namespaces in which something was found; never
objects or images. Every series names its target, so that a folder may hold a file for each of several clusters, and the
options that left something out, so that a part is not taken for the whole.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Final, TextIO

from aksp.compliance.fleet import separate
from aksp.model.compliance import ComplianceState, Report
from aksp.report.figures import one_decimal
from aksp.report.interface import Format, Style
from aksp.report.text import safe

_ESCAPES: Final = str.maketrans({"\\": "\\\\", '"': '\\"', "\n": "\\n"})
_Labels = Mapping[str, str]
#: The labels of each series of a metric, and its value.
_Series = Iterable[tuple[_Labels, float]]


def render_prometheus(report: Report, out: TextIO, style: Style) -> None:
    """Write one gauge after the other; the file's name must end in .prom for node_exporter to read it.

    Several clusters are targets side by side. A metric without a series is left out.
    """
    metrics: dict[str, tuple[str, list[str]]] = {}
    for each in separate(report):
        target = {"target": each.target.name}
        if each.target.filters:
            target["filters"] = " ".join(each.target.filters)
        for name, meaning, series in _metrics(each):
            lines = [f"{name}{{{_labels({**labels, **target})}}} {_number(value)}\n" for labels, value in series]
            if lines:
                metrics.setdefault(name, (meaning, []))[1].extend(lines)
    for name, (meaning, lines) in metrics.items():
        out.write(f"# HELP {name} {meaning}\n# TYPE {name} gauge\n")
        out.writelines(lines)


def _metrics(report: Report) -> Iterator[tuple[str, str, _Series]]:
    """The name, the meaning and the series of each metric of one target."""
    lines = [(_named(line.assignment, line.reference), line) for line in report.lines]
    groups = [({"assignment": line.name, "group": one.name}, one) for line in report.assignments for one in line.groups]
    yield "aksp_violations", "What does not comply, by the last scan.", _violations(report)
    yield (
        "aksp_resources",
        "Resources by compliance state, by the last scan.",
        _by_state((name, line.counts.resources) for name, line in lines),
    )
    yield (
        "aksp_containers",
        "Containers by compliance state, by the last scan.",
        _by_state((name, line.counts.containers) for name, line in lines),
    )
    yield (
        "aksp_assignments",
        "Assignments by compliance state, by the last scan.",
        _by_state([({}, Counter(line.state for line in report.assignments))]),
    )
    yield (
        "aksp_assignment_compliance_percent",
        "Compliance of what an assignment judged, by the last scan; missing where it judged nothing.",
        _percentages((name, line.compliance_percent) for name, line in lines),
    )
    yield (
        "aksp_group_resources",
        "Resources by compliance state, by a group of an initiative's members, by the last scan.",
        _by_state((name, group.counts.resources) for name, group in groups),
    )
    yield (
        "aksp_group_compliance_percent",
        "Compliance of what a group of an initiative's members judged, by the last scan; missing while one was not judged.",
        _percentages((name, group.compliance_percent) for name, group in groups),
    )
    yield (
        "aksp_compliance_percent",
        "Compliance of all resources, by the last scan; missing where it judged nothing.",
        _percentages([({}, report.compliance_percent)]),
    )
    yield "aksp_gaps", "What the last scan could not judge.", [({}, len(report.gaps))]
    # An interrupted scan is not complete; one with gaps is, and they have a metric of their own.
    if all(gap.reason != "Interrupted" for gap in report.gaps):
        name, meaning = "aksp_scan_last_success_timestamp_seconds", "When the last complete scan began."
        yield name, meaning, [({}, report.evaluated_at.timestamp())]


def _by_state(counted: Iterable[tuple[_Labels, Mapping[ComplianceState, int]]]) -> _Series:
    return [({**of, "state": state.value}, counts.get(state, 0)) for of, counts in counted for state in ComplianceState]


def _percentages(measured: Iterable[tuple[_Labels, float | None]]) -> _Series:
    return [(labels, one_decimal(percent)) for labels, percent in measured if percent is not None]


def _violations(report: Report) -> _Series:
    """How many results do not comply; 0 without a namespace for assignments that judged something and found nothing."""
    found: Counter[tuple[str, str, str, str, str]] = Counter()
    for result in report.results:
        if result.state is ComplianceState.NON_COMPLIANT:
            key = result.assignment
            of = safe(key.assignment), safe(key.reference or ""), safe(key.definition), safe(key.effect)
            found[(*of, safe(result.resource.namespace))] += 1
    named = {labels[:2] for labels in found}
    for line in report.judged:
        name = safe(line.assignment), safe(line.reference)
        # What was not judged has no number: 0 would look compliant.
        if name not in named and line.compliance_percent is not None:
            found[(*name, safe(line.definition), safe(line.effect), "")] = 0
    for (assignment, reference, definition, effect, namespace), count in sorted(found.items()):
        of_rule = {"definition": definition, "effect": effect, "namespace": namespace}
        yield {**_named(assignment, reference), **of_rule}, count


def _named(assignment: str, reference: str) -> _Labels:
    """An assignment, and its member. To Prometheus an empty label is the same as none."""
    return {"assignment": assignment, "reference": reference} if reference else {"assignment": assignment}


def _labels(labels: _Labels) -> str:
    return ",".join(f'{name}="{safe(value).translate(_ESCAPES)}"' for name, value in labels.items())


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) else repr(value)


FORMAT = Format(
    name="prometheus",
    description="metrics for node_exporter's textfile collector",
    render=render_prometheus,
    every_line=False,
    suffixes=(".prom",),
)
