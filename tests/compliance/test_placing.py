"""What an assignment is at one cluster: its scope, notScopes, resourceSelectors and overrides by location."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aksp.compliance.placing import Undecided, at_place, leaves_out, localized, located
from aksp.model.assignment import EffectOverride, ResourceSelector, SelectorCondition, SelectorKind
from aksp.model.scope import Scope
from aksp.model.scope_tree import PlacedScope, ScopeTree
from tests.compliance.builders import assignment

GROUP = "/providers/Microsoft.Management/managementGroups/corp"
ARM = "/subscriptions/1/resourceGroups/rg/providers/Microsoft.ContainerService/managedClusters/prod"
TREE = ScopeTree(
    entries=(
        PlacedScope(name="corp", scope=Scope(GROUP)),
        PlacedScope(name="sub", scope=Scope("/subscriptions/1"), parent=Scope(GROUP)),
        PlacedScope(name="prod", scope=Scope(ARM), context="prod", location="westeurope"),
        PlacedScope(name="bare", scope=Scope("/clusters/bare"), parent=Scope(GROUP)),
    )
)
PROD, BARE = TREE.place(Scope.cluster("prod")), TREE.place(Scope.cluster("bare"))
LOCATION, TYPE = SelectorKind.RESOURCE_LOCATION, SelectorKind.RESOURCE_TYPE
AKS = "microsoft.containerservice/MANAGEDCLUSTERS"


def condition(kind: SelectorKind, *values: str, negated: bool = False) -> SelectorCondition:
    return SelectorCondition(kind=kind, values=values, negated=negated)


def selector(*conditions: SelectorCondition) -> ResourceSelector:
    return ResourceSelector(name="s", conditions=conditions)


@pytest.mark.parametrize(
    ("selectors", "selected"),
    [
        ([], True),
        ([selector()], True),
        ([selector(condition(LOCATION, "West Europe"))], True),
        ([selector(condition(LOCATION, "eastus", "WestEurope"))], True),
        ([selector(condition(LOCATION, "eastus"))], False),
        ([selector(condition(LOCATION, "westeurope", negated=True))], False),
        ([selector(condition(TYPE, AKS))], True),
        ([selector(condition(TYPE, "Microsoft.Kubernetes/connectedClusters"))], False),
        ([selector(condition(TYPE, AKS), condition(LOCATION, "eastus"))], False),
        ([selector(condition(LOCATION, "eastus")), selector(condition(TYPE, AKS))], True),
        ([selector(condition(SelectorKind.RESOURCE_WITHOUT_LOCATION, "subscriptionLevelResources"))], False),
    ],
)
def test_one_selector_is_enough_and_of_it_all_conditions(selectors: list[ResourceSelector], selected: bool) -> None:
    one = assignment(resource_selectors=tuple(selectors))

    assert (at_place(one, PROD, TREE) is not None) is selected
    assert (leaves_out(one, PROD) is None) is selected


def test_a_selector_that_asks_for_what_is_not_known_is_undecided_unless_all_else_decides() -> None:
    unknown, known = condition(LOCATION, "westeurope"), condition(SelectorKind.RESOURCE_WITHOUT_LOCATION, "x")

    with pytest.raises(Undecided, match="location of /clusters/bare is not known"):
        at_place(assignment(resource_selectors=(selector(unknown),)), BARE, TREE)
    assert at_place(assignment(resource_selectors=(selector(unknown, known),)), BARE, TREE) is None
    assert at_place(assignment(resource_selectors=(selector(unknown), selector())), BARE, TREE)
    with pytest.raises(Undecided, match="its type"):
        at_place(assignment(resource_selectors=(selector(condition(TYPE, AKS)),)), BARE, TREE)


def test_of_overrides_by_location_the_last_that_concerns_the_cluster_holds() -> None:
    one = assignment(
        overrides=(
            EffectOverride(effect="Audit"),
            EffectOverride(effect="Deny", location=condition(LOCATION, "West Europe")),
            EffectOverride(effect="Disabled", location=condition(LOCATION, "eastus")),
        )
    )
    here = at_place(one, PROD, TREE)

    assert here is not None
    assert here.overridden_effect == "Deny"
    with pytest.raises(Undecided):
        at_place(one, BARE, TREE)
    with pytest.raises(Undecided, match="for no cluster"):
        located(one, None)


def test_not_scopes_that_nobody_can_place_are_undecided_and_not_passed_over() -> None:
    with pytest.raises(Undecided, match="managementGroups/other"):
        at_place(assignment(not_scopes=(Scope(GROUP.replace("corp", "other")),)), PROD, TREE)


@pytest.mark.parametrize(
    ("scope", "own"),
    [
        ("/", "/"),
        (GROUP, "/clusters/prod"),
        ("/subscriptions/1", "/clusters/prod"),
        (ARM.upper(), "/clusters/prod"),
        (f"{ARM}/namespaces/shop", "/clusters/prod/namespaces/shop"),
        ("/clusters/prod/namespaces/shop", "/clusters/prod/namespaces/shop"),
    ],
)
def test_what_is_written_into_a_cluster_has_scopes_that_it_knows(scope: str, own: str) -> None:
    outs = (Scope("/subscriptions/2"), Scope(f"{ARM}/namespaces/infra"))
    one = localized(assignment(scope=Scope(scope), not_scopes=outs, resource_selectors=(selector(),)), PROD)

    assert (one.scope, one.not_scopes) == (Scope(own), (Scope("/clusters/prod/namespaces/infra"),))
    assert one.resource_selectors == ()


SCOPES = st.sampled_from(
    ["/", GROUP, "/subscriptions/1", "/subscriptions/2", ARM, f"{ARM}/namespaces/a", "/clusters/prod/namespaces/a"]
).map(Scope)


@given(SCOPES, st.lists(SCOPES, max_size=3))
def test_a_cluster_judges_by_its_own_terms_what_the_workspace_judges(scope: Scope, outs: list[Scope]) -> None:
    one = at_place(assignment(scope=scope, not_scopes=tuple(outs)), PROD, TREE)
    if one is None:
        return
    own = localized(one, PROD)
    bare = Scope("/clusters/prod")
    for place, there in ((PROD.scope, bare), *((PROD.scope.namespace(n), bare.namespace(n)) for n in "ab")):
        judged = one.scope.covers(place) and not any(out.covers(place) for out in one.not_scopes)
        assert judged == (own.scope.covers(there) and not any(out.covers(there) for out in own.not_scopes))
