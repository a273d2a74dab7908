"""aksp import azure: whatever Azure's documents are wrapped in, the workspace judges as they say."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.azure.builders import (
    CLUSTER,
    GROUP,
    NO_PRIVILEGE,
    SUBSCRIPTION,
    WRAPPINGS,
    assignment,
    definition,
    estate,
    exemption,
    id_of,
    initiative,
    rest,
    template,
    text,
)  # fmt: skip
from tests.cli.conftest import Aksp, Run

MAPPED = ("--scope-map", f"{CLUSTER}=/clusters/prod")


def imported(aksp: Aksp, found: Any, *options: str, into: str = "ws") -> Run:
    return aksp("import", "azure", aksp.put("azure.json", text(found)), "--workspace", into, *options)


def files(folder: Path) -> dict[str, str]:
    return {str(one.relative_to(folder)): one.read_text() for one in folder.rglob("*") if one.is_file()}


def document(aksp: Aksp, path: str) -> Any:
    return yaml.safe_load((aksp.workspace / path).read_text())


@pytest.mark.parametrize("wrapping", sorted(set(WRAPPINGS) - {"rest"}))
def test_each_wrapping_gives_the_same_workspace(aksp: Aksp, wrapping: str) -> None:
    assert imported(aksp, rest(estate()), *MAPPED, into="rest").code == 0
    run = imported(aksp, WRAPPINGS[wrapping](estate()), *MAPPED, into="other")

    assert run.code == 0, run.err
    assert files(aksp.folder / "other") == files(aksp.folder / "rest")
    assert len(files(aksp.folder / "rest")) == 6


def test_a_folder_and_standard_input_give_the_same_workspace(aksp: Aksp) -> None:
    for at, one in enumerate(estate()):
        aksp.put(f"exported/{at}/x.json", text(one))
    assert aksp("import", "azure", "exported", "--workspace", "a", *MAPPED).code == 0
    assert aksp("import", "azure", "-", "--workspace", "b", *MAPPED, stdin=text(estate())).code == 0

    assert files(aksp.folder / "a") == files(aksp.folder / "b")


def test_the_same_again_changes_nothing_and_a_dry_run_writes_nothing(aksp: Aksp) -> None:
    run = imported(aksp, estate(), *MAPPED, "--dry-run")
    assert run.code == 0 and not files(aksp.workspace)

    assert imported(aksp, estate(), *MAPPED).code == 0
    before = files(aksp.workspace)
    run = imported(aksp, estate(), *MAPPED)

    assert run.code == 0
    assert [line.split()[1] for line in run.out.splitlines()] == ["unchanged"] * 6
    assert files(aksp.workspace) == before


def test_other_content_needs_replace(aksp: Aksp) -> None:
    imported(aksp, [assignment()], *MAPPED)
    before = files(aksp.workspace)
    changed = [assignment(enforcementMode="Default")]
    assert imported(aksp, changed, *MAPPED).code == 2 and files(aksp.workspace) == before
    assert imported(aksp, changed, *MAPPED, "--replace").code == 0
    assert document(aksp, "assignments/shop-privileged.yaml")["spec"]["enforcementMode"] == "Default"


def test_what_is_imported_judges(aksp: Aksp) -> None:
    found = [one for one in estate() if one["name"] != "Until Mirror"]
    assert imported(aksp, found, *MAPPED).code == 0
    container = {"name": "c", "image": "i", "securityContext": {"privileged": True}}
    for name, namespace in (("a", "shop"), ("b", "legacy")):
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": namespace},
               "spec": {"containers": [container]}}  # fmt: skip
        aksp.put(f"pods/{name}.json", pod)
    run = aksp.judge("pods")

    states = sorted((one["assignment"], one["resource"]["name"], one["state"]) for one in run.json["results"])
    assert states == [
        ("shop-privileged", "a", "NonCompliant"),  # legacy is excluded
        ("shop-set", "a", "Exempt"),
        ("shop-set", "b", "Exempt"),  # its other member is overridden as disabled
    ]


def test_names_are_made_valid_and_those_that_collide_are_numbered(aksp: Aksp) -> None:
    other = definition("no-privileged")
    found = [
        other, definition("Require Team"), definition("require-team"),
        assignment(policyDefinitionId=other["id"], definitionVersion="1.*.*", parameters={"label": {"value": "x"}}),
        assignment("SHOP privileged"), assignment("shop-Privileged", scope=GROUP),
    ]  # fmt: skip
    run = imported(aksp, found, *MAPPED)

    assert run.code == 0, run.err
    assert {one.name for one in (aksp.workspace / "definitions").iterdir()} == {
        "no-privileged-2", "require-team", "require-team-2",
    }  # fmt: skip
    names = {one.stem: document(aksp, f"assignments/{one.name}") for one in (aksp.workspace / "assignments").iterdir()}
    assert set(names) == {"shop-privileged", "shop-privileged-2", "shop-privileged-3"}
    # A definition of one's own is not taken for the rule here that has its name.
    ids = {one["spec"]["policyDefinitionId"] for one in names.values()}
    assert ids == {"no-privileged-2", NO_PRIVILEGE.rpartition("/")[2]}
    assert aksp("definitions", "list").code == 0


@pytest.mark.parametrize(
    ("found", "said", "written"),
    [
        ([assignment(resourceSelectors=[{"selectors": [{"kind": "userPrincipalId", "in": ["x"]}]}])], "userPrincipalId", 0),
        ([assignment(definitionVersion="3.*.*")], "asks for version 3.*.*", 0),
        ([assignment(overrides=[{"kind": "policyVersion", "value": "9.1.*"}])], "overrides[0] is of kind policyVersion", 1),
        ([assignment(somethingNew=1)], "somethingNew is not known", 1),
        ([assignment(policyDefinitionId=id_of("policyDefinitions", "no-privileged"))], "neither in the workspace", 0),
        ([assignment(parameters={"nothing": {"value": 1}})], "nothing", 0),
        ([assignment(notScopes=[GROUP])], "its notScopes leave out all", 0),
        ([assignment(enforcementMode="Enroll")], "'Enroll' is not known", 0),
        ([exemption()], "is not imported", 0),
        (
            [assignment(), exemption(resourceSelectors=[{"selectors": [{"kind": "groupPrincipalId", "in": ["x"]}]}])],
            "without it it would waive more", 1,
        ),
        ([definition(templateInfo={"sourceType": "PublicURL", "url": "https://x.invalid/t"})], "https://x.invalid/t", 0),
        ([definition(mutationInfo={"sourceType": "Other"})], "sourceType Other is not known", 0),
        ([definition(templateInfo={"sourceType": "Base64Encoded", "content": "eDogeQ=="})], "not a ConstraintTemplate", 0),
        ({"value": [assignment()], "nextLink": "https://x.invalid"}, "nextLink", 1),
        ([initiative()], "member team cannot be had", 1),
    ],
)  # fmt: skip
def test_what_cannot_be_had_is_named_and_the_rest_works(aksp: Aksp, found: Any, said: str, written: int) -> None:
    good = assignment("good")
    wrapped = {**found, "value": [*found["value"], good]} if isinstance(found, dict) else [*found, good]
    run = imported(aksp, wrapped, *MAPPED)

    assert run.code == 4
    assert said in run.err
    assert len(files(aksp.workspace)) == written + 1


def test_what_is_not_for_kubernetes_is_counted_and_no_loss(aksp: Aksp) -> None:
    other = definition("Storage")
    other["properties"] |= {"mode": "Indexed", "policyRule": {"if": {}, "then": {"effect": "audit"}}}
    found = [other, assignment("Storage", policyDefinitionId=other["id"]), assignment()]
    run = imported(aksp, found, *MAPPED)

    assert run.code == 0, run.err
    assert "policyAssignments (1), policyDefinitions (1)" in run.err
    assert len(files(aksp.workspace)) == 1


def test_an_expression_that_only_a_deployment_resolves_is_named_and_not_guessed(aksp: Aksp) -> None:
    made = template([assignment(), assignment("other")])
    made["resources"][0]["properties"]["displayName"] = "[concat('a', parameters('b'))]"
    run = imported(aksp, made, *MAPPED)

    assert run.code == 4
    assert "$.resources[0].properties.displayName is [concat('a', parameters('b'))]" in run.err
    assert list(files(aksp.workspace)) == ["assignments/other.yaml"]


def test_a_scope_that_reaches_no_cluster_here_is_said_and_kept(aksp: Aksp) -> None:
    run = imported(aksp, [assignment()])

    assert run.code == 4 and f"its scope {SUBSCRIPTION} is kept, and reaches no cluster here" in run.err
    assert document(aksp, "assignments/shop-privileged.yaml")["spec"]["scope"] == SUBSCRIPTION


def test_an_assignment_above_two_clusters_has_a_copy_for_each_that_is_not_left_out(aksp: Aksp) -> None:
    test = f"{SUBSCRIPTION}/resourceGroups/test/providers/Microsoft.ContainerService/managedClusters/test"
    both = (*MAPPED, "--scope-map", f"{test}=/clusters/test")
    assert imported(aksp, [assignment(), exemption()], *both).code == 0
    found = {one: document(aksp, one)["spec"] for one in files(aksp.workspace)}
    assert {one: spec["scope"] for one, spec in found.items()} == {
        "assignments/shop-privileged-prod.yaml": "/clusters/prod",
        "assignments/shop-privileged-test.yaml": "/clusters/test",
        # The exemption is of the resource group of one of them.
        "exemptions/until-mirror-shop-privileged-prod.yaml": "/clusters/prod",
    }
    run = imported(aksp, [assignment(notScopes=[GROUP.lower()])], *both, into="other")
    assert run.code == 0
    assert list(files(aksp.folder / "other")) == ["assignments/shop-privileged.yaml"]


def test_with_a_cluster_named_what_azure_alone_knows_is_not_guessed(aksp: Aksp) -> None:
    run = imported(aksp, [assignment(notScopes=[GROUP]), exemption()], "--cluster", "prod")

    assert run.code == 4
    assert "whether its notScopes leave out /clusters/prod is not known" in run.err
    assert "policyExemption Until Mirror: not imported" in run.err
    assert document(aksp, "assignments/shop-privileged.yaml")["spec"]["scope"] == "/clusters/prod"


@pytest.mark.parametrize(
    ("named", "out", "known"),
    [
        (SUBSCRIPTION, GROUP, False),  # the cluster may lie in the resource group
        ("/providers/Microsoft.Management/managementGroups/root", "/subscriptions/2", False),
        (GROUP, f"{SUBSCRIPTION}/resourceGroups/other", True),
    ],
)
def test_not_scopes_that_may_hold_the_cluster_are_named(aksp: Aksp, named: str, out: str, known: bool) -> None:
    scope = named if named.startswith("/providers") else SUBSCRIPTION
    run = imported(aksp, [assignment(scope=scope, notScopes=[out])], "--scope-map", f"{named}=/clusters/prod")

    assert run.code == (0 if known else 4)
    assert ("whether its notScopes leave out /clusters/prod is not known" in run.err) is not known


@pytest.mark.parametrize(
    ("content", "place"),
    [
        ("[1", "azure.json: not JSON"),
        (text([assignment()])[:-40], "azure.json: not JSON"),
        ("[3]", "azure.json: $[0]"),
        ('{"value": [{}]}', "azure.json: $.value[0]"),
        ("[" * 5000 + "]" * 5000, "azure.json: "),
        (text([assignment(parameters=[])]), "azure.json: $[0]: properties.parameters"),
        (text([assignment(notScopes=[3])]), "azure.json: $[0]: properties.notScopes[0]"),
        (text([assignment(overrides=[3])]), "azure.json: $[0]: properties.overrides[0]"),
        (text([assignment(displayName="\ud800")]), "azure.json: not JSON"),
        (text([assignment(), exemption(expiresOn="soon")]), "azure.json: $[1]: properties.expiresOn"),
        (text([definition(kinds=3)]), "azure.json: $[0]: properties.policyRule.then.details.kinds"),
    ],
)
def test_what_is_wrong_is_told_with_file_and_path_and_nothing_is_written(aksp: Aksp, content: str, place: str) -> None:
    run = aksp("import", "azure", aksp.put("azure.json", content), *MAPPED)

    assert run.code == 2
    assert place in run.err
    assert not files(aksp.workspace)


def test_the_order_of_documents_does_not_matter(aksp: Aksp) -> None:
    imported(aksp, estate(), *MAPPED, into="one")
    imported(aksp, copy.deepcopy(estate())[::-1], *MAPPED, into="other")
    assert files(aksp.folder / "one") == files(aksp.folder / "other")


def test_a_template_of_bicep_has_ids_parameters_and_files_as_its_compiler_writes_them(aksp: Aksp) -> None:
    body = template([definition()])["resources"][0]["properties"]
    module = {
        "$schema": "https://schema.management.azure.com/schemas/2018-05-01/subscriptionDeploymentTemplate.json#",
        "languageVersion": "2.0",
        "parameters": {"name": {"type": "string"}, "mode": {"type": "string", "defaultValue": "Default"}},
        "variables": {"$fxv#0": {"properties": body}, "labels": {"team": "team"}},
        "resources": {
            "def": {
                "type": "Microsoft.Authorization/policyDefinitions", "apiVersion": "2023-04-01", "name": "Require-Team",
                "properties": "[variables('$fxv#0').properties]",
            },
            "own": {
                "type": "Microsoft.Authorization/policyAssignments", "apiVersion": "2023-04-01", "name": "[parameters('name')]",
                "properties": {
                    "policyDefinitionId": "[subscriptionResourceId('Microsoft.Authorization/policyDefinitions', 'Require-Team')]",
                    "enforcementMode": "[parameters('mode')]",
                    "parameters": {"label": {"value": "[variables('labels').team]"}},
                },
                "dependsOn": ["def"],
            },
            "built": {
                "type": "Microsoft.Authorization/policyAssignments", "name": "built-in",
                "properties": {
                    "policyDefinitionId":
                        f"[tenantResourceId('Microsoft.Authorization/policyDefinitions', '{NO_PRIVILEGE.rpartition('/')[2]}')]",
                },
            },
        },
    }  # fmt: skip
    outer = {
        **module, "parameters": {"prefix": {"type": "string", "defaultValue": "Shop"}}, "variables": {},
        "resources": [{
            "type": "Microsoft.Resources/deployments", "name": "policies",
            "properties": {
                "expressionEvaluationOptions": {"scope": "inner"}, "template": module,
                "parameters": {"name": {"value": "[parameters('prefix')]"}},
            },
        }],
    }  # fmt: skip
    run = imported(aksp, outer, "--cluster", "prod")

    assert run.code == 0, run.err
    assert document(aksp, "assignments/shop.yaml")["spec"]["policyDefinitionId"] == "require-team"
    assert document(aksp, "assignments/shop.yaml")["spec"]["parameters"] == {"label": {"value": "team"}}
    assert document(aksp, "assignments/built-in.yaml")["spec"]["policyDefinitionId"] == NO_PRIVILEGE.rpartition("/")[2]
    # Where the template is deployed to is not known, and so neither is the id of its definition.
    run = aksp("export", "azure")
    assert run.code == 4 and "shop: not exported: its definition needs a scope" in run.err
    assert [one["name"] for one in run.json["value"]] == ["Require-Team", "built-in"]


@pytest.mark.parametrize(
    "expression",
    ["[variables('x')]", "[variables('y').z]", "[parameters('none')]", "[resourceId('Microsoft.Authorization/policyDefinitions', uniqueString('x'))]"],
)  # fmt: skip
def test_an_expression_without_a_value_is_named(aksp: Aksp, expression: str) -> None:
    made = template([assignment()])
    made["variables"] = {"x": "[variables('x')]", "y": {}}
    made["resources"][0]["properties"]["policyDefinitionId"] = expression
    run = imported(aksp, made, *MAPPED)
    assert run.code == 4 and f"$.resources[0].properties.policyDefinitionId is {expression}" in run.err


def test_a_plan_of_terraform_names_what_is_known_only_once_it_is_applied(aksp: Aksp) -> None:
    state = WRAPPINGS["terraform"]([assignment(), assignment("later")])
    plan = {"format_version": "1.2", "planned_values": state["values"], "resource_changes": []}
    for at, one in enumerate(plan["planned_values"]["root_module"]["resources"][2:]):
        del one["values"]["id"]
        if at:
            del one["values"]["policy_definition_id"]
    run = imported(aksp, plan, *MAPPED)
    assert run.code == 4, run.err
    assert list(files(aksp.workspace)) == ["assignments/shop-privileged.yaml"]


def test_texts_of_terraform_that_are_no_json_are_told_with_their_place(aksp: Aksp) -> None:
    state = WRAPPINGS["terraform"]([assignment()])
    state["values"]["root_module"]["resources"][2]["values"]["parameters"] = "{"
    run = imported(aksp, state, *MAPPED)
    assert run.code == 2
    assert "azure.json: $.values.root_module.resources[2].values.parameters: is no JSON" in run.err


def test_an_exemption_keeps_its_resource_selectors_and_has_them_at_an_export(aksp: Aksp) -> None:
    selectors = [{"name": "eu", "selectors": [{"kind": "resourceLocation", "in": ["westeurope"], "notIn": None}]}]
    waived = exemption(resourceSelectors=selectors, assignmentScopeValidation="DoNotValidate")
    run = imported(aksp, [assignment(), waived], *MAPPED)

    assert run.code == 0, run.err
    (file,) = (aksp.workspace / "exemptions").iterdir()
    kept = [{"name": "eu", "selectors": [{"kind": "resourceLocation", "in": ["westeurope"]}]}]
    assert yaml.safe_load(file.read_text())["spec"]["resourceSelectors"] == kept
    (exported,) = (one for one in aksp.done("export", "azure").json["value"] if one["name"] == waived["name"])
    assert exported["properties"]["resourceSelectors"] == kept
    assert exported["properties"]["assignmentScopeValidation"] == "DoNotValidate"


def test_a_reference_id_that_the_portal_made_of_a_display_name_is_kept_everywhere(aksp: Aksp) -> None:
    called = "Kubernetes cluster should not allow privileged containers_1"
    found = estate()
    (rules,) = (one for one in found if one["name"] == "Shop Rules")
    rules["properties"]["policyDefinitions"][1]["policyDefinitionReferenceId"] = called
    overrides = [{"kind": "policyEffect", "value": "audit",
                  "selectors": [{"kind": "policyDefinitionReferenceId", "in": [called]}]}]  # fmt: skip
    found = [
        *(one for one in found if "policyExemptions" not in one["id"] and one["name"] != "Shop-Set"),
        assignment(
            "Shop-Set", policyDefinitionId=rules["id"], definitionVersion=None, parameters={}, overrides=overrides
        ),
        exemption("Set", "Shop-Set", policyDefinitionReferenceIds=[called]),
    ]
    run = imported(aksp, found, *MAPPED)

    assert run.code == 0, run.err
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"},
           "spec": {"containers": [{"name": "c", "image": "i", "securityContext": {"privileged": True}}]}}  # fmt: skip
    judged = aksp("compliance", "-f", aksp.put("pod.json", pod), "--assignment", f"shop-set/{called}", "-o", "json")
    assert [(one["referenceId"], one["state"]) for one in judged.json["results"]] == [(called, "Exempt")]
    exported = {one["name"]: one["properties"] for one in aksp.done("export", "azure").json["value"]}
    members = [one["policyDefinitionReferenceId"] for one in exported["Shop Rules"]["policyDefinitions"]]
    assert members == ["team", called]
    assert exported["Shop-Set"]["overrides"] == overrides
    assert exported["Set"]["policyDefinitionReferenceIds"] == [called]


def test_null_within_a_parameter_is_as_good_as_nothing(aksp: Aksp) -> None:
    one = definition()
    unset = {"description": None, "displayName": None, "strongType": None, "assignPermissions": None}
    one["properties"]["parameters"]["label"] |= {"metadata": unset, "defaultValue": None, "schema": None}
    run = imported(aksp, [one], *MAPPED)

    assert run.code == 0, run.err
    written = document(aksp, "definitions/require-team/definition.json")
    assert written["properties"]["parameters"]["label"] == {"type": "String", "metadata": {}}


def test_built_ins_that_are_here_already_are_counted(aksp: Aksp) -> None:
    built_in = definition(
        NO_PRIVILEGE.rpartition("/")[2], templateInfo={"sourceType": "PublicURL", "url": "https://x/t"}
    )
    built_in["properties"]["policyType"] = "BuiltIn"
    run = imported(aksp, [built_in])

    assert run.code == 0
    assert "built-ins that are here already, under names of aksp: 1" in run.err


def test_a_folder_of_azure_s_repositories_has_parts_of_its_policies_beside_them(aksp: Aksp) -> None:
    one = definition()["properties"]
    for folder in ("require-team", "require-team-too"):
        aksp.put(f"policies/{folder}/azurepolicy.json", {"properties": {**one, "displayName": folder}})
        aksp.put(f"policies/{folder}/azurepolicy.rules.json", one["policyRule"])
        aksp.put(f"policies/{folder}/azurepolicy.parameters.json", one["parameters"])
    run = aksp("import", "azure", "policies", "--workspace", "ws")

    assert run.code == 0, run.err
    assert sorted(files(aksp.folder / "ws")) == [
        "definitions/require-team-too/definition.json", "definitions/require-team/definition.json",
    ]  # fmt: skip


def test_rules_without_their_policy_beside_them_are_still_refused(aksp: Aksp) -> None:
    aksp.put("policies/alone.rules.json", definition()["properties"]["policyRule"])
    run = aksp("import", "azure", "policies")

    assert run.code == 2
    assert "alone.rules.json: $: is no definition" in run.err


@pytest.mark.parametrize(("rest_of_it", "code"), [({}, 0), ({"skip_token": "x"}, 4), ({"total_records": 7}, 4)])
def test_an_answer_of_the_resource_graph_is_read_and_one_that_is_a_part_is_told(
    aksp: Aksp, rest_of_it: dict[str, Any], code: int
) -> None:
    one = assignment()
    one |= {
        "type": one["type"].lower(),
        "tenantId": "t",
        "kind": "",
        "location": "",
        "resourceGroup": "",
        "identity": None,
    }
    run = imported(aksp, {"count": 1, "total_records": 1, "skip_token": None, "data": [one], **rest_of_it}, *MAPPED)

    assert run.code == code, run.err
    assert ("the answer is a part" in run.err) == bool(code)
    assert len(files(aksp.workspace)) == 1
    (exported,) = aksp.done("export", "azure").json["value"]
    assert set(exported) == {"id", "type", "name", "properties"}


def test_an_assignment_within_another_resource_of_a_template_is_read(aksp: Aksp) -> None:
    made = template([assignment()])
    (one,) = made["resources"]
    one |= {"type": "providers/policyAssignments", "name": "Microsoft.Authorization/Shop-Privileged"}
    cluster = {"type": "Microsoft.ContainerService/managedClusters", "name": "prod", "resources": [one]}
    run = imported(aksp, {**made, "resources": [cluster]}, *MAPPED)

    assert run.code == 0, run.err
    assert list(files(aksp.workspace)) == ["assignments/shop-privileged.yaml"]
