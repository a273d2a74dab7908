"""HTML: one file for people, which needs no network, no server and no other file."""

from __future__ import annotations

from typing import TextIO

from aksp.model.compliance import Report
from aksp.report.interface import Format, Style


def render_html(report: Report, out: TextIO, style: Style) -> None:
    """Write the page. Summary and assignments can be read without scripts; going through the findings needs them."""
    # jinja2 takes longer to import than all other formats together.
    from aksp.report.html.page import write_page

    write_page(report, out, style)


FORMAT = Format(
    name="html",
    description="one page for people: filter, drill down, the YAML to fix; needs no network",
    render=render_html,
    suffixes=(".html", ".htm"),
)
