"""All pages: links resolve, tables of fields are those of the code, the documents shown do what is said of them."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from aksp.store import documents
from tests.docs.examples import environment
from tests.docs.pages import PAGES, ROOT, anchors, blocks, code, links, named, prose, table, write_files

SCHEMA = json.loads((ROOT / "aksp" / "report" / "report.schema.json").read_text(encoding="utf-8"))
REPORT = ROOT / "docs" / "report.md"
ASSIGNMENTS = ROOT / "docs" / "assignments-and-exemptions.md"
DEFINITIONS = ROOT / "docs" / "definitions.md"
PAGE = pytest.mark.parametrize("page", PAGES, ids=named)


@PAGE
def test_local_links_resolve(page: Path) -> None:
    for target in links(page):
        if target.startswith(("https://", "http://")):
            continue
        name, _, fragment = target.partition("#")
        linked = page.parent / name if name else page
        assert linked.exists(), f"{page.name} links to {target}"
        if fragment:
            assert fragment in anchors(linked), f"{page.name} links to {target}"


@PAGE
def test_pages_name_no_place_of_one_machine(page: Path) -> None:
    # Manifests have paths of nodes.
    text = "" if page.parent.name == "definitions" else page.read_text(encoding="utf-8")
    assert not re.findall(r"(?<![\w.])/(?:home|root|work|tmp|Users|usr|var|opt)\b/?\S*", text)
    assert str(ROOT) not in text


def aksp(tmp_path: Path, workspace: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    workspace.mkdir(exist_ok=True)
    return subprocess.run(
        [sys.executable, "-m", "aksp", *arguments],
        cwd=ROOT,
        env=environment(tmp_path) | {"AKSP_WORKSPACE": str(workspace)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def report_of(ran: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    assert ran.returncode in (0, 1), ran.stderr
    report: dict[str, Any] = json.loads(ran.stdout)
    return report


def test_the_documents_shown_do_what_the_page_says(tmp_path: Path) -> None:
    workspace = tmp_path / "workspace"
    write_files(ASSIGNMENTS, workspace)
    report = report_of(aksp(tmp_path, workspace, "compliance", "-f", "examples/quickstart", "-o", "json"))
    assert [line["name"] for line in report["assignments"]] == ["shop-images"]
    assert {(one["resource"]["name"], one["state"]) for one in report["results"]} == {
        ("payments", "NonCompliant"),
        ("web", "NonCompliant"),
        ("cart-db", "NonCompliant"),
        ("log-agent", "Exempt"),
    }


def test_the_documents_shown_have_every_field() -> None:
    shown: dict[str, set[str]] = {}
    for block in blocks(ASSIGNMENTS):
        if block.file is not None:
            kind = re.search(r"^kind: (\w+)$", block.text, re.MULTILINE)
            assert kind is not None
            shown[kind[1]] = set(re.findall(r"^  (\w+):", block.text.partition("\nspec:\n")[2], re.MULTILINE))
    # docs/initiatives.md and docs/scopes.md show these.
    assert shown["PolicyAssignment"] == set(documents.ASSIGNMENT_FIELDS) - {"overrides", "resourceSelectors"}
    assert shown["PolicyExemption"] == set(documents.EXEMPTION_FIELDS) - {
        "policyDefinitionReferenceIds",
        "resourceSelectors",
    }


def test_the_fields_of_assignments_and_exemptions_are_all_described() -> None:
    described = [
        {name for cell, _ in rows for name in code(cell)} for rows in tables(ASSIGNMENTS, "Field of `spec`", "Meaning")
    ]
    assert described == [set(documents.ASSIGNMENT_FIELDS), set(documents.EXEMPTION_FIELDS)]
    entries = {
        name for cell, _ in table(ASSIGNMENTS, "Field of an entry of `resources`", "Matches") for name in code(cell)
    }
    assert entries == set(documents.RESOURCE_FIELDS)


def tables(page: Path, *header: str) -> list[list[list[str]]]:
    """The tables of a page with the same heads."""
    head = f"| {' | '.join(header)} |"
    found = []
    for part in prose(page).split(head)[1:]:
        rows = part.partition("\n\n")[0].strip().splitlines()[1:]
        found.append([[cell.strip() for cell in row.strip("|").split("|")] for row in rows])
    return found


@pytest.mark.parametrize(
    ("head", "pointer"),
    [
        ("Field", ()),
        ("Field of `target`", ("properties", "target")),
        ("Field of `assignments[]`", ("$defs", "assignment")),
        ("Field of `clusters[]`", ("$defs", "cluster")),
        ("Field of `scopes[]`", ("$defs", "scope")),
        ("Field of `results[]`", ("$defs", "result")),
        ("Field of `gaps[]`", ("$defs", "gap")),
    ],
)
def test_the_fields_of_the_report_are_those_of_its_schema(head: str, pointer: tuple[str, ...]) -> None:
    schema: Mapping[str, Any] = SCHEMA
    for key in pointer:
        schema = schema[key]
    described = [name for cell, _ in table(REPORT, head, "Meaning") for name in code(cell)]
    assert described == list(schema["properties"])


def test_the_reasons_of_gaps_are_those_of_the_code() -> None:
    used: set[str] = set()
    for path in (ROOT / "aksp").rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        if "Gap(" not in text:
            continue  # conditions of the add-on's resources have reasons too
        for call in re.findall(r"Gap\(\s*reason=([^,]+),", text):
            used |= set(re.findall(r'"([A-Z]\w+)"', call))
        for choice in re.findall(r"^\s+reason = (.*)$", text, re.MULTILINE):
            used |= set(re.findall(r'"([A-Z]\w+)"', choice))
    described = [code(cell)[0] for cell, _ in table(REPORT, "Reason", "What could not be judged")]
    assert described == sorted(used)


def test_the_example_of_a_definition_judges(tmp_path: Path) -> None:
    workspace = tmp_path / "workspace"
    write_files(DEFINITIONS, workspace)
    assigned = aksp(tmp_path, workspace, "assign", "image-tags", "--tag", "1.36")
    assert assigned.returncode == 0, assigned.stderr
    report = report_of(aksp(tmp_path, workspace, "compliance", "-f", "examples/quickstart", "-o", "json"))
    found = [(one["resource"]["name"], one["container"]["name"], one["observed"]) for one in report["results"]]
    assert found == [("web", "warm-up", "1.36")]


def test_the_picture_shows_what_aksp_prints() -> None:
    from docs import picture

    def text(svg: str) -> list[str]:
        rows = re.findall(r"<text [^>]*>(.*?)</text>", svg)
        # The time of the evaluation is the one thing that may differ.
        return [re.sub(r"\d{4}-\d\d-\d\dT\S+Z", "", row) for row in rows]

    drawn = picture.PICTURE.read_text(encoding="utf-8")
    assert text(drawn) == text(picture.draw()), "run docs/picture.py again"


def test_the_picture_loads_nothing() -> None:
    svg = (ROOT / "docs" / "compliance.svg").read_text(encoding="utf-8")
    assert "url(http" not in svg
    assert "href" not in svg
    assert not re.findall(r"/(?:home|root|work|tmp)/", svg)
