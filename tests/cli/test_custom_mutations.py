"""Definitions of a tenant's own with a mutator of Gatekeeper in them: imported, previewed, and carried on."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.azure.builders import CLUSTER, assignment, id_of, initiative, resource, text
from tests.cli.conftest import Aksp
from tests.cli.test_mutate import pod

MAPPED = ("--scope-map", f"{CLUSTER}=/clusters/prod")
POD = {"groups": [""], "versions": ["v1"], "kinds": ["Pod"]}


def mutator(kind: str = "Assign", location: str = "spec.containers[name: *].imagePullPolicy", **changes: Any) -> Any:
    parameters = changes.pop("parameters", {"assign": {"value": "Always"}})
    spec = {"applyTo": [POD], "match": {"excludedNamespaces": ["own"]}, "location": location, "parameters": parameters}
    if kind == "AssignMetadata":
        del spec["applyTo"]
    return {
        "apiVersion": "mutations.gatekeeper.sh/v1", "kind": kind, "metadata": {"name": "policy"},
        "spec": {**spec, **changes},
    }  # fmt: skip


def encoded(*documents: Any) -> dict[str, str]:
    content = yaml.safe_dump_all(documents).encode()
    return {"sourceType": "Base64Encoded", "content": base64.b64encode(content).decode()}


def definition(info: Any = None, name: str = "Pull-Always", **details: Any) -> Any:
    return resource(
        "policyDefinitions", name,
        {
            "displayName": "Images are pulled", "policyType": "Custom", "mode": "Microsoft.Kubernetes.Data",
            "metadata": {"category": "Kubernetes", "version": "1.0.0"},
            "parameters": {
                "effect": {"type": "String", "allowedValues": ["Mutate", "Disabled"], "defaultValue": "Mutate"},
                "excludedNamespaces": {"type": "Array", "defaultValue": ["kube-system"]},
            },
            "policyRule": {
                "if": {"field": "type", "in": ["Microsoft.ContainerService/managedClusters"]},
                "then": {"effect": "[parameters('effect')]", "details": {
                    "mutationInfo": info or encoded(mutator()), "excludedNamespaces": "[parameters('excludedNamespaces')]",
                    **details,
                }},
            },
        },
    )  # fmt: skip


def assigned(name: str = "Pull", of: str = "Pull-Always", **parameters: Any) -> Any:
    return assignment(
        name, policyDefinitionId=id_of("policyDefinitions", of), definitionVersion=None, enforcementMode="Default",
        parameters={key: {"value": value} for key, value in parameters.items()},
    )  # fmt: skip


def files(folder: Path) -> dict[str, str]:
    return {str(one.relative_to(folder)): one.read_text() for one in folder.rglob("*") if one.is_file()}


def patched(aksp: Aksp, *documents: Any, options: tuple[str, ...] = (), code: int = 0) -> dict[str, list[Any]]:
    aksp.put("m.json", {"apiVersion": "v1", "kind": "List", "items": list(documents)})
    run = aksp("mutate", "-f", "m.json", "-o", "patch", *options)
    assert run.code == code, run.err
    return {(found := json.loads(line))["object"]["name"]: found["patch"] for line in run.out.splitlines()}


def test_it_is_imported_previewed_exported_and_comes_back_as_it_was(aksp: Aksp) -> None:
    estate = [definition(), assigned(excludedNamespaces=["legacy"]), assigned("Off", effect="Disabled")]
    aksp.put("azure.json", text(estate))
    run = aksp.done("import", "azure", "azure.json", *MAPPED)
    assert "Pull-Always changes objects, and nothing is judged by it" in run.err
    assert aksp.done("import", "azure", "azure.json", *MAPPED).out.count("unchanged") == 3
    # The assignment alone finds the definition that is there.
    aksp.put("later.json", text([assigned("Later")]))
    aksp.done("import", "azure", "later.json", *MAPPED)

    template = {"spec": {"containers": [{"name": "c", "image": "i"}]}}
    workload = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "d"},
        "spec": {"template": template},
    }
    aksp.done("import", "azure", "azure.json", *MAPPED, "--workspace", "b")
    added = {"op": "add", "path": "/spec/containers/0/imagePullPolicy", "value": "Always"}
    found = patched(aksp, pod("p"), pod("old", "legacy"), pod("mine", "own"), workload, options=("--workspace", "b"))
    assert found == {"p": [added], "d": [{**added, "path": "/spec/template" + added["path"]}]}

    back = aksp.done("export", "azure", "--workspace", "b")
    aksp.put("again.json", back.out)
    aksp.done("import", "azure", "again.json", *MAPPED, "--workspace", "c")
    assert files(aksp.folder / "c") == files(aksp.folder / "b")
    exported = {one["name"]: one for one in back.json["value"]}
    assert exported["Pull-Always"] == estate[0]
    assert exported["Pull"]["properties"]["policyDefinitionId"] == estate[0]["id"]

    (made,) = yaml.safe_load_all(aksp.done("export", "gatekeeper", "--cluster", "prod", "--workspace", "b").out)
    assert (made["kind"], made["metadata"]["name"], made["spec"]["location"]) == (
        "Assign",
        "pull",
        mutator()["spec"]["location"],
    )
    namespaces = ["own", "legacy", "kube-system", "gatekeeper-system", "azure-arc"]
    assert made["spec"]["match"]["excludedNamespaces"] == namespaces
    assert aksp.done("mutate", "-f", "m.json", "--mutation", "pull-always", "--workspace", "b").out


def test_one_at_a_url_is_had_as_a_template_is(aksp: Aksp) -> None:
    info = {"sourceType": "PublicURL", "url": "https://example.com/kubernetes/pull/mutation.yaml"}
    aksp.put("azure.json", text([definition(info), assigned()]))
    run = aksp("import", "azure", "azure.json", *MAPPED)
    assert (
        run.code == 4
        and "its mutation https://example.com" in run.err
        and "see --templates" in run.err
        and "assignment Pull" in run.err.replace("policyAssignment", "assignment")
    )
    aksp.put("t/pull/mutation.yaml", yaml.safe_dump(mutator()))
    aksp.done("import", "azure", "azure.json", *MAPPED, "--templates", "t")
    assert patched(aksp, pod())
    exported = {one["name"]: one for one in aksp.done("export", "azure").json["value"]}
    assert exported["Pull-Always"]["properties"]["policyRule"]["then"]["details"]["mutationInfo"] == info


@pytest.mark.parametrize(
    ("info", "said"),
    [
        ({"sourceType": "Base64Encoded", "content": "%%"}, "is no Base64"),
        (encoded(mutator("ModifySet", parameters={"values": 3})), "spec.parameters.values.fromList is no list"),
        (encoded(mutator("Deployment")), "expected Assign or AssignMetadata or ModifySet or AssignImage"),
        (encoded(mutator(location="spec..x")), "is no location"), (encoded(mutator(location="metadata.name")), "AssignMetadata alone"),
        (encoded(mutator(location="spec.containers[name: *].name")), "would change the key"),
        (encoded(mutator(parameters={"assign": {"externalData": {"provider": "p"}}})), "asks providers for its value"),
        (encoded(mutator(match={"kind": []})), "spec.match.kind is not known"), (encoded(mutator(applyTo=[])), "spec.applyTo must have"),
        (encoded(mutator("AssignImage", parameters={"assignDomain": "a b"})), "assignDomain is 'a b'"),
        (encoded({"a": 1}), "is None None"), ({"sourceType": "Other"}, "sourceType Other is not known"),
        (encoded(mutator(parameters={"assign": {"value": 1}, "pathTests": [{"subPath": "spec.x", "condition": "MustExist"}]})),
         "is no beginning of its location"),
    ],
)  # fmt: skip
def test_what_gatekeeper_would_not_take_is_named_and_the_rest_is_imported(aksp: Aksp, info: Any, said: str) -> None:
    aksp.put("azure.json", text([definition(info), assigned(), assignment()]))
    run = aksp("import", "azure", "azure.json", *MAPPED)
    assert run.code == 4 and said in run.err, run.err
    assert "Pull-Always is not imported" in run.err and "shop-privileged created" in run.out


def test_what_azure_refuses_beside_it_is_named(aksp: Aksp) -> None:
    refused: list[tuple[str, Any]] = [("kinds", ["Pod"]), ("apiGroups", [""]), ("constraint", "https://example.com/c")]
    for key, value in refused:
        aksp.put("azure.json", text([definition(None, **{key: value})]))
        run = aksp("import", "azure", "azure.json", *MAPPED)
        assert run.code == 4 and f"{key} is not known" in run.err


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({"x": 1}, "has no parameter x"),
        ({"effect": "deny"}, "has no effect deny"),
        ({"excludedNamespaces": "a"}, "is not of type array"),
    ],
)
def test_values_that_it_does_not_take_are_named(aksp: Aksp, parameters: Any, said: str) -> None:
    aksp.put("azure.json", text([definition(), assigned(**parameters)]))
    run = aksp("import", "azure", "azure.json", *MAPPED)
    assert run.code == 4 and said in run.err


WRONG = [
    ({"labelSelector": "x"}, "labelSelector is not an object"),
    ({"labelSelector": {"matchLabels": {"a": 3}}}, "labelSelector: matchLabels is not an object of strings"),
    ({"scope": "Bogus"}, "scope is 'Bogus', expected * or Cluster or Namespaced"),
    ({"source": ["Original"]}, "source is ['Original'], expected All or Original or Generated"),
    ({"namespaces": "shop"}, "namespaces is no list of names"),
]


@pytest.mark.parametrize(("details", "said"), WRONG)
def test_details_that_no_match_takes_are_named_where_they_are_used(aksp: Aksp, details: Any, said: str) -> None:
    aksp.put("azure.json", text([definition(**details), assigned()]))
    run = aksp("import", "azure", "azure.json", *MAPPED)
    assert run.code == 4 and said in run.err
    aksp.put("pod.json", pod())
    run = aksp("mutate", "-f", "pod.json", "--mutation", "pull-always")
    assert run.code == 2 and said in run.err


@pytest.mark.parametrize(
    ("match", "said"),
    [
        *WRONG,
        ({"name": 3}, "name is no text"),
        ({"kinds": [{"kinds": "Pod"}]}, "kinds is no list of kinds and apiGroups"),
        ({"kinds": [{"kinds": ["Pod"], "apiGroups": 3}]}, "kinds is no list of kinds and apiGroups"),
    ],
)
def test_a_match_of_a_file_that_gatekeeper_does_not_take_is_refused(aksp: Aksp, match: Any, said: str) -> None:
    aksp.put("pod.json", pod())
    aksp.put("mutator.json", mutator(match=match))
    run = aksp("mutate", "-f", "pod.json", "--mutator", "mutator.json")
    assert run.code == 2 and f"mutator.json: Assign policy: spec.match.{said}" in run.err


def test_as_a_member_of_an_initiative_it_is_named(aksp: Aksp) -> None:
    one = initiative()
    one["properties"]["policyDefinitions"][0] |= {"policyDefinitionId": definition()["id"], "parameters": {}}
    aksp.put("azure.json", text([definition(), one]))
    run = aksp("import", "azure", "azure.json", *MAPPED)
    assert run.code == 4 and "member team cannot be had: pull-always changes objects" in run.err


def test_mutators_in_files_are_previewed(aksp: Aksp) -> None:
    documents = [
        mutator("AssignImage", "spec.containers[name: *].image",
                parameters={"assignDomain": "contoso.azurecr.io", "assignTag": ":v2"}),
        mutator("AssignMetadata", 'metadata.labels."example.com/of"', parameters={"assign": {"fromMetadata": {"field": "namespace"}}}),
        mutator("ModifySet", "spec.containers[name: c].args", parameters={"operation": "prune", "values": {"fromList": ["--bad"]}}),
        mutator(location='spec.tolerations[key: "a/b"]', parameters={"assign": {"value": {"key": "a/b", "operator": "Exists"}}},
                match={"namespaceSelector": {"matchLabels": {"env": "prod"}}}),
    ]  # fmt: skip
    aksp.put("mutators.yaml", yaml.safe_dump_all(documents))
    space = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop", "labels": {"env": "prod"}}}
    made = {**pod("p", args=["--bad", "--good"]), "metadata": {"name": "p", "namespace": "shop", "labels": {"a": "b"}}}
    found = patched(aksp, space, made, options=("--mutator", "mutators.yaml"))
    assert {(one["op"], one["path"]): one["value"] for one in found["p"]} == {
        ("replace", "/spec/containers/0/image"): "contoso.azurecr.io/i:v2",
        ("add", "/metadata/labels/example.com~1of"): "shop",
        ("replace", "/spec/containers/0/args"): ["--good"],
        ("add", "/spec/tolerations"): [{"key": "a/b", "operator": "Exists"}],
    }
    # Without the Namespace nobody can tell; with a field of another type Gatekeeper refuses the object.
    patched(aksp, made, options=("--mutator", "mutators.yaml"), code=4)
    aksp.put("one.yaml", yaml.safe_dump(mutator()))
    odd = {**pod("odd"), "spec": {"containers": 3}}
    assert patched(aksp, odd, pod("p"), options=("--mutator", "one.yaml"), code=4).keys() == {"p"}
    run = aksp("mutate", "-f", "m.json", "--mutator", "one.yaml", "-o", "patch")
    assert "not previewed: Assign policy on Pod odd" in run.err and "in what is no list" in run.err
    aksp.put("none.yaml", yaml.safe_dump(pod()))
    assert aksp("mutate", "-f", "m.json", "--mutator", "none.yaml").code == 2


def test_a_definition_of_the_workspace_that_is_broken_is_told_with_its_file(aksp: Aksp) -> None:
    aksp.put("m.json", pod())
    for content in ("{", "{}", json.dumps({"name": "x", "properties": definition({"content": "%"})["properties"]})):
        aksp.put("ws/mutations/definitions/x/definition.json", content)
        run = aksp("mutate", "-f", "m.json")
        assert run.code == 2 and "definitions/x/definition.json" in run.err


def test_by_a_cluster_only_what_is_assigned_there_is_taken(aksp: Aksp) -> None:
    test = CLUSTER.replace("prod", "test")
    estate = [
        definition(), assigned("At Prod", excludedNamespaces=["own"]),
        resource("policyAssignments", "At Test", assigned("At Test")["properties"] | {"scope": test}, test),
    ]  # fmt: skip
    aksp.put("azure.json", text(estate))
    aksp.done("import", "azure", "azure.json", *MAPPED, "--scope-map", f"{test}=/clusters/test")
    aksp.put("m.json", pod())
    for given, by, count in (((), "at-prod-prod", 3), (("--cluster", "test"), "at-prod-test", 2)):
        run = aksp.done("mutate", "-f", "m.json", "-o", "patch", *given)
        # The first of them changes all that there is to change.
        assert json.loads(run.out)["by"] == [f"assignment {by}"] and f"by {count} mutations" in run.err
    run = aksp("mutate", "-f", "m.json", "--cluster", "other")
    assert run.code == 4 and "that reaches /clusters/other" in run.err
