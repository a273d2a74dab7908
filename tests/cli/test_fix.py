"""``aksp fix``: files changed so that findings go, each whole or not at all, and what is left is said."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
from pathlib import Path

import pytest

from aksp import fixing
from aksp.cli import fixing as command
from aksp.yaml_writer import to_yaml
from tests.cli.conftest import Aksp, pod

QUICKSTART = Path(__file__).parents[2] / "examples" / "quickstart"
#: Some samples of all definitions: Pods, workloads and others.
SAMPLES = sorted((Path(__file__).parents[2] / "definitions").glob("*/samples/*.yaml"))[::5]
RULES = (
    ("no-privileged",),
    ("no-privilege-escalation",),
    ("read-only-root-filesystem",),
    ("seccomp-profiles",),
    ("allowed-capabilities", "--drop", "ALL"),
    ("resource-limits", "--cpu", "1", "--memory", "512Mi"),
    ("allowed-images", "--registry", "contoso.azurecr.io"),
)
BAD = """\
# Kept.
apiVersion: v1
kind: Pod
metadata: {name: bad}   # kept
spec:
  containers:
    - name: "web"   # kept
      image: 'contoso.azurecr.io/web:1'
      securityContext: {privileged: true}
"""
GOOD = BAD.replace("privileged: true", "privileged: false")


@pytest.fixture
def assigned(aksp: Aksp) -> Aksp:
    aksp.done("assign", "no-privileged")
    return aksp


def text(aksp: Aksp, name: str = "pod.yaml") -> str:
    return (aksp.folder / name).read_bytes().decode()


def test_the_field_alone_is_changed_and_the_exit_code_is_0(assigned: Aksp) -> None:
    assigned.put("pod.yaml", BAD)
    run = assigned("fix", "pod.yaml")
    assert run.code == 0 and text(assigned) == GOOD
    assert run.out == (
        "pod.yaml: 1 violation fixed\n"
        "  Pod default/bad [web]: no-privileged: securityContext.privileged is true\n"
        "1 violation fixed in 1 file, 0 left\n"
    )
    again = assigned("fix", "pod.yaml")
    assert (again.code, again.out) == (0, "0 violations fixed in 0 files, 0 left\n") and text(assigned) == GOOD


def test_a_repository_is_fixed_by_many_rules_and_judged_by_the_scan(aksp: Aksp) -> None:
    for rule in RULES:
        aksp.done("assign", *rule)
    shutil.copytree(QUICKSTART, aksp.folder / "deploy")
    before = {path.name: path.read_text() for path in (aksp.folder / "deploy").iterdir()}
    run = aksp("fix", "deploy")
    left = [line for line in run.out.splitlines() if ": left: " in line]
    scanned = aksp("compliance", "deploy", "-o", "json")
    assert len(left) == sum(state == "NonCompliant" for _, state in scanned.states)
    assert run.code == scanned.code == 1 and "no single right fix" in run.out
    # What is possible only once something else has changed is done in the same run.
    assert "0 violations fixed" in aksp("fix", "deploy").out
    for name, old in before.items():
        new = text(aksp, f"deploy/{name}")
        # Every comment is there, in its order.
        assert [line for line in new.splitlines() if line.strip().startswith("#")] == [
            line for line in old.splitlines() if line.strip().startswith("#")
        ]


@pytest.mark.parametrize("initiative", ["pod-security-restricted", "pod-security-baseline"])
def test_a_second_run_changes_nothing(aksp: Aksp, initiative: str) -> None:
    aksp.done("assign", initiative)
    for path in SAMPLES:
        shutil.copy(path, aksp.folder / f"{path.parent.parent.name}-{path.name}")
    first = aksp("fix", ".")
    assert "\n0 violations fixed" not in first.out
    fixed_once = {path.name: path.read_bytes() for path in aksp.folder.glob("*.yaml")}
    again = aksp("fix", ".")
    assert "\n0 violations fixed in 0 files" in again.out and again.code == first.code
    assert {path.name: path.read_bytes() for path in aksp.folder.glob("*.yaml")} == fixed_once


def test_what_one_run_does_not_reach_is_said(assigned: Aksp, monkeypatch: pytest.MonkeyPatch) -> None:
    assigned.put("pod.yaml", BAD)
    monkeypatch.setattr(fixing, "ROUNDS", 0)
    run = assigned("fix", "pod.yaml")
    assert (run.code, "run it again" in run.out) == (1, True)


@pytest.mark.skipif(shutil.which("patch") is None, reason="needs patch")
def test_the_difference_is_what_patch_takes_and_nothing_is_written(assigned: Aksp) -> None:
    for content, fixed in (
        (BAD, GOOD),
        (BAD.rstrip("\n"), GOOD.rstrip("\n")),
        (BAD.replace("\n", "\r\n"), GOOD.replace("\n", "\r\n")),
    ):
        assigned.put("pod.yaml", content.encode())
        run = assigned("fix", "--diff", "pod.yaml")
        assert run.code == 1 and text(assigned) == content
        assert "1 violation can be fixed in 1 file, 0 left" in run.err
        subprocess.run(["patch", "--binary", "pod.yaml"], input=run.out.encode(), check=True, capture_output=True)
        assert text(assigned) == fixed


def test_check_writes_nothing_and_fails_while_something_would_change(assigned: Aksp) -> None:
    assigned.put("pod.yaml", BAD)
    run = assigned("fix", "--check", "pod.yaml")
    assert run.code == 1 and text(assigned) == BAD and "pod.yaml: 1 violation would be fixed" in run.out
    assigned.done("fix", "pod.yaml")
    assert assigned("fix", "--check", "pod.yaml").code == 0


def test_a_file_that_cannot_be_read_whole_stays_as_it_is(assigned: Aksp) -> None:
    broken = f"{BAD}---\nkind: [\n"
    assigned.put("pod.yaml", broken)
    assigned.put("other.yaml", BAD.replace("name: bad", "name: other"))
    run = assigned("fix", "pod.yaml", "other.yaml")
    assert run.code == 1 and text(assigned) == broken and "privileged: false" in text(assigned, "other.yaml")
    assert "the file cannot be read whole: pod.yaml:" in run.out and "not judged: " in run.out
    assert "1 violation fixed in 1 file, 1 left, 1 gap" in run.out


def test_gaps_alone_are_inconclusive(assigned: Aksp) -> None:
    assigned.put("pod.yaml", "kind: [\n")
    assert assigned("fix", "pod.yaml").code == 4


def test_what_other_places_share_stays_and_the_reason_is_told(assigned: Aksp) -> None:
    shared = BAD.replace("{privileged: true}", "&x {privileged: true}").replace(
        "spec:\n", "spec:\n  initContainers:\n    - {name: a, image: b, securityContext: *x}\n"
    )
    shared = shared.replace("securityContext: *x", "securityContext: {}").replace(
        "spec:", "x: &y {privileged: true}\nspec:"
    )
    shared = shared.replace("&x {privileged: true}", "*y")
    assigned.put("pod.yaml", shared)
    run = assigned("fix", "pod.yaml")
    assert run.code == 1 and text(assigned) == shared
    assert "it has an anchor, and other places would change with it" in run.out


def test_an_image_is_not_made_up(aksp: Aksp) -> None:
    aksp.done("assign", "allowed-images", "--registry", "contoso.azurecr.io")
    aksp.put("pod.json", pod(image="docker.io/web:1"))
    run = aksp("fix", "pod.json")
    assert (
        run.code == 1 and "no single right fix: contoso.azurecr.io/" in run.out and "once the image is there" in run.out
    )


def test_two_rules_that_want_the_same_field_are_fixed_one_after_the_other(aksp: Aksp) -> None:
    aksp.done("assign", "allowed-capabilities", "--capability", "CHOWN")
    aksp.done("assign", "allowed-capabilities", "--name", "none", "--capability", "KILL")
    aksp.put("pod.yaml", BAD.replace("{privileged: true}", "{capabilities: {add: [CHOWN, KILL, NET_ADMIN]}}"))
    assert aksp("fix", "pod.yaml").code == 0
    assert "add: []" in text(aksp)


def assign_host_network(aksp: Aksp, *wanted: str) -> None:
    """Rules that ask for a value of spec.hostNetwork, and are called by it."""
    for value in wanted:
        aksp.put(
            f"ws/definitions/{value}/definition.json",
            {
                "name": value,
                "properties": {
                    "displayName": value, "mode": "Microsoft.Kubernetes.Data", "policyType": "Custom",
                    "policyRule": {
                        "if": {"field": "type", "in": ["Microsoft.ContainerService/managedClusters"]},
                        "then": {
                            "effect": "Audit",
                            "details": {
                                "templateInfo": {"sourceType": "File", "path": "policy.rego"},
                                "apiGroups": [""], "kinds": ["Pod"],
                            },
                        },
                    },
                },
            },
        )  # fmt: skip
        aksp.put(
            f"ws/definitions/{value}/policy.rego",
            f'package {value}\n\nviolation contains {{"msg": "wrong", "details": {{"path": "spec.hostNetwork",'
            f' "fix": {{"spec.hostNetwork": {value}}}}}}} if input.review.object.spec.hostNetwork != {value}\n',
        )
        aksp.done("assign", value)


def test_changes_that_undo_one_another_end_and_are_left(aksp: Aksp) -> None:
    assign_host_network(aksp, "true", "false")
    content = BAD.replace("spec:", "spec:\n  hostNetwork: true")
    aksp.put("pod.yaml", content)
    run = aksp("fix", "pod.yaml")
    assert run.code == 1 and text(aksp) == content and "the change would bring another finding: true: wrong" in run.out


@pytest.mark.parametrize("pods", [1, 9])
def test_a_change_that_must_not_be_made_keeps_no_other_from_being_made(pods: int, assigned: Aksp) -> None:
    assign_host_network(assigned, "true", "false")
    content = BAD.replace("spec:", "spec:\n  hostNetwork: true")
    for number in range(pods):
        assigned.put(f"deploy/{number}.yaml", content)
    run = assigned("fix", "deploy")
    assert run.code == 1 and f"{pods} violation" in run.out and f", {pods} left" in run.out
    for number in range(pods):
        assert text(assigned, f"deploy/{number}.yaml") == content.replace("privileged: true", "privileged: false")


def test_links_and_permissions_stay(assigned: Aksp) -> None:
    assigned.put("elsewhere/pod.yaml", BAD)
    (assigned.folder / "deploy").mkdir()
    (assigned.folder / "deploy" / "link.yaml").symlink_to(assigned.folder / "elsewhere" / "pod.yaml")
    run = assigned("fix", "deploy")
    assert run.code == 1 and "it is a link" in run.out and text(assigned, "elsewhere/pod.yaml") == BAD
    assigned.put("pod.yaml", BAD)
    os.chmod("pod.yaml", 0o640)
    assigned.done("fix", "pod.yaml")
    assert stat.S_IMODE(os.stat("pod.yaml").st_mode) == 0o640


def test_a_file_that_is_read_only_or_has_another_name_stays(assigned: Aksp) -> None:
    assigned.put("deploy/a.yaml", BAD)
    assigned.put("deploy/b.yaml", BAD)
    os.chmod("deploy/a.yaml", 0o444)
    os.link("deploy/b.yaml", "other.yaml")
    run = assigned("fix", "deploy")
    assert run.code == 1 and "it is read-only" in run.out and "another name" in run.out
    assert [text(assigned, name) for name in ("deploy/a.yaml", "deploy/b.yaml", "other.yaml")] == [BAD] * 3


def test_a_file_that_another_changes_meanwhile_is_not_written_over(
    assigned: Aksp, monkeypatch: pytest.MonkeyPatch
) -> None:
    assigned.put("a.yaml", BAD)
    assigned.put("b.yaml", BAD.replace("name: bad", "name: other"))

    def slow(*given: object) -> fixing.Fixed:
        found = fixing.fixed(*given)  # type: ignore[arg-type]
        assigned.put("b.yaml", "kind: Other\n")
        return found

    monkeypatch.setattr(command, "fixed", slow)
    run = assigned("fix", "a.yaml", "b.yaml")
    assert run.code == 2 and "b.yaml: was changed meanwhile, so nothing was written" in run.err
    assert text(assigned, "a.yaml") == BAD and text(assigned, "b.yaml") == "kind: Other\n"


def test_a_place_that_cannot_be_written_is_an_error_and_leaves_nothing(
    assigned: Aksp, monkeypatch: pytest.MonkeyPatch
) -> None:
    assigned.put("pod.yaml", BAD)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    run = assigned("fix", "pod.yaml")
    assert run.code == 2 and "pod.yaml: cannot be written: No space left on device" in run.err
    assert text(assigned) == BAD and sorted(path.name for path in assigned.folder.iterdir()) == [
        "home",
        "pod.yaml",
        "ws",
    ]


def test_some_assignments_alone_can_be_fixed(assigned: Aksp) -> None:
    assigned.done("assign", "read-only-root-filesystem")
    assigned.put("pod.yaml", BAD)
    assert assigned("fix", "pod.yaml", "--severity", "critical").code == 0
    assert text(assigned) == GOOD


def test_json_and_lists_are_changed_where_they_are(assigned: Aksp) -> None:
    assigned.put("pods.json", {"apiVersion": "v1", "kind": "List", "items": [pod("a"), pod("b", privileged=True)]})
    before = text(assigned, "pods.json")
    assigned.done("fix", "pods.json")
    assert text(assigned, "pods.json") == before.replace("true", "false")


def test_a_list_with_too_many_findings_is_left_with_the_way_out(
    assigned: Aksp, monkeypatch: pytest.MonkeyPatch
) -> None:
    pods = [pod(name, privileged=True) for name in ("a", "b")]
    content = to_yaml({"apiVersion": "v1", "kind": "List", "items": pods})
    assigned.put("pods.yaml", content)
    size = len(content)
    monkeypatch.setattr(fixing, "MOST_WORK", 2 * size - 1)
    run = assigned("fix", "pods.yaml")
    assert run.code == 1 and "too large for so many changes" in run.out and "2 left" in run.out
    monkeypatch.setattr(fixing, "MOST_WORK", 2 * size)
    assert assigned("fix", "pods.yaml").code == 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "no manifests are named"),
        (["-"], "files are changed, and standard input is none"),
        (["gone.yaml"], "gone.yaml: there is no such file"),
        (["pod.yaml", "--assignment", "gone"], "there is no such assignment"),
    ],
)
def test_wrong_usage_is_exit_2(assigned: Aksp, arguments: list[str], said: str) -> None:
    assigned.put("pod.yaml", BAD)
    run = assigned("fix", *arguments)
    assert (run.code, run.out) == (2, "") and said in run.err and text(assigned) == BAD
