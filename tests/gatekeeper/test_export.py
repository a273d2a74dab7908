"""What is exported to Gatekeeper matches, and does, what the assignment does; what it cannot do is told."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aksp.catalog.folder import bundled
from aksp.compliance.template_values import values_problem
from aksp.gatekeeper.constraints import Exported, InexpressibleError, constraint
from aksp.gatekeeper.names import kind_of
from aksp.gatekeeper.templates import constraint_template, parameters_schema
from aksp.model.assignment import EnforcementMode, ExemptedResource, Exemption, ExemptionCategory
from aksp.model.definition import ParameterType, ResourceKind
from aksp.model.effect import Effect
from aksp.model.scope import EVERYWHERE, Scope
from tests.compliance.builders import NOW, definition, parameter, ready
from tests.compliance.test_match import GLOBS, LABELS, OBJECTS, SELECTORS, gatekeeper
from tests.replacing import replace

PROD = Scope("/clusters/prod")
SHOP = PROD.namespace("shop")
KINDS = st.sampled_from(
    [
        [ResourceKind(group="", kind="Pod")],
        [ResourceKind(group="apps", kind="*"), ResourceKind(group="", kind="Node")],
        [ResourceKind(group="", kind="Namespace")],
        [ResourceKind(group="*", kind="*")],
    ]
)
SCOPES = st.sampled_from(
    [EVERYWHERE, PROD, SHOP, PROD.namespace("kube-system"), Scope("/clusters/dev/namespaces/shop")]
)
ENTRIES = st.builds(
    ExemptedResource,
    namespace=st.sampled_from([None, "shop", "shop*", "*", "*-test", "s?op"]),
    name=st.sampled_from([None, None, "web-*"]),
)


def exemption(*resources: ExemptedResource, name: str = "waived", **more: Any) -> Exemption:
    return Exemption(name=name, assignment="rule", category=ExemptionCategory.WAIVER, resources=resources, **more)


EXEMPTIONS = st.lists(
    st.builds(lambda scope, entries: exemption(*entries, scope=scope), SCOPES, st.lists(ENTRIES, max_size=2)),
    max_size=2,
)


@settings(max_examples=150, deadline=None)
@given(
    st.fixed_dictionaries(
        {},
        optional={
            "object_scope": st.sampled_from(["*", "Cluster", "Namespaced"]),
            "object_name": GLOBS,
            "namespaces": st.lists(GLOBS, max_size=2),
            "excluded_namespaces": st.lists(GLOBS, max_size=1),
            "label_selector": SELECTORS,
            "namespace_selector": SELECTORS,
        },
    ),
    KINDS,
    SCOPES.filter(lambda scope: "dev" not in scope.path),
    st.lists(SCOPES, max_size=2),
    EXEMPTIONS,
    st.lists(OBJECTS, min_size=1, max_size=8),
    LABELS,
)
def test_a_constraint_matches_what_is_assigned_and_not_exempt_or_says_that_it_does_not(
    fields: Mapping[str, Any], kinds: Any, scope: Scope, left_out: Any, exemptions: Any, objects: Any, labels: Any
) -> None:
    one = ready(
        of=definition("rule", kinds=kinds, **fields),
        target=PROD,
        scope=scope,
        not_scopes=tuple(left_out),
        exemptions=exemptions,
    )
    documents = [replace(each, namespace_labels=labels) if each.resource.namespace else each for each in objects]
    expected = [one.selection.selects(each) and one.waivers.of(each, None) is None for each in documents]
    try:
        found = constraint(one, PROD)
    except InexpressibleError:
        return
    if isinstance(found, str):
        assert not any(expected), found
        return
    if found.lost:
        return
    match = found.document["spec"]["match"]
    namespaces = {each.resource.namespace: labels for each in documents}
    assert [gatekeeper(match, each, namespaces) for each in documents] == expected


@pytest.mark.parametrize("effect", [one for one in Effect if one.judges])
@pytest.mark.parametrize("mode", EnforcementMode)
@pytest.mark.parametrize("warn", [None, True, False])
def test_what_is_refused_here_is_refused_there_and_what_is_told_is_told(
    effect: Effect, mode: EnforcementMode, warn: bool | None
) -> None:
    one = ready(of=definition("rule", warn=warn), parameters={"effect": effect.value}, enforcement_mode=mode)
    found = constraint(one, None)

    assert isinstance(found, Exported)
    action = found.document["spec"]["enforcementAction"]
    assert (action == "deny") is one.refuses
    assert (action in ("deny", "warn")) is (one.refuses or one.tells)


def test_exemptions_of_containers_and_objects_are_told_and_those_of_namespaces_are_exclusions() -> None:
    waivers = [
        exemption(name="ns", scope=SHOP, expires_on=NOW + timedelta(days=1)),
        exemption(ExemptedResource(namespace="dev-*"), name="globs"),
        exemption(ExemptedResource(container="sidecar"), name="container"),
    ]
    found = constraint(ready(target=PROD, exemptions=waivers), PROD)

    assert isinstance(found, Exported)
    annotations = found.document["metadata"]["annotations"]
    assert found.document["spec"]["match"]["excludedNamespaces"] == ["shop", "dev-*"]
    assert annotations["policy.aksp.io/exemptions"] == "ns,globs"
    assert annotations["policy.aksp.io/exemptions-not-expressed"] == "container"
    assert annotations["policy.aksp.io/exempt-until"].startswith("2026")
    assert [text.split(" is ")[0].split(" ends ")[0] for text in found.lost] == [
        "exemption ns",
        "exemption container",
    ]


def test_what_an_exemption_waives_until_its_end_is_told_to_be_exported_then() -> None:
    ending, later, endless = (
        exemption(name=name, expires_on=end)
        for name, end in (
            ("ending", NOW + timedelta(days=1)),
            ("later", NOW + timedelta(days=2)),
            ("endless", None),
        )
    )
    with pytest.raises(InexpressibleError, match=r"exemption later waives all of it until .*: export again then"):
        constraint(ready(target=PROD, exemptions=[ending, later]), PROD)
    assert constraint(ready(target=PROD, exemptions=[ending, endless]), PROD) == "exemption endless waives all of it"
    # Who keeps the constraint in step makes it when the exemption has ended.
    kept = constraint(ready(target=PROD, exemptions=[ending, later]), PROD, kept=True)
    assert isinstance(kept, str) and "exemption later waives all of it" in kept
    excluding = constraint(ready(target=PROD, exemptions=[replace(ending, scope=SHOP)]), PROD, kept=True)
    assert isinstance(excluding, Exported) and not excluding.lost


@pytest.mark.parametrize(
    ("fields", "given", "why"),
    [
        ({"namespaces": ["sh*p"]}, {}, "'sh*p'"),
        ({"object_name": "Web"}, {}, "'Web'"),
        ({"object_scope": "Cluster"}, {"scope": SHOP}, "judges what lies in none"),
        ({"namespaces": ["other"]}, {"scope": SHOP}, "none of its namespaces"),
    ],
)
def test_a_constraint_that_would_match_otherwise_is_not_made(
    fields: Mapping[str, Any], given: Mapping[str, Any], why: str
) -> None:
    with pytest.raises(InexpressibleError, match=why.replace("*", r"\*")):
        constraint(ready(of=definition("rule", **fields), target=PROD, **given), PROD)


@pytest.mark.parametrize("given", [{"scope": PROD}, {"not_scopes": (SHOP,)}])
def test_scopes_of_clusters_need_the_cluster(given: Mapping[str, Any]) -> None:
    with pytest.raises(InexpressibleError, match="--cluster"):
        constraint(ready(**given), None)


def structural(schema: Mapping[str, Any], path: str = "") -> Iterator[str]:
    """What the API server would refuse (Kubernetes: "Specifying a structural schema")."""
    if "type" not in schema and not schema.get("x-kubernetes-preserve-unknown-fields"):
        yield f"{path}: no type"
    if schema.get("type") == "array" and "items" not in schema:
        yield f"{path}: no items"
    if "properties" in schema and "additionalProperties" in schema:
        yield f"{path}: both"
    for name, one in (schema.get("properties") or {}).items():
        yield from structural(one, f"{path}.{name}")
    for key in ("items", "additionalProperties"):
        if key in schema:
            yield from structural(schema[key], f"{path}.{key}")


@pytest.mark.parametrize("one", bundled(), ids=lambda one: one.slug)
def test_the_schema_of_every_definition_is_structural_and_takes_its_own_defaults(one: Any) -> None:
    schema = parameters_schema(one)
    defaults = {name: each["default"] for name, each in schema.get("properties", {}).items() if "default" in each}

    assert list(structural(schema)) == []
    assert set(schema.get("properties", {})) == set(one.values)
    assert values_problem(schema, defaults) is None
    template = constraint_template(one)
    assert (
        template["metadata"]["name"]
        == template["spec"]["crd"]["spec"]["names"]["kind"].lower()
        == kind_of(one.slug).lower()
    )


@pytest.mark.parametrize(
    ("given", "schema"),
    [
        ({"kind": ParameterType.ARRAY}, {"type": "array", "items": {"x-kubernetes-preserve-unknown-fields": True}}),
        ({"kind": ParameterType.OBJECT}, {"type": "object", "x-kubernetes-preserve-unknown-fields": True}),
        ({"kind": ParameterType.INTEGER, "default": 3}, {"type": "integer", "default": 3}),
        ({"default": None}, {"type": "string", "nullable": True}),
        ({"default": "c", "allowed_values": ("a", "b")}, {"type": "string", "enum": ["a", "b"]}),
        (
            {"kind": ParameterType.OBJECT, "schema": {"type": "object", "additionalProperties": {"type": "string"}}},
            {"type": "object", "additionalProperties": {"type": "string"}},
        ),
        (
            {"kind": ParameterType.OBJECT, "schema": {"properties": {"a": {"anyOf": [{}]}}, "additionalProperties": False}},
            {"type": "object", "properties": {"a": {"x-kubernetes-preserve-unknown-fields": True}}},
        ),
    ],
)  # fmt: skip
def test_what_a_parameter_says_of_itself_is_its_schema(given: Mapping[str, Any], schema: Mapping[str, Any]) -> None:
    one = definition("rule", parameter("x", **given), values={"y": "[parameters('x')]", "fixed": 1})

    assert parameters_schema(one)["properties"] == {
        "y": schema,
        "fixed": {"x-kubernetes-preserve-unknown-fields": True},
    }


@given(st.text(min_size=1, max_size=300))
def test_kinds_are_short_and_always_the_same(slug: str) -> None:
    assert len(kind_of(slug)) <= 63
    assert kind_of(slug) == kind_of(slug)
    assert kind_of("a" * 300 + slug) != kind_of("a" * 300 + slug + "b")
