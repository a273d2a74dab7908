"""Finding, merging and checking kubeconfigs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from aksp.errors import ClusterError, ExitCode
from aksp.kube.config import connect, contexts, current_context
from tests.cli.hostile import irregular
from tests.kube.apiserver import kubeconfig

SERVER = "https://127.0.0.1:1"
TOKEN = "eyJsecret.eyJsecret.signature"


def refused(path: str | None, context: str | None = None) -> ClusterError:
    with pytest.raises(ClusterError) as raised:
        connect(context, path)
    assert raised.value.exit_code == ExitCode.INVALID
    assert TOKEN not in str(raised.value) + str(raised.value.hint)
    return raised.value


def test_the_places_looked_at_are_named_when_there_is_no_kubeconfig(monkeypatch: pytest.MonkeyPatch) -> None:
    error = refused(None)
    assert "no kubeconfig found (looked at " in str(error)
    assert ".kube/config" in str(error)
    assert error.hint and "--kubeconfig" in error.hint
    monkeypatch.setenv("KUBECONFIG", os.pathsep.join(["/nowhere/one", "/nowhere/two"]))
    assert "/nowhere/one, /nowhere/two" in str(refused(None))
    assert contexts(None) == []
    assert current_context(None) is None


def test_a_kubeconfig_named_by_option_must_be_there(tmp_path: Path) -> None:
    assert "no such kubeconfig" in str(refused(str(tmp_path / "absent")))
    (tmp_path / "empty").write_text("")
    assert "empty" in str(refused(str(tmp_path / "empty")))
    assert "Is a directory" in str(refused(str(tmp_path)))


@pytest.mark.parametrize("kind", ["fifo", "device", "loop"])
def test_a_kubeconfig_that_is_no_file_is_refused_at_once(tmp_path: Path, kind: str) -> None:
    irregular(tmp_path / "config", kind)
    error = refused(str(tmp_path / "config"))
    assert f"{tmp_path / 'config'}: cannot read the kubeconfig: " in str(error)
    assert error.hint


@pytest.mark.parametrize("kind", ["fifo", "device", "loop", "folder"])
@pytest.mark.parametrize("key", ["certificate-authority", "client-certificate", "tokenFile"])
def test_a_file_that_the_kubeconfig_names_and_is_none_is_refused_at_once(tmp_path: Path, kind: str, key: str) -> None:
    irregular(tmp_path / "odd", kind)
    odd = {key: "odd"}
    of_cluster = key == "certificate-authority"
    error = refused(kubeconfig(tmp_path, SERVER, cluster=odd if of_cluster else None, user=None if of_cluster else odd))
    assert f"{key}: cannot read {tmp_path / 'odd'}: " in str(error)


@pytest.mark.parametrize("path", ["a\0b", "~nobody-of-this-name/ca"])
def test_a_path_that_leads_nowhere_is_refused_with_its_field(tmp_path: Path, path: str) -> None:
    error = refused(kubeconfig(tmp_path, SERVER, cluster={"certificate-authority": path}))
    assert "clusters[here].certificate-authority: cannot read " in str(error)
    assert "no such kubeconfig" in str(refused("~nobody-of-this-name/config"))


def test_the_home_kubeconfig_is_used_without_option_and_variable(tmp_path: Path) -> None:
    kubeconfig(tmp_path / "home" / ".kube", SERVER, name="at-home")
    assert contexts(None) == ["at-home"]
    with connect() as connection:
        assert (connection.name, connection.server, connection.namespace) == ("at-home", SERVER, "default")


def test_the_context_gives_the_default_namespace(tmp_path: Path) -> None:
    context = {"name": "here", "context": {"cluster": "here", "user": "here", "namespace": "shop"}}
    with connect(None, kubeconfig(tmp_path, SERVER, contexts=[context])) as connection:
        assert connection.namespace == "shop"


def test_several_files_are_merged_and_the_first_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one = kubeconfig(tmp_path, "https://one:1", name="shared", file="one")
    two = kubeconfig(tmp_path, "https://two:1", name="shared", file="two")
    three = kubeconfig(tmp_path, "https://three:1", name="third", file="three")
    monkeypatch.setenv("KUBECONFIG", os.pathsep.join([one, str(tmp_path / "absent"), two, three]))
    assert contexts(None) == ["shared", "third"]
    assert current_context(None) == "shared"
    with connect() as first, connect("third") as third:
        assert (first.server, third.server) == ("https://one:1", "https://three:1")
    assert contexts(three) == ["third"]


def test_relative_files_are_found_beside_the_kubeconfig_that_names_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The user stands in another folder than the cluster."""
    cluster = tmp_path / "clusters" / "config"
    kubeconfig(cluster.parent, SERVER, users=[])
    user = kubeconfig(tmp_path / "users", SERVER, user={"tokenFile": "token"}, clusters=[], contexts=[])
    monkeypatch.setenv("KUBECONFIG", os.pathsep.join([str(cluster), user]))
    assert f"users[here].tokenFile: cannot read {tmp_path}/users/token" in str(refused(None))
    (tmp_path / "users" / "token").write_text("x\n")
    connect().close()


