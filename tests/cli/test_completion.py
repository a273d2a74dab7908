"""Shell completion, as the scripts of `aksp --show-completion` ask for it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from aksp.cli import completion
from tests.cli.conftest import Aksp, kubeconfig
from tests.examples import scripts

EKS = "arn:aws:eks:eu-west-1:1234:cluster/shop"
HOSTILE = ("my $(touch ran) `touch ran`", "\\$(touch ran) \\`touch ran\\`", '\\";touch ran;"', "it's;touch ran")

Complete = Callable[..., list[str]]
Shell = Callable[[str, str], str]
needs_bash = pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")


@pytest.fixture
def shell(aksp: Aksp, monkeypatch: pytest.MonkeyPatch) -> Shell:
    """Runs a script of a shell that finds aksp; what it prints."""
    monkeypatch.setenv("PATH", scripts.path(scripts.put(aksp.folder / "bin")))

    def run(name: str, script: str) -> str:
        options = {"zsh": ["-f", "-c"], "fish": ["--no-config", "-c"]}.get(name, ["--norc", "-c"])
        ran = subprocess.run([name, *options, script], capture_output=True, text=True, check=True, timeout=60)
        assert ran.stderr == ""
        return ran.stdout

    return run


@pytest.fixture(scope="module")
def script(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What aksp gives bash to source."""
    aksp = scripts.put(tmp_path_factory.mktemp("script")) / "aksp"
    environment = {**os.environ, "_AKSP_COMPLETE": "source_bash"}
    return subprocess.run([aksp], env=environment, capture_output=True, text=True, check=True).stdout


@pytest.fixture
def bash(script: str, shell: Shell, monkeypatch: pytest.MonkeyPatch) -> Complete:
    """What bash offers for the last of its words, through the script that aksp gives it."""

    def ask(*words: str) -> list[str]:
        monkeypatch.setenv("WORDS", "\n".join(words))
        return shell(
            "bash",
            f'{script}\nmapfile -t COMP_WORDS <<< "$WORDS"; '
            "COMP_CWORD=$(( ${#COMP_WORDS[@]} - 1 )); _aksp_completion aksp; printf '%s\\n' \"${COMPREPLY[@]}\"",
        ).splitlines()

    return ask


#: An `aksp` that has one answer, to one question: to start the real one takes most of the time.
ANSWERING = """#!/bin/sh
[ "$_AKSP_COMPLETE $COMP_CWORD $COMP_WORDS" = "complete_bash $ASKED_CWORD $ASKED_WORDS" ] || exit 1
printf %s "$ANSWER"
"""


