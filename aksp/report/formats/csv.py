"""CSV: a line per result, for spreadsheets; and one per assignment that judged nothing, and per gap."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from typing import Any, TextIO

from aksp.model.compliance import ComplianceState, Report
from aksp.report import wire
from aksp.report.fields import NAMED, OBJECTS
from aksp.report.figures import value_text
from aksp.report.interface import Format, Style
from aksp.report.pipeline.unique_findings import other_gaps
from aksp.report.text import safe

#: The groups of a result's member. JSON has them in the member.
GROUPS = "groupNames"
#: The fields of a result in JSON, flattened, and those that other lines need. A new column is added at the end.
COLUMNS = (*(field.name for field in NAMED), GROUPS)

# What makes a spreadsheet read a cell as a formula (OWASP: "CSV Injection").
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")


def render_csv(report: Report, out: TextIO, style: Style) -> None:
    """Write a header and a line per result, by RFC 4180: lines end in CR LF.

    An assignment that judged nothing is a line too, with the reason, and so is a gap, with its reason as its state.
    Without these lines, what was not judged would look compliant.
    ``out`` must not translate line ends (``newline=""``).
    """
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    groups = report.group_names
    for result in wire.shown(report, style.show):
        cells = [field.read(result) for field in NAMED]
        writer.writerow(map(_cell, [*cells, groups.get(result.assignment.name)]))
    for row in _unjudged(report):
        writer.writerow([_cell(row.get(column)) for column in COLUMNS])


def _unjudged(report: Report) -> Iterator[dict[str, Any]]:
    """Assignments that judged nothing, in each cluster, then gaps, by column."""
    own = [(cluster.name, each) for cluster in report.clusters for one in cluster.assignments for each in one.judged]
    for cluster, line in own or [("", line) for line in report.judged]:
        if line.state is ComplianceState.NOT_STARTED:
            named = {"assignment": line.assignment, "definition": line.definition, "effect": line.effect}
            member = {"initiative": line.initiative, "referenceId": line.reference, GROUPS: line.group_names or None}
            yield {**named, **member, "state": line.state.value, "message": line.message, "cluster": cluster}
    for gap in other_gaps(report):
        about = {field.name: field.read(gap) for field in OBJECTS["resource"]}
        yield {"state": gap.reason, "message": gap.message, **about, "cluster": gap.cluster}


def _cell(value: Any) -> str:
    text = value_text(value)
    # A spreadsheet trims blanks before it looks for a formula.
    formula = text.startswith(_FORMULA) or text.lstrip().startswith(_FORMULA)
    return f"'{safe(text)}" if formula else safe(text)


FORMAT = Format(
    name="csv",
    description="a line per result for spreadsheets (RFC 4180)",
    render=render_csv,
    suffixes=(".csv",),
)
