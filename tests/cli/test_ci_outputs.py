"""Outputs in pipelines: which are chosen, what paths they name, and where summaries go."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pytest
import yaml

from aksp.cli.ci import PIPELINES, expand, repository, running
from aksp.report.pipeline.shortened import LIMIT_BYTES
from aksp.report.registry import FORMATS
from aksp.runners import commands, parted
from tests.cli.conftest import Aksp, pod

BAD = pod("bad", privileged=True)


@pytest.fixture(autouse=True)
def no_pipeline(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever runs the tests is not what they are about."""
    for name in list(os.environ):
        if name.startswith(("GITHUB_", "BUILD_", "CI", "AGENT_", "GITLAB_", "JENKINS_")) or name == "TF_BUILD":
            monkeypatch.delenv(name)


@pytest.fixture
def assigned(aksp: Aksp) -> Aksp:
    aksp.done("assign", "no-privileged")
    aksp.put("deploy/pod.yaml", yaml.safe_dump(BAD))
    return aksp


# Which


@pytest.mark.parametrize(
    ("environment", "chosen"),
    [
        ({"GITHUB_ACTIONS": "true"}, ["github"]),
        ({"TF_BUILD": "True"}, ["azuredevops"]),
        ({"GITLAB_CI": "true"}, ["table", "gitlab=gl-code-quality-report.json"]),
        ({"JENKINS_URL": "https://ci.example"}, ["table", "junit=aksp-junit.xml"]),
        ({"GITHUB_ACTIONS": "false", "CI": "true"}, ["table"]),
        ({}, ["table"]),
    ],
)
def test_ci_is_what_the_pipeline_reads(environment: dict[str, str], chosen: list[str]) -> None:
    expanded, note = expand(["json=a.json", "ci"], environment)
    assert expanded == ["json=a.json", *chosen]
    assert note.endswith(f"so it is -o {' -o '.join(chosen)}")


def test_without_ci_nothing_is_chosen_or_said() -> None:
    assert expand(["yaml"], {"GITHUB_ACTIONS": "true"}) == (["yaml"], "")