def test_an_unknown_context_is_answered_with_those_known_and_the_nearest(tmp_path: Path) -> None:
    path = kubeconfig(tmp_path, SERVER, name="production")
    error = refused(path, "prodution")
    assert str(error) == f"{path}: unknown context 'prodution'; known: production"
    assert error.hint == "did you mean 'production'?"
    assert "the current context 'gone' does not exist" in str(refused(kubeconfig(tmp_path, SERVER, **CURRENT)))


CURRENT: dict[str, Any] = {"current-context": "gone"}


def test_a_kubeconfig_without_current_context_asks_for_one(tmp_path: Path) -> None:
    nothing: dict[str, Any] = {"current-context": ""}
    error = refused(kubeconfig(tmp_path, SERVER, **nothing))
    assert "no current context; known: here" in str(error)
    assert error.hint and "--context" in error.hint
    assert "has no contexts" in str(refused(kubeconfig(tmp_path, SERVER, contexts=[])))


def test_broken_yaml_is_told_with_line_and_without_its_text(tmp_path: Path) -> None:
    path = tmp_path / "broken"
    path.write_text(f"users:\n- name: a\n  user: {{token: {TOKEN}\ncontexts: []\n")
    with pytest.raises(ClusterError, match="not YAML") as raised:
        contexts(str(path))
    assert f"{path}:4:" in str(raised.value)
    assert TOKEN not in str(raised.value)
    path.write_bytes(b"\x00\x01\xff")
    assert "not YAML" in str(refused(str(path)))
    path.write_text("just a sentence")
    assert "expected a mapping" in str(refused(str(path)))
    path.write_text("contexts: {a: b}")
    assert "contexts: expected a list" in str(refused(str(path)))
    path.write_text("contexts: [{context: {}}]")
    assert "contexts[0]: expected a mapping with a name" in str(refused(str(path)))


@pytest.mark.parametrize(
    ("user", "said"),
    [
        ({"client-certificate-data": "%%%", "client-key-data": "%%%"}, "client-certificate-data: this is not base64"),
        ({"client-certificate-data": "aGVsbG8="}, "of no PEM"),
        ({"client-certificate": "/nowhere/cert"}, "cannot read /nowhere/cert: No such file"),
        ({"token": 5}, "token: expected a string"),
        ({"exec": {"apiVersion": "client.authentication.k8s.io/v1"}}, "exec.command: expected a string"),
        ({"exec": {"apiVersion": "v1", "command": "x", "args": [1]}}, "exec.args: expected a list of strings"),
        ({"exec": {"apiVersion": "v1", "command": "x", "env": ["A=b"]}}, "exec.env: expected a list of"),
        ({"exec": "kubelogin"}, "exec: expected a mapping"),
        ({"as": "me\r\nX: y"}, "as: Impersonate-User holds characters that no header has"),
        ({"as": "me", "as-user-extra": {"team": ["é"]}}, "as: Impersonate-Extra-team holds characters"),
        ({"auth-provider": {"name": "azure"}}, "auth-provider.name: 'azure' is not supported any more"),
    ],
)
def test_a_wrong_field_of_the_user_is_named(tmp_path: Path, user: dict[str, Any], said: str) -> None:
    error = refused(kubeconfig(tmp_path, SERVER, user=user))
    assert "users[here]." in str(error)
    assert said in str(error)
    assert error.hint


