"""What a user of kubectl and gh expects of the command line: names that are piped, quiet runs, one line, hints."""

from __future__ import annotations

import pytest

from tests.cli.conftest import Aksp, pod


@pytest.fixture
def judged(aksp: Aksp) -> Aksp:
    aksp.done("assign", "no-privileged")
    aksp.put("bad.json", pod("bad", privileged=True))
    return aksp


def test_quiet_prints_nothing_where_no_output_is_asked_for(judged: Aksp) -> None:
    run = judged("compliance", "-f", "bad.json", "-q")
    assert (run.code, run.out, run.err) == (1, "", "")
    assert judged("compliance", "-f", "bad.json", "-q", "-o", "json").json["state"] == "NonCompliant"
    assert judged("compliance", "-f", "none.json", "-q").err


def test_a_summary_is_one_line_with_the_selection_and_what_was_not_judged(judged: Aksp) -> None:
    judged.put("broken.yaml", "a: [\n")
    run = judged("compliance", "-f", "bad.json", "-f", "broken.yaml", "--severity", "critical", "--summary", "-q")
    assert run.out == (
        "bad.json broken.yaml (only --severity critical): NonCompliant, 0.0% compliant."
        " 1 of 1 resource does not comply. Not judged: 1 gap.\n"
    )
    assert judged("compliance", "-f", "bad.json", "--summary", "-o", "json").json["kind"] == "ComplianceReport"


@pytest.mark.parametrize("option", ["--severity", "--assignment", "--definition"])
@pytest.mark.parametrize("value", ["", ",", " "])
def test_an_option_that_names_nothing_is_wrong_usage(judged: Aksp, option: str, value: str) -> None:
    run = judged("compliance", "-f", "bad.json", option, value)
    assert run.code == 2 and option in run.err


def test_names_as_they_are_printed_can_be_shown_and_deleted(judged: Aksp) -> None:
    judged.done("assign", "allowed-images", "--registry", "contoso.azurecr.io")
    names = judged.done("assignments", "-o", "name").out.split()
    shown = judged.done("assignments", "show", *names, "-o", "json").json
    assert shown["kind"] == "List" and len(shown["items"]) == len(names) == 2
    assert judged.done("assignments", "show", *names, "-o", "name").out.split() == names
    assert judged.done("assignments", "show", names[1], "-o", "json").json["metadata"]["name"] == "no-privileged"
    assert judged("assignments", "show", names[0], "none").code == 2
    judged.done("assignments", "delete", *names)
    assert judged.done("assignments", "-o", "name").out == ""


@pytest.mark.parametrize("command", ["definitions", "initiatives"])
def test_names_of_the_catalogue_can_be_shown_many_at_once(judged: Aksp, command: str) -> None:
    names = judged.done(command, "-o", "name").out.split()[:3]
    assert judged.done(command, "show", *names, names[0], "-o", "name").out.split() == names
    assert len(judged.done(command, "show", *names, "-o", "json").json) == len(names) == 3
    assert isinstance(judged.done(command, "show", names[0], "-o", "json").json, dict)
    table = judged.done(command, "show", *names).out
    assert [line.split()[1] for line in table.splitlines() if line.startswith("Name:")] == names
    assert judged(command, "show", names[0], "nothing-such").code == 2


def test_assignments_show_what_they_select_beside_their_definitions(judged: Aksp) -> None:
    judged.done(
        "assign", "no-privileged", "--name", "b", "--namespace", "shop", "--exclude-namespace", "dev", "-l", "a=b"
    )
    rows = {line.split()[0]: line for line in judged.done("assignments").out.splitlines()[1:]}
    assert rows["b"].endswith("shop -l a=b not dev") and rows["no-privileged"].endswith("-")


def test_hints_meet_the_mistake(judged: Aksp) -> None:
    run = judged("assign", "allowed-images", "--registry", "https://contoso.azurecr.io")
    assert run.code == 2 and "leave it out, as in contoso.azurecr.io" in run.err
    assert "-f" not in judged("denials").err
    assert "judge manifests with -f" in judged("compliance").err


def test_annotations_name_the_selection(judged: Aksp) -> None:
    run = judged("compliance", "-f", "bad.json", "--severity", "critical", "-o", "github")
    assert run.out.startswith("::notice title=aksp::only --severity critical: what this leaves out has no state\n")


def test_samples_are_told_alike_by_both_commands(judged: Aksp) -> None:
    judged.done("definitions", "new", "mine")
    by_name = judged.done("definitions", "test", "mine", "-o", "json").json
    by_path = judged.done("test", str(judged.workspace / "definitions" / "mine"), "-o", "json").json
    assert by_name == by_path and by_name["counts"]["passed"] == 2


@pytest.mark.parametrize("group_by", ["owner", "namespace", "none"])
def test_a_limit_lists_the_worst_and_says_how_many_more_there_are(judged: Aksp, group_by: str) -> None:
    judged.done("assign", "resource-limits", "--cpu", "1", "--memory", "1Gi")
    judged.done("assign", "allowed-images", "--registry", "contoso.azurecr.io")
    pods = [
        pod("a", image="docker.io/a"),
        pod("b", image="docker.io/b"),
        pod("z", image="docker.io/c", privileged=True),
    ]
    judged.put("pods.json", {"apiVersion": "v1", "kind": "List", "items": pods})
    whole = judged("compliance", "-f", "pods.json", "-q", "-o", "table", "--group-by", group_by)
    run = judged("compliance", "-f", "pods.json", "-q", "-o", "table", "--group-by", group_by, "--limit", "1")
    assert run.code == whole.code == 1
    assert "securityContext.privileged is true" in run.out and "docker.io" not in run.out
    rows = whole.out.count("docker.io/") + whole.out.count("privileged is true") + whole.out.count("limits")
    assert "more findings, none of them worse" in run.out and rows > 4
    # Counts are of all, and a limit that is not reached changes the order alone.
    assert run.out.splitlines()[2:8] == whole.out.splitlines()[2:8]
    much = judged("compliance", "-f", "pods.json", "-q", "-o", "table", "--group-by", group_by, "--limit", "99")
    assert sorted(much.out.split("\n", 3)[3].split()) == sorted(whole.out.split("\n", 3)[3].split())
    assert judged("compliance", "-f", "pods.json", "--limit", "0").code == 2
