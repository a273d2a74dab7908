"""SARIF is valid by its schema, keeps GitHub's limits and loses nothing."""

from __future__ import annotations

import functools
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft4Validator, FormatChecker
from sarif_pydantic import Sarif  # type: ignore[import-untyped]

from aksp.model.compliance import ComplianceState, Report
from aksp.report.formats.sarif import category, split, write_sarif
from aksp.report.interface import Style
from aksp.report.pipeline.unique_findings import MOST_LISTED, unique_findings
from tests.replacing import replace

from .render import render
from .scenarios import CLUSTER, FILES, RULES, SCENARIOS, Line, many, pod

S = ComplianceState
SCHEMA = Path(__file__).parent / "data" / "sarif-schema-2.1.0.json"


@functools.cache
def validator() -> Draft4Validator:
    return Draft4Validator(json.loads(SCHEMA.read_text(encoding="utf-8")), format_checker=FormatChecker())


def log(report: Report, limit: int = 25_000, base: str = "") -> Any:
    out = io.StringIO()
    write_sarif(report, out, Style(base=base), limit)
    return json.loads(out.getvalue())


def run(report: Report, base: str = "") -> Any:
    (only,) = log(report, base=base)["runs"]
    return only


def results(report: Report) -> list[Any]:
    found: list[Any] = run(report)["results"]
    return found


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_every_scenario_is_valid_by_the_schema_of_oasis(scenario: str) -> None:
    document = json.loads(render(SCENARIOS[scenario](), "sarif"))
    assert [error.message for error in validator().iter_errors(document)] == []
    assert document["version"] == "2.1.0"


def test_a_reader_finds_each_result_s_rule_and_place() -> None:
    text = render(SCENARIOS["violations"](), "sarif")
    (read,) = Sarif.model_validate_json(text).runs
    rules = read.tool.driver.rules
    assert rules is not None and read.results is not None
    for result in read.results:
        assert result.rule_index is not None and rules[result.rule_index].id == result.rule_id
        (location,) = result.locations or []
        assert location.physical_location is not None
        assert location.physical_location.artifact_location.uri.startswith("cluster/prod/")


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_what_github_demands_is_there(scenario: str) -> None:
    for one in log(SCENARIOS[scenario]())["runs"]:
        assert one["tool"]["driver"]["name"]
        for rule in one["tool"]["driver"]["rules"]:
            assert rule["id"] and rule["shortDescription"]["text"] and rule["help"]["text"]
            assert 0 < len(rule["fullDescription"]["text"]) <= 1024
            assert len(rule["properties"]["tags"]) <= 20
            assert isinstance(rule["properties"].get("security-severity", "0"), str)
        for result in one["results"]:
            (location,) = result["locations"]
            physical = location["physicalLocation"]
            uri = physical["artifactLocation"]["uri"]
            assert uri and not uri.startswith(("/", "./")) and uri.isascii()
            region = physical["region"]
            assert region["startLine"] == region["endLine"] >= 1
            assert 1 <= region["startColumn"] <= region["endColumn"]
            assert result["message"]["text"]
            assert result["partialFingerprints"]["primaryLocationLineHash"]
            assert len(location["logicalLocations"]) <= 1_000


def test_a_finding_in_a_file_names_the_field_by_line_and_columns() -> None:
    result = run(SCENARIOS["manifests"](), base="infra")["results"][1]
    assert result["locations"] == [
        {
            "physicalLocation": {
                "artifactLocation": {"uri": "infra/deploy/base/web/deployment.yaml", "uriBaseId": "%SRCROOT%"},
                "region": {"startLine": 23, "startColumn": 5, "endLine": 23, "endColumn": 30},
            },
            "logicalLocations": [
                {
                    "name": "web",
                    "fullyQualifiedName": "Deployment/shop/web/containers/web",
                    "kind": "resource",
                }
            ],
        }
    ]


def test_a_file_outside_the_repository_keeps_its_own_place() -> None:
    report = SCENARIOS["manifests"]()
    outside = replace(report.results[0], source=Line("/etc/a b.yaml", 1, None))
    (result,) = results(replace(report, results=(outside,)))
    physical = result["locations"][0]["physicalLocation"]
    assert physical == {"artifactLocation": {"uri": "file:///etc/a%20b.yaml"}, "region": {"startLine": 1}}


def test_levels_follow_what_would_be_refused() -> None:
    levels = {result["properties"]["assignment"]: result["level"] for result in results(SCENARIOS["violations"]())}
    assert levels == {
        "no-privileged": "error",
        "contoso-images": "error",
        "resource-limits": "warning",
        "allowed-service-ports": "warning",
    }


def test_the_exempt_are_suppressed_with_their_reason() -> None:
    found = results(SCENARIOS["violations"]())
    suppressed = [result for result in found if "suppressions" in result]
    assert {result["properties"]["state"] for result in suppressed} == {"Exempt"}
    assert {result["properties"]["state"] for result in found if "suppressions" not in result} == {"NonCompliant"}
    (mesh,) = suppressed[0]["suppressions"]
    assert mesh["kind"] == "external"
    assert mesh["justification"].startswith("mesh-agents: Mitigated, no end date")


def test_replicas_are_one_result_that_lists_them() -> None:
    found = results(SCENARIOS["violations"]())
    (limit,) = [result for result in found if "no CPU limit" in result["message"]["text"]]
    assert limit["occurrenceCount"] == len(limit["locations"][0]["logicalLocations"]) == 300
    assert limit["message"]["text"].endswith("no CPU limit is set (300 pods)")
    prints = [result["partialFingerprints"]["aksp/v1"] for result in found]
    assert len(set(prints)) == len(prints)


