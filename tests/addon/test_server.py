"""The listeners under slow, many and departing clients, through a change of certificate, and at their end."""

from __future__ import annotations

import asyncio
import gc
import ssl
import tempfile
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key
from cryptography.x509.oid import NameOID

from aksp.addon.review.answer import Answer
from aksp.addon.webhook import certificates
from aksp.addon.webhook.protocol import Http
from aksp.addon.webhook.server import Listener, loop_factory, serve
from aksp.addon.webhook.tls import server_context
from aksp.errors import InvalidInput
from tests.addon.https import (
    AUTHORITY,
    CONTEXT,
    NAME,
    NOW,
    PATIENT,
    QUICK,
    SERVING,
    Client,
    echo,
    request,
    serving,
    trusting,
)
from tests.replacing import replace
from tests.waiting import PATIENCE

LOOPS = (asyncio.new_event_loop, loop_factory())


@pytest.fixture(params=LOOPS, ids=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Callable[[Callable[[], Coroutine[Any, Any, None]]], None]:
    """Runs a coroutine function in an event loop of each kind."""

    def runs(main: Callable[[], Coroutine[Any, Any, None]]) -> None:
        with asyncio.Runner(loop_factory=request.param) as runner:
            runner.run(main())

    return runs


Run = Callable[[Callable[[], Coroutine[Any, Any, None]]], None]


def connections() -> int:
    gc.collect()
    return sum(isinstance(each, Http) for each in gc.get_objects())


async def soon(condition: Callable[[], bool]) -> bool:
    """Whether it comes true."""
    end = asyncio.get_running_loop().time() + PATIENCE
    while not condition() and asyncio.get_running_loop().time() < end:
        await asyncio.sleep(0.01)
    return condition()


def test_slow_heads_are_ended_while_others_are_served(run: Run) -> None:
    async def main() -> None:
        async with serving(limits=QUICK) as server:
            silent, dripping, blank, normal = [await Client.connect(server.port) for _ in range(4)]
            await dripping.send(b"POST /v1/admit HTTP/1.1\r\nHost: ")

            async def drip(client: Client, piece: bytes) -> None:
                while not client.writer.is_closing():
                    await client.send(piece)
                    await asyncio.sleep(0.05)

            drips = [asyncio.create_task(drip(dripping, b"x")), asyncio.create_task(drip(blank, b"\r\n"))]
            for _ in range(10):
                assert (await normal.post()).status == 200
            assert (await dripping.reply()).status == 408
            for client in (silent, dripping, blank):
                assert await client.ended()
            assert (await normal.post()).status == 200
            for task in drips:
                task.cancel()
            await asyncio.gather(*drips, return_exceptions=True)
            for client in (silent, dripping, blank, normal):
                await client.close()

    run(main)


def test_slow_heads_of_later_requests_are_ended_too(run: Run) -> None:
    async def main() -> None:
        async with serving(limits=QUICK) as server:
            client = await Client.connect(server.port)
            assert (await client.post()).status == 200
            await asyncio.sleep(0.6)
            assert (await client.post()).status == 200, "an idle connection may wait longer than a head"
            await client.send(b"POST /v1/ad")
            assert (await client.reply()).status == 408
            assert await client.ended()
            await client.close()

    run(main)


def test_a_handshake_that_does_not_come_is_ended(run: Run) -> None:
    async def main() -> None:
        async with serving(limits=QUICK) as server:
            silent = await Client.connect(server.port, trust=None)
            begun = await Client.connect(server.port, trust=None)
            await begun.send(b"\x16\x03\x01\x02\x00\x01")
            nonsense = await Client.connect(server.port, trust=None)
            await nonsense.send(b"GET / HTTP/1.1\r\n\r\n")
            normal = await Client.connect(server.port)
            assert (await normal.post()).status == 200
            for client in (nonsense, silent, begun):
                assert await client.ended()
                await client.close()
            assert (await normal.post()).status == 200
            await normal.close()

    run(main)


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"POST /v1/admit HTTP/1.1\r\nX: " + b"x" * 40_000, 431),
        (b"POST /v1/admit HTTP/1.1\r\n" + b"A: b\r\n" * 5_000 + b"\r\n", 431),
        (b"GET /" + b"x" * 20_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", 431),
        (b"\r\n" * 20_000, 431),
        (request(b"", transfer_encoding="chunked", content_length="") + b"0\r\n" + b"A: b\r\n" * 10_000, None),
        (request(b"", transfer_encoding="chunked", content_length="") + b"1;" + b"x" * 40_000, None),
        (request() * 100, None),
    ],
    ids=["header", "headers", "path", "blank lines", "trailers", "chunk extension", "pipelining"],
)
def test_endless_heads_trailers_and_pipelines_end_the_connection(run: Run, sent: bytes, status: int | None) -> None:
    async def main() -> None:
        async with serving() as server:
            client = await Client.connect(server.port)
            await client.send(sent)
            if status:
                assert (await client.reply()).status == status
            assert await client.ended()
            await client.close()

    run(main)


