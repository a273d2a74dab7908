"""Credentials: a kubeconfig's context, or the Pod we run in, as a Connection.

What is more than a token or a certificate (`plain.py`) is left to the official `kubernetes` package. It is imported inside
functions: with urllib3 it costs 0.3 to 0.4 s of CPU. Modules of the standard library that only some runs need are imported
where they are needed.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from aksp.errors import ClusterError, KubeconfigError
from aksp.kube import kubeconfig as files
from aksp.kube.connection import Connection, Session
from aksp.kube.credentials import ContextCredentials, target
from aksp.kube.plain import plain_session

if TYPE_CHECKING:
    from kubernetes.client import Configuration

IN_CLUSTER = "in-cluster"
"""The name of the cluster that we run in."""
SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
"""Kubernetes, "Accessing the Kubernetes API from a Pod"."""
CONNECT_SECONDS = 5.0
READ_SECONDS = 60.0
"""The longest silence of the server within one answer."""
LOOPBACK = ("127.", "localhost", "::1")
PROXY = "check proxy-url in the kubeconfig and HTTPS_PROXY"


def contexts(kubeconfig: str | None) -> list[str]:
    """The contexts' names, in the files' order; none without a kubeconfig. Raises KubeconfigError for a broken one."""
    config = files.read(kubeconfig)
    return list(config.contexts) if config else []


def current_context(kubeconfig: str | None) -> str | None:
    """The current context's name, which need not exist. Raises KubeconfigError for a broken kubeconfig."""
    config = files.read(kubeconfig)
    return config.current if config else None


def connect(
    context: str | None = None,
    kubeconfig: str | None = None,
    *,
    request_timeout: float = READ_SECONDS,
    connect_timeout: float = CONNECT_SECONDS,
    user_agent: str = "aksp",
    compress: bool | None = None,
) -> Connection:
    """The cluster of a context (None: the current one), else the one we run in.

    Sends nothing, but may run an exec plugin.

    `kubeconfig`: the file given by option. `compress`: whether answers come gzipped; None: unless the server is on this
    machine, where compressing costs more than it saves. Timeouts in seconds.
    Raises KubeconfigError: no kubeconfig, unknown context, a field that is wrong; ClusterError: a plugin that fails.
    """
    config = files.read(kubeconfig)
    renew: Callable[[], Session]
    if config is not None:
        chosen = target(config, context)
        name, server, namespace = chosen.context, chosen.server.rstrip("/"), chosen.namespace
        warnings = _warnings(chosen)

        def renew() -> Session:
            # The files are read again: a login beside us may have written another token.
            again = files.read(kubeconfig)
            return _kubeconfig_session(target(again, name) if again else chosen)

        session = _kubeconfig_session(chosen)
    elif _in_pod() and context in (None, IN_CLUSTER):
        renew = _pod_session
        session = renew()
        name, server, namespace, warnings = IN_CLUSTER, session.url, _pod_namespace(), ()
    else:
        raise files.not_found(kubeconfig)
    host = urlsplit(server).hostname or ""
    return Connection(
        name=name,
        server=_public(server),
        namespace=namespace,
        warnings=warnings,
        session=session,
        renew=renew,
        connect_timeout=connect_timeout,
        read_timeout=request_timeout,
        user_agent=user_agent,
        compress=not host.startswith(LOOPBACK) if compress is None else compress,
    )


def _kubeconfig_session(chosen: ContextCredentials) -> Session:
    return plain_session(chosen) or _package_session(chosen)


def _package_session(chosen: ContextCredentials) -> Session:
    from kubernetes import config
    from kubernetes.client import Configuration

    # Unannotated in the package.
    load: Any = config.load_kube_config if chosen.persistent else config.load_kube_config_from_dict
    source: dict[str, Any] = {"config_dict": chosen.document}
    if chosen.persistent:
        source = {"config_file": os.pathsep.join(map(str, chosen.files))}
    configuration = Configuration()
    with _complaints() as said:
        try:
            load(context=chosen.context, client_configuration=configuration, **source)
        except Exception as error:  # noqa: BLE001 - the package raises whatever a malformed entry leads to
            said.append(f"{type(error).__name__}: {error}")
    if said:
        raise _unusable(chosen, " ".join(said))
    return _session(configuration, chosen.impersonation)


def _pod_session() -> Session:
    from kubernetes import config
    from kubernetes.client import Configuration

    configuration = Configuration()
    load: Any = config.load_incluster_config
    try:
        load(client_configuration=configuration)
    except (config.ConfigException, OSError) as error:
        hint = "does the Pod mount its service account (automountServiceAccountToken)? or name a file with --kubeconfig"
        raise ClusterError(f"the Pod's service account cannot be used: {error}", where=IN_CLUSTER, hint=hint) from error
    return _session(configuration, ())


