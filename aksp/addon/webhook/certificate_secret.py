"""Certificates of our own, in one Secret that all replicas share: made, renewed, and their authority replaced.

``ca.crt``: the authorities, newest first; ``ca.key``: the newest one's; ``tls.crt``, ``tls.key``: what is served.
Any replica that finds something due writes it, with the resource version that it has read: of several one wins, the
others read again. A new authority takes over in steps, so that whoever trusts the last published bundle always trusts
what is served::

    1. the new authority is put in front of the old one, which issues one last serving certificate (90 days)
    2. the bundle of both is published in the webhook configuration, and `published` is told
    3. SETTLE later, when every API server has heard of it, the new one issues the serving certificate
    4. GRACE later, when every replica serves that, the old one is dropped from the bundle
"""

from __future__ import annotations

import base64
import binascii
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Final

from aksp.addon.names import MANAGED_BY, SECRET
from aksp.addon.webhook import certificates
from aksp.addon.webhook.certificates import Pair
from aksp.addon.webhook.tls import Material
from aksp.errors import ClusterError, Forbidden, InvalidInput
from aksp.kube import objects
from aksp.kube.connection import Connection
from aksp.kube.errors import Conflict

SETTLE: Final = timedelta(seconds=30)
"""API servers watch webhook configurations: each knows a new one within a second or so."""
GRACE: Final = timedelta(hours=24)
LAST_DAY: Final = timedelta(days=1)
"""So near its end a certificate is replaced even if the new authority could not be published."""
INTERVAL: Final = 30.0
_TRIES = 5
_ENABLE = "`aksp addon enable` makes the webhook configuration, the Secret, and the right to write it"

_LOG = logging.getLogger("aksp.addon.webhook.certificates")


@dataclass(frozen=True, kw_only=True, slots=True)
class Contents:
    """The Secret's data, as far as it can be used. ``key``: of the first of ``authorities``."""

    authorities: tuple[bytes, ...] = ()
    key: bytes = field(default=b"", repr=False)
    serving: Pair | None = None

    @property
    def authority(self) -> Pair | None:
        return Pair(certificate=self.authorities[0], key=self.key) if self.authorities and self.key else None


@dataclass(frozen=True, kw_only=True, slots=True)
class Published:
    """The bundle that the API server was given last, and since when."""

    authorities: tuple[bytes, ...]
    since: datetime


def usable(data: Mapping[str, bytes], now: datetime) -> Contents:
    """What of the data is good: read, in force, keys that fit, a serving certificate of one of the authorities."""
    try:
        pem = certificates.bundle([data.get("ca.crt", b"")], now)
        authorities = certificates.split(pem)
    except InvalidInput:
        return Contents()
    key = data.get("ca.key", b"")
    if not _good(Pair(certificate=authorities[0], key=key), now):
        key = b""
    serving = Pair(certificate=data.get("tls.crt", b""), key=data.get("tls.key", b""))
    trusted = _good(serving, now) and any(certificates.issued_by(serving.certificate, each) for each in authorities)
    return Contents(authorities=authorities, key=key, serving=serving if trusted else None)


def due(kept: Contents, *, names: Sequence[str], now: datetime, published: Published | None = None) -> Contents | None:
    """What is to be written now; None when there is nothing to write yet. The steps are in the module's docstring."""
    authority, serving = kept.authority, kept.serving
    if authority is None or certificates.needs_renewal(authority.certificate, now):
        fresh = certificates.make_authority(now)
        if authority is not None:
            serving = certificates.issue(authority, names, now)
        elif serving is None:
            serving = certificates.issue(fresh, names, now)
        authorities = (fresh.certificate, *kept.authorities)
        return Contents(authorities=authorities, key=fresh.key, serving=serving)
    if serving is None:
        # Nothing else can be served, whether the authority is published or not.
        return replace(kept, serving=certificates.issue(authority, names, now))
    if certificates.issued_by(serving.certificate, authority.certificate):
        if certificates.needs_renewal(serving.certificate, now, names=names):
            return replace(kept, serving=certificates.issue(authority, names, now))
        if len(kept.authorities) > 1 and now >= certificates.issued_at(serving.certificate) + GRACE:
            return replace(kept, authorities=kept.authorities[:1])
        return None
    settled = (
        published is not None and authority.certificate in published.authorities and now >= published.since + SETTLE
    )
    if settled or now >= certificates.expires_at(serving.certificate) - LAST_DAY:
        return replace(kept, serving=certificates.issue(authority, names, now))
    return None


