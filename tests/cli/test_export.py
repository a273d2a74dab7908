"""aksp export gatekeeper: files for git, and what Gatekeeper cannot do told with exit code 4."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from aksp.cli.commands.export import LISTED
from tests.catalog.documents import document as definition
from tests.catalog.documents import write
from tests.cli.conftest import Aksp

LABEL = "app.kubernetes.io/managed-by: aksp-export"


def objects(text: str) -> dict[str, Any]:
    return {f"{one['kind']}/{one['metadata']['name']}": one for one in yaml.safe_load_all(text)}


def contents(folder: Path) -> dict[str, bytes]:
    """The files of a folder but for the list of an export."""
    found = {str(path.relative_to(folder)): path for path in folder.rglob("*") if path.is_file()}
    return {name: path.read_bytes() for name, path in found.items() if path.name != LISTED}


@pytest.fixture
def workspace(aksp: Aksp) -> Aksp:
    aksp.done("assign", "no-privileged", "--exclude-namespace", "legacy", "--message", "Ask the platform team.")
    aksp.done("assign", "unique-ingress-hosts", "--effect", "Audit")
    return aksp


def test_definitions_become_templates_and_assignments_constraints(workspace: Aksp) -> None:
    run = workspace.done("export", "gatekeeper")
    made = objects(run.out)

    assert list(made) == [
        "ConstraintTemplate/akspnoprivileged",
        "ConstraintTemplate/akspuniqueingresshosts",
        "SyncSet/aksp",
        "AkspNoPrivileged/no-privileged",
        "AkspUniqueIngressHosts/unique-ingress-hosts",
    ]
    template = made["ConstraintTemplate/akspuniqueingresshosts"]
    assert "networking.k8s.io" in template["metadata"]["annotations"]["metadata.gatekeeper.sh/requires-sync-data"]
    assert {"group": "networking.k8s.io", "version": "v1", "kind": "Ingress"} in made["SyncSet/aksp"]["spec"]["gvks"]
    constraint = made["AkspNoPrivileged/no-privileged"]
    assert constraint["spec"]["enforcementAction"] == "deny"
    assert "legacy" in constraint["spec"]["match"]["excludedNamespaces"]
    assert constraint["metadata"]["annotations"]["policy.aksp.io/non-compliance-message"] == "Ask the platform team."
    assert made["AkspUniqueIngressHosts/unique-ingress-hosts"]["spec"]["enforcementAction"] == "warn"


def test_the_same_workspace_makes_the_same_bytes(workspace: Aksp) -> None:
    workspace.done("export", "gatekeeper", "-o", "one")
    (first,) = (workspace.workspace / "assignments").glob("no-privileged.yaml")
    first.rename(first.with_name("zzz.yaml"))
    workspace.done("export", "gatekeeper", "-o", "two")

    made = contents(workspace.folder / "one")
    assert made == contents(workspace.folder / "two")
    assert sorted(made) == [
        "constraints/akspnoprivileged.no-privileged.yaml",
        "constraints/akspuniqueingresshosts.unique-ingress-hosts.yaml",
        "syncset.yaml",
        "templates/akspnoprivileged.yaml",
        "templates/akspuniqueingresshosts.yaml",
    ]
    assert all(LABEL in text.decode() for text in made.values())
    assert "\n".join(made["templates/akspnoprivileged.yaml"].decode().split("\n")).count("\\n") == 0


def test_what_an_earlier_export_left_goes_and_files_of_others_stay(workspace: Aksp) -> None:
    workspace.done("export", "gatekeeper", "-o", "out")
    workspace.put("out/constraints/ours.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\n")
    workspace.put("out/kustomization.yaml", f"# {LABEL}\nresources: []\n")
    workspace.done("assignments", "delete", "unique-ingress-hosts")
    run = workspace.done("export", "gatekeeper", "-o", "out")

    assert sorted(contents(workspace.folder / "out")) == [
        "constraints/akspnoprivileged.no-privileged.yaml",
        "constraints/ours.yaml",
        "kustomization.yaml",
        "templates/akspnoprivileged.yaml",
    ]
    assert run.err.count("removed") == 3


def test_a_definition_that_breaks_takes_no_constraint_out_of_the_folder(workspace: Aksp) -> None:
    folder = write(workspace.workspace / "definitions", "ours")
    workspace.done("assign", "ours")
    workspace.done("export", "gatekeeper", "-o", "out")
    before = set(contents(workspace.folder / "out"))
    (folder / "policy.rego").write_text("package rule\n\nviolation contains x if { y }\n", encoding="utf-8")
    run = workspace("export", "gatekeeper", "-o", "out")

    assert run.code == 4
    assert "kept out/constraints/akspours.ours.yaml" in run.err
    assert set(contents(workspace.folder / "out")) == before
    workspace.done("assignments", "delete", "ours")
    run = workspace.done(
        "export", "gatekeeper", "-o", "out"
    )  # what was kept is known still, and goes once all is exported
    assert "removed out/constraints/akspours.ours.yaml" in run.err


def test_what_gatekeeper_cannot_do_is_told_and_the_rest_is_exported(workspace: Aksp) -> None:
    spec = {"policyAssignmentId": "no-privileged", "exemptionCategory": "Waiver", "resources": [{"container": "agent"}]}
    head = {"apiVersion": "policy.aksp.io/v1alpha1", "kind": "PolicyExemption", "metadata": {"name": "agent"}}
    workspace.put("ws/exemptions/agent.json", {**head, "spec": spec})
    workspace.done("assign", "no-probe-hosts", "--scope", "/clusters/prod/namespaces/shop")
    workspace.done("assign", "block-host-namespaces", "--effect", "Disabled")
    run = workspace("export", "gatekeeper")

    assert run.code == 4
    assert "assignment no-probe-hosts: not exported" in run.err
    assert "exemption agent is not expressed" in run.err
    assert "its effect is Disabled" in run.err
    made = objects(run.out)
    assert "AkspNoPrivileged/no-privileged" in made
    assert not any("ProbeHosts" in name or "HostNamespaces" in name for name in made)
    prod = workspace("export", "gatekeeper", "--cluster", "prod")
    match = objects(prod.out)["AkspNoProbeHosts/no-probe-hosts"]["spec"]["match"]
    assert (match["namespaces"], match["scope"]) == (["shop"], "Namespaced")


def test_a_broken_definition_is_told_and_harms_no_other(workspace: Aksp) -> None:
    folder = write(workspace.workspace / "definitions", "ours")
    workspace.done("assign", "ours")
    (folder / "policy.rego").write_text("package rule\n\nviolation contains x if { y }\n", encoding="utf-8")
    run = workspace("export", "gatekeeper")

    assert run.code == 4
    assert "assignment ours" in run.err and "policy.rego:3" in run.err
    assert "AkspNoPrivileged/no-privileged" in objects(run.out)


def test_of_two_definitions_that_would_be_one_template_one_is_told_not_to_be_exported(aksp: Aksp) -> None:
    for slug, name in (("o-urs", "1"), ("ou-rs", "2")):
        made = definition(name=name, **{"properties.metadata.azurePolicyId": None})
        write(aksp.workspace / "definitions", slug, made=made)
        aksp.done("assign", slug)
    run = aksp("export", "gatekeeper")

    assert run.code == 4
    assert "assignment ou-rs: not exported" in run.err and "akspours" in run.err and "rename" in run.err
    names = {name.partition("/")[2] for name in objects(run.out)}
    assert "o-urs" in names and "ou-rs" not in names


def test_pods_of_workloads_need_expansion_templates_where_they_are_asked_for(aksp: Aksp) -> None:
    made = definition(**{"properties.policyRule.then.details.source": "All"})
    write(aksp.workspace / "definitions", "ours", made=made)
    aksp.done("assign", "ours")
    run = aksp.done("export", "gatekeeper", "-o", "json")

    items = {one["metadata"]["name"]: one for one in run.json["items"] if one["kind"] == "ExpansionTemplate"}
    assert items["aksp-cronjob"]["spec"]["templateSource"] == "spec.jobTemplate.spec.template"
    assert "source" not in run.json["items"][-1]["spec"]["match"]


def test_nothing_assigned_is_nothing_to_export(aksp: Aksp) -> None:
    run = aksp("export", "gatekeeper", "-o", "out")

    assert run.code == 4
    assert "aksp assign" in run.err
    assert not (aksp.folder / "out").exists()


def test_no_link_in_a_folder_has_files_elsewhere_removed(aksp: Aksp) -> None:
    aksp.done("assign", "no-privileged")
    aksp.done("assign", "no-latest-tag")
    aksp.done("export", "gatekeeper", "-o", "elsewhere")
    (aksp.folder / "out").mkdir()
    (aksp.folder / "out" / "link").symlink_to(aksp.folder / "elsewhere" / "constraints")
    before = sorted((aksp.folder / "elsewhere" / "constraints").iterdir())
    aksp.done("assignments", "delete", "no-latest-tag")
    run = aksp.done("export", "gatekeeper", "-o", "out")

    assert len(before) == 2 and sorted((aksp.folder / "elsewhere" / "constraints").iterdir()) == before
    assert "removed" not in run.err
