"""Definitions of a workspace, as other people write them, through the commands."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.catalog.documents import DETAILS, base64_of, document, write
from tests.cli.conftest import Aksp, pod

CASES = Path(__file__).parent.parent / "cases"
ALWAYS = 'package rule\n\nviolation contains {"msg": "seen", "details": {"path": "kind"}}\n'


def define(aksp: Aksp, slug: str = "ours", *, rego: str = ALWAYS, changes: dict[str, Any] | None = None) -> None:
    write(aksp.workspace / "definitions", slug, made=document(name=slug, **(changes or {})), policy_rego=rego)


def namespace(name: str, **labels: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}


def within(name: str, where: str) -> dict[str, Any]:
    made = pod(name)
    made["metadata"]["namespace"] = where
    return made


# Kinds from parameters


def test_a_kind_that_a_parameter_names_is_judged(aksp: Aksp) -> None:
    shutil.copytree(CASES / "kinds-by-parameter-workspace" / "definitions", aksp.workspace / "definitions")
    aksp.done("assign", "annotated", "--kind", "Service")
    run = aksp.judge(str(CASES / "kinds-by-parameter.yaml"))

    assert (run.code, run.states) == (1, [("s", "NonCompliant")])
    assert run.json["results"][0]["message"] == "no annotation"


def test_what_matched_nothing_is_told_by_the_kinds_of_the_assignment(aksp: Aksp) -> None:
    shutil.copytree(CASES / "kinds-by-parameter-workspace" / "definitions", aksp.workspace / "definitions")
    aksp.done("assign", "annotated", "--kind", "ConfigMap")
    run = aksp.judge(str(CASES / "kinds-by-parameter.yaml"))

    assert "assignment annotated matched nothing: no ConfigMap that it reaches" in run.err
    assert "objects of kinds that no assignment is about: Service (1)" in run.err


@pytest.mark.parametrize(("definition", "told"), [("https-ingress", True), ("no-privileged", False)])
def test_workloads_of_whose_pods_no_assignment_is_about_are_told(aksp: Aksp, definition: str, told: bool) -> None:
    aksp.done("assign", definition)
    folder = CASES.parent.parent / "examples" / "quickstart"
    run = aksp("compliance", "-f", str(folder / "web.yaml"), "-f", str(folder / "jobs.yaml"))

    kinds = next(line for line in run.err.splitlines() if "that no assignment is about" in line)
    assert [kind in kinds for kind in ("CronJob.batch (1)", "Deployment.apps (1)", "Job.batch (1)")] == [told] * 3


def test_a_definition_whose_kinds_come_from_a_parameter_is_listed_and_shown(aksp: Aksp) -> None:
    shutil.copytree(CASES / "kinds-by-parameter-workspace" / "definitions", aksp.workspace / "definitions")

    assert "annotated" in aksp.done("definitions").out
    assert "Judges:       any" in aksp.done("definitions", "show", "annotated").out


# Namespaces chosen by their labels


@pytest.mark.parametrize("first", [True, False])
def test_a_namespace_selector_is_decided_by_the_namespaces_of_the_input(first: bool, aksp: Aksp) -> None:
    define(aksp, changes={f"{DETAILS}.namespaceSelector": {"matchLabels": {"env": "prod"}}})
    aksp.done("assign", "ours")
    spaces = aksp.put("spaces.json", {"apiVersion": "v1", "kind": "List",
                                      "items": [namespace("shop", env="prod"), namespace("test", env="test")]})  # fmt: skip
    pods = aksp.put(
        "pods.json", {"apiVersion": "v1", "kind": "List", "items": [within("a", "shop"), within("b", "test")]}
    )
    run = aksp.judge(*([spaces, pods] if first else [pods, spaces]))

    assert (run.code, run.states, run.gaps) == (1, [("a", "NonCompliant")], [])
    assert run.json["counts"]["resources"]["NonCompliant"] == sum(run.json["counts"]["resources"].values())


def test_without_the_namespace_a_selector_is_an_error_and_a_gap(aksp: Aksp) -> None:
    define(aksp, changes={f"{DETAILS}.namespaceSelector": {"matchLabels": {"env": "prod"}}})
    aksp.done("assign", "ours")
    run = aksp.judge(aksp.put("pods.json", within("a", "shop")))

    assert (run.code, run.states, run.json["state"]) == (4, [("a", "Error")], "Error")
    assert "the labels of the Namespace shop are not known" in run.gaps[0]


def test_the_pods_of_a_workload_are_in_its_namespace(aksp: Aksp) -> None:
    define(aksp, changes={f"{DETAILS}.namespaceSelector": {"matchLabels": {"env": "prod"}}})
    aksp.done("assign", "ours")
    made = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web", "namespace": "shop"},
        "spec": {"selector": {}, "template": {"spec": {"containers": [{"name": "c", "image": "i"}]}}},
    }
    for env, states in (("prod", [("web", "NonCompliant")]), ("test", [])):
        items = {"apiVersion": "v1", "kind": "List", "items": [made, namespace("shop", env=env)]}

        assert aksp.judge(aksp.put("all.json", items)).states == states


@pytest.mark.parametrize(("env", "told"), [("prod", "NonCompliant"), ("test", "its label env is 'test'")])
def test_what_the_labels_of_its_namespace_decide_is_explained(env: str, told: str, aksp: Aksp) -> None:
    define(aksp, changes={f"{DETAILS}.namespaceSelector": {"matchLabels": {"env": "prod"}}})
    aksp.done("assign", "ours")
    items = {"apiVersion": "v1", "kind": "List", "items": [within("a", "shop"), namespace("shop", env=env)]}
    run = aksp("explain", "pod/a", "-n", "shop", "-f", aksp.put("all.json", items))

    assert told in " ".join(run.out.split())


# Optional parameters


def test_an_optional_parameter_may_be_left_out_and_is_absent_from_the_rule_s_parameters(aksp: Aksp) -> None:
    rego = 'package rule\n\nviolation contains {"msg": sprintf("%d", [count(input.parameters)]), "details": {"path": "x"}}\n'
    own = {"type": "Integer", "metadata": {"optional": True}}
    values = {"minPort": "[parameters('minPort')]"}
    define(aksp, rego=rego, changes={"properties.parameters.minPort": own, f"{DETAILS}.values": values})
    aksp.done("assign", "ours")
    aksp.done("assign", "ours", "--name", "given", "--min-port", "0")
    run = aksp.judge(aksp.put("pod.json", pod("a")))

    assert {(r["assignment"], r["message"]) for r in run.json["results"]} == {("ours", "0"), ("given", "1")}
    assert "optional" in aksp.done("definitions", "show", "ours").out


def test_a_parameter_without_default_is_required_as_in_azure(aksp: Aksp) -> None:
    define(aksp, changes={"properties.parameters.x": {"type": "String"}})

    run = aksp("assign", "ours")
    assert (run.code, "needs a value" in run.err) == (2, True)


# Keys that are not known


@pytest.mark.parametrize(
    ("path", "nearest"),
    [
        (f"{DETAILS}.excludedNamespace", "excludedNamespaces"),
        (f"{DETAILS}.namespaceselector", "namespaceSelector"),
        (f"{DETAILS}.templateInfo.sourcetype", "sourceType"),
        ("properties.policyRule.then.detail", "details"),
        ("properties.policyRule.esle", "then"),
        ("properties.paramters", "parameters"),
        ("properties.parameters.effect.defaultvalue", "defaultValue"),
    ],
)
def test_a_key_that_is_not_known_is_refused_with_the_nearest(path: str, nearest: str, aksp: Aksp) -> None:
    define(aksp, changes={path: {}})
    run = aksp("assign", "ours")

    assert run.code == 2
    assert f"{path} is not known" in run.err
    assert nearest in run.err


@pytest.mark.parametrize("key", ["constraintInfo", "constraint", "constraintTemplate", "mutationInfo"])
def test_a_key_of_azure_s_that_is_not_supported_is_refused_with_what_to_write_instead(key: str, aksp: Aksp) -> None:
    define(aksp, changes={f"{DETAILS}.{key}": {}})
    run = aksp("assign", "ours")

    assert (run.code, f"{key} is not supported" in run.err) == (2, True)


# A definition that is broken


BROKEN = [
    ("json", "not JSON"),
    ("rego", "does not compile"),
    ("key", "is not known"),
    ("none", "no definition.json"),
    ("effect", "effect 'Forbid' is not one of"),
    ("expression", "there is no parameter 'labels'"),
    ("selector", "matchLabels is not an object of strings"),
    ("warn", "warn is 'yes'"),
    ("kinds", "there is no parameter 'kind'"),
]
#: What is wrong whatever the parameters are.
FIXED: dict[str, dict[str, Any]] = {
    "effect": {"properties.policyRule.then.effect": "Forbid"},
    "expression": {f"{DETAILS}.labelSelector": "[parameters('labels')]"},
    "selector": {f"{DETAILS}.namespaceSelector": {"matchLabels": {"replicas": 3}}},
    "warn": {f"{DETAILS}.warn": "yes"},
    "kinds": {f"{DETAILS}.kinds": ["[parameters('kind')]"]},
}


def break_definition(aksp: Aksp, how: str) -> None:
    """Break the definition ``ours``, which is assigned."""
    folder = aksp.workspace / "definitions" / "ours"
    match how:
        case "json":
            (folder / "definition.json").write_text("{", encoding="utf-8")
        case "rego":
            (folder / "policy.rego").write_text("package rule\n\nviolation contains x if y\n", encoding="utf-8")
        case "key":
            define(aksp, changes={"properties.desciption": "x"})
        case _ if how in FIXED:
            define(aksp, changes=FIXED[how])
        case _:
            (folder / "definition.json").unlink()


@pytest.mark.parametrize(("how", "problem"), BROKEN)
def test_the_assignments_of_a_broken_definition_are_in_error_and_all_others_are_judged(
    how: str, problem: str, aksp: Aksp
) -> None:
    define(aksp)
    for name in ("one", "two"):
        aksp.done("assign", "ours", "--name", name)
    aksp.done("assign", "no-privileged")
    break_definition(aksp, how)
    fine = aksp.judge(aksp.put("fine.json", pod("fine")))
    bad = aksp.judge(aksp.put("bad.json", pod("bad", privileged=True)))

    assert (fine.code, bad.code, bad.states) == (4, 1, [("bad", "NonCompliant")])
    assert [gap for gap in fine.gaps if problem in gap and "one, two" in gap]
    assert len(fine.gaps) == 1 and problem not in fine.err
    states = {one["name"]: (one["state"], one["compliancePercent"]) for one in fine.json["assignments"]}
    assert states == {"no-privileged": ("Compliant", 100.0), "one": ("Error", None), "two": ("Error", None)}
    assert fine.json["state"] == "Compliant"


@pytest.mark.parametrize(("how", "problem"), [one for one in BROKEN if one[0] != "rego"])
def test_a_broken_definition_is_told_by_what_lists_and_refused_where_it_is_named(
    how: str, problem: str, aksp: Aksp
) -> None:
    define(aksp)
    break_definition(aksp, how)
    listed = aksp.done("definitions")

    assert problem in listed.err and "no-privileged" in listed.out
    assert "no-privileged" in aksp.done("assign", "--help").out
    for arguments in (("assign", "ours"), ("definitions", "show", "ours")):
        run = aksp(*arguments)
        assert (run.code, problem in run.err) == (2, True)
    judged = aksp("compliance", "-f", aksp.put("fine.json", pod("fine")))
    assert "a definition cannot be loaded" in judged.err and problem in judged.err


@pytest.mark.parametrize(
    ("parameter", "changes", "option", "problem"),
    [
        ({"type": "String"}, {"properties.policyRule.then.effect": "[parameters('x')]"}, "Forbid", "effect 'Forbid'"),
        ({"type": "Object"}, {f"{DETAILS}.labelSelector": "[parameters('x')]"}, '{"a": {}}', "neither matchLabels"),
        ({"type": "Object"}, {f"{DETAILS}.name": "[parameters('x').name]"}, "{}", "has no property 'name'"),
    ],
)
def test_an_assignment_that_a_definition_does_not_understand_harms_no_other(
    parameter: dict[str, Any], changes: dict[str, Any], option: str, problem: str, aksp: Aksp
) -> None:
    # An assignment that was made before its definition became what it is now.
    define(aksp, changes={"properties.parameters.x": parameter})
    aksp.done("assign", "ours", "--x", option)
    aksp.done("assign", "no-privileged")
    define(aksp, changes={"properties.parameters.x": parameter, **changes})
    fine = aksp.judge(aksp.put("fine.json", pod("fine")))
    bad = aksp.judge(aksp.put("bad.json", pod("bad", privileged=True)))

    assert (fine.code, bad.code, bad.states) == (4, 1, [("bad", "NonCompliant")])
    assert [problem in gap and "ours" in gap for gap in fine.gaps] == [True]
    for named in (aksp("assign", "ours", "--name", "another", "--x", option), aksp("explain", "ours")):
        assert (named.code, problem in named.err) == (2, True)
    assert (
        "no-privileged" in aksp.done("explain", "pod/bad", "-f", aksp.put("bad.json", pod("bad", privileged=True))).out
    )


@pytest.mark.parametrize("how", [how for how, _ in BROKEN])
def test_what_is_explained_does_not_suffer_from_another_definition(how: str, aksp: Aksp) -> None:
    define(aksp)
    aksp.done("assign", "ours")
    aksp.done("assign", "no-privileged")
    break_definition(aksp, how)
    run = aksp("explain", "pod/bad", "-f", aksp.put("bad.json", pod("bad", privileged=True)))

    assert "NonCompliant" in run.out and "no-privileged" in run.out


# Templates: where their Rego stands, and what they say of their values

TEMPLATE = """\
# A comment above.
apiVersion: templates.gatekeeper.sh/v1
kind: ConstraintTemplate
metadata: {name: rule}
spec:
  crd:
    spec:
      names: {kind: Rule}
      validation:
        openAPIV3Schema:
          type: object
          properties:
            minPort: {type: integer}
            ranges:
              type: array
              items: {type: object, properties: {min: {type: integer}, max: {type: integer, nullable: true}}}
  targets:
    - target: admission.k8s.gatekeeper.sh
      rego: {RULE}
      libs:
        - |
          package lib.a

          x := {LIBRARY}
