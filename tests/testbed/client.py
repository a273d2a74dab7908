"""A small JSON client for the API server, on the standard library alone, so that it shares no bug with the product."""

import http.client
import json
import ssl
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

JSON = "application/json"
APPLY = "application/apply-patch+yaml"
MERGE = "application/merge-patch+json"

Object = dict[str, Any]


class ApiError(Exception):
    """The API server refused. `status` is the HTTP status, `body` the Status object or the text."""

    def __init__(self, method: str, path: str, status: int, body: Any) -> None:
        message = body.get("message", body) if isinstance(body, dict) else body
        super().__init__(f"{method} {path}: {status} {message}")
        self.status = status
        self.body = body


class Client:
    """Speaks to one API server with one bearer token. Safe to use from several threads: each has its connection."""

    def __init__(self, server: str, ca: bytes, token: str, timeout: float = 60.0) -> None:
        self.server = server
        self._token = token
        self._timeout = timeout
        self._tls = ssl.create_default_context(cadata=ca.decode())
        self._local = threading.local()
        self._open: list[http.client.HTTPSConnection] = []
        self._kinds: dict[tuple[str, str], Object] = {}

    def request(self, method: str, path: str, body: Any = None, content_type: str = JSON) -> Any:
        """The decoded answer; raises ApiError from status 400 upwards, OSError when the server is not there."""
        status, raw = self.raw(method, path, None if body is None else json.dumps(body).encode(), content_type)
        answer = _decoded(raw)
        if status >= 400:
            raise ApiError(method, path, status, answer)
        return answer

    def raw(self, method: str, path: str, body: bytes | None = None, content_type: str = JSON) -> tuple[int, bytes]:
        """Status and body as they are. A connection that the server closed meanwhile is opened again once."""
        headers = {"Authorization": f"Bearer {self._token}", "Accept": JSON}
        if body is not None:
            headers["Content-Type"] = content_type
        if getattr(self._local, "connection", None) is not None:
            with suppress(http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError, ssl.SSLEOFError):
                return self._exchange(method, path, body, headers)
        return self._exchange(method, path, body, headers)

    def serves(self, path: str) -> bool:
        """Whether a GET succeeds. Of a kind that has just been installed it does not for a while (404, then 429)."""
        return self.raw("GET", path)[0] == 200

    def close(self) -> None:
        """Closes all connections, those of other threads too; the next request opens a new one."""
        self._local = threading.local()
        while self._open:
            self._open.pop().close()

    def apply(self, objects: Sequence[Mapping[str, Any]]) -> list[Object]:
        """Creates or updates objects in the given order by server-side apply; those with generateName are created."""
        return [self._apply(dict(item)) for item in objects]

    def _apply(self, item: Object) -> Object:
        metadata = item["metadata"]
        collection = self.collection(item["apiVersion"], item["kind"], metadata.get("namespace"))
        if "name" in metadata:
            query = urlencode({"fieldManager": "testbed", "force": "true"})
            answer = self.request("PATCH", f"{collection}/{quote(metadata['name'])}?{query}", item, APPLY)
        else:
            answer = self.request("POST", collection, item)
        assert isinstance(answer, dict)
        return answer

    def collection(self, api_version: str, kind: str, namespace: str | None = None) -> str:
        """The path of a kind's collection, by discovery; a namespaced kind without namespace is in `default`."""
        resource = self._kinds.get((api_version, kind)) or self._discover(api_version, kind)
        root = _root(api_version)
        if not resource["namespaced"]:
            return f"{root}/{resource['name']}"
        return f"{root}/namespaces/{namespace or 'default'}/{resource['name']}"

    def _discover(self, api_version: str, kind: str) -> Object:
        for resource in self.request("GET", _root(api_version))["resources"]:
            if "/" not in resource["name"]:
                self._kinds[api_version, resource["kind"]] = resource
        try:
            return self._kinds[api_version, kind]
        except KeyError:
            raise LookupError(f"the API server knows no kind {kind} in {api_version}") from None

    def _exchange(self, method: str, path: str, body: bytes | None, headers: Mapping[str, str]) -> tuple[int, bytes]:
        connection = self._connection()
        try:
            connection.request(method, path, body, dict(headers))
            response = connection.getresponse()
            return response.status, response.read()
        except BaseException:
            self._local.connection = None
            connection.close()
            raise

    def _connection(self) -> http.client.HTTPSConnection:
        connection: http.client.HTTPSConnection | None = getattr(self._local, "connection", None)
        if connection is None:
            address = urlsplit(self.server)
            assert address.hostname is not None
            connection = http.client.HTTPSConnection(
                address.hostname, address.port, timeout=self._timeout, context=self._tls
            )
            self._local.connection = connection
            self._open.append(connection)
        return connection


def _root(api_version: str) -> str:
    return f"/apis/{api_version}" if "/" in api_version else f"/api/{api_version}"


def _decoded(raw: bytes) -> Any:
    try:
        return json.loads(raw)
    except ValueError:
        return raw.decode(errors="replace")
