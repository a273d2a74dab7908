"""Bad input: one clear message and its exit code each."""

from __future__ import annotations

import json
import sys
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml

import aksp.cli.evaluation
from aksp.engine import Engine
from tests.catalog.documents import DETAILS, document, write
from tests.cli.conftest import Aksp, Process, kubeconfig, pod
from tests.engine.hostile import DIVISION, ENDLESS, HUGE_SET

BAD, FINE = pod("bad", privileged=True), pod("fine")


@pytest.fixture
def assigned(aksp: Aksp) -> Aksp:
    aksp.done("assign", "no-privileged")
    return aksp


def one_error(text: str) -> str:
    """The message, when there is just one and perhaps a hint."""
    lines = text.splitlines()
    assert lines[0].startswith("aksp: error: "), text
    assert all(line.startswith("  hint: ") for line in lines[1:]), text
    assert "Traceback" not in text
    return text


# Clusters


def test_no_kubeconfig_is_exit_2_with_the_way_out(aksp: Aksp) -> None:
    run = aksp("compliance")

    assert (run.code, run.out) == (2, "")
    assert "no kubeconfig found" in one_error(run.err)
    assert "--kubeconfig" in run.err and "-f" in run.err


def test_an_unknown_context_is_exit_2_with_those_that_there_are(aksp: Aksp, monkeypatch: pytest.MonkeyPatch) -> None:
    aksp.put("config", kubeconfig("dev", "prod", current="dev"))
    monkeypatch.setenv("KUBECONFIG", "config")
    for arguments in (["--cluster", "prud"], ["--context", "prud"]):
        run = aksp("compliance", *arguments)
        assert run.code == 2
        assert "prud" in one_error(run.err) and "prod" in run.err


@pytest.mark.parametrize("timeout", ["5", "5.0", "5s", "1m", "500ms", "1s500ms"])
def test_a_cluster_that_is_not_there_is_exit_3(timeout: str, aksp: Aksp, monkeypatch: pytest.MonkeyPatch) -> None:
    aksp.done("assign", "no-privileged")
    aksp.put("config", kubeconfig("dev", current="dev"))
    monkeypatch.setenv("KUBECONFIG", "config")
    run = aksp("compliance", "--request-timeout", timeout)

    assert (run.code, run.out) == (3, "")
    assert "127.0.0.1:1" in run.err


@pytest.mark.parametrize(
    ("given", "wrong"),
    [
        ("0", "between 0.1 s"),
        ("nan", "between"),
        ("1e9", "between"),
        ("2 s", "number of seconds"),
        ("25h", "between"),
        ("99999999999s", "between"),
        ("50ms", "between"),
        ("٣", "number of seconds"),
        ("٣s", "number of seconds"),
        ("1_0", "number of seconds"),
    ],
)
def test_a_request_timeout_that_is_none_is_exit_2(given: str, wrong: str, aksp: Aksp) -> None:
    run = aksp("compliance", "--request-timeout", given)

    assert (run.code, run.out) == (2, "")
    assert "--request-timeout" in run.err and wrong in run.err


@pytest.mark.parametrize(
    "command",
    [
        ["compliance", "-f", ""], ["compliance", "-k", ""], ["compliance", "-f", ","], ["explain", "pod/bad", "-f", ""],
        ["lint", "-f", ""], ["fix", ""], ["mutate", "--mutation", "MutateReadOnlyRootFilesystem", "-f", ""], ["test", ""],
        ["assign", "no-privileged", "--what-if", "-f", ""], ["import", "gatekeeper", ""], ["import", "azure", ""],
        ["diff", "-f", ""], ["history", "-f", ""],
    ],
    ids=" ".join,
)  # fmt: skip
def test_an_empty_path_is_not_the_working_folder(command: list[str], assigned: Aksp) -> None:
    assigned.put("pod.json", BAD)
    run = assigned(*command)

    assert (run.code, run.out) == (2, "")
    one_error(run.err)
    if command[-1] == "" and command[0] not in ("diff", "history"):  # these name what is remembered
        assert "the path is empty" in run.err and "variable" in run.err


