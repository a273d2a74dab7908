"""The cells that say what a row is about: the resource, its replicas, the container, the place in a file."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from aksp.model.compliance import Result, SourceLocation
from aksp.model.resource import Container
from aksp.report.fields import owner_name, place
from aksp.report.figures import plural
from aksp.report.groups import Group, GroupedSubject
from aksp.report.table.blocks import Cell, Line, Tone, cell, span

#: How many places of one row are named; the rest is counted.
MOST_PLACES: Final = 4

_TYPES = {"initContainers": "init", "ephemeralContainers": "ephemeral"}


def heading_cell(subject: GroupedSubject, *, with_namespace: bool) -> Cell:
    """The workload or the resource; then which or how many Pods of a workload."""
    resource = subject.first.resource
    name = owner_name(subject.first) or f"{resource.kind}/{resource.name}"
    place = f"{resource.cluster}: " if resource.cluster else ""
    place += f"{resource.namespace} " if with_namespace and resource.namespace else ""
    lines: Cell = ((span(place + name),),)
    if subject.first.owner is None:
        return lines
    return (*lines, (span(_replicas(subject), Tone.MUTED),))


def where_cell(group: Group, subject: GroupedSubject) -> Cell:
    """Where it is written; and the replicas that have it, if others do not."""
    lines: Cell = tuple((span(text, Tone.MUTED),) for text in places(group.sources))
    if group.count < subject.count:
        of = f"{group.count} of {_replicas(subject)}"
        lines += ((span(f"{of}: {group.first.resource.name}" if group.count == 1 else of, Tone.MUTED),),)
    return lines


def container_cell(container: Container | None) -> Cell:
    """The container's name, and its type unless it is an ordinary one."""
    if container is None:
        return cell("-", Tone.MUTED)
    name = span(container.name)
    if container.type not in _TYPES:
        return ((name,),)
    return ((name, span(f" ({_TYPES[container.type]})", Tone.MUTED)),)


def reason_cell(result: Result) -> Cell:
    """The message, and the path if nothing else in the row tells it."""
    finding = result.finding
    message: Line = (span(finding.message),) if finding.message else ()
    path = finding.path
    if not path or result.source is not None or _names(finding.message, path):
        return (message,) if message else ()
    return tuple(line for line in (message, (span(f"at {path}", Tone.MUTED),)) if line)


def places(sources: Iterable[SourceLocation]) -> list[str]:
    """The places of a row, a line each; beyond some they are counted."""
    every = list(sources)
    named = every if len(every) <= MOST_PLACES else every[: MOST_PLACES - 1]
    texts = list(dict.fromkeys(map(place, named)))
    more = len(every) - len(named)
    return [*texts, f"and {more:,} more places (-o json has them all)"] if more else texts


def _replicas(group: Group) -> str:
    resource = group.first.resource
    if group.count > 1:
        return plural(group.count, resource.kind.lower())
    return f"{resource.kind.lower()} {resource.name}"


def _names(message: str, path: str) -> bool:
    """Whether a message names the field that a path ends in, as "no CPU limit" does ``cpu``."""
    quoted = re.search(r"\[['\"]([^'\"]+)['\"]\]$", path)
    field = quoted[1] if quoted else re.sub(r"(\[[^\]]*\])+$", "", path).rpartition(".")[2]
    return field.lower() in message.replace(" ", "").lower()
