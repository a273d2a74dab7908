"""Where the lists of kinds are."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from aksp.kube.config import connect
from aksp.kube.errors import NotServed
from aksp.kube.kinds import KINDS, Discovery, Kind, list_path
from tests.kube.apiserver import ApiServer, Reply, Request, kubeconfig, status

WIDGET = Kind(group="shop.example", version="v2", kind="Widget", plural="widgets", namespaced=True)
DOCUMENTS = {
    "/apis": {
        "groups": [
            {
                "name": "shop.example",
                "versions": [{"version": "v1"}, {"version": "v2"}],
                "preferredVersion": {"version": "v2"},
            }
        ]
    },
    "/apis/shop.example/v2": {
        "resources": [
            {"name": "widgets/status", "kind": "Widget", "namespaced": True, "verbs": ["get"]},
            {"name": "widgets", "kind": "Widget", "namespaced": True, "verbs": ["create", "list"]},
            {"name": "reviews", "kind": "Review", "namespaced": False, "verbs": ["create"]},
        ]
    },
    "/apis/shop.example/v1": {
        "resources": [{"name": "gadgets", "kind": "Gadget", "namespaced": False, "verbs": ["list"]}],
    },
}


@pytest.mark.parametrize(
    ("group", "kind", "everywhere", "in_shop"),
    [
        ("", "Pod", "/api/v1/pods", "/api/v1/namespaces/shop/pods"),
        ("", "Namespace", "/api/v1/namespaces", "/api/v1/namespaces"),
        ("", "Endpoints", "/api/v1/endpoints", "/api/v1/namespaces/shop/endpoints"),
        ("apps", "Deployment", "/apis/apps/v1/deployments", "/apis/apps/v1/namespaces/shop/deployments"),
        ("batch", "CronJob", "/apis/batch/v1/cronjobs", "/apis/batch/v1/namespaces/shop/cronjobs"),
        (
            "networking.k8s.io",
            "Ingress",
            "/apis/networking.k8s.io/v1/ingresses",
            "/apis/networking.k8s.io/v1/namespaces/shop/ingresses",
        ),
        (
            "networking.k8s.io",
            "NetworkPolicy",
            "/apis/networking.k8s.io/v1/networkpolicies",
            "/apis/networking.k8s.io/v1/namespaces/shop/networkpolicies",
        ),
    ],
)
def test_built_in_kinds_have_their_paths(group: str, kind: str, everywhere: str, in_shop: str) -> None:
    known = KINDS[group, kind]
    assert list_path(known) == everywhere
    assert list_path(known, "shop") == in_shop


def test_a_namespace_cannot_change_the_path() -> None:
    assert list_path(KINDS["", "Pod"], "../x?") == "/api/v1/namespaces/..%2Fx%3F/pods"


def test_other_kinds_are_discovered_in_the_preferred_version_first_and_asked_for_once(tmp_path: Path) -> None:
    def answer(request: Request) -> Reply:
        document = DOCUMENTS.get(request.path)
        return Reply(body=json.dumps(document).encode()) if document else status(404, "not found")

    with ApiServer(answer) as server, connect(None, kubeconfig(tmp_path, server.url)) as connection:
        discovery = Discovery(connection)
        assert discovery.find("", "Pod") is KINDS["", "Pod"]
        assert server.requests == []
        assert discovery.find("shop.example", "Widget") == WIDGET
        gadget = discovery.find("shop.example", "Gadget")
        assert (gadget.api_version, list_path(gadget, "shop")) == ("shop.example/v1", "/apis/shop.example/v1/gadgets")
        for group, kind in (("shop.example", "Review"), ("absent.example", "Widget")):
            with pytest.raises(NotServed, match=f"no kind '{kind}' in group '{group}'"):
                discovery.find(group, kind)
        assert len(server.requests) == 3


def test_a_kind_is_found_in_each_group_that_has_one_of_its_name(tmp_path: Path) -> None:
    def group(name: str) -> dict[str, object]:
        return {"name": name, "versions": [{"version": "v1"}], "preferredVersion": {"version": "v1"}}

    served = {"resources": [{"name": "services", "kind": "Service", "namespaced": True, "verbs": ["list"]}]}
    documents = {
        "/apis": {"groups": [group("apps"), group("serving.example")]},
        "/apis/apps/v1": {"resources": []},
        "/apis/serving.example/v1": served,
    }

    def answer(request: Request) -> Reply:
        document = documents.get(request.path)
        return Reply(body=json.dumps(document).encode()) if document else status(404, "not found")

    with ApiServer(answer) as server, connect(None, kubeconfig(tmp_path, server.url)) as connection:
        discovery = Discovery(connection)
        assert [one.api_version for one in discovery.named("Service")] == ["v1", "serving.example/v1"]
        with pytest.raises(NotServed, match="no kind 'Gadget' in any group"):
            discovery.named("Gadget")
