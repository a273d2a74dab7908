"""The request for an explanation, and what its answer is made from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from msgspec import Struct

from aksp.assigned import Judged, judged_for, problem_of
from aksp.cli.ci import note
from aksp.cli.clusters import ClusterChoice
from aksp.cli.manifests import ManifestOptions
from aksp.cli.options import ColorWhen
from aksp.compliance.placing import Undecided, at_place, located
from aksp.compliance.plan import Plan, Ready
from aksp.engine import Engine
from aksp.errors import InvalidPolicy
from aksp.model.assignment import Assignment, Exemption
from aksp.model.compliance import Target
from aksp.model.scope import Scope
from aksp.model.scope_tree import ScopeTree
from aksp.scan import Scan, ScanResult
from aksp.sources.interface import ObjectSource
from aksp.sources.manifests import Manifests
from aksp.workspace import Workspace, prepare


class ExplainRequest(Struct, frozen=True, kw_only=True):
    """The command line of one explanation."""

    subject: str
    where: ClusterChoice
    manifests: ManifestOptions
    namespace: str | None
    container: str | None
    output: str
    color: ColorWhen
    workspace: str | None
    every_namespace: bool = False
    """Whether the resource is looked for in all namespaces."""

    @property
    def written(self) -> Target:
        """The manifests as a target."""
        return self.manifests.target(self.written_scope)

    @property
    def written_scope(self) -> Scope | None:
        """The cluster by whose assignments manifests are judged; None without one. Raises ClusterError."""
        return Scope.cluster(self.where.name()) if self.where.cluster else None


class ExplainContext(Struct, frozen=True, kw_only=True):
    """What an answer is made from: the documents of the workspace, an engine, and the time."""

    request: ExplainRequest
    workspace: Workspace
    engine: Engine
    now: datetime
    assignments: Sequence[Assignment]
    exemptions: Sequence[Exemption]
    tree: ScopeTree

    def ready(self, target: Scope | None) -> list[Ready]:
        """The assignments that reach a target, made ready; None is files without a cluster.

        Those that cannot be judged are told and left out.
        """
        ready: list[Ready] = []
        for written in self.assignments:
            try:
                one = self.at(written, target)
                if one is None:
                    continue
                judged = self.judged(one, target)
            except Undecided as doubt:
                note(f"assignment {written.name} is not judged: {doubt}")
                continue
            except InvalidPolicy as error:
                note(f"assignment {written.name} is not judged: {problem_of(error)}")
                continue
            ready += judged.ready
            for broken in judged.broken:
                if not broken.disabled:
                    note(f"assignment {broken.assignment.full_name} is not judged: {broken.problem}")
        return ready

    def at(self, assignment: Assignment, target: Scope | None) -> Assignment | None:
        """An assignment as it is at a target; None where it does not reach it. Raises Undecided."""
        return located(assignment, None) if target is None else at_place(assignment, self.tree.place(target), self.tree)

    def judged(self, assignment: Assignment, target: Scope | None) -> Judged:
        """What is judged of one assignment. Raises InvalidInput for one that is wrong."""
        found = self.workspace.definition_of(assignment)
        target = self.tree.place(target).scope if target is not None else None
        return judged_for(assignment, found, self.workspace.catalog, self.exemptions, target, self.now)

    @property
    def by_name(self) -> Mapping[str, Assignment]:
        """The assignments by their names."""
        return {one.name: one for one in self.assignments}

    def judge(self, plan: Plan, objects: ObjectSource, target: Target, *, compliant: bool = False) -> ScanResult:
        """Scan objects, as ``aksp compliance`` does."""
        plan = prepare(self.engine, plan)
        outcome = Scan(plan, self.engine, collect_compliant=compliant).run(objects, target, self.now)
        if outcome.interrupted:
            raise KeyboardInterrupt
        return outcome

    def manifests(self, namespace: str | None) -> Manifests:
        """The manifests that are asked about, in one namespace or in all."""
        return self.request.manifests.read(self.engine, self.workspace.root, namespace=namespace)
