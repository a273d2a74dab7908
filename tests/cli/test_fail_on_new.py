"""--fail-on-new: every format tells what is new from what is known."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import pytest

from tests.cli.conftest import Aksp, pod


@pytest.fixture
def known(aksp: Aksp) -> Aksp:
    """One violation that the baseline knows, and one that is new."""
    aksp.done("assign", "no-privileged")
    aksp.put("pods/old.json", pod("old", privileged=True))
    aksp.done("compliance", "pods", "--write-baseline")
    aksp.put("pods/new.json", pod("new", privileged=True))
    return aksp


def run(aksp: Aksp, form: str, *more: str) -> str:
    done = aksp("compliance", "pods", "--fail-on-new", "-o", form, *more)
    assert done.code == 1
    return done.out


def test_the_verdict_counts_what_is_new_and_what_is_known(known: Aksp) -> None:
    assert run(known, "table").rstrip().endswith("1 new violation fails, 1 known.")
    assert "1 new violation, 1 known." in known("compliance", "pods", "--fail-on-new", "--fail-on", "none").out
    known.put("pods/more.json", pod("more", privileged=True))
    assert run(known, "markdown").splitlines()[2].endswith("2 new violations fail, 1 known.")
    for name in ("new", "more"):
        (known.folder / "pods" / f"{name}.json").unlink()
    done = known("compliance", "pods", "--fail-on-new")
    assert done.code == 0 and done.out.rstrip().endswith("0 new violations, 1 known.")
    assert "known." not in known("compliance", "pods").out


def test_sarif_has_the_state_by_the_baseline(known: Aksp) -> None:
    done = known("compliance", "pods", "--fail-on-new", "-o", "sarif")
    states = {
        one["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]: one["baselineState"]
        for one in done.json["runs"][0]["results"]
    }
    assert states == {"pods/old.json": "unchanged", "pods/new.json": "new"}
    assert "baselineState" not in known("compliance", "pods", "-o", "sarif").out


def test_only_new_ones_fail_in_junit(known: Aksp) -> None:
    root = ET.fromstring(run(known, "junit"))
    assert (root.get("tests"), root.get("failures"), root.get("skipped")) == ("2", "1", "1")
    cases = {case.get("name"): case for case in root.iter("testcase")}
    assert cases["Pod/default/new[web]"].find("failure") is not None
    skipped = cases["Pod/default/old[web]"].find("skipped")
    assert skipped is not None and skipped.get("message") == "known: securityContext.privileged is true"
    assert ET.fromstring(known("compliance", "pods", "-o", "junit").out).get("failures") == "2"


@pytest.mark.parametrize("form", ["github", "azuredevops"])
def test_only_new_ones_are_annotated(known: Aksp, form: str) -> None:
    text = run(known, form)
    assert "pods/new.json" in text and "pods/old.json" not in text and "1 new violation fails, 1 known." in text
    assert "pods/old.json" in known("compliance", "pods", "-o", form).out


def test_of_two_findings_at_one_place_the_new_one_fails_also_where_the_known_one_is_left_out(aksp: Aksp) -> None:
    aksp.done("assign", "allowed-capabilities", "--capability", "CHOWN")
    one = pod("a")
    one["spec"]["containers"][0]["securityContext"] = {"capabilities": {"add": ["KILL"]}}
    aksp.put("pods/a.json", one)
    aksp("compliance", "pods", "--write-baseline")
    aksp.put("pods/b.json", pod("b"))
    aksp.done("assign", "no-privileged")
    aksp.put("pods/c.json", pod("c", privileged=True))
    for more in ([], ["--show", "new"]):
        root = ET.fromstring(run(aksp, "junit", *more))
        assert root.get("failures") == "1"
