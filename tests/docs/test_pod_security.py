"""docs/pod-security.md: its table is what the API server is compared with."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.docs.pages import ROOT, code, table
from tests.docs.test_pages import aksp
from tests.pod_security import LEVELS

PAGE = ROOT / "docs" / "pod-security.md"


@pytest.mark.parametrize("level", LEVELS)
def test_the_options_of_a_level_are_its_parameters(level: str, tmp_path: Path) -> None:
    rows = table(PAGE, "Definition", "Baseline", "Restricted")
    told = {code(row[0])[0]: row[1 + list(LEVELS).index(level)] for row in rows}

    assert {slug for slug, cell in told.items() if cell != "-"} == set(LEVELS[level])
    for slug, given in LEVELS[level].items():
        options = code(told[slug])
        assert bool(options) is bool(given) and (options or told[slug] == "as it is"), slug
        for line in options:
            made = aksp(tmp_path, tmp_path / "workspace", "assign", slug, *line.split(), "--dry-run", "-o", "json")
            parameters = json.loads(made.stdout)["spec"]["parameters"]
            assert {name: one["value"] for name, one in parameters.items()} == given
