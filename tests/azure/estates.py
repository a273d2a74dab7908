"""Estates of Azure's documents, drawn by chance: names, scopes, fields and references as Azure allows them."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from tests.azure.builders import (
    CLUSTER,
    GROUP,
    NO_PRIVILEGE,
    SUBSCRIPTION,
    Resource,
    assignment,
    definition,
    exemption,
    resource,
)
from tests.cli.test_custom_mutations import definition as mutating
from tests.cli.test_written_constraints import INSIDE

MANAGEMENT_GROUP = "/providers/Microsoft.Management/managementGroups/Root"
LABELS = "/providers/Microsoft.Authorization/policyDefinitions/46592696-4c7b-4bf3-9e45-6c2763bdc0a6"
BASELINE = "/providers/Microsoft.Authorization/policySetDefinitions/a8640138-9b0a-4a28-b8cb-1666c838647d"

NAMES = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9 _-]{0,18}[A-Za-z0-9]", fullmatch=True)
VALUES: Any = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text("aÄ/~\n '\"", max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text("kK~/", min_size=1, max_size=3), inner, max_size=2),
    max_leaves=4,
)  # fmt: skip
#: Fields that nobody knows yet. Null is what is not set.
NEW = st.dictionaries(
    st.sampled_from(["brandNew", "x/y", "a~b"]), VALUES.filter(lambda one: one is not None), max_size=2
)


def _condition(kind: str, *values: str) -> Any:
    some = st.lists(st.sampled_from(values), min_size=1, max_size=2, unique=True)
    return st.builds(lambda key, listed: {"kind": kind, key: listed}, st.sampled_from(["in", "notIn"]), some)


_TYPES = _condition(
    "resourceType", "Microsoft.ContainerService/managedClusters", "Microsoft.Kubernetes/connectedClusters"
)
_PLACES = _condition("resourceLocation", "westeurope", "eastus2") | st.just(
    {"kind": "resourceWithoutLocation", "in": ["subscriptionLevelResources"]}
)
#: resourceSelectors of assignments and of exemptions.
SELECTORS = st.lists(
    st.builds(
        lambda name, conditions: name | {"selectors": list(conditions)},
        st.sampled_from([{}, {"name": "s"}]),
        st.tuples(_TYPES) | st.tuples(_PLACES) | st.tuples(_PLACES, _TYPES),
    ),
    min_size=1,
    max_size=2,
)


def _maybe(chance: Any, body: Resource, key: str, values: Any) -> None:
    if chance(st.booleans()):
        body[key] = chance(values)


@st.composite
def estates(draw: Any) -> list[Resource]:
    """All kinds of documents, each found at the scopes that Azure has them at."""
    found: list[Resource] = []
    scopes = st.sampled_from([SUBSCRIPTION, MANAGEMENT_GROUP])
    own = []
    for name in draw(st.lists(NAMES, max_size=3, unique_by=str.lower)):
        one = definition(name)
        body = one["properties"]
        body |= draw(NEW)
        body["parameters"]["label"] |= draw(NEW)
        _maybe(draw, body, "versions", st.just(["1.2.0"]))
        if draw(st.booleans()):
            body["policyRule"] = INSIDE["properties"]["policyRule"]  # its constraint is a text
        own.append(resource("policyDefinitions", name, body, draw(scopes)))
    sets = []
    for name in draw(st.lists(NAMES, max_size=2, unique_by=str.lower)):
        members = [
            {"policyDefinitionId": one["id"], "policyDefinitionReferenceId": f"m{at}", "parameters": {"label": {"value": "x"}}}
            | draw(NEW)
            for at, one in enumerate(own)
        ]  # fmt: skip
        members.append({"policyDefinitionId": NO_PRIVILEGE, "policyDefinitionReferenceId": "privilege", **draw(NEW)})
        body = {
            "displayName": name,
            "policyType": "Custom",
            "policyDefinitions": members,
            "parameters": {},
            **draw(NEW),
        }
        _maybe(draw, body, "metadata", st.just({"category": "Shop", "version": "2.0.0"}))
        sets.append(resource("policySetDefinitions", name, body, draw(scopes)))
    found += [*own, *sets]
    assigned = []
    for name in draw(st.lists(NAMES, max_size=2, unique_by=str.lower)):
        one = mutating(name=f"{name}-m")
        one["properties"] |= draw(NEW)
        one = resource("policyDefinitions", one["name"], one["properties"], draw(scopes))
        found.append(one)
        for at in range(draw(st.integers(0, 2))):
            of_it = assignment(
                f"{name}-m{at}", draw(st.sampled_from([SUBSCRIPTION, CLUSTER])), policyDefinitionId=one["id"]
            )
            of_it["properties"] |= {"parameters": {"excludedNamespaces": {"value": ["a", "b"]}}, **draw(NEW)}
            del of_it["properties"]["definitionVersion"]
            found.append(of_it)
    for name in draw(st.lists(NAMES, min_size=1, max_size=4, unique_by=str.lower)):
        assigned.append(_assignment(draw, name, own, sets))
    for name in draw(st.lists(NAMES, max_size=3, unique_by=str.lower)):
        of = draw(st.sampled_from(assigned))
        one = exemption(name, scope=draw(st.sampled_from([GROUP, CLUSTER])), policyAssignmentId=of["id"])
        one["properties"] |= draw(NEW)
        _maybe(draw, one["properties"], "assignmentScopeValidation", st.just("DoNotValidate"))
        _maybe(draw, one["properties"], "resourceSelectors", SELECTORS)
        _maybe(draw, one["properties"], "metadata", st.just({"requestedBy": "ops"}))
        found.append(one)
    mixed: list[Resource] = draw(st.permutations([*found, *assigned]))
    return mixed


def _assignment(draw: Any, name: str, own: list[Resource], sets: list[Resource]) -> Resource:
    target = draw(st.sampled_from([NO_PRIVILEGE, LABELS, BASELINE, *(one["id"] for one in (*own, *sets))]))
    one = assignment(
        name, draw(st.sampled_from([SUBSCRIPTION, GROUP, CLUSTER, MANAGEMENT_GROUP])), policyDefinitionId=target
    )
    body = one["properties"]
    in_set = "policySetDefinitions" in target
    body["parameters"] = {}
    if target == LABELS:
        body["parameters"] = {"labelsList": {"value": draw(st.lists(st.sampled_from("ab"), min_size=1, max_size=2))}}
    elif target in [each["id"] for each in own]:
        body["parameters"] = {"label": {"value": draw(st.text("ab", min_size=1, max_size=3))}}
    if target in (NO_PRIVILEGE, LABELS, BASELINE):
        _maybe(draw, body["parameters"], "effect", st.sampled_from([{"value": "deny"}, {"value": "Audit"}]))
    body["definitionVersion"] = {NO_PRIVILEGE: "9.*.*", LABELS: "7.*.*"}.get(target)
    if body["definitionVersion"] is None or draw(st.booleans()):
        del body["definitionVersion"]
    body["notScopes"] = draw(st.lists(st.just(f"{SUBSCRIPTION}/resourceGroups/other"), max_size=1))
    body["enforcementMode"] = draw(st.sampled_from(["Default", "DoNotEnforce"]))
    _maybe(draw, body, "resourceSelectors", SELECTORS)
    overrides = [{"kind": "policyVersion", "value": "9.2.*"}, {"kind": "policyEffect", "value": "audit"}]
    if target == NO_PRIVILEGE:
        _maybe(draw, body, "overrides", st.permutations(overrides))
    if in_set:
        message = {"message": "Ask us."}
        _maybe(draw, body, "nonComplianceMessages", st.just([message]))
    body |= draw(NEW)
    _maybe(draw, one, "identity", st.just({"type": "SystemAssigned"}))
    _maybe(draw, one, "location", st.just("westeurope"))
    return one
