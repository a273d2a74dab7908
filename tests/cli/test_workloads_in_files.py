"""Workloads in manifests: custom ones, found by their structure, and what the cluster would give their Pods."""

from __future__ import annotations

import json
import os
import threading

import pytest

from aksp.kube.kinds import KINDS
from aksp.model.kinds import BUILT_IN, WORKLOADS
from tests.cli.conftest import Aksp

CUSTOM = """\
apiVersion: argoproj.io/v1alpha1
kind: Rollout
metadata: {name: shop, namespace: shop}
spec:
  template:
    metadata: {labels: {app: shop}}
    spec:
      containers:
      - name: web
        image: nginx
        securityContext: {privileged: true}
---
apiVersion: serving.knative.dev/v1
kind: Service
metadata: {name: hello, namespace: shop}
spec:
  template:
    spec:
      containers:
      - image: nginx
        securityContext: {privileged: true}
"""


@pytest.fixture
def assigned(aksp: Aksp) -> Aksp:
    """With no-privileged and resource-limits assigned."""
    aksp.done("assign", "no-privileged")
    return aksp


def test_custom_workloads_are_judged_as_the_workloads_they_are(assigned: Aksp) -> None:
    run = assigned("compliance", "-f", assigned.put("custom.yaml", CUSTOM), "-o", "json")

    found = {
        (one["resource"]["apiVersion"], one["resource"]["kind"], one["path"], one["source"]["line"])
        for one in run.json["results"]
    }
    assert run.code == 1
    assert found == {
        ("argoproj.io/v1alpha1", "Rollout", "spec.template.spec.containers[0].securityContext.privileged", 11),
        ("serving.knative.dev/v1", "Service", "spec.template.spec.containers[0].securityContext.privileged", 21),
    }
    assert "no assignment is about" not in run.err


def test_with_no_custom_workloads_the_note_names_their_kinds_with_their_groups(assigned: Aksp) -> None:
    run = assigned("compliance", "--no-custom-workloads", "-f", assigned.put("custom.yaml", CUSTOM), "-o", "json")

    assert run.json["results"] == []
    assert "Rollout.argoproj.io (1), Service.serving.knative.dev (1)" in run.err


def test_explain_finds_a_custom_workload_unless_it_is_told_not_to(assigned: Aksp) -> None:
    file = assigned.put("custom.yaml", CUSTOM)

    run = assigned("explain", "rollout/shop", "-f", file)
    assert "securityContext.privileged is true" in run.out
    run = assigned("explain", "rollout/shop", "-f", file, "--no-custom-workloads")
    assert "securityContext.privileged is true" not in run.out


def test_all_templates_of_an_object_count_as_one_resource(assigned: Aksp) -> None:
    pools = [
        {"pod": {"spec": {"containers": [{"name": f"c{i}", "securityContext": {"privileged": i > 0}}]}}}
        for i in range(3)
    ]
    fleet = {"apiVersion": "example.com/v1", "kind": "Fleet", "metadata": {"name": "f"}, "spec": {"pools": pools}}
    run = assigned("compliance", "-f", assigned.put("fleet.json", json.dumps(fleet)), "-o", "json")

    assert [one["path"] for one in run.json["results"]] == [
        "spec.pools[1].pod.spec.containers[0].securityContext.privileged",
        "spec.pools[2].pod.spec.containers[0].securityContext.privileged",
    ]
    assert run.json["counts"]["resources"]["NonCompliant"] == 1
    assert run.json["counts"]["containers"] | {"Compliant": 1, "NonCompliant": 2} == run.json["counts"]["containers"]


def test_an_exemption_of_a_custom_workload_holds_for_its_pods(assigned: Aksp) -> None:
    file = assigned.put("custom.yaml", CUSTOM)
    exemption = {
        "apiVersion": "policy.aksp.io/v1alpha1",
        "kind": "PolicyExemption",
        "metadata": {"name": "x"},
        "spec": {
            "policyAssignmentId": "no-privileged",
            "exemptionCategory": "Waiver",
            "resources": [{"kind": "Rollout", "name": "shop"}],
        },
    }
    assigned.put("ws/exemptions/x.json", exemption)
    run = assigned("compliance", "-f", file, "-o", "json")

    states = {one["resource"]["kind"]: one["state"] for one in run.json["results"]}
    assert states == {"Rollout": "Exempt", "Service": "NonCompliant"}


def test_the_table_of_kinds_has_each_once_and_templates_only_of_workloads() -> None:
    assert len({(one.group, one.kind) for one in BUILT_IN}) == len(BUILT_IN)
    assert set(WORKLOADS) == {
        "Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "ReplicationController", "Job", "CronJob", "PodTemplate",
    }  # fmt: skip
    assert all((one.group, kind) in KINDS and not one.cluster for kind, one in WORKLOADS.items())


