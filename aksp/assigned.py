"""An assignment checked against what it names, and made ready: a definition, or each member of an initiative."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from datetime import datetime

from msgspec import Struct
from msgspec.structs import replace

from aksp.catalog.interface import Assignable, Catalogs, NotHad
from aksp.compliance import parameters
from aksp.compliance.exemptions import SOON, ends_within
from aksp.compliance.members import (
    effect_of,
    is_azure_id,
    last_segment,
    member_assignment,
    override_problem,
    unknown_references,
    version_problem,
)
from aksp.compliance.plan import AssignedInitiative, BrokenAssignment, Ready, make_ready
from aksp.compliance.reach import check_scope, check_selection
from aksp.compliance.template_values import values_problem
from aksp.errors import InvalidInput, InvalidPolicy
from aksp.model.assignment import Assignment, Exemption
from aksp.model.definition import Definition
from aksp.model.effect import Effect
from aksp.model.initiative import Initiative, Member
from aksp.model.scope import Scope
from aksp.model.times import rfc3339


def ready_for(
    assignment: Assignment,
    definition: Definition,
    exemptions: Sequence[Exemption],
    target: Scope | None,
    now: datetime,
) -> Ready:
    """One assignment, checked and resolved.

    Raises InvalidInput for parameters that are wrong, and of it InvalidPolicy where a definition that takes them cannot
    be understood with them.
    """
    check_parameters(assignment, definition)
    if not assignment.reference:
        check_references(assignment, ())
    if problem := override_problem(assignment, definition):
        raise InvalidInput(f"assignment {assignment.full_name!r}: {problem}", where=assignment.origin or None)
    try:
        return make_ready(assignment, definition, exemptions, target, now)
    except ValueError as error:
        raise InvalidPolicy(str(error), where=definition.origin or assignment.origin or assignment.name) from error


class Unavailable(InvalidPolicy):
    """A member of an initiative is a definition of Azure's that none here stands for."""


class Judged(Struct, frozen=True, kw_only=True):
    """What is judged of one assignment: of an initiative each member, and one that cannot be is broken."""

    ready: Sequence[Ready]
    broken: Sequence[BrokenAssignment] = ()
    initiative: AssignedInitiative | None = None


def judged_for(
    assignment: Assignment,
    found: Assignable,
    catalog: Catalogs,
    exemptions: Sequence[Exemption],
    target: Scope | None,
    now: datetime,
) -> Judged:
    """What is judged of an assignment of what was found by its id.

    Raises InvalidInput for what is wrong with the assignment itself, and of it InvalidPolicy for a definition; what is
    wrong with one member of an initiative concerns that one alone.
    """
    if not isinstance(found, Initiative):
        return Judged(ready=[ready_for(assignment, found, exemptions, target, now)])
    check_parameters(assignment, found)
    check_references(assignment, references_of(found))
    ready: list[Ready] = []
    broken: list[BrokenAssignment] = []
    for member in found.members:
        try:
            own, definition = member_of(assignment, found, member, catalog)
            ready.append(ready_for(own, definition, exemptions, target, now))
        except InvalidInput as error:
            broken.append(broken_member(assignment, found, member, problem_of(error), error))
    assigned = AssignedInitiative(assignment=assignment, initiative=found)
    return Judged(ready=ready, broken=broken, initiative=assigned)


def member_of(
    assignment: Assignment, initiative: Initiative, member: Member, catalog: Catalogs
) -> tuple[Assignment, Definition]:
    """The assignment that a member stands for, and its definition.

    Raises InvalidPolicy for a member that cannot be judged: its definition is not there, or not in its version, or the
    initiative passes it an expression that has no value; and of it Unavailable for one of Azure's that is not had here.
    """
    where = f"{initiative.origin} (policyDefinitionReferenceId {member.reference})"
    try:
        own = member_assignment(assignment, initiative, member)
    except ValueError as error:
        raise InvalidPolicy(str(error), where=where) from error
    try:
        definition = catalog.get(member.definition_id)
    except InvalidPolicy:
        raise
    except NotHad as error:
        raise Unavailable(error.what, hint=error.hint) from error
    except InvalidInput as error:
        if is_azure_id(member.definition_id):
            raise Unavailable(
                f"no definition here stands for Azure's {last_segment(member.definition_id)}",
                hint=f"--override {member.reference}={Effect.DISABLED.value}, or overrides in its document, leave it out",
            ) from error
        raise InvalidPolicy(error.what, where=where, hint=error.hint) from error
    if problem := version_problem(member, definition):
        raise InvalidPolicy(problem, where=where, hint="correct its definitionVersion")
    return own, definition


def broken_member(
    assignment: Assignment, initiative: Initiative, member: Member, problem: str, cause: BaseException | None
) -> BrokenAssignment:
    """A member that cannot be judged, as ``problem`` says. One with the effect Disabled would not be."""
    own = replace(assignment, initiative=initiative.slug, reference=member.reference, display_name="")
    with suppress(ValueError):
        own = member_assignment(assignment, initiative, member)
    return BrokenAssignment(
        assignment=own,
        definition=last_segment(member.definition_id),
        problem=problem.removeprefix(f"assignment {own.full_name!r}: "),
        effect=effect_of(own),
        unavailable=isinstance(cause, Unavailable),
    )


