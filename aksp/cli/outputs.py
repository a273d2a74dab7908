"""Where a report goes: any number of formats, at most one of them to standard output."""

from __future__ import annotations

import io
import os
import shutil
import stat
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Self, TextIO, cast

from msgspec import Struct
from msgspec.structs import replace

from aksp.cli.ci import CI, expand, logged, repository
from aksp.cli.options import ColorWhen
from aksp.cli.progress import Notes
from aksp.cli.streams import ReaderGone
from aksp.cli.summaries import summary_of
from aksp.compliance.parameters import nearest
from aksp.errors import InvalidInput
from aksp.model.compliance import Report
from aksp.report.interface import Format, Style
from aksp.report.registry import FORMATS
from aksp.report.text import safe
from aksp.runners import commands
from aksp.store.atomic_file import AtomicFile

#: Columns of a report that no terminal reads.
PLAIN_WIDTH = 120

#: The format of a file that is given without a format.
_BY_SUFFIX = {name: name for name in FORMATS} | {"md": "markdown", "xml": "junit", "yml": "yaml", "txt": "table"}


class _Lines(io.TextIOBase):
    """Hands whole lines on, changed."""

    def __init__(self, out: TextIO, change: Callable[[str], str]) -> None:
        self._out = out
        self._change = change
        self._begun: list[str] = []

    def write(self, text: str, /) -> int:
        whole, end, rest = text.rpartition("\n")
        if end:
            self._out.write(self._change("".join((*self._begun, whole, end))))
            self._begun.clear()
        self._begun.append(rest)
        return len(text)

    def end(self) -> None:
        """Hand on what has no line end."""
        self._out.write(self._change("".join(self._begun)))


def _is_file(stream: TextIO) -> bool:
    """Whether it leads to a regular file, not to the log of a pipeline."""
    try:
        return stat.S_ISREG(os.fstat(stream.fileno()).st_mode)
    except (OSError, ValueError):
        return False


class _Output(Struct, frozen=True):
    format: Format
    path: Path | None


class Outputs:
    """The outputs of one run. Files are opened beside their place before the run, renamed after.

    So a path that cannot be written is known before the work, and a report is whole or not there.
    """

    def __init__(self, outputs: Sequence[_Output], notes: Notes) -> None:
        self._outputs = outputs
        self._notes = notes
        self._files: dict[Path, AtomicFile] = {}

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
                meant = _BY_SUFFIX.get(Path(name).suffix.removeprefix("."))
                hint = f"-o {meant}={name} writes that file" if meant and not equals else nearest(name, [*FORMATS, CI])
                raise InvalidInput(f"-o {text}: there is no format {name!r}", hint=hint)
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
    def need_compliant(self) -> bool:
        """Whether some format lists what complies too, whatever --show says."""
        return any(output.format.every_result for output in self._outputs)

    def refuse_one_cluster_formats(self) -> None:
        """Raise InvalidInput for a format that cannot show several clusters."""
        for output in self._outputs:
            if output.format.one_cluster is not None:
                why, instead = output.format.one_cluster
                raise InvalidInput(
                    f"-o {output.format.name} tells of one cluster, and several are judged: {why}", hint=instead
                )

    def __enter__(self) -> Self:
        for output in self._outputs:
            if output.path is not None:
                try:
                    self._files[output.path] = AtomicFile(output.path)
                except OSError as error:
                    self.__exit__()
                    raise _unwritable(output.path, error) from error
        return self

    def __exit__(self, *exc: object) -> None:
        for file in self._files.values():
            file.discard()

    def write(self, report: Report, color: ColorWhen, shown: Style) -> None:
        """Write every output; ``shown`` says what of the report. Raises InvalidInput for a file that cannot be written."""
        here = repository(os.environ, Path.cwd())
        always = color is ColorWhen.ALWAYS
        plain = replace(shown, color=always, width=PLAIN_WIDTH, base=here.base, root=here.root)
        for output in self._outputs:
            if output.path is None:
                style = on_stdout(color, plain)
                # When the reader stops early, the other outputs and the exit code stay the same.
                with suppress(ReaderGone):
                    self._render_stdout(output.format, report, style)
                    sys.stdout.flush()
                continue
            file = self._files[output.path]
            try:
                self._render(output.format, report, file.stream, plain)
                file.put_in_place()
                if output.path.is_file():  # a device or a pipe keeps nothing
                    self._notes.note(f"{output.format.name} written to {safe(str(output.path))}")
            except OSError as error:
                raise _unwritable(output.path, error) from error

    def _render_stdout(self, form: Format, report: Report, style: Style) -> None:
        if not logged(os.environ):
            self._render(form, report, sys.stdout, style)
        elif form.in_log is not None:
            lines = _Lines(sys.stdout, form.in_log)
            self._render(form, report, cast(TextIO, lines), style)
            lines.end()
        else:
            out = io.StringIO(newline="")
            self._render(form, report, out, style)
            if commands(out.getvalue()) and not _is_file(sys.stdout):
                raise InvalidInput(
                    f"-o {form.name}: a text of the report would be a command to the pipeline that reads this output,"
                    " and the format cannot say it otherwise",
                    hint=f"write it to a file: -o {form.name}=report{form.suffixes[0]}",
                )
            sys.stdout.write(out.getvalue())

    def _render(self, form: Format, report: Report, out: TextIO, style: Style) -> None:
        summarise = summary_of(form)
        try:
            form.render(report, out, style)
        except ReaderGone:
            # The reader of the log has gone. The summary goes elsewhere, and is still written.
            if summarise is not None:
                summarise(report, style, io.StringIO(), self._elsewhere(), self._notes)
            raise
        if summarise is not None:
            summarise(report, style, out, self._elsewhere(), self._notes)

    def _elsewhere(self) -> str:
        """Where all results are when a summary leaves some out."""
        whole = [str(output.path) for output in self._outputs if output.path and output.format.every_line]
        return f"in {', '.join(whole)}" if whole else "in the report in another format, as by -o json=FILE"


def on_stdout(color: ColorWhen, plain: Style) -> Style:
    """The style of standard output, which is set up for it here, when files have the style ``plain``."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(newline="")  # CSV writes its own line ends
    terminal = sys.stdout.isatty()
    width = shutil.get_terminal_size().columns if terminal or os.environ.get("COLUMNS") else PLAIN_WIDTH
    return replace(plain, color=wants_color(color, terminal), width=width, terminal=terminal)


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
