"""Where a report goes: any number of formats, at most one of them to standard output."""

from __future__ import annotations

import io
import os
import shutil
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self, TextIO

from aksp.cli.ci import CI, expand, harmless, repository, running
from aksp.cli.options import ColorWhen
from aksp.cli.progress import Notes
from aksp.cli.summaries import summary_of
from aksp.compliance.parameters import nearest
from aksp.errors import InvalidInput
from aksp.model.compliance import Report
from aksp.report.interface import Format, GroupBy, Show, Style
from aksp.report.registry import FORMATS
from aksp.store.files import put_in_place

#: Columns of a report that no terminal reads.
PLAIN_WIDTH = 120

# What is read in a pipeline's log. What programs read must stay as it is.
_FOR_PEOPLE = ("table", "wide", "markdown")


@dataclass(frozen=True, slots=True)
class _Output:
    format: Format
    path: Path | None


class Outputs:
    """The outputs of one run. Files are opened beside their place before the run, renamed after.

    So a path that cannot be written is known before the work, and a report is whole or not there.
    """

    def __init__(self, outputs: Sequence[_Output], notes: Notes) -> None:
        self._outputs = outputs
        self._notes = notes
        self._files: dict[Path, TextIO] = {}

    @classmethod
    def parse(cls, given: Sequence[str], notes: Notes | None = None) -> Outputs:
        """Read FORMAT[=FILE] each; ``ci`` is what the pipeline reads that runs this. Raises InvalidInput."""
        notes = notes or Notes(quiet=False)
        texts, note = expand(given, os.environ)
        outputs: list[_Output] = []
        for text in texts:
            name, equals, file = text.partition("=")
            if name == CI:
                raise InvalidInput(f"-o {text}: what ci stands for goes to places of its own", hint="give -o ci")
            if name not in FORMATS:
                raise InvalidInput(f"-o {text}: there is no format {name!r}", hint=nearest(name, [*FORMATS, CI]))
            if equals and not file:
                raise InvalidInput(f"-o {text}: the file name after = is missing")
            path = None if file in ("", "-") else Path(file)
            if any(other.path == path for other in outputs):
                where = "standard output" if path is None else str(path)
                raise InvalidInput(
                    f"two outputs go to {where}: -o {' -o '.join(texts)}", hint="send one to a file: -o FORMAT=FILE"
                )
            outputs.append(_Output(FORMATS[name], path))
        if note:
            notes.note(note)
        return cls(outputs, notes)

    @property
    def need_lines(self) -> bool:
        """Whether some format prints the source line of every result, however it groups them."""
        return any(output.format.every_line for output in self._outputs)

    @property
    def need_compliant(self) -> bool:
        """Whether some format lists what complies too, whatever --show says."""
        return any(output.format.every_result for output in self._outputs)

    def __enter__(self) -> Self:
        for output in self._outputs:
            if output.path is None:
                continue
            if not output.path.is_dir() and output.path.exists() and not output.path.is_file():
                # A device such as /dev/null cannot be renamed onto.
                self._files[output.path] = self._open(output.path)
                continue
            try:
                if output.path.is_dir():
                    raise IsADirectoryError(None, "it is a folder")
                self._files[output.path] = _beside(output.path)
            except OSError as error:
                self.__exit__()
                raise _unwritable(output.path, error) from error
        return self

    @staticmethod
    def _open(path: Path) -> TextIO:
        try:
            return path.open("w", encoding="utf-8", errors="backslashreplace", newline="")
        except OSError as error:
            raise _unwritable(path, error) from error

    def __exit__(self, *exc: object) -> None:
        for path, file in self._files.items():
            file.close()
            if Path(file.name) != path:
                Path(file.name).unlink(missing_ok=True)

    def write(self, report: Report, *, color: ColorWhen, show: Show, group_by: GroupBy) -> None:
        """Write every output. Raises InvalidInput for a file that cannot be written."""
        here = repository(os.environ, Path.cwd())
        plain = Style(
            color=color is ColorWhen.ALWAYS,
            width=PLAIN_WIDTH,
            show=show,
            group_by=group_by,
            base=here.base,
            root=here.root,
        )
        for output in self._outputs:
            if output.path is None:
                self._write_stdout(output.format, report, color, plain)
                continue
            file = self._files[output.path]
            try:
                self._render(output.format, report, file, plain)
                file.close()
                if Path(file.name) != output.path:
                    put_in_place(file.name, output.path)
            except OSError as error:
                raise _unwritable(output.path, error) from error

    def _write_stdout(self, form: Format, report: Report, color: ColorWhen, plain: Style) -> None:
        if isinstance(sys.stdout, io.TextIOWrapper):
            # Names are not ASCII, whatever the locale says; CSV writes its own line ends.
            sys.stdout.reconfigure(encoding="utf-8", errors="backslashreplace", newline="")
        terminal = sys.stdout.isatty()
        width = shutil.get_terminal_size().columns if terminal or os.environ.get("COLUMNS") else PLAIN_WIDTH
        style = replace(plain, color=wants_color(color, terminal), width=width, terminal=terminal)
        try:
            self._render_stdout(form, report, style)
            sys.stdout.flush()
        except BrokenPipeError:
            # The reader has seen enough. The other outputs, and the exit code, are as they would be.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())

    def _render_stdout(self, form: Format, report: Report, style: Style) -> None:
        if form.name not in _FOR_PEOPLE or not running(os.environ):
            self._render(form, report, sys.stdout, style)
            return
        out = io.StringIO(newline="")
        self._render(form, report, out, style)
        sys.stdout.write(harmless(out.getvalue()))

    def _render(self, form: Format, report: Report, out: TextIO, style: Style) -> None:
        summarise = summary_of(form)
        try:
            form.render(report, out, style)
        except BrokenPipeError:
            # Nobody reads the log any more; the summary has its own readers.
            if summarise is not None:
                summarise(report, style, io.StringIO(), self._elsewhere(), self._notes)
            raise
        if summarise is not None:
            summarise(report, style, out, self._elsewhere(), self._notes)

    def _elsewhere(self) -> str:
        """Where all results are when a summary leaves some out."""
        whole = [str(output.path) for output in self._outputs if output.path and output.format.every_line]
        return f"in {', '.join(whole)}" if whole else "in the report in another format, as by -o json=FILE"


def _beside(path: Path) -> TextIO:
    """A file beside the place that it will have."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    os.close(handle)
    return Path(name).open("w", encoding="utf-8", errors="backslashreplace", newline="")


def wants_color(when: ColorWhen, terminal: bool) -> bool:
    """Whether to use colour: --color, then NO_COLOR (no-color.org), then FORCE_COLOR, then the terminal."""
    if when is not ColorWhen.AUTO:
        return when is ColorWhen.ALWAYS
    if os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("FORCE_COLOR") or os.environ.get("CLICOLOR_FORCE"):
        return True
    return terminal and os.environ.get("TERM") != "dumb"


def _unwritable(path: Path, error: OSError) -> InvalidInput:
    return InvalidInput(f"the report cannot be written: {error.strerror or error}", where=str(path))
