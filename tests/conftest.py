"""Options of the test run, and the engine that tests share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from aksp.engine import Engine


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="write the golden files instead of comparing")


@pytest.fixture(scope="session")
def engine() -> Iterator[Engine]:
    """One engine for tests that neither break it nor fill its inventory."""
    with Engine() as shared:
        yield shared
