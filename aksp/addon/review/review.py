"""From what was found in one object under review to the answer. Pure.

What an assignment does about a violation (Azure: "Understand Azure Policy effects"):
``EnforceRegoPolicy`` and ``Deny`` refuse it, ``Audit`` and ``Warn`` admit it with a warning, and with
``DoNotEnforce`` it is only reported. A change to an object which violated in the same way before is not
refused: else no controller could touch what was there before the assignment, not even to remove a
finalizer. To be deleted already permits nothing more: with a finalizer such an object runs on.

A workload is admitted as it is, with a warning when the Pods of its template would be refused:
nobody should see a deployment succeed and no Pod appear without a word. Where the definition's
``source`` is ``All`` or ``Generated`` the workload itself is refused (Gatekeeper: ``match.source``);
with ``Generated`` its Pods then are not.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from operator import attrgetter
from typing import Any

from msgspec import Struct, structs

from aksp.addon.review import wording
from aksp.addon.review.decision import Outcome, ReviewRequest, Violation
from aksp.addon.review.refusals import refusals
from aksp.compliance import results
from aksp.compliance.evaluation import counted
from aksp.compliance.judgement import Fault, Task
from aksp.compliance.plan import MatchSource, Plan, Ready
from aksp.model.compliance import ComplianceState, Finding, SharedResult
from aksp.model.json_text import encode
from aksp.model.resource import Document, Owner

#: States of a template's Pods that the answer mentions.
_TOLD = (ComplianceState.ERROR, ComplianceState.NON_COMPLIANT)
_NON_COMPLIANT = ComplianceState.NON_COMPLIANT
_PROBLEMS = attrgetter("problems")
Found = Mapping[tuple[int, int], Sequence[Finding]]
#: Of an assignment that has nothing to do.
_IDLE = Task(policy="", parameters=None, documents=())


class Subject(Struct, frozen=True, kw_only=True, gc=False):
    """What one request is judged by: the object, and the Pods that it would make if it is a workload.

    ``before`` are the numbers of the same in the object's old version. With ``derived`` another workload
    made this one.
    """

    documents: Sequence[Document]
    new: Sequence[int]
    before: Sequence[int] = ()
    derived: bool = False

    @property
    def fit(self) -> bool:
        """Whether nothing is wrong with the documents themselves."""
        return not any(map(_PROBLEMS, self.documents))


def subject_of(documents: Sequence[Document], old: Collection[int]) -> Subject:
    """The documents of a review, sorted into new and old."""
    new = [at for at in range(len(documents)) if at not in old]
    derived = bool(new) and documents[new[0]].owner is not None
    return Subject(documents=documents, new=new, before=sorted(old), derived=derived)


def owned(subject: Subject, owner: Owner | None, *, derived: bool) -> Subject:
    """The subject, with another owner of the new object than the object itself says."""
    documents = list(subject.documents)
    for at in subject.new:
        if documents[at].owner != owner:
            documents[at] = structs.replace(documents[at], owner=owner)
    return structs.replace(subject, documents=documents, derived=derived)


def leans(plan: Plan, subject: Subject, found: Found) -> bool:
    """Whether an exemption applies to the new object because of the owner that the object says it has."""
    if not any(plan.ready[number].exemptions for number, _ in found):
        return False

    def exempt(of: Subject) -> int:
        made = [result for at in of.new for result in results_of(plan, of, at, found, ())]
        return sum(result.state is ComplianceState.EXEMPT for result in made)

    return exempt(subject) > exempt(owned(subject, None, derived=subject.derived))


def _judges(ready: Ready, subject: Subject, at: int) -> bool:
    """Whether an assignment judges one of the documents.

    The template of a workload that another workload made (a ReplicaSet of a Deployment) is judged on the one that made
    it, and not again here. Only a definition with source Generated, which judges templates alone, judges each.
    """
    document = subject.documents[at]
    if ready.source is MatchSource.GENERATED:
        return document.parent is not None and ready.selection.selects(document)
    return not (document.parent and subject.derived) and ready.selection.selects(document)


def asks(ready: Ready, subject: Subject, at: int) -> bool:
    """Whether an assignment is asked about one of the documents.

    Of what was there before those that refuse: their violations would refuse the new object.
    """
    if at in subject.before and not (
        ready.refuses and (ready.source is not MatchSource.ORIGINAL or not subject.documents[at].template)
    ):
        return False
    return _judges(ready, subject, at)


def tasks_for(plan: Plan, subject: Subject, only: Collection[int] | None = None) -> list[Task]:
    """The tasks: all assignments over what is new, and those that refuse over what it was before.

    With ``only``, the numbers of some assignments, the others have nothing to do.
    """

    def chosen(ready: Ready) -> list[int]:
        return [at for at in (*subject.new, *subject.before) if asks(ready, subject, at)]

    return [
        Task(policy=ready.definition.slug, parameters=ready.values, documents=chosen(ready))
        if only is None or number in only
        else _IDLE
        for number, ready in enumerate(plan.ready)
    ]


def results_of(plan: Plan, subject: Subject, at: int, found: Found, faults: Iterable[Fault]) -> list[SharedResult]:
    """The results of one document, without it, by the evaluator's own core: states, exemptions, exclusions.

    ``found`` and ``faults`` are of assignments that select it. Of the others it matters only where something is wrong
    with the document, or with what is known of its Namespace.
    """
    document = subject.documents[at]
    mine = {pair: findings for pair, findings in found.items() if pair[1] == at}
    tasks: Sequence[Task] = ()
    if document.problems or plan.by_namespace_labels:
        tasks = [
            Task(policy=ready.definition.slug, parameters=ready.values, documents=[at])
            if (document.problems or not ready.selection.namespace_selector.empty) and _judges(ready, subject, at)
            else _IDLE
            for ready in plan.ready
        ]
    own = [fault for fault in faults if fault.document == at]
    made: list[SharedResult] = []
    shared = results.SharedResults()
    for (number, _), findings, problems in counted(plan, subject.documents, tasks, mine, own):
        made += results.shared_of(plan.ready[number], document, findings, problems, shared)
    return sorted(made, key=results.order_within)


def identity(assignment: str, finding: Finding) -> tuple[Any, ...]:
    """What makes a violation the same one before and after a change: not its place in a list."""
    return assignment, finding.message, finding.container, encode(finding.observed, sort_keys=True)


def decide(
    request: ReviewRequest,
    plan: Plan,
    *,
    own: Sequence[SharedResult],
    template: Sequence[SharedResult] = (),
    before: Collection[tuple[Any, ...]] = (),
    unready: Mapping[str, str] | None = None,
    cut: Collection[str] = (),
    uncompared: Mapping[str, str] | None = None,
    fail_closed: bool = False,
    doubt: str = "",
) -> Outcome:
    """The answer. ``own`` are the object's results, ``template`` those of the Pods that it would make.

    ``before`` are the identities of what the old version violated already, ``unready`` the
    assignments that could not be asked, and why. ``cut`` are those that may have found more if they had looked for it,
    ``uncompared`` those of which it is not known what the old version violated, and why. With ``fail_closed`` an
    assignment that refuses and could not be judged refuses too. ``doubt`` says why an exemption that seems to apply
    does not.
    """
    by_name = plan.by_name
    of_pods: Collection[int] = ()
    if template:
        generated = [r for r in template if by_name[r.assignment.name].source is not MatchSource.ORIGINAL]
        template = [r for r in template if by_name[r.assignment.name].source is MatchSource.ORIGINAL]
        own, of_pods = [*own, *generated], {id(r) for r in generated}
    violations = [r for r in own if r.state is _NON_COMPLIANT]
    errors = [(r.assignment.name, r.finding.message) for r in own if r.state is ComplianceState.ERROR]
    errors += (unready or {}).items()
    new = [r for r in violations if by_name[r.assignment.name].refuses]
    if before:
        new = [r for r in new if identity(r.assignment.name, r.finding) not in before]
    unknown: Mapping[str, None] = {}
    if uncompared:
        unknown = dict.fromkeys(r.assignment.name for r in new if r.assignment.name in uncompared)
        errors += [(name, f"what was there before: {uncompared[name]}") for name in unknown]
        new = [r for r in new if r.assignment.name not in unknown]

    #: The lines of the refusal, for those that tell of it by assignment.
    by_assignment: dict[str, list[str]] = {}
    lines: list[str] = []

    def line(result: SharedResult, own: str) -> str:
        return f"this {request.resource.kind}'s Pods: {own}" if id(result) in of_pods else own

    for at, r in enumerate(new):
        name = r.assignment.name
        # The words for thousands of violations would take longer than to find them, and most would be left out.
        if at < wording.ENOUGH or name not in by_assignment:
            own_words = wording.violation(r, by_name[name])
            by_assignment.setdefault(name, []).append(wording.unnamed(name, own_words))
            if at < wording.ENOUGH:
                lines.append(line(r, own_words))
    notes: list[str] = []
    for name, message in errors:
        words = wording.unjudged(name, message)
        if fail_closed and by_name[name].refuses:
            by_assignment.setdefault(name, []).append(wording.unnamed(name, words))
            lines.append(words)
        else:
            # First in the list: warnings may be cut at the end, and nothing else says that something was not judged.
            notes.append(words)
    noted: list[SharedResult] = []
    if len(new) < len(violations):
        ids = {id(r) for r in new}
        noted = [
            r
            for r in violations
            if id(r) not in ids and r.assignment.name not in unknown and by_name[r.assignment.name].tells
        ]
        for r in noted[: wording.ENOUGH]:
            ready = by_name[r.assignment.name]
            words = line(r, wording.violation(r, ready))
            notes.append(f"not refused, as it was so before: {words}" if ready.refuses else words)
    of_template = [r for r in template if r.state in _TOLD and by_name[r.assignment.name].tells]
    notes += _of_template(request, of_template[: wording.ENOUGH], by_name)
    more = max(0, len(noted) - wording.ENOUGH) + max(0, len(of_template) - wording.ENOUGH)
    if doubt and (lines or notes):
        (lines or notes).append(wording.doubt(doubt))
    of_all = tuple([Violation(assignment=r.assignment, finding=r.finding) for r in violations])
    by = of_all
    if len(new) < len(violations):
        by = tuple([Violation(assignment=r.assignment, finding=r.finding) for r in new])
    return Outcome(
        allowed=not lines,
        message=wording.refusal(lines, max(0, len(new) - wording.ENOUGH), cut=_any_of(new, cut)) if lines else "",
        warnings=wording.warnings(notes, more, cut=_any_of([*noted, *of_template], cut)) if notes else (),
        refused_by=by,
        violations=of_all,
        errors=tuple(errors),
        refusals=refusals(by, by_assignment) if by_assignment else (),
    )


def _any_of(results: Iterable[SharedResult], names: Collection[str]) -> bool:
    return bool(names) and any(result.assignment.name in names for result in results)


def _of_template(request: ReviewRequest, template: Sequence[SharedResult], by_name: Mapping[str, Ready]) -> list[str]:
    notes = []
    for result in template:
        ready = by_name[result.assignment.name]
        if result.state is ComplianceState.ERROR:
            notes.append(wording.unjudged(result.assignment.name, result.finding.message))
        else:
            will = "Pods will be refused" if ready.refuses else "Pods do not comply"
            notes.append(f"this {request.resource.kind}'s {will}: {wording.violation(result, ready)}")
    return notes
