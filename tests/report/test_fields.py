"""A field of a result is one row of the table, and every format tells it."""

from __future__ import annotations

import csv
import io
import json

import pytest
import yaml

from aksp.model.assignment import full_name
from aksp.report.fields import FOUND, NAMED, ResultField
from aksp.report.parse import report_from
from tests.replacing import replace

from .render import render
from .scenarios import SCENARIOS

#: A value of no other field.
MARK = "only-here"
TEXTS = [field for field in NAMED if field.schema.get("type") != "integer" and "$ref" not in field.schema]


@pytest.mark.parametrize("field", TEXTS, ids=lambda field: field.name)
def test_what_is_in_a_field_is_told_where_its_row_says(field: ResultField) -> None:
    document = json.loads(render(SCENARIOS["manifests"](), "json"))
    result = next(one for one in document["results"] if one["container"] and one["state"] == "NonCompliant")
    result["owner"] = {"kind": "Deployment", "name": "web"}
    (result[field.within] if field.within else result)[field.key] = MARK
    (line,) = document["assignments"]
    line["name"] = full_name(result["assignment"], result["referenceId"] or "")
    if result["cluster"]:
        alone: dict[str, object] = {
            "name": MARK,
            "scope": "/",
            "id": "",
            "location": "",
            "labels": {},
            "server": None,
            "message": "",
        }
        measured = {key: document[key] for key in ("state", "compliancePercent", "counts", "assignments")}
        document["clusters"] = [{**alone, **measured, "gaps": 0}]
    whole = report_from({**document, "results": [result], "gaps": []})
    report = replace(whole, assignments=(), clusters=())

    assert json.loads(render(report, "json"))["results"] == [result]
    (row,) = csv.DictReader(io.StringIO(render(report, "csv"), newline=""))
    assert [name for name, value in row.items() if value == MARK] == [field.name]
    if field.header:
        header, _, line = render(report, "wide").split("Results\n\n")[1].splitlines()[:3]
        assert MARK in line and field.header in header
    if field.entry:
        (told,) = yaml.safe_load(render(report, "policyreport"))["results"]
        assert told["properties"][field.entry] == MARK
    if field in FOUND:
        page = render(whole, "html")
        assert f'"{field.header.lower()}":[' in page and MARK in page
