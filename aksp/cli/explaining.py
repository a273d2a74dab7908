"""What ``aksp explain`` does: look the subject up, judge it by all that reaches it, and tell.

A subject is an object of a cluster or among manifests, or an assignment.
"""

from __future__ import annotations

import gc
import io
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from msgspec import structs
from msgspec.structs import replace

from aksp import __version__
from aksp.cli.ci import note, say
from aksp.cli.explain_context import ExplainContext, ExplainRequest
from aksp.cli.explaining_assignment import explain_assignment
from aksp.cli.listing import print_document
from aksp.cli.options import ListFormat
from aksp.cli.outputs import on_stdout
from aksp.cli.sources import Excerpts
from aksp.compliance.explanation import elsewhere, standing
from aksp.compliance.parameters import nearest
from aksp.compliance.plan import Ready
from aksp.engine import Engine
from aksp.errors import InvalidInput
from aksp.kube.config import IN_CLUSTER
from aksp.kube.connection import Connection
from aksp.kube.kinds import KINDS, Discovery, Kind
from aksp.kube.names import SHORT_NAMES, ResourceName
from aksp.model.compliance import ComplianceState, Gap, Result, Target
from aksp.model.resource import Document, Resource
from aksp.model.scope import Scope
from aksp.report.explain.explanation import Case, Explanation, ResourceExplanation, distinct
from aksp.report.interface import Style
from aksp.sources.interface import Wanted, within_namespaces
from aksp.sources.subject import LiveSubject, SubjectSource, WrittenSubject
from aksp.workspace import Workspace, plan_of


def answer(request: ExplainRequest) -> None:
    """Explain, and write it. Raises InvalidInput for a subject that is not there."""
    # As in a scan: there are many small objects, and the process ends soon.
    gc.disable()
    if request.manifests.names and not request.where.cluster and request.where.given:
        raise InvalidInput("--context and --kubeconfig name a cluster, and -f means manifests", hint="add --cluster")
    workspace = Workspace.open(request.workspace)
    with Engine() as engine:
        context = ExplainContext(
            request=request,
            workspace=workspace,
            engine=engine,
            now=datetime.now(UTC).replace(microsecond=0),
            assignments=workspace.store.assignments(),
            tree=workspace.scope_tree(),
            exemptions=workspace.store.exemptions(),
        )
        if not context.assignments:
            note(f"nothing is assigned in {workspace.root}: `aksp assign` lists what can be")
        is_resource = "/" in request.subject and request.subject.partition("/")[0] not in context.by_name
        _write(explain_resource(context) if is_resource else explain_assignment(context), request)


def explain_resource(context: ExplainContext) -> ResourceExplanation:
    """Explain the resource that is named. Raises InvalidInput when it is not there, or is not only one."""
    named = ResourceName.parse(context.request.subject)
    if context.request.manifests.names:
        return _written(context, named)
    with context.request.where.connected() as connection:
        return _live(context, named, connection)


def _live(context: ExplainContext, named: ResourceName, connection: Connection) -> ResourceExplanation:
    target = context.request.where.target(connection)
    ready = context.ready(Scope(target.scope))
    kind = _served(connection, named, ready)
    request = context.request
    namespace = None if request.every_namespace else request.namespace or connection.namespace
    subject = LiveSubject(context.engine, connection, kind, named.name, namespace)
    subject.fetch()
    results, gaps, labels = _judged(
        context, ready, subject, target, [(kind.group, kind.kind), *([("", "Pod")] * subject.is_workload)]
    )
    (itself, *_) = subject.documents
    explained = _explanation(
        context,
        ready,
        within_namespaces(subject.documents, labels),
        results,
        gaps,
        target,
        Excerpts(context.engine, subject.object_of),
    )
    return replace(
        explained,
        resource=itself.resource,
        owner=itself.owner,
        context=None if connection.name == IN_CLUSTER else connection.name,
        pods=len(subject.pods),
        from_template=subject.is_workload and not subject.pods,
    )


