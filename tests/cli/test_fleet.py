"""Several clusters on one command line: what is refused, and clusters that nobody can reach. tests/e2e has real ones."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Aksp


@pytest.fixture
def fleet(aksp: Aksp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Aksp:
    """Two contexts at which nothing listens, one of them in the scope tree, and a cluster there without a context."""
    dead = {"cluster": {"server": "https://127.0.0.1:9"}, "name": "dead"}
    user = {"user": {"token": "t"}, "name": "me"}
    contexts = [{"name": name, "context": {"cluster": "dead", "user": "me"}} for name in ("one", "two")]
    config = {"apiVersion": "v1", "kind": "Config", "clusters": [dead], "users": [user], "contexts": contexts}
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
        (["--diff"], "--diff does not combine"),
        (["--fail-on-new"], "--fail-on-new does not combine"),
        (["--write-baseline"], "--write-baseline does not combine"),
        (["--baseline", "b.json"], "--baseline does not combine"),
        (["--show", "new"], "--show new does not combine"),
        (["--watch"], "--watch follows one cluster"),
        (["-o", "sarif=x.sarif"], "-o sarif tells of one cluster"),
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


def test_without_clusters_in_the_tree_all_are_those_of_the_kubeconfig(fleet: Aksp) -> None:
    fleet.done("scope", "remove", "--all")
    run = fleet("compliance", "--all-clusters", "-o", "json", "-q")

    assert [one["name"] for one in run.json["clusters"]] == ["one", "two"]


def test_other_commands_still_take_one_cluster(fleet: Aksp) -> None:
    assert "more than once" in fleet("explain", "no-privileged", "--cluster", "one", "--cluster", "two").err
