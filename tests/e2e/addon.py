"""The add-on as a process beside a real control plane, its webhook reached by `clientConfig.url`."""

from __future__ import annotations

import base64
import json
import os
import signal
import ssl
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest

from tests.e2e.command import Aksp
from tests.testbed.client import ApiError, Object
from tests.testbed.controlplane import ControlPlane
from tests.testbed.ports import free_port
from tests.testbed.process import Process
from tests.waiting import PATIENCE, until

GROUP = "/apis/policy.aksp.io/v1alpha1"
WEBHOOK = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations/aksp"


@dataclass
class Replica:
    """One process of the add-on."""

    process: Process
    plain: int
    """The port of metrics and health."""

    def get(self, path: str) -> str:
        """GET from the plain port."""
        with urlopen(f"http://127.0.0.1:{self.plain}{path}", timeout=5) as answer:
            text = answer.read()
        assert isinstance(text, bytes)
        return text.decode()

    @property
    def ready(self) -> bool:
        try:
            return "ok" in self.get("/readyz")
        except OSError:
            return False

    @property
    def pid(self) -> int:
        found = self.process.pid
        assert found is not None, "the process has ended"
        return found

    @property
    def memory(self) -> int:
        """Resident bytes of this process and of its engine."""
        return sum(_resident(pid) for pid in (self.pid, *self.engines))

    @property
    def engines(self) -> list[int]:
        """The process ids of its engine: one, but for a moment after one has died."""
        return [pid for pid in _children(self.pid) if "aksp-engine" in _command_line(pid)]

    def kill(self) -> None:
        """SIGKILL to this process alone, as the kernel does it when memory is short; its engine ends by itself."""
        engines = self.engines
        os.kill(self.pid, signal.SIGKILL)
        until(lambda: not self.process.running)
        until(lambda: not any("aksp-engine" in _command_line(pid) for pid in engines), 5, "an engine without a parent")
        self.process.kill()

    def terminate(self, seconds: float = PATIENCE) -> int:
        """SIGTERM to this process alone, as a kubelet does it; its exit code."""
        child = self.process.child
        assert child is not None
        os.kill(child.pid, signal.SIGTERM)
        return child.wait(seconds)

    @property
    def log(self) -> list[Object]:
        """The lines of the log that are JSON."""
        found = []
        for line in self.process.log.read_text().splitlines():
            if line.startswith("{"):
                found.append(json.loads(line))
        return found


