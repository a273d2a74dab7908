"""Standard streams and files that cannot be written: exit 2 with a plain message, and nothing left behind."""

from __future__ import annotations

import io
import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from aksp.cli.app import main
from aksp.cli.root import command
from aksp.cli.streams import Output
from aksp.report.registry import FORMATS
from aksp.store.atomic_file import AtomicFile
from tests.cli.conftest import Aksp, Process, pod
from tests.waiting import until

pytestmark = pytest.mark.slow

BAD = pod("bad", privileged=True)
EVERY_FORMAT = pytest.mark.parametrize("form", list(FORMATS))


def commands(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The words of every command."""
    yield path
    for name, one in sorted(getattr(command, "commands", {}).items()):
        yield from commands(one, (*path, name))


@contextmanager
def broken(kind: str) -> Iterator[int]:
    """A descriptor that nothing can be written to."""
    if kind == "full":
        descriptor = os.open("/dev/full", os.O_WRONLY)
    elif kind == "closed":
        descriptor = os.open(os.devnull, os.O_RDONLY)
    else:
        reader, descriptor = os.pipe()
        os.close(reader)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


@pytest.fixture
def with_output(monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """Runs a command whose standard output cannot be written; its exit code."""

    def run(kind: str, *arguments: str, unbuffered: bool = False) -> int:
        with broken(kind) as descriptor, monkeypatch.context() as patch:
            below = io.FileIO(descriptor, "w", closefd=False)
            output: Any = below if unbuffered else io.BufferedWriter(below)
            stream = Output(io.TextIOWrapper(output, encoding="utf-8", write_through=unbuffered))
            patch.setattr(sys, "stdout", stream)
            with stream:
                return main(arguments)

    return run


WHY = {"full": "No space left on device", "closed": "it is closed"}


@pytest.mark.parametrize("unbuffered", [False, True])
@pytest.mark.parametrize("kind", ["full", "closed", "gone"])
@EVERY_FORMAT
def test_a_report_that_cannot_be_written_to_standard_output_is_told(
    form: str,
    kind: str,
    unbuffered: bool,
    aksp: Aksp,
    with_output: Callable[..., int],
    capsys: pytest.CaptureFixture[str],
) -> None:
    aksp.done("assign", "no-privileged")
    path = aksp.put("pod.json", BAD)
    code = with_output(
        kind,
        "compliance",
        "-f",
        path,
        "-o",
        form,
        "-o",
        "json=x.json" if form != "json" else "csv=x.csv",
        unbuffered=unbuffered,
    )
    err = capsys.readouterr().err
    if kind == "gone":
        other = "json" if form != "json" else "csv"
        assert (code, err) == (1, f"aksp: note: {other} written to x.{other}\n")
        assert list(aksp.folder.glob("x.*"))
    else:
        assert (code, err) == (2, f"aksp: error: standard output cannot be written: {WHY[kind]}\n")
    assert list(aksp.folder.glob(".*")) == []


@pytest.mark.parametrize("kind", ["full", "closed", "gone"])
@pytest.mark.parametrize("words", list(commands(command())), ids=" ".join)
def test_every_command_tells_that_its_output_cannot_be_written(
    words: tuple[str, ...], kind: str, aksp: Aksp, with_output: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    code = with_output(kind, *words, "--help")
    err = capsys.readouterr().err
    assert (code, err) == (
        (0, "") if kind == "gone" else (2, f"aksp: error: standard output cannot be written: {WHY[kind]}\n")
    )


@pytest.mark.parametrize("line", [
    "definitions", "definitions -o json", "definitions show no-privileged", "assignments", "assignments -o yaml",
    "assignments show no-privileged", "history", "history -o json", "explain no-privileged", "--version",
    "explain Pod/bad -f pod.json -o json", "explain Pod/bad -f pod.json", "assign no-privileged --dry-run",
    "assign no-privileged", "addon enable --dry-run --cluster-name c", "assignments delete no-privileged", "--show-completion",
])  # fmt: skip
def test_what_a_command_prints_is_printed_or_told(
    line: str,
    aksp: Aksp,
    with_output: Callable[..., int],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
) -> None:
    monkeypatch.setenv("_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION", "1")
    # typer reads it when the command is made.
    command.cache_clear()
    request.addfinalizer(command.cache_clear)
    aksp.done("assign", "no-privileged")
    aksp.judge(aksp.put("pod.json", BAD))
    words = line.split() if line != "--show-completion" else ["--show-completion", "bash"]
    assert aksp(*words).out
    if "delete" in line:
        aksp.done("assign", "no-privileged")
    assert with_output("full", *words) == 2
    assert capsys.readouterr().err.endswith("aksp: error: standard output cannot be written: No space left on device\n")


@pytest.mark.parametrize("encoding", ["ascii", "latin-1:strict", "utf-8"])
@pytest.mark.parametrize("line", [
    "assignments show no-privileged", "assignments -o yaml", "explain no-privileged", "compliance -f ü.json -o yaml",
])  # fmt: skip
def test_names_are_written_whole_whatever_the_encoding_of_the_locale(
    line: str, encoding: str, aksp: Aksp, process: Process
) -> None:
    name = "Größe \u56f3 …"
    aksp.done("assign", "no-privileged", "--display-name", name)
    aksp.put("ü.json", BAD)
    ran = process(*line.split(), environment={"PYTHONIOENCODING": encoding, "PYTHONUTF8": "1"})
    assert ran.code == (1 if "compliance" in line else 0), ran.err
    assert name in ran.out


@EVERY_FORMAT
def test_a_disk_that_is_full_leaves_the_file_before_and_nothing_else(
    form: str, aksp: Aksp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AGENT_TEMPDIRECTORY", str(aksp.folder))
    aksp.done("assign", "no-privileged")
    path = aksp.put("pod.json", BAD)
    aksp.put("report", "before")
    with limited(0):
        run = aksp("compliance", "-f", path, "-o", f"{form}=report", "--no-history")
    assert (run.code, run.out) == (2, "")
    assert run.err.endswith("aksp: error: report: the report cannot be written: File too large\n")
    assert Path("report").read_text() == "before"
    assert sorted(one.name for one in aksp.folder.iterdir()) == ["home", "pod.json", "report", "ws"]


@contextmanager
def limited(size: int) -> Iterator[None]:
    """No file of this process may have more bytes: what a full disk is, without one."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_all_outputs_are_removed_when_one_cannot_be_written(aksp: Aksp) -> None:
    aksp.done("assign", "no-privileged")
    path = aksp.put("pod.json", BAD)
    with limited(0):
        run = aksp("compliance", "-f", path, *(f"-o={form}={form}.out" for form in FORMATS), "--no-history")
    assert run.code == 2
    assert sorted(one.name for one in aksp.folder.iterdir()) == ["home", "pod.json", "ws"]


@pytest.mark.parametrize("written", ["assignment", "baseline"])
def test_a_document_that_cannot_be_written_stays_as_it_was(written: str, aksp: Aksp) -> None:
    aksp.done("assign", "no-privileged")
    path = aksp.put("pod.json", BAD)
    command = (
        ("assign", "no-privileged", "--effect", "Audit", "--replace")
        if written == "assignment"
        else ("compliance", "-f", path, "--write-baseline", "--baseline", "b.json", "--no-history")
    )
    file = (
        aksp.put("b.json", "before")
        if written == "baseline"
        else str(aksp.workspace / "assignments" / "no-privileged.yaml")
    )
    before = Path(file).read_text()
    with limited(10):
        run = aksp(*command)
    assert (run.code, "File too large" in run.err) == (2, True), run.err
    assert Path(file).read_text() == before
    assert list(aksp.folder.rglob(".*")) == []


def test_a_history_that_cannot_be_written_is_no_reason_to_fail(aksp: Aksp) -> None:
    aksp.done("assign", "no-privileged")
    path = aksp.put("pod.json", BAD)
    with limited(0):
        run = aksp("compliance", "-f", path)
    assert (run.code, "aksp: note: not remembered: " in run.err) == (1, True), run.err


def test_a_folder_for_temporary_files_that_is_not_there_is_told(aksp: Aksp, monkeypatch: pytest.MonkeyPatch) -> None:
    """The engine's messages go to a temporary file."""
    aksp.done("assign", "no-privileged")

    def full() -> Any:
        raise OSError(28, "No space left on device", "/tmp/x")

    monkeypatch.setattr(tempfile, "TemporaryFile", full)
    run = aksp.judge(aksp.put("pod.json", BAD))
    assert (run.code, run.err) == (2, "aksp: error: /tmp/x: No space left on device\n")


@pytest.mark.parametrize("kept", [(0,), (1,), (2,), (0, 1), (0, 2), (1, 2), ()], ids=str)
def test_streams_that_are_closed_do_no_harm(kept: tuple[int, ...], aksp: Aksp, tmp_path: Path) -> None:
    aksp.done("assign", "no-privileged")
    path = aksp.put("pod.json", BAD)
    closes = " ".join(
        f"{descriptor}{'<' if not descriptor else '>'}&-" for descriptor in range(3) if descriptor not in kept
    )
    shell = f'exec "$@" {closes}'
    command = [
        "sh",
        "-c",
        shell,
        "sh",
        sys.executable,
        "-m",
        "aksp",
        "compliance",
        "-f",
        path,
        "-o",
        "json",
        "-o",
        "csv=x.csv",
    ]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env=environment)
    assert done.returncode == (1 if 1 in kept else 2)
    told = (
        "aksp: note: csv written to x.csv\n"
        if 1 in kept
        else "aksp: error: standard output cannot be written: it is closed\n"
    )
    assert done.stderr == (told if 2 in kept else "")
    assert (done.stdout[:1] == "{") == (1 in kept)
    assert "bad" not in Path(path).read_text().replace("bad", "", 1)  # nothing was written to another file


