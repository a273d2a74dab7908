"""aksp sync, and assign with --store cluster, on a real API server with the add-on's own resource definitions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml

from aksp.addon.install.manifests import crds
from aksp.catalog.custom import definition_from_resource
from aksp.store.documents import assignment_from
from tests.catalog.documents import write
from tests.e2e.command import Aksp, Ended
from tests.replacing import replace
from tests.testbed.client import ApiError
from tests.testbed.controlplane import ControlPlane
from tests.waiting import until

pytestmark = pytest.mark.e2e

API = "/apis/policy.aksp.io/v1alpha1"
PLURALS = ("policydefinitions", "policysetdefinitions", "policyexemptions", "policyassignments")
MERGE = "application/merge-patch+json"


@pytest.fixture(scope="module")
def own_plane(plane: ControlPlane) -> Iterator[ControlPlane]:
    """A control plane of these tests alone: what is in it decides what they see."""
    with ControlPlane() as running:
        yield running


@pytest.fixture(scope="module")
def served(own_plane: ControlPlane) -> ControlPlane:
    """The control plane with the add-on's resources, in which one command has met their absence before."""
    own_plane.apply(crds())
    for plural in PLURALS:
        until(partial(own_plane.client.serves, f"{API}/{plural}"), what=f"{plural} are not served")
    return own_plane


@pytest.fixture
def cluster(served: ControlPlane) -> Iterator[ControlPlane]:
    """The control plane, emptied after the test."""
    yield served
    for plural in PLURALS:
        served.request("DELETE", f"{API}/{plural}")


@pytest.fixture
def aksp(own_plane: ControlPlane, tmp_path: Path) -> Aksp:
    return Aksp(folder=tmp_path, kubeconfig=own_plane.kubeconfig, within=True)


def done(aksp: Aksp, *arguments: str) -> Ended:
    ended = aksp.run(*arguments)
    assert ended.code == 0, ended.stderr
    return ended


def fill(aksp: Aksp) -> None:
    """A workspace with something of every kind, every field used."""
    write(aksp.workspace / "definitions", "ours")
    aksp.assign(
        "allowed-images", "images", scope="/clusters/testbed",
        parameters={"allowedContainerImagesRegex": r"^contoso\.azurecr\.io/.+$", "excludedNamespaces": [],
                    "labelSelector": {"matchLabels": {"app": "web"}}},
        displayName="Ours only", description="Why", notScopes=["/clusters/testbed/namespaces/sandbox"],
        enforcementMode="DoNotEnforce", nonComplianceMessages=[{"message": "Push it"}], metadata={"by": {"team": [1, 2.5]}},
    )  # fmt: skip
    aksp.assign("ours")
    aksp.assign("no-privileged", "elsewhere", scope="/clusters/other")
    aksp.exempt(
        "waived", "images", expiresOn="2030-01-01T00:00:00Z", displayName="Until then", metadata={"requestedBy": "ann"},
        resources=[{"namespace": "shop", "kind": "DaemonSet", "name": "log-*", "container": "agent", "image": "a:*"}],
    )  # fmt: skip


def objects(plane: ControlPlane) -> dict[str, Any]:
    return {
        f"{plural}/{one['metadata']['name']}": one
        for plural in PLURALS
        for one in plane.request("GET", f"{API}/{plural}")["items"]
    }


def changes(ended: Ended) -> list[str]:
    return [line.partition(" ")[2] for line in ended.stdout.splitlines()]


NAMES = ["policydefinitions/ours", "policyexemptions/waived", "policyassignments/images", "policyassignments/ours"]


def test_a_cluster_without_the_add_on_says_how_to_get_it(own_plane: ControlPlane, aksp: Aksp) -> None:
    fill(aksp)
    for command in (
        ("sync",),
        ("assign", "no-privileged", "--store", "cluster"),
        ("assignments", "--store", "cluster"),
    ):
        ended = aksp.run(*command)
        assert ended.code == 3
        assert "the add-on's resources are not in this cluster" in ended.stderr
        assert "`aksp addon enable`" in ended.stderr


