"""The report on what a real Gatekeeper audits: rows for containers, and what its statuses leave out."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bench.webhooks import apply_to_gatekeeper, gatekeeper_process
from tests.azure.builders import NO_PRIVILEGE, SUBSCRIPTION
from tests.cli.test_compare_azure import record
from tests.cli.test_custom_mutations import mutator
from tests.e2e.command import Aksp
from tests.e2e.objects import Object, create_pods, namespace, pod
from tests.e2e.test_gatekeeper_mutations import EXPANSION
from tests.gatekeeper.builders import constraint, template
from tests.gatekeeper.test_audits import KIND, RULE
from tests.testbed.controlplane import ControlPlane
from tests.waiting import until

pytestmark = pytest.mark.e2e

PLACE = "gk-audited"
PATH = f"/apis/constraints.gatekeeper.sh/v1beta1/{KIND.lower()}/none"


@pytest.fixture(scope="module")
def plane() -> Iterator[ControlPlane]:
    """One of its own: Gatekeeper's kinds concern everything on it."""
    with ControlPlane() as made:
        made.apply([namespace(PLACE)])
        yield made


def privileged(name: str) -> Object:
    one = pod(name, PLACE)
    one["spec"]["containers"] += [{"name": "proxy", "image": "i", "securityContext": {"privileged": True}}]
    return one


def test_every_container_is_told_and_what_the_status_leaves_out(plane: ControlPlane, tmp_path: Path) -> None:
    create_pods(plane, [pod("fine", PLACE), *(privileged(f"p-{number}") for number in range(3))])
    aksp = Aksp(folder=tmp_path, kubeconfig=plane.kubeconfig)
    audit = ("--operation=audit", "--audit-interval=2", "--constraint-violations-limit=2")
    with gatekeeper_process(plane, tmp_path, *audit) as webhook:
        made = template(KIND, RULE, {"type": "object"})
        apply_to_gatekeeper(
            plane, webhook, [made], [constraint("none", KIND, parameters={}, enforcementAction="dryrun")]
        )
        until(lambda: (plane.request("GET", PATH).get("status") or {}).get("totalViolations") == 3, what="no audit")
        # It counts before it lists.
        until(lambda: len(plane.request("GET", PATH)["status"].get("violations") or ()) == 2, what="no list")
        complete = report(aksp, 1)
    assert [gap["reason"] for gap in complete["gaps"]] == ["AuditIncomplete"]
    assert [(one["resource"]["name"], one["container"]["name"]) for one in complete["results"]] == [
        (f"p-{number}", "proxy") for number in range(3)
    ]
    assert complete["assignments"][0]["counts"]["resources"]["Compliant"] == 1

    # Gatekeeper is gone, and so is what it reports.
    for listed in plane.request("GET", PATH)["status"]["violations"]:
        plane.request("DELETE", f"/api/v1/namespaces/{PLACE}/pods/{listed['name']}?gracePeriodSeconds=0")
    later = report(aksp, 1)
    assert "NotConfirmed" in [gap["reason"] for gap in later["gaps"]]
    assert len(later["results"]) == 1


def report(aksp: Aksp, code: int, place: str = PLACE) -> Any:
    run = aksp.run("compliance", "--from", "gatekeeper", "-n", place, "-o", "json")
    assert run.code == code, run.stderr
    return json.loads(run.stdout)


DEFINITIONS = ("no-privileged", "allowed-images", "read-only-root-filesystem", "run-as-non-root")
SCANNED = "gk-scanned"


def rows(report: Any) -> set[tuple[str, ...]]:
    return {
        (one["assignment"], one["resource"]["name"], str((one["container"] or {}).get("name")), one["message"])
        for one in report["results"]
        if one["state"] == "NonCompliant"
    }


