"""A definition of Azure's preview finds the same here and, exported, in gator."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from tests.catalog.test_preview import COMPARING, IMAGES, document, pod
from tests.e2e.command import Aksp
from tests.e2e.test_gatekeeper import gator

__all__ = ["gator"]

RULES = {**COMPARING, "images": IMAGES}


def ingress(place: str, name: str, host: str) -> dict[str, object]:
    return {
        "apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "metadata": {"name": name, "namespace": place},
        "spec": {"rules": [{"host": host}]},
    }  # fmt: skip


OBJECTS = [
    ingress("one", "a", "x.example"), ingress("two", "a", "x.example"), ingress("two", "b", "y.example"),
    ingress("one", "c", "z.example"), ingress("one", "d", "z.example"), pod('a"b\\d'), pod("other"),
]  # fmt: skip
OBJECTS[-1]["metadata"] = {"name": "other", "namespace": "shop"}


@pytest.mark.parametrize("rule", RULES)
def test_gator_finds_what_is_found_here(gator: Path, tmp_path: Path, rule: str) -> None:
    aksp = Aksp(folder=tmp_path)
    folder = aksp.workspace / "definitions" / "preview"
    folder.mkdir(parents=True)
    parameters = ("image",) if rule == "images" else ()
    (folder / "definition.json").write_text(json.dumps(document(parameters)), encoding="utf-8")
    (folder / "rule.rego").write_text(RULES[rule], encoding="utf-8")
    aksp.assign("preview", parameters={"image": 'a"b\\d'} if parameters else {})
    path = tmp_path / "objects.json"
    path.write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": OBJECTS}), encoding="utf-8")
    ours = {
        (one["resource"]["namespace"], one["resource"]["name"], one["message"])
        for one in aksp.judge("-f", str(path)).report["results"]
        if one["state"] == "NonCompliant"
    }

    exported = aksp.run("export", "gatekeeper", "-o", str(tmp_path / "bundle"))
    assert exported.code == 0, exported.stderr
    inputs = tmp_path / "inputs"
    inputs.mkdir()
    for number, one in enumerate(OBJECTS):
        (inputs / f"{number}.yaml").write_text(json.dumps(one), encoding="utf-8")
    command = [str(gator), "test", "-f", str(tmp_path / "bundle"), "-f", str(inputs), "-o", "json"]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.returncode in (0, 1) and not run.stderr, run.stderr
    theirs = {
        (one["violatingObject"]["metadata"]["namespace"], one["violatingObject"]["metadata"]["name"], one["msg"])
        for one in json.loads(run.stdout)
    }
    assert theirs == ours
    assert {name for _, name, _ in ours} == ({"other"} if rule == "images" else {"a"})
