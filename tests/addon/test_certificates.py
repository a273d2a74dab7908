"""Certificates: accepted by OpenSSL and Go, renewed in time, and an authority replaced without a moment of mistrust."""

from __future__ import annotations

import asyncio
import json
import shutil
import ssl
import subprocess
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pytest

from aksp.addon.webhook import certificates
from aksp.addon.webhook.certificate_folder import CertificateFolder
from aksp.addon.webhook.certificate_secret import GRACE, SETTLE, CertificateSecret
from aksp.addon.webhook.certificates import Pair
from aksp.addon.webhook.tls import Material, Served, server_context
from aksp.errors import ClusterError, Forbidden, InvalidInput
from aksp.kube.connection import Connection, Response
from aksp.kube.errors import AlreadyExists, Conflict, NotServed, ServerError
from aksp.kube.plain import as_file
from tests.addon.https import trusting
from tests.waiting import PATIENCE

NOW = datetime.now(UTC).replace(microsecond=0)
NAMES = ["aksp.kube-system.svc", "aksp.kube-system.svc.cluster.local", "10.0.0.7", "::1"]
DAY = timedelta(days=1)
SECRETS = "/api/v1/namespaces/kube-system/secrets"


class FakeSecret:
    """A Connection to the Secret as the API server keeps it. ``rival`` acts once, just before a write."""

    server = "https://127.0.0.1:6443"

    def __init__(self, *, exists: bool = True) -> None:
        self.document: dict[str, Any] | None = None
        self.version = 0
        self.writes = 0
        self.rival: Any = None
        self.error: ClusterError | None = None
        if exists:
            self._keep({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "aksp-webhook-cert"}})

    def get(self, path: str, **_: object) -> Response:
        assert path == f"{SECRETS}/aksp-webhook-cert"
        if self.document is None:
            raise NotServed("not found")
        return Response(status=200, headers={}, body=json.dumps(self.document).encode())

    def send(self, method: str, path: str, *, body: bytes, **_: object) -> Response:
        document = json.loads(body)
        if self.error:
            raise self.error
        if rival := self.rival:
            self.rival = None
            rival()
        if method == "POST":
            assert path == SECRETS and (document["kind"], document["type"]) == ("Secret", "Opaque")
            if self.document is not None:
                raise AlreadyExists("exists")
        else:
            assert (method, path) == ("PUT", f"{SECRETS}/aksp-webhook-cert") and self.document is not None
            if document["metadata"]["resourceVersion"] != self.document["metadata"]["resourceVersion"]:
                raise Conflict("changed")
        self._keep(document)
        return self.get(f"{SECRETS}/aksp-webhook-cert")

    def _keep(self, document: Mapping[str, Any]) -> None:
        self.version += 1
        self.writes += 1
        metadata = {**document.get("metadata", {}), "resourceVersion": str(self.version)}
        self.document = {**document, "metadata": metadata}


def replica(store: FakeSecret, names: list[str] | None = None, interval: float = 30.0) -> CertificateSecret:
    connection = cast(Connection, store)
    asked = NAMES if names is None else names
    return CertificateSecret(connection, namespace="kube-system", names=lambda: asked, interval=interval)


