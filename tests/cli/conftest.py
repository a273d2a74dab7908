"""The command, run in a place of its own."""

from __future__ import annotations

import gc
import io
import json
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from aksp.catalog.folder import is_bundled
from aksp.catalog.interface import Assignable
from aksp.cli import assigning
from aksp.cli.app import main
from aksp.cli.commands import assign
from aksp.engine import Engine, PolicyFault
from aksp.kube import config
from aksp.kube.fetch import Backoff
from aksp.model.definition import RegoModule
from aksp.store import cluster
from tests.store.objects import Objects


@dataclass(frozen=True)
class Run:
    """What a command did."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def states(self) -> list[tuple[str, str]]:
        """Resources and states of a report in JSON."""
        return [(result["resource"]["name"], result["state"]) for result in self.json["results"]]

    @property
    def gaps(self) -> list[str]:
        return [gap["message"] for gap in self.json["gaps"]]


class Compiler(Engine):
    """An engine that only compiles, and each text once: what it tells of one policy depends on no other."""

    def __init__(self) -> None:
        super().__init__()
        self._texts: dict[str, Sequence[RegoModule]] = {}

    def compile(self, policy: str, modules: Sequence[RegoModule]) -> list[PolicyFault]:
        if self._texts.get(policy) == modules:
            return []
        self._texts.pop(policy, None)
        faults = super().compile(policy, modules)
        if not faults:
            self._texts[policy] = modules
        return faults


@pytest.fixture(scope="session")
def compiler() -> Iterator[Engine]:
    with Compiler() as shared:
        yield shared


class Commands:
    """The commands of ``aksp assign`` for what comes with aksp, each made once: typer takes longer than most of them run."""

    def __init__(self) -> None:
        self._make = assign.command_of
        #: With each what it was made of, which so keeps its id.
        self._made: dict[int, tuple[Assignable, Any]] = {}

    def of(self, definition: Assignable) -> Any:
        if not is_bundled(definition):
            return self._make(definition)
        if id(definition) not in self._made:
            self._made[id(definition)] = definition, self._make(definition)
        return self._made[id(definition)][1]


@pytest.fixture(scope="session")
def commands() -> Commands:
    return Commands()


class _Stdin:
    def __init__(self, text: bytes) -> None:
        self.buffer = io.BytesIO(text)


class Aksp:
    """Runs commands in the current directory; the workspace is its folder ``ws``."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self.workspace = folder / "ws"
        self._capsys = capsys
        self._monkeypatch = monkeypatch

    def __call__(self, *arguments: str, stdin: str | bytes | None = None) -> Run:
        if stdin is not None:
            self._monkeypatch.setattr(sys, "stdin", _Stdin(stdin.encode() if isinstance(stdin, str) else stdin))
        self._capsys.readouterr()
        _make_workspace(arguments)
        code = main(arguments)
        captured = self._capsys.readouterr()
        return Run(code, captured.out, captured.err)

    def done(self, *arguments: str) -> Run:
        """A command that must succeed."""
        run = self(*arguments)
        assert run.code == 0, run.err
        return run

    def judge(self, *paths: str, **more: Any) -> Run:
        """``aksp compliance -f … -o json``."""
        given = [argument for path in paths for argument in ("-f", path)]
        return self("compliance", *given, "-o", "json", **more)

    def put(self, name: str, content: Any) -> str:
        """A file; other than text is written as JSON."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, bytes):
            path.write_bytes(content)
        else:
            path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
        return name


def _make_workspace(arguments: Sequence[str]) -> None:
    """Only what assigns makes the workspace that is named; for all else the test's own is there."""
    named = Path(os.environ.get("AKSP_WORKSPACE", ""))
    if named.name == "ws" and not named.exists() and arguments[:1] != ("assign",):
        named.mkdir()


@pytest.fixture(autouse=True)
def collector() -> Iterator[None]:
    """A command may switch the collector off for its process; this one has more to do."""
    yield
    gc.enable()


