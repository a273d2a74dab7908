"""What ``aksp exempt`` does: exemptions made from options, or for the violations of a report, checked and kept."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Final

from msgspec import Struct

from aksp.assigned import references_of
from aksp.cli.ci import say
from aksp.cli.covered import Covered, covers_words
from aksp.cli.options import ListFormat
from aksp.cli.stores import StoreChoice, print_documents
from aksp.compliance.parameters import nearest
from aksp.errors import InvalidInput
from aksp.gatekeeper.names import legal
from aksp.model import times
from aksp.model.assignment import NAME, Assignment, ExemptedResource, Exemption, ExemptionCategory, ResourceSelector
from aksp.model.initiative import Initiative
from aksp.model.scope import Scope
from aksp.report.parse import read_report
from aksp.report.selecting import entries, selection
from aksp.report.text import safe
from aksp.store.cluster import label
from aksp.store.documents import document_of
from aksp.workspace import Workspace

#: The most entries of one exemption: with more the object would be too large for an API server.
MOST_ENTRIES: Final = 5_000


class ExemptRequest(Struct, frozen=True, kw_only=True):
    """The command line: ``grounds`` and what is covered, or ``report`` and ``select``; and where it is kept."""

    grounds: Grounds
    covered: Covered
    assignment: str | None
    name: str | None
    anywhere: bool
    report: str | None
    select: Sequence[str]
    replace: bool
    dry_run: bool
    output: ListFormat | None
    chosen: StoreChoice


def exempt(request: ExemptRequest) -> None:
    """Make the exemptions and keep them, or print them. Raises InvalidInput when one would cover nothing."""
    opened = Workspace.open(request.chosen.workspace)
    with request.chosen.opened() as kept:
        assigned = {one.name: one for one in kept.assignments()}
        if request.report is None:
            made = [_from_options(request, assigned, opened)]
        else:
            made = _from_report(request, assigned)
        documents = [document_of(one) for one in made]
        if request.dry_run:
            print_documents(request.output or ListFormat.YAML, documents)
            return
        lines = []
        for one, document in zip(made, documents, strict=True):
            change, where = kept.save(one, replace=request.replace)
            lines.append(f"{label(document)} {change} ({where}): {safe(covers_words(one))}")
    if request.output is not None:
        print_documents(request.output, documents)
    else:
        say("\n".join(lines))


def _from_options(request: ExemptRequest, assigned: Mapping[str, Assignment], opened: Workspace) -> Exemption:
    if request.select:
        raise InvalidInput("--select chooses violations of a report", hint="add --from-report FILE")
    if request.assignment is None:
        raise InvalidInput("--assignment is missing", hint=nearest("", assigned))
    assignment, references = _known(request.assignment, assigned)
    covered = request.covered
    if not covered.named and not request.anywhere:
        raise InvalidInput(
            f"this would exempt everything from {assignment.name}",
            hint="name a resource, -n NAMESPACE, -c CONTAINER or --image IMAGE; --scope / means everything",
        )
    definition = None
    try:
        found = opened.definition_of(assignment)
    except InvalidInput:
        pass  # a definition may be only in the cluster
    else:
        # Members of an initiative may be about several kinds.
        definition = None if isinstance(found, Initiative) else found
        _check_members(assignment, references, references_of(found))
    return request.grounds.exemption(
        request.name or _name(request.assignment, covered), assignment, covered.entries(definition), references
    )


def _from_report(request: ExemptRequest, assigned: Mapping[str, Assignment]) -> list[Exemption]:
    assert request.report is not None  # the caller has looked
    if request.covered.named or request.covered.every_namespace:
        raise InvalidInput("--from-report takes what is exempt from the report", hint="choose by --select")
    patterns = selection(request.select)
    if request.assignment:
        patterns.setdefault("assignment", []).append(request.assignment)
    if not patterns:
        raise InvalidInput(
            "--from-report without --select would exempt every violation of the report",
            hint="e.g. --select namespace=shop; --select 'name=*' means all",
        )
    found = entries(read_report(request.report).results, patterns)
    if not found:
        raise InvalidInput(
            "no violation of the report is selected, so there is nothing to exempt", where=request.report
        )
    made = []
    for name, resources in found.items():
        assignment, references = _known(name, assigned)
        alone = request.name if request.name and len(found) == 1 else f"{request.name or 'known'}-{legal(name)}"
        made.append(request.grounds.exemption(alone, assignment, resources, references))
    return made


def _check_members(assignment: Assignment, references: Sequence[str], there: Sequence[str]) -> None:
    known = [one.lower() for one in there]
    for reference in references:
        if reference.lower() not in known:
            raise InvalidInput(
                f"assignment {assignment.name!r} has no member {reference!r}", hint=nearest(reference, there)
            )


def _known(name: str, assigned: Mapping[str, Assignment]) -> tuple[Assignment, tuple[str, ...]]:
    """The assignment that is named, and the reference id of the member of its initiative where NAME/REFERENCE is."""
    own, _, reference = name.partition("/")
    if own not in assigned:
        raise InvalidInput(f"there is no assignment {own!r}", hint=nearest(own, assigned))
    return assigned[own], (reference,) if reference else ()


class Grounds(Struct, frozen=True, kw_only=True):
    """The reason, scope and end that all exemptions of one command line have in common."""

    category: ExemptionCategory
    scope: Scope
    expires_on: datetime | None
    display_name: str
    description: str
    metadata: Mapping[str, str]
    resource_selectors: tuple[ResourceSelector, ...] = ()

    def exemption(
        self, name: str, of: Assignment, resources: Sequence[ExemptedResource], references: tuple[str, ...] = ()
    ) -> Exemption:
        """An exemption on these grounds. Raises InvalidInput for one that is invalid or would cover nothing."""
        if not NAME.fullmatch(name):
            raise InvalidInput(f"--name {name!r}: expected lower-case letters, digits, - and .")
        if len(resources) > MOST_ENTRIES:
            raise InvalidInput(
                f"an exemption of {of.name} would have {len(resources):,} entries, and can have {MOST_ENTRIES:,}",
                hint="select less, or name what is exempt by patterns: -n 'team-*', -c proxy",
            )
        if self.scope.apart(of.scope):
            raise InvalidInput(
                f"the exemption's scope {self.scope} and {of.scope}, that of assignment {of.name},"
                " have nothing in common: it would cover nothing"
            )
        return Exemption(
            name=name,
            assignment=of.name,
            category=self.category,
            scope=self.scope,
            expires_on=self.expires_on,
            display_name=self.display_name,
            description=self.description,
            metadata=self.metadata,
            resources=tuple(resources),
            references=references,
            resource_selectors=self.resource_selectors,
        )


def end_of(text: str, now: datetime) -> datetime:
    """The end that --until gives: a date, at its beginning in UTC, a time, or a duration from now. Raises InvalidInput."""
    try:
        ends = now + times.duration(text)
    except ValueError:
        try:
            found = times.moment(text)
            ends = found.astimezone(UTC) if found else now
        except OverflowError:
            found = None
        if found is None:
            raise InvalidInput(
                f"--until {text}: this is no date, time or duration",
                hint="e.g. 2027-01-31, 2027-01-31T18:00:00Z or 30d",
            ) from None
    if ends <= now:
        raise InvalidInput(f"--until {text} is past, so the exemption would do nothing")
    return ends


def _name(assignment: str, covered: Covered) -> str:
    """A name made of the assignment and of what is exempt, such as ``allowed-images-shop-payments-proxy``."""
    subjects = [text.partition("/")[2] for text in covered.subjects]
    parts = [assignment, *covered.namespaces, *subjects, *covered.containers, *covered.images]
    text = re.sub(r"[^a-z0-9]+", "-", "-".join(parts).lower())
    return text[:200].strip("-")
