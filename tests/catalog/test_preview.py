"""Definitions of Azure's preview: their Rego is that of today, and parameters are data, whatever is in them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from aksp.catalog import preview
from aksp.catalog.folder import Folder
from aksp.catalog.interface import BrokenDefinition
from aksp.compliance.judgement import Task
from aksp.engine import Engine
from aksp.errors import InvalidPolicy
from aksp.model.definition import Definition, ResourceKind
from aksp.workspace import compile_definition

IMAGES = """package admission

import data.k8s.matches

# {{policyParameters.notThere}} of a comment is nobody's.
deny[{
\t"id": "{{AzurePolicyID}}",
\t"resource": {"kind": "pods", "namespace": namespace, "name": name},
\t"resolution": {"message": msg},
}] {
\tmatches[["pods", namespace, name, pod]]
\tcontainer = pod.spec.containers[_]
\tcontainer.image != "{{policyParameters.image}}"
\tmsg := sprintf("100%% {{ policyParameters.image }} of {{AzurePolicyID}}: %v", [container.image])
}
"""
HOSTS = """package admission

IMPORTS

deny[{
  "id": "{{AzurePolicyID}}",
  "resource": {"kind": "ingresses", "namespace": namespace, "name": name},
  "resolution": {"message": msg},
}] {
  OWN
  OTHER
  namespace != other_namespace
  host := own.spec.rules[_].host
  hosts := {each | each := other.spec.rules[_].host}
  hosts[host]
  msg := sprintf("%v is also in %v", [host, other_namespace])
}
"""
MATCHES = HOSTS.replace("IMPORTS", "import data.k8s.matches")


def hosts(imports: str, own: str, other: str) -> str:
    return HOSTS.replace("IMPORTS", imports).replace("OWN", own).replace("OTHER", other)


#: What means something in Rego's texts and formats is drawn often.
TEXTS = st.text(st.sampled_from('"\\`%{}[]#\n') | st.characters(codec="utf-8"), max_size=12)
COMPARING = {
    "matches twice": hosts(
        "import data.k8s.matches",
        'matches[["ingresses", namespace, name, own]]',
        'matches[["ingresses", other_namespace, _, other]]',
    ),
    "a rule of its own": hosts(
        'import data.k8s.matches\nall[[namespace, one]] { matches[["ingresses", namespace, _, one]] }',
        'matches[["ingresses", namespace, name, own]]',
        "all[[other_namespace, other]]",
    ),
    "data.kubernetes": hosts(
        "",
        "own := data.kubernetes.ingresses[namespace][name]",
        'other := data.kubernetes["ingresses"][other_namespace][_]',
    ),
    "imported": hosts(
        "import data.kubernetes.ingresses",
        "own := ingresses[namespace][name]",
        "other := ingresses[other_namespace][_]",
    ),
    "in a comprehension": hosts(
        "import data.kubernetes",
        "own := kubernetes.ingresses[namespace][name]",
        "others := {[n, o] | o := data.kubernetes.ingresses[n][_]}\n  others[[other_namespace, other]]",
    ),
}


def document(
    parameters: tuple[str, ...] = (), *, policy: str = "https://example.com/a/limited-preview/rule.rego"
) -> Any:
    return {
        "name": "0e2b9f6c-1111-4222-8333-444455556666",
        "properties": {
            "displayName": "Of the preview",
            "policyType": "Custom",
            "mode": "Microsoft.ContainerService.Data",
            "metadata": {"version": "1.0.1", "category": "Kubernetes service"},
            "parameters": {
                "effect": {"type": "String", "defaultValue": "EnforceRegoPolicy"},
                **{name: {"type": "String"} for name in parameters},
            },
            "policyRule": {
                "if": {"field": "type", "equals": "Microsoft.ContainerService/managedClusters"},
                "then": {
                    "effect": "[parameters('effect')]",
                    "details": {
                        "policyId": "OfThePreview",
                        "policy": policy,
                        "policyParameters": {name: f"[parameters('{name}')]" for name in parameters},
                    },
                },
            },
        },
    }


def read(root: Path, rego: str, made: Any, path: str = "rule.rego") -> Definition:
    folder = root / "ours"
    (folder / path).parent.mkdir(parents=True)
    (folder / "definition.json").write_text(json.dumps(made), encoding="utf-8")
    (folder / path).write_text(rego, encoding="utf-8")
    (one,) = Folder(root)
    if isinstance(one, BrokenDefinition):
        raise one.error
    return one


def found(engine: Engine, one: Definition, values: Any, *objects: Any) -> list[list[str]]:
    """The messages about each object."""
    compile_definition(engine, one)
    listed = {"apiVersion": "v1", "kind": "List", "metadata": {}, "items": list(objects)}
    batch = engine.load_list(json.dumps(listed).encode())
    messages: list[list[str]] = [[] for _ in objects]
    judged = engine.judge(batch, [Task(policy=one.slug, parameters=values, documents=list(range(len(objects))))])
    assert not judged.faults
    for hit in judged.hits:
        messages[hit.document] += [judged.findings[index]["msg"] for index in hit.findings]
    return messages


def pod(image: str) -> Any:
    return {
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web", "namespace": "shop"},
        "spec": {"containers": [{"name": "web", "image": image}]},
    }  # fmt: skip


def test_what_a_string_or_a_comment_says_asks_for_nothing(tmp_path: Path) -> None:
    more = """deny[x] { one := pods[_]; one.metadata.labels["kubernetes"] == "matches"; x := "kubernetes matches[[it" } # matches
