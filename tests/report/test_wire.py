"""JSON and YAML keep the contract with scripts."""

from __future__ import annotations

import json
from importlib.resources import files
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from aksp.model.json_text import encode
from aksp.report import wire
from aksp.report.figures import one_decimal
from aksp.report.interface import Show
from tests.replacing import replace
from tests.results import changed

from .render import render
from .scenarios import SCENARIOS

SCHEMA: dict[str, Any] = json.loads(files("aksp.report").joinpath("report.schema.json").read_text())


def test_the_schema_is_a_schema_and_closed_everywhere() -> None:
    Draft202012Validator.check_schema(SCHEMA)
    waiting: list[Any] = [SCHEMA]
    while waiting:
        node = waiting.pop()
        if isinstance(node, dict):
            if node.get("type") == "object":
                if node.get("additionalProperties") == {"type": "string"}:
                    continue  # labels have keys of their own
                assert node["additionalProperties"] is False
                assert node["required"] == list(node["properties"])
            waiting += node.values()
        elif isinstance(node, list):
            waiting += node


@pytest.mark.parametrize("show", Show)
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_json_is_valid_by_the_schema(scenario: str, show: Show) -> None:
    report = json.loads(render(SCENARIOS[scenario](), "json", show=show))
    Draft202012Validator(SCHEMA, format_checker=Draft202012Validator.FORMAT_CHECKER).validate(report)


def test_keys_have_the_order_of_the_contract() -> None:
    report = json.loads(render(SCENARIOS["violations"](), "json"))
    assert list(report) == list(SCHEMA["properties"])
    assert list(report["target"]) == ["kind", "name", "scope", "server", "filters"]
    assert list(report["assignments"][0]) == list(SCHEMA["$defs"]["assignment"]["properties"])
    assert list(report["results"][0]) == list(SCHEMA["$defs"]["result"]["properties"])
    assert list(report["counts"]["resources"]) == SCHEMA["$defs"]["state"]["enum"]


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_json_writes_each_result_as_the_table_of_the_fields_says(scenario: str) -> None:
    report = SCENARIOS[scenario]()
    written = json.loads(render(report, "json", show=Show.ALL))["results"]
    # By way of text, since numbers keep theirs.
    assert written == [json.loads(encode(one)) for one in wire.results(report, Show.ALL)]
    assert [list(one) for one in written] == [list(one) for one in wire.results(report, Show.ALL)]


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_yaml_is_the_same_document(scenario: str) -> None:
    report = SCENARIOS[scenario]()
    if scenario == "hostile":  # YAML cannot hold half a surrogate pair; JSON can
        first, second, *rest = report.results
        second = changed(second, finding=replace(second.finding, observed="lone"))
        report = replace(report, results=(first, second, *rest))
    assert yaml.load(render(report, "yaml"), yaml.CSafeLoader) == json.loads(render(report, "json"))


def test_a_lone_surrogate_does_not_stop_yaml() -> None:
    assert yaml.safe_load(render(SCENARIOS["hostile"](), "yaml"))["results"][1]["observed"] == "? lone"


def test_compliant_results_are_left_out_until_asked_for() -> None:
    report = SCENARIOS["clean"]()
    assert json.loads(render(report, "json"))["results"] == []
    assert len(json.loads(render(report, "json", show=Show.ALL))["results"]) == 1


def test_an_exemption_is_named_and_a_source_has_file_and_line() -> None:
    exempt = json.loads(render(SCENARIOS["violations"](), "json"))["results"][0]
    assert (exempt["state"], exempt["exemption"], exempt["source"]) == ("Exempt", "mesh-agents", None)
    found = json.loads(render(SCENARIOS["manifests"](), "json"))["results"][1]
    assert found["source"] == {"file": "deploy/base/web/deployment.yaml", "line": 23}


@pytest.mark.parametrize(
    ("percent", "shown"),
    [(0.0, 0.0), (0.04, 0.1), (0.0001, 0.1), (66.666, 66.7), (99.94, 99.9), (99.96, 99.9), (99.9999, 99.9), (100, 100)],
)
def test_rounding_never_makes_all_of_almost_all_nor_none_of_almost_none(percent: float, shown: float) -> None:
    assert one_decimal(percent) == shown
