"""``aksp explain KIND/NAME``: one object of a cluster or among manifests, by all assignments."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from aksp import __version__
from aksp.cli.explaining import Desk
from aksp.cli.sources import Excerpts
from aksp.compliance.explanation import elsewhere, standing
from aksp.compliance.parameters import nearest
from aksp.compliance.plan import Ready
from aksp.errors import InvalidInput
from aksp.inventory.interface import Wanted
from aksp.inventory.manifests import Manifests
from aksp.inventory.subject import LiveSubject, Subject, WrittenSubject
from aksp.kube.config import IN_CLUSTER
from aksp.kube.connection import Connection
from aksp.kube.kinds import KINDS, Discovery, Kind
from aksp.kube.names import SHORT_NAMES, ResourceName
from aksp.model.compliance import ComplianceState, Gap, Result, Target
from aksp.model.resource import Document, Resource
from aksp.model.scope import Scope
from aksp.report.explanation import Case, Found, ResourceExplanation, distinct
from aksp.workspace import plan_of

_ORDER = [
    ComplianceState.NON_COMPLIANT,
    ComplianceState.ERROR,
    ComplianceState.EXEMPT,
    ComplianceState.COMPLIANT,
    None,
]


def explain_resource(desk: Desk) -> ResourceExplanation:
    """Explain the resource that is named. Raises InvalidInput when it is not there, or is not only one."""
    named = ResourceName.parse(desk.question.subject)
    if desk.question.files:
        return _written(desk, named)
    with desk.connected() as (connection, target):
        return _live(desk, named, connection, target)


def _live(desk: Desk, named: ResourceName, connection: Connection, target: Target) -> ResourceExplanation:
    scope = Scope(target.scope)
    ready = desk.ready(scope)
    kind = _served(connection, named, ready)
    subject = LiveSubject(desk.engine, connection, kind, named.name, desk.question.namespace or connection.namespace)
    subject.fetch()
    results, gaps = _judged(
        desk, ready, subject, target, [(kind.group, kind.kind), *([("", "Pod")] * subject.is_workload)]
    )
    (itself, *_) = subject.documents
    explained = _explanation(
        desk, ready, subject.documents, results, gaps, target, Excerpts(desk.engine, subject.object_of)
    )
    return replace(
        explained,
        resource=itself.resource,
        owner=itself.owner,
        context=None if connection.name == IN_CLUSTER else connection.name,
        pods=len(subject.pods),
        from_template=subject.is_workload and not subject.pods,
    )


def _written(desk: Desk, named: ResourceName) -> ResourceExplanation:
    asked = desk.question
    ready = desk.ready(asked.written_scope)
    # -n leaves what it does not name unjudged, but never uncompared.
    manifests = Manifests(desk.engine, asked.files, recursive=asked.recursive)
    subject = WrittenSubject(manifests, named, asked.namespace)
    kinds = [kind for kind in _known_kinds(ready) if named.is_kind(*kind)]
    results, gaps = _judged(desk, ready, subject, asked.written, [*kinds, ("", "Pod")])
    if not subject.resources:
        raise subject.missing(gaps)
    if len(subject.resources) > 1:
        found = ", ".join(sorted(f"{one.api_version} {one}" for one in subject.resources))
        raise InvalidInput(f"{named} is the name of several resources: {found}", hint="give -n, or KIND.GROUP/NAME")
    return _explanation(desk, ready, subject.documents, results, gaps, asked.written, Excerpts(desk.engine, None))


def _judged(
    desk: Desk, ready: Sequence[Ready], subject: Subject, target: Target, kinds: Sequence[tuple[str, str]]
) -> tuple[Sequence[Result], Sequence[Gap]]:
    """Results, Compliant ones too, and gaps. Only assignments about the kinds are compiled, and fetch what they need."""
    relevant = [one for one in ready if any(_about(one, *kind) for kind in kinds)]
    plan = plan_of(Scope(target.scope), relevant)
    if not plan.ready:
        gaps = [gap for page in subject.pages(Wanted(kinds=())) for gap in page.gaps]
        return (), gaps
    report = desk.judge(plan, subject, target, compliant=True).report
    return report.results, report.gaps


def _explanation(
    desk: Desk,
    ready: Sequence[Ready],
    documents: Sequence[Document],
    results: Sequence[Result],
    gaps: Sequence[Gap],
    target: Target,
    excerpts: Excerpts,
) -> ResourceExplanation:
    first = documents[0]
    if desk.question.container:
        documents = _only_container(documents, desk.question.container)
        results = [
            one
            for one in results
            if one.finding.container is None or one.finding.container.name == desk.question.container
        ]
    cases = []
    for one in ready:
        stands = standing(one, documents, results, desk.exemptions, desk.now)
        found = [
            Found(result=result, resources=resources, excerpt=excerpts.of(result))
            for result, resources in distinct(stands.results)
        ]
        cases.append(Case(standing=stands, found=tuple(found)))
    cases.sort(key=lambda case: (_ORDER.index(case.standing.state), case.standing.ready.key.name))
    known = {one.key.name for one in ready}
    place = _place(Scope(target.scope), first.parent or first.resource)
    return ResourceExplanation(
        version=__version__,
        evaluated_at=desk.now,
        target=target,
        resource=first.parent or first.resource,
        owner=None if first.parent else first.owner,
        container=desk.question.container,
        cases=cases,
        elsewhere=[(one, elsewhere(one, place)) for one in desk.assignments if one.name not in known],
        gaps=gaps,
    )


def _only_container(documents: Sequence[Document], name: str) -> list[Document]:
    names = dict.fromkeys(one.name for document in documents for one in document.containers)
    if name not in names:
        raise InvalidInput(f"-c {name}: there is no such container", hint=nearest(name, names))
    return [replace(one, containers=tuple(c for c in one.containers if c.name == name)) for one in documents]


def _about(ready: Ready, group: str, kind: str) -> bool:
    return any(one.kind in (kind, "*") and one.group in (group, "*") for one in ready.selection.kinds)


def _known_kinds(ready: Sequence[Ready]) -> list[tuple[str, str]]:
    """(group, kind) of Kubernetes' own kinds, then of those that assignments are about."""
    own = [(one.group, one.kind) for each in ready for one in each.selection.kinds if "*" not in (one.group, one.kind)]
    return list(dict.fromkeys([*KINDS, *own]))


def _served(connection: Connection, named: ResourceName, ready: Sequence[Ready]) -> Kind:
    """The kind that is named, as the cluster serves it."""
    for group, kind in _known_kinds(ready):
        if named.is_kind(group, kind):
            return Discovery(connection).find(group, kind)
    known = {*SHORT_NAMES, *(kind.lower() for _, kind in _known_kinds(ready))}
    raise InvalidInput(
        f"{named}: this kind is none of Kubernetes' own, and no assignment that reaches the cluster is about it",
        hint=nearest(named.kind, known) if _close(named.kind, known) else "e.g. pod/web-1, deploy/web, ing/front",
    )


def _close(name: str, known: set[str]) -> bool:
    return nearest(name, known).startswith("did")


def _place(target: Scope, resource: Resource) -> Scope:
    return target.namespace(resource.namespace) if resource.namespace else target
