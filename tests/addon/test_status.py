"""The statuses of custom resources."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from aksp.addon.checkins.status import (
    LONGEST,
    Evaluation,
    assignment_status,
    definition_status,
    exemption_status,
    not_started,
    patch_of,
)
from aksp.addon.checkins.webhook_coverage import WebhookCoverage
from aksp.addon.gatekeeper.conditions import ExportCondition
from aksp.addon.in_force.definitions import DefinitionInForce
from aksp.addon.in_force.policies import ExemptionInForce, InForce
from aksp.addon.in_force.problems import Reason
from aksp.assigned import Judged
from aksp.model.assignment import EnforcementMode
from aksp.model.compliance import AssignmentSummary, ComplianceState, Counts
from tests.addon.custom import assigned, condition, defined, exempted, merged
from tests.compliance.builders import definition, ready
from tests.replacing import replace

THEN, NOW = datetime(2026, 6, 1, 11, 55, tzinfo=UTC), datetime(2026, 6, 1, 12, 0, tzinfo=UTC)
S = ComplianceState
SPEC = {"policyDefinitionId": "rule"}


def applied(effect: str = "Deny", **more: Any) -> InForce:
    mode = more.pop("mode", EnforcementMode.DEFAULT)
    made = ready("one", of=definition("rule"), parameters={"effect": effect}, enforcement_mode=mode)
    fields = {"generation": 2, "applied_generation": 2, "applied_spec": SPEC, "judged": Judged(ready=[made])}
    return InForce(name="one", uid="u", **{**fields, **more})


def nothing(reason: Reason = Reason.INVALID_PARAMETERS, problem: str = "it is wrong") -> InForce:
    return InForce(name="one", uid="u", generation=2, problem=problem, reason=reason)


def document(status: Any = None) -> dict[str, Any]:
    return assigned(generation=2, meta={"status": status} if status else {})


def scanned(state: ComplianceState = S.NON_COMPLIANT, percent: float | None = 66.666, *errors: str) -> Evaluation:
    counts = Counts(resources={S.NON_COMPLIANT: 1, S.COMPLIANT: 2}, containers={S.COMPLIANT: 3})
    summary = AssignmentSummary(
        name="one", display_name="", definition="rule", definition_id="", effect="Deny", enforcement_mode="Default",
        scope="/", severity="high", state=state, compliance_percent=percent, counts=counts,
    )  # fmt: skip
    return Evaluation(at=NOW, summary=summary, errors=errors)


def status(one: InForce, evaluation: Evaluation | None = None, before: Any = None, **more: Any) -> dict[str, Any]:
    return assignment_status(one, document(before), NOW, evaluation=evaluation, **more)


def conditions(made: dict[str, Any]) -> dict[str, tuple[str, str]]:
    return {each["type"]: condition(made, each["type"]) for each in made["conditions"]}


def test_what_is_first_seen_is_not_started() -> None:
    made = not_started(assigned(generation=1), NOW)

    assert (made["state"], made["observedGeneration"]) == ("NotStarted", 1)
    assert set(conditions(made).values()) == {("Unknown", "NotStarted")}


def test_what_was_scanned_has_state_figures_and_times() -> None:
    made = status(applied(), scanned())

    assert conditions(made) == {
        "Applied": ("True", "Applied"), "Evaluated": ("True", "Evaluated"), "Enforced": ("True", "Enforced"),
    }  # fmt: skip
    assert (made["state"], made["compliancePercent"], made["message"], made["effect"]) == (
        "NonCompliant",
        66.7,
        "",
        "Deny",
    )
    assert made["counts"]["resources"] == {
        "NonCompliant": 1, "Compliant": 2, "Error": 0, "Conflicting": 0, "Exempt": 0, "Unknown": 0, "NotStarted": 0,
    }  # fmt: skip
    assert made["lastEvaluated"] == made["lastCheckIn"] == "2026-06-01T12:00:00Z"
    assert (made["observedGeneration"], made["appliedGeneration"], made["appliedSpec"]) == (2, 2, SPEC)
    assert {each["observedGeneration"] for each in made["conditions"]} == {2}


def test_before_its_first_scan_it_is_applied_and_not_started() -> None:
    made = status(applied())

    assert (made["state"], made.get("lastEvaluated")) == ("NotStarted", None)
    assert conditions(made)["Applied"] == ("True", "Applied")
    assert conditions(made)["Evaluated"] == ("Unknown", "NotStarted")


def test_before_a_further_scan_the_states_stay() -> None:
    before = status(applied(), scanned(S.COMPLIANT, 100.0, "x failed"))
    made = status(applied(), None, before)

    kept = ("state", "compliancePercent", "counts", "lastEvaluated")
    assert [made[name] for name in kept] == [before[name] for name in kept]
    assert conditions(made)["Evaluated"] == ("True", "WithErrors")


def test_what_was_evaluated_is_the_old_version_until_the_scan_of_the_new_one() -> None:
    before = status(applied(), scanned())
    newer = assigned(generation=3, meta={"status": before})
    waiting = assignment_status(applied(generation=3, applied_generation=3), newer, NOW)
    done = assignment_status(applied(generation=3, applied_generation=3), newer, NOW, evaluation=scanned())

    for made, evaluated in ((waiting, 2), (done, 3)):
        assert {each["type"]: each["observedGeneration"] for each in made["conditions"]} == {
            "Applied": 3, "Evaluated": evaluated, "Enforced": 3,
        }  # fmt: skip


def test_when_the_scan_fails_the_states_stay_and_it_is_said_why() -> None:
    before = status(applied(), scanned())
    made = status(applied(), Evaluation(at=NOW, failure="nothing could be scanned: connection refused"), before)

    assert (made["state"], made["counts"]) == ("NonCompliant", before["counts"])
    assert conditions(made)["Evaluated"] == ("False", "ScanFailed")
    assert made["message"] == "nothing could be scanned: connection refused"


def test_an_assignment_whose_lists_failed_keeps_its_state_and_says_why() -> None:
    made = status(applied(), scanned(S.NOT_STARTED, None, "Pod could not be listed: no"), status(applied(), scanned()))

    assert (made["state"], made["message"]) == ("NonCompliant", "Pod could not be listed: no")
    assert conditions(made)["Evaluated"] == ("False", "ListFailed")


@pytest.mark.parametrize("state", [each for each in S if each.complies])
@pytest.mark.parametrize(
    "evaluation",
    [Evaluation(at=NOW, failure="no answer"), scanned(S.NOT_STARTED, None, "Pod could not be listed: no")],
    ids=["scan failed", "list failed"],
)
def test_what_complied_does_not_look_so_when_it_could_not_be_judged_again(state: S, evaluation: Evaluation) -> None:
    before = status(applied(), scanned(state, 100.0))
    made = status(applied(), evaluation, before)

    assert (made["state"], made["lastEvaluated"]) == ("NotStarted", before["lastEvaluated"])
    assert not {"counts", "compliancePercent", "members"} & set(made)
    assert status(applied(), None, made)["state"] == "NotStarted"
    assert status(applied(), scanned(state, 100.0), made)["state"] == state


def test_a_broken_version_shows_beside_the_state_of_the_one_in_force() -> None:
    broken = applied(applied_generation=1, problem="parameter 'x' is wrong", reason=Reason.INVALID_PARAMETERS)
    made = status(broken, scanned())

    assert conditions(made) == {
        "Applied": ("False", "InvalidParameters"), "Evaluated": ("True", "Evaluated"), "Enforced": ("True", "Enforced"),
    }  # fmt: skip
    assert (made["state"], made["appliedGeneration"]) == ("NonCompliant", 1)
    assert made["message"] == "parameter 'x' is wrong. Its last good version (generation 1) stays in force"


def test_what_is_not_in_force_has_no_figures_but_keeps_the_version_that_was_good() -> None:
    before = status(applied(), scanned())
    made = status(nothing(), Evaluation(at=NOW), before)

    assert (made["state"], made["message"]) == ("NotStarted", "it is wrong. Nothing of it is in force")
    assert not {"counts", "compliancePercent", "lastEvaluated", "effect", "appliedGeneration"} & set(made)
    assert made["appliedSpec"] == SPEC
    assert {each for _, each in conditions(made).values()} == {"InvalidParameters", "NotApplied"}


def test_out_of_scope_is_no_fault() -> None:
    made = status(nothing(Reason.NOT_IN_SCOPE, "its scope is another cluster's"), Evaluation(at=NOW))

    assert made["message"] == "its scope is another cluster's"
    assert conditions(made)["Applied"] == ("False", "NotInScope")


@pytest.mark.parametrize(
    ("one", "asked", "enforced"),
    [
        (applied("Audit"), WebhookCoverage.YES, ("False", "EffectAudit")),
        (applied("Warn"), WebhookCoverage.YES, ("False", "EffectWarn")),
        (applied("Disabled"), WebhookCoverage.YES, ("False", "Disabled")),
        (applied("EnforceRegoPolicy"), WebhookCoverage.YES, ("True", "Enforced")),
        (applied(mode=EnforcementMode.DO_NOT_ENFORCE), WebhookCoverage.YES, ("False", "DoNotEnforce")),
        (applied(), WebhookCoverage.NOT_YET, ("False", "RulesPending")),
        (applied(), WebhookCoverage.NO_WEBHOOK, ("False", "WebhookMissing")),
        (applied(), WebhookCoverage.UNKNOWN, ("Unknown", "WebhookUnknown")),
        (nothing(), WebhookCoverage.YES, ("False", "NotApplied")),
    ],
)  # fmt: skip
def test_enforced_means_that_a_request_would_be_refused(
    one: InForce, asked: WebhookCoverage, enforced: tuple[str, str]
) -> None:
    assert conditions(status(one, scanned(), asked=asked))["Enforced"] == enforced


@pytest.mark.parametrize(
    ("one", "exported", "enforced"),
    [
        (applied(), ExportCondition("True", "Exported", ""), ("True", "Enforced")),
        (applied(), ExportCondition("True", "NotAllExpressed", "m"), ("True", "Enforced")),
        (applied(), ExportCondition("True", "NothingToExport", "m"), ("False", "NothingToExport")),
        (applied(), ExportCondition("False", "TemplateRejected", "m"), ("False", "TemplateRejected")),
        (applied(), ExportCondition("Unknown", "GatekeeperSilent", "m"), ("Unknown", "GatekeeperSilent")),
        (applied("Audit"), ExportCondition("False", "TemplateRejected", "m"), ("False", "EffectAudit")),
    ],
)
def test_where_gatekeeper_refuses_what_it_has_is_what_is_enforced(
    one: InForce, exported: ExportCondition, enforced: tuple[str, str]
) -> None:
    made = status(one, scanned(), exported=exported)
    assert conditions(made)["Enforced"] == enforced
    assert conditions(made)["Exported"] == exported[:2]
    assert made["message"] == exported.message
    assert "Exported" not in conditions(status(one, scanned()))


def test_rules_that_are_still_to_be_written_are_told_in_the_message() -> None:
    assert status(applied(), scanned(S.COMPLIANT, 100.0), asked=WebhookCoverage.NOT_YET)["message"] == (
        "nothing is refused yet: the webhook's rules are still to be written"
    )


def test_a_disabled_assignment_is_applied_and_not_evaluated() -> None:
    made = status(applied("Disabled"), scanned(S.NOT_STARTED, None), status(applied(), scanned()))

    assert (made["state"], "counts" in made) == ("NotStarted", False)
    assert conditions(made)["Evaluated"] == ("False", "Disabled")
    assert conditions(made)["Applied"] == ("True", "Applied")


def test_a_condition_s_time_changes_with_its_status_only() -> None:
    before = assignment_status(applied(), document(), THEN, evaluation=scanned())
    made = status(applied("Audit"), scanned(S.COMPLIANT, 100.0, "an error"), before)
    times = {each["type"]: each["lastTransitionTime"] for each in made["conditions"]}

    assert times == {
        "Applied": "2026-06-01T11:55:00Z", "Evaluated": "2026-06-01T11:55:00Z", "Enforced": "2026-06-01T12:00:00Z",
    }  # fmt: skip
    assert conditions(made)["Evaluated"] == ("True", "WithErrors")


def test_messages_are_bounded_and_say_how_many_errors_more_there_are() -> None:
    made = status(applied(), scanned(S.ERROR, 0.0, *(f"error {number} " + "x" * 90 for number in range(100))))

    assert 900 < len(made["message"]) <= LONGEST
    assert made["message"].endswith("; and 90 more errors")
    assert all(len(each["message"]) <= LONGEST for each in made["conditions"])


def test_one_error_that_is_too_long_is_cut() -> None:
    made = status(applied(), scanned(S.ERROR, 0.0, "x" * 5000, "y"))

    assert len(made["message"]) == LONGEST
    assert made["message"].endswith("…; and 1 more error")


def test_a_spec_that_a_merge_patch_cannot_carry_is_not_kept() -> None:
    spec = {"policyDefinitionId": "rule", "parameters": {"x": {"value": {"a": [{"b": None}]}}}}

    assert "appliedSpec" not in status(applied(applied_spec=spec), scanned())


def test_a_patch_makes_one_status_of_the_other() -> None:
    before = status(applied(applied_spec={"a": {"b": 1, "c": 2}, "d": 3}), scanned())
    for after in (status(applied(applied_spec={"a": {"c": 4}}), scanned()), status(nothing()), {}):
        assert merged(before, patch_of(before, after)) == after
    assert patch_of({"a": {"b": 1}, "c": 1}, {"a": {"d": 2}}) == {"a": {"b": None, "d": 2}, "c": None}


def test_a_definition_says_whether_its_newest_version_is_in_force() -> None:
    good = DefinitionInForce(
        name="ours",
        uid="u",
        generation=3,
        spec={"x": 1},
        definition=definition("ours"),
        applied_generation=3,
        applied_spec={"x": 1},
    )
    made = definition_status(good, defined(generation=3), NOW)
    assert condition(made, "Applied") == ("True", "Applied")
    assert (made["observedGeneration"], made["appliedGeneration"], made["appliedSpec"], made["message"]) == (
        3,
        3,
        {"x": 1},
        "",
    )

    bad = replace(good, generation=4, problem="does not compile", reason=Reason.INVALID_DEFINITION)
    made = definition_status(bad, defined(generation=4), NOW)
    assert condition(made, "Applied") == ("False", "InvalidDefinition")
    assert made["message"] == "does not compile. Its last good version (generation 3) stays in force"
    assert (made["observedGeneration"], made["appliedGeneration"]) == (4, 3)


@pytest.mark.parametrize("reason", [None, Reason.EXPIRED, Reason.NO_SUCH_ASSIGNMENT, Reason.INVALID])
def test_an_exemption_says_whether_it_counts(reason: Reason | None) -> None:
    one = ExemptionInForce(name="waiver", generation=1, problem="it does nothing" if reason else None, reason=reason)
    made = exemption_status(one, exempted(), NOW)

    assert condition(made, "Applied") == (("False", reason.value) if reason else ("True", "Applied"))
    assert made["message"] == ("it does nothing" if reason else "")
