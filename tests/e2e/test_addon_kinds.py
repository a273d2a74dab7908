"""In a cluster with a list of allowed kinds nobody makes another, and what Kubernetes itself makes goes on."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.e2e.addon import AddOn, own_addon, rehearsed
from tests.e2e.objects import FOREIGN, container, made, namespace, workload

pytestmark = pytest.mark.e2e

PLACE = "addon-kinds"
LATER = "addon-kinds-later"


@pytest.fixture(scope="module")
def addon() -> Iterator[AddOn]:
    with own_addon(PLACE) as addon:
        addon.enable()
        addon.start()
        kinds = {"allowedKinds": ["Deployment.apps", "Namespace"], "namespaces": [PLACE, LATER], "scope": "Namespaced"}
        addon.assign("allowed-kinds", parameters=kinds)
        addon.enforced("allowed-kinds", made("v1", "ConfigMap", "settings", PLACE))
        yield addon


def test_another_kind_is_refused(addon: AddOn) -> None:
    for one in (
        made("v1", "ConfigMap", "settings", PLACE),
        made("apps/v1", "ControllerRevision", "a", PLACE, revision=1, data={}),
    ):
        told = rehearsed(addon.plane, one)
        assert one["kind"] in told and "is not an allowed kind" in told


def test_what_an_allowed_object_makes_and_what_each_namespace_has_goes_on(addon: AddOn) -> None:
    plane = addon.plane
    plane.apply(
        [workload("apps/v1", "Deployment", "web", PLACE, replicas=2, pods={"containers": [container("web", FOREIGN)]})]
    )
    plane.wait_for(f"/api/v1/namespaces/{PLACE}/pods", lambda answer: len(answer["items"]) == 2)
    plane.apply([namespace(LATER)])
    plane.wait_for(f"/api/v1/namespaces/{LATER}/serviceaccounts", lambda answer: len(answer["items"]) == 1)
    plane.wait_for(f"/api/v1/namespaces/{LATER}/configmaps", lambda answer: len(answer["items"]) == 1)
