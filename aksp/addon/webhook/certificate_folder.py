"""A certificate from files: `--cert-dir`, as a mounted Secret of cert-manager has them. Others renew it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from aksp.addon.webhook import certificates
from aksp.addon.webhook.certificates import Pair
from aksp.addon.webhook.tls import Material
from aksp.errors import InvalidInput

_HINT = "it holds tls.crt and tls.key (PEM), and may hold ca.crt, as a mounted Secret of type kubernetes.io/tls"
_LARGEST = 1024 * 1024
"""A Secret is no larger, in bytes."""


class CertificateFolder:
    """A source (`tls.Source`). Files are read again at every look: a mounted Secret is swapped by its symbolic link,
    which tells no watcher of the files themselves."""

    def __init__(self, folder: Path, *, interval: float = 5.0) -> None:
        self._folder = folder
        self.interval = interval
        self._last: tuple[Sequence[bytes], Material] | None = None

    def look(self, now: datetime) -> Material:
        """Raises InvalidInput for files that are missing, broken, expired, or of two different swaps."""
        found = [self._read("tls.crt"), self._read("tls.key"), self._read("ca.crt", optional=True)]
        if self._last is not None and self._last[0] == found:
            return self._last[1]
        pair = Pair(certificate=found[0], key=found[1])
        try:
            certificates.check(pair, now)
            bundle = certificates.bundle([found[2]], now) if found[2].strip() else b""
        except InvalidInput as error:
            raise InvalidInput(error.what, where=str(self._folder), hint=error.hint or _HINT) from error
        material = Material(serving=pair, bundle=bundle)
        self._last = (found, material)
        return material

    def published(self, bundle: bytes, now: datetime) -> None:
        """Who writes the files decides in which order; nothing is to be done here."""

    def _read(self, name: str, *, optional: bool = False) -> bytes:
        path = self._folder / name
        try:
            with path.open("rb") as file:
                content = file.read(_LARGEST + 1)
        except FileNotFoundError:
            if optional:
                return b""
            raise InvalidInput("there is no such file", where=str(path), hint=_HINT) from None
        except OSError as error:
            raise InvalidInput(f"cannot be read: {error.strerror}", where=str(path), hint=_HINT) from error
        if len(content) > _LARGEST:
            raise InvalidInput("is too large for a certificate", where=str(path), hint=_HINT)
        return content
