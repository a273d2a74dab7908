"""An assignment of an initiative as one for each member."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import permutations

import pytest

from aksp.compliance.exemptions import waives
from aksp.compliance.members import (
    effect_of,
    is_azure_id,
    member_assignment,
    override_problem,
    unknown_references,
    version_problem,
)
from aksp.model.assignment import Assignment, EffectOverride, Exemption, ExemptionCategory
from aksp.model.definition import AzureDefinition, Parameter, ParameterType
from aksp.model.effect import Effect
from aksp.model.initiative import Initiative, Member
from tests.compliance.builders import definition

NOW = datetime(2026, 6, 1, tzinfo=UTC)
GUID = "95edb821-ddaf-4404-9732-666045e056b4"


def parameter(name: str, **more: object) -> Parameter:
    return Parameter(name=name, type=ParameterType.STRING, **more)  # type: ignore[arg-type]


def initiative(*members: Member, **parameters: Parameter) -> Initiative:
    return Initiative(
        slug="team", name="team", display_name="", description="", category="", version="1.0.0", members=members,
        parameters=parameters,
    )  # fmt: skip


def test_a_member_takes_its_parameters_from_the_initiatives_values_and_defaults() -> None:
    member = Member(
        reference="a",
        definition_id="x",
        parameters={
            "effect": "[parameters('effect')]", "fixed": [1], "left": "[parameters('none')]",
            "chosen": "[if(equals(parameters('effect'),'deny'),'yes','no')]",
        },
    )  # fmt: skip
    of = initiative(member, effect=parameter("effect", default="Audit"), none=parameter("none", optional=True))
    one = Assignment(name="one", definition_id="team")
    assert member_assignment(one, of, member).parameters == {"effect": "Audit", "fixed": [1], "chosen": "no"}
    denied = Assignment(name="one", definition_id="team", parameters={"effect": "Deny", "none": "x"})
    made = member_assignment(denied, of, member)
    assert made.parameters == {"effect": "Deny", "fixed": [1], "left": "x", "chosen": "yes"}
    assert (made.name, made.definition_id, made.initiative, made.reference) == ("one", "x", "team", "a")
    assert made.full_name == "one/a"


def test_a_member_has_its_own_message_else_that_of_all() -> None:
    members = [Member(reference=name, definition_id="x") for name in ("First", "Second")]
    one = Assignment(
        name="one", definition_id="team", non_compliance_message="all", member_messages={"second": "its own"}
    )
    made = [member_assignment(one, initiative(*members), member) for member in members]
    assert [each.non_compliance_message for each in made] == ["all", "its own"]


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_of_overrides_the_last_one_that_is_about_a_member_holds(order: tuple[int, ...]) -> None:
    written = [
        EffectOverride(effect="Audit"),
        EffectOverride(effect="Deny", selected=("A", "B")),
        EffectOverride(effect="Disabled", left_out=("b",)),
    ]
    about = {"a": {0, 1, 2}, "b": {0, 1}, "c": {0, 2}}
    for reference, concerned in about.items():
        one = Assignment(
            name="one", definition_id="x", overrides=tuple(written[at] for at in order), reference=reference
        )
        last = [at for at in order if at in concerned][-1]
        assert one.overridden_effect == written[last].effect
        assert effect_of(one) is Effect.named(written[last].effect)


def test_an_effect_that_a_definition_has_not_cannot_override() -> None:
    allowed = parameter("effect", default="Audit", allowed_values=("Audit", "Disabled"))
    of = definition("rule", parameters={"effect": allowed})
    for effect, problem in (("Audit", False), ("disabled", False), ("Deny", True), ("Mutate", True)):
        one = Assignment(name="one", definition_id="rule", overrides=(EffectOverride(effect=effect),))
        assert (override_problem(one, of) is not None) is problem, effect


def test_references_that_no_member_has_are_told_with_the_nearest() -> None:
    one = Assignment(
        name="one", definition_id="x", member_messages={"privilegd": "x"},
        overrides=(EffectOverride(effect="Audit", selected=("PRIVILEGED",)), EffectOverride(effect="Audit", left_out=("z",))),
    )  # fmt: skip
    assert unknown_references(one, ["Privileged"]) == [
        ("nonComplianceMessages", "privilegd", "did you mean 'Privileged'?"),
        ("overrides", "z", "known: Privileged"),
    ]


@pytest.mark.parametrize(
    ("called", "version", "fits"),
    [
        ("rule", "1.*.*", True), ("rule", "1.2.*", True), ("rule", "2.*.*", False), ("rule", "1.3.*", False),
        (GUID, "9.*.*", True), (GUID.upper(), "9.*.*", True), (f"/providers/x/policyDefinitions/{GUID}", "8.*.*", True),
        (GUID, "1.*.*", False), ("Privilege", "8.1.*", True), ("Privilege", "8.1.*-preview", True), (GUID, "", True),
    ],
)  # fmt: skip
def test_a_version_is_that_of_the_definition_as_the_member_calls_it(called: str, version: str, fits: bool) -> None:
    azure = AzureDefinition(id=GUID, name="Privilege", versions=("9.2.0", "8.1.0-preview"))
    of = definition("rule", version="1.2.3", azure=(azure,))
    problem = version_problem(Member(reference="a", definition_id=called, version=version), of)
    assert (problem is None) is fits, problem


def test_ids_of_azure_are_told_from_names() -> None:
    assert is_azure_id(GUID) and is_azure_id(f"/providers/x/policyDefinitions/{GUID.upper()}")
    assert not is_azure_id("no-privileged") and not is_azure_id(GUID[1:])


def test_an_exemption_of_members_waives_nothing_of_the_others() -> None:
    one = Exemption(name="e", assignment="one", category=ExemptionCategory.WAIVER, references=("First",))
    every = Exemption(name="e", assignment="one", category=ExemptionCategory.WAIVER)
    for reference, waived in (("first", True), ("Second", False), ("", False)):
        of = Assignment(name="one", definition_id="x", reference=reference)
        assert waives(one, of) is waived and waives(every, of)
        assert not waives(every, Assignment(name="two", definition_id="x", reference=reference))
