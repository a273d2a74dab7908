"""Whatever stands anywhere in a document of Azure's, it is imported, told or refused; nothing ends in a bug."""

from __future__ import annotations

import copy
import os
import random
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from aksp.azure.documents import from_paths
from aksp.azure.exporting import export
from aksp.azure.importing import read_import
from aksp.azure.scopes import scope_map
from aksp.engine import Engine
from aksp.errors import InvalidInput
from aksp.model.assignment import Assignment
from aksp.store.documents import assignment_document, assignment_from, exemption_document, exemption_from
from aksp.workspace import catalog_of
from tests.azure.builders import CLUSTER, WRAPPINGS, assignment, estate, text
from tests.cli.test_custom_mutations import assigned as mutation_assigned
from tests.cli.test_custom_mutations import definition as mutating
from tests.cli.test_written_constraints import INSIDE

pytestmark = [pytest.mark.slow, pytest.mark.fuzz]

NOW = datetime(2026, 9, 1, tzinfo=UTC)
VALUES: list[Any] = [
    None,
    3,
    -1.5,
    "",
    "x",
    "/",
    "[x]",
    "[[x",
    [],
    {},
    [1],
    ["x"],
    [[]],
    {"a": 1},
    True,
    "a\0b",
    "é" * 300,
]


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    with Engine() as running:
        yield running


def places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Each container in a value with each of its keys."""
    keys = list(value) if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    for key in keys:
        yield value, key
        yield from places(value[key])


def changes(wrapping: str, documents: list[Any] | None = None) -> Iterator[Any]:
    """Documents, of the estate unless given, with one place after the other replaced, in an order of chance."""
    whole = WRAPPINGS[wrapping](documents or estate())
    seed = int(os.environ.get("AKSP_FUZZ_SEED", "1"))
    chance = random.Random(f"{seed}/{wrapping}")
    for at in chance.sample(range(count := len(list(places(whole)))), min(count, 60)):
        changed = copy.deepcopy(whole)
        holder, key = list(places(changed))[at]
        holder[key] = chance.choice(VALUES)
        yield changed


@pytest.mark.parametrize("wrapping", sorted(WRAPPINGS))
def test_anything_anywhere_is_imported_told_or_refused(wrapping: str, engine: Engine, tmp_path: Path) -> None:
    file = tmp_path / "azure.json"
    known = catalog_of(tmp_path / "none")
    scopes = scope_map([f"{CLUSTER}=/clusters/prod"], None)
    imported, wheres = 0, []
    for changed in changes(wrapping):
        file.write_text(text(changed))
        try:
            made = read_import(engine, from_paths([str(file)]), known, known, scopes, NOW)
        except InvalidInput as error:
            wheres.append(str(error.where))
            continue
        imported += 1
        for one in made.documents:
            # What is written is read again as the same.
            if isinstance(one, Assignment):
                assert assignment_from(assignment_document(one), one.origin) == one
            else:
                assert exemption_from(exemption_document(one), one.origin) == one
    assert imported and wheres
    # Each says the file.
    assert all(where.startswith(str(file)) for where in wheres)


@pytest.mark.parametrize("wrapping", sorted(WRAPPINGS))
def test_a_document_that_is_cut_off_anywhere_is_refused_with_its_file(wrapping: str, tmp_path: Path) -> None:
    whole = text(WRAPPINGS[wrapping](estate()))
    chance = random.Random(wrapping)
    for cut in [0, 1, len(whole) - 1, *chance.sample(range(len(whole)), 40)]:
        (tmp_path / "azure.json").write_text(whole[:cut])
        with pytest.raises(InvalidInput, match="not JSON") as caught:
            from_paths([str(tmp_path / "azure.json")])
        assert caught.value.where == str(tmp_path / "azure.json")


@pytest.mark.parametrize("wrapping", sorted(WRAPPINGS))
def test_what_is_imported_of_anything_is_exported_or_told(wrapping: str, engine: Engine, tmp_path: Path) -> None:
    known = catalog_of(tmp_path / "none")
    scopes = scope_map([f"{CLUSTER}=/clusters/prod"], None)
    exported = 0
    for changed in changes(wrapping):
        (tmp_path / "azure.json").write_text(text(changed))
        try:
            made = read_import(engine, from_paths([str(tmp_path / "azure.json")]), known, known, scopes, NOW)
        except InvalidInput:
            continue
        assignments = [one.assignment for one in made.copies if one.assignment.definition_id not in made.definitions]
        assignments = [one for one in assignments if one.definition_id not in made.initiatives]
        back = export(engine, known, assignments, [], scopes)
        assert len(back.documents) + len(back.lost) >= len(assignments)
        exported += len(back.documents)
    assert exported


def of_their_own() -> list[Any]:
    """Definitions that change objects, and that bring their constraint as a text, with what is assigned of them."""
    return [
        mutating(), mutation_assigned(excludedNamespaces=["legacy"]), INSIDE,
        assignment("Team", policyDefinitionId=INSIDE["id"], definitionVersion=None, parameters={"label": {"value": "a"}}),
    ]  # fmt: skip


@pytest.mark.parametrize("wrapping", sorted(WRAPPINGS))
def test_anything_anywhere_in_mutations_and_written_constraints_is_imported_told_or_refused(
    wrapping: str, engine: Engine, tmp_path: Path
) -> None:
    file = tmp_path / "azure.json"
    known = catalog_of(tmp_path / "none")
    scopes = scope_map([f"{CLUSTER}=/clusters/prod"], None)
    outcomes = set()
    for changed in changes(wrapping, of_their_own()):
        file.write_text(text(changed))
        try:
            made = read_import(engine, from_paths([str(file)]), known, known, scopes, NOW)
        except InvalidInput as error:
            outcomes.add("refused" if str(error.where).startswith(str(file)) else f"no file: {error}")
            continue
        outcomes |= {"mutation"} if made.mutating and made.mutations else set()
        outcomes |= {"definition"} if made.definitions else set()
        outcomes |= {"told"} if made.lost else set()
    assert outcomes == {"refused", "mutation", "definition", "told"}
