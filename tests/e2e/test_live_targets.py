"""Which cluster is judged, and which assignments reach it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.e2e.command import Aksp, Report, judged, state_of, violations
from tests.e2e.objects import OUR_REGISTRY, Place, may, pod
from tests.replacing import replace
from tests.testbed.controlplane import ControlPlane

pytestmark = pytest.mark.e2e

ONE, TWO = "targets-one", "targets-two"
SCOPED = ("-n", ONE, "-n", TWO)


@pytest.fixture(scope="module")
def contexts(plane: ControlPlane, place: Place, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A kubeconfig of the same API server under two names, and of a user with fewer rights."""
    place(ONE, [pod("first", ONE)])
    place(TWO, [pod("second", TWO)])
    plane.apply(may(f"system:serviceaccount:{ONE}:auditor", None, "pods"))
    document = json.loads(plane.kubeconfig.read_text())
    document["contexts"].append(
        {"name": "arn:aws:eks:eu:1:cluster/prod", "context": document["contexts"][0]["context"]}
    )
    document["users"].append({"name": "auditor", "user": {"token": plane.service_account_token(ONE, "auditor")}})
    document["contexts"].append({"name": "audit", "context": {"cluster": "testbed", "user": "auditor"}})
    path = tmp_path_factory.mktemp("contexts") / "config"
    path.write_text(json.dumps(document))
    return path


@pytest.fixture
def aksp(aksp: Aksp) -> Aksp:
    return replace(aksp, within=True)


def _same(report: Report) -> Report:
    return {key: value for key, value in report.items() if key != "evaluatedAt"}


def test_a_cluster_is_judged_with_and_without_its_name(aksp: Aksp, contexts: Path) -> None:
    aksp.assign("allowed-images", parameters=OUR_REGISTRY, scope="/clusters/testbed")
    asked = [("--cluster", "testbed"), ("--cluster=testbed",), ("--cluster",), (), ("--context", "testbed")]
    # Before the others' options and after them: a bare --cluster takes none of them for its value.
    reports = [aksp.judge(*ways, *SCOPED, kubeconfig=contexts).report for ways in asked]
    reports.append(aksp.judge(*SCOPED, "--cluster", kubeconfig=contexts).report)
    assert violations(reports[0]) == [("first", "main"), ("second", "main")]
    assert reports[0]["target"]["name"] == "testbed" and reports[0]["target"]["scope"] == "/clusters/testbed"
    assert all(_same(report) == _same(reports[0]) for report in reports[1:])


def test_a_namespace_that_is_named_twice_counts_once(aksp: Aksp, contexts: Path) -> None:
    aksp.assign("allowed-images", parameters=OUR_REGISTRY)
    once = aksp.judge("-n", ONE, kubeconfig=contexts).report
    twice = aksp.judge("-n", ONE, "-n", ONE, kubeconfig=contexts).report
    assert judged(once) > 0
    assert (twice["counts"], twice["results"]) == (once["counts"], once["results"])
    # The history takes both for scans of the same part.
    assert aksp.run("history", "-o", "name").stdout.splitlines() == [f"cluster testbed -n {ONE}"]


def test_an_assignment_reaches_its_own_cluster_only(aksp: Aksp, contexts: Path) -> None:
    eks = "arn:aws:eks:eu:1:cluster/prod"
    for name, cluster in (("here", "testbed"), ("there", eks)):
        ended = aksp.run(
            "assign", "allowed-images", "--regex", "^contoso/.+$", "--name", name, "--cluster", cluster,
            kubeconfig=contexts,
        )  # fmt: skip
        assert ended.code == 0, ended.stderr
    aksp.assign("no-privileged", "everywhere")
    here = aksp.judge("--cluster", *SCOPED, kubeconfig=contexts).report
    assert [each["name"] for each in here["assignments"]] == ["everywhere", "here"]
    assert {each["assignment"] for each in here["results"]} == {"here"}
    # A context may be called what is no segment of a path.
    there = aksp.judge("--cluster", eks, *SCOPED, kubeconfig=contexts).report
    assert [each["name"] for each in there["assignments"]] == ["everywhere", "there"]
    assert {each["assignment"] for each in there["results"]} == {"there"}
    assert there["target"]["name"] == eks and judged(there) == judged(here) == 2


