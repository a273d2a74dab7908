"""GitLab's Code Quality report has what GitLab reads, each finding once."""

from __future__ import annotations

import json
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from aksp.model.compliance import ComplianceState, Report
from tests.replacing import replace
from tests.results import changed

from .render import render
from .scenarios import SCENARIOS, Line, many

# By GitLab's documentation of the format ("Code Quality report format").
ISSUES = {
    "type": "array",
    "items": {
        "type": "object",
        "required": ["description", "check_name", "fingerprint", "severity", "location"],
        "properties": {
            "description": {"type": "string", "minLength": 1},
            "check_name": {"type": "string", "minLength": 1},
            "fingerprint": {"type": "string", "pattern": "^[0-9a-f]{32}$"},
            "severity": {"enum": ["info", "minor", "major", "critical", "blocker"]},
            "location": {
                "type": "object",
                "required": ["path", "lines"],
                "properties": {
                    "path": {"type": "string", "minLength": 1, "not": {"pattern": r"^\./"}},
                    "lines": {"required": ["begin"], "properties": {"begin": {"type": "integer", "minimum": 1}}},
                },
            },
        },
    },
}


def issues(report: Report, **style: str) -> list[Any]:
    found: list[Any] = json.loads(render(report, "gitlab", **style))
    return found


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_every_scenario_has_the_fields_that_gitlab_reads_and_unique_fingerprints(scenario: str) -> None:
    found = issues(SCENARIOS[scenario]())
    Draft202012Validator(ISSUES).validate(found)
    prints = [issue["fingerprint"] for issue in found]
    assert len(set(prints)) == len(prints)


def test_nothing_is_an_empty_array_without_a_byte_order_mark() -> None:
    assert render(SCENARIOS["clean"](), "gitlab") == "[]\n"


def test_a_finding_stands_on_its_line_with_its_severity() -> None:
    issue = issues(SCENARIOS["manifests"](), base="infra")[-1]
    assert issue["location"] == {"path": "infra/deploy/base/web/deployment.yaml", "lines": {"begin": 23}}
    assert issue["severity"] == "critical"
    assert issue["check_name"] == "allowed-images"
    assert issue["description"].startswith("contoso-images: Deployment shop/web, container web: image nginx:1.29")


@pytest.mark.parametrize(
    ("severity", "told"),
    [("Critical", "blocker"), ("high", "critical"), ("Medium", "major"), ("low", "minor"), ("odd", "info")],
)
def test_severities_are_gitlabs(severity: str, told: str) -> None:
    report = SCENARIOS["manifests"]()
    key = replace(report.results[0].assignment, severity=severity)
    (issue,) = issues(replace(report, results=(changed(report.results[0], assignment=key),), gaps=()))
    assert issue["severity"] == told


def test_the_exempt_are_left_out_and_gaps_are_findings() -> None:
    violations = SCENARIOS["violations"]()
    exempt = [each for each in violations.results if each.state is ComplianceState.EXEMPT]
    assert issues(replace(violations, results=exempt)) == []
    gap = issues(SCENARIOS["gaps"]())[0]
    assert (gap["check_name"], gap["location"]["path"]) == ("gap-Forbidden", "cluster/prod/gaps/Forbidden.yaml")


def test_a_document_that_cannot_be_read_stands_on_its_line() -> None:
    gap = issues(SCENARIOS["manifests"](), base="infra")[0]
    assert gap["location"] == {"path": "infra/deploy/base/cart.yaml", "lines": {"begin": 7}}


def test_replicas_are_one_finding_and_fingerprints_stay() -> None:
    report = SCENARIOS["violations"]()
    again = replace(
        report, results=[replace(each, resource=replace(each.resource, uid="other")) for each in report.results]
    )
    assert [each["fingerprint"] for each in issues(report)] == [each["fingerprint"] for each in issues(again)]
    assert sum("(300 pods)" in each["description"] for each in issues(report)) == 3
    assert len(issues(many())) == 4_000


def test_a_file_elsewhere_is_named_by_its_own_path() -> None:
    report = SCENARIOS["manifests"]()
    (issue,) = issues(replace(report, results=(replace(report.results[0], source=Line("/etc/w.yaml", 3)),), gaps=()))
    assert issue["location"] == {"path": "/etc/w.yaml", "lines": {"begin": 3}}