def _written(context: ExplainContext, named: ResourceName) -> ResourceExplanation:
    asked = context.request
    ready = context.ready(asked.written_scope)
    # Objects outside -n are not judged, but rules still compare with them.
    subject = WrittenSubject(context.manifests(None), named, asked.namespace)
    kinds = [kind for kind in _known_kinds(ready) if named.is_kind(*kind)]
    results, gaps, labels = _judged(context, ready, subject, asked.written, [*kinds, ("", "Pod")])
    if not subject.resources:
        raise subject.missing(gaps)
    if len(subject.resources) > 1:
        found = ", ".join(sorted(f"{one.api_version} {one}" for one in subject.resources))
        raise InvalidInput(f"{named} is the name of several resources: {found}", hint="give -n, or KIND.GROUP/NAME")
    documents = within_namespaces(subject.documents, labels)
    return _explanation(context, ready, documents, results, gaps, asked.written, Excerpts(context.engine, None))


def _judged(
    context: ExplainContext,
    ready: Sequence[Ready],
    subject: SubjectSource,
    target: Target,
    kinds: Sequence[tuple[str, str]],
) -> tuple[Sequence[Result], Sequence[Gap], Mapping[str, Mapping[str, str]]]:
    """Results, Compliant ones too, gaps, and the labels of Namespaces that decide. Only assignments about the kinds are compiled, and fetch what they need."""
    relevant = [one for one in ready if any(one.selection.about_kind(*kind) for kind in kinds)]
    plan = plan_of(Scope(target.scope), relevant)
    if not plan.ready:
        gaps = [gap for page in subject.pages(Wanted(kinds=())) for gap in page.gaps]
        return (), gaps, {}
    outcome = context.judge(plan, subject, target, compliant=True)
    return outcome.report.results, outcome.report.gaps, outcome.namespace_labels


def _explanation(
    context: ExplainContext,
    ready: Sequence[Ready],
    documents: Sequence[Document],
    results: Sequence[Result],
    gaps: Sequence[Gap],
    target: Target,
    excerpts: Excerpts,
) -> ResourceExplanation:
    first = documents[0]
    if context.request.container:
        documents = _only_container(documents, context.request.container)
        results = [
            one
            for one in results
            if one.finding.container is None or one.finding.container.name == context.request.container
        ]
    mine: dict[str, list[Result]] = {}
    for each in results:
        mine.setdefault(each.assignment.name, []).append(each)
    stands = [standing(one, documents, mine.get(one.key.name, ()), context.exemptions, context.now) for one in ready]
    found = [distinct(each.results) for each in stands]
    lines = iter(excerpts.of([one.result for some in found for one in some]))
    cases = [
        Case(standing=each, found=tuple(replace(one, excerpt=next(lines)) for one in some))
        for each, some in zip(stands, found, strict=True)
    ]
    cases.sort(key=_place_among)
    known = {one.assignment.name for one in ready}
    place = _place(context.tree.place(Scope(target.scope)).scope, first.parent or first.resource)
    return ResourceExplanation(
        version=__version__,
        evaluated_at=context.now,
        target=target,
        resource=first.parent or first.resource,
        owner=None if first.parent else first.owner,
        container=context.request.container,
        cases=cases,
        elsewhere=[(one, elsewhere(one, place)) for one in context.assignments if one.name not in known],
        gaps=gaps,
    )


def _place_among(case: Case) -> tuple[int, str]:
    """The order of states: what needs attention first, what is not judged last."""
    state = case.standing.state
    return len(ComplianceState) if state is None else state.attention, case.standing.ready.key.name


def _only_container(documents: Sequence[Document], name: str) -> list[Document]:
    names = dict.fromkeys(one.name for document in documents for one in document.containers)
    if name not in names:
        raise InvalidInput(f"-c {name}: there is no such container", hint=nearest(name, names))
    return [structs.replace(one, containers=tuple(c for c in one.containers if c.name == name)) for one in documents]


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


def _write(explanation: Explanation, request: ExplainRequest) -> None:
    style = on_stdout(request.color, Style())
    if request.output == "table":
        from aksp.report.explain.text import render_explanation

        out = io.StringIO()
        render_explanation(explanation, out, style)
        say(out.getvalue().removesuffix("\n"))
        return
    from aksp.report.explain.wire import explanation_wire

    print_document(ListFormat(request.output), explanation_wire(explanation))
