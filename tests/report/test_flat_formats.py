"""CSV and Markdown: nothing in them acts, and every result is there."""

from __future__ import annotations

import csv
import io
import re

import pytest

from aksp.model.compliance import Finding
from aksp.report.formats.csv import COLUMNS
from aksp.report.pipeline.markdown import escape
from tests.replacing import replace
from tests.results import changed

from .render import render
from .scenarios import SCENARIOS


def test_csv_has_a_header_and_a_line_per_result_ended_by_cr_lf() -> None:
    report = SCENARIOS["violations"]()
    text = render(report, "csv")
    rows = list(csv.DictReader(io.StringIO(text, newline="")))
    assert text.splitlines()[0] == ",".join(COLUMNS)
    assert text.count("\r\n") == text.count("\n") == len(report.results) + 1
    assert [row["resource.name"] for row in rows] == [result.resource.name for result in report.results]
    assert rows[0]["exemption"] == "mesh-agents"
    assert rows[-1]["expected"] == '["80", "443"]'


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", " =", "\n="])
def test_csv_cells_are_no_formulas(start: str) -> None:
    report = SCENARIOS["manifests"]()
    finding = Finding(message=f"{start}1+1")
    report = replace(report, results=[changed(report.results[0], finding=finding)])
    row, _gap = csv.DictReader(io.StringIO(render(report, "csv"), newline=""))
    assert row["message"].startswith("'")


def test_markdown_tables_keep_their_columns_whatever_the_data() -> None:
    for make in SCENARIOS.values():
        cells = 0
        for line in render(make(), "markdown").splitlines():
            bars = len(re.findall(r"(?<!\\)(?:\\\\)*\|", line))
            if line.startswith("|"):
                assert not cells or bars == cells
                cells = bars
            else:
                assert not bars
                cells = 0


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        ("a|b", r"a\|b"),
        ("<img src=x>", "&lt;img src=x&gt;"),
        ("`x` *y* [z](u)", r"\`x\` \*y\* \[z\](u)"),
        ("by @alice, see #1", "by @<!-- -->alice, see #<!-- -->1"),
        ("image@sha256:00", "image@sha256:00"),
    ],
)
def test_markdown_reads_as_the_text_it_is_given(text: str, escaped: str) -> None:
    assert escape(text) == escaped