def test_replicas_beyond_githubs_limit_are_counted_in_the_message() -> None:
    report = SCENARIOS["violations"]()
    template = report.results[-2]
    crowd = [replace(template, resource=pod("shop", f"web-{at:05}")) for at in range(MOST_LISTED + 5)]
    (result,) = results(replace(report, results=crowd))
    assert len(result["locations"][0]["logicalLocations"]) == MOST_LISTED
    assert result["occurrenceCount"] == MOST_LISTED + 5
    assert "(1005 pods) The first 1,000 are listed, 5 are not." in result["message"]["text"]


def test_fingerprints_do_not_depend_on_the_names_of_pods() -> None:
    report = SCENARIOS["violations"]()
    renamed = replace(
        report,
        results=[
            replace(result, resource=replace(result.resource, name=f"{result.resource.name}-next"))
            if result.owner
            else result
            for result in report.results
        ],
    )
    prints = [[result["partialFingerprints"] for result in results(each)] for each in (report, renamed)]
    assert prints[0] == prints[1]


def test_gaps_are_notifications_of_a_run_that_did_not_succeed() -> None:
    (invocation,) = run(SCENARIOS["gaps"]())["invocations"]
    assert invocation["executionSuccessful"] is False
    told = [note["descriptor"]["id"] for note in invocation["toolExecutionNotifications"]]
    assert told == ["Forbidden", "PolicyError", "NotStarted"]
    (invocation,) = run(SCENARIOS["violations"]())["invocations"]
    assert invocation["executionSuccessful"] is True


def test_a_document_that_cannot_be_read_is_told_with_its_place() -> None:
    (invocation,) = run(SCENARIOS["manifests"](), base="infra")["invocations"]
    (note,) = invocation["toolExecutionNotifications"]
    (location,) = note["locations"]
    assert location["physicalLocation"] == {
        "artifactLocation": {"uri": "infra/deploy/base/cart.yaml", "uriBaseId": "%SRCROOT%"},
        "region": {"startLine": 7},
    }


def test_a_run_without_findings_has_an_empty_list_so_that_alerts_are_closed() -> None:
    assert run(SCENARIOS["clean"]())["results"] == []


def test_rules_help_with_what_the_definition_says() -> None:
    rules = {rule["id"]: rule for rule in run(SCENARIOS["violations"]())["tool"]["driver"]["rules"]}
    privileged = rules["no-privileged"]
    assert privileged["help"]["text"].endswith("\n\nRemove securityContext.privileged or set it to false.")
    assert "**What to do:** Remove" in privileged["help"]["markdown"]
    assert privileged["properties"]["security-severity"] == "9.5"
    assert privileged["properties"]["tags"] == ["security", "kubernetes", "Kubernetes service"]
    assert rules["allowed-service-ports"]["help"]["text"].endswith(
        "`aksp definitions show allowed-service-ports` describes this definition."
    )


def test_a_definition_that_nobody_describes_is_a_rule_all_the_same() -> None:
    report = replace(SCENARIOS["violations"](), rules={})
    assert [error.message for error in validator().iter_errors(log(report))] == []
    for rule in run(report)["tool"]["driver"]["rules"]:
        assert rule["shortDescription"]["text"] == rule["id"]
        assert "security-severity" not in rule["properties"]


def test_a_long_description_is_cut_where_github_would_refuse_it_and_whole_in_the_help() -> None:
    long = "word " * 400 + "end"
    report = replace(SCENARIOS["clean"](), rules={"no-privileged": replace(RULES["no-privileged"], description=long)})
    (rule,) = [rule for rule in run(report)["tool"]["driver"]["rules"] if rule["id"] == "no-privileged"]
    assert len(rule["fullDescription"]["text"]) == 1024
    assert long in rule["help"]["text"]


# Splitting


def prints(runs: Sequence[Any]) -> list[list[str]]:
    return [[result["partialFingerprints"]["aksp/v1"] for result in one["results"]] for one in runs]


def test_more_results_than_a_run_may_have_go_into_runs_with_categories_of_their_own() -> None:
    report = many()
    runs = log(report, limit=2_500)["runs"]
    found = prints(runs)
    assert all(0 < len(part) <= 2_500 for part in found)
    assert sorted(each for part in found for each in part) == sorted(
        one.fingerprint for one in unique_findings(report.results)
    )
    ids = [one["automationDetails"]["id"] for one in runs]
    assert ids == ["aksp/cluster/prod/", "aksp/cluster/prod/2/", "aksp/cluster/prod/3/"]


def test_ten_thousand_findings_are_one_run() -> None:
    assert sum(result["occurrenceCount"] for result in results(many())) == 10_000


def test_a_finding_stays_in_its_part_when_others_go() -> None:
    found = unique_findings(many().results)
    where = [{one.fingerprint for one in part} for part in split(found, 3_500)]
    fewer = [{one.fingerprint for one in part} for part in split(found[500:], 3_500)]
    assert len(where) == len(fewer) == 2
    assert all(less <= more for less, more in zip(fewer, where, strict=True))


def test_nothing_is_one_empty_part() -> None:
    assert list(split((), 10)) == [[]]


def test_categories_tell_targets_apart() -> None:
    assert category(CLUSTER) == "aksp/cluster/prod/"
    assert category(FILES) == "aksp/manifests/deploy/"
    assert category(replace(FILES, name="./deploy more/")) == "aksp/manifests/deploy more/"
    assert category(replace(FILES, name="/")) == "aksp/manifests/"
