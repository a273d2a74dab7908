"""The aksp command as its users meet it: arguments, streams and an exit code."""

from __future__ import annotations

import contextlib
import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from aksp.cli.app import main
from tests.waiting import PATIENCE

_KEPT = ("PATH", "LANG", "LC_ALL", "TMPDIR", "SYSTEMROOT", "AKSP_ENGINE", "VIRTUAL_ENV")
"""Variables of the test run that the command sees; no credentials, no workspace, no CI are among them."""

Report = dict[str, Any]


def _heed_interrupts() -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@dataclass(frozen=True, kw_only=True)
class Ended:
    """A run that has ended."""

    code: int
    stdout: str
    stderr: str
    seconds: float

    @property
    def report(self) -> Report:
        """Standard output as one JSON document; fails with standard error when it is none."""
        try:
            document = json.loads(self.stdout)
        except ValueError:
            raise AssertionError(f"no report, exit {self.code}: {self.stdout[:2000]}\n{self.stderr}") from None
        assert isinstance(document, dict)
        return document


@dataclass(frozen=True, kw_only=True)
class Started:
    """A run under way, in a process group of its own as a shell gives it."""

    process: subprocess.Popen[str]
    began: float

    def interrupt(self) -> None:
        """Ctrl-C: the terminal signals the whole group."""
        os.killpg(self.process.pid, signal.SIGINT)

    def wait(self, seconds: float = PATIENCE) -> Ended:
        """The end; a run that takes longer is killed, and that is a failure."""
        try:
            out, err = self.process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            out, err = self.process.communicate()
            raise AssertionError(f"still running after {seconds:g} s: {out[:2000]}\n{err}") from None
        return _proper(self.process.returncode, out, err or "", self.began)


@dataclass(frozen=True, kw_only=True)
class Aksp:
    """aksp with a home and a workspace of its own, and perhaps a kubeconfig.

    `run` starts a process of its own, unless `within` this one will do: what is looked at is then what the command
    judges, and two thirds of the time are saved.
    """

    folder: Path
    kubeconfig: Path | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    within: bool = False

    @property
    def workspace(self) -> Path:
        return self.folder / "workspace"

    def assign(
        self, definition: str, name: str | None = None, *, scope: str = "/", parameters: Mapping[str, Any] | None = None,
        **spec: Any,
    ) -> None:  # fmt: skip
        """Writes an assignment; faster than the command, which other tests run."""
        values = {key: {"value": value} for key, value in (parameters or {}).items()}
        document = {"policyDefinitionId": definition, "scope": scope, "parameters": values, **spec}
        self._write("assignments", "PolicyAssignment", name or definition, document)

    def exempt(self, name: str, assignment: str, **spec: Any) -> None:
        """Writes an exemption by hand, as users do."""
        document = {"policyAssignmentId": assignment, "exemptionCategory": "Waiver", **spec}
        self._write("exemptions", "PolicyExemption", name, document)

    def start(
        self, *arguments: str, kubeconfig: Path | None = None, stderr: int = subprocess.PIPE,
        stdout: int = subprocess.PIPE, stdin: int = subprocess.DEVNULL,
    ) -> Started:  # fmt: skip
        """Starts a command."""
        began = time.monotonic()
        process = subprocess.Popen(
            # An unclosed file or socket of ours shows on standard error, where wait() looks.
            [sys.executable, "-W", "always::ResourceWarning", "-m", "aksp", *arguments],
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            text=True,
            encoding="utf-8",
            cwd=self._home(),
            env=self._environment(kubeconfig or self.kubeconfig),
            start_new_session=True,
            # A CI runner that starts us in the background leaves SIGINT ignored, and children inherit that.
            preexec_fn=_heed_interrupts,
        )
        return Started(process=process, began=began)

    def run(self, *arguments: str, kubeconfig: Path | None = None, seconds: float = PATIENCE) -> Ended:
        """Runs a command to its end."""
        if self.within:
            return self._here(arguments, kubeconfig or self.kubeconfig)
        return self.start(*arguments, kubeconfig=kubeconfig).wait(seconds)

    def judge(self, *arguments: str, kubeconfig: Path | None = None, seconds: float = PATIENCE) -> Ended:
        """`aksp compliance -o json`."""
        return self.run("compliance", "-o", "json", *arguments, kubeconfig=kubeconfig, seconds=seconds)

    def table(self, *arguments: str, kubeconfig: Path | None = None) -> Ended:
        """`aksp compliance` with the table that people read."""
        return self.run("compliance", *arguments, kubeconfig=kubeconfig)

    def _here(self, arguments: Sequence[str], kubeconfig: Path | None) -> Ended:
        began = time.monotonic()
        out, err = io.StringIO(), io.StringIO()
        wanted = self._environment(kubeconfig)
        with pytest.MonkeyPatch.context() as patch:
            for name in os.environ.keys() - wanted.keys():
                patch.delenv(name)
            for name, value in wanted.items():
                patch.setenv(name, value)
            patch.chdir(self._home())
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
                code = main(arguments)
        return _proper(code, out.getvalue(), err.getvalue(), began)

    def _home(self) -> Path:
        home = self.folder / "home"
        home.mkdir(parents=True, exist_ok=True)
        return home

    def _environment(self, kubeconfig: Path | None) -> dict[str, str]:
        kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
        root = Path(__file__).parents[2]
        self.workspace.mkdir(parents=True, exist_ok=True)
        own = {"HOME": str(self._home()), "AKSP_WORKSPACE": str(self.workspace), "PYTHONPATH": str(root)}
        if kubeconfig is not None:
            own["KUBECONFIG"] = str(kubeconfig)
        return kept | own | dict(self.environment)

    def _write(self, folder: str, kind: str, name: str, spec: Mapping[str, Any]) -> None:
        path = self.workspace / folder / f"{name}.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        document = {
            "apiVersion": "policy.aksp.io/v1alpha1",
            "kind": kind,
            "metadata": {"name": name},
            "spec": dict(spec),
        }
        path.write_text(yaml.safe_dump(document), encoding="utf-8")


def _proper(code: int, stdout: str, stderr: str, began: float) -> Ended:
    """The end of a run, in which nothing went wrong that must never go wrong."""
    for word in ("Traceback", "this is a bug in aksp", "ResourceWarning", "Exception ignored"):
        assert word not in stderr, stderr
    return Ended(code=code, stdout=stdout, stderr=stderr, seconds=time.monotonic() - began)


def violations(report: Report, **wanted: str) -> list[tuple[str, str]]:
    """(resource name, container name or "-") of the NonCompliant results, those of a `kind`, `assignment`, `namespace`."""
    found = []
    for result in report["results"]:
        facts = {**result["resource"], "assignment": result["assignment"]}
        if result["state"] == "NonCompliant" and all(facts[key] == value for key, value in wanted.items()):
            found.append((result["resource"]["name"], (result["container"] or {"name": "-"})["name"]))
    return found


def judged(report: Report) -> int:
    """How many resources the report counts, in whatever state."""
    counts: Mapping[str, int] = report["counts"]["resources"]
    return sum(counts.values())


def state_of(report: Report, assignment: str) -> tuple[str, int]:
    """An assignment's state, and how many resources it judged."""
    (line,) = [each for each in report["assignments"] if each["name"] == assignment]
    return line["state"], sum(line["counts"]["resources"].values())


def reasons(report: Report) -> Sequence[str]:
    """The reasons of the gaps."""
    return [gap["reason"] for gap in report["gaps"]]
