"""Initiatives: how documents are read, what is wrong with them, and those that come with aksp."""

from __future__ import annotations

import json
import re
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from aksp.assigned import Unavailable, member_of
from aksp.catalog.folder import Folder, bundled, bundled_initiatives, initiative_as_json
from aksp.catalog.initiatives import initiative_from, initiative_from_resource, resource_of
from aksp.catalog.interface import BrokenDefinition, Catalogs
from aksp.compliance.parameters import problems
from aksp.errors import InvalidInput, InvalidPolicy
from aksp.model.assignment import Assignment
from aksp.model.initiative import Initiative
from tests.replacing import replace

BUNDLED = {one.slug: one for one in bundled_initiatives()}
CATALOG = Catalogs([bundled()], bundled_initiatives())
#: What Azure calls its initiatives for Kubernetes.
AZURE = {
    "a8640138-9b0a-4a28-b8cb-1666c838647d": 5,
    "42b8ef37-b724-4e24-bbc8-7a7708edfe00": 8,
    "4fd005fd-51be-478f-a8fb-149d48b20d48": 7,
    "c047ea8e-9c78-49b2-958b-37e56d291a44": 27,
    "af28bf8b-c669-4dd3-9137-1e68fdc61bd6": 3,
}
#: Values for what the bundled initiatives ask for.
GIVEN: dict[str, dict[str, Any]] = {
    "aks-preview-baseline": {
        "allowedRegistries": ["contoso.azurecr.io"], "allowedContainerPorts": ["80"], "allowedServicePorts": ["80"],
        "labels": ["team"],
    },
    "azure-deployment-safeguards": {
        "allowedUsers": [], "allowedGroups": [], "labels": ["kubernetes.azure.com"], "reservedTaints": ["CriticalAddonsOnly"],
        "allowedContainerImagesRegex": r"^contoso\.azurecr\.io/", "messages": {"example.com/set": "it was set"},
    },
}  # fmt: skip


def document() -> dict[str, Any]:
    return {
        "name": "team",
        "properties": {
            "displayName": "What Pods must be",
            "metadata": {"version": "1.2.0", "category": "Team"},
            "parameters": {"effect": {"type": "String", "defaultValue": "Audit"}},
            "policyDefinitions": [
                {
                    "policyDefinitionId": "no-privileged",
                    "policyDefinitionReferenceId": "Privileged",
                    "definitionVersion": "1.*.*",
                    "parameters": {"effect": {"value": "[parameters('effect')]"}},
                    "groupNames": ["pods"],
                },
                {
                    "policyDefinitionId": "/providers/x/policyDefinitions/run-as-non-root",
                    "policyDefinitionReferenceId": "Root",
                },
            ],
            "policyDefinitionGroups": [{"name": "pods", "displayName": "Pods"}],
        },
    }


def test_a_document_is_read_as_azure_has_it() -> None:
    one = initiative_from(document(), slug="team", origin="team.json")
    first, second = one.members
    assert (one.version, one.category, one.display_name) == ("1.2.0", "Team", "What Pods must be")
    assert (first.reference, first.definition_id, first.version) == ("Privileged", "no-privileged", "1.*.*")
    assert first.parameters == {"effect": "[parameters('effect')]"} and first.groups == ("pods",)
    assert (second.reference, second.version, second.groups) == ("Root", "", ())


def changed(path: str, value: Any) -> dict[str, Any]:
    """The document with a field set, or removed with None."""
    made = deepcopy(document())
    at: Any = made
    *steps, last = [int(step) if step.isdigit() else step for step in path.split(".")]
    for step in steps:
        at = at[step]
    if value is None:
        del at[last]
    else:
        at[last] = value
    return made


MEMBER = "properties.policyDefinitions.0"


