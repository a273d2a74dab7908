"""aksp import gatekeeper: templates and constraints become definitions and assignments that judge the same."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest
import yaml

from tests.cli.conftest import Aksp, Run
from tests.gatekeeper.builders import constraint, template

EXTERNAL = 'package ext\n\nviolation[{"msg": "x"}] { external_data({"provider": "p", "keys": [""]}) }\n'


def documents(*found: Any) -> str:
    return yaml.safe_dump_all(json.loads(json.dumps(found)))


def lines(run: Run) -> list[str]:
    return [line.split(" (")[0].replace(".policy.aksp.io", "") for line in run.out.splitlines()]


def rows(run: Run) -> set[tuple[str, ...]]:
    return {
        (
            one["assignment"], one["state"], one["message"], one["resource"]["kind"], one["resource"]["namespace"],
            one["resource"]["name"], str((one["container"] or {}).get("name")),
        )
        for one in run.json["results"]
    }  # fmt: skip


def test_a_library_judges_at_once(aksp: Aksp) -> None:
    aksp.put("lib/template.yaml", documents(template()))
    aksp.put(
        "lib/samples/constraint.yaml",
        documents(constraint("owners", match={"kinds": [{"apiGroups": [""], "kinds": ["Pod"]}]})),
    )
    run = aksp.done("import", "gatekeeper", "lib")

    assert lines(run) == ["policydefinition/k8srequiredlabels created", "policyassignment/owners created"]
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "a"},
        "spec": {"containers": [{"name": "c", "image": "i"}]},
    }
    aksp.put("pod.json", pod)
    judged = aksp.judge("pod.json")
    assert judged.code == 1
    assert [one["message"] for one in judged.json["results"]] == ['you must provide labels: {"owner"}']
    assert judged.json["assignments"][0]["effect"] == "Deny"
    again = aksp.done("import", "gatekeeper", "lib")
    assert lines(again) == ["policydefinition/k8srequiredlabels unchanged", "policyassignment/owners unchanged"]


def test_what_kubectl_prints_is_read_without_what_the_api_server_added(aksp: Aksp) -> None:
    added = {"uid": "u", "resourceVersion": "1", "managedFields": [], "creationTimestamp": "2026-01-01T00:00:00Z"}
    one = {**template(), "status": {"created": True}}
    one["metadata"] = {**one["metadata"], **added}
    listed = {"apiVersion": "v1", "kind": "List", "items": [one, constraint()]}
    run = aksp("import", "gatekeeper", "-", stdin=json.dumps(listed))

    assert run.code == 0, run.err
    kept = yaml.safe_load((aksp.workspace / "definitions/k8srequiredlabels/template.yaml").read_text())
    assert kept == template()


def test_what_cannot_be_had_is_named_and_all_else_is_imported(aksp: Aksp) -> None:
    aksp.put(
        "all.yaml",
        documents(
            template(),
            template("Cel", engines=["K8sNativeValidation"]),
            template("Ext", rego=EXTERNAL),
            template("NoPrivileged-no"),
            constraint("owners"),
            constraint("cel", "Cel"),
            constraint("nowhere", "Nowhere"),
            constraint("wrong", parameters={"labels": "text"}),
            {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x"}},
        ),
    )
    run = aksp("import", "gatekeeper", "all.yaml")

    assert run.code == 4
    assert "policyassignment/owners created" in lines(run)
    assert not any("cel" in line or "nowhere" in line or "wrong" in line for line in lines(run))
    for text in (
        "K8sNativeValidation",
        "external_data",
        "Cel cel: not imported",
        "Nowhere nowhere",
        "K8sRequiredLabels wrong",
        "ConfigMap (1)",
    ):
        assert text in run.err
    assert not (aksp.workspace / "definitions" / "ext").exists()


def test_nothing_is_overwritten_unless_it_is_said(aksp: Aksp) -> None:
    aksp.put("all.yaml", documents(template(), constraint()))
    aksp.done("import", "gatekeeper", "all.yaml")
    aksp.put("all.yaml", documents(template(), constraint(enforcementAction="dryrun"), constraint("new")))
    refused = aksp("import", "gatekeeper", "all.yaml")
    assert refused.code == 2
    assert not (aksp.workspace / "assignments" / "new.yaml").exists()
    tried = aksp.done("import", "gatekeeper", "all.yaml", "--replace", "--dry-run")
    assert " configured (dry run)" in tried.out and "policyassignment.policy.aksp.io/new created (dry run)" in tried.out
    assert not (aksp.workspace / "assignments" / "new.yaml").exists()
    run = aksp.done("import", "gatekeeper", "all.yaml", "--replace")
    assert lines(run)[1:] == ["policyassignment/new created", "policyassignment/ns-must-have-gk configured"]


@pytest.mark.parametrize("name", ["../evil", "A", "lib", "no-privileged", ""])
def test_names_that_lead_elsewhere_are_refused(aksp: Aksp, name: str) -> None:
    made = template()
    made["metadata"]["name"] = name
    made["spec"]["crd"]["spec"]["names"]["kind"] = name
    aksp.put("all.yaml", documents(template("Good"), constraint("../out", "Good"), constraint("fine", "Good"), made))
    run = aksp("import", "gatekeeper", "all.yaml")

    assert run.code == 4
    assert lines(run) == ["policydefinition/good created", "policyassignment/fine created"]
    assert run.err.count("not imported") == 2


def test_constraints_of_one_name_and_several_kinds_get_names_of_their_own(aksp: Aksp) -> None:
    aksp.put("all.yaml", documents(template(), template("Other"), constraint("all"), constraint("all", "Other")))
    run = aksp.done("import", "gatekeeper", "all.yaml")

    assert lines(run)[2:] == ["policyassignment/k8srequiredlabels.all created", "policyassignment/other.all created"]


def test_the_first_of_two_that_differ_is_taken_and_the_other_told(aksp: Aksp) -> None:
    aksp.put("a.yaml", documents(template(), constraint()))
    aksp.put("b.yaml", documents(template(), constraint(enforcementAction="warn")))
    run = aksp("import", "gatekeeper", "b.yaml", "a.yaml")

    assert run.code == 4
    assert "another one is in b.yaml" in run.err


def test_namespaces_that_a_config_leaves_out_stay_out(aksp: Aksp) -> None:
    entries = [
        {"excludedNamespaces": ["legacy-*"], "processes": ["*"]},
        {"excludedNamespaces": ["half"], "processes": ["audit"]},
    ]
    config = {
        "apiVersion": "config.gatekeeper.sh/v1alpha1",
        "kind": "Config",
        "metadata": {"name": "config"},
        "spec": {"match": entries},
    }
    aksp.put("all.yaml", documents(template(), constraint(), config))
    run = aksp("import", "gatekeeper", "all.yaml")

    assert run.code == 4
    assert "half are left out of the audit alone" in run.err
    shown = yaml.safe_load(aksp.done("assignments", "show", "ns-must-have-gk", "-o", "yaml").out)
    assert shown["spec"]["parameters"]["excludedNamespaces"]["value"] == ["legacy-*"]


def test_a_config_that_gatekeeper_does_not_read_leaves_out_nothing(aksp: Aksp) -> None:
    config = {
        "apiVersion": "config.gatekeeper.sh/v1alpha1", "kind": "Config", "metadata": {"name": "other"},
        "spec": {"match": [{"excludedNamespaces": ["legacy-*"], "processes": ["*"]}]},
    }  # fmt: skip
    aksp.put("all.yaml", documents(template(), constraint(), config))
    run = aksp("import", "gatekeeper", "all.yaml")

    assert run.code == 4
    assert "Config other: Gatekeeper reads only the one that is called config" in run.err
    shown = yaml.safe_load(aksp.done("assignments", "show", "ns-must-have-gk", "-o", "yaml").out)
    assert "excludedNamespaces" not in shown["spec"]["parameters"]


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (("nowhere.yaml",), 2, "no such file"),
        ((), 2, "nothing is named"),
        (("empty",), 4, "no ConstraintTemplate"),
        (("broken.yaml",), 2, "broken.yaml:2"),
        (("folder",), 4, "broken.yaml:2"),
    ],
)
def test_bad_input_is_told_with_its_place(aksp: Aksp, arguments: tuple[str, ...], code: int, told: str) -> None:
    (aksp.folder / "empty").mkdir()
    aksp.put("broken.yaml", "a: [")
    aksp.put("folder/broken.yaml", "a: [")
    run = aksp("import", "gatekeeper", *arguments)

    assert run.code == code
    assert told in run.err


CHANCE = random.Random(3)


def some_pod(number: int) -> dict[str, Any]:
    """A Pod that may break any of the rules."""
    pick = CHANCE.choice

    def container(name: str) -> dict[str, Any]:
        context: dict[str, Any] = {}
        if CHANCE.random() < 0.7:
            context = {
                "privileged": pick([True, False, None, "yes"]),
                "readOnlyRootFilesystem": pick([True, False]),
                "capabilities": {"add": pick([[], ["NET_ADMIN"], ["CHOWN"]])},
            }
        return {
            "name": name,
            "image": pick(["contoso.azurecr.io/a:1", "nginx", "contoso.azurecr.io.evil/x", "a b"]),
            "securityContext": context,
            "resources": pick([{}, {"limits": {"cpu": "100m", "memory": "1Gi"}}, {"limits": {"cpu": 8}}]),
        }

    spec: dict[str, Any] = {"containers": [container(name) for name in ("web", "proxy")[: pick([1, 2])]]}
    if pick([True, False]):
        spec["initContainers"] = [container("init")]
    spec |= pick(
        [{}, {"hostNetwork": True}, {"hostPID": True, "volumes": [{"name": "v", "hostPath": {"path": "/etc"}}]}]
    )
    metadata = {
        "name": f"p-{number}",
        "namespace": pick(["shop", "kube-system", "legacy", "dev-1"]),
        "labels": pick([{}, {"app": "a"}]),
    }
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


def test_export_and_import_judge_the_same(aksp: Aksp) -> None:
    aksp.done("assign", "no-privileged", "--exclude-namespace", "legacy", "--exclude-container", "proxy")
    aksp.done("assign", "allowed-images", "--registry", "contoso.azurecr.io", "--effect", "Audit")
    aksp.done("assign", "allowed-capabilities", "--effect", "Warn", "--namespace", "shop", "--namespace", "dev-*")
    aksp.done("assign", "resource-limits", "--cpu", "200m", "--memory", "2Gi", "-l", "app=a")
    aksp.done("assign", "block-host-namespaces", "--enforcement-mode", "DoNotEnforce")
    aksp.done("assign", "read-only-root-filesystem")
    aksp.done("assign", "allowed-host-paths")
    aksp.done("export", "gatekeeper", "-o", "bundle")
    aksp.put("pods.yaml", documents(*map(some_pod, range(400))))
    here = aksp.judge(
        "pods.yaml",
    )
    aksp.done("import", "gatekeeper", "bundle", "--workspace", "again")
    there = aksp("compliance", "-f", "pods.yaml", "-o", "json", "--workspace", "again")

    assert len(rows(here)) > 500
    assert rows(there) == rows(here)
    assert [one["counts"] for one in there.json["assignments"]] == [one["counts"] for one in here.json["assignments"]]


def expansion(name: str, *kinds: str, group: str = "apps", **spec: Any) -> dict[str, Any]:
    body = {
        "applyTo": [{"groups": [group], "versions": ["v1"], "kinds": list(kinds)}], "templateSource": "spec.template",
        "generatedGVK": {"group": "", "version": "v1", "kind": "Pod"}, **spec,
    }  # fmt: skip
    return {
        "apiVersion": "expansion.gatekeeper.sh/v1beta1",
        "kind": "ExpansionTemplate",
        "metadata": {"name": name},
        "spec": body,
    }


def test_expansion_templates_are_named_with_what_becomes_of_them(aksp: Aksp) -> None:
    of_pods = constraint(match={"kinds": [{"apiGroups": [""], "kinds": ["Pod"]}]})
    aksp.put("all.yaml", documents(
        template(), of_pods, expansion("workloads", "Deployment", "StatefulSet"), expansion("rollouts", "Rollout", group="argoproj.io"),
        expansion("warns", "DaemonSet", enforcementAction="warn"), expansion("odd", "ReplicaSet", templateSource="spec.pod"),
        expansion("jobs", "Deployment", generatedGVK={"group": "batch", "version": "v1", "kind": "Job"}),
    ))  # fmt: skip
    run = aksp("import", "gatekeeper", "all.yaml")

    assert run.code == 4
    for said in (
        "note: ExpansionTemplate workloads: Deployment, StatefulSet: judged by the template, with source All",
        "ExpansionTemplate rollouts: Rollout.argoproj.io is no workload of Kubernetes",
        "ExpansionTemplate warns: enforcementAction warn is for what it makes alone",
        "ExpansionTemplate odd: it takes spec.pod of a ReplicaSet, and its Pods are made of spec.template",
        "ExpansionTemplate jobs: it makes Job and no Pods",
        "no ExpansionTemplate is about ReplicationController, PodTemplate, ReplicaSet, Job, CronJob: by their templates",
    ):
        assert said in run.err, run.err
    shown = yaml.safe_load(aksp.done("assignments", "show", "ns-must-have-gk", "-o", "yaml").out)
    assert shown["spec"]["parameters"]["source"]["value"] == "All"


def test_expansion_templates_of_an_export_say_the_same_here(aksp: Aksp) -> None:
    aksp.done("assign", "no-privileged", "--source", "All")
    aksp.done("export", "gatekeeper", "-o", "bundle")
    run = aksp.done("import", "gatekeeper", "bundle", "--workspace", "b")
    assert run.err.count("judged by the template, with source All") == 8 and "not the same here" not in run.err


def test_without_one_that_makes_pods_nothing_is_expanded(aksp: Aksp) -> None:
    aksp.put("all.yaml", documents(template(), constraint(), expansion("rollouts", "Rollout", group="argoproj.io")))
    assert aksp("import", "gatekeeper", "all.yaml").code == 4
    shown = yaml.safe_load(aksp.done("assignments", "show", "ns-must-have-gk", "-o", "yaml").out)
    assert "source" not in shown["spec"]["parameters"]


def test_what_is_not_synced_is_told_where_a_rule_compares_with_it(aksp: Aksp) -> None:
    rego = 'package other\n\nviolation[{"msg": "x"}] { data.inventory.namespace[_]["v1"]["Service"][_] }\n'
    config = {
        "apiVersion": "config.gatekeeper.sh/v1alpha1", "kind": "Config", "metadata": {"name": "config"},
        "spec": {"match": [{"excludedNamespaces": ["infra"], "processes": ["sync"]}]},
    }  # fmt: skip
    aksp.put("all.yaml", documents(template("Other", rego), constraint("one", "Other"), config))
    run = aksp("import", "gatekeeper", "all.yaml")
    assert run.code == 4 and "objects in infra are not synced, and other compares with them here" in run.err
    aksp.put("all.yaml", documents(template(), constraint(), config))
    aksp.done("import", "gatekeeper", "all.yaml", "--workspace", "b")


def test_mutators_and_providers_are_named(aksp: Aksp) -> None:
    head = {"metadata": {"name": "a"}, "spec": {}}
    mutator = {"apiVersion": "mutations.gatekeeper.sh/v1", "kind": "Assign", **head}
    provider = {"apiVersion": "externaldata.gatekeeper.sh/v1beta1", "kind": "Provider", **head}
    aksp.put("all.yaml", documents(template(), constraint(), mutator, provider))
    run = aksp.done("import", "gatekeeper", "all.yaml")
    assert "Assign (1), Provider (1)" in run.err and "aksp mutate --mutator" in run.err
