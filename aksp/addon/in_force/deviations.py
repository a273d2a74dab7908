"""Where a webhook configuration is not what it was enabled to be. Pure.

The intention is the document that `aksp addon enable` applies. Rules, CA bundle and the annotation `written` are the
running add-on's, and are no part of it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from aksp.addon.names import WEBHOOK, WRITTEN
from aksp.report.text import clipped

#: cert-manager's injector writes the CA bundle where an annotation of this prefix says so.
INJECTOR = "cert-manager.io/"
#: Characters of a value in a sentence.
LONGEST_VALUE = 120
Document = Mapping[str, Any]


def webhook_of(configuration: Document | None) -> Document:
    """The add-on's webhook in a configuration; empty when it is not there."""
    webhooks = (configuration or {}).get("webhooks") or []
    return next((one for one in webhooks if one.get("name") == WEBHOOK), {})


def deviations(intended: Document, current: Document | None) -> dict[str, str]:
    """What differs, by part: a field of the webhook, ``labels``, ``annotations``, ``webhooks`` or ``object``.

    Each with a sentence. Empty when all is as intended.
    """
    if current is None:
        return {"object": "it is not there"}
    found: dict[str, str] = {}
    wanted_hook, hook = _fields(webhook_of(intended)), _fields(webhook_of(current))
    if not hook:
        found["webhooks"] = f"{WEBHOOK} is not in it"
    else:
        for field in sorted(wanted_hook.keys() | hook.keys()):
            if wanted_hook.get(field) != hook.get(field):
                found[field] = _differs(field, hook.get(field), wanted_hook.get(field))
    known = {one.get("name") for one in intended.get("webhooks") or []}
    extra = [str(one.get("name")) for one in current.get("webhooks") or [] if one.get("name") not in known]
    if extra:
        found["webhooks"] = f"it has more webhooks: {', '.join(extra)}"
    labels = _of(intended, "labels")
    if not labels.items() <= _of(current, "labels").items():
        found["labels"] = _differs("metadata.labels", _of(current, "labels"), labels)
    if injection(current) != injection(intended):
        found["annotations"] = _differs("metadata.annotations", injection(current), injection(intended))
    return found


def injection(configuration: Document | None) -> dict[str, Any]:
    """The annotations by which cert-manager is told to write the CA bundle."""
    annotations = _of(configuration or {}, "annotations")
    return {name: value for name, value in annotations.items() if name.startswith(INJECTOR)}


def digest(configuration: Document | None) -> str:
    """Of the rules and, unless cert-manager writes it, the CA bundle that are there."""
    hook = webhook_of(configuration)
    bundle = None if injection(configuration) else (hook.get("clientConfig") or {}).get("caBundle")
    text = json.dumps([hook.get("rules") or [], bundle], sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def written(configuration: Document | None) -> str | None:
    """The digest that the add-on wrote; None when it has written nothing yet."""
    mark = _of(configuration or {}, "annotations").get(WRITTEN)
    return str(mark) if mark else None


def whole(
    intended: Document, current: Document | None, rules: Sequence[Document], bundle: str | None
) -> dict[str, Any]:
    """The configuration to be written: as intended, with rules and bundle (base64; None: none)."""
    metadata = {**((current or {}).get("metadata") or {}), "name": intended["metadata"]["name"]}
    metadata.pop("managedFields", None)
    metadata["labels"] = {**_of(current or {}, "labels"), **_of(intended, "labels")}
    kept = {name: value for name, value in _of(current or {}, "annotations").items() if not name.startswith(INJECTOR)}
    metadata["annotations"] = {**kept, **_of(intended, "annotations")}
    webhooks = []
    for one in intended.get("webhooks") or []:
        if one.get("name") == WEBHOOK:
            client = {key: value for key, value in (one.get("clientConfig") or {}).items() if key != "caBundle"}
            one = {**one, "rules": list(rules), "clientConfig": client | ({"caBundle": bundle} if bundle else {})}
        webhooks.append(one)
    found = {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingWebhookConfiguration",
        "metadata": metadata,
        "webhooks": webhooks,
    }
    metadata["annotations"][WRITTEN] = digest(found)
    return found


def _fields(hook: Document) -> dict[str, Any]:
    """The fields of a webhook that are compared. An empty field counts as absent: the API server writes ``{}`` for selectors."""
    fields = {key: value for key, value in hook.items() if key not in ("name", "rules") and value not in (None, {}, [])}
    if client := fields.get("clientConfig"):
        fields["clientConfig"] = {key: value for key, value in client.items() if key != "caBundle"}
    return fields


def _of(configuration: Document, part: str) -> dict[str, Any]:
    return dict((configuration.get("metadata") or {}).get(part) or {})


def _differs(what: str, found: Any, wanted: Any) -> str:
    if found in (None, {}):
        return f"{what} is missing: it was enabled with {_value(wanted)}"
    if wanted in (None, {}):
        return f"{what} is {_value(found)}: it was enabled without"
    return f"{what} is {_value(found)}: it was enabled with {_value(wanted)}"


def _value(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, sort_keys=True, ensure_ascii=False)
    return clipped(text, LONGEST_VALUE)
