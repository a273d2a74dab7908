"""aksp import azure: a definition of the preview, with its Rego from --templates, is assigned and judges."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import yaml

from tests.azure.builders import CLUSTER
from tests.catalog.test_preview import COMPARING, IMAGES, document, pod
from tests.cli.conftest import Aksp

MAPPED = ("--scope-map", f"{CLUSTER}=/clusters/prod")


def write(folder: Path, rego: str = IMAGES) -> Path:
    made = document(("image",))
    scope = "/providers/Microsoft.Authorization"
    definition = {
        **made,
        "id": f"{CLUSTER}{scope}/policyDefinitions/{made['name']}",
        "type": "Microsoft.Authorization/policyDefinitions",
    }
    assignment = {
        "name": "images", "type": "Microsoft.Authorization/policyAssignments",
        "id": f"{CLUSTER}{scope}/policyAssignments/images",
        "properties": {"policyDefinitionId": definition["id"], "scope": CLUSTER, "parameters": {"image": {"value": "ours"}}},
    }  # fmt: skip
    (folder / "limited-preview").mkdir()
    (folder / "limited-preview" / "rule.rego").write_text(rego, encoding="utf-8")
    path = folder / "estate.json"
    path.write_text(json.dumps({"value": [definition, assignment]}), encoding="utf-8")
    return path


def test_its_rego_comes_from_the_folder_of_templates(aksp: Aksp, tmp_path: Path) -> None:
    path = write(tmp_path)
    refused = aksp("import", "azure", str(path), *MAPPED)
    assert refused.code == 4 and "see --templates" in refused.err
    assert aksp("import", "azure", str(path), *MAPPED, "--templates", str(tmp_path)).code == 0
    manifest = tmp_path / "pod.json"
    manifest.write_text(json.dumps(pod("theirs")), encoding="utf-8")
    judged = aksp("compliance", "-f", str(manifest), "--cluster", "prod", "-o", "json")
    assert judged.code == 1
    (result,) = judged.json["results"]
    assert (result["container"]["name"], result["state"]) == ("web", "NonCompliant")
    assert result["message"].endswith(": theirs")


def test_rego_that_is_not_that_of_the_preview_is_told(aksp: Aksp, tmp_path: Path) -> None:
    path = write(tmp_path, "package other\n")
    refused = aksp("import", "azure", str(path), *MAPPED, "--templates", str(tmp_path))
    assert refused.code == 4 and (
        "does not say which kinds" in refused.err or "package is not admission" in refused.err
    )


def files(folder: Path) -> dict[str, str]:
    return {str(one.relative_to(folder)): one.read_text() for one in folder.rglob("*") if one.is_file()}


def estate(path: Path) -> None:
    """The documents of a file, with an initiative and with effects of the preview wherever one may stand."""
    definition, assignment = json.loads(path.read_text())["value"]
    definition["properties"]["parameters"]["effect"] = {
        "type": "String", "allowedValues": ["EnforceRegoPolicy", "Disabled"], "defaultValue": "EnforceRegoPolicy",
    }  # fmt: skip
    scope = assignment["id"].rpartition("/policyAssignments/")[0]
    initiative = {
        "name": "Set", "id": f"{scope}/policySetDefinitions/Set", "type": "Microsoft.Authorization/policySetDefinitions",
        "properties": {"policyDefinitions": [
            {"policyDefinitionId": definition["id"], "policyDefinitionReferenceId": "images",
             "parameters": {"image": {"value": "ours"}, "effect": {"value": "enforceregopolicy"}}},
        ]},
    }  # fmt: skip
    assignment["properties"]["parameters"]["effect"] = {"value": "EnforceRegoPolicy"}
    of_set = {
        "name": "set", "id": f"{scope}/policyAssignments/set", "type": assignment["type"],
        "properties": {"policyDefinitionId": initiative["id"], "scope": CLUSTER},
    }  # fmt: skip
    path.write_text(json.dumps({"value": [definition, initiative, assignment, of_set]}), encoding="utf-8")


def test_it_goes_back_in_the_format_that_azure_takes_today_and_comes_in_again_as_it_was(
    aksp: Aksp, tmp_path: Path
) -> None:
    path = write(tmp_path)
    estate(path)
    first = aksp.done("import", "azure", str(path), *MAPPED, "--templates", str(tmp_path))
    assert "is of the preview, and is imported in today's format" in first.err
    run = aksp.done("export", "azure")
    exported = {one["name"]: one["properties"] for one in run.json["value"]}
    made = exported.pop("0e2b9f6c-1111-4222-8333-444455556666")
    assert made["mode"] == "Microsoft.Kubernetes.Data"
    assert made["parameters"]["effect"]["allowedValues"] == ["Deny", "Disabled"]
    assert made["parameters"]["effect"]["defaultValue"] == "Deny"
    details = made["policyRule"]["then"]["details"]
    assert (details["apiGroups"], details["kinds"]) == ([""], ["Pod"])
    assert exported["images"]["parameters"]["effect"] == {"value": "Deny"}
    assert exported["Set"]["policyDefinitions"][0]["parameters"]["effect"] == {"value": "Deny"}
    assert "EnforceRegoPolicy" not in run.out and "ContainerService.Data" not in run.out

    again = tmp_path / "again.json"
    again.write_text(run.out, encoding="utf-8")
    aksp.done("import", "azure", str(again), *MAPPED, "--workspace", "b")
    assert files(aksp.folder / "b") == files(aksp.workspace)
    assert aksp.done("export", "azure", "--workspace", "b").out == run.out


def test_one_that_compares_objects_is_refused_by_name_and_the_rest_goes_out(aksp: Aksp, tmp_path: Path) -> None:
    path = write(tmp_path, COMPARING["matches twice"])
    aksp.done("import", "azure", str(path), *MAPPED, "--templates", str(tmp_path))
    aksp.done("assign", "no-privileged", "--cluster", "prod")
    run = aksp("export", "azure", *MAPPED)
    assert run.code == 4
    assert "assignment images: not exported: it compares objects, and Azure installs no template that asks" in run.err
    assert [one["name"] for one in run.json["value"]] == ["no-privileged"]


def test_one_of_the_workspace_goes_out_as_a_custom_definition_of_today(aksp: Aksp, tmp_path: Path) -> None:
    for name, rego in (("ours", IMAGES), ("others", IMAGES.replace('"id"', '"id" '))):
        made = document(("image",)) | {"name": name}
        made["properties"]["policyRule"]["then"]["effect"] = "EnforceRegoPolicy"
        aksp.put(f"ws/definitions/{name}/definition.json", made)
        aksp.put(f"ws/definitions/{name}/rule.rego", rego)
        aksp.done("assign", name, "--image", "ours", "--scope", "/clusters/prod")
    exported = {
        one["name"]: one
        for one in aksp.done("export", "azure", *MAPPED).json["value"]
        if "policyRule" in one["properties"]
    }
    contents = [
        one["properties"]["policyRule"]["then"]["details"]["templateInfo"]["content"] for one in exported.values()
    ]
    templates = [yaml.safe_load(base64.b64decode(one)) for one in contents]
    # Azure refuses two templates of one name.
    assert len({one["metadata"]["name"] for one in templates}) == 2 == len(exported)
    for one in templates:
        assert one["metadata"]["name"] == one["spec"]["crd"]["spec"]["names"]["kind"].lower()
    assert {one["properties"]["policyRule"]["then"]["effect"] for one in exported.values()} == {"Deny"}