@dataclass
class AddOn:
    """An enabled add-on: replicas on this machine, and what the tests do with it."""

    plane: ControlPlane
    aksp: Aksp
    folder: Path
    port: int = 0
    replicas: list[Replica] = field(default_factory=list)
    within: Sequence[str] = ()
    """A command that becomes the command of a replica, which follows it: `Confined` has one."""

    def enable(self, *options: str) -> None:
        """`aksp addon enable` with the webhook on this machine, or with Gatekeeper's."""
        self.port = self.port or free_port()
        url = () if "--engine" in options else ("--webhook-url", f"https://127.0.0.1:{self.port}/v1/admit")
        ended = self.aksp.run("addon", "enable", *url, *options)
        assert ended.code == 0, ended.stderr
        for plural in (
            "policydefinitions",
            "policysetdefinitions",
            "policyassignments",
            "policyexemptions",
            "policydenials",
        ):
            until(partial(self.plane.client.serves, f"{GROUP}/{plural}"))

    def start(
        self, *options: str, port: int | None = None, kubeconfig: Path | None = None, interval: str = "2s"
    ) -> Replica:
        """One more replica, ready to answer."""
        replica = self.begin(*options, port=port, kubeconfig=kubeconfig, interval=interval)
        replica.process.wait_until(lambda: replica.ready, PATIENCE)
        return replica

    def begin(
        self, *options: str, port: int | None = None, kubeconfig: Path | None = None, interval: str = "2s"
    ) -> Replica:
        """One more replica, just started."""
        plain = free_port()
        number = len(self.replicas)
        argv = [
            *self.within, sys.executable, "-m", "aksp", "addon", "run", "--kubeconfig", str(kubeconfig or self.plane.kubeconfig),
            "--cluster-name", "testbed", "--listen", f"127.0.0.1:{port or self.port}",
            "--metrics-listen", f"127.0.0.1:{plain}", "--sync-interval", interval, "--shutdown-delay", "0s", *options,
        ]  # fmt: skip
        root = Path(__file__).parents[2]
        environment = {"PYTHONPATH": str(root), "HOME": str(self.folder), "POD_NAME": f"aksp-{number}"}
        replica = Replica(
            Process(f"aksp-addon-{number}", argv, self.folder / f"addon-{number}.log", environment), plain
        )
        self.replicas.append(replica)
        replica.process.start()
        return replica

    def stop(self) -> None:
        """End every replica and take the add-on away."""
        for replica in self.replicas:
            replica.process.stop()
        self.replicas.clear()
        ended = self.aksp.run("addon", "disable")
        assert ended.code == 0, ended.stderr

    def assign(self, definition: str, name: str | None = None, *, effect: str = "Deny", **spec: Any) -> str:
        """A PolicyAssignment, applied; its name."""
        name = name or definition
        parameters = {"effect": effect, **spec.pop("parameters", {})}
        document = {
            "apiVersion": "policy.aksp.io/v1alpha1",
            "kind": "PolicyAssignment",
            "metadata": {"name": name},
            "spec": {
                "policyDefinitionId": definition,
                "parameters": {key: {"value": value} for key, value in parameters.items()},
                **spec,
            },
        }
        self.plane.apply([document])
        return name

    def exempt(self, name: str, assignment: str, **spec: Any) -> None:
        """A PolicyExemption, applied."""
        self.plane.apply(
            [
                {
                    "apiVersion": "policy.aksp.io/v1alpha1",
                    "kind": "PolicyExemption",
                    "metadata": {"name": name},
                    "spec": {"policyAssignmentId": assignment, "exemptionCategory": "Waiver", **spec},
                }
            ]
        )

    def unassign(self, *names: str) -> None:
        """Delete assignments, all when none is named, and their exemptions."""
        for plural in ("policyassignments", "policyexemptions"):
            for one in self.plane.request("GET", f"{GROUP}/{plural}")["items"]:
                name = one["metadata"]["name"]
                if not names or name in names or one["spec"].get("policyAssignmentId") in names:
                    self.plane.request("DELETE", f"{GROUP}/{plural}/{name}")

    def status(self, name: str) -> Mapping[str, Any]:
        """An assignment's status."""
        status = self.plane.request("GET", f"{GROUP}/policyassignments/{name}").get("status") or {}
        assert isinstance(status, dict)
        return status

    @property
    def trust(self) -> ssl.SSLContext:
        """Trusts whom the API server trusts: the bundle in the webhook configuration, once it is there."""
        return ssl.create_default_context(cadata=until(lambda: self.bundle, what="no CA bundle"))

    @property
    def bundle(self) -> str:
        """The CA bundle in the webhook configuration, PEM; empty when there is none."""
        (webhook,) = self.plane.request("GET", WEBHOOK)["webhooks"]
        return base64.b64decode(webhook["clientConfig"].get("caBundle") or "").decode()

    @property
    def leader(self) -> str:
        """Who holds the lease; empty when nobody does."""
        return str(self.lease.get("holderIdentity") or "")

    @property
    def lease(self) -> Mapping[str, Any]:
        """The Lease's spec."""
        found = self.plane.request("GET", "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/aksp-leader")
        spec = found.get("spec") or {}
        assert isinstance(spec, dict)
        return spec

    def applied(self, name: str) -> Mapping[str, Any]:
        """The status once the newest generation is in force, has been scanned, and the webhook has its rules."""
        path = f"{GROUP}/policyassignments/{name}"

        def there(one: Object) -> bool:
            status = one.get("status") or {}
            generation = one["metadata"]["generation"]
            found = {each["type"]: each for each in status.get("conditions") or []}
            return (
                status.get("appliedGeneration") == generation
                and bool(status.get("lastEvaluated"))
                and found["Evaluated"]["observedGeneration"] == generation
                and found["Enforced"]["reason"] not in ("RulesPending", "WebhookUnknown")
            )

        status = self.plane.wait_for(path, there, PATIENCE)["status"]
        assert isinstance(status, dict)
        return status

    def enforced(self, name: str, one: Object) -> Mapping[str, Any]:
        """The status once this object is refused by it: the API server follows the webhook's rules a moment later."""
        status = self.applied(name)
        until(lambda: f"[{name}]" in rehearsed(self.plane, one), what=f"{name} does not refuse")
        return status


def _children(pid: int) -> list[int]:
    """The process ids of a process's children (proc(5): the fourth field of stat, after the name in parentheses)."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if int(fields[1]) == pid:
                found.append(int(entry.name))
    return found


def _command_line(pid: int) -> str:
    """Empty for a process that has ended."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace")
    except OSError:
        return ""


def _resident(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0


def rehearsed(plane: ControlPlane, one: Object) -> str:
    """The message with which a dry run of creating an object is refused; "" when it is not."""
    path = plane.client.collection(one["apiVersion"], one["kind"], one["metadata"]["namespace"])
    try:
        plane.request("POST", f"{path}?dryRun=All", one)
    except ApiError as error:
        if error.status != 403:
            raise
        return str(error.body["message"])
    return ""


def created(plane: ControlPlane, one: Object) -> Object:
    """The object, created as soon as nothing refuses it any more: what was unassigned is in force for a moment."""
    path = plane.client.collection(one["apiVersion"], one["kind"], one["metadata"]["namespace"])

    def made() -> Any:
        try:
            return plane.request("POST", path, one)
        except ApiError as error:
            if error.status != 403:
                raise
            return None

    found = until(made, what="still refused")
    assert isinstance(found, dict)
    return found


def refusal(work: Callable[[], Any]) -> str:
    """The message with which the API server refuses; fails when it does not refuse with 403."""
    with pytest.raises(ApiError) as raised:
        work()
    assert raised.value.status == 403, raised.value
    return str(raised.value.body["message"])
