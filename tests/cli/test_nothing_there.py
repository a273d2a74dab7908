"""A run that judged nothing because there was nothing is no success, and an assignment that can reach nothing is not made."""

from __future__ import annotations

import json

import pytest

from tests.cli.conftest import Aksp, kubeconfig, pod

CONFIG_MAP = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings"}}


@pytest.fixture
def assigned(aksp: Aksp) -> Aksp:
    """With no-privileged assigned."""
    aksp.done("assign", "no-privileged")
    return aksp


@pytest.mark.parametrize("quiet", [[], ["-q"]])
@pytest.mark.parametrize("text", ["", "\n\n", "---\n---\n", "# nothing\n", "apiVersion: v1\nkind: List\nitems: []\n"])
def test_no_document_on_standard_input_or_in_the_paths_is_exit_4(assigned: Aksp, text: str, quiet: list[str]) -> None:
    runs = [
        assigned("compliance", "-f", "-", "-o", "json", *quiet, stdin=text),
        assigned("compliance", assigned.put("empty.yaml", text), "-o", "json", *quiet),
    ]
    for run, where in zip(runs, ("standard input", "empty.yaml"), strict=True):
        assert (run.code, run.json["state"], run.json["compliancePercent"]) == (4, "NotStarted", None)
        assert [(gap["reason"], gap["message"]) for gap in run.json["gaps"]] == [
            ("NoDocument", f"there is no document in {where}, so nothing was judged")
        ]


def test_an_empty_file_beside_another_changes_nothing(assigned: Aksp) -> None:
    run = assigned.judge(assigned.put("empty.yaml", ""), assigned.put("pod.json", pod("fine")))

    assert (run.code, run.json["state"], run.json["gaps"]) == (0, "Compliant", [])


def test_a_namespace_in_which_no_document_lies_is_exit_4(assigned: Aksp) -> None:
    file = assigned.put("pod.json", pod("fine", metadata={"namespace": "shop"}))
    run = assigned("compliance", file, "-n", "nosuch", "-o", "json")

    assert (run.code, [gap["reason"] for gap in run.json["gaps"]]) == (4, ["NoSuchNamespace"])
    assert assigned("compliance", file, "-n", "shop").code == 0


@pytest.mark.parametrize("quiet", [[], ["-q"]])
def test_documents_that_no_assignment_is_about_are_exit_0_and_4_when_something_must_match(
    assigned: Aksp, quiet: list[str]
) -> None:
    file = assigned.put("settings.json", CONFIG_MAP)
    run = assigned("compliance", file, "-o", "json", *quiet)

    assert (run.code, run.json["state"], run.json["compliancePercent"]) == (0, "NotStarted", None)
    assert run.json["assignments"][0]["message"] == "matched nothing: no Pod that it reaches"
    assert ("ConfigMap (1)" in run.err) == (not quiet)
    assert ("Nothing was judged" in assigned("compliance", file, *quiet).out) == (not quiet)
    assert "Nothing was judged" in assigned("compliance", file, "-o", "summary", *quiet).out
    assert assigned("compliance", file, "--require-match", *quiet).code == 4


def test_labels_that_no_document_has_are_no_gap(assigned: Aksp) -> None:
    run = assigned("compliance", assigned.put("pod.json", pod("fine")), "-l", "app=other", "-o", "json")

    assert (run.code, run.json["state"], run.json["gaps"]) == (0, "NotStarted", [])


@pytest.mark.parametrize("command", [["compliance", "-f", "-"], ["assignments"], ["definitions"], ["history"],
                                     ["explain", "no-privileged"], ["sync", "--dry-run"]])  # fmt: skip
def test_a_workspace_that_is_named_and_is_not_there_is_exit_2(aksp: Aksp, command: list[str]) -> None:
    run = aksp(*command, "--workspace", "nosuch", stdin=json.dumps(pod("fine")))

    assert (run.code, run.out) == (2, "")
    assert "--workspace nosuch: the workspace is not there" in run.err


def test_the_environment_s_workspace_must_be_there_too_and_assign_makes_it(
    aksp: Aksp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AKSP_WORKSPACE", str(aksp.folder / "new"))
    run = aksp("compliance", "-f", "-", stdin=json.dumps(pod("fine")))
    assert run.code == 2 and "AKSP_WORKSPACE" in run.err

    aksp.done("assign", "no-privileged")
    assert aksp("compliance", "-f", "-", stdin=json.dumps(pod("fine"))).code == 0


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["-n", "a,b"], "give --namespace again for each"),
        (["-n", "Shop"], "lower case"),
        (["-n", ""], "empty"),
        (["--exclude-namespace", "a,b"], "give --exclude-namespace again for each"),
        (["-n", "shop", "--exclude-namespace", "shop"], "leave out all of its namespaces shop"),
        (["-n", "kube-system"], "--no-default-exclusions"),
        (["-l", "a=1,a=2"], "no object can meet"),
        (["--scope", "/cluster/prod"], "expected /, /clusters/NAME"),
        (["--scope", "/clusters/prod", "--not-scope", "/"], "leaves out the whole"),
    ],
)
def test_what_can_reach_nothing_is_not_assigned(aksp: Aksp, options: list[str], said: str) -> None:
    run = aksp("assign", "no-privileged", *options)

    assert (run.code, run.out) == (2, "")
    assert said in run.err
    assert aksp("assignments", "-o", "name").out == ""


def test_a_cluster_that_no_kubeconfig_context_has_is_warned_about(aksp: Aksp, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECONFIG", aksp.put("config", kubeconfig("prod", current="prod")))
    known = aksp.done("assign", "no-privileged", "--cluster", "prod")
    assert known.err == ""
    for option in (["--cluster", "prd"], ["--scope", "/clusters/prd/namespaces/shop"]):
        unknown = aksp.done("assign", "no-privileged", *option, "--replace")
        assert "no kubeconfig context is called prd" in unknown.err and "there are: prod" in unknown.err


@pytest.mark.parametrize(
    ("arguments", "also"),
    [
        (["-f", "empty.yaml"], " There is no document in empty.yaml."),
        (["-f", "pod.json", "-n", "nosuch"], " There is no namespace nosuch that a document lies in."),
        (["-f", "broken.yaml"], " Not judged: 2 gaps."),
        (["-f", "pod.json"], ""),
    ],
)
def test_without_assignments_the_summary_also_says_that_there_was_nothing_to_judge(
    aksp: Aksp, arguments: list[str], also: str
) -> None:
    for name, text in (("empty.yaml", ""), ("broken.yaml", "a: [")):
        aksp.put(name, text)
    aksp.put("pod.json", pod("fine", metadata={"namespace": "shop"}))
    run = aksp("compliance", *arguments, "--summary", "-q")

    assert run.code == 4
    said = "No assignment applies here, so nothing was judged. `aksp assign` makes one."
    assert run.out.rstrip("\n").endswith(f"{said}{also}")
