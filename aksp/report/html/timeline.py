"""The percentage over time as the geometry of a chart, which the template draws as SVG."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime

from msgspec import Struct

from aksp.model.compliance import Report
from aksp.model.times import day
from aksp.report.figures import one_decimal


class TrendChart(Struct, frozen=True, kw_only=True):
    """A line in a box of ``width`` by ``height``. ``points`` is for SVG's polyline, ``area`` for the polygon below it.

    ``lowest`` is the percentage at the bottom, the top is 100. ``words`` says what the line shows.
    """

    width: int
    height: int
    points: str
    area: str
    last: tuple[float, float]
    lowest: int
    first_day: str
    last_day: str
    words: str


def overall(report: Report, *, width: int = 320, height: int = 96) -> TrendChart | None:
    """The compliance percentage of the earlier evaluations and this one; None unless at least two judged anything."""
    scans = [(each.evaluated_at, each.compliance_percent) for each in report.past]
    scans.append((report.evaluated_at, report.compliance_percent))
    values = [(at, percent) for at, percent in scans if percent is not None]
    return _chart(values, width, height)


def of_assignment(report: Report, name: str) -> TrendChart | None:
    """The same for one assignment, or one member; None unless it was evaluated at least twice."""
    values = [
        (each.evaluated_at, percent)
        for each in report.past
        if (percent := each.assignments.get(name, (None, None))[1]) is not None
    ]
    values += [
        (report.evaluated_at, each.compliance_percent)
        for each in report.lines
        if each.name == name and each.compliance_percent is not None
    ]
    return _chart(values, 88, 24)


def _chart(values: Sequence[tuple[datetime, float]], width: int, height: int) -> TrendChart | None:
    if len(values) < 2:
        return None
    # A round number under the lowest value, so that changes near 100% show.
    lowest = min(90, max(0, math.floor((min(percent for _, percent in values) - 1) / 10) * 10))
    # Room for half a stroke, and for the dot of the last value.
    edge = 3.0
    begin, end = values[0][0], values[-1][0]
    span = (end - begin).total_seconds()
    placed = []
    for at, (moment, percent) in enumerate(values):
        share = (moment - begin).total_seconds() / span if span > 0 else at / (len(values) - 1)
        fall = (100.0 - percent) / (100 - lowest)
        placed.append((round(edge + share * (width - 2 * edge), 1), round(edge + fall * (height - 2 * edge), 1)))
    points = " ".join(f"{x},{y}" for x, y in placed)
    first, last = one_decimal(values[0][1]), one_decimal(values[-1][1])
    return TrendChart(
        width=width,
        height=height,
        points=points,
        area=f"{placed[0][0]},{height} {points} {placed[-1][0]},{height}",
        last=placed[-1],
        lowest=lowest,
        first_day=day(begin),
        last_day=day(end),
        words=f"{len(values)} evaluations, from {first}% on {day(begin)} to {last}% on {day(end)}",
    )
