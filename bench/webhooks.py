"""The two webhooks that the benchmark compares, each a local process on the same control plane with the same policies."""

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import yaml

from aksp.addon.webhook.certificates import issue, make_authority
from bench import subjects
from bench.measure import CommandFailed
from bench.peers import gatekeeper
from bench.peers.build import gatekeeper as binaries
from tests.testbed.build import GoTools, cache_folder
from tests.testbed.controlplane import ControlPlane, accepts
from tests.testbed.process import Process

HAMMER = GoTools(module=subjects.ROOT / "bench" / "hammer", commands={"hammer": "hammer"}, ldflags="-s -w")
_READY_SECONDS = 60.0
_GATEKEEPER_NAMESPACE = "gatekeeper-system"


@dataclass(frozen=True, kw_only=True)
class Webhook:
    """A webhook that answers: where, trusted by which CA, and its process."""

    name: str
    url: str
    ca: Path
    process: Process

    @property
    def pid(self) -> int:
        pid = self.process.pid
        if pid is None:
            raise CommandFailed(f"{self.name} has ended:\n{self.process.tail()}")
        return pid


def hammer(
    webhook: Webhook,
    reviews: Path,
    *,
    seconds: float = 5.0,
    rate: float = 0.0,
    count: int = 0,
    connections: int = 8,
    mark: str = "",
) -> dict[str, Any]:
    """What bench/hammer measured: reviews, rate, denied, failed, p50, p90, p99 and max in milliseconds.

    ``mark`` is a text in whose place each review gets a number of its own.
    """
    folder = cache_folder("AKSP_BENCH_DIR", "bench")
    argv = [
        str(_hammer(folder)), "-url", webhook.url, "-ca", str(webhook.ca), "-reviews", str(reviews),
        "-connections", str(connections), "-rate", str(rate), "-seconds", str(seconds), "-count", str(count),
        "-mark", mark,
    ]  # fmt: skip
    ended = subprocess.run(argv, capture_output=True, text=True, check=False)
    if ended.returncode:
        raise CommandFailed(f"hammer: {ended.stderr}")
    found = json.loads(ended.stdout)
    assert isinstance(found, dict)
    if found["failed"]:
        raise CommandFailed(
            f"{webhook.name}: {found['failed']} of {found['reviews']} reviews failed: {found['sample']}"
        )
    return found


def _hammer(folder: Path) -> Path:
    binary = folder / "hammer"
    newest = max(source.stat().st_mtime for source in HAMMER.module.glob("*.go"))
    if not binary.exists() or binary.stat().st_mtime < newest:
        folder.mkdir(parents=True, exist_ok=True)
        environment = os.environ | {"CGO_ENABLED": "0"}
        subprocess.run(["go", "build", "-o", str(binary), "."], cwd=HAMMER.module, env=environment, check=True)
    return binary


@contextmanager
def aksp(plane: ControlPlane, scratch: Path) -> Iterator[Webhook]:
    """`aksp addon run`, with the nine policies as custom resources."""
    executable = subjects.aksp_executable()
    assert executable is not None
    port, plain = _port(), _port()
    certificates = _certificates(scratch / "aksp-certificates")
    workspace = subjects.write_workspace(scratch / "aksp-workspace", subjects.parameters())
    common = ["--kubeconfig", str(plane.kubeconfig)]
    _run([str(executable), "addon", "enable", "--webhook-url", f"https://127.0.0.1:{port}/v1/admit", *common])
    _run([str(executable), "sync", "--cluster", "--workspace", str(workspace), *common])
    argv = [
        str(executable), "addon", "run", "--listen", f"127.0.0.1:{port}", "--metrics-listen", f"127.0.0.1:{plain}",
        "--cert-dir", str(certificates), "--cluster-name", "testbed", "--sync-interval", "1h", "--shutdown-delay", "0s",
        *common,
    ]  # fmt: skip
    process = Process("aksp-addon", argv, scratch / "aksp-addon.log")
    webhook = Webhook(
        name="aksp", url=f"https://127.0.0.1:{port}/v1/admit", ca=certificates / "ca.crt", process=process
    )
    process.start()
    try:
        _until(lambda: _ready(plain) and _settled(plane), process)
        yield webhook
    finally:
        process.stop()


@contextmanager
def bare(scratch: Path) -> Iterator[Webhook]:
    """The least that an answer costs in Python (bench/bare.py)."""
    port = _port()
    certificates = _certificates(scratch / "bare-certificates")
    argv = [sys.executable, str(subjects.ROOT / "bench" / "bare.py"), str(port), str(certificates)]
    process = Process("bare", argv, scratch / "bare.log")
    process.start()
    try:
        _until(lambda: accepts(port), process)
        yield Webhook(
            name="bare answers", url=f"https://127.0.0.1:{port}/v1/admit", ca=certificates / "ca.crt", process=process
        )
    finally:
        process.stop()


def _ready(plain: int) -> bool:
    try:
        with urlopen(f"http://127.0.0.1:{plain}/readyz", timeout=5) as answer:
            return int(answer.status) == 200
    except OSError:
        return False


def _settled(plane: ControlPlane) -> bool:
    """Whether the first check-in is over, so that it is not measured as admission."""
    items = plane.request("GET", "/apis/policy.aksp.io/v1alpha1/policyassignments")["items"]
    reasons = [
        {one["type"]: one["reason"] for one in (item.get("status") or {}).get("conditions") or []} for item in items
    ]
    return bool(items) and all(
        (item.get("status") or {}).get("lastEvaluated") and reason.get("Enforced") != "RulesPending"
        for item, reason in zip(items, reasons, strict=True)
    )