def test_a_cluster_that_nothing_reaches_is_told_so(aksp: Aksp, contexts: Path) -> None:
    aksp.assign("allowed-images", parameters=OUR_REGISTRY, scope="/clusters/other")
    ended = aksp.table(*SCOPED, kubeconfig=contexts)
    assert ended.code == 4
    assert "No assignment applies here" in ended.stdout
    assert "nothing is assigned" in ended.stderr and "/clusters/testbed" in ended.stderr


def test_scopes_and_not_scopes_are_namespaces_of_the_cluster(aksp: Aksp, contexts: Path) -> None:
    testbed = "/clusters/testbed"
    aksp.assign("allowed-images", "only-one", parameters=OUR_REGISTRY, scope=f"{testbed}/namespaces/{ONE}")
    aksp.assign(
        "allowed-images", "not-one", parameters=OUR_REGISTRY, scope=testbed, notScopes=[f"{testbed}/namespaces/{ONE}"]
    )
    aksp.assign("allowed-images", "not-here", parameters=OUR_REGISTRY, notScopes=[testbed])
    aksp.assign("allowed-images", "not-there", parameters=OUR_REGISTRY, notScopes=["/clusters/other"])
    report = aksp.judge("--cluster", *SCOPED, kubeconfig=contexts).report
    assert violations(report, assignment="only-one") == [("first", "main")]
    assert violations(report, assignment="not-one") == [("second", "main")]
    assert violations(report, assignment="not-here") == []
    assert violations(report, assignment="not-there") == [("first", "main"), ("second", "main")]
    # What is excluded has no state: it is not compliant either.
    assert state_of(report, "only-one") == ("NonCompliant", 1) and state_of(report, "not-one") == ("NonCompliant", 1)
    assert sum(each["counts"]["resources"]["NonCompliant"] for each in report["assignments"]) == 4
    assert judged(report) == 2


def test_another_credential_judges_the_cluster_under_its_name(aksp: Aksp, contexts: Path) -> None:
    aksp.assign("allowed-images", parameters=OUR_REGISTRY, scope="/clusters/testbed")
    aksp.assign("allowed-service-ports", parameters={"allowedPorts": ["80"]}, scope="/clusters/testbed")
    ended = aksp.judge("--cluster", "testbed", "--context", "audit", *SCOPED, kubeconfig=contexts)
    assert ended.report["target"]["name"] == "testbed" and ended.report["target"]["scope"] == "/clusters/testbed"
    assert violations(ended.report) == [("first", "main"), ("second", "main")]
    # It is the auditor who asked: Services are refused, in each namespace.
    assert [gap["reason"] for gap in ended.report["gaps"]] == ["Forbidden", "Forbidden"]
    # Without the name of the cluster the context's own counts, and nothing is assigned there.
    alone = aksp.judge("--context", "audit", *SCOPED, kubeconfig=contexts)
    assert alone.report["target"]["name"] == "audit" and alone.report["assignments"] == []


def test_effects_and_enforcement_decide_the_exit_code_not_the_findings(aksp: Aksp, contexts: Path) -> None:
    aksp.assign("allowed-images", "audited", parameters={**OUR_REGISTRY, "effect": "Audit"})
    aksp.assign("allowed-images", "unenforced", parameters=OUR_REGISTRY, enforcementMode="DoNotEnforce")
    aksp.assign("allowed-images", "disabled", parameters={**OUR_REGISTRY, "effect": "Disabled"})
    codes = {
        level: aksp.judge("--fail-on", level, *SCOPED, kubeconfig=contexts) for level in ("any", "enforced", "none")
    }
    assert {level: ended.code for level, ended in codes.items()} == {"any": 1, "enforced": 0, "none": 0}
    report = codes["none"].report
    assert len(violations(report, assignment="audited")) == len(violations(report, assignment="unenforced")) == 2
    assert state_of(report, "disabled") == ("NotStarted", 0)
    aksp.assign("allowed-images", "refusing", parameters=OUR_REGISTRY)
    assert aksp.judge("--fail-on", "enforced", *SCOPED, kubeconfig=contexts).code == 1
