"""A real Gatekeeper with what aksp exports refuses the same Pods as the add-on, by the same assignments."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from bench.webhooks import apply_to_gatekeeper, gatekeeper_process
from tests.definitions.samples import SAMPLES, Sample
from tests.e2e.addon import AddOn, rehearsed
from tests.e2e.command import Aksp
from tests.e2e.objects import Object, namespace, pod
from tests.testbed.client import ApiError
from tests.testbed.controlplane import ControlPlane
from tests.waiting import until

pytestmark = pytest.mark.e2e

PLACES = ("gk-shop", "gk-left-out", "gk-exempt")
DEFINITIONS = (
    "no-privileged", "block-host-namespaces", "allowed-capabilities", "read-only-root-filesystem", "allowed-volume-types",
    "host-network-ports", "no-privilege-escalation", "run-as-non-root",
)  # fmt: skip


@pytest.fixture(scope="module")
def plane() -> Iterator[ControlPlane]:
    """One of its own: Gatekeeper's kinds, and its webhook, concern everything on it."""
    with ControlPlane() as made:
        made.apply([namespace(place) for place in PLACES])
        yield made


def pods() -> Iterator[Object]:
    """The samples' Pods, those that comply and those that do not, in each of the namespaces."""
    for sample in SAMPLES:
        if sample.definition.slug in DEFINITIONS:
            yield from (
                renamed(one, sample, place) for one in sample.objects if one["kind"] == "Pod" for place in PLACES
            )


def renamed(one: Object, sample: Sample, place: str) -> Object:
    name = f"{sample.definition.slug}-{sample.path.stem}"[:50].strip("-").lower()
    metadata = {key: value for key, value in one["metadata"].items() if key in ("labels", "annotations")}
    return {
        **one,
        "metadata": {**metadata, "name": f"{name}-{one['metadata'].get('name', 'x')}"[:63], "namespace": place},
    }


def lines(plane: ControlPlane, one: Object) -> set[str] | None:
    """What a Pod is refused for; None when the API server itself takes no such Pod."""
    try:
        message = rehearsed(plane, one)
    except ApiError:
        return None
    _, _, told = message.partition("denied the request: ")
    return {line.strip() for line in told.splitlines() if line.startswith("[")}


def names(refusal: set[str] | None) -> set[str]:
    """The assignments, or constraints, that refuse."""
    return {line[1:].partition("]")[0] for line in refusal or ()}


def registered(url: str, ca: bytes, places: tuple[str, ...] = PLACES) -> Object:
    return {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingWebhookConfiguration",
        "metadata": {"name": "gatekeeper"},
        "webhooks": [
            {
                "name": "validation.gatekeeper.sh",
                "clientConfig": {"url": url, "caBundle": base64.b64encode(ca).decode()},
                "rules": [
                    {"apiGroups": ["*"], "apiVersions": ["*"], "operations": ["CREATE", "UPDATE"], "resources": ["*"]}
                ],
                "namespaceSelector": {
                    "matchExpressions": [
                        {"key": "kubernetes.io/metadata.name", "operator": "In", "values": list(places)}
                    ]
                },
                "failurePolicy": "Fail",
                "sideEffects": "None",
                "admissionReviewVersions": ["v1"],
                "timeoutSeconds": 10,
            }
        ],
    }


def test_gatekeeper_refuses_what_the_add_on_refuses(plane: ControlPlane, tmp_path: Path) -> None:
    aksp = Aksp(folder=tmp_path, kubeconfig=plane.kubeconfig)
    for slug in DEFINITIONS:
        aksp.assign(
            slug,
            scope="/clusters/testbed",
            notScopes=["/clusters/testbed/namespaces/gk-left-out"],
            parameters={"effect": "Deny"},
        )
        aksp.exempt(f"{slug}-away", slug, scope="/clusters/testbed/namespaces/gk-exempt")
    # Some samples are what the API server itself takes for no Pod.
    candidates = [one for one in pods() if lines(plane, one) is not None]
    probe = pod("probe", PLACES[0])
    probe["spec"]["containers"][0]["securityContext"] = {"privileged": True}
    ours = by_the_addon(plane, aksp, candidates, probe)

    exported = aksp.run("export", "gatekeeper", "--cluster", "testbed")
    assert exported.code == 0, exported.stderr
    objects = list(yaml.safe_load_all(exported.stdout))
    templates = [one for one in objects if one["kind"] == "ConstraintTemplate"]
    constraints = [one for one in objects if one["apiVersion"].startswith("constraints.")]
    assert len(templates) == len(constraints) == len(DEFINITIONS)
    with gatekeeper_process(plane, tmp_path) as webhook:
        apply_to_gatekeeper(plane, webhook, templates, constraints)
        plane.apply([registered(webhook.url, webhook.ca.read_bytes())])
        until(lambda: rehearsed(plane, probe), what="Gatekeeper refuses nothing")
        # Constraints are in force one after the other.
        until(lambda: [names(lines(plane, one)) for one in candidates] == ours, what="Gatekeeper differs")
        again = Aksp(folder=tmp_path / "again", kubeconfig=plane.kubeconfig)
        imported = again.run("import", "gatekeeper", "--cluster", "testbed", "--workspace", str(again.workspace))
        plane.request("DELETE", "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations/gatekeeper")

    assert imported.code == 0, imported.stderr
    path = tmp_path / "pods.json"
    path.write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": candidates}), encoding="utf-8")
    back = [one.judge("-f", str(path), "--cluster", "testbed").report["results"] for one in (aksp, again)]
    assert found(back[0]) == found(back[1]) != set()
    assert len(candidates) > 60
    assert sum(map(bool, ours)) > 20
    assert {one["metadata"]["namespace"] for one, found in zip(candidates, ours, strict=True) if found} == {PLACES[0]}


def found(results: list[Object]) -> set[tuple[str, str, str]]:
    """What does not comply, exempt or not: an exemption comes back as a namespace that is left out."""
    return {
        (one["assignment"], one["resource"]["name"], one["message"])
        for one in results
        if one["state"] == "NonCompliant"
    }


def by_the_addon(plane: ControlPlane, aksp: Aksp, candidates: list[Object], probe: Object) -> list[set[str]]:
    """The assignments that each Pod is refused by."""
    addon = AddOn(plane=plane, aksp=aksp, folder=aksp.folder)
    addon.enable()
    addon.start()
    try:
        synced = aksp.run("sync", "--cluster", "testbed", "--kubeconfig", str(plane.kubeconfig))
        assert synced.code == 0, synced.stderr
        for slug in DEFINITIONS:
            addon.applied(slug)
        addon.enforced("no-privileged", probe)
        return [names(lines(plane, one)) for one in candidates]
    finally:
        addon.unassign()
        addon.stop()
