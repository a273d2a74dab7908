"""Several processes on one workspace: one is first, the others are told, and readers never fail."""

from __future__ import annotations

import multiprocessing
import os
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from aksp.compliance.changes import remembered
from aksp.errors import InvalidInput
from aksp.history import History, ScanTarget
from aksp.model.assignment import Assignment
from aksp.model.compliance import TargetKind
from aksp.store import files
from aksp.store.baseline import read_baseline, write_baseline
from aksp.store.files import Files
from aksp.store.interface import ApplyResult
from aksp.yaml_writer import to_yaml
from tests.replacing import replace
from tests.report.scenarios import violations

ROUNDS = 200
#: Processes share nothing with this one; they are forked, since to start Python 200 times would take minutes.
FORKS = multiprocessing.get_context("fork")
PLAIN = Assignment(name="plain", definition_id="no-privileged")


def together(*acts: Callable[[], Any]) -> list[Any]:
    """What acts give that begin at once, each in a process of its own."""
    barrier = FORKS.Barrier(len(acts))

    def run(act: Callable[[], Any], end: Any) -> None:
        barrier.wait()
        try:
            end.send(act())
        except BaseException as error:  # noqa: BLE001 - whatever it is, the test shows it
            end.send(f"{type(error).__name__}: {error}")

    started = []
    for act in acts:
        here, there = FORKS.Pipe(duplex=False)
        process = FORKS.Process(target=run, args=(act, there))
        process.start()
        started.append((process, here))
    given = [here.recv() for _, here in started]
    for process, here in started:
        process.join()
        process.close()
        here.close()
    return given


def save(root: Path, description: str) -> str:
    """Many processes can do this at once."""
    try:
        change, _ = Files(root).save(replace(PLAIN, description=description), replace=False)
    except InvalidInput as error:
        return error.what
    return change.value


def test_of_two_that_assign_one_name_one_is_told(tmp_path: Path) -> None:
    begin = FORKS.Barrier(2)

    def rounds(own: str) -> Callable[[], list[str]]:
        def run() -> list[str]:
            told = []
            for number in range(ROUNDS):
                begin.wait()
                told.append(save(tmp_path / str(number), own))
            return told

        return run

    each = list(zip(*together(rounds("a"), rounds("b")), strict=True))
    assert len(each) == ROUNDS
    for number, both in enumerate(each):
        assert sorted(both) == ["assignment 'plain' exists with other content", "created"]
        (kept,) = Files(tmp_path / str(number)).assignments()
        assert kept.description == "ab"[both.index("created")]


def test_of_several_that_assign_the_same_one_creates_it(tmp_path: Path) -> None:
    def rounds() -> list[str]:
        return [save(tmp_path / str(number), "same") for number in range(50)]

    for told in zip(*together(rounds, rounds, rounds), strict=True):
        assert sorted(told) == ["created", "unchanged", "unchanged"]


@pytest.mark.parametrize("kind", ["assignments", "exemptions"])
def test_a_reader_beside_one_that_makes_and_deletes_never_fails(kind: str, tmp_path: Path) -> None:
    store = Files(tmp_path)
    stays = replace(PLAIN, name="stays")
    store.save(stays, replace=False)
    exemption = {
        "apiVersion": "policy.aksp.io/v1alpha1", "kind": "PolicyExemption", "metadata": {"name": "e"},
        "spec": {"policyAssignmentId": "stays", "exemptionCategory": "Waiver"},
    }  # fmt: skip

    def meddle() -> str:
        for number in range(ROUNDS):
            if kind == "assignments":
                store.save(PLAIN, replace=False)
                store.save(replace(PLAIN, description=str(number)), replace=True)
                store.delete("plain")
            else:
                path = tmp_path / "exemptions" / f"e{number % 3}.yaml"
                files.write_beside(path, to_yaml({**exemption, "metadata": {"name": f"e{number % 3}"}}))
                path.unlink()
        return "done"

    def read() -> set[int]:
        return {len(store.assignments() if kind == "assignments" else store.exemptions()) for _ in range(ROUNDS * 4)}

    done, *seen = together(meddle, read, read)
    assert done == "done"
    least = 1 if kind == "assignments" else 0
    for numbers in seen:
        assert numbers <= {least, least + 1}, numbers


