"""What Argo CD's resources name: one that names nothing is told, as nothing of it is judged."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from aksp.sources.rendering.following import named_in

NO_SOURCE = [{}, [], "x", {"source": ["apps"]}, {"sources": {"path": "apps"}}, {"sources": [3]}]


def named(kind: str, spec: Any, file: Path) -> list[Any]:
    document = {"apiVersion": "argoproj.io/v1alpha1", "kind": kind, "metadata": {"name": "a"}, "spec": spec}
    return list(named_in(json.dumps(document).encode(), str(file)))


@pytest.mark.parametrize("spec", NO_SOURCE)
def test_an_application_without_a_source_that_can_be_read_is_told(tmp_path: Path, spec: Any) -> None:
    (tmp_path / ".git").mkdir()
    (one,) = named("Application", spec, tmp_path / "a.yaml")
    assert (one.by, one.problem) == ("Application a", "it names no source")

    template = {"metadata": {"name": "b"}, "spec": spec}
    (one,) = named(
        "ApplicationSet", {"generators": [{"list": {"elements": [{}]}}], "template": template}, tmp_path / "a"
    )
    assert (one.by, one.problem) == ("ApplicationSet a, Application b", "it names no source")
