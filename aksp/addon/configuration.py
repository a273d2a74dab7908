"""The add-on's part of its ValidatingWebhookConfiguration: which requests come, and whom the API server trusts.

`aksp addon enable` applies all the rest. The rules follow from what is in force, so that the API
server asks about nothing else; without the add-on there are none, and it can be in nobody's way.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from aksp.addon.names import FIELD_MANAGER, NAME, WEBHOOK
from aksp.kube import objects
from aksp.kube.connection import Connection

PATH = f"/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations/{NAME}"
_INJECTED = "cert-manager.io/inject-ca-from"


class Configuration:
    """The configuration in one cluster."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def names(self) -> list[str]:
        """The DNS names and addresses that the API server calls the webhook by; none when it is not configured."""
        webhook = _webhook(objects.get(self._connection, PATH))
        client = webhook.get("clientConfig") or {}
        if service := client.get("service"):
            name, namespace = service["name"], service["namespace"]
            return [f"{name}.{namespace}.svc", f"{name}.{namespace}.svc.cluster.local", f"{name}.{namespace}", name]
        host = urlsplit(client.get("url") or "").hostname
        return [host] if host else []

    def publish(self, rules: Sequence[Mapping[str, Any]], bundle: bytes | None) -> bool | None:
        """Write rules and CA bundle where they differ; whether they did. None: there is no configuration.

        Without a bundle (certificates that somebody else manages) the CA is left as it is. Raises ClusterError.
        """
        current = objects.get(self._connection, PATH)
        if current is None:
            return None
        if _INJECTED in (current["metadata"].get("annotations") or {}):
            bundle = None
        wanted: dict[str, Any] = {"name": WEBHOOK, "rules": list(rules)}
        if bundle:
            wanted["clientConfig"] = {"caBundle": base64.b64encode(bundle).decode()}
        webhook = _webhook(current)
        same = (webhook.get("rules") or []) == wanted["rules"]
        if same and (
            not bundle or (webhook.get("clientConfig") or {}).get("caBundle") == wanted["clientConfig"]["caBundle"]
        ):
            return False
        objects.apply(
            self._connection,
            PATH,
            {
                "apiVersion": "admissionregistration.k8s.io/v1",
                "kind": "ValidatingWebhookConfiguration",
                "metadata": {"name": NAME},
                "webhooks": [wanted],
            },
            manager=FIELD_MANAGER,
        )
        return True


def read_rules(connection: Connection) -> Sequence[Mapping[str, Any]] | None:
    """The rules in the configuration; None when there is no such webhook. Raises ClusterError."""
    webhook = _webhook(objects.get(connection, PATH))
    return webhook.get("rules") or [] if webhook else None


def _webhook(configuration: Mapping[str, Any] | None) -> Mapping[str, Any]:
    webhooks = (configuration or {}).get("webhooks") or []
    return next((one for one in webhooks if one.get("name") == WEBHOOK), {})
