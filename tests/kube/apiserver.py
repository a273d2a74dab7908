"""A stand-in for the API server: a real HTTP(S) server on 127.0.0.1 that answers as a test says."""

from __future__ import annotations

import base64
import contextlib
import datetime
import ipaddress
import json
import socket
import ssl
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self
from urllib.parse import parse_qsl, urlsplit

import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from aksp.kube.config import connect
from aksp.kube.connection import Connection


@dataclass(frozen=True, kw_only=True)
class Request:
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    method: str = "GET"
    body: bytes = b""

    @property
    def document(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True, kw_only=True)
class Reply:
    """An answer. `cut`: only so many bytes of the body are sent, then the connection ends, announced or chunked."""

    status: int = 200
    body: bytes = b"{}"
    headers: Mapping[str, str] = field(default_factory=dict)
    cut: int | None = None
    chunked: bool = False
    before: Callable[[], object] = lambda: None
    """Runs before the headers are sent."""
    midway: Callable[[], object] | None = None
    """Runs after half of the body."""
    stream: Iterable[bytes] | None = None
    """Instead of a body: each is sent as a chunk as soon as it is there; what it raises breaks the connection off."""


Answer = Callable[[Request], Reply]


def status(code: int, message: str, **headers: str) -> Reply:
    body = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": message, "code": code}
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Reply(status=code, body=json.dumps(body).encode(), headers=named)


def document(content: Mapping[str, Any], *, code: int = 200) -> Reply:
    return Reply(status=code, body=json.dumps(content).encode())


def page(names: Sequence[str], *, token: str = "", remaining: int | None = None) -> Reply:
    """A list of Pods in the API server's own layout."""
    metadata: dict[str, Any] = {"resourceVersion": "7"}
    if token:
        metadata["continue"] = token
    if remaining is not None:
        metadata["remainingItemCount"] = remaining
    items = [{"metadata": {"name": name}} for name in names]
    document = {"kind": "PodList", "apiVersion": "v1", "metadata": metadata, "items": items}
    return Reply(body=json.dumps(document, separators=(",", ":")).encode() + b"\n")


