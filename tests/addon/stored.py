"""A stand-in for a cluster's objects: what is applied is there, by path, until it is deleted."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, cast

from aksp.kube import errors
from aksp.kube.connection import Connection, Response

#: Where a kind's objects are not, but its group is: what discovery answers.
API = "/apis/policy.aksp.io/v1alpha1"
REPORTS = {API: [("ComplianceReport", "compliancereports")]}
POLICY_REPORTS = {
    "/apis/wgpolicyk8s.io/v1alpha2": [
        ("PolicyReport", "policyreports"),
        ("ClusterPolicyReport", "clusterpolicyreports"),
    ]
}
OPEN_REPORTS = {"/apis/openreports.io/v1alpha1": [("Report", "reports"), ("ClusterReport", "clusterreports")]}


class Stored:
    """Serves groups, lists, objects, server-side apply and delete. ``refused`` maps a part of a path to a status."""

    server = "https://cluster"
    name = "here"

    def __init__(self, *served: Mapping[str, list[tuple[str, str]]]) -> None:
        self.served = {path: kinds for each in served for path, kinds in each.items()}
        self.objects: dict[str, dict[str, Any]] = {}
        self.writes: list[tuple[str, str]] = []
        self.refused: dict[str, int] = {}

    @property
    def connection(self) -> Connection:
        return cast(Connection, self)

    def get(self, path: str, *, query: Mapping[str, str] | None = None, cancellation: object = None) -> Response:
        self._admit(path)
        if path == "/api":
            return self._answer({})
        if path in self.served:
            kinds = self.served[path]
            return self._answer({"resources": [{"kind": kind, "name": plural} for kind, plural in kinds]})
        if path in self.objects:
            return self._answer(self.objects[path])
        plural = path.rpartition("/")[2]
        if any(plural == each for kinds in self.served.values() for _, each in kinds):
            assert query is not None and query["labelSelector"] == "app.kubernetes.io/managed-by=aksp"
            group = path.rpartition("/")[0]
            items = [
                one
                for at, one in self.objects.items()
                if at.startswith(group + "/") and at.split("/")[-2] == plural
                if one["metadata"].get("labels", {}).get("app.kubernetes.io/managed-by") == "aksp"
            ]
            return self._answer({"kind": "List", "apiVersion": "v1", "metadata": {}, "items": items})
        raise errors.refusal(404, {}, b"not found", where=path)

    def send(
        self,
        method: str,
        path: str,
        *,
        body: bytes | None = None,
        content_type: str = "application/json",
        query: Mapping[str, str] | None = None,
    ) -> Response:
        self._admit(path)
        if method == "DELETE":
            if path not in self.objects:
                raise errors.refusal(404, {}, b"not found", where=path, method=method)
            self.writes.append((method, path))
            del self.objects[path]
            return self._answer({"kind": "Status"})
        assert method == "PATCH" and query is not None and query["fieldManager"] == "aksp-addon" and body is not None
        assert any(path.startswith(group + "/") for group in self.served)
        assert len(body) < 1_400_000
        self.writes.append((method, path))
        document = json.loads(body)
        assert path.endswith("/" + document["metadata"]["name"])
        self.objects[path] = document | {"metadata": document["metadata"] | {"uid": path, "resourceVersion": "1"}}
        return self._answer(self.objects[path])

    def _admit(self, path: str) -> None:
        for part, status in self.refused.items():
            if part in path:
                if not status:
                    raise errors.Unreachable("connection refused")
                raise errors.refusal(status, {}, b'{"message": "may not"}', where=path)

    def _answer(self, document: Mapping[str, Any]) -> Response:
        return Response(status=200, headers={}, body=json.dumps(document).encode())