def test_no_current_context_is_exit_2(assigned: Aksp) -> None:
    path = assigned.put("pod.json", BAD)
    run = assigned("compliance", "-f", path, "--cluster")

    assert run.code == 2
    assert "--cluster NAME" in one_error(run.err)


# Manifests


def test_a_path_that_is_not_there_is_exit_2(assigned: Aksp) -> None:
    run = assigned.judge("gone.yaml")

    assert (run.code, run.out) == (2, "")
    assert "gone.yaml: there is no such file or folder" in one_error(run.err)


def test_yaml_that_breaks_in_the_middle_costs_one_document(assigned: Aksp) -> None:
    text = f"{yaml.safe_dump(BAD)}---\napiVersion: v1\nkind: [Pod\n---\n{yaml.safe_dump(pod('also', privileged=True))}"
    run = assigned.judge(assigned.put("shop.yaml", text))

    assert (run.code, run.states) == (1, [("also", "NonCompliant"), ("bad", "NonCompliant")])
    assert [gap.partition(":")[0] for gap in run.gaps] == ["shop.yaml"]
    assert "invalid YAML" in run.gaps[0]
    assert assigned("compliance", "-f", "shop.yaml", "--fail-on", "none").code == 4


def bomb() -> str:
    rows = ["a0: &a0 [lol, lol]"] + [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 20)]
    return "\n".join(["apiVersion: v1", "kind: Pod", "metadata: {name: bomb}", *rows]) + "\n"


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("apiVersion: v1\nkind: Pod\nkind: Pod\nmetadata: {name: x}\n", "kind"),
        ("hello: world\n", "Kubernetes"),
        ("[1, 2]\n", "Kubernetes"),
        ("apiVersion: v1\nkind: Pod\n", "name"),
        (bomb(), ""),
    ],
    ids=["duplicate-keys", "no-object", "list", "no-name", "anchors"],
)
def test_a_document_that_is_no_object_is_a_gap(text: str, part: str, assigned: Aksp) -> None:
    run = assigned.judge(assigned.put("x.yaml", f"{text}---\n{yaml.safe_dump(FINE)}"))

    assert run.code == 4
    assert any(part in gap for gap in run.gaps), run.gaps
    assert run.json["counts"]["resources"]["Compliant"] == 1


@pytest.mark.parametrize(
    "junk", [bytes(range(256)) * 40, b"\x7fELF" + bytes(4000), b"\x1f\x8b\x08" + bytes(range(200)) * 9]
)
def test_binary_junk_is_a_gap(junk: bytes, assigned: Aksp) -> None:
    assigned.put("junk.yaml", junk)
    run = assigned.judge("junk.yaml", assigned.put("fine.json", FINE))

    assert run.code == 4
    assert all(gap.startswith("junk.yaml:") for gap in run.gaps)
    assert all(char.isprintable() for gap in run.gaps for char in gap)


def test_a_pod_nested_10000_deep_is_told(assigned: Aksp) -> None:
    deep = json.dumps(pod("deep")).replace('"deep"', '"deep", "annotations": ' + '{"a": ' * 10_000 + "1" + "}" * 10_000)
    run = assigned.judge(assigned.put("deep.json", deep), assigned.put("bad.json", BAD))

    assert run.code == 1
    assert ("bad", "NonCompliant") in run.states
    assert run.gaps


# Definitions