def three_pages(request: Request) -> Reply:
    """Five Pods, two a page."""
    match request.query.get("continue"):
        case None:
            return page(["a", "b"], token="two", remaining=3)
        case "two":
            return page(["c", "d"], token="three", remaining=1)
    return page(["e"])


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        sent = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        headers = {name: ", ".join(self.headers.get_all(name, [])) for name in self.headers}
        request = Request(
            path=parts.path, query=dict(parse_qsl(parts.query)), headers=headers, method=self.command, body=sent
        )
        with self.server.lock:
            self.server.requests.append(request)
        reply = self.server.answer(request)
        reply.before()
        self.send_response(reply.status)
        for name, value in ({"Content-Type": "application/json"} | dict(reply.headers)).items():
            self.send_header(name, value)
        if reply.stream is not None:
            self._stream(reply.stream)
            return
        body = reply.body if reply.cut is None else reply.body[: reply.cut]
        if reply.chunked:
            self.send_header("Transfer-Encoding", "chunked")
            body = f"{len(body):x}\r\n".encode() + body + b"\r\n" + (b"0\r\n\r\n" if reply.cut is None else b"")
        else:
            self.send_header("Content-Length", str(len(reply.body)))
        self.end_headers()
        half = len(body) // 2 if reply.midway else 0
        self.wfile.write(body[:half])
        if reply.midway:
            self.wfile.flush()
            reply.midway()
        self.wfile.write(body[half:])
        if reply.cut is not None:
            self.close_connection = True

    do_POST = do_PUT = do_PATCH = do_DELETE = do_GET  # noqa: N815 - http.server's names

    def _stream(self, pieces: Iterable[bytes]) -> None:
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        try:
            for piece in pieces:
                self.wfile.write(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
                self.wfile.flush()
            self.wfile.write(b"0\r\n\r\n")
        except OSError:
            self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:
        pass


class _Server(ThreadingHTTPServer):
    daemon_threads = False  # joined by server_close

    def __init__(self, answer: Answer, context: ssl.SSLContext | None) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answer = answer
        self.context = context
        self.requests: list[Request] = []
        self.lock = threading.Lock()
        self.open: list[socket.socket] = []

    def get_request(self) -> tuple[socket.socket, Any]:
        plain, address = super().get_request()
        if self.context is None:
            self.open.append(plain)
            return plain, address
        # The handshake happens in the handler's thread, at the first read.
        wrapped = self.context.wrap_socket(plain, server_side=True, do_handshake_on_connect=False)
        self.open.append(wrapped)
        return wrapped, address

    def handle_error(self, request: Any, client_address: Any) -> None:
        pass  # clients of these tests break off on purpose


class ApiServer:
    """Serves until the `with` block ends; then all its threads have ended."""

    def __init__(self, answer: Answer, *, authority: Authority | None = None, certificates: bool = False) -> None:
        """With ``certificates`` clients must show one of the authority."""
        self._server = _Server(answer, authority.server_context(clients=certificates) if authority else None)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        scheme = "https" if authority else "http"
        self.url = f"{scheme}://127.0.0.1:{self._server.server_address[1]}"

    @property
    def requests(self) -> list[Request]:
        with self._server.lock:
            return list(self._server.requests)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        for each in self._server.open:
            with contextlib.suppress(OSError):
                socket.socket.shutdown(each, socket.SHUT_RDWR)
        self._server.server_close()


class Authority:
    """A certificate authority, and a server certificate for 127.0.0.1 signed by it."""

    def __init__(self, folder: Path, name: str) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        ca = self._built(subject, key, subject, key, x509.BasicConstraints(ca=True, path_length=None))
        server_key = ec.generate_private_key(ec.SECP256R1())
        server_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "kube-apiserver")])
        address = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
        server = self._built(server_name, server_key, subject, key, address)
        self.pem = ca.public_bytes(serialization.Encoding.PEM)
        self.certificate = server.public_bytes(serialization.Encoding.PEM)
        self.key = server_key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        self.chain = folder / f"{name}.pem"
        self.chain.write_bytes(self.certificate + self.key)

    @property
    def base64(self) -> str:
        return base64.b64encode(self.pem).decode()

    def server_context(self, *, clients: bool = False) -> ssl.SSLContext:
        """TLS of a server; with ``clients`` they must show a certificate of this authority."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.chain)
        if clients:
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(cadata=self.pem.decode())
        return context

    @staticmethod
    def _built(
        subject: x509.Name,
        key: ec.EllipticCurvePrivateKey,
        issuer: x509.Name,
        signer: ec.EllipticCurvePrivateKey,
        extension: x509.ExtensionType,
    ) -> x509.Certificate:
        now = datetime.datetime.now(datetime.UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(hours=1))
            .not_valid_after(now + datetime.timedelta(days=1))
            .add_extension(extension, critical=False)
            .sign(signer, hashes.SHA256())
        )


def kubeconfig(
    folder: Path,
    server: str,
    *,
    user: Mapping[str, Any] | None = None,
    cluster: Mapping[str, Any] | None = None,
    name: str = "here",
    file: str = "config",
    **extra: Any,
) -> str:
    """A kubeconfig with one context, cluster and user, all of that name; its path."""
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": name,
        "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
        "clusters": [{"name": name, "cluster": {"server": server, **(cluster or {})}}],
        "users": [{"name": name, "user": dict(user if user is not None else {"token": "secret-token"})}],
        **extra,
    }
    path = folder / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(document), encoding="utf-8")
    return str(path)


@contextlib.contextmanager
def answering(folder: Path, replies: Sequence[Reply]) -> Iterator[tuple[Connection, ApiServer]]:
    """A server that gives these replies in turn, the last one for ever."""
    left = list(replies)

    def answer(_: Request) -> Reply:
        return left.pop(0) if len(left) > 1 else left[0]

    with ApiServer(answer) as server, connect(None, kubeconfig(folder, server.url)) as connection:
        yield connection, server
