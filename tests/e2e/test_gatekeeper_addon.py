"""The add-on with `--engine gatekeeper`: a real Gatekeeper refuses by what is assigned, and nothing of ours is asked."""

from __future__ import annotations

import base64
import json
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from bench.webhooks import Webhook, gatekeeper_process
from tests.e2e.addon import GROUP, WEBHOOK, AddOn, rehearsed
from tests.e2e.command import Aksp
from tests.e2e.objects import Object, namespace, pod
from tests.e2e.test_gatekeeper_export import registered
from tests.gatekeeper.builders import template
from tests.testbed.client import ApiError, Client
from tests.testbed.controlplane import ControlPlane
from tests.waiting import until

pytestmark = pytest.mark.e2e

PLACE, EXEMPT = "gk-shop", "gk-exempt"
TEMPLATES = "/apis/templates.gatekeeper.sh/v1/constrainttemplates"
CONSTRAINTS = "/apis/constraints.gatekeeper.sh/v1beta1"
PRIVILEGED = f"{CONSTRAINTS}/akspnoprivileged/privileged"
#: Rego that aksp's engine compiles and Gatekeeper refuses: it lets rules read no other data.
REJECTED = """package own
violation[{"msg": "never"}] { data.others.never }
"""


@pytest.fixture(scope="module")
def found_missing() -> list[Object]:
    """The conditions of an assignment while there was no Gatekeeper."""
    return []


@pytest.fixture(scope="module")
def stack() -> Iterator[ExitStack]:
    with ExitStack() as made:
        yield made


@pytest.fixture(scope="module")
def addon(found_missing: list[Object], stack: ExitStack) -> Iterator[AddOn]:
    """As its service account, enabled before there is a Gatekeeper."""
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
    plane = stack.enter_context(ControlPlane())
    plane.apply([namespace(PLACE), namespace(EXEMPT)])
    made = AddOn(plane=plane, aksp=Aksp(folder=folder, kubeconfig=plane.kubeconfig), folder=folder)
    made.enable("--engine", "gatekeeper")
    token = plane.service_account_token("kube-system", "aksp")
    made.start("--engine", "gatekeeper", kubeconfig=plane.kubeconfig_for(token=token))
    made.assign("no-privileged", "privileged")
    found_missing.append(until(lambda: conditions(made, "privileged").get("Exported"), what="no condition"))
    yield made
    made.stop()


@pytest.fixture(scope="module")
def gatekeeper(addon: AddOn, stack: ExitStack) -> Webhook:
    """Gatekeeper, which the API server asks about the namespaces of these tests."""
    webhook = stack.enter_context(
        gatekeeper_process(addon.plane, addon.folder, "--operation=audit", "--audit-interval=2")
    )
    asked = registered(webhook.url, webhook.ca.read_bytes(), (PLACE, EXEMPT))
    # What lies in no namespace is to be written also while Gatekeeper is down.
    asked["webhooks"][0]["rules"][0]["scope"] = "Namespaced"
    addon.plane.apply([asked])
    exported(addon, "privileged")
    return webhook


def conditions(addon: AddOn, name: str) -> dict[str, Object]:
    status = addon.plane.request("GET", f"{GROUP}/policyassignments/{name}").get("status") or {}
    return {one["type"]: one for one in status.get("conditions") or []}


def exported(addon: AddOn, name: str, *reasons: str) -> Object:
    """The condition, once it is one of these, and of the newest generation."""
    expected = reasons or ("Exported", "NotAllExpressed")

    def there() -> Object | None:
        one = addon.plane.request("GET", f"{GROUP}/policyassignments/{name}")
        found = conditions(addon, name).get("Exported") or {}
        newest = found.get("observedGeneration") == one["metadata"]["generation"]
        return found if newest and found.get("reason") in expected else None

    try:
        return until(there)  # type: ignore[no-any-return]
    except AssertionError as error:
        raise AssertionError(json.dumps(conditions(addon, name), indent=1)) from error


def privileged(place: str = PLACE) -> Object:
    one = pod("probe", place)
    one["spec"]["containers"][0]["securityContext"] = {"privileged": True}
    return one


def there(addon: AddOn, path: str) -> bool:
    return addon.plane.client.serves(path)


def test_without_gatekeeper_the_condition_says_what_to_do(addon: AddOn, found_missing: list[Object]) -> None:
    (one,) = found_missing
    assert (one["status"], one["reason"]) == ("False", "GatekeeperMissing")
    assert "install it" in one["message"]


