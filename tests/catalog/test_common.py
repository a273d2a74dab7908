"""The parameters that definitions have in common are joined to those that ask for them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from aksp.catalog.folder import Folder, as_json, bundled
from aksp.catalog.interface import BrokenDefinition
from aksp.catalog.rego_files import BUNDLED
from aksp.model.definition import Definition
from tests.catalog.documents import document, write

NAMES = [
    "effect", "source", "warn", "excludedNamespaces", "namespaces", "labelSelector", "azureBehaviour",
    "excludedContainers", "excludedImages",
]  # fmt: skip
LIMIT = {"type": "Integer", "defaultValue": 3}


def asking(kinds: list[str], parameters: list[str], own: dict[str, Any]) -> dict[str, Any]:
    common = {"apiGroups": ["", "apps"], "kinds": kinds, "parameters": parameters}
    return document(
        **{"properties.policyRule": None, "properties.common": common, "properties.parameters": own},
    )


def loaded(folder: Path) -> Definition:
    (found,) = Folder(folder)
    assert isinstance(found, Definition), found
    return found


def test_the_document_has_the_parameters_and_a_rule_that_uses_them(tmp_path: Path) -> None:
    folder = write(tmp_path, made=asking(["Pod"], NAMES, {"limit": LIMIT}))
    whole = as_json(folder / "definition.json")["properties"]
    definition = loaded(tmp_path)

    assert "common" not in whole
    assert list(whole["parameters"]) == ["limit", *NAMES]
    details = whole["policyRule"]["then"]["details"]
    assert (details["apiGroups"], details["kinds"]) == (["", "apps"], ["Pod"])
    assert details["namespaces"] == "[parameters('namespaces')]"
    assert details["values"] == {
        name: f"[parameters('{name}')]" for name in ("limit", "azureBehaviour", "excludedContainers", "excludedImages")
    }
    assert definition.parameters["excludedContainers"].option == "--exclude-container"
    assert definition.effect == "[parameters('effect')]"


def test_kinds_may_be_paired_with_their_groups(tmp_path: Path) -> None:
    made = asking(["Pod"], NAMES, {})
    made["properties"]["common"] = {
        "kinds": [{"apiGroups": ["apps"], "kinds": ["Deployment"]}, {"apiGroups": ["batch"], "kinds": ["Job"]}],
        "parameters": NAMES,
    }
    write(tmp_path, made=made)

    assert [(one.group, one.kind) for one in loaded(tmp_path).kinds] == [("apps", "Deployment"), ("batch", "Job")]


def test_what_no_parameter_is_there_for_is_not_in_the_rule(tmp_path: Path) -> None:
    folder = write(tmp_path, made=asking(["Pod"], ["effect"], {}))
    details = as_json(folder / "definition.json")["properties"]["policyRule"]["then"]["details"]

    assert set(details) == {"templateInfo", "apiGroups", "kinds", "values"}
    assert loaded(tmp_path).label_selector is None


def test_a_parameter_of_its_own_stays_and_is_used_by_the_rule(tmp_path: Path) -> None:
    own = {"effect": {"type": "String", "defaultValue": "Audit", "allowedValues": ["Audit", "Disabled"]}}
    write(tmp_path, made=asking(["Pod"], NAMES, own))
    definition = loaded(tmp_path)

    assert definition.parameters["effect"].default == "Audit"
    assert "effect" not in definition.values


def test_a_default_of_a_common_parameter_may_be_another(tmp_path: Path) -> None:
    made = asking(["Pod"], NAMES, {})
    made["properties"]["common"]["defaults"] = {"effect": "Warn"}
    write(tmp_path, made=made)
    effect = loaded(tmp_path).parameters["effect"]

    assert (effect.default, effect.allowed_values[0]) == ("Warn", "EnforceRegoPolicy")


@pytest.mark.parametrize(
    ("kinds", "told"),
    [
        (["Pod"], "Only Pods with"),
        (["Ingress"], "Only Ingresses with"),
        (["NetworkPolicy", "Gateway"], "Only NetworkPolicies and Gateways with"),
        (["[parameters('kind')]"], "Only objects with"),
    ],
)
def test_a_selector_tells_what_it_selects(kinds: list[str], told: str, tmp_path: Path) -> None:
    write(tmp_path, made=asking(kinds, NAMES, {"kind": {"type": "String"}}))

    assert loaded(tmp_path).parameters["labelSelector"].description.startswith(told)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"properties.policyRule": {}}, "both policyRule and common"),
        ({"properties.common": ["effect"]}, "properties.common is a list, expected an object"),
        ({"properties.common": {"kinds": ["Pod"], "parameters": ["effects"]}}, "names 'effects'"),
        ({"properties.common": {"kinds": ["Pod"], "parameter": []}}, "properties.common.parameter is not known"),
        ({"properties.common": {"parameters": ["effect"]}}, "names no kind"),
        ({"properties.common": {"kinds": ["Pod"], "defaults": {"effect": "Warn"}}}, "defaults names 'effect'"),
    ],
)
def test_what_cannot_be_joined_is_told(changes: dict[str, Any], told: str, tmp_path: Path) -> None:
    made = asking(["Pod"], NAMES, {})
    for path, value in changes.items():
        made["properties"][path.partition(".")[2]] = value
    write(tmp_path, made=made)
    (broken,) = Folder(tmp_path)

    assert isinstance(broken, BrokenDefinition)
    assert told in broken.error.what and broken.error.where


def test_no_definition_that_comes_with_aksp_repeats_what_is_common() -> None:
    for one in bundled():
        written = json.loads(Path(one.origin).read_bytes())["properties"]
        assert "common" in written and "policyRule" not in written, one.slug
        assert not set(written["parameters"]) & set(NAMES), one.slug
    assert set(json.loads((BUNDLED / "lib" / "common.json").read_bytes())["parameters"]) == set(NAMES)
