"""A session from what a kubeconfig itself says: a token or a client certificate, and no proxy.

The `kubernetes` package would make the same of it, but takes 0.4 s of processor time to import, which is a quarter of a
scan of ten thousand Pods. It is asked for all else: exec plugins, auth-providers, passwords, proxies, and what is wrong.
"""

from __future__ import annotations

import base64
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.request import getproxies

from aksp.kube.connection import Session
from aksp.kube.credentials import ContextCredentials

if TYPE_CHECKING:
    from ssl import SSLContext

#: Fields of a cluster and of a user with which no other way to get in is meant.
_AUTHORITY = {"certificate-authority", "certificate-authority-data"}
_CLUSTER = _AUTHORITY | {
    "server",
    "insecure-skip-tls-verify",
    "tls-server-name",
    "extensions",
}
_USER = {
    "token",
    "tokenFile",
    "client-certificate",
    "client-certificate-data",
    "client-key",
    "client-key-data",
    "as",
    "as-uid",
    "as-groups",
    "as-user-extra",
    "extensions",
}


def plain_session(chosen: ContextCredentials) -> Session | None:
    """The session of a context that needs no more than its kubeconfig; None where the package is to be asked."""
    cluster = chosen.document["clusters"][0]["cluster"]
    user: Mapping[str, Any] = next((one["user"] for one in chosen.document["users"]), {})
    if not (cluster.keys() <= _CLUSTER and user.keys() <= _USER) or getproxies().keys() - {"no"}:
        return None
    import urllib3

    url, authority = cluster["server"].rstrip("/"), cluster.get("certificate-authority-data")
    verified = not cluster.get("insecure-skip-tls-verify")
    settings: dict[str, Any] = {
        # As many connections are kept as by the package.
        "maxsize": (os.cpu_count() or 1) * 5,
        "cert_reqs": "CERT_REQUIRED" if verified else "CERT_NONE",
        "ca_certs": cluster.get("certificate-authority"),
        "server_hostname": cluster.get("tls-server-name"),
    }
    try:
        token = Path(user["tokenFile"]).read_text(encoding="utf-8") if "tokenFile" in user else user.get("token", "")
        if authority:
            settings["ca_cert_data"] = base64.b64decode(authority).decode("ascii")
        if "client-certificate-data" in user or "client-key-data" in user:
            settings["ssl_context"] = _with_certificate(user, authorities=bool(cluster.keys() & _AUTHORITY))
        else:
            settings |= {"cert_file": user.get("client-certificate"), "key_file": user.get("client-key")}
    except (OSError, ValueError):  # ssl.SSLError among them
        return None
    value = f"Bearer {token}" if token else None
    if not verified:
        # Said once by Connection.warnings instead of at every request.
        urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)
    # What is None is as if it were not there.
    pool = urllib3.PoolManager(**{name: given for name, given in settings.items() if given is not None})
    return Session(pool=pool, url=url, credential=lambda: value, impersonation=chosen.impersonation)


def _with_certificate(user: Mapping[str, Any], *, authorities: bool) -> SSLContext:
    """TLS with the user's client certificate; without ``authorities`` to come it trusts the system's. Raises OSError and ValueError."""
    from urllib3.util.ssl_ import create_urllib3_context

    context = create_urllib3_context()
    if not authorities:
        context.load_default_certs()
    with as_file(_pem(user, "client-certificate") + b"\n" + _pem(user, "client-key")) as path:
        # A password is given so that OpenSSL never asks for one on a terminal.
        context.load_cert_chain(path, password="")
    return context


def _pem(user: Mapping[str, Any], key: str) -> bytes:
    """What a field says by data, which has been checked to be base64, or by file."""
    data = user.get(f"{key}-data")
    return base64.b64decode(data) if data else Path(user[key]).read_bytes()


@contextmanager
def as_file(secret: bytes) -> Iterator[str]:
    """A path that OpenSSL, which takes a private key from a file alone, can read for a moment: in memory where Linux has that, else a file of ours alone."""
    if hasattr(os, "memfd_create"):
        descriptor = os.memfd_create("aksp-tls")
        try:
            path = f"/proc/self/fd/{descriptor}"
            if os.path.exists(path):
                with os.fdopen(os.dup(descriptor), "wb") as file:
                    file.write(secret)
                yield path
                return
        finally:
            os.close(descriptor)
    # The folder is made with mode 0700, the file with 0600.
    with tempfile.TemporaryDirectory(prefix="aksp-") as folder:
        file_path = Path(folder) / "tls.pem"
        file_path.touch(mode=0o600)
        file_path.write_bytes(secret)
        yield str(file_path)
