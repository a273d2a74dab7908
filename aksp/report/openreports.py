"""OpenReports: the successor of PolicyReports, by the same builder."""

from __future__ import annotations

from typing import TextIO

from aksp.model.compliance import Report
from aksp.report.interface import Style
from aksp.report.policyreport import OPEN_REPORTS, write_policy_reports


def render_open_reports(report: Report, out: TextIO, style: Style) -> None:
    """Write openreports.io/v1alpha1 objects."""
    write_policy_reports(report, out, style, OPEN_REPORTS)
