"""PolicyReports and OpenReports are what their CustomResourceDefinitions say, whole, and of a bounded size."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from aksp.model.compliance import ComplianceState, Finding, Gap, Report, Result
from aksp.model.resource import Resource
from aksp.report import wire
from aksp.report.formats.policyreport import (
    LIMIT_BYTES,
    LONGEST_MESSAGE,
    OPEN_REPORTS,
    POLICY_REPORTS,
    Kinds,
    outcome,
    policy_reports,
)
from aksp.report.interface import Show
from tests.replacing import replace
from tests.results import a_result

from .render import render
from .scenarios import IMAGES, PORTS, SCENARIOS, S, pod

CRDS = Path(__file__).parents[1] / "e2e" / "crds"
BOTH = pytest.mark.parametrize(
    ("format", "kinds"),
    [("policyreport", POLICY_REPORTS), ("openreports", OPEN_REPORTS)],
    ids=["policyreport", "openreports"],
)


def _closed(schema: Any) -> Any:
    """A structural schema with unknown fields forbidden, as the API server does with fieldValidation=Strict."""
    if isinstance(schema, list):
        return [_closed(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {key: _closed(value) for key, value in schema.items() if key != "format"}
    if isinstance(closed.get("properties"), dict) and "additionalProperties" not in closed:
        closed["additionalProperties"] = False
    return closed


@cache
def validator(group: str, kind: str) -> Draft202012Validator:
    for path in CRDS.glob(f"{group}_*.yaml"):
        crd = yaml.safe_load(path.read_text(encoding="utf-8"))
        if crd["spec"]["names"]["kind"] == kind:
            (version,) = crd["spec"]["versions"]
            assert version["name"] in (POLICY_REPORTS.version, OPEN_REPORTS.version)
            return Draft202012Validator(_closed(version["schema"]["openAPIV3Schema"]))
    raise AssertionError(f"no CustomResourceDefinition of {kind}")


def check(document: dict[str, Any], kinds: Kinds) -> None:
    # The API server itself checks metadata.
    assert set(document["metadata"]) <= {"name", "namespace", "labels"}
    validator(kinds.group, document["kind"]).validate({**document, "metadata": {}})
    assert document["summary"] == {
        word: sum(each["result"] == word for each in document["results"])
        for word in ("pass", "fail", "warn", "error", "skip")
    }
    assert len(json.dumps(document)) <= LIMIT_BYTES


def built(report: Report, results: Sequence[Result] | None = None, **more: Any) -> list[dict[str, Any]]:
    return list(policy_reports(report, report.results if results is None else results, **more))


@BOTH
@pytest.mark.parametrize("show", Show)
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_every_scenario_is_valid_by_the_crds_and_the_same_in_yaml(
    scenario: str, show: Show, format: str, kinds: Kinds
) -> None:
    report = SCENARIOS[scenario]()
    documents = built(report, list(wire.shown(report, show)), kinds=kinds)
    for document in documents:
        check(document, kinds)
    assert list(yaml.load_all(render(report, format, show=show), yaml.CSafeLoader) if documents else []) == documents


def test_a_namespace_has_one_object_and_what_has_none_is_in_the_clusters() -> None:
    documents = built(SCENARIOS["gaps"]())
    assert [(each["kind"], each["metadata"].get("namespace")) for each in documents] == [
        ("ClusterPolicyReport", None),
        ("PolicyReport", "shop"),
    ]
    assert all(each["metadata"]["name"] == "aksp" for each in documents)
    assert documents[1]["scope"] == {"apiVersion": "v1", "kind": "Namespace", "name": "shop"}


@pytest.mark.parametrize(
    ("state", "effect", "word"),
    [
        (S.NON_COMPLIANT, "EnforceRegoPolicy", "fail"),
        (S.NON_COMPLIANT, "Deny", "fail"),
        (S.NON_COMPLIANT, "Audit", "fail"),
        (S.NON_COMPLIANT, "Warn", "warn"),
        (S.COMPLIANT, "Warn", "pass"),
        (S.ERROR, "Deny", "error"),
        (S.CONFLICTING, "Deny", "error"),
        (S.EXEMPT, "Warn", "skip"),
        (S.UNKNOWN, "Deny", "skip"),
        (S.NOT_STARTED, "Deny", "skip"),
    ],
)
def test_states_have_the_words_of_the_api(state: ComplianceState, effect: str, word: str) -> None:
    assert outcome(state, effect) == word


def test_a_gap_is_an_error_so_that_nothing_passes_silently() -> None:
    (first, *_) = built(SCENARIOS["gaps"]())
    # The other gap of this scenario is about a resource that has a result of its own.
    assert [(each["result"], each["rule"]) for each in first["results"]] == [
        ("error", "Forbidden"),
        ("skip", "unique-ingress-hosts"),
    ]


def test_an_object_that_grows_too_large_goes_on_in_another_and_nothing_is_lost() -> None:
    violations = SCENARIOS["violations"]()
    documents = built(violations, limit=40_000)
    shop = [each["metadata"]["name"] for each in documents if each["metadata"].get("namespace") == "shop"]
    assert shop == ["aksp", *(f"aksp-{at}" for at in range(2, len(shop) + 1))]
    assert len(shop) > 5
    assert all(len(json.dumps(each)) <= 40_000 for each in documents)
    found = Counter(each["result"] for document in documents for each in document["results"])
    assert found.total() == len(violations.results)


def test_a_namespace_whose_results_stand_apart_still_has_no_name_twice() -> None:
    manifests = SCENARIOS["manifests"]()
    results = [*manifests.results, *manifests.results]
    places = [(each["metadata"].get("namespace"), each["metadata"]["name"]) for each in built(manifests, results)]
    assert len(places) == len(set(places))


def test_long_texts_say_how_much_is_left_out() -> None:
    finding = Finding(message="x" * 5000, observed=["y" * 5000])
    result = a_result(assignment=PORTS, state=S.NON_COMPLIANT, resource=pod("shop", "web"), finding=finding)
    ((found,),) = [each["results"] for each in built(replace(SCENARIOS["clean"](), results=(result,)))]
    assert found["message"] == "x" * LONGEST_MESSAGE + f"… ({5000 - LONGEST_MESSAGE} more characters)"
    assert found["properties"]["observed"].endswith(" more characters)")


def test_a_result_has_everything_as_texts() -> None:
    (*_, service) = built(SCENARIOS["violations"]())[-1]["results"]
    assert service == {
        "source": "aksp",
        "policy": "allowed-service-ports",
        "rule": "allowed-service-ports",
        "result": "warn",
        "scored": False,
        "severity": "low",
        "message": "service port 8080/TCP is not allowed (80, 443)",
        "timestamp": {"seconds": 1788256800, "nanos": 0},
        "properties": {
            "state": "NonCompliant",
            "effect": "Warn",
            "path": "spec.ports[1].port",
            "observed": "8080",
            "expected": '["80", "443"]',
        },
        "resources": [
            {"apiVersion": "v1", "kind": "Service", "namespace": "shop", "name": "web", "uid": "uid-service"}
        ],
    }


def test_a_gap_about_an_object_of_a_namespace_names_it() -> None:
    gap = Gap(reason="Odd", message="odd", resource=Resource(api_version="v1", kind="Pod", namespace="a", name="b"))
    (document,) = built(replace(SCENARIOS["empty"](), gaps=(gap,)))
    assert document["kind"] == "ClusterPolicyReport"
    assert document["results"][0]["resources"] == [{"apiVersion": "v1", "kind": "Pod", "namespace": "a", "name": "b"}]


@pytest.mark.parametrize("format", ["policyreport", "openreports"])
def test_ten_thousand_findings_are_written_quickly(format: str) -> None:
    findings = [Finding(message=f"no limit {at}", path=f"spec.containers[{at}]") for at in range(4)]
    report = replace(
        SCENARIOS["clean"](),
        results=tuple(
            a_result(assignment=IMAGES, state=S.NON_COMPLIANT, resource=resource, finding=finding)
            for resource in (pod("shop", f"web-{at:06}") for at in range(2500))
            for finding in findings
        ),
    )
    render(SCENARIOS["clean"](), format, show=Show.ALL)  # imports
    started = time.process_time()
    text = render(report, format)
    assert time.process_time() - started < 3
    assert text.count("\n- source: aksp\n") == 10_000
    assert text.count("\n---\n") >= 3
