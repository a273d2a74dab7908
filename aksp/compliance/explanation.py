"""Why a resource is in its state: by which assignments it is judged, with which values, and what leaves it out.

What an assignment selects and waives is asked of the code that a scan asks; here it is put into words.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any

from msgspec import Struct

from aksp.compliance.exemptions import covers, waives
from aksp.compliance.nothing import disabled
from aksp.compliance.parameters import as_called_here, effective
from aksp.compliance.plan import Ready
from aksp.compliance.rollup import roll_up
from aksp.compliance.selection import Criterion, ObjectScope, Rejection, requirement_text
from aksp.model.assignment import Assignment, Exemption
from aksp.model.compliance import ComplianceState, Result
from aksp.model.resource import Container, Document
from aksp.model.scope import Scope

#: Reasons to leave a resource out that are no test of a selection.
DISABLED = "effect"


class ValueOrigin(StrEnum):
    """Where the value of a parameter comes from."""

    ASSIGNMENT = "assignment"
    #: What the initiative passes on to its member: a value of the assignment's, of its own default, or a fixed one.
    INITIATIVE = "initiative"
    DEFAULT = "default"


class Setting(Struct, frozen=True, kw_only=True):
    """A parameter's value, where it comes from, and the document that gives it (empty for a default)."""

    name: str
    value: Any
    origin: ValueOrigin
    document: str = ""


class LeftOut(Struct, frozen=True, kw_only=True):
    """What leaves a resource out of an assignment, by Azure's name for it, and a sentence."""

    by: str
    message: str


class Waiver(Struct, frozen=True, kw_only=True):
    """An exemption from an assignment, and whom of a resource it covers, or would if it had not expired.

    ``whole`` says that it covers the resource and all in it; ``containers`` are those it names.
    """

    exemption: Exemption
    expired: bool
    whole: bool = False
    containers: tuple[Container, ...] = ()

    @property
    def covers(self) -> bool:
        """Whether it covers anything of the resource."""
        return self.whole or bool(self.containers)


class ContainerVerdict(Struct, frozen=True, kw_only=True):
    """The state of one container by one assignment; None with ``left_out``, the parameter and its value."""

    container: Container
    state: ComplianceState | None
    left_out: tuple[str, str] | None = None


class AssignmentEvaluation(Struct, frozen=True, kw_only=True):
    """One assignment towards one resource (or towards a workload's Pods): judged with results, or left out.

    ``place`` is the resource's place in the scope tree. ``results`` are all of them, Compliant too.
    """

    ready: Ready
    place: Scope
    settings: tuple[Setting, ...]
    left_out: LeftOut | None = None
    state: ComplianceState | None = None
    results: tuple[Result, ...] = ()
    verdicts: tuple[ContainerVerdict, ...] = ()
    waivers: tuple[Waiver, ...] = ()


def standing(
    ready: Ready,
    documents: Sequence[Document],
    results: Iterable[Result],
    exemptions: Iterable[Exemption],
    now: datetime,
) -> AssignmentEvaluation:
    """An assignment's standing towards documents that are one subject: an object, a workload with its template or Pods.

    ``results`` may be those of other assignments too, ``exemptions`` all that there are.
    """
    mine = tuple(one for one in results if one.assignment.name == ready.key.name)
    judged = [one for one in documents if ready.selection.selects(one)]
    settings, place = settings_of(ready), _place(ready, documents)
    if not ready.effect.judges:
        judged, mine = [], ()
    if not judged:
        return AssignmentEvaluation(ready=ready, place=place, settings=settings, left_out=_left_out(ready, documents))
    return AssignmentEvaluation(
        ready=ready,
        place=place,
        settings=settings,
        state=roll_up(one.state for one in mine),
        results=mine,
        verdicts=tuple(_verdicts(ready, judged, mine)),
        waivers=tuple(waivers(ready, judged, exemptions, now)),
    )


def settings_of(ready: Ready) -> tuple[Setting, ...]:
    """The parameters of a definition in its order, with the values that hold for an assignment."""
    assignment, definition = ready.assignment, ready.definition
    given = as_called_here(definition, assignment.parameters)
    values = effective(definition, given)
    source = ValueOrigin.INITIATIVE if assignment.reference else ValueOrigin.ASSIGNMENT
    return tuple(
        Setting(name=name, value=values[name], origin=source, document=assignment.origin)
        if name in given
        else Setting(name=name, value=values[name], origin=ValueOrigin.DEFAULT)
        for name in definition.parameters
        if name in values
    )


def waivers(
    ready: Ready, documents: Sequence[Document], exemptions: Iterable[Exemption], now: datetime
) -> Iterable[Waiver]:
    """The exemptions from an assignment, those that count and cover the documents first."""
    found, target = [], ready.selection.target
    for exemption in exemptions:
        if waives(exemption, ready.assignment):
            whole = any(covers(exemption, one, None, target) for one in documents)
            containers = dict.fromkeys(
                c for one in documents for c in one.containers if covers(exemption, one, c, target)
            )
            found.append(
                Waiver(
                    exemption=exemption,
                    expired=exemption.expired(now),
                    whole=whole,
                    containers=() if whole else tuple(containers),
                )
            )
    return sorted(found, key=lambda one: (not one.covers, one.expired, one.exemption.name))


