"""Metrics, read back by Prometheus' own parser."""

from __future__ import annotations

import pytest
from prometheus_client.parser import text_string_to_metric_families

from aksp.addon.record.metrics import Metrics
from aksp.model.compliance import ComplianceState, Gap, Report
from aksp.report.text import safe
from tests.addon.test_metrics import assignment, summary
from tests.replacing import replace
from tests.results import changed

from .render import render
from .scenarios import SCENARIOS

Labels = frozenset[tuple[str, str]]


def read(report: Report) -> dict[str, dict[Labels, float]]:
    """Samples by name and labels, without the target."""
    found: dict[str, dict[Labels, float]] = {}
    for family in text_string_to_metric_families(render(report, "prometheus")):
        assert family.type == "gauge" and family.documentation
        for sample in family.samples:
            labels = dict(sample.labels)
            assert labels.pop("target") == safe(report.target.name)
            assert sample.timestamp is None  # node_exporter refuses times of one's own
            series = found.setdefault(sample.name, {})
            key = frozenset(labels.items())
            assert key not in series
            series[key] = sample.value
    return found


def labels(**values: str) -> Labels:
    return frozenset(values.items())


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_every_scenario_can_be_parsed_and_ends_in_a_line_break(scenario: str) -> None:
    report = SCENARIOS[scenario]()
    found = read(report)
    assert render(report, "prometheus").endswith("\n")
    assert found["aksp_gaps"] == {labels(): len(report.gaps)}
    assert found["aksp_scan_last_success_timestamp_seconds"] == {labels(): report.evaluated_at.timestamp()}
    assert sum(found["aksp_assignments"].values()) == len(report.assignments)


def test_violations_are_counted_by_assignment_and_namespace() -> None:
    report = SCENARIOS["violations"]()
    found = read(report)["aksp_violations"]
    assert (
        found[labels(assignment="resource-limits", definition="resource-limits", effect="Audit", namespace="shop")]
        == 600
    )
    assert sum(found.values()) == sum(each.state is ComplianceState.NON_COMPLIANT for each in report.results)


def test_an_assignment_that_found_nothing_has_a_zero_and_a_disabled_one_nothing() -> None:
    found = {dict(key)["assignment"]: value for key, value in read(SCENARIOS["gaps"]())["aksp_violations"].items()}
    assert found == {"no-privileged": 0, "resource-limits": 0}


def test_states_and_percentages_are_those_of_the_report() -> None:
    found = read(SCENARIOS["violations"]())
    assert found["aksp_resources"][labels(assignment="contoso-images", state="NonCompliant")] == 300
    assert found["aksp_containers"][labels(assignment="contoso-images", state="Exempt")] == 2
    assert found["aksp_compliance_percent"][labels()] == 5.6
    assert found["aksp_assignment_compliance_percent"][labels(assignment="no-privileged")] == 99.7
    gaps = read(SCENARIOS["gaps"]())["aksp_assignment_compliance_percent"]
    assert labels(assignment="unique-ingress-hosts") not in gaps


def test_an_interrupted_scan_is_no_success() -> None:
    report = replace(SCENARIOS["clean"](), gaps=(Gap(reason="Interrupted", message="incomplete"),))
    assert "aksp_scan_last_success_timestamp_seconds" not in read(report)


def test_label_values_come_back_as_safe_text() -> None:
    report = SCENARIOS["hostile"]()
    name = 'a\\b"c\nd\u202e'
    key = replace(report.results[0].assignment, assignment=name)
    found = read(replace(report, results=[changed(each, assignment=key) for each in report.results], assignments=()))
    assert {dict(each)["assignment"] for each in found["aksp_violations"]} == {'a\\b"c d\\u202e'}


def test_names_that_the_add_on_has_too_have_its_labels() -> None:
    found = read(SCENARIOS["violations"]())
    metrics = Metrics()
    metrics.observe_check_in(summary(assignment()))
    both = 0
    for family in text_string_to_metric_families(metrics.expose()[1].decode()):
        if family.name in found:
            both += 1
            told = {label for key in found[family.name] for label, _ in key}
            assert family.samples and all(set(sample.labels) <= told for sample in family.samples)
    assert both == 5
