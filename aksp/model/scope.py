"""Scopes: paths that say how far an assignment or an exemption reaches."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import Struct


class Scope(Struct, frozen=True, eq=False):
    """A path such as ``/``, ``/clusters/prod`` or ``/clusters/prod/namespaces/shop``.

    ARM ids compare without regard to case (Azure: "Understand scope in Azure Policy"); names of
    clusters and namespaces below ``/clusters`` are Kubernetes' own and compare exactly.

    ``also`` are other paths to the same place, as the scope tree knows them (``aksp.model.scope_tree``): a cluster lies at
    its ARM id too, and under its management groups. They take no part in equality.
    """

    path: str
    also: tuple[str, ...] = ()

    def __eq__(self, other: object) -> bool:
        return self.path == other.path if isinstance(other, Scope) else NotImplemented

    def __ne__(self, other: object) -> bool:
        return not self == other  # a struct's own tells by identity, whatever __eq__ says

    def __hash__(self) -> int:
        return hash(self.path)

    @classmethod
    def parse(cls, text: str) -> Scope:
        """Read a scope. Raises ValueError with what is wrong."""
        if not text.startswith("/"):
            raise ValueError(f"scope {text!r} does not start with /")
        segments = text.strip("/").split("/") if text.strip("/") else []
        if any(not segment.strip() for segment in segments):
            raise ValueError(f"scope {text!r} has an empty segment")
        if len(segments) % 2 and segments[0].lower() == "clusters":
            raise ValueError(f"scope {text!r} ends in the middle: expected /clusters/NAME[/namespaces/NAMESPACE]")
        below = segments[2:] if segments and segments[0].lower() == "clusters" else []
        if below and (len(below) != 2 or below[0].lower() != "namespaces"):
            raise ValueError(f"scope {text!r}: below a cluster only /namespaces/NAMESPACE is known")
        return cls("/" + "/".join(segments))

    @classmethod
    def cluster(cls, name: str) -> Scope:
        """The scope of one cluster, named as its kubeconfig context.

        A context name may hold slashes (EKS calls contexts by their ARN): they are escaped.
        """
        return cls("/clusters/" + name.replace("%", "%25").replace("/", "%2F"))

    def namespace(self, name: str) -> Scope:
        """The scope of one namespace below this cluster."""
        return Scope(_below(self.path, name), tuple(_below(path, name) for path in self.also))

    @property
    def cluster_name(self) -> str | None:
        """The name of the cluster that a scope of the form ``/clusters/NAME…`` lies in; None for all others."""
        segments = self.path.split("/")
        if len(segments) < 3 or segments[1].lower() != "clusters":
            return None
        return segments[2].replace("%2F", "/").replace("%25", "%")

    @property
    def keys(self) -> Iterator[tuple[str, ...]]:
        """The key of each path that leads there."""
        yield self.key
        for path in self.also:
            yield Scope(path).key

    @property
    def key(self) -> tuple[str, ...]:
        """The segments as they are compared: a scope covers those whose key begins with its own."""
        segments = [part for part in self.path.split("/") if part]
        # Below a cluster names are Kubernetes' own; the scope tree has clusters below management groups too.
        lowered = [part.lower() for part in segments]
        own = lowered.index("clusters") if "clusters" in lowered[::2] else len(segments)
        return (
            *lowered[:own],
            *(part if at % 2 else part.lower() for at, part in enumerate(segments[own:])),
        )

    def covers(self, other: Scope) -> bool:
        """Whether other is this scope or lies under it, segment by segment, on any path that leads to it."""
        mine = list(self.keys)
        return any(theirs[: len(key)] == key for theirs in other.keys for key in mine)

    def meets(self, other: Scope) -> bool:
        """Whether anything lies under both: one of them covers the other."""
        return self.covers(other) or other.covers(self)

    def apart(self, other: Scope) -> bool:
        """Whether the ids alone say that nothing lies under both. Of a cluster's two ids they do not, nor of groups'."""
        mine, theirs = self.key, other.key
        comparable = bool(mine and theirs) and mine[0] == theirs[0] != "providers"
        return comparable and not self.meets(other)

    def __str__(self) -> str:
        return self.path


def _below(path: str, namespace: str) -> str:
    return f"{path.rstrip('/')}/namespaces/{namespace}"


#: Everything.
EVERYWHERE = Scope("/")
