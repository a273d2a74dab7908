"""What can be chosen about the add-on: in a cluster, and for one replica."""

from __future__ import annotations

import ipaddress
import re
import ssl
from collections.abc import Collection
from pathlib import Path
from typing import Any

from msgspec import Struct

from aksp import __version__
from aksp.addon import names
from aksp.addon.names import EngineName
from aksp.errors import InvalidInput
from aksp.model.times import duration

FAILURE_POLICIES = ("Ignore", "Fail")
UNJUDGED = ("warn", "refuse")
_NAMESPACE = re.compile(r"[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?")
_NAMED = re.compile(r"[^/]+/[^/]+")


class Listed(Struct, frozen=True, kw_only=True, order=True):
    """A kind that a rule is about, by group and plural; ``watched`` when rules compare with objects of it."""

    group: str
    plural: str
    watched: bool = False


def check_client_names(names: Collection[str], authority: object) -> None:
    """Raise InvalidInput for names that no certificate can have, and for names without the CAs of --client-ca."""
    if not all(name.strip() for name in names):
        raise InvalidInput("--client-name is empty: expected the common name of the API server's client certificate")
    if names and authority is None:
        raise InvalidInput(
            "--client-name needs --client-ca: without its CAs nobody vouches for a name",
            hint="give the CA of the API server's client certificate too",
        )


class RunSettings(Struct, frozen=True, kw_only=True):
    """The command line of `aksp addon run`. Times in seconds."""

    cluster_name: str
    kubeconfig: str | None = None
    context: str | None = None
    namespace: str = names.NAMESPACE
    engine: EngineName = EngineName.AKSP
    exclude_namespaces: tuple[str, ...] = ()
    sync_interval: float = 300.0
    unjudged: str = "warn"
    listen: str = "0.0.0.0:8443"
    plain_listen: str | None = "0.0.0.0:8080"
    cert_dir: Path | None = None
    client_ca: Path | None = None
    client_names: tuple[str, ...] = ()
    open_metrics: bool = False
    controller_accounts: tuple[str, ...] = ()
    shutdown_delay: float = 5.0
    identity: str = ""
    log_level: str = "info"


