"""Metrics: what Prometheus gets to see, and that it stays small."""

from __future__ import annotations

import timeit
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from aksp.addon.record.metrics import Metrics
from aksp.model.resource import Resource
from tests.addon.decisions import Clock, allowed, changed, refused


@pytest.fixture
def metrics() -> Metrics:
    return Metrics(["Pod", "Service"], now=Clock().time)


def series(metrics: Metrics, name: str = "aksp_") -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    _, body = metrics.expose()
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(body.decode())
        for sample in family.samples
        if sample.name.startswith(name)
    }


def value(metrics: Metrics, name: str, **labels: str) -> float | None:
    return series(metrics).get((name, tuple(sorted(labels.items()))))


def assignment(name: str = "images", **more: Any) -> dict[str, Any]:
    counts = {"resources": {"NonCompliant": 2, "Compliant": 5}, "containers": {"NonCompliant": 3}}
    return {"name": name, "state": "NonCompliant", "effect": "Deny", "violations": 4, "counts": counts} | more


def summary(*assignments: Any, **more: Any) -> dict[str, Any]:
    return {"seconds": 2.5, "failed": False, "assignments": list(assignments), "policyErrors": {}} | more


def test_requests_are_counted_by_operation_kind_and_decision(metrics: Metrics) -> None:
    metrics.observe(allowed())
    metrics.observe(changed(allowed(), warnings=("mind this",)))
    metrics.observe(refused())
    metrics.observe(changed(allowed(operation="UPDATE"), errors=(("images", "deadline"),)))
    metrics.observe_failure(0.2)

    name = "aksp_admission_requests_total"
    assert series(metrics, name) == {
        (name, (("decision", "allowed"), ("kind", "Pod"), ("operation", "CREATE"))): 1,
        (name, (("decision", "warned"), ("kind", "Pod"), ("operation", "CREATE"))): 1,
        (name, (("decision", "denied"), ("kind", "Pod"), ("operation", "CREATE"))): 1,
        (name, (("decision", "error"), ("kind", "Pod"), ("operation", "UPDATE"))): 1,
        (name, (("decision", "error"), ("kind", "other"), ("operation", "other"))): 1,
    }
    assert value(metrics, "aksp_policy_errors_total", assignment="images") == 1
    assert value(metrics, "aksp_admission_duration_seconds_count") == 5
    assert value(metrics, "aksp_admission_duration_seconds_bucket", le="0.001") == 3
    assert value(metrics, "aksp_admission_duration_seconds_bucket", le="3.0") == 5


def test_no_label_grows_with_what_users_send(metrics: Metrics) -> None:
    metrics.observe(refused())
    before = series(metrics).keys()
    for at in range(500):
        thing = Resource(api_version="v1", kind="Pod", namespace=f"ns-{at}", name=f"pod-{at}")
        metrics.observe(refused(resource=thing, user=f"user-{at}"))
    assert series(metrics).keys() == before

    for at in range(500):
        thing = Resource(api_version="v1", kind=f"Kind{at}", namespace="shop", name="x")
        metrics.observe(refused(resource=thing, operation=f"OP{at}"))
    assert len(series(metrics).keys() - before) == 1
    _, body = metrics.expose()
    assert not [word for word in (b"ns-", b"user-", b"nginx", b"shop", b"Kind1") if word in body]


def test_the_kinds_are_those_of_the_webhooks_rules_now(metrics: Metrics) -> None:
    metrics.name_kinds(["Ingress"])
    metrics.observe(allowed())

    assert value(metrics, "aksp_admission_requests_total", operation="CREATE", kind="other", decision="allowed") == 1


def test_a_check_in_sets_what_was_found(metrics: Metrics) -> None:
    metrics.observe_check_in(
        summary(assignment(), assignment("labels", state="Compliant", effect="Audit", violations=0))
    )

    assert value(metrics, "aksp_violations", assignment="images", effect="Deny") == 4
    assert value(metrics, "aksp_violations", assignment="labels", effect="Audit") == 0
    assert value(metrics, "aksp_resources", assignment="images", state="NonCompliant") == 2
    assert value(metrics, "aksp_resources", assignment="images", state="Exempt") == 0
    assert value(metrics, "aksp_containers", assignment="images", state="NonCompliant") == 3
    assert value(metrics, "aksp_assignments", state="NonCompliant") == 1
    assert value(metrics, "aksp_assignments", state="NotStarted") == 0
    assert value(metrics, "aksp_scan_duration_seconds_sum") == 2.5
    assert value(metrics, "aksp_scan_last_success_timestamp_seconds") == Clock().time()
    assert value(metrics, "aksp_scans_total", result="succeeded") == 1


