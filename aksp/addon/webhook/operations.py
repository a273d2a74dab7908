"""The application without TLS, for those who watch."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable

from aksp.addon.webhook.application import Health, answer_failure
from aksp.addon.webhook.protocol import Exchange


class Operations:
    """The application without TLS, for those who watch: /metrics, /healthz, /readyz.

    ``metrics`` gives content type and text. They name assignments and count what they found, so only this host reads
    them, unless ``everybody`` may.
    """

    def __init__(self, metrics: Callable[[], tuple[str, bytes]], *, health: Health, everybody: bool = False) -> None:
        self._metrics = metrics
        self._health = health
        self._everybody = everybody

    def __call__(self, exchange: Exchange) -> None:
        if self._health.answer(exchange):
            return
        if exchange.path != "/metrics":
            answer_failure(exchange, 404, "there is nothing but /metrics, /healthz and /readyz")
        elif exchange.method not in (b"GET", b"HEAD"):
            answer_failure(exchange, 405, "only GET", b"allow: GET, HEAD\r\n")
        elif not (self._everybody or _of_this_host(exchange.client)):
            answer_failure(exchange, 403, "/metrics is for this host only, unless --open-metrics is given")
        else:
            content, text = self._metrics()
            exchange.answer(200, text, content.encode("latin-1"))


def _of_this_host(client: str | None) -> bool:
    """Whether the other end is a loopback address; one of IPv4 may come mapped into IPv6."""
    try:
        address = ipaddress.ip_address(client or "")
    except ValueError:
        return False
    return address.is_loopback or bool((mapped := getattr(address, "ipv4_mapped", None)) and mapped.is_loopback)
