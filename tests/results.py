"""Results made by hand: a result with what it shares given beside what it does not."""

from __future__ import annotations

from typing import Any

from aksp.model.assignment import Exemption
from aksp.model.compliance import AssignmentKey, ComplianceState, Finding, Result, SharedResult, SourceLocation
from aksp.model.resource import Owner, Resource
from tests.replacing import replace

_SHARED = SharedResult.__struct_fields__


def a_result(
    *,
    assignment: AssignmentKey,
    state: ComplianceState,
    resource: Resource,
    finding: Finding,
    owner: Owner | None = None,
    exemption: Exemption | None = None,
    source: SourceLocation | None = None,
) -> Result:
    """One result that shares nothing."""
    shared = SharedResult(assignment=assignment, state=state, finding=finding, owner=owner, exemption=exemption)
    return shared.of(resource, source)


def changed(result: Result, **changes: Any) -> Result:
    """The result with other values."""
    others = {name: changes.pop(name) for name in _SHARED if name in changes}
    return replace(result, shared=replace(result.shared, **others) if others else result.shared, **changes)
