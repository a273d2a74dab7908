"""JSON: the report's contract, written result by result."""

from __future__ import annotations

import json
from typing import Any, TextIO

from aksp.model.compliance import Report
from aksp.report import wire
from aksp.report.interface import Style

# Made once: json.dumps would make an encoder for each of 33,000 results.
_READABLE = json.JSONEncoder(ensure_ascii=False).encode


def render_json(report: Report, out: TextIO, style: Style) -> None:
    """Write the report as one JSON document: the envelope indented, a line per result and gap."""
    envelope = _encode(wire.head(report), indent=2)
    out.write(envelope.removesuffix("\n}"))
    _write_list("results", wire.results(report, style.show), out)
    _write_list("gaps", wire.gaps(report), out)
    out.write("\n}\n")


def _write_list(name: str, items: Any, out: TextIO) -> None:
    out.write(f',\n  "{name}": [')
    before = "\n    "
    for item in items:
        out.write(before + _encode(item))
        before = ",\n    "
    out.write("]" if before == "\n    " else "\n  ]")


def _encode(value: Any, indent: int | None = None) -> str:
    """Readable as it is, but in ASCII when something in it does not print.

    JSON leaves C1 controls and bidirectional overrides as they are, and a report is read on
    terminals too.
    """
    text = _READABLE(value) if indent is None else json.dumps(value, ensure_ascii=False, indent=indent)
    if text.replace("\n", "").isprintable():
        return text
    return json.dumps(value, indent=indent).replace("\x7f", "\\u007f")
