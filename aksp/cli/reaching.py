"""What reaches a cluster: the assignments of a workspace, from where each comes, and what leaves the cluster out of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from aksp.cli.listing import print_list
from aksp.cli.options import ListFormat
from aksp.compliance.placing import LeavesOut, Undecided, at_place, leaves_out
from aksp.model.assignment import Assignment
from aksp.model.effect import Effect
from aksp.model.scope import EVERYWHERE, Scope
from aksp.model.scope_tree import ClusterPlace, kind_of
from aksp.workspace import Workspace

_HEADERS = ("NAME", "DEFINITION", "EFFECT", "SCOPE", "FROM", "REACHES", "NOTE")


class Reaching(Struct, frozen=True, kw_only=True):
    """How one assignment stands to one cluster.

    ``here``: the assignment as it is there; None where it does not reach the cluster, or that is not known. ``shadowed_by``:
    the assignments that say the same at a scope that is as wide, or wider.
    """

    assignment: Assignment
    effect: str
    here: Assignment | None = None
    left_out: LeavesOut | None = None
    doubt: str = ""
    without: Sequence[Scope] = ()
    shadowed_by: Sequence[str] = ()

    @property
    def reaches(self) -> str:
        """How much of the cluster it reaches."""
        if self.doubt:
            return "unknown"
        if self.here is None:
            return "nothing"
        namespace = self.here.scope.key[-1] if self.here.scope.key[-2:-1] == ("namespaces",) else ""
        return f"namespace {namespace}" if namespace else "all of it"

    @property
    def origin(self) -> str:
        """What it is assigned at."""
        scope = self.assignment.scope
        if scope == EVERYWHERE:
            return "everywhere"
        namespaced = scope.key[-2:-1] == ("namespaces",)
        return "namespace" if namespaced else str(kind_of(scope) or "scope")

    @property
    def note(self) -> str:
        """What leaves it out, in whole or in part, and what else there is to know."""
        notes = []
        if self.doubt:
            notes.append(self.doubt)
        if self.left_out is not None:
            notes.append(f"left out by its {self.left_out.field} {self.left_out.value}")
        if self.without:
            notes.append(f"without {', '.join(map(str, self.without))}")
        effect = Effect.named(self.effect)
        if self.here is not None and effect is not None and not effect.judges:
            notes.append(f"its effect is {effect}")
        if self.shadowed_by:
            notes.append(f"says the same as {', '.join(self.shadowed_by)}")
        return "; ".join(notes)

    def document(self) -> dict[str, Any]:
        """As JSON and YAML have it."""
        return {
            "assignment": self.assignment.name,
            "definition": self.assignment.definition_id,
            "effect": self.effect,
            "scope": str(self.assignment.scope),
            "from": self.origin,
            "reaches": self.reaches,
            "leftOutBy": {"field": self.left_out.field, "value": self.left_out.value} if self.left_out else None,
            "without": [str(one) for one in self.without],
            "shadowedBy": list(self.shadowed_by),
            "unknown": self.doubt,
        }


def reaching(opened: Workspace, place: ClusterPlace) -> list[Reaching]:
    """The assignments whose scope holds a cluster, or may, the widest scope first."""
    tree = opened.scope_tree()
    found: list[Reaching] = []
    for written in opened.store.assignments():
        effect = opened.effect_of(written)
        try:
            here = at_place(written, place, tree)
            if here is None and not written.scope.meets(place.scope):
                continue
            left_out = leaves_out(written, place)
        except Undecided as doubt:
            found.append(Reaching(assignment=written, effect=effect, doubt=str(doubt)))
            continue
        here = None if left_out else here
        found.append(
            Reaching(
                assignment=written,
                effect=opened.effect_of(here) if here else effect,
                here=here,
                left_out=left_out,
                without=[] if left_out else [one for one in written.not_scopes if place.scope.covers(one)],
            )
        )
    found.sort(key=lambda one: (_depth(one.assignment.scope, place), one.assignment.name))
    return [_with_shadows(one, found) for one in found]


def _depth(scope: Scope, place: ClusterPlace) -> int:
    """The depth of a scope: everything, the scopes around the cluster, the cluster, its namespaces."""
    if scope == EVERYWHERE:
        return 0
    if not scope.covers(place.scope):
        return len(place.above) + 2
    return next((at + 1 for at, one in enumerate(place.above) if one.key == scope.key), len(place.above) + 1)


def _with_shadows(one: Reaching, others: Sequence[Reaching]) -> Reaching:
    if one.here is None:
        return one
    before = others[: others.index(one)]
    names = [other.assignment.name for other in before if other.here is not None and _says_all_of(other, one)]
    return replace(one, shadowed_by=names)


def _says_all_of(wide: Reaching, narrow: Reaching) -> bool:
    """Whether one assignment judges all that another does, in the same way."""
    first, second = wide.here, narrow.here
    assert first is not None and second is not None
    mine, theirs = (
        (each.definition_id, dict(each.parameters), each.overrides, each.enforcement_mode) for each in (first, second)
    )
    covered = wide.reaches == "all of it" or first.scope.covers(second.scope)
    return mine == theirs and covered and all(any(b.covers(a) for b in second.not_scopes) for a in wide.without)


def print_reaching(opened: Workspace, name: str, output: ListFormat) -> None:
    """Print what reaches a cluster."""
    tree = opened.scope_tree()
    entry = tree.find(name)
    cluster = entry.cluster if entry is not None and entry.cluster else name
    place = tree.place(Scope.cluster(cluster))
    found = reaching(opened, place)
    print_list(
        output,
        headers=_HEADERS,
        rows=(
            [
                one.assignment.name,
                one.assignment.definition_id,
                one.effect,
                str(one.assignment.scope),
                one.origin,
                one.reaches,
                one.note,
            ]
            for one in found
        ),
        documents=[one.document() for one in found],
        names=[f"policyassignment.policy.aksp.io/{one.assignment.name}" for one in found],
        empty=f"Nothing that is assigned in {opened.root} reaches {place.scope}.",
    )