def test_what_reaches_the_cluster_is_there_as_it_was_written(cluster: ControlPlane, aksp: Aksp) -> None:
    fill(aksp)
    assert changes(done(aksp, "sync")) == ["created"] * 4

    there = objects(cluster)
    assert sorted(there) == sorted(NAMES)
    written = yaml.safe_load((aksp.workspace / "assignments" / "images.yaml").read_text(encoding="utf-8"))
    assert assignment_from(there["policyassignments/images"], "") == assignment_from(written, "")
    rule = definition_from_resource(there["policydefinitions/ours"], "")
    assert (rule.azure_policy_id, rule.parameters["effect"].default) == ("OurRule", "Audit")
    assert {entry["manager"] for one in there.values() for entry in one["metadata"]["managedFields"]} == {"aksp"}


def test_the_second_time_nothing_changes(cluster: ControlPlane, aksp: Aksp) -> None:
    fill(aksp)
    done(aksp, "sync")
    before = objects(cluster)
    assert changes(done(aksp, "sync", "--prune")) == ["unchanged"] * 4
    assert objects(cluster) == before


def test_a_status_of_the_add_on_is_kept_and_shown(cluster: ControlPlane, aksp: Aksp) -> None:
    fill(aksp)
    done(aksp, "sync")
    status = {"status": {"state": "NonCompliant", "lastCheckIn": "2026-11-24T04:00:00Z"}}
    cluster.request("PATCH", f"{API}/policyassignments/images/status", status, MERGE)

    assert changes(done(aksp, "sync")) == ["unchanged"] * 4
    wide = done(aksp, "assignments", "--store", "cluster", "-o", "wide").stdout.splitlines()
    assert wide[1].split()[-2:] == ["NonCompliant", "2026-11-24T04:00:00Z"]
    aksp.assign("allowed-images", "images", parameters={"allowedRegistries": ["contoso.azurecr.io"]})
    assert changes(done(aksp, "sync")) == ["unchanged", "unchanged", "configured", "unchanged"]
    there = objects(cluster)["policyassignments/images"]
    assert there["status"]["state"] == "NonCompliant"
    assert sorted(there["spec"]["parameters"]) == ["allowedRegistries"]
    assert there["metadata"]["generation"] == 2


def test_fields_that_somebody_else_added_are_not_left_in_force(cluster: ControlPlane, aksp: Aksp) -> None:
    fill(aksp)
    done(aksp, "sync")
    more = {"spec": {"parameters": {"excludedImages": {"value": ["*"]}}}, "metadata": {"annotations": {"a": "b"}}}
    cluster.request("PATCH", f"{API}/policyassignments/images", more, MERGE)

    assert changes(done(aksp, "sync")) == ["unchanged", "unchanged", "configured", "unchanged"]
    there = objects(cluster)["policyassignments/images"]
    assert "excludedImages" not in there["spec"]["parameters"]
    assert there["metadata"]["annotations"] == {"a": "b"}
    assert changes(done(aksp, "sync")) == ["unchanged"] * 4


def test_a_dry_run_asks_the_server_and_keeps_nothing(cluster: ControlPlane, aksp: Aksp) -> None:
    fill(aksp)
    assert changes(done(aksp, "sync", "--dry-run")) == ["created (server dry run)"] * 4
    assert objects(cluster) == {}


