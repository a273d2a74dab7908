"""The lines of a report: one for each assignment, and of an initiative one for each member and each group."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from msgspec import Struct, field
from msgspec.structs import replace

from aksp.compliance.members import is_azure_id, last_segment
from aksp.compliance.nothing import disabled
from aksp.compliance.plan import AssignedInitiative, BrokenAssignment, Plan, Ready
from aksp.compliance.rollup import percentage, state_of, together
from aksp.model.assignment import Assignment
from aksp.model.azure_ids import addon_member, arm_id, assigned_at_azure, assignment_at_azure
from aksp.model.compliance import AssignmentSummary, ComplianceState, Counts, GroupSummary
from aksp.model.definition import SEVERITIES, Definition
from aksp.model.effect import MIXED_EFFECT, UNKNOWN_EFFECT
from aksp.model.initiative import Initiative, Member


class StateCount(Struct):
    """How many distinct resources, and containers, are in which state so far."""

    resources: Counter[ComplianceState] = field(default_factory=Counter)
    containers: Counter[ComplianceState] = field(default_factory=Counter)

    def add(self, other: StateCount | Counts) -> None:
        """Add those of other documents, or of another cluster."""
        self.resources.update(other.resources)
        self.containers.update(other.containers)

    def counts(self) -> Counts:
        """As a report has them: every state is there."""
        return Counts(
            resources={state: self.resources[state] for state in ComplianceState},
            containers={state: self.containers[state] for state in ComplianceState},
        )


def members_of(plan: Plan) -> Iterator[tuple[str, str, tuple[int, ...]]]:
    """Whose members are counted together: the assignment, the group, empty for all of them, and the members' numbers."""
    for assigned in plan.initiatives:
        name, initiative = assigned.assignment.name, assigned.initiative
        mine = {
            one.assignment.reference: number
            for number, one in enumerate(plan.ready)
            if one.assignment.name == name and one.assignment.reference
        }
        for group in ("", *(one.name for one in initiative.groups)):
            yield (
                name,
                group,
                tuple(
                    sorted(
                        mine[member.reference]
                        for member in initiative.members
                        if member.reference in mine and (not group or group in member.groups)
                    )
                ),
            )


def ready_summary(ready: Ready, count: StateCount, idle: str) -> AssignmentSummary:
    """The line of an assignment, or of a member; ``idle`` is the reason to give when nothing was counted."""
    assignment, definition = ready.assignment, ready.definition
    state = state_of(count.resources)
    initiative_id, reference = addon_member(assignment.metadata)
    return AssignmentSummary(
        name=ready.key.name,
        display_name=assignment.display_name or definition.display_name,
        definition=ready.key.definition,
        definition_id=definition.name,
        effect=ready.effect.value,
        enforcement_mode=assignment.enforcement_mode.value,
        scope=str(assignment.scope),
        severity=definition.severity,
        state=state,
        compliance_percent=percentage(count.resources),
        counts=count.counts(),
        message=idle if state is ComplianceState.NOT_STARTED else "",
        initiative=assignment.initiative,
        reference=assignment.reference,
        reach=ready.reach,
        azure_id=_id_at_azure(assignment),
        azure_definition_id=_assigned_at_azure(assignment, definition),
        azure_initiative_id=initiative_id,
        azure_reference=reference,
    )


def broken_summary(one: BrokenAssignment) -> AssignmentSummary:
    """The line of what cannot be judged: in Error, unless its effect says that it is not to be judged."""
    assignment = one.assignment
    off = one.effect if one.disabled else None
    return AssignmentSummary(
        name=assignment.full_name,
        display_name=assignment.display_name or one.definition,
        definition=one.definition,
        definition_id=assignment.definition_id,
        effect=one.effect or UNKNOWN_EFFECT,
        enforcement_mode=assignment.enforcement_mode.value,
        scope=str(assignment.scope),
        severity="medium",
        state=ComplianceState.NOT_STARTED if off else ComplianceState.ERROR,
        compliance_percent=None,
        counts=StateCount().counts(),
        message=disabled(off) if off else one.problem,
        initiative=assignment.initiative,
        reference=assignment.reference,
        azure_id=_id_at_azure(assignment),
        azure_definition_id=_assigned_at_azure(assignment, None),
    )


