"""Where things are: every place is told, and lines are looked up together."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from aksp.engine import Engine
from aksp.report.registry import FORMATS
from tests.cli.conftest import Aksp, pod

CASES = Path(__file__).parent / "cases"


def test_an_object_in_two_files_is_told_with_both_places(aksp: Aksp) -> None:
    for name in ("same-object-a.yaml", "same-object-b.yaml"):
        aksp.put(f"envs/{name}", (CASES / name).read_text(encoding="utf-8"))
    aksp("assign", "allowed-images", "--registry", "contoso.azurecr.io")
    places = ["envs/same-object-a.yaml:13", "envs/same-object-b.yaml:14"]

    table, explained = aksp("compliance", "-f", "envs"), aksp("explain", "deploy/web", "-f", "envs")
    assert [line.strip() for line in table.out.splitlines() if ".yaml:" in line] == places
    assert [line.split()[-1] for line in explained.out.splitlines() if line.startswith("And at")] == places[1:]
    assert f"{places[0]}  spec.template.spec.containers[0].image" in explained.out


def _list(count: int) -> str:
    return yaml.safe_dump({"apiVersion": "v1", "kind": "List", "items": [pod(f"web-{at}") for at in range(count)]})


def _documents(count: int) -> str:
    return yaml.safe_dump_all([pod(f"web-{at}") for at in range(count)])


def _containers(count: int) -> str:
    one = pod("web")
    one["spec"]["containers"] = [{"name": f"c{at}", "image": f"docker.io/x:{at}"} for at in range(count)]
    return yaml.safe_dump(one)


def _json_list(count: int) -> str:
    return json.dumps(
        {"apiVersion": "v1", "kind": "List", "items": [pod(f"web-{at}") for at in range(count)]}, indent=1
    )


@pytest.mark.parametrize(
    ("written", "form"),
    [
        *((_containers, form) for form in [*FORMATS, "explain"]),
        *((one, "table") for one in (_list, _documents, _json_list)),
    ],
)
def test_every_place_of_a_file_is_looked_up_at_once(
    aksp: Aksp, monkeypatch: pytest.MonkeyPatch, written: Callable[[int], str], form: str
) -> None:
    """Each look-up reads the whole document: one for each row would take time that grows with its square.

    A scan is told the places of its findings with the findings (engine/places_test.go): nothing is looked up again.
    """
    text = written(30)
    aksp.put("objects.yaml", text)
    aksp("assign", "allowed-images", "--registry", "quay.io")
    read: list[int] = []
    real = Engine.locating

    def counted(self: Engine, documents: Sequence[Any], body: bytes) -> Any:
        read.append(len(body))
        return real(self, documents, body)

    monkeypatch.setattr(Engine, "locating", counted)
    asked = ("explain", "allowed-images") if form == "explain" else ("compliance", "-o", form)
    run = aksp(*asked, "-f", "objects.yaml")

    assert form.startswith(("prometheus", "azure-", "summary")) or "objects.yaml" in run.out  # these tell no places
    assert read == []
