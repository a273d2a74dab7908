"""aksp explain -f: what is looked up, what is told, and what is refused. Clusters are in tests/e2e."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml

from tests.catalog.documents import DETAILS, document, write
from tests.cli.conftest import Aksp, kubeconfig, pod
from tests.definitions.patched import patched

DEPLOYMENT = """\
apiVersion: apps/v1
kind: Deployment
metadata:
  name: web
  namespace: shop
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata:
      labels: {app: web}
    spec:
      containers:
      - name: web
        image: nginx:1.27
        securityContext:
          privileged: true
      - name: side
        image: contoso.azurecr.io/side:1
---
apiVersion: v1
kind: Service
metadata: {name: web, namespace: shop}
spec: {ports: [{port: 80}]}
"""


@pytest.fixture
def assigned(aksp: Aksp) -> Aksp:
    """Images and privileged containers are judged here, hosts on another cluster; the manifests are in d.yaml."""
    aksp.done("assign", "allowed-images", "--name", "images", "--registry", "contoso.azurecr.io")
    aksp.done("assign", "no-privileged", "--name", "privileged", "--scope", "/clusters/prod", "--effect", "Audit")
    aksp.done("assign", "https-ingress", "--name", "https", "--scope", "/clusters/test")
    aksp.put("d.yaml", DEPLOYMENT)
    return aksp


def explained(aksp: Aksp, *arguments: str, **more: Any) -> Any:
    run = aksp("explain", *arguments, "-o", "json", **more)
    assert run.code == 0, run.err
    return run.json


def by_name(document: Any) -> dict[str, Any]:
    return {one["name"]: one for one in document["assignments"]}


def left_out(document: Any) -> dict[str, str]:
    return {one["assignment"]: one["by"] for one in document["leftOut"]}


# A resource


def test_a_workload_in_a_file_is_explained_with_file_line_excerpt_and_patch(assigned: Aksp) -> None:
    document = explained(assigned, "deploy/web", "-f", "d.yaml")

    assert (document["kind"], document["state"]) == ("ResourceExplanation", "NonCompliant")
    assert document["resource"]["name"] == "web"
    images = by_name(document)["images"]
    (finding,) = images["findings"]
    assert finding["source"] == {"file": "d.yaml", "line": 14}
    assert [line["text"].strip() for line in finding["excerpt"]["lines"] if line["marked"]] == ["image: nginx:1.27"]
    assert finding["patch"]["spec"]["template"]["spec"]["containers"] == [
        {"name": "web", "image": "contoso.azurecr.io/nginx:1.27"}
    ]
    # What is written in a file is changed there.
    assert finding["command"] is None
    assert {one["name"]: one["state"] for one in images["containers"]} == {"web": "NonCompliant", "side": "Compliant"}
    assert left_out(document) == {"https": "kinds"}


def test_the_patches_of_a_file_make_it_comply(assigned: Aksp) -> None:
    deployment, service = yaml.safe_load_all(DEPLOYMENT)
    for one in explained(assigned, "deploy/web", "-f", "d.yaml")["assignments"]:
        for finding in one["findings"]:
            deployment = patched(deployment, finding["patch"])
    assigned.put("fixed.yaml", yaml.safe_dump_all([deployment, service]))

    document = explained(assigned, "deploy/web", "-f", "fixed.yaml")
    assert {one["name"]: one["state"] for one in document["assignments"]} == {
        "images": "Compliant",
        "privileged": "Compliant",
    }


def test_the_table_tells_rule_scope_parameters_finding_lines_and_change(assigned: Aksp) -> None:
    run = assigned("explain", "deployments.apps/web", "-f", "d.yaml")

    assert run.code == 0 and run.err == ""
    for words in (
        "Deployment shop/web",
        "NonCompliant  by 2 of 2 assignments",
        "Definition   no-privileged 1.0.0, severity critical",
        "Rule         No container of a Pod",
        "Scope        / > /clusters/prod (assigned here) > /clusters/prod/namespaces/shop",
        "Effect       Audit: reported, not refused",
        "NonCompliant  container web  securityContext.privileged is true",
        "Field        d.yaml:16  spec.template.spec.containers[0].securityContext.privileged",
        "  > 16 |           privileged: true",
        "To comply    ",
        "        - name: web\n          securityContext:\n            privileged: false",
        "https       kinds        it judges Ingress, and this is of kind Deployment",
    ):
        assert words in run.out
    # How wide a column is depends on the longest value.
    assert re.search(r'allowedRegistries +\["contoso.azurecr.io"\] +assignment\n', run.out)


def test_what_complies_is_explained_by_what_judges_it_and_what_leaves_it_out(assigned: Aksp) -> None:
    assigned.put("pod.json", pod("fine", metadata={"namespace": "kube-system"}))
    assigned.put("shop.json", pod("fine"))
    outside = explained(assigned, "po/fine", "-f", "pod.json")
    inside = assigned("explain", "po/fine", "-f", "shop.json")

    assert (outside["state"], outside["assignments"]) == (None, [])
    assert left_out(outside) == {"images": "excludedNamespaces", "privileged": "excludedNamespaces", "https": "kinds"}
    assert "Compliant  by 2 assignments" in inside.out
    assert "web Compliant" in inside.out.partition("Complies with")[2]


def test_manifests_of_a_cluster_are_explained_by_what_reaches_it(assigned: Aksp) -> None:
    document = explained(assigned, "deploy/web", "-f", "d.yaml", "--cluster", "test")

    assert list(by_name(document)) == ["images"]
    assert left_out(document) == {"https": "kinds", "privileged": "scope"}
    assert by_name(document)["images"]["lineage"][1] == "/clusters/test"


def test_one_container_can_be_asked_for(assigned: Aksp) -> None:
    document = explained(assigned, "deploy/web", "-f", "d.yaml", "-c", "side")
    run = assigned("explain", "deploy/web", "-f", "d.yaml", "-c", "sid")

    assert (document["state"], document["container"]) == ("Compliant", "side")
    assert [one["name"] for one in by_name(document)["images"]["containers"]] == ["side"]
    assert run.code == 2 and "did you mean 'side'?" in run.err


def test_standard_input_is_explained_with_its_lines(assigned: Aksp) -> None:
    document = explained(assigned, "deploy/web", "-f", "-", stdin=DEPLOYMENT)

    (finding,) = by_name(document)["images"]["findings"]
    assert finding["source"]["line"] == 14
    assert any(line["marked"] for line in finding["excerpt"]["lines"])


def test_the_pods_of_a_workload_in_a_dump_are_told_with_it_once(assigned: Aksp) -> None:
    owner = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web-6f", "controller": True, "uid": "1"}
    labels = {"pod-template-hash": "6f"}
    pods = [
        pod(f"web-6f-{at}", image="nginx", metadata={"namespace": "shop", "labels": labels, "ownerReferences": [owner]})
        for at in range(3)
    ]
    assigned.put("pods.json", {"apiVersion": "v1", "kind": "List", "items": pods})
    document = explained(assigned, "deploy/web", "-f", "d.yaml", "-f", "pods.json")

    findings = by_name(document)["images"]["findings"]
    assert [len(one["resources"]) for one in findings] == [1, 3]


def test_an_exempt_finding_names_its_exemption(assigned: Aksp) -> None:
    spec = {"policyAssignmentId": "images", "exemptionCategory": "Waiver", "expiresOn": "2999-01-01T00:00:00Z"}
    head = {"apiVersion": "policy.aksp.io/v1alpha1", "kind": "PolicyExemption", "metadata": {"name": "later"}}
    assigned.put("ws/exemptions/later.yaml", {**head, "spec": spec})
    run = assigned("explain", "deploy/web", "-f", "d.yaml")

    assert "Exemptions   later (Waiver, until 2999-01-01)" in run.out
    assert "Exempt by    later" in run.out
    # What is waived needs no change.
    assert "contoso.azurecr.io/nginx" not in run.out


def test_an_assignment_to_another_cluster_may_be_broken(assigned: Aksp) -> None:
    head = {"apiVersion": "policy.aksp.io/v1alpha1", "kind": "PolicyAssignment", "metadata": {"name": "broken"}}
    spec = {"policyDefinitionId": "gone", "scope": "/clusters/test"}
    assigned.put("ws/assignments/broken.yaml", {**head, "spec": spec})

    assert left_out(explained(assigned, "deploy/web", "-f", "d.yaml", "--cluster", "prod"))["broken"] == "scope"


def test_what_could_not_be_read_is_told_and_the_rest_explained(assigned: Aksp) -> None:
    assigned.put("broken.yaml", "a: [\n")
    document = explained(assigned, "deploy/web", "-f", "broken.yaml", "-f", "d.yaml")
    run = assigned("explain", "deploy/web", "-f", "broken.yaml")

    assert [gap["reason"] for gap in document["gaps"]] == ["UnreadableDocument"]
    assert run.code == 2 and "some could not be read (broken.yaml:" in run.err


def test_nothing_from_a_manifest_can_steer_the_terminal(assigned: Aksp) -> None:
    hostile = "\x1b[2J\u202e"
    bad = pod("evil", image=f"nginx{hostile}")
    bad["spec"]["containers"][0]["env"] = [{"name": "A", "value": f"::error::{hostile}"}]
    assigned.put("evil.json", bad)
    run = assigned("explain", "pod/evil", "-f", "evil.json")

    assert run.code == 0
    assert all(line.isprintable() for line in run.out.splitlines())


def test_yaml_is_the_same_document_as_json(assigned: Aksp) -> None:
    as_json = explained(assigned, "deploy/web", "-f", "d.yaml")
    as_yaml = yaml.safe_load(assigned.done("explain", "deploy/web", "-f", "d.yaml", "-o", "yaml").out)

    for one in (as_json, as_yaml):
        one.pop("evaluatedAt")
    assert as_yaml == as_json


# What is not there, or not only once


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["deploy/wep"], "did you mean deploy/web?"),
        (["sts/web"], "there is no sts/web in these manifests"),
        (["deploy/web", "-n", "blog"], "there is one in namespace shop: give it with -n"),
        (["deploy/web/x"], "is no KIND/NAME"),
        (["image"], "did you mean 'images'?"),
        (["images", "-c", "web"], "-c names a container of a resource"),
        (["deploy/web", "--context", "prod"], "add --cluster"),
    ],
)
def test_what_cannot_be_found_is_exit_2_with_what_to_do(assigned: Aksp, arguments: list[str], said: str) -> None:
    run = assigned("explain", *arguments, "-f", "d.yaml")

    assert (run.code, run.out) == (2, "")
    assert said in run.err


def test_a_name_of_several_resources_asks_which(assigned: Aksp) -> None:
    assigned.put("other.yaml", DEPLOYMENT.replace("namespace: shop", "namespace: blog"))
    run = assigned("explain", "deploy/web", "-f", "d.yaml", "-f", "other.yaml")

    assert run.code == 2
    assert "several resources: apps/v1 Deployment blog/web, apps/v1 Deployment shop/web" in run.err
    one = explained(assigned, "deploy/web", "-f", "d.yaml", "-f", "other.yaml", "-n", "blog")
    assert one["resource"]["namespace"] == "blog"


# An assignment


def test_an_assignment_is_explained_on_manifests(assigned: Aksp) -> None:
    document = explained(assigned, "images", "-f", "d.yaml")
    table = assigned("explain", "images", "-f", "d.yaml")

    assert (document["kind"], document["state"]) == ("AssignmentExplanation", "NonCompliant")
    assert document["counts"]["containers"]["NonCompliant"] == 1
    assert [one["container"]["name"] for one in document["results"]] == ["web"]
    assert table.code == 0
    for words in ("Assignment images  NonCompliant", "Scope        /, and all below it", "Findings of images"):
        assert words in table.out


def test_all_that_a_definition_selects_by_is_explained_of_its_assignment(assigned: Aksp) -> None:
    match = {
        "scope": "Namespaced",
        "name": "web-*",
        "namespaceSelector": {"matchLabels": {"env": "prod"}},
        "source": "All",
        "warn": True,
    }
    details = {f"{DETAILS}.{key}": value for key, value in match.items()}
    write(assigned.workspace / "definitions", "ours", made=document(name="ours", **details))
    assigned.done("assign", "ours")
    document_of, table = explained(assigned, "ours"), assigned("explain", "ours").out
    plain = explained(assigned, "images")

    assert document_of["namespaceSelector"] == match.pop("namespaceSelector")
    assert document_of["match"] == match
    for words in ("Names        web-*", "Lies         in a namespace", "Of namespace env=prod", "Source       All"):
        assert words in table
    assert (plain["match"], plain["namespaceSelector"]) == ({}, {})
    assert "Source" not in assigned("explain", "images").out


def test_an_assignment_without_a_cluster_is_explained_but_not_judged(assigned: Aksp) -> None:
    document = explained(assigned, "images")

    assert (document["state"], document["target"], document["leftOut"]) == (None, None, None)
    assert "Not judged here: give --cluster, or -f for manifests" in assigned("explain", "images").out


def test_an_assignment_that_does_not_reach_the_cluster_says_so(assigned: Aksp) -> None:
    document = explained(assigned, "https", "-f", "d.yaml", "--cluster", "prod")

    assert document["leftOut"] == {"by": "scope", "message": "its scope /clusters/test does not cover /clusters/prod"}


def test_a_disabled_assignment_is_not_started(assigned: Aksp) -> None:
    assigned.done("assign", "required-labels", "--name", "off", "--label", "env", "--effect", "Disabled")

    assert explained(assigned, "off", "-f", "d.yaml")["state"] == "NotStarted"
    assert left_out(explained(assigned, "deploy/web", "-f", "d.yaml"))["off"] == "effect"


def test_an_assignment_that_finds_nothing_to_judge_says_so(assigned: Aksp) -> None:
    run = assigned("explain", "https", "-f", "d.yaml")

    assert run.code == 0 and "Nothing here was judged by it." in run.out


def test_without_a_cluster_a_resource_cannot_be_looked_up(assigned: Aksp) -> None:
    assert assigned("explain", "deploy/web").code == 2
    path = assigned.put("kubeconfig.json", kubeconfig("prod", current="prod"))
    assert assigned("explain", "deploy/web", "--kubeconfig", path, "--request-timeout", "1").code == 3
