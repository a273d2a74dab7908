"""The threat model: each claim is held by tests that are there."""

from __future__ import annotations

import ast
import re
from functools import cache

import pytest

from tests.docs.pages import ROOT

PAGE = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
CLAIMS = [
    (claim, re.findall(r"`([^`]+)`", tests))
    for claim, tests in re.findall(r"^\| (.+?) \| ((?:`(?:tests|engine)/[^`]+`(?:, )?)+) \|$", PAGE, re.MULTILINE)
]


@cache
def names_in(path: str) -> frozenset[str]:
    """The names of the tests in a file of Python or Go."""
    text = (ROOT / path).read_text(encoding="utf-8")
    if path.endswith(".go"):
        return frozenset(re.findall(r"^func ((?:Test|Fuzz)\w+)\(\w+ \*testing\.[TF]\)", text, re.MULTILINE))
    return frozenset(
        one.name
        for one in ast.walk(ast.parse(text))
        if isinstance(one, ast.FunctionDef) and one.name.startswith("test_")
    )


@pytest.mark.parametrize(("claim", "named"), CLAIMS, ids=[claim for claim, _ in CLAIMS])
def test_every_test_that_is_named_is_there(claim: str, named: list[str]) -> None:
    for one in named:
        path, _, name = one.partition("::")
        assert (ROOT / path).is_file(), one
        assert name in names_in(path), one


def test_every_claim_names_its_tests() -> None:
    of_claims = [section for section in re.split(r"^## ", PAGE, flags=re.MULTILINE) if "| Claim | Test |" in section]
    assert len(of_claims) == 5
    rows = [line for section in of_claims for line in section.splitlines() if line.startswith("|")]
    assert len(rows) == len(CLAIMS) + 2 * len(of_claims)
