"""AdmissionReviews as an API server sends them."""

from __future__ import annotations

import json
from typing import Any


def pod(name: str = "web", *, privileged: bool = False, **metadata: Any) -> dict[str, Any]:
    container = {"name": "web", "image": "web:1", "securityContext": {"privileged": privileged}}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": "shop", **metadata},
        "spec": {"containers": [container]},
    }


def review(obj: dict[str, Any] | None, old: dict[str, Any] | None = None, **request: Any) -> bytes:
    """The body for an object that comes (or, with old, changes; or goes)."""
    subject = obj or old or pod()
    group, _, version = subject["apiVersion"].rpartition("/")
    kind = {"group": group, "version": version, "kind": subject["kind"]}
    fields = {
        "uid": "705ab4f5-6393-11e8-b7cc-42010a800002",
        "kind": kind,
        "resource": {"group": group, "version": version, "resource": subject["kind"].lower() + "s"},
        "requestKind": kind,
        "name": subject["metadata"].get("name", ""),
        "namespace": subject["metadata"].get("namespace", ""),
        "operation": "DELETE" if obj is None else "UPDATE" if old else "CREATE",
        "userInfo": {"username": "mallory", "groups": ["system:authenticated"]},
        "object": obj,
        "oldObject": old,
        "dryRun": False,
        "options": None,
        **request,
    }
    return json.dumps({"kind": "AdmissionReview", "apiVersion": "admission.k8s.io/v1", "request": fields}).encode()
