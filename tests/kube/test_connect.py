"""Credentials and TLS against a server."""

from __future__ import annotations

import base64
import gzip
import json
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization

from aksp.errors import ClusterError, ExitCode
from aksp.kube import config
from aksp.kube.config import connect
from aksp.kube.errors import ServerError, Unauthorized, Unreachable
from aksp.kube.fetch import Backoff, get_json
from tests.kube.apiserver import ApiServer, Authority, Reply, Request, kubeconfig, status

SOON = Backoff(first=0.001)


def plugin(folder: Path, body: str) -> dict[str, Any]:
    """An exec plugin written in Python, as the kubeconfig's `exec`. `{n}` in the body counts its runs."""
    script = folder / "plugin.py"
    script.write_text(
        "import json, pathlib, sys\n"
        f"runs = pathlib.Path({str(folder / 'runs')!r})\n"
        "n = len(runs.read_text()) + 1 if runs.exists() else 1\n"
        "runs.write_text('x' * n)\n"
        "def give(**status):\n"
        "    document = {'apiVersion': 'client.authentication.k8s.io/v1', 'kind': 'ExecCredential', 'status': status}\n"
        "    print(json.dumps(document))\n" + body
    )
    return {"apiVersion": "client.authentication.k8s.io/v1", "command": sys.executable, "args": [str(script)]}


def asks_for(token: str) -> Any:
    def answer(request: Request) -> Reply:
        if request.headers.get("Authorization") != f"Bearer {token}":
            return status(401, "Unauthorized")
        return Reply(body=b'{"gitVersion": "v1.36.3"}')

    return answer


def test_tls_is_verified_with_the_authority_of_the_kubeconfig(tmp_path: Path, authority: Authority) -> None:
    with ApiServer(asks_for("secret-token"), authority=authority) as server:
        cluster = {"certificate-authority-data": authority.base64}
        with connect(None, kubeconfig(tmp_path, server.url, cluster=cluster)) as connection:
            assert get_json(connection, "/version") == {"gitVersion": "v1.36.3"}
            assert connection.warnings == ()


def test_another_authority_is_refused_at_once(tmp_path: Path, authority: Authority, other_authority: Authority) -> None:
    with ApiServer(asks_for("secret-token"), authority=authority) as server:
        cluster = {"certificate-authority-data": other_authority.base64}
        with (
            connect(None, kubeconfig(tmp_path, server.url, cluster=cluster)) as connection,
            pytest.raises(Unreachable, match="cannot be trusted") as raised,
        ):
            get_json(connection, "/version")
        assert raised.value.hint and "certificate-authority" in raised.value.hint
        assert raised.value.exit_code == ExitCode.CLUSTER
        assert server.requests == []


@pytest.mark.parametrize("named", [(), ("certificate",), ("key",), ("certificate", "key")])
def test_a_client_certificate_is_shown_by_data_or_by_file(
    tmp_path: Path, authority: Authority, monkeypatch: pytest.MonkeyPatch, named: tuple[str, ...]
) -> None:
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    user = {}
    for name, pem in (("certificate", authority.certificate), ("key", authority.key)):
        if name in named:
            (tmp_path / f"{name}.pem").write_bytes(pem)
            user[f"client-{name}"] = f"{name}.pem"
        else:
            user[f"client-{name}-data"] = base64.b64encode(pem).decode()
    with ApiServer(lambda _: Reply(), authority=authority, certificates=True) as server:
        cluster = {"certificate-authority-data": authority.base64}
        with connect(None, kubeconfig(tmp_path, server.url, user=user, cluster=cluster)) as connection:
            get_json(connection, "/version")
        assert "Authorization" not in server.requests[0].headers
        with (
            connect(None, kubeconfig(tmp_path, server.url, user=user)) as connection,
            pytest.raises(Unreachable, match="cannot be trusted"),
        ):
            get_json(connection, "/version")
    # The private key does not stay on disk.
    assert list(folder.iterdir()) == []


def test_what_is_wrong_with_a_client_certificate_is_told_without_asking_for_a_password(
    tmp_path: Path, authority: Authority
) -> None:
    key = serialization.load_pem_private_key(authority.key, None)
    locked = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.BestAvailableEncryption(b"secret"),
    )
    user = {"client-certificate-data": base64.b64encode(authority.certificate).decode()}
    user["client-key-data"] = base64.b64encode(locked).decode()
    with ApiServer(lambda _: Reply(), authority=authority, certificates=True) as server:
        path = kubeconfig(tmp_path, server.url, user=user, cluster={"certificate-authority-data": authority.base64})
        with connect(None, path) as connection, pytest.raises(Unreachable, match="encrypted"):
            get_json(connection, "/version")


