"""Which findings are the same one, whatever the Pods are called."""

from __future__ import annotations

from typing import Any

import pytest

from aksp.compliance.fingerprints import fingerprints, relative
from aksp.model.compliance import AssignmentKey, ComplianceState, Finding, Result
from aksp.model.resource import Container, Owner, Resource
from tests.replacing import replace
from tests.results import a_result, changed

KEY = AssignmentKey(assignment="images", definition="allowed-images", effect="Deny", severity="high")
WEB = Container(name="web", type="containers", image="nginx:1")


def found(name: str = "web-abc-1", path: str | None = "spec.containers[0].image", **more: Any) -> Result:
    finding = Finding(message=f"{name}: not allowed", container=WEB, path=path)
    resource = Resource(api_version="v1", kind="Pod", namespace="shop", name=name)
    made = a_result(
        assignment=KEY,
        state=ComplianceState.NON_COMPLIANT,
        resource=resource,
        finding=finding,
        owner=Owner(kind="Deployment", name="web"),
    )
    return changed(made, **more)


def of(*results: Result) -> list[str]:
    return [text for _, text in fingerprints(results)]


def test_replicas_and_their_successors_have_one_fingerprint() -> None:
    first, second = of(found("web-abc-1"), found("web-def-2"))
    assert first == second


def test_a_deployments_manifest_and_its_pods_have_the_same() -> None:
    manifest = found(path="spec.template.spec.containers[0].image", owner=None)
    manifest = replace(
        manifest, resource=Resource(api_version="apps/v1", kind="Deployment", namespace="shop", name="web")
    )
    assert of(manifest) == of(found())


def test_a_container_that_moves_in_the_list_keeps_its_fingerprint() -> None:
    assert of(found(path="spec.containers[3].image")) == of(found())


def test_without_a_path_the_message_counts_less_the_pods_name() -> None:
    assert of(found("web-abc-1", None)) == of(found("web-def-2", None))


@pytest.mark.parametrize(
    "other",
    [
        found(path="spec.containers[0].ports[0].hostPort"),
        found(assignment=replace(KEY, assignment="others")),
        found(owner=Owner(kind="StatefulSet", name="web")),
        found(owner=Owner(kind="Deployment", name="cart")),
        found(finding=Finding(message="x", container=replace(WEB, name="side"), path="spec.containers[0].image")),
        found(resource=Resource(api_version="v1", kind="Pod", namespace="test", name="web-abc-1")),
    ],
    ids=["path", "assignment", "owner kind", "owner name", "container", "namespace"],
)
def test_what_differs_otherwise_has_another(other: Result) -> None:
    assert of(other) != of(found())


def test_two_findings_at_one_place_of_a_resource_are_told_apart_and_alike_in_every_replica() -> None:
    once, twice, again, againtwice = of(found("a"), found("a"), found("b"), found("b"))
    assert once != twice
    assert (again, againtwice) == (once, twice)


@pytest.mark.parametrize(
    ("path", "within"),
    [
        ("spec.jobTemplate.spec.template.spec.containers[0].image", "image"),
        ("template.spec.initContainers[12].securityContext.privileged", "securityContext.privileged"),
        ("spec.template.metadata.labels", "metadata.labels"),
        ("spec.containers[0]", ""),
        ("spec.templates[0]", "spec.templates[0]"),
    ],
)
def test_paths_are_told_from_the_pod_or_the_container(path: str, within: str) -> None:
    assert relative(path, within_container=True) == within
