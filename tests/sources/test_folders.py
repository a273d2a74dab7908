"""What of a folder is read: manifests; what is left out is told, and what may be a manifest is never left out."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from aksp.engine import Engine
from aksp.errors import InvalidInput
from aksp.sources.interface import Wanted
from aksp.sources.manifests import PAGE_BYTES, Manifests
from tests.compliance.builders import POD

POD_TEXT = json.dumps(
    {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web"}, "spec": {"containers": [{"name": "a"}]}}
)


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    with Engine() as started:
        yield started


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder, with one manifest."""
    monkeypatch.chdir(tmp_path)
    put("pod.yaml", POD_TEXT)
    return tmp_path


def put(name: str, text: str) -> str:
    path = Path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return name


class Read:
    """Manifests that have been read: names of Pods by file, gaps and notes."""

    def __init__(self, engine: Engine, *paths: str, recursive: bool = True, **more: object) -> None:
        manifests = Manifests(engine, paths, recursive=recursive, **more)  # type: ignore[arg-type]
        pages = list(manifests.pages(Wanted(kinds=[POD])))
        self.gaps = [gap.message for page in pages for gap in page.gaps]
        sources = [source for page in pages for source in page.sources or () if source is not None]
        self.files = [os.path.relpath(source.file) for source in sources]
        self.notes = manifests.notes


FOREIGN = {
    "chart/Chart.yaml": "apiVersion: v2\nname: web\nversion: 1.0.0\n",
    "chart/values.yaml": "image: nginx\nkind: DaemonSet\n",
    "chart/values-prod.yml": "metadata: {}\nreplicas: 3\n",
    "overlay/kustomization.yaml": "resources: [pod.yaml]\n",
    "workflow.yml": "on: push\njobs: {build: {runs-on: ubuntu-latest}}\n",
    "docker-compose.yml": "services: {web: {image: nginx}}\n",
    "package.json": '{"name": "web", "version": "1.0.0"}',
    "package-lock.json": '{"packages": {' + ", ".join(f'"p{n}": {{"version": "1.0.0"}}' for n in range(100_000)) + "}}",
    "tsconfig.json": '{\n  // strict\n  "strict": true,\n}\n',
    "pins.json": '["a", {"b": 1}]',
    "two.yaml": "a: 1\n---\nb: 2\n",
    "thousands.yaml": f"a: {'x' * 300}\n---\n" * 1500,
}


@pytest.mark.parametrize("name", FOREIGN)
def test_a_file_of_another_program_is_left_out_with_a_note_unless_it_is_named(
    engine: Engine, folder: Path, name: str
) -> None:
    put(name, FOREIGN[name])
    read = Read(engine, ".")
    assert (read.files, read.gaps) == (["pod.yaml"], [])
    assert read.notes == [f"no manifests, left out: ./{name}"]
    named = Read(engine, name)
    assert named.files == [] and named.gaps and named.notes == []


#: What may be a manifest that somebody has got wrong.
NEARLY = {
    "no apiVersion": "kind: Pod\nmetadata: {name: x}\n",
    "no kind": "apiVersion: v1\nmetadata: {name: x}\n",
    "other capitals": "apiversion: v1\nKind: Pod\n",
    "neither": "metadata: {name: x}\n",
    "a spec alone": "spec: {containers: []}\n",
    "items alone": "items: []\n",
    "a list of Pods": f"[{POD_TEXT}]",
    "a text": "apiVersion=v1 kind=Pod\n",
    "broken": "a: [\n",
    "beside an object": f"a: 1\n---\n{POD_TEXT}\n",
    "beside what is broken": "a: 1\n---\na: [\n",
    "a template": "a: {{ .Values.a }}\n{{ if .Values.b }}\nkind: Pod\n{{ end }}\n",
    "in a List": json.dumps({"apiVersion": "v1", "kind": "List", "items": [{"a": 1}]}),
}


@pytest.mark.parametrize("what", NEARLY)
def test_what_may_be_a_manifest_is_a_gap(engine: Engine, folder: Path, what: str) -> None:
    put("nearly.yaml", NEARLY[what])
    read = Read(engine, ".")
    assert read.gaps and all("nearly.yaml" in gap for gap in read.gaps)
    assert read.notes == []


