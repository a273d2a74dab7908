"""Several clusters on one command line: what is refused, and clusters that nobody can reach. tests/e2e has real ones."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest

from aksp.model.compliance import Report
from aksp.report.interface import Style
from aksp.report.registry import FORMATS
from tests.cli.conftest import Aksp, pod
from tests.kube.apiserver import ApiServer, Reply, Request, document, status
from tests.replacing import replace
from tests.report.clusters import clusters, twins


@pytest.fixture
def fleet(aksp: Aksp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Aksp:
    """Two contexts at which nothing listens, one of them in the scope tree, and a cluster there without a context."""
    clusters = [
        {"cluster": {"server": f"https://127.0.0.1:{port}"}, "name": name} for port, name in ((9, "one"), (10, "two"))
    ]
    user = {"user": {"token": "t"}, "name": "me"}
    contexts = [{"name": name, "context": {"cluster": name, "user": "me"}} for name in ("one", "two")]
    config = {"apiVersion": "v1", "kind": "Config", "clusters": clusters, "users": [user], "contexts": contexts}
    path = tmp_path / "kubeconfig"
    path.write_text(json.dumps({**config, "current-context": "one"}))
    monkeypatch.setenv("KUBECONFIG", str(path))
    aksp.done("scope", "add", "/clusters/one", "--parent", "/subscriptions/1")
    aksp.done("scope", "add", "/clusters/elsewhere", "--parent", "/subscriptions/1", "--name", "far")
    aksp.done("assign", "no-privileged", "--scope", "/subscriptions/1")
    return aksp


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["-f", "x.yaml"], "-f does not combine"),
        (["--context", "one"], "--context does not combine"),
        (["--from", "addon"], "--from addon does not combine"),
        (["--fail-on-new"], "there is no such baseline"),
        (["--write-baseline", "--severity", "high"], "would forget what is known of all other assignments"),
        (["--watch"], "--watch follows one cluster"),
        (["-o", "policyreport"], "-o policyreport tells of one cluster"),
        (["--cluster", "one"], "three ways to say which clusters"),
        (["--scope", "/subscriptions/1"], "three ways to say which clusters"),
    ],
)
def test_what_means_one_cluster_is_refused_with_several(fleet: Aksp, arguments: list[str], said: str) -> None:
    run = fleet("compliance", "--all-clusters", *arguments)

    assert run.code == 2
    assert said in run.err
    assert not run.out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--cluster", "one", "--cluster", "three"], "three"),
        (["--scope", "/subscriptions/2"], "no cluster of the scope tree lies there"),
        (["--scope", "nothing"], "does not start with /"),
        (["--scope", "/clusters/one/namespaces/shop"], "-n NAMESPACE judges one namespace"),
    ],
)
def test_clusters_that_there_are_not_are_refused(fleet: Aksp, arguments: list[str], said: str) -> None:
    run = fleet("compliance", *arguments)

    assert run.code == 2
    assert said in run.err


def test_clusters_that_nobody_can_reach_are_gaps_and_nothing_looks_compliant(fleet: Aksp) -> None:
    run = fleet("compliance", "--all-clusters", "-o", "json", "-q")

    assert run.code == 4
    assert [(one["name"], one["state"], one["compliancePercent"]) for one in run.json["clusters"]] == [
        ("elsewhere", "Error", None),
        ("one", "Error", None),
    ]
    assert [one["state"] for one in run.json["scopes"]] == ["Error"]
    assert run.json["state"] == "Error"
    assert [(gap["cluster"], gap["reason"]) for gap in run.json["gaps"]] == [
        ("elsewhere", "ClusterUnreachable"),
        ("one", "ClusterUnreachable"),
    ]


def test_a_cluster_is_named_by_its_context_or_its_name_in_the_tree_and_judged_once(fleet: Aksp) -> None:
    fleet.done("scope", "add", "/clusters/two", "--name", "second", "--parent", "/subscriptions/1")
    run = fleet("compliance", "--cluster", "second", "--cluster", "one", "--cluster", "two", "-o", "json", "-q")

    assert [one["name"] for one in run.json["clusters"]] == ["one", "two"]


def test_contexts_of_one_api_server_are_one_cluster(fleet: Aksp, tmp_path: Path) -> None:
    config = json.loads((tmp_path / "kubeconfig").read_text())
    ca = tmp_path / "ca.crt"
    ca.write_bytes(b"the CA\n")
    data = base64.b64encode(b"the CA").decode()
    for name, cluster in {
        "a-admin": {"server": "https://PROD.example.com", "certificate-authority": "ca.crt"},
        "b-user": {"server": "https://prod.example.com:443/", "certificate-authority-data": data},
        "other-ca": {"server": "https://prod.example.com:443", "certificate-authority-data": "b3RoZXI="},
        "other-port": {"server": "https://prod.example.com:6443", "certificate-authority-data": data},
        "one-admin": {"server": "https://127.0.0.1:9"},
    }.items():
        config["clusters"].append({"name": name, "cluster": cluster})
        config["contexts"].append({"name": name, "context": {"cluster": name, "user": "me"}})
    (tmp_path / "kubeconfig").write_text(json.dumps(config))
    named = [part for context in config["contexts"] for part in ("--cluster", context["name"])]
    run = fleet("compliance", *named, "-o", "json", "--request-timeout", "1")

    assert [one["name"] for one in run.json["clusters"]] == ["a-admin", "one", "other-ca", "other-port", "two"]
    assert "b-user and a-admin are contexts of one cluster: it counts once, as a-admin" in run.err
    # The one that the scope tree knows.
    assert "one-admin and one are contexts of one cluster: it counts once, as one" in run.err


def test_what_is_assigned_at_one_context_of_a_cluster_alone_is_judged_there(fleet: Aksp, tmp_path: Path) -> None:
    config = json.loads((tmp_path / "kubeconfig").read_text())
    config["contexts"].append({"name": "one-admin", "context": {"cluster": "one", "user": "me"}})
    (tmp_path / "kubeconfig").write_text(json.dumps(config))
    fleet.done("assign", "no-latest-tag", "--scope", "/clusters/one-admin")
    run = fleet("compliance", "--cluster", "one", "--cluster", "one-admin", "-o", "json", "--request-timeout", "1")

    assert [one["name"] for one in run.json["clusters"]] == ["one", "one-admin"]
    assert "are contexts of one cluster" not in run.err


def _cluster_of(request: Request, uids: dict[str, str], refused: str) -> Reply:
    """A server that leads to the cluster of who asks, with one Pod that is named after it; one user is refused its Pods."""
    user = request.headers["Authorization"].removeprefix("Bearer ")
    if request.path == "/api/v1/namespaces/kube-system":
        if not uids[user]:
            return status(403, "namespaces is forbidden")
        return document({"kind": "Namespace", "metadata": {"name": "kube-system", "uid": uids[user]}})
    if request.path == "/api/v1/pods":
        if user == refused:
            return status(403, "pods is forbidden")
        return document({"kind": "PodList", "metadata": {}, "items": [pod(f"of-{uids[user]}", privileged=True)]})
    return document({"kind": "List", "metadata": {}, "items": []})


@pytest.mark.parametrize(
    ("uids", "refused", "judged"),
    [
        ({"a": "1", "b": "1"}, "", ["a"]),
        # A proxy before several clusters, which tells them by the credentials.
        ({"a": "1", "b": "2"}, "", ["a", "b"]),
        # Nobody can tell whether it is one.
        ({"a": "1", "b": ""}, "", ["a", "b"]),
        ({"a": "", "b": ""}, "", ["a", "b"]),
        # What the first cannot see the second may.
        ({"a": "1", "b": "1"}, "a", ["a", "b"]),
        ({"a": "1", "b": "1"}, "b", ["a"]),
    ],
)
def test_contexts_of_several_users_are_one_cluster_where_it_says_so_and_was_judged_whole(
    uids: dict[str, str], refused: str, judged: list[str], aksp: Aksp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    aksp.done("assign", "no-privileged")
    with ApiServer(lambda request: _cluster_of(request, uids, refused)) as server:
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "c", "cluster": {"server": server.url}}],
            "users": [{"name": name, "user": {"token": name}} for name in uids],
            "contexts": [{"name": name, "context": {"cluster": "c", "user": name}} for name in uids],
        }
        (tmp_path / "kubeconfig").write_text(json.dumps(config))
        monkeypatch.setenv("KUBECONFIG", str(tmp_path / "kubeconfig"))
        run = aksp("compliance", "--all-clusters", "-o", "json")

    assert [one["name"] for one in run.json["clusters"]] == judged
    assert ("b and a are contexts of one cluster: it counts once, as a" in run.err) == (judged == ["a"])
    seen = {(one["cluster"], one["resource"]["name"]) for one in run.json["results"]}
    assert seen == {(name, f"of-{uids[name]}") for name in judged if name != refused}
    assert run.code == 1


@pytest.mark.parametrize(
    ("uids", "refused", "judged"),
    [
        ({"a": "1", "b": "2", "c": "1"}, "", ["a", "b"]),
        ({"a": "1", "b": "", "c": ""}, "", ["a", "b", "c"]),
        ({"a": "1", "b": "1", "c": "1"}, "a", ["a", "b"]),
    ],
)
def test_a_cluster_that_is_reached_by_several_urls_counts_once_where_it_was_judged_whole(
    uids: dict[str, str], refused: str, judged: list[str], aksp: Aksp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    aksp.done("assign", "no-privileged")
    with ExitStack() as stack:
        urls = {
            name: stack.enter_context(ApiServer(lambda request: _cluster_of(request, uids, refused))).url
            for name in uids
        }
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": name, "cluster": {"server": url}} for name, url in urls.items()],
            "users": [{"name": name, "user": {"token": name}} for name in uids],
            "contexts": [{"name": name, "context": {"cluster": name, "user": name}} for name in uids],
        }
        (tmp_path / "kubeconfig").write_text(json.dumps(config))
        monkeypatch.setenv("KUBECONFIG", str(tmp_path / "kubeconfig"))
        run = aksp("compliance", "--all-clusters", "-o", "json")

    assert [one["name"] for one in run.json["clusters"]] == judged
    told = {name for name in uids if f"{name} and " in run.err and "it counts once" in run.err}
    assert told == uids.keys() - set(judged)


def test_a_cluster_that_was_restored_elsewhere_has_the_uid_of_the_first_and_findings_of_its_own(
    aksp: Aksp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def answer(name: str) -> Callable[[Request], Reply]:
        def answered(request: Request) -> Reply:
            if request.path == "/api/v1/pods":
                return document({"kind": "PodList", "metadata": {}, "items": [pod(name, privileged=True)]})
            return _cluster_of(request, {"a": "1"}, "")

        return answered

    aksp.done("assign", "no-privileged")
    with ApiServer(answer("one")) as first, ApiServer(answer("two")) as second:
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": one.url, "cluster": {"server": one.url}} for one in (first, second)],
            "users": [{"name": "me", "user": {"token": "a"}}],
            "contexts": [
                {"name": name, "context": {"cluster": one.url, "user": "me"}}
                for name, one in (("first", first), ("second", second))
            ],
        }
        (tmp_path / "kubeconfig").write_text(json.dumps(config))
        monkeypatch.setenv("KUBECONFIG", str(tmp_path / "kubeconfig"))
        run = aksp("compliance", "--all-clusters", "-o", "json")

    assert [(one["cluster"], one["resource"]["name"]) for one in run.json["results"]] == [
        ("first", "one"),
        ("second", "two"),
    ]
    assert "contexts of one cluster" not in run.err


def test_without_clusters_in_the_tree_all_are_those_of_the_kubeconfig(fleet: Aksp) -> None:
    fleet.done("scope", "remove", "--all")
    run = fleet("compliance", "--all-clusters", "-o", "json", "-q")

    assert [one["name"] for one in run.json["clusters"]] == ["one", "two"]


def test_other_commands_still_take_one_cluster(fleet: Aksp) -> None:
    assert "more than once" in fleet("explain", "no-privileged", "--cluster", "one", "--cluster", "two").err


def written(aksp: Aksp, name: str, report: Report) -> str:
    out = io.StringIO()
    FORMATS["json"].render(report, out, Style())
    (aksp.folder / name).write_text(out.getvalue())
    return name


def test_two_reports_of_the_same_clusters_are_compared_cluster_by_cluster(aksp: Aksp) -> None:
    whole = twins()
    after = replace(whole, results=[one for one in whole.results if one.resource.cluster == "one"])
    run = aksp("diff", written(aksp, "a.json", whole), written(aksp, "b.json", after), "-o", "json")
    table = aksp("diff", "b.json", "a.json")

    # The second lists less than it counts, so nothing is called resolved.
    assert {(one["change"], one["cluster"]) for one in run.json["changes"]} == {("notJudged", "two")}
    assert "two: shop" in table.out
    assert "one: " not in table.out


def test_reports_of_other_clusters_are_not_compared(aksp: Aksp) -> None:
    run = aksp("diff", written(aksp, "a.json", twins()), written(aksp, "b.json", clusters()))

    assert run.code == 2
    assert "gone is in one of them alone" in run.err


def test_a_report_of_several_clusters_is_refused_where_one_is_meant(aksp: Aksp) -> None:
    aksp.done("assign", "no-privileged")
    report = written(aksp, "a.json", twins())
    run = aksp("exempt", "--from-report", report, "--select", "namespace=*", "--category", "Waiver", "--until", "30d")

    assert run.code == 2
    assert "a report of several clusters" in run.err
