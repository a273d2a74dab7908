"""Every block of every page is held against what the code does: run, read, or named with the reason why not."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.docs.examples import Shell, compare, compare_golden, environment, run_all
from tests.docs.pages import PAGES, README, ROOT, Block, blocks, named, write_files

pytestmark = pytest.mark.slow

DOCS = ROOT / "docs"

#: Blocks that are neither run nor read: page, first line, and the reason.
NOT_RUN = {
    ("README.md", "make demo"): "sets up an environment of its own; tests/docs runs what it runs, examples/demo.sh",
    ("README.md", "pip install .            # the command"): "installs from a package index; `make wheel` does it",
    (
        "docs/addon.md",
        "docker build -t registry.example.com/aksp:0.1.0 .",
    ): "builds an image, and pushes it to a registry",
    ("docs/addon.md", "pip install '.[addon]'"): "installs from a package index; `make wheel` does it",
    (
        "docs/addon.md",
        "aksp addon run --context kind-test",
    ): "takes the ports 8443 and 8080; tests/e2e runs it on others",
    (
        "docs/gatekeeper.md",
        "aksp addon enable --engine gatekeeper --cluster prod --image registry.example.com/aksp:0.1.0",
    ): "needs a cluster with Gatekeeper; tests/e2e/test_gatekeeper_addon.py has one",
    (
        "docs/azure.md",
        """az policy definition list --query "[?policyType=='Custom']" -o json > azure/definitions.json""",
    ): "asks Azure; tests/azure has what az prints",
    (
        "docs/azure.md",
        """aksp export azure --scope-map "$(az aks show -g RG -n prod --query id -o tsv)=/clusters/prod" | jq -c '.value[]' | while read -r one; do""",
    ): "writes to Azure",
    (
        "docs/azure.md",
        "aksp compliance --cluster prod -o azure-policystates=states.json -o azure-componentpolicystates=components.json -o azure-summary",
    ): "needs a cluster; tests/report has what is written",
    (
        "docs/azure.md",
        """az policy state list --resource "$(az aks show -g RG -n prod --query id -o tsv)" --expand Components -o json > states.json""",
    ): "asks Azure; tests/cli/test_compare_azure.py has what it answers",
    ("docs/azure.md", "terraform show -json > azure/state.json"): "asks Terraform; tests/azure has what it prints",
    (
        "docs/architecture.md",
        "cluster: kube/lists                    files: sources/manifests           catalog, store",
    ): "a picture of the modules that a scan passes",
    ("docs/architecture.md", "API server: AdmissionReview"): "a picture of the modules that a review passes",
    (
        "docs/scopes.md",
        "aksp compliance --all-clusters -o table -o html=fleet.html",
    ): "needs several clusters; tests/e2e/test_live_fleet.py runs it on three",
    ("docs/definitions.md", ".aksp/definitions/"): "a tree of folders; the documents below it are put there",
    ("docs/assignments-and-exemptions.md", ".aksp/"): "a tree of folders; the documents below it are put there",
}
#: Pages of which no block is an example, and what makes them.
WRITTEN = {
    "docs/cli.md": "docs/reference.py, and test_cli_reference.py compares it",
    "bench/RESULTS.md": "bench/run.py, with the commands that it ran",
    **{
        named(page): "docs/catalogue.py, and test_catalogue.py compares it"
        for page in PAGES
        if page.parent == DOCS / "definitions"
    },
}


def repository(shell: Shell) -> None:
    """A repository with a workspace and the manifests of the quickstart, in the folders that the pages name."""
    for folder in ("deploy", "manifests"):
        shutil.copytree(ROOT / "examples" / "quickstart", shell.cwd / folder)
    run_all(
        shell,
        [
            "git init --quiet",
            "mkdir .aksp",
            "aksp assign allowed-images --registry contoso.azurecr.io",
            "aksp assign no-privileged",
        ],
    )


def empty_repository(shell: Shell) -> None:
    """A folder with an empty workspace."""
    run_all(shell, ["mkdir .aksp"])


#: Where the examples without a cluster are run: the pages in the checkout with an empty workspace, or elsewhere.
SETTINGS: dict[Path, Callable[[Shell], None] | None] = {
    README: None,
    DOCS / "definitions.md": None,
    DOCS / "azure.md": None,
    DOCS / "coming-from-kyverno.md": repository,
    DOCS / "gatekeeper.md": None,
    DOCS / "initiatives.md": None,
    DOCS / "baselines-and-history.md": repository,
    DOCS / "ci.md": repository,
    DOCS / "exemptions.md": repository,
    DOCS / "fix.md": repository,
    DOCS / "lint.md": repository,
    DOCS / "scopes.md": empty_repository,
}


@pytest.mark.skipif(shutil.which("bash") is None, reason="the examples are for a POSIX shell")
@pytest.mark.parametrize("page", SETTINGS, ids=named)
def test_examples_print_what_they_did_when_they_were_read(
    page: Path, request: pytest.FixtureRequest, forking: Path
) -> None:
    setting = SETTINGS[page]
    # Texts wrap by what is in them: a folder's name must not be longer in one place than in another.
    with tempfile.TemporaryDirectory(prefix="aksp", dir="/tmp") as name:
        folder = Path(name)
        variables = {"PATH": os.pathsep.join([str(forking), environment(folder)["PATH"]])}
        if setting is None:
            workspace = folder / "workspace"
            workspace.mkdir()
            write_files(page, workspace)
            variables["AKSP_WORKSPACE"] = str(workspace)
            with Shell(folder=folder, cwd=ROOT, variables=variables) as shell:
                compare(page, shell, request)
        else:
            (folder / "shop").mkdir()
            with Shell(folder=folder, cwd=folder / "shop", variables=variables) as shell:
                setting(shell)
                compare(page, shell, request)


@pytest.mark.skipif(shutil.which("bash") is None, reason="the demo is a bash script")
def test_the_demo_prints_what_it_did_when_it_was_read(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    with Shell(folder=tmp_path, cwd=ROOT, variables={}) as shell:
        ran = shell.run("examples/demo.sh")
    assert ran.code == 0, ran.err
    compare_golden("demo", ran.told(tmp_path), request)
    left = [path.name for path in tmp_path.iterdir() if path.suffix not in (".out", ".err")]
    assert left == [], "the demo left something behind"


def test_the_pages_that_are_run_are_those_that_have_examples() -> None:
    assert {page for page in PAGES for block in blocks(page) if block.runs and not block.cluster} == set(SETTINGS)


def test_every_block_is_run_or_read_or_named() -> None:
    loose = [
        block.head
        for page in PAGES
        for block in blocks(page)
        if named(page) not in WRITTEN and not (block.runs or block.printed or block.file or block.head in ELSEWHERE)
    ]
    assert sorted(loose) == sorted(NOT_RUN)


def test_pages_that_are_written_by_a_program_have_no_marks() -> None:
    found = {named(page): [block.mark for block in blocks(page)] for page in PAGES if named(page) in WRITTEN}
    assert found.keys() == WRITTEN.keys()
    assert not [name for name, marks in found.items() if any(marks)]


def test_every_mark_means_something() -> None:
    for page in PAGES:
        before: Block | None = None
        for block in blocks(page):
            assert not block.mark or block.runs or block.printed or block.file, f"{block.head}: {block.mark}"
            if block.runs:
                assert block.language == "sh", block.head
                assert len(block.steps) == len(block.text.splitlines()), block.head
                before = block
            if block.printed:
                assert before is not None, f"{block.head} is printed by nothing"


def test_the_hook_shown_is_one_that_pre_commit_takes(tmp_path: Path) -> None:
    block = read(DOCS / "ci.md", "- id: aksp-system")
    hooks = yaml.safe_load(block.text)
    known = {hook["id"] for hook in yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text(encoding="utf-8"))}
    assert {hook["id"] for hook in hooks} <= known
    config = yaml.safe_load((ROOT / "examples" / "ci" / ".pre-commit-config.yaml").read_text(encoding="utf-8"))
    config["repos"][0]["hooks"] = hooks
    path = tmp_path / ".pre-commit-config.yaml"
    path.write_text(yaml.safe_dump(config), encoding="utf-8")
    ran = subprocess.run(
        [sys.executable, "-m", "pre_commit", "validate-config", str(path)], capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_the_artifact_shown_is_that_of_the_pipeline_for_gitlab() -> None:
    shown = yaml.safe_load(read(DOCS / "report.md", "artifacts:").text)["artifacts"]
    (job,) = yaml.safe_load((ROOT / "examples" / "ci" / "gitlab-ci.yml").read_text(encoding="utf-8")).values()
    assert within(shown, job["artifacts"])


def within(part: Any, whole: Any) -> bool:
    """Whether all that one document has is in another."""
    if isinstance(part, dict):
        return isinstance(whole, dict) and all(key in whole and within(part[key], whole[key]) for key in part)
    return bool(part == whole)


#: Blocks that tests of their own read.
ELSEWHERE = {
    ("docs/ci.md", "- id: aksp-system"),
    ("docs/report.md", "artifacts:"),
    # tests/e2e/test_addon_port.py starts an API server with them.
    (
        "docs/addon.md",
        "# webhooks.kubeconfig: the user's name is the webhook's HOST where its port is 443, else HOST:PORT, or * for any",
    ),
    ("docs/addon.md", "# admission.yaml"),
    # tests/e2e/test_live_examples.py compares it with the log.
    (
        "docs/addon.md",
        '{"time": "2026-11-24T06:49:48.913Z", "level": "info", "logger": "aksp.refusals", "message": "[shop-images] …",',
    ),
}


def read(page: Path, first: str) -> Block:
    """The one block of a page that begins so."""
    assert (named(page), first) in ELSEWHERE
    (block,) = [block for block in blocks(page) if block.head[1] == first]
    return block
