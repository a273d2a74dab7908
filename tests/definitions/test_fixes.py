"""What a rule offers as a fix does comply: its patch, applied to the sample, takes the finding away."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from aksp.compliance.fixes import patch
from aksp.model.compliance import ComplianceState, Result
from tests.definitions.patched import patched
from tests.definitions.samples import DEFINITIONS, SAMPLES, Sample, judge, judged, stream

NONCOMPLIANT = [sample for sample in SAMPLES if sample.expect]
#: Definitions whose rule can say a change, for some samples at least.
FIXING = {
    "allowed-capabilities",
    "allowed-container-ports",
    "allowed-images",
    "allowed-proc-mount-types",
    "allowed-external-ips",
    "allowed-pull-policies",
    "apparmor-profiles",
    "block-host-namespaces",
    "cron-job-settings",
    "disruption-budgets",
    "forbidden-capabilities",
    "grace-periods",
    "host-network-ports",
    "https-ingress",
    "internal-load-balancers",
    "minimum-replicas",
    "namespace-pod-security",
    "no-automounted-tokens",
    "no-container-administrator",
    "no-host-process",
    "no-node-ports",
    "no-privilege-escalation",
    "no-privileged",
    "no-probe-hosts",
    "read-only-root-filesystem",
    "required-job-ttl",
    "required-labels",
    "reserved-labels",
    "resource-limits",
    "run-as-non-root",
    "seccomp-profiles",
    "selinux-options",
}


def _findings(results: Any) -> list[Result]:
    return [result for result in results if result.state is ComplianceState.NON_COMPLIANT]


def _fixed(sample: Sample, results: list[Result]) -> list[Any]:
    """The sample's objects, each with the patches of its findings."""
    objects = list(sample.objects)
    for result in results:
        change = patch(result)
        if change is None:
            continue
        (at,) = [at for at, one in enumerate(objects) if _same(_held(one), result)]
        for given in ("name", "generateName", "namespace"):
            change["metadata"].pop(given, None)
        changed = patched(_held(objects[at]), change, kind=_held(objects[at])["kind"])
        review = objects[at].get("request")
        objects[at] = {**objects[at], "request": {**review, "object": changed}} if review else changed
    return objects


def _held(document: Any) -> Any:
    """The object of a review, or the document itself."""
    return document["request"]["object"] if "request" in document else document


def _same(document: Any, result: Result) -> bool:
    metadata, resource = document["metadata"], result.resource
    clustered = document["kind"] in ("Namespace", "Node")
    name = metadata.get("name") or metadata["generateName"] + "*"
    return (document["kind"], "" if clustered else metadata.get("namespace", "default"), name) == (
        resource.kind,
        resource.namespace,
        resource.name,
    )


def _key(result: Result) -> tuple[str, str, str | None, str | None]:
    container = result.finding.container
    return result.resource.kind, result.resource.name, container.name if container else None, result.finding.path


@pytest.mark.parametrize("sample", NONCOMPLIANT, ids=str)
def test_a_finding_with_a_patch_is_gone_once_the_patch_is_applied_and_no_other_comes(
    sample: Sample, tmp_path: Path
) -> None:
    before = _findings(judged(sample.path).report.results)
    path = tmp_path / "fixed.yaml"
    path.write_text(stream(_fixed(sample, before)), encoding="utf-8")

    after = _findings(judge(sample.definition, sample.parameters, path).report.results)

    assert Counter(map(_key, after)) == Counter(_key(one) for one in before if patch(one) is None)


@pytest.mark.parametrize("sample", NONCOMPLIANT, ids=str)
def test_each_patch_takes_its_own_finding_away_when_it_is_the_only_one_applied(sample: Sample, tmp_path: Path) -> None:
    before = _findings(judged(sample.path).report.results)
    for number, one in enumerate(before):
        if patch(one) is None:
            continue
        path = tmp_path / f"fixed-{number}.yaml"
        path.write_text(stream(_fixed(sample, [one])), encoding="utf-8")

        after = _findings(judge(sample.definition, sample.parameters, path).report.results)

        assert Counter(map(_key, after))[_key(one)] == Counter(map(_key, before))[_key(one)] - 1
        assert not set(map(_key, after)) - set(map(_key, before))


def test_the_definitions_that_can_say_a_change_do() -> None:
    fixing = {
        sample.definition.slug
        for sample in NONCOMPLIANT
        for result in _findings(judged(sample.path).report.results)
        if patch(result) is not None
    }

    assert fixing == FIXING


# What the samples do not show