@pytest.mark.parametrize(
    ("cluster", "said"),
    [
        ({"server": "127.0.0.1:6443"}, "server: expected a URL"),
        ({"server": "https://[::1"}, "server: this is no URL: Invalid IPv6 URL"),
        ({"certificate-authority": "/nowhere/ca"}, "certificate-authority: cannot read /nowhere/ca"),
        ({"certificate-authority-data": "not base64!"}, "certificate-authority-data: this is not base64"),
        ({"insecure-skip-tls-verify": "false"}, "insecure-skip-tls-verify: expected true or false"),
    ],
)
def test_a_wrong_field_of_the_cluster_is_named(tmp_path: Path, cluster: dict[str, Any], said: str) -> None:
    assert said in str(refused(kubeconfig(tmp_path, SERVER, cluster=cluster)))


@pytest.mark.parametrize("section", ["contexts", "clusters", "users"])
def test_a_name_that_stands_twice_in_one_file_is_refused(tmp_path: Path, section: str) -> None:
    path = kubeconfig(tmp_path, SERVER)
    document = yaml.safe_load(Path(path).read_text())
    (one, *_) = document[section]
    document[section].append(one)
    Path(path).write_text(yaml.safe_dump(document))
    assert f"{section}[{len(document[section]) - 1}]: the name {one['name']!r} stands twice in the list" in str(
        refused(path)
    )


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("ftp://proxy:1", "neither with http:// nor with https://"),
        ("proxy:8080", "neither with http:// nor with https://"),
        ("http://", "has no host"),
        ("http://eve:hidden@[::1", "cannot be read"),
        ("http://eve:hidden@proxy:99999", "cannot be read"),
        ("socks5://eve:hidden@proxy:1", "needs the package PySocks"),
    ],
)
def test_a_proxy_that_cannot_be_used_is_told_with_the_reason_and_without_its_password(
    tmp_path: Path, url: str, said: str
) -> None:
    error = refused(kubeconfig(tmp_path, SERVER, cluster={"proxy-url": url}))
    assert said in str(error) and "hidden" not in str(error)
    assert "proxy-url" in (error.hint or "")


def test_a_context_whose_user_or_cluster_is_missing_is_refused(tmp_path: Path) -> None:
    path = kubeconfig(tmp_path, SERVER, users=[])
    assert str(refused(path)) == f"{path}: context 'here' names user 'here', which is not there"
    assert "names cluster 'here', which is not there" in str(refused(kubeconfig(tmp_path, SERVER, clusters=[])))


def test_a_server_certificate_left_unverified_is_warned_about(tmp_path: Path) -> None:
    with connect(None, kubeconfig(tmp_path, SERVER, cluster={"insecure-skip-tls-verify": True})) as connection:
        assert "insecure-skip-tls-verify" in connection.warnings[0]
    with connect(None, kubeconfig(tmp_path, "http://127.0.0.1:1")) as connection:
        assert "not encrypted" in connection.warnings[0]
    with connect(None, kubeconfig(tmp_path, "https://me:pass@127.0.0.1:1/")) as connection:
        assert (connection.warnings, connection.server) == ((), SERVER)


def test_reading_contexts_imports_neither_kubernetes_nor_urllib3(tmp_path: Path) -> None:
    code = (
        "import sys; from aksp.kube import config, lists, kinds; "
        f"assert config.contexts({kubeconfig(tmp_path, SERVER)!r}) == ['here']; "
        "assert not {'kubernetes', 'urllib3', 'ssl.SSLContext'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
