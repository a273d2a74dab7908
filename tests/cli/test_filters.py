"""--assignment, --definition and --severity: a run by some of what is assigned."""

from __future__ import annotations

import pytest

from tests.cli.conftest import Aksp, Run, pod


@pytest.fixture
def assigned(aksp: Aksp) -> Aksp:
    aksp.done("assign", "no-privileged")
    aksp.done("assign", "allowed-images", "--registry", "contoso.azurecr.io", "--name", "images")
    aksp.done("assign", "allowed-images", "--registry", "quay.io", "--name", "images-of-quay")
    aksp.done("assign", "required-labels", "--label", "team", "--effect", "Disabled")
    aksp.put("pod.json", pod("bad", privileged=True))
    return aksp


def lines(run: Run) -> list[str]:
    return [one["name"] for one in run.json["assignments"]]


@pytest.mark.parametrize(
    ("options", "judged", "code"),
    [
        (["--assignment", "images"], ["images"], 0),
        (["--assignment", "images*"], ["images", "images-of-quay"], 1),
        (["--assignment", "images,no-privileged"], ["images", "no-privileged"], 1),
        (["--assignment", "images", "--assignment", "required-labels"], ["images", "required-labels"], 0),
        (["--definition", "allowed-images"], ["images", "images-of-quay"], 1),
        (["--definition", "ContainerAllowedImages"], ["images", "images-of-quay"], 1),
        (["--severity", "critical"], ["no-privileged"], 1),
        (["--severity", "HIGH"], ["images", "images-of-quay"], 1),
        (["--severity", "high,low", "--assignment", "images"], ["images"], 0),
        (["--definition", "allowed-images", "--severity", "critical"], [], 4),
        (["--assignment", "required-labels"], ["required-labels"], 4),
    ],
)
def test_what_is_chosen_is_judged_alone_and_the_exit_code_follows(
    assigned: Aksp, options: list[str], judged: list[str], code: int
) -> None:
    run = assigned("compliance", ".", *options, "-o", "json")
    assert (lines(run), run.code) == (judged, code)
    assert {one["assignment"] for one in run.json["results"]} <= set(judged)
    words = " ".join(run.json["target"]["filters"])
    assert all(option in words for option in options[::2])
    # Nothing that was left out passes for compliant.
    assert run.json["state"] != "Compliant" or judged
    whole = {one["name"]: one for one in assigned("compliance", ".", "-o", "json").json["assignments"]}
    assert [whole[name] for name in judged] == run.json["assignments"]


def test_the_table_says_that_it_is_of_a_part(assigned: Aksp) -> None:
    out = assigned("compliance", ".", "--severity", "high", "-n", "default").out
    assert "Only -n default --severity high: what this leaves out has no state" in out
    assert "Only " not in assigned("compliance", ".").out


def test_what_nothing_fits_is_a_gap_and_a_note(assigned: Aksp) -> None:
    run = assigned("compliance", ".", "--definition", "allowed-images", "--severity", "low")
    assert run.code == 4
    assert "nothing that reaches / is chosen by --definition allowed-images --severity low" in run.err


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--assignment", "image"], "--assignment image: there is no such assignment in "),
        (["--assignment", "image"], "did you mean 'images'?"),
        (["--assignment", "x*"], "known: images, images-of-quay"),
        (["--definition", "allowed-image"], "did you mean 'allowed-images'?"),
        (["--severity", "hihg"], "--severity hihg: no definition has this severity\n  hint: did you mean 'high'?"),
        (["--severity", "high", "--from", "addon"], "--severity does not combine with --from addon"),
        (["--severity", "high", "--write-baseline"], "would forget what is known of all other assignments"),
    ],
)
def test_names_that_nothing_has_are_an_error(assigned: Aksp, options: list[str], said: str) -> None:
    paths = [] if "addon" in options else ["."]
    run = assigned("compliance", *paths, *options)
    assert (run.code, run.out) == (2, "") and said in run.err


def test_an_assignment_whose_definition_is_broken_stays_where_its_severity_is_not_known(aksp: Aksp) -> None:
    aksp.done("assign", "no-privileged")
    aksp.put("ws/definitions/mine/definition.json", "{")
    aksp.put(
        "ws/assignments/mine.yaml",
        "apiVersion: policy.aksp.io/v1alpha1\nkind: PolicyAssignment\nmetadata: {name: mine}\n"
        "spec: {policyDefinitionId: mine}\n",
    )
    aksp.put("pod.json", pod("good"))
    run = aksp("compliance", "pod.json", "--severity", "critical", "-o", "json")
    assert (lines(run), run.code) == (["mine", "no-privileged"], 4)
    assert aksp("compliance", "pod.json", "--assignment", "no-privileged").code == 0
    assert lines(aksp("compliance", "pod.json", "--definition", "mine", "-o", "json")) == ["mine"]


def test_the_history_of_a_part_is_its_own_and_what_was_left_out_is_not_gone(assigned: Aksp) -> None:
    assigned.done("compliance", ".", "--write-baseline")
    run = assigned.done("compliance", ".", "--severity", "critical", "--fail-on-new", "--diff")
    assert "0 new violations, 1 known, 0 no longer found" in run.err
    assert "there is no earlier scan of this target" in run.err
    assigned.done("compliance", ".", "--severity", "critical", "--write-baseline", "--baseline", "critical.json")
