"""Scopes: paths that say how far an assignment or an exemption reaches."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Scope:
    """A path such as ``/``, ``/clusters/prod`` or ``/clusters/prod/namespaces/shop``.

    ARM ids compare without regard to case (Azure: "Understand scope in Azure Policy"); names of
    clusters and namespaces below ``/clusters`` are Kubernetes' own and compare exactly.
    """

    path: str

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
        return Scope(f"{self.path.rstrip('/')}/namespaces/{name}")

    @property
    def key(self) -> tuple[str, ...]:
        """The segments as they are compared: a scope covers those whose key begins with its own."""
        segments = tuple(part for part in self.path.split("/") if part)
        if segments and segments[0].lower() == "clusters":
            return ("clusters", *(part.lower() if at % 2 else part for at, part in enumerate(segments[1:])))
        return tuple(part.lower() for part in segments)

    def covers(self, other: Scope) -> bool:
        """Whether other is this scope or lies under it, segment by segment."""
        mine = self.key
        return other.key[: len(mine)] == mine

    def meets(self, other: Scope) -> bool:
        """Whether anything lies under both: one of them covers the other."""
        return self.covers(other) or other.covers(self)

    def __str__(self) -> str:
        return self.path


#: Everything.
EVERYWHERE = Scope("/")
