"""The pipeline files are valid, their commands run, and what they upload is what the commands write."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from tests.examples.pipelines import ALL, AZURE, CI, GITHUB, GITLAB, JENKINS, PACKAGE, Pipeline, Repository

EACH = pytest.mark.parametrize("pipeline", ALL, ids=lambda one: one.file)
pytestmark = [pytest.mark.slow, pytest.mark.skipif(shutil.which("bash") is None, reason="pipelines run bash")]


@pytest.fixture
def repository(tmp_path: Path, forking: Path) -> Repository:
    return Repository(tmp_path, forking)


@pytest.mark.parametrize("pipeline", [one for one in ALL if one.schema], ids=lambda one: one.file)
def test_the_file_is_valid_by_the_schema_of_its_ci_system(pipeline: Pipeline) -> None:
    ran = subprocess.run(
        [
            sys.executable, "-m", "check_jsonschema", "--builtin-schema", pipeline.schema, *pipeline.options,
            str(pipeline.path),
        ],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stdout + ran.stderr


@EACH
def test_violations_fail_the_job_and_every_report_is_there(pipeline: Pipeline, repository: Repository) -> None:
    repository.assign("allowed-images", "--registry", "contoso.azurecr.io")
    ran = repository.judge(pipeline)

    assert ran.returncode == 1, ran.stderr
    assert {"junit", "html"} <= set(pipeline.reports)
    for name, file in pipeline.reports.items():
        check(name, repository.report(file), found=True)


@EACH
def test_what_complies_passes_and_every_report_is_there(pipeline: Pipeline, repository: Repository) -> None:
    repository.assign("allowed-images", "--regex", ".+")
    ran = repository.judge(pipeline)

    assert ran.returncode == 0, ran.stderr
    for name, file in pipeline.reports.items():
        check(name, repository.report(file), found=False)


@EACH
def test_what_cannot_be_judged_fails_the_job_and_every_report_is_there(
    pipeline: Pipeline, repository: Repository
) -> None:
    repository.assign("allowed-images", "--regex", ".+")
    (repository.folder / "manifests" / "broken.yaml").write_text("a: [", encoding="utf-8")
    ran = repository.judge(pipeline)

    assert ran.returncode == 4, ran.stderr
    assert all(repository.report(file).stat().st_size or name == "gitlab" for name, file in pipeline.reports.items())


@EACH
def test_a_repository_without_manifests_fails_the_job(pipeline: Pipeline, repository: Repository) -> None:
    """Code 2 for a folder that is not there, 4 for one with nothing in it: neither passes by mistake."""
    repository.assign("allowed-images", "--regex", ".+")
    shutil.rmtree(repository.folder / "manifests")
    assert repository.judge(pipeline).returncode == 2

    (repository.folder / "manifests").mkdir()
    assert repository.judge(pipeline).returncode in (2, 4)


def check(name: str, file: Path, *, found: bool) -> None:
    """A report is of its format, and holds findings or none."""
    text = file.read_text(encoding="utf-8")
    match name:
        case "junit":
            root = ElementTree.fromstring(text)
            assert root.tag == "testsuites"
            assert bool(root.findall(".//failure")) is found
        case "sarif":
            log = json.loads(text)
            assert log["version"] == "2.1.0"
            assert any(run["results"] for run in log["runs"]) is found
        case "gitlab":
            assert bool(json.loads(text)) is found
        case "html":
            assert text.lower().startswith("<!doctype html>")
        case _:
            raise AssertionError(f"nobody looks at {name}")


@EACH
def test_it_installs_what_the_variable_names_and_no_place_of_its_own(pipeline: Pipeline) -> None:
    (installing,) = [command for command in pipeline.commands if "pip install" in command]

    assert installing.endswith('pip install "$AKSP_PACKAGE"')
    urls = re.findall(r"https?://[\w./-]+", pipeline.path.read_text(encoding="utf-8"))
    assert urls == []


def test_a_package_with_a_space_in_its_path_is_one_argument(repository: Repository) -> None:
    """Where nothing is installed: pip is one that tells its arguments."""
    told = repository.run("bash", "-c", f"pip() {{ printf '%s\\n' \"$@\"; }}; {GITLAB.commands[0]}")

    assert told.stdout.splitlines() == ["install", PACKAGE]


def test_github_gets_annotations_and_a_summary(repository: Repository) -> None:
    repository.assign("allowed-images", "--registry", "contoso.azurecr.io")
    ran = repository.judge(GITHUB)

    assert re.search(r"^::error .*file=manifests/payments\.yaml", ran.stdout, re.MULTILINE)
    assert "payments" in (repository.folder / "summary.md").read_text(encoding="utf-8")


def test_azure_gets_issues(repository: Repository) -> None:
    repository.assign("allowed-images", "--registry", "contoso.azurecr.io")

    assert re.search(r"^##vso\[task\.logissue type=error;", repository.judge(AZURE).stdout, re.MULTILINE)


def test_github_uploads_the_files_that_are_written_also_after_violations() -> None:
    steps: list[dict[str, Any]] = GITHUB.document["jobs"]["compliance"]["steps"]
    (sarif,) = [step for step in steps if "upload-sarif" in step.get("uses", "")]
    (kept,) = [step for step in steps if "upload-artifact" in step.get("uses", "")]

    assert sarif["with"]["sarif_file"] == GITHUB.reports["sarif"]
    assert set(kept["with"]["path"].split()) == set(GITHUB.reports.values())
    for step in (sarif, kept):
        assert step["if"].startswith("always()")
        (file,) = re.findall(r"hashFiles\('(.+?)'\)", step["if"])
        assert file in GITHUB.reports.values()
    assert GITHUB.document["permissions"]["security-events"] == "write"


def test_gitlab_keeps_the_files_that_are_written_also_after_violations() -> None:
    artifacts = GITLAB.document["policy"]["artifacts"]

    assert artifacts["when"] == "always"
    assert artifacts["reports"] == {"codequality": GITLAB.reports["gitlab"], "junit": GITLAB.reports["junit"]}
    assert artifacts["paths"] == [GITLAB.reports["html"]]


def test_azure_publishes_the_files_that_are_written_also_after_violations() -> None:
    tests, kept = (step for step in AZURE.document["steps"] if step.get("task", "").startswith("Publish"))
    staging = "$(Build.ArtifactStagingDirectory)"
    written = {file.replace("$BUILD_ARTIFACTSTAGINGDIRECTORY", staging) for file in AZURE.reports.values()}

    assert tests["inputs"]["testResultsFiles"] in written
    assert all(file.startswith(kept["inputs"]["targetPath"]) for file in written)
    assert {tests["condition"], kept["condition"]} == {"succeededOrFailed()"}


def test_jenkins_keeps_the_files_that_are_written_whatever_the_result() -> None:
    text = JENKINS.path.read_text(encoding="utf-8")
    always = text.partition("always {")[2]

    assert all(file in always for file in JENKINS.reports.values())
    assert "returnStatus: true" in text
    for opening, closing in ("{}", "()", "[]"):
        assert text.count(opening) == text.count(closing)


def test_every_example_is_one_of_those_that_are_tested() -> None:
    assert {path.name for path in CI.iterdir()} == {*(one.file for one in ALL), ".pre-commit-config.yaml"}
