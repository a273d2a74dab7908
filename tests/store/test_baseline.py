"""Baseline files."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from aksp.compliance.changes import remembered
from aksp.errors import InvalidInput
from aksp.model.compliance import ComplianceState
from aksp.store.baseline import read_baseline, write_baseline
from tests.report.scenarios import SCENARIOS


def test_what_is_written_is_read_again_violations_alone(tmp_path: Path) -> None:
    report = SCENARIOS["violations"]()
    found = remembered(report.results)
    bad = {key: one for key, one in found.items() if one.state is ComplianceState.NON_COMPLIANT}
    assert write_baseline(tmp_path / "b.json", report, found.values()) == len(bad) < len(found)
    assert read_baseline(tmp_path / "b.json") == bad


def test_a_violation_is_a_line_so_that_reviews_show_just_what_changed(tmp_path: Path) -> None:
    report = SCENARIOS["violations"]()
    count = write_baseline(tmp_path / "b.json", report, remembered(report.results).values())
    lines = (tmp_path / "b.json").read_text().splitlines()
    assert sum(1 for line in lines if '"fingerprint"' in line) == count


def test_an_empty_baseline_can_be_kept(tmp_path: Path) -> None:
    assert write_baseline(tmp_path / "b.json", SCENARIOS["clean"](), ()) == 0
    assert read_baseline(tmp_path / "b.json") == {}


GOOD: dict[str, Any] = {"apiVersion": "policy.aksp.io/v1", "kind": "ComplianceBaseline", "findings": []}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "no JSON"),
        ("[" * 100_000, "no JSON"),
        ("[]", "no ComplianceBaseline"),
        (json.dumps({"kind": "ComplianceReport"}), "no ComplianceBaseline"),
        (json.dumps({**GOOD, "apiVersion": "policy.aksp.io/v9"}), "policy.aksp.io/v9"),
        (json.dumps({**GOOD, "findings": {}}), "findings is not a list"),
        (json.dumps({**GOOD, "findings": [1]}), r"findings\[0\]: is not an object"),
        (json.dumps({**GOOD, "findings": [{"fingerprint": "a"}, {}]}), r"findings\[1\]: fingerprint is not a string"),
        (json.dumps({**GOOD, "findings": [{"fingerprint": "a", "path": 1}]}), "path is not a string"),
    ],
)
def test_what_is_wrong_in_a_file_is_told_with_its_place(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "b.json"
    path.write_text(content)
    with pytest.raises(InvalidInput, match=message) as raised:
        read_baseline(path)
    assert str(path) in str(raised.value)


def test_a_file_that_is_not_there_says_how_to_make_it(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="no such baseline") as raised:
        read_baseline(tmp_path / "b.json")
    assert "--write-baseline" in (raised.value.hint or "")


@pytest.mark.parametrize("kind", ["fifo", "device", "folder"])
def test_a_baseline_that_is_no_regular_file_is_refused_at_once(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "b.json"
    match kind:
        case "fifo":
            os.mkfifo(path)
        case "device":
            path.symlink_to("/dev/zero")
        case _:
            path.mkdir()
    with pytest.raises(InvalidInput, match="no regular file"):
        read_baseline(path)