def _pod(**spec: Any) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "shop", "namespace": "shop"}, "spec": spec}


def _box(name: str = "web", **fields: Any) -> dict[str, Any]:
    return {"name": name, "image": "contoso.azurecr.io/web:1", **fields}


def _service(annotations: dict[str, str] | None = None, **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "shop", "namespace": "shop", "annotations": annotations or {}},
        "spec": spec,
    }


def _limited(limit: str, *, request: str | None = None, pod_limit: str | None = None) -> dict[str, Any]:
    resources = {"limits": {"cpu": limit, "memory": "1Gi"}, "requests": {"cpu": request or "1m", "memory": "1Mi"}}
    return _pod(
        containers=[_box(resources=resources)], **({"resources": {"limits": {"cpu": pod_limit}}} if pod_limit else {})
    )


def _fixes(slug: str, parameters: dict[str, Any], document: dict[str, Any], folder: Path) -> dict[str, Any]:
    path = folder / "document.yaml"
    path.write_text(stream([document]), encoding="utf-8")
    report = judge(DEFINITIONS[slug], parameters, path).report
    assert not report.gaps
    return {str(one.finding.path): one.finding.fix for one in _findings(report.results)}


CPU = "spec.containers[0].resources.limits.cpu"
HOST_PORT = "spec.containers[0].ports[0].hostPort"
HOST_PROCESS = "securityContext.windowsOptions.hostProcess"
IMAGE = "spec.containers[0].image"


@pytest.mark.parametrize(
    ("document", "fix"),
    [
        (_limited("3"), {CPU: "2"}),
        (_limited("3", request="2500m"), {CPU: "2", CPU.replace("limits", "requests"): "2"}),
        (_limited("3", pod_limit="1"), None),
    ],
    ids=["the request stays", "a request above the maximum is lowered too", "the Pod's own limit is lower"],
)
def test_a_limit_is_lowered_to_the_maximum_with_the_request(
    document: dict[str, Any], fix: dict[str, Any] | None, tmp_path: Path
) -> None:
    assert _fixes("resource-limits", {"maxCpu": "2"}, document, tmp_path)[CPU] == fix


def test_without_a_maximum_or_with_one_that_is_none_a_limit_would_be_a_guess(tmp_path: Path) -> None:
    missing = _pod(containers=[_box(resources={"limits": {"memory": "1Gi"}})])

    assert _fixes("resource-limits", {}, missing, tmp_path) == {CPU: None}
    assert _fixes("resource-limits", {"maxCpu": "0"}, missing, tmp_path) == {CPU: None}
    assert _fixes("resource-limits", {"maxCpu": "500m"}, missing, tmp_path) == {CPU: {CPU: "500m"}}


@pytest.mark.parametrize(
    ("ports", "spec", "offered"),
    [
        ([{"containerPort": 80, "hostPort": 22}], {}, True),
        ([{"containerPort": 80, "hostPort": 22}], {"hostNetwork": True}, False),
        ([{"containerPort": 80, "hostPort": 22}, {"containerPort": 80, "protocol": "UDP"}], {}, False),
    ],
    ids=["one", "in the host's network", "two with one number"],
)
def test_a_host_port_is_left_out_where_that_can_be_said(
    ports: list[Any], spec: dict[str, Any], offered: bool, tmp_path: Path
) -> None:
    document = _pod(containers=[_box(ports=ports)], **spec)
    found = _fixes("allowed-container-ports", {"allowedPorts": ["80", "80/UDP"]}, document, tmp_path)

    assert bool(found[HOST_PORT]) is offered


def test_host_processes_of_a_pod_are_changed_together_or_not_at_all(tmp_path: Path) -> None:
    host_process = {"securityContext": {"windowsOptions": {"hostProcess": True}}}
    document = _pod(hostNetwork=True, containers=[_box("a", **host_process), _box("b", **host_process)])
    together = {
        "spec.containers[0].name": "a",
        f"spec.containers[0].{HOST_PROCESS}": False,
        "spec.containers[1].name": "b",
        f"spec.containers[1].{HOST_PROCESS}": False,
    }

    found = _fixes("no-privileged", {}, document, tmp_path)
    assert found == {f"spec.containers[{at}].{HOST_PROCESS}": together for at in (0, 1)}
    left_out = _fixes("no-privileged", {"excludedContainers": ["b"]}, document, tmp_path)
    assert left_out == {f"spec.containers[0].{HOST_PROCESS}": None}


