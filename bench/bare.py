"""The least that an answer costs: `python bench/bare.py PORT FOLDER` gives every request the same one, unread.

httptools, TLS and the event loop of the add-on, with the certificate in FOLDER, and nothing else: no limits, no review. What
a webhook in Python answers on the same machine can come near this, and not pass it.
"""

from __future__ import annotations

import asyncio
import ssl
import sys
from pathlib import Path
from typing import Any

import httptools

from aksp.addon.webhook.certificates import Pair
from aksp.addon.webhook.server import loop_factory
from aksp.addon.webhook.tls import server_context

_BODY = b'{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","response":{"uid":"0","allowed":true}}'
_ANSWER = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%s" % (len(_BODY), _BODY)


class Bare(asyncio.Protocol):
    """One connection."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: Any = transport
        self._parser = httptools.HttpRequestParser(self)

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_message_complete(self) -> None:
        self._transport.write(_ANSWER)


async def main(port: int, folder: Path) -> None:
    """Answer for ever."""
    pair = Pair(certificate=(folder / "tls.crt").read_bytes(), key=(folder / "tls.key").read_bytes())
    context: ssl.SSLContext = server_context(pair)
    server = await asyncio.get_running_loop().create_server(Bare, "127.0.0.1", port, ssl=context)
    await server.serve_forever()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        runner.run(main(int(sys.argv[1]), Path(sys.argv[2])))
