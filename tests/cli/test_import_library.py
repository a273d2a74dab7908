"""A library of 49 templates is imported, and works in files, suites and admission."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from aksp.catalog.custom import resource_of
from aksp.catalog.folder import Folder, as_json
from aksp.catalog.interface import BrokenDefinition
from aksp.engine import Engine
from aksp.store.documents import assignment_document
from aksp.store.files import Files
from tests.addon.test_reviewer import Asked
from tests.cli.conftest import Aksp
from tests.engine.reviews import review
from tests.gatekeeper.library import COUNT, Entry, entries, write

ENTRIES = entries()


def imported(aksp: Aksp) -> list[str]:
    """What the import printed of each document."""
    write(aksp.folder / "library")
    run = aksp("import", "gatekeeper", "library")
    assert run.code == 0, run.err
    return [line.split(" ")[0] for line in run.out.splitlines()]


def test_definitions_come_first_then_assignments_each_by_name(aksp: Aksp) -> None:
    lines = imported(aksp)
    definitions = [one for one in lines if one.startswith("policydefinition.")]
    assignments = [one for one in lines if one.startswith("policyassignment.")]
    assert lines == definitions + assignments
    assert definitions == sorted(definitions) and assignments == sorted(assignments)
    assert len(definitions) == len(assignments) == COUNT


def test_its_suites_pass(aksp: Aksp) -> None:
    write(aksp.folder / "library")
    run = aksp("test", "library", "-o", "json")
    assert run.code == 0, run.err


def test_files_are_judged_by_it(aksp: Aksp) -> None:
    imported(aksp)
    items = [named(one, which, at) for at, one in enumerate(ENTRIES) for which in ("allowed", "disallowed")]
    run = aksp.judge(aksp.put("objects.json", {"apiVersion": "v1", "kind": "List", "metadata": {}, "items": items}))
    results = run.json["results"]
    assert run.code == 1 and not [one for one in results if one["state"] == "Error"]
    found = {(one["assignment"], one["resource"]["name"]) for one in results if one["state"] == "NonCompliant"}
    for at, one in enumerate(ENTRIES):
        constraint = one.constraint["metadata"]["name"]
        assert (constraint, f"{at}-disallowed") in found and (constraint, f"{at}-allowed") not in found, one.name


def named(one: Entry, which: str, at: int) -> Any:
    """An example, called so that it can be told from the others."""
    example = getattr(one, which)
    return {**example, "metadata": {**example["metadata"], "name": f"{at}-{which}"}}


def test_requests_are_judged_by_it(aksp: Aksp) -> None:
    imported(aksp)
    workspace = aksp.workspace
    with Engine(evaluation_deadline_ms=500) as engine:
        asked = Asked(engine, *assignments(workspace), definitions=list(resources(workspace)))
        assert not [one.problem for one in asked.standing.assignments if one.problem]
        for one in ENTRIES:
            if one.inventory is None:
                assert refuses(asked, one, one.disallowed), one.name
                assert not refuses(asked, one, one.allowed), one.name


def refuses(asked: Asked, one: Entry, what: Any) -> bool:
    response = asked(review(what))
    return f"[{one.constraint['metadata']['name']}]" in (response.get("status") or {}).get("message", "")


def resources(workspace: Path) -> Any:
    for number, one in enumerate(Folder(workspace / "definitions")):
        assert not isinstance(one, BrokenDefinition)
        made = resource_of(one, as_json(Path(one.origin)))
        yield {**made, "metadata": {**made["metadata"], "uid": f"d-{number}", "generation": 1}}


def assignments(workspace: Path) -> Any:
    for number, one in enumerate(Files(workspace).assignments()):
        spec = assignment_document(one)["spec"]
        yield {
            "apiVersion": "policy.aksp.io/v1alpha1",
            "kind": "PolicyAssignment",
            "metadata": {"name": one.name, "uid": f"a-{number}", "generation": 1},
            "spec": spec,
        }
