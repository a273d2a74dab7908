"""Numbers of documents and rules keep their text in every format."""

from __future__ import annotations

import csv
import html
import io
import json

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from aksp.model.compliance import Report
from aksp.model.json_text import decode, encode
from aksp.report import wire
from aksp.report.registry import FORMATS
from tests.model.test_json_text import NUMBERS
from tests.replacing import replace
from tests.results import changed

from .render import render
from .scenarios import SCENARIOS

_MARK = "314159"


def _report(number: str) -> Report:
    report = SCENARIOS["violations"]()
    result = next(one for one in report.results if one.finding.observed is not None)
    finding = replace(
        result.finding, observed=decode(number), expected=decode(f"[{number}]"), fix={"spec.a": decode(number)}
    )
    return replace(report, results=(changed(result, finding=finding),))


@given(NUMBERS)
@example("1e-05")
@settings(max_examples=15, deadline=None)
def test_a_number_keeps_its_text_and_every_format_its_parser(number: str) -> None:
    report = _report(number)
    for name in FORMATS:
        text = render(report, name)
        if _MARK in render(_report(_MARK), name) and len(number) < 60:
            assert number in html.unescape(text), name
    (wire,) = json.loads(render(report, "json"), parse_int=str, parse_float=str, parse_constant=pytest.fail)["results"]
    assert (wire["observed"], wire["expected"]) == (number, [number])
    (row,) = yaml.load(render(report, "yaml"), yaml.BaseLoader)["results"]
    assert (row["observed"], row["expected"]) == (number, [number])
    cells = next(one for one in csv.DictReader(io.StringIO(render(report, "csv"))) if one["observed"])
    assert (cells["observed"].lstrip("'"), cells["expected"]) == (number, f"[{number}]")


_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False).map(repr).map(decode)
    | st.text(st.characters(exclude_categories=["Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp", "Zs"]) | st.just(" ")),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text('ab"\\/é', max_size=3), inner, max_size=3),
    max_leaves=6,
)


@given(_VALUES, _VALUES)
@settings(deadline=None)
def test_a_line_of_json_is_what_python_writes(observed: object, expected: object) -> None:
    report = SCENARIOS["violations"]()
    made = [
        changed(one, finding=replace(one.finding, observed=observed, expected=expected)) for one in report.results[:3]
    ]
    lines = render(replace(report, results=made), "json").splitlines()
    assert [line.strip().removesuffix(",") for line in lines if '"observed"' in line] == [
        encode(wire.result(one)) for one in made
    ]
