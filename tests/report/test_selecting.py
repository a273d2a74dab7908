"""Violations that are chosen, and the entries that cover them."""

from __future__ import annotations

from fnmatch import fnmatchcase

from hypothesis import given
from hypothesis import strategies as st

from aksp.compliance.exemptions import covers
from aksp.model.assignment import Exemption, ExemptionCategory
from aksp.model.compliance import AssignmentKey, ComplianceState, Finding, Result, SharedResult
from aksp.model.resource import Container, Document, Owner, Resource
from aksp.model.scope import EVERYWHERE
from aksp.report.selecting import entries, selection

NAMES = st.sampled_from(["web", "web-1", "w*b", "[web]", "db"])
CONTAINERS = st.none() | st.builds(
    Container,
    name=st.sampled_from(["web", "proxy", "*"]),
    type=st.just("containers"),
    image=st.sampled_from(["a:1", "b"]),
)
RESULTS = st.builds(
    lambda assignment, state, container, owner, namespace, name: SharedResult(
        assignment=AssignmentKey(assignment=assignment, definition=f"of-{assignment}", effect="Audit", severity="high"),
        state=state,
        finding=Finding(message="bad", container=container),
        owner=owner,
    ).of(Resource(api_version="v1", kind="Pod", namespace=namespace, name=name)),
    assignment=st.sampled_from(["one", "two"]),
    state=st.sampled_from([ComplianceState.NON_COMPLIANT, ComplianceState.NON_COMPLIANT, ComplianceState.ERROR]),
    container=CONTAINERS,
    owner=st.none() | st.builds(Owner, kind=st.just("Deployment"), name=NAMES),
    namespace=st.sampled_from(["shop", "other"]),
    name=NAMES,
)


def waived(one: Result, result_of: dict[str, Exemption]) -> bool:
    exemption = result_of.get(one.assignment.name)
    document = Document(resource=one.resource, owner=one.owner)
    return exemption is not None and covers(exemption, document, one.finding.container, EVERYWHERE)


@given(
    st.lists(RESULTS, max_size=8),
    st.sampled_from(
        ["namespace=shop", "name=web*", "container=web", "assignment=two,namespace=*", "image=a:1,image=b"]
    ),
)
def test_the_entries_cover_what_is_chosen_and_no_other_workload(results: list[Result], chosen: str) -> None:
    patterns = selection([chosen])
    made = {
        name: Exemption(name=name, assignment=name, category=ExemptionCategory.WAIVER, resources=tuple(found))
        for name, found in entries(results, patterns).items()
    }

    def subject(one: Result) -> tuple[str, str, str, str]:
        kind, name = (one.owner.kind, one.owner.name) if one.owner else (one.resource.kind, one.resource.name)
        return one.assignment.name, one.resource.namespace, kind, name

    def is_chosen(one: Result) -> bool:
        assignment, namespace, _, name = subject(one)
        container = one.finding.container or Container(name="", type="")
        values = {
            "assignment": assignment, "namespace": namespace, "name": name, "container": container.name,
            "image": container.image,
        }  # fmt: skip
        return one.state is ComplianceState.NON_COMPLIANT and all(
            any(fnmatchcase(values[field], pattern) for pattern in some) for field, some in patterns.items()
        )

    subjects = {subject(one) for one in results if is_chosen(one)}
    # The Pod that an entry names may be one of a workload of another name.
    pods = {(assignment, namespace, name) for assignment, namespace, kind, name in subjects if kind == "Pod"}
    for one in results:
        if is_chosen(one):
            assert waived(one, made)
        elif (
            subject(one) not in subjects
            and (one.assignment.name, one.resource.namespace, one.resource.name) not in pods
        ):
            assert not waived(one, made)
