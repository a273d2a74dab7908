"""A finding of many replicas is one, and says of how many."""

from __future__ import annotations

from aksp.model.compliance import ComplianceState, Result
from aksp.model.resource import Owner
from aksp.report.parse import NamedExemption
from aksp.report.pipeline.unique_findings import MOST_LISTED, other_gaps, unique_findings, waiver
from tests.replacing import replace
from tests.results import changed

from .scenarios import LEGACY, MESH, SCENARIOS, many, pod

S = ComplianceState


def replicas(*states: S) -> list[Result]:
    """Pods of one Deployment with the same finding, in these states."""
    first = SCENARIOS["violations"]().results[-2]
    return [
        changed(first, state=state, resource=pod("shop", f"web-{at:04}"), exemption=MESH if state is S.EXEMPT else None)
        for at, state in enumerate(states)
    ]


def test_replicas_of_a_workload_are_one_with_their_number() -> None:
    (one,) = unique_findings(replicas(*[S.NON_COMPLIANT] * 3))
    assert (one.count, len(one.resources)) == (3, 3)
    assert one.text == "Deployment shop/web, init container migrate: no memory limit is set (3 pods)"


def test_more_replicas_than_can_be_listed_are_counted() -> None:
    (one,) = unique_findings(replicas(*[S.NON_COMPLIANT] * (MOST_LISTED + 2)))
    assert (one.count, len(one.resources)) == (MOST_LISTED + 2, MOST_LISTED)


def test_the_most_serious_state_stands_for_replicas_that_differ() -> None:
    for states in (
        (S.EXEMPT, S.NON_COMPLIANT, S.EXEMPT),
        (S.NON_COMPLIANT, S.EXEMPT, S.EXEMPT),
        (S.EXEMPT, S.EXEMPT, S.NON_COMPLIANT),
    ):
        (one,) = unique_findings(replicas(*states))
        assert (one.first.state, one.count, one.exempt, len(one.resources)) == (S.NON_COMPLIANT, 1, 2, 1)
        assert one.text.endswith("no memory limit is set (2 more are exempt)")


def test_what_complies_or_was_not_judged_is_none() -> None:
    assert not unique_findings(replicas(S.COMPLIANT, S.UNKNOWN, S.NOT_STARTED))


def test_errors_and_conflicts_say_so() -> None:
    (error,) = unique_findings(replicas(S.ERROR))
    (conflict,) = unique_findings(replicas(S.CONFLICTING))
    assert ": could not be judged: no memory limit" in error.text
    assert ": in conflict: no memory limit" in conflict.text


def test_workloads_are_apart_however_many_they_are() -> None:
    found = unique_findings(many().results)
    assert sum(one.count for one in found) == 10_000
    assert len(found) == len({one.fingerprint for one in found}) == 6_000


def test_a_pod_without_a_workload_is_named_itself() -> None:
    lone = changed(replicas(S.NON_COMPLIANT)[0], owner=None, resource=pod("", "lone"))
    (one,) = unique_findings([lone])
    assert one.text.startswith("Pod lone, init container migrate:")
    (owned,) = unique_findings([changed(lone, owner=Owner(kind="Job", name="nightly"))])
    assert owned.text.startswith("Job nightly,")


def test_a_gap_that_a_result_tells_is_not_told_twice() -> None:
    report = SCENARIOS["gaps"]()
    assert [gap.reason for gap in other_gaps(report)] == ["Forbidden"]
    assert [gap.reason for gap in other_gaps(replace(report, results=()))] == ["Forbidden", "PolicyError"]


def test_a_waiver_tells_category_end_and_reason_where_they_are_known() -> None:
    assert waiver(LEGACY) == (
        "legacy-billing: Waiver, until 2026-12-31, requested by jane@contoso.com "
        "(Vendor image: Replaced by our own build in the fourth quarter)"
    )
    assert waiver(MESH).startswith("mesh-agents: Mitigated, no end date, requested by platform team (")
    named = NamedExemption(name="old\n", assignment="", category=LEGACY.category)
    assert waiver(named) == "old "
