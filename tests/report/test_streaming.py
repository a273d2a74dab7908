"""Large reports are written as they come."""

from __future__ import annotations

import json
import subprocess
import sys
import tracemalloc
from collections.abc import Iterator, Sequence
from itertools import count
from typing import TextIO, cast, overload

import pytest

from aksp.model.compliance import Result
from aksp.report.interface import Style
from aksp.report.registry import FORMATS
from tests.replacing import replace

from .render import render
from .scenarios import SCENARIOS, pod

MANY = 10_000


class Endless(Sequence[Result]):
    """Results that are made when asked for, so that only what a format keeps takes memory."""

    def __init__(self, pattern: Sequence[Result]) -> None:
        self._pattern = pattern

    def __len__(self) -> int:
        return MANY

    @overload
    def __getitem__(self, at: int) -> Result: ...
    @overload
    def __getitem__(self, at: slice) -> Sequence[Result]: ...
    def __getitem__(self, at: int | slice) -> Result | Sequence[Result]:
        raise AssertionError("a format iterates")

    def __iter__(self) -> Iterator[Result]:
        for at in range(MANY):
            yield replace(self._pattern[at % len(self._pattern)], resource=pod("shop", f"web-{at:06}"))


class Counting:
    """A stream that keeps nothing."""

    def __init__(self) -> None:
        self.written = 0

    def write(self, text: str) -> int:
        self.written += len(text)
        return len(text)

    def writelines(self, lines: Iterator[str]) -> None:
        for line in lines:
            self.write(line)


@pytest.mark.parametrize(("format", "bound"), [("json", 1_000_000), ("csv", 1_000_000), ("table", 3_000_000)])
def test_memory_does_not_grow_with_the_results(format: str, bound: int) -> None:
    violations = SCENARIOS["violations"]()
    report = replace(violations, results=Endless(violations.results))
    FORMATS[format].render(SCENARIOS["violations"](), cast(TextIO, Counting()), Style())  # imports
    out = Counting()
    tracemalloc.start()
    try:
        FORMATS[format].render(report, cast(TextIO, out), Style())
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert out.written > (2_000 if format == "table" else 1_000_000)
    assert peak < bound


def test_many_results_are_valid_json_in_their_order() -> None:
    violations = SCENARIOS["violations"]()
    results = json.loads(render(replace(violations, results=Endless(violations.results)), "json"))["results"]
    names = (f"web-{at:06}" for at in count())
    assert len(results) == MANY
    assert all(result["resource"]["name"] == name for result, name in zip(results, names, strict=False))


def test_importing_the_formats_imports_nothing_heavy() -> None:
    code = "import sys, aksp.report; print(*({'rich', 'yaml', 'jsonschema', 'jinja2'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
