"""aksp compliance with rules that ask for the admission request, and with AdmissionReviews as input."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml

from tests.cli.conftest import Aksp

DEFINITION: dict[str, Any] = {
    "properties": {
        "displayName": "Ours",
        "mode": "Microsoft.Kubernetes.Data",
        "parameters": {"effect": {"type": "String", "defaultValue": "Deny"}},
        "policyRule": {
            "if": {},
            "then": {
                "effect": "[parameters('effect')]",
                "details": {
                    "templateInfo": {"sourceType": "File", "path": "policy.rego"},
                    "apiGroups": [""],
                    "kinds": ["Pod"],
                },
            },
        },
    }
}
ON_UPDATE = """
violation contains {"msg": sprintf("%s may not change it", [input.review.userInfo.username]), "details": {"path": "metadata.name"}} if {
	input.review.operation == "UPDATE"
	input.review.oldObject.spec.hostNetwork != input.review.object.spec.hostNetwork
}
"""
NOT_ON_UPDATE = """
violation contains {"msg": "network", "details": {"path": "spec.hostNetwork"}} if {
	not is_update
	input.review.object.spec.hostNetwork
}

is_update if input.review.operation == "UPDATE"
"""
EITHER = NOT_ON_UPDATE + ON_UPDATE


def assigned(aksp: Aksp, rego: str, name: str = "ours") -> None:
    folder = aksp.workspace / "definitions" / name
    folder.mkdir(parents=True)
    (folder / "definition.json").write_text(json.dumps(DEFINITION))
    (folder / "policy.rego").write_text(f"package {name}\n{rego}")
    assert aksp("assign", name).code == 0


def pod(network: bool) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "web", "namespace": "shop"},
        "spec": {"hostNetwork": network, "containers": [{"name": "web", "image": "web"}]},
    }


def review(**more: Any) -> dict[str, Any]:
    request = {
        "operation": "UPDATE",
        "kind": {"group": "", "version": "v1", "kind": "Pod"},
        "userInfo": {"username": "eve"},
        "namespace": "shop",
        "object": pod(True),
        "oldObject": pod(False),
    }
    return {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": {**request, **more}}


def written(*documents: dict[str, Any]) -> str:
    return "---\n".join(yaml.safe_dump(json.loads(json.dumps(one)), sort_keys=False) for one in documents)


def judged(aksp: Aksp, *documents: dict[str, Any]) -> Any:
    return aksp.judge("-", stdin=written(*documents))


def test_a_rule_that_only_the_request_can_break_is_not_started_and_never_compliant(aksp: Aksp) -> None:
    assigned(aksp, ON_UPDATE)
    run = judged(aksp, pod(True))

    (line,) = run.json["assignments"]
    assert (line["state"], line["compliancePercent"]) == ("NotStarted", None)
    assert "judged at admission only" in line["message"]
    assert run.json["state"] == "NotStarted"
    assert run.code == 4


def test_a_rule_that_the_request_only_softens_is_judged_as_a_creation(aksp: Aksp) -> None:
    assigned(aksp, NOT_ON_UPDATE)
    run = judged(aksp, pod(True), {**pod(False), "metadata": {"name": "fine", "namespace": "shop"}})

    assert run.states == [("web", "NonCompliant")]
    assert run.json["counts"]["resources"]["Compliant"] == 1
    assert "admission" not in run.err


def test_of_a_rule_that_finds_more_at_admission_it_is_said(aksp: Aksp) -> None:
    assigned(aksp, EITHER)
    run = judged(aksp, pod(True))

    assert run.states == [("web", "NonCompliant")]
    assert "it may find more at admission" in run.err


def test_reviews_are_judged_as_at_admission_beside_manifests(aksp: Aksp) -> None:
    assigned(aksp, ON_UPDATE)
    run = judged(aksp, pod(True), review())

    assert [(one["message"], one["state"]) for one in run.json["results"]] == [
        ("eve may not change it", "NonCompliant")
    ]
    lines = written(pod(True), review()).splitlines()
    place = run.json["results"][0]["source"]["line"] - 1
    assert lines[place] == "      name: web"
    assert lines.index("  object:") < place < lines.index("  oldObject:")
    assert run.json["counts"]["resources"]["NonCompliant"] == 1
    assert run.code == 1

    assert judged(aksp, review(operation="CREATE", oldObject=None)).code == 0


def test_the_pod_of_a_workload_in_a_review_is_judged(aksp: Aksp) -> None:
    assigned(aksp, NOT_ON_UPDATE)
    workload = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web", "namespace": "shop"},
        "spec": {"template": {"spec": pod(True)["spec"]}},
    }
    asked = review(kind={"group": "apps", "version": "v1", "kind": "Deployment"}, object=workload, oldObject=None)

    assert judged(aksp, asked).states == [("web", "NonCompliant")]


@pytest.mark.parametrize("more", [{"operation": "DELETE", "object": None}, {"object": [1]}, {"operation": "CONNECT"}])
def test_a_review_that_cannot_be_judged_is_a_gap(aksp: Aksp, more: dict[str, Any]) -> None:
    assigned(aksp, NOT_ON_UPDATE)
    run = judged(aksp, pod(False), review(**more))

    assert run.code == 4
    assert any("request.object" in gap or "operation" in gap for gap in run.gaps)


def test_a_rule_that_reads_what_is_not_given_is_in_error(aksp: Aksp) -> None:
    assigned(aksp, 'violation contains {"msg": "x"} if input.review.namespaceObject.metadata.labels.x')
    run = judged(aksp, pod(False))

    assert run.states == [("web", "Error")]
    assert "namespaceObject" in run.gaps[0]
