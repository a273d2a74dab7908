"""Progress and notes, on standard error: standard output is the report's alone."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from aksp.cli.ci import note
from aksp.report.text import safe

if TYPE_CHECKING:
    from aksp.sources.interface import Page


class Notes:
    """Notes on standard error, each once."""

    def __init__(self, *, quiet: bool) -> None:
        self.quiet = quiet
        self._said: set[str] = set()

    def note(self, text: str) -> None:
        """Print a note, unless it was printed or notes are not wanted."""
        if not self.quiet and text not in self._said:
            self._said.add(text)
            note(text)

    def all(self, texts: Sequence[str]) -> None:
        """Print several."""
        for text in texts:
            self.note(text)


@contextmanager
def progress_bar(notes: Notes, files: int | None) -> Iterator[Callable[[Page], None] | None]:
    """A progress bar when standard error is a terminal, no CI runs and nobody wants quiet.

    A list's length is known from the server's remainingItemCount; files are just counted.
    """
    if notes.quiet or not sys.stderr.isatty() or os.environ.get("CI"):
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("objects", total=None)
        listing = ""
        done = 0

        def advance(page: Page) -> None:
            nonlocal listing, done
            if page.listing != listing or page.restart:
                listing, done = page.listing, 0
            done += len(page.documents)
            total = done + page.remaining if page.remaining is not None else None
            bar.update(
                task, description="documents" if files is not None else safe(page.listing), completed=done, total=total
            )

        yield advance
