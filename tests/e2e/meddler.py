"""A TLS proxy before the API server that passes requests on, and meddles with some of the answers."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self
from urllib.parse import urlencode

from tests.kube.apiserver import ApiServer, Authority, Reply, Request, status
from tests.replacing import replace
from tests.testbed.client import Client
from tests.testbed.controlplane import ControlPlane

ALWAYS = 1_000_000


@dataclass(kw_only=True)
class Fault:
    """What happens to the answers about `plural`, `times` times, after `after` have passed unharmed.

    `page`: only the first page of a list, or only later ones.
    """

    harm: Callable[[Reply], Reply]
    plural: str = "pods"
    page: str | None = None
    after: int = 0
    times: int = 1

    def concerns(self, request: Request) -> bool:
        """Whether this request is to be harmed; counts it."""
        page = "later" if "continue" in request.query else "first"
        if request.path.rpartition("/")[2] != self.plural or self.page not in (None, page):
            return False
        if self.after > 0:
            self.after -= 1
            return False
        self.times -= 1
        return self.times >= 0


def refuse(code: int, message: str = "meddled", **headers: str) -> Callable[[Reply], Reply]:
    """Another status instead, such as 429 with Retry_After."""
    return lambda _: status(code, message, **headers)


def cut_short(reply: Reply) -> Reply:
    """Half of the body, less than announced, then the connection ends."""
    return replace(reply, cut=len(reply.body) // 2)


def end_early(reply: Reply) -> Reply:
    """Half of the body as if that were all of it, as a proxy with a limit does: HTTP itself sees nothing wrong."""
    return replace(reply, body=reply.body[: len(reply.body) // 2])


@dataclass
class Hang:
    """Answers nothing until the test is over; `reached` tells that a request hangs."""

    reached: threading.Event = field(default_factory=threading.Event)
    released: threading.Event = field(default_factory=threading.Event)

    def __call__(self, reply: Reply) -> Reply:
        def wait() -> None:
            self.reached.set()
            self.released.wait(60)

        return replace(reply, before=wait)


class Meddler:
    """The proxy, while the `with` block lasts. `kubeconfig` leads to it, with the administrator's credentials."""

    def __init__(self, plane: ControlPlane, authority: Authority, faults: Sequence[Fault] = ()) -> None:
        self._faults = list(faults)
        self._lock = threading.Lock()
        self._upstream = Client(plane.server, plane.ca, plane.admin_token)
        self._server = ApiServer(self._answer, authority=authority)
        self._plane = plane
        self._authority = authority

    @property
    def kubeconfig(self) -> Path:
        return self._plane.kubeconfig_for(server=self._server.url, ca=self._authority.pem)

    @property
    def asked(self) -> list[str]:
        """The paths that were asked for, in order, without queries."""
        return [request.path for request in self._server.requests]

    def __enter__(self) -> Self:
        self._server.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        for fault in self._faults:
            if isinstance(fault.harm, Hang):
                fault.harm.released.set()
        self._server.__exit__()
        self._upstream.close()

    def _answer(self, request: Request) -> Reply:
        query = f"?{urlencode(request.query)}" if request.query else ""
        code, body = self._upstream.raw("GET", request.path + query)
        reply = Reply(status=code, body=body)
        with self._lock:
            harms = [fault.harm for fault in self._faults if fault.concerns(request)]
        for harm in harms:
            reply = harm(reply)
        return reply


Meddled = Callable[..., Meddler]
"""What the fixture `meddled` is: the faults of a proxy as arguments."""
