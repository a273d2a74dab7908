"""GitLab: a Code Quality report, which merge requests show line by line.

By GitLab's "Code Quality report format": a JSON array. It knows neither suppressions nor errors of the tool, so what is
exempt is left out, and a gap is a finding of its own.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from typing import Any, Final, TextIO

from aksp import runners
from aksp.compliance.fingerprints import LENGTH
from aksp.model.compliance import ComplianceState, Gap, Report
from aksp.report.interface import Format, Style
from aksp.report.pipeline.repository import Place, gap_place, place_of
from aksp.report.pipeline.unique_findings import also_at, gap_text, other_gaps, unique_findings
from aksp.report.text import safe

# GitLab's worst is "blocker"; "critical" is one below.
_SEVERITIES: Final = {"critical": "blocker", "high": "critical", "medium": "major", "low": "minor"}
_GAP_SEVERITY: Final = "major"
_ENCODE: Final = json.JSONEncoder(ensure_ascii=False).encode


def render_gitlab(report: Report, out: TextIO, style: Style) -> None:
    """Write the array, a line per finding. All text in it is safe to print."""
    before = "[\n  "
    for issue in _issues(report, style):
        out.write(before + _ENCODE(issue))
        before = ",\n  "
    out.write("[]\n" if before.startswith("[") else "\n]\n")


def _issues(report: Report, style: Style) -> Iterator[dict[str, Any]]:
    for gap in other_gaps(report):
        place = gap_place(gap, report.target, style)
        yield _issue(gap_text(gap), f"gap-{gap.reason}", _gap_fingerprint(gap), _GAP_SEVERITY, place)
    for one in unique_findings(report.results):
        if one.first.state is not ComplianceState.EXEMPT:
            key, place, also = one.first.assignment, place_of(one.first, report.target, style), also_at(one, style)
            text = f"{safe(key.name)}: {one.text}{also and f'.{also}'}"
            yield _issue(text, key.definition, one.fingerprint, _SEVERITIES.get(key.severity.lower(), "info"), place)


def _issue(description: str, check: str, fingerprint: str, severity: str, place: Place) -> dict[str, Any]:
    return {
        "description": description,
        "check_name": safe(check),
        "fingerprint": fingerprint,
        "severity": severity,
        "location": {"path": safe(place.path), "lines": {"begin": place.line}},
    }


def _gap_fingerprint(gap: Gap) -> str:
    # Where there are several clusters theirs is added at the end: fingerprints of a single cluster stay the same.
    text = json.dumps([gap.reason, str(gap.resource or ""), gap.message, *([gap.cluster] if gap.cluster else [])])
    return hashlib.sha256(text.encode()).hexdigest()[:LENGTH]


FORMAT = Format(
    name="gitlab",
    description="Code Quality report for GitLab's merge requests",
    render=render_gitlab,
    suffixes=(".json",),
    in_log=runners.in_json,
)
