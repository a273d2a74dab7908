"""aksp compliance -f: what is judged, what is printed, and the exit code."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml

from tests.catalog.documents import TEMPLATE_INFO, document, template, write
from tests.cli.conftest import Aksp, kubeconfig, pod

BAD, FINE = pod("bad", privileged=True), pod("fine")


@pytest.fixture
def assigned(aksp: Aksp) -> Aksp:
    """With no-privileged assigned."""
    aksp.done("assign", "no-privileged")
    return aksp


# Exit codes


def test_everything_compliant_is_exit_0(assigned: Aksp) -> None:
    run = assigned.judge(assigned.put("pod.json", FINE))

    assert (run.code, run.states, run.json["state"], run.json["compliancePercent"]) == (0, [], "Compliant", 100.0)


def test_a_violation_is_exit_1(assigned: Aksp) -> None:
    run = assigned.judge(assigned.put("pods.json", {"kind": "List", "apiVersion": "v1", "items": [BAD, FINE]}))

    assert (run.code, run.states, run.json["compliancePercent"]) == (1, [("bad", "NonCompliant")], 50.0)


@pytest.mark.parametrize(
    ("effect", "mode", "fail_on", "code"),
    [
        ("Deny", "Default", "any", 1),
        ("Deny", "Default", "enforced", 1),
        ("EnforceRegoPolicy", "Default", "enforced", 1),
        ("Deny", "DoNotEnforce", "enforced", 0),
        ("Audit", "Default", "enforced", 0),
        ("Warn", "Default", "enforced", 0),
        ("Audit", "Default", "any", 1),
        ("Deny", "Default", "none", 0),
        ("Disabled", "Default", "any", 4),
    ],
)
def test_fail_on_says_which_violations_count(effect: str, mode: str, fail_on: str, code: int, aksp: Aksp) -> None:
    aksp.done("assign", "no-privileged", "--effect", effect, "--enforcement-mode", mode)
    run = aksp("compliance", "-f", aksp.put("pod.json", BAD), "--fail-on", fail_on, "-o", "json")

    assert run.code == code
    assert len(run.states) == (0 if effect == "Disabled" else 1)
    assert run.json["assignments"][0]["state"] == ("NotStarted" if effect == "Disabled" else "NonCompliant")


def test_a_gap_without_violation_is_exit_4_and_beside_one_exit_1(assigned: Aksp) -> None:
    assigned.put("broken.yaml", "a: [\n")
    assigned.put("fine.json", FINE)
    assigned.put("bad.json", BAD)
    inconclusive, both = assigned.judge("broken.yaml", "fine.json"), assigned.judge("broken.yaml", "bad.json")

    assert (inconclusive.code, len(inconclusive.gaps)) == (4, 1)
    assert (both.code, len(both.gaps), both.states) == (1, 1, [("bad", "NonCompliant")])
    none = assigned("compliance", "-f", "broken.yaml", "-f", "bad.json", "--fail-on", "none")
    assert none.code == 4


def test_nothing_matched_is_exit_4_when_that_is_required(assigned: Aksp) -> None:
    path = assigned.put("service.json", {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "x"}, "spec": {}})

    assert assigned("compliance", "-f", path).code == 0
    run = assigned("compliance", "-f", path, "--require-match")
    assert run.code == 4
    assert "assignment no-privileged matched nothing" in run.err
    assert assigned("compliance", "-f", assigned.put("pod.json", FINE), "--require-match").code == 0


def test_nothing_assigned_is_told(aksp: Aksp) -> None:
    run = aksp.judge(aksp.put("pod.json", BAD))

    assert (run.code, run.json["assignments"]) == (4, [])
    assert [gap["reason"] for gap in run.json["gaps"]] == ["NothingAssigned"]
    assert (run.json["state"], run.json["compliancePercent"]) == ("NotStarted", None)
    assert f"nothing is assigned in {aksp.workspace}" in run.err


def test_quiet_says_nothing_beside_the_report(aksp: Aksp) -> None:
    assert aksp("compliance", "-q", "-f", aksp.put("pod.json", BAD), "-o", "json").err == ""


# Sources


def test_standard_input_files_and_folders_make_one_report(assigned: Aksp) -> None:
    assigned.put("shop/a.yaml", "# a\n" + yaml.safe_dump(pod("a", privileged=True)))
    assigned.put("shop/deep/b.json", pod("b", privileged=True))
    text = yaml.safe_dump_all([FINE, pod("c", privileged=True)])
    run = assigned.judge("shop", "-", stdin=text)

    assert [(n, s) for n, s in run.states] == [("a", "NonCompliant"), ("c", "NonCompliant")]
    sources = [result["source"] for result in run.json["results"]]
    line = 1 + text.split("\n").index("      privileged: true")
    assert sources == [{"file": "shop/a.yaml", "line": 11}, {"file": "-", "line": line}]
    assert len(assigned("compliance", "-R", "-f", "shop", "-o", "json").states) == 2


def test_files_are_judged_by_every_assignment_or_by_those_of_a_cluster(
    aksp: Aksp, monkeypatch: pytest.MonkeyPatch
) -> None:
    aksp.done("assign", "no-privileged", "--name", "everywhere")
    aksp.done("assign", "no-privileged", "--name", "in-prod", "--cluster", "prod")
    aksp.done("assign", "no-privileged", "--name", "in-dev", "--cluster", "dev")
    aksp.put("config", kubeconfig("dev", "prod", current="dev"))
    monkeypatch.setenv("KUBECONFIG", "config")
    path = aksp.put("pod.json", BAD)

    def judged(*arguments: str) -> set[str]:
        run = aksp("compliance", "-f", path, "-o", "json", *arguments)
        return {result["assignment"] for result in run.json["results"]}

    assert judged() == {"everywhere", "in-prod", "in-dev"}
    assert judged("--cluster", "prod") == judged("--cluster=prod") == {"everywhere", "in-prod"}
    assert judged("--cluster", "elsewhere") == {"everywhere"}
    # Without a value: the current context, whatever follows.
    assert judged("--cluster") == judged("--cluster", "-q") == {"everywhere", "in-dev"}
    assert judged("--cluster", "--context", "prod") == {"everywhere", "in-prod"}
    report = aksp("compliance", "-f", path, "--cluster", "prod", "-o", "json").json
    assert report["target"] == {
        "kind": "Manifests",
        "name": "pod.json",
        "scope": "/clusters/prod",
        "server": None,
        "filters": [],
    }


def test_namespaces_and_labels_filter_as_for_kubectl(assigned: Aksp) -> None:
    pods = [
        pod("a", privileged=True, metadata={"namespace": "shop", "labels": {"app": "web"}}),
        pod("b", privileged=True),
        pod("c", privileged=True, metadata={"namespace": "other"}),
    ]
    path = assigned.put("pods.json", {"apiVersion": "v1", "kind": "List", "items": pods})

    def names(*arguments: str) -> list[str]:
        return [name for name, _ in assigned("compliance", "-f", path, "-o", "json", *arguments).states]

    assert names() == ["b", "c", "a"]
    assert names("-n", "shop") == ["a", "b"]
    assert names("-n", "shop", "-A") == names("-A") == names()
    assert names("-l", "app=web") == ["a"]
    assert names("-l", "!app") == ["b", "c"]
    assert assigned("compliance", "-f", path, "-l", "a b").code == 2
    assert assigned("compliance", "-f", path, "-n", "a", "-n", "b").code == 2


def test_system_namespaces_are_left_out_unless_asked_for(aksp: Aksp) -> None:
    path = aksp.put("pod.json", pod("bad", privileged=True, metadata={"namespace": "kube-system"}))
    aksp.done("assign", "no-privileged")
    assert aksp.judge(path).states == []

    aksp.done("assign", "no-privileged", "--no-default-exclusions", "--replace")
    assert aksp.judge(path).states == [("bad", "NonCompliant")]


def test_workload_templates_are_judged_as_the_pods_they_would_make(assigned: Aksp) -> None:
    def workload(api: str, kind: str, *path: str) -> dict[str, Any]:
        made: dict[str, Any] = {"spec": BAD["spec"]}
        for key in reversed(path):
            made = {key: made}
        return {"apiVersion": api, "kind": kind, "metadata": {"name": kind.lower()}, **made}

    spec = ("spec", "template")
    objects = [
        *(workload("apps/v1", kind, *spec) for kind in ("Deployment", "StatefulSet", "DaemonSet", "ReplicaSet")),
        workload("v1", "ReplicationController", *spec),
        workload("batch/v1", "Job", *spec),
        workload("batch/v1", "CronJob", "spec", "jobTemplate", *spec),
        workload("v1", "PodTemplate", "template"),
    ]
    run = assigned.judge(assigned.put("all.json", {"apiVersion": "v1", "kind": "List", "items": objects}))

    assert sorted(result["resource"]["kind"] for result in run.json["results"]) == sorted(o["kind"] for o in objects)
    paths = {result["resource"]["kind"]: result["path"] for result in run.json["results"]}
    assert paths["CronJob"].startswith("spec.jobTemplate.spec.template.spec.containers[0]")
    assert run.json["counts"]["resources"]["NonCompliant"] == run.json["counts"]["containers"]["NonCompliant"] == 8


def test_what_the_api_server_would_default_is_defaulted(aksp: Aksp) -> None:
    aksp.done("assign", "internal-load-balancers")
    service = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "x"}, "spec": {"ports": [{"port": 80}]}}
    run = aksp.judge(aksp.put("service.json", service))

    assert (run.code, run.json["counts"]["resources"]["Compliant"]) == (0, 1)


# Reports


def test_show_all_lists_what_complies(assigned: Aksp) -> None:
    path = assigned.put("pods.json", {"apiVersion": "v1", "kind": "List", "items": [BAD, FINE]})
    full = assigned("compliance", "-f", path, "-o", "json", "--show", "all")

    assert full.states == [("bad", "NonCompliant"), ("fine", "Compliant")]
    assert full.json["counts"] == assigned.judge(path).json["counts"]


def test_several_outputs_go_to_files_and_one_to_standard_output(assigned: Aksp) -> None:
    path = assigned.put("pod.json", BAD)
    run = assigned(
        "compliance", "-f", path, "-o", "table", "-o", "json=out.json", "-o", "csv=out.csv", "-o", "yaml=/dev/null",
        "-o", "markdown=out.md",
    )  # fmt: skip
    written = json.loads((assigned.folder / "out.json").read_text(encoding="utf-8"))

    assert run.code == 1
    assert "NonCompliant" in run.out
    assert written["kind"] == "ComplianceReport"
    assert (assigned.folder / "out.csv").read_text(encoding="utf-8").count("\n") == 2
    assert "|" in (assigned.folder / "out.md").read_text(encoding="utf-8")
    assert sorted(p.name for p in assigned.folder.glob("*out*")) == ["out.csv", "out.json", "out.md"]


def test_yaml_and_json_say_the_same(assigned: Aksp) -> None:
    path = assigned.put("pod.json", BAD)
    as_json = assigned.judge(path).json
    as_yaml = yaml.safe_load(assigned("compliance", "-f", path, "-o", "yaml").out)
    as_json.pop("evaluatedAt"), as_yaml.pop("evaluatedAt")

    assert as_yaml == as_json


@pytest.mark.parametrize(
    ("environment", "arguments", "coloured"),
    [
        ({}, [], False),
        ({}, ["--color", "always"], True),
        ({}, ["--color", "never"], False),
        ({"FORCE_COLOR": "1"}, [], True),
        ({"FORCE_COLOR": "1", "NO_COLOR": "1"}, [], False),
        ({"NO_COLOR": "1"}, ["--color", "always"], True),
        ({"NO_COLOR": ""}, ["--color", "auto"], False),
    ],
)
def test_colour_follows_the_option_then_no_color_then_the_terminal(
    environment: dict[str, str], arguments: list[str], coloured: bool, assigned: Aksp, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    run = assigned("compliance", "-f", assigned.put("pod.json", BAD), *arguments)

    assert ("\x1b[" in run.out) is coloured
    assert "NonCompliant" in run.out


# Exemptions


def exempt(aksp: Aksp, **spec: Any) -> None:
    aksp.put(
        "ws/exemptions/waived.yaml",
        {
            "apiVersion": "policy.aksp.io/v1alpha1",
            "kind": "PolicyExemption",
            "metadata": {"name": "waived"},
            "spec": {"policyAssignmentId": "no-privileged", "exemptionCategory": "Waiver", **spec},
        },
    )


def test_an_exemption_makes_a_finding_exempt_and_exit_0(assigned: Aksp) -> None:
    exempt(assigned, expiresOn="2999-01-01T00:00:00Z", resources=[{"kind": "Pod", "name": "bad"}])
    run = assigned.judge(assigned.put("pod.json", BAD))

    assert (run.code, run.states, run.json["results"][0]["exemption"]) == (0, [("bad", "Exempt")], "waived")
    assert run.json["compliancePercent"] == 100.0


def test_an_expired_exemption_does_nothing_and_is_noted(assigned: Aksp) -> None:
    exempt(assigned, expiresOn="2020-01-01T00:00:00Z")
    run = assigned.judge(assigned.put("pod.json", BAD))

    assert (run.code, run.states) == (1, [("bad", "NonCompliant")])
    assert "aksp: note: exemption waived expired on 2020-01-01" in run.err


def test_a_malformed_exemption_is_exit_2_with_file_line_and_field(assigned: Aksp) -> None:
    exempt(assigned, expiresOn="soon")
    run = assigned.judge(assigned.put("pod.json", BAD))

    assert (run.code, run.out) == (2, "")
    assert "exemptions/waived.yaml:1: spec.expiresOn is 'soon'" in run.err


# A definition of one's own


def test_a_gatekeeper_template_without_container_details_gets_rows_for_each_container(aksp: Aksp) -> None:
    write(
        aksp.workspace / "definitions",
        made=document(**{f"{TEMPLATE_INFO}.path": "template.yaml"}),
        template_yaml=template(),
    )
    aksp.done("assign", "ours", "--effect", "Deny")
    spec = {
        "containers": [
            {"name": "bad", "image": "a", "securityContext": {"privileged": True}},
            {"name": "fine", "image": "a"},
        ],
        "initContainers": [{"name": "setup", "image": "a", "securityContext": {"privileged": True}}],
    }
    workload = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web"},
        "spec": {"template": {"spec": spec}},
    }
    run = aksp.judge(aksp.put("web.json", workload))
    found = [(r["resource"]["kind"], r["container"]["name"], r["container"]["type"]) for r in run.json["results"]]

    assert run.code == 1
    assert found == [("Deployment", "bad", "containers"), ("Deployment", "setup", "initContainers")]
    assert run.json["counts"]["containers"]["NonCompliant"] == 2
    assert run.json["counts"]["containers"]["Compliant"] == 1
    assert (run.json["results"][0]["definition"], run.json["results"][0]["severity"]) == ("ours", "low")


def test_a_rule_of_one_s_own_reads_its_parameters_as_data(aksp: Aksp) -> None:
    rego = """package ours