"""
FINE = """\
|
        package rule

        violation[{"msg": "low"}] {
          input.parameters.minPort > input.review.object.spec.containers[_].ports[_].containerPort
        }
"""


def define_template(
    aksp: Aksp, rule: str = FINE, library: str = "1", *, encoded: bool = False, values: dict[str, Any] | None = None
) -> None:
    text = TEMPLATE.replace("{RULE}", rule.rstrip()).replace("{LIBRARY}", library)
    info: dict[str, Any] = base64_of(text) if encoded else {"sourceType": "File", "path": "template.yaml"}
    changes = {
        f"{DETAILS}.templateInfo": info,
        f"{DETAILS}.values": values or {},
        "properties.parameters.x": {"type": "Object", "metadata": {"optional": True}},
    }
    made = document(name="ours", **changes)
    write(aksp.workspace / "definitions", "ours", made=made, template_yaml=text)


BROKEN_RULE = FINE.replace("input.parameters.minPort", "y")
LINE = 1 + TEMPLATE.replace("{RULE}", BROKEN_RULE.rstrip()).splitlines().index(
    "          y > input.review.object.spec.containers[_].ports[_].containerPort"
)


@pytest.mark.parametrize(
    ("rule", "library", "encoded", "place"),
    [
        (BROKEN_RULE, "1", False, f"template.yaml:{LINE}:11: "),
        (BROKEN_RULE.replace("|", "|-", 1), "1", False, f"template.yaml:{LINE}:11: "),
        (BROKEN_RULE.replace("|", "| # the rule", 1), "1", False, f"template.yaml:{LINE}:11: "),
        (FINE, "y", False, "template.yaml:29:16: "),
        (json.dumps("package rule\n\nviolation[{}] { y }\n"), "1", False, "template.yaml (lines of rego):3:17: "),
        (BROKEN_RULE, "1", True, f"definition.json (the template in templateInfo.content):{LINE}:11: "),
    ],
)
def test_an_error_in_a_template_s_rego_is_told_at_the_line_of_the_file(
    rule: str, library: str, encoded: bool, place: str, aksp: Aksp
) -> None:
    define_template(aksp, rule, library, encoded=encoded)
    run = aksp("assign", "ours")

    assert (run.code, place in run.err) == (2, True), run.err


def test_an_error_of_a_template_s_rule_at_run_time_names_the_line_of_the_file(aksp: Aksp) -> None:
    rule = FINE.replace("input.parameters.minPort", "1 / count([1 | false])")
    define_template(aksp, rule)
    aksp.done("assign", "ours")
    run = aksp.judge(aksp.put("pod.json", pod("a")))

    assert (run.code, f"template.yaml:{LINE}: " in run.gaps[0]) == (4, True), run.gaps


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        ({"minport": 1}, "the template has no parameter 'minport'"),
        ({"minPort": "80"}, "the template does not take the value of 'minPort': '80' is not of type integer"),
        ({"ranges": [{"min": 1, "mx": 2}]}, "'mx' was unexpected"),
        ({"ranges": [{"min": "1"}]}, "'1' at [0]['min'] is not of type integer"),
    ],
)
def test_values_that_a_template_does_not_take_are_refused_when_assigning(
    values: dict[str, Any], problem: str, aksp: Aksp
) -> None:
    define_template(aksp, values=values)
    run = aksp("assign", "ours")

    assert (run.code, problem in run.err) == (2, True), run.err
    assert "minport" not in values or "did you mean 'minPort'?" in run.err


@pytest.mark.parametrize(
    ("values", "warned"),
    [
        ({"ranges": [{"min": 1, "max": None}]}, True),
        ({"minPort": 1}, False),
        ({"minPort": "[parameters('x')]"}, True),
        ({}, True),
    ],
)
def test_a_parameter_that_the_rule_reads_and_nothing_sets_is_told_when_assigning(
    values: dict[str, Any], warned: bool, aksp: Aksp
) -> None:
    define_template(aksp, values=values)
    run = aksp.done("assign", "ours")

    assert ("the rule reads input.parameters.minPort, which nothing sets" in run.err) is warned


VERSION_0 = 'package rule\n\nviolation[{"msg": msg}] {\n  msg := "x"\n}\n'


def test_rego_of_version_0_is_told_what_it_is(aksp: Aksp) -> None:
    define(aksp, rego=VERSION_0)
    run = aksp("assign", "ours")
    assert run.code == 2
    assert "policy.rego:3:1: definition 'ours' does not compile" in run.err and "hint: this is Rego v0" in run.err
    define(aksp, rego="package rule\n\nviolation contains x if y\n")
    assert "Rego v0" not in aksp("assign", "ours").err


def test_a_place_in_rego_is_a_path_that_opens(aksp: Aksp, monkeypatch: pytest.MonkeyPatch) -> None:
    define(aksp, rego=VERSION_0)
    for folder in (aksp.folder, aksp.workspace):
        monkeypatch.chdir(folder)
        place = aksp("assign", "ours").err.removeprefix("aksp: error: ").split(":")
        assert Path(place[0]).is_file() and not Path(place[0]).is_absolute()
        assert place[1:3] == ["3", "1"]
    (aksp.folder / "elsewhere").mkdir()
    monkeypatch.chdir(aksp.folder / "elsewhere")
    assert Path(aksp("assign", "ours").err.removeprefix("aksp: error: ").split(":")[0]).is_file()


def test_a_violation_with_message_is_told_that_it_is_called_msg(aksp: Aksp) -> None:
    define(aksp, rego=ALWAYS.replace("msg", "message"))
    aksp.done("assign", "ours")
    run = aksp.judge(aksp.put("pod.json", pod("web")))
    assert run.code == 4 and "its message must be called msg" in run.json["gaps"][0]["message"]


# Rules that compare, and versions

TAKEN = """package rule

