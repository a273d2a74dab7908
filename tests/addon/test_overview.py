"""What `aksp addon status` makes of the objects in a cluster."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from aksp.addon.manifests import manifests
from aksp.addon.overview import Overview, overview
from aksp.addon.settings import Settings

NOW = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)
(WEBHOOK,) = [one for one in manifests(Settings()) if one["kind"] == "ValidatingWebhookConfiguration"]
LEASE = {"spec": {"holderIdentity": "aksp-1", "renewTime": "2026-01-01T11:59:55.000000Z", "leaseDurationSeconds": 15}}


def assignment(**status: Any) -> dict[str, Any]:
    return {
        "metadata": {"name": "images", "generation": 2},
        "spec": {"policyDefinitionId": "allowed-images"},
        "status": {"appliedGeneration": 2, "state": "Compliant", "effect": "Deny", **status},
    }


def seen(*assignments: dict[str, Any], lease: Any = LEASE, webhook: Any = WEBHOOK, deployment: Any = None) -> Overview:
    return overview(
        "kube-system", webhook=webhook, lease=lease, deployment=deployment, assignments=list(assignments), served=True,
        now=NOW,
    )  # fmt: skip


def test_all_is_well_when_the_leader_renews_and_all_is_applied() -> None:
    found = seen(assignment())
    assert found.problems == () and found.leader == "aksp-1"
    assert found.excluded_namespaces == ("kube-system",)


@pytest.mark.parametrize(
    "status",
    [
        {"appliedGeneration": 1}, {"appliedGeneration": None}, {"state": "NotStarted"}, {"state": None},
        {"conditions": [{"type": "Enforced", "status": "False", "reason": "RulesPending"}]},
    ],
)  # fmt: skip
def test_an_assignment_that_waits_is_told(status: dict[str, Any]) -> None:
    (problem,) = seen(assignment(**status)).problems
    assert problem.endswith(": images")


@pytest.mark.parametrize(
    "status",
    [
        {"state": "NotStarted", "effect": "Disabled"},
        {"state": "NotStarted", "appliedGeneration": None,
         "conditions": [{"type": "Applied", "status": "False", "reason": "NotInScope"}]},
    ],
)  # fmt: skip
def test_one_that_has_nothing_to_wait_for_is_fine(status: dict[str, Any]) -> None:
    assert seen(assignment(**status)).problems == ()


@pytest.mark.parametrize(
    ("lease", "said"),
    [
        (None, "nobody leads"),
        ({"spec": {}}, "nobody leads"),
        ({"spec": {**LEASE["spec"], "holderIdentity": ""}}, "nobody leads"),
        ({"spec": {**LEASE["spec"], "renewTime": "2026-01-01T11:58:00Z"}}, "has not renewed its lease since"),
        ({"spec": {"holderIdentity": "aksp-1"}}, "has not renewed its lease ever"),
    ],
)
def test_a_lease_that_is_not_renewed_is_told(lease: Any, said: str) -> None:
    (problem,) = seen(lease=lease).problems
    assert said in problem


def test_a_deployment_without_a_ready_replica_is_told() -> None:
    (deployment,) = [one for one in manifests(Settings()) if one["kind"] == "Deployment"]
    found = seen(deployment=deployment)
    assert (found.replicas, found.ready_replicas) == (2, 0) and "no replica of 2 is ready" in found.problems[0]


def test_a_cluster_without_the_add_on_is_told() -> None:
    found = seen(webhook=None, lease=None)
    assert not found.enabled and found.problems == (
        "the add-on is not enabled in this cluster: run `aksp addon enable`",
    )


def test_the_webhooks_rules_are_told_in_words() -> None:
    rules = [{"apiGroups": ["apps"], "operations": ["CREATE", "UPDATE"], "resources": ["deployments"]}]
    found = seen(webhook={**WEBHOOK, "webhooks": [{**WEBHOOK["webhooks"][0], "rules": rules}]})
    assert found.rules == ("CREATE,UPDATE deployments.apps",)
    assert found.webhook == "kube-system/aksp"


def test_the_json_shape_is_the_documented_one() -> None:
    document = seen(assignment()).to_json()
    assert list(document) == ["apiVersion", "kind", "addon", "assignments", "problems"]
    assert list(document["addon"]) == [
        "enabled", "namespace", "image", "replicas", "readyReplicas", "leader", "leaderRenewed", "failurePolicy",
        "webhook", "excludedNamespaces", "webhookRules",
    ]  # fmt: skip
    assert list(document["assignments"][0]) == [
        "name", "definition", "enforcementMode", "effect", "state", "compliancePercent", "generation",
        "appliedGeneration", "applied", "lastCheckIn", "lastEvaluated", "message",
    ]  # fmt: skip
