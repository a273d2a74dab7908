"""Files as people have them: what is judged, and what is told, with its line."""

from __future__ import annotations

from pathlib import Path

import pytest

from aksp.engine import Engine
from tests.sources.test_manifests import gaps, lines, names, pod, put, report

DATA = Path(__file__).parent / "data"


@pytest.mark.parametrize(
    ("name", "line", "said"),
    [
        ("list-without-items", 1, "a List without items"),
        ("list-item-without-kind", 9, "it has no kind"),
        ("helm-block", 1, "a Helm template: what stands in {{ }} is not filled in yet. Render it first"),
        ("helm-value", 7, "a Helm template: what stands in {{ }} is not filled in yet. Render it first"),
        ("glued-separator", 4, '"---" must stand alone on its line, and "apiVersion: v1" follows it'),
    ],
)
def test_what_kubectl_refuses_is_told_at_its_line(name: str, line: int, said: str, engine: Engine) -> None:
    path = str(DATA / f"{name}.yaml")
    (gap,) = gaps(engine, path)

    assert gap.startswith(f"{path}:{line}: ") and said in gap
    assert report(engine, path).results == []


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("merge-key-override", [("p", 12), ("p", 13)]),
        ("items-without-list", [("bad", 10)]),
        ("json-then-document", [("bad", 10)]),
    ],
)
def test_what_kubectl_takes_is_judged(name: str, found: list[tuple[str, int]], engine: Engine) -> None:
    path = str(DATA / f"{name}.yaml")

    assert lines(engine, path) == found
    assert gaps(engine, path) == []


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-8"])
def test_every_encoding_with_a_byte_order_mark_has_its_documents_and_lines(
    encoding: str, engine: Engine, tmp_path: Path
) -> None:
    text = (
        (DATA / "utf16-documents.yaml")
        .read_text("utf-16")
        .replace("image: nginx", "image: nginx\n    securityContext: {privileged: true}")
    )
    path = put(tmp_path, "pods.yaml", ("\ufeff" + text).encode(encoding))

    assert names(engine, path) == ["a", "b"]
    assert lines(engine, path) == [("b", 17)]
    assert gaps(engine, path) == []


def test_a_large_utf_16_file_keeps_its_lines_beyond_the_first_cut(engine: Engine, tmp_path: Path) -> None:
    filler = "".join(
        f"apiVersion: v1\nkind: Pod\nmetadata: {{name: p{n}}}\nspec: {{containers: [{{name: a, image: '{'ä' * 500}'}}]}}\n---\n"
        for n in range(3000)
    )
    text = (
        filler
        + "apiVersion: v1\nkind: Pod\nmetadata: {name: bad}\nspec:\n  containers:\n  - {name: a, image: a, securityContext: {privileged: true}}\n"
    )
    path = put(tmp_path, "pods.yaml", text.encode("utf-16"))

    assert lines(engine, path) == [("bad", 3000 * 5 + 6)]


def test_utf_16_cut_short_is_a_gap(engine: Engine, tmp_path: Path) -> None:
    path = put(tmp_path, "pods.yaml", (str(pod()) + " ").encode("utf-16")[:-1])

    assert (names(engine, path), len(gaps(engine, path))) == ([], 1)
