"""The scope tree: what a scope reaches, from management groups down to namespaces."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aksp.model.scope import Scope
from aksp.model.scope_tree import PlacedScope, ScopeKind, ScopeTree, circle, kind_of

GROUPS = "/providers/Microsoft.Management/managementGroups/"
SUBSCRIPTION = "/subscriptions/1111"
GROUP = f"{SUBSCRIPTION}/resourceGroups/shop"
CLUSTER = f"{GROUP}/providers/Microsoft.ContainerService/managedClusters/prod"


def entry(name: str, scope: str, parent: str | None = None, context: str = "") -> PlacedScope:
    return PlacedScope(name=name, scope=Scope(scope), parent=Scope(parent) if parent else None, context=context)


TREE = ScopeTree(
    entries=(
        entry("root", GROUPS + "root"),
        entry("corp", GROUPS + "corp", GROUPS + "root"),
        entry("lab", GROUPS + "lab", GROUPS + "root"),
        entry("shop", SUBSCRIPTION, GROUPS + "corp"),
        entry("prod", CLUSTER, context="prod"),
        entry("kind", "/clusters/kind", GROUPS + "lab"),
    )
)


@pytest.mark.parametrize(
    ("scope", "kind"),
    [
        ("/", None),
        (GROUPS + "corp", ScopeKind.MANAGEMENT_GROUP),
        (SUBSCRIPTION, ScopeKind.SUBSCRIPTION),
        (GROUP.upper(), ScopeKind.RESOURCE_GROUP),
        (CLUSTER, ScopeKind.CLUSTER),
        (CLUSTER.replace("ContainerService/managedClusters", "Kubernetes/connectedClusters"), ScopeKind.CLUSTER),
        (CLUSTER.replace("managedClusters", "containerServices"), None),
        (f"{CLUSTER}/namespaces/shop", None),
        ("/clusters/kind", ScopeKind.CLUSTER),
        ("/clusters/kind/namespaces/shop", None),
    ],
)
def test_a_scope_s_path_tells_what_it_is(scope: str, kind: ScopeKind | None) -> None:
    assert kind_of(Scope(scope)) is kind


@pytest.mark.parametrize(
    "scope", ["/", GROUPS + "ROOT", GROUPS + "corp", SUBSCRIPTION, GROUP, CLUSTER, "/clusters/prod"]
)
def test_what_is_above_a_cluster_covers_it_and_its_namespaces(scope: str) -> None:
    place = TREE.place(Scope.cluster("prod"))

    assert Scope(scope).covers(place.scope)
    assert Scope(scope).covers(place.scope.namespace("shop"))
    assert TREE.place(Scope("/clusters/prod/namespaces/shop")).scope.path == "/clusters/prod/namespaces/shop"
    assert Scope(scope).covers(TREE.place(Scope("/clusters/prod/namespaces/shop")).scope)


@pytest.mark.parametrize("scope", [GROUPS + "lab", "/subscriptions/2", GROUP + "x", CLUSTER + "x", "/clusters/kind"])
def test_what_is_elsewhere_neither_covers_a_cluster_nor_is_in_doubt(scope: str) -> None:
    place = TREE.place(Scope.cluster("prod"))

    assert not Scope(scope).meets(place.scope)
    assert TREE.doubt(Scope(scope), place) is None


def test_a_namespace_by_the_arm_id_of_its_cluster_is_that_namespace_alone() -> None:
    place = TREE.place(Scope.cluster("prod")).scope
    namespace = Scope(f"{CLUSTER}/namespaces/shop")

    assert namespace.covers(place.namespace("shop"))
    assert not namespace.covers(place.namespace("shop-2"))
    assert not namespace.covers(place)


@pytest.mark.parametrize(
    ("cluster", "scope"),
    [
        ("nowhere", SUBSCRIPTION),
        ("nowhere", GROUPS + "corp"),
        ("prod", GROUPS + "other"),
        ("prod", "/providers/x"),
        ("alone", GROUPS + "corp"),
        ("alone", SUBSCRIPTION),
    ],
)
def test_what_the_tree_does_not_say_is_in_doubt(cluster: str, scope: str) -> None:
    tree = ScopeTree(entries=(*TREE.entries, entry("alone", "/clusters/alone")))

    assert tree.doubt(Scope(scope), tree.place(Scope.cluster(cluster)))


def test_a_subscription_in_no_group_may_be_in_any() -> None:
    tree = ScopeTree(entries=(entry("corp", GROUPS + "corp"), entry("prod", CLUSTER, context="prod")))

    assert tree.doubt(Scope(GROUPS + "corp"), tree.place(Scope.cluster("prod")))


@pytest.mark.parametrize("scope", ["/clusters/prod", CLUSTER])
def test_a_group_that_the_tree_does_not_have_may_lie_in_any(scope: str) -> None:
    parents = (entry("shop", SUBSCRIPTION, GROUPS + "lost"), entry("kind", "/clusters/prod", GROUPS + "lost"))
    prod = parents[1] if scope == "/clusters/prod" else entry("prod", CLUSTER, context="prod")
    tree = ScopeTree(entries=(entry("corp", GROUPS + "corp"), parents[0], prod))

    assert tree.doubt(Scope(GROUPS + "corp"), tree.place(Scope.cluster("prod")))
    assert tree.doubt(Scope(GROUPS + "lost"), tree.place(Scope.cluster("prod"))) is None


def test_a_circle_of_groups_is_found_and_ends() -> None:
    entries = (entry("a", GROUPS + "a", GROUPS + "b"), entry("b", GROUPS + "b", GROUPS + "a"))

    assert circle(entries) is not None
    assert circle(TREE.entries) is None
    assert len(ScopeTree(entries=entries).above(Scope(GROUPS + "a"))) == 1


NAMES = st.sampled_from(["a", "b", "c"])


@st.composite
def trees(draw: st.DrawFn) -> ScopeTree:
    """Groups in a chain or side by side, subscriptions in some, clusters with an ARM id or without."""
    entries: dict[tuple[str, ...], PlacedScope] = {}

    def add(one: PlacedScope) -> None:
        entries.setdefault(one.scope.key, one)

    groups: list[str] = []
    for number in range(draw(st.integers(0, 4))):
        parent = draw(st.sampled_from([None, *groups]))
        groups.append(f"{GROUPS}g{number}")
        add(entry(f"g{number}", groups[-1], parent))
    subscriptions = []
    for name in draw(st.lists(NAMES, max_size=3)):
        subscriptions.append(f"/subscriptions/{name}")
        add(entry(f"s{name}", subscriptions[-1], draw(st.sampled_from([None, *groups]))))
    for number in range(draw(st.integers(1, 4))):
        holder = draw(st.sampled_from([None, *groups, *subscriptions]))
        if holder in subscriptions:
            arm = (
                f"{holder}/resourceGroups/{draw(NAMES)}/providers/Microsoft.ContainerService/managedClusters/k{number}"
            )
            add(entry(f"k{number}", arm, context=f"k{number}"))
        else:
            add(entry(f"k{number}", f"/clusters/k{number}", holder))
    return ScopeTree(entries=tuple(entries.values()))


@given(trees(), st.data())
def test_a_longer_scope_never_reaches_more(tree: ScopeTree, data: st.DataObject) -> None:
    """Of all scopes above a cluster, one that is further down reaches a part of what the one above it reaches."""
    places = [tree.place(Scope.cluster(one.cluster)) for one in tree.clusters]
    place = data.draw(st.sampled_from(places))
    chain = [Scope("/"), *place.above, *([place.entry.scope] if place.entry else []), place.scope]

    def reached(scope: Scope) -> set[str]:
        found = {one.scope.path for one in places if scope.covers(one.scope)}
        return found | {f"{one.scope.path} {n}" for one in places for n in "ab" if scope.covers(one.scope.namespace(n))}

    sets = [reached(Scope(one.path)) for one in chain]
    sets.append(reached(Scope(f"{chain[-2].path}/namespaces/a")))
    assert all(longer <= shorter for shorter, longer in itertools.pairwise(sets))
    assert place.scope.path in sets[0]


@given(trees(), st.randoms())
def test_the_order_of_entries_says_nothing(tree: ScopeTree, random: object) -> None:
    shuffled = list(tree.entries)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    other = ScopeTree(entries=tuple(shuffled))

    for one in tree.clusters:
        place, again = tree.place(Scope.cluster(one.cluster)), other.place(Scope.cluster(one.cluster))
        assert (place.scope.also, place.above) == (again.scope.also, again.above)