def test_a_proxy_of_the_environment_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")
    path = kubeconfig(tmp_path, "https://cluster.invalid")
    with connect(None, path) as connection, pytest.raises(Unreachable, match=r"the proxy for .* cannot be reached"):
        get_json(connection, "/version", backoff=SOON)


def test_an_unverified_certificate_works_and_python_warns_of_nothing(tmp_path: Path, authority: Authority) -> None:
    with ApiServer(asks_for("secret-token"), authority=authority) as server:
        path = kubeconfig(tmp_path, server.url, cluster={"insecure-skip-tls-verify": True})
        with connect(None, path) as connection:
            get_json(connection, "/version")
            assert len(connection.warnings) == 1


def test_a_server_without_tls_is_told_apart(tmp_path: Path) -> None:
    with ApiServer(asks_for("secret-token")) as server:
        path = kubeconfig(tmp_path, server.url.replace("http:", "https:"))
        with connect(None, path) as connection, pytest.raises(Unreachable, match="does not speak TLS"):
            get_json(connection, "/version")


def test_a_refused_connection_is_told_within_two_seconds(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"https://127.0.0.1:{free.getsockname()[1]}"
    before = time.monotonic()
    with connect(None, kubeconfig(tmp_path, url)) as connection, pytest.raises(Unreachable) as raised:
        get_json(connection, "/version")
    assert time.monotonic() - before < 2.5
    assert f"connection to {url} refused" in str(raised.value)
    assert raised.value.hint and "is the cluster up?" in raised.value.hint and "--context" in raised.value.hint


def test_a_host_without_address_is_told(tmp_path: Path) -> None:
    with (
        connect(None, kubeconfig(tmp_path, "https://nowhere.invalid")) as connection,
        pytest.raises(Unreachable, match=r"host name of https://nowhere.invalid cannot be resolved"),
    ):
        get_json(connection, "/version", backoff=SOON)


def test_a_server_that_never_accepts_is_given_up_after_the_connect_timeout(tmp_path: Path) -> None:
    # A full backlog: the kernel answers no more SYNs.
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen(0)
        waiting = [socket.socket() for _ in range(4)]
        try:
            for each in waiting:
                each.setblocking(False)
                each.connect_ex(deaf.getsockname())
            path = kubeconfig(tmp_path, f"https://127.0.0.1:{deaf.getsockname()[1]}")
            with (
                connect(None, path, connect_timeout=0.2) as connection,
                pytest.raises(Unreachable, match=r"within 0.2 s"),
            ):
                get_json(connection, "/version")
        finally:
            for each in waiting:
                each.close()


def test_a_silent_server_is_asked_twice(tmp_path: Path) -> None:
    going = threading.Event()
    with ApiServer(lambda _: Reply(before=lambda: going.wait(5))) as server:
        with (
            connect(None, kubeconfig(tmp_path, server.url), request_timeout=0.1) as connection,
            pytest.raises(ServerError, match=r"no answer within 0.1 s \(2 attempts\)"),
        ):
            get_json(connection, "/version", backoff=SOON)
        going.set()
        assert len(server.requests) == 2


def test_an_exec_plugin_is_run_again_when_the_token_is_refused(tmp_path: Path) -> None:
    user = {"exec": plugin(tmp_path, "give(token=f'token-{n}')")}
    with ApiServer(asks_for("token-2")) as server, connect(None, kubeconfig(tmp_path, server.url, user=user)) as here:
        get_json(here, "/version")
        get_json(here, "/version")
        sent = [request.headers.get("Authorization") for request in server.requests]
        assert sent == ["Bearer token-1", "Bearer token-2", "Bearer token-2"]


def test_threads_refused_together_run_the_plugin_once(tmp_path: Path) -> None:
    user = {"exec": plugin(tmp_path, "give(token='old' if n == 1 else 'new')")}
    together = threading.Barrier(3)

    def answer(request: Request) -> Reply:
        if request.headers.get("Authorization") == "Bearer old":
            together.wait(10)
            return status(401, "Unauthorized")
        return Reply()

    with ApiServer(answer) as server, connect(None, kubeconfig(tmp_path, server.url, user=user)) as connection:
        threads = [threading.Thread(target=get_json, args=(connection, "/version")) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert [request.headers.get("Authorization") for request in server.requests].count("Bearer new") == 3
    assert (tmp_path / "runs").read_text() == "xx"


def test_a_token_that_stays_refused_is_told_once_and_not_shown(tmp_path: Path) -> None:
    with ApiServer(asks_for("another")) as server, connect(None, kubeconfig(tmp_path, server.url)) as connection:
        with pytest.raises(Unauthorized, match=r"does not accept the credentials \(401\): Unauthorized") as raised:
            get_json(connection, "/version")
        assert len(server.requests) == 2
    assert "secret-token" not in str(raised.value) + str(raised.value.hint)
    assert raised.value.hint and "az aks get-credentials" in raised.value.hint


def test_a_token_file_is_read_again_when_its_token_is_refused(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("old\n")
    with ApiServer(asks_for("new")) as server:
        path = kubeconfig(tmp_path, server.url, user={"tokenFile": "token", "token": "overruled"})
        with connect(None, path) as connection:
            (tmp_path / "token").write_text("new\n")
            get_json(connection, "/version")
            assert server.requests[0].headers["Authorization"] == "Bearer old"


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("sys.exit('please log in')", "failed: process returned 1. please log in"),
        ("print('hello')", "failed to decode process output"),
        ("print('{}')", "malformed response"),
        ("give()", "missing token or clientCertificateData"),
    ],
)
def test_a_failing_exec_plugin_is_told_with_its_words(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], body: str, said: str
) -> None:
    path = kubeconfig(tmp_path, "https://127.0.0.1:1", user={"exec": plugin(tmp_path, body)})
    with pytest.raises(ClusterError) as raised:
        connect(None, path)
    assert f"the exec plugin {sys.executable!r} of user 'here' failed" in str(raised.value)
    assert said in str(raised.value)
    assert capfd.readouterr().err == ""


