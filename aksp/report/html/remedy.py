"""The YAML to fix a finding: the patch, where the rule knows one, else the place with what is expected there."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, Literal

from msgspec import Struct

from aksp.compliance.fixes import obstacle, patch, subject_of
from aksp.compliance.strategic import Step, steps
from aksp.model.compliance import ComplianceState, Result
from aksp.report.html.commented import NOTHING, CommentedValue, flow, lines
from aksp.report.text import safe
from aksp.yaml_writer import to_yaml

#: An observed value with more lines is left out of the excerpt: the page shows it beside.
LONGEST_VALUE: Final = 12


class Remedy(Struct, frozen=True, kw_only=True):
    """Lines of YAML in which everything prints: a patch that can be applied, or the place in the object to be changed."""

    kind: Literal["patch", "place"]
    lines: tuple[str, ...]


def remedy(result: Result) -> Remedy | None:
    """The YAML for one result; None if it complies, or if the rule names neither a change nor a field."""
    if result.state is ComplianceState.COMPLIANT:
        return None
    change = patch(result)
    if change is not None:
        # A file can be changed whatever the API server allows of the object.
        reason = obstacle(result) if result.source is None else None
        comment = (f"# {safe(reason)}",) if reason else ()
        return Remedy(kind="patch", lines=(*comment, *to_yaml(change)[:-1].split("\n")))
    way = steps(result.finding.path) if result.finding.path else None
    if way is None:
        return None
    return Remedy(kind="place", lines=tuple(lines(_excerpt(result, way))))


def _excerpt(result: Result, way: tuple[Step, ...]) -> dict[str, Any]:
    """The object's identity, and in it just the field, with comments on what is expected."""
    resource, template = subject_of(result) or (result.resource, "")
    generated = resource.name.endswith("*")
    metadata: dict[str, Any] = {"generateName": resource.name[:-1]} if generated else {"name": resource.name}
    if resource.namespace:
        metadata["namespace"] = resource.namespace
    whole = {"apiVersion": resource.api_version, "kind": resource.kind, "metadata": metadata}
    within = _within(result, ((steps(template) or ()) if template else ()) + way)
    if isinstance(within, dict):
        for key, value in within.items():
            if key == "metadata" and isinstance(value, dict):
                metadata.update(value)
            else:
                whole[key] = value
    return whole


def _within(result: Result, way: tuple[Step, ...]) -> Any:
    """The objects that a path leads through, the outermost first."""
    finding = result.finding
    value: Any = CommentedValue(_observed(finding.observed), tuple(_notes(result)))
    for at in range(len(way) - 1, -1, -1):
        step = way[at]
        if not isinstance(step, int):
            value = {step: value}
            continue
        container = finding.container
        if container is not None and at and way[at - 1] == container.type and isinstance(value, dict):
            value = [{"name": container.name, **value}]
        else:
            value = [CommentedValue(value, (f"number {step + 1} of this list",))]
            if isinstance(value[0].value, CommentedValue):
                value = [CommentedValue(value[0].value.value, (*value[0].notes, *value[0].value.notes))]
    return value


def _observed(value: Any) -> Any:
    if value is None or sum(1 for _ in lines(value)) > LONGEST_VALUE:
        return NOTHING
    return value


def _notes(result: Result) -> Iterator[str]:
    """The observed value, if the excerpt does not show it; what is expected; and the change, if the rule knows it."""
    finding = result.finding
    if finding.observed is None:
        yield "now: not set"
    elif _observed(finding.observed) is NOTHING:
        yield "now: too long to repeat here"
    if finding.expected is not None:
        expected = finding.expected
        yield f"expected: {safe(expected) if isinstance(expected, str) else flow(expected)}"
    for path, value in (finding.fix or {}).items():
        where = "" if path == finding.path else f" {safe(path)}"
        if value is None:
            yield f"to comply, remove{where or ' it'}"
        else:
            yield f"to comply, set{where or ' it'} to {flow(value)}"
