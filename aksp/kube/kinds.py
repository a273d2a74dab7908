"""Kinds and where their lists are: a table for the built-in ones, discovery for the others.

Kubernetes API Concepts, "Resource URIs": /api/v1/… for the core group, /apis/GROUP/VERSION/… for the others, and
/namespaces/NAMESPACE/ before the plural for one namespace.
https://kubernetes.io/docs/reference/using-api/api-concepts/#resource-uris
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from aksp.kube.connection import Connection
from aksp.kube.faults import NotServed
from aksp.kube.fetch import PATIENT, Backoff, get_json


@dataclass(frozen=True, kw_only=True, slots=True)
class Kind:
    """A kind as the API server serves it. `group` is "" for the core group."""

    group: str
    version: str
    kind: str
    plural: str
    namespaced: bool

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version


_SERVED = {
    ("", "v1"): "Pod Service ConfigMap Secret ServiceAccount ReplicationController PodTemplate PersistentVolumeClaim"
    " ResourceQuota LimitRange Endpoints Event Namespace! Node! PersistentVolume!",
    ("apps", "v1"): "Deployment StatefulSet DaemonSet ReplicaSet ControllerRevision",
    ("batch", "v1"): "Job CronJob",
    ("networking.k8s.io", "v1"): "Ingress NetworkPolicy IngressClass!",
    ("rbac.authorization.k8s.io", "v1"): "Role RoleBinding ClusterRole! ClusterRoleBinding!",
    ("autoscaling", "v2"): "HorizontalPodAutoscaler",
    ("policy", "v1"): "PodDisruptionBudget",
    ("storage.k8s.io", "v1"): "StorageClass!",
    ("discovery.k8s.io", "v1"): "EndpointSlice",
    ("admissionregistration.k8s.io", "v1"): "ValidatingWebhookConfiguration! MutatingWebhookConfiguration!",
    ("apiextensions.k8s.io", "v1"): "CustomResourceDefinition!",
}
"""(group, version) → kinds; ! marks those without a namespace. The versions that every supported Kubernetes serves."""


def plural_of(kind: str) -> str:
    """The plural of a built-in kind; the API server's own table follows this rule."""
    name = kind.lower()
    if name == "endpoints":
        return name
    if name.endswith(("s", "x")):
        return name + "es"
    return name[:-1] + "ies" if name.endswith("y") else name + "s"


def _table() -> dict[tuple[str, str], Kind]:
    table = {}
    for (group, version), names in _SERVED.items():
        for marked in names.split():
            name = marked.rstrip("!")
            table[group, name] = Kind(
                group=group, version=version, kind=name, plural=plural_of(name), namespaced=name == marked
            )
    return table


KINDS: Mapping[tuple[str, str], Kind] = _table()
"""(group, kind) → Kind, for the built-in kinds."""


def list_path(kind: Kind, namespace: str | None = None) -> str:
    """The path of the list: of all namespaces, or of one. A kind without namespaces has one list."""
    root = f"/apis/{quote(kind.group)}/{quote(kind.version)}" if kind.group else f"/api/{quote(kind.version)}"
    inside = f"/namespaces/{quote(namespace, safe='')}" if namespace and kind.namespaced else ""
    return f"{root}{inside}/{quote(kind.plural)}"


class Discovery:
    """Which kinds a cluster serves: the table first, else asked once per group. Not safe for several threads.

    Answers are kept until `forget`, also the answer that a kind is not served.
    """

    def __init__(self, connection: Connection, *, backoff: Backoff = PATIENT) -> None:
        self._connection = connection
        self._backoff = backoff
        self._groups: dict[str, tuple[str, ...]] | None = None
        self._versions: dict[tuple[str, str], tuple[Kind, ...]] = {}

    def find(self, group: str, kind: str) -> Kind:
        """The kind in the group's preferred version, else in another one. Raises NotServed, and as `get_json` does."""
        if known := KINDS.get((group, kind)):
            return known
        for version in self._group_versions(group):
            for each in self._served(group, version):
                if each.kind == kind:
                    return each
        raise NotServed(
            f"this cluster serves no kind {kind!r} in " + (f"group {group!r}" if group else "the core group"),
            where=self._connection.server,
            hint="is its CustomResourceDefinition installed? see `kubectl api-resources`",
        )

    def forget(self, group: str | None = None) -> None:
        """Ask the cluster again next time, about one group or all: what it serves changes with its custom resources."""
        self._groups = None
        self._versions = {key: kinds for key, kinds in self._versions.items() if group not in (None, key[0])}

    def _group_versions(self, group: str) -> tuple[str, ...]:
        """The versions of a group, the preferred one first; none when the group is not served."""
        if not group:
            return ("v1",)
        if self._groups is None:
            listed = get_json(self._connection, "/apis", backoff=self._backoff).get("groups") or []
            self._groups = {each["name"]: _ordered(each) for each in listed if isinstance(each.get("name"), str)}
        return self._groups.get(group, ())

    def _served(self, group: str, version: str) -> tuple[Kind, ...]:
        key = (group, version)
        if key not in self._versions:
            path = f"/apis/{quote(group)}/{quote(version)}" if group else f"/api/{quote(version)}"
            listed = get_json(self._connection, path, backoff=self._backoff).get("resources") or []
            self._versions[key] = tuple(
                Kind(
                    group=group,
                    version=version,
                    kind=each["kind"],
                    plural=each["name"],
                    namespaced=bool(each["namespaced"]),
                )
                for each in listed
                # Subresources have a slash; what cannot be listed cannot be scanned.
                if "/" not in each["name"] and "list" in each.get("verbs", ())
            )
        return self._versions[key]


def _ordered(group: Mapping[str, Any]) -> tuple[str, ...]:
    preferred = (group.get("preferredVersion") or {}).get("version")
    versions = [each["version"] for each in group.get("versions") or []]
    return tuple(sorted(versions, key=lambda version: version != preferred))
