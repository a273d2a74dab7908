"""Definitions that bring their constraint as a text, as Azure had them first, judge as what Azure generates of it."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest

from tests.azure.builders import CLUSTER, TEMPLATE, assignment, definition, id_of, text
from tests.cli.conftest import Aksp

MAPPED = ("--scope-map", f"{CLUSTER}=/clusters/prod")
URL = "https://example.com/kubernetes/team/"
CONSTRAINT = """
apiVersion: constraints.gatekeeper.sh/v1beta1
kind: K8sTeam
metadata:
  name: azurepolicy-k8s-team
spec:
  match:
    excludedNamespaces: {{ .Values.excludedNamespaces }}
    kinds:
      - apiGroups: [""]
        kinds: ["Pod"]
    labelSelector: { matchLabels: { checked: "yes" } }
  parameters:
    label: "{{ .Values.label }}"
"""
VALUES = {"label": "[parameters('label')]", "excludedNamespaces": ["legacy"]}


def encoded(content: str) -> dict[str, str]:
    return {"sourceType": "Base64Encoded", "content": base64.b64encode(content.encode()).decode()}


def of(details: dict[str, Any]) -> Any:
    one = definition()
    one["properties"]["policyRule"]["then"]["details"] = details
    return one


OLD = of({"constraintTemplate": f"{URL}template.yaml", "constraint": f"{URL}constraint.yaml", "values": VALUES})
INSIDE = of({"templateInfo": encoded(TEMPLATE), "constraintInfo": encoded(CONSTRAINT), "values": VALUES})
BY_URL = of({
    "templateInfo": {"sourceType": "PublicURL", "url": f"{URL}template.yaml"},
    "constraintInfo": {"sourceType": "PublicURL", "url": f"{URL}constraint.yaml"}, "values": VALUES, "warn": True,
})  # fmt: skip


def estate(one: Any) -> str:
    given = {"label": {"value": "team"}, "effect": {"value": "deny"}}
    return text([one, assignment("Team", policyDefinitionId=id_of("policyDefinitions", "Require-Team"),
                                 definitionVersion=None, enforcementMode="Default", parameters=given)])  # fmt: skip


def pod(name: str, namespace: str = "shop", **labels: str) -> Any:
    return {
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": namespace, "labels": labels},
        "spec": {"containers": [{"name": "c", "image": "i"}]},
    }  # fmt: skip


def files(folder: Path) -> dict[str, str]:
    kinds = ("definitions", "assignments")
    found = [one for kind in kinds for one in (folder / kind).rglob("*") if one.is_file()]
    return {str(one.relative_to(folder)): one.read_text() for one in found}


@pytest.mark.parametrize("one", [OLD, INSIDE, BY_URL], ids=["old", "inside", "by url"])
def test_it_judges_as_its_constraint_says_and_goes_back_as_it_was(aksp: Aksp, one: Any) -> None:
    aksp.put("t/team/template.yaml", TEMPLATE)
    aksp.put("t/team/constraint.yaml", CONSTRAINT)
    aksp.put("azure.json", estate(one))
    aksp.done("import", "azure", "azure.json", *MAPPED, "--templates", "t")
    pods = [
        pod("bad", checked="yes"),
        pod("good", checked="yes", team="a"),
        pod("other"),
        pod("old", "legacy", checked="yes"),
    ]
    aksp.put("m.json", {"apiVersion": "v1", "kind": "List", "items": pods})
    report = aksp("compliance", "-f", "m.json", "--cluster", "prod", "--show", "all", "-o", "json").json
    found = {(one["resource"]["name"], one["state"], one["effect"]) for one in report["results"]}
    assert found == {("bad", "NonCompliant", "Deny"), ("good", "Compliant", "Deny")}

    out = aksp.done("export", "azure").out
    exported = {each["name"]: each for each in aksp.done("export", "azure").json["value"]}
    assert exported["Require-Team"] == one
    aksp.put("again.json", out)
    aksp.done("import", "azure", "again.json", *MAPPED, "--templates", "t", "--workspace", "b")
    assert files(aksp.folder / "b") == files(aksp.workspace)


def test_what_was_changed_here_goes_out_as_it_is_now(aksp: Aksp) -> None:
    aksp.put("azure.json", estate(INSIDE))
    aksp.done("import", "azure", "azure.json", *MAPPED)
    path = aksp.workspace / "definitions" / "require-team" / "definition.json"
    path.write_text(path.read_text().replace('"checked": "yes"', '"checked": "no"'))
    exported = {each["name"]: each for each in aksp.done("export", "azure").json["value"]}
    details = exported["Require-Team"]["properties"]["policyRule"]["then"]["details"]
    assert "constraintInfo" not in details and details["labelSelector"] == {"matchLabels": {"checked": "no"}}


def test_without_the_texts_of_its_urls_it_is_named(aksp: Aksp) -> None:
    aksp.put("azure.json", estate(OLD))
    run = aksp("import", "azure", "azure.json", *MAPPED)
    assert run.code == 4 and f"its constraint {URL}constraint.yaml is not fetched" in run.err


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        (("{{ .Values.label }}", "{{ .Values.other }}"), "asks for .Values.other, which its values have not"),
        (('"{{ .Values.label }}"', '"x-{{ .Values.label }}"'), "a placeholder within a text"),
        (("{{ .Values.label }}", "{{ if .Values.label }}a{{ end }}"), "none of the form {{ .Values.NAME }}"),
        (("spec:", "spec: ["), "is no YAML"), (("constraints.gatekeeper.sh", "example.com"), "is not one document of"),
        ((CONSTRAINT.partition("spec:\n")[2], "  - a\n"), "spec of its constraint is no mapping"),
        (("matchLabels: { checked", 'matchLabels: { "{{ .Values.label }}"'), "a placeholder in the name of a field"),
        (("    excludedNamespaces", "    kind: 3\n    excludedNamespaces"), "spec.match.kind of its constraint is not known"),
    ],
)  # fmt: skip
def test_a_constraint_that_is_not_understood_is_named(aksp: Aksp, changed: tuple[str, str], said: str) -> None:
    written = CONSTRAINT.replace(*changed)
    details = {"templateInfo": encoded(TEMPLATE), "constraintInfo": encoded(written), "values": VALUES}
    aksp.put("azure.json", estate(of(details)))
    run = aksp("import", "azure", "azure.json", *MAPPED)
    assert run.code == 4 and said in run.err, run.err


@pytest.mark.parametrize("one", ["[a-z]+", "[a-z]", "[[:alpha:]]", "[parameters('label')]"])
def test_what_looks_like_an_expression_in_a_constraint_is_a_text(aksp: Aksp, one: str) -> None:
    template = TEMPLATE.replace('msg := "no team"', 'msg := concat(" ", ["no", input.parameters.label])')
    written = CONSTRAINT.replace("{{ .Values.label }}", one)
    details = {"templateInfo": encoded(template), "constraintInfo": encoded(written), "values": VALUES}
    aksp.put("azure.json", estate(of(details)))
    aksp.done("import", "azure", "azure.json", *MAPPED)
    aksp.put("pod.json", pod("bad", checked="yes"))
    run = aksp("compliance", "-f", "pod.json", "--cluster", "prod", "-o", "json")
    assert [result["message"] for result in run.json["results"]] == [f"no {one}"]


@pytest.mark.parametrize(
    ("template", "constraint", "said"),
    [
        (TEMPLATE, CONSTRAINT.replace("K8sTeam", "K8sOwner"), "is K8sOwner, and that of its template (spec.crd.spec.names.kind) is K8sTeam:"),
        (TEMPLATE, CONSTRAINT.replace("K8sTeam", "k8steam"), "is k8steam, and that of its template"),
        (TEMPLATE, CONSTRAINT.replace("kind: K8sTeam", ""), "is missing, and that of its template"),
        (TEMPLATE.replace("kind: K8sTeam", ""), CONSTRAINT, "is K8sTeam, and that of its template (spec.crd.spec.names.kind) is missing:"),
    ],
)  # fmt: skip
def test_a_constraint_of_another_kind_than_its_template_has_is_named_with_its_place(
    aksp: Aksp, template: str, constraint: str, said: str
) -> None:
    aksp.put("t/team/template.yaml", template)
    aksp.put("t/team/constraint.yaml", constraint)
    details = {"templateInfo": encoded(template), "constraintInfo": encoded(constraint), "values": VALUES}
    for one, field in ((of(details), "constraintInfo"), (OLD, "constraint"), (BY_URL, "constraintInfo")):
        aksp.put("azure.json", estate(one))
        run = aksp("import", "azure", "azure.json", *MAPPED, "--templates", "t")
        place = f"azure.json: $[0]: properties.policyRule.then.details.{field}: the kind of its constraint"
        assert run.code == 4 and f"policyDefinition Require-Team: not imported: {place} {said}" in run.err, run.err
        assert not files(aksp.workspace)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"kinds": ["Pod"]}, "brings a constraint of its own, and kinds beside it"),
        ({"constraintInfo": {"sourceType": "Base64Encoded", "content": "%"}}, "is no Base64"),
        ({"constraintInfo": {"sourceType": "File"}}, "sourceType File is not known"),
    ],
)
def test_what_azure_refuses_together_is_named(aksp: Aksp, more: dict[str, Any], said: str) -> None:
    details = {"templateInfo": encoded(TEMPLATE), "constraintInfo": encoded(CONSTRAINT), "values": VALUES, **more}
    aksp.put("azure.json", estate(of(details)))
    run = aksp("import", "azure", "azure.json", *MAPPED)
    assert run.code == 4 and said in run.err
    aksp.put(
        "azure.json",
        estate(of({**OLD["properties"]["policyRule"]["then"]["details"], "constraintInfo": encoded(CONSTRAINT)})),
    )
    assert "it has both constraint and constraintInfo" in aksp("import", "azure", "azure.json", *MAPPED).err
    for alone in ({"constraint": f"{URL}c.yaml"}, {"constraintTemplate": f"{URL}t.yaml"}):
        aksp.put("azure.json", estate(of({**alone, "values": VALUES})))
        run = aksp("import", "azure", "azure.json", *MAPPED)
        assert run.code == 4 and "and no constraint" in run.err


def test_what_is_no_text_ends_the_import_with_its_place(aksp: Aksp) -> None:
    aksp.put("azure.json", estate(of({"constraintTemplate": 3, "constraint": f"{URL}c.yaml"})))
    run = aksp("import", "azure", "azure.json", *MAPPED)
    assert run.code == 2 and "azure.json: $[0]" in run.err and "details.constraintTemplate" in run.err