def test_requests_sent_ahead_are_answered_in_order(run: Run) -> None:
    async def main() -> None:
        async with serving() as server:
            client = await Client.connect(server.port)
            await client.send(b"".join(request(b"x" * size) for size in range(1, 6)))
            assert [(await client.reply()).body for _ in range(5)] == [b'{"length": %d}' % size for size in range(1, 6)]
            await client.close()

    run(main)


def test_200_slow_connections_leave_nothing_behind_and_never_exceed_the_bound(run: Run) -> None:
    before = connections()

    async def main() -> None:
        async with serving(limits=replace(PATIENT, connections=50)) as server:
            tasks = len(asyncio.all_tasks())
            slow = [await Client.connect(server.port, trust=None) for _ in range(120)]
            normal = await Client.connect(server.port)
            assert (await normal.post()).status == 200
            half: list[Client] = []
            for _ in range(80):
                half.append(await Client.connect(server.port))
                await half[-1].send(b"POST /v1/admit HTTP/1.1\r\n")
            assert connections() - before <= 50
            assert len(asyncio.all_tasks()) - tasks <= 50
            again = await Client.connect(server.port)
            assert (await again.post()).status == 200, "the newest comer finds room"
            for client in (*slow, *half, normal, again):
                await client.close()
            assert await soon(lambda: connections() <= before and len(asyncio.all_tasks()) <= tasks)

    run(main)


def test_connections_with_a_review_in_flight_are_never_sacrificed(run: Run) -> None:
    async def main() -> None:
        go, begun = asyncio.Event(), asyncio.Semaphore(0)

        async def review(body: bytes, until: float) -> Answer:
            begun.release()
            await go.wait()
            return await echo(body, until)

        async with serving(review, limits=replace(PATIENT, connections=3)) as server:
            asking = [await Client.connect(server.port) for _ in range(3)]
            for client in asking:
                await client.send(request())
                await begun.acquire()
            with pytest.raises((OSError, asyncio.IncompleteReadError)):
                await Client.connect(server.port)
            go.set()
            assert [(await client.reply()).status for client in asking] == [200] * 3
            newcomer = await Client.connect(server.port)
            assert (await newcomer.post()).status == 200, "an idle one had to go"
            for client in (*asking, newcomer):
                await client.close()

    run(main)


def test_clients_that_hang_up_at_any_moment_harm_nobody(run: Run) -> None:
    before = connections()

    async def main() -> None:
        gone = asyncio.Event()

        async def review(body: bytes, until: float) -> Answer:
            await gone.wait()
            return await echo(body, until)

        async with serving(review) as server:
            whole = request(b"x" * 100)
            for cut in (0, 1, 30, len(whole) - 50, len(whole)):
                client = await Client.connect(server.port)
                await client.send(whole[:cut])
                await client.close()
            gone.set()
            client = await Client.connect(server.port)
            assert (await client.post()).status == 200
            await client.close()
            assert await soon(lambda: connections() <= before)

    run(main)


def test_tls_is_1_2_or_later_and_speaks_http_1_1(run: Run) -> None:
    async def main() -> None:
        async with serving() as server:
            for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
                trust = trusting(AUTHORITY.certificate)
                trust.minimum_version = trust.maximum_version = version
                trust.set_alpn_protocols(["h2", "http/1.1"])
                client = await Client.connect(server.port, trust=trust)
                tls: ssl.SSLObject = client.writer.get_extra_info("ssl_object")
                assert tls.selected_alpn_protocol() == "http/1.1"
                assert (await client.post()).status == 200
                await client.close()

    run(main)
    assert CONTEXT.minimum_version is ssl.TLSVersion.TLSv1_2


