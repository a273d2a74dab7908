"""A real Kubernetes control plane as local processes: etcd, kube-apiserver and kube-controller-manager.

    with ControlPlane() as plane:
        plane.apply([{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}}])
        subprocess.run(["aksp", "compliance", "--cluster", "--kubeconfig", plane.kubeconfig])

Deployments make ReplicaSets and Pods; without a kubelet Pods stay Pending. Everything listens on 127.0.0.1 and lives
in a temporary folder. `python -m tests.testbed.controlplane` starts one and prints how long that took.
"""

import socket
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from http.client import HTTPException
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.testbed.build import control_plane
from tests.testbed.client import JSON, ApiError, Client, Object
from tests.testbed.credentials import ISSUER, StaticUser, TokenSigner, kubeconfig
from tests.testbed.ports import free_port
from tests.testbed.process import Process, ProcessDied
from tests.waiting import PATIENCE, until

DEFAULT_CONTROLLERS = "*,-nodelifecycle,-nodeipam"
READY_SECONDS = 60.0


class ControlPlane:
    """A control plane for one test session.

    `controllers` is kube-controller-manager's --controllers, None to run none: then nothing deletes Pods whose owner
    or node does not exist. With `service_accounts` Pods get the tokens of ServiceAccounts, which must exist, as in any
    cluster. `users` adds users by name with their groups; `viewer`, without any rights, is always there.
    """

    def __init__(
        self,
        *,
        controllers: str | None = DEFAULT_CONTROLLERS,
        users: Mapping[str, Sequence[str]] | None = None,
        binaries: Path | None = None,
        api_server_flags: Sequence[str] = (),
        etcd_flags: Sequence[str] = (),
        service_accounts: bool = False,
    ) -> None:
        self._controllers = controllers
        self._binaries = binaries
        self._flags = tuple(api_server_flags)
        self._more_etcd_flags = tuple(etcd_flags)
        self._service_accounts = service_accounts
        self._signer = TokenSigner()
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._clients: dict[str, Client] = {}
        self._processes: list[Process] = []
        self._written = 0
        self.ca = b""
        """The CA certificate of the API server, PEM."""
        self.server = ""
        """The API server's address, `https://127.0.0.1:…`."""
        self.ready_seconds = 0.0
        """Seconds from the start of etcd until the cluster could be used."""
        named = {"viewer": ()} | dict(users or {})
        admin = StaticUser.new("admin", ("system:masters",))
        self._users = {"admin": admin} | {name: StaticUser.new(name, groups) for name, groups in named.items()}

    @property
    def admin_token(self) -> str:
        """A token in the group system:masters."""
        return self._users["admin"].token

    def token(self, user: str) -> str:
        """The token of a static user: `admin`, `viewer`, or one given in `users`."""
        return self._users[user].token

    @property
    def folder(self) -> Path:
        """The temporary folder with the data, the kubeconfigs and the logs."""
        if self._folder is None:
            raise RuntimeError("the control plane is not started: use it in a with statement, or call start()")
        return Path(self._folder.name)

    @property
    def kubeconfig(self) -> Path:
        """A kubeconfig with the administrator's context `testbed`."""
        return self.folder / "testbed.kubeconfig"

    @property
    def logs(self) -> dict[str, Path]:
        """The log file of each process by its name."""
        return {name: self.folder / f"{name}.log" for name in ("etcd", "kube-apiserver", "kube-controller-manager")}

    @property
    def client(self) -> Client:
        """The administrator's client."""
        return self.client_for(self.admin_token)

    def client_for(self, token: str) -> Client:
        """A client with another token; closed when the control plane stops."""
        if not self.ca:
            raise RuntimeError("the control plane is not started: use it in a with statement, or call start()")
        if token not in self._clients:
            self._clients[token] = Client(self.server, self.ca, token)
        return self._clients[token]

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Starts everything and waits until it can be used; raises ProcessDied with a log's tail when it cannot be."""
        binaries = control_plane(self._binaries)
        try:
            self._start(binaries)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Ends all processes and removes the folder. May be called more than once."""
        while self._processes:
            self._processes.pop().stop(grace=2.0)
        while self._clients:
            self._clients.popitem()[1].close()
        if self._folder:
            self._folder.cleanup()
        self._folder = None
        self.ca = b""

    def stop_api_server(self) -> None:
        """Ends the API server at once, connections and all; its data stay in etcd."""
        self._api_server.kill()

    def start_api_server(self) -> None:
        """Starts the API server again, at the same address with the same certificate."""
        self._api_server.start()
        self._api_server.wait_until(self._api_ready, READY_SECONDS)

    def kubeconfig_for(
        self,
        *,
        token: str | None = None,
        name: str = "testbed",
        server: str | None = None,
        ca: bytes | None = None,
        namespace: str | None = None,
    ) -> Path:
        """Writes a kubeconfig with one context called `name` and returns its path, a new one each time.

        What is not given is the administrator's: token, server address, CA.
        """
        self._written += 1
        path = self.folder / f"{self._written}-{name.replace('/', '_')}.kubeconfig"
        return self._write_kubeconfig(
            path, name=name, token=token or self.admin_token, server=server or self.server, ca=ca or self.ca,
            namespace=namespace,
        )  # fmt: skip

    def service_account_token(self, namespace: str, name: str, seconds: float = 3600) -> str:
        """A token for a service account, created when missing; `seconds` of zero or less: expired already."""
        collection = self.client.collection("v1", "ServiceAccount", namespace)
        try:
            account = self.request("GET", f"{collection}/{name}")
        except ApiError as error:
            if error.status != 404:
                raise
            account = self.request("POST", collection, {"metadata": {"name": name}})
        return self._signer.sign(namespace, name, account["metadata"]["uid"], seconds)

    def request(self, method: str, path: str, body: Any = None, content_type: str = JSON) -> Any:
        """One request as administrator; the decoded answer, or ApiError."""
        return self.client.request(method, path, body, content_type)

    def apply(self, objects: Sequence[Mapping[str, Any]]) -> list[Object]:
        """Creates or updates objects by server-side apply, in order; the answers, in order."""
        return self.client.apply(objects)

    def wait_for(self, path: str, ready: Any, seconds: float = PATIENCE) -> Any:
        """GETs `path` until `ready(answer)` is true and returns that answer."""
        answer: Any = None

        def there() -> bool:
            nonlocal answer
            answer = self.request("GET", path)
            return bool(ready(answer))

        until(there, seconds, f"GET {path}")
        return answer

    def _start(self, binaries: Path) -> None:
        began = time.monotonic()
        self._folder = tempfile.TemporaryDirectory(prefix="aksp-testbed-", ignore_cleanup_errors=True)
        etcd_port, peer_port, api_port = free_port(), free_port(), free_port()
        self.server = f"https://127.0.0.1:{api_port}"
        self._signer.write(self.folder / "service-accounts.key")
        self._write_tokens()
        self._etcd = self._process(binaries, "etcd", self._etcd_flags(etcd_port, peer_port))
        self._api_server = self._process(binaries, "kube-apiserver", self._api_server_flags(etcd_port, api_port))
        self._manager = self._process(binaries, "kube-controller-manager", self._manager_flags())
        # The API server waits for etcd by itself.
        self._etcd.start()
        self._api_server.start()
        certificate = self.folder / "certificates" / "apiserver.crt"
        self._api_server.wait_until(lambda: certificate.is_file() and certificate.stat().st_size > 0, READY_SECONDS)
        self._api_server.wait_until(lambda: accepts(api_port) or not self._etcd_alive(), READY_SECONDS)
        self.ca = certificate.read_bytes()
        self._write_kubeconfig(
            self.kubeconfig, name="testbed", token=self.admin_token, server=self.server, ca=self.ca, namespace=None
        )
        self._api_server.wait_until(self._api_ready, READY_SECONDS)
        if self._controllers is not None:
            self._manager.start()
            self._manager.wait_until(self._controllers_ready, READY_SECONDS)
        self.ready_seconds = time.monotonic() - began

    def _process(self, binaries: Path, name: str, flags: Sequence[str]) -> Process:
        # Go's collector has no reason to be thrifty here, and two cores are few.
        process = Process(name, [str(binaries / name), *flags], self.logs[name], {"GOGC": "200"})
        self._processes.append(process)
        return process

    def _etcd_flags(self, port: int, peer_port: int) -> list[str]:
        return [
            f"--data-dir={self.folder / 'etcd'}",
            f"--listen-client-urls=http://127.0.0.1:{port}",
            f"--advertise-client-urls=http://127.0.0.1:{port}",
            f"--listen-peer-urls=http://127.0.0.1:{peer_port}",
            "--unsafe-no-fsync",
            "--log-level=warn",
            *self._more_etcd_flags,
        ]

    def _api_server_flags(self, etcd_port: int, port: int) -> list[str]:
        key = self.folder / "service-accounts.key"
        return [
            f"--etcd-servers=http://127.0.0.1:{etcd_port}",
            f"--cert-dir={self.folder / 'certificates'}",
            f"--secure-port={port}",
            "--bind-address=127.0.0.1",
            "--advertise-address=127.0.0.1",
            f"--service-account-issuer={ISSUER}",
            f"--service-account-key-file={key}",
            f"--service-account-signing-key-file={key}",
            "--authorization-mode=RBAC",
            f"--token-auth-file={self.folder / 'tokens.csv'}",
            "--service-cluster-ip-range=10.0.0.0/16",
            "--allow-privileged",
            *([] if self._service_accounts else ["--disable-admission-plugins=ServiceAccount"]),
            "--endpoint-reconciler-type=none",
            *self._flags,
        ]

    def _manager_flags(self) -> list[str]:
        return [
            f"--kubeconfig={self.kubeconfig}",
            "--leader-elect=false",
            # An account for each controller, as kubeadm and AKS have it.
            "--use-service-account-credentials",
            f"--service-account-private-key-file={self.folder / 'service-accounts.key'}",
            f"--controllers={self._controllers}",
            "--secure-port=0",
        ]

    def _write_tokens(self) -> None:
        path = self.folder / "tokens.csv"
        path.write_text("".join(user.line() for user in self._users.values()))
        path.chmod(0o600)

    def _write_kubeconfig(
        self, path: Path, *, name: str, token: str, server: str, ca: bytes, namespace: str | None
    ) -> Path:
        path.write_text(kubeconfig(name=name, server=server, ca=ca, token=token, namespace=namespace))
        path.chmod(0o600)
        return path

    def _etcd_alive(self) -> bool:
        if not self._etcd.running:
            raise ProcessDied(f"etcd ended early; the last lines of its log:\n{self._etcd.tail()}")
        return True

    def _api_ready(self) -> bool:
        """Whether the API server is ready and has made the namespace `default`."""
        self._etcd_alive()
        try:
            return all(map(self.client.serves, ("/readyz", "/api/v1/namespaces/default")))
        except (OSError, HTTPException):
            return False

    def _controllers_ready(self) -> bool:
        """Whether the controllers work: one of them makes the service account of the namespace `default`."""
        return self.client.serves("/api/v1/namespaces/default/serviceaccounts/default")


def accepts(port: int) -> bool:
    """Whether a process of this machine takes connections."""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def main() -> int:
    """Starts a control plane, lets a Deployment make its Pods, and says how long that took."""
    labels = {"app": "self-check"}
    deployment = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "self-check", "namespace": "default"},
        "spec": {
            "replicas": 2,
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {"containers": [{"name": "main", "image": "registry.invalid/main:1"}]},
            },
        },
    }
    with ControlPlane() as plane:
        print(f"ready after {plane.ready_seconds:.1f} s: {plane.server}")
        began = time.monotonic()
        plane.apply([deployment])
        pods = plane.wait_for(
            "/api/v1/namespaces/default/pods?labelSelector=app%3Dself-check", lambda answer: len(answer["items"]) == 2
        )
        names = ", ".join(pod["metadata"]["name"] for pod in pods["items"])
        print(f"2 Pods after another {time.monotonic() - began:.1f} s: {names}")
        began = time.monotonic()
    print(f"stopped after {time.monotonic() - began:.1f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
