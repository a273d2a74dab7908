"""The sources of aksp as the tests of its structure read them."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "aksp"


def modules() -> Iterator[tuple[str, ast.Module]]:
    """Each module of aksp by its path below aksp/, parsed."""
    for file in sorted(PACKAGE.rglob("*.py")):
        yield file.relative_to(PACKAGE).as_posix(), ast.parse(file.read_text(encoding="utf-8"))
