"""Every report format by name: what the command line, the documentation and the tests go by."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from aksp.report.csv_format import render_csv
from aksp.report.interface import Format
from aksp.report.json_format import render_json
from aksp.report.markdown import render_markdown
from aksp.report.openreports import render_open_reports
from aksp.report.policyreport import render_policy_reports
from aksp.report.table import render_table, render_wide
from aksp.report.yaml_format import render_yaml

_ALL = (
    Format(
        name="table",
        description="summary, then the containers that do not comply, replicas as one row",
        render=render_table,
        every_line=False,
        suffixes=(".txt",),
    ),
    Format(
        name="wide",
        description="the table with a row per result and all its fields; as wide as it needs to be",
        render=render_wide,
        every_line=True,
        suffixes=(".txt",),
    ),
    Format(
        name="json",
        description="the versioned report, by aksp/report/report.schema.json",
        render=render_json,
        every_line=True,
        suffixes=(".json",),
    ),
    Format(
        name="yaml",
        description="the same document as json",
        render=render_yaml,
        every_line=True,
        suffixes=(".yaml", ".yml"),
    ),
    Format(
        name="csv",
        description="a line per result for spreadsheets (RFC 4180)",
        render=render_csv,
        every_line=True,
        suffixes=(".csv",),
    ),
    Format(
        name="markdown",
        description="the table for a pull request, a wiki or a job summary",
        render=render_markdown,
        every_line=False,
        suffixes=(".md",),
    ),
    Format(
        name="policyreport",
        description="PolicyReport objects (wgpolicyk8s.io/v1alpha2) as YAML, one per namespace",
        render=render_policy_reports,
        every_line=True,
        suffixes=(".yaml", ".yml"),
    ),
    Format(
        name="openreports",
        description="Report objects (openreports.io/v1alpha1) as YAML, one per namespace",
        render=render_open_reports,
        every_line=True,
        suffixes=(".yaml", ".yml"),
    ),
)

#: Formats by name, in the order in which help and documentation list them.
FORMATS: Mapping[str, Format] = MappingProxyType({one.name: one for one in _ALL})
