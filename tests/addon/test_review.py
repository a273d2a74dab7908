"""From what was found to the answer: who is refused, who is warned, and in which words."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest

from aksp.addon.review import review, wording
from aksp.addon.review.decision import Outcome, ReviewRequest
from aksp.compliance.judgement import Fault, Task
from aksp.compliance.plan import Plan
from aksp.model.assignment import EnforcementMode, ExemptedResource, Exemption, ExemptionCategory
from aksp.model.compliance import Finding
from aksp.model.resource import Document, Owner
from tests.compliance import builders as make

BAD = make.container("web", "docker.io/nginx:1")


def finding(message: str = "the image is wrong", **more: Any) -> Finding:
    return Finding(
        message=message,
        **{"container": BAD, "path": "spec.containers[0].image", "observed": BAD.image, "expected": "ours", **more},
    )


def asked(document: Document, **more: Any) -> ReviewRequest:
    return ReviewRequest(**{"uid": "1", "operation": "CREATE", "user": "ada", "resource": document.resource, **more})


def answer(
    plan: Plan,
    documents: Sequence[Document],
    found: dict[tuple[int, int], list[Finding]],
    *,
    faults: Sequence[Fault] = (),
    old: Sequence[int] = (),
    unready: dict[str, str] | None = None,
    fail_closed: bool = False,
    **request: Any,
) -> Outcome:
    """The answer as the reviewer puts it together."""
    subject = review.subject_of(documents, old)
    results = {at: review.results_of(plan, subject, at, found, faults) for at in (*subject.new, *subject.before)}
    own, *template = (results[at] for at in subject.new)
    before = [result for at in subject.before for result in results[at]]
    return review.decide(
        asked(documents[0], **request),
        plan,
        own=own,
        template=template[0] if template else (),
        before={review.identity(r.assignment.name, r.finding) for r in before},
        unready=unready,
        fail_closed=fail_closed,
    )


def with_effect(effect: str, **more: Any) -> Plan:
    return make.plan(make.ready(parameters={"effect": effect}, **more))


@pytest.mark.parametrize("effect", ["Deny", "EnforceRegoPolicy"])
def test_a_violation_of_an_enforced_assignment_is_refused(effect: str) -> None:
    decision = answer(with_effect(effect), [make.pod("p", BAD)], {(0, 0): [finding()]})
    assert not decision.allowed
    assert [r.assignment.name for r in decision.refused_by] == ["rule"]
    assert decision.warnings == ()


def test_a_refusal_names_assignment_container_path_observed_expected_and_the_assignments_own_message() -> None:
    plan = with_effect("Deny", non_compliance_message="Push it to contoso first.")
    decision = answer(plan, [make.pod("p", BAD)], {(0, 0): [finding()]})
    assert decision.message == (
        "[rule] container web: the image is wrong"
        ' (spec.containers[0].image is "docker.io/nginx:1", expected "ours") Push it to contoso first.'
    )


@pytest.mark.parametrize("effect", ["Audit", "Warn"])
def test_audit_and_warn_admit_with_a_warning(effect: str) -> None:
    decision = answer(with_effect(effect), [make.pod("p", BAD)], {(0, 0): [finding()]})
    assert decision.allowed and decision.message == ""
    assert len(decision.warnings) == 1 and decision.warnings[0].startswith("[rule] container web: the image is wrong")
    assert len(decision.violations) == 1 and decision.refused_by == ()


@pytest.mark.parametrize(("warn", "warned"), [(None, True), (True, True), (False, False)])
def test_audit_warns_unless_the_definition_says_not_to(warn: bool | None, warned: bool) -> None:
    audit, deny = (
        make.ready(name, parameters={"effect": name}, of=make.definition(name, warn=warn)) for name in ("Audit", "Deny")
    )
    decision = answer(make.plan(audit), [make.pod("p", BAD)], {(0, 0): [finding()]})

    assert decision.allowed and bool(decision.warnings) is warned and len(decision.violations) == 1
    assert not answer(make.plan(deny), [make.pod("p", BAD)], {(0, 0): [finding()]}).allowed


@pytest.mark.parametrize("fail_closed", [True, False])
def test_a_pod_of_a_namespace_that_is_not_known_is_said_not_to_be_judged(fail_closed: bool) -> None:
    rule = make.definition(namespace_selector={"matchLabels": {"env": "prod"}})
    plan = make.plan(make.ready(parameters={"effect": "Deny"}, of=rule))
    decision = answer(plan, [make.pod("p", BAD)], {(0, 0): [finding()]}, fail_closed=fail_closed)

    assert decision.allowed is not fail_closed and decision.violations == ()
    assert "the labels of the Namespace shop are not known" in (decision.message or decision.warnings[0])


def test_do_not_enforce_neither_refuses_nor_warns_but_counts() -> None:
    plan = with_effect("Deny", enforcement_mode=EnforcementMode.DO_NOT_ENFORCE)
    decision = answer(plan, [make.pod("p", BAD)], {(0, 0): [finding()]})
    assert decision.allowed and decision.warnings == () and len(decision.violations) == 1


def test_what_complies_is_admitted_without_a_word() -> None:
    decision = answer(with_effect("Deny"), [make.pod("p")], {})
    assert decision.allowed and decision.warnings == () and decision.violations == ()


@pytest.mark.parametrize(("end", "allowed"), [(timedelta(days=1), True), (timedelta(days=-1), False)])
def test_an_exemption_counts_until_its_end(end: timedelta, allowed: bool) -> None:
    exemption = Exemption(
        name="e",
        assignment="rule",
        category=ExemptionCategory.WAIVER,
        expires_on=make.NOW + end,
        resources=(ExemptedResource(kind="Deployment", name="web"),),
    )
    pod = make.pod("p", BAD, owner=Owner(kind="Deployment", name="web"))
    decision = answer(with_effect("Deny", exemptions=[exemption]), [pod], {(0, 0): [finding()]})
    assert decision.allowed is allowed


def test_a_change_that_leaves_an_old_violation_is_admitted_with_a_warning() -> None:
    pod = make.pod("p", BAD)
    # The container has moved within the list meanwhile.
    found = {(0, 0): [finding(path="spec.containers[1].image")], (0, 1): [finding()]}
    decision = answer(with_effect("Deny"), [pod, pod], found, old=[1], operation="UPDATE")
    assert decision.allowed
    assert decision.warnings[0].startswith("not refused, as it was so before: [rule]")


def test_a_change_that_brings_a_new_violation_is_refused_for_that_one_alone() -> None:
    worse = finding("another image is wrong", observed="docker.io/other:1")
    pod = make.pod("p", BAD)
    decision = answer(
        with_effect("Deny"), [pod, pod], {(0, 0): [finding(), worse], (0, 1): [finding()]}, old=[1], operation="UPDATE"
    )
    assert not decision.allowed
    assert [r.finding.message for r in decision.refused_by] == ["another image is wrong"]


def test_the_same_fault_in_a_container_that_is_new_is_refused() -> None:
    debugger = make.container("debugger", BAD.image, "ephemeralContainers")
    before, after = make.pod("p", BAD), make.pod("p", BAD, debugger)
    found = {(0, 0): [finding(), finding(container=debugger)], (0, 1): [finding()]}
    decision = answer(with_effect("Deny"), [after, before], found, old=[1], operation="UPDATE")
    assert [r.finding.container for r in decision.refused_by] == [debugger]


def test_a_workload_is_admitted_with_a_warning_that_its_pods_will_be_refused() -> None:
    decision = answer(with_effect("Deny"), list(make.deployment("web", BAD)), {(0, 1): [finding()]})
    assert decision.allowed and decision.refused_by == ()
    assert decision.warnings[0].startswith("this Deployment's Pods will be refused: [rule] container web")


def test_a_workload_that_another_workload_made_is_not_judged_by_its_template() -> None:
    itself, made = make.deployment("web-5d9c", BAD)
    itself = make.thing("apps/v1", "ReplicaSet", "web-5d9c", owner=Owner(kind="Deployment", name="web"))
    subject = review.subject_of([itself, made], ())
    assert subject.derived
    for source in (None, "Original", "All"):
        of = make.definition(source=source)
        assert review.tasks_for(with_effect("Deny", of=of), subject)[0].documents == []
    # Its Pods are never judged by an assignment that looks at templates alone.
    assert review.tasks_for(with_effect("Deny", of=make.definition(source="Generated")), subject)[0].documents == [1]


@pytest.mark.parametrize(("source", "refused", "pods_refused"),
                         [("Original", False, True), ("All", True, True), ("Generated", True, False)])  # fmt: skip
def test_source_says_whether_the_workload_or_its_pods_are_refused(
    source: str, refused: bool, pods_refused: bool
) -> None:
    plan = with_effect("Deny", of=make.definition(source=source))
    workload = answer(plan, list(make.deployment("web", BAD)), {(0, 1): [finding()]})
    subject = review.subject_of([make.pod("p", BAD)], ())

    assert workload.allowed is not refused and bool(workload.warnings) is not refused
    assert bool(workload.refused_by) is refused
    assert (review.tasks_for(plan, subject)[0].documents == [0]) is pods_refused


@pytest.mark.parametrize("source", ["All", "Generated"])
def test_a_workload_whose_pods_violated_before_may_still_be_changed(source: str) -> None:
    plan = with_effect("Deny", of=make.definition(source=source))
    documents = [*make.deployment("web", BAD), *make.deployment("web", BAD)]
    subject = review.subject_of(documents, [2, 3])
    decision = answer(plan, documents, {(0, 1): [finding()], (0, 3): [finding()]}, old=[2, 3])

    assert review.tasks_for(plan, subject)[0].documents == [1, 3]
    assert decision.allowed and decision.warnings[0].startswith("not refused, as it was so before")


def test_a_rule_about_workloads_themselves_refuses_them() -> None:
    rule = make.definition(kinds=[make.DEPLOYMENT])
    plan = make.plan(make.ready(of=rule, parameters={"effect": "Deny"}))
    decision = answer(plan, list(make.deployment("web", BAD)), {(0, 0): [finding(container=None)]})
    assert not decision.allowed


def test_an_assignment_in_error_warns_and_with_fail_closed_refuses() -> None:
    fault = Fault(task=0, document=0, message="it ran out of time")
    arguments: Any = (with_effect("Deny"), [make.pod("p")], {})
    opened = answer(*arguments, faults=[fault])
    assert opened.allowed and opened.warnings == ("[rule] could not be judged: it ran out of time",)
    closed = answer(*arguments, faults=[fault], fail_closed=True)
    assert not closed.allowed and closed.message == "[rule] could not be judged: it ran out of time"
    audited = answer(with_effect("Audit"), *arguments[1:], faults=[fault], fail_closed=True)
    assert audited.allowed and audited.errors == (("rule", "it ran out of time"),)


def test_an_assignment_that_cannot_be_asked_says_so() -> None:
    decision = answer(with_effect("Deny"), [make.pod("p")], {}, unready={"rule": "no list of Ingresses"})
    assert decision.warnings == ("[rule] could not be judged: no list of Ingresses",)
    assert decision.errors == (("rule", "no list of Ingresses"),)


def test_a_document_that_is_unfit_is_an_error_and_not_a_pass() -> None:
    decision = answer(with_effect("Deny"), [make.pod("p", problems=["spec is a string"])], {}, fail_closed=True)
    assert not decision.allowed and "spec is a string" in decision.message


def test_the_old_version_is_asked_only_of_assignments_that_refuse() -> None:
    plan = make.plan(
        make.ready("a", parameters={"effect": "Deny"}, of=make.definition("a")),
        make.ready("b", parameters={"effect": "Audit"}, of=make.definition("b")),
    )
    pod = make.pod()
    tasks = review.tasks_for(plan, review.subject_of([pod, pod], [1]))
    assert [(task.policy, list(task.documents)) for task in tasks] == [("a", [0, 1]), ("b", [0])]
    assert isinstance(tasks[0], Task)


def test_long_lists_of_reasons_are_counted_not_cut_silently() -> None:
    lines = [f"[rule] reason {number} " + "x" * 300 for number in range(40)]
    told = wording.refusal(lines).split("\n")
    assert sum(map(len, told)) <= wording.LONGEST_MESSAGE + 20
    assert told[-1] == f"and {40 - (len(told) - 1)} more"
    warned = wording.warnings(lines)
    assert all(len(line) <= wording.LONGEST_WARNING for line in warned)
    assert warned[-1] == f"and {40 - (len(warned) - 1)} more"


def test_text_of_the_cluster_cannot_steer_a_terminal() -> None:
    hostile = finding("\x1b[2Jgone", observed="\x1b]0;title\x07")
    decision = answer(with_effect("Deny"), [make.pod("p", BAD)], {(0, 0): [hostile]})
    assert "\x1b" not in decision.message and decision.message.isprintable()
