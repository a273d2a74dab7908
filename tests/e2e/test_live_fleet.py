"""Three real control planes judged side by side: one report, also when one of them is killed in the middle."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.e2e.command import Aksp, Ended, Report, reasons, violations
from tests.e2e.meddler import ALWAYS, Fault, Hang, Meddler
from tests.e2e.objects import FOREIGN, OUR_REGISTRY, OURS, namespace, pod
from tests.kube.apiserver import Authority, Reply, Request, status
from tests.testbed.controlplane import ControlPlane

pytestmark = pytest.mark.e2e

GROUP = "/providers/Microsoft.Management/managementGroups/shop"
ARM = "/subscriptions/1/resourceGroups/rg/providers/Microsoft.ContainerService/managedClusters/beta"
#: Pods of the cluster that is killed: more than one page.
MANY = 40


@pytest.fixture(scope="module")
def planes(plane: ControlPlane) -> Iterator[dict[str, ControlPlane]]:
    """Three clusters: one with a bad Pod, one that complies, one with many bad Pods."""
    with ExitStack() as stack:
        own = {name: stack.enter_context(ControlPlane()) for name in ("beta", "gamma")}
        planes = {"alpha": plane, **own}
        planes["alpha"].apply([namespace("fleet"), pod("web", "fleet", FOREIGN), pod("app", "fleet", OURS)])
        planes["beta"].apply([namespace("fleet"), pod("app", "fleet", OURS)])
        planes["gamma"].apply([namespace("fleet"), *(pod(f"web-{at:02}", "fleet", FOREIGN) for at in range(MANY))])
        yield planes


def merged(folder: Path, planes: dict[str, ControlPlane], **instead: Path) -> Path:
    """One kubeconfig with a context for each."""
    whole: dict[str, object] = {"apiVersion": "v1", "kind": "Config", "current-context": "alpha"}
    entries: dict[str, list[object]] = {"clusters": [], "users": [], "contexts": []}
    for name, plane in planes.items():
        document = json.loads((instead.get(name) or plane.kubeconfig).read_text())
        for section, noun in (("clusters", "cluster"), ("users", "user")):
            entries[section].append({"name": name, noun: document[section][0][noun]})
        entries["contexts"].append({"name": name, "context": {"cluster": name, "user": name}})
    path = folder / "config"
    path.write_text(json.dumps({**whole, **entries}))
    return path


@pytest.fixture
def fleet(tmp_path: Path, planes: dict[str, ControlPlane]) -> Aksp:
    """aksp with a scope tree of the three, and images assigned at the management group."""
    aksp = Aksp(folder=tmp_path, kubeconfig=merged(tmp_path, planes))
    for arguments in (
        (GROUP,),
        ("/subscriptions/1", "--parent", "shop", "--name", "sub"),
        (ARM, "--context", "beta", "--location", "westeurope"),
        ("/clusters/alpha", "--parent", "shop"),
        ("/clusters/gamma", "--parent", "sub"),
    ):
        assert aksp.run("scope", "add", *arguments).code == 0
    aksp.assign("allowed-images", parameters=OUR_REGISTRY, scope=GROUP)
    return aksp


def states(report: Report, key: str = "clusters") -> dict[str, tuple[str, float | None]]:
    return {one["name"]: (one["state"], one["compliancePercent"]) for one in report[key]}


def judge(aksp: Aksp, *arguments: str) -> Ended:
    return aksp.judge("-n", "fleet", "-q", *arguments)


def test_three_clusters_are_one_report_with_a_row_each_and_a_roll_up_per_scope(fleet: Aksp) -> None:
    ended = judge(fleet, "--all-clusters")
    report = ended.report

    assert ended.code == 1
    assert report["target"]["kind"] == "Clusters"
    assert states(report) == {
        "alpha": ("NonCompliant", 50.0),
        "beta": ("Compliant", 100.0),
        "gamma": ("NonCompliant", 0.0),
    }
    assert states(report, "scopes") == {
        "shop": ("NonCompliant", pytest.approx(100 * 2 / (MANY + 3), abs=0.1)),
        "sub": ("NonCompliant", pytest.approx(100 * 1 / (MANY + 1), abs=0.1)),
        "rg": ("Compliant", 100.0),
    }
    assert [one["clusters"] for one in report["scopes"]] == [["alpha", "beta", "gamma"], ["beta", "gamma"], ["beta"]]
    assert {one["cluster"] for one in report["results"]} == {"alpha", "gamma"}
    assert len(violations(report)) == MANY + 1
    assert report["counts"]["resources"]["NonCompliant"] == MANY + 1


def test_what_is_judged_of_one_cluster_is_what_it_is_alone(fleet: Aksp) -> None:
    many = judge(fleet, "--cluster", "gamma", "--cluster", "alpha").report
    for line in many["clusters"]:
        alone = judge(fleet, "--cluster", line["name"]).report
        assert (line["state"], line["compliancePercent"], line["counts"]) == (
            alone["state"], alone["compliancePercent"], alone["counts"],
        )  # fmt: skip
        mine = [{**one, "cluster": ""} for one in many["results"] if one["cluster"] == line["name"]]
        assert mine == alone["results"]
        assert line["assignments"] == alone["assignments"]


def test_a_scope_takes_the_clusters_below_it(fleet: Aksp) -> None:
    assert list(states(judge(fleet, "--scope", "/subscriptions/1").report)) == ["beta", "gamma"]
    assert list(states(judge(fleet, "--scope", "shop").report)) == ["alpha", "beta", "gamma"]
    assert judge(fleet, "--scope", "/subscriptions/2").code == 2
    assert judge(fleet, "--cluster", "alpha", "--cluster", "nowhere").code == 2


def test_every_format_of_several_clusters_names_the_cluster(fleet: Aksp, tmp_path: Path) -> None:
    names = ("table", "wide", "markdown", "html", "csv", "yaml", "junit", "gitlab", "azuredevops", "azure-policystates")
    files = {name: tmp_path / f"report.{name}" for name in names}
    ended = judge(fleet, "--all-clusters", *(part for name, path in files.items() for part in ("-o", f"{name}={path}")))

    assert ended.code == 1
    for name, path in files.items():
        assert "gamma" in path.read_text(), name
    rows = list(csv.DictReader(io.StringIO(files["csv"].read_text())))
    assert {row["cluster"] for row in rows} == {"alpha", "gamma"}
    records = json.loads(files["azure-policystates"].read_text())["value"]
    assert {one["resourceId"]: one["complianceState"] for one in records} == {
        "/clusters/alpha": "NonCompliant", ARM: "Compliant", "/clusters/gamma": "NonCompliant",
    }  # fmt: skip
    for name in ("policyreport", "openreports"):
        refused = fleet.run("compliance", "--all-clusters", "-o", name)
        assert (refused.code, "tells of one cluster" in refused.stderr) == (2, True)


def test_the_worst_findings_of_all_clusters_are_listed_as_many_as_are_asked_for(fleet: Aksp) -> None:
    whole, limited = (
        fleet.run("compliance", "-n", "fleet", "--all-clusters", "-q", "-o", "markdown", "--group-by", "none", *limit)
        for limit in ((), ("--limit", "1"))
    )

    assert whole.stdout.count("docker.io") == MANY + 1
    assert limited.stdout.count("docker.io") == 1


class _Killed(Meddler):
    """A load balancer before an API server that dies while a list is under way, and answers for it from then on."""

    def _answer(self, request: Request) -> Reply:
        try:
            return super()._answer(request)
        except OSError:
            return status(502, "the API server is gone")


def test_a_cluster_that_is_killed_in_the_middle_is_a_gap_and_the_others_are_judged(
    fleet: Aksp, planes: dict[str, ControlPlane], authority: Authority, tmp_path: Path
) -> None:
    gamma = planes["gamma"]
    killed: list[bool] = []

    def kill(reply: Reply) -> Reply:
        gamma.stop_api_server()
        killed.append(True)
        return status(502, "the API server is gone")

    try:
        with _Killed(gamma, authority, [Fault(harm=kill, page="later")]) as proxy:
            config = merged(tmp_path, planes, gamma=proxy.kubeconfig)
            ended = fleet.judge("-q", "--all-clusters", "--chunk-size", "10", kubeconfig=config, seconds=120)
    finally:
        gamma.start_api_server()
    report = ended.report

    assert killed
    assert ended.code == 1
    assert states(report)["beta"] == ("Compliant", 100.0)
    assert states(report)["alpha"][0] == "NonCompliant"
    # What was read before it died counts, and the gap says that there may be more.
    gamma_line = report["clusters"][2]
    assert gamma_line["state"] == "NonCompliant"
    assert 0 < gamma_line["counts"]["resources"]["NonCompliant"] < MANY
    assert gamma_line["gaps"] == len(report["gaps"]) > 0
    assert [one["gaps"] for one in report["scopes"]] == [gamma_line["gaps"], gamma_line["gaps"], 0]
    assert states(report, "scopes")["rg"] == ("Compliant", 100.0)
    assert {gap["cluster"] for gap in report["gaps"]} == {"gamma"}


def test_ctrl_c_ends_the_wait_for_a_cluster_that_hangs_and_tells_what_is_known(
    fleet: Aksp, planes: dict[str, ControlPlane], authority: Authority, tmp_path: Path
) -> None:
    hang = Hang()
    with Meddler(planes["gamma"], authority, [Fault(harm=hang, times=ALWAYS)]) as proxy:
        config = merged(tmp_path, planes, gamma=proxy.kubeconfig)
        started = fleet.start(
            "compliance", "-q", "-n", "fleet", "--all-clusters", "--at-once", "1", "-o", "json", kubeconfig=config
        )
        # One at a time and by name: the others are done when the last one hangs.
        assert hang.reached.wait(60)
        started.interrupt()
        ended = started.wait()

    assert ended.code == 130
    assert states(ended.report)["alpha"] == ("NonCompliant", 50.0)
    assert states(ended.report)["beta"] == ("Compliant", 100.0)
    assert states(ended.report)["gamma"] == ("Error", None)
    assert [(gap["cluster"], gap["reason"]) for gap in ended.report["gaps"]] == [("gamma", "Interrupted")]


def test_a_dead_cluster_beside_one_that_complies_is_inconclusive(
    fleet: Aksp, planes: dict[str, ControlPlane], tmp_path: Path
) -> None:
    dead = planes["gamma"].kubeconfig_for(server="https://127.0.0.1:9")
    config = merged(tmp_path, planes, gamma=dead)
    ended = fleet.judge("-q", "-n", "fleet", "--scope", "/subscriptions/1", kubeconfig=config)

    assert ended.code == 4
    assert reasons(ended.report) == ["ClusterUnreachable"]
    assert (ended.report["state"], ended.report["compliancePercent"]) == ("Error", None)
    table = fleet.run("compliance", "-n", "fleet", "--scope", "/subscriptions/1", kubeconfig=config)
    assert "Everything that could be judged complies. Not judged: 1 gap." in table.stdout


def test_a_cluster_without_a_context_is_a_gap(fleet: Aksp) -> None:
    assert fleet.run("scope", "add", "/clusters/elsewhere", "--parent", "sub").code == 0
    ended = judge(fleet, "--scope", "/subscriptions/1")

    assert states(ended.report)["elsewhere"] == ("Error", None)
    assert reasons(ended.report) == ["ClusterUnreachable"]


def test_what_has_changed_is_told_for_each_cluster(fleet: Aksp, planes: dict[str, ControlPlane]) -> None:
    first = fleet.run("compliance", "-n", "fleet", "--all-clusters", "--diff")
    assert first.stderr.count("there is no earlier scan of this target") == 3
    planes["beta"].apply([pod("new", "fleet", FOREIGN)])
    try:
        second = fleet.run("compliance", "-n", "fleet", "--all-clusters", "--diff")
    finally:
        planes["beta"].request("DELETE", "/api/v1/namespaces/fleet/pods/new?gracePeriodSeconds=0")

    changes = second.stdout.partition("Changes since")[2].partition("Could not")[0]
    assert "beta: fleet Pod/new" in changes
    assert "alpha: " not in changes and "gamma: " not in changes
    # The same from what is remembered, without a scan.
    kept = json.loads(fleet.run("diff", "--all-clusters", "-o", "json").stdout)
    assert [(one["cluster"], one["name"], one["change"]) for one in kept["changes"]] == [("beta", "new", "new")]
    assert [one["name"] for one in kept["clusters"]] == ["alpha", "beta", "gamma"]
    history = fleet.run("history", "--all-clusters").stdout
    assert [line.split()[:2] for line in history.splitlines()[3:6]] == [
        ["alpha", "NonCompliant"],
        ["beta", "NonCompliant"],
        ["gamma", "NonCompliant"],
    ]


def test_what_is_known_of_each_cluster_does_not_fail_and_what_is_new_in_one_does(
    fleet: Aksp, planes: dict[str, ControlPlane], tmp_path: Path
) -> None:
    baseline = ("--baseline", str(tmp_path / "known.json"))
    assert judge(fleet, "--all-clusters", *baseline, "--write-baseline").code == 0
    assert judge(fleet, "--all-clusters", *baseline, "--fail-on-new").code == 0
    planes["beta"].apply([pod("new", "fleet", FOREIGN)])
    try:
        ended = judge(fleet, "--all-clusters", *baseline, "--fail-on-new", "--show", "new")
    finally:
        planes["beta"].request("DELETE", "/api/v1/namespaces/fleet/pods/new?gracePeriodSeconds=0")

    assert ended.code == 1
    assert [(one["cluster"], one["resource"]["name"]) for one in ended.report["results"]] == [("beta", "new")]


def test_each_cluster_has_its_history(fleet: Aksp) -> None:
    judge(fleet, "--all-clusters")
    judge(fleet, "--cluster", "alpha")
    found = {one["target"]["name"]: len(one["scans"]) for one in json.loads(fleet.run("history", "-o", "json").stdout)}

    assert found == {"alpha": 2, "beta": 1, "gamma": 1, "alpha, beta, gamma": 1}


def test_a_cluster_of_two_contexts_is_judged_once(fleet: Aksp, tmp_path: Path) -> None:
    path = tmp_path / "config"
    config = json.loads(path.read_text())
    (own,) = [one["user"] for one in config["users"] if one["name"] == "alpha"]
    config["users"].append({"name": "admin", "user": own})
    for name, user in (("alpha-admin", "admin"), ("alpha-of-nobody", "beta")):
        config["contexts"].append({"name": name, "context": {"cluster": "alpha", "user": user}})
    path.write_text(json.dumps(config))
    named = [part for name in ("alpha-admin", "alpha", "alpha-of-nobody") for part in ("--cluster", name)]
    ended = fleet.run("compliance", "-n", "fleet", "-o", "json", *named)

    # Whom the cluster does not know it does not tell that it is the same one.
    assert {name: state for name, (state, _) in states(ended.report).items()} == {
        "alpha": "NonCompliant",
        "alpha-of-nobody": "Error",
    }
    assert ended.report["counts"]["resources"]["NonCompliant"] == 1
    assert "alpha-admin and alpha are contexts of one cluster: it counts once, as alpha" in ended.stderr


def test_a_cluster_that_is_reached_by_two_urls_counts_once(fleet: Aksp, tmp_path: Path) -> None:
    path = tmp_path / "config"
    config = json.loads(path.read_text())
    alpha = next(one for one in config["clusters"] if one["name"] == "alpha")["cluster"]
    host = alpha["server"].replace("127.0.0.1", "localhost")
    assert host != alpha["server"]
    config["clusters"].append({"name": "other", "cluster": {**alpha, "server": host, "tls-server-name": "127.0.0.1"}})
    config["contexts"].append({"name": "other", "context": {"cluster": "other", "user": "alpha"}})
    path.write_text(json.dumps(config))
    ended = fleet.run("compliance", "-n", "fleet", "-o", "json", "--cluster", "other", "--cluster", "alpha")

    assert list(states(ended.report)) == ["alpha"], ended.stderr
    assert "other and alpha are contexts of one cluster: it counts once, as alpha" in ended.stderr
