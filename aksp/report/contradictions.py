"""Whether a report that is read back agrees with itself: a damaged one must not pass for one of what complies."""

from __future__ import annotations

from collections.abc import Sequence

from aksp.compliance.rollup import percentage, state_of, together
from aksp.errors import InvalidInput
from aksp.model.compliance import AssignmentSummary, ComplianceState, Counts, Measured, Report
from aksp.report.figures import one_decimal, total

_NON_COMPLIANT = ComplianceState.NON_COMPLIANT


def refuse_contradictions(report: Report) -> None:
    """Raise InvalidInput for states, percentages and counts that do not belong together, naming the field."""
    _assignments("", report, report.assignments)
    for at, cluster in enumerate(report.clusters):
        _assignments(f"clusters[{at}].", cluster, cluster.assignments)
    for at, scope in enumerate(report.scopes):
        _measured(f"scopes[{at}].", scope)
    if report.clusters:
        _parts("", report.counts, report.clusters, "clusters")


def _assignments(place: str, whole: Measured | Report, lines: Sequence[AssignmentSummary]) -> None:
    _measured(place, whole)
    _parts(place, whole.counts, lines, "assignments")
    for at, line in enumerate(lines):
        here = f"{place}assignments[{at}]."
        _measured(here, line)
        for number, group in enumerate(line.groups):
            _measured(f"{here}groups[{number}].", group)
        if not line.members:
            continue
        _parts(here, line.counts, line.members, "members")
        for number, member in enumerate(line.members):
            _measured(f"{here}members[{number}].", member)


def _measured(place: str, one: Measured | Report) -> None:
    """The state and the percentage follow from the counts; without a percentage, not all was judged, or nothing was."""
    counts, state, percent = one.counts.resources, one.state, one.compliance_percent
    counted = one_decimal(percentage(counts))
    if percent is not None and one_decimal(percent) != counted:
        raise InvalidInput(
            f"{place}compliancePercent: {percent} contradicts {place}counts.resources, "
            + ("which has nothing that was judged" if counted is None else f"which makes it {counted}")
        )
    # Of what is not judged whole, no more is told than that something does not comply.
    right = state_of(counts) if percent is not None else together(counts, whole=False)[0]
    if state is not right and not (state is ComplianceState.NOT_STARTED and counted is None):
        raise InvalidInput(
            f"{place}state: {state} contradicts {place}counts.resources, which makes it {right}"
            + (" where there is no compliancePercent" if percent is None else "")
        )


def _parts(place: str, whole: Counts, parts: Sequence[Measured], what: str) -> None:
    """What is counted once of a whole is in one of its parts at least: none has more, and together they have no less."""
    for words, count in (
        ("that do not comply", lambda one: one.resources[_NON_COMPLIANT]),
        ("that were judged", lambda one: total(one.resources)),
    ):
        found, each = count(whole), [count(one.counts) for one in parts]
        if not max(each, default=0) <= found <= sum(each):
            raise InvalidInput(
                f"{place}counts.resources: {found} {words} contradict those of {place}{what}, "
                f"which are {max(each, default=0)} at least and {sum(each)} at most"
            )