@pytest.mark.parametrize(
    ("made", "told"),
    [
        (changed("properties.policyDefinitions", []), "properties.policyDefinitions names no definition"),
        (changed("properties.policyDefinitions", {}), "properties.policyDefinitions is an object, expected a list"),
        (changed("properties.policyRule", {}), "properties.policyRule is not known"),
        (changed(f"{MEMBER}.policyDefinitionId", None), "policyDefinitions[0].policyDefinitionId is missing"),
        (changed(f"{MEMBER}.policyDefinitionReferenceId", None), "policyDefinitions[0].policyDefinitionReferenceId is missing"),
        (changed(f"{MEMBER}.policyDefinitionReferenceId", "ROOT"), "policyDefinitionReferenceId 'Root' twice"),
        (changed(f"{MEMBER}.policyDefinitionReferenceId", "a/b"), "expected words without slashes"),
        (changed(f"{MEMBER}.definitionVersion", "newest"), "definitionVersion is 'newest', expected a version such as 1.*.*"),
        (changed(f"{MEMBER}.groupNames", ["pod"]), "groupNames has 'pod', which is not in policyDefinitionGroups"),
        (changed(f"{MEMBER}.parameters.effect", {"values": 1}), "parameters.effect.values is not known"),
        (changed(f"{MEMBER}.parameters.effect", {}), "parameters.effect.value is missing"),
        (changed(f"{MEMBER}.parameters.effect.value", "[parameters('efect')]"), "there is no parameter 'efect'"),
        (changed(f"{MEMBER}.parameters.effect.value", "[concat('a')]"), "is not understood"),
        (changed("properties.parameters.effect.type", "Text"), "properties.parameters.effect.type 'Text'"),
        (changed("properties.policyDefinitionGroups", [{"name": "pods"}, {"name": "Pods"}]), "has 'Pods' twice"),
    ],
)  # fmt: skip
def test_whatever_is_wrong_is_told_with_its_field_and_leaves_the_others_alone(
    made: dict[str, Any], told: str, tmp_path: Path
) -> None:
    folder = tmp_path / "initiatives"
    folder.mkdir()
    (folder / "wrong.json").write_text(json.dumps(made), encoding="utf-8")
    (folder / "right.json").write_text(json.dumps({**document(), "name": "other"}), encoding="utf-8")
    found = {one.slug: one for one in Folder(tmp_path).initiatives()}
    assert isinstance(found["right"], Initiative)
    wrong = found["wrong"]
    assert isinstance(wrong, BrokenDefinition)
    assert told in wrong.error.what and wrong.error.where == str(folder / "wrong.json")


def test_an_initiative_may_not_have_the_name_of_a_definition_or_of_another() -> None:
    own = initiative_from(document(), slug="no-privileged", origin="mine.json")
    again = initiative_from(
        {**document(), "name": "a8640138-9b0a-4a28-b8cb-1666c838647d"}, slug="mine", origin="m.json"
    )
    catalog = Catalogs([bundled()], [*bundled_initiatives(), own, again])
    assert [one.slug for one in catalog.broken] == ["no-privileged", "mine"]
    assert "definition 'no-privileged' has its name" in catalog.broken[0].error.what
    assert "is that of initiative 'azure-pod-security-baseline'" in catalog.broken[1].error.what


def test_an_initiative_is_found_by_slug_guid_arm_id_and_name_in_any_case() -> None:
    guid = "a8640138-9b0a-4a28-b8cb-1666c838647d"
    for name in (
        "azure-pod-security-baseline", guid, guid.upper(), "pspbaselinestandard",
        f"/providers/Microsoft.Authorization/policySetDefinitions/{guid}",
    ):  # fmt: skip
        assert CATALOG.find(name) is CATALOG.find("azure-pod-security-baseline")
    with pytest.raises(InvalidInput, match="is an initiative, and a definition is asked for"):
        CATALOG.get(guid)


def test_a_custom_resource_is_read_back_as_the_same_initiative(tmp_path: Path) -> None:
    for path in (Path(one.origin) for one in BUNDLED.values()):
        written = initiative_as_json(path)
        one = initiative_from(written, slug=path.stem, origin="x")
        assert initiative_from_resource(resource_of(one, written), "x") == one
    one = initiative_from(document(), slug="Team", origin="x")
    with pytest.raises(InvalidPolicy, match="initiative 'Team' cannot be called so in a cluster"):
        resource_of(one, document())


@pytest.mark.parametrize("slug", sorted(BUNDLED))
def test_a_bundled_initiative_passes_each_member_what_its_definition_takes(slug: str) -> None:
    one = BUNDLED[slug]
    assignment = Assignment(name="one", definition_id=slug, parameters=GIVEN.get(slug, {}))
    assert problems(one, assignment.parameters) == []
    available = 0
    for member in one.members:
        try:
            own, definition = member_of(assignment, one, member, CATALOG)
        except Unavailable:
            # Only what is one of Azure's may be missing; a definition of ours that is named is there.
            assert slug.startswith("azure-"), member
            continue
        available += 1
        assert problems(definition, own.parameters) == [], member
    assert available == len(one.members) or slug.startswith("azure-")


def test_each_initiative_of_azure_is_there_with_all_its_members() -> None:
    assert {one.name: len(one.members) for one in BUNDLED.values() if one.name in AZURE} == AZURE
    for one in BUNDLED.values():
        if one.name in AZURE:
            assert one.slug.startswith("azure-") and one.azure_policy_id
            assert all(re.search(r"/policyDefinitions/[0-9a-f-]{36}$", member.definition_id) for member in one.members)


@pytest.mark.parametrize("slug", sorted(one.slug for one in BUNDLED.values() if one.name in AZURE))
def test_a_member_in_a_version_that_is_not_there_is_not_judged_by_another(slug: str) -> None:
    one = BUNDLED[slug]
    assignment = Assignment(name="one", definition_id=slug, parameters=GIVEN.get(slug, {}))
    for member in one.members:
        assert member.version
        with pytest.raises(InvalidPolicy) as told:
            member_of(assignment, one, replace(member, version="99.*.*"), CATALOG)
        assert isinstance(told.value, Unavailable) or "asks for version 99.*.*" in told.value.what
