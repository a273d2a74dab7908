"""The page put together: the report in words and figures for the template, the rows as data, styles and scripts."""

from __future__ import annotations

import base64
import functools
import hashlib
from collections.abc import Mapping
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Final, TextIO

from aksp.model.compliance import PRECEDENCE, AssignmentSummary, ClusterSummary, ComplianceState, Measured, Report
from aksp.model.times import rfc3339
from aksp.report.difference import Difference, blocks
from aksp.report.figures import one_decimal, plural, total
from aksp.report.html import timeline
from aksp.report.html.rows import Rows
from aksp.report.interface import GroupBy, Show, Style
from aksp.report.table import changes, summary
from aksp.report.table.blocks import Block, Grid, Paragraph
from aksp.report.table.layout import text_of
from aksp.report.text import safe

if TYPE_CHECKING:
    from jinja2 import Template

#: The scripts in the order in which they stand in the page.
SCRIPTS: Final = ("data", "query", "address", "list", "detail", "page")
STYLES: Final = ("theme", "page", "findings", "print")

# The place of the rows, which are written piece by piece. No text of a report can be equal to it: its < would be escaped.
_DATA: Final = "<rows/>"

# The order of a bar's parts: what needs attention first, what is well last.
_PARTS: Final = sorted(PRECEDENCE, key=lambda state: state.attention)
# The least width of a part of a bar, in percent, so that it can be seen.
_THINNEST: Final = 1.0


def write_page(report: Report, out: TextIO, style: Style) -> None:
    """Write the page. Pure: the same report and style make the same page."""
    rows = Rows(report, style.show)
    sheet, script = _asset("css", STYLES), _asset("js", SCRIPTS)
    parts = _template().generate(
        **_context(report, style, rows),
        policy=_policy(sheet, script),
        sheet=_markup(sheet),
        script=_markup(script),
        data=_markup(_DATA),
    )
    for part in parts:
        if part == _DATA:
            rows.write(out)
        else:
            out.write(part)


def _context(report: Report, style: Style, rows: Rows) -> dict[str, Any]:
    target = report.target
    return {
        "target": safe(target.name),
        "kind": target.kind.value,
        "server": safe(target.server or ""),
        "scope": safe(target.scope),
        "filters": safe(" ".join(target.filters)),
        "version": safe(report.version),
        "evaluated": rfc3339(report.evaluated_at),
        "state": report.state.value,
        "percent": one_decimal(report.compliance_percent),
        "gist": summary.closing(report).lines[0],
        "tint": _tint(report),
        "bars": [
            (name, _bar(counts, noun), total(counts))
            for name, counts, noun in (
                ("Resources", report.counts.resources, "resource"),
                ("Containers", report.counts.containers, "container"),
            )
            if total(counts)
        ],
        "states": [state.value for state in ComplianceState],
        "chart": timeline.overall(report),
        "clusters": [_cluster(report, each, rows) for each in report.clusters],
        "scopes": _scopes(report),
        "assignments": [
            _assignment(report, each, described, rows)
            for each, described in zip(report.lines, rows.data["assignments"], strict=True)
        ],
        "groups": _groups(report),
        "trends": any(timeline.of_assignment(report, each.name) for each in report.assignments),
        "exemptions": rows.exemptions(),
        "gaps": [
            (
                safe(gap.reason),
                safe(f"{gap.cluster}: {gap.message}" if gap.cluster else gap.message),
                safe(str(gap.resource)) if gap.resource else "",
            )
            for gap in report.gaps
        ],
        "changes": _grid_of(changed) if (changed := changes.of_report(report)) else None,
        "listed": len(rows.data["rows"]["entry"]),
        "all": style.show is Show.ALL,
        "each": style.group_by is GroupBy.NONE,
    }


def _assignment(report: Report, each: AssignmentSummary, described: Mapping[str, str], rows: Rows) -> dict[str, Any]:
    return {
        **described,
        **_measured(each),
        "message": safe(each.message),
        "words": _shares(each),
        "member": bool(each.reference),
        "count": sum(rows.counts[one.name] for one in each.judged),
        "trend": timeline.of_assignment(report, each.name),
    }


def _cluster(report: Report, each: ClusterSummary, rows: Rows) -> dict[str, Any]:
    """A cluster, and the result of each assignment in it: a cell for each of the report, empty where it does not reach it."""
    lines = {line.name: line for line in each.assignments}
    place = " · ".join(
        text for text in (each.location, ", ".join(f"{key}={value}" for key, value in each.labels.items())) if text
    )
    return {
        "name": safe(each.name),
        "place": safe(place),
        **_measured(each),
        "message": safe(each.message),
        "gaps": each.gaps,
        "cells": [
            {
                "policy": safe(of.name),
                "state": line.state.value,
                "percent": one_decimal(line.compliance_percent),
                "found": plural(rows.by_cluster[each.name, of.name], "finding"),
                "words": safe(line.message) or _shares(line),
            }
            if (line := lines.get(of.name)) is not None
            else None
            for of in report.assignments
        ],
    }


