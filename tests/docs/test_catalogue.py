"""docs/definitions/ is what the definitions say."""

from __future__ import annotations

import pytest

from aksp.catalog.common import unavailable
from aksp.catalog.folder import bundled
from docs import catalogue
from tests.docs.pages import table

AGAIN = "run `make docs`, or docs/catalogue.py"
MADE = catalogue.pages()


def test_every_definition_has_its_page_and_no_other_is_there() -> None:
    assert {path.stem for path in catalogue.PAGES.iterdir()} == {"README", *(one.slug for one in bundled())}


@pytest.mark.parametrize("name", [path.name for path in MADE])
def test_a_page_is_what_the_definition_says(name: str) -> None:
    path = catalogue.PAGES / name

    assert path.read_text(encoding="utf-8") == MADE[path], AGAIN


def test_each_of_azure_s_built_ins_is_there_or_says_why_not() -> None:
    rows = table(catalogue.PAGES / "README.md", "In Azure", "Id", "Here")
    missing = table(catalogue.PAGES / "README.md", "In Azure", "Id", "Why, and what instead")

    assert len(rows) + len(missing) == 56
    assert len({row[1] for row in (*rows, *missing)}) == 56
    assert [row[0] for row in missing] == [one["name"] for one in unavailable()]
