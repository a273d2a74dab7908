"""Which requests the API server shall send to the webhook: rules of admissionregistration.k8s.io/v1.

They name just the kinds that are in force. ``*`` as a resource means every resource but no
sub-resource, so that no rule ever asks for a status update (Kubernetes: "Dynamic Admission Control",
Matching requests: rules).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from aksp.compliance.plan import Ready
from aksp.errors import Forbidden
from aksp.kube.errors import NotServed, ServerError
from aksp.kube.kinds import KINDS, Discovery, plural_of
from aksp.model.definition import ResourceKind
from aksp.model.kinds import WORKLOADS as BUILT_IN_WORKLOADS

#: Workloads: where a rule judges Pods they are reviewed too, for warnings about their templates.
WORKLOADS = tuple(ResourceKind(group=one.group, kind=kind) for kind, one in BUILT_IN_WORKLOADS.items())
#: Subresources by which containers are added to a Pod, or their resources changed (`kubectl debug`, in-place resizing).
POD_SUBRESOURCES = ("pods/ephemeralcontainers", "pods/resize")
OPERATIONS = ("CREATE", "UPDATE")

#: Group, version and scope of one rule.
_Place = tuple[str, str, str]


def kinds_in_force(judging: Sequence[Ready]) -> tuple[ResourceKind, ...]:
    """The kinds that assignments are about, and the workloads when they judge Pods; in the order of their names."""
    kinds = {kind for ready in judging for kind in ready.selection.kinds}
    if _judges_pods(judging):
        kinds |= {ResourceKind(group="", kind="Pod"), *WORKLOADS}
    return tuple(sorted(kinds, key=lambda kind: (kind.group, kind.kind)))


def webhook_rules(judging: Sequence[Ready], discovery: Discovery) -> list[dict[str, Any]]:
    """The rules that these assignments need, in a fixed order; none when there are none.

    A kind that the cluster does not serve has no rule: ask again with a fresh discovery. Raises
    ClusterError when the cluster cannot be reached.
    """
    resources: dict[_Place, set[str]] = {}
    for kind in kinds_in_force(judging):
        for place, names in _resources(kind, discovery):
            resources.setdefault(place, set()).update(names)
    if _judges_pods(judging):
        resources.setdefault(("", "v1", "Namespaced"), set()).update(POD_SUBRESOURCES)
    return [
        {
            "apiGroups": [group],
            "apiVersions": [version],
            "operations": list(OPERATIONS),
            "resources": sorted(names),
            "scope": scope,
        }
        for (group, version, scope), names in sorted(resources.items())
    ]


def covered(wanted: Iterable[Mapping[str, Any]], there: Iterable[Mapping[str, Any]]) -> bool:
    """Whether rules that are there ask for all that is wanted. Both are of ours: one rule for a group and version."""
    asked = {_place(rule): rule for rule in there}
    return all(
        _place(rule) in asked
        and all(set(rule[part]) <= set(asked[_place(rule)].get(part) or ()) for part in ("operations", "resources"))
        for rule in wanted
    )


def asked_for(wanted: Iterable[Mapping[str, Any]], there: Iterable[Mapping[str, Any]]) -> bool:
    """Whether rules that are there ask for anything that is wanted."""
    asked = {_place(rule): rule for rule in there}
    return any(set(rule["resources"]) & set((asked.get(_place(rule)) or {}).get("resources") or ()) for rule in wanted)


def _place(rule: Mapping[str, Any]) -> tuple[object, ...]:
    return tuple(rule.get("apiGroups") or ()), tuple(rule.get("apiVersions") or ()), rule.get("scope")


def _judges_pods(judging: Iterable[Ready]) -> bool:
    return any(ready.selection.judges_pods for ready in judging)


def _resources(kind: ResourceKind, discovery: Discovery) -> Iterable[tuple[_Place, tuple[str, ...]]]:
    """The resources of one kind. Where the cluster cannot tell, more than these: the reviewer ignores the others."""
    if kind.kind == "*":
        yield (kind.group, "*", "*"), ("*",)
        return
    if kind.group == "*":
        # Any group may have a kind of this name. Its plural follows a rule that built-in kinds obey.
        known = {own.plural for (_, name), own in KINDS.items() if name == kind.kind}
        yield ("*", "*", "*"), tuple(known or {plural_of(kind.kind)})
        return
    try:
        served = discovery.find(kind.group, kind.kind)
    except NotServed:
        return
    except (Forbidden, ServerError):
        # An API group that does not answer must not take its kinds out of review.
        yield (kind.group, "*", "*"), ("*",)
        return
    yield (served.group, served.version, "Namespaced" if served.namespaced else "Cluster"), (served.plural,)
