"""An Azure policy set definition, a JSON document, as an Initiative; and the same as a custom resource."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from msgspec.structs import replace

from aksp.catalog.custom import resource_with, slug_and_spec
from aksp.catalog.document import Reader, parameter_from
from aksp.compliance.expressions import resolve
from aksp.compliance.parameters import nearest
from aksp.errors import InvalidPolicy
from aksp.model.azure_ids import id_at_azure, members_at_azure
from aksp.model.initiative import Initiative, Member, MemberGroup

KIND = "PolicySetDefinition"
#: Azure writes ``1.*.*`` and ``1.2.*``; previews end in ``-preview``.
_VERSION = re.compile(r"[0-9]+(?:\.(?:[0-9]+|\*)){0,2}(?:-[a-z]+)?")
# A reference id stands behind a slash in names of members, and in labels of metrics. The portal makes it of a display name, so it has blanks.
_REFERENCE = re.compile(r"[^\s/]+( +[^\s/]+)*")

#: What an object of the document may have (Azure: "Azure Policy initiative definition structure").
PROPERTIES = (
    "displayName", "description", "policyType", "version", "versions", "metadata", "parameters", "policyDefinitions",
    "policyDefinitionGroups",
)  # fmt: skip
MEMBER = (
    "policyDefinitionId", "policyDefinitionReferenceId", "definitionVersion", "latestDefinitionVersion",
    "effectiveDefinitionVersion", "parameters", "groupNames",
)  # fmt: skip
GROUP = ("name", "displayName", "description", "category", "additionalMetadataId")


def initiative_from(document: Any, *, slug: str, origin: str) -> Initiative:
    """Read an initiative. Raises InvalidPolicy that names the field."""
    top = Reader(document, origin)
    return initiative_of(top.object("properties").only(PROPERTIES), slug=slug, name=top.text("name", slug))


def initiative_of(properties: Reader, *, slug: str, name: str) -> Initiative:
    """Read an initiative's ``properties``, wherever they stand. Raises InvalidPolicy."""
    origin, path = properties.origin, properties.path
    metadata = Reader(properties.mapping("metadata"), origin, f"{path}.metadata")
    parameters = {
        key: parameter_from(key, Reader(body, origin, f"{path}.parameters.{key}"))
        for key, body in properties.mapping("parameters").items()
    }
    groups = tuple(_group(entry) for entry in properties.objects("policyDefinitionGroups"))
    if twice := _twice(one.name for one in groups):
        raise InvalidPolicy(f"{path}.policyDefinitionGroups has {twice!r} twice", where=origin)
    members = tuple(
        replace(
            _member(entry, parameters, [one.name for one in groups]),
            arm_id=members_at_azure(properties.mapping("metadata"), at),
        )
        for at, entry in enumerate(properties.objects("policyDefinitions"))
    )
    if not members:
        raise InvalidPolicy(f"{path}.policyDefinitions names no definition", where=origin)
    if twice := _twice(one.reference for one in members):
        raise InvalidPolicy(
            f"{path}.policyDefinitions has the policyDefinitionReferenceId {twice!r} twice",
            where=origin,
            hint="give each member its own: exemptions, messages and reports tell members by it",
        )
    return Initiative(
        slug=slug,
        name=name,
        display_name=properties.text("displayName", slug),
        description=properties.text("description", ""),
        category=metadata.text("category", "Custom"),
        version=str(metadata.any("version", properties.any("version", "1.0.0"))),
        azure_policy_id=metadata.text("azurePolicyId", "") or None,
        standards=tuple(metadata.texts("standards")),
        differences=tuple(metadata.texts("differences")),
        policy_type=properties.text("policyType", "Custom"),
        parameters=parameters,
        members=members,
        groups=groups,
        arm_id=id_at_azure(properties.mapping("metadata"), "policySetDefinitions"),
        origin=origin,
    )


def _group(entry: Reader) -> MemberGroup:
    entry.only(GROUP)
    return MemberGroup(
        name=entry.text("name"),
        display_name=entry.text("displayName", ""),
        description=entry.text("description", ""),
        category=entry.text("category", ""),
    )


def is_reference(text: str) -> bool:
    """Whether a member may be called so."""
    return _REFERENCE.fullmatch(text) is not None


def _member(entry: Reader, known: Mapping[str, Any], groups: list[str]) -> Member:
    entry.only(MEMBER)
    reference = entry.text("policyDefinitionReferenceId")
    if not is_reference(reference):
        raise InvalidPolicy(
            f"{entry.path}.policyDefinitionReferenceId is {reference!r}, expected words without slashes, and no blanks around them",
            where=entry.origin,
        )
    version = entry.text("definitionVersion", "")
    if version and not _VERSION.fullmatch(version):
        raise InvalidPolicy(
            f"{entry.path}.definitionVersion is {version!r}, expected a version such as 1.*.*", where=entry.origin
        )
    named = tuple(entry.texts("groupNames"))
    for name in named:
        if name not in groups:
            raise InvalidPolicy(
                f"{entry.path}.groupNames has {name!r}, which is not in policyDefinitionGroups",
                where=entry.origin,
                hint=nearest(name, groups),
            )
    parameters = {}
    for key, body in entry.mapping("parameters").items():
        given = Reader(body, entry.origin, f"{entry.path}.parameters.{key}").only(("value",))
        if not given.has("value"):
            raise InvalidPolicy(f"{given.path}.value is missing", where=entry.origin)
        parameters[key] = given.any("value")
    try:
        # Only to find parameters that the initiative does not have.
        resolve(parameters, {}, known)
    except ValueError as error:
        raise InvalidPolicy(
            f"{entry.path} ({reference}): {error}", where=entry.origin, hint=nearest("", known) if known else None
        ) from error
    return Member(
        reference=reference,
        definition_id=entry.text("policyDefinitionId"),
        version=version,
        parameters=parameters,
        groups=named,
    )


def _twice(names: Any) -> str:
    """The first name that comes twice, in whatever case; empty when none does."""
    seen: set[str] = set()
    for name in names:
        if name.lower() in seen:
            return str(name)
        seen.add(name.lower())
    return ""


def initiative_from_resource(document: Mapping[str, Any], origin: str) -> Initiative:
    """Read a PolicySetDefinition: ``metadata.name`` is the slug, ``spec`` Azure's ``properties`` and ``name``.

    Raises InvalidPolicy that names the field.
    """
    slug, spec = slug_and_spec(document, origin, KIND, PROPERTIES)
    return initiative_of(spec, slug=slug, name=spec.text("name", slug))


def resource_of(initiative: Initiative, document: Mapping[str, Any]) -> dict[str, Any]:
    """The custom resource of an initiative, of its JSON as Azure has it. Raises InvalidPolicy where none can hold it."""
    return resource_with(KIND, initiative.slug, document, origin=initiative.origin, words=("initiative", "file"))