def lineage(place: Scope) -> tuple[Scope, ...]:
    """The scopes that cover a place, from ``/`` down to it: what may be assigned there holds for it."""
    segments = [part for part in place.path.split("/") if part]
    top, *own = (Scope("/" + "/".join(segments[:end])) for end in range(0, len(segments) + 1, 2))
    # As the scope tree places a cluster: below what it lies in, and at its ARM id.
    above = [Scope(path.partition("/clusters/")[0]) for path in place.also if "/clusters/" in path]
    ids = [Scope(path.partition("/namespaces/")[0]) for path in place.also if "/clusters/" not in path]
    return (top, *above, *ids, *own)


def elsewhere(assignment: Assignment, place: Scope) -> LeftOut:
    """Why an assignment that does not reach a target leaves what is there out."""
    return LeftOut(by=Criterion.SCOPE, message=_outside(assignment.scope, place))


def _place(ready: Ready, documents: Sequence[Document]) -> Scope:
    """Where the subject lies."""
    for document in documents:
        resource = document.parent or document.resource
        return ready.selection.place(resource.name if resource.is_namespace else resource.namespace)
    return ready.selection.target


def _verdicts(ready: Ready, documents: Sequence[Document], results: Sequence[Result]) -> Iterable[ContainerVerdict]:
    """The containers of the documents, each one once however many replicas have it."""
    found: dict[Container | None, list[ComplianceState]] = {}
    for one in results:
        found.setdefault(one.finding.container, []).append(one.state)
    for container in dict.fromkeys(one for document in documents for one in document.containers):
        left_out = ready.exclusion(container)
        states = [*found.get(container, ()), *found.get(None, ())]
        # Unlike in a roll-up, a container's own state is the worst that was found of it.
        worst = min(states, key=lambda state: state.attention, default=None)
        yield ContainerVerdict(container=container, state=None if left_out else worst, left_out=left_out)


def _left_out(ready: Ready, documents: Sequence[Document]) -> LeftOut:
    """Why none of the documents is judged: for the one that passes most tests, the first that it does not pass."""
    tests = list(Criterion)
    rejected = [(one, found) for one in documents if (found := ready.selection.rejection(one)) is not None]
    if len(rejected) < len(documents) or not rejected:
        return LeftOut(by=DISABLED, message=disabled(ready.effect))
    document, rejection = max(rejected, key=lambda pair: tests.index(pair[1].test))
    return LeftOut(by=rejection.test, message=_sentence(ready, document, rejection))


def _sentence(ready: Ready, document: Document, rejection: Rejection) -> str:
    selection, value = ready.selection, rejection.value
    resource = document.parent or document.resource
    namespace = resource.name if resource.is_namespace else resource.namespace
    if rejection.test is Criterion.KINDS:
        kinds = " or ".join(dict.fromkeys(kind.kind for kind in selection.kinds))
        return f"it judges {kinds}, and this is of kind {resource.kind}"
    if rejection.test is Criterion.SCOPE:
        return _outside(selection.scope, selection.place(namespace))
    if rejection.test is Criterion.NOT_SCOPES:
        return f"its notScopes leave out {value}"
    if rejection.test is Criterion.OBJECT_SCOPE:
        where = "in namespaces" if value is ObjectScope.NAMESPACED else "in no namespace"
        return f"it judges only what lies {where}, and {resource} {'lies in one' if resource.namespace else 'does not'}"
    if rejection.test is Criterion.NAME:
        return f"it judges only what is called {value}, and this is {resource.name}"
    if rejection.test is Criterion.NAMESPACES:
        only = f"it judges only namespaces {', '.join(selection.namespaces)}"
        return f"{only}, not {namespace}"
    if rejection.test is Criterion.EXCLUDED_NAMESPACES:
        details = [] if value == namespace else [str(value)]
        # A definition may have namespaces of its own; then no parameter says so, and it is no default either.
        given = as_called_here(ready.definition, ready.assignment.parameters)
        if "excludedNamespaces" in ready.definition.parameters.keys() - given.keys():
            details.append("by default")
        why = f" ({', '.join(details)})" if details else ""
        return f"it leaves out namespace {namespace}{why}"
    assert isinstance(value, tuple)
    key = value[0]
    if rejection.test is Criterion.NAMESPACE_SELECTOR:
        labels = document.labels if resource.is_namespace else document.namespace_labels or {}
        label = f"its label {key} is {labels[key]!r}" if key in labels else f"it has no label {key}"
        return f"its namespaceSelector asks Namespace {namespace} for {requirement_text(value)}, and {label}"
    label = f"the label {key} is {document.labels[key]!r}" if key in document.labels else f"there is no label {key}"
    return f"its labelSelector asks for {requirement_text(value)}, and {label}"


def _outside(scope: Scope, place: Scope) -> str:
    known = scope.path == "/" or scope.path.lower().startswith("/clusters/") or place.also
    why = "" if known else ": nothing says which clusters lie below it (`aksp scope add` does)"
    return f"its scope {scope} does not cover {place}{why}"
