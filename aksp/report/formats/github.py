"""GitHub: workflow commands for a job's log, which make annotations of findings.

By GitHub's "Workflow commands for GitHub Actions". A step shows ten errors, ten warnings and ten notices; what comes
after them is dropped without a word.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, TextIO

from aksp import runners
from aksp.model.compliance import Report
from aksp.report.figures import plural
from aksp.report.interface import Format, Style
from aksp.report.pipeline.annotations import Annotation, annotate, gist
from aksp.report.pipeline.repository import PlaceKind
from aksp.report.text import safe

#: Annotations of one kind that GitHub shows of a step.
MOST_SHOWN: Final = 10

# As the runner takes them back (actions/runner: ActionCommand).
_MESSAGE: Final = str.maketrans({"%": "%25", "\r": "%0D", "\n": "%0A"})
_PROPERTY: Final = _MESSAGE | str.maketrans({":": "%3A", ",": "%2C"})


def render_github(report: Report, out: TextIO, style: Style) -> None:
    """Write a line per annotation, a notice of how many are not shown, and the gist."""
    found = annotate(report)
    if report.target.filters:
        only = f"only {' '.join(report.target.filters)}: what this leaves out has no state"
        out.write(command("notice", safe(only), {"title": "aksp"}))
    for level, some in found.items():
        for annotation in some[:MOST_SHOWN]:
            out.write(_command(level, annotation, style))
    if more := _more(found):
        out.write(command("notice", more, {"title": "aksp"}))
    out.write(f"{gist(report)}\n")


def command(name: str, message: str, properties: Mapping[str, str]) -> str:
    """One workflow command, as a line."""
    given = ",".join(f"{key}={value.translate(_PROPERTY)}" for key, value in properties.items())
    return f"::{name} {given}::{message.translate(_MESSAGE)}\n"


def _command(level: str, annotation: Annotation, style: Style) -> str:
    place = annotation.place(style)
    title = {"title": annotation.title}
    if place is None:
        return command(level, annotation.told(style), title)
    if place.origin is not PlaceKind.REPOSITORY:
        return command(level, annotation.told_at(place, style), title)
    found = {"file": safe(place.path), "line": str(place.line), "endLine": str(place.line)}
    if place.columns:
        start, end = place.columns
        found |= {"col": str(start), "endColumn": str(max(start, end - 1))}
    return command(level, annotation.told(style), found | title)


def _more(found: Mapping[str, Sequence[Annotation]]) -> str:
    """How many are left out, of what is more than GitHub shows."""
    counts = {level: len(some) - MOST_SHOWN for level, some in found.items()}
    left_out = " and ".join(plural(count, f"more {level}") for level, count in counts.items() if count > 0)
    if not left_out:
        return ""
    return (
        f"{left_out} not shown here: GitHub shows {MOST_SHOWN} of each for a step. "
        "The job's summary has them, and so has the report in any other format, such as -o json=FILE."
    )


FORMAT = Format(
    name="github",
    description="annotations for GitHub Actions, and the Markdown report as the job's summary",
    render=render_github,
    every_line=False,
    suffixes=(".txt",),
    in_log=runners.in_github,
)