def test_standard_error_that_is_full_changes_no_exit_code(aksp: Aksp, process: Process) -> None:
    with open("/dev/full", "w") as full:
        command = [sys.executable, "-m", "aksp", "definitions", "show", "none"]
        environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=full, timeout=60, check=False, env=environment)
    assert (done.returncode, done.stdout) == (2, b"")


def test_manifests_of_a_standard_input_that_is_closed_are_no_manifests(
    aksp: Aksp, monkeypatch: pytest.MonkeyPatch
) -> None:
    aksp.done("assign", "no-privileged")
    monkeypatch.setattr(sys, "stdin", None)
    for run in (aksp.judge("-"), aksp("explain", "Pod/bad", "-f", "-")):
        assert (run.code, run.out, run.err) == (2, "", "aksp: error: -f -: standard input is closed\n")


def test_a_device_and_a_pipe_are_written_as_they_are(aksp: Aksp) -> None:
    aksp.done("assign", "no-privileged")
    path = aksp.put("pod.json", BAD)
    os.mkfifo("pipe")
    read: list[str] = []
    reader = threading.Thread(target=lambda: read.append(Path("pipe").read_text()))
    reader.start()
    run = aksp("compliance", "-f", path, "-o", "csv=pipe", "-o", "json=/dev/null", "-o", "yaml=/dev/full")
    reader.join(10)
    assert (run.code, run.err) == (2, "aksp: error: /dev/full: the report cannot be written: No space left on device\n")
    assert "bad" in read[0]
    assert Path("pipe").is_fifo()


