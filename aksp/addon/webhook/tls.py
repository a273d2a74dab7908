"""The TLS context that the webhook serves with, kept up to date from where its certificate comes from."""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

from msgspec import Struct

from aksp.addon.webhook import certificates
from aksp.addon.webhook.certificates import Pair
from aksp.errors import AkspError, InvalidInput
from aksp.kube.plain import as_file

_LOG = logging.getLogger("aksp.addon.webhook.tls")
_CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20"
"""For TLS 1.2: forward secrecy and authenticated encryption. TLS 1.3 has nothing else."""


class Material(Struct, frozen=True, kw_only=True):
    """What a source has now. ``bundle``: the CAs to be trusted, PEM; empty when the source does not know them."""

    serving: Pair
    bundle: bytes


class Source(Protocol):
    """Where certificates come from. ``interval``: seconds between two looks."""

    interval: float

    def look(self, now: datetime) -> Material:
        """What is there now; it may wait for files or the cluster. Raises AkspError when nothing can be served."""

    def published(self, bundle: bytes, now: datetime) -> None:
        """The API server has been given ``bundle`` as the CAs to trust."""


def server_context(pair: Pair, client_ca: bytes = b"") -> ssl.SSLContext:
    """TLS 1.2 or later, HTTP/1.1. With CAs (PEM) only clients with a certificate of theirs get in.

    Raises InvalidInput when OpenSSL does not take the certificates.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION
    context.set_ciphers(_CIPHERS)
    context.set_alpn_protocols(["http/1.1"])
    # The API server keeps connections and remembers no sessions: session tickets would never be used.
    context.num_tickets = 0
    if client_ca:
        trust_clients(context, client_ca)
    try:
        with as_file(pair.key.strip() + b"\n" + pair.certificate) as path:
            # A password is given so that OpenSSL never asks for one on a terminal.
            context.load_cert_chain(path, password="")
    except (ssl.SSLError, OSError) as error:
        raise InvalidInput(f"the certificate cannot be used: {error}") from error
    return context


def trust_clients(context: ssl.SSLContext, client_ca: bytes) -> None:
    """Let only those in who have a certificate of these CAs (PEM). Raises InvalidInput when there is none in it."""
    try:
        context.load_verify_locations(cadata=client_ca.decode("ascii"))
    except (ssl.SSLError, ValueError) as error:
        raise InvalidInput(
            f"the CA of the API server's certificate cannot be used: {error}", hint="expected certificates as PEM"
        ) from error
    context.verify_mode = ssl.CERT_REQUIRED


def client_names(certificate: Mapping[str, Any]) -> frozenset[str]:
    """The common names and DNS names of a certificate that was verified, in the form of `ssl.SSLSocket.getpeercert`."""
    common = {value for part in certificate.get("subject", ()) for key, value in part if key == "commonName"}
    return frozenset(common | {value for kind, value in certificate.get("subjectAltName", ()) if kind == "DNS"})


class Served:
    """The certificate that is served: `context` for the next connection; what is open goes on with its own.

    ``client_ca``: a file with the CAs of those who may ask, read again at each look; None: whoever reaches us may.
    """

    def __init__(self, source: Source, client_ca: Path | None = None) -> None:
        self._source = source
        self._client_ca = client_ca
        self._trusted = b""
        self._context: ssl.SSLContext | None = None
        self._material: Material | None = None
        self.expires: datetime | None = None

    @property
    def bundle(self) -> bytes:
        return self._material.bundle if self._material else b""

    def context(self) -> ssl.SSLContext:
        assert self._context is not None, "refresh first"
        return self._context

    def refresh(self, now: datetime) -> bool:
        """Look at the source; whether certificate or bundle differ from before. Blocks; may be called in any thread.

        Raises AkspError when there is nothing good: then what was served stays.
        """
        trusted = self._read_client_ca()
        material = self._source.look(now)
        if material == self._material and trusted == self._trusted:
            return False
        if self._material is None or material.serving != self._material.serving or trusted != self._trusted:
            certificates.check(material.serving, now)
            self._context = server_context(material.serving, trusted)
            self._trusted = trusted
            self.expires = certificates.expires_at(material.serving.certificate)
            _LOG.info("serving a certificate that expires %s", self.expires.isoformat())
        self._material = material
        return True

    def _read_client_ca(self) -> bytes:
        if self._client_ca is None:
            return b""
        try:
            found = self._client_ca.read_bytes()
        except OSError as error:
            raise InvalidInput(
                f"cannot read the CA of the API server's certificate: {error.strerror}", where=str(self._client_ca)
            ) from error
        if not found.strip():
            # Without a CA every client would be accepted.
            raise InvalidInput("the CA of the API server's certificate is empty", where=str(self._client_ca))
        return found

    def published(self, bundle: bytes, now: datetime) -> None:
        """Tell the source that the API server trusts ``bundle``; also when it has done so already."""
        self._source.published(bundle, now)

    async def keep(
        self, changed: Callable[[], object], *, clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        """Refresh at the source's interval, for ever. ``changed`` is called after a change; what fails is logged."""
        while True:
            await asyncio.sleep(self._source.interval)
            try:
                if await asyncio.to_thread(self.refresh, clock()):
                    changed()
            except AkspError as error:
                _LOG.warning("the certificate could not be renewed: %s", error)
