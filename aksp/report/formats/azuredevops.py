"""Azure DevOps: logging commands for a pipeline's log, which make issues of findings.

By Microsoft's "Logging commands"; escaped as azure-pipelines-task-lib does (taskcommand.ts). The agent shows the first
ten errors and the first ten warnings of a task on the run's page, and counts the rest; all are in the log.
"""

from __future__ import annotations

from typing import Final, TextIO

from aksp import runners
from aksp.model.compliance import Report
from aksp.report.interface import Format, Style
from aksp.report.pipeline.annotations import Annotation, annotate, gist
from aksp.report.pipeline.repository import PlaceKind
from aksp.report.text import safe

_MESSAGE: Final = str.maketrans({"%": "%AZP25", "\r": "%0D", "\n": "%0A"})
_PROPERTY: Final = _MESSAGE | str.maketrans({"]": "%5D", ";": "%3B"})


def render_azure_devops(report: Report, out: TextIO, style: Style) -> None:
    """Write a line per issue, the most severe first, and the gist."""
    for level, some in annotate(report).items():
        for annotation in some:
            out.write(_issue(level, annotation, style))
    out.write(f"{gist(report)}\n")


def upload_summary(path: str) -> str:
    """The command that shows a Markdown file on the run's page. The path must be absolute."""
    return f"##vso[task.uploadsummary]{path.translate(_MESSAGE)}\n"


def _issue(level: str, annotation: Annotation, style: Style) -> str:
    properties = {"type": level}
    message = annotation.told(style)
    place = annotation.place(style)
    if place is not None and place.origin is PlaceKind.STDIN:
        message = annotation.told_at(place, style)
    elif place is not None:
        properties |= {"sourcepath": safe(place.path), "linenumber": str(place.line)}
        if place.columns:
            properties["columnnumber"] = str(place.columns[0])
    properties["code"] = annotation.code
    given = "".join(f"{key}={value.translate(_PROPERTY)};" for key, value in properties.items())
    return f"##vso[task.logissue {given}]{f'{annotation.title}: {message}'.translate(_MESSAGE)}\n"


FORMAT = Format(
    name="azuredevops",
    description="issues for Azure Pipelines, and the Markdown report on the run's page",
    render=render_azure_devops,
    suffixes=(".txt",),
    in_log=runners.in_azure,
)
