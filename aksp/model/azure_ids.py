"""The ids that documents have at Azure, as far as what was imported keeps them in its metadata."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

#: The key of metadata with what an import of Azure's documents keeps (``aksp.azure.kept``).
KEPT: Final = "azureDocument"
#: The scope of what Azure has built in.
NOWHERE: Final = "/providers/Microsoft.Authorization"
#: What Azure's add-on says of a constraint: whose it is.
ADDON_ASSIGNMENT: Final = "azure-policy-assignment-id"
ADDON_DEFINITION: Final = "azure-policy-definition-id"
ADDON_INITIATIVE: Final = "azure-policy-setdefinition-id"
ADDON_REFERENCE: Final = "azure-policy-definition-reference-id"


def arm_id(scope: str, kind: str, name: str) -> str:
    """The id of a policy document at an ARM scope; empty where that or the name is not known."""
    return f"{scope.rstrip('/')}{NOWHERE}/{kind}/{name}" if scope and name else ""


def id_at_azure(metadata: Mapping[str, Any], kind: str) -> str:
    """The id of an imported definition or initiative; empty for any other."""
    return arm_id(_text(metadata, "scope"), kind, _text(metadata, "name"))


def members_at_azure(metadata: Mapping[str, Any], at: int) -> str:
    """The id that an imported initiative has for a member; empty where it is called the same here."""
    found = metadata.get(KEPT)
    fields = found.get("fields") if isinstance(found, Mapping) else None
    return _full(fields.get(f"/policyDefinitions/{at}/policyDefinitionId")) if isinstance(fields, Mapping) else ""


def assignment_at_azure(metadata: Mapping[str, Any], scope: str) -> str:
    """The id of an imported assignment, while it is at the scope to which it was imported."""
    if (told := _full(metadata.get(ADDON_ASSIGNMENT))) != "":
        return told
    own = _text(metadata, "scope")
    moved = scope != (_text(metadata, "here") or own)
    return "" if moved else arm_id(own, "policyAssignments", _text(metadata, "name"))


def assigned_at_azure(metadata: Mapping[str, Any]) -> str:
    """The id of what an imported assignment assigns; of a constraint of Azure's add-on that of its one definition."""
    return _full(metadata.get(ADDON_DEFINITION)) or _full(_text(metadata, "refersTo"))


def addon_member(metadata: Mapping[str, Any]) -> tuple[str, str]:
    """The initiative, and the reference id in it, that a constraint of Azure's add-on is of; empty where of none."""
    reference = metadata.get(ADDON_REFERENCE)
    return _full(metadata.get(ADDON_INITIATIVE)), reference if isinstance(reference, str) else ""


def _text(metadata: Mapping[str, Any], key: str) -> str:
    found = metadata.get(KEPT)
    text = found.get(key) if isinstance(found, Mapping) else None
    return text if isinstance(text, str) else ""


def _full(text: Any) -> str:
    return text if isinstance(text, str) and text.startswith("/") else ""
