"""A template and a constraint of Gatekeeper judge here what they judge there; what differs is told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aksp.assigned import check_parameters
from aksp.compliance.plan import MatchSource, Ready, make_ready
from aksp.compliance.template_values import values_problem
from aksp.errors import InvalidPolicy
from aksp.gatekeeper.defaults import defaulted
from aksp.gatekeeper.imported_assignment import ImportedAssignment, imported_assignment
from aksp.gatekeeper.imported_definition import imported_definition
from aksp.model.effect import Effect
from aksp.model.scope import EVERYWHERE
from tests.compliance.builders import NOW
from tests.compliance.test_match import LABELS, MATCHES, OBJECTS, gatekeeper
from tests.gatekeeper.builders import LABELS_SCHEMA, constraint, template, written
from tests.replacing import replace

LABELS_TEMPLATE = imported_definition(written(template()))


def imported(document: Mapping[str, Any], of: Any = LABELS_TEMPLATE, **more: Any) -> ImportedAssignment:
    return imported_assignment(written(document), of, name="x", scope=EVERYWHERE, **more)


def ready(document: Mapping[str, Any], of: Any = LABELS_TEMPLATE, **more: Any) -> Ready:
    made = imported(document, of, **more).assignment
    check_parameters(made, of.definition)
    return make_ready(made, of.definition, (), None, NOW)


@given(MATCHES, st.lists(OBJECTS, min_size=1, max_size=6), LABELS)
def test_an_assignment_selects_what_its_constraint_matched(match: Any, objects: Any, labels: Any) -> None:
    one = ready(constraint(match=match))
    documents = [replace(each, namespace_labels=labels) if each.resource.namespace else each for each in objects]
    namespaces = {each.resource.namespace: labels for each in documents}

    assert [one.selection.selects(each) for each in documents] == [
        gatekeeper(match, each, namespaces) for each in documents
    ]


def test_the_schema_is_the_parameters_with_types_texts_and_defaults() -> None:
    found = LABELS_TEMPLATE.definition

    assert (found.slug, found.display_name, found.description) == (
        "k8srequiredlabels",
        "Required Labels",
        "Resources have labels.",
    )
    labels, strict = found.parameters["labels"], found.parameters["strict"]
    assert (labels.type, labels.description, labels.optional, labels.has_default) == (
        "Array", "Labels that must be there.", True, False,
    )  # fmt: skip
    assert (strict.type, strict.default) == ("Boolean", False)


def test_the_rule_gets_what_the_api_server_would_have_stored() -> None:
    one = ready(constraint(parameters={"labels": [{"key": "owner"}]}))

    assert one.values == {"labels": [{"key": "owner", "allowedRegex": ".*"}], "strict": False}


SCHEMAS = st.recursive(
    st.sampled_from([{"type": "string"}, {"type": "integer", "default": 1}, {"type": "string", "default": "a"}]),
    lambda inner: st.one_of(
        st.dictionaries(st.sampled_from("abc"), inner, max_size=3).map(lambda p: {"type": "object", "properties": p}),
        inner.map(lambda one: {"type": "array", "items": one}),
        st.dictionaries(st.sampled_from("abc"), inner, max_size=2).map(
            lambda p: {"type": "object", "properties": p, "default": {}}
        ),
    ),
    max_leaves=8,
)


@given(
    st.dictionaries(st.sampled_from("abcd"), SCHEMAS), st.dictionaries(st.sampled_from("ab"), st.sampled_from([{}, []]))
)
def test_nothing_that_has_a_default_is_missing_and_what_is_given_stays(properties: Any, value: Any) -> None:
    schema = {"type": "object", "properties": properties}
    filled = defaulted(schema, value)

    assert defaulted(schema, filled) == filled
    assert set(filled) == set(value) | {name for name, one in properties.items() if "default" in one}
    assert all(type(filled[name]) is type(one) for name, one in value.items())


@pytest.mark.parametrize(
    ("spec", "effect", "refuses", "tells"),
    [
        ({}, Effect.DENY, True, True),
        ({"enforcementAction": "deny"}, Effect.DENY, True, True),
        ({"enforcementAction": "warn"}, Effect.WARN, False, True),
        ({"enforcementAction": "dryrun"}, Effect.AUDIT, False, False),
    ],
)
def test_the_action_is_an_effect(spec: Any, effect: Effect, refuses: bool, tells: bool) -> None:
    one = ready(constraint(**spec))

    assert (one.effect, one.refuses, one.tells) == (effect, refuses, tells)
    assert imported(constraint(**spec)).lost == []


def scoped(*actions: tuple[str, str]) -> dict[str, Any]:
    entries = [{"action": action, "enforcementPoints": [{"name": point}]} for action, point in actions]
    return constraint(enforcementAction="scoped", scopedEnforcementActions=entries)


@pytest.mark.parametrize(
    ("actions", "effect", "lost"),
    [
        ([("deny", "*")], Effect.DENY, ""),
        ([("warn", "validation.gatekeeper.sh"), ("deny", "audit.gatekeeper.sh")], Effect.WARN, ""),
        ([("warn", "*"), ("deny", "validation.gatekeeper.sh")], Effect.DENY, ""),
        ([("deny", "audit.gatekeeper.sh")], Effect.AUDIT, ""),
        ([("deny", "validation.gatekeeper.sh")], Effect.DENY, "does not audit"),
        ([("deny", "vap.k8s.io")], Effect.DISABLED, "ValidatingAdmissionPolicy"),
        ([("deny", "gator.gatekeeper.sh")], Effect.DISABLED, "neither"),
        ([("shout", "*")], Effect.AUDIT, "'shout'"),
    ],
)
def test_scoped_actions_are_what_holds_at_admission(actions: Sequence[Any], effect: Effect, lost: str) -> None:
    found = imported(scoped(*actions))

    assert found.assignment.parameters["effect"] == effect
    assert " ".join(found.lost).count(lost) == 1 if lost else not found.lost


def test_what_the_model_lacks_is_told_of_each_constraint() -> None:
    document = constraint(match={"kinds": [{"kinds": ["Pod"]}], "new": 1}, later=2)
    lost = imported({**document, "spec": {**document["spec"], "parameters": {"unknown": 1}}}).lost

    assert [text.split()[0] for text in lost] == [
        "spec.later",
        "spec.match.new",
        "spec.match.kinds",
        "spec.parameters.unknown",
    ]


def test_pods_of_templates_are_meant_where_gatekeeper_expands() -> None:
    assert ready(constraint()).source is MatchSource.ORIGINAL
    assert ready(constraint(match={"source": "All"})).source is MatchSource.ORIGINAL
    assert ready(constraint(), expanded=True).source is MatchSource.ALL
    assert ready(constraint(match={"source": "Generated"}), expanded=True).source is MatchSource.GENERATED


@pytest.mark.parametrize(
    "document",
    [
        template(schema=None),
        template(version="v1beta1"),
        template(schema={"type": "object", "x-kubernetes-preserve-unknown-fields": True}),
        template(schema={"type": "object", "properties": {"a": {"x-kubernetes-int-or-string": True}}}),
        template(schema={"type": "object", "properties": {"a": {"type": "string", "nullable": True}}}),
    ],
)
def test_a_template_that_does_not_say_its_types_takes_all_parameters_as_one(document: Any) -> None:
    definition = imported_definition(written(document))
    given = {"a": None, "b": [1, {"c": "[parameters('d')]"}]}

    assert ready(constraint(parameters=given), definition).values == given


def test_parameters_that_are_called_as_fields_of_match_have_other_names() -> None:
    properties = {
        "namespaces": {"type": "array", "items": {"type": "string"}},
        "effect": {"type": "string", "default": "x"},
    }
    definition = imported_definition(written(template(schema={"type": "object", "properties": properties})))
    one = ready(constraint(parameters={"namespaces": ["a"]}, match={"namespaces": ["b"]}), definition)

    assert one.values == {"namespaces": ["a"], "effect": "x"}
    assert one.selection.namespaces == ("b",)


@pytest.mark.parametrize(
    ("document", "lost"),
    [
        (template(engines=["K8sNativeValidation", "Rego"]), "CEL"),
        (template(operations=["DELETE"]), "no DELETE"),
        (template(operations=["CREATE"]), "CREATE alone"),
        (template(operations=["CREATE", "UPDATE"]), ""),
        (template(operations=["*"]), ""),
    ],
)
def test_what_is_different_of_a_template_is_told(document: Any, lost: str) -> None:
    found = imported_definition(written(document)).lost

    assert (lost in found[0]) if lost else not found


def test_a_template_with_cel_alone_is_refused() -> None:
    with pytest.raises(InvalidPolicy, match="K8sNativeValidation"):
        imported_definition(written(template(engines=["K8sNativeValidation"])))


def test_what_azures_add_on_says_of_a_constraint_is_kept() -> None:
    document = constraint()
    document["metadata"]["annotations"] = {"azure-policy-assignment-id": "/subscriptions/s/a", "other": "x"}

    assert imported(document).assignment.metadata == {
        "constraint": "K8sRequiredLabels/ns-must-have-gk",
        "azure-policy-assignment-id": "/subscriptions/s/a",
    }


def test_the_template_itself_still_says_what_it_takes() -> None:
    assert values_problem(LABELS_SCHEMA, {"labels": 1}) is not None
    assert LABELS_TEMPLATE.definition.values_schema == LABELS_SCHEMA