class Settings(Struct, frozen=True, kw_only=True):
    """The settings of `aksp addon enable`; the Helm chart's values have the same meaning.

    ``cluster_name`` is the NAME in scopes ``/clusters/NAME``. With ``webhook_url`` the add-on runs
    elsewhere, as a process on a host. ``unjudged``: see ``of_unjudged``. ``cert_secret`` names a Secret (tls.crt, tls.key, ca.crt) that
    somebody else makes; ``inject_ca_from`` is cert-manager's NAMESPACE/NAME of a Certificate.
    With ``engine`` GATEKEEPER no webhook of ours is asked; ``constraints`` are the kinds of constraints, by their plurals,
    that it may write. ``client_ca`` (PEM): only who has a certificate of these CAs is answered, with
    ``client_names`` only whose certificate has one of these. ``api_server_cidrs``: from where the Pods can be reached; from everywhere when there is none. ``controller_accounts``: users
    who make Pods for others, beside the controllers of Kubernetes.
    """

    namespace: str = names.NAMESPACE
    create_namespace: bool = False
    image: str = f"aksp:{__version__}"
    replicas: int = 2
    cluster_name: str = "in-cluster"
    engine: EngineName = EngineName.AKSP
    failure_policy: str = "Ignore"
    unjudged: str | None = None
    exclude_namespaces: tuple[str, ...] = ()
    sync_interval: str = "5m"
    webhook_url: str | None = None
    cert_secret: str | None = None
    inject_ca_from: str | None = None
    client_ca: str | None = None
    client_names: tuple[str, ...] = ()
    api_server_cidrs: tuple[str, ...] = ()
    open_metrics: bool = False
    controller_accounts: tuple[str, ...] = ()
    kinds: tuple[Listed, ...] = ()
    constraints: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Raise InvalidInput for what the API server, or the add-on, would not take."""
        seconds(self.sync_interval, "--sync-interval", least=1)
        for option, namespace in [
            ("--namespace", self.namespace),
            *(("--exclude-namespace", name) for name in self.exclude_namespaces),
        ]:
            if not _NAMESPACE.fullmatch(namespace):
                raise InvalidInput(f"{option} {namespace}: no namespace has such a name")
        if self.gatekeeper:
            given = {
                "--webhook-url": self.webhook_url, "--cert-secret": self.cert_secret, "--inject-ca-from": self.inject_ca_from,
                "--client-ca": self.client_ca, "--unjudged": self.unjudged, "--api-server-cidr": self.api_server_cidrs,
                "--controller-account": self.controller_accounts,
                "--failure-policy": self.failure_policy != FAILURE_POLICIES[0],
            }  # fmt: skip
            if useless := [option for option, value in given.items() if value]:
                raise InvalidInput(
                    f"{useless[0]} is for the add-on's own webhook, and with --engine gatekeeper there is none",
                    hint="Gatekeeper's own installation has such settings",
                )
        if self.failure_policy not in FAILURE_POLICIES:
            raise InvalidInput(f"--failure-policy {self.failure_policy}: expected {' or '.join(FAILURE_POLICIES)}")
        if self.unjudged is not None and self.unjudged not in UNJUDGED:
            raise InvalidInput(f"--unjudged {self.unjudged}: expected {' or '.join(UNJUDGED)}")
        if not self.cluster_name.strip():
            raise InvalidInput("--cluster-name is empty")
        if not all(account.strip() for account in self.controller_accounts):
            raise InvalidInput("--controller-account is empty: expected a user, system:serviceaccount:NAMESPACE:NAME")
        if self.replicas < 1:
            raise InvalidInput(f"--replicas {self.replicas}: expected at least 1")
        if self.webhook_url is not None and not re.match(r"https://[^/?#@]+(/[^?#]*)?$", self.webhook_url):
            raise InvalidInput(
                f"--webhook-url {self.webhook_url}: expected https://HOST[:PORT][/PATH]",
                hint=f"the add-on answers at {names.ADMIT_PATH}",
            )
        if self.client_ca is not None:
            try:
                # Nothing at all would be the CAs of the system.
                ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_verify_locations(cadata=self.client_ca)
            except (ssl.SSLError, ValueError) as error:
                raise InvalidInput("--client-ca has no certificates that can be read: expected PEM") from error
        check_client_names(self.client_names, self.client_ca)
        for cidr in self.api_server_cidrs:
            try:
                ipaddress.ip_network(cidr)
            except ValueError as error:
                raise InvalidInput(
                    f"--api-server-cidr {cidr}: expected addresses such as 10.0.0.0/28: {error}"
                ) from error
        if self.inject_ca_from is not None and not _NAMED.fullmatch(self.inject_ca_from):
            raise InvalidInput(f"--inject-ca-from {self.inject_ca_from}: expected NAMESPACE/NAME")

    @property
    def gatekeeper(self) -> bool:
        """Whether Gatekeeper refuses."""
        return self.engine is EngineName.GATEKEEPER

    @property
    def of_unjudged(self) -> str:
        """What is done with a review that an enforced assignment cannot judge: as set, else as the failure policy says."""
        return self.unjudged or ("refuse" if self.failure_policy == "Fail" else "warn")

    @property
    def unwatched_namespaces(self) -> list[str]:
        """The namespaces about which the API server never asks the webhook."""
        return names.left_out(self.namespace, self.exclude_namespaces)


def seconds(text: str, option: str, *, least: float = 0) -> float:
    """A duration such as 5m, 1h30m or 30s. Raises InvalidInput."""
    try:
        found = duration(text).total_seconds()
    except ValueError as error:
        raise InvalidInput(f"{option} {text}: expected a duration such as 5m, 1h30m or 30s") from error
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
