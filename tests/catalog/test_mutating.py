"""Mutators of anybody, and objects of anybody: what is wrong is told, and nothing breaks."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aksp.azure.mutating import MutationInForce
from aksp.catalog.mutating import Mutator, NotMutated, difference
from aksp.catalog.mutation_paths import EachStep, EntryStep, FieldStep, steps_of
from aksp.catalog.mutator_match import check_match
from aksp.errors import InvalidInput
from tests.cli.test_custom_mutations import mutator
from tests.cli.test_mutate import pod

ODD = st.sampled_from([None, 0, 1.5, True, "", "*", "a[b", [], [None], ["*"], {}, {"a": 1}, [{"key": "k"}], "\ud800"])
DOCUMENTS = [
    mutator(),
    mutator("AssignImage", "spec.containers[name: *].image", parameters={"assignDomain": "a.b", "assignTag": ":v2"}),
    mutator("AssignMetadata", "metadata.labels.a", parameters={"assign": {"fromMetadata": {"field": "name"}}}),
    mutator("ModifySet", "spec.containers[name: c].args", parameters={"operation": "prune", "values": {"fromList": ["a"]}}),
    mutator(
        location='spec.tolerations[key: "a/b"]',
        parameters={"assign": {"value": {"key": "a/b"}}, "pathTests": [{"subPath": "spec", "condition": "MustExist"}]},
        match={
            "kinds": [{"apiGroups": ["*"], "kinds": ["Pod"]}], "scope": "Namespaced", "namespaces": ["s*"], "name": "*",
            "labelSelector": {"matchLabels": {"a": "b"}},
            "namespaceSelector": {"matchExpressions": [{"key": "a", "operator": "Exists"}]},
        },
    ),
]  # fmt: skip
OBJECTS = [
    {**pod(args=["a"]), "metadata": {"name": "p", "labels": {"a": "b"}}},
    {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d"}, "spec": {"template": pod()}},
]


def places(value: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [at, *(place for key, each in items for place in places(each, (*at, key)))]


@st.composite
def odd(draw: st.DrawFn, documents: list[Any]) -> Any:
    made = copy.deepcopy(draw(st.sampled_from(documents)))
    for _ in range(draw(st.integers(1, 2))):
        *path, last = draw(st.sampled_from([place for place in places(made) if place]))
        found = made
        for key in path:
            found = found[key]
        found[last] = copy.deepcopy(draw(ODD))
    return made


@given(odd(DOCUMENTS), st.sampled_from(OBJECTS))
def test_a_mutator_that_is_wrong_is_told_and_nothing_else_happens(document: Any, one: Any) -> None:
    try:
        Mutator.read(document, "file")
        check_match(document, "file")
    except InvalidInput:
        return
    try:
        made = MutationInForce(by="file", documents=[document]).changed(one, {"default": {"a": "b"}})
    except NotMutated:
        return
    difference(one, made)


@given(st.sampled_from(DOCUMENTS), odd(OBJECTS))
def test_an_object_that_is_wrong_is_told_or_left_as_it_is(document: Any, one: Any) -> None:
    before = copy.deepcopy(one)
    try:
        MutationInForce(by="file", documents=[document]).changed(one, {"default": {}, "shop": {"a": "b"}})
    except NotMutated:
        pass
    assert one == before  # nothing that was read is changed


@pytest.mark.parametrize(
    ("location", "steps"),
    [
        ("spec.a", (FieldStep("spec"), FieldStep("a"))),
        (' spec . a [ b : "c.d" ] . e ', (FieldStep("spec"), FieldStep("a"), EntryStep("b", "c.d"), FieldStep("e"))),
        ("a[b:*]", (FieldStep("a"), EachStep("b"))),
        ("ports[containerPort: 80].name", (FieldStep("ports"), EntryStep("containerPort", 80), FieldStep("name"))),
        (r"metadata.labels.'it\'s'", (FieldStep("metadata"), FieldStep("labels"), FieldStep("it's"))),
    ],
)
def test_a_location_has_the_steps_that_gatekeeper_reads(location: str, steps: Any) -> None:
    assert steps_of(location) == steps


@pytest.mark.parametrize(
    "location", ["", ".", "a.", ".a", "a..b", "a[b]", "a[b:*", "a[*:b]", "a b", "a['b: *]", ".".join("a" * 5000)]
)
def test_what_is_no_location_is_refused(location: str) -> None:
    with pytest.raises(ValueError, match="is no location"):
        steps_of(location)
