"""What a request to the API server may meet, as exceptions that say what to do next.

::

    ClusterError
    ├── BadRequest      400, e.g. a selector that does not parse; an unknown field that is applied
    ├── Unauthorized    401, also after the credentials were loaded again
    ├── Forbidden       403, RBAC (aksp.errors)
    ├── NotServed       404, this cluster does not know the kind, the path or the object
    ├── Conflict        409, the object has changed since it was read
    │   └── AlreadyExists    it is there already
    ├── Expired         410, a continue token or a watch is too old: the list must start again
    ├── Invalid         422, the object is not valid
    ├── Unreachable     no connection: refused, no such host, TLS, no answer in time
    └── ServerError     connected, but 429, 5xx, a broken connection or a truncated answer

No message holds a credential: they are made of addresses, paths, the API server's own Status and the reasons of the
operating system and of TLS.
"""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Mapping

from aksp.errors import AkspError, ClusterError, Forbidden
from aksp.model.fields import mapping

ERROR_TRIES = 5
"""Attempts in all when the server answers 429, 5xx or something broken."""
SILENT_TRIES = 2
"""Attempts in all when an answer does not come in time: each costs the read time-out."""
REFUSED_TRIES = 3
"""Attempts in all when no connection can be made: an API server that restarts is back soon, a wrong address never."""
MAX_MESSAGE = 500
"""Longest message of a server that is quoted, in characters."""
MAX_CAUSES = 10
"""How many causes of an invalid object are quoted; the message says how many more there are."""
NOT_IN_SCHEMA = "failed to create typed patch object"
"""How server-side apply says, with status 500, that a field is unknown or of another type: trying again is no use."""
VERBS = {"GET": "list", "WATCH": "watch", "POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}
"""HTTP method → the verb of RBAC; WATCH stands for a GET that goes on."""

CHOOSE = "choose another cluster with --context or --cluster"


class BadRequest(ClusterError):
    """The API server does not understand the request (HTTP 400)."""


class Unauthorized(ClusterError):
    """The API server does not accept the credentials (HTTP 401)."""


class NotServed(ClusterError):
    """The cluster does not serve this kind or path, or has no such object (HTTP 404)."""


class Conflict(ClusterError):
    """The object is no longer what it was when it was read (HTTP 409)."""


class AlreadyExists(Conflict):
    """An object of that name is there already (HTTP 409)."""


class Invalid(ClusterError):
    """The object is understood but not valid (HTTP 422): the message has "field: message" of each cause."""


class Expired(ClusterError):
    """The list or the watch cannot go on from where it was (HTTP 410): the list must start again."""


class Unreachable(ClusterError):
    """No connection to the API server. `tries`: how many attempts are worth making in all."""

    def __init__(self, what: str, *, where: str | None = None, hint: str | None = None, tries: int = 1) -> None:
        super().__init__(what, where=where, hint=hint)
        self.tries = tries


class ServerError(ClusterError):
    """The API server was reached but failed this request: a gap where other requests are answered.

    `status` is the HTTP status, None when the answer broke off; `retry_after` the server's wish in seconds; `tries`
    how many attempts are worth making in all.
    """

    def __init__(
        self,
        what: str,
        *,
        where: str | None = None,
        hint: str | None = None,
        status: int | None = None,
        retry_after: float | None = None,
        tries: int = ERROR_TRIES,
    ) -> None:
        super().__init__(what, where=where, hint=hint)
        self.status = status
        self.retry_after = retry_after
        self.tries = tries


def refusal(status: int, headers: Mapping[str, str], body: bytes, *, where: str, method: str = "GET") -> ClusterError:
    """The exception for an answer that is not 2xx. `headers` are looked up without regard to case (HTTPHeaderDict).

    `method`: see VERBS.
    """
    told = _status(body)
    message = status_message(body)
    said = f": {message}" if message else ""
    if status == 500 and NOT_IN_SCHEMA in message:
        return BadRequest(
            f"the object does not fit its kind's schema: {message}",
            where=where,
            hint="correct or remove that field; `kubectl explain` lists those there are, and an older"
            " CustomResourceDefinition may not have it yet",
        )
    if status == 400:
        return BadRequest(f"the API server does not understand the request (400){said}", where=where)
    if status == 401:
        return Unauthorized(
            f"the API server does not accept the credentials (401){said}",
            where=where,
            hint="the token has expired, or is another cluster's: log in again (e.g. `az aks get-credentials`)"
            " and check with `kubectl auth whoami`",
        )
    if status == 403:
        return Forbidden(
            message or "the API server refused the request (403)",
            where=where,
            hint=f"ask for the right to {VERBS.get(method, 'change')} it;"
            " `kubectl auth can-i --list` shows those you have",
        )
    if status == 404 and mapping(told.get("details")).get("name"):
        # An object of a kind that is served: the one asked for, or the namespace to be written into.
        return NotServed(
            f"there is no such object (404){said}", where=where, hint="is the name right, and the namespace?"
        )
    if status == 404:
        return NotServed(
            f"this cluster does not serve it (404){said}",
            where=where,
            hint="is the kind installed? see `kubectl api-resources`",
        )
    if status == 409 and told.get("reason") == "AlreadyExists":
        return AlreadyExists(f"it is there already (409){said}", where=where, hint="change it instead of creating it")
    if status == 409:
        return Conflict(
            f"somebody else has changed it meanwhile (409){said}",
            where=where,
            hint="read it again and make the change anew",
        )
    if status == 422:
        return _invalid(mapping(told.get("details")), message, where)
    if status == 410:
        return Expired(f"the list has changed too much to go on (410){said}", where=where, hint="start it again")
    if status == 429 or status >= 500:
        wish = _retry_after(headers.get("Retry-After"))
        busy = "is too busy (429)" if status == 429 else f"failed ({status})"
        return ServerError(
            f"the API server {busy}{said}",
            where=where,
            hint="try again later; `kubectl get --raw /readyz?verbose` tells how the API server is",
            status=status,
            retry_after=wish,
        )
    if 300 <= status < 400:
        return ClusterError(
            f"the server redirects ({status}): it is not a Kubernetes API server, or wants a login in a browser",
            where=where,
            hint="check `server` of the cluster in the kubeconfig",
        )
    return ClusterError(f"the API server refused the request ({status}){said}", where=where)


def broken(error: Exception, *, server: str, where: str, connect_seconds: float, read_seconds: float) -> ClusterError:
    """The exception for a request that got no (whole) answer: `error` as urllib3 raised it."""
    from urllib3 import exceptions

    if isinstance(error, exceptions.ProxyError):
        cause = _reason(error.original_error)
        return Unreachable(
            f"the proxy for {server} cannot be reached: {cause}",
            hint="check proxy-url in the kubeconfig, HTTPS_PROXY and NO_PROXY",
            tries=REFUSED_TRIES,
        )
    if isinstance(error, exceptions.NameResolutionError):
        return Unreachable(
            f"the host name of {server} cannot be resolved",
            hint=f"is the network (VPN, private cluster) there, and the cluster not deleted? {CHOOSE}",
            tries=REFUSED_TRIES,
        )
    if isinstance(error, exceptions.NewConnectionError):
        cause = _reason(error.__cause__)
        refused = getattr(error.__cause__, "errno", None) == errno.ECONNREFUSED
        return Unreachable(
            f"connection to {server} refused" if refused else f"no connection to {server}: {cause}",
            hint=f"is the cluster up? {CHOOSE}",
            tries=REFUSED_TRIES,
        )
    if isinstance(error, exceptions.ConnectTimeoutError):
        # No second attempt: the operating system has repeated the SYN meanwhile.
        return Unreachable(
            f"no connection to {server} within {connect_seconds:g} s",
            hint=f"is the cluster up, and not behind a VPN or a firewall? {CHOOSE}",
        )
    if isinstance(error, exceptions.SSLError) and not _cut_off(error):
        return _tls(error, server)
    if isinstance(error, exceptions.ReadTimeoutError):
        return ServerError(
            f"no answer within {read_seconds:g} s",
            where=where,
            hint="the API server is too busy or hangs; smaller pages (--chunk-size) may help",
            tries=SILENT_TRIES,
        )
    if isinstance(error, exceptions.LocationValueError):
        return Unreachable(f"{server} is no usable address", hint="check `server` of the cluster in the kubeconfig")
    return ServerError(
        f"the answer broke off: {_reason(error)}",
        where=where,
        hint="the API server or a proxy before it closes connections; try again later",
    )


def bug(what: str, error: Exception, *, where: str) -> ClusterError:
    """The exception for what should not have been raised: by a callback, or by ourselves."""
    said = str(error) if isinstance(error, AkspError) else f"{type(error).__name__}: {error}"
    failure = ClusterError(f"{what}: {said}", where=where, hint="this is a bug, please report it")
    failure.__cause__ = error
    return failure


def truncated(*, where: str, size: int) -> ServerError:
    """The exception for a body that ends in the middle. `size` in bytes."""
    return ServerError(
        f"the answer is cut off after {size} bytes",
        where=where,
        hint="a proxy before the API server may limit the size of answers; smaller pages (--chunk-size) may help",
    )


def silent(*, where: str, seconds: float) -> ServerError:
    """The exception for a stream on which nothing has come for so long that the server must be gone."""
    return ServerError(
        f"nothing came for {seconds:g} s: the connection is dead",
        where=where,
        hint="a firewall or a NAT between may have forgotten the connection",
        tries=SILENT_TRIES,
    )


def _invalid(details: Mapping[str, object], message: str, where: str) -> Invalid:
    listed = details.get("causes")
    causes = [
        ": ".join(str(part) for part in (each.get("field"), each.get("message")) if part)
        for each in (listed if isinstance(listed, list) else ())
        if isinstance(each, dict)
    ]
    what = message
    if causes:
        shown = [each if len(each) <= MAX_MESSAGE else each[:MAX_MESSAGE] + "…" for each in causes[:MAX_CAUSES]]
        more = f"; and {len(causes) - MAX_CAUSES} more" if len(causes) > MAX_CAUSES else ""
        name = " ".join(str(part) for part in (details.get("kind"), details.get("name")) if part)
        what = f"{name}: {'; '.join(shown)}{more}" if name else "; ".join(shown) + more
    return Invalid(
        f"the API server finds the object not valid (422): {what}",
        where=where,
        hint="correct these fields; `kubectl explain` describes them",
    )


def _status(body: bytes) -> Mapping[str, object]:
    """The Kubernetes Status, else nothing."""
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return mapping(document)


def status_message(body: bytes) -> str:
    """The `message` of a Kubernetes Status, else the start of a text (not of a HTML page), else ""."""
    text = body[: 64 * 1024].decode("utf-8", "replace").strip()
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        document = None if text.startswith(("<", "{", "[")) else text
    message = document.get("message", "") if isinstance(document, dict) else document
    if not isinstance(message, str):
        return ""
    line = " ".join(message.split())
    return line if len(line) <= MAX_MESSAGE else line[:MAX_MESSAGE] + "…"


def _retry_after(value: str | None) -> float | None:
    from urllib3.exceptions import InvalidHeader
    from urllib3.util import Retry

    try:
        return Retry().parse_retry_after(value) if value else None
    except InvalidHeader:
        return None


def _cut_off(error: Exception) -> bool:
    """Whether TLS only says that the connection ended: then it is a broken connection, not a refusal."""
    import ssl

    cause = error.args[0] if error.args else None
    return isinstance(cause, ssl.SSLEOFError | ssl.SSLZeroReturnError)


def _tls(error: Exception, server: str) -> Unreachable:
    import ssl

    cause = error.args[0] if error.args else error
    if isinstance(cause, ssl.SSLCertVerificationError):
        return Unreachable(
            f"the certificate of {server} cannot be trusted: {cause.verify_message}",
            hint="the kubeconfig has another cluster's certificate-authority, or something between answers instead of"
            " the API server: get the credentials anew (e.g. `az aks get-credentials`)",
        )
    reason = getattr(cause, "reason", None) or str(cause)
    text = str(reason).replace("_", " ").lower()
    if "wrong version number" in text or "record layer" in text:
        return Unreachable(f"{server} does not speak TLS", hint="check `server` of the cluster in the kubeconfig")
    return Unreachable(
        f"no TLS connection to {server}: {text}",
        hint="check certificate-authority, client-certificate and client-key in the kubeconfig",
    )


def _reason(error: BaseException | None) -> str:
    """A short text: what the operating system calls it, without addresses of Python objects."""
    import ssl

    inner = error
    while inner is not None and not isinstance(inner, OSError):
        inner = inner.__cause__ or inner.__context__
    if isinstance(inner, OSError) and inner.errno and not isinstance(inner, ssl.SSLError):
        return os.strerror(inner.errno) if inner.errno > 0 else str(inner.strerror)
    names = {"IncompleteRead": "fewer bytes came than announced", "InvalidChunkLength": "a chunk is missing"}
    for link in (inner, error, *(error.args if error else ())):
        if type(link).__name__ in names:
            return names[type(link).__name__]
    if error is not None and len(error.args) > 1 and isinstance(error.args[1], Exception):
        return " ".join(str(error.args[1]).split())[:MAX_MESSAGE]
    return " ".join(str(error).split())[:MAX_MESSAGE]