def handshake(serving: Pair, *trusted: bytes, name: str = NAMES[0]) -> None:
    """A TLS handshake in memory with a strict client; raises ssl.SSLError."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    server = server_context(serving).wrap_bio(to_server, to_client, server_side=True)
    client = trusting(*trusted).wrap_bio(to_client, to_server, server_hostname=name)
    pending = {client, server}
    for _ in range(10):
        for side in list(pending):
            try:
                side.do_handshake()
                pending.discard(side)
            except ssl.SSLWantReadError:
                pass
    assert not pending


@pytest.mark.parametrize("name", NAMES)
def test_a_serving_certificate_is_accepted_for_each_of_its_names(name: str) -> None:
    authority = certificates.make_authority(NOW)
    handshake(certificates.issue(authority, NAMES, NOW), authority.certificate, name=name)


def test_it_is_not_accepted_for_other_names_nor_by_others() -> None:
    authority, other = certificates.make_authority(NOW), certificates.make_authority(NOW)
    serving = certificates.issue(authority, NAMES, NOW)
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(serving, authority.certificate, name="example.org")
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(serving, other.certificate)
    handshake(serving, other.certificate, authority.certificate)


@pytest.mark.skipif(shutil.which("openssl") is None, reason="no openssl")
def test_openssl_accepts_it_as_a_servers_in_strict_mode(tmp_path: Path) -> None:
    authority = certificates.make_authority(NOW)
    (tmp_path / "ca.crt").write_bytes(authority.certificate)
    (tmp_path / "tls.crt").write_bytes(certificates.issue(authority, NAMES, NOW).certificate)
    command = ["openssl", "verify", "-x509_strict", "-purpose", "sslserver", "-verify_hostname", NAMES[0]]
    subprocess.run([*command, "-CAfile", tmp_path / "ca.crt", tmp_path / "tls.crt"], check=True, capture_output=True)


def test_a_key_is_never_shown() -> None:
    assert "PRIVATE" not in repr(certificates.make_authority(NOW))
    assert "PRIVATE" not in repr(Material(serving=certificates.make_authority(NOW), bundle=b""))


def test_renewal_is_due_after_two_thirds_of_the_life_or_for_other_names() -> None:
    authority = certificates.make_authority(NOW)
    serving = certificates.issue(authority, NAMES, NOW).certificate
    assert not certificates.needs_renewal(serving, NOW + 59 * DAY, names=NAMES[::-1])
    assert certificates.needs_renewal(serving, NOW + 61 * DAY)
    assert certificates.needs_renewal(serving, NOW, names=NAMES[:2])
    assert certificates.needs_renewal(serving, NOW, names=[*NAMES, "other"])
    assert not certificates.needs_renewal(authority.certificate, NOW + 2400 * DAY)
    assert certificates.needs_renewal(authority.certificate, NOW + 2450 * DAY)


def test_a_serving_certificate_ends_with_its_authority() -> None:
    authority = certificates.make_authority(NOW, life=10 * DAY)
    assert certificates.expires_at(certificates.issue(authority, NAMES, NOW).certificate) == NOW + 10 * DAY


def test_a_bundle_has_each_authority_once_and_none_that_expired() -> None:
    old, new = (certificates.make_authority(NOW, life=days * DAY).certificate for days in (1, 2))
    assert certificates.bundle([new, old + new], NOW) == new + old
    assert certificates.bundle([new, old], NOW + 1.5 * DAY) == new


@pytest.mark.parametrize(
    ("pair", "words"),
    [
        (Pair(certificate=b"", key=b""), "no certificate"),
        (Pair(certificate=certificates.make_authority(NOW).certificate, key=b"x"), "no private key"),
        (
            Pair(
                certificate=certificates.make_authority(NOW).certificate,
                key=certificates.make_authority(NOW).key,
            ),
            "does not belong",
        ),
        (certificates.make_authority(NOW - 20 * DAY, life=10 * DAY), "expired"),
        (certificates.make_authority(NOW + DAY), "valid only from"),
    ],
)
def test_what_cannot_be_served_is_an_error_that_says_why(pair: Pair, words: str) -> None:
    with pytest.raises(InvalidInput, match=words):
        certificates.check(pair, NOW)


@pytest.mark.parametrize("exists", [True, False])
def test_the_first_replica_makes_authority_and_certificate_and_the_others_find_them(exists: bool) -> None:
    store = FakeSecret(exists=exists)
    first = replica(store).look(NOW)
    handshake(first.serving, first.bundle)
    writes = store.writes
    assert replica(store).look(NOW) == first
    assert replica(store).look(NOW + 50 * DAY) == first
    assert store.writes == writes
    assert store.document is not None
    assert sorted(store.document["data"]) == ["ca.crt", "ca.key", "tls.crt", "tls.key"]


@pytest.mark.parametrize("exists", [True, False])
def test_of_two_replicas_at_the_same_moment_one_wins_and_both_serve_the_same(exists: bool) -> None:
    store = FakeSecret(exists=exists)
    winners: list[Material] = []
    store.rival = lambda: winners.append(replica(store).look(NOW))
    assert replica(store).look(NOW) == winners[0]


def test_a_certificate_is_renewed_by_the_same_authority() -> None:
    store = FakeSecret()
    first = replica(store).look(NOW)
    second = replica(store).look(NOW + 61 * DAY)
    assert second.bundle == first.bundle and second.serving != first.serving
    certificates.check(second.serving, NOW + 140 * DAY)


def test_other_names_make_another_certificate_and_no_names_none() -> None:
    store = FakeSecret()
    with pytest.raises(ClusterError, match="by which name"):
        replica(store, []).look(NOW)
    first = replica(store).look(NOW)
    assert replica(store, []).look(NOW) == first
    second = replica(store, ["other.svc"]).look(NOW)
    handshake(second.serving, first.bundle, name="other.svc")


def test_an_authority_is_replaced_in_steps_so_that_what_is_published_always_trusts_what_is_served() -> None:
    """Two replicas, one of which publishes; old and new authority of 10 years around the end of the first."""
    store = FakeSecret()
    publishing, other = replica(store), replica(store)
    first = publishing.look(NOW)
    publishing.published(first.bundle, NOW)
    trusted = first.bundle
    now = NOW + 2450 * DAY

    def is_trusted(material: Material) -> None:
        leaf = material.serving.certificate
        assert any(certificates.issued_by(leaf, each) for each in certificates.split(trusted))
        certificates.check(material.serving, now)

    announced = other.look(now)
    assert certificates.split(announced.bundle)[1:] == (first.bundle,), "newest first, the old one kept"
    assert certificates.issued_by(announced.serving.certificate, first.bundle)
    is_trusted(announced)
    for _ in range(3):
        now += timedelta(minutes=10)
        assert publishing.look(now) == announced, "nothing happens before the bundle is published"
    trusted = announced.bundle
    publishing.published(announced.bundle, now)
    assert publishing.look(now + SETTLE / 2) == announced, "every API server must have heard of it"
    publishing.published(announced.bundle, now + SETTLE / 2)
    now += SETTLE
    assert other.look(now) == announced, "who has not published does not know"
    switched = publishing.look(now)
    is_trusted(switched)
    assert certificates.issued_by(switched.serving.certificate, certificates.split(announced.bundle)[0])
    assert other.look(now) == switched
    assert publishing.look(now + GRACE / 2) == switched
    now += GRACE
    dropped = publishing.look(now)
    assert dropped.bundle == certificates.split(announced.bundle)[0]
    trusted = dropped.bundle
    is_trusted(dropped)
    assert other.look(now) == dropped


def test_an_authority_that_nobody_publishes_takes_over_only_when_the_last_certificate_ends() -> None:
    store = FakeSecret()
    first = replica(store).look(NOW)
    start = NOW + 2450 * DAY
    announced = replica(store).look(start)
    assert certificates.issued_by(announced.serving.certificate, first.bundle)
    assert replica(store).look(start + 88 * DAY) == announced
    assert replica(store).look(start + 89.5 * DAY).serving != announced.serving


@pytest.mark.parametrize("broken", ["ca.key", "ca.crt", "tls.key", "tls.crt"])
@pytest.mark.parametrize("value", ["", "bm9uc2Vuc2U=", "%%%"])
def test_a_secret_that_somebody_broke_is_repaired(broken: str, value: str) -> None:
    store = FakeSecret()
    first = replica(store).look(NOW)
    assert store.document is not None
    store.document["data"][broken] = value
    second = replica(store).look(NOW)
    certificates.check(second.serving, NOW)
    handshake(second.serving, second.bundle)
    if broken == "ca.key":
        assert second.serving == first.serving, "what is trusted goes on until the new authority is published"
    if broken.startswith("tls"):
        assert second.bundle == first.bundle


def test_what_was_stolen_from_a_secret_is_worth_nothing_once_it_is_emptied() -> None:
    store = FakeSecret()
    stolen = replica(store).look(NOW)
    assert store.document is not None
    store.document["data"] = dict.fromkeys(store.document["data"], "")
    second = replica(store).look(NOW)
    handshake(second.serving, second.bundle)
    assert not set(certificates.split(stolen.bundle)) & set(certificates.split(second.bundle))
    with pytest.raises(ssl.SSLError):
        handshake(stolen.serving, second.bundle)


def test_a_store_that_takes_no_writes_does_not_stop_what_works() -> None:
    store = FakeSecret()
    first = replica(store).look(NOW)
    store.error = ServerError("etcd is full", status=500, tries=1)
    assert replica(store).look(NOW + 61 * DAY) == first
    with pytest.raises(ServerError):
        replica(store).look(NOW + 91 * DAY)
    store.error = Forbidden("secrets is forbidden")
    with pytest.raises(Forbidden) as caught:
        replica(FakeForbidden()).look(NOW)
    assert "aksp addon enable" in (caught.value.hint or "")


class FakeForbidden(FakeSecret):
    """A Secret that is not there and that we may not make."""

    def __init__(self) -> None:
        super().__init__(exists=False)
        self.error = Forbidden("secrets is forbidden")


def mount(folder: Path, generation: int, pair: Pair, authority: bytes | None) -> None:
    """Write as kubelet does: a folder of its own, to which a symbolic link is swapped."""
    real = folder / f"..{generation}"
    real.mkdir()
    files = {"tls.crt": pair.certificate, "tls.key": pair.key} | ({"ca.crt": authority} if authority else {})
    for name, content in files.items():
        (real / name).write_bytes(content)
        if not (folder / name).is_symlink():
            (folder / name).symlink_to(Path("..data") / name)
    (folder / "..new").symlink_to(real.name)
    (folder / "..new").rename(folder / "..data")


def test_a_mounted_secret_is_served_and_followed(tmp_path: Path) -> None:
    authority = certificates.make_authority(NOW)
    pairs = [certificates.issue(authority, NAMES, NOW) for _ in range(2)]
    mount(tmp_path, 1, pairs[0], authority.certificate)
    served = Served(CertificateFolder(tmp_path))
    assert served.refresh(NOW)
    assert served.bundle == authority.certificate and served.expires == NOW + 90 * DAY
    context = served.context()
    assert not served.refresh(NOW)
    mount(tmp_path, 2, pairs[1], None)
    assert served.refresh(NOW)
    assert served.context() is not context and served.bundle == b""


def test_half_of_a_new_certificate_is_never_served(tmp_path: Path) -> None:
    authority = certificates.make_authority(NOW)
    mount(tmp_path, 1, certificates.issue(authority, NAMES, NOW), authority.certificate)
    served = Served(CertificateFolder(tmp_path))
    served.refresh(NOW)
    context = served.context()
    (tmp_path / "tls.crt").write_bytes(certificates.issue(authority, NAMES, NOW).certificate)
    for _ in range(2):
        with pytest.raises(InvalidInput, match="does not belong") as caught:
            served.refresh(NOW)
        assert str(tmp_path) in str(caught.value) and caught.value.hint
    assert served.context() is context


def test_a_folder_without_certificate_says_what_it_should_hold(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="no such file") as caught:
        CertificateFolder(tmp_path).look(NOW)
    assert "tls.key" in (caught.value.hint or "")


def test_the_context_is_kept_up_to_date_and_what_fails_is_tried_again() -> None:
    store = FakeSecret()
    served = Served(replica(store, interval=0.01))
    served.refresh(NOW)
    context = served.context()
    clock = iter([NOW, NOW + 61 * DAY])
    changes: list[bytes] = []

    async def main() -> None:
        again = asyncio.Event()

        def changed() -> None:
            changes.append(served.bundle)

        def now() -> datetime:
            if changes:
                again.set()
            return next(clock, NOW + 61 * DAY)

        keeping = asyncio.create_task(served.keep(changed, clock=now))
        await asyncio.wait_for(again.wait(), PATIENCE)
        assert not keeping.done()
        keeping.cancel()

    asyncio.run(main())
    assert len(changes) == 1 and served.context() is not context


def test_a_key_is_nowhere_on_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    pair = certificates.issue(certificates.make_authority(NOW), NAMES, NOW)
    server_context(pair)
    monkeypatch.delattr("os.memfd_create", raising=False)
    seen: list[int] = []
    with as_file(b"secret") as path:
        seen = [Path(path).stat().st_mode & 0o777, Path(path).parent.stat().st_mode & 0o777]
    assert seen == [0o600, 0o700]
    server_context(pair)
    assert not list(tmp_path.iterdir())


def test_the_cas_of_clients_are_read_again_and_a_bad_file_leaves_what_was(tmp_path: Path) -> None:
    serving = certificates.issue(certificates.make_authority(NOW), ["a"], NOW)

    class Always:
        interval = 1.0

        def look(self, now: datetime) -> Material:
            return Material(serving=serving, bundle=b"")

        def published(self, bundle: bytes, now: datetime) -> None:
            raise AssertionError

    file = tmp_path / "ca.crt"
    file.write_bytes(certificates.make_authority(NOW).certificate)
    served = Served(Always(), file)
    assert served.refresh(NOW) and not served.refresh(NOW)
    first = served.context()
    assert first.verify_mode is ssl.CERT_REQUIRED and len(first.get_ca_certs()) == 1
    for bad in (b"", b"  ", b"text", "ä".encode()):
        file.write_bytes(bad)
        with pytest.raises(InvalidInput):
            served.refresh(NOW)
        assert served.context() is first
    file.unlink()
    with pytest.raises(InvalidInput, match="cannot read the CA"):
        served.refresh(NOW)
    file.write_bytes(certificates.make_authority(NOW).certificate + certificates.make_authority(NOW).certificate)
    assert served.refresh(NOW) and len(served.context().get_ca_certs()) == 2
    assert Served(Always()).refresh(NOW)
