"""Initiatives on a real cluster: a scan, the add-on's states and refusals, and documents that the API server keeps."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.addon import GROUP, AddOn, created, refusal
from tests.e2e.command import Aksp, Report
from tests.e2e.objects import Object, pod
from tests.pod_security import LEVELS
from tests.replacing import replace
from tests.testbed.client import ApiError
from tests.waiting import until

pytestmark = pytest.mark.e2e

PLACE = "initiatives"
LEVEL = "pod-security-restricted"
#: A definition of Azure's for clusters in Azure, which nothing here stands for.
UNAVAILABLE = "5dc99dae-cfb2-42cc-8762-9aae02b74e27"
TEAM: Object = {
    "displayName": "What Pods of the team must be",
    "parameters": {"effect": {"type": "String", "defaultValue": "Deny"}},
    "policyDefinitions": [
        {
            "policyDefinitionId": "no-privileged",
            "policyDefinitionReferenceId": "Privileged",
            "parameters": {"effect": {"value": "[parameters('effect')]"}},
            "groupNames": ["pods"],
        },
        {
            "policyDefinitionId": "block-host-namespaces",
            "policyDefinitionReferenceId": "Namespaces",
            "parameters": {"effect": {"value": "[parameters('effect')]"}},
        },
        {"policyDefinitionId": UNAVAILABLE, "policyDefinitionReferenceId": "Signed"},
    ],
    "policyDefinitionGroups": [{"name": "pods"}],
}


def bad(name: str, *, host: bool = False) -> Object:
    """A Pod that is privileged, or shares the process ids of its node."""
    one = pod(name, PLACE)
    if host:
        one["spec"]["hostPID"] = True
    else:
        one["spec"]["containers"][0]["securityContext"] = {"privileged": True}
    return one


def results(report: Report, *, members: bool) -> Counter[str]:
    """The results by what they say, a member's as if its reference id were the assignment's name."""
    told = []
    for one in report["results"]:
        if members:
            one = {**one, "assignment": one["referenceId"], "initiative": None, "referenceId": None}
        told.append(json.dumps(one, sort_keys=True))
    return Counter(told)


def test_a_level_in_a_cluster_is_judged_as_its_definitions_one_by_one(addon: AddOn, tmp_path: Path) -> None:
    addon.unassign()
    for one in (bad("level-a"), bad("level-b", host=True), pod("level-c", PLACE)):
        created(addon.plane, one)
    whole = Aksp(folder=tmp_path / "whole", kubeconfig=addon.plane.kubeconfig)
    parts = replace(whole, folder=tmp_path / "parts")
    whole.assign(LEVEL)
    for slug, given in LEVELS["restricted"].items():
        parts.assign(slug, parameters=given)
    together, single = (one.judge("-n", PLACE, "--show", "all") for one in (whole, parts))

    assert together.code == single.code == 1, together.stderr
    assert results(together.report, members=True) == results(single.report, members=False)
    (line,) = together.report["assignments"]
    assert line["counts"] == single.report["counts"] and line["state"] == "NonCompliant"
    alone = {one["name"]: one for one in single.report["assignments"]}
    for member in line["members"]:
        of = alone[member["referenceId"]]
        assert (member["state"], member["counts"]) == (of["state"], of["counts"])


def test_a_member_refuses_by_its_name_and_the_status_lists_them_all(addon: AddOn) -> None:
    plane = addon.plane
    addon.unassign()
    spec = {"name": "team", **TEAM}
    made = {"apiVersion": "policy.aksp.io/v1alpha1", "kind": "PolicySetDefinition", "metadata": {"name": "team-pods"}}
    plane.apply([{**made, "spec": spec}])
    selectors = [{"kind": "policyDefinitionReferenceId", "in": ["namespaces"]}]
    addon.assign(
        "team-pods",
        "team",
        overrides=[{"kind": "policyEffect", "value": "Audit", "selectors": selectors}],
        nonComplianceMessages=[{"message": "Ask the team.", "policyDefinitionReferenceId": "Privileged"}],
    )
    status = addon.applied("team")
    members = {one["policyDefinitionReferenceId"]: one for one in status["members"]}

    told = until(lambda: _refused(addon, bad("refused")))
    assert "[team/Privileged]" in told and "Ask the team." in told
    assert "team/Namespaces" not in told
    created(plane, bad("audited", host=True))
    assert (status["effect"], members["Namespaces"]["effect"]) == ("Mixed", "Audit")
    assert members["Signed"]["state"] == "Error" and UNAVAILABLE in members["Signed"]["message"]
    assert "compliancePercent" not in status and status["state"] != "Compliant"
    assert "Signed" in status["message"]

    exemption = {"policyDefinitionReferenceIds": ["privileged"], "resources": [{"name": "waived"}]}
    addon.exempt("waived", "team", **exemption)
    until(lambda: _admitted(addon, bad("waived")))
    # What is only tried is not remembered.
    assert "[team/Privileged]" in refusal(lambda: _create(addon, bad("refused")))
    until(lambda: "team/Privileged" in addon.aksp.run("denials", "-n", PLACE, "--assignment", "team").stdout)


def test_the_report_of_the_add_on_has_the_members(addon: AddOn) -> None:
    addon.unassign()
    addon.assign("azure-pod-security-baseline", "azure", effect="Audit")
    addon.applied("azure")

    def reported() -> list[str]:
        ended = addon.aksp.run("compliance", "--cluster", "--from", "addon", "-o", "json")
        lines = ended.report["assignments"] if ended.code in (0, 1, 4) else []
        return [one["referenceId"] for line in lines if line["name"] == "azure" for one in line["members"]]

    expected = [
        "NoPrivilegedContainers",
        "BlockUsingHostNetwork",
        "BlockUsingHostProcessIDAndIPC",
        "ContainerCapabilities",
    ]
    assert until(reported) == [*expected, "NoHostPathVolume"]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"policyDefinitions": []}, "spec.policyDefinitions"),
        ({"policyDefinitions": [{"policyDefinitionId": "no-privileged"}]}, "policyDefinitionReferenceId"),
        ({"policyRule": {}}, "policyRule"),
    ],
)
def test_the_api_server_refuses_documents_that_are_no_initiatives(change: Object, told: str, addon: AddOn) -> None:
    document = {
        "apiVersion": "policy.aksp.io/v1alpha1",
        "kind": "PolicySetDefinition",
        "metadata": {"name": "wrong"},
        "spec": {**TEAM, **change},
    }
    with pytest.raises(ApiError) as refused:
        addon.plane.request("POST", f"{GROUP}/policysetdefinitions?fieldValidation=Strict", document)
    assert told in str(refused.value.body)


def test_sync_writes_an_initiative_with_its_definitions_and_takes_it_away_again(addon: AddOn) -> None:
    addon.unassign()
    folder = addon.aksp.workspace / "definitions" / "initiatives"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "synced.json").write_text(json.dumps({"properties": TEAM}), encoding="utf-8")
    addon.aksp.assign("synced", "of-files", parameters={"effect": "Audit"})
    first = addon.aksp.run("sync")
    again = addon.aksp.run("sync")
    try:
        assert first.code == 0, first.stderr
        assert "policysetdefinition.policy.aksp.io/synced created" in first.stdout
        assert "of-files/Signed is not judged" in first.stderr
        assert "unchanged" in again.stdout and "configured" not in again.stdout, again.stdout
        status = addon.applied("of-files")
        assert [one["policyDefinitionReferenceId"] for one in status["members"]] == [
            "Privileged",
            "Namespaces",
            "Signed",
        ]
    finally:
        (addon.aksp.workspace / "assignments" / "of-files.yaml").unlink()
    pruned = addon.aksp.run("sync", "--prune")
    assert "policysetdefinition.policy.aksp.io/synced pruned" in pruned.stdout, pruned.stdout + pruned.stderr


def _refused(addon: AddOn, one: Object) -> str:
    """The words of the refusal; empty while it is not refused."""
    try:
        _create(addon, one, dry=True)
    except ApiError as error:
        return str(error.body["message"])
    return ""


def _admitted(addon: AddOn, one: Object) -> bool:
    try:
        _create(addon, one, dry=True)
    except ApiError:
        return False
    return True


def _create(addon: AddOn, one: Object, *, dry: bool = False) -> Any:
    path = f"/api/v1/namespaces/{PLACE}/pods{'?dryRun=All' if dry else ''}"
    return addon.plane.request("POST", path, one)
