"""Azure's compliance records, read from what ``az policy state list`` or the REST API prints."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from msgspec import Struct

from aksp.azure.documents import text_at
from aksp.errors import InvalidInput
from aksp.model.compliance import ComplianceState
from aksp.model.json_text import decode_held
from aksp.model.times import in_utc
from aksp.report.policy_insights import state_at_azure
from aksp.yaml_reader import read_file


class StateRecord(Struct, frozen=True, kw_only=True):
    """One record: of an object where ``component`` names it, as ``kind`` and ``namespace/name``; else of the cluster.

    Ids are in lower case. ``state`` is None for a state that aksp does not have, such as Protected.
    """

    resource: str
    assignment: str
    reference: str
    definition: str
    version: str
    state: ComplianceState | None
    at: datetime | None
    kind: str = ""
    component: str = ""


class StateRecords(Struct, kw_only=True):
    """What was found; ``more`` says which lists go on elsewhere."""

    found: list[StateRecord] = []
    more: list[str] = []


def states_from(paths: Sequence[str]) -> StateRecords:
    """The records of files. Raises InvalidInput that names file and JSON path."""
    records = StateRecords()
    for path in paths:
        text = read_file(Path(path))
        try:
            document = decode_held(text)
        except (ValueError, RecursionError) as error:
            raise InvalidInput(f"not JSON: {error}", where=path, hint="-o json prints it with az") from error
        at, entries = "$", document
        if isinstance(document, Mapping):
            at, entries = "$.value", document.get("value")
            if document.get("@odata.nextLink") or document.get("nextLink"):
                records.more.append(path)
        if not isinstance(entries, list):
            raise InvalidInput(
                "is no list of records", where=f"{path}: {at}",
                hint="`az policy state list --expand Components -o json`, or the answer of policyStates or componentPolicyStates",
            )  # fmt: skip
        for index, entry in enumerate(entries):
            records.found += _records(entry, f"{path}: {at}[{index}]")
    return records


def _records(entry: Any, where: str) -> list[StateRecord]:
    """The record of an entry, and those of its components where they are expanded."""
    if not isinstance(entry, Mapping):
        raise InvalidInput("is no record", where=where)
    if not entry.get("policyAssignmentId") or "complianceState" not in entry:
        raise InvalidInput("has no policyAssignmentId, or no complianceState", where=where)
    shared = {
        "resource": _text(entry, "resourceId", where).lower(),
        "assignment": _text(entry, "policyAssignmentId", where).lower(),
        "reference": _text(entry, "policyDefinitionReferenceId", where).lower(),
        "definition": _text(entry, "policyDefinitionId", where).lower(),
        "version": _text(entry, "policyDefinitionVersion", where),
    }
    own = StateRecord(
        **shared, state=_state(entry, where), at=_time(entry, where), kind=_text(entry, "componentType", where).lower(),
        component=_text(entry, "componentId", where),
    )  # fmt: skip
    components = entry.get("components") or []
    if not isinstance(components, list):
        raise InvalidInput("is no list", where=f"{where}.components")
    found = [own]
    for index, one in enumerate(components):
        place = f"{where}.components[{index}]"
        if not isinstance(one, Mapping):
            raise InvalidInput("is no component", where=place)
        if not one.get("id"):
            continue  # counts of states, by $apply
        found.append(
            StateRecord(
                **shared, state=_state(one, place), at=_time(one, place) or own.at,
                kind=_text(one, "type", place).lower(), component=_text(one, "id", place),
            )
        )  # fmt: skip
    return found


def _text(entry: Mapping[str, Any], key: str, where: str) -> str:
    return text_at(entry.get(key), f"{where}.{key}")


def _state(entry: Mapping[str, Any], where: str) -> ComplianceState | None:
    written = _text(entry, "complianceState", where).lower()
    return next((one for one in ComplianceState if written in (one.lower(), state_at_azure(one).lower())), None)


def _time(entry: Mapping[str, Any], where: str) -> datetime | None:
    text = _text(entry, "timestamp", where)
    if not text:
        return None
    try:
        # Azure writes seven digits of a second; Python reads six.
        head, point, rest = text.partition(".")
        digits = "".join(one for one in rest if one.isdigit())[:6]
        return in_utc(datetime.fromisoformat(f"{head.rstrip('Zz')}{point}{digits}+00:00" if point else text.upper()))
    except ValueError as error:
        raise InvalidInput(f"{text!r} is no time", where=f"{where}.timestamp") from error