def test_before_a_check_in_nothing_is_said_about_the_cluster(metrics: Metrics) -> None:
    names = {name for name, _ in series(metrics)}

    assert not names & {"aksp_violations", "aksp_assignments", "aksp_scan_last_success_timestamp_seconds"}


def test_an_assignment_that_goes_takes_its_series_along(metrics: Metrics) -> None:
    metrics.observe(changed(allowed(), errors=(("labels", "deadline"),)))
    metrics.observe_check_in(summary(assignment(), assignment("labels"), policyErrors={"labels": 7}))
    assert value(metrics, "aksp_policy_errors_total", assignment="labels") == 8

    metrics.observe_check_in(summary(assignment()))
    metrics.keep(["images"])

    assert not [labels for _, labels in series(metrics) if ("assignment", "labels") in labels]
    assert value(metrics, "aksp_violations", assignment="images", effect="Deny") == 4


def test_an_effect_that_changes_leaves_no_old_series(metrics: Metrics) -> None:
    metrics.observe_check_in(summary(assignment()))
    metrics.observe_check_in(summary(assignment(effect="Audit")))
    assert list(series(metrics, "aksp_violations")) == [
        ("aksp_violations", (("assignment", "images"), ("effect", "Audit")))
    ]

    metrics.observe_check_in(summary(assignment(effect="Whatever I write")))
    assert value(metrics, "aksp_violations", assignment="images", effect="other") == 4


def test_an_assignment_that_is_no_longer_evaluated_has_no_old_counts(metrics: Metrics) -> None:
    metrics.observe_check_in(summary(assignment()))
    metrics.observe_check_in(summary(assignment(state="NotStarted", counts=None)))

    assert series(metrics, "aksp_resources") == {}
    assert value(metrics, "aksp_assignments", state="NotStarted") == 1


def test_a_scan_that_failed_leaves_what_the_last_one_found(metrics: Metrics) -> None:
    metrics.observe_check_in(summary(assignment()))
    metrics.observe_check_in({"failed": True, "seconds": 1.0})
    metrics.observe_check_in(summary(assignment(violations=0, counts=None), failed=True))

    assert value(metrics, "aksp_violations", assignment="images", effect="Deny") == 4
    assert value(metrics, "aksp_scans_total", result="failed") == 2
    assert value(metrics, "aksp_scan_duration_seconds_count") == 1


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"assignments": None, "seconds": "long", "policyErrors": []},
        {"assignments": [None, {}, {"name": "a"}, {"name": "b", "counts": {"resources": 7}, "violations": "x"}]},
        {"assignments": {}, "policyErrors": {"a": "x", "gone": 4}},
    ],
)
def test_a_summary_may_lack_anything(given: Any, metrics: Metrics) -> None:
    metrics.observe_check_in(given)

    assert value(metrics, "aksp_policy_errors_total", assignment="gone") is None


def test_who_leads_no_more_says_nothing_about_the_cluster(metrics: Metrics) -> None:
    metrics.observe_leader(True)
    metrics.observe_check_in(summary(assignment()))
    metrics.observe_leader(False)
    assert value(metrics, "aksp_leader") == 0
    assert series(metrics, "aksp_violations") == series(metrics, "aksp_scan_last") == {}

    metrics.observe_leader(True)
    metrics.observe_check_in(summary(assignment("other-one")))
    assert value(metrics, "aksp_leader") == 1
    assert len(series(metrics, "aksp_violations")) == 1


def test_it_is_what_prometheus_reads(metrics: Metrics) -> None:
    content_type, body = metrics.expose()

    assert content_type.startswith("text/plain")
    assert b"aksp_build_info{" in body
    assert b"_created" not in body


def test_observing_takes_microseconds(metrics: Metrics) -> None:
    decision = refused()
    metrics.observe(decision)

    assert min(timeit.repeat(lambda: metrics.observe(decision), number=500, repeat=5)) / 500 < 0.0002
