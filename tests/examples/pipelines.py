"""The pipeline files of examples/ci: the shell commands in them, and what runs such commands."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import yaml

from tests.examples import scripts

CI = scripts.ROOT / "examples" / "ci"
#: What pip installs in the examples, as a user may set it.
PACKAGE = "aksp.whl"


@dataclass(frozen=True, kw_only=True, slots=True)
class Pipeline:
    """A pipeline file, the variables that its CI system sets, and how that runs a step."""

    file: str
    schema: str
    variables: Mapping[str, str]
    shell: tuple[str, ...]
    options: tuple[str, ...] = field(default=())

    @property
    def path(self) -> Path:
        return CI / self.file

    @property
    def document(self) -> Any:
        return yaml.safe_load(self.path.read_text(encoding="utf-8"))

    @property
    def commands(self) -> list[str]:
        """The shell commands, in their order."""
        if self.file == "Jenkinsfile":
            text = self.path.read_text(encoding="utf-8")
            return re.findall(r"(?:\bsh |script: )'([^'\n]+)'", text)
        return list(_commands(self.document))

    @property
    def judging(self) -> str:
        """The one command that judges."""
        (found,) = [command for command in self.commands if "aksp compliance" in command]
        # Jenkins has an environment of its own, in which the test installs nothing.
        return found.replace(".venv/bin/aksp", "aksp")

    @property
    def reports(self) -> dict[str, str]:
        """The files that it writes, by format, as the shell would see them."""
        words = shlex.split(self.judging)
        outputs = [word for before, word in pairwise(words) if before == "-o"]
        return {name: file for name, _, file in (output.partition("=") for output in outputs) if file}


def _commands(node: Any) -> Iterator[str]:
    """What stands under run, bash and script, anywhere in a document."""
    if isinstance(node, list):
        for one in node:
            yield from _commands(one)
    elif isinstance(node, dict):
        for key, value in node.items():
            if key in ("run", "bash", "script"):
                yield from [value] if isinstance(value, str) else value
            else:
                yield from _commands(value)


GITHUB = Pipeline(
    file="github-actions.yml",
    schema="vendor.github-workflows",
    variables={"GITHUB_ACTIONS": "true", "GITHUB_WORKSPACE": ".", "GITHUB_STEP_SUMMARY": "summary.md"},
    shell=("bash", "-e", "-c"),
)
GITLAB = Pipeline(
    file="gitlab-ci.yml",
    schema="vendor.gitlab-ci",
    variables={"GITLAB_CI": "true", "CI_PROJECT_DIR": "."},
    shell=("bash", "-eo", "pipefail", "-c"),
    options=("--data-transform", "gitlab-ci"),
)
AZURE = Pipeline(
    file="azure-pipelines.yml",
    schema="vendor.azure-pipelines",
    variables={"TF_BUILD": "True", "BUILD_SOURCESDIRECTORY": ".", "BUILD_ARTIFACTSTAGINGDIRECTORY": "staging"},
    shell=("bash", "--noprofile", "--norc", "-c"),
    # A pattern of this schema is no regular expression with the flag u.
    options=("--data-transform", "azure-pipelines", "--regex-variant", "nonunicode"),
)
JENKINS = Pipeline(
    file="Jenkinsfile", schema="", variables={"JENKINS_URL": "http://localhost/"}, shell=("sh", "-xe", "-c")
)
ALL = (GITHUB, GITLAB, AZURE, JENKINS)


class Repository:
    """A repository as the examples describe it: a workspace in .aksp, and manifests."""

    def __init__(self, folder: Path, programs: Path) -> None:
        """``programs``: a folder with aksp."""
        self.folder = folder / "repository"
        self._bin = programs
        self._home = folder / "home"
        self._home.mkdir()
        shutil.copytree(scripts.ROOT / "examples" / "quickstart", self.folder / "manifests")
        (self.folder / ".aksp").mkdir()
        (self.folder / "staging").mkdir()

    def run(self, *command: str, variables: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        """A command in the repository, with the variables of a CI system and no others of ours."""
        given = dict(variables or {})
        for name, value in given.items():
            if value == "." or name in ("GITHUB_STEP_SUMMARY", "BUILD_ARTIFACTSTAGINGDIRECTORY"):
                given[name] = str(self.folder / value) if value != "." else str(self.folder)
        environment = {
            "PATH": scripts.path(self._bin),
            "HOME": str(self._home),
            "LC_ALL": "C.UTF-8",
            "CI": "true",
            "AKSP_PACKAGE": PACKAGE,
            **given,
        }
        for name in ("TMPDIR", "SYSTEMROOT"):
            if name in os.environ:
                environment[name] = os.environ[name]
        return subprocess.run(
            command, cwd=self.folder, env=environment, capture_output=True, text=True, timeout=120, check=False
        )

    def assign(self, *arguments: str) -> None:
        done = self.run("aksp", "assign", *arguments)
        assert done.returncode == 0, done.stderr

    def judge(self, pipeline: Pipeline) -> subprocess.CompletedProcess[str]:
        """The command of the pipeline that judges, as the CI system runs it."""
        return self.run(*pipeline.shell, pipeline.judging, variables=pipeline.variables)

    def report(self, file: str) -> Path:
        """A report that the pipeline wrote."""
        return self.folder / file.replace("$BUILD_ARTIFACTSTAGINGDIRECTORY", "staging")