def unsynced(*given: Any, **more: Any) -> sqlite3.Connection:
    """A database that waits for no disk: no test cuts the power, and a first scan would wait nine times."""
    database: sqlite3.Connection = _connect(*given, **more)
    # Whoever uses one that is damaged or locked finds that out.
    with suppress(sqlite3.Error):
        database.execute("PRAGMA synchronous = OFF")
    return database


_connect = sqlite3.connect


@pytest.fixture
def aksp(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    compiler: Engine,
    commands: Commands,
) -> Aksp:
    home = tmp_path / "home"
    home.mkdir()
    for name in ("HOME", "USERPROFILE", "XDG_DATA_HOME"):
        monkeypatch.setenv(name, str(home))
    for name in list(os.environ):
        if name.startswith(("KUBE", "AKSP_", "CLICOLOR")) or name in ("NO_COLOR", "FORCE_COLOR", "COLUMNS"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("AKSP_WORKSPACE", str(tmp_path / "ws"))
    # Summaries for Azure DevOps stay there.
    monkeypatch.setenv("AGENT_TEMPDIRECTORY", str(home))
    # A cluster that is not there is asked again at once; tests/kube has when.
    monkeypatch.setattr(Backoff, "pause", lambda *_: 0.0)
    # `aksp assign`, by which most tests begin, judges nothing: an engine for each took a fifth of their processor time.
    monkeypatch.setattr(assigning, "Engine", lambda: nullcontext(compiler))
    monkeypatch.setattr(assign, "command_of", commands.of)
    monkeypatch.setattr(sqlite3, "connect", unsynced)
    monkeypatch.chdir(tmp_path)
    return Aksp(tmp_path, capsys, monkeypatch)


class Process:
    """The real command, in the same place."""

    def __init__(self) -> None:
        self.running: list[subprocess.Popen[bytes]] = []

    def start(self, *arguments: str, **more: Any) -> subprocess.Popen[bytes]:
        _make_workspace(arguments)
        ignored = more.pop("ignored", ())

        def dispositions() -> None:
            # A shell's background jobs ignore Ctrl-C, and so would what they start.
            signal.signal(signal.SIGINT, signal.default_int_handler)
            for number in ignored:
                signal.signal(number, signal.SIG_IGN)

        environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), **more.pop("environment", {})}
        one = subprocess.Popen(
            [sys.executable, "-m", "aksp", *arguments],
            stdout=more.pop("stdout", subprocess.PIPE), stderr=subprocess.PIPE, env=environment,
            preexec_fn=dispositions,
            **more,
        )  # fmt: skip
        self.running.append(one)
        return one

    def __call__(self, *arguments: str, **more: Any) -> Run:
        one = self.start(*arguments, **more)
        out, err = one.communicate(timeout=60)
        return Run(one.returncode, out.decode(), err.decode())


@pytest.fixture
def process(aksp: Aksp) -> Iterator[Process]:
    processes = Process()
    yield processes
    for one in processes.running:
        if one.poll() is None:
            one.kill()
        one.wait()
        for pipe in (one.stdin, one.stdout, one.stderr):
            if pipe is not None:
                pipe.close()


def pod(
    name: str = "web", *, privileged: bool = False, image: str = "contoso.azurecr.io/web:1", **more: Any
) -> dict[str, Any]:
    container = {"name": "web", "image": image, "securityContext": {"privileged": privileged}}
    metadata = {"name": name, **more.pop("metadata", {})}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {"containers": [container], **more}}


def kubeconfig(*contexts: str, current: str | None, server: str = "https://127.0.0.1:1") -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": current or "",
        "clusters": [{"name": "c", "cluster": {"server": server}}],
        "users": [{"name": "u", "user": {"token": "secret"}}],
        "contexts": [{"name": name, "context": {"cluster": "c", "user": "u"}} for name in contexts],
    }


def chosen(lines: Sequence[str], part: str) -> str:
    """The one line that has a part."""
    (line,) = [line for line in lines if part in line]
    return line


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Objects:
    """A cluster's custom resources, which commands find under any name."""
    objects = Objects()
    monkeypatch.setattr(cluster, "objects", objects)
    monkeypatch.setattr(config, "connect", objects.connect)
    return objects
