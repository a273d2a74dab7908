"""`kubectl aksp`: the plugin by itself, and by kubectl where there is one."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.cli.conftest import Aksp, Run, kubeconfig, pod
from tests.examples import scripts


class Programs:
    """The programs on PATH."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment = {**os.environ, "PATH": scripts.path(folder)}

    def __call__(self, *command: str) -> Run:
        # Found as a shell does: by the PATH that the program is given.
        found = shutil.which(command[0], path=self.environment["PATH"])
        assert found is not None, command[0]
        ran = subprocess.run(
            [found, *command[1:]], env=self.environment, capture_output=True, text=True, timeout=60, check=False
        )
        return Run(ran.returncode, ran.stdout, ran.stderr)


@pytest.fixture
def programs(aksp: Aksp) -> Programs:
    return Programs(scripts.put(aksp.folder / "bin"))


CALLERS = pytest.mark.parametrize(
    "caller",
    [
        ["kubectl-aksp"],
        pytest.param(
            ["kubectl", "aksp"], marks=pytest.mark.skipif(shutil.which("kubectl") is None, reason="needs kubectl")
        ),
    ],
    ids=" ".join,
)


@CALLERS
def test_it_judges_as_aksp_does(caller: list[str], aksp: Aksp, programs: Programs) -> None:
    aksp.done("assign", "no-privileged")
    path = aksp.put("pod.json", pod("bad", privileged=True))
    run = programs(*caller, "compliance", "-f", path, "-o", "json")

    assert run.code == 1
    assert run.states == [("bad", "NonCompliant")]


@CALLERS
def test_usage_names_the_command_that_was_typed(caller: list[str], programs: Programs) -> None:
    assert programs(*caller, "--help").out.startswith("Usage: kubectl aksp [OPTIONS] COMMAND")
    assert programs(*caller, "assign", "no-privileged", "-h").out.startswith("Usage: kubectl aksp assign no-privileged")

    wrong = programs(*caller, "compliance", "--wrong")
    assert wrong.code == 2 or caller[0] == "kubectl"
    assert "Usage: kubectl aksp compliance" in wrong.err
    assert "see kubectl aksp compliance --help" in wrong.err


def test_it_offers_no_completion_script_since_kubectl_has_one(programs: Programs) -> None:
    assert "-completion" not in programs("kubectl-aksp", "--help").out
    assert programs("kubectl-aksp", "--install-completion").code == 2


def test_without_a_subcommand_both_print_their_help(programs: Programs) -> None:
    for name, shown in (("aksp", "aksp"), ("kubectl-aksp", "kubectl aksp")):
        run = programs(name)
        assert (run.code, run.out) == (2, "")
        assert run.err == programs(name, "--help").out
        assert f"Usage: {shown} [OPTIONS]" in run.err


@pytest.mark.parametrize(
    ("typed", "offered", "directive"),
    [
        (("compl",), ["compliance", "completion"], ":4"),
        (("compliance", "--context", ""), ["prod", "a name", "a:b"], ":4"),
        (("compliance", "--context=pr",), ["prod"], ":4"),
        (("compliance", "-o", "ya"), ["yaml"], ":4"),
        (("assignments", "show", ""), ["no-privileged"], ":4"),
        (("compliance", "-f", ""), [], ":0"),
        (("nonsense", ""), None, None),
    ],
)  # fmt: skip
def test_completion_speaks_the_language_of_kubectl(
    typed: tuple[str, ...], offered: list[str] | None, directive: str | None, aksp: Aksp, programs: Programs
) -> None:
    aksp.done("assign", "no-privileged")
    programs.environment["KUBECONFIG"] = aksp.put("kubeconfig", kubeconfig("prod", "a name", "a:b", current="prod"))
    run = programs("kubectl_complete-aksp", *typed)
    *lines, last = run.out.splitlines()

    assert (run.code, run.err) == (0, "")
    if offered is not None:
        assert [line.partition("\t")[0] for line in lines] == offered
        assert last == directive
    assert last in (":0", ":4")


@pytest.mark.skipif(shutil.which("kubectl") is None, reason="needs kubectl")
def test_kubectl_itself_completes_the_plugin(aksp: Aksp, programs: Programs) -> None:
    programs.environment["KUBECONFIG"] = aksp.put("kubeconfig", kubeconfig("prod", "test", current="prod"))
    run = programs("kubectl", "__complete", "aksp", "compliance", "--context", "")

    assert run.out.splitlines() == ["prod\tthe current context", "test\tcluster c", ":4"]


@pytest.mark.parametrize("content", ["a: [", "contexts: 3"])
def test_a_broken_kubeconfig_is_no_matter_for_completion(content: str, aksp: Aksp, programs: Programs) -> None:
    programs.environment["KUBECONFIG"] = aksp.put("kubeconfig", content)
    run = programs("kubectl_complete-aksp", "compliance", "--context", "")

    assert (run.code, run.out, run.err) == (0, ":0\n", "")
