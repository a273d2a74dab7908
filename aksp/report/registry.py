"""Every report format by name: what the command line, the documentation and the tests go by."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from aksp.report.azure_devops import render_azure_devops
from aksp.report.csv_format import render_csv
from aksp.report.github import render_github
from aksp.report.gitlab import render_gitlab
from aksp.report.html_format import render_html
from aksp.report.interface import Format
from aksp.report.json_format import render_json
from aksp.report.junit import render_junit
from aksp.report.markdown import render_markdown
from aksp.report.openreports import render_open_reports
from aksp.report.policyreport import render_policy_reports
from aksp.report.prometheus import render_prometheus
from aksp.report.sarif import render_sarif
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
        name="html",
        description="one page for people: filter, drill down, the YAML to fix; needs no network",
        render=render_html,
        every_line=True,
        suffixes=(".html", ".htm"),
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
    Format(
        name="junit",
        description="test results in JUnit's XML: a suite per assignment, a case per container",
        render=render_junit,
        every_line=True,
        suffixes=(".xml",),
        every_result=True,
    ),
    Format(
        name="sarif",
        description="SARIF 2.1.0 for code scanning, a result per finding of a workload",
        render=render_sarif,
        every_line=True,
        suffixes=(".sarif", ".sarif.json"),
    ),
    Format(
        name="github",
        description="annotations for GitHub Actions, and the Markdown report as the job's summary",
        render=render_github,
        every_line=False,
        suffixes=(".txt",),
    ),
    Format(
        name="azuredevops",
        description="issues for Azure Pipelines, and the Markdown report on the run's page",
        render=render_azure_devops,
        every_line=True,
        suffixes=(".txt",),
    ),
    Format(
        name="gitlab",
        description="Code Quality report for GitLab's merge requests",
        render=render_gitlab,
        every_line=True,
        suffixes=(".json",),
    ),
    Format(
        name="prometheus",
        description="metrics for node_exporter's textfile collector",
        render=render_prometheus,
        every_line=False,
        suffixes=(".prom",),
    ),
)

#: Formats by name, in the order in which help and documentation list them.
FORMATS: Mapping[str, Format] = MappingProxyType({one.name: one for one in _ALL})