@pytest.mark.parametrize(
    ("registries", "pattern", "image", "moved"),
    [
        (["contoso.azurecr.io"], "", "nginx:1.25", "contoso.azurecr.io/nginx:1.25"),
        (["contoso.azurecr.io/"], "", "ghcr.io/a/b:1", "contoso.azurecr.io/a/b:1"),
        (["contoso.azurecr.io/team"], "", "web", "contoso.azurecr.io/team/web"),
        (["localhost:5000"], "", f"quay.io/a/b:1@sha256:{'0' * 64}", f"localhost:5000/a/b:1@sha256:{'0' * 64}"),
        (["contoso.azurecr.io"], "^fabrikam", "nginx", "contoso.azurecr.io/nginx"),
        (["contoso.azurecr.io", "fabrikam.azurecr.io"], "", "nginx", None),
        ([], "^contoso", "nginx", None),
        (["contoso"], "", "nginx", None),
        (["docker.io"], "", "ghcr.io/a/b/c", None),
        (["contoso.azurecr.io"], "", "fabrikam.azurecr.io", None),
        (["contoso.azurecr.io"], "", "nginx latest", None),
        (["contoso.azurecr.io"], "", "ghcr.io/", None),
    ],
)
def test_an_image_is_looked_for_in_the_one_registry_that_is_allowed(
    registries: list[str], pattern: str, image: str, moved: str | None, tmp_path: Path
) -> None:
    parameters = {"allowedRegistries": registries, "allowedContainerImagesRegex": pattern}
    found = _fixes("allowed-images", parameters, _pod(containers=[_box(image=image)]), tmp_path)

    assert found == {IMAGE: {IMAGE: moved} if moved else None}


@pytest.mark.parametrize(
    ("labels", "value"),
    [
        (["env=prod"], "prod"),
        (["env=^v1.0$"], "v1.0"),
        (["env="], ""),
        (["env=prod|test"], None),
        (["env=prod.*"], None),
        (["env"], None),
        (["env=prod", "env=p[a-z]+"], "prod"),
        (["env=prod", "env=test"], None),
    ],
)
def test_a_label_is_set_where_the_pattern_leaves_one_value(
    labels: list[str], value: str | None, tmp_path: Path
) -> None:
    document = _pod(containers=[_box()])
    path = tmp_path / "document.yaml"
    path.write_text(stream([document]), encoding="utf-8")
    report = judge(DEFINITIONS["required-labels"], {"labels": labels}, path).report

    fixes = [one.finding.fix for one in _findings(report.results) if one.finding.expected == labels[0]]
    assert fixes == [None if value is None else {"metadata.labels['env']": value}]


def test_a_node_port_and_what_goes_with_it_are_taken_from_a_service_that_becomes_internal(tmp_path: Path) -> None:
    ports = [{"port": 80, "nodePort": 30080}, {"port": 443}]
    document = _service(type="NodePort", externalTrafficPolicy="Local", ports=ports)

    assert _fixes("internal-load-balancers", {"allowNodePort": False}, document, tmp_path) == {
        "spec.type": {
            "spec.type": "ClusterIP",
            "spec.externalTrafficPolicy": None,
            "spec.ports[0].port": 80,
            "spec.ports[0].nodePort": None,
        }
    }
    twice = _service(type="NodePort", ports=[{"port": 53, "nodePort": 30053}, {"port": 53, "protocol": "UDP"}])
    assert _fixes("internal-load-balancers", {"allowNodePort": False}, twice, tmp_path) == {"spec.type": None}


PUBLIC = {
    "service.beta.kubernetes.io/azure-load-balancer-internal": "false",
    "service.beta.kubernetes.io/oci-load-balancer-internal": "false",
}


def test_public_annotations_of_two_clouds_are_one_finding_with_the_fix_of_the_first(tmp_path: Path) -> None:
    path = "metadata.annotations['service.beta.kubernetes.io/azure-load-balancer-internal']"
    document = _service(PUBLIC, type="LoadBalancer", ports=[{"port": 80}])

    assert _fixes("internal-load-balancers", {"cloud": "any"}, document, tmp_path) == {path: {path: "true"}}


@pytest.mark.parametrize(
    ("cloud", "annotations"),
    [("any", {}), ("tencent", {}), ("huawei", {"kubernetes.io/elb.autocreate": '{"type":"public","name":"a"}'})],
)
def test_an_annotation_that_cannot_be_known_is_no_fix(cloud: str, annotations: dict[str, str], tmp_path: Path) -> None:
    document = _service(annotations, type="LoadBalancer", ports=[{"port": 80}])

    assert list(_fixes("internal-load-balancers", {"cloud": cloud}, document, tmp_path).values()) == [None]