def test_a_certificate_that_changes_during_1000_requests_fails_none(run: Run) -> None:
    other = certificates.make_authority(NOW)
    renewed = certificates.issue(other, [NAME], NOW)
    trust = trusting(AUTHORITY.certificate, other.certificate)

    async def main() -> None:
        current = CONTEXT
        answered = 0

        async def ask(port: int) -> bytes:
            nonlocal answered, current
            client = await Client.connect(port, trust=trust)
            for _ in range(100):
                assert (await client.post(b"x" * 1000)).status == 200
                answered += 1
                if answered == 500:
                    current = server_context(renewed)
            seen = client.certificate()
            await client.close()
            return seen

        async with serving(context=lambda: current) as server:
            first = await asyncio.gather(*(ask(server.port) for _ in range(5)))
            assert set(first) == {_der(SERVING.certificate)}, "open connections go on"
            later = await asyncio.gather(*(ask(server.port) for _ in range(5)))
            assert set(later) == {_der(renewed.certificate)}, "new ones see the new certificate"
        assert answered == 1000

    run(main)


def test_a_new_certificate_with_another_kind_of_key_leaves_nothing_of_the_old(run: Run) -> None:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    assert key.public_key()

    async def main() -> None:
        current = CONTEXT
        async with serving(context=lambda: current) as server:
            current = server_context(_rsa(key))
            client = await Client.connect(server.port)
            assert client.certificate() == _der(_rsa(key).certificate)
            await client.close()

    run(main)


@pytest.mark.parametrize(
    ("asked", "common", "dns", "answered"),
    [
        ((), "anybody", (), True),
        (("kube-apiserver",), "kube-apiserver", (), True),
        (("kube-apiserver", "webhooks.example.com"), "other", ("a.example.com", "webhooks.example.com"), True),
        (("kube-apiserver",), "kubelet", ("node.example.com",), False),
        # Neither case, nor a wildcard, nor a part of a name, nor an address is a name.
        (("kube-apiserver",), "Kube-apiserver", (), False),
        (("a.example.com",), "kubelet", ("*.example.com",), False),
        (("kube-apiserver",), "kube-apiserver.evil", (), False),
        (("kube-apiserver",), "", (), False),
    ],
)
def test_with_client_names_only_a_certificate_with_one_of_them_is_answered(
    run: Run, asked: tuple[str, ...], common: str, dns: tuple[str, ...], answered: bool
) -> None:
    async def main() -> None:
        context = server_context(SERVING, AUTHORITY.certificate)
        async with serving(context=lambda: context, client_names=frozenset(asked)) as server:
            client = await Client.connect(server.port, trust=_showing(common, dns))
            if answered:
                assert (await client.post()).status == 200
            else:
                with pytest.raises((OSError, asyncio.IncompleteReadError)):
                    await client.post()
            await client.close()
            # Nobody else is held up by it.
            assert await soon(lambda: connections() == 0)

    run(main)


