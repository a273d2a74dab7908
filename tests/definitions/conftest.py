"""The order of the tests: those of one definition follow each other, so that one engine compiles it once for them all."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from aksp.model.definition import Definition
from aksp.samples import Sample

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    places = [at for at, item in enumerate(items) if HERE in item.path.parents]
    ordered = sorted((items[at] for at in places), key=_slug)
    for at, item in zip(places, ordered, strict=True):
        items[at] = item


def _slug(item: pytest.Item) -> str:
    """The definition that a test is about, empty for tests of several."""
    given: dict[str, Any] = getattr(getattr(item, "callspec", None), "params", {})
    for value in given.values():
        if isinstance(value, Definition):
            return value.slug
        if isinstance(value, Sample):
            return value.definition.slug
    return ""
