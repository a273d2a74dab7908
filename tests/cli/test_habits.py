"""What users of kubectl, gh and git type without thinking."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from aksp.cli import root
from aksp.cli.options import without_equals_signs
from tests.cli.conftest import Aksp, pod


@pytest.fixture
def assigned(aksp: Aksp) -> Aksp:
    aksp.done("assign", "no-privileged")
    for name in ("k8s/a.yaml", "k8s/b.yaml", "other/c.yaml"):
        Path(name).parent.mkdir(exist_ok=True)
        aksp.put(name, pod(Path(name).stem, privileged=True))
    return aksp


def paths(command: Any, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    below = getattr(command, "commands", {})
    return [path, *(found for name, one in below.items() if not one.hidden for found in paths(one, (*path, name)))]


@pytest.mark.parametrize("path", paths(root.command()), ids=" ".join)
def test_help_of_a_command_is_its_help(aksp: Aksp, path: tuple[str, ...]) -> None:
    assert aksp("help", *path).out == aksp(*path, "--help").out != ""


@pytest.mark.parametrize("path", paths(root.command())[1:], ids=" ".join)
def test_help_has_an_example_and_types_as_words(aksp: Aksp, path: tuple[str, ...]) -> None:
    told = " ".join(aksp.done(*path, "--help").out.split())
    assert re.search(rf"Example: `(?:[^`]+ \| )?aksp {path[0]}\b", told)
    assert not re.search(r"<[a-z]+(?:\[[a-z]+\]| range)?>", told)


def test_help_of_aksp_lists_each_command_once_below_its_task(aksp: Aksp, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    listed = aksp.done("--help").out.partition("\nDefinitions:\n")[2]
    titles = re.findall(r"^(\S.*):$", listed, re.MULTILINE)
    assert titles == [title for _, title in root.TASKS][1:]
    assert re.findall(r"^  (\S+)  +\S", listed, re.MULTILINE) == [
        path[0] for path in paths(root.command()) if len(path) == 1
    ]
    assert not re.search(r":\n(?!  )", listed), "a task without a command"


@pytest.mark.parametrize("width", [60, 100, 200])
def test_help_is_as_wide_as_the_terminal(aksp: Aksp, monkeypatch: pytest.MonkeyPatch, width: int) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    widest = max(map(len, aksp.done("compliance", "--help").out.splitlines()))
    assert width - 15 < widest <= width - 2


@pytest.mark.parametrize(
    ("path", "said"),
    [
        (["assing"], "aksp has no command 'assing'\n  hint: did you mean 'assign'?"),
        (["assignments", "remove"], "aksp assignments has no command 'remove'\n  hint: known: delete, list, show"),
        (["version", "x"], "aksp version has no command 'x'\n"),
    ],
)
def test_help_of_a_command_that_is_not_there_names_those_that_are(aksp: Aksp, path: list[str], said: str) -> None:
    run = aksp("help", *path)
    assert (run.code, run.out) == (2, "") and said in run.err


def test_version_is_the_option(aksp: Aksp) -> None:
    assert aksp.done("version").out == aksp.done("--version").out


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish", "powershell"])
def test_completion_prints_the_script_of_a_shell(aksp: Aksp, shell: str) -> None:
    script = aksp.done("completion", shell).out
    assert f"complete_{shell}" in script and "_AKSP_COMPLETE" in script


def test_the_script_for_bash_completes_in_bash(aksp: Aksp) -> None:
    text = 'source /dev/stdin; COMP_WORDS=(aksp assignm); COMP_CWORD=1; _aksp_completion aksp; echo "${COMPREPLY[@]}"'
    done = subprocess.run(
        ["bash", "-c", text], input=aksp.done("completion", "bash").out, capture_output=True, text=True,
        env={**os.environ, "PATH": f"{Path(root.__file__).parents[2] / '.venv' / 'bin'}{os.pathsep}{os.environ['PATH']}"},
    )  # fmt: skip
    assert done.stdout.split() == ["assignments"], done.stderr


# -o=json, -f a,b and -f 'k8s/*.yaml'


def test_a_short_option_may_have_an_equals_sign(assigned: Aksp) -> None:
    run = assigned("compliance", "-f=k8s", "-o=json", "-n=default")
    assert run.states == assigned.judge("k8s").states == [("a", "NonCompliant"), ("b", "NonCompliant")]


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        (["assignments", "-o=json"], ["assignments", "-ojson"]),
        (["compliance", "-o", "-o=json"], ["compliance", "-o", "-o=json"]),
        (["compliance", "--baseline", "-f=x", "-f=x"], ["compliance", "--baseline", "-f=x", "-fx"]),
        (["compliance", "--watch", "-f=x"], ["compliance", "--watch", "-fx"]),
        (["compliance", "-A=x", "-f=", "-z=1"], ["compliance", "-A=x", "-f=", "-z=1"]),
        (["compliance", "--", "-f=x"], ["compliance", "--", "-f=x"]),
        (["-o=json"], ["-o=json"]),
        (["assign", "allowed-images", "--dry-run", "-o=json"], ["assign", "allowed-images", "--dry-run", "-ojson"]),
        (
            ["assign", "allowed-images", "--regex", "-o=x", "-o=x"],
            ["assign", "allowed-images", "--regex", "-o=x", "-ox"],
        ),
        (["assign", "nowhere", "-o=x"], ["assign", "nowhere", "-o=x"]),
    ],
)
def test_what_is_a_value_or_no_option_stays(given: list[str], meant: list[str]) -> None:
    assert without_equals_signs(given, root.command()) == meant


@pytest.mark.parametrize("paths", ["k8s/*.yaml", "k8s/a.yaml,k8s/b.yaml", "k8s/[ab].yaml", "k8s,"])
def test_lists_and_patterns_that_no_shell_has_resolved_are_paths(assigned: Aksp, paths: str) -> None:
    assert assigned.judge(paths).states == [("a", "NonCompliant"), ("b", "NonCompliant")]


def test_two_stars_are_any_folders_and_a_file_of_that_name_comes_first(assigned: Aksp) -> None:
    assert [name for name, _ in assigned.judge("**/*.yaml").states] == ["a", "b", "c"]
    assigned.put("a,b.yaml", pod("comma", privileged=True))
    assert assigned.judge("a,b.yaml").states == [("comma", "NonCompliant")]


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("none/*.yaml", "none/*.yaml: no file or folder has a name like this"),
        ("k8s/a.yaml,gone.yaml", "gone.yaml: there is no such file or folder"),
        ("https://example.com/a,b*.yaml", "nothing is fetched from the network\n  hint: fetch it first: curl -fsSL"),
    ],
)
def test_a_path_that_leads_to_nothing_is_an_error(assigned: Aksp, path: str, said: str) -> None:
    run = assigned.judge(path)
    assert (run.code, run.out) == (2, "") and said in run.err


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("report.html", "html=report.html"),
        ("out/a.md", "markdown=out/a.md"),
        ("junit.xml", "junit=junit.xml"),
        ("a.sarif", "sarif=a.sarif"),
    ],
)
def test_a_file_without_a_format_is_answered_with_the_format(assigned: Aksp, given: str, meant: str) -> None:
    run = assigned("compliance", "-f", "k8s", "-o", given)
    assert run.code == 2 and f"-o {meant} writes that file" in run.err
    assert not Path(given).exists()


def test_where_a_report_went_is_told_unless_quiet(assigned: Aksp) -> None:
    line = "aksp: note: html written to out.html\n"
    run = assigned("compliance", "-f", "k8s", "-o", "html=out.html")
    assert (run.code, run.out, run.err.count(line)) == (1, "", 1)
    assert line not in assigned("compliance", "-f", "k8s", "-q", "-o", "html=out.html").err
    assert "written to" not in assigned("compliance", "-f", "k8s", "-o", "html").err


def test_a_second_cluster_is_not_dropped(aksp: Aksp) -> None:
    run = aksp("explain", "x", "--cluster", "a", "--cluster=b")
    assert run.code == 2 and "--cluster is given more than once" in run.err


# delete


@pytest.fixture
def three(aksp: Aksp) -> Aksp:
    for name in ("one", "two", "three"):
        aksp.done("assign", "no-privileged", "--name", name)
    return aksp


def left(aksp: Aksp) -> list[str]:
    return [line.rpartition("/")[2] for line in aksp.done("assignments", "-o", "name").out.splitlines()]


def test_many_are_deleted_by_names_as_they_are_printed(three: Aksp) -> None:
    printed = three.done("assignments", "-o", "name").out.split()
    run = three.done("assignments", "delete", "two", *printed[:2])
    # In the order of the names: one, three, two.
    assert left(three) == []
    assert run.out.count(" deleted (") == 3


def test_all_are_deleted_when_that_is_asked_for(three: Aksp) -> None:
    assert three.done("assignments", "delete", "--all").out.count(" deleted (") == 3
    assert left(three) == []
    assert three.done("assignments", "delete", "--all").out == "there is no assignment, so nothing was deleted\n"


@pytest.mark.parametrize("given", [["one", "gone"], [], ["one", "--all"]])
def test_nothing_is_deleted_when_something_is_wrong(three: Aksp, given: list[str]) -> None:
    run = three("assignments", "delete", *given)
    assert (run.code, run.out) == (2, "")
    assert left(three) == ["one", "three", "two"]
