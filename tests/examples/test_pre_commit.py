"""The hooks for pre-commit, run by pre-commit itself in a repository of their own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.examples import scripts
from tests.examples.pipelines import CI

HOOKS = scripts.ROOT / ".pre-commit-hooks.yaml"
CONFIG = CI / ".pre-commit-config.yaml"
GOOD = "apiVersion: v1\nkind: Pod\nmetadata: {name: good}\nspec: {containers: [{name: web, image: contoso/web}]}\n"
BAD = GOOD.replace("good", "bad").replace("image:", "securityContext: {privileged: true}, image:")

pytestmark = [pytest.mark.slow, pytest.mark.skipif(shutil.which("git") is None, reason="needs git")]


class Git:
    """A repository with the hook of the example, and aksp on PATH."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "shop"
        self._environment = {
            "PATH": scripts.path(scripts.put(folder / "bin")),
            "HOME": str(folder),
            "PRE_COMMIT_HOME": str(folder / "cache"),
            "GIT_CONFIG_NOSYSTEM": "1",
            **{
                f"GIT_{who}_{what}": f"{what}@example.com"
                for who in ("AUTHOR", "COMMITTER")
                for what in ("NAME", "EMAIL")
            },
            **{name: os.environ[name] for name in ("TMPDIR", "SYSTEMROOT") if name in os.environ},
        }
        source = folder / "aksp"
        source.mkdir()
        shutil.copy(HOOKS, source)
        self("git", "init", "--quiet", "--initial-branch=main", folder=source)
        self("git", "add", ".", folder=source)
        self("git", "commit", "--quiet", "--message=hooks", folder=source)
        revision = self("git", "rev-parse", "HEAD", folder=source).stdout.strip()
        self.folder.mkdir()
        self("git", "init", "--quiet", "--initial-branch=main")
        config = CONFIG.read_text(encoding="utf-8")
        # As a user fills it in; aksp is installed here.
        for placeholder, value in (
            ("AKSP-REPOSITORY", str(source)),
            ("AKSP-REVISION", revision),
            ("id: aksp", "id: aksp-system"),
        ):
            assert config.count(placeholder) == 1
            config = config.replace(placeholder, value)
        self.put(".pre-commit-config.yaml", config)
        (self.folder / ".aksp").mkdir()
        self("aksp", "assign", "no-privileged")
        self(sys.executable, "-m", "pre_commit", "install")

    def __call__(
        self, *command: str, folder: Path | None = None, code: int | None = 0
    ) -> subprocess.CompletedProcess[str]:
        ran = subprocess.run(
            command, cwd=folder or self.folder, env=self._environment, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=120, check=False,
        )  # fmt: skip
        assert code is None or ran.returncode == code, ran.stdout
        return ran

    def put(self, name: str, text: str) -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

    def commit(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        self("git", "add", "--all")
        return self("git", "commit", "--message=change", *arguments, code=None)


@pytest.fixture
def git(tmp_path: Path) -> Git:
    return Git(tmp_path)


@pytest.mark.parametrize(("command", "path"), [("validate-manifest", HOOKS), ("validate-config", CONFIG)])
def test_the_files_are_valid_to_pre_commit(command: str, path: Path) -> None:
    ran = subprocess.run([sys.executable, "-m", "pre_commit", command, str(path)], capture_output=True, text=True)

    assert ran.returncode == 0, ran.stdout


def test_a_commit_of_what_does_not_comply_is_refused_and_told(git: Git) -> None:
    git.put("manifests/good.yaml", GOOD)
    git.put("manifests/bad.yaml", BAD)
    refused = git.commit()

    assert refused.returncode == 1
    assert "manifests/bad.yaml" in refused.stdout
    assert "no-privileged" in refused.stdout
    assert "Pod/good" not in refused.stdout


def test_a_commit_of_what_complies_passes(git: Git) -> None:
    git.put("manifests/good.yaml", GOOD)
    git.put("manifests/with a space.json", '{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}}')

    assert git.commit().returncode == 0


def test_only_changed_manifests_are_judged(git: Git) -> None:
    git.put("manifests/bad.yaml", BAD)
    git.put("compose.yaml", "services: {}\n")
    git("git", "add", "--all")
    git("git", "commit", "--quiet", "--no-verify", "--message=first")
    git.put("manifests/good.yaml", GOOD)
    git.put("values.yaml", "a: {{ .Values.a }}\n")

    assert git.commit().returncode == 0


def test_a_manifest_that_cannot_be_read_is_no_pass(git: Git) -> None:
    git.put("manifests/broken.yaml", "a: [")
    refused = git.commit()

    assert refused.returncode == 1
    assert "exit code: 4" in refused.stdout


def test_both_hooks_are_the_same_but_for_how_aksp_comes(git: Git) -> None:
    first, second = yaml.safe_load(HOOKS.read_text(encoding="utf-8"))
    for hook in (first, second):
        hook.pop("description")

    assert (first.pop("id"), first.pop("language")) == ("aksp", "python")
    assert (second.pop("id"), second.pop("language")) == ("aksp-system", "system")
    assert first == second
