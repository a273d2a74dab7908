"""Assignments made ready to judge."""

from __future__ import annotations

from typing import Any

import pytest

from aksp.compliance.plan import assignment_cluster, reaches
from aksp.model.assignment import EnforcementMode
from aksp.model.definition import ParameterType
from aksp.model.effect import Effect
from aksp.model.scope import Scope
from tests.compliance.builders import assignment, container, definition, parameter, pod, ready


@pytest.mark.parametrize(
    ("effect", "mode", "refuses"),
    [
        ("EnforceRegoPolicy", EnforcementMode.DEFAULT, True),
        ("deny", EnforcementMode.DEFAULT, True),
        ("Deny", EnforcementMode.DO_NOT_ENFORCE, False),
        ("Audit", EnforcementMode.DEFAULT, False),
        ("WARN", EnforcementMode.DEFAULT, False),
        ("disabled", EnforcementMode.DEFAULT, False),
    ],
)
def test_effect_and_mode_together_say_whether_it_refuses(effect: str, mode: EnforcementMode, refuses: bool) -> None:
    one = ready(parameters={"effect": effect}, enforcement_mode=mode)

    assert one.refuses is refuses
    assert one.effect.lower() == effect.lower()


@pytest.mark.parametrize("effect", ["Mutate", "", 5, None, ["Audit"]])
def test_an_unknown_effect_is_refused_with_those_that_are_known(effect: Any) -> None:
    with pytest.raises(ValueError, match=r"effect .* is not one of EnforceRegoPolicy, Deny, Audit, Warn, Disabled"):
        ready(parameters={"effect": effect})


def test_values_are_json_values_and_not_text() -> None:
    ports = parameter("ports", ParameterType.ARRAY)
    one = definition("rule", ports, values={"allowed": "[parameters('ports')]", "fixed": 1})

    assert ready(of=one, parameters={"ports": [80, "x"]}).values == {"allowed": [80, "x"], "fixed": 1}


def test_the_effect_may_be_fixed_by_the_definition() -> None:
    assert ready(of=definition("rule", effect="Warn")).effect is Effect.WARN


@pytest.mark.parametrize("name", ["namespaces", "excludedNamespaces", "excludedContainers", "excludedImages"])
@pytest.mark.parametrize("value", ["shop", [1], {"a": 1}])
def test_names_that_are_no_list_of_text_are_refused(name: str, value: Any) -> None:
    with pytest.raises(ValueError, match=f"{name} is not a list of strings"):
        ready(parameters={name: value})


def test_blanks_around_names_mean_nothing() -> None:
    selection = ready(parameters={"namespaces": [" shop ", "", "  "]}).selection

    assert selection.namespaces == ("shop",)
    assert selection.selects(pod(namespace="shop"))


def test_excluded_containers_go_by_exact_name_and_images_by_text_or_prefix() -> None:
    one = ready(parameters={"excludedContainers": ["proxy"], "excludedImages": ["a.io/x:1", "b.io/*"]})

    assert one.has_exclusions
    assert one.excludes(container("proxy"))
    assert one.excludes(container("x", "a.io/x:1")) and one.excludes(container("x", "b.io/any:2"))
    assert not one.excludes(container("proxy-2")) and not one.excludes(container("x", "a.io/x:12"))
    assert not one.excludes(container("x", "evil.io/b.io/any"))
    assert not ready().has_exclusions


# Files without a cluster


@pytest.mark.parametrize(
    ("scope", "namespace", "selected"),
    [
        ("/", "shop", True),
        ("/clusters/prod", "shop", True),
        ("/clusters/prod/namespaces/shop", "shop", True),
        ("/clusters/prod/namespaces/shop", "other", False),
    ],
)
def test_files_that_name_no_cluster_are_judged_as_in_the_assignment_s_own(
    scope: str, namespace: str, selected: bool
) -> None:
    assert ready(scope=Scope(scope)).selection.selects(pod(namespace=namespace)) is selected


def test_files_are_left_out_by_not_scopes_of_the_assignment_s_cluster() -> None:
    one = ready(scope=Scope("/clusters/prod"), not_scopes=(Scope("/clusters/prod/namespaces/shop"),))

    assert not one.selection.selects(pod(namespace="shop"))
    assert one.selection.selects(pod(namespace="other"))


@pytest.mark.parametrize(
    ("scope", "cluster"),
    [
        ("/", "/"),
        ("/subscriptions/0", "/subscriptions/0"),
        ("/subscriptions/0/namespaces/shop", "/subscriptions/0"),
        ("/clusters/prod", "/clusters/prod"),
        ("/Clusters/prod/namespaces/shop", "/clusters/prod"),
    ],
)
def test_manifests_for_no_cluster_lie_where_the_assignment_reaches(scope: str, cluster: str) -> None:
    assert assignment_cluster(assignment(scope=Scope(scope))) == Scope(cluster)


@pytest.mark.parametrize(
    ("scope", "reached"),
    [("/", True), ("/clusters/prod", True), ("/clusters/prod/namespaces/x", True), ("/clusters/dev", False)],
)
def test_an_assignment_reaches_a_cluster_from_above_and_from_within(scope: str, reached: bool) -> None:
    assert reaches(assignment(scope=Scope(scope)), Scope("/clusters/prod")) is reached
