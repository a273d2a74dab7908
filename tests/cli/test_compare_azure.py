"""aksp compare azure: each difference between Azure's records and a report is there, with its cause."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.azure.builders import CLUSTER, NO_PRIVILEGE, SUBSCRIPTION, assignment, estate, id_of, text
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
        # The records carry the ids of Azure, so that the assignment that came from there is found in them.
        assert run.json["differences"] == [] and run.json["oneSided"] == []
        assert run.json["same"] == (2 if form == "azure-policystates" else 4)
        assert run.code == (4 if form == "azure-policystates" else 0)  # the one names no objects


def test_the_same_is_the_same(aksp: Aksp) -> None:
    reported(aksp, pod("bad"), pod("good", privileged=False))
    aksp.done("assignments", "delete", "no-latest-tag")
    reported_again = json.loads((aksp.folder / "report.json").read_text())
    reported_again["assignments"] = [one for one in reported_again["assignments"] if one["name"] == "shop-privileged"]
    reported_again["results"] = [one for one in reported_again["results"] if one["assignment"] == "shop-privileged"]
    (line,) = reported_again["assignments"]
    reported_again |= {key: line[key] for key in ("state", "compliancePercent", "counts")}
    aksp.put("report.json", reported_again)
    run = compared(aksp, [record(), record("", "", "NonCompliant"), record("shop/good", state="Compliant")])
    assert (run.code, run.json) == (0, {"same": 3, "differences": [], "oneSided": [], "notCompared": []})


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
    assert run.out.endswith("2 records the same on both sides.\n")


def test_the_table_reads_well_in_80_columns(aksp: Aksp, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    reported(aksp, pod("bad"))
    aksp.put("states.json", [record(f"shop/{'long-' * 12}{at}\x1b[31m", timestamp=AT) for at in range(3)])
    run = aksp("compare", "azure", "--states", "states.json", "--report", "report.json")
    assert max(map(len, run.out.splitlines())) <= 80
    assert "\x1b" not in run.out and run.out.count("NonCompliant") == 4


def test_a_list_that_goes_on_and_several_clusters_are_told(aksp: Aksp) -> None:
    reported(aksp, pod("bad"))
    run = compared(aksp, {"value": [record()], "@odata.nextLink": "https://x.invalid"})
    assert run.code == 4 and "goes on at its nextLink" in run.err
    other = record(resourceId=CLUSTER.replace("prod", "test"))
    assert compared(aksp, [record(), other]).code == 2
    assert compared(aksp, [record(), other], "--resource", CLUSTER).json["same"] == 1


def test_records_of_another_cluster_than_the_reports_are_refused(aksp: Aksp) -> None:
    reported(aksp, pod("bad"))
    aksp.done("scope", "add", CLUSTER, "--context", "prod")
    report = json.loads((aksp.folder / "report.json").read_text())
    report["target"] |= {"kind": "Cluster", "name": "prod", "scope": "/clusters/prod", "server": None}
    aksp.put("report.json", report)
    other = record(resourceId=CLUSTER.replace("prod", "test"))
    run = compared(aksp, [other])
    assert run.code == 2 and "and the report is of /subscriptions/" in run.err
    # The scope tree tells which of several it is.
    assert compared(aksp, [other, record()]).json["same"] == 1
    assert compared(aksp, [other], "--resource", other["resourceId"]).json["same"] == 1


def test_of_several_records_of_an_object_the_newest_counts_in_any_order(aksp: Aksp) -> None:
    reported(aksp, pod("bad", privileged=False))
    older = record(state="Compliant", timestamp="2026-09-01T08:00:00Z")
    whole = {"componentId": "", "componentType": ""}
    for records in ([older, record()], [record(), older], [record(), record(state="Compliant")]):
        run = compared(aksp, [*records, *(one | whole for one in records)])
        assert run.code == 1, records
        found = [(one["component"], one["azure"], one["here"]) for one in run.json["differences"]]
        assert found == [("", "NonCompliant", "Compliant"), ("shop/bad", "NonCompliant", "Compliant")]


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


def judged_now(aksp: Aksp, records: Any, *options: str) -> Run:
    aksp.put("states.json", {"value": records} if isinstance(records, list) else records)
    return aksp("compare", "azure", "--states", "states.json", "-o", "json", *options)


def one_sided(run: Run) -> list[tuple[str, str, str, str]]:
    return [(one["component"], one["azure"], one["here"], one["cause"]) for one in run.json["oneSided"]]


FAR = "2999-01-01T00:00:00Z"


def test_manifests_are_judged_now_and_held_against_the_records_in_one_command(aksp: Aksp) -> None:
    reported(aksp, pod("bad"), pod("good", privileged=False))
    aksp.done("assignments", "delete", "no-latest-tag")
    states = [record(timestamp=FAR), record("shop/good", state="Compliant", timestamp=FAR)]
    for given in (("-f", "pods"), ("pods",), ("-f", "pods/shop.bad.json", "-f", "pods/shop.good.json")):
        run = judged_now(aksp, states, *given)
        assert (run.code, run.json["same"], run.json["differences"], run.json["oneSided"]) == (0, 2, [], [])
    run = judged_now(aksp, [*states, record("shop/gone", timestamp=FAR)], "-f", "pods")
    assert run.code == 1 and causes(run) == [("shop/gone", "stale")]
    assert not list((aksp.folder / "ws").glob("history*"))  # it is no scan of its own


def test_a_report_and_what_is_to_be_judged_do_not_combine(aksp: Aksp) -> None:
    reported(aksp, pod("bad"))
    for given in (("-f", "pods"), ("--cluster", "prod"), ("--from", "addon"), ("-n", "shop")):
        run = compared(aksp, [record()], *given)
        assert run.code == 2 and "not both" in run.err


def test_what_azure_finds_compliant_and_is_not_judged_here_is_named_with_its_reason(aksp: Aksp) -> None:
    reported(aksp, pod("bad"), pod("old", "legacy", privileged=False))
    aksp.done("assignments", "delete", "no-latest-tag")
    names = ("shop/bad", "legacy/old", "kube-system/sys", "shop/gone")
    records = [record(one, state="NonCompliant" if one == "shop/bad" else "Compliant") for one in names]
    aksp.put("report.json", json.loads((aksp.folder / "report.json").read_text()) | {})
    run = compared(aksp, records)
    assert one_sided(run) == [
        ("kube-system/sys", "Compliant", "", "excluded"),
        ("legacy/old", "Compliant", "", "excluded"),
        ("shop/gone", "Compliant", "", "stale"),
    ]
    assert run.json["same"] == 1 and run.code == 4
    table = aksp("compare", "azure", "--states", "states.json", "--report", "report.json")
    assert "pod shop/gone" in table.out and "it is gone" in table.out


def test_a_part_of_what_there_is_says_that_it_is_one(aksp: Aksp) -> None:
    reported(aksp, pod("bad"), pod("bad", "other"))
    records = [
        record(timestamp=FAR),
        record("other/bad", timestamp=FAR),
        record("other/good", state="Compliant", timestamp=FAR),
    ]
    run = judged_now(aksp, records, "-f", "pods", "-n", "shop")
    assert ("other/bad", "notInScan") in causes(run)
    assert ("other/good", "Compliant", "", "notInScan") in one_sided(run)
    assert "-n shop" in run.json["oneSided"][0]["text"]


def test_what_could_not_be_judged_is_a_gap_and_not_agreed(aksp: Aksp) -> None:
    reported(aksp, pod("bad"))
    aksp.put("pods/broken.yaml", "kind: [")
    run = judged_now(aksp, [record(timestamp=FAR), record("shop/lost", state="Compliant", timestamp=FAR)], "-f", "pods")
    assert one_sided(run)[0][3] == "notJudged" and "a gap" in run.json["oneSided"][0]["text"]
    assert run.code == 4


def test_a_report_that_lists_only_violations_cannot_agree_with_what_complies(aksp: Aksp) -> None:
    reported(aksp, pod("bad"), pod("good", privileged=False))
    short = aksp("compliance", "-f", "pods", "-o", "json").json | {"evaluatedAt": "2026-09-01T10:30:00Z"}
    aksp.put("report.json", short)
    run = compared(aksp, [record(), record("shop/good", state="Compliant")])
    assert one_sided(run) == [("shop/good", "Compliant", "", "notListed")]
    assert "--show all" in run.json["oneSided"][0]["text"] and run.code == 4


def test_what_complies_here_and_azure_does_not_list_is_told_and_not_counted_as_the_same(aksp: Aksp) -> None:
    reported(aksp, pod("bad"), pod("good", privileged=False), pod("fine", privileged=False))
    aksp.done("assignments", "delete", "no-latest-tag")
    report = aksp("compliance", "-f", "pods", "--show", "all", "-o", "json").json
    aksp.put("report.json", report | {"evaluatedAt": "2026-09-01T10:30:00Z"})
    run = compared(aksp, [record()])  # as Azure has it: what violates alone
    assert [one[3] for one in one_sided(run)] == ["notListed"] * 2
    assert (run.code, run.json["same"]) == (0, 1) and "2 objects that Azure does not list" in run.err
    run = compared(aksp, [record(), record("shop/fine", state="Compliant")])
    assert one_sided(run) == [("shop/good", "", "Compliant", "")] and run.code == 4


def test_records_carry_the_ids_that_documents_have_at_azure(aksp: Aksp) -> None:
    aksp.put("azure.json", text(estate()))
    aksp("import", "azure", "azure.json", *MAPPED)
    aksp.put("pods/bad.json", pod("bad"))
    found = {}
    for form in ("azure-policystates", "azure-componentpolicystates"):
        for one in aksp("compliance", "-f", "pods", "--cluster", "prod", "-o", form).json["value"]:
            found[one["policyAssignmentName"], one["policyDefinitionReferenceId"]] = one
        assert set(found) >= {("Shop-Privileged", None), ("Shop-Set", "team")}
        one, member = found["Shop-Privileged", None], found["Shop-Set", "team"]
        assert one["policyAssignmentId"] == id_of("policyAssignments", "Shop-Privileged")
        assert one["policyAssignmentScope"] == SUBSCRIPTION
        assert one["policyDefinitionId"] == NO_PRIVILEGE and one["policySetDefinitionId"] is None
        assert one["policyDefinitionVersion"] is None and member["policyDefinitionVersion"] == "1.2.0"
        assert member["policyAssignmentId"] == id_of("policyAssignments", "Shop-Set")
        assert member["policyDefinitionId"] == id_of("policyDefinitions", "Require-Team")
        assert member["policySetDefinitionId"] == id_of("policySetDefinitions", "Shop Rules")
        assert member["policySetDefinitionName"] == "Shop Rules"
    (summary,) = aksp("compliance", "-f", "pods", "--cluster", "prod", "-o", "azure-summary").json["value"]
    ids = {one["policyAssignmentId"]: one for one in summary["policyAssignments"]}
    of_set = ids[id_of("policyAssignments", "Shop-Set")]
    assert of_set["policySetDefinitionId"] == id_of("policySetDefinitions", "Shop Rules")
    members = {one["policyDefinitionReferenceId"]: one["policyDefinitionId"] for one in of_set["policyDefinitions"]}
    assert members == {"team": id_of("policyDefinitions", "Require-Team"), "privilege": NO_PRIVILEGE}
    report = aksp("compliance", "-f", "pods", "--cluster", "prod", "-o", "json").json
    assert {one["azureId"] for one in report["assignments"]} == set(ids)


def test_an_assignment_that_was_moved_has_no_id_of_azure_any_more(aksp: Aksp) -> None:
    reported(aksp, pod("bad"))
    path = aksp.folder / "ws" / "assignments" / "shop-privileged.yaml"
    path.write_text(path.read_text().replace("scope: /clusters/prod", "scope: /clusters/test", 1))
    run = aksp("compliance", "-f", "pods", "--cluster", "test", "-o", "json")
    assert [one["azureId"] for one in run.json["assignments"]] == [None]


def test_what_is_in_error_here_is_not_judged_whatever_azure_says_of_it(aksp: Aksp) -> None:
    reported(aksp, pod("bad"), pod("odd"), pod("odder"), pod("oddest"))
    aksp.done("assignments", "delete", "no-latest-tag")
    report = aksp("compliance", "-f", "pods", "--show", "all", "-o", "json").json
    for one in report["results"]:
        if one["resource"]["name"].startswith("odd"):
            one |= {"state": "Error", "message": "the rule failed"}
    aksp.put("report.json", report | {"evaluatedAt": "2026-09-01T10:30:00Z"})
    run = compared(aksp, [record(), record("shop/odd"), record("shop/odder", state="Compliant")])
    assert one_sided(run) == [
        ("shop/odd", "NonCompliant", "Error", "notJudged"), ("shop/odder", "Compliant", "Error", "notJudged"),
        ("shop/oddest", "", "Error", "notJudged"),
    ]  # fmt: skip
    assert "the rule failed" in run.json["oneSided"][0]["text"] and (run.code, run.json["same"]) == (4, 1)


def test_an_assignment_that_is_broken_here_agrees_with_nothing(aksp: Aksp) -> None:
    reported(aksp, pod("bad"))
    aksp.done("assignments", "delete", "no-latest-tag")
    report = aksp("compliance", "-f", "pods", "--show", "all", "-o", "json").json
    (line,) = report["assignments"]
    for states in line["counts"].values():
        states.update(dict.fromkeys(states, 0))
    line |= {"state": "Error", "message": "its rule does not compile", "compliancePercent": None}
    head = {key: line[key] for key in ("state", "compliancePercent", "counts")}
    aksp.put("report.json", report | head | {"results": [], "evaluatedAt": "2026-09-01T10:30:00Z"})
    run = compared(aksp, [record("", "", "Compliant"), record("shop/good", state="Compliant"), record()])
    assert (run.code, run.json["same"], run.json["differences"]) == (4, 0, [])
    assert {(one["component"], one["cause"]) for one in run.json["oneSided"]} == {
        ("shop/bad", "notJudged"),
        ("", "notJudged"),
        ("shop/good", "notJudged"),
    }
    assert all("does not compile" in one["text"] for one in run.json["oneSided"])
