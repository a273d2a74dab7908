"""``aksp explain ASSIGNMENT``: what it is, where it applies, and how it stands on a target."""

from __future__ import annotations

from dataclasses import replace

from aksp import __version__
from aksp.cli.explaining import Desk
from aksp.compliance.explanation import elsewhere, settings_of, waivers
from aksp.compliance.parameters import nearest
from aksp.compliance.plan import reaches
from aksp.errors import InvalidInput
from aksp.inventory.cluster import Cluster
from aksp.inventory.interface import Inventory
from aksp.inventory.manifests import Manifests
from aksp.kube.config import current_context
from aksp.model.assignment import Assignment
from aksp.model.compliance import Target
from aksp.model.scope import Scope
from aksp.report.explanation import AssignmentExplanation
from aksp.workspace import plan_of


def explain_assignment(desk: Desk) -> AssignmentExplanation:
    """Explain the assignment that is named. Raises InvalidInput when it is not there."""
    asked = desk.question
    if asked.container:
        raise InvalidInput("-c names a container of a resource, and this is an assignment")
    by_name = {one.name: one for one in desk.assignments}
    if asked.subject not in by_name:
        known = nearest(asked.subject, by_name)
        raise InvalidInput(
            f"there is no assignment {asked.subject!r} in {desk.workspace.root}",
            hint=f"{known}{'' if known.endswith('?') else ';'} a resource is written KIND/NAME, as in pod/web-1",
        )
    assignment = by_name[asked.subject]
    if asked.files:
        manifests = Manifests(desk.engine, asked.files, recursive=asked.recursive, namespace=asked.namespace)
        return _stands(desk, assignment, asked.written_scope, manifests, asked.written)
    if not asked.cluster and not asked.context and current_context(asked.kubeconfig) is None:
        return _stands(desk, assignment, None, None, None)
    with desk.connected() as (connection, target):
        cluster = Cluster(desk.engine, connection, namespaces=[asked.namespace] if asked.namespace else [])
        return _stands(desk, assignment, Scope(target.scope), cluster, target)


def _stands(
    desk: Desk, assignment: Assignment, scope: Scope | None, inventory: Inventory | None, target: Target | None
) -> AssignmentExplanation:
    ready = desk.ready_for(assignment, scope)
    explained = AssignmentExplanation(
        version=__version__,
        evaluated_at=desk.now,
        ready=ready,
        settings=settings_of(ready),
        waivers=tuple(waivers(ready, (), desk.exemptions, desk.now)),
    )
    if scope is not None and not reaches(assignment, scope):
        return replace(explained, left_out=elsewhere(assignment, scope))
    if inventory is None or target is None:
        return explained
    outcome = desk.judge(plan_of(scope or Scope("/"), [ready]), inventory, target)
    (summary,) = outcome.report.assignments
    return replace(explained, target=target, summary=summary, results=outcome.report.results, gaps=outcome.report.gaps)