def _session(configuration: Configuration, impersonation: tuple[tuple[str, str], ...]) -> Session:
    """The package's own connection pool: TLS, client certificates and proxies as it configures them."""
    import urllib3
    from kubernetes.client.rest import RESTClientObject

    if not configuration.verify_ssl:
        # Said once by Connection.warnings instead of at every request.
        urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)
    rest: Any = RESTClientObject
    if fault := _proxy_fault(configuration.proxy):
        raise KubeconfigError(f"no connection can be set up: {fault}", hint=PROXY)
    try:
        pool: urllib3.PoolManager = rest(configuration).pool_manager
    except (urllib3.exceptions.HTTPError, ValueError, ImportError) as error:
        raise KubeconfigError("no connection can be set up", hint=PROXY) from error

    def credential() -> str | None:
        try:
            with _complaints():  # a plugin that fails now leaves the old token: the server's 401 then tells
                setting = configuration.auth_settings().get("BearerToken")
        except Exception as error:  # the package's refreshing raises whatever files and identity providers lead to
            reason = error.strerror if isinstance(error, OSError) and error.strerror else type(error).__name__
            raise ClusterError(f"the token cannot be refreshed: {reason}", hint="log in again") from error
        return str(setting["value"] or "") if setting else None

    return Session(pool=pool, url=str(configuration.host), credential=credential, impersonation=impersonation)


def _proxy_fault(proxy: str | None) -> str | None:
    """What is wrong with a proxy's URL, without the URL, which may hold a password; None for a good one and for none."""
    if not proxy:
        return None
    try:
        parts = urlsplit(proxy)
        _ = parts.port  # raises for one that is no number, or none of TCP
    except ValueError:
        return "the proxy's URL cannot be read: it takes a form such as http://proxy.example.com:8080"
    if parts.scheme.startswith("socks"):
        from importlib.util import find_spec

        return None if find_spec("socks") else "a SOCKS proxy needs the package PySocks: pip install pysocks"
    if parts.scheme not in ("http", "https"):
        return "the proxy's URL begins neither with http:// nor with https://"
    return None if parts.hostname else "the proxy's URL has no host"


@contextlib.contextmanager
def _complaints() -> Iterator[list[str]]:
    """What the package logs as errors in this thread meanwhile: it does not raise when an exec plugin fails."""
    import logging

    said: list[str] = []
    thread = threading.get_ident()

    class Collector(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if record.thread == thread and record.module == "kube_config":
                said.append(record.getMessage())

    listener = Collector(logging.ERROR)
    # With a handler on the root logger, logging.error() does not set up one of its own.
    logging.getLogger().addHandler(listener)
    try:
        yield said
    finally:
        logging.getLogger().removeHandler(listener)


def _unusable(chosen: ContextCredentials, said: str) -> ClusterError:
    import shutil

    for secret in chosen.secrets:
        said = said.replace(secret, "***")
    said = " ".join(said.split())[:500]
    where = os.pathsep.join(map(str, chosen.files))
    if chosen.command is None:
        return KubeconfigError(
            f"the credentials of user {chosen.user!r} cannot be used: {said}", where=where, hint=files.CORRECT
        )
    if shutil.which(chosen.command) is None:
        return ClusterError(
            f"the exec plugin {chosen.command!r} of user {chosen.user!r} cannot be run: it is not installed",
            where=where,
            hint=chosen.install or f"install {chosen.command}, or choose another context",
        )
    return ClusterError(
        f"the exec plugin {chosen.command!r} of user {chosen.user!r} failed: {said.removeprefix('exec: ')}",
        where=where,
        hint="log in again (e.g. `az login`), then try `kubectl get --raw /version` with the same context",
    )


def _warnings(chosen: ContextCredentials) -> tuple[str, ...]:
    if chosen.server.lower().startswith("http://"):
        return (f"{_public(chosen.server)} is not encrypted: credentials and answers can be read and changed",)
    unverified = (
        f"the certificate of {_public(chosen.server)} is not verified (insecure-skip-tls-verify in the kubeconfig):"
        " whoever is in between can read the credentials and change the answers"
    )
    return (unverified,) if chosen.insecure else ()


def _public(server: str) -> str:
    """The URL without user and password, which some write into it."""
    parts = urlsplit(server)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl().rstrip("/")


def _in_pod() -> bool:
    return bool(os.environ.get("KUBERNETES_SERVICE_HOST")) and (SERVICE_ACCOUNT / "token").exists()


def _pod_namespace() -> str:
    try:
        return (SERVICE_ACCOUNT / "namespace").read_text(encoding="utf-8").strip() or "default"
    except OSError:
        return "default"
