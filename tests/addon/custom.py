"""Custom resources for tests, and an API server in memory that keeps them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from aksp.errors import ClusterError
from aksp.kube.connection import Cancellation, Response
from aksp.kube.errors import Conflict, NotServed
from tests.catalog.documents import base64_of, document, template

API_VERSION = "policy.aksp.io/v1alpha1"
ROOT = "/apis/policy.aksp.io/v1alpha1"
V1 = 'violation contains {"msg": "bad", "details": {"path": "spec"}} if input.review.object.spec.bad'


def resource(kind: str, name: str, spec: Any, *, generation: int = 1, **metadata: Any) -> dict[str, Any]:
    status = metadata.pop("status", None)
    made = {
        "apiVersion": API_VERSION,
        "kind": kind,
        "metadata": {"name": name, "uid": f"uid-of-{name}", "generation": generation, **metadata},
        "spec": spec,
    }
    return {**made, "status": status} if status is not None else made


def assigned(
    name: str = "one", definition: str = "no-privileged", *, generation: int = 1, **more: Any
) -> dict[str, Any]:
    """A PolicyAssignment; parameters by name, metadata and status with meta."""
    meta = more.pop("meta", {})
    parameters = {key: {"value": value} for key, value in more.pop("parameters", {}).items()}
    spec = {"policyDefinitionId": definition, "parameters": parameters, **more}
    return resource("PolicyAssignment", name, spec, generation=generation, **meta)


def exempted(name: str = "waiver", assignment: str = "one", *, generation: int = 1, **spec: Any) -> dict[str, Any]:
    made = {"policyAssignmentId": assignment, "exemptionCategory": "Waiver", **spec}
    return resource("PolicyExemption", name, made, generation=generation)


def defined(
    name: str = "ours", rego: str = V1, *, generation: int = 1, parameters: Mapping[str, Any] | None = None, **meta: Any
) -> dict[str, Any]:
    """A PolicyDefinition with Rego of version v1."""
    guid, azure = meta.pop("guid", f"guid-of-{name}"), meta.pop("azure", f"Azure-{name}")
    spec = document()["properties"]
    spec["metadata"]["azurePolicyId"] = azure
    spec["parameters"] |= parameters or {}
    source = {"version": "v1", "rego": f"package rule\n\n{rego}\n"}
    text = template({"code": [{"engine": "Rego", "source": source}]})
    spec["policyRule"]["then"]["details"]["templateInfo"] = base64_of(text)
    return resource("PolicyDefinition", name, {"name": guid, **spec}, generation=generation, **meta)


def pod(name: str, *, privileged: bool = False) -> dict[str, Any]:
    container = {"name": "web", "image": "web", "securityContext": {"privileged": privileged}}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": "shop", "uid": f"uid-of-{name}"},
        "spec": {"containers": [container]},
    }


def merged(target: Any, patch: Any) -> Any:
    """RFC 7386, as written there."""
    if not isinstance(patch, Mapping):
        return patch
    made = dict(target) if isinstance(target, Mapping) else {}
    for key, value in patch.items():
        if value is None:
            made.pop(key, None)
        else:
            made[key] = merged(made.get(key), value)
    return made


class Memory:
    """A Connection to objects in memory, by path. ``refuse`` has the paths that fail, and how."""

    name = "test"
    server = "https://127.0.0.1:6443"

    def __init__(self, *documents: Mapping[str, Any], pods: list[dict[str, Any]] | None = None) -> None:
        self.lists: dict[str, list[dict[str, Any]]] = {
            f"{ROOT}/policydefinitions": [],
            f"{ROOT}/policyassignments": [],
            f"{ROOT}/policyexemptions": [],
            f"{ROOT}/policysetdefinitions": [],
            "/api/v1/pods": pods or [],
        }
        self.others: dict[str, dict[str, Any]] = {}
        self.refuse: dict[str, ClusterError] = {}
        self.written: list[tuple[str, dict[str, Any]]] = []
        for each in documents:
            self.lists[f"{ROOT}/{each['kind'].lower()}s"].append(dict(each))

    def named(self, plural: str, name: str = "one") -> dict[str, Any]:
        return next(each for each in self.lists[f"{ROOT}/{plural}"] if each["metadata"]["name"] == name)

    def status(self, name: str = "one", plural: str = "policyassignments") -> dict[str, Any]:
        status = self.named(plural, name).get("status", {})
        assert isinstance(status, dict)
        return status

    def get(
        self, path: str, *, query: Mapping[str, str] | None = None, cancellation: Cancellation | None = None
    ) -> Response:
        if path in self.refuse:
            raise self.refuse[path]
        if path in self.others:
            return _answer(self.others[path])
        if path not in self.lists:
            parent, _, name = path.rpartition("/")
            for each in self.lists.get(parent, []):
                if each["metadata"]["name"] == name:
                    return _answer(each)
            raise NotServed("not served", where=path)
        kind = "PodList" if path.endswith("pods") else "List"
        return _answer({"apiVersion": "v1", "kind": kind, "metadata": {}, "items": self.lists[path]})

    def send(
        self,
        method: str,
        path: str,
        *,
        body: bytes | None = None,
        content_type: str = "application/json",
        query: Mapping[str, str] | None = None,
        timeout: float | None = None,
        cancellation: Cancellation | None = None,
    ) -> Response:
        if path in self.refuse:
            raise self.refuse[path]
        if method == "GET":
            return self.get(path)
        assert (method, content_type) == ("PATCH", "application/merge-patch+json")
        patch = json.loads(body or b"")
        self.written.append((path, patch))
        collection, name, sub_resource = path.rsplit("/", 2)
        assert sub_resource == "status"
        held = self.lists[collection]
        for at, each in enumerate(held):
            if each["metadata"]["name"] == name:
                if (wanted := patch.get("metadata", {}).get("resourceVersion", None)) not in (None, _version(each)):
                    raise Conflict("the object has been modified", where=f"{path} {wanted}")
                held[at] = {**each, "status": merged(each.get("status"), patch["status"])}
                return _answer(held[at])
        raise NotServed("no such object", where=path)


def _version(each: Mapping[str, Any]) -> Any:
    return each["metadata"].get("resourceVersion")


def _answer(value: Any) -> Response:
    return Response(status=200, headers={}, body=json.dumps(value).encode())


def condition(status: Mapping[str, Any], kind: str) -> tuple[str, str]:
    found = next(each for each in status["conditions"] if each["type"] == kind)
    return found["status"], found["reason"]