@pytest.mark.parametrize("piped", [False, True], ids=["file", "pipe"])
def test_what_changes_pods_is_known_before_the_first_of_them_wherever_it_stands(aksp: Aksp, piped: bool) -> None:
    aksp.done("assign", "resource-limits", "--cpu", "2", "--memory", "2Gi")
    limits = {"type": "Container", "default": {"cpu": "1", "memory": "1Gi"}}
    ranged = {"apiVersion": "v1", "kind": "LimitRange", "metadata": {"name": "x"}, "spec": {"limits": [limits]}}
    objects = [*(pod(f"p{n}", metadata={"annotations": {"a": "x" * 20_000}}) for n in range(60)), ranged]
    text = "".join(f"---\n{json.dumps(one)}\n" for one in objects)
    writer = threading.Thread(target=lambda: Path("all.yaml").write_text(text))
    if piped:
        os.mkfifo("all.yaml")
        writer.start()
    else:
        writer.run()
    run = aksp.judge("all.yaml")
    assert (run.code, run.json["counts"]["resources"]["Compliant"]) == (0, 60)


def test_a_file_beside_its_place_is_there_whole_or_not_at_all(tmp_path: Path) -> None:
    place = tmp_path / ("long" * 63)  # a name with a suffix would be too long
    one, other = AtomicFile(place), AtomicFile(place)
    one.stream.write("one")
    one.put_in_place()
    other.stream.write("other")
    other.discard()
    one.discard()
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [(place.name, "one")]


