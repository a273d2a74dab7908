"""What an assignment selects."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aksp.compliance.selection import ObjectScope, Selection, Selector
from aksp.model.definition import ResourceKind
from aksp.model.resource import Document, Problem, Resource
from aksp.model.scope import Scope
from tests.compliance.builders import DEPLOYMENT, POD, SERVICE, deployment, pod, thing
from tests.replacing import replace

PROD = Scope("/clusters/prod")


def selects(labels: Mapping[str, str], **selector: Any) -> bool:
    return Selector.parse(selector).matches(labels)


# Label selectors


def test_an_empty_selector_selects_everything() -> None:
    assert Selector.parse(None).empty and Selector.parse({}).empty
    assert Selector().matches({}) and Selector().matches({"a": "b"})


@pytest.mark.parametrize(
    ("operator", "values", "labels", "selected"),
    [
        ("In", ["web", "api"], {"app": "web"}, True),
        ("In", ["web"], {"app": "db"}, False),
        ("In", ["web"], {}, False),
        ("NotIn", ["web"], {"app": "db"}, True),
        ("NotIn", ["web"], {"app": "web"}, False),
        ("NotIn", ["web"], {}, True),
        ("Exists", [], {"app": ""}, True),
        ("Exists", [], {}, False),
        ("DoesNotExist", [], {}, True),
        ("DoesNotExist", [], {"app": "web"}, False),
    ],
)
def test_an_operator_means_what_kubernetes_says(
    operator: str, values: list[str], labels: dict[str, str], selected: bool
) -> None:
    expression = {"key": "app", "operator": operator, **({"values": values} if values else {})}

    assert selects(labels, matchExpressions=[expression]) is selected


def test_every_requirement_must_hold() -> None:
    selector = {"matchLabels": {"a": "1", "b": "2"}, "matchExpressions": [{"key": "c", "operator": "Exists"}]}

    assert selects({"a": "1", "b": "2", "c": ""}, **selector)
    assert not selects({"a": "1", "b": "2"}, **selector)
    assert not selects({"a": "1", "b": "3", "c": ""}, **selector)


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ({"matchExpressions": [{"key": "a", "operator": "Is"}]}, "operator 'Is' is not one of"),
        ({"matchExpressions": [{"operator": "Exists"}]}, "has no key"),
        ({"matchExpressions": [{"key": "a", "operator": "In"}]}, "operator In needs values"),
        ({"matchExpressions": [{"key": "a", "operator": "In", "values": []}]}, "operator In needs values"),
        ({"matchExpressions": [{"key": "a", "operator": "Exists", "values": ["x"]}]}, "Exists takes no values"),
        ({"matchExpressions": "a"}, "matchExpressions"),
        ({"matchExpressions": ["a"]}, "matchExpressions"),
        ({"matchExpressions": [{"key": "a", "operator": "In", "values": "web"}]}, "values"),
        ({"matchLabels": ["a"]}, "matchLabels"),
        ({"matchLabels": {"a": 1}}, "matchLabels"),
        ({"matchlabels": {"a": "1"}}, "matchlabels"),
        (["a"], "labelSelector"),
        ("a=b", "labelSelector"),
    ],
)
def test_a_selector_that_is_none_is_refused_with_what_is_wrong(value: Any, problem: str) -> None:
    with pytest.raises(ValueError, match="labelSelector") as refused:
        Selector.parse(value)

    assert problem in str(refused.value)


# kubectl's text


@pytest.mark.parametrize(
    ("text", "document"),
    [
        ("a=b", {"matchLabels": {"a": "b"}}),
        ("a==b , c=d", {"matchLabels": {"a": "b", "c": "d"}}),
        ("a!=b", {"matchExpressions": [{"key": "a", "operator": "NotIn", "values": ["b"]}]}),
        ("a in (b, c)", {"matchExpressions": [{"key": "a", "operator": "In", "values": ["b", "c"]}]}),
        ("a notin (b),d", {"matchExpressions": [
            {"key": "a", "operator": "NotIn", "values": ["b"]}, {"key": "d", "operator": "Exists"}]}),
        ("!a", {"matchExpressions": [{"key": "a", "operator": "DoesNotExist"}]}),
        ("a in (b,c),d in (e)", {"matchExpressions": [
            {"key": "a", "operator": "In", "values": ["b", "c"]}, {"key": "d", "operator": "In", "values": ["e"]}]}),
        ("app.kubernetes.io/name=web", {"matchLabels": {"app.kubernetes.io/name": "web"}}),
        ("a=", {"matchLabels": {"a": ""}}),
        ("in", {"matchExpressions": [{"key": "in", "operator": "Exists"}]}),
    ],
)  # fmt: skip
def test_the_text_that_kubectl_takes_is_read(text: str, document: dict[str, Any]) -> None:
    assert Selector.parse_text(text).document() == document


@pytest.mark.parametrize("text", ["a=b,", ",", "a in b", "a in (b", "=b", "a=b=c", "a b", "a>1", "!a=b", "a in ()x"])
def test_text_that_is_no_selector_is_refused_and_shown(text: str) -> None:
    with pytest.raises(ValueError, match="label selector") as refused:
        Selector.parse_text(text)

    assert repr(text) in str(refused.value)


def test_two_values_for_one_key_select_nothing() -> None:
    selector = Selector.parse_text("a=1,a=2")

    assert not selector.matches({"a": "1"}) and not selector.matches({"a": "2"})
    assert not Selector.parse(selector.document()).matches({"a": "2"})


KEYS = st.sampled_from(["a", "b", "example.com/c"])
VALUES = st.sampled_from(["x", "y", ""])
EXPRESSIONS = st.one_of(
    st.tuples(
        KEYS, st.sampled_from(["In", "NotIn"]), st.lists(st.sampled_from(["x", "y"]), min_size=1, max_size=2).map(tuple)
    ),
    st.tuples(KEYS, st.sampled_from(["Exists", "DoesNotExist"]), st.just(())),
)
SELECTORS = st.builds(
    Selector,
    match_labels=st.dictionaries(KEYS, VALUES, max_size=2).map(lambda d: tuple(d.items())),
    match_expressions=st.lists(EXPRESSIONS, max_size=3).map(tuple),
)


@given(SELECTORS, st.dictionaries(KEYS, VALUES))
def test_a_selector_survives_its_document(selector: Selector, labels: dict[str, str]) -> None:
    again = Selector.parse(selector.document())

    assert again == selector
    assert again.matches(labels) == selector.matches(labels)


@given(KEYS, st.lists(st.sampled_from(["x", "y"]), min_size=1).map(tuple), st.dictionaries(KEYS, VALUES))
def test_not_in_is_the_opposite_of_in(key: str, values: tuple[str, ...], labels: dict[str, str]) -> None:
    one, other = (Selector(match_expressions=((key, operator, values),)) for operator in ("In", "NotIn"))

    assert one.matches(labels) != other.matches(labels)


# Kinds, namespaces and scopes


def selection(kinds: Sequence[ResourceKind] = (POD,), scope: str = "/", target: Scope = PROD, **more: Any) -> Selection:
    more["not_scopes"] = tuple(Scope(path) for path in more.get("not_scopes", ()))
    return Selection(kinds=tuple(kinds), target=target, scope=Scope(scope), **more)


def test_a_kind_is_group_and_name() -> None:
    chosen = selection((SERVICE, DEPLOYMENT))
    documents = [
        pod(),
        thing("v1", "Service"),
        thing("apps/v1", "Deployment"),
        thing("serving.knative.dev/v1", "Service"),
    ]

    assert chosen.choose(documents) == [1, 2]


def test_a_star_stands_for_any_kind_or_group() -> None:
    documents = [pod(), thing("apps/v1", "Deployment"), thing("example.com/v1", "Pod")]

    assert selection([ResourceKind(group="*", kind="*")]).choose(documents) == [0, 1, 2]
    assert selection([ResourceKind(group="*", kind="Pod")]).choose(documents) == [0, 2]
    assert selection([ResourceKind(group="apps", kind="*")]).choose(documents) == [1]


def test_the_pod_of_a_template_is_a_pod_and_its_workload_is_not() -> None:
    assert selection().choose(deployment()) == [1]
    assert selection([DEPLOYMENT]).choose(deployment()) == [0]


@pytest.mark.parametrize(
    ("only", "excluded", "selected"),
    [
        ((), (), {"shop", "shop-test", "kube-system"}),
        (("shop",), (), {"shop"}),
        (("shop*",), (), {"shop", "shop-test"}),
        ((), ("kube-*",), {"shop", "shop-test"}),
        (("shop*",), ("*-test",), {"shop"}),
        (("shop",), ("shop",), set()),
        (("SHOP",), (), set()),
    ],
)
def test_namespaces_are_names_or_globs_and_exclusion_wins(
    only: tuple[str, ...], excluded: tuple[str, ...], selected: set[str]
) -> None:
    chosen = selection(namespaces=only, excluded_namespaces=excluded)

    assert {n for n in ("shop", "shop-test", "kube-system") if chosen.selects(pod(namespace=n))} == selected


def test_namespaces_say_nothing_about_an_object_without_one() -> None:
    node = thing("v1", "Node", namespace="")
    nodes = [ResourceKind(group="", kind="Node")]

    assert selection(nodes).selects(node)
    assert selection(nodes, excluded_namespaces=("*",)).selects(node)
    assert selection(nodes, namespaces=("shop",)).selects(node)
    assert not selection(nodes, "/clusters/prod/namespaces/shop").selects(node)


def test_a_namespace_lies_in_itself() -> None:
    namespaces = [ResourceKind(group="", kind="Namespace")]
    shop = thing("v1", "Namespace", "shop", namespace="")

    assert selection(namespaces, namespaces=("shop",)).selects(shop)
    assert not selection(namespaces, excluded_namespaces=("shop",)).selects(shop)
    assert selection(namespaces, "/clusters/prod/namespaces/shop").selects(shop)
    assert not selection(namespaces, "/clusters/prod/namespaces/other").selects(shop)


def test_scopes_reach_what_lies_below_them() -> None:
    inside, outside = pod(namespace="shop"), pod(namespace="other")

    assert selection(scope="/clusters/prod").choose([inside, outside]) == [0, 1]
    assert selection(scope="/clusters/prod/namespaces/shop").choose([inside, outside]) == [0]
    assert selection(scope="/clusters/dev").choose([inside, outside]) == []


def test_not_scopes_are_left_out() -> None:
    documents = [pod(namespace="shop"), pod(namespace="other"), thing("v1", "Node", namespace="")]
    every = [ResourceKind(group="*", kind="*")]

    assert selection(every, not_scopes=("/clusters/prod/namespaces/shop",)).choose(documents) == [1, 2]
    assert selection(every, not_scopes=("/clusters/prod",)).choose(documents) == []
    assert selection(every, not_scopes=("/clusters/dev",)).choose(documents) == [0, 1, 2]


def test_labels_select_beside_all_else() -> None:
    chosen = selection(selector=Selector.parse_text("app=web"), namespaces=("shop",))

    assert chosen.selects(pod(labels={"app": "web"}))
    assert not chosen.selects(pod(labels={"app": "db"}))
    assert not chosen.selects(pod(labels={"app": "web"}, namespace="other"))


@pytest.mark.parametrize(
    ("path", "selection_of", "selects"),
    [
        ("metadata.labels.app", {"selector": Selector.parse_text("app=1")}, True),
        ("metadata.labels", {"selector": Selector.parse_text("app=1")}, True),
        ("metadata", {"selector": Selector.parse_text("app=1")}, True),
        ("metadata.labels.tier", {"selector": Selector.parse_text("app=1")}, False),
        ("metadata.labels['a.b/c']", {"selector": Selector.parse_text("a.b/c=1")}, True),
        ("metadata.namespace", {"namespaces": ("other",)}, True),
        ("metadata.namespace", {"excluded_namespaces": ("shop",)}, True),
        ("metadata.labels.app", {"namespaces": ("other",)}, False),
        ("metadata.name", {"name": "web-*"}, True),
        ("spec.containers", {"name": "web-*"}, False),
    ],
)
@pytest.mark.parametrize("template", ["", "spec.template"])
def test_a_field_that_cannot_be_read_rejects_nothing(
    path: str, selection_of: dict[str, Any], selects: bool, template: str
) -> None:
    written = f"{template}.{path}" if template else path
    document = replace(pod(), problems=(Problem(message="wrong", path=written),), template=template)
    selection = Selection(kinds=(POD,), target=Scope("/"), scope=Scope("/"), **selection_of)

    assert selection.selects(document) == selects


def test_nothing_is_about_the_head_of_a_sample() -> None:
    every = Selection(kinds=(ResourceKind(group="*", kind="*"),), target=Scope("/"), scope=Scope("/"))

    assert every.about_kind("policy.aksp.io", "PolicyExemption")
    assert not every.about_kind("policy.aksp.io", "PolicySample")


# Pages


_DOCUMENTS = st.builds(
    lambda kind, version, namespace, name, labels, problem, known: Document(
        resource=Resource(api_version=version, kind=kind, namespace=namespace, name=name),
        labels=labels,
        problems=(Problem(message="wrong", path=problem),) if problem else (),
        namespace_labels=known,
    ),
    st.sampled_from(["Pod", "Service", "Namespace"]),
    st.sampled_from([*["v1"] * 4, "apps/v1"]),
    st.sampled_from(["shop", "shop", "", "kube-system"]),
    st.sampled_from(["a", "b", "shop"]),
    st.sampled_from([{}, {"app": "web"}]),
    st.sampled_from([*[""] * 8, "metadata.namespace", "metadata.name", "metadata", "spec"]),
    st.sampled_from([None, {}, {"team": "red"}]),
)
_SELECTIONS = st.builds(
    Selection,
    kinds=st.sampled_from([(POD,), (POD, SERVICE), (ResourceKind(group="*", kind="*"),)]),
    target=st.just(PROD),
    scope=st.sampled_from([PROD, PROD.namespace("shop"), Scope("/")]),
    not_scopes=st.sampled_from([(), (PROD.namespace("shop"),)]),
    object_scope=st.sampled_from(list(ObjectScope)),
    name=st.sampled_from(["", "", "", "a", "sh*"]),
    namespaces=st.sampled_from([(), ("shop",)]),
    excluded_namespaces=st.sampled_from([(), ("kube-*",)]),
    selector=st.sampled_from([*[Selector()] * 4, Selector.parse({"matchLabels": {"app": "web"}})]),
    namespace_selector=st.sampled_from([*[Selector()] * 4, Selector.parse({"matchLabels": {"team": "red"}})]),
)


@given(selection=_SELECTIONS, documents=st.lists(_DOCUMENTS, min_size=12, max_size=24))
def test_of_a_page_those_are_chosen_that_are_selected_each_by_itself(
    selection: Selection, documents: Sequence[Document]
) -> None:
    assert selection.choose(documents) == [at for at, one in enumerate(documents) if selection.selects(one)]