pods := data.kubernetes.pods
"""
    one = read(tmp_path, IMAGES + more, document(("image",)))
    assert one.kinds == (ResourceKind(group="", kind="Pod"),)


@pytest.mark.parametrize("path", ["rule.rego", "limited-preview/rule.rego"])
def test_a_definition_of_the_preview_is_one_of_a_workspace(tmp_path: Path, path: str) -> None:
    one = read(tmp_path, IMAGES, document(("image",)), path)
    assert one.kinds == (ResourceKind(group="", kind="Pod"),)
    assert one.values == {"image": "[parameters('image')]"}
    assert {module.version for module in one.modules} == {"v0"}
    assert (one.display_name, one.version, one.requires_inventory) == ("Of the preview", "1.0.1", ())


@settings(max_examples=60, deadline=None)
@given(value=TEXTS, other=TEXTS)
@example(value="%", other="%s")
def test_whatever_a_parameter_holds_is_compared_as_it_is(
    engine: Engine, definition_of_images: Definition, value: str, other: str
) -> None:
    same, differing = (found(engine, definition_of_images, {"image": value}, pod(image))[0] for image in (value, other))
    assert same == []
    expected = f"100% {value} of 0e2b9f6c-1111-4222-8333-444455556666: {other}"
    assert differing == ([] if value == other else [expected])


@pytest.fixture(scope="module")
def definition_of_images(tmp_path_factory: pytest.TempPathFactory) -> Definition:
    return read(tmp_path_factory.mktemp("images"), IMAGES, document(("image",)))


@pytest.mark.parametrize("way", COMPARING)
def test_rules_that_compare_say_so_whatever_way_they_take(tmp_path: Path, engine: Engine, way: str) -> None:
    one = compile_definition(engine, read(tmp_path, COMPARING[way], document()))
    assert ("networking.k8s.io", "Ingress") in {(each.group, each.kind) for each in one.requires_inventory}


@pytest.mark.parametrize(
    ("rego", "parameters", "said"),
    [
        (IMAGES, (), "placeholder {{policyParameters.image}}, which nothing fills"),
        (IMAGES.replace("AzurePolicyID", "AzureThing"), ("image",), "{{AzureThing}}"),
        (IMAGES.replace("package admission", "package other"), ("image",), "package is not admission"),
        (IMAGES.replace('"pods"', '"gadgets"'), ("image",), "gadgets"),
        ("package admission\ndeny[x] { x := {} }", (), "does not say which kinds"),
        # Beside Pods, which it names, it may be about any kind: Services would comply without having been judged.
        *(
            (f"{IMAGES}{more}", ("image",), "finds objects by a kind that it does not name")
            for more in (
                'deny[x] { matches[[kind, namespace, name, one]]; kind == "services"; x := one }',
                'deny[x] { wanted := ["services", "shop", "a", one]; matches[wanted]; x := one }',
                'deny[x] { matches[["{{policyParameters.image}}", namespace, name, one]]; x := one }',
                "deny[x] { matches[[`services`, namespace, name, one]]; x := one }",
                'deny[x] { kind := "services"; x := data.kubernetes[kind][_][_] }',
                "import data.kubernetes as k\ndeny[x] { x := k.services[_][_] }",
                'deny[x] { x := data["k8s"]["matches"][["services", _, _, _]] }',
                'import data.k8s.matches as m\ndeny[x] { m[["services", namespace, name, one]]; x := one }',
            )
        ),
    ],
)
def test_what_cannot_be_understood_is_refused(
    tmp_path: Path, rego: str, parameters: tuple[str, ...], said: str
) -> None:
    with pytest.raises(InvalidPolicy) as raised:
        read(tmp_path, rego, document(parameters))
    assert said in str(raised.value)


def test_rego_that_is_not_there_is_asked_for(tmp_path: Path) -> None:
    with pytest.raises(InvalidPolicy, match="is not fetched") as raised:
        read(tmp_path, IMAGES, document(("image",), policy="https://example.com/x/other.rego"))
    assert "other.rego beside" in str(raised.value.hint)


def test_unknown_details_are_refused() -> None:
    made = document()
    made["properties"]["policyRule"]["then"]["details"]["values"] = {}
    with pytest.raises(InvalidPolicy, match="values is not known"):
        preview.converted(made, IMAGES, "x")
