"""What is new, what is gone, and what a baseline knows."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aksp.compliance.changes import compare, new_results, remembered
from aksp.compliance.fingerprints import fingerprints
from aksp.model.compliance import AssignmentKey, ComplianceState, Finding, Result, StoredFinding
from aksp.model.resource import Container, Owner, Resource
from tests.results import a_result, changed

S = ComplianceState
KEY = AssignmentKey(assignment="images", definition="allowed-images", effect="Deny", severity="high")
WEB = Owner(kind="Deployment", name="web")
THEN = datetime(2026, 9, 1, tzinfo=UTC)


def found(name: str, state: S = S.NON_COMPLIANT, path: str = "spec.containers[0].image") -> Result:
    return a_result(
        assignment=KEY,
        state=state,
        resource=Resource(api_version="v1", kind="Pod", namespace="shop", name=name),
        finding=Finding(message="not allowed", container=Container(name="web", type="containers"), path=path),
        owner=WEB,
    )


def only(*results: Result) -> StoredFinding:
    (one,) = remembered(results).values()
    return one


def keyed(*results: Result) -> Mapping[str, StoredFinding]:
    return remembered(results)


def words(before: Mapping[str, StoredFinding], now: Mapping[str, StoredFinding]) -> list[tuple[S | None, S | None]]:
    changes = compare(before, now, since=THEN, percent_before=50.0, judged={"images"}, hidden=False)
    return [(one.before, one.after) for one in changes.findings]


def test_replicas_are_remembered_as_their_workload() -> None:
    one = only(found("web-1"), found("web-2"))
    assert (one.namespace, one.kind, one.name, one.container, one.path) == ("shop", "Deployment", "web", "web", "image")


def test_of_replicas_that_differ_the_first_in_azures_precedence_counts() -> None:
    assert only(found("web-1", S.EXEMPT), found("web-2")).state is S.NON_COMPLIANT
    assert only(found("web-1"), found("web-2", S.EXEMPT)).state is S.NON_COMPLIANT
    assert only(found("web-1", S.EXEMPT), found("web-2", S.ERROR)).state is S.ERROR


def test_what_complies_is_not_remembered() -> None:
    assert remembered([found("web-1", S.COMPLIANT)]) == {}


@pytest.mark.parametrize(
    ("before", "now", "change"),
    [
        ([], [found("a")], [(None, S.NON_COMPLIANT)]),
        ([found("a")], [], [(S.NON_COMPLIANT, None)]),
        ([found("a")], [found("b")], []),
        ([found("a")], [found("a", S.EXEMPT)], [(S.NON_COMPLIANT, S.EXEMPT)]),
        (
            [found("a")],
            [found("a", path="spec.containers[0].ports[0].hostPort")],
            [(S.NON_COMPLIANT, None), (None, S.NON_COMPLIANT)],
        ),
    ],
    ids=["new", "gone", "another replica", "exempt", "another field"],
)
def test_changes_are_told_by_workload(
    before: list[Result], now: list[Result], change: list[tuple[S | None, S | None]]
) -> None:
    assert words(keyed(*before), keyed(*now)) == change


def test_new_results_leave_out_just_the_violations_that_are_known() -> None:
    known, new = found("a"), found("a", path="spec.containers[0].ports[0].hostPort")
    error = changed(found("a", S.ERROR), finding=Finding(message="failed"))
    (fingerprint,) = (text for _, text in fingerprints([known]))
    assert new_results([known, new, error], {fingerprint}) == [new, error]


def test_what_went_is_resolved_only_where_its_assignment_has_judged_something_since() -> None:
    before = keyed(found("web-1"))
    for judged, resolved in (({"images"}, True), ({"other"}, False)):
        (one,) = compare(before, {}, since=THEN, percent_before=None, judged=judged, hidden=False).findings
        assert (one.before, one.after, one.judged) == (S.NON_COMPLIANT, None, resolved)


STATES = st.dictionaries(st.sampled_from("abcde"), st.sampled_from([S.NON_COMPLIANT, S.EXEMPT, S.ERROR]))


def findings(states: Mapping[str, S]) -> dict[str, StoredFinding]:
    return {
        key: StoredFinding(
            fingerprint=key, state=state, assignment="a", namespace="", kind="Pod", name=key, container="", path="",
            message="",
        )
        for key, state in states.items()
    }  # fmt: skip


@given(STATES, STATES)
def test_the_changes_lead_from_the_one_to_the_other_and_back(before: dict[str, S], after: dict[str, S]) -> None:
    def changes(one: dict[str, S], other: dict[str, S]) -> dict[str, tuple[S | None, S | None]]:
        made = compare(findings(one), findings(other), since=THEN, percent_before=None, judged={"a"}, hidden=False)
        return {each.finding.name: (each.before, each.after) for each in made.findings}

    there = changes(before, after)
    made = {**before, **{key: to for key, (_, to) in there.items() if to}}
    assert {key: state for key, state in made.items() if there.get(key, (None, state))[1]} == after
    assert changes(after, before) == {key: (to, of) for key, (of, to) in there.items()}
    assert changes(before, before) == {}
