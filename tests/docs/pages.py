"""Markdown as the tests need it: tables, fenced blocks with the comment before them, links, headings."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
README = ROOT / "README.md"
PAGES = (README, ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md")))

_FENCE = re.compile(r"(?:<!-- (?P<mark>.*?) -->\n)?```(?P<language>\w*)\n(?P<text>.*?)^```$", re.DOTALL | re.MULTILINE)
_LINK = re.compile(r"\]\((?P<target>[^)\s]+)\)")
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
_RUNS = re.compile(r"runs: exit code (\d+)")
_FILE = re.compile(r"file: (\S+)")


@dataclass(frozen=True, kw_only=True, slots=True)
class Block:
    """A fenced block. ``mark`` is the HTML comment on the line before it."""

    language: str
    mark: str
    text: str

    @property
    def expected(self) -> int | None:
        """The exit code of its last command, when it is marked as one that runs."""
        match = _RUNS.fullmatch(self.mark)
        return int(match[1]) if match else None

    @property
    def file(self) -> str | None:
        """The path in a workspace that it is marked to stand for."""
        match = _FILE.fullmatch(self.mark)
        return match[1] if match else None


def blocks(page: Path) -> list[Block]:
    """The fenced blocks of a page, in their order."""
    return [
        Block(language=match["language"], mark=match["mark"] or "", text=match["text"])
        for match in _FENCE.finditer(page.read_text(encoding="utf-8"))
    ]


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