def test_a_part_of_a_large_file_is_not_taken_for_a_file_of_another_program(engine: Engine, folder: Path) -> None:
    text = f"a: {'x' * PAGE_BYTES}\n---\n" * 3 + POD_TEXT
    put("large.yaml", text)
    read = Read(engine, ".")
    assert len(read.gaps) == 3 and read.files == ["large.yaml", "pod.yaml"] and read.notes == []


def test_a_folder_without_a_manifest_is_no_document_at_all(engine: Engine, folder: Path) -> None:
    put("only/values.yaml", "a: 1\n")
    (gap,) = Read(engine, "only").gaps
    assert "no document" in gap or "nothing" in gap


def test_hidden_folders_and_the_workspace_are_read_only_when_they_are_named(engine: Engine, folder: Path) -> None:
    for name in (".github/a.yaml", "k8s/.cache/b.yaml", ".git/c.yaml", "policies/d.yaml", "k8s/e.yaml", ".f.yaml"):
        put(name, POD_TEXT)
    read = Read(engine, ".", workspace=Path("policies"))
    assert read.files == [".f.yaml", "k8s/e.yaml", "pod.yaml"]
    assert read.notes == ["hidden folders, left out unless -f names them: ./.github, ./k8s/.cache"]
    assert Read(engine, ".github", "policies", workspace=Path("policies")).files == [
        ".github/a.yaml",
        "policies/d.yaml",
    ]
    assert Read(engine, ".", recursive=False).notes == []


@pytest.mark.parametrize("by", ["option", "file"])
def test_patterns_leave_out_as_gitignore_does(engine: Engine, folder: Path, by: str) -> None:
    for name in (
        "k8s/a.yaml",
        "k8s/test/b.yaml",
        "k8s/test/keep.yaml",
        "vendor/c.yaml",
        "deep/vendor/d.yaml",
        "x.json",
    ):
        put(name, POD_TEXT)
    patterns = ["# tests", "k8s/test/*", "!k8s/test/keep.yaml", "/vendor/", "*.json"]
    if by == "file":
        put(".akspignore", "\n".join(patterns))
    read = Read(engine, ".", exclude=patterns if by == "option" else ())
    assert read.files == ["deep/vendor/d.yaml", "k8s/a.yaml", "k8s/test/keep.yaml", "pod.yaml"]
    assert read.notes == ["left out by --exclude or .akspignore: ./x.json, ./vendor, ./k8s/test/b.yaml"]
    # What is named is read.
    assert Read(engine, "x.json", exclude=["*.json"]).files == ["x.json"]


def test_patterns_of_the_working_folder_count_in_the_folders_that_are_named(engine: Engine, folder: Path) -> None:
    put(".akspignore", "k8s/test/\n")
    put("k8s/.akspignore", "/local.yaml\n")
    for name in ("k8s/a.yaml", "k8s/test/b.yaml", "k8s/local.yaml", "k8s/deep/local.yaml"):
        put(name, POD_TEXT)
    assert Read(engine, "k8s").files == ["k8s/a.yaml", "k8s/deep/local.yaml"]
    assert Read(engine, str(folder / "k8s")).files == ["k8s/a.yaml", "k8s/deep/local.yaml"]


def test_patterns_that_cannot_be_read_end_the_run(engine: Engine, folder: Path) -> None:
    Path(".akspignore").write_bytes(b"\xff")
    with pytest.raises(InvalidInput, match=r"\.akspignore:1: cannot be read: it is no UTF-8"):
        Read(engine, ".")
    Path(".akspignore").write_text("!\n")
    with pytest.raises(InvalidInput, match=r"\.akspignore: a pattern cannot be read"):
        Read(engine, ".")


def test_a_folder_of_which_nothing_is_left_is_told(engine: Engine, folder: Path) -> None:
    with pytest.raises(InvalidInput, match=r"no .* file in the folder"):
        Read(engine, ".", exclude=["*"])
