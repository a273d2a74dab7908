"""What `aksp addon status` makes of the objects in a cluster."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from aksp.addon import names
from aksp.addon.checkins.checkin_record import FAILED, LAST
from aksp.addon.in_force.deviations import whole
from aksp.addon.install.manifests import manifests
from aksp.addon.names import EngineName
from aksp.addon.settings import Settings
from aksp.addon.status_view import AddonStatus, InstalledObjects, overview
from tests.replacing import replace

NOW = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)
(WEBHOOK,) = [one for one in manifests(Settings()) if one["kind"] == "ValidatingWebhookConfiguration"]
LEASE = {"spec": {"holderIdentity": "aksp-1", "renewTime": "2026-01-01T11:59:55.000000Z", "leaseDurationSeconds": 15}}


KINDS = frozenset(
    {names.DEFINITIONS, names.INITIATIVES, names.ASSIGNMENTS, names.EXEMPTIONS, names.DENIALS, names.REPORTS}
)
THERE = InstalledObjects(webhook=WEBHOOK, intended=WEBHOOK, lease=LEASE, deployment=None, kinds=KINDS, secret=True)
RULES = [{"apiGroups": ["apps"], "operations": ["CREATE", "UPDATE"], "resources": ["deployments"]}]


def assignment(**status: Any) -> dict[str, Any]:
    return {
        "metadata": {"name": "images", "generation": 2},
        "spec": {"policyDefinitionId": "allowed-images"},
        "status": {"appliedGeneration": 2, "state": "Compliant", "effect": "Deny", **status},
    }


def seen(*assignments: dict[str, Any], **found: Any) -> AddonStatus:
    return overview("kube-system", replace(THERE, **found), list(assignments), NOW)


def test_all_is_well_when_the_leader_renews_and_all_is_applied() -> None:
    found = seen(assignment())
    assert found.problems == () and found.leader == "aksp-1"
    assert found.excluded_namespaces == ("kube-system",)


@pytest.mark.parametrize(
    "status",
    [
        {"appliedGeneration": 1}, {"appliedGeneration": None}, {"state": "NotStarted"}, {"state": None},
        {"conditions": [{"type": "Enforced", "status": "False", "reason": "RulesPending"}]},
        {"conditions": [{"type": "Exported", "status": "False", "reason": "TemplateRejected"}]},
        {"conditions": [{"type": "Exported", "status": "Unknown", "reason": "GatekeeperSilent"}]},
    ],
)  # fmt: skip
def test_an_assignment_that_waits_is_told(status: dict[str, Any]) -> None:
    (problem,) = seen(assignment(**status)).problems
    assert problem.endswith(": images")


@pytest.mark.parametrize(
    "status",
    [
        {"state": "NotStarted", "effect": "Disabled"},
        {"state": "NotStarted", "lastEvaluated": "2026-01-01T11:59:00Z"},
        {"state": "NotStarted", "appliedGeneration": None,
         "conditions": [{"type": "Applied", "status": "False", "reason": "NotInScope"}]},
    ],
)  # fmt: skip
def test_one_that_has_nothing_to_wait_for_is_fine(status: dict[str, Any]) -> None:
    assert seen(assignment(**status)).problems == ()


@pytest.mark.parametrize(
    ("lease", "said"),
    [
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
    found = seen(webhook=None, intended=None, lease=None)
    assert not found.enabled and found.problems == (
        "the add-on is not enabled in this cluster: run `aksp addon enable`",
    )


def test_the_webhooks_rules_are_told_in_words() -> None:
    found = seen(webhook=whole(WEBHOOK, None, RULES, "Q0E="))
    assert found.problems == ()
    assert found.webhook_rules == ("CREATE,UPDATE deployments.apps",)
    assert found.webhook == "kube-system/aksp"


def test_where_gatekeeper_refuses_no_webhook_is_missing_but_gatekeeper_may_be() -> None:
    (deployment,) = [one for one in manifests(Settings(engine=EngineName.GATEKEEPER)) if one["kind"] == "Deployment"]
    deployment["status"] = {"readyReplicas": 1}
    there: dict[str, Any] = {"webhook": None, "intended": None, "deployment": deployment, "secret": None}
    found = seen(assignment(), **there)
    assert found.engine is EngineName.GATEKEEPER and found.problems == ()
    (problem,) = seen(assignment(), **there, gatekeeper=False).problems
    assert "Gatekeeper is not installed" in problem and "install it" in problem


def test_the_json_shape_is_the_documented_one() -> None:
    document = seen(assignment()).to_json()
    assert list(document) == ["apiVersion", "kind", "addon", "assignments", "problems"]
    assert list(document["addon"]) == [
        "enabled", "namespace", "engine", "image", "replicas", "readyReplicas", "leader", "leaderRenewed", "lastCheckIn",
        "failedCheckIn", "failurePolicy", "webhook", "excludedNamespaces", "webhookRules", "webhookDeviations", "missing",
    ]  # fmt: skip
    assert list(document["assignments"][0]) == [
        "name", "definition", "enforcementMode", "effect", "state", "compliancePercent", "generation",
        "appliedGeneration", "applied", "lastCheckIn", "lastEvaluated", "message",
    ]  # fmt: skip


def test_check_ins_that_fail_are_told_with_cause_and_since_when() -> None:
    annotations = {
        LAST: "2026-01-01T11:00:00Z",
        FAILED: '{"since":"2026-01-01T11:30:00Z","last":"2026-01-01T11:59:00Z","times":3,"cause":"no"}',
    }
    found = seen(lease={**LEASE, "metadata": {"annotations": annotations}})
    assert found.problems == ("check-ins fail since 2026-01-01T11:30:00Z, 3 times: no",)
    assert found.last_check_in == "2026-01-01T11:00:00Z"
    assert seen(lease={**LEASE, "metadata": {"annotations": {FAILED: "{"}}}).problems == ()


@pytest.mark.parametrize(
    ("gone", "named"),
    [
        ({"webhook": None}, "validatingwebhookconfiguration/aksp"),
        ({"intended": None}, "configmap/aksp-webhook"),
        ({"lease": None}, "lease/aksp-leader"),
        ({"secret": False}, "secret/aksp-webhook-cert"),
        ({"kinds": KINDS - {names.EXEMPTIONS}}, "customresourcedefinition/policyexemptions.policy.aksp.io"),
    ],
)
def test_what_was_deleted_by_hand_is_named(gone: dict[str, Any], named: str) -> None:
    found = seen(**gone)
    assert found.missing == (named,) and found.enabled
    assert found.problems == (f"missing: {named}; `aksp addon enable` makes what is missing",)


def test_a_secret_that_nobody_may_see_is_not_said_to_be_missing() -> None:
    assert seen(secret=None).missing == ()


@pytest.mark.parametrize("change", [{"rules": []}, {"clientConfig": {"caBundle": "b3RoZXI="}}])
def test_rules_and_bundle_that_the_add_on_did_not_write_are_told(change: dict[str, Any]) -> None:
    written = whole(WEBHOOK, None, RULES, "Q0E=")
    (hook,) = written["webhooks"]
    client = {**hook["clientConfig"], **change.get("clientConfig", {})}
    found = seen(webhook={**written, "webhooks": [{**hook, **change, "clientConfig": client}]})
    assert found.webhook_deviations == {"rules": "its rules or its CA bundle are not those that the add-on wrote"}
    assert "its rules or its CA bundle" in found.problems[0]


def test_rules_that_are_gone_with_their_mark_are_told() -> None:
    enforced = assignment(conditions=[{"type": "Enforced", "status": "True", "reason": "Enforced"}])
    assert seen(enforced).webhook_deviations == {"rules": "the add-on has not written its rules"}