def check_parameters(assignment: Assignment, definition: Assignable) -> None:
    """Raise InvalidInput for parameters that a definition or an initiative does not take."""
    found = parameters.problems(definition, assignment.parameters)
    if found:
        raise InvalidInput(
            f"assignment {assignment.full_name!r}: " + "; ".join(map(str, found)),
            where=assignment.origin or None,
            hint="; ".join(problem.hint for problem in found if problem.hint) or None,
        )


def references_of(found: Assignable) -> list[str]:
    """The reference ids of an initiative's members; a definition has none."""
    return [one.reference for one in found.members] if isinstance(found, Initiative) else []


def check_references(assignment: Assignment, references: Sequence[str]) -> None:
    """Raise InvalidInput where an assignment speaks of members that there are not; a definition has none."""
    for field, reference, hint in unknown_references(assignment, references):
        raise InvalidInput(
            f"assignment {assignment.name!r}: spec.{field} names the policyDefinitionReferenceId {reference!r}, "
            + ("which the initiative does not have" if references else "and what is assigned is one definition"),
            where=assignment.origin or None,
            hint=hint if references else "leave it out",
        )


def check_assigned(
    assignment: Assignment, found: Assignable, catalog: Catalogs, now: datetime
) -> tuple[list[Ready], list[BrokenAssignment]]:
    """An assignment made ready, of an initiative each member; and the members that are not available.

    Raises InvalidInput when anything else is wrong, which is best known when the assignment is made.
    """
    check_parameters(assignment, found)
    if not isinstance(found, Initiative):
        return [check_resolves(assignment, found, now)], []
    check_references(assignment, references_of(found))
    ready: list[Ready] = []
    unavailable: list[BrokenAssignment] = []
    for member in found.members:
        try:
            own, definition = member_of(assignment, found, member, catalog)
        except Unavailable as error:
            unavailable.append(broken_member(assignment, found, member, problem_of(error), error))
            continue
        check_parameters(own, definition)
        ready.append(check_resolves(own, definition, now))
    return ready, [one for one in unavailable if not one.disabled]


def check_resolves(assignment: Assignment, definition: Definition, now: datetime) -> Ready:
    """The assignment made ready. Raises InvalidInput when it cannot be.

    So are one that can reach nothing, and values that the definition's template does not take.
    """
    if problem := override_problem(assignment, definition):
        raise InvalidInput(f"assignment {assignment.full_name!r}: {problem}", where=assignment.origin or None)
    try:
        ready = make_ready(assignment, definition, (), None, now)
    except ValueError as error:
        raise InvalidInput(f"assignment {assignment.full_name!r}: {error}", where=definition.origin) from error
    try:
        check_scope(assignment)
        check_selection(ready)
    except ValueError as error:
        raise InvalidInput(f"assignment {assignment.full_name!r} would reach nothing: {error}") from error
    if definition.values_schema is not None and (found := values_problem(definition.values_schema, ready.values)):
        problem, hint = found
        raise InvalidInput(
            f"assignment {assignment.full_name!r}: {problem}", where=definition.origin, hint=hint or None
        )
    return ready


def idle(exemption: Exemption, assignments: Mapping[str, Collection[str] | None], now: datetime) -> str | None:
    """Why an exemption does nothing, as a note, or None.

    ``assignments`` are the names that there are, each with the reference ids of its initiative; None where these cannot
    be told.
    """
    if exemption.assignment not in assignments:
        return f"exemption {exemption.name}: there is no assignment {exemption.assignment!r}, so it does nothing"
    if exemption.expired(now):
        assert exemption.expires_on is not None
        return f"exemption {exemption.name} expired on {exemption.expires_on:%Y-%m-%d}, so it does nothing"
    references = assignments[exemption.assignment]
    if references is not None:
        there = {reference.lower() for reference in references}
        unknown = [one for one in exemption.references if one.lower() not in there]
        if unknown:
            which = "it does nothing" if len(unknown) == len(exemption.references) else "it does nothing for these"
            return (
                f"exemption {exemption.name}: assignment {exemption.assignment!r} has no member"
                f" {', '.join(unknown)}, so {which}"
            )
    return None


def ending(exemption: Exemption, now: datetime) -> str | None:
    """That an exemption ends soon, as a note, or None."""
    if exemption.expires_on is None or not ends_within(exemption, SOON, now):
        return None
    days = (exemption.expires_on - now).days
    left = "today" if not days else f"in {days} day{'s' if days > 1 else ''}"
    return (
        f"exemption {exemption.name} of {exemption.assignment} ends {left}, on {rfc3339(exemption.expires_on)}:"
        " what it waives counts again from then on"
    )


def problem_of(error: InvalidInput) -> str:
    """What is wrong with a definition, and what may help."""
    return f"{error} ({error.hint})" if error.hint else str(error)