class CertificateSecret:
    """A source (`tls.Source`). ``names``: what the API server may call us, DNS names and addresses, asked each time.

    `aksp addon enable` makes the Secret; the add-on may read and write this one only.
    """

    def __init__(
        self,
        connection: Connection,
        *,
        namespace: str,
        names: Callable[[], Sequence[str]],
        interval: float = INTERVAL,
    ) -> None:
        self._connection = connection
        self._namespace = namespace
        self._collection = f"/api/v1/namespaces/{namespace}/secrets"
        self._path = f"{self._collection}/{SECRET}"
        self._names = names
        self.interval = interval
        self._published: Published | None = None

    def look(self, now: datetime) -> Material:
        """What the Secret has, after writing what is due.

        Raises ClusterError when it cannot be read, or cannot be written and holds nothing to serve with.
        """
        for _ in range(_TRIES):
            document = objects.get(self._connection, self._path)
            kept = usable(_data(document), now)
            names = self._names()
            if not names and kept.serving is None:
                raise ClusterError("nobody knows by which name the webhook is called", hint=_ENABLE)
            # A certificate needs names. Until they are known again the present one stays.
            wanted = due(kept, names=names, now=now, published=self._published) if names else None
            if wanted is None:
                return _material(kept, now)
            try:
                self._write(document, wanted)
            except Conflict:
                continue
            except ClusterError as error:
                # A store that is full or read-only must not stop what works.
                if kept.serving is None and isinstance(error, Forbidden):
                    raise Forbidden(error.what, where=error.where, hint=_ENABLE) from error
                if kept.serving is None:
                    raise
                _LOG.warning("the certificates cannot be written: %s", error)
                return _material(kept, now)
            _LOG.info("certificates written")
            return _material(wanted, now)
        raise ClusterError("the Secret of the certificates changes again and again", hint="who else writes to it?")

    def published(self, bundle: bytes, now: datetime) -> None:
        """``bundle`` is in the webhook configuration: after a while, what its newest authority issues is trusted."""
        authorities = certificates.split(bundle)
        if self._published is None or self._published.authorities != authorities:
            self._published = Published(authorities=authorities, since=now)

    def _write(self, document: dict[str, Any] | None, wanted: Contents) -> None:
        assert wanted.serving is not None
        plain = {
            "ca.crt": b"".join(wanted.authorities),
            "ca.key": wanted.key,
            "tls.crt": wanted.serving.certificate,
            "tls.key": wanted.serving.key,
        }
        data = {name: base64.b64encode(value).decode() for name, value in plain.items()}
        if document is None:
            metadata = {"name": SECRET, "namespace": self._namespace, "labels": dict(MANAGED_BY)}
            fresh = {"apiVersion": "v1", "kind": "Secret", "type": "Opaque", "metadata": metadata, "data": data}
            objects.create(self._connection, self._collection, fresh)
        else:
            whole = {**document, "data": {**(document.get("data") or {}), **data}}
            objects.replace(self._connection, self._path, whole)


def _material(contents: Contents, now: datetime) -> Material:
    assert contents.serving is not None
    return Material(serving=contents.serving, bundle=certificates.bundle(contents.authorities, now))


def _data(document: Mapping[str, Any] | None) -> dict[str, bytes]:
    found = {}
    for name, value in ((document or {}).get("data") or {}).items():
        try:
            found[name] = base64.b64decode(value)
        except (binascii.Error, ValueError, TypeError):
            found[name] = b""
    return found


def _good(pair: Pair, now: datetime) -> bool:
    try:
        certificates.check(pair, now)
    except InvalidInput:
        return False
    return True
