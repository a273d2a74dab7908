"""A report of several clusters: one with violations, one that complies, one that is dead."""

from __future__ import annotations

from dataclasses import replace

from aksp.compliance.fleet import ClusterOutcome, fleet_report
from aksp.model.compliance import Gap, Report, Target, TargetKind
from aksp.model.scope import Scope
from aksp.model.scope_tree import PlacedScope, ScopeTree
from tests.compliance.builders import plan, ready
from tests.report.scenarios import NOW, SCENARIOS

GROUP = Scope("/providers/Microsoft.Management/managementGroups/corp")
#: What is assigned in all of them.
PLAN = plan(ready("allowed-images"))
TREE = ScopeTree(
    entries=(
        PlacedScope(name="corp", scope=GROUP, display_name="Contoso"),
        PlacedScope(name="shop", scope=Scope("/subscriptions/1"), parent=GROUP),
        PlacedScope(name="one", scope=Scope("/clusters/one"), parent=Scope("/subscriptions/1"), labels={"tier": "<b>"}),
        PlacedScope(name="two", scope=Scope("/clusters/two"), parent=GROUP, location="westeurope"),
        PlacedScope(name="gone", scope=Scope("/clusters/gone"), parent=Scope("/subscriptions/1")),
    )
)


def clusters() -> Report:
    """The report."""
    parts = {"one": SCENARIOS["violations"](), "two": SCENARIOS["clean"](), "gone": None}
    outcomes = [
        ClusterOutcome(
            name=name,
            place=TREE.place(Scope.cluster(name)),
            plan=PLAN,
            report=replace(part, target=replace(part.target, name=name)) if part else None,
            problem=None if part else Gap(reason="ClusterUnreachable", message="connection refused"),
        )
        for name, part in parts.items()
    ]
    target = Target(kind=TargetKind.CLUSTERS, name="gone, one, two", scope="/")
    return fleet_report(outcomes, TREE, target, NOW, "1.2.3")


def twins() -> Report:
    """Two clusters in which the same was found."""
    part = SCENARIOS["violations"]()
    outcomes = [
        ClusterOutcome(name=name, place=TREE.place(Scope.cluster(name)), plan=PLAN, report=part)
        for name in ("one", "two")
    ]
    return fleet_report(outcomes, TREE, Target(kind=TargetKind.CLUSTERS, name="one, two", scope="/"), NOW, part.version)
