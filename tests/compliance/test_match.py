"""The match of a definition means what Gatekeeper's means (its pkg/mutation/match, v3.23)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aksp.compliance.plan import MatchSource
from aksp.compliance.selection import Criterion
from aksp.model.definition import MISSING, Definition, Parameter, ParameterType, ResourceKind
from aksp.model.resource import Document
from tests.compliance.builders import definition, deployment, parameter, pod, ready, thing
from tests.replacing import replace

EVERY = [ResourceKind(group="*", kind="*")]


def made(field: str, value: Any, *parameters: Parameter) -> Definition:
    fields: dict[str, Any] = {field: value}
    return definition("rule", *parameters, **fields)


NAMES = st.sampled_from(["shop", "shop-test", "kube-system", "a", "web-1"])
GLOBS = st.sampled_from(["shop", "shop*", "*-test", "*-*", "*", "web-*", "*1", "a", "kube-*", "**"])
LABELS = st.dictionaries(st.sampled_from(["env", "app"]), st.sampled_from(["prod", "test"]), max_size=2)
SELECTORS = st.one_of(
    st.none(),
    st.builds(lambda labels: {"matchLabels": labels}, LABELS),
    st.sampled_from(
        [
            {"matchExpressions": [{"key": "env", "operator": "NotIn", "values": ["prod"]}]},
            {"matchExpressions": [{"key": "app", "operator": "Exists"}]},
            {"matchExpressions": [{"key": "env", "operator": "DoesNotExist"}]},
            {"matchExpressions": [{"key": "app", "operator": "In", "values": ["prod", "x"]}]},
        ]
    ),
)
MATCHES = st.fixed_dictionaries(
    {},
    optional={
        "kinds": st.sampled_from(
            [
                [{"apiGroups": [""], "kinds": ["Pod"]}],
                [{"apiGroups": ["apps"]}, {"kinds": ["Namespace", "Node"]}],
                [{"apiGroups": ["*"], "kinds": ["*"]}],
            ]
        ),
        "scope": st.sampled_from(["*", "Cluster", "Namespaced"]),
        "name": GLOBS,
        "namespaces": st.lists(GLOBS, max_size=2),
        "excludedNamespaces": st.lists(GLOBS, max_size=1),
        "labelSelector": SELECTORS,
        "namespaceSelector": SELECTORS,
    },
)
OBJECTS = st.one_of(
    st.builds(lambda name, ns, labels: pod(name, namespace=ns, labels=labels), NAMES, NAMES, LABELS),
    st.builds(lambda ns, labels: pod("web-*", namespace=ns, labels=labels), NAMES, LABELS),
    st.builds(lambda name, ns: thing("apps/v1", "Deployment", name, namespace=ns), NAMES, NAMES),
    st.builds(lambda name, labels: thing("v1", "Namespace", name, namespace="", labels=labels), NAMES, LABELS),
    st.builds(lambda name, labels: thing("v1", "Node", name, namespace="", labels=labels), NAMES, LABELS),
)


# What Gatekeeper's documentation and source say, written again from the notes on them.


def glob(pattern: str, name: str) -> bool:
    inner = pattern.strip("*")
    if pattern.startswith("*") and pattern.endswith("*"):
        return inner in name
    if pattern.startswith("*"):
        return name.endswith(inner)
    if pattern.endswith("*"):
        return name.startswith(inner)
    return pattern == name


def meets(selector: Mapping[str, Any] | None, labels: Mapping[str, str]) -> bool:
    for key, value in ((selector or {}).get("matchLabels") or {}).items():
        if labels.get(key) != value:
            return False
    for one in (selector or {}).get("matchExpressions") or []:
        value = labels.get(one["key"])
        holds = {
            "In": value in one.get("values", ()),
            "NotIn": value not in one.get("values", ()),
            "Exists": value is not None,
            "DoesNotExist": value is None,
        }
        if not holds[one["operator"]]:
            return False
    return True


def gatekeeper(match: Mapping[str, Any], document: Document, namespaces: Mapping[str, Mapping[str, str]]) -> bool:
    """Whether Gatekeeper matches. Raises LookupError where it misses the Namespace."""
    one = document.resource
    group = one.group
    kinds = match.get("kinds")
    if kinds and not any(
        (not k.get("apiGroups") or {"*", group} & set(k["apiGroups"]))
        and (not k.get("kinds") or {"*", one.kind} & set(k["kinds"]))
        for k in kinds
    ):
        return False
    is_namespace = one.kind == "Namespace" and not group
    namespace = one.name if is_namespace else one.namespace
    scope = match.get("scope", "*")
    in_cluster = is_namespace or not one.namespace
    if (scope == "Cluster" and not in_cluster) or (scope == "Namespaced" and in_cluster):
        return False
    if namespace:
        if match.get("namespaces") and not any(glob(each, namespace) for each in match["namespaces"]):
            return False
        if any(glob(each, namespace) for each in match.get("excludedNamespaces", ())):
            return False
    name = match.get("name", "")
    generated = one.name.endswith("*")
    if name and not (name.endswith("*") and glob(name, one.name[:-1]) if generated else glob(name, one.name)):
        return False
    if not meets(match.get("labelSelector"), document.labels):
        return False
    wanted = match.get("namespaceSelector")
    if not wanted or not any(wanted.values()) or (in_cluster and not is_namespace):
        return True
    return meets(wanted, document.labels if is_namespace else namespaces[one.namespace])


def selection_of(match: Mapping[str, Any]) -> Any:
    fields = {
        "scope": "object_scope",
        "name": "object_name",
        "namespaces": "namespaces",
        "excludedNamespaces": "excluded_namespaces",
        "labelSelector": "label_selector",
        "namespaceSelector": "namespace_selector",
    }
    kinds = EVERY
    if match.get("kinds"):
        kinds = [
            ResourceKind(group=group, kind=kind)
            for pair in match["kinds"]
            for group in pair.get("apiGroups", ["*"])
            for kind in pair.get("kinds", ["*"])
        ]
    given_fields = {fields[key]: value for key, value in match.items() if key in fields}
    return ready(of=definition(kinds=kinds, **given_fields)).selection


@given(MATCHES, OBJECTS, st.dictionaries(NAMES, LABELS, max_size=3))
def test_an_assignment_selects_what_gatekeeper_matches(
    match: dict[str, Any], document: Document, namespaces: dict[str, dict[str, str]]
) -> None:
    chosen = selection_of(match)
    known = namespaces.get(document.resource.namespace)
    seen = replace(document, namespace_labels=known)

    try:
        expected = gatekeeper(match, document, namespaces)
    except LookupError:
        # Gatekeeper refuses such an object; here it is taken up, and in Error.
        assert chosen.selects(seen) and chosen.undecided(seen)
        return
    assert chosen.selects(seen) is expected
    assert not expected or chosen.undecided(seen) is None


@given(MATCHES)
def test_what_a_match_rejects_is_said_by_the_field_that_does(match: dict[str, Any]) -> None:
    rejection = selection_of(match).rejection(replace(pod("web-1"), namespace_labels={}))

    if rejection is not None:
        assert rejection.test in (*Criterion,)
        assert rejection.test.value.removeprefix("match.") in match


@pytest.mark.parametrize("field", ["namespaces", "excluded_namespaces"])
@pytest.mark.parametrize("pattern", ["shop?", "sho[pq]", "[!a]*"])
def test_wildcards_that_gatekeeper_does_not_have_are_refused(field: str, pattern: str) -> None:
    with pytest.raises(ValueError, match=r"only \* is a wildcard"):
        ready(of=made(field, [pattern]))


def test_a_star_may_stand_within_a_name_too() -> None:
    chosen = ready(of=definition(namespaces=["team-*-prod"])).selection

    assert chosen.selects(pod(namespace="team-a-prod")) and not chosen.selects(pod(namespace="team-a-prod-2"))
    assert not chosen.selects(pod(namespace="team.prod"))


def test_the_pods_of_a_workload_lie_where_it_does() -> None:
    workload, made = deployment("web", namespace="shop")
    chosen = ready(of=definition(namespace_selector={"matchLabels": {"env": "prod"}})).selection

    assert chosen.choose([workload, replace(made, namespace_labels={"env": "prod"})]) == [1]
    assert chosen.choose([workload, replace(made, namespace_labels={"env": "test"})]) == []


@pytest.mark.parametrize(
    ("field", "value", "problem"),
    [
        ("object_scope", "namespace", "scope is 'namespace', expected one of *, Cluster, Namespaced"),
        ("object_scope", 5, "scope is 5"),
        ("object_name", ["web"], "name is ['web'], expected a name or a pattern with *"),
        ("object_name", "we?", "only * is a wildcard"),
        ("namespace_selector", "env=prod", "namespaceSelector is not an object"),
        ("namespace_selector", {"matchLabel": {}}, "namespaceSelector: 'matchLabel' is neither"),
        ("source", "Both", "source is 'Both', expected one of All, Original, Generated"),
        ("warn", "yes", "warn is 'yes', expected true or false"),
        ("values", ["a"], "values is ['a'], expected an object"),
        ("kinds", (ResourceKind(group="", kind="[parameters('k')]"),), "there is no parameter 'k'"),
    ],
)
def test_a_value_of_the_wrong_kind_is_refused_by_name(field: str, value: Any, problem: str) -> None:
    with pytest.raises(ValueError, match=re.escape(problem)):
        ready(of=made(field, value))


# Expressions


@pytest.mark.parametrize(
    ("written", "value", "kinds"),
    [
        (ResourceKind(group="", kind="[parameters('x')]"), "Service", [("", "Service")]),
        (ResourceKind(group="", kind="[parameters('x')]"), ["Pod", "Service"], [("", "Pod"), ("", "Service")]),
        (ResourceKind(group="[parameters('x')]", kind="Ingress"), ["extensions", "networking.k8s.io"],
         [("extensions", "Ingress"), ("networking.k8s.io", "Ingress")]),
        (ResourceKind(group="*", kind="[parameters('x')]"),
         [{"apiGroups": ["apps"], "kinds": ["Deployment"]}, {"kinds": ["Pod"]}], [("apps", "Deployment"), ("*", "Pod")]),
    ],
)  # fmt: skip
def test_kinds_may_come_from_a_parameter(written: ResourceKind, value: Any, kinds: list[tuple[str, str]]) -> None:
    own = parameter("x", ParameterType.STRING if isinstance(value, str) else ParameterType.ARRAY)
    one = ready(of=definition("rule", own, kinds=[written]), parameters={"x": value})

    assert [(kind.group, kind.kind) for kind in one.selection.kinds] == kinds


@pytest.mark.parametrize("value", [[], [""], [5], [{"kind": ["Pod"]}], {"kinds": [""]}, None])
def test_a_parameter_that_gives_no_kinds_is_refused(value: Any) -> None:
    own = parameter("x", ParameterType.ARRAY)
    with pytest.raises(ValueError, match="kinds"):
        ready(
            of=definition("rule", own, kinds=[ResourceKind(group="", kind="[parameters('x')]")]),
            parameters={"x": value},
        )


@pytest.mark.parametrize(
    ("field", "attribute", "value", "expected"),
    [
        ("object_name", "name", "web-*", "web-*"),
        ("object_scope", "object_scope", "cluster", "Cluster"),
        ("namespaces", "namespaces", ["a"], ("a",)),
    ],
)
def test_every_field_of_the_match_takes_an_expression(field: str, attribute: str, value: Any, expected: Any) -> None:
    own = parameter("x", default=value)

    assert getattr(ready(of=made(field, "[parameters('x')]", own)).selection, attribute) == expected


def test_source_and_warn_take_expressions() -> None:
    one = ready(
        of=definition(
            "rule",
            parameter("s", default="All"),
            parameter("w", ParameterType.BOOLEAN, True),
            source="[parameters('s')]",
            warn="[parameters('w')]",
        )
    )

    assert (one.source, one.warns) == (MatchSource.ALL, True)
    assert (ready().source, ready().warns) == (MatchSource.ORIGINAL, None)


# Optional parameters


def test_an_optional_parameter_that_is_left_out_is_not_there() -> None:
    own = [parameter("minPort", ParameterType.INTEGER, optional=True), parameter("ports", ParameterType.ARRAY, [80])]
    rule = definition(
        "rule",
        *own,
        values={"minPort": "[parameters('minPort')]", "ranges": [{"min": "[parameters('minPort')]"}, "[parameters('minPort')]"],
                "ports": "[parameters('ports')]"},
    )  # fmt: skip

    assert ready(of=rule).values == {"ranges": [{}], "ports": [80]}
    assert ready(of=rule, parameters={"minPort": 5}).values == {
        "minPort": 5,
        "ranges": [{"min": 5}, 5],
        "ports": [80],
    }


def test_an_optional_parameter_with_a_default_has_it() -> None:
    own = parameter("x", default="y", optional=True)

    assert ready(of=definition("rule", own, values={"x": "[parameters('x')]"})).values == {"x": "y"}
    assert parameter("x").required and not parameter("x", optional=True).required
    assert parameter("x").default is MISSING


def test_an_optional_parameter_may_leave_a_field_of_the_match_out() -> None:
    own = parameter("x", optional=True)
    rule = definition("rule", own, object_name="[parameters('x')]", namespace_selector="[parameters('x')]")

    assert ready(of=rule).selection.selects(pod("any"))
