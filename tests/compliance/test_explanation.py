"""Why an assignment judges a resource or leaves it out, in the words of the code that decides."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pytest

from aksp.compliance.explanation import ValueOrigin, elsewhere, lineage, settings_of, standing, waivers
from aksp.compliance.plan import Ready
from aksp.compliance.results import SharedResults, results_of
from aksp.compliance.selection import Criterion, Selector, requirement_text
from aksp.model.assignment import ExemptedResource, Exemption, ExemptionCategory
from aksp.model.compliance import ComplianceState, Finding, Result
from aksp.model.definition import ParameterType, ResourceKind
from aksp.model.resource import Document, Owner, Problem
from aksp.model.scope import Scope
from tests.compliance.builders import (
    NOW,
    assignment,
    container,
    definition,
    deployment,
    parameter,
    pod,
    ready,
    thing,
)
from tests.replacing import replace

PROD = Scope("/clusters/prod")
NAMESPACE = thing("v1", "Namespace", "shop", "")


def why(one: Ready, *documents: Document) -> tuple[str, str]:
    left_out = standing(one, documents, (), (), NOW).left_out
    assert left_out is not None
    return left_out.by, left_out.message


def exemption(name: str = "waived", **more: Any) -> Exemption:
    return Exemption(name=name, assignment="rule", category=ExemptionCategory.WAIVER, **more)


# What leaves a resource out


@pytest.mark.parametrize(
    ("given", "document", "by", "message"),
    [
        ({}, thing("v1", "Service"), "kinds", "it judges Pod, and this is of kind Service"),
        (
            {"scope": Scope("/clusters/prod/namespaces/blog"), "target": PROD},
            pod(),
            "scope",
            "its scope /clusters/prod/namespaces/blog does not cover /clusters/prod/namespaces/shop",
        ),
        (
            {"not_scopes": (Scope("/clusters/prod/namespaces/shop"),), "target": PROD},
            pod(),
            "notScopes",
            "its notScopes leave out /clusters/prod/namespaces/shop",
        ),
        (
            {"parameters": {"namespaces": ["blog", "b*"]}},
            pod(),
            "namespaces",
            "it judges only namespaces blog, b*, not shop",
        ),
        (
            {"parameters": {"excludedNamespaces": ["kube-*", "sh*"]}},
            pod(),
            "excludedNamespaces",
            "it leaves out namespace shop (sh*)",
        ),
        (
            {"parameters": {"excludedNamespaces": ["shop"]}},
            pod(),
            "excludedNamespaces",
            "it leaves out namespace shop",
        ),
        (
            {"parameters": {"labelSelector": {"matchLabels": {"app": "web"}}}},
            pod(labels={"app": "db"}),
            "labelSelector",
            "its labelSelector asks for app=web, and the label app is 'db'",
        ),
        (
            {
                "parameters": {
                    "labelSelector": {"matchExpressions": [{"key": "a", "operator": "In", "values": ["1", "2"]}]}
                }
            },
            pod(),
            "labelSelector",
            "its labelSelector asks for a in (1, 2), and there is no label a",
        ),
        ({"parameters": {"effect": "Disabled"}}, pod(), "effect", "its effect is Disabled"),
    ],
)
def test_the_test_that_a_resource_does_not_pass_is_told_with_the_value_that_decides(
    given: dict[str, Any], document: Document, by: str, message: str
) -> None:
    assert why(ready(**given), document) == (by, message)


def test_a_namespace_that_is_excluded_by_default_is_said_to_be() -> None:
    rule = definition("rule", parameter("excludedNamespaces", ParameterType.ARRAY, ["kube-*"]))

    assert (
        why(ready(of=rule), pod(namespace="kube-system"))[1]
        == "it leaves out namespace kube-system (kube-*, by default)"
    )


def test_what_the_match_of_a_definition_leaves_out_is_told() -> None:
    nodes = [ResourceKind(group="", kind="Node")]
    node = thing("v1", "Node", "n", namespace="")
    selecting = ready(of=definition(namespace_selector={"matchLabels": {"env": "prod"}}))

    assert why(ready(of=definition(kinds=nodes, object_scope="Namespaced")), node) == (
        "match.scope",
        "it judges only what lies in namespaces, and Node n does not",
    )
    assert why(ready(of=definition(object_name="web-*")), pod("api")) == (
        "name",
        "it judges only what is called web-*, and this is api",
    )
    assert why(selecting, replace(pod(), namespace_labels={"env": "test"})) == (
        "namespaceSelector",
        "its namespaceSelector asks Namespace shop for env=prod, and its label env is 'test'",
    )


def test_a_namespace_lies_in_itself() -> None:
    namespaces = definition(kinds=[ResourceKind(group="", kind="Namespace")])
    one = ready(of=namespaces, parameters={"excludedNamespaces": ["shop"]}, target=PROD)

    assert why(one, NAMESPACE)[1] == "it leaves out namespace shop"
    assert standing(one, [NAMESPACE], (), (), NOW).place == Scope("/clusters/prod/namespaces/shop")


def test_a_workload_is_left_out_by_what_leaves_its_pods_out_not_by_its_own_kind() -> None:
    one = ready(parameters={"excludedNamespaces": ["shop"]})

    assert why(one, *deployment())[0] == Criterion.EXCLUDED_NAMESPACES


def test_a_scope_of_azure_reaches_no_cluster_since_nothing_says_where_clusters_lie() -> None:
    group = Scope("/subscriptions/1/resourceGroups/shop")
    left_out = elsewhere(assignment(scope=group), PROD)

    assert left_out.by == "scope"
    assert left_out.message == (
        "its scope /subscriptions/1/resourceGroups/shop does not cover /clusters/prod: "
        "nothing says which clusters lie below it (`aksp scope add` does)"
    )
    assert ":" not in elsewhere(assignment(scope=Scope("/clusters/test")), PROD).message


@pytest.mark.parametrize("text", ["a=b", "a!=b", "a in (b, c)", "a notin (b, c)", "a", "!a", "a=b,c in (d, e),!f"])
def test_a_selector_in_words_is_what_kubectl_takes(text: str) -> None:
    selector = Selector.parse_text(text)

    assert selector.text() == text
    assert Selector.parse_text(selector.text()) == selector
    assert requirement_text(("a", "In", ("b",))) == "a=b"


# What judges it


def found_in(
    one: Ready, document: Document, findings: Sequence[Finding], problems: Sequence[Problem] = ()
) -> list[Result]:
    return results_of(one, document, findings, problems, None, SharedResults())


def test_a_resource_that_is_judged_has_its_states_by_container_and_the_worst_of_each() -> None:
    web, side, out = container("web"), container("side"), container("out")
    document = pod("p", web, side, out)
    one = ready(parameters={"excludedContainers": ["out"]})
    found = [Finding(message="no", container=web), Finding(message="no more", container=web)]
    results = [
        *found_in(one, document, found),
        *found_in(ready("other"), document, [Finding(message="other", container=side)]),
    ]
    stands = standing(one, [document], results, (), NOW)

    assert (stands.left_out, stands.state) == (None, ComplianceState.NON_COMPLIANT)
    assert [result.finding.message for result in stands.results] == ["no", "no more"]
    assert [(one.container.name, one.state, one.left_out) for one in stands.verdicts] == [
        ("web", ComplianceState.NON_COMPLIANT, None),
        ("side", None, None),
        ("out", None, ("excludedContainers", "out")),
    ]


def test_an_error_about_the_whole_is_the_state_of_each_container() -> None:
    document = pod()
    results = found_in(ready(), document, [], [Problem(message="broken")])

    (verdict,) = standing(ready(), [document], results, (), NOW).verdicts
    assert verdict.state is ComplianceState.ERROR


def test_a_disabled_assignment_leaves_everything_out_though_results_were_given() -> None:
    one = ready(parameters={"effect": "Disabled"})

    stands = standing(one, [pod()], found_in(one, pod(), [Finding(message="no")]), (), NOW)
    assert (stands.state, stands.results) == (None, ())


def test_settings_say_where_each_value_comes_from() -> None:
    rule = definition("rule", parameter("port", ParameterType.INTEGER, 80), parameter("name"))
    one = ready(of=rule, parameters={"name": "x"}, origin="assignments/rule.yaml")
    settings = {setting.name: setting for setting in settings_of(one)}

    assert (settings["name"].value, settings["name"].origin) == ("x", ValueOrigin.ASSIGNMENT)
    assert settings["name"].document == "assignments/rule.yaml"
    assert (settings["port"].value, settings["port"].origin, settings["port"].document) == (80, ValueOrigin.DEFAULT, "")
    assert list(settings) == list(rule.parameters)


@pytest.mark.parametrize(
    ("place", "scopes"),
    [
        ("/", ["/"]),
        ("/clusters/prod", ["/", "/clusters/prod"]),
        ("/clusters/prod/namespaces/shop", ["/", "/clusters/prod", "/clusters/prod/namespaces/shop"]),
    ],
)
def test_the_lineage_of_a_place_is_every_scope_that_covers_it(place: str, scopes: list[str]) -> None:
    found = lineage(Scope(place))

    assert list(map(str, found)) == scopes
    assert all(scope.covers(Scope(place)) for scope in found)


# What exempts it


def test_exemptions_are_told_with_whom_they_cover_and_whether_they_still_count() -> None:
    document = pod("p", container("web"), container("side"), owner=Owner(kind="Deployment", name="shop"))
    past, future = datetime(2020, 1, 1, tzinfo=UTC), datetime(2999, 1, 1, tzinfo=UTC)
    given = [
        exemption("another", resources=(ExemptedResource(name="else"),)),
        exemption("old", expires_on=past),
        exemption("whole", expires_on=future, resources=(ExemptedResource(kind="Deployment", name="shop"),)),
        exemption("part", resources=(ExemptedResource(container="web"),)),
        Exemption(name="of another", assignment="other", category=ExemptionCategory.MITIGATED),
    ]

    found = {one.exemption.name: one for one in waivers(ready(), [document], given, NOW)}
    assert list(found) == ["part", "whole", "old", "another"]
    assert [(one.whole, one.covers, one.expired) for one in found.values()] == [
        (False, True, False),
        (True, True, False),
        (True, True, True),
        (False, False, False),
    ]
    assert [one.name for one in found["part"].containers] == ["web"]
    assert found["whole"].containers == ()
