"""What is in force, from custom resources that are right, wrong, changed and gone."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import pytest

from aksp.addon.in_force.policies import InForce, Standing, stand
from aksp.compliance.judgement import Task
from aksp.engine import Engine
from aksp.model.definition import RegoModule
from aksp.model.scope import Scope
from tests.addon.custom import V1, assigned, defined, exempted, resource

NOW = datetime(2026, 6, 1, tzinfo=UTC)
PROD = Scope.cluster("prod")
BROKEN = "violation contains {"
NEEDS_WORD = {"word": {"type": "string"}}


class Counting(Engine):
    """An engine that remembers what it was given to compile."""

    def __init__(self) -> None:
        super().__init__()
        self.compiled: list[str] = []

    def compile(self, policy: str, modules: Sequence[RegoModule]) -> Any:
        self.compiled.append(policy)
        return super().compile(policy, modules)


def standing(
    engine: Engine,
    *documents: Mapping[str, Any],
    previous: Standing | None = None,
    now: datetime = NOW,
    cluster: Scope = PROD,
) -> Standing:
    of = {kind: [one for one in documents if one["kind"] == kind] for kind in
          ("PolicyDefinition", "PolicyAssignment", "PolicyExemption")}  # fmt: skip
    return stand(
        engine,
        definitions=of["PolicyDefinition"],
        assignments=of["PolicyAssignment"],
        exemptions=of["PolicyExemption"],
        cluster=cluster,
        now=now,
        previous=previous,
    )


def only(made: Standing) -> InForce:
    (one,) = made.assignments
    return one


def in_force(made: Standing) -> list[str]:
    return [ready.key.name for ready in made.plan.ready]


def messages(engine: Engine, made: Standing, spec: Mapping[str, Any]) -> list[str]:
    """What the one assignment in force finds in a Pod."""
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a", "namespace": "shop"}, "spec": spec}
    batch = engine.load_list(
        json.dumps({"apiVersion": "v1", "kind": "PodList", "metadata": {}, "items": [pod]}).encode()
    )
    (ready,) = made.plan.ready
    task = Task(policy=ready.definition.slug, parameters=ready.values, documents=[0])
    judged = engine.judge(batch, [task])
    assert not judged.faults
    return sorted(judged.findings[number]["msg"] for hit in judged.hits for number in hit.findings)


def test_assignments_come_into_force_in_the_order_of_their_names_and_disabled_ones_apart(engine: Engine) -> None:
    made = standing(
        engine,
        assigned("two", "ours", scope="/clusters/prod/namespaces/shop"),
        assigned("off", parameters={"effect": "Disabled"}),
        assigned("one"),
        defined(),
    )

    assert in_force(made) == ["one", "two"]
    assert [ready.key.name for ready in made.plan.disabled] == ["off"]
    assert [(one.name, one.applied_generation, one.problem) for one in made.assignments] == [
        ("off", 1, None), ("one", 1, None), ("two", 1, None),
    ]  # fmt: skip
    assert [(one.name, one.policy, one.problem) for one in made.definitions] == [("ours", "ours", None)]
    assert messages(engine, standing(engine, assigned(definition="ours"), defined()), {"bad": True}) == ["bad"]


@pytest.mark.parametrize(
    ("document", "reason", "problem"),
    [
        (assigned(scop="/"), "InvalidDocument", "spec.scop is not a known field (did you mean 'scope'?)"),
        (assigned(definition="no-priviliged"), "DefinitionNotFound", "did you mean 'no-privileged'?"),
        (assigned(parameters={"effekt": "Deny"}), "InvalidParameters", "parameter 'effekt': no-privileged has no such"),
        (assigned(definition="allowed-images", parameters={"allowedContainerImagesRegex": "^(?!evil)"}),
         "InvalidParameters", "is no RE2 regular expression"),
        (assigned(parameters={"labelSelector": {"app": "x"}}), "InvalidParameters", "labelSelector"),
        (assigned(definition="broken"), "InvalidDefinition", "definition broken is wrong: policydefinition/broken (lines of rego):"),
        (assigned(scope="/clusters/dev"), "NotInScope", "its scope /clusters/dev does not reach this cluster, /clusters/prod"),
        (resource("PolicyAssignment", "one", None), "InvalidDocument", "spec is missing"),
        (resource("PolicyAssignment", "one", [1]), "InvalidDocument", "spec is [1], expected a mapping"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_one_assignment_concerns_that_one_alone(
    document: dict[str, Any], reason: str, problem: str, engine: Engine
) -> None:
    made = standing(engine, document, assigned("other"), defined("broken", BROKEN))
    wrong = made.assignments[0]

    assert in_force(made) == ["other"]
    assert (wrong.judged, wrong.applied_generation, wrong.reason) == (None, None, reason)
    assert problem in (wrong.problem or "")


def test_an_assignment_that_breaks_stays_in_force_as_it_was(engine: Engine) -> None:
    good = assigned(parameters={"effect": "Deny"})
    bad = assigned(parameters={"effect": "Denny"}, generation=2)
    first = standing(engine, good)
    second = standing(engine, bad, previous=first)
    third = standing(engine, bad, previous=second)

    for made in (second, third):
        one = only(made)
        assert (one.generation, one.applied_generation, one.reason) == (2, 1, "InvalidParameters")
        assert [ready.effect for ready in one.ready] == ["Deny"]
        assert one.applied_spec == good["spec"]


def test_after_a_restart_the_last_good_version_is_that_of_the_status(engine: Engine) -> None:
    good = assigned(parameters={"effect": "Deny"})["spec"]
    bad = assigned(
        parameters={"effect": "Denny"}, generation=7, meta={"status": {"appliedSpec": good, "appliedGeneration": 4}}
    )
    one = only(standing(engine, bad))

    assert [ready.effect for ready in one.ready] == ["Deny"]
    assert (one.generation, one.applied_generation, one.problem is None) == (7, 4, False)


def test_a_status_without_a_good_version_brings_nothing_into_force(engine: Engine) -> None:
    for applied in (
        {"policyDefinitionId": "gone"},
        "text",
        None,
        {"policyDefinitionId": "no-privileged", "scope": "/clusters/dev"},
    ):
        bad = assigned(
            parameters={"effect": "Denny"}, meta={"status": {"appliedSpec": applied, "appliedGeneration": 1}}
        )
        assert only(standing(engine, bad)).judged is None


def test_an_assignment_of_the_same_name_that_was_made_anew_inherits_nothing(engine: Engine) -> None:
    first = standing(engine, assigned())
    bad = assigned(parameters={"effect": "Denny"}, meta={"uid": "another"})

    assert only(standing(engine, bad, previous=first)).judged is None


def test_an_assignment_that_moves_to_another_cluster_is_in_force_no_more(engine: Engine) -> None:
    first = standing(engine, assigned())
    second = standing(engine, assigned(scope="/clusters/dev", generation=2), previous=first)

    assert (in_force(second), only(second).reason) == ([], "NotInScope")


# Definitions


def test_a_definition_that_breaks_stays_in_force_as_it_was_and_its_assignments_say_so(engine: Engine) -> None:
    first = standing(engine, assigned(definition="ours"), defined())
    second = standing(engine, assigned(definition="ours"), defined(rego=BROKEN, generation=2), previous=first)
    one, (definition,) = only(second), second.definitions

    assert (one.problem, one.applied_generation) == (None, 1)
    assert (
        "definition ours is wrong in its newest version, and generation 1 stays in force: policydefinition/ours (lines of rego):"
        in one.note
    )
    assert (definition.generation, definition.applied_generation, definition.reason) == (2, 1, "InvalidDefinition")
    assert "does not compile" in (definition.problem or "")
    assert messages(engine, second, {"bad": True}) == ["bad"]


def test_a_broken_definition_comes_back_from_its_status_after_a_restart(engine: Engine) -> None:
    status = {"appliedSpec": defined()["spec"], "appliedGeneration": 3}
    made = standing(engine, assigned(definition="ours"), defined(rego=BROKEN, generation=4, status=status))

    assert made.definitions[0].applied_generation == 3
    assert messages(engine, made, {"bad": True}) == ["bad"]


def test_a_definition_that_is_deleted_goes_on_for_the_assignments_that_name_it(engine: Engine) -> None:
    first = standing(engine, assigned(definition="ours"), defined())
    second = standing(engine, assigned(definition="ours"), previous=first)
    third = standing(engine, assigned(definition="ours"), previous=second)

    assert (only(third).reason, in_force(third)) == ("DefinitionNotFound", ["one"])
    assert messages(engine, third, {"bad": True}) == ["bad"]


def test_a_new_version_that_some_parameters_do_not_fit_leaves_those_assignments_with_the_old_one(
    engine: Engine,
) -> None:
    new = 'violation contains {"msg": "new"} if input.review.object.spec.bad'
    fits = assigned("fits", "ours", parameters={"word": "x"})
    first = standing(engine, assigned("stays", "ours"), defined())
    second = standing(
        engine, assigned("stays", "ours"), fits, defined(rego=new, parameters=NEEDS_WORD, generation=2), previous=first
    )
    stays, after = second.assignments[1], second.assignments[0]

    assert stays.reason == "InvalidParameters"
    assert [ready.definition.slug for ready in (*stays.ready, *after.ready)] == ["ours", "ours@2"]
    assert [ready.key.definition for ready in (*stays.ready, *after.ready)] == ["ours", "ours"]
    assert after.note == ""


def test_rego_that_reviews_may_still_be_judged_by_is_not_replaced(engine: Engine) -> None:
    def version(number: int) -> dict[str, Any]:
        return defined(rego=V1.replace('bad",', f'{number}",', 1), generation=number)

    counting = Counting()
    with counting:
        made, seen = None, []
        for number in range(1, 6):
            made = standing(counting, assigned(definition="ours"), version(number), previous=made)
            seen.append(made.plan.ready[0].definition.slug)
            assert messages(counting, made, {"bad": True}) == [str(number)]

    assert seen == ["ours", "ours@2", "ours@3", "ours", "ours@2"]


@pytest.mark.parametrize(
    ("document", "whose"),
    [
        (defined("no-privileged"), "the bundled no-privileged"),
        (defined("zours", azure="azure-ours"), "the PolicyDefinition ours"),
        (defined("zours", guid="OURS"), "the PolicyDefinition ours"),
        (defined("aours", guid="ours", creationTimestamp="2026-05-01T00:00:01Z"), "the PolicyDefinition ours"),
    ],
)  # fmt: skip
def test_a_definition_cannot_take_a_name_that_another_has(document: dict[str, Any], whose: str, engine: Engine) -> None:
    older = defined()
    for given in ([document, older], [older, document]):
        made = standing(engine, assigned(), *given)
        (wrong,) = [one for one in made.definitions if one.name != "ours"]

        assert (wrong.definition, wrong.reason) == (None, "NameTaken")
        assert whose in (wrong.problem or "")
        assert in_force(made) == ["one"]


def test_a_name_that_is_given_up_can_be_taken(engine: Engine) -> None:
    first = standing(engine, defined("ours"), defined("zours", guid="ours"))
    second = standing(engine, defined("zours", guid="ours"), previous=first)

    assert [(one.name, one.problem) for one in second.definitions] == [("zours", None)]


@pytest.mark.parametrize(
    "spec", [None, [], {"policyRule": {"then": {"details": {"templateInfo": 1}}}}, {"policyRule": None}]
)
def test_a_definition_that_is_no_definition_is_told(spec: Any, engine: Engine) -> None:
    made = standing(engine, assigned(), resource("PolicyDefinition", "ours", spec))

    assert (made.definitions[0].reason, in_force(made)) == ("InvalidDefinition", ["one"])


# Exemptions


def test_exemptions_count_until_they_end(engine: Engine) -> None:
    lasting = exempted("lasting", expiresOn="2026-06-03T00:00:00Z")
    sooner = exempted("sooner", expiresOn="2026-06-02T00:00:00Z")
    first = standing(engine, assigned(), lasting, sooner, exempted("for-ever"))
    assert [one.name for one in first.plan.ready[0].exemptions] == ["for-ever", "lasting", "sooner"]
    assert first.valid_until == datetime(2026, 6, 2, tzinfo=UTC)

    second = standing(engine, assigned(), lasting, sooner, previous=first, now=first.valid_until)
    assert [one.name for one in second.plan.ready[0].exemptions] == ["lasting"]
    assert second.valid_until == datetime(2026, 6, 3, tzinfo=UTC)
    assert second.exemptions[1].reason == "Expired"
    assert second.plan.notes == ["exemption sooner expired on 2026-06-02, so it does nothing"]


def test_an_exemption_of_no_assignment_is_noted(engine: Engine) -> None:
    made = standing(engine, assigned(), exempted(assignment="gone"))

    assert (made.exemptions[0].reason, made.valid_until) == ("NoSuchAssignment", None)
    assert "there is no assignment 'gone'" in (made.exemptions[0].problem or "")


def test_an_exemption_with_selectors_waives_nothing_in_a_cluster_which_cannot_decide_them(engine: Engine) -> None:
    selectors = [{"selectors": [{"kind": "resourceLocation", "in": ["westeurope"]}]}]
    made = standing(engine, assigned(), exempted(resourceSelectors=selectors))

    assert made.plan.ready[0].exemptions == ()
    assert made.exemptions[0].reason == "Invalid"
    assert made.plan.notes == [
        "exemption waiver has resourceSelectors, which no cluster can decide, so it does nothing"
    ]


def test_an_exemption_that_cannot_be_read_counts_for_nothing_also_when_it_once_could(engine: Engine) -> None:
    first = standing(engine, assigned(), exempted())
    second = standing(engine, assigned(), exempted(resources=[{}], generation=2), previous=first)

    assert second.plan.ready[0].exemptions == ()
    assert second.exemptions[0].reason == "Invalid"
    assert "exemption waiver is wrong, so it does nothing: spec.resources[0] is empty" in (
        second.exemptions[0].problem or ""
    )


def test_a_version_that_stays_in_force_follows_its_exemptions(engine: Engine) -> None:
    first = standing(engine, assigned(definition="ours"), defined())
    second = standing(engine, assigned(definition="ours"), exempted(), previous=first)

    assert [one.name for one in second.plan.ready[0].exemptions] == ["waiver"]


class _Compared(str):
    """A name that counts how often it is compared with another one."""

    times = 0

    def __eq__(self, other: object) -> bool:
        _Compared.times += 1
        return super().__eq__(other)

    __hash__ = str.__hash__


def test_assignments_and_exemptions_are_no_product(engine: Engine) -> None:
    count = 200
    assignments = [assigned(f"a{at:03}") for at in range(count)]
    exemptions = [exempted(f"x{at:03}", assignment=_Compared(f"a{at:03}")) for at in range(count)]
    _Compared.times = 0
    made = standing(engine, *assignments, *exemptions)

    assert [[one.name for one in ready.exemptions] for ready in made.plan.ready] == [
        [f"x{at:03}"] for at in range(count)
    ]
    # Each is looked up a few times; comparing each with each would be 40,000 times.
    assert 0 < _Compared.times < 20 * count


# Cheap to repeat


def test_what_has_not_changed_is_neither_compiled_nor_made_again() -> None:
    documents = [assigned(), assigned("two", "ours"), defined(), exempted()]
    counting = Counting()
    with counting:
        first = standing(counting, *documents)
        assert sorted(counting.compiled) == ["no-privileged", "ours"]
        counting.compiled.clear()
        again = json.loads(json.dumps(documents))
        again[2]["metadata"]["generation"] = 5
        second = standing(counting, *again, previous=first)

    assert counting.compiled == []
    assert [one.ready for one in second.assignments] == [one.ready for one in first.assignments]
    assert all(
        mine is theirs
        for one, two in zip(second.assignments, first.assignments, strict=True)
        for mine, theirs in zip(one.ready, two.ready, strict=True)
    )
    assert second.definitions[0].generation == 5


def test_the_same_documents_in_any_order_give_the_same_standing(engine: Engine) -> None:
    documents = [assigned("b"), assigned("a"), defined("d"), defined("c"), exempted("f", "a"), exempted("e", "a")]
    one, two = standing(engine, *documents), standing(engine, *reversed(documents))

    assert one.plan == two.plan
    assert [each.name for each in one.definitions] == [each.name for each in two.definitions] == ["c", "d"]


def test_a_rule_that_ends_the_engine_when_it_is_compiled_concerns_itself_alone(engine: Engine) -> None:
    class Failing(Engine):
        def compile(self, policy: str, modules: Sequence[RegoModule]) -> Any:
            if policy == "ours":
                from aksp.errors import EngineError

                raise EngineError("the engine failed in compile")
            return super().compile(policy, modules)

    with Failing() as failing:
        made = standing(failing, assigned(), assigned("two", "ours"), defined())

    assert in_force(made) == ["one"]
    assert (made.definitions[0].reason, made.assignments[1].reason) == ("EngineFailed", "InvalidDefinition")
