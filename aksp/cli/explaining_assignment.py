"""What ``aksp explain`` does for an assignment, or a member of one: judge a target by it alone."""

from __future__ import annotations

from msgspec.structs import replace

from aksp import __version__
from aksp.assigned import Judged
from aksp.cli.explain_context import ExplainContext
from aksp.compliance.explanation import LeftOut, elsewhere, settings_of, waivers
from aksp.compliance.parameters import nearest
from aksp.compliance.placing import Undecided
from aksp.compliance.plan import Ready
from aksp.compliance.selection import Criterion
from aksp.errors import InvalidInput
from aksp.kube.config import current_context
from aksp.model.assignment import Assignment
from aksp.model.compliance import Target
from aksp.model.scope import Scope
from aksp.report.explain.explanation import AssignmentExplanation
from aksp.sources.cluster import Cluster
from aksp.sources.interface import ObjectSource
from aksp.workspace import plan_of


def explain_assignment(context: ExplainContext) -> AssignmentExplanation:
    """Explain the assignment that is named, or the member, NAME/REFERENCE. Raises InvalidInput when it is not there."""
    asked = context.request
    if asked.container:
        raise InvalidInput("-c names a container of a resource, and this is an assignment")
    by_name = context.by_name
    name, _, reference = asked.subject.partition("/")
    if name not in by_name:
        known = nearest(name, by_name)
        raise InvalidInput(
            f"there is no assignment {asked.subject!r} in {context.workspace.root}",
            hint=f"{known}{'' if known.endswith('?') else ';'} a resource is written KIND/NAME, as in pod/web-1",
        )
    assignment = by_name[name]
    if asked.manifests.names:
        manifests = context.manifests(asked.namespace)
        return _stands(context, assignment, reference, asked.written_scope, manifests, asked.written)
    where = asked.where
    if not where.cluster and not where.context and current_context(where.kubeconfig) is None:
        return _stands(context, assignment, reference, None, None, None)
    with where.connected() as connection:
        target = where.target(connection)
        cluster = Cluster(context.engine, connection, namespaces=[asked.namespace] if asked.namespace else [])
        return _stands(context, assignment, reference, Scope(target.scope), cluster, target)


def _stands(
    context: ExplainContext,
    assignment: Assignment,
    reference: str,
    scope: Scope | None,
    objects: ObjectSource | None,
    target: Target | None,
) -> AssignmentExplanation:
    ready = _one_of(context.judged(assignment, scope), assignment, reference)
    explained = AssignmentExplanation(
        version=__version__,
        evaluated_at=context.now,
        ready=ready,
        settings=settings_of(ready),
        waivers=tuple(waivers(ready, (), context.exemptions, context.now)),
    )
    try:
        if context.at(assignment, scope) is None:
            assert scope is not None  # without a cluster no scope leaves it out
            return replace(explained, left_out=elsewhere(assignment, context.tree.place(scope).scope))
    except Undecided as doubt:
        return replace(explained, left_out=LeftOut(by=Criterion.SCOPE, message=str(doubt)))
    if objects is None or target is None:
        return explained
    outcome = context.judge(plan_of(scope or Scope("/"), [ready]), objects, target)
    (summary,) = outcome.report.assignments
    return replace(explained, target=target, summary=summary, results=outcome.report.results, gaps=outcome.report.gaps)


def _one_of(judged: Judged, assignment: Assignment, reference: str) -> Ready:
    """What is judged of an assignment, or the member of it that is named. Raises InvalidInput."""
    by_reference = {one.assignment.reference.lower(): one for one in judged.ready}
    if (found := by_reference.get(reference.lower())) is not None:
        return found
    for broken in judged.broken:
        if reference and broken.assignment.reference.lower() == reference.lower():
            raise InvalidInput(f"{broken.assignment.full_name} cannot be judged: {broken.problem}")
    names = [one.assignment.full_name for one in judged.ready]
    if not reference:
        raise InvalidInput(
            f"assignment {assignment.name!r} is of an initiative, and one of its members can be explained",
            hint=f"members: {', '.join(names)}",
        )
    raise InvalidInput(
        f"assignment {assignment.name!r} has no member {reference!r}",
        hint=nearest(f"{assignment.name}/{reference}", names),
    )
