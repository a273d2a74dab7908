"""The cells that say what a row is about: the resource, the container, the place in a file."""

from __future__ import annotations

import re

from aksp.model.compliance import Result, Source
from aksp.model.resource import Container
from aksp.report.blocks import Cell, Line, Tone, cell, span
from aksp.report.figures import plural
from aksp.report.groups import Group

_TYPES = {"initContainers": "init", "ephemeralContainers": "ephemeral"}


def resource_cell(group: Group, before: Group | None, *, with_namespace: bool) -> Cell:
    """The workload, and below it which or how many Pods, and where it is written.

    What the row above says of the same workload is not said again.
    """
    said = _texts(before, with_namespace=with_namespace) if before and before.subject == group.subject else ()
    tones = (Tone.PLAIN, Tone.MUTED, Tone.MUTED)
    texts = _texts(group, with_namespace=with_namespace)
    return tuple((span(text, tone),) for text, tone in zip(texts, tones, strict=True) if text and text not in said)


def container_cell(container: Container | None) -> Cell:
    """The container's name, and its type unless it is an ordinary one."""
    if container is None:
        return cell("-", Tone.MUTED)
    name = span(container.name)
    if container.type not in _TYPES:
        return ((name,),)
    return ((name, span(f" ({_TYPES[container.type]})", Tone.MUTED)),)


def reason_cell(result: Result) -> Cell:
    """The message; the path only where it tells something that nothing else in the row does."""
    finding = result.finding
    message: Line = (span(finding.message),) if finding.message else ()
    path = finding.path
    if not path or result.source is not None or _names(finding.message, path):
        return (message,) if message else ()
    return tuple(line for line in (message, (span(f"at {path}", Tone.MUTED),)) if line)


def place(source: Source) -> str:
    """A file and a line, in the form that editors and terminals open."""
    file = "<stdin>" if source.file == "-" else source.file
    return f"{file}:{source.line}"


def owner_name(result: Result) -> str:
    """The workload behind a resource, as in ``Deployment/web``; empty for none."""
    return f"{result.owner.kind}/{result.owner.name}" if result.owner else ""


def _texts(group: Group, *, with_namespace: bool) -> tuple[str, str, str]:
    resource, source = group.first.resource, group.first.source
    name = owner_name(group.first) or f"{resource.kind}/{resource.name}"
    subject = f"{resource.namespace} {name}" if with_namespace and resource.namespace else name
    return subject, _replicas(group), place(source) if source else ""


def _replicas(group: Group) -> str:
    resource = group.first.resource
    if group.first.owner is None:
        return plural(group.count, resource.kind.lower()) if group.count > 1 else ""
    if group.count > 1:
        return plural(group.count, resource.kind.lower())
    return f"{resource.kind.lower()} {resource.name}"


def _names(message: str, path: str) -> bool:
    """Whether a message names the field that a path ends in, as "no CPU limit" does ``cpu``."""
    quoted = re.search(r"\[['\"]([^'\"]+)['\"]\]$", path)
    field = quoted[1] if quoted else re.sub(r"(\[[^\]]*\])+$", "", path).rpartition(".")[2]
    return field.lower() in message.replace(" ", "").lower()
