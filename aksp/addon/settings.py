"""What can be chosen about the add-on in a cluster."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from aksp import __version__
from aksp.addon import names
from aksp.errors import InvalidInput

FAILURE_POLICIES = ("Ignore", "Fail")
_NAMESPACE = re.compile(r"[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?")
_NAMED = re.compile(r"[^/]+/[^/]+")


@dataclass(frozen=True, kw_only=True, slots=True, order=True)
class Listed:
    """A kind that a rule is about, by group and plural; ``watched`` when rules compare with objects of it."""

    group: str
    plural: str
    watched: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """The settings of `aksp addon enable`; the Helm chart's values have the same meaning.

    ``cluster_name`` is the NAME in scopes ``/clusters/NAME``. With ``webhook_url`` the add-on runs
    elsewhere, as a process on a host. ``cert_secret`` names a Secret (tls.crt, tls.key, ca.crt) that
    somebody else makes; ``inject_ca_from`` is cert-manager's NAMESPACE/NAME of a Certificate.
    """

    namespace: str = names.NAMESPACE
    create_namespace: bool = False
    image: str = f"aksp:{__version__}"
    replicas: int = 2
    cluster_name: str = "in-cluster"
    failure_policy: str = "Ignore"
    exclude_namespaces: tuple[str, ...] = ()
    sync_interval: str = "5m"
    webhook_url: str | None = None
    cert_secret: str | None = None
    inject_ca_from: str | None = None
    kinds: tuple[Listed, ...] = field(default_factory=tuple)

    def __post_init__(self) -> None:
        """Raise InvalidInput for what the API server, or the add-on, would not take."""
        seconds(self.sync_interval, "--sync-interval", least=1)
        for option, namespace in [
            ("--namespace", self.namespace),
            *(("--exclude-namespace", name) for name in self.exclude_namespaces),
        ]:
            if not _NAMESPACE.fullmatch(namespace):
                raise InvalidInput(f"{option} {namespace}: no namespace has such a name")
        if self.failure_policy not in FAILURE_POLICIES:
            raise InvalidInput(f"--failure-policy {self.failure_policy}: expected {' or '.join(FAILURE_POLICIES)}")
        if not self.cluster_name.strip():
            raise InvalidInput("--cluster-name is empty")
        if self.replicas < 1:
            raise InvalidInput(f"--replicas {self.replicas}: expected at least 1")
        if self.webhook_url is not None and not re.match(r"https://[^/?#@]+(/[^?#]*)?$", self.webhook_url):
            raise InvalidInput(
                f"--webhook-url {self.webhook_url}: expected https://HOST[:PORT][/PATH]",
                hint=f"the add-on answers at {names.ADMIT_PATH}",
            )
        if self.inject_ca_from is not None and not _NAMED.fullmatch(self.inject_ca_from):
            raise InvalidInput(f"--inject-ca-from {self.inject_ca_from}: expected NAMESPACE/NAME")

    @property
    def unwatched_namespaces(self) -> list[str]:
        """The namespaces about which the API server never asks the webhook."""
        return sorted({names.NAMESPACE, self.namespace, *self.exclude_namespaces})


_DURATION = re.compile(r"(?:(\d+)h)?(?:(\d+)m)?(?:(\d+(?:\.\d+)?)s)?")


def seconds(text: str, option: str, *, least: float = 0) -> float:
    """A duration such as 5m, 1h30m or 30s, as Kubernetes writes them. Raises InvalidInput."""
    match = _DURATION.fullmatch(text)
    if not text or match is None:
        raise InvalidInput(f"{option} {text}: expected a duration such as 5m, 1h30m or 30s")
    hours, minutes, rest = (float(part or 0) for part in match.groups())
    found = hours * 3600 + minutes * 60 + rest
    if found < least:
        raise InvalidInput(f"{option} {text}: expected at least {least:g}s")
    return found


def made(api_version: str, kind: str, name: str, namespace: str | None = None, **fields: Any) -> dict[str, Any]:
    """An object with our labels."""
    metadata: dict[str, Any] = {"name": name}
    if namespace:
        metadata["namespace"] = namespace
    metadata["labels"] = {"app.kubernetes.io/name": names.NAME, **names.MANAGED_BY}
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata, **fields}