def own(aksp: Aksp, made: dict[str, Any] | None = None, rego: str | None = None) -> None:
    """A definition of the workspace, and an assignment of it put beside it by hand."""
    files = {"policy_rego": rego} if rego is not None else {}
    write(aksp.workspace / "definitions", made=made, **files)
    aksp.put(
        "ws/assignments/ours.yaml",
        {
            "apiVersion": "policy.aksp.io/v1alpha1",
            "kind": "PolicyAssignment",
            "metadata": {"name": "ours"},
            "spec": {"policyDefinitionId": "ours"},
        },
    )


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({f"{DETAILS}.values": {"x": "[parameters('gone')]"}},
         "expression [parameters('gone')]: there is no parameter 'gone'"),
        ({"properties.policyRule.then.effect": "Explode"},
         "effect 'Explode' is not one of EnforceRegoPolicy, Deny, Audit, Warn, Disabled"),
    ],
)  # fmt: skip
def test_a_definition_that_cannot_be_understood_is_a_gap_and_exit_2_where_it_is_named(
    changes: dict[str, Any], problem: str, aksp: Aksp
) -> None:
    own(aksp, document(**changes))
    run = aksp.judge(aksp.put("pod.json", FINE))
    named = aksp("assign", "ours")

    assert (run.code, named.code) == (4, 2)
    assert f"ours/definition.json: {problem}" in run.gaps[0]
    assert f"ours/definition.json: {problem}" in one_error(named.err)


def test_a_definition_whose_parameter_has_no_value_is_exit_2(aksp: Aksp) -> None:
    own(aksp, document(**{"properties.parameters.limit": {"type": "Integer"}}))
    run = aksp.judge(aksp.put("pod.json", FINE))

    assert run.code == 2
    assert "parameter 'limit': ours needs a value of type Integer" in one_error(run.err)


def test_rego_that_does_not_parse_is_a_gap_with_file_line_and_column_and_exit_2_where_it_is_named(aksp: Aksp) -> None:
    own(aksp, rego="package ours\n\nviolation contains {\n  x ==\n}\n")
    run = aksp.judge(aksp.put("pod.json", FINE))
    named = aksp("assign", "ours")

    assert (run.code, named.code) == (4, 2)
    assert "ours/policy.rego:5:1: definition 'ours' does not compile" in run.gaps[0]
    assert "ours/policy.rego:5:1: definition 'ours' does not compile" in one_error(named.err)


