"""Exemptions on live objects: Exempt with who, why and until when, as long as they last."""

from __future__ import annotations

import pytest

from tests.e2e.command import Aksp, violations
from tests.e2e.objects import FOREIGN, OUR_REGISTRY, Place, container, pod, workload
from tests.replacing import replace
from tests.testbed.controlplane import ControlPlane

pytestmark = pytest.mark.e2e

LEGACY = "exempt-legacy"
SCOPE = f"/clusters/testbed/namespaces/{LEGACY}"


@pytest.fixture
def assigned(aksp: Aksp, plane: ControlPlane, place: Place) -> Aksp:
    extra = {"containers": [container("old", FOREIGN), container("helper", FOREIGN)]}
    place(LEGACY, [workload("apps/v1", "Deployment", "old", LEGACY, replicas=2, pods=extra), pod("lone", LEGACY)])
    plane.wait_for(f"/api/v1/namespaces/{LEGACY}/pods", lambda answer: len(answer["items"]) == 3)
    aksp.assign("allowed-images", parameters=OUR_REGISTRY, scope=SCOPE)
    return replace(aksp, within=True)


def test_a_waived_workload_is_exempt_in_all_its_pods_with_who_why_and_until(assigned: Aksp) -> None:
    assigned.exempt(
        "old-registry", "allowed-images", expiresOn="2099-12-31T00:00:00Z", displayName="Moving registries",
        description="TICKET-7", metadata={"requestedBy": "dana@contoso.com"},
        resources=[{"kind": "Deployment", "name": "old", "container": "old"}],
    )  # fmt: skip
    ended = assigned.judge()
    exempt = [each for each in ended.report["results"] if each["state"] == "Exempt"]
    assert len(exempt) == 2 and {each["exemption"] for each in exempt} == {"old-registry"}
    assert {each["container"]["name"] for each in exempt} == {"old"}
    left = [name for name in violations(ended.report) if name[1] == "helper"]
    assert len(left) == 2 and ("lone", "main") in violations(ended.report)
    # A Pod with one container waived and another not is NonCompliant.
    assert ended.report["counts"]["resources"]["NonCompliant"] == 3 and ended.code == 1
    assert ended.report["counts"]["containers"]["Exempt"] == 2
    table = assigned.table().stdout
    section = table.partition("Exempt\n")[2]
    assert "Deployment/old" in section and "2 pods" in section
    assert "old-registry: Waiver, until 2099-12-31" in section
    assert "Moving registries: TICKET-7" in section and "requested by dana@contoso.com" in section


def test_a_scope_that_is_waived_altogether_passes(assigned: Aksp) -> None:
    assigned.exempt("all-of-it", "allowed-images", scope=SCOPE, exemptionCategory="Mitigated")
    ended = assigned.judge()
    assert ended.code == 0 and ended.report["state"] == "Exempt" and ended.report["compliancePercent"] == 100
    assert ended.report["counts"]["resources"]["Exempt"] == 3 and ended.report["counts"]["containers"]["Exempt"] == 5
    assert "complies or is exempt" in assigned.table().stdout


def test_an_exemption_that_has_ended_does_nothing_and_is_noted(assigned: Aksp) -> None:
    assigned.exempt("over", "allowed-images", scope=SCOPE, expiresOn="2020-01-31T00:00:00Z")
    assigned.exempt("astray", "no-such-assignment")
    ended = assigned.judge()
    assert ended.code == 1 and len(violations(ended.report)) == 5
    assert "aksp: note: exemption over expired on 2020-01-31, so it does nothing" in ended.stderr
    assert "exemption astray: there is no assignment 'no-such-assignment'" in ended.stderr


def test_an_exemption_elsewhere_waives_nothing_here(assigned: Aksp) -> None:
    assigned.exempt("elsewhere", "allowed-images", scope="/clusters/other")
    assigned.exempt("neighbour", "allowed-images", scope="/clusters/testbed/namespaces/exempt")
    ended = assigned.judge()
    assert ended.code == 1 and len(violations(ended.report)) == 5


def test_an_exemption_that_is_malformed_is_refused_before_anything_is_asked(assigned: Aksp) -> None:
    assigned.exempt("typo", "allowed-images", resources=[{"pod": "lone"}])
    ended = assigned.judge()
    assert ended.code == 2 and ended.stdout == ""
    assert "typo.yaml" in ended.stderr and "spec.resources[0].pod is not a known field" in ended.stderr


def test_what_if_is_the_scan_after_assigning_and_an_exemption_by_command_waives_its_pods(
    aksp: Aksp, plane: ControlPlane, place: Place
) -> None:
    namespace = "what-if"
    extra = {"containers": [container("old", FOREIGN), container("helper", FOREIGN)]}
    place(namespace, [workload("apps/v1", "Deployment", "old", namespace, replicas=2, pods=extra)])
    plane.wait_for(f"/api/v1/namespaces/{namespace}/pods", lambda answer: len(answer["items"]) == 2)
    within = replace(aksp, within=True)
    command = (
        "assign", "allowed-images", "--registry", "contoso.azurecr.io",
        "--scope", f"/clusters/testbed/namespaces/{namespace}",
    )  # fmt: skip
    tried = within.run(*command, "--what-if", "-o", "json")
    assert tried.code == 1 and not list(aksp.workspace.glob("assignments/*"))
    assert f"1 workload could no longer start: Deployment {namespace}/old" in tried.stderr
    assert within.run(*command).code == 0
    scanned = within.run("compliance", "--assignment", "allowed-images", "-o", "json")
    assert scanned.code == 1
    for report in (before := tried.report, after := scanned.report):
        del report["evaluatedAt"], report["target"]["filters"]
    assert before == after and len(after["results"]) == 4

    exempt = ("exempt", "deploy/old", "-n", namespace, "--assignment", "allowed-images", "--category", "Waiver")
    assert within.run(*exempt, "-c", "old", "--until", "30d").code == 0
    assert within.run(*exempt, "-c", "gone", "--until", "10d").code == 0
    ended = within.judge()
    assert violations(ended.report) and {name for _, name in violations(ended.report)} == {"helper"}
    assert "allowed-images-what-if-old-gone of allowed-images ends in " in ended.stderr
    assert "exemption allowed-images-what-if-old-gone waives nothing here" in ended.stderr
    listed = within.run("exemptions", "--expiring", "15d", "-o", "name").stdout
    assert listed == "policyexemption.policy.aksp.io/allowed-images-what-if-old-gone\n"
    assert within.run("exempt", "deploy/old", "-n", namespace, *exempt[4:], "--until", "30d").code == 0
    assert within.judge().code == 0
