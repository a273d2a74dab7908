"""Prometheus: metrics of a scan, for node_exporter's textfile collector.

By Prometheus' text-based exposition format. Names that the add-on has too (aksp.addon.record.metrics) mean the same here.
Labels are bounded: assignments, definitions, effects, states, and the namespaces in which something was found; never
objects or images. Every series names its target, so that a folder may hold a file for each of several clusters, and the
options that left something out, so that a part is not taken for the whole.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Final, TextIO

from aksp.compliance.fleet import separate
from aksp.model.compliance import ComplianceState, Report
from aksp.report.figures import one_decimal
from aksp.report.interface import Format, Style
from aksp.report.text import safe

# The backslash comes first.
_ESCAPES: Final = (("\\", "\\\\"), ('"', '\\"'), ("\n", "\\n"))
_Labels = Mapping[str, str]
#: The lines of each metric, with what it means.
_Metrics = dict[str, tuple[str, list[str]]]


def render_prometheus(report: Report, out: TextIO, style: Style) -> None:
    """Write one gauge after the other; the file's name must end in .prom for node_exporter to read it.

    Several clusters are targets side by side.
    """
    metrics: _Metrics = {}
    for each in separate(report):
        _measure(each, metrics)
    for name, (meaning, lines) in metrics.items():
        out.write(f"# HELP {name} {meaning}\n# TYPE {name} gauge\n")
        out.writelines(lines)


def _measure(report: Report, metrics: _Metrics) -> None:
    """Add the series of one target."""
    target = {"target": report.target.name}
    if report.target.filters:
        target["filters"] = " ".join(report.target.filters)
    names = [_named(line.assignment, line.reference) for line in report.lines]
    _add(metrics, "aksp_violations", "What does not comply, by the last scan.", _violations(report), target)
    for unit in ("resources", "containers"):
        _add(
            metrics,
            f"aksp_{unit}",
            f"{unit.capitalize()} by compliance state, by the last scan.",
            [
                ({**name, "state": state.value}, counts.get(state, 0))
                for name, line in zip(names, report.lines, strict=True)
                for counts in (line.counts.resources if unit == "resources" else line.counts.containers,)
                for state in ComplianceState
            ],
            target,
        )
    states = Counter(line.state for line in report.assignments)
    _add(
        metrics,
        "aksp_assignments",
        "Assignments by compliance state, by the last scan.",
        [({"state": state.value}, states[state]) for state in ComplianceState],
        target,
    )
    _add(
        metrics,
        "aksp_assignment_compliance_percent",
        "Compliance of what an assignment judged, by the last scan; missing where it judged nothing.",
        [
            (name, one_decimal(line.compliance_percent))
            for name, line in zip(names, report.lines, strict=True)
            if line.compliance_percent is not None
        ],
        target,
    )
    groups = [({"assignment": line.name, "group": one.name}, one) for line in report.assignments for one in line.groups]
    _add(
        metrics,
        "aksp_group_resources",
        "Resources by compliance state, by a group of an initiative's members, by the last scan.",
        [
            ({**name, "state": state.value}, group.counts.resources.get(state, 0))
            for name, group in groups
            for state in ComplianceState
        ],
        target,
    )
    _add(
        metrics,
        "aksp_group_compliance_percent",
        "Compliance of what a group of an initiative's members judged, by the last scan; missing while one was not judged.",
        [
            (name, one_decimal(group.compliance_percent))
            for name, group in groups
            if group.compliance_percent is not None
        ],
        target,
    )
    _add(
        metrics,
        "aksp_compliance_percent",
        "Compliance of all resources, by the last scan; missing where it judged nothing.",
        [({}, one_decimal(report.compliance_percent))] if report.compliance_percent is not None else [],
        target,
    )
    _add(metrics, "aksp_gaps", "What the last scan could not judge.", [({}, len(report.gaps))], target)
    # An interrupted scan is not complete; one with gaps is, and they have a metric of their own.
    if all(gap.reason != "Interrupted" for gap in report.gaps):
        _add(
            metrics,
            "aksp_scan_last_success_timestamp_seconds",
            "When the last complete scan began.",
            [({}, report.evaluated_at.timestamp())],
            target,
        )


def _violations(report: Report) -> Iterable[tuple[_Labels, int]]:
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


def _add(metrics: _Metrics, name: str, help: str, series: Iterable[tuple[_Labels, float]], more: _Labels) -> None:
    """Add the series of one metric; nothing if there are none."""
    lines = [f"{name}{{{_labels({**labels, **more})}}} {_number(value)}\n" for labels, value in series]
    if lines:
        metrics.setdefault(name, (help, []))[1].extend(lines)


def _labels(labels: _Labels) -> str:
    return ",".join(f'{name}="{_value(value)}"' for name, value in labels.items())


def _value(text: str) -> str:
    text = safe(text)
    for char, escaped in _ESCAPES:
        text = text.replace(char, escaped)
    return text


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) else repr(value)


FORMAT = Format(
    name="prometheus",
    description="metrics for node_exporter's textfile collector",
    render=render_prometheus,
    every_line=False,
    suffixes=(".prom",),
)