def _showing(common: str, dns: Sequence[str]) -> ssl.SSLContext:
    """A client's context with a certificate of AUTHORITY that has these names."""
    (issuer,) = x509.load_pem_x509_certificates(AUTHORITY.certificate)
    signer = load_pem_private_key(AUTHORITY.key, None)
    assert isinstance(signer, ec.EllipticCurvePrivateKey)
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)] if common else [])
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(issuer.not_valid_before_utc)
        .not_valid_after(issuer.not_valid_after_utc)
    )
    if dns:
        made = made.add_extension(x509.SubjectAlternativeName([x509.DNSName(one) for one in dns]), critical=False)
    context = trusting(AUTHORITY.certificate)
    with tempfile.NamedTemporaryFile() as file:
        file.write(made.sign(signer, hashes.SHA256()).public_bytes(Encoding.PEM))
        file.write(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        file.flush()
        context.load_cert_chain(file.name)
    return context


def test_stopping_under_load_answers_everything_that_was_asked(run: Run) -> None:
    async def main() -> None:
        async def review(body: bytes, until: float) -> Answer:
            await asyncio.sleep(0.02)
            return await echo(body, until)

        answered: list[int] = []
        asking: set[Client] = set()

        async def ask(port: int) -> None:
            client = await Client.connect(port)
            while True:
                reply = await client.post(b"x" * 5000)
                answered.append(reply.status)
                asking.add(client)
                if reply.headers.get("connection") == "close":
                    break
            await client.close()

        async with serving(review, limits=replace(PATIENT, shutdown_delay=1.5)) as server:
            idle = await Client.connect(server.port)
            assert (await idle.post()).status == 200
            load = [asyncio.create_task(ask(server.port)) for _ in range(8)]
            # All are connected and asking, however long their handshakes take.
            assert await soon(lambda: len(asking) == 8)
            server.stopping.set()
            late = await Client.connect(server.port)
            while (reply := await late.get("/readyz")).status == 200:
                pass
            assert (reply.status, reply.headers["connection"]) == (500, "close")
            await asyncio.gather(*load)
            assert await server.done
            assert await idle.ended()
            with pytest.raises(ConnectionRefusedError):
                await Client.connect(server.port)
            for client in (idle, late):
                await client.close()
        assert set(answered) == {200}

    run(main)


def test_what_is_in_flight_without_a_delay_is_answered_and_what_hangs_is_cut_off(run: Run) -> None:
    async def main() -> None:
        go, begun = asyncio.Event(), asyncio.Semaphore(0)

        async def review(body: bytes, until: float) -> Answer:
            begun.release()
            await go.wait()
            return await echo(body, until)

        async with serving(review) as server:
            client = await Client.connect(server.port)
            await client.send(request())
            await begun.acquire()
            stopped = asyncio.create_task(server.stop())
            with pytest.raises(ConnectionRefusedError):
                while True:
                    await (await Client.connect(server.port)).close()
            go.set()
            reply = await client.reply()
            assert (reply.status, reply.headers["connection"]) == (200, "close")
            assert await stopped
            await client.close()
        go.clear()
        async with serving(review, limits=replace(PATIENT, drain_seconds=0.3)) as server:
            client = await Client.connect(server.port)
            await client.send(request())
            await begun.acquire()
            assert not await server.stop()
            assert await client.ended()
            await client.close()

    run(main)


def test_an_address_in_use_is_an_error_with_a_hint(run: Run) -> None:
    async def main() -> None:
        async with serving() as server:
            listener = Listener(app=lambda exchange: None, address=("127.0.0.1", server.port))
            with pytest.raises(InvalidInput, match="cannot listen") as caught:
                await serve([listener], limits=PATIENT, stopping=asyncio.Event())
            assert caught.value.hint

    run(main)


def _der(pem: bytes) -> bytes:
    return certificates.parse(pem)[0].public_bytes(Encoding.DER)


_RSA: dict[int, certificates.Pair] = {}


def _rsa(key: rsa.RSAPrivateKey) -> certificates.Pair:
    """A serving certificate with an RSA key, as cert-manager makes by default."""
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.serialization import (
        NoEncryption,
        PrivateFormat,
        load_pem_private_key,
    )

    if id(key) not in _RSA:
        issuer = certificates.parse(AUTHORITY.certificate)[0]
        template = certificates.parse(SERVING.certificate)[0]
        builder = (
            x509.CertificateBuilder()
            .subject_name(template.subject)
            .issuer_name(issuer.subject)
            .serial_number(x509.random_serial_number())
            .public_key(key.public_key())
            .not_valid_before(template.not_valid_before_utc)
            .not_valid_after(template.not_valid_after_utc)
        )
        for extension in template.extensions:
            if isinstance(extension.value, x509.SubjectKeyIdentifier):
                continue
            builder = builder.add_extension(extension.value, extension.critical)
        builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        signer: Any = load_pem_private_key(AUTHORITY.key, password=None)
        _RSA[id(key)] = certificates.Pair(
            certificate=builder.sign(signer, hashes.SHA256()).public_bytes(Encoding.PEM),
            key=key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()),
        )
    return _RSA[id(key)]
