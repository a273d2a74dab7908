"""The add-on's ValidatingWebhookConfiguration, kept whole.

`aksp addon enable` writes what it is to be into a ConfigMap, and the configuration itself. The leader adds the rules,
which follow from what is in force, so that the API server asks about nothing else, and the CAs that the API server is
to trust; whatever else differs from the ConfigMap it puts back, the object itself too. Without the ConfigMap nothing
is put back: `aksp addon disable` deletes it first.
"""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import quote, urlsplit

from msgspec import Struct

from aksp.addon.in_force.deviations import deviations, digest, injection, webhook_of, whole, written
from aksp.addon.names import CONFIG_MAP, FIELD_MANAGER, NAME, WEBHOOK_KEY
from aksp.errors import ClusterError
from aksp.kube import objects
from aksp.kube.connection import Connection
from aksp.kube.errors import Conflict, NotServed

COLLECTION = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations"
PATH = f"{COLLECTION}/{NAME}"
#: Seconds that a configuration must be missing before it is made again: who installs the add-on makes it after the
#: ConfigMap, and a second one would be in its way.
MISSING_SECONDS = 3.0
_TRIES = 4


class Kept(Struct, frozen=True, kw_only=True):
    """What became of the configuration. ``there``: whether it is. ``changed``: whether rules or CAs are new.

    ``repaired``: what somebody else had changed, by part, a sentence each. ``again``: seconds until another look.
    """

    there: bool
    changed: bool = False
    repaired: Mapping[str, str] = {}
    again: float | None = None


class _Wanted(Struct, frozen=True, kw_only=True):
    intended: Mapping[str, Any]
    rules: list[Mapping[str, Any]]
    bundle: str | None


class Configuration:
    """The configuration in one cluster; ``namespace`` is where the add-on runs."""

    def __init__(self, connection: Connection, namespace: str, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._connection = connection
        self._namespace = namespace
        self._clock = clock
        self._last: _Wanted | None = None
        """What was last seen to be there."""
        self._missing_since: float | None = None

    def names(self) -> list[str]:
        """The DNS names and addresses that the API server calls the webhook by; none when it is not configured."""
        known = read_intention(self._connection, self._namespace) or objects.get(self._connection, PATH)
        client = webhook_of(known).get("clientConfig") or {}
        if service := client.get("service"):
            name, namespace = service["name"], service["namespace"]
            return [f"{name}.{namespace}.svc", f"{name}.{namespace}.svc.cluster.local", f"{name}.{namespace}", name]
        host = urlsplit(client.get("url") or "").hostname
        return [host] if host else []

    def publish(self, rules: Sequence[Mapping[str, Any]], bundle: bytes | None) -> Kept:
        """Write what differs. Without a bundle (certificates that somebody else manages) the CA is left as it is.

        Raises ClusterError.
        """
        for attempt in range(1, _TRIES + 1):
            try:
                return self._publish(list(rules), bundle)
            except (Conflict, NotServed):
                # Somebody else wrote, or deleted, in this moment: look again.
                if attempt == _TRIES:
                    raise
        raise AssertionError

    def _publish(self, rules: list[Mapping[str, Any]], bundle: bytes | None) -> Kept:
        current = objects.get(self._connection, PATH)
        intended = read_intention(self._connection, self._namespace)
        if current is not None:
            self._missing_since = None
        elif intended is None or (left := self._missing_for()) > 0:
            return Kept(there=False, again=left if intended else None)
        if intended is None:
            # Enabled by an older release, or the ConfigMap was deleted: what is there is all that is known.
            intended = current or {}
            if not webhook_of(current):
                return Kept(there=False)
        there = (webhook_of(current).get("clientConfig") or {}).get("caBundle")
        if current is None and self._last is not None:
            there = self._last.bundle
        ours = bool(bundle) and not injection(intended)
        wanted = _Wanted(
            intended=intended, rules=rules, bundle=base64.b64encode(bundle or b"").decode() if ours else there
        )
        found = deviations(intended, current)
        if current is not None:
            if (webhook_of(current).get("rules") or []) != rules:
                found["rules"] = "its rules are not those that were written"
            if ours and there != wanted.bundle:
                found["caBundle"] = "its CA bundle is not the one that was written"
        document = whole(intended, current, rules, wanted.bundle)
        if found or written(current) != digest(document):
            if current is None:
                # Not a POST: the right to create just the one of this name counts only where the name is asked for.
                objects.apply(self._connection, PATH, document, manager=FIELD_MANAGER)
            else:
                # Not server-side apply, which leaves alone what others have added. The resource version is what was read.
                objects.replace(self._connection, PATH, document)
        repaired = {part: text for part, text in found.items() if self._meddled(part, wanted, current)}
        self._last = wanted
        return Kept(
            there=True, changed=bool({"rules", "caBundle", "object", "webhooks"} & found.keys()), repaired=repaired
        )

    def _missing_for(self) -> float:
        """Seconds until it has been missing for long enough."""
        now = self._clock()
        if self._missing_since is None:
            self._missing_since = now
        return self._missing_since + MISSING_SECONDS - now

    def _meddled(self, part: str, wanted: _Wanted, current: Mapping[str, Any] | None) -> bool:
        """Whether it differs because somebody changed it, not because something else is wanted now."""
        last = self._last
        if part not in ("rules", "caBundle"):
            return last is None or last.intended == wanted.intended
        if last is None:
            mark = written(current)
            return mark is not None and mark != digest(current)
        return last.rules == wanted.rules if part == "rules" else last.bundle == wanted.bundle


def intention_path(namespace: str) -> str:
    """Where the ConfigMap is."""
    return f"/api/v1/namespaces/{quote(namespace, safe='')}/configmaps/{CONFIG_MAP}"


def read_intention(connection: Connection, namespace: str) -> Mapping[str, Any] | None:
    """The wanted configuration; None when it is not set. Raises ClusterError."""
    found = objects.get(connection, intention_path(namespace))
    text = ((found or {}).get("data") or {}).get(WEBHOOK_KEY)
    if text is None:
        return None
    try:
        document = json.loads(text)
    except ValueError:
        document = None
    if not (isinstance(document, dict) and webhook_of(document) and isinstance(document.get("metadata"), dict)):
        raise ClusterError(
            f"{WEBHOOK_KEY} of the ConfigMap {CONFIG_MAP} is not a webhook configuration",
            where=connection.server + intention_path(namespace),
            hint="`aksp addon enable` writes it again",
        )
    return document


def read_rules(connection: Connection) -> Sequence[Mapping[str, Any]] | None:
    """The rules in the configuration; None when there is no such webhook. Raises ClusterError."""
    webhook = webhook_of(objects.get(connection, PATH))
    return webhook.get("rules") or [] if webhook else None