def test_the_choice_is_noted_on_standard_error(assigned: Aksp, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITLAB_CI", "true")
    run = assigned("compliance", "-f", "deploy", "-o", "ci")
    found = json.loads((assigned.folder / "gl-code-quality-report.json").read_text(encoding="utf-8"))

    assert run.code == 1
    assert "NonCompliant" in run.out
    assert "aksp: note: -o ci: GitLab CI runs this (GITLAB_CI is set), so it is -o table -o gitlab=" in run.err
    assert [issue["location"] for issue in found] == [{"path": "deploy/pod.yaml", "lines": {"begin": 10}}]


def test_quiet_does_not_say_what_was_chosen(assigned: Aksp, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    run = assigned("compliance", "-f", "deploy", "-o", "ci", "--quiet")
    assert (run.code, run.err) == (1, "")
    assert run.out.startswith("::error ")


def test_jenkins_gets_what_complies_too(assigned: Aksp, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JENKINS_URL", "https://ci.example")
    assigned.put("deploy/fine.yaml", yaml.safe_dump(pod("fine")))
    run = assigned("compliance", "-f", "deploy", "-o", "ci")
    junit = (assigned.folder / "aksp-junit.xml").read_text(encoding="utf-8")

    assert run.code == 1
    assert 'tests="2" failures="1"' in junit
    assert 'name="Pod/default/fine[web]"/>' in junit
    assert "fine" not in run.out


@pytest.mark.parametrize(
    ("outputs", "message"),
    [
        (["ci", "json"], "two outputs go to standard output: -o github -o json"),
        (["ci=a.txt"], "-o ci=a.txt: what ci stands for goes to places of its own"),
        (["cj"], "-o cj: there is no format 'cj'"),
    ],
)
def test_ci_counts_as_what_it_stands_for(
    outputs: list[str], message: str, assigned: Aksp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    run = assigned("compliance", "-f", "deploy", *(part for each in outputs for part in ("-o", each)))

    assert (run.code, run.out) == (2, "")
    assert message in run.err


# Where the repository is


@pytest.mark.parametrize("variable", [one.repository for one in PIPELINES if one.repository])
def test_paths_lead_from_the_checkout_of_the_pipeline(variable: str, tmp_path: Path) -> None:
    here = tmp_path / "src" / "deploy" / "base"
    here.mkdir(parents=True)
    (tmp_path / "src" / "deploy" / ".git").mkdir()
    found = repository({variable: str(tmp_path / "src")}, here)
    assert (found.root, found.base) == (str(tmp_path / "src"), "deploy/base")


def test_paths_lead_from_the_nearest_folder_with_git_otherwise(tmp_path: Path) -> None:
    here = tmp_path / "src" / "deploy"
    here.mkdir(parents=True)
    (tmp_path / "src" / ".git").write_text("gitdir: elsewhere", encoding="utf-8")  # a worktree
    for environment in ({}, {"GITHUB_WORKSPACE": "/nowhere"}, {"GITHUB_WORKSPACE": ""}):
        found = repository(environment, here)
        assert (found.root, found.base) == (str(tmp_path / "src"), "deploy")


def test_without_a_repository_the_current_folder_is_the_root(tmp_path: Path) -> None:
    found = repository({}, tmp_path)
    assert (found.root, found.base) == (str(tmp_path), "")


def test_a_checkout_behind_a_link_is_found(tmp_path: Path) -> None:
    (tmp_path / "real" / "deploy").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "real")
    found = repository({"CI_PROJECT_DIR": str(tmp_path / "link")}, tmp_path / "real" / "deploy")
    assert (found.root, found.base) == (str(tmp_path / "link"), "deploy")


def test_sarif_names_files_from_the_root_however_they_were_given(
    assigned: Aksp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GITHUB_WORKSPACE", str(assigned.folder))
    monkeypatch.chdir(assigned.folder / "deploy")
    for path in (".", "../deploy", str(assigned.folder / "deploy" / "pod.yaml")):
        (run,) = assigned("compliance", "-f", path, "-o", "sarif").json["runs"]
        (location,) = run["results"][0]["locations"]
        assert location["physicalLocation"]["artifactLocation"]["uri"] == "deploy/pod.yaml"
        assert location["physicalLocation"]["region"] == {
            "startLine": 10,
            "startColumn": 7,
            "endLine": 10,
            "endColumn": 23,
        }


# Summaries


def github(aksp: Aksp, monkeypatch: pytest.MonkeyPatch, summary: Path) -> None:
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))


def test_the_report_is_added_to_the_summary_of_the_step(assigned: Aksp, monkeypatch: pytest.MonkeyPatch) -> None:
    summary = assigned.folder / "summary.md"
    summary.write_text("before", encoding="utf-8")
    github(assigned, monkeypatch, summary)
    run = assigned("compliance", "-f", "deploy", "-o", "ci")
    text = summary.read_text(encoding="utf-8")

    assert run.code == 1
    assert run.out.startswith(
        "::error file=deploy/pod.yaml,line=10,endLine=10,col=7,endColumn=22,title=no-privileged::"
    )
    assert text.startswith("before\n## Manifests deploy\n")
    assert "does not comply" in text


def test_a_summary_that_cannot_be_written_is_a_note_not_a_failure(
    assigned: Aksp, monkeypatch: pytest.MonkeyPatch
) -> None:
    github(assigned, monkeypatch, assigned.folder)
    run = assigned("compliance", "-f", "deploy", "-o", "github")

    assert run.code == 1
    assert run.out.startswith("::error ")
    assert f"aksp: note: the job's summary cannot be written: {assigned.folder}: Is a directory" in run.err


def test_a_summary_that_is_full_already_stays_as_it_is(assigned: Aksp, monkeypatch: pytest.MonkeyPatch) -> None:
    summary = assigned.folder / "summary.md"
    full = "x" * (LIMIT_BYTES - 10)
    summary.write_text(full, encoding="utf-8")
    github(assigned, monkeypatch, summary)
    run = assigned("compliance", "-f", "deploy", "-o", "github")

    assert summary.read_text(encoding="utf-8") == full
    assert "is full: the report is not added to the job's summary" in run.err


def test_what_a_summary_leaves_out_is_in_the_files_of_the_run(assigned: Aksp, monkeypatch: pytest.MonkeyPatch) -> None:
    summary = assigned.folder / "summary.md"
    before = "x" * (LIMIT_BYTES - 1_500)
    summary.write_text(before, encoding="utf-8")
    github(assigned, monkeypatch, summary)
    assigned.put("more.json", {"apiVersion": "v1", "kind": "List", "items": [
        pod(f"bad-{at}", privileged=True) for at in range(30)
    ]})  # fmt: skip
    assigned("compliance", "-f", "more.json", "-o", "github", "-o", "sarif=a.sarif", "-o", "table=a.txt")
    text = summary.read_text(encoding="utf-8").removeprefix(before)

    assert len(summary.read_bytes()) <= LIMIT_BYTES
    assert "30 of 30 resources do not comply" in text
    assert text.endswith("All of them are in a.sarif.\n")


def test_other_formats_write_no_summary(assigned: Aksp, monkeypatch: pytest.MonkeyPatch) -> None:
    summary = assigned.folder / "summary.md"
    github(assigned, monkeypatch, summary)
    assigned("compliance", "-f", "deploy", "-o", "json")
    assert not summary.exists()


def test_azure_gets_a_file_that_stays_and_the_command_to_show_it(
    assigned: Aksp, monkeypatch: pytest.MonkeyPatch
) -> None:
    (assigned.folder / "agent").mkdir()
    monkeypatch.setenv("TF_BUILD", "True")
    monkeypatch.setenv("AGENT_TEMPDIRECTORY", str(assigned.folder / "agent"))
    run = assigned("compliance", "-f", "deploy", "-o", "ci")
    issue, _, upload = run.out.splitlines()
    path = Path(upload.removeprefix("##vso[task.uploadsummary]"))

    assert run.code == 1
    assert issue.startswith("##vso[task.logissue type=error;sourcepath=deploy/pod.yaml;linenumber=10;columnnumber=7;")
    assert path.is_absolute() and path.parent == assigned.folder / "agent"
    assert path.read_text(encoding="utf-8").startswith("## Manifests deploy\n")


def test_azure_without_a_place_for_the_summary_is_a_note(assigned: Aksp, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AGENT_TEMPDIRECTORY", str(assigned.folder / "nowhere"))
    run = assigned("compliance", "-f", "deploy", "-o", "azuredevops")

    assert run.code == 1
    assert "uploadsummary" not in run.out
    assert "aksp: note: the run's summary cannot be written: " in run.err


# Names that would command the runner


@pytest.mark.parametrize(
    ("text", "inert"),
    [
        ("::set-output name=a::b", ": :set-output name=a::b"),
        ("x\n  ::add-mask::y", "x\n  : :add-mask::y"),
        ("x ##vso[task.setvariable variable=PATH]y", "x # #vso[task.setvariable variable=PATH]y"),
        ("##VSO[a]", "# #VSO[a]"),
        ("a ##[add-mask]b", "a # #[add-mask]b"),
        ("##teamcity[message text='x']", "# #teamcity[message text='x']"),
        ("###vso[x]", "## #vso[x]"),
        ("fd00::1 # ## heading", "fd00::1 # ## heading"),
    ],
)
def test_commands_in_names_are_parted(text: str, inert: str) -> None:
    assert parted(text) == inert


@pytest.mark.parametrize("format", ["table", "wide", "markdown"])
def test_a_name_in_a_manifest_cannot_command_the_runner(
    format: str, assigned: Aksp, monkeypatch: pytest.MonkeyPatch
) -> None:
    evil = pod("##vso[task.setvariable variable=PATH]x", privileged=True, metadata={"namespace": "::stop-commands::x"})
    path = assigned.put("evil.json", evil)
    outside = assigned("compliance", "-f", path, "-o", format)
    monkeypatch.setenv("TF_BUILD", "True")
    inside = assigned("compliance", "-f", path, "-o", format)

    assert "vso" in outside.out and "vso" in inside.out
    assert "##vso[" not in inside.out
    assert not any(line.lstrip().startswith("::") for line in inside.out.splitlines())


def test_a_kind_in_a_manifest_cannot_command_the_runner_through_a_note(assigned: Aksp) -> None:
    evil = pod("fine") | {"kind": "##vso[task.setvariable variable=PATH]x", "spec": {}}
    run = assigned("compliance", "-f", assigned.put("evil.json", evil))
    assert "# #vso[task.setvariable" in run.err
    assert "##vso[" not in run.err


def test_a_person_is_no_pipeline() -> None:
    assert running({}) is None
    assert running({"TF_BUILD": "False"}) is None


def test_an_error_cannot_command_a_runner_by_a_name(aksp: Aksp) -> None:
    run = aksp("compliance", "-f", "##vso[task.complete result=Succeeded;].yaml")
    assert run.code == 2
    assert "##vso[" not in run.err and "# #vso[" in run.err


@pytest.mark.parametrize("debug", [[], ["--debug"]])
@pytest.mark.parametrize(
    "given",
    [
        ["compliance", "-f", "##vso[task.setvariable variable=PATH]x"],
        ["compliance", "-f", "no\n::stop-commands::x"],
        ["explain", "##[add-mask]x"],
        ["assign", "##vso[x]"],
        ["definitions", "show", "a\n::error::x"],
        ["##vso[x]"],
    ],
)
def test_no_message_of_a_command_can_command_the_runner(given: list[str], debug: list[str], assigned: Aksp) -> None:
    run = assigned(*debug, *given)

    assert run.code == 2
    assert run.err.strip()
    assert not re.search(r"##(?:\[|vso\[)", run.err)
    assert not [line for line in run.err.splitlines() if line.lstrip().startswith("::")]


EVIL = "##vso[task.setvariable variable=PATH]x"


@pytest.fixture
def evil(assigned: Aksp) -> str:
    """A manifest whose names are commands."""
    return assigned.put("evil.json", pod(EVIL, privileged=True, metadata={"namespace": "::stop-commands::x"}))


@pytest.mark.parametrize("variable", ["TF_BUILD", "GITHUB_ACTIONS", "CI", "TEAMCITY_VERSION"])
@pytest.mark.parametrize("format", [name for name in FORMATS if name not in ("csv", "html", "prometheus")])
def test_no_format_hands_the_runner_a_command(
    format: str, variable: str, evil: str, assigned: Aksp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AGENT_TEMPDIRECTORY", str(assigned.folder))
    monkeypatch.setenv(variable, "true")
    run = assigned("compliance", "-f", evil, "-o", format, "-o", "csv=report.csv")
    assert run.code == 1
    own = {"github": "::", "azuredevops": "##vso["}.get(format, "::::")
    assert not any(commands(line.removeprefix(own)) for line in run.out.splitlines()), run.out
    assert EVIL in (assigned.folder / "report.csv").read_text()


@pytest.mark.parametrize("format", ["csv", "html"])
def test_a_format_without_an_escape_goes_to_a_file(
    format: str, evil: str, assigned: Aksp, monkeypatch: pytest.MonkeyPatch
) -> None:
    usual = assigned("compliance", "-f", evil, "-o", format)
    monkeypatch.setenv("TF_BUILD", "True")
    run = assigned("compliance", "-f", evil, "-o", format)
    assert (run.code, run.out) == (2, "")
    assert f"hint: write it to a file: -o {format}=report.{format}" in run.err
    assert assigned("compliance", "-f", evil, "-o", f"{format}=out").code == 1
    harmless = assigned.put("good.json", pod("web", privileged=True))
    assert assigned("compliance", "-f", harmless, "-o", format).code == 1
    assert usual.code == 1


@pytest.mark.parametrize("output", ["table", "wide", "json", "yaml"])
def test_a_workspace_commands_no_runner_either(output: str, assigned: Aksp, monkeypatch: pytest.MonkeyPatch) -> None:
    assigned.done(
        "assign", "no-privileged", "--name", "b", "--display-name", f"{EVIL} ::x", "--description", "::y::\nz"
    )
    usual = assigned.done("assignments", "-o", output)
    monkeypatch.setenv("TF_BUILD", "True")
    run = assigned.done("assignments", "-o", output)
    assert not any(commands(line) for line in run.out.splitlines())
    if output in ("json", "yaml"):
        assert yaml.safe_load(run.out) == yaml.safe_load(usual.out)
        assert output == "yaml" or any(commands(line) for line in usual.out.splitlines())
