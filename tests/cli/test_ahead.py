"""The engine that is started before the rest of aksp is imported, and what is imported at all."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from aksp.catalog.folder import bundled, bundled_initiatives
from aksp.cli import ahead
from aksp.cli.ahead import compile_requests
from aksp.engine import engine_binary
from aksp.model.definition import Definition
from tests.cli.conftest import Aksp, Process, pod
from tests.waiting import until

BUNDLED = {one.slug: one for one in bundled()}
GOOD = pod("good")
#: Prints names when the process ends, as it does with or without an error.
AT_THE_END = "import atexit, sys; atexit.register(lambda: print({}, file=sys.stderr)); "
#: Third-party packages of a scan of manifests that reports as a table or as JSON.
PACKAGES = {"annotated_doc", "cython_runtime", "msgspec", "shellingham", "typer", "typing_extensions", "yaml"}
#: Modules of aksp that a scan of one file needs.
MODULES = 128


def request(definition: Definition) -> dict[str, Any]:
    modules = [{"name": m.name, "source": m.source, "version": m.version} for m in definition.modules]
    return {"policy": definition.slug, "modules": modules}


def guessed(root: Path) -> Mapping[str, dict[str, Any]]:
    return {one["policy"]: one for one in compile_requests(root)}


def assigned(root: Path, *names: str, form: str = "policyDefinitionId: {}") -> Path:
    (root / "assignments").mkdir(parents=True)
    for number, name in enumerate(names):
        (root / "assignments" / f"a{number}.yaml").write_text(form.format(name))
    return root


def test_what_is_guessed_of_each_definition_is_what_the_engine_will_be_asked(tmp_path: Path) -> None:
    assert guessed(assigned(tmp_path, *BUNDLED)) == {slug: request(one) for slug, one in BUNDLED.items()}


@pytest.mark.parametrize(
    "form",
    [
        'policyDefinitionId: "{}"',
        "policyDefinitionId:   '{}'",
        '{{"spec": {{"policyDefinitionId":"{}"}}}}',
        "policyDefinitionId: /providers/Microsoft.Authorization/policyDefinitions/{}",
    ],
)
def test_definitions_are_found_however_they_are_written(form: str, tmp_path: Path) -> None:
    assert list(guessed(assigned(tmp_path, "no-privileged", form=form))) == ["no-privileged"]


def test_of_an_initiative_its_members_are_guessed(tmp_path: Path) -> None:
    one = next(each for each in bundled_initiatives() if each.slug == "pod-security-baseline")
    members = {BUNDLED[member.definition_id].slug for member in one.members}
    assert set(guessed(assigned(tmp_path, one.slug))) == members


@pytest.mark.parametrize("name", ["nothing-there", "../no-privileged/..", "lib", "initiatives", "e{}1b0"])
def test_what_does_not_come_with_aksp_is_not_guessed(name: str, tmp_path: Path) -> None:
    assert guessed(assigned(tmp_path, name)) == {}


@pytest.fixture
def frames(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A file of all that any engine is asked."""
    written, script = tmp_path / "frames", tmp_path / "engine.sh"
    script.write_text(f'#!/bin/bash\nexec "{engine_binary()}" < <(tee -a "{written}")\n')
    script.chmod(0o755)
    monkeypatch.setenv("AKSP_ENGINE", str(script))
    return written