def initiative_summary(
    assigned: AssignedInitiative,
    lines: Mapping[str, AssignmentSummary],
    counts: Mapping[str, StateCount],
    unreached: Mapping[str, str],
) -> AssignmentSummary:
    """The line of an initiative's assignment, with its members in the initiative's order.

    ``lines`` are the members' by reference id, ``counts`` by group, the empty one for all. Azure's order of states lets
    Compliant hide what could not be judged; here a member that was not keeps the initiative, and its groups, from it.
    """
    assignment, initiative = assigned.assignment, assigned.initiative
    own = _assigned_at_azure(assignment, initiative)
    members = [
        _member(lines[member.reference], member, own) for member in initiative.members if member.reference in lines
    ]
    unjudged = [one for one in members if one.state is ComplianceState.ERROR or one.name in unreached]
    state, percent = together(counts[""].resources, whole=not unjudged)
    effects = {member.effect for member in members}
    return AssignmentSummary(
        name=assignment.name,
        display_name=assignment.display_name or initiative.display_name,
        definition=initiative.slug,
        definition_id=initiative.name,
        effect=effects.pop() if len(effects) == 1 else MIXED_EFFECT,
        enforcement_mode=assignment.enforcement_mode.value,
        scope=str(assignment.scope),
        severity=max((one.severity for one in members), key=SEVERITIES.index),
        state=state,
        compliance_percent=percent,
        counts=counts[""].counts(),
        message=_message(members, unjudged, state),
        azure_id=_id_at_azure(assignment),
        azure_definition_id=own,
        members=members,
        groups=[
            _group(
                group.name, group.display_name, counts[group.name], [m for m in unjudged if group.name in m.group_names]
            )
            for group in initiative.groups
            if any(group.name in member.group_names for member in members)  # else all of it is left out
        ],
    )


def _id_at_azure(assignment: Assignment) -> str:
    return assignment_at_azure(assignment.metadata, str(assignment.scope))


def _assigned_at_azure(assignment: Assignment, assigned: Definition | Initiative | None) -> str:
    """The id at Azure of what is assigned. Of a member of an initiative the assignment does not say it."""
    named = "" if assignment.reference else assigned_at_azure(assignment.metadata)
    return named or (assigned.arm_id if assigned else "")


def _member(line: AssignmentSummary, member: Member, initiative_id: str) -> AssignmentSummary:
    """The line of a member, of which the initiative says the groups and what its definition is called at Azure."""
    built_in = is_azure_id(member.definition_id) and arm_id(
        "/", "policyDefinitions", last_segment(member.definition_id)
    )
    at_azure = bool(line.azure_id or initiative_id)
    return replace(
        line,
        group_names=member.groups,
        azure_definition_id=(member.arm_id or line.azure_definition_id or built_in or "") if at_azure else "",
        azure_initiative_id=initiative_id,
    )


def _group(name: str, display_name: str, count: StateCount, unjudged: Sequence[AssignmentSummary]) -> GroupSummary:
    state, percent = together(count.resources, whole=not unjudged)
    return GroupSummary(
        name=name, display_name=display_name or name, state=state, compliance_percent=percent, counts=count.counts()
    )


def _message(
    members: Sequence[AssignmentSummary], unjudged: Sequence[AssignmentSummary], state: ComplianceState
) -> str:
    if unjudged:
        names = ", ".join(one.reference for one in unjudged)
        return f"{len(unjudged)} of {len(members)} members not judged: {names}"
    if state is ComplianceState.NOT_STARTED:
        reasons = dict.fromkeys(one.message for one in members)
        return next(iter(reasons)) if len(reasons) == 1 else "no member judged anything"
    return ""
