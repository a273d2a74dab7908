"""Exemptions, and entries of them, that can cover nothing."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime

from aksp.assigned import idle
from aksp.compliance.exemptions import waives
from aksp.compliance.kinds import can_be_about, may_judge_pods
from aksp.compliance.plan import Ready
from aksp.lint.finding import LintFinding, Severity, found_in
from aksp.model.assignment import Assignment, ExemptedResource, Exemption
from aksp.model.kinds import BUILT_IN

COVERS_NOTHING = "exemption-covers-nothing"
_WILDCARDS = "*?["


def covers_nothing(
    exemption: Exemption,
    assignments: Mapping[str, Assignment],
    references: Mapping[str, Collection[str] | None],
    ready: Sequence[Ready],
    now: datetime,
) -> Iterator[LintFinding]:
    """Why an exemption does nothing, or which of its entries cannot cover anything."""

    def finding(what: str, next: str, field: str) -> LintFinding:
        return found_in(exemption, COVERS_NOTHING, Severity.WARNING, what, next=next, field=field)

    if (problem := idle(exemption, references, now)) is not None:
        yield finding(problem, "correct it, or delete it: aksp exemptions delete " + exemption.name, "spec")
        return
    assignment = assignments[exemption.assignment]
    apart = exemption.scope.apart(assignment.scope)
    if apart or any(one.covers(exemption.scope) for one in assignment.not_scopes):
        why = f"outside of {assignment.scope}" if apart else "among the notScopes"
        yield finding(
            f"exemption {exemption.name}: its scope {exemption.scope} is {why} of assignment {assignment.name}",
            "give it a scope that the assignment reaches",
            "spec.scope",
        )
    own = [one for one in ready if waives(exemption, one.assignment)]
    for at, entry in enumerate(exemption.resources):
        if own and (why := _nothing(entry, own)):
            yield finding(f"exemption {exemption.name}: {why}", "correct the entry", f"spec.resources[{at}]")


def _nothing(entry: ExemptedResource, ready: Sequence[Ready]) -> str:
    """Why an entry covers nothing of what is judged; empty when it may cover something."""
    kinds = [kind for one in ready for kind in one.selection.kinds]
    judged = ", ".join(dict.fromkeys(kind.kind for kind in kinds))
    # Of kinds of others, as an Argo Rollout that makes Pods, nothing is known here.
    built_in = [one for one in BUILT_IN if one.kind == entry.kind]
    if built_in and not can_be_about(built_in[0].kind, kinds):
        return f"it names a {entry.kind}, and {judged} is judged"
    if (entry.container or entry.image) and not may_judge_pods(kinds):
        return f"it names containers of Pods, and {judged} is judged"
    if entry.namespace and built_in and all(one.cluster for one in built_in):
        return f"it names a namespace, and a {entry.kind} is in none"
    namespace = entry.namespace
    if namespace and not any(one in namespace for one in _WILDCARDS):
        # Scopes above clusters are not compared: which clusters lie there is not known here.
        known = all(one.selection.scope.covers(one.selection.target) for one in ready)
        if known and not any(one.selection.reaches_namespace(namespace) for one in ready):
            return f"it names the namespace {namespace}, which the assignment does not reach"
    return ""
