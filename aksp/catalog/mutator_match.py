"""Which objects a mutator of Gatekeeper changes: its applyTo and its match (Gatekeeper's pkg/mutation/match)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from aksp.catalog.mutating import NotMutated
from aksp.compliance.globs import matches_glob
from aksp.compliance.plan import MatchSource
from aksp.compliance.selection import ObjectScope, Selector
from aksp.errors import InvalidInput
from aksp.model.fields import mapping
from aksp.model.kinds import BUILT_IN

_FIELDS: Final = (
    "kinds", "scope", "namespaces", "excludedNamespaces", "labelSelector", "namespaceSelector", "name", "source",
)  # fmt: skip
_OF_CLUSTER: Final = frozenset((one.group, one.kind) for one in BUILT_IN if one.cluster)


def check_match(document: Mapping[str, Any], where: str) -> None:
    """Raise InvalidInput for what Gatekeeper does not take, or nobody here understands."""
    spec = mapping(document.get("spec"))
    called = f"{document.get('kind')} {mapping(document.get('metadata')).get('name')}"
    match = spec.get("match") or {}
    if not isinstance(match, Mapping):
        raise InvalidInput(f"{called}: spec.match is no mapping", where=where)
    if (unknown := next((key for key in match if key not in _FIELDS), None)) is not None:
        raise InvalidInput(f"{called}: spec.match.{unknown} is not known", where=where)
    try:
        check_fields(match)
    except ValueError as error:
        raise InvalidInput(f"{called}: spec.match.{error}", where=where) from error
    if document.get("kind") == "AssignMetadata":
        return
    applies = spec.get("applyTo")
    if (
        not applies
        or not _listed(applies, Mapping)
        or not all(
            _listed(one.get(key), str) and one.get(key)
            for one in applies or ()
            for key in ("groups", "versions", "kinds")
        )
    ):
        raise InvalidInput(f"{called}: spec.applyTo must have groups, versions and kinds", where=where)


def check_fields(match: Mapping[str, Any]) -> None:
    """Raise ValueError for a field of a match that is not what Gatekeeper takes there."""
    for key in ("namespaces", "excludedNamespaces"):
        if not _listed(match.get(key) or [], str):
            raise ValueError(f"{key} is no list of names")
    kinds = match.get("kinds") or []
    if not _listed(kinds, Mapping) or not all(
        _listed(one.get(key) or [], str) for one in kinds for key in ("kinds", "apiGroups")
    ):
        raise ValueError("kinds is no list of kinds and apiGroups")
    for key, known in (("scope", tuple(ObjectScope)), ("source", tuple(MatchSource))):
        if match.get(key) and match[key] not in known:
            raise ValueError(f"{key} is {match[key]!r}, expected {' or '.join(known)}")
    if not isinstance(match.get("name") or "", str):
        raise ValueError("name is no text")
    for key in ("labelSelector", "namespaceSelector"):
        Selector.parse(match.get(key), key)


def concerns(document: Mapping[str, Any], one: Mapping[str, Any], spaces: Mapping[str, Mapping[str, str]]) -> bool:
    """Whether a mutator is about an object. ``spaces`` are the labels of the Namespaces that are known.

    Raises NotMutated where it goes by the labels of another.
    """
    spec = mapping(document.get("spec"))
    group, _, version = str(one.get("apiVersion")).rpartition("/")
    kind = str(one.get("kind"))
    if document.get("kind") != "AssignMetadata" and not any(
        group in each["groups"] and version in each["versions"] and kind in each["kinds"] for each in spec["applyTo"]
    ):
        return False
    match, metadata = mapping(spec.get("match")), mapping(one.get("metadata"))
    if match.get("source") == "Generated":
        return False  # it is about Pods that Gatekeeper makes of workloads to judge them; no such Pod exists
    is_namespace = (group, kind) == ("", "Namespace")
    within = "" if (group, kind) in _OF_CLUSTER else str(metadata.get("namespace") or "default")
    if not _of_kind(match.get("kinds") or (), group, kind):
        return False
    if (match.get("scope") == "Cluster" and within) or (match.get("scope") == "Namespaced" and not within):
        return False
    space = str(metadata.get("name")) if is_namespace else within
    wanted, left_out = match.get("namespaces") or (), match.get("excludedNamespaces") or ()
    if space and wanted and not any(matches_glob(each, space) for each in wanted):
        return False
    if space and any(matches_glob(each, space) for each in left_out):
        return False
    own = _labels(metadata)
    if not Selector.parse(match.get("labelSelector")).matches(own):
        return False
    if match.get("namespaceSelector") is not None and space:
        known = own if is_namespace else spaces.get(space)
        if known is None:
            raise NotMutated(f"it goes by the labels of the Namespace {space}, which is not among the manifests")
        if not Selector.parse(match["namespaceSelector"]).matches(dict(known)):
            return False
    return _named(str(match.get("name") or ""), metadata)


def _of_kind(kinds: Sequence[Mapping[str, Any]], group: str, kind: str) -> bool:
    def among(listed: Any, name: str) -> bool:
        return not listed or "*" in listed or name in listed

    return not kinds or any(among(one.get("kinds"), kind) and among(one.get("apiGroups"), group) for one in kinds)


def _named(glob: str, metadata: Mapping[str, Any]) -> bool:
    name, generated = metadata.get("name"), metadata.get("generateName")
    by_name = isinstance(name, str) and matches_glob(glob, name)
    return not glob or by_name or (isinstance(generated, str) and matches_glob(glob, f"{generated}*"))


def _labels(metadata: Mapping[str, Any]) -> dict[str, str]:
    return {str(key): value for key, value in mapping(metadata.get("labels")).items() if isinstance(value, str)}


def labels_of(document: Mapping[str, Any]) -> dict[str, str]:
    """The labels of an object."""
    return _labels(mapping(document.get("metadata")))


def _listed(value: Any, item: type) -> bool:
    return isinstance(value, list) and all(isinstance(one, item) for one in value)
