"""Who may speak to the testbed's API server: static tokens, service account tokens, kubeconfigs."""

import base64
import json
import secrets
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

_LEEWAY = 60
"""Seconds for which the API server accepts a token past its expiry, for clocks that differ."""

ISSUER = "https://kubernetes.default.svc.cluster.local"


@dataclass(frozen=True, kw_only=True)
class StaticUser:
    """A line of the API server's --token-auth-file."""

    name: str
    token: str
    groups: tuple[str, ...] = ()

    @classmethod
    def new(cls, name: str, groups: Sequence[str] = ()) -> "StaticUser":
        """A user with a fresh random token."""
        return cls(name=name, token=secrets.token_hex(16), groups=tuple(groups))

    def line(self) -> str:
        groups = ",".join(self.groups)
        return f'{self.token},{self.name},{self.name},"{groups}"\n'


class TokenSigner:
    """Signs service account tokens as the API server does (ES256).

    The API server's own TokenRequest refuses lifetimes under ten minutes; tests of expired tokens need seconds.
    """

    def __init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())

    def write(self, path: Path) -> None:
        """Writes the private key as PEM: the API server and the controller manager sign with it too."""
        path.write_bytes(
            self._key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.TraditionalOpenSSL,
                serialization.NoEncryption(),
            )
        )
        path.chmod(0o600)

    def sign(self, namespace: str, name: str, uid: str, seconds: float) -> str:
        """A token accepted for `seconds` from now; zero or less makes one that has expired already.

        The API server remembers a token that it has accepted for up to ten seconds.
        """
        expires = time.time() + seconds - _LEEWAY
        issued = min(time.time(), expires) - 60
        claims = {
            "iss": ISSUER,
            "aud": [ISSUER],
            "iat": int(issued),
            "nbf": int(issued),
            "exp": int(expires),
            "sub": f"system:serviceaccount:{namespace}:{name}",
            "kubernetes.io": {"namespace": namespace, "serviceaccount": {"name": name, "uid": uid}},
        }
        text = f"{_encoded({'alg': 'ES256', 'typ': 'JWT'})}.{_encoded(claims)}"
        r, s = decode_dss_signature(self._key.sign(text.encode(), ec.ECDSA(hashes.SHA256())))
        return f"{text}.{_base64(r.to_bytes(32, 'big') + s.to_bytes(32, 'big'))}"


def kubeconfig(*, name: str, server: str, ca: bytes, token: str, namespace: str | None = None) -> str:
    """A kubeconfig with one context, cluster and user called `name`; JSON, which every reader takes as YAML."""
    context = {"cluster": name, "user": name} | ({"namespace": namespace} if namespace else {})
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": name,
        "clusters": [
            {"name": name, "cluster": {"server": server, "certificate-authority-data": base64.b64encode(ca).decode()}}
        ],
        "users": [{"name": name, "user": {"token": token}}],
        "contexts": [{"name": name, "context": context}],
    }
    return json.dumps(document, indent=2) + "\n"


def _encoded(value: Mapping[str, Any]) -> str:
    return _base64(json.dumps(value, separators=(",", ":")).encode())


def _base64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
