"""Kubernetes objects for the tests, as small as the API server takes them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from tests.testbed.controlplane import ControlPlane

Object = dict[str, Any]
Place = Callable[[str, Sequence[Object]], str]
"""What the fixture `place` is: a namespace's name, and what is to be in it."""

OURS = "contoso.azurecr.io/app:1"
"""An image that OUR_REGISTRY lets through."""
FOREIGN = "docker.io/library/nginx:1.27"
"""One that it does not."""
#: A nonComplianceMessage.
OWN_MESSAGE = "Push the image to contoso.azurecr.io first."
OUR_REGISTRY: Mapping[str, Any] = {"allowedContainerImagesRegex": r"^contoso\.azurecr\.io/.+$"}
"""The parameters of an `allowed-images` assignment."""


def made(api_version: str, kind: str, name: str, namespace: str = "", **fields: Any) -> Object:
    metadata = {"name": name} | ({"namespace": namespace} if namespace else {})
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata, **fields}


def namespace(name: str) -> Object:
    return made("v1", "Namespace", name)


def container(name: str, image: str, **fields: Any) -> Object:
    return {"name": name, "image": image, **fields}


def pod(name: str, namespace: str, image: str = FOREIGN, labels: Mapping[str, str] | None = None) -> Object:
    """A Pod that nothing made and nothing schedules: it stays Pending."""
    one = made("v1", "Pod", name, namespace, spec={"containers": [container("main", image)]})
    one["metadata"]["labels"] = dict(labels or {})
    return one


def workload(
    api_version: str, kind: str, name: str, namespace: str, image: str = FOREIGN, *, pods: Object | None = None,
    **spec: Any,
) -> Object:  # fmt: skip
    """Something that makes Pods; `pods` are more fields of their spec."""
    labels = {"app": name}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [container(name, image)], **(pods or {})}}
    if kind == "CronJob":
        fields = {"jobTemplate": {"spec": {"template": template}}}
    elif kind == "Job":
        fields = {"template": template}
    else:
        selector: Object = labels if kind == "ReplicationController" else {"matchLabels": labels}
        fields = {"selector": selector, "template": template}
    return made(api_version, kind, name, namespace, spec={**fields, **spec})


def service(name: str, namespace: str, port: int) -> Object:
    return made("v1", "Service", name, namespace, spec={"ports": [{"port": port}], "selector": {"app": name}})


def ingress(name: str, namespace: str, host: str, labels: Mapping[str, str] | None = None) -> Object:
    backend = {"service": {"name": name, "port": {"number": 80}}}
    rule = {"host": host, "http": {"paths": [{"path": "/", "pathType": "Prefix", "backend": backend}]}}
    one = made("networking.k8s.io/v1", "Ingress", name, namespace, spec={"rules": [rule]})
    one["metadata"]["labels"] = dict(labels or {})
    return one


def may(user: str, namespace: str | None, *resources: str) -> list[Object]:
    """What lets a user list resources (`GROUP/PLURAL`) in a namespace, or everywhere."""
    rules = [
        {"apiGroups": [resource.rpartition("/")[0]], "resources": [resource.rpartition("/")[2]], "verbs": ["get", "list"]}
        for resource in resources
    ]  # fmt: skip
    group = "rbac.authorization.k8s.io"
    role, name = ("Role" if namespace else "ClusterRole"), f"{user}-lists"
    subject = {"apiGroup": group, "kind": "User", "name": user}
    reference = {"apiGroup": group, "kind": role, "name": name}
    return [
        made(f"{group}/v1", role, name, namespace or "", rules=rules),
        made(f"{group}/v1", f"{role}Binding", name, namespace or "", subjects=[subject], roleRef=reference),
    ]


def create_pods(plane: ControlPlane, pods: Sequence[Object]) -> None:
    """Creates many Pods at once: 500 a second on two slow cores."""

    def create(one: Object) -> None:
        status, answer = plane.client.raw(
            "POST", f"/api/v1/namespaces/{one['metadata']['namespace']}/pods", json.dumps(one).encode()
        )
        assert status in (201, 409), answer

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(create, pods))