violation contains {"msg": sprintf("%v", [entry]), "details": {"path": "metadata"}} if some entry in input.parameters.names
"""
    parameters = {"effect": {"type": "String", "defaultValue": "Audit"}, "names": {"type": "Array"}}
    made = document(**{"properties.parameters": parameters})
    made["properties"]["policyRule"]["then"]["details"]["values"] = {"names": "[parameters('names')]"}
    write(aksp.workspace / "definitions", made=made, policy_rego=rego)
    hostile = 'x"] } violation contains {"msg": "injected"} if { true'
    aksp.done("assign", "ours", "--names", hostile, "--names", "[parameters('names')]")
    run = aksp.judge(aksp.put("pod.json", FINE))

    assert sorted(r["message"] for r in run.json["results"]) == ["[parameters('names')]", hostile]


def test_paths_may_stand_without_the_option_as_a_shell_expands_them(assigned: Aksp) -> None:
    one, other, third = (assigned.put(f"{name}.json", pod(name, privileged=True)) for name in "abc")

    assert [name for name, _ in assigned("compliance", one, other, "-o", "json").states] == ["a", "b"]
    both = assigned("compliance", "-f", one, other, third, "-o", "json")
    assert [name for name, _ in both.states] == ["a", "b", "c"]
    assert assigned("compliance", "none.yaml").code == 2
