"""YAML: the same document as JSON, written result by result."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TextIO

from aksp import runners
from aksp.model.compliance import Report
from aksp.report import wire
from aksp.report.interface import Format, Style
from aksp.yaml_writer import to_yaml


def render_yaml(report: Report, out: TextIO, style: Style) -> None:
    """Write the report as one YAML document."""
    out.write(to_yaml(wire.head(report)))
    _write_list("results", wire.results(report, style.show), out)
    _write_list("gaps", wire.gaps(report), out)


def _write_list(name: str, items: Iterable[Any], out: TextIO) -> None:
    empty = True
    for item in items:
        if empty:
            out.write(f"{name}:\n")
            empty = False
        out.write(to_yaml([item]))
    if empty:
        out.write(f"{name}: []\n")


FORMAT = Format(
    name="yaml",
    description="the same document as json",
    render=render_yaml,
    suffixes=(".yaml", ".yml"),
    in_log=runners.as_it_is,
)