def test_each_definition_is_compiled_once(aksp: Aksp, process: Process, frames: Path) -> None:
    for name in ("no-privileged", "required-labels --label team", "resource-limits"):
        aksp.done("assign", *name.split())
    frames.unlink(missing_ok=True)
    run = process("compliance", "-f", aksp.put("pod.json", pod("bad", privileged=True)), "-o", "json")

    assert run.code == 1
    assert {line["assignment"]: line["state"] for line in json.loads(run.out)["results"]} == {
        "no-privileged": "NonCompliant", "required-labels": "NonCompliant", "resource-limits": "NonCompliant",
    }  # fmt: skip
    assert frames.read_bytes().replace(b'": "', b'":"').count(b'"op":"compile"') == 3


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["compliance", "--nonsense"], 2),
        (["compliance", "-f", "nowhere.yaml", "--workspace", "nowhere"], 2),
        (["compliance", "-f", "-", "-n", "No"], 2),
        (["compliance", "-f", "-", "--workspace", "~nobody-here/x"], 2),
    ],
)
def test_an_engine_that_nobody_wants_is_gone_with_the_command(
    arguments: list[str], code: int, process: Process, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    noted, script = tmp_path / "pid", tmp_path / "engine.sh"
    script.write_text(f'#!/bin/sh\necho $$ > "{noted}"\nexec "{engine_binary()}"\n')
    script.chmod(0o755)
    monkeypatch.setenv("AKSP_ENGINE", str(script))
    run = process(*arguments)

    assert run.code == code
    if noted.exists():  # else it was stopped before it began
        number = int(noted.read_text())
        until(lambda: not _there(number))


def _there(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.parametrize("arguments", [("compliance", "--help"), ("version",), ("compliance", "--from", "addon")])
def test_no_engine_is_started_where_none_is_needed(arguments: tuple[str, ...], process: Process, frames: Path) -> None:
    process(*arguments)
    assert not frames.exists()


def test_a_missing_engine_is_told_as_ever(aksp: Aksp, process: Process, monkeypatch: pytest.MonkeyPatch) -> None:
    aksp.done("assign", "no-privileged")
    monkeypatch.setenv("AKSP_ENGINE", "nowhere")
    run = process("compliance", "-f", aksp.put("pod.json", GOOD))

    assert "the engine is missing at nowhere" in run.err
    assert run.err.count("error") == 1


def test_whatever_goes_wrong_ahead_of_the_command_is_not_told_ahead_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*arguments: object) -> None:
        raise RuntimeError("details")

    monkeypatch.setattr(ahead, "compile_requests", fails)
    ahead.begin(["compliance"])
    ahead.end()


def test_a_pipe_among_the_assignments_is_not_waited_for(aksp: Aksp, process: Process) -> None:
    aksp.done("assign", "no-privileged")
    os.mkfifo(aksp.folder / "ws" / "assignments" / "a.yaml")
    run = process("compliance", "-f", aksp.put("pod.json", GOOD))

    assert run.code == 2
    assert "no regular file" in run.err


def scanned(aksp: Aksp, told: str) -> list[str]:
    """What a process tells when it ends that has judged one file."""
    aksp.done("assign", "no-privileged")
    aksp.put("pod.json", GOOD)
    program = AT_THE_END.format(told) + "from aksp.cli.app import entry; entry()"
    run = subprocess.run(
        [sys.executable, "-c", program, "compliance", "-f", "pod.json"],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return run.stderr.splitlines()[-1].split()


def test_the_engine_is_started_before_the_rest_is_imported(aksp: Aksp) -> None:
    names = scanned(aksp, "*sys.modules")
    for later in ("typer", "msgspec", "yaml", "aksp.workspace", "aksp.cli.evaluation", "aksp.model.compliance"):
        assert names.index("aksp.engine_start") < names.index(later)
    before = names[: names.index("aksp.cli.root")]
    assert {name for name in before if name.startswith("aksp.")} == {
        "aksp.catalog", "aksp.catalog.rego_files", "aksp.cli", "aksp.cli.ahead", "aksp.cli.app", "aksp.cli.commands",
        "aksp.cli.streams", "aksp.engine_start", "aksp.errors", "aksp.store", "aksp.store.atomic_file", "aksp.workspace_folder",
        "aksp.yaml_reader",
    }  # fmt: skip


def test_a_scan_of_one_file_imports_little(aksp: Aksp) -> None:
    names = scanned(aksp, "*sys.modules")
    tops = {name.partition(".")[0] for name in names}
    foreign = {name for name in tops if name not in sys.stdlib_module_names and not name.startswith(("_", "aksp"))}
    assert foreign - {"sitecustomize", "usercustomize"} == PACKAGES
    assert len([name for name in names if name.startswith("aksp")]) <= MODULES


def test_no_class_that_a_scan_needs_is_a_dataclass(aksp: Aksp) -> None:
    """A dataclass is compiled when it is imported, which takes forty times as long as to make a struct."""
    every = "(c for n, m in list(sys.modules.items()) if n.startswith('aksp.') for c in vars(m).values())"
    told = f"*{{c.__qualname__ for c in {every} if isinstance(c, type) and '__dataclass_fields__' in vars(c)}}"
    assert scanned(aksp, told) == []


def test_what_was_to_be_done_at_the_end_of_the_process_is_done(aksp: Aksp) -> None:
    assert scanned(aksp, "'at', 'the', 'end'") == ["at", "the", "end"]