def test_gatekeeper_audits_what_a_scan_finds(plane: ControlPlane, tmp_path: Path) -> None:
    plane.apply([namespace(SCANNED)])
    pods = [
        {**privileged(f"p-{number}"), "metadata": {"name": f"p-{number}", "namespace": SCANNED}} for number in range(3)
    ]
    create_pods(plane, [*pods, pod("ours", SCANNED, image="contoso.azurecr.io/web:1")])
    aksp = Aksp(folder=tmp_path, kubeconfig=plane.kubeconfig)
    for slug in DEFINITIONS:
        more = {"allowedRegistries": ["contoso.azurecr.io"]} if slug == "allowed-images" else {}
        aksp.assign(slug, scope=f"/clusters/testbed/namespaces/{SCANNED}", parameters={"effect": "Audit", **more})
    scan = aksp.judge("--cluster", "testbed", "-n", SCANNED).report
    exported = aksp.run("export", "gatekeeper", "--cluster", "testbed", "-o", "json")
    assert exported.code == 0, exported.stderr
    items = json.loads(exported.stdout)["items"]
    templates = [one for one in items if one["kind"] == "ConstraintTemplate"]
    constraints = [one for one in items if one["apiVersion"].startswith("constraints.")]

    def statuses() -> list[Any]:
        root = "/apis/constraints.gatekeeper.sh/v1beta1"
        paths = [f"{root}/{one['kind'].lower()}/{one['metadata']['name']}" for one in constraints]
        return [plane.request("GET", path).get("status") or {} for path in paths]

    expected = {(assignment, name, message) for assignment, name, _, message in rows(scan)}
    with gatekeeper_process(plane, tmp_path, "--operation=audit", "--audit-interval=2") as webhook:
        apply_to_gatekeeper(plane, webhook, templates, constraints)

        def audited() -> set[tuple[str, str, str]]:
            return {
                (one["metadata"]["name"], each["name"], each["message"])
                for one, status in zip(constraints, statuses(), strict=True)
                for each in status.get("violations") or ()
            }

        until(lambda: audited() == expected, what="Gatekeeper audits otherwise")
        from_gatekeeper = report(aksp, 1, SCANNED)
    assert len(expected) > 10
    # The other test's constraint is there too.
    assert {one for one in rows(from_gatekeeper) if one[0] in DEFINITIONS} == rows(scan)


OF_ADDON = "gk-of-addon"
ASSIGNED = f"{SUBSCRIPTION}/providers/Microsoft.Authorization/policyAssignments/baseline"


def test_constraints_of_azures_add_on_are_held_against_azures_records_and_the_rest_is_named_at_import(
    plane: ControlPlane, tmp_path: Path
) -> None:
    plane.apply([namespace(OF_ADDON)])
    bad = privileged("bad")
    create_pods(plane, [{**bad, "metadata": {"name": "bad", "namespace": OF_ADDON}}])
    kind = "K8sAzureV2NoPrivilege"
    of_addon = constraint(
        "azurepolicy-no-privilege-0123456789abcdef0123", kind, parameters={}, enforcementAction="dryrun"
    )
    of_addon["metadata"] |= {
        "labels": {"managed-by": "azure-policy-addon"},
        "annotations": {
            "azure-policy-assignment-id": ASSIGNED, "azure-policy-definition-id": NO_PRIVILEGE,
            "azure-policy-definition-reference-id": "NoPrivilegedContainers",
            "azure-policy-setdefinition-id": "/providers/Microsoft.Authorization/policySetDefinitions/a8640138",
            "constraint-installed-by": "azure-policy-addon",
        },
    }  # fmt: skip
    aksp = Aksp(folder=tmp_path, kubeconfig=plane.kubeconfig)
    states = tmp_path / "states.json"
    shared = {
        "policyAssignmentId": ASSIGNED.lower(), "policyDefinitionReferenceId": "noprivilegedcontainers",
        "policyDefinitionId": NO_PRIVILEGE, "timestamp": "2999-01-01T00:00:00Z",
    }  # fmt: skip
    states.write_text(json.dumps({"value": [record(f"{OF_ADDON}/bad") | shared, record(f"{OF_ADDON}/gone") | shared]}))
    with gatekeeper_process(plane, tmp_path) as webhook:
        apply_to_gatekeeper(plane, webhook, [template(kind, RULE, {"type": "object"})], [of_addon])
        plane.apply([
            mutator("AssignMetadata", "metadata.labels.a", parameters={"assign": {"value": "b"}}),
            mutator("AssignImage", "spec.containers[name: *].image", parameters={"assignTag": ":1"})
            | {"apiVersion": "mutations.gatekeeper.sh/v1alpha1"},
            EXPANSION,
        ])  # fmt: skip
        asked = ("--from", "gatekeeper", "-n", OF_ADDON, "-o", "json")
        compared = json.loads(aksp.run("compare", "azure", "--states", str(states), *asked).stdout)
        imported = aksp.run("import", "gatekeeper", "--cluster", "testbed")

    assert compared["same"] == 1
    assert [(one["component"], one["cause"]) for one in compared["differences"]] == [(f"{OF_ADDON}/gone", "notInScan")]
    assert imported.code == 4
    for said in ("AssignImage (1), AssignMetadata (1)", "ExpansionTemplate pods: Deployment: judged by the template"):
        assert said in imported.stderr
