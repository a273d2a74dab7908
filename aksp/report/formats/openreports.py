"""OpenReports: the successor of PolicyReports, by the same builder."""

from __future__ import annotations

from typing import TextIO

from aksp import runners
from aksp.model.compliance import Report
from aksp.report.formats.policyreport import OPEN_REPORTS, one_cluster, write_policy_reports
from aksp.report.interface import Format, Style


def render_open_reports(report: Report, out: TextIO, style: Style) -> None:
    """Write openreports.io/v1alpha1 objects."""
    write_policy_reports(report, out, style, OPEN_REPORTS)


FORMAT = Format(
    name="openreports",
    description="Report objects (openreports.io/v1alpha1) as YAML, one per namespace",
    render=render_open_reports,
    suffixes=(".yaml", ".yml"),
    one_cluster=one_cluster("openreports"),
    in_log=runners.as_it_is,
)
