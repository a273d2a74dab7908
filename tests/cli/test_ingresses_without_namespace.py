"""Ingresses that name no namespace are compared as the API server would store them, and as admission judges them."""

from __future__ import annotations

from typing import Any

import pytest

from tests.cli.conftest import Aksp


def ingress(name: str, namespace: str | None) -> dict[str, Any]:
    backend = {"service": {"name": "shop", "port": {"number": 80}}}
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "metadata": {"name": name} | ({"namespace": namespace} if namespace else {}),
        "spec": {
            "rules": [
                {
                    "host": "shop.example.com",
                    "http": {"paths": [{"path": "/", "pathType": "Prefix", "backend": backend}]},
                }
            ]
        },
    }


def review(one: dict[str, Any]) -> dict[str, Any]:
    """As the API server asks about a request without a namespace: the object as sent, the request's own namespace."""
    return {
        "apiVersion": "admission.k8s.io/v1",
        "kind": "AdmissionReview",
        "request": {
            "uid": "1",
            "kind": {"group": "networking.k8s.io", "version": "v1", "kind": "Ingress"},
            "name": one["metadata"]["name"],
            "namespace": "default",
            "operation": "CREATE",
            "userInfo": {"username": "jane"},
            "object": one,
        },
    }


@pytest.mark.parametrize("second", [None, "default"])
@pytest.mark.parametrize("first", [None, "default"])
@pytest.mark.parametrize("same_namespace", ["--forbid-same-namespace", "--allow-same-namespace"])
def test_none_is_default_in_a_scan_and_at_admission(
    aksp: Aksp, first: str | None, second: str | None, same_namespace: str
) -> None:
    aksp.done("assign", "unique-ingress-hosts", same_namespace)
    forbidden = same_namespace.startswith("--forbid")
    found = {}
    for way, later in (("scan", ingress("two", second)), ("admission", review(ingress("two", second)))):
        items = [ingress("one", first), later]
        run = aksp.judge(aksp.put(f"{way}.json", {"kind": "List", "apiVersion": "v1", "items": items}))
        found[way] = run.code, run.states
    assert found["scan"] == found["admission"] == ((1, [("two", "NonCompliant")]) if forbidden else (0, []))


@pytest.mark.parametrize("first", [None, "default"])
def test_none_and_another_namespace_clash(aksp: Aksp, first: str | None) -> None:
    aksp.done("assign", "unique-ingress-hosts")
    items = [ingress("one", first), ingress("two", "shop")]
    run = aksp.judge(aksp.put("two.json", {"kind": "List", "apiVersion": "v1", "items": items}))
    assert (run.code, run.states) == (1, [("two", "NonCompliant")])
