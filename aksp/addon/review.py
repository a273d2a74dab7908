"""From what was found in one object under review to the answer. Pure.

What an assignment does about a violation (Azure: "Understand Azure Policy effects"):
``EnforceRegoPolicy`` and ``Deny`` refuse it, ``Audit`` and ``Warn`` admit it with a warning, and with
``DoNotEnforce`` it is only reported. Two requests are not refused though the object violates:

- one that changes an object which violated in the same way before: else no controller could
  touch what was there before the assignment, not even to remove a finalizer;
- one on an object that is being deleted.

A workload is admitted as it is, with a warning when the Pods of its template would be refused:
nobody should see a deployment succeed and no Pod appear without a word.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aksp.addon import wording
from aksp.addon.decision import Outcome, ReviewRequest, Violation
from aksp.addon.refusals import refusals
from aksp.compliance import results
from aksp.compliance.judgement import Fault, Task
from aksp.compliance.plan import Plan, Ready
from aksp.model.assignment import EnforcementMode
from aksp.model.compliance import ComplianceState, Finding, Result
from aksp.model.resource import Document

Found = Mapping[tuple[int, int], Sequence[Finding]]


@dataclass(frozen=True, kw_only=True, slots=True)
class Subject:
    """What one request is judged by: the object, and the Pod that it would make if it is a workload.

    ``before`` are the numbers of the same two in the object's old version.
    """

    documents: Sequence[Document]
    new: Sequence[int]
    before: Sequence[int] = ()

    @property
    def fit(self) -> bool:
        """Whether nothing is wrong with the documents themselves."""
        return not any(document.problems for document in self.documents)


def subject_of(documents: Sequence[Document], old: Collection[int]) -> Subject:
    """The documents of a review, sorted into new and old."""
    new = [at for at in range(len(documents)) if at not in old]
    # What a workload makes is no news to its own controller: a ReplicaSet's template is its Deployment's.
    new = [at for at in new if not (documents[at].template and documents[new[0]].owner is not None)]
    return Subject(documents=documents, new=new, before=sorted(old))


def tasks_for(plan: Plan, subject: Subject, only: Collection[int] | None = None) -> list[Task]:
    """The tasks: all assignments over what is new, and those that refuse over what it was before.

    With ``only``, the numbers of some assignments, the others have nothing to do.
    """
    return [
        Task(
            policy=ready.definition.slug,
            parameters=ready.values,
            documents=[
                at
                for at in (*subject.new, *(subject.before[:1] if ready.refuses else ()))
                if ready.selection.selects(subject.documents[at])
            ]
            if only is None or number in only
            else (),
        )
        for number, ready in enumerate(plan.ready)
    ]


def results_of(plan: Plan, subject: Subject, at: int, found: Found, faults: Iterable[Fault]) -> list[Result]:
    """The results of one document, by the evaluator's own core: states, exemptions, exclusions."""
    document = subject.documents[at]
    problems: dict[int, list[str]] = {}
    for fault in faults:
        if fault.document == at:
            problems.setdefault(fault.task, []).append(fault.message)
    if document.problems:
        # What is wrong with the document itself is a fault of every assignment that selects it.
        for number, ready in enumerate(plan.ready):
            if ready.selection.selects(document):
                problems.setdefault(number, []).extend(document.problems)
    mine = {number: findings for (number, one), findings in found.items() if one == at}
    made: list[Result] = []
    for number in sorted({*mine, *problems}):
        made += results.results_of(plan.ready[number], document, mine.get(number, ()), problems.get(number, ()))
    return sorted(made, key=results.order)


def refused(plan: Plan, results: Sequence[Result]) -> list[Result]:
    """The violations among results for which a request would be refused."""
    refusing = {ready.key.name for ready in plan.ready if ready.refuses}
    return [r for r in results if r.state is ComplianceState.NON_COMPLIANT and r.assignment.name in refusing]


def identity(assignment: str, finding: Finding) -> tuple[Any, ...]:
    """What makes a violation the same one before and after a change: not its place in a list."""
    return assignment, finding.message, finding.container, json.dumps(finding.observed, sort_keys=True)


def decide(
    request: ReviewRequest,
    plan: Plan,
    *,
    own: Sequence[Result],
    template: Sequence[Result] = (),
    before: Collection[tuple[Any, ...]] = (),
    unready: Mapping[str, str] | None = None,
    fail_closed: bool = False,
    words: Callable[[Result, Ready], str] = wording.violation,
) -> Outcome:
    """The answer. ``own`` are the object's results, ``template`` those of the Pod that it would make.

    ``before`` are the identities of what the old version violated already, ``unready`` the
    assignments that could not be asked, and why. With ``fail_closed`` an assignment that refuses
    and could not be judged refuses too.
    """
    by_name = {ready.key.name: ready for ready in plan.ready}
    violations = [r for r in own if r.state is ComplianceState.NON_COMPLIANT]
    errors = [(r.assignment.name, r.finding.message) for r in own if r.state is ComplianceState.ERROR]
    errors += (unready or {}).items()
    new = [] if request.deleting else refused(plan, own)
    if before:
        new = [r for r in new if identity(r.assignment.name, r.finding) not in before]
    lines = [words(r, by_name[r.assignment.name]) for r in new]
    ids = {id(r) for r in new}
    notes = [
        _warning(words(r, by_name[r.assignment.name]), by_name[r.assignment.name])
        for r in violations
        if id(r) not in ids and _told(by_name[r.assignment.name]) and not request.deleting
    ]
    for name, message in errors:
        if fail_closed and by_name[name].refuses and not request.deleting:
            lines.append(wording.unjudged(name, message))
        else:
            notes.append(wording.unjudged(name, message))
    notes += _of_template(request, template, by_name)
    message, by = wording.refusal(lines), tuple(map(_violation, new))
    return Outcome(
        allowed=not lines,
        message=message,
        warnings=wording.warnings(notes),
        refused_by=by,
        violations=tuple(map(_violation, violations)),
        errors=tuple(errors),
        refusals=refusals(message, by, errors) if lines else (),
    )


def _violation(result: Result) -> Violation:
    return Violation(assignment=result.assignment, finding=result.finding)


def _told(ready: Ready) -> bool:
    """Whether whoever asks hears of it: DoNotEnforce is for finding out without a word."""
    return ready.assignment.enforcement_mode is EnforcementMode.DEFAULT


def _warning(line: str, ready: Ready) -> str:
    return f"not refused, as it was so before: {line}" if ready.refuses else line


def _of_template(request: ReviewRequest, template: Sequence[Result], by_name: Mapping[str, Ready]) -> list[str]:
    notes = []
    for result in template:
        ready = by_name[result.assignment.name]
        if not _told(ready):
            continue
        if result.state is ComplianceState.ERROR:
            notes.append(wording.unjudged(result.assignment.name, result.finding.message))
        elif result.state is ComplianceState.NON_COMPLIANT:
            will = "Pods will be refused" if ready.refuses else "Pods do not comply"
            notes.append(f"this {request.resource.kind}'s {will}: {wording.violation(result, ready)}")
    return notes