@pytest.mark.parametrize(
    ("rego", "part"),
    [(ENDLESS, "took longer than"), (DIVISION, "divide by zero"), (HUGE_SET, "")],
    ids=["loop", "division", "huge-set"],
)
def test_rego_that_fails_at_run_time_is_a_gap_and_the_rest_is_judged(
    rego: str, part: str, assigned: Aksp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(aksp.cli.evaluation, "Engine", partial(Engine, evaluation_deadline_ms=300))
    own(assigned, rego="package ours\n" + rego)
    run = assigned.judge(assigned.put("pod.json", BAD))

    assert run.code == 1
    assert run.states == [("bad", "NonCompliant"), ("bad", "Error")]
    assert run.gaps[0].startswith("assignment ours: ") and part in run.gaps[0]
    assert assigned.judge(assigned.put("fine.json", FINE)).code == 4


def test_an_assignment_whose_definition_is_gone_is_exit_2(assigned: Aksp) -> None:
    path = assigned.workspace / "assignments" / "no-privileged.yaml"
    path.write_text(path.read_text().replace("Id: no-privileged", "Id: no-privilege"), encoding="utf-8")
    run = assigned.judge(assigned.put("pod.json", FINE))

    assert (run.code, run.out) == (2, "")
    assert f"{path}: assignment 'no-privileged': there is no definition or initiative 'no-privilege'" in one_error(
        run.err
    )
    assert "did you mean 'no-privileged'?" in run.err


# Outputs


@pytest.mark.parametrize(
    ("outputs", "part"),
    [
        (["table", "json"], "two outputs go to standard output: -o table -o json"),
        (["json", "yaml=-"], "two outputs go to standard output"),
        (["json=a", "yaml=a"], "two outputs go to a"),
        (["json=./a", "yaml=a"], "two outputs go to a"),
        (["jsno"], "there is no format 'jsno'"),
        (["json="], "the file name after = is missing"),
        (["json=gone/report.json"], "gone/report.json: the report cannot be written: No such file or directory"),
        (["json=ws"], "ws: the report cannot be written: it is a folder"),
        (["json=pod.json/x"], "the report cannot be written"),
    ],
)
def test_outputs_that_cannot_be_are_exit_2_before_any_work(
    outputs: list[str], part: str, assigned: Aksp, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = assigned.put("pod.json", BAD)
    before = sorted(p.name for p in assigned.folder.iterdir())
    run = assigned("compliance", "-f", path, *(argument for output in outputs for argument in ("-o", output)))

    assert (run.code, run.out) == (2, "")
    assert part in one_error(run.err)
    assert sorted(p.name for p in assigned.folder.iterdir()) == before


def test_a_report_that_fails_leaves_the_old_file_and_no_other(assigned: Aksp) -> None:
    assigned.put("report.json", "the old one")
    path = assigned.put("pod.json", BAD)
    own(assigned)
    assigned.put("ws/assignments/wrong.yaml", "{")
    run = assigned("compliance", "-f", path, "-o", "json=report.json")

    assert run.code == 2
    assert Path("report.json").read_text(encoding="utf-8") == "the old one"
    assert sorted(p.name for p in assigned.folder.glob(".*")) == []


# Bugs of ours


def break_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("the bug")

    monkeypatch.setattr(aksp.cli.evaluation, "prepare", broken)


def test_an_internal_error_is_one_apology_and_exit_5(assigned: Aksp, monkeypatch: pytest.MonkeyPatch) -> None:
    break_it(monkeypatch)
    run = assigned.judge(assigned.put("pod.json", FINE))

    assert (run.code, run.out) == (5, "")
    assert "sorry, this is a bug in aksp: ZeroDivisionError: the bug" in one_error(run.err)
    assert "--debug" in run.err


@pytest.mark.parametrize("place", ["first", "last", "environment"])
def test_debug_shows_the_traceback_and_keeps_the_exit_code(
    place: str, assigned: Aksp, monkeypatch: pytest.MonkeyPatch
) -> None:
    break_it(monkeypatch)
    arguments = ["compliance", "-f", assigned.put("pod.json", FINE)]
    if place == "environment":
        monkeypatch.setenv("AKSP_DEBUG", "1")
    else:
        arguments.insert(0 if place == "first" else len(arguments), "--debug")
    run = assigned(*arguments)

    assert run.code == 5
    assert "Traceback" in run.err and "in broken" in run.err
    assert assigned("--debug", "assignments", "show", "gone").code == 2


def test_a_missing_engine_is_exit_5_with_what_to_do(assigned: Aksp, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AKSP_ENGINE", "/gone/engine")
    run = assigned.judge(assigned.put("pod.json", FINE))

    assert run.code == 5
    assert "the engine is missing at /gone/engine" in one_error(run.err)


def test_control_characters_of_names_do_not_reach_the_terminal(assigned: Aksp) -> None:
    name = "evil\x1b[2J\x07.yaml"
    assigned.put(name, "a: [")
    run = assigned("compliance", "-f", name)

    assert run.code == 4
    assert "\x1b" not in run.out + run.err and "\x07" not in run.out + run.err


@pytest.mark.skipif(sys.platform == "win32", reason="file names of bytes")
def test_a_file_name_in_no_encoding_is_no_trouble(assigned: Aksp, process: Process) -> None:
    name = b"caf\xe9.yaml"
    Path(assigned.folder, name.decode("utf-8", "surrogateescape")).write_text(json.dumps(BAD), encoding="utf-8")
    for form in ("table", "json", "csv", "yaml", "markdown"):
        run = process("compliance", "-f", name.decode("utf-8", "surrogateescape"), "-o", form)
        assert run.code == 1, run.err
        assert "caf" in run.out
