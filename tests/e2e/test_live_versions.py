"""Rules that look objects up in one version of their kind, in a cluster that serves several."""

from __future__ import annotations

from typing import Any

import pytest

from tests.catalog.documents import DETAILS, document, write
from tests.e2e.command import Aksp, state_of
from tests.e2e.objects import made, namespace
from tests.testbed.controlplane import ControlPlane

pytestmark = pytest.mark.e2e

SPACE = "versions"
#: targetCPUUtilizationPercentage is a field of v1 alone.
RULE = """package rule

violation contains {"msg": sprintf("%s aims at %d", [name, percent])} if {
    some name
    percent := data.inventory.namespace[input.review.namespace]["VERSION"].HorizontalPodAutoscaler[name].spec[FIELD]
}
"""


def autoscaler(name: str) -> dict[str, Any]:
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}
    return made("autoscaling/v1", "HorizontalPodAutoscaler", name, SPACE,
                spec={"scaleTargetRef": target, "maxReplicas": 3, "targetCPUUtilizationPercentage": 70})  # fmt: skip


def define(aksp: Aksp, slug: str, version: str, kinds: list[str], groups: list[str]) -> None:
    rego = RULE.replace("VERSION", version).replace("FIELD", '"targetCPUUtilizationPercentage"')
    details = {f"{DETAILS}.kinds": kinds, f"{DETAILS}.apiGroups": groups}
    guid = f"11111111-2222-3333-4444-{len(slug):012}"
    made = document(name=guid, **{"properties.metadata.azurePolicyId": slug, **details})
    write(aksp.workspace / "definitions", slug, made=made, policy_rego=rego)
    aksp.assign(slug, slug)


@pytest.mark.parametrize("judged", [(["ConfigMap"], [""]), (["HorizontalPodAutoscaler"], ["autoscaling"])])
def test_a_rule_gets_objects_in_the_version_that_it_looks_up_and_one_that_is_not_served_is_told(
    judged: tuple[list[str], list[str]], plane: ControlPlane, aksp: Aksp
) -> None:
    plane.apply([namespace(SPACE), autoscaler("web"), made("v1", "ConfigMap", "web", SPACE)])
    define(aksp, "served", "autoscaling/v1", *judged)
    define(aksp, "gone", "autoscaling/v2beta2", *judged)
    run = aksp.judge("-n", SPACE)

    assert run.code == 1
    assert "web aims at 70" in {one["message"] for one in run.report["results"] if one["assignment"] == "served"}
    assert "Error" in state_of(run.report, "gone")
    assert any("no kind HorizontalPodAutoscaler in autoscaling/v2beta2" in gap["message"] for gap in run.report["gaps"])
