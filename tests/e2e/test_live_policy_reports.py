"""PolicyReports and OpenReports are what a real API server stores by the real CRDs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
import yaml

from tests.e2e.command import Aksp
from tests.e2e.objects import OUR_REGISTRY, Object, namespace, pod
from tests.testbed.controlplane import ControlPlane
from tests.waiting import until

pytestmark = pytest.mark.e2e

PLACE = "policy-reports"
_REGO = f"""package namespaces

violation contains {{"msg": "not labelled", "details": {{}}}} if input.review.object.metadata.name == "{PLACE}"
"""
PATHS = {
    "policyreport": {
        "PolicyReport": f"/apis/wgpolicyk8s.io/v1alpha2/namespaces/{PLACE}/policyreports",
        "ClusterPolicyReport": "/apis/wgpolicyk8s.io/v1alpha2/clusterpolicyreports",
    },
    "openreports": {
        "Report": f"/apis/openreports.io/v1alpha1/namespaces/{PLACE}/reports",
        "ClusterReport": "/apis/openreports.io/v1alpha1/clusterreports",
    },
}


@pytest.fixture(scope="module")
def serving() -> Iterator[ControlPlane]:
    """A control plane of its own that serves both kinds of reports."""
    with ControlPlane() as plane:
        crds = sorted(Path(__file__).with_name("crds").rglob("*.yaml"))
        plane.apply([each for path in crds for each in yaml.safe_load_all(path.read_text()) if each])
        plane.apply([namespace(PLACE)])
        for path in (path for kinds in PATHS.values() for path in kinds.values()):
            until(partial(plane.client.serves, path), what=f"{path} is not served")
        yield plane


@pytest.mark.parametrize("format", PATHS)
def test_a_report_of_a_cluster_is_stored_as_it_is_written(format: str, serving: ControlPlane, tmp_path: Path) -> None:
    serving.apply([pod("web", PLACE), pod("exempt", PLACE), pod("fine", PLACE, image="contoso.azurecr.io/a:1")])
    aksp = Aksp(folder=tmp_path, kubeconfig=serving.kubeconfig)
    aksp.assign("allowed-images", parameters=OUR_REGISTRY)
    aksp.exempt("legacy", "allowed-images", exemptionCategory="Waiver", resources=[{"name": "exempt"}])
    # What has no namespace goes into the kind of report that has none.
    definition = aksp.workspace / "definitions" / "namespaces"
    definition.mkdir(parents=True)
    (definition / "policy.rego").write_text(_REGO)
    (definition / "definition.json").write_text(_definition())
    aksp.assign("namespaces")
    file = tmp_path / "report.yaml"
    ended = aksp.run("compliance", "--show", "all", "-o", f"{format}={file}")
    assert ended.code == 1, ended.stderr

    documents = list(yaml.safe_load_all(file.read_text()))
    assert {one["kind"] for one in documents} == set(PATHS[format])
    for one in documents:
        path = PATHS[format][one["kind"]]
        serving.request("POST", f"{path}?fieldValidation=Strict", one)
        stored = serving.request("GET", f"{path}/{one['metadata']['name']}")
        assert {key: value for key, value in stored.items() if key != "metadata"} == {
            key: value for key, value in one.items() if key != "metadata"
        }
    results = _results(documents)
    assert results >= {("web", "fail"), ("exempt", "skip"), ("fine", "pass"), (PLACE, "fail")}


def _definition() -> str:
    rule = {
        "if": {"field": "type", "in": ["Microsoft.ContainerService/managedClusters"]},
        "then": {
            "effect": "[parameters('effect')]",
            "details": {
                "templateInfo": {"sourceType": "File", "path": "policy.rego"},
                "apiGroups": [""],
                "kinds": ["Namespace"],
            },
        },
    }
    properties = {
        "displayName": "Namespaces",
        "policyType": "Custom",
        "mode": "Microsoft.Kubernetes.Data",
        "parameters": {"effect": {"type": "String", "defaultValue": "Audit"}},
        "policyRule": rule,
    }
    return json.dumps({"name": "namespaces", "properties": properties})


def _results(documents: list[Object]) -> set[tuple[str, str]]:
    return {
        (resource["name"], result["result"])
        for one in documents
        for result in one["results"]
        for resource in result.get("resources", [])
    }
