"""The lines of live objects that findings are about."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from aksp.cli.sources import Excerpts
from aksp.engine import Engine
from aksp.model.compliance import AssignmentKey, ComplianceState, Finding
from aksp.model.resource import Resource
from tests.results import a_result

KEY = AssignmentKey(assignment="images", definition="allowed-images", effect="Audit", severity="high")


def test_all_places_in_a_live_object_are_looked_up_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    count = 50
    objects = {
        name: {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": name},
            "spec": {"containers": [{"name": f"c{at}", "image": f"{name}:{at}"} for at in range(count)]},
        }
        for name in ("web", "db")
    }
    resources = {
        name: Resource(api_version="v1", kind="Pod", namespace="shop", name=name) for name in (*objects, "gone")
    }
    results = [
        a_result(
            assignment=KEY,
            state=ComplianceState.NON_COMPLIANT,
            resource=resource,
            finding=Finding(message="not allowed", path=path),
        )
        for at in range(count)
        for resource in resources.values()
        for path in (f"spec.containers[{at}].image", None)
    ]
    asked: list[int] = []
    locate = Engine.locate

    def counted(self: Engine, documents: Sequence[Mapping[str, Any]], body: bytes) -> list[list[dict[str, int]]]:
        asked.append(len(documents))
        return locate(self, documents, body)

    monkeypatch.setattr(Engine, "locate", counted)
    with Engine() as engine:
        found = Excerpts(engine, lambda resource: objects.get(resource.name)).of(results)

    assert asked == [1, 1]
    for result, excerpt in zip(results, found, strict=True):
        path, name = result.finding.path, result.resource.name
        if path is None or name == "gone":
            assert excerpt is None
        else:
            assert excerpt is not None
            (marked,) = [line.text.strip() for line in excerpt.lines if line.marked]
            assert marked == f"image: {name}:{path[len('spec.containers[') : -len('].image')]}"
