"""What a scan shows: assignments that match nothing there, and exemptions that waive nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from aksp.compliance.exemptions import unneeded
from aksp.compliance.nothing import idle
from aksp.compliance.plan import Plan
from aksp.lint.exempting import COVERS_NOTHING
from aksp.lint.finding import LintFinding, Severity, found_in
from aksp.model.assignment import Assignment
from aksp.model.compliance import Report

MATCHES_NOTHING = "matches-nothing"


def matched_nothing(plan: Plan, report: Report, assignments: Mapping[str, Assignment]) -> Iterator[LintFinding]:
    """The assignments and members that judged no object, and the exemptions that no finding needed.

    None where there are gaps: what could not be judged may match.
    """
    if report.gaps:
        return
    judged = {line.name for line in report.judged if any(line.counts.resources.values())}
    for one in plan.ready:
        if one.key.name not in judged and not one.not_started:
            yield found_in(
                assignments[one.assignment.name],
                MATCHES_NOTHING,
                Severity.WARNING,
                f"assignment {one.key.name} {idle(one)} in {report.target.name}",
                next=f"`aksp explain {one.assignment.name}` says what it selects",
                field="spec",
            )
    here = (each for one in plan.ready if not one.not_started for each in one.exemptions)
    for exemption in unneeded((one for one in here if one.scope.meets(plan.target)), report.results):
        yield found_in(
            exemption,
            COVERS_NOTHING,
            Severity.WARNING,
            f"exemption {exemption.name} waives nothing in {report.target.name}: what it covers complies, or is not there",
            next="delete it where it is not needed any more: aksp exemptions delete " + exemption.name,
            field="spec",
        )
