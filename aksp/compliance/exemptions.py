"""Which exemption, if any, waives a finding."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase

from aksp.model.assignment import ExemptedResource, Exemption
from aksp.model.resource import Container, Document, Owner, Resource
from aksp.model.scope import Scope


def exemption_for(
    exemptions: Sequence[Exemption], document: Document, container: Container | None, target: Scope
) -> Exemption | None:
    """The first exemption that covers a finding on a document, in a container or on the whole.

    The exemptions are those of the finding's assignment that have not expired.
    """
    resource = document.parent or document.resource
    place = target.namespace(resource.namespace) if resource.namespace else target
    for exemption in exemptions:
        if not exemption.scope.covers(place):
            continue
        if not exemption.resources or any(
            _names(entry, resource, document.owner, container) for entry in exemption.resources
        ):
            return exemption
    return None


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
