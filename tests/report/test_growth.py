"""What a report takes grows with what it tells: no format goes through all for each, or pads all for one."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import pytest

from aksp.cli.listing import print_list
from aksp.cli.options import ListFormat
from aksp.model.compliance import ComplianceState, Finding, Report, Result
from aksp.model.resource import Container
from aksp.report.interface import GroupBy
from aksp.report.registry import FORMATS
from tests.replacing import replace
from tests.results import a_result

from .render import render
from .scenarios import IMAGES, SCENARIOS, container, pod

pytestmark = pytest.mark.slow

MANY = 300
LONG = "x" * 100_000
#: Four times the results may take so many times the time: what grows with the square takes sixteen times as long.
MOST = 8.0


def _result(name: str, where: Container, message: str) -> Result:
    finding = Finding(message=message, container=where, path="spec.containers[0].image", observed=where.image)
    return a_result(assignment=IMAGES, state=ComplianceState.NON_COMPLIANT, resource=pod("shop", name), finding=finding)


def _pods(count: int) -> list[Result]:
    """Pods that all differ."""
    return [
        _result(f"web-{at:06}", container("web", f"x/{at}:1"), f"image x/{at}:1 is not allowed") for at in range(count)
    ]


def _containers(count: int) -> list[Result]:
    """Containers of one Pod that all differ."""
    return [
        _result("web", container(f"c{at:06}", f"x/{at}:1"), f"image x/{at}:1 is not allowed") for at in range(count)
    ]


def _report(results: Sequence[Result]) -> Report:
    return replace(SCENARIOS["violations"](), results=results)


def _seconds(report: Report, format: str, *, times: int, enough: float = 0.0) -> float:
    """Processor time, the least of several: a busy machine makes some of them long. One that is short enough ends it."""
    least = float("inf")
    for _ in range(times):
        began = time.process_time()
        render(report, format, width=120)
        least = min(least, time.process_time() - began)
        if least < enough:
            break
    return least


@pytest.mark.parametrize("made", [_pods, _containers])
@pytest.mark.parametrize("format", FORMATS)
def test_time_grows_with_the_results(format: str, made: Callable[[int], list[Result]]) -> None:
    few, many = _report(made(MANY)), _report(made(4 * MANY))
    render(few, format)  # what is imported on the way is no growth
    most = MOST * _seconds(few, format, times=3) + 0.05
    assert _seconds(many, format, times=9, enough=most) < most


@pytest.mark.parametrize("terminal", [False, True])
@pytest.mark.parametrize("group_by", [GroupBy.NONE, GroupBy.OWNER])
@pytest.mark.parametrize("format", FORMATS)
def test_one_long_value_makes_one_row_long(format: str, group_by: GroupBy, terminal: bool) -> None:
    results = _pods(MANY // 3)
    long = _result(LONG, container(LONG, LONG), LONG)
    plain, grown = (
        len(render(_report(some), format, group_by=group_by, terminal=terminal))
        for some in (results, [*results[1:], long])
    )
    # The HTML page and the forms of CI have a value several times; each of a hundred rows would make 10 MB.
    assert grown < plain + 30 * len(LONG)


@pytest.mark.parametrize("terminal", [False, True])
def test_a_value_that_is_wider_than_its_column_is_written_whole(terminal: bool) -> None:
    long = _result("y" * 1000, container("web", "x"), "not allowed")
    text = render(_report([*_pods(3), long]), "wide", terminal=terminal)
    assert text.count("y") >= 1000
    assert "web-000002" in text


def test_one_long_cell_of_a_list_makes_one_row_long(capsys: pytest.CaptureFixture[str]) -> None:
    rows = [[f"name-{at}", "short", "last"] for at in range(MANY)]
    print_list(
        ListFormat.TABLE,
        headers=["NAME", "SCOPE", "STATE"],
        rows=[*rows, ["long", LONG, "last"]],
        documents=(),
        names=(),
        empty="",
    )
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines[:-1])) < 200
    assert lines[-1] == f"long      {LONG}  last"
