"""The examples of the pages that take a cluster, on one whose context is called as the pages call it."""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.charts.helm import helm
from tests.docs.examples import Shell, compare, compare_golden, run_all
from tests.docs.pages import PAGES, README, ROOT, blocks, write_files
from tests.e2e.addon import GROUP, AddOn
from tests.e2e.command import Aksp
from tests.e2e.objects import made, namespace, pod, workload
from tests.replacing import replace
from tests.testbed.client import MERGE
from tests.testbed.controlplane import ControlPlane
from tests.testbed.ports import free_port
from tests.waiting import until

pytestmark = pytest.mark.e2e

DOCS = ROOT / "docs"
TOOLS = ("kubectl", "jq", "git")
CONTEXTS = ("prod", "staging", "kind-test")
#: A namespace without Pods.
EMPTY = "blog"
HELM = "helm install aksp charts/aksp -n kube-system --set image.repository=registry.example.com/aksp --set clusterName=prod"
ON_A_HOST = "aksp addon enable --cluster kind-test --webhook-url https://172.17.0.1:8443/v1/admit"
SEARCH = "/apis/apps/v1/namespaces/shop/deployments/search"
LOG_AGENT = "/apis/apps/v1/namespaces/shop/daemonsets/log-agent"
#: The Pods of the quickstart: a StatefulSet waits for its first one.
PODS = {"shop": 10, "payments": 4}


@dataclass(frozen=True, kw_only=True)
class Place:
    """A page's shell, in a repository of its own, and the cluster of its context `prod`."""

    plane: ControlPlane
    shell: Shell

    @property
    def workspace(self) -> Path:
        return self.shell.cwd / ".aksp"

    def assign(self) -> None:
        """What the README assigns; written as documents, since its own test runs the commands."""
        workspace = Aksp(folder=self.shell.folder)
        registries = {"allowedRegistries": ["contoso.azurecr.io"]}
        limits = {"maxCpu": "1", "maxMemory": "512Mi", "effect": "Audit"}
        workspace.assign("allowed-images", parameters=registries)
        workspace.assign("no-privileged")
        workspace.assign("resource-limits", parameters=limits)
        (workspace.workspace / "assignments").rename(self.workspace / "assignments")

    @contextmanager
    def addon(self) -> Iterator[AddOn]:
        """The add-on as the examples enable it, but run on this machine: the cluster has no nodes."""
        folder = self.shell.folder / "addon"
        addon = AddOn(plane=self.plane, aksp=Aksp(folder=folder, kubeconfig=self.plane.kubeconfig), folder=folder)
        try:
            yield addon
        finally:
            addon.stop()

    def runs(self, addon: AddOn) -> None:
        addon.enable("--cluster-name", "prod")
        addon.start("--cluster-name", "prod")

    def applied(self, addon: AddOn) -> None:
        """Wait until every assignment is in force and judged."""
        for one in self.plane.request("GET", f"{GROUP}/policyassignments")["items"]:
            addon.applied(one["metadata"]["name"])

    def enforced(self, addon: AddOn, name: str) -> None:
        """Wait until an assignment of images refuses."""
        addon.enforced(name, pod("probe", "shop"))

    def denied(self, place: str) -> None:
        """Wait for a denial in a namespace."""
        until(lambda: self.plane.request("GET", f"{GROUP}/namespaces/{place}/policydenials")["items"])


def quickstart() -> list[Any]:
    texts = [path.read_text(encoding="utf-8") for path in sorted((ROOT / "examples" / "quickstart").glob("*.yaml"))]
    objects = [one for text in texts for one in yaml.safe_load_all(text)]
    for one in objects:
        if one["kind"] == "CronJob":
            # Else there is a Pod more at a quarter past two.
            one["spec"]["suspend"] = True
    # A DaemonSet has a Pod for a Node.
    return [
        made("v1", "Node", "node-1"),
        namespace(EMPTY),
        *sorted(objects, key=lambda one: one["kind"] != "Namespace"),
    ]


def settle(plane: ControlPlane) -> None:
    """Have the quickstart in the cluster, with all of its Pods."""
    plane.apply(quickstart())
    # A new Node is not ready, and no kubelet makes it so.
    plane.request("PATCH", "/api/v1/nodes/node-1", {"spec": {"taints": None}}, MERGE)
    for place, count in PODS.items():
        pods(plane, place, count)


