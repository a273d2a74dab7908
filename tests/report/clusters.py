"""Reports of several clusters."""

from __future__ import annotations

from collections.abc import Mapping

from aksp.compliance.fleet import ClusterOutcome, fleet_report
from aksp.model.compliance import Gap, Report, Target, TargetKind
from aksp.model.scope import Scope
from aksp.model.scope_tree import PlacedScope, ScopeTree
from tests.compliance.builders import plan, ready
from tests.replacing import replace
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


#: Clusters by name, each with its scenario; None is one that nobody can reach.
MIXES: Mapping[str, Mapping[str, str | None]] = {
    "one dead": {"one": "violations", "two": "clean", "gone": None},
    "twins": {"one": "violations", "two": "violations"},
    "all dead": {"one": None, "two": None},
    "gaps": {"one": "gaps", "two": "gaps", "gone": None},
    "mixed": {"one": "hostile", "two": "initiatives", "three: <b>": "violations", "empty": "empty", "gone": None},
}


def clusters() -> Report:
    """One with violations, one that complies, one that is dead."""
    return fleet_of(MIXES["one dead"])


def twins() -> Report:
    """Two clusters in which the same was found."""
    return fleet_of(MIXES["twins"])


def fleet_of(parts: Mapping[str, str | None]) -> Report:
    """The report of clusters by name, each with its scenario."""
    outcomes = [
        ClusterOutcome(
            name=name,
            place=TREE.place(Scope.cluster(name)),
            plan=PLAN,
            report=alone(name, scenario) if scenario else None,
            problem=None if scenario else Gap(reason="ClusterUnreachable", message="connection refused"),
        )
        for name, scenario in parts.items()
    ]
    target = Target(kind=TargetKind.CLUSTERS, name=", ".join(sorted(parts)), scope="/")
    return fleet_report(outcomes, TREE, target, NOW, "1.2.3")


def alone(name: str, scenario: str) -> Report:
    """The report of one of them."""
    part = SCENARIOS[scenario]()
    return replace(part, target=replace(part.target, name=name, scope=f"/clusters/{name}"))
