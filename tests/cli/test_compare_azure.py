"""aksp compare azure: each difference between Azure's records and a report is there, with its cause."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.azure.builders import CLUSTER, NO_PRIVILEGE, assignment, id_of, text
from tests.cli.conftest import Aksp, Run

MAPPED = ("--scope-map", f"{CLUSTER}=/clusters/prod")
AT = "2026-09-01T10:00:00.1234567Z"


def pod(name: str, namespace: str = "shop", privileged: bool = True, **metadata: Any) -> Any:
    return {
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": namespace, **metadata},
        "spec": {"containers": [{"name": "c", "image": "i", "securityContext": {"privileged": privileged}}]},
    }  # fmt: skip


def record(component: str = "shop/bad", kind: str = "pod", state: str = "NonCompliant", **more: Any) -> dict[str, Any]:
    return {
        "resourceId": CLUSTER, "policyAssignmentId": id_of("policyAssignments", "Shop-Privileged").upper(),
        "policyDefinitionId": NO_PRIVILEGE, "policyDefinitionVersion": "9.2.0", "policyDefinitionReferenceId": None,
        "complianceState": state, "timestamp": AT, "componentId": component, "componentType": kind, **more,
    }  # fmt: skip


def reported(aksp: Aksp, *pods: Any) -> None:
    """A report on Pods by an assignment that is Azure's, as of half an hour after Azure's records."""
    one = assignment(parameters={"excludedNamespaces": {"value": ["legacy"]}})
    aksp.put("azure.json", text([one]))
    aksp.done("import", "azure", "azure.json", *MAPPED)
    aksp.done("assign", "no-latest-tag", "--cluster", "prod")
    for each in pods:
        aksp.put(f"pods/{each['metadata']['namespace']}.{each['metadata']['name']}.json", each)
    report = aksp("compliance", "-f", "pods", "--show", "all", "-o", "json").json
    report["evaluatedAt"] = "2026-09-01T10:30:00Z"
    aksp.put("report.json", report)


def compared(aksp: Aksp, records: Any, *options: str) -> Run:
    aksp.put("states.json", {"value": records} if isinstance(records, list) else records)
    return aksp("compare", "azure", "--states", "states.json", "--report", "report.json", "-o", "json", *options)


def causes(run: Run) -> list[tuple[str, str]]:
    return [(one["component"], one["cause"]) for one in run.json["differences"]]


def test_what_is_written_here_in_azures_records_is_the_same(aksp: Aksp) -> None:
    reported(aksp, pod("bad"), pod("good", privileged=False))
    for form in ("azure-policystates", "azure-componentpolicystates"):
        run = aksp("compliance", "-f", "pods", "--show", "all", "-o", form)
        aksp.put("states.json", run.out)
        run = aksp("compare", "azure", "--states", "states.json", "--report", "report.json", "-o", "json")
        # An assignment that came from Azure has its id there.
        assert run.code == 4 and run.json["differences"] == []
        assert "assignment shop-privileged: Azure's records have none of it" in run.json["notCompared"]
        assert run.json["same"] == (1 if form == "azure-policystates" else 2)


def test_the_same_is_the_same(aksp: Aksp) -> None:
    reported(aksp, pod("bad"), pod("good", privileged=False))
    aksp.done("assignments", "delete", "no-latest-tag")
    reported_again = json.loads((aksp.folder / "report.json").read_text())
    reported_again["assignments"] = [one for one in reported_again["assignments"] if one["name"] == "shop-privileged"]
    reported_again["results"] = [one for one in reported_again["results"] if one["assignment"] == "shop-privileged"]
    aksp.put("report.json", reported_again)
    run = compared(aksp, [record(), record("", "", "NonCompliant"), record("shop/good", state="Compliant")])
    assert (run.code, run.json) == (0, {"same": 3, "differences": [], "notCompared": []})


@pytest.mark.parametrize(
    ("pods", "records", "expected"),
    [
        ([pod("bad")], [record(), record("shop/gone")], [("shop/gone", "stale")]),
        ([pod("bad"), pod("old", "legacy")], [record(), record("legacy/old")], [("legacy/old", "excluded")]),
        ([pod("bad"), pod("sys", "kube-system")], [record(), record("kube-system/sys")], [("kube-system/sys", "excluded")]),
        ([pod("bad")], [record(), record("shop/bad", "deployment")], [("shop/bad", "stale")]),
        ([pod("bad", labels={}), pod("web-7d4b9c6f5d-x2x4k")], [record(), record("shop/web", "deployment")],
         [("shop/web", "wrapped"), ("shop/web-7d4b9c6f5d-x2x4k", "wrapped")]),
        ([pod("bad"), pod("new")], [record(timestamp="2026-09-01T08:00:00Z")], [("shop/new", "stale")]),
        ([pod("bad"), pod("fine", privileged=False)],
         [record(), record("shop/fine", policyDefinitionVersion="8.1.0")], [("shop/fine", "version")]),
        ([pod("bad"), pod("fine", privileged=False)], [record(), record("shop/fine")], [("shop/fine", "rule")]),
        ([pod("bad"), pod("zz")], [record(f"shop/p{at}") for at in range(499)] + [record()], "capped"),
        ([pod("bad")], [record("", "", "Compliant", timestamp="2026-08-31T08:00:00Z")], [("", "stale")]),
        ([pod("bad")], [record("", "", "Compliant")], [("", "rule")]),
    ],
)  # fmt: skip
def test_each_difference_has_its_cause(aksp: Aksp, pods: list[Any], records: list[Any], expected: Any) -> None:
    reported(aksp, *pods)
    run = compared(aksp, records)
    assert run.code == 1
    if expected == "capped":
        assert ("shop/zz", "capped") in causes(run)
    else:
        assert causes(run) == expected


def test_an_exemption_of_one_object_is_told(aksp: Aksp) -> None:
    reported(aksp, pod("bad"), pod("waived"))
    aksp.put("ws/exemptions/one.yaml", text({
        "apiVersion": "policy.aksp.io/v1alpha1", "kind": "PolicyExemption", "metadata": {"name": "one"},
        "spec": {"policyAssignmentId": "shop-privileged", "exemptionCategory": "Waiver", "resources": [{"name": "waived"}]},
    }))  # fmt: skip
    report = aksp("compliance", "-f", "pods", "--show", "all", "-o", "json").json
    aksp.put("report.json", report | {"evaluatedAt": "2026-09-01T10:30:00Z"})
    run = compared(aksp, [record(), record("shop/waived")])
    assert causes(run) == [("shop/waived", "exempt")]
    assert "exempt here by one" in run.json["differences"][0]["text"]


def test_expanded_components_and_the_table_say_the_same(aksp: Aksp) -> None:
    reported(aksp, pod("bad"))
    expanded = {**record("", ""), "components": [{"id": "shop/gone", "type": "Pod", "complianceState": "NonCompliant"},
                                                 {"id": "shop/bad", "type": "Pod", "complianceState": "NonCompliant"}]}  # fmt: skip
    run = compared(aksp, [expanded])
    assert causes(run) == [("shop/gone", "stale")]
    run = aksp("compare", "azure", "--states", "states.json", "--report", "report.json")
    assert "pod shop/gone" in run.out and "the report has no such object" in run.out


def test_a_list_that_goes_on_and_several_clusters_are_told(aksp: Aksp) -> None:
    reported(aksp, pod("bad"))
    run = compared(aksp, {"value": [record()], "@odata.nextLink": "https://x.invalid"})
    assert run.code == 4 and "goes on at its nextLink" in run.err
    other = record(resourceId=CLUSTER.replace("prod", "test"))
    assert compared(aksp, [record(), other]).code == 2
    assert compared(aksp, [record(), other], "--resource", CLUSTER).json["same"] == 1


@pytest.mark.parametrize(
    ("content", "place"),
    [
        ("[1", "states.json: not JSON"), ('{"value": 3}', "states.json: $.value"), ("[3]", "states.json: $[0]"),
        (text([record() | {"timestamp": "soon"}]), "states.json: $[0].timestamp"),
        (text([record() | {"components": [3]}]), "states.json: $[0].components[0]"),
        (text([record() | {"resourceId": []}]), "states.json: $[0].resourceId"),
        (text([{"complianceState": "Compliant"}]), "states.json: $[0]"),
    ],
)  # fmt: skip
def test_records_that_are_wrong_are_told_with_their_place(aksp: Aksp, content: str, place: str) -> None:
    reported(aksp, pod("bad"))
    aksp.put("states.json", content)
    run = aksp("compare", "azure", "--states", "states.json", "--report", "report.json")
    assert run.code == 2 and place in run.err
