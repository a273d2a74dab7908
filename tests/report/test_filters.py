"""A report of a part says so."""

from __future__ import annotations

import json

import pytest

from aksp.report.formats.sarif import category
from aksp.report.parse import report_from
from tests.replacing import replace
from tests.report.render import render
from tests.report.scenarios import CLUSTER, FILES, violations

FILTERS = ("-n shop", "--severity high")


@pytest.mark.parametrize(
    "name",
    [
        "table",
        "wide",
        "markdown",
        "html",
        "json",
        "yaml",
        "junit",
        "sarif",
        "prometheus",
        "policyreport",
        "openreports",
    ],
)
def test_what_was_left_out_is_named(name: str) -> None:
    report = violations()
    part = replace(report, target=replace(report.target, filters=FILTERS))
    text = render(part, name)
    assert all(one in text for one in FILTERS) and not any(one in render(report, name) for one in FILTERS)


@pytest.mark.parametrize("target", [CLUSTER, FILES])
def test_a_code_host_never_takes_a_part_for_the_whole(target: object) -> None:
    part = replace(target, filters=("-l a/b=c",))
    assert category(part) == f"{category(target)}-l a%2Fb=c/"  # type: ignore[arg-type]


def test_it_is_read_back() -> None:
    report = violations()
    part = replace(report, target=replace(report.target, filters=FILTERS))
    document = json.loads(render(part, "json"))
    assert report_from(document).target == part.target
    del document["target"]["filters"]
    assert report_from(document).target == report.target
