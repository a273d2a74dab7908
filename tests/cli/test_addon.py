"""``aksp addon``: what needs no cluster, and what is said when there is none."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
import yaml

from aksp.addon.install.installation import label
from aksp.addon.install.manifests import crds
from tests.cli.conftest import Aksp

KUBECONFIG = {
    "apiVersion": "v1",
    "kind": "Config",
    "current-context": "prod",
    "contexts": [{"name": "prod", "context": {"cluster": "prod", "user": "prod"}}],
    "clusters": [{"name": "prod", "cluster": {"server": "https://127.0.0.1:1"}}],
    "users": [{"name": "prod", "user": {"token": "x"}}],
}


@pytest.fixture
def kubeconfig(aksp: Aksp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A kubeconfig whose current context is a cluster that is not there."""
    path = tmp_path / "kubeconfig"
    path.write_text(yaml.safe_dump(KUBECONFIG), encoding="utf-8")
    monkeypatch.setenv("KUBECONFIG", str(path))
    return path


def test_documents_are_printed_without_a_cluster(aksp: Aksp) -> None:
    run = aksp("addon", "enable", "--dry-run", "-o", "yaml")
    assert run.code == 0, run.err
    documents = list(yaml.safe_load_all(run.out))
    assert [one["kind"] for one in documents[: len(crds())]] == ["CustomResourceDefinition"] * len(crds())
    assert label(documents[-1]) == "validatingwebhookconfiguration.admissionregistration.k8s.io/aksp"
    assert "--cluster-name=in-cluster" in run.out and "&id" not in run.out
    listed = json.loads(aksp("addon", "enable", "--dry-run", "-o", "json").out)
    assert listed["kind"] == "List" and listed["items"] == documents


@pytest.mark.usefixtures("kubeconfig")
def test_the_cluster_is_called_as_its_context(aksp: Aksp) -> None:
    run = aksp("addon", "enable", "--dry-run")
    assert run.code == 0 and "--cluster-name=prod" in run.out


@pytest.mark.usefixtures("kubeconfig")
def test_a_dry_run_asks_the_cluster_when_it_is_named(aksp: Aksp) -> None:
    run = aksp("addon", "enable", "--dry-run", "--cluster")
    assert run.code == 3 and run.out == ""


@pytest.mark.parametrize("command", ["enable", "disable", "status"])
@pytest.mark.usefixtures("kubeconfig")
def test_a_cluster_that_is_not_there_is_told(aksp: Aksp, command: str) -> None:
    run = aksp("addon", command)
    assert run.code == 3 and "https://127.0.0.1:1" in run.err


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--sync-interval", "5"], "expected a duration"),
        (["--webhook-url", "http://a"], "https://HOST"),
        (["--failure-policy", "Maybe"], "Maybe"),
        (["--replicas", "0"], "replicas"),
        (["--namespace", "A"], "--namespace A"),
    ],
)
def test_options_that_cannot_be_are_wrong_usage(aksp: Aksp, options: list[str], said: str) -> None:
    run = aksp("addon", "enable", *options)
    assert run.code == 2 and said in run.err


def test_own_definitions_get_the_right_to_list_their_kinds(aksp: Aksp) -> None:
    folder = aksp.workspace / "definitions" / "own"
    folder.mkdir(parents=True)
    details = {"templateInfo": {"sourceType": "File", "path": "own.rego"}, "kinds": ["ConfigMap"], "apiGroups": [""]}
    rule = {"if": {}, "then": {"effect": "Audit", "details": details}}
    (folder / "definition.json").write_text(json.dumps({"properties": {"policyRule": rule}}), encoding="utf-8")
    (folder / "own.rego").write_text("package own\n", encoding="utf-8")
    run = aksp("addon", "enable", "--dry-run", "--workspace", str(aksp.workspace), "-o", "json")
    (role,) = [one for one in run.json["items"] if one["kind"] == "ClusterRole"]
    assert {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["list"]} in role["rules"]


def test_what_is_about_roles_and_the_like_may_be_listed_once_a_definition_about_it_is_assigned(aksp: Aksp) -> None:
    def listed() -> set[str]:
        run = aksp("addon", "enable", "--dry-run", "--workspace", str(aksp.workspace), "-o", "json")
        (role,) = [one for one in run.json["items"] if one["kind"] == "ClusterRole"]
        return {plural for rule in role["rules"] if "list" in rule["verbs"] for plural in rule["resources"]}

    told = {
        "clusterrolebindings",
        "rolebindings",
        "roles",
        "clusterroles",
        "nodes",
        "leases",
        "secrets",
        "serviceaccounts",
    }
    aksp("assign", "no-privileged")
    usual = listed()
    assert {"pods", "deployments", "services", "ingresses", "namespaces"} <= usual and not told & usual
    aksp("assign", "no-cluster-admin")
    assert listed() - usual == {"clusterrolebindings", "rolebindings"}
    # As a member of an initiative as well, and no more once it is not assigned.
    aksp("assignments", "delete", "no-cluster-admin")
    assert listed() == usual
    aksp("assign", "cis-kubernetes-workloads")
    assert {"clusterrolebindings", "rolebindings"} <= listed()


def test_what_the_extra_brings_is_named_when_it_is_missing(aksp: Aksp, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "httptools", None)
    run = aksp("addon", "run", "--cluster-name", "prod")
    assert run.code == 2 and "httptools" in run.err and "pip install 'aksp[addon]'" in run.err


@pytest.mark.parametrize(
    ("options", "said"), [(["--unjudged", "maybe"], "expected warn or refuse"), (["--sync-interval", "x"], "5m")]
)
def test_the_process_refuses_options_that_cannot_be(aksp: Aksp, options: list[str], said: str) -> None:
    run = aksp("addon", "run", *options)
    assert run.code == 2 and said in run.err