def test_a_missing_exec_plugin_is_told_with_its_installation_hint(tmp_path: Path) -> None:
    missing = {"apiVersion": "client.authentication.k8s.io/v1", "command": "kubelogin-missing", "args": None}
    user = {"exec": missing | {"installHint": "see https://aka.ms/aks/kubelogin"}}
    with pytest.raises(ClusterError, match="'kubelogin-missing' of user 'here' cannot be run") as raised:
        connect(None, kubeconfig(tmp_path, "https://127.0.0.1:1", user=user))
    assert raised.value.hint == "see https://aka.ms/aks/kubelogin"


def test_a_relative_exec_plugin_is_found_beside_the_kubeconfig(tmp_path: Path) -> None:
    script = tmp_path / "login"
    script.write_text(
        f"#!{sys.executable}\nimport json\nprint(json.dumps({{'apiVersion': 'client.authentication.k8s.io/v1',"
        " 'kind': 'ExecCredential', 'status': {'token': 'from-plugin'}}))"
    )
    script.chmod(0o755)
    user = {"exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": "./login"}}
    with (
        ApiServer(asks_for("from-plugin")) as server,
        connect(None, kubeconfig(tmp_path, server.url, user=user)) as connection,
    ):
        get_json(connection, "/version")


def test_a_token_that_no_header_can_hold_is_refused_without_showing_it(tmp_path: Path) -> None:
    with (
        connect(None, kubeconfig(tmp_path, "http://127.0.0.1:1", user={"token": "sec\nret"})) as connection,
        pytest.raises(ClusterError, match="characters that no token has") as raised,
    ):
        get_json(connection, "/version")
    assert "ret" not in str(raised.value).split()


def test_basic_authentication_and_impersonation_are_sent_as_the_kubeconfig_says(tmp_path: Path) -> None:
    extra = {"example.com/project": ["blue"]}
    user = {"username": "me", "password": "pass", "as": "auditor", "as-groups": ["one", "two"], "as-user-extra": extra}
    with ApiServer(lambda _: Reply()) as server:
        with connect(None, kubeconfig(tmp_path, server.url, user=user)) as connection:
            get_json(connection, "/version")
        sent = server.requests[0].headers
    assert sent["Authorization"] == "Basic " + base64.b64encode(b"me:pass").decode()
    assert (sent["Impersonate-User"], sent["Impersonate-Group"]) == ("auditor", "one, two")
    assert sent["Impersonate-Extra-example.com%2Fproject"] == "blue"


