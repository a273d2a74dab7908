"""Objects changed by a strategic-merge patch, as kubectl and the API server change them.

Kubernetes: "Strategic merge patch" (docs/contributors/devel/sig-api-machinery/strategic-merge-patch.md).
"""

from __future__ import annotations

import copy
from typing import Any

#: Lists that are merged, entry by entry, with the field that names an entry (API reference, patch merge key).
KEYS = {
    "containers": "name",
    "initContainers": "name",
    "ephemeralContainers": "name",
    "volumes": "name",
    "ports": "containerPort",
}


def patched(target: Any, patch: Any, *, kind: str = "", field: str = "") -> Any:
    """The target with the patch merged into it. A Service's ports are named by ``port``."""
    if isinstance(patch, dict):
        result = copy.deepcopy(target) if isinstance(target, dict) else {}
        for key, value in patch.items():
            if value is None:
                result.pop(key, None)
            else:
                result[key] = patched(result.get(key), value, kind=kind, field=key)
        return result
    if isinstance(patch, list) and field in KEYS:
        key = "port" if kind == "Service" else KEYS[field]
        entries = copy.deepcopy(target) if isinstance(target, list) else []
        for entry in patch:
            at = next((at for at, one in enumerate(entries) if one.get(key) == entry[key]), None)
            if at is None:
                entries.append(patched({}, entry, kind=kind))
            else:
                entries[at] = patched(entries[at], entry, kind=kind)
        return entries
    return copy.deepcopy(patch)