def _scopes(report: Report) -> list[dict[str, Any]]:
    return [
        {
            "name": safe(each.name),
            "kind": each.kind,
            "depth": depth,
            "clusters": safe(", ".join(each.clusters)),
            **_measured(each),
            "gaps": each.gaps,
        }
        for each, depth in summary.placed_scopes(report)
    ]


def _measured(each: Measured) -> dict[str, Any]:
    """The state, and figures of resources."""
    return {
        "state": each.state.value,
        "percent": one_decimal(each.compliance_percent),
        "bar": _bar(each.counts.resources, "resource"),
        "judged": total(each.counts.resources),
    }


def _groups(report: Report) -> list[dict[str, Any]]:
    """The groups of the initiatives that are assigned, each with the result of its members together."""
    return [
        {"assignment": safe(each.name), "name": safe(group.display_name), **_measured(group)}
        for each in report.assignments
        for group in each.groups
    ]


def _tint(report: Report) -> str:
    """The state that colours the top of the page. What could not be judged shows even where everything else complies."""
    bad = report.state is ComplianceState.NON_COMPLIANT
    if not bad and (report.gaps or report.counts.resources.get(ComplianceState.ERROR, 0)):
        return ComplianceState.ERROR.value
    return report.state.value


def _shares(each: AssignmentSummary) -> str:
    """As in ``3 of 300 resources, 4 of 920 containers not compliant, 2 in error``."""
    resources, containers = each.counts.resources, each.counts.containers
    bad = ComplianceState.NON_COMPLIANT
    words = f"{resources.get(bad, 0):,} of {plural(total(resources), 'resource')}"
    if whole := total(containers):
        words += f", {containers.get(bad, 0):,} of {plural(whole, 'container')}"
    words += " not compliant"
    for state in (ComplianceState.ERROR, ComplianceState.EXEMPT):
        if number := resources.get(state, 0):
            words += f", {number:,} {state.words}"
    return words


def _bar(counts: Mapping[ComplianceState, int], noun: str) -> dict[str, Any]:
    """The parts of a bar in percent of its width, and the same in words."""
    whole = total(counts)
    present = [(state, counts[state]) for state in _PARTS if counts.get(state, 0)]
    widths = [max(_THINNEST, 100.0 * number / whole) for _, number in present]
    at = 0.0
    parts = []
    for (state, number), width in zip(present, widths, strict=True):
        wide = 100.0 * width / sum(widths)
        parts.append({"state": state.value, "count": number, "x": round(at, 2), "width": round(wide, 2)})
        at += wide
    told = ", ".join(f"{number} {state.value}" for state, number in present)
    return {"parts": parts, "words": f"{told} of {plural(whole, noun)}" if whole else "nothing judged"}


def _grid_of(block: Block) -> Grid | str:
    """A grid as it is; of anything else its first sentence."""
    return block if isinstance(block, Grid) else text_of(block.lines[0])


def write_difference(difference: Difference, out: TextIO) -> None:
    """Write what changed between two points in time, as a page of its own."""
    moments, changed, *closing = blocks(difference)
    assert isinstance(moments, Paragraph)
    title, *lines = moments.lines
    sheet = _asset("css", STYLES)
    page = _template("difference").render(
        policy=_policy(sheet, ""),
        sheet=_markup(sheet),
        target=text_of(title),
        state=difference.after.state.value,
        lines=lines,
        gist=[one for block in closing if isinstance(block, Paragraph) for one in block.lines[0]],
        changes=_grid_of(changed),
    )
    out.write(page)


def _policy(sheet: str, script: str) -> str:
    """The Content-Security-Policy: this style sheet and these scripts, and nothing from anywhere."""
    return "; ".join(
        (
            "default-src 'none'",
            f"style-src '{_digest(sheet)}'",
            f"script-src '{_digest(script)}'",
            "base-uri 'none'",
            "form-action 'none'",
            # No text can become markup, not even by a bug.
            "require-trusted-types-for 'script'",
            "trusted-types 'none'",
        )
    )


def _digest(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _asset(suffix: str, names: tuple[str, ...]) -> str:
    """Files of the package after one another. The line breaks around them count for the digest, so they are in it."""
    package = files(__package__)
    texts = [package.joinpath(f"{name}.{suffix}").read_text("utf-8") for name in names]
    return "\n" + "\n".join(texts)


def _markup(text: str) -> Any:
    """Text that is markup already: our own, or made so that it ends nothing."""
    from markupsafe import Markup

    return Markup(text)  # noqa: S704


@functools.cache
def _template(name: str = "page") -> Template:
    from jinja2 import Environment, StrictUndefined

    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    return environment.from_string(files(__package__).joinpath(f"{name}.html.j2").read_text("utf-8"))
