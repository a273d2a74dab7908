"""Gatekeeper's objects as they are in the cluster: whose they are, and what Gatekeeper's Pods say of them. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from msgspec import Struct

from aksp.addon.names import FIELD_MANAGER, MANAGED_BY
from aksp.model.fields import mapping, metadata_of, status_of, whole

Object = Mapping[str, Any]


def by_path(collection: str, live: Iterable[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """The objects of a list by their paths."""
    return {f"{collection}/{one['metadata']['name']}": one for one in live}


def is_ours(live: Object) -> bool:
    """Whether the add-on made it: by its label, or because it has applied it, should somebody have taken the label."""
    metadata = metadata_of(live)
    return MANAGED_BY.items() <= mapping(metadata.get("labels")).items() or any(map(_applied, _managers(live)))


def has_foreign_fields(live: Object) -> bool:
    """Whether anybody else has set a field of its spec, which server-side apply leaves alone."""
    return any("f:spec" in mapping(one.get("fieldsV1")) and not _applied(one) for one in _managers(live))


def marked(wanted: Object, live: Object) -> bool:
    """Whether it has the labels and annotations that it is to have."""
    has, needs = metadata_of(live), metadata_of(wanted)
    return all(
        mapping(needs.get(field)).items() <= mapping(has.get(field)).items() for field in ("labels", "annotations")
    )


def as_wanted(wanted: Any, live: Any) -> bool:
    """Whether a value has all that it is to have; the API server may have added defaults."""
    if isinstance(wanted, Mapping):
        return isinstance(live, Mapping) and all(as_wanted(value, live.get(key)) for key, value in wanted.items())
    if isinstance(wanted, list):
        return isinstance(live, list) and len(wanted) == len(live) and all(map(as_wanted, wanted, live))
    return bool(wanted == live)


class Uptake(Struct, frozen=True, kw_only=True):
    """What Gatekeeper's Pods say of the newest version of a template or constraint.

    ``taken_up``: whether any has seen it. ``refuses``: whether one that answers the API server enforces it.
    """

    taken_up: bool
    refuses: bool
    errors: Sequence[str]

    @classmethod
    def of(cls, live: Object) -> Uptake:
        """Read `status.byPod`, which each Pod of Gatekeeper writes for itself."""
        metadata = metadata_of(live)
        uid, generation = metadata.get("uid"), whole(metadata.get("generation")) or 0
        listed = status_of(live).get("byPod")
        pods = [
            one
            for one in (listed if isinstance(listed, list) else ())
            if isinstance(one, Mapping)
            and (whole(one.get("observedGeneration")) or 0) >= generation
            and one.get("constraintUID", one.get("templateUID", uid)) == uid
        ]
        errors: dict[str, None] = {}
        for pod in pods:
            found = pod.get("errors")
            for error in found if isinstance(found, list) else ():
                errors[str(mapping(error).get("message") or "an error without a message")] = None
        return cls(
            taken_up=bool(pods),
            refuses=any(pod.get("enforced") is True and "webhook" in (pod.get("operations") or ()) for pod in pods),
            errors=tuple(errors),
        )


def _managers(live: Object) -> list[Object]:
    """Who has set fields, but for the status."""
    found = metadata_of(live).get("managedFields")
    return [
        one
        for one in (found if isinstance(found, list) else ())
        if isinstance(one, Mapping) and not one.get("subresource")
    ]


def _applied(one: Object) -> bool:
    return one.get("manager") == FIELD_MANAGER and one.get("operation") == "Apply"