# What the API server changes Pods by

LIMIT_RANGE = """\
apiVersion: v1
kind: LimitRange
metadata: {name: defaults, namespace: shop}
spec:
  limits:
  - type: Container
    default: {cpu: 500m, memory: 256Mi}
"""
UNLIMITED = """\
apiVersion: v1
kind: Pod
metadata: {name: p, namespace: shop, labels: {app: p}}
spec:
  containers: [{name: c, image: quay.io/x/y}]
"""
MADE = """\
apiVersion: apps/v1
kind: Deployment
metadata: {name: d, namespace: shop}
spec: {template: {spec: {containers: [{name: c, image: quay.io/x/y}]}}}
"""


@pytest.fixture
def limited(aksp: Aksp) -> Aksp:
    """With resource-limits assigned."""
    aksp.done("assign", "resource-limits", "--cpu", "2", "--memory", "2Gi")
    return aksp


def test_a_limit_range_in_the_same_input_gives_its_defaults_whatever_the_order(limited: Aksp) -> None:
    for text in ("---\n".join(order) for order in ((LIMIT_RANGE, UNLIMITED, MADE), (UNLIMITED, MADE, LIMIT_RANGE))):
        run = limited("compliance", "-f", limited.put("all.yaml", text), "-o", "json")
        assert (run.code, run.json["results"], run.json["counts"]["resources"]["Compliant"]) == (0, [], 2)
        run = limited("compliance", "-f", "-", "-o", "json", stdin=text)
        assert run.json["counts"]["resources"]["Compliant"] == 2


def test_a_limit_range_in_a_later_page_counts(limited: Aksp) -> None:
    limited.put("d/a.yaml", UNLIMITED + "# " + "x" * (3 << 20) + "\n")
    limited.put("d/b.yaml", LIMIT_RANGE)
    run = limited("compliance", "-f", "d", "-o", "json")
    assert (run.code, run.json["counts"]["resources"]["Compliant"]) == (0, 1)


def test_a_limit_range_is_for_its_own_namespace(limited: Aksp) -> None:
    text = LIMIT_RANGE.replace("namespace: shop", "namespace: other") + "---\n" + UNLIMITED
    run = limited("compliance", "-f", limited.put("all.yaml", text), "-o", "json")
    assert {one["message"] for one in run.json["results"]} == {"no CPU limit is set", "no memory limit is set"}


def test_a_violation_that_a_limit_range_brings_about_says_so(limited: Aksp) -> None:
    text = LIMIT_RANGE.replace("256Mi", "4Gi") + "---\n" + UNLIMITED
    run = limited("compliance", "-f", limited.put("all.yaml", text), "-o", "json")
    (found,) = run.json["results"]
    assert found["message"].endswith("(about what the API server adds: the defaults of the LimitRange defaults)")
    assert found["path"].startswith("spec.containers[0].resources")


def test_a_pipe_that_can_be_read_once_is_read_once(limited: Aksp) -> None:
    os.mkfifo("pipe")

    def write() -> None:
        with open("pipe", "w", encoding="utf-8") as pipe:
            pipe.write(LIMIT_RANGE + "---\n" + UNLIMITED)

    writer = threading.Thread(target=write)
    writer.start()
    run = limited("compliance", "-f", "pipe", "-o", "json")
    writer.join()
    assert (run.code, run.json["counts"]["resources"]["Compliant"]) == (0, 1)


@pytest.mark.parametrize("template", [None, "text", [], {}, {"spec": None}, {"spec": {"containers": "text"}}])
@pytest.mark.parametrize(
    ("api_version", "kind"),
    [("apps/v1", "Deployment"), ("argoproj.io/v1alpha1", "Rollout"), ("serving.knative.dev/v1", "Service")],
)
def test_a_workload_with_a_damaged_template_is_not_judged_whatever_its_kind(
    aksp: Aksp, api_version: str, kind: str, template: object
) -> None:
    aksp.done("assign", "no-privileged")
    workload = {"apiVersion": api_version, "kind": kind, "metadata": {"name": "web"}, "spec": {"template": template}}
    run = aksp.judge(aksp.put("web.json", workload))

    assert run.code == 4
    assert run.states == [("web", "Error")] and len(run.json["gaps"]) == 1
    assert "no assignment is about" not in run.err
    assert aksp("compliance", "web.json", "--no-custom-workloads").code == (4 if kind == "Deployment" else 0)
