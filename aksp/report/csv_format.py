"""CSV: a line per result, for spreadsheets."""

from __future__ import annotations

import csv
import json
from typing import Any, TextIO

from aksp.model.compliance import Report
from aksp.report import wire
from aksp.report.interface import Style
from aksp.report.text import safe

#: The fields of a result in JSON, flattened.
COLUMNS = (
    "assignment",
    "definition",
    "effect",
    "state",
    "message",
    "severity",
    "resource.apiVersion",
    "resource.kind",
    "resource.namespace",
    "resource.name",
    "resource.uid",
    "owner.kind",
    "owner.name",
    "container.name",
    "container.type",
    "container.image",
    "path",
    "observed",
    "expected",
    "exemption",
    "source.file",
    "source.line",
)

# What makes a spreadsheet read a cell as a formula (OWASP: "CSV Injection").
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")


def render_csv(report: Report, out: TextIO, style: Style) -> None:
    """Write a header and a line per result, by RFC 4180: lines end in CR LF.

    ``out`` must not translate line ends (``newline=""``).
    """
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    paths = [column.split(".") for column in COLUMNS]
    for result in wire.results(report, style.show):
        writer.writerow([_cell(result, path) for path in paths])


def _cell(result: Any, path: list[str]) -> str:
    value = result
    for name in path:
        value = value[name] if value is not None else None
    match value:
        case None:
            return ""
        case str():
            text = value
        case _:
            text = json.dumps(value, ensure_ascii=False)
    # A spreadsheet trims blanks before it looks for a formula.
    formula = text.startswith(_FORMULA) or text.lstrip().startswith(_FORMULA)
    return f"'{safe(text)}" if formula else safe(text)
