"""Summaries: the Markdown report on a pipeline's page, beside the lines in its log."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TextIO

from aksp.cli.progress import Notes
from aksp.errors import InvalidInput
from aksp.model.compliance import Report
from aksp.report.interface import Format, Style
from aksp.store.files import write_beside

#: Writes one: the report, its style, the log, where all results are, and what to tell the user.
Summarise = Callable[[Report, Style, TextIO, str, Notes], None]


def summary_of(form: Format) -> Summarise | None:
    """How a format's pipeline takes a summary; None where it takes none."""
    return _SUMMARIES.get(form.name)


def _github(report: Report, style: Style, log: TextIO, elsewhere: str, notes: Notes) -> None:
    """Add to the file that GitHub names. Steps before may have written to it: nothing of theirs is lost."""
    name = os.environ.get("GITHUB_STEP_SUMMARY")
    if not name:
        return
    from aksp.report.pipeline.shortened import LIMIT_BYTES, job_summary

    try:
        with open(name, "ab") as stream:
            before = b"\n" if stream.tell() else b""
            room = LIMIT_BYTES - stream.tell() - len(before)
            text = job_summary(report, style, room=room, elsewhere=elsewhere)
            if text is None:
                notes.note(f"{name} is full: the report is not added to the job's summary")
            else:
                stream.write(before + text.encode())
    except (OSError, ValueError) as error:
        notes.note(f"the job's summary cannot be written: {name}: {getattr(error, 'strerror', None) or error}")


def _azure_devops(report: Report, style: Style, log: TextIO, elsewhere: str, notes: Notes) -> None:
    """Write a file of its own, and the command that shows it. The agent reads it later, so it stays."""
    from aksp.report.formats.azuredevops import upload_summary
    from aksp.report.pipeline.shortened import LIMIT_BYTES, job_summary

    text = job_summary(report, style, room=LIMIT_BYTES, elsewhere=elsewhere)
    if text is None:
        notes.note("the report is too long for a summary of the run")
        return
    # The agent empties its temporary folder after the job.
    folder = Path(os.environ.get("AGENT_TEMPDIRECTORY") or tempfile.gettempdir()).absolute()
    path = folder / f"aksp-{os.urandom(6).hex()}.md"
    try:
        if not folder.is_dir():
            raise InvalidInput("there is no such folder", where=str(folder))
        write_beside(path, text)
    except InvalidInput as error:
        notes.note(f"the run's summary cannot be written: {error}")
        return
    log.write(upload_summary(str(path)))


_SUMMARIES: Mapping[str, Summarise] = {"github": _github, "azuredevops": _azure_devops}
