"""aksp import azure: a definition of the preview, with its Rego from --templates, is assigned and judges."""

from __future__ import annotations

import json
from pathlib import Path

from tests.azure.builders import CLUSTER
from tests.catalog.test_preview import IMAGES, document, pod
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
