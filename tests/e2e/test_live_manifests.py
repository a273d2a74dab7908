"""`aksp addon enable`, `status` and `disable`, and what the API server says to each of their objects."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml

from aksp.addon import names
from aksp.addon.install.installation import label, listed_kinds
from aksp.addon.install.manifests import crds, manifests
from aksp.addon.install.workload import pod_spec
from aksp.addon.settings import Settings
from aksp.catalog.custom import resource_of
from aksp.catalog.folder import as_json, bundled
from aksp.model.assignment import API_VERSION
from tests.docs.pages import PAGES, ROOT, blocks
from tests.e2e.command import Aksp, Ended
from tests.e2e.objects import Object, Place, made, namespace
from tests.replacing import replace
from tests.testbed.client import APPLY, Client
from tests.testbed.controlplane import ControlPlane
from tests.waiting import until

pytestmark = pytest.mark.e2e

WEBHOOK = f"/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations/{names.NAME}"
DEPLOYMENT = "/apis/apps/v1/namespaces/kube-system/deployments/aksp"
KINDS = listed_kinds(bundled(), None, lambda note: None)
ELSEWHERE, RESTRICTED = "manifests-elsewhere", "manifests-restricted"
SETTINGS = {
    "defaults": Settings(kinds=KINDS),
    "fail": Settings(kinds=KINDS, failure_policy="Fail", exclude_namespaces=("a", "b"), replicas=1),
    "elsewhere": Settings(
        kinds=KINDS, namespace=ELSEWHERE, create_namespace=True, cert_secret="tls", inject_ca_from="a/b"
    ),
    "on a host": Settings(kinds=KINDS, webhook_url="https://127.0.0.1:9443/v1/admit"),
}


@pytest.fixture
def clean(aksp: Aksp) -> Iterator[Aksp]:
    """aksp with a cluster that has no add-on, before and after."""
    clean = replace(aksp, within=True)
    assert clean.run("addon", "disable").code == 0
    yield clean
    assert clean.run("addon", "disable").code == 0


@pytest.fixture
def resources(plane: ControlPlane) -> ControlPlane:
    """The control plane with the custom resources, and nobody who answers. A test of `clean` takes them away."""
    plane.apply(crds())
    for document in crds():
        plural = document["spec"]["names"]["plural"]
        until(partial(plane.client.serves, f"{names.API}/{plural}"))
    return plane


def asked(client: Client, path: str) -> int:
    """The status of a GET; a kind that is just being installed is asked for again, as every client does."""
    while (status := client.raw("GET", path)[0]) == 429:
        time.sleep(0.05)
    return status


def enabled(aksp: Aksp, *options: str) -> Ended:
    return aksp.run("addon", "enable", "--webhook-url", "https://127.0.0.1:9443/v1/admit", *options)


def tried(plane: ControlPlane, document: Mapping[str, Any], path: str | None = None) -> tuple[int, Object]:
    """The answer to a server-side dry run of applying an object."""
    metadata = document["metadata"]
    path = path or plane.client.collection(document["apiVersion"], document["kind"], metadata.get("namespace"))
    query = "dryRun=All&fieldManager=aksp&force=true&fieldValidation=Strict"
    where = f"{path}/{metadata['name']}?{query}"
    while (answer := plane.client.raw("PATCH", where, json.dumps(document).encode(), APPLY))[0] == 429:
        time.sleep(0.05)
    return answer[0], json.loads(answer[1])


def custom(plane: ControlPlane, kind: str, spec: Any) -> tuple[int, Object]:
    """The answer to a custom resource with this spec."""
    document = made(API_VERSION, kind, "tried", spec=spec)
    return tried(plane, document, f"{names.API}/{kind.lower()}s")


@pytest.mark.parametrize("settings", SETTINGS.values(), ids=SETTINGS)
def test_every_object_is_accepted(plane: ControlPlane, place: Place, settings: Settings) -> None:
    place(ELSEWHERE, [])
    for document in [*crds(), *manifests(settings)]:
        status, answer = tried(plane, document)
        assert status in (200, 201), f"{label(document)}: {answer['message']}"


@pytest.mark.parametrize("where", ["kube-system", ELSEWHERE])
def test_the_pod_meets_the_restricted_standard(plane: ControlPlane, where: str) -> None:
    strict = namespace(RESTRICTED)
    strict["metadata"]["labels"] = {"pod-security.kubernetes.io/enforce": "restricted"}
    plane.apply([strict])
    spec = pod_spec(Settings(namespace=where, cert_secret="tls"))
    # The class is for kube-system alone, whatever else the Pod is.
    spec.pop("priorityClassName", None)
    path = f"/api/v1/namespaces/{RESTRICTED}/pods?dryRun=All&fieldValidation=Strict"
    status, body = plane.client.raw("POST", path, json.dumps(made("v1", "Pod", "aksp", spec=spec)).encode())
    assert status == 201, body
    del spec["securityContext"]["seccompProfile"]
    status, body = plane.client.raw("POST", path, json.dumps(made("v1", "Pod", "aksp", spec=spec)).encode())
    assert status == 403 and b'violates PodSecurity \\"restricted' in body


def test_documents_of_examples_and_pages_are_accepted(resources: ControlPlane) -> None:
    texts = [path.read_text(encoding="utf-8") for path in ROOT.glob("examples/**/*.yaml")]
    texts += [block.text for page in PAGES for block in blocks(page) if block.language == "yaml"]
    found = [one for text in texts for one in yaml.load_all(text, Loader=yaml.BaseLoader) if isinstance(one, dict)]
    found = [one for one in found if str(one.get("apiVersion")).startswith(names.GROUP) and "spec" in one]
    assert {one["kind"] for one in found} >= {"PolicyAssignment", "PolicyExemption"}
    # Where clusters lie only a workspace knows.
    for document in (one for one in found if one["kind"] != "PolicyScope"):
        status, answer = tried(resources, document, f"{names.API}/{document['kind'].lower()}s")
        wanted = (422,) if "resourceSelectors" in document["spec"] else (200, 201)
        assert status in wanted, f"{document}: {answer.get('message')}"


def test_definitions_are_accepted(resources: ControlPlane) -> None:
    for definition in bundled():
        document = resource_of(definition, as_json(Path(definition.origin)))
        status, answer = tried(resources, document, f"{names.API}/policydefinitions")
        assert status == 201, f"{definition.slug}: {answer['message']}"


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ({}, "spec.policyDefinitionId: Required value"),
        ({"policyDefinitionId": "x", "parameter": {}}, "spec.parameter"),
        ({"policyDefinitionId": "x", "parameters": {"effect": "Audit"}}, "spec.parameters.effect"),
        ({"policyDefinitionId": "x", "enforcementMode": "Off"}, 'supported values: "Default", "DoNotEnforce"'),
        ({"policyDefinitionId": "x", "scope": "clusters/a"}, "spec.scope"),
        ({"policyDefinitionId": "x", "notScopes": ["/clusters/a/pods/b"]}, "expected /clusters/NAME or"),
    ],
)
def test_a_wrong_assignment_is_refused_with_the_field(resources: ControlPlane, spec: Object, said: str) -> None:
    status, answer = custom(resources, "PolicyAssignment", spec)
    # An unknown field is told by server-side apply as a failure of its own.
    assert status in (400, 422, 500) and said in answer["message"], answer


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ({"policyAssignmentId": "a", "exemptionCategory": "Whim"}, 'supported values: "Waiver", "Mitigated"'),
        ({"policyAssignmentId": "a", "exemptionCategory": "Waiver", "expiresOn": "soon"}, "spec.expiresOn"),
        ({"policyAssignmentId": "a", "exemptionCategory": "Waiver", "resources": [{}]}, "spec.resources[0]"),
        (
            {"policyAssignmentId": "a", "exemptionCategory": "Waiver", "policyDefinitionReferenceIds": [""]},
            "spec.policyDefinitionReferenceIds[0]",
        ),
    ],
)
def test_a_wrong_exemption_is_refused_with_the_field(resources: ControlPlane, spec: Object, said: str) -> None:
    status, answer = custom(resources, "PolicyExemption", spec)
    assert status == 422 and said in answer["message"], answer


@pytest.mark.parametrize(
    "spec",
    [
        dict.fromkeys(
            ["displayName", "description", "scope", "notScopes", "parameters", "enforcementMode", "metadata",
             "nonComplianceMessages"]
        ),
        {"enforcementMode": "", "scope": ""},
        {"scope": "/Clusters/arn:aws:eks:a%2Fb/namespaces/shop", "notScopes": ["/subscriptions/1/resourceGroups/2/"]},
        {"parameters": {"a": {"value": None}, "b": {"value": [1, {"c": [None]}]}, "d": {"value": "x"}}},
    ],
)  # fmt: skip
def test_whatever_a_workspace_takes_is_accepted(resources: ControlPlane, spec: Object) -> None:
    status, answer = custom(resources, "PolicyAssignment", {"policyDefinitionId": "x", **spec})
    assert status == 201, answer["message"]


def test_enabling_twice_changes_nothing_the_second_time(clean: Aksp, plane: ControlPlane) -> None:
    first = clean.run("addon", "enable")
    assert first.code == 0, first.stderr
    lines = first.stdout.splitlines()
    assert lines[0] == "customresourcedefinition.apiextensions.k8s.io/policydefinitions.policy.aksp.io created"
    assert lines[-1] == "validatingwebhookconfiguration.admissionregistration.k8s.io/aksp created"
    assert "secret/aksp-webhook-cert created" in lines and "deployment.apps/aksp created" in lines
    assert all(line.endswith(" created") for line in lines) and "aksp addon status" in first.stderr
    assert "--cluster-name=testbed" in json.dumps(plane.request("GET", DEPLOYMENT))
    # What the running add-on writes stays its own.
    rule = {"apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods"], "operations": ["CREATE"]}
    bundle = base64.b64encode(plane.ca).decode()
    theirs = {"name": names.WEBHOOK, "rules": [rule], "clientConfig": {"caBundle": bundle}}
    written = made("admissionregistration.k8s.io/v1", "ValidatingWebhookConfiguration", names.NAME, webhooks=[theirs])
    plane.request("PATCH", f"{WEBHOOK}?fieldManager={names.FIELD_MANAGER}", written, APPLY)
    try:
        second = clean.run("addon", "enable")
        assert second.code == 0, second.stderr
        # The controllers write the Deployment's status meanwhile, which is no change of ours.
        changed = [line for line in second.stdout.splitlines() if not line.endswith(" unchanged")]
        assert not [line for line in changed if "deployment" not in line and "disruption" not in line]
        (webhook,) = plane.request("GET", WEBHOOK)["webhooks"]
        assert webhook["rules"][0]["resources"] == ["pods"] and webhook["failurePolicy"] == "Ignore"
        assert webhook["clientConfig"]["caBundle"] == bundle and webhook["clientConfig"]["service"]["name"] == "aksp"
        third = clean.run("addon", "enable", "--failure-policy", "Fail", "--exclude-namespace", "vault")
        (webhook,) = plane.request("GET", WEBHOOK)["webhooks"]
        assert third.code == 0 and webhook["failurePolicy"] == "Fail" and webhook["rules"]
        assert webhook["namespaceSelector"]["matchExpressions"][0]["values"] == ["kube-system", "vault"]
    finally:
        assert clean.run("addon", "disable").code == 0


def test_other_settings_take_away_what_they_do_not_need(clean: Aksp, plane: ControlPlane) -> None:
    assert clean.run("addon", "enable").code == 0
    ended = enabled(clean, "--cert-secret", "tls")
    for gone in ("deployment.apps/aksp", "service/aksp", "poddisruptionbudget.policy/aksp", "secret/aksp-webhook-cert"):
        assert f"{gone} deleted" in ended.stdout
    (webhook,) = plane.request("GET", WEBHOOK)["webhooks"]
    assert webhook["clientConfig"] == {"url": "https://127.0.0.1:9443/v1/admit"}


def test_it_cannot_be_in_two_namespaces(clean: Aksp) -> None:
    assert enabled(clean).code == 0
    ended = enabled(clean, "--namespace", "default")
    assert ended.code == 2 and "enabled in namespace kube-system" in ended.stderr


def test_a_namespace_that_is_not_there_is_told(clean: Aksp) -> None:
    ended = enabled(clean, "--namespace", "manifests-nowhere")
    assert ended.code == 3 and "--create-namespace" in ended.stderr
    made_too = enabled(clean, "--namespace", "manifests-nowhere", "--create-namespace")
    assert made_too.code == 0 and "namespace/manifests-nowhere created" in made_too.stdout
    assert clean.run("addon", "disable").code == 0


def test_disabling_removes_the_webhook_first_and_says_what_goes(clean: Aksp, plane: ControlPlane) -> None:
    assert clean.run("addon", "enable").code == 0
    document = made(API_VERSION, "PolicyAssignment", "x", spec={"policyDefinitionId": "x"})
    plane.request("POST", f"{names.API}/policyassignments", document)
    kept = clean.run("addon", "disable", "--keep-data")
    assert kept.code == 0
    lines = kept.stdout.splitlines()
    # First what a replica that still runs would put the webhook back from.
    assert lines[:2] == [
        "configmap/aksp-webhook deleted",
        "validatingwebhookconfiguration.admissionregistration.k8s.io/aksp deleted",
    ]
    assert len(lines) == len(manifests(Settings())) and not any("customresource" in line for line in lines)
    assert plane.request("GET", f"{names.API}/policyassignments/x")["spec"]["enforcementMode"] == "Default"
    gone = clean.run("addon", "disable")
    assert "policyassignments.policy.aksp.io deleted, with 1 policyassignments" in gone.stdout
    again = clean.run("addon", "disable")
    assert again.code == 0 and again.stdout == "" and "nothing to delete" in again.stderr


def test_reports_of_the_add_on_go_and_those_of_others_stay(clean: Aksp, plane: ControlPlane) -> None:
    version = {
        "name": "v1alpha2", "served": True, "storage": True,
        "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}},
    }  # fmt: skip
    plural = {"kind": "PolicyReport", "plural": "policyreports"}
    spec = {"group": "wgpolicyk8s.io", "scope": "Namespaced", "names": plural, "versions": [version]}
    crd = made("apiextensions.k8s.io/v1", "CustomResourceDefinition", "policyreports.wgpolicyk8s.io", spec=spec)
    # The API server itself protects the group's names.
    crd["metadata"]["annotations"] = {"api-approved.kubernetes.io": "unapproved, for a test"}
    plane.apply([crd])
    path = "/apis/wgpolicyk8s.io/v1alpha2/namespaces/default/policyreports"
    try:
        until(lambda: plane.client.serves(path))
        ours, theirs = (made("wgpolicyk8s.io/v1alpha2", "PolicyReport", name, "default") for name in ("ours", "theirs"))
        ours["metadata"]["labels"] = dict(names.MANAGED_BY)
        for report in (ours, theirs):
            plane.request("POST", path, report)
        ended = clean.run("addon", "disable")
        assert ended.code == 0 and "1 policyreports.wgpolicyk8s.io deleted" in ended.stdout
        assert [one["metadata"]["name"] for one in plane.request("GET", path)["items"]] == ["theirs"]
    finally:
        name = "policyreports.wgpolicyk8s.io"
        plane.request("DELETE", f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{name}")


def test_status_says_what_is_missing(clean: Aksp, plane: ControlPlane, tmp_path: Path) -> None:
    before = clean.run("addon", "status")
    assert before.code == 4 and "not enabled" in before.stdout and "aksp addon enable" in before.stderr
    assert clean.run("addon", "enable").code == 0
    document = made(API_VERSION, "PolicyAssignment", "x", spec={"policyDefinitionId": "x"})
    plane.request("POST", f"{names.API}/policyassignments", document)
    ended = clean.run("addon", "status")
    assert ended.code == 4 and "0 of 2 replicas ready in kube-system" in ended.stdout
    assert "NotStarted" in ended.stdout and "nobody leads" in ended.stderr and "not yet judged: x" in ended.stderr
    report = clean.run("addon", "status", "-o", "json").report
    assert report["addon"]["failurePolicy"] == "Ignore" and report["assignments"][0]["generation"] == 1
    nowhere = plane.kubeconfig_for(server="https://127.0.0.1:1")
    assert clean.run("addon", "status", kubeconfig=nowhere).code == 3


def test_the_service_account_may_do_what_it_must_and_no_more(clean: Aksp, plane: ControlPlane) -> None:
    assert enabled(clean).code == 0
    plane.apply([made("v1", "Secret", "another", "kube-system"), namespace("manifests-rights")])
    client = plane.client_for(plane.service_account_token("kube-system", names.NAME))
    secrets, leases = (
        "/api/v1/namespaces/kube-system/secrets",
        "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases",
    )
    allowed = ["/api/v1/pods", "/api/v1/services", "/apis/networking.k8s.io/v1/ingresses", WEBHOOK,
               f"{names.API}/policyassignments", f"{names.API}/policydenials", f"{secrets}/aksp-webhook-cert",
               f"{leases}/aksp-leader"]  # fmt: skip
    # Leases and webhook configurations may be listed: no-removed-apis is about them.
    refused = [secrets, f"{secrets}/another", "/api/v1/secrets", "/api/v1/configmaps",
               "/apis/apps/v1/controllerrevisions", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions?watch=true",
               "/api/v1/namespaces/manifests-rights/pods/x", "/api/v1/pods?watch=true"]  # fmt: skip
    assert {path: asked(client, path) for path in allowed} == dict.fromkeys(allowed, 200)
    assert {path: asked(client, path) for path in refused} == dict.fromkeys(refused, 403)