def test_prune_deletes_only_what_sync_wrote(cluster: ControlPlane, aksp: Aksp) -> None:
    fill(aksp)
    done(aksp, "sync")
    done(aksp, "assign", "no-privileged", "--store", "cluster")
    (aksp.workspace / "assignments" / "ours.yaml").unlink()
    trial = done(aksp, "sync", "--prune", "--dry-run")
    assert changes(trial)[-2:] == ["pruned (server dry run)"] * 2
    assert len(objects(cluster)) == 5

    ended = done(aksp, "sync", "--prune")
    assert ended.stdout.splitlines()[-2:] == [
        "policyassignment.policy.aksp.io/ours pruned",
        "policydefinition.policy.aksp.io/ours pruned",
    ]
    assert "not from a workspace: policyassignment.policy.aksp.io/no-privileged" in ended.stderr
    assert sorted(objects(cluster)) == [
        "policyassignments/images", "policyassignments/no-privileged", "policyexemptions/waived",
    ]  # fmt: skip


def test_what_sync_prints_kubectl_s_way_is_accepted_as_it_is(cluster: ControlPlane, aksp: Aksp) -> None:
    fill(aksp)
    printed: Sequence[Any] = yaml.safe_load(done(aksp, "sync", "--dry-run", "-o", "yaml").stdout)["items"]
    cluster.apply(printed)
    assert sorted(objects(cluster)) == sorted(NAMES)
    # Somebody else has applied them, and they say the same.
    assert changes(done(aksp, "sync")) == ["unchanged"] * 4


def test_assign_with_the_cluster_as_store_writes_the_definition_too(cluster: ControlPlane, aksp: Aksp) -> None:
    write(aksp.workspace / "definitions", "ours")
    command = ("assign", "ours", "--store", "cluster", "--cluster", "testbed")
    assert changes(done(aksp, *command)) == ["created (cluster testbed)"] * 2
    assert changes(done(aksp, *command)) == ["unchanged (cluster testbed)"] * 2
    refused = aksp.run(*command, "--effect", "Deny")
    assert refused.code == 2 and "--replace" in refused.stderr
    assert changes(done(aksp, *command, "--effect", "Deny", "--replace"))[1] == "configured (cluster testbed)"
    assert objects(cluster)["policyassignments/ours"]["spec"]["parameters"] == {"effect": {"value": "Deny"}}

    deleted = done(aksp, "assignments", "delete", "ours", "--store", "cluster")
    assert deleted.stdout == 'policyassignment.policy.aksp.io "ours" deleted (cluster testbed)\n'
    assert aksp.run("assignments", "delete", "ours", "--store", "cluster").code == 2


def allowed(plane: ControlPlane, name: str, **verbs: list[str]) -> Path:
    """A kubeconfig of an account that may use these verbs on the kinds."""
    group = "rbac.authorization.k8s.io"
    rules = [{"apiGroups": ["policy.aksp.io"], "resources": [kind], "verbs": may} for kind, may in verbs.items()]
    plane.apply([
        {"apiVersion": f"{group}/v1", "kind": "ClusterRole", "metadata": {"name": name}, "rules": rules},
        {"apiVersion": f"{group}/v1", "kind": "ClusterRoleBinding", "metadata": {"name": name},
         "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": name},
         "subjects": [{"kind": "ServiceAccount", "name": name, "namespace": "default"}]},
    ])  # fmt: skip
    return plane.kubeconfig_for(token=plane.service_account_token("default", name))


def test_of_two_processes_that_assign_one_name_one_is_told(cluster: ControlPlane, tmp_path: Path) -> None:
    aksp = Aksp(folder=tmp_path, kubeconfig=cluster.kubeconfig)
    aksp.workspace.mkdir(parents=True, exist_ok=True)
    for name in ("one", "two", "three"):
        command = ("assign", "no-privileged", "--store", "cluster", "--name", name)
        ended = [one.wait() for one in [aksp.start(*command, "--description", own) for own in "ab"]]
        assert sorted(one.code for one in ended) == [0, 2], ended
        first, told = sorted(ended, key=lambda one: one.code)
        assert "created" in first.stdout
        assert f"assignment '{name}' is in cluster testbed with other content" in told.stderr
        kept = cluster.request("GET", f"{API}/policyassignments/{name}")
        assert kept["spec"]["description"] == "ab"[ended.index(first)]