# Signals


def begun(one: subprocess.Popen[bytes]) -> None:
    """Wait until the process has set its signals, so that it is past Python's own start."""
    status = Path(f"/proc/{one.pid}/status")

    def ready() -> bool:
        caught = next(line for line in status.read_text().splitlines() if line.startswith("SigCgt")).split()[1]
        return bool(int(caught, 16) & (1 << (signal.SIGTERM - 1)))

    until(lambda: one.poll() is not None or ready())


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_that_ends_the_process_leaves_no_file(number: signal.Signals, aksp: Aksp, process: Process) -> None:
    aksp.done("assign", "no-privileged")
    os.mkfifo("endless.yaml")
    aksp.put("report.json", "before")
    one = process.start("compliance", "-f", "endless.yaml", "-o", "json=report.json")
    with open("endless.yaml", "wb"):
        until(lambda: list(aksp.folder.glob(".report.json.*")))
        engine = children(one)
        one.send_signal(number)
        out, err = one.communicate(timeout=60)
    assert (one.returncode, out, err) == (128 + number, b"", b"")
    assert list(aksp.folder.glob(".*")) == []
    assert Path("report.json").read_text() == "before"
    gone_soon(engine)


def children(one: subprocess.Popen[bytes]) -> list[str]:
    return Path(f"/proc/{one.pid}/task/{one.pid}/children").read_text().split()


def gone_soon(pids: list[str]) -> None:
    def gone(pid: str) -> bool:
        try:
            status = Path(f"/proc/{pid}/stat").read_text()
        except OSError:
            return True
        return status.rsplit(")", 1)[1].split()[0] == "Z"

    for pid in pids:
        until(partial(gone, pid), what=f"process {pid} is still there")


def test_nohup_is_minded(aksp: Aksp, process: Process) -> None:
    aksp.done("assign", "no-privileged")
    os.mkfifo("endless.yaml")
    one = process.start(
        "compliance",
        "-f",
        "endless.yaml",
        "-o",
        "json",
        ignored=[signal.SIGHUP],
    )
    with open("endless.yaml", "wb") as writer:
        begun(one)
        one.send_signal(signal.SIGHUP)
        writer.write(b"")
    assert one.wait(60) == 4


def test_ctrl_c_while_a_class_is_made_is_no_bug(aksp: Aksp, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(request: object) -> None:
        raise RuntimeError("Error calling __set_name__") from KeyboardInterrupt()

    monkeypatch.setattr("aksp.cli.evaluation.judge", interrupted)
    run = aksp("compliance", "-f", "pod.json")
    assert (run.code, run.err) == (130, "aksp: interrupted\n")


@pytest.mark.parametrize(
    "arguments",
    [
        ("compliance", "-f", "pod.json", "-o", "html=report.html"),
        ("definitions",),
        ("assign", "no-privileged", "--name", "b"),
    ],
    ids=lambda words: words[0],
)
def test_ctrl_c_at_any_moment_ends_without_a_traceback(
    arguments: tuple[str, ...], aksp: Aksp, process: Process
) -> None:
    aksp.done("assign", "no-privileged")
    aksp.put("pod.json", pod("good"))
    # The shorter of two runs: on a busy machine one may take long, and signals by its time would come too late.
    lasted = []
    for _ in range(2):
        whole = process.start(*arguments)
        begun(whole)
        start = time.monotonic()
        whole.communicate(timeout=60)
        lasted.append(time.monotonic() - start)
    takes = min(lasted)
    interrupted = 0
    for moment in range(8):
        one = process.start(*arguments)
        begun(one)
        threading.Event().wait(moment / 7 * takes)
        one.send_signal(signal.SIGINT)
        _, err = one.communicate(timeout=60)
        # Outside the command Ctrl-C ends the process by the signal, which is 130 to a shell.
        assert one.returncode in (0, 130, -signal.SIGINT), err
        interrupted += one.returncode != 0
        told = [line for line in err.splitlines() if line != b"aksp: note: html written to report.html"]
        assert told in ([], [b"aksp: interrupted"]), err
        assert [path for path in aksp.folder.rglob(".*") if path.name != ".gitignore"] == []
    assert interrupted > 2
