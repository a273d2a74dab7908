"""Azure's commands are read back as the agent reads them."""

from __future__ import annotations

import re

from aksp.model.compliance import Report
from aksp.report.formats.azuredevops import upload_summary
from tests.replacing import replace
from tests.results import changed

from .render import render
from .scenarios import SCENARIOS, Line, many


def read(line: str) -> tuple[dict[str, str], str]:
    """Properties and message of an issue, as the agent takes them: up to the first bracket."""
    match = re.fullmatch(r"##vso\[task\.logissue ([^\]]*)\](.*)", line)
    assert match is not None, line
    properties = dict(each.split("=", 1) for each in match[1].split(";") if each)
    return {key: _plain(value) for key, value in properties.items()}, _plain(match[2])


def _plain(text: str) -> str:
    for escaped, char in (("%3B", ";"), ("%5D", "]"), ("%0A", "\n"), ("%0D", "\r"), ("%AZP25", "%")):
        text = text.replace(escaped, char)
    return text


def issues(report: Report, **style: str) -> list[tuple[dict[str, str], str]]:
    *lines, _ = render(report, "azuredevops", **style).splitlines()
    return [read(line) for line in lines]


def test_a_violation_is_an_issue_with_file_line_column_and_code() -> None:
    assert issues(SCENARIOS["manifests"](), base="infra")[1] == (
        {
            "type": "error",
            "sourcepath": "infra/deploy/base/web/deployment.yaml",
            "linenumber": "23",
            "columnnumber": "5",
            "code": "allowed-images",
        },
        "contoso-images: Deployment shop/web, container web: image nginx:1.29 is not from an allowed registry "
        "(contoso.azurecr.io). Field: spec.template.spec.containers[0].image. "
        "Push the image to an allowed registry, then name it from there.",
    )


def test_a_name_cannot_end_the_properties_or_begin_a_command() -> None:
    report = SCENARIOS["manifests"]()
    evil = "a;code=x]##vso[task.setvariable variable=PATH]%\r\n"
    result = changed(report.results[1], source=Line(evil, 7), finding=replace(report.results[1].finding, message=evil))
    (properties, message) = issues(replace(report, results=(result,), gaps=()))[0]
    assert properties["code"] == "allowed-images"
    assert properties["sourcepath"].startswith("a;code=x]##vso[task.setvariable variable=PATH]%")
    assert "##vso[task.setvariable variable=PATH]%" in message
    for line in render(replace(report, results=(result,)), "azuredevops").splitlines():
        assert line.startswith("##vso[task.logissue type=") or "##vso" not in line


def test_standard_input_is_named_in_the_message() -> None:
    properties, message = issues(SCENARIOS["manifests"]())[0]
    assert "sourcepath" not in properties
    assert message.startswith("contoso-images: standard input, line 41: CronJob nightly-report")


def test_all_findings_are_issues_errors_first_then_gaps() -> None:
    found = issues(many())
    assert len(found) == 4_000
    kinds = [properties["type"] for properties, _ in found]
    assert kinds == sorted(kinds)
    assert [properties["code"] for properties, _ in issues(SCENARIOS["gaps"]())] == ["Forbidden", "resource-limits"]


def test_a_summary_is_uploaded_by_its_path() -> None:
    assert upload_summary("/tmp/50%.md") == "##vso[task.uploadsummary]/tmp/50%AZP25.md\n"