def pods(plane: ControlPlane, place: str, count: int, selector: str = "") -> None:
    """Wait until a namespace has so many Pods."""
    plane.wait_for(f"/api/v1/namespaces/{place}/pods{selector}", lambda found: len(found["items"]) == count)


@pytest.fixture(scope="module")
def bare(plane: ControlPlane) -> Iterator[ControlPlane]:
    """A control plane for the examples alone, since they judge all there is."""
    missing = [tool for tool in TOOLS if shutil.which(tool) is None]
    if missing:
        reason = f"the examples use {', '.join(missing)}"
        if os.environ.get("AKSP_E2E_REQUIRED") not in (None, "", "0"):
            pytest.fail(reason)
        pytest.skip(reason)
    with ControlPlane() as own:
        yield own


@pytest.fixture(scope="module")
def shop(bare: ControlPlane) -> ControlPlane:
    """The control plane with the quickstart."""
    settle(bare)
    return bare


@pytest.fixture
def place(shop: ControlPlane) -> Iterator[Place]:
    with placed(shop) as one:
        yield one


@contextmanager
def placed(plane: ControlPlane) -> Iterator[Place]:
    with tempfile.TemporaryDirectory(prefix="aksp", dir="/tmp") as name:
        folder = Path(name)
        config = yaml.safe_load(plane.kubeconfig.read_text(encoding="utf-8"))
        config["current-context"] = CONTEXTS[0]
        config["contexts"] = [{"name": name, "context": config["contexts"][0]["context"]} for name in CONTEXTS]
        (folder / ".kube").mkdir()
        (folder / ".kube" / "config").write_text(yaml.safe_dump(config), encoding="utf-8")
        (folder / "bin").mkdir()
        for tool in TOOLS:
            (folder / "bin" / tool).symlink_to(str(shutil.which(tool)))
        repository = folder / "shop"
        (repository / ".aksp").mkdir(parents=True)
        shutil.copytree(ROOT / "examples" / "quickstart", repository / "deploy")
        path = os.pathsep.join([str(folder / "bin"), str(Path(sys.executable).parent), os.defpath])
        with Shell(folder=folder, cwd=repository, variables={"PATH": path}) as shell:
            yield Place(plane=plane, shell=shell)


def test_trying_the_add_on(bare: ControlPlane, request: pytest.FixtureRequest) -> None:
    """The script makes the namespace `shop` and takes it away, so it comes before the quickstart."""
    with placed(bare) as place:
        ours = {"8443": str(free_port()), "8080": str(free_port())}
        variables = f"AKSP_TRY_PORT={ours['8443']} AKSP_TRY_METRICS_PORT={ours['8080']} POD_NAME=aksp-0"
        ran = place.shell.run(f"{variables} {ROOT / 'examples' / 'addon' / 'try.sh'} prod")
        assert ran.code == 0, ran.err
        told = replace(ran, step="examples/addon/try.sh prod").told(place.shell.folder)
        for default, port in ours.items():
            told = told.replace(port, default)
        # Which of the two Events is the newest is a matter of moments.
        told = re.sub(
            r"(?:^  Warning .*\n)+", lambda found: "".join(sorted(found[0].splitlines(True))), told, flags=re.M
        )
        compare_golden("try", told, request)
    assert bare.client.raw("GET", "/api/v1/namespaces/shop")[0] == 404


def test_readme(place: Place, request: pytest.FixtureRequest) -> None:
    place.assign()
    with place.addon() as addon:

        def refused() -> None:
            (web,) = yaml.safe_load_all((ROOT / "examples" / "addon" / "web.yaml").read_text(encoding="utf-8"))
            web["metadata"]["namespace"] = EMPTY
            place.plane.apply([web])
            place.denied(EMPTY)

        compare(
            README, place.shell, request, cluster=True,
            before={
                "aksp sync --cluster prod": lambda: place.runs(addon),
                "aksp addon status --cluster prod": lambda: place.applied(addon),
                "aksp denials --cluster prod": refused,
            },
        )  # fmt: skip
    place.plane.request("DELETE", f"/apis/apps/v1/namespaces/{EMPTY}/deployments/web")


