"""Scopes: what lies under what."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aksp.model.scope import Scope

ARM = "/subscriptions/0000/resourceGroups/shop/providers/Microsoft.ContainerService/managedClusters/prod"


@pytest.mark.parametrize(
    "text",
    [
        "/",
        "/clusters/prod",
        "/clusters/prod/namespaces/shop",
        ARM,
        "/providers/Microsoft.Management/managementGroups/corp",
    ],
)
def test_a_scope_is_written_as_it_is_read(text: str) -> None:
    assert str(Scope.parse(text)) == text


def test_a_slash_at_the_end_says_nothing() -> None:
    assert Scope.parse("/clusters/prod/") == Scope.parse("/clusters/prod")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "does not start with /"),
        ("clusters/prod", "does not start with /"),
        ("/clusters//prod", "empty segment"),
        ("/clusters/ /namespaces/x", "empty segment"),
        ("/clusters", "ends in the middle"),
        ("/clusters/prod/namespaces", "ends in the middle"),
        ("/clusters/prod/pods/x", "only /namespaces/NAMESPACE"),
        ("/clusters/prod/namespaces/a/pods/b", "only /namespaces/NAMESPACE"),
    ],
)
def test_what_is_no_scope_is_refused(text: str, problem: str) -> None:
    with pytest.raises(ValueError, match="scope ") as refused:
        Scope.parse(text)

    assert problem in str(refused.value)


@pytest.mark.parametrize(
    ("wide", "narrow", "covered"),
    [
        ("/", "/clusters/prod", True),
        ("/clusters/prod", "/clusters/prod", True),
        ("/clusters/prod", "/clusters/prod/namespaces/shop", True),
        ("/clusters/prod", "/clusters/production", False),
        ("/clusters/prod/namespaces/shop", "/clusters/prod", False),
        ("/clusters/prod/namespaces/shop", "/clusters/prod/namespaces/shop-test", False),
        ("/clusters/Prod", "/clusters/prod", False),
        ("/Clusters/prod/Namespaces/shop", "/clusters/prod/namespaces/shop", True),
        ("/clusters/prod/namespaces/Shop", "/clusters/prod/namespaces/shop", False),
        (ARM.upper(), ARM.lower(), True),
        ("/subscriptions/0000/resourcegroups/SHOP", ARM, True),
        ("/subscriptions/0000/resourceGroups/sho", ARM, False),
        (ARM, ARM + "/namespaces/shop", True),
    ],
)
def test_a_scope_covers_segment_by_segment(wide: str, narrow: str, covered: bool) -> None:
    assert Scope(wide).covers(Scope(narrow)) is covered


def test_a_context_named_with_slashes_is_one_segment() -> None:
    arn = "arn:aws:eks:eu-west-1:1234:cluster/prod"

    assert not Scope.cluster(arn).covers(Scope.cluster("arn:aws:eks:eu-west-1:1234:cluster"))
    assert not Scope.cluster("arn:aws:eks:eu-west-1:1234:cluster").covers(Scope.cluster(arn))
    assert Scope.parse(str(Scope.cluster(arn).namespace("shop"))) == Scope.cluster(arn).namespace("shop")


SEGMENTS = st.sampled_from(["a", "A", "b", "aa", "subscriptions", "x y"])
SCOPES = st.lists(SEGMENTS, max_size=4).map(lambda parts: Scope("/" + "/".join(parts)))
NAMES = st.text(min_size=1, max_size=8)


@given(SCOPES)
def test_everything_lies_under_the_root_and_in_itself(scope: Scope) -> None:
    assert Scope("/").covers(scope)
    assert scope.covers(scope)
    assert Scope(scope.path.swapcase()).covers(scope)


@given(SCOPES, SCOPES, SCOPES)
def test_covering_is_transitive(one: Scope, two: Scope, three: Scope) -> None:
    if one.covers(two) and two.covers(three):
        assert one.covers(three)


@given(SCOPES, SEGMENTS)
def test_a_scope_covers_what_is_below_it_and_not_what_begins_like_it(scope: Scope, segment: str) -> None:
    below = Scope(f"{scope.path.rstrip('/')}/{segment}")

    assert scope.covers(below)
    assert not below.covers(scope)
    assert not below.covers(Scope(below.path + "x"))


@given(NAMES, NAMES)
def test_two_clusters_cover_each_other_only_if_they_are_one(one: str, other: str) -> None:
    assert Scope.cluster(one).covers(Scope.cluster(other)) is (one == other)


def test_other_paths_to_a_place_make_no_other_scope_of_it() -> None:
    one, other = Scope("/clusters/prod"), Scope("/clusters/prod", also=("/subscriptions/s",))
    assert one == other
    assert not (one != other)  # noqa: SIM202 - it is != that is tested
    assert hash(one) == hash(other)
    assert one != Scope("/clusters/test")