def test_an_oidc_token_that_is_valid_is_used(tmp_path: Path) -> None:
    claims = base64.urlsafe_b64encode(json.dumps({"exp": time.time() + 3600}).encode()).decode().rstrip("=")
    token = f"eyJhbGciOiJub25lIn0.{claims}.c2ln"
    user = {"auth-provider": {"name": "oidc", "config": {"id-token": token}}}
    with (
        ApiServer(asks_for(token)) as server,
        connect(None, kubeconfig(tmp_path, server.url, user=user)) as connection,
    ):
        get_json(connection, "/version")


def test_a_broken_auth_provider_is_told_without_its_tokens(tmp_path: Path) -> None:
    user = {"auth-provider": {"name": "oidc", "config": {"refresh-token": "refresh-secret"}}}
    with pytest.raises(ClusterError, match="credentials of user 'here' cannot be used") as raised:
        connect(None, kubeconfig(tmp_path, "https://127.0.0.1:1", user=user))
    assert "refresh-secret" not in str(raised.value)


def test_the_pod_we_run_in_is_used_when_there_is_no_kubeconfig(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, authority: Authority
) -> None:
    from kubernetes.config import incluster_config

    (tmp_path / "token").write_text("pod-token\n")
    (tmp_path / "ca.crt").write_bytes(authority.pem)
    (tmp_path / "namespace").write_text("tools")
    monkeypatch.setattr(config, "SERVICE_ACCOUNT", tmp_path)
    monkeypatch.setattr(incluster_config, "SERVICE_TOKEN_FILENAME", str(tmp_path / "token"))
    monkeypatch.setattr(incluster_config, "SERVICE_CERT_FILENAME", str(tmp_path / "ca.crt"))
    with ApiServer(lambda _: Reply(), authority=authority) as server:
        host, _, port = server.url.removeprefix("https://").partition(":")
        monkeypatch.setenv("KUBERNETES_SERVICE_HOST", host)
        monkeypatch.setenv("KUBERNETES_SERVICE_PORT", port)
        with connect() as connection:
            assert (connection.name, connection.namespace, connection.server) == ("in-cluster", "tools", server.url)
            get_json(connection, "/version")
        assert server.requests[0].headers["Authorization"] == "bearer pod-token"
        with pytest.raises(ClusterError, match="no kubeconfig found"):
            connect("prod")


def test_answers_may_come_compressed(tmp_path: Path) -> None:
    def answer(request: Request) -> Reply:
        if request.headers["Accept-Encoding"] == "gzip":
            return Reply(body=gzip.compress(b'{"a": 1}'), headers={"Content-Encoding": "gzip"})
        return Reply(body=b'{"a": 2}')

    with ApiServer(answer) as server:
        path = kubeconfig(tmp_path, server.url)
        with connect(None, path, compress=True) as far, connect(None, path) as near:
            assert (get_json(far, "/x"), get_json(near, "/x")) == ({"a": 1}, {"a": 2})


def test_something_that_is_no_api_server_is_told(tmp_path: Path) -> None:
    html = Reply(body=b"<html>log in</html>", headers={"Content-Type": "text/html; charset=utf-8"})
    moved = Reply(status=302, headers={"Location": "https://login.invalid/"})
    with (
        ApiServer(lambda request: moved if request.path == "/moved" else html) as server,
        connect(None, kubeconfig(tmp_path, server.url)) as connection,
    ):
        with pytest.raises(ClusterError, match="answers with text/html, not JSON"):
            get_json(connection, "/version")
        with pytest.raises(ClusterError, match=r"redirects \(302\)"):
            get_json(connection, "/moved")


def test_a_proxy_that_is_not_there_is_told(tmp_path: Path) -> None:
    path = kubeconfig(tmp_path, "https://cluster.invalid", cluster={"proxy-url": "http://127.0.0.1:1"})
    with connect(None, path) as connection, pytest.raises(Unreachable, match=r"the proxy for .* cannot be reached"):
        get_json(connection, "/version", backoff=SOON)


def test_a_token_needs_no_kubernetes_package(tmp_path: Path, authority: Authority) -> None:
    # In a process of its own: the one of the tests has imported all of it.
    path = kubeconfig(tmp_path, "https://127.0.0.1:1", cluster={"certificate-authority-data": authority.base64})
    code = (
        "import sys\n"
        "from aksp.kube.config import connect\n"
        f"with connect(None, {path!r}):\n"
        "    assert 'urllib3' in sys.modules and 'kubernetes' not in sys.modules"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stderr) == (0, "")