def test_the_add_on(place: Place, request: pytest.FixtureRequest) -> None:
    page = DOCS / "addon.md"
    shell = place.shell
    (shell.folder / "bin" / "helm").symlink_to(helm())
    (shell.cwd / "charts").symlink_to(ROOT / "charts")
    write_files(page, shell.cwd)
    run_all(shell, ["aksp assign resource-limits --cpu 1 --memory 512Mi --effect Audit"])
    with place.addon() as addon:
        compare(
            page, shell, request, cluster=True,
            before={
                HELM: lambda: run_all(shell, ["aksp addon disable"]),
                ON_A_HOST: lambda: run_all(shell, ["helm uninstall aksp -n kube-system", "aksp addon disable"]),
                "aksp sync --cluster prod": lambda: place.runs(addon),
                "aksp addon status --cluster prod": lambda: place.applied(addon),
                "kubectl run web --image nginx:1.27 -n shop": lambda: place.enforced(addon, "shop-images"),
                "aksp denials --since 1h": lambda: place.denied("shop"),
            },
        )  # fmt: skip
        (shown,) = [block for block in blocks(page) if block.language == "json"]
        (logged,) = [line for line in addon.replicas[0].log if line["logger"] == "aksp.refusals" and not line["dryRun"]]
        assert alike(json.loads(shown.text), logged)


def alike(one: Any, other: Any) -> bool:
    """Whether two JSON values have the same keys and types."""
    if isinstance(one, dict) and isinstance(other, dict):
        return list(one) == list(other) and all(alike(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return all(alike(first, second) for first, second in zip(one, other, strict=True))
    return type(one) is type(other)


def test_assignments_and_exemptions(place: Place, request: pytest.FixtureRequest) -> None:
    page = DOCS / "assignments-and-exemptions.md"
    write_files(page, place.workspace)
    with place.addon() as addon:
        addon.enable("--cluster-name", "prod")
        compare(page, place.shell, request, cluster=True)


def test_baselines_and_history(place: Place, request: pytest.FixtureRequest) -> None:
    place.assign()

    def changed() -> None:
        run_all(place.shell, ["aksp compliance --cluster prod --fail-on none --quiet"])
        tracing = workload("apps/v1", "Deployment", "tracing", "shop", "ghcr.io/contoso/tracing:v0.3")
        limits = {"cpu": "1", "memory": "512Mi"}
        tracing["spec"]["template"]["spec"]["containers"][0]["resources"] = {"limits": limits}
        place.plane.apply([tracing])
        place.plane.request("PATCH", SEARCH, {"spec": {"replicas": 4}}, MERGE)
        place.plane.request("DELETE", LOG_AGENT)
        for app, count in (("tracing", 1), ("search", 4), ("log-agent", 0)):
            pods(place.plane, "shop", count, f"?labelSelector=app%3D{app}")

    try:
        compare(
            DOCS / "baselines-and-history.md", place.shell, request, cluster=True,
            before={"aksp compliance --cluster prod --diff": changed},
        )  # fmt: skip
    finally:
        place.plane.request("DELETE", "/apis/apps/v1/namespaces/shop/deployments/tracing")
        settle(place.plane)


def test_explain(place: Place, request: pytest.FixtureRequest) -> None:
    place.assign()
    compare(DOCS / "explain.md", place.shell, request, cluster=True)


def test_the_report_of_the_add_on(place: Place, request: pytest.FixtureRequest) -> None:
    with place.addon() as addon:
        place.runs(addon)
        addon.assign("no-privileged")
        place.applied(addon)
        compare(DOCS / "report.md", place.shell, request, cluster=True)


def test_watching(place: Place, request: pytest.FixtureRequest) -> None:
    place.assign()
    compare(DOCS / "watch.md", place.shell, request, cluster=True)


def test_every_page_with_such_examples_is_among_these() -> None:
    found = {page for page in PAGES for block in blocks(page) if block.runs and block.cluster}
    names = ("addon", "assignments-and-exemptions", "baselines-and-history", "explain", "report", "watch")
    assert found == {README, *(DOCS / f"{name}.md" for name in names)}