def test_gatekeeper_refuses_by_what_is_assigned_and_no_webhook_of_ours_is_there(
    addon: AddOn, gatekeeper: Webhook
) -> None:
    until(lambda: "[privileged]" in rehearsed(addon.plane, privileged()), what="Gatekeeper does not refuse")
    enforced = until(
        lambda: (one := conditions(addon, "privileged").get("Enforced")) and one["status"] == "True" and one,
        what="it is not said to be enforced",
    )
    assert enforced["reason"] == "Enforced"
    assert not there(addon, WEBHOOK)
    shown = addon.aksp.run("addon", "status", "-o", "json")
    document = json.loads(shown.stdout)
    assert document["addon"]["engine"] == "gatekeeper"
    assert not any("privileged" in text or "missing" in text for text in document["problems"]), document["problems"]


@pytest.mark.parametrize(
    ("patch", "said"),
    [
        ({"spec": {"enforcementAction": "dryrun"}}, "changed"),
        ({"spec": {"match": {"labelSelector": {"matchLabels": {"never": "there"}}}}}, "added"),
        ({"metadata": {"labels": {"app.kubernetes.io/managed-by": None}}}, "unlabelled"),
        (None, "deleted"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_somebody_changes_in_a_constraint_is_put_back(
    addon: AddOn, gatekeeper: Webhook, patch: Object | None, said: str
) -> None:
    before = until(lambda: addon.plane.request("GET", PRIVILEGED))
    if patch is None:
        changed = before
        addon.plane.request("DELETE", PRIVILEGED)
    else:
        changed = addon.plane.client.request("PATCH", PRIVILEGED, patch, "application/merge-patch+json")
    if said == "unlabelled":
        # Nothing of what is enforced differs, so it is seen at the next look; the assignment's change is one.
        addon.assign("no-privileged", "privileged", displayName="no privileged containers")

    def again() -> bool:
        status, answer = addon.plane.client.raw("GET", PRIVILEGED)
        if status != 200:
            return False
        now = json.loads(answer)
        # Else it may be as it was because the change has not come yet.
        written = now["metadata"]["resourceVersion"] != changed["metadata"]["resourceVersion"]
        return bool(
            written and now["spec"] == before["spec"] and now["metadata"].get("labels") == before["metadata"]["labels"]
        )

    until(again, what="not put back")
    until(lambda: "[privileged]" in rehearsed(addon.plane, privileged()), what="Gatekeeper does not refuse again")


def test_an_exemption_of_a_namespace_is_an_exclusion_and_one_of_a_container_is_told(
    addon: AddOn, gatekeeper: Webhook
) -> None:
    addon.exempt("away", "privileged", scope=f"/clusters/testbed/namespaces/{EXEMPT}")
    addon.exempt("sidecar", "privileged", resources=[{"container": "sidecar"}])
    try:
        told = exported(addon, "privileged", "NotAllExpressed")
        assert told["status"] == "True" and "exemption sidecar is not expressed" in told["message"]
        until(lambda: rehearsed(addon.plane, privileged(EXEMPT)) == "", what="the namespace is not exempt")
        assert "[privileged]" in rehearsed(addon.plane, privileged())
    finally:
        for name in ("away", "sidecar"):
            addon.plane.request("DELETE", f"{GROUP}/policyexemptions/{name}")


def test_what_is_no_longer_assigned_is_deleted_and_nothing_that_others_made(addon: AddOn, gatekeeper: Webhook) -> None:
    addon.assign("block-host-namespaces", "host")
    exported(addon, "host")
    own = f"{CONSTRAINTS}/akspblockhostnamespaces"
    template = addon.plane.request("GET", f"{TEMPLATES}/akspblockhostnamespaces")
    by_hand = {
        "apiVersion": "constraints.gatekeeper.sh/v1beta1", "kind": template["spec"]["crd"]["spec"]["names"]["kind"],
        "metadata": {"name": "by-hand"}, "spec": {"enforcementAction": "dryrun"},
    }  # fmt: skip
    addon.plane.request("POST", own, by_hand)
    addon.unassign("host")
    until(lambda: not there(addon, f"{own}/host"), what="the constraint stays")
    # The template would take the constraint that somebody else made with it.
    assert there(addon, f"{own}/by-hand") and there(addon, f"{TEMPLATES}/akspblockhostnamespaces")
    addon.plane.request("DELETE", f"{own}/by-hand")
    until(lambda: not there(addon, f"{TEMPLATES}/akspblockhostnamespaces"), 90, what="the template stays")
    assert there(addon, PRIVILEGED)


def test_a_constraint_that_somebody_else_made_is_not_taken_over(addon: AddOn, gatekeeper: Webhook) -> None:
    template = addon.plane.request("GET", f"{TEMPLATES}/akspnoprivileged")
    theirs = {
        "apiVersion": "constraints.gatekeeper.sh/v1beta1", "kind": template["spec"]["crd"]["spec"]["names"]["kind"],
        "metadata": {"name": "theirs"}, "spec": {"enforcementAction": "dryrun"},
    }  # fmt: skip
    addon.plane.request("POST", f"{CONSTRAINTS}/akspnoprivileged", theirs)
    addon.assign("no-privileged", "theirs")
    told = exported(addon, "theirs", "NameTaken")
    assert told["status"] == "False" and "did not make it" in told["message"]
    addon.unassign("theirs")
    path = f"{CONSTRAINTS}/akspnoprivileged/theirs"
    assert addon.plane.request("GET", path)["spec"]["enforcementAction"] == "dryrun"
    addon.plane.request("DELETE", path)


def test_it_may_write_no_other_objects_of_gatekeeper(addon: AddOn, gatekeeper: Webhook) -> None:
    plane = addon.plane
    client = Client(plane.server, plane.ca, plane.service_account_token("kube-system", "aksp"))
    for path in (
        f"{TEMPLATES}/k8srequiredlabels",
        f"{CONSTRAINTS}/k8srequiredlabels/mine",
        "/apis/syncset.gatekeeper.sh/v1alpha1/syncsets/others",
        "/apis/config.gatekeeper.sh/v1alpha1/namespaces/gatekeeper-system/configs/config",
        WEBHOOK,
    ):
        with pytest.raises(ApiError) as raised:
            client.request("DELETE", path)
        assert raised.value.status == 403, path
    client.close()


def test_while_gatekeeper_is_down_what_it_has_not_taken_up_is_told_and_nothing_is_lost(
    addon: AddOn, gatekeeper: Webhook
) -> None:
    gatekeeper.process.stop()
    addon.assign("no-privileged", "privileged", effect="Audit")
    told = exported(addon, "privileged", "GatekeeperPending")
    assert told["status"] == "False" and "has not taken up" in told["message"]
    assert addon.plane.request("GET", PRIVILEGED)["spec"]["enforcementAction"] == "warn"
    shown = addon.aksp.run("addon", "status")
    assert shown.code == 4 and "privileged" in shown.stderr
    gatekeeper.process.start()
    exported(addon, "privileged")
    addon.assign("no-privileged", "privileged")
    until(lambda: "[privileged]" in rehearsed(addon.plane, privileged()), what="Gatekeeper does not refuse again")


def test_a_template_that_gatekeeper_rejects_is_told(addon: AddOn, gatekeeper: Webhook) -> None:
    define(addon.plane, REJECTED)
    # The add-on may write the constraints of the definitions that were there when it was enabled.
    addon.assign("own-rule", "own", effect="Audit")
    told = exported(addon, "own", "NotWritten")
    assert "addon enable" in told["message"]
    # The others are not held up by it.
    exported(addon, "privileged")
    addon.enable("--engine", "gatekeeper")
    told = exported(addon, "own", "TemplateRejected")
    assert told["status"] == "False" and "Gatekeeper rejects the ConstraintTemplate akspownrule" in told["message"]
    addon.unassign("own")
    until(lambda: not there(addon, f"{TEMPLATES}/akspownrule"), 90, what="the template stays")


def define(plane: ControlPlane, rego: str) -> None:
    made = template("OwnRule", rego, {"type": "object"})
    content = base64.b64encode(json.dumps(made).encode()).decode()
    spec: dict[str, Any] = {
        "policyRule": {
            "if": {"field": "type", "in": ["Microsoft.ContainerService/managedClusters"]},
            "then": {
                "effect": "[parameters('effect')]",
                "details": {
                    "templateInfo": {"sourceType": "Base64Encoded", "content": content},
                    "apiGroups": [""],
                    "kinds": ["Pod"],
                },
            },
        },
        "parameters": {"effect": {"type": "String", "defaultValue": "Audit"}},
    }
    plane.apply(
        [
            {
                "apiVersion": "policy.aksp.io/v1alpha1",
                "kind": "PolicyDefinition",
                "metadata": {"name": "own-rule"},
                "spec": spec,
            }
        ]
    )


def test_with_its_own_webhook_again_gatekeepers_objects_go(addon: AddOn, gatekeeper: Webhook) -> None:
    addon.replicas.pop().process.stop()
    addon.enable()
    until(lambda: not there(addon, PRIVILEGED), what="the constraint stays")
    assert not there(addon, f"{TEMPLATES}/akspnoprivileged") and there(addon, WEBHOOK)
