"""A PATH on which helm and kustomize are, built when need be."""

from __future__ import annotations

import os

import pytest

from tests.charts.helm import helm, kustomize
from tests.testbed.build import BuildError

REQUIRED = "AKSP_E2E_REQUIRED"


@pytest.fixture(scope="session")
def renderers() -> str:
    """The PATH. Without Go the test is skipped, where that is not an error."""
    try:
        folders = [helm().parent, kustomize().parent]
    except BuildError as error:
        if os.environ.get(REQUIRED) not in (None, "", "0"):
            pytest.fail(f"no helm and kustomize: {error} ({REQUIRED} is set)")
        pytest.skip(f"no helm and kustomize: {error}")
    return os.pathsep.join(map(str, [*folders, os.environ["PATH"]]))
