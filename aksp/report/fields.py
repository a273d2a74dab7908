"""The fields of a result: one table that JSON and its schema, CSV, wide, policy reports, the HTML page and parsing go by."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from operator import attrgetter
from typing import Any, Final

from msgspec import Struct

from aksp.model.compliance import Result, SharedResult, SourceLocation

_TEXT: Final = {"type": "string"}
_WORD: Final = {"type": "string", "minLength": 1}
_OPTIONAL: Final = {"type": ["string", "null"]}


class ResultField(Struct, frozen=True, kw_only=True):
    """One field of a result.

    ``name``: its path in JSON, empty for a field that only people read. ``within``: the JSON object in the result that has
    it, empty for the result itself; ``key``: its key there. ``holder`` and ``attribute``: where a Result has it. ``header``:
    its column in wide; ``entry``: its name in the properties of policy reports; both are empty where it is not shown.
    ``read`` gives its value, None where there is no object that could have it.
    """

    name: str
    within: str
    key: str
    holder: str
    attribute: str
    read: Callable[[Any], Any]
    schema: Mapping[str, Any]
    header: str
    entry: str


def _field(
    name: str,
    of: str,
    schema: Mapping[str, Any],
    header: str = "",
    entry: str = "",
    *,
    about: str = "",
    read: Callable[[Any], Any] | None = None,
) -> ResultField:
    within, _, key = name.rpartition(".")
    holder, _, attribute = of.rpartition(".")
    return ResultField(
        name=name,
        within=within,
        key=key,
        holder=holder,
        attribute=attribute,
        read=read or _reader(holder, attribute),
        schema={**schema, "description": about} if about else schema,
        header=header,
        entry=entry,
    )


#: What every result has.
_ALWAYS: Final = ("assignment", "state", "finding")


def _reader(holder: str, attribute: str) -> Callable[[Any], Any]:
    # Through ``shared`` it is read in half the time.
    within = f"shared.{holder}" if holder.partition(".")[0] in SharedResult.__struct_fields__ else holder
    if holder in _ALWAYS:
        return attrgetter(f"{within}.{attribute}")
    held_by, value_of = attrgetter(within), attrgetter(attribute)

    def read(result: Any) -> Any:
        held = held_by(result)
        return None if held is None else value_of(held)

    return read


def place(source: SourceLocation) -> str:
    """A file and a line, in the form that editors and terminals open."""
    file = "<stdin>" if source.file == "-" else source.file
    return f"{file}:{source.line}"


def owner_name(result: Result) -> str:
    """The workload behind a resource, as in ``Deployment/web``; empty for none."""
    return f"{result.owner.kind}/{result.owner.name}" if result.owner else ""


#: In the order of JSON and CSV. A new field is added at the end, since readers of CSV go by position. All formats then have it.
FIELDS: Final = (
    _field("assignment", "assignment.assignment", _WORD, "ASSIGNMENT"),
    _field("definition", "assignment.definition", _WORD, "DEFINITION"),
    _field("effect", "assignment.effect", {"$ref": "#/$defs/effect"}, "EFFECT"),
    _field("state", "state.value", {"$ref": "#/$defs/state"}, "STATE"),
    _field("message", "finding.message", _TEXT, "MESSAGE"),
    _field("severity", "assignment.severity", _TEXT, "SEVERITY"),
    _field("resource.apiVersion", "resource.api_version", _TEXT),
    _field("resource.kind", "resource.kind", _WORD, "KIND"),
    _field("resource.namespace", "resource.namespace", _TEXT, "NAMESPACE", about="Empty for cluster-scoped objects."),
    _field("resource.name", "resource.name", _TEXT, "NAME"),
    _field("resource.uid", "resource.uid", _TEXT, about="Empty for manifests."),
    _field("owner.kind", "owner.kind", _WORD),
    _field("owner.name", "owner.name", _WORD),
    _field("", "owner", {}, "OWNER", "owner", read=owner_name),
    _field("container.name", "finding.container.name", _TEXT, "CONTAINER", "container"),
    _field(
        "container.type",
        "finding.container.type",
        _TEXT,
        "TYPE",
        "containerType",
        about="The field it stands in: containers, initContainers, ephemeralContainers.",
    ),
    _field("container.image", "finding.container.image", _TEXT, "IMAGE", "image"),
    _field("path", "finding.path", _OPTIONAL, "PATH", "path", about="From the object's root to the field."),
    _field("observed", "finding.observed", {}, "OBSERVED", "observed", about="Any JSON value."),
    _field("expected", "finding.expected", {}, "EXPECTED", "expected", about="Any JSON value."),
    _field(
        "exemption",
        "exemption.name",
        _OPTIONAL,
        "EXEMPTION",
        "exemption",
        about="Name of the exemption that waives it.",
    ),
    _field("source.file", "source.file", _TEXT, about="`-` for standard input."),
    _field("source.line", "source.line", {"type": "integer", "minimum": 1}),
    _field("", "source", {}, "SOURCE", "file", read=lambda result: place(result.source) if result.source else None),
    _field(
        "initiative",
        "assignment.initiative",
        _OPTIONAL,
        "INITIATIVE",
        "initiative",
        about="Of which initiative the definition is a member, null for an assignment of one definition.",
    ),
    _field(
        "referenceId",
        "assignment.reference",
        _OPTIONAL,
        "REFERENCE",
        "referenceId",
        about="Azure's policyDefinitionReferenceId: which member of the initiative it is.",
    ),
    _field(
        "cluster",
        "resource.cluster",
        _TEXT,
        "CLUSTER",
        about="In a report of several clusters: where it is; else empty.",
    ),
)

# The resource, the assignment, and what was found.
_ORDER: Final = (
    "CLUSTER NAMESPACE KIND NAME OWNER CONTAINER TYPE IMAGE ASSIGNMENT INITIATIVE REFERENCE DEFINITION EFFECT SEVERITY STATE "
    "PATH OBSERVED EXPECTED SOURCE EXEMPTION MESSAGE"
)

#: Those that JSON and CSV have.
NAMED: Final = tuple(one for one in FIELDS if one.name)
#: Those that wide has, in its order.
WIDE: Final = tuple(sorted((one for one in FIELDS if one.header), key=lambda one: _ORDER.split().index(one.header)))
#: Those that say what was found, which replicas share.
FOUND: Final = tuple(one for one in NAMED if one.holder.startswith("finding"))
#: Those that policy reports list as properties.
PROPERTIES: Final = tuple(one for one in FIELDS if one.entry)


#: The fields of each JSON object within a result, by its name.
OBJECTS: Final = {
    within: tuple(one for one in NAMED if one.within == within)
    for within in dict.fromkeys(one.within for one in NAMED)
    if within
}