def test_a_link_to_nothing_is_no_file_that_was_deleted(tmp_path: Path) -> None:
    (tmp_path / "assignments").mkdir()
    (tmp_path / "assignments" / "a.yaml").symlink_to("nowhere")
    with pytest.raises(InvalidInput, match="no such file"):
        Files(tmp_path).assignments()


@pytest.mark.parametrize("links", [True, False])
def test_a_file_that_holds_another_is_not_written_over(
    links: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not links:
        monkeypatch.setattr(os, "link", _without_links)
    store = Files(tmp_path)
    assert store.save(PLAIN, replace=False)[0] is ApplyResult.CREATED
    path = tmp_path / "assignments" / "plain.yaml"
    path.rename(path.with_name("other.yaml"))
    assert store.save(replace(PLAIN, name="other2"), replace=False)[0] is ApplyResult.CREATED
    with pytest.raises(InvalidInput, match="does not hold assignment 'other'"):
        store.save(replace(PLAIN, name="other"), replace=True)
    assert [one.name for one in store.assignments()] == ["other2", "plain"]
    assert sorted(one.name for one in path.parent.iterdir()) == ["other.yaml", "other2.yaml"]


def _without_links(*_: object) -> None:
    raise PermissionError(1, "Operation not permitted")


def test_a_baseline_is_read_whole_beside_one_that_writes_it(tmp_path: Path) -> None:
    report = violations()
    found = list(remembered(report.results).values())
    path = tmp_path / "b.json"
    sizes = {write_baseline(path, report, found[:count]) for count in (1, len(found))}

    def write() -> int:
        return len([write_baseline(path, report, found[: 1 if n % 2 else len(found)]) for n in range(ROUNDS)])

    def read() -> set[int]:
        return {len(read_baseline(path)) for _ in range(ROUNDS)}

    wrote, other, seen = together(write, write, read)
    assert (wrote, other) == (ROUNDS, ROUNDS)
    assert seen <= sizes


def test_a_history_is_written_and_read_by_several_from_its_first_moment(tmp_path: Path) -> None:
    report = violations()
    subject = ScanTarget(kind=TargetKind.MANIFESTS, name="x", scope="/")
    folders = [tmp_path / str(number) for number in range(20)]

    def record() -> str:
        for folder in folders:
            folder.mkdir(exist_ok=True)
            History(folder).record(subject, report, [])
        return "done"

    def read() -> str:
        for folder in folders:
            for _ in range(5):
                History(folder).snapshots(subject, 10)
                History(folder).findings(subject)
        return "done"

    assert together(record, record, read, read) == ["done"] * 4
    assert {len(History(folder).snapshots(subject, 10)) for folder in folders} == {2}


def test_a_damaged_history_is_put_aside_once(tmp_path: Path) -> None:
    report = violations()
    subject = ScanTarget(kind=TargetKind.MANIFESTS, name="x", scope="/")
    one, other = History(tmp_path), History(tmp_path)
    one.file.parent.mkdir()
    one.file.write_bytes(b"x" * 5000)
    for each in (one, other):
        with pytest.raises(InvalidInput, match="cannot be read"):
            each.snapshots(subject, 1)
    aside = one.put_aside()
    one.record(subject, report, [])
    assert other.put_aside() == aside
    assert aside.read_bytes() == b"x" * 5000
    assert len(other.snapshots(subject, 1)) == 1


def test_an_empty_history_is_none_yet(tmp_path: Path) -> None:
    history = History(tmp_path)
    history.file.parent.mkdir()
    sqlite3.connect(history.file).close()
    history.file.touch()
    assert history.subjects() == []
