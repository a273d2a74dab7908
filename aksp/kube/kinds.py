"""Kinds and where their lists are: a table for the built-in ones, discovery for the others.

Kubernetes API Concepts, "Resource URIs": /api/v1/… for the core group, /apis/GROUP/VERSION/… for the others, and
/namespaces/NAMESPACE/ before the plural for one namespace.
https://kubernetes.io/docs/reference/using-api/api-concepts/#resource-uris
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any
from urllib.parse import quote

from msgspec import Struct

from aksp.errors import ClusterError, Forbidden
from aksp.kube.connection import Connection
from aksp.kube.errors import NotServed, ServerError
from aksp.kube.fetch import PATIENT, Backoff, OnRetry, fetch, get_json
from aksp.model.kinds import BUILT_IN, api_version


class Kind(Struct, frozen=True, kw_only=True):
    """A kind as the API server serves it. `group` is "" for the core group; ``made`` says whether requests make objects of it."""

    group: str
    version: str
    kind: str
    plural: str
    namespaced: bool
    made: bool = True

    @property
    def api_version(self) -> str:
        return api_version(self.group, self.version)


def plural_of(kind: str) -> str:
    """The plural of a built-in kind; the API server's own table follows this rule."""
    name = kind.lower()
    if name == "endpoints":
        return name
    if name.endswith(("s", "x")):
        return name + "es"
    return name[:-1] + "ies" if name.endswith("y") else name + "s"


KINDS: Mapping[tuple[str, str], Kind] = {
    (one.group, one.kind): Kind(
        group=one.group,
        version=one.version,
        kind=one.kind,
        plural=plural_of(one.kind),
        namespaced=not one.cluster,
    )
    for one in BUILT_IN
    if one.version
}
"""(group, kind) → Kind, for the built-in kinds, in the version that every supported Kubernetes serves."""


def list_path(kind: Kind, namespace: str | None = None) -> str:
    """The path of the list: of all namespaces, or of one. A kind without namespaces has one list."""
    root = f"/apis/{quote(kind.group)}/{quote(kind.version)}" if kind.group else f"/api/{quote(kind.version)}"
    inside = f"/namespaces/{quote(namespace, safe='')}" if namespace and kind.namespaced else ""
    return f"{root}{inside}/{quote(kind.plural)}"


class Discovery:
    """Which kinds a cluster serves: the table first, else asked once per group. Not safe for several threads.

    Answers are kept, also the answer that a kind is not served: a new one asks the cluster again.
    """

    def __init__(self, connection: Connection, *, backoff: Backoff = PATIENT) -> None:
        self._connection = connection
        self._backoff = backoff
        self._groups: dict[str, tuple[str, ...]] | None = None
        self._versions: dict[tuple[str, str], tuple[Kind, ...]] = {}

    def find(self, group: str, kind: str, version: str = "") -> Kind:
        """The kind in a version; without one in the group's preferred version, else in another.

        Raises NotServed, and as `get_json` does.
        """
        if (known := KINDS.get((group, kind))) and version in ("", known.version):
            return known
        for one in self._group_versions(group):
            for each in self._served(group, one) if version in ("", one) else ():
                if each.kind == kind:
                    return each
        raise NotServed(
            f"this cluster serves no kind {kind!r} in "
            + (f"group {group!r}" if group else "the core group")
            + (f" in version {version!r}" if version else ""),
            where=self._connection.server,
            hint="is its CustomResourceDefinition installed? see `kubectl api-resources`",
        )

    def named(self, kind: str) -> tuple[Kind, ...]:
        """The kinds of a name, in every group that has one. Raises as `find`."""
        found = []
        for group in self.groups():
            with suppress(NotServed):
                found.append(self.find(group, kind))
        if not found:
            raise NotServed(f"this cluster serves no kind {kind!r} in any group", where=self._connection.server)
        return tuple(found)

    def groups(self) -> tuple[str, ...]:
        """All groups, the core group first. Raises as `get_json` does."""
        return ("", *self._all_groups())

    def of_group(self, group: str) -> tuple[Kind, ...]:
        """The kinds of a group, each once, but for those that only tell something, such as metrics. Raises as `get_json` does."""
        found: dict[str, Kind] = {}
        for version in self._group_versions(group):
            for each in self._served(group, version):
                if each.made:
                    found.setdefault(each.kind, each)
        return tuple(found.values())

    def _group_versions(self, group: str) -> tuple[str, ...]:
        """The versions of a group, the preferred one first; none when the group is not served."""
        return self._all_groups().get(group, ()) if group else ("v1",)

    def _all_groups(self) -> Mapping[str, tuple[str, ...]]:
        """All groups but the core group, with their versions."""
        if self._groups is None:
            listed = get_json(self._connection, "/apis", backoff=self._backoff).get("groups") or []
            self._groups = {each["name"]: _ordered(each) for each in listed if isinstance(each.get("name"), str)}
        return self._groups

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
                    made="create" in each["verbs"],
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


def refuse_other_servers(connection: Connection, on_retry: OnRetry | None = None) -> None:
    """Raise ClusterError where no API server answers, which has ``/api`` whatever kinds it serves."""
    try:
        fetch(connection, "/api", on_retry=on_retry)
    except NotServed as error:
        raise ClusterError(
            "this is no Kubernetes API server: it has neither /api nor a list of what is asked for (404)",
            where=connection.server,
            hint="check `server` of the cluster in the kubeconfig, its path above all",
        ) from error
    except (Forbidden, ServerError):
        pass  # Discovery may be refused; that something is refused tells that there is an API server.
