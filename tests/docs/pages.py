"""Markdown as the tests need it: tables, fenced blocks with the comment before them, links, headings."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent

ROOT = Path(__file__).resolve().parents[2]
README = ROOT / "README.md"
#: Folders of the checkout that hold no page: what is built, and what stands beside the sources.
_NO_PAGES = re.compile(r"\..*|build|dist|.*\.egg-info")
#: Every Markdown page of the repository.
PAGES = tuple(
    sorted(
        page
        for entry in ROOT.iterdir()
        if not _NO_PAGES.fullmatch(entry.name)
        for page in ([entry] if entry.suffix == ".md" else entry.rglob("*.md"))
    )
)

# A block within a list item is indented as its item is, and so is its comment.
_FENCE = re.compile(
    r"(?:^ *<!-- (?P<mark>[^\n]*?) -->\n)?^(?P<indent> *)```(?P<language>\w*)\n(?P<text>.*?)^(?P=indent)```$",
    re.DOTALL | re.MULTILINE,
)
_LINK = re.compile(r"\]\((?P<target>[^)\s]+)\)")
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
_RUNS = re.compile(r"runs(?P<cluster> on a cluster)?: exit codes? (?P<codes>\d+(?:, \d+)*)")
_FILE = re.compile(r"file: (\S+)")


@dataclass(frozen=True, kw_only=True, slots=True)
class Block:
    """A fenced block. ``mark`` is the HTML comment on the line before it."""

    page: Path
    language: str
    mark: str
    text: str

    @property
    def head(self) -> tuple[str, str]:
        """Its page, and its first line: what it is known by in the lists of the tests."""
        return named(self.page), self.text.partition("\n")[0]

    @property
    def runs(self) -> bool:
        """Whether it is marked as one that runs."""
        return _RUNS.fullmatch(self.mark) is not None

    @property
    def cluster(self) -> bool:
        """Whether it takes a cluster to run it."""
        match = _RUNS.fullmatch(self.mark)
        return match is not None and match["cluster"] is not None

    @property
    def steps(self) -> list[tuple[str, int]]:
        """The commands, a line each, with their exit codes. One code is the last command's, and the others have 0."""
        match = _RUNS.fullmatch(self.mark)
        assert match is not None, f"{self.head} is not marked as one that runs"
        lines = self.text.splitlines()
        codes = [int(code) for code in match["codes"].split(", ")]
        if len(codes) == 1:
            codes = [0] * (len(lines) - 1) + codes
        return list(zip(lines, codes, strict=True))

    @property
    def printed(self) -> bool:
        """Whether it shows what the commands before it print."""
        return self.mark == "printed"

    @property
    def file(self) -> str | None:
        """The path in a workspace that it is marked to stand for."""
        match = _FILE.fullmatch(self.mark)
        return match[1] if match else None


def named(page: Path) -> str:
    """A page's path from the root of the repository."""
    return page.relative_to(ROOT).as_posix()


def blocks(page: Path) -> list[Block]:
    """The fenced blocks of a page, in their order."""
    return [
        Block(page=page, language=match["language"], mark=match["mark"] or "", text=dedent(match["text"]))
        for match in _FENCE.finditer(page.read_text(encoding="utf-8"))
    ]


def write_files(page: Path, folder: Path) -> None:
    """Put the files that a page shows into a folder."""
    for block in blocks(page):
        if block.file is not None:
            path = folder / block.file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(block.text, encoding="utf-8")


def prose(page: Path) -> str:
    """A page without its fenced blocks."""
    return _FENCE.sub("", page.read_text(encoding="utf-8"))


def table(page: Path, *header: str) -> list[list[str]]:
    """The rows of the one table of a page that has these column heads."""
    lines = prose(page).splitlines()
    starts = [at for at, line in enumerate(lines) if _cells(line) == list(header)]
    assert len(starts) == 1, f"{page.name} has {len(starts)} tables headed {' | '.join(header)}"
    rows = []
    for line in lines[starts[0] + 2 :]:
        if not line.startswith("|"):
            break
        rows.append(_cells(line))
    assert all(len(row) == len(header) for row in rows)
    return rows


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip().strip("|").split("|")] if line.startswith("|") else []


def code(cell: str) -> list[str]:
    """What stands in backticks."""
    return re.findall(r"`([^`]+)`", cell)


def links(page: Path) -> list[str]:
    """The targets of a page's links and pictures."""
    return [match["target"] for match in _LINK.finditer(prose(page))]


def anchors(page: Path) -> set[str]:
    """The fragments that a page's headings have on GitHub."""
    return {
        re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in _HEADING.findall(prose(page))
    }
