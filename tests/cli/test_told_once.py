"""What keeps an object from being judged is one fault, however many assignments would judge the object."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.conftest import Aksp

CASES = Path(__file__).parent.parent / "sources" / "data"
ABOUT_PODS = ["allowed-container-ports", "allowed-images", "no-privileged", "required-labels", "resource-limits"]
BOTH = pytest.mark.parametrize(
    ("case", "line", "problem"),
    [
        ("containers-mapping.yaml", 9, "spec.template.spec.containers is an object, not a list"),
        ("numeric-template-label.yaml", 16, "spec.template.metadata.labels.ver is a number, not a string"),
    ],
)


@pytest.fixture
def nine(aksp: Aksp) -> Aksp:
    """All nine definitions are assigned."""
    assigned = [
        ["allowed-container-ports", "--port", "8080"],
        ["allowed-service-ports", "--port", "443"],
        ["allowed-images", "--registry", "quay.io"],
        ["required-labels", "--label", "app"],
        ["resource-limits", "--cpu", "2", "--memory", "2Gi"],
        *([one] for one in ("https-ingress", "internal-load-balancers", "no-privileged", "unique-ingress-hosts")),
    ]
    for one in assigned:
        aksp.done("assign", *one, "--no-default-exclusions")
    return aksp


@BOTH
def test_it_has_one_gap_and_a_verdict_of_each_assignment(case: str, line: int, problem: str, nine: Aksp) -> None:
    run = nine.judge(str(CASES / case))

    assert (run.code, run.gaps) == (4, [f"Deployment default/d: {problem}"])
    assert [(one["assignment"], one["message"], one["source"]["line"]) for one in run.json["results"]] == [
        (name, problem, line) for name in ABOUT_PODS
    ]
    assert problem not in run.err


@BOTH
@pytest.mark.parametrize("group_by", ["owner", "namespace"])
@pytest.mark.parametrize("format", ["table", "markdown"])
def test_it_is_one_row_with_the_names_of_the_assignments(
    case: str, line: int, problem: str, group_by: str, format: str, nine: Aksp
) -> None:
    run = nine("compliance", "-f", str(CASES / case), "-o", format, "--group-by", group_by)
    findings, gaps = run.out.split("Findings")[1].split("Could not be judged")

    assert (findings.count(problem), findings.count(f"{case}:{line}"), gaps.count(problem)) == (1, 1, 1)
    assert all(name in findings for name in ABOUT_PODS)


@BOTH
def test_every_result_is_a_row_where_that_is_asked_for(case: str, line: int, problem: str, nine: Aksp) -> None:
    table = nine("compliance", "-f", str(CASES / case), "-o", "table", "--group-by", "none").out

    assert table.split("Findings")[1].split("Could not be judged")[0].count(f"{case}:{line}") == len(ABOUT_PODS)


@BOTH
@pytest.mark.parametrize("format", ["github", "azuredevops"])
def test_it_is_one_annotation(case: str, line: int, problem: str, format: str, nine: Aksp) -> None:
    out = nine("compliance", "-f", str(CASES / case), "-o", format).out
    annotations = [one for one in out.splitlines() if problem in one]

    assert len(annotations) == 1
    assert all(name in annotations[0] for name in ABOUT_PODS)