@contextmanager
def gatekeeper_webhook(plane: ControlPlane, scratch: Path) -> Iterator[Webhook]:
    """Gatekeeper as a process, with the same Rego, parameters and selection as constraints."""
    with gatekeeper_process(plane, scratch) as webhook:
        given = subjects.parameters().items()
        apply_to_gatekeeper(
            plane,
            webhook,
            [gatekeeper.constraint_template(slug) for slug, _ in given],
            [gatekeeper.constraint(slug, each) for slug, each in given],
        )
        yield webhook


def apply_to_gatekeeper(
    plane: ControlPlane,
    webhook: Webhook,
    templates: Sequence[Mapping[str, Any]],
    constraints: Sequence[Mapping[str, Any]],
) -> None:
    """Templates, and constraints once their kinds are served; returns once Gatekeeper says that both are in force."""
    plane.apply(templates)
    kinds = {each["spec"]["crd"]["spec"]["names"]["kind"] for each in templates}
    _until(lambda: all(_served(plane, kind) for kind in kinds), webhook.process)
    plane.apply(constraints)
    written = [f"/apis/templates.gatekeeper.sh/v1/constrainttemplates/{each['metadata']['name']}" for each in templates]
    _until(lambda: all(_status(plane, path).get("created") for path in written), webhook.process)
    root = "/apis/constraints.gatekeeper.sh/v1beta1"
    enforced = [f"{root}/{each['kind'].lower()}/{each['metadata']['name']}" for each in constraints]
    _until(lambda: all(_enforced(_status(plane, path)) for path in enforced), webhook.process)


@contextmanager
def gatekeeper_process(plane: ControlPlane, scratch: Path, *more: str) -> Iterator[Webhook]:
    """Gatekeeper as a process, with nothing to enforce yet. ``more`` are further flags."""
    folder = binaries()
    module = subprocess.run(
        ["go", "list", "-m", "-f", "{{.Dir}}", "github.com/open-policy-agent/gatekeeper/v3"],
        cwd=subjects.ROOT / "bench" / "peers" / "gator", capture_output=True, text=True, check=True,
    ).stdout.strip()  # fmt: skip
    crds = sorted(Path(module, "charts", "gatekeeper", "crds").glob("*.yaml"))
    plane.apply([{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": _GATEKEEPER_NAMESPACE}}])
    plane.apply([document for path in crds for document in yaml.safe_load_all(path.read_text()) if document])
    port, health, metrics = _port(), _port(), _port()
    certificates = _certificates(scratch / "gatekeeper-certificates")
    cache = scratch / "gatekeeper-cache"
    cache.mkdir()
    argv = [
        str(folder / "gatekeeper"), f"--kubeconfig={plane.kubeconfig}", "--debug-use-fake-pod", "--disable-cert-rotation",
        "--enable-external-data=false", "--operation=status", "--operation=generate", "--operation=webhook",
        "--host=127.0.0.1", f"--port={port}", f"--cert-dir={certificates}", f"--api-cache-dir={cache}",
        f"--health-addr=127.0.0.1:{health}", f"--prometheus-port={metrics}",
        "--default-create-vap-for-templates=false", "--default-create-vap-binding-for-constraints=false",
        "--enable-generator-resource-expansion=false", "--shutdown-delay=0", *more,
    ]  # fmt: skip
    process = Process(
        "gatekeeper",
        argv,
        scratch / "gatekeeper.log",
        {"POD_NAMESPACE": _GATEKEEPER_NAMESPACE, "POD_NAME": "gatekeeper"},
    )
    process.start()
    try:
        # A kind is served a moment after its CustomResourceDefinition is there.
        _until(lambda: plane.client.raw("GET", "/apis/templates.gatekeeper.sh/v1")[0] == 200, process)
        url = f"https://127.0.0.1:{port}/v1/admit"
        yield Webhook(name="Gatekeeper", url=url, ca=certificates / "ca.crt", process=process)
    finally:
        process.stop()


def _status(plane: ControlPlane, path: str) -> Mapping[str, Any]:
    status = plane.request("GET", path).get("status") or {}
    assert isinstance(status, dict)
    return status


def _enforced(status: Mapping[str, Any]) -> bool:
    pods = status.get("byPod") or []
    return bool(pods) and all(pod.get("enforced") for pod in pods)


def _served(plane: ControlPlane, kind: str) -> bool:
    status, answer = plane.client.raw("GET", "/apis/constraints.gatekeeper.sh/v1beta1")
    return status == 200 and kind in {each["kind"] for each in json.loads(answer)["resources"]}


def until_it_refuses(webhook: Webhook, reviews: Path) -> None:
    """Wait until the webhook refuses a review that breaks rules: then its policies are loaded."""

    def refuses() -> bool:
        try:
            return bool(hammer(webhook, reviews, count=1, connections=1)["denied"])
        except CommandFailed:
            return False

    _until(refuses, webhook.process)


def _until(ready: Callable[[], bool], process: Process) -> None:
    deadline = time.monotonic() + _READY_SECONDS
    while not ready():
        if not process.running or time.monotonic() > deadline:
            raise CommandFailed(f"{process.name} is not ready:\n{process.tail()}")
        time.sleep(0.2)


def _certificates(folder: Path) -> Path:
    folder.mkdir()
    now = datetime.now(UTC)
    authority = make_authority(now)
    serving = issue(authority, ["127.0.0.1", "localhost"], now)
    (folder / "ca.crt").write_bytes(authority.certificate)
    (folder / "tls.crt").write_bytes(serving.certificate)
    (folder / "tls.key").write_bytes(serving.key)
    return folder


def _port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


def _run(argv: list[str]) -> None:
    ended = subprocess.run(argv, capture_output=True, text=True, check=False)
    if ended.returncode:
        raise CommandFailed(f"`{' '.join(argv)}` ended with {ended.returncode}: {ended.stderr}")
