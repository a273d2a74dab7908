"""aksp compliance with rules as other people write them, which use all of Rego."""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.cli.conftest import Aksp, Run

CASES = Path(__file__).parents[1] / "cases"


def judged(aksp: Aksp, workspace: str, document: str) -> Run:
    shutil.copytree(CASES / workspace, aksp.workspace)
    return aksp.judge(str(CASES / document))


def test_a_rule_that_judges_a_changed_input_changes_it_for_nothing_else(aksp: Aksp) -> None:
    run = judged(aksp, "with-workspace", "privileged.yaml")

    assert run.code == 1
    assert {one["name"]: one["state"] for one in run.json["assignments"]} == {
        "a-with": "NonCompliant",
        "no-privileged": "NonCompliant",
    }
    assert [one["message"] for one in run.json["results"] if one["assignment"] == "a-with"] == ["privileged"]


def test_a_rule_without_path_is_told_as_it_found_the_whole_pod_and_in_the_container_that_it_counts(aksp: Aksp) -> None:
    run = judged(aksp, "no-path-workspace", "no-path.yaml")

    assert run.code == 1
    assert [(one["message"], one["container"]["name"]) for one in run.json["results"]] == [
        ("container 1: image b:latest", "sidecar")
    ]
