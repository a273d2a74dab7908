"""What is tested here holds whichever evaluator the engine uses."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from aksp.engine import Engine


@pytest.fixture(params=["topdown", "plan"], autouse=True)
def evaluator(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Every engine that a test starts evaluates by this."""
    monkeypatch.setenv("AKSP_ENGINE_EVALUATOR", request.param)
    return str(request.param)


@pytest.fixture
def engine(evaluator: str) -> Iterator[Engine]:
    with Engine() as started:
        yield started
