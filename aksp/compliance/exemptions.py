"""Which exemption, if any, waives a finding."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from fnmatch import fnmatchcase
from typing import Final

from aksp.model.assignment import Assignment, ExemptedResource, Exemption
from aksp.model.compliance import Result
from aksp.model.resource import Container, Document, Owner, Resource
from aksp.model.scope import Scope

#: How long before its end an exemption is told to end.
SOON: Final = timedelta(days=14)
_FIELDS: Final = ("name", "image", "container", "namespace", "kind")
_EQUALS, _STARTS, _ENDS = "equals", "starts", "ends"
#: A field, one of the three, and a text.
_Literal = tuple[str, str, str]


def by_assignment(exemptions: Iterable[Exemption]) -> dict[str, list[Exemption]]:
    """Exemptions by the name of their assignment, in their order."""
    found: dict[str, list[Exemption]] = {}
    for exemption in exemptions:
        found.setdefault(exemption.assignment, []).append(exemption)
    return found


def ends_within(exemption: Exemption, period: timedelta, now: datetime) -> bool:
    """Whether it is in force now, and no longer so after a period."""
    return not exemption.expired(now) and exemption.expires_on is not None and exemption.expires_on - now <= period


def unneeded(exemptions: Iterable[Exemption], results: Iterable[Result]) -> list[Exemption]:
    """The exemptions that no result names: nothing was found that they would waive, or others waive it."""
    waived = {
        shared.exemption.name for shared in {id(one.shared): one.shared for one in results}.values() if shared.exemption
    }
    return [one for one in exemptions if one.name not in waived]


def waives(exemption: Exemption, assignment: Assignment) -> bool:
    """Whether an exemption is from an assignment, or from a member of the initiative that it is of."""
    return exemption.assignment == assignment.name and exemption.concerns(assignment.reference)


def covers(exemption: Exemption, document: Document, container: Container | None, target: Scope) -> bool:
    """Whether an exemption covers a finding on a document, in a container or on the whole."""
    resource = document.parent or document.resource
    if not exemption.scope.covers(_place(resource, target)):
        return False
    return not exemption.resources or any(
        _names(entry, resource, document.owner, container) for entry in exemption.resources
    )


class Waivers:
    """The exemptions of one assignment on one target, looked up by what they name.

    A finding is compared with those alone whose scope it lies in, or of which one field fits as far as it has no
    wildcard: otherwise each of ten thousand findings would be compared with each of a thousand exemptions.
    """

    def __init__(self, exemptions: Sequence[Exemption], target: Scope) -> None:
        self._exemptions, self._target = exemptions, target
        # Indices of exemptions: by scope those without resources, the others by what one field is, or starts or ends with.
        self._by_scope: dict[tuple[str, ...], list[int]] = {}
        self._by_text: dict[_Literal, list[int]] = {}
        self._lengths: dict[tuple[str, str], set[int]] = {}
        shared = Counter(one for exemption in exemptions for entry in exemption.resources for one in _literals(entry))
        for at, exemption in enumerate(exemptions):
            if not exemption.resources:
                self._by_scope.setdefault(exemption.scope.key, []).append(at)
            for entry in exemption.resources:
                # Index by the field whose text the fewest other exemptions share. An empty prefix or suffix matches every text, so it comes last.
                told = min(_literals(entry), key=lambda one: (one[1] != _EQUALS and not one[2], shared[one]))
                self._by_text.setdefault(told, []).append(at)
                self._lengths.setdefault(told[:2], set()).add(len(told[2]))

    def of(self, document: Document, container: Container | None) -> Exemption | None:
        """The first exemption that covers a finding on a document, in a container or on the whole."""
        for at in sorted(set(self._candidates(document, container))):
            if covers(self._exemptions[at], document, container, self._target):
                return self._exemptions[at]
        return None

    def _candidates(self, document: Document, container: Container | None) -> Iterator[int]:
        resource, owner = document.parent or document.resource, document.owner
        if self._by_scope:
            for place in _place(resource, self._target).keys:
                for end in range(len(place) + 1):
                    yield from self._by_scope.get(place[:end], ())
        for (field, where), lengths in self._lengths.items():
            for value in _values(field, resource, owner, container):
                if where == _EQUALS:
                    yield from self._by_text.get((field, where, value), ())
                    continue
                for length in lengths:
                    if length <= len(value):
                        text = value[:length] if where == _STARTS else value[len(value) - length :]
                        yield from self._by_text.get((field, where, text), ())


def _literals(entry: ExemptedResource) -> list[_Literal]:
    """For each field of an entry what any value that it matches equals, or starts or ends with."""
    found = [_literal(field, pattern) for field in _FIELDS if (pattern := getattr(entry, field)) is not None]
    return found or [("name", _STARTS, "")]  # without fields it names everything


def _literal(field: str, pattern: str) -> _Literal:
    wildcards = [at for at, char in enumerate(pattern) if char in "*?["]
    if not wildcards:
        return field, _EQUALS, pattern
    start, end = pattern[: wildcards[0]], pattern[wildcards[-1] + 1 :]
    # Only fnmatch knows where a set that begins with [ ends.
    return (field, _STARTS, start) if len(start) >= len(end) or "[" in pattern else (field, _ENDS, end)


def _values(field: str, resource: Resource, owner: Owner | None, container: Container | None) -> set[str]:
    """What an entry's field is compared with. Naming a workload covers the Pods that it makes."""
    match field:
        case "namespace":
            return {resource.namespace}
        case "container" | "image":
            return {container.name if field == "container" else container.image} if container is not None else set()
        case "name":
            return {resource.name, owner.name} if owner is not None else {resource.name}
        case _:
            return {resource.kind, owner.kind} if owner is not None else {resource.kind}


def _place(resource: Resource, target: Scope) -> Scope:
    return target.namespace(resource.namespace) if resource.namespace else target


def _names(entry: ExemptedResource, resource: Resource, owner: Owner | None, container: Container | None) -> bool:
    if not _glob(entry.namespace, resource.namespace):
        return False
    # Naming a workload covers the Pods that it makes.
    itself = _glob(entry.kind, resource.kind) and _glob(entry.name, resource.name)
    made_by = owner is not None and _glob(entry.kind, owner.kind) and _glob(entry.name, owner.name)
    if not itself and not made_by:
        return False
    if entry.container is None and entry.image is None:
        return True
    return container is not None and _glob(entry.container, container.name) and _glob(entry.image, container.image)


def _glob(pattern: str | None, text: str) -> bool:
    return pattern is None or fnmatchcase(text, pattern)