def test_who_may_not_write_one_kind_writes_nothing(cluster: ControlPlane, aksp: Aksp) -> None:
    kinds = {kind: ["get", "list"] for kind in PLURALS} | {"policydefinitions": ["list", "create", "patch"]}
    limited = replace(aksp, kubeconfig=allowed(cluster, "writes-definitions", **kinds))
    fill(limited)
    ended = limited.run("sync")
    assert ended.code == 3
    assert "ask for the right to patch policyexemptions.policy.aksp.io" in ended.stderr
    assert objects(cluster) == {}


def test_the_rights_that_the_docs_name_suffice(cluster: ControlPlane, aksp: Aksp) -> None:
    kinds = {kind: ["list", "create", "patch", "delete"] for kind in PLURALS}
    syncs = replace(aksp, kubeconfig=allowed(cluster, "syncs", **kinds))
    fill(syncs)
    done(syncs, "sync")
    syncs.assign("no-privileged", "images")
    (syncs.workspace / "exemptions" / "waived.yaml").unlink()
    assert changes(done(syncs, "sync", "--prune")) == ["unchanged", "configured", "unchanged", "pruned"]

    keeps = {kind: ["get", "list", "create", "patch"] for kind in ("policydefinitions", "policyassignments")}
    assigns = replace(aksp, kubeconfig=allowed(cluster, "assigns", **keeps))
    second = ("assign", "ours", "--store", "cluster", "--name", "second")
    done(assigns, *second, "--description", "at first")
    done(assigns, *second, "--effect", "Deny", "--replace")
    spec = objects(cluster)["policyassignments/second"]["spec"]
    assert ("description" in spec, spec["parameters"]) == (False, {"effect": {"value": "Deny"}})


def test_a_document_that_the_schema_refuses_ends_with_2(cluster: ControlPlane, aksp: Aksp) -> None:
    """The workspace takes any text for a name that has dots at odd places; the API server does not."""
    aksp.assign("no-privileged", "a..b")
    ended = aksp.run("sync")
    assert ended.code == 2
    assert "policyassignment.policy.aksp.io/a..b" in ended.stderr
    with pytest.raises(ApiError):
        cluster.request("GET", f"{API}/policyassignments/a..b")


def test_exemptions_are_made_listed_and_deleted_in_a_cluster(aksp: Aksp, cluster: ControlPlane) -> None:
    done(aksp, "assign", "no-privileged", "--store", "cluster")
    where = ("--store", "cluster", "--context", "testbed")
    exempt = (
        "exempt", "deploy/web", "-n", "shop", "-c", "proxy", "--image", "docker.io/*", "--assignment", "no-privileged",
        "--category", "Mitigated", "--reason", "why", "--ticket", "OPS-1", *where,
    )  # fmt: skip
    assert " created (cluster testbed): " in done(aksp, *exempt, "--name", "waived", "--until", "2999-01-31").stdout
    assert " unchanged (cluster testbed): " in done(aksp, *exempt, "--name", "waived", "--until", "2999-01-31").stdout
    kept = cluster.request("GET", f"{API}/policyexemptions/waived")["spec"]
    assert kept["resources"] == [
        {"namespace": "shop", "kind": "Deployment", "name": "web", "container": "proxy", "image": "docker.io/*"}
    ]
    assert (kept["exemptionCategory"], kept["expiresOn"]) == ("Mitigated", "2999-01-31T00:00:00Z")
    refused = aksp.run(*exempt, "--name", "waived", "--until", "2998-01-31")
    assert refused.code == 2 and "with other content" in refused.stderr
    assert " configured (" in done(aksp, *exempt, "--name", "waived", "--until", "2998-01-31", "--replace").stdout
    assert " in force " in done(aksp, "exemptions", *where).stdout
    assert "2998-01-31" in done(aksp, "exemptions", "show", "waived", *where).stdout
    done(aksp, "exemptions", "delete", "waived", *where)
    assert cluster.request("GET", f"{API}/policyexemptions")["items"] == []
