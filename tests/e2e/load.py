"""Load on the add-on: reviews straight to its webhook over TLS, and creates through the API server, in threads."""

from __future__ import annotations

import http.client
import json
import ssl
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

from tests.e2e.objects import FOREIGN, Object, pod

PATH = "/v1/admit?timeout=3s"


def review(one: Object | None = None, *, operation: str = "CREATE", old: Object | None = None, **request: Any) -> bytes:
    """An AdmissionReview of a Pod as the API server sends it; a forbidden one in namespace `load` when none is given."""
    one = one or pod("asked", "load", FOREIGN)
    document = {
        "apiVersion": "admission.k8s.io/v1",
        "kind": "AdmissionReview",
        "request": {
            "uid": "705ab4f5-6393-11e8-b7cc-42010a800002",
            "kind": {"group": "", "version": "v1", "kind": "Pod"},
            "resource": {"group": "", "version": "v1", "resource": "pods"},
            "name": one["metadata"]["name"],
            "namespace": one["metadata"]["namespace"],
            "operation": operation,
            "userInfo": {"username": "load"},
            "object": one,
            "oldObject": old,
            # A refusal of a rehearsal is told and not remembered.
            "dryRun": True,
            **request,
        },
    }
    return json.dumps(document).encode()


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """One request: when it began and ended by the monotonic clock, and its answer or why there is none.

    ``sent``: whether the request was out, so that an answer was owed.
    """

    began: float
    ended: float
    status: int | None = None
    body: bytes = b""
    error: Exception | None = None
    sent: bool = True

    @property
    def seconds(self) -> float:
        return self.ended - self.began

    @property
    def response(self) -> Mapping[str, Any]:
        """What the review says."""
        assert self.status == 200, (self.status, self.body, self.error)
        found = json.loads(self.body)["response"]
        assert isinstance(found, dict)
        return found

    @property
    def refused(self) -> str | None:
        """The message of a refusal; None when the review allows."""
        response = self.response
        return None if response["allowed"] else str(response["status"]["message"])


class Caller:
    """A client of one replica's webhook; keeps its connection, unless told that each request is to have its own."""

    def __init__(self, port: int, trust: ssl.SSLContext, *, keep: bool = True, timeout: float = 10.0) -> None:
        self._port = port
        self._trust = trust
        self._keep = keep
        self._timeout = timeout
        self._connection: http.client.HTTPSConnection | None = None
        self.serials: list[str] = []
        """The serial number of the certificate of each connection, in order."""

    def post(self, body: bytes) -> Outcome:
        """Post a review; whatever happens is an outcome."""
        return self.ask("POST", PATH, body, {"Content-Type": "application/json"})

    def ask(
        self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> Outcome:
        """Any request, with the headers given and no others but Host and Content-Length."""
        began = time.monotonic()
        sent = False
        try:
            connection = self._connected()
            connection.request(method, path, body, dict(headers or {}))
            sent = True
            answer = connection.getresponse()
            found = answer.read()
            if not self._keep or answer.will_close:
                self.close()
            return Outcome(began=began, ended=time.monotonic(), status=answer.status, body=found)
        except (OSError, http.client.HTTPException) as error:
            self.close()
            return Outcome(began=began, ended=time.monotonic(), error=error, sent=sent)

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
        self._connection = None

    def _connected(self) -> http.client.HTTPSConnection:
        if self._connection is None:
            made = http.client.HTTPSConnection("127.0.0.1", self._port, timeout=self._timeout, context=self._trust)
            try:
                made.connect()
            except BaseException:
                made.close()
                raise
            self.serials.append(str((made.sock.getpeercert() or {})["serialNumber"]))
            self._connection = made
        return self._connection


@dataclass
class Load:
    """Calls functions again and again, each in a thread of its own, with a pause; `outcomes` are what they gave."""

    calls: list[Callable[[], Outcome]]
    pause: float = 0.01
    outcomes: list[Outcome] = field(default_factory=list)

    def __enter__(self) -> Self:
        self._stopping = threading.Event()
        self._threads = [threading.Thread(target=self._run, args=(call,), daemon=True) for call in self.calls]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopping.set()
        for thread in self._threads:
            thread.join(30)
            assert not thread.is_alive()

    def _run(self, call: Callable[[], Outcome]) -> None:
        while not self._stopping.is_set():
            self.outcomes.append(call())
            self._stopping.wait(self.pause)
