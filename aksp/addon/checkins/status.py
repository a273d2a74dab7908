"""The statuses of the custom resources, as JSON values. Pure.

A status is built whole, from what is in force, what a scan found and the status before (which it
goes on from where nothing new is known); ``patch_of`` makes of it what a merge patch needs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, assert_never

from msgspec import Struct

from aksp.addon.checkins.webhook_coverage import WebhookCoverage
from aksp.addon.gatekeeper.conditions import ExportCondition
from aksp.addon.in_force.definitions import DefinitionInForce
from aksp.addon.in_force.documents import Seen, conditions_of
from aksp.addon.in_force.policies import ExemptionInForce, InForce
from aksp.compliance.nothing import disabled
from aksp.model.assignment import EnforcementMode
from aksp.model.compliance import AssignmentSummary, ComplianceState
from aksp.model.effect import Effect
from aksp.model.fields import status_of
from aksp.model.times import rfc3339
from aksp.report import wire
from aksp.report.figures import one_decimal, plural
from aksp.report.text import clipped

#: Characters of the longest message; a condition may have 32,768 (metav1.Condition).
LONGEST = 1024
#: Reason of ``Enforced`` while the API server does not ask about all that an assignment judges.
RULES_PENDING = "RulesPending"
Status = dict[str, Any]


class Evaluation(Struct, frozen=True, kw_only=True):
    """What one scan found of one assignment. ``errors`` are what could not be judged, a sentence each.

    ``summary`` is None when the scan failed: then ``failure`` says why.
    """

    at: datetime
    summary: AssignmentSummary | None = None
    errors: Sequence[str] = ()
    failure: str = ""

    @property
    def judged(self) -> bool:
        """Whether all that there was could be judged, or at least some; also when there was nothing."""
        return self.summary is not None and (self.summary.compliance_percent is not None or not self.errors)


def not_started(document: Mapping[str, Any], now: datetime) -> Status:
    """The status of a PolicyAssignment when it is first seen."""
    seen = Seen.of(document)
    waiting = ("Unknown", ComplianceState.NOT_STARTED.value, "it waits for the first check-in")
    return {
        "observedGeneration": seen.generation,
        "state": ComplianceState.NOT_STARTED.value,
        "message": "it waits for the first check-in",
        "lastCheckIn": rfc3339(now),
        "conditions": _conditions(document, now, Applied=waiting, Evaluated=waiting, Enforced=waiting),
    }


def assignment_status(
    one: InForce,
    document: Mapping[str, Any],
    now: datetime,
    *,
    evaluation: Evaluation | None = None,
    asked: WebhookCoverage = WebhookCoverage.YES,
    exported: ExportCondition | None = None,
) -> Status:
    """The status of a PolicyAssignment. Without an evaluation, before the scan: the state stays.

    ``asked``: whether the API server asks about what it judges. ``exported``: what Gatekeeper has of it, where Gatekeeper
    refuses.
    """
    before = status_of(document)
    seen = Seen.of(document)
    status: Status = {"observedGeneration": one.generation, "lastCheckIn": rfc3339(now)}
    status["appliedGeneration"] = one.applied_generation
    # What once was good is kept while the newest version is not, also if it is not in force just now.
    kept = one.applied_spec if one.judged else seen.applied_spec if one.problem else None
    status["appliedSpec"] = kept if _has_no_null(kept) else None
    status["effect"] = one.effect
    status |= _state(one, before, evaluation)
    errors = list(evaluation.errors) if evaluation else []
    applied = _applied(one)
    idle = _idle(one)
    enforced = idle or _enforced(one, asked, exported)
    waiting = enforced[2] if enforced[1] == RULES_PENDING else ""
    # What Gatekeeper has not is told of every assignment, also of one that refuses nothing.
    in_gatekeeper = exported.message if exported is not None else ""
    nothing = evaluation.summary.message if one.judged and evaluation and evaluation.summary and not errors else ""
    failure = evaluation.failure if evaluation else ""
    status["message"] = _listed(
        [part for part in (applied[2], failure, waiting, in_gatekeeper, nothing, *errors) if part]
    )
    # The condition of the last scan, for as long as the next one lasts.
    goes_on = evaluation is None and one.judges and before.get("lastEvaluated")
    kept_evaluated = conditions_of(document).get("Evaluated") if goes_on else None
    status["conditions"] = _conditions(
        document,
        now,
        Applied=applied,
        Evaluated=idle or _evaluated(kept_evaluated, evaluation),
        Enforced=enforced,
        **({} if exported is None else {"Exported": (exported.status, exported.reason, _bounded(exported.message))}),
    )
    if kept_evaluated is not None and "observedGeneration" in kept_evaluated:
        # What was scanned is still the version from before.
        status["conditions"][1]["observedGeneration"] = kept_evaluated["observedGeneration"]
    return {name: value for name, value in status.items() if value is not None}


def definition_status(one: DefinitionInForce, document: Mapping[str, Any], now: datetime) -> Status:
    """The status of a PolicyDefinition or a PolicySetDefinition."""
    kept = one.applied_spec if one.definition else Seen.of(document).applied_spec if one.problem else None
    applied = ("True", "Applied", "")
    if one.problem:
        applied = (
            "False",
            str(one.reason),
            _bounded(f"{one.problem}. {_stays(one.applied_generation, one.definition)}"),
        )
    status: Status = {
        "observedGeneration": one.generation,
        "appliedGeneration": one.applied_generation,
        "appliedSpec": kept if _has_no_null(kept) else None,
        "lastCheckIn": rfc3339(now),
        "message": applied[2],
        "conditions": _conditions(document, now, Applied=applied),
    }
    return {name: value for name, value in status.items() if value is not None}


def exemption_status(one: ExemptionInForce, document: Mapping[str, Any], now: datetime) -> Status:
    """The status of a PolicyExemption."""
    applied = ("False", str(one.reason), _bounded(one.problem)) if one.problem else ("True", "Applied", "")
    return {
        "observedGeneration": one.generation,
        "lastCheckIn": rfc3339(now),
        "message": applied[2],
        "conditions": _conditions(document, now, Applied=applied),
    }


def patch_of(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Any]:
    """The merge patch (RFC 7386) that makes one object of another: null for what is gone."""
    patch: dict[str, Any] = {key: None for key in before if key not in after}
    for key, value in after.items():
        old = before.get(key)
        patch[key] = patch_of(old, value) if isinstance(old, Mapping) and isinstance(value, Mapping) else value
    return patch


def _state(one: InForce, before: Mapping[str, Any], evaluation: Evaluation | None) -> Status:
    """State, figures and when they were found: the scan's, else those from before, else NotStarted.

    After a scan that could not judge it, only a state that does not comply stays: nothing says that it still complies.
    """
    summary = evaluation.summary if evaluation else None
    if not one.judges:
        return {"state": ComplianceState.NOT_STARTED.value}
    if evaluation is None or summary is None or not evaluation.judged:
        stays = evaluation is None or not _complied(before)
        kept = ("state", "compliancePercent", "counts", "members") if stays else ()
        known = {name: before[name] for name in (*kept, "lastEvaluated") if name in before}
        return {"state": ComplianceState.NOT_STARTED.value, **known}
    percent = one_decimal(summary.compliance_percent)
    return {
        "state": summary.state.value,
        **({} if percent is None else {"compliancePercent": percent}),
        "counts": wire.counts(summary.counts),
        **({"members": list(map(_member, summary.members))} if summary.members else {}),
        "lastEvaluated": rfc3339(evaluation.at),
    }


def _complied(before: Mapping[str, Any]) -> bool:
    """Whether the status before says that the assignment complies. People may have written any text there."""
    return any(state.complies and state == before.get("state") for state in ComplianceState)


def _member(line: AssignmentSummary) -> Status:
    """What the scan found of one member of an initiative. How many are in which state is in the report."""
    percent = one_decimal(line.compliance_percent)
    return {
        "policyDefinitionReferenceId": line.reference,
        "definition": line.definition,
        "effect": line.effect,
        "state": line.state.value,
        **({} if percent is None else {"compliancePercent": percent}),
        **({"message": _bounded(line.message)} if line.message else {}),
    }


_Condition = tuple[str, str, str]


def _applied(one: InForce) -> _Condition:
    if one.problem is None:
        unjudged = [f"member {each.assignment.reference}: {each.problem}" for each in one.broken]
        return "True", "Applied", _listed([*([one.note] if one.note else []), *unjudged])
    if one.reason == "NotInScope":
        return "False", str(one.reason), _bounded(one.problem)
    return "False", str(one.reason), _bounded(f"{one.problem}. {_stays(one.applied_generation, one.judged)}")


def _stays(generation: int | None, good: object) -> str:
    if good is None:
        return "Nothing of it is in force"
    version = f" (generation {generation})" if generation else ""
    return f"Its last good version{version} stays in force"


def _idle(one: InForce) -> _Condition | None:
    """Why there is nothing to judge and to refuse; None where there is something."""
    if one.judged is None:
        return "False", "NotApplied", "nothing of it is in force"
    return None if one.judges else ("False", Effect.DISABLED.value, disabled(Effect.DISABLED))


def _evaluated(kept: Mapping[str, Any] | None, evaluation: Evaluation | None) -> _Condition:
    if evaluation is None:
        if kept is not None:
            return str(kept.get("status")), str(kept.get("reason")), str(kept.get("message"))
        return "Unknown", ComplianceState.NOT_STARTED.value, "it waits for the scan of this check-in"
    if evaluation.summary is None:
        return "False", "ScanFailed", _bounded(evaluation.failure)
    if not evaluation.judged:
        return "False", "ListFailed", _listed(evaluation.errors)
    if evaluation.errors:
        return "True", "WithErrors", _listed(evaluation.errors)
    if evaluation.summary.compliance_percent is None:
        return "True", "NothingJudged", _bounded(evaluation.summary.message)
    return "True", "Evaluated", ""


def _enforced(one: InForce, asked: WebhookCoverage, exported: ExportCondition | None) -> _Condition:
    if not any(ready.effect.refuses for ready in one.ready):
        return "False", f"Effect{one.effect}", f"its effect {one.effect} refuses nothing"
    if one.enforcement_mode is not EnforcementMode.DEFAULT:
        return "False", "DoNotEnforce", "its enforcementMode is DoNotEnforce"
    if exported is not None and (exported.status != "True" or exported.reason == "NothingToExport"):
        status = "False" if exported.status == "True" else exported.status
        return status, exported.reason, _bounded(exported.message)
    match asked:
        case WebhookCoverage.YES:
            return "True", "Enforced", ""
        case WebhookCoverage.NOT_YET:
            return "False", RULES_PENDING, "nothing is refused yet: the webhook's rules are still to be written"
        case WebhookCoverage.PARTLY:
            return "False", RULES_PENDING, "not all is refused yet: the webhook has rules for some of its kinds only"
        case WebhookCoverage.NOT_SERVED:
            return "False", "KindNotServed", "the cluster serves none of its kinds, so there is nothing to refuse"
        case WebhookCoverage.NO_WEBHOOK:
            return "False", "WebhookMissing", "the webhook is not configured: `aksp addon enable` does it"
        case WebhookCoverage.UNKNOWN:
            return "Unknown", "WebhookUnknown", "whether the webhook is configured could not be found out"
    assert_never(asked)


def _conditions(document: Mapping[str, Any], now: datetime, **conditions: _Condition) -> list[dict[str, Any]]:
    """metav1.Conditions. lastTransitionTime changes only with the status."""
    known = conditions_of(document)
    made = []
    for kind, (status, reason, message) in conditions.items():
        old = known.get(kind, {})
        since = old.get("lastTransitionTime") if old.get("status") == status else None
        made.append(
            {
                "type": kind,
                "status": status,
                "reason": reason,
                "message": message,
                "lastTransitionTime": since or rfc3339(now),
                "observedGeneration": Seen.of(document).generation,
            }
        )
    return made


def _listed(sentences: Sequence[str]) -> str:
    """Sentences one after the other, as many as find room, and how many more there are."""
    text = ""
    for at, sentence in enumerate(sentences):
        longer = f"{text}; {sentence}" if text else sentence
        left = len(sentences) - at - 1
        rest = f"; and {plural(left, 'more error')}" if left else ""
        if len(longer) + len(rest) > LONGEST:
            if not text:
                return clipped(sentence, LONGEST - len(rest)) + rest
            return f"{text}; and {plural(left + 1, 'more error')}"
        text = longer
    return text


def _bounded(text: str) -> str:
    return clipped(text, LONGEST)


def _has_no_null(value: Any) -> bool:
    """Whether a merge patch can carry it: null removes, so a version that holds one is kept only in memory."""
    if isinstance(value, Mapping):
        return all(entry is not None and _has_no_null(entry) for entry in value.values())
    if isinstance(value, list):
        return all(entry is not None and _has_no_null(entry) for entry in value)
    return True
