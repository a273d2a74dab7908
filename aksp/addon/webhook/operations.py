"""The application without TLS, for those who watch."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable

from aksp.addon.webhook.asgi import Health, Receive, Scope, Send, respond, send_failure


class Operations:
    """The application without TLS, for those who watch: /metrics, /healthz, /readyz.

    ``metrics`` gives content type and text. They name assignments and count what they found, so only this host reads
    them, unless ``everybody`` may.
    """

    def __init__(self, metrics: Callable[[], tuple[str, bytes]], *, health: Health, everybody: bool = False) -> None:
        self._metrics = metrics
        self._health = health
        self._everybody = everybody

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if await self._health.answer(scope, send):
            return
        if scope["path"] != "/metrics":
            await send_failure(send, 404, "there is nothing but /metrics, /healthz and /readyz")
        elif scope["method"] not in ("GET", "HEAD"):
            await send_failure(send, 405, "only GET", extra=((b"allow", b"GET, HEAD"),))
        elif not (self._everybody or _of_this_host(scope)):
            await send_failure(send, 403, "/metrics is for this host only, unless --open-metrics is given")
        else:
            content, text = self._metrics()
            await respond(send, 200, text, content.encode("latin-1"))


def _of_this_host(scope: Scope) -> bool:
    """Whether the other end is a loopback address; one of IPv4 may come mapped into IPv6."""
    client = scope.get("client")
    try:
        address = ipaddress.ip_address(client[0]) if client else None
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return bool(address and (mapped or address).is_loopback)
