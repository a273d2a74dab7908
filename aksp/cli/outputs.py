"""Where a report goes: any number of formats, at most one of them to standard output."""

from __future__ import annotations

import io
import os
import shutil
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self, TextIO

from aksp.cli.options import ColorWhen
from aksp.compliance.parameters import nearest
from aksp.errors import InvalidInput
from aksp.model.compliance import Report
from aksp.report.interface import Format, GroupBy, Show, Style
from aksp.report.registry import FORMATS
from aksp.store.files import put_in_place

#: Columns of a report that no terminal reads.
PLAIN_WIDTH = 120


@dataclass(frozen=True, slots=True)
class _Output:
    format: Format
    path: Path | None


class Outputs:
    """The outputs of one run. Files are opened beside their place before the run, renamed after.

    So a path that cannot be written is known before the work, and a report is whole or not there.
    """

    def __init__(self, outputs: Sequence[_Output]) -> None:
        self._outputs = outputs
        self._files: dict[Path, TextIO] = {}

    @classmethod
    def parse(cls, texts: Sequence[str]) -> Outputs:
        """Read FORMAT[=FILE] each. Raises InvalidInput."""
        outputs: list[_Output] = []
        for text in texts:
            name, equals, file = text.partition("=")
            if name not in FORMATS:
                raise InvalidInput(f"-o {text}: there is no format {name!r}", hint=nearest(name, FORMATS))
            if equals and not file:
                raise InvalidInput(f"-o {text}: the file name after = is missing")
            path = None if file in ("", "-") else Path(file)
            if any(other.path == path for other in outputs):
                where = "standard output" if path is None else str(path)
                raise InvalidInput(
                    f"two outputs go to {where}: -o {' -o '.join(texts)}", hint="send one to a file: -o FORMAT=FILE"
                )
            outputs.append(_Output(FORMATS[name], path))
        return cls(outputs)

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
        for output in self._outputs:
            if output.path is None:
                _write_stdout(output.format, report, color, show, group_by)
                continue
            file = self._files[output.path]
            style = Style(
                color=color is ColorWhen.ALWAYS, width=PLAIN_WIDTH, terminal=False, show=show, group_by=group_by
            )
            try:
                output.format.render(report, file, style)
                file.close()
                if Path(file.name) != output.path:
                    put_in_place(file.name, output.path)
            except OSError as error:
                raise _unwritable(output.path, error) from error


def _beside(path: Path) -> TextIO:
    """A file beside the place that it will have."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    os.close(handle)
    return Path(name).open("w", encoding="utf-8", errors="backslashreplace", newline="")


def _write_stdout(form: Format, report: Report, color: ColorWhen, show: Show, group_by: GroupBy) -> None:
    if isinstance(sys.stdout, io.TextIOWrapper):
        # Names are not ASCII, whatever the locale says; CSV writes its own line ends.
        sys.stdout.reconfigure(encoding="utf-8", errors="backslashreplace", newline="")
    terminal = sys.stdout.isatty()
    width = shutil.get_terminal_size().columns if terminal or os.environ.get("COLUMNS") else PLAIN_WIDTH
    style = Style(color=wants_color(color, terminal), width=width, terminal=terminal, show=show, group_by=group_by)
    try:
        form.render(report, sys.stdout, style)
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader has seen enough. The other outputs, and the exit code, are as they would be.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


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