violation contains {"msg": sprintf("%s is taken", [host])} if {
    host := input.review.object.spec.rules[_].host
    other := data.inventory.namespace[ns]["VERSION"].Ingress[name]
    [ns, name] != [input.review.object.metadata.namespace, input.review.object.metadata.name]
    other.spec.rules[_].host == host
}
"""


def ingress(name: str, version: str) -> dict[str, Any]:
    return {
        "apiVersion": f"networking.k8s.io/{version}",
        "kind": "Ingress",
        "metadata": {"name": name, "namespace": "shop"},
        "spec": {"rules": [{"host": "a.example"}]},
    }


@pytest.mark.parametrize(
    ("looked_up", "versions", "code", "told"),
    [
        ("v1", ["v1", "v1"], 1, ""),
        ("v1beta1", ["v1beta1", "v1beta1"], 1, ""),
        ("v1beta1", ["v1", "v1"], 4, "Ingress objects of networking.k8s.io/v1beta1, and does not see those"),
        ("v1beta1", ["v1beta1", "v1"], 4, "that these manifests have of networking.k8s.io/v1:"),
        ("v1", ["v1", "v1beta1"], 4, "that these manifests have of networking.k8s.io/v1beta1:"),
    ],
)
@pytest.mark.parametrize("namespace", [(), ("-n", "shop")])
def test_no_object_is_passed_over_since_a_rule_looks_up_another_version_of_its_kind(
    looked_up: str, versions: list[str], code: int, told: str, namespace: tuple[str, ...], aksp: Aksp
) -> None:
    define(
        aksp,
        rego=TAKEN.replace("VERSION", f"networking.k8s.io/{looked_up}"),
        changes={f"{DETAILS}.apiGroups": ["networking.k8s.io"], f"{DETAILS}.kinds": ["Ingress"]},
    )
    aksp.done("assign", "ours")
    items = [ingress(f"i-{at}", version) for at, version in enumerate(versions)]
    path = aksp.put("ingresses.json", {"apiVersion": "v1", "kind": "List", "items": items})
    run = aksp("compliance", "-f", path, "-o", "json", *namespace)

    state = "Error" if told else "NonCompliant"
    assert (run.code, run.states) == (code, [("i-0", state), ("i-1", state)])
    assert all(told in gap for gap in run.gaps) and bool(run.gaps) == bool(told)