@pytest.fixture
def complete(
    aksp: Aksp, bash: Complete, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Complete:
    """The same; aksp answers in this process."""
    program = aksp.folder / "bin" / "aksp"
    program.write_text(ANSWERING)

    def ask(*words: str) -> list[str]:
        asked, at = "\n".join(words), str(len(words) - 1)
        with monkeypatch.context() as patch:
            # It sets these itself as well, and hides rich.
            for name, value in (("_AKSP_COMPLETE", "complete_bash"), ("COMP_WORDS", asked), ("COMP_CWORD", at)):
                patch.setenv(name, value)
            patch.setitem(sys.modules, "rich", None)
            capsys.readouterr()
            assert completion.entry() == 0
        for name, value in (("ASKED_WORDS", asked), ("ASKED_CWORD", at), ("ANSWER", capsys.readouterr().out)):
            monkeypatch.setenv(name, value)
        return bash(*words)

    return ask


@pytest.fixture
def clusters(aksp: Aksp, monkeypatch: pytest.MonkeyPatch) -> None:
    aksp.put("kubeconfig", kubeconfig("prod", "test", EKS, current="prod"))
    monkeypatch.setenv("KUBECONFIG", "kubeconfig")


@needs_bash
@pytest.mark.usefixtures("clusters")
@pytest.mark.parametrize(
    "words",
    [
        ("aksp", "compliance", "--context", ""),
        ("aksp", "compliance", "--cluster", ""),
        ("aksp", "addon", "enable", "--cluster", ""),
        ("aksp", "assign", "no-privileged", "--cluster", ""),
        ("aksp", "sync", "--context", "", ),
    ],
    ids=" ".join,
)  # fmt: skip
def test_contexts_complete_wherever_a_cluster_is_named(words: tuple[str, ...], complete: Complete) -> None:
    assert complete(*words) == ["prod", "test", EKS]


@needs_bash
@pytest.mark.usefixtures("clusters")
def test_a_process_of_aksp_answers_bash(bash: Complete) -> None:
    assert bash("aksp", "compliance", "--context", "=", "arn", ":") == ["aws:eks:eu-west-1:1234:cluster/shop"]


@needs_bash
@pytest.mark.usefixtures("clusters")
def test_names_with_colons_complete_behind_the_last_colon_as_bash_wants(complete: Complete) -> None:
    assert complete("aksp", "compliance", "--context", "arn", ":", "aws", ":", "ek") == [
        "eks:eu-west-1:1234:cluster/shop"
    ]
    assert complete("aksp", "compliance", "--context", "arn", ":") == ["aws:eks:eu-west-1:1234:cluster/shop"]
    assert complete("aksp", "compliance", "--context", "=", "arn", ":", "a") == ["aws:eks:eu-west-1:1234:cluster/shop"]


@needs_bash
@pytest.mark.usefixtures("clusters")
def test_values_complete_behind_an_equals_sign(complete: Complete) -> None:
    assert complete("aksp", "compliance", "--cluster", "=", "pr") == ["prod"]
    assert complete("aksp", "compliance", "--output", "=", "cs") == ["csv"]


@needs_bash
def test_the_kubeconfig_of_the_option_counts(aksp: Aksp, complete: Complete) -> None:
    aksp.put("other", kubeconfig("elsewhere", current=None))

    assert complete("aksp", "compliance", "--kubeconfig", "other", "--context", "") == ["elsewhere"]


@needs_bash
@pytest.mark.parametrize("content", ["a: [", "[]", "contexts: 3", "\x00", "contexts: [{name: }]"])
def test_a_broken_kubeconfig_offers_nothing_and_says_nothing(
    content: str, aksp: Aksp, complete: Complete, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBECONFIG", aksp.put("kubeconfig", content))

    assert complete("aksp", "compliance", "--context", "") == [""]


@needs_bash
def test_assignments_of_the_workspace_complete(aksp: Aksp, complete: Complete) -> None:
    aksp.done("assign", "no-privileged", "--name", "shop-privileged")
    aksp.done("assign", "https-ingress")
    aksp.done("assign", "https-ingress", "--workspace", "other", "--name", "elsewhere")

    assert complete("aksp", "assignments", "show", "") == ["https-ingress", "shop-privileged"]
    assert complete("aksp", "assignments", "delete", "shop") == ["shop-privileged"]
    assert complete("aksp", "assignments", "show", "--workspace", "other", "") == ["elsewhere"]
    assert complete("aksp", "assignments", "show", "--store", "cluster", "") == [""]


@needs_bash
def test_a_broken_workspace_offers_what_comes_with_aksp_and_says_nothing(aksp: Aksp, complete: Complete) -> None:
    aksp.put("ws/assignments/broken.yaml", "a: [")
    aksp.put("ws/definitions/broken/definition.json", "{")

    assert complete("aksp", "assignments", "show", "") == [""]
    assert complete("aksp", "definitions", "show", "no-privileg") == ["no-privilege-escalation", "no-privileged"]
    assert complete("aksp", "assign", "no-privileged") == ["no-privileged"]
    assert complete("aksp", "definitions", "--kind", "In") == ["Ingress", "IngressClass"]


@needs_bash
def test_definitions_and_the_values_of_their_parameters_complete(complete: Complete) -> None:
    assert complete("aksp", "assign", "allowed-s") == ["allowed-service-ports", "allowed-sysctls"]
    assert complete("aksp", "definitions", "show", "required-l") == ["required-labels"]
    assert complete("aksp", "definitions", "--kind", "P") == [
        "Pod",
        "PodDisruptionBudget",
        "PodSecurityPolicy",
        "PriorityClass",
        "PriorityLevelConfiguration",
    ]
    assert complete("aksp", "assign", "allowed-images", "--effect", "") == [
        "EnforceRegoPolicy", "Deny", "Audit", "Warn", "Disabled",
    ]  # fmt: skip
    assert complete("aksp", "assign", "allowed-images", "--enforcement-mode", "Do") == ["DoNotEnforce"]
    assert "--registry" in complete("aksp", "assign", "allowed-images", "--re")


@needs_bash
def test_a_value_with_a_space_is_one_word_to_bash(complete: Complete) -> None:
    assert complete("aksp", "definitions", "--category", "K") == ["Kubernetes", "Kubernetes\\ service"]


@needs_bash
def test_every_format_completes_and_its_file_is_left_to_the_shell(complete: Complete) -> None:
    from aksp.report.registry import FORMATS

    assert complete("aksp", "compliance", "-o", "") == [*FORMATS, "ci"]
    assert complete("aksp", "compliance", "-o", "json", "=") == [""]
    assert complete("aksp", "compliance", "-o", "json", "=", "re") == [""]


@needs_bash
def test_a_hostile_name_runs_nothing_in_bash(aksp: Aksp, complete: Complete, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECONFIG", aksp.put("kubeconfig", kubeconfig(*HOSTILE, "two\nlines", current=None)))
    offered = complete("aksp", "compliance", "--context", "")

    assert len(offered) == len(HOSTILE)
    for name, word in zip(HOSTILE, offered, strict=True):
        # What is inserted means the name to the shell, and nothing else.
        assert subprocess.run(["bash", "-c", f"printf %s {word}"], capture_output=True, text=True).stdout == name
    assert not Path("ran").exists()


#: The parts of zsh's completion system that aksp's script calls: what it would offer is printed.
ZSH = """
compdef() { : }
_arguments() { local list=${${1#*: :\\(}%\\)}; eval "offered=$list"; print -rl -- $offered }
source <(_AKSP_COMPLETE=source_zsh aksp)
"""


@pytest.mark.skipif(shutil.which("zsh") is None, reason="needs zsh")
def test_zsh_shows_names_with_what_they_are_and_runs_nothing(
    aksp: Aksp, shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBECONFIG", aksp.put("kubeconfig", kubeconfig("prod", *HOSTILE, current="prod")))
    offered = shell("zsh", f'{ZSH} words=(aksp compliance --context ""); CURRENT=4; _aksp_completion').splitlines()

    assert offered[0] == "prod:the current context"
    assert len(offered) == 1 + len(HOSTILE)
    assert not Path("ran").exists()


def test_no_backslash_of_a_name_reaches_the_script_of_zsh(aksp: Aksp, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where there is no zsh: its script evaluates what comes, so `\\$(` must not come as `\\\\$(`."""
    monkeypatch.setenv("KUBECONFIG", aksp.put("kubeconfig", kubeconfig("\\$(touch ran)", EKS, current=None)))
    asked = {**os.environ, "_AKSP_COMPLETE": "complete_zsh", "_TYPER_COMPLETE_ARGS": "aksp compliance --context "}
    out = subprocess.run([scripts.put(aksp.folder / "bin") / "aksp"], env=asked, capture_output=True, text=True).stdout

    assert '"\\$(touch ran)"' in out
    assert f'"{EKS.replace(":", chr(92) * 2 + ":")}"' in out


@pytest.mark.skipif(shutil.which("fish") is None, reason="needs fish")
def test_fish_shows_names_with_what_they_are(aksp: Aksp, shell: Shell) -> None:
    source = "_AKSP_COMPLETE=source_fish aksp | source; "

    assert shell("fish", f"{source} complete -C 'aksp assign no-'").startswith("no-privileged\tDo not allow privileged")
    # One line a value: a help that is broken over lines would be two values.
    lines = shell("fish", f"{source} complete -C 'aksp compliance --'").splitlines()
    assert all(line.startswith("--") for line in lines)


@pytest.mark.parametrize("name", ["bash", "zsh", "fish", "powershell"])
def test_every_shell_gets_its_script(name: str, aksp: Aksp) -> None:
    environment = {**os.environ, "_AKSP_COMPLETE": f"source_{name}"}
    command = [str(scripts.put(aksp.folder / "bin") / "aksp")]
    ran = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)

    assert "_AKSP_COMPLETE" in ran.stdout
    assert ran.stderr == ""


@pytest.mark.parametrize("asked", ["complete_bash", "complete_nothing", "nonsense", ""])
def test_nonsense_is_answered_with_silence(asked: str, aksp: Aksp) -> None:
    environment = {**os.environ, "_AKSP_COMPLETE": asked, "COMP_CWORD": "x"}
    ran = subprocess.run([scripts.put(aksp.folder / "bin") / "aksp"], env=environment, capture_output=True, text=True)

    assert "Traceback" not in ran.stderr
    assert ran.stderr == "" or not asked


def test_a_key_press_imports_nothing_heavy(aksp: Aksp, monkeypatch: pytest.MonkeyPatch) -> None:
    program = (
        "import sys; sys.argv = ['aksp']; from aksp.cli.completion import entry; entry(); "
        "print(json.dumps([n for n in ('kubernetes', 'urllib3', 'jsonschema') if n in sys.modules]))"
    )
    asked = {
        "PYTHONPATH": str(scripts.ROOT),
        "KUBECONFIG": aksp.put("kubeconfig", kubeconfig("prod", current="prod")),
        "_AKSP_COMPLETE": "complete_bash",
        "COMP_WORDS": "aksp\ncompliance\n--context\n",
        "COMP_CWORD": "3",
    }
    ran = subprocess.run(
        [sys.executable, "-c", f"import json; {program}"], env={**os.environ, **asked}, capture_output=True, text=True
    )

    assert ran.stdout.splitlines() == ["prod", json.dumps([])]
