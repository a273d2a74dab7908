"""The reports that the add-on leaves in the cluster, and who reads them."""

from __future__ import annotations

import base64
import gzip
import json
import random
from datetime import timedelta
from typing import Any

import pytest

from aksp.addon.checkins.reports import LARGEST_REPORT_BYTES, PAUSE_SECONDS, TRIES, publish, read_report
from aksp.errors import AkspError, ClusterError, Forbidden, InvalidInput
from aksp.model.compliance import Finding, Report
from tests.addon.stored import API, OPEN_REPORTS, POLICY_REPORTS, REPORTS, Stored
from tests.replacing import replace
from tests.report.render import render
from tests.report.scenarios import IMAGES, SCENARIOS, S, pod, summary
from tests.report.scenarios import report as one_report
from tests.results import a_result

FIRST = f"{API}/compliancereports/latest-0"
POLR = "/apis/wgpolicyk8s.io/v1alpha2"


def written(cluster: Stored, report: Report, evaluation: str = "1") -> list[str]:
    return publish(cluster.connection, report, evaluation=evaluation, namespace="kube-system")


def large(seed: int = 0) -> Report:
    """A report that no compressor makes small: some parts."""
    chance = random.Random(seed)
    results = tuple(
        a_result(
            assignment=IMAGES,
            state=S.NON_COMPLIANT,
            resource=pod("shop", f"web-{at:05}"),
            finding=Finding(message="no", observed=f"{chance.getrandbits(6000):x}"),
        )
        for at in range(2000)
    )
    bad = {S.NON_COMPLIANT: len(results)}
    line = summary(IMAGES, S.NON_COMPLIANT, 0.0, bad, bad)
    return one_report(state=S.NON_COMPLIANT, percent=0.0, resources=bad, assignments=(line,), results=results)


def never(seconds: float) -> None:
    raise AssertionError(f"nothing to wait {seconds} s for")


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_what_is_published_is_read_back(scenario: str) -> None:
    cluster = Stored(REPORTS)
    report = SCENARIOS[scenario]()
    assert written(cluster, report) == []
    read, made = read_report(cluster.connection, sleep=never)
    assert render(read, "json") == render(report, "json")
    assert made == report.evaluated_at


def test_the_data_is_the_json_report_gzipped_in_base64() -> None:
    cluster = Stored(REPORTS)
    report = SCENARIOS["violations"]()
    written(cluster, report, "e1")
    spec = cluster.objects[FIRST]["spec"]
    data = spec.pop("data")
    assert gzip.decompress(base64.b64decode(data)).decode() == render(report, "json")
    assert spec == {
        "evaluatedAt": "2026-09-01T10:00:00Z",
        "evaluation": "e1",
        "part": 0,
        "parts": 1,
        "encoding": "gzip+base64",
    }


def test_a_large_report_has_parts_of_which_the_first_is_written_last() -> None:
    cluster = Stored(REPORTS)
    assert written(cluster, large()) == []
    paths = [path for _, path in cluster.writes]
    assert len(paths) >= 3
    assert paths == [f"{API}/compliancereports/latest-{at}" for at in reversed(range(len(paths)))]
    assert all(len(each["spec"]["data"]) <= 900_000 for each in cluster.objects.values())
    assert render(read_report(cluster.connection, sleep=never)[0], "json") == render(large(), "json")


def test_a_smaller_report_deletes_the_parts_that_it_does_not_need() -> None:
    cluster = Stored(REPORTS)
    written(cluster, large(), "1")
    assert written(cluster, SCENARIOS["gaps"](), "2") == []
    assert list(cluster.objects) == [FIRST]


def test_a_part_that_cannot_be_written_is_told_and_readers_are_not_misled() -> None:
    cluster = Stored(REPORTS)
    written(cluster, large(), "1")
    cluster.refused = {"latest-0": 403}
    (problem,) = written(cluster, large(1), "2")
    assert problem.startswith("ComplianceReport latest-0 could not be written: ") and "may not" in problem
    cluster.refused = {}
    pauses: list[float] = []
    with pytest.raises(ClusterError, match="do not belong together"):
        read_report(cluster.connection, sleep=pauses.append)
    assert pauses == [PAUSE_SECONDS] * (TRIES - 1)


def test_a_reader_waits_while_the_parts_are_being_written() -> None:
    cluster = Stored(REPORTS)
    written(cluster, large(), "1")
    missing = cluster.objects.pop(f"{API}/compliancereports/latest-1")

    def arrive(_: float) -> None:
        cluster.objects[f"{API}/compliancereports/latest-1"] = missing

    assert len(read_report(cluster.connection, sleep=arrive)[0].results) == 2000


def test_without_the_add_on_the_reader_is_told_so() -> None:
    for cluster in (Stored(), Stored({API: [("PolicyAssignment", "policyassignments")]})):
        with pytest.raises(ClusterError, match="not enabled") as caught:
            read_report(cluster.connection, sleep=never)
        assert "aksp addon enable" in (caught.value.hint or "")


def test_before_the_first_check_in_the_reader_is_told_so() -> None:
    with pytest.raises(ClusterError, match="no report yet"):
        read_report(Stored(REPORTS).connection, sleep=never)


def test_a_reader_without_the_right_is_told_so() -> None:
    cluster = Stored(REPORTS)
    cluster.refused = {"latest-0": 403}
    with pytest.raises(Forbidden):
        read_report(cluster.connection, sleep=never)


def _data(text: bytes) -> str:
    return base64.b64encode(gzip.compress(text)).decode()


@pytest.mark.parametrize(
    ("spec", "error", "said"),
    [
        ({"data": "%%%"}, ClusterError, "damaged"),
        ({"data": "YWJj"}, ClusterError, "damaged"),
        ({"data": _data(b"{")}, ClusterError, "damaged"),
        ({"data": _data(b"[]")}, ClusterError, "damaged"),
        ({"data": _data(b"{}")[:20]}, ClusterError, "damaged"),
        ({"data": _data(b"[" * 100_000)}, ClusterError, "damaged"),
        ({"data": _data(b"{}")}, InvalidInput, "no ComplianceReport of policy.aksp.io/v1"),
        ({"data": 7}, InvalidInput, "spec.data"),
        ({"parts": 0}, InvalidInput, "spec.parts"),
        ({"parts": 10**9}, InvalidInput, "spec.parts"),
        ({"encoding": "zstd"}, InvalidInput, "spec.encoding"),
    ],
)
def test_a_report_that_cannot_be_read_says_why_and_where(
    spec: dict[str, Any], error: type[AkspError], said: str
) -> None:
    cluster = Stored(REPORTS)
    written(cluster, SCENARIOS["gaps"]())
    cluster.objects[FIRST]["spec"] |= spec
    with pytest.raises(error, match=said) as caught:
        read_report(cluster.connection, sleep=never)
    assert caught.value.where == "https://cluster" + FIRST


def test_a_field_that_is_wrong_is_told_with_what_to_do_next() -> None:
    cluster = Stored(REPORTS)
    written(cluster, SCENARIOS["gaps"]())
    text = render(SCENARIOS["gaps"](), "json").replace('"state": "', '"state": "Not', 1)
    cluster.objects[FIRST]["spec"]["data"] = _data(text.encode())
    with pytest.raises(InvalidInput, match="state: expected one of") as caught:
        read_report(cluster.connection, sleep=never)
    assert "next check-in" in str(caught.value.hint)


@pytest.mark.parametrize("lost", ["contoso-images", "no-privileged", "allowed-service-ports"])
def test_violations_that_are_counted_and_not_listed_are_not_lost(lost: str) -> None:
    cluster = Stored(REPORTS)
    whole = SCENARIOS["violations"]()
    written(cluster, replace(whole, results=[one for one in whole.results if one.assignment.name != lost]))
    with pytest.raises(ClusterError, match=r"counts \d+ resources? that do not comply, and does not list them"):
        read_report(cluster.connection, sleep=never)


@pytest.mark.parametrize("scenario", ["gaps", "initiatives"])
def test_what_could_not_be_judged_is_not_lost_with_its_gaps(scenario: str) -> None:
    cluster = Stored(REPORTS)
    written(cluster, replace(SCENARIOS[scenario](), gaps=()))
    with pytest.raises(ClusterError, match="has assignments in error, and no gap"):
        read_report(cluster.connection, sleep=never)


def test_a_few_bytes_cannot_fill_the_memory_of_a_reader(monkeypatch: pytest.MonkeyPatch) -> None:
    assert LARGEST_REPORT_BYTES < 2 << 30
    monkeypatch.setattr("aksp.addon.checkins.reports.LARGEST_REPORT_BYTES", 1 << 20)
    cluster = Stored(REPORTS)
    written(cluster, SCENARIOS["gaps"]())
    cluster.objects[FIRST]["spec"]["data"] = _data(b" " * (2 << 20))
    with pytest.raises(ClusterError, match="unpacks to more than 1 MiB"):
        read_report(cluster.connection, sleep=never)


def policy_reports(cluster: Stored) -> list[str]:
    return sorted(path for path in cluster.objects if "compliancereports" not in path)


def test_policy_reports_are_written_where_they_are_served() -> None:
    cluster = Stored(REPORTS, POLICY_REPORTS, OPEN_REPORTS)
    assert written(cluster, SCENARIOS["gaps"]()) == []
    assert policy_reports(cluster) == [
        f"{POLR}/clusterpolicyreports/aksp",
        f"{POLR}/namespaces/shop/policyreports/aksp",
    ]


def test_open_reports_are_written_where_only_they_are_served() -> None:
    cluster = Stored(REPORTS, OPEN_REPORTS)
    assert written(cluster, SCENARIOS["gaps"]()) == []
    assert policy_reports(cluster) == [
        "/apis/openreports.io/v1alpha1/clusterreports/aksp",
        "/apis/openreports.io/v1alpha1/namespaces/shop/reports/aksp",
    ]


def test_a_cluster_that_serves_neither_is_no_problem() -> None:
    cluster = Stored(REPORTS)
    assert written(cluster, SCENARIOS["gaps"]()) == []
    assert policy_reports(cluster) == []


def test_what_did_not_change_is_not_written_again_and_keeps_its_time() -> None:
    cluster = Stored(REPORTS, POLICY_REPORTS)
    report = SCENARIOS["violations"]()
    written(cluster, report)
    cluster.writes.clear()
    assert written(cluster, replace(report, evaluated_at=report.evaluated_at + timedelta(minutes=5)), "2") == []
    assert cluster.writes == [("PATCH", FIRST)]


def test_what_changed_is_written_and_what_is_gone_is_deleted() -> None:
    cluster = Stored(REPORTS, POLICY_REPORTS)
    report = SCENARIOS["violations"]()
    written(cluster, report)
    theirs = f"{POLR}/namespaces/mesh/policyreports/kyverno"
    cluster.objects[theirs] = {"kind": "PolicyReport", "metadata": {"name": "kyverno", "namespace": "mesh"}}
    cluster.writes.clear()
    left = [each for each in report.results if each.resource.namespace == "shop"][1:]
    assert written(cluster, replace(report, results=left), "2") == []
    assert cluster.writes == [
        ("PATCH", FIRST),
        ("PATCH", f"{POLR}/namespaces/shop/policyreports/aksp"),
        ("DELETE", f"{POLR}/namespaces/mesh/policyreports/aksp"),
    ]
    assert theirs in cluster.objects


def test_what_somebody_changed_by_hand_is_written_again() -> None:
    cluster = Stored(REPORTS, POLICY_REPORTS)
    report = SCENARIOS["violations"]()
    written(cluster, report)
    place = f"{POLR}/namespaces/mesh/policyreports/aksp"
    cluster.objects[place]["results"] = []
    cluster.writes.clear()
    written(cluster, report, "2")
    assert ("PATCH", place) in cluster.writes


def test_each_write_that_fails_is_a_sentence_and_the_others_are_made() -> None:
    cluster = Stored(REPORTS, POLICY_REPORTS)
    cluster.refused = {"namespaces/shop": 403}
    (problem,) = written(cluster, SCENARIOS["violations"]())
    assert problem.startswith("PolicyReport shop/aksp could not be written: ")
    assert policy_reports(cluster) == [f"{POLR}/namespaces/mesh/policyreports/aksp"]


def test_reports_that_may_not_be_listed_are_still_written() -> None:
    cluster = Stored(REPORTS, POLICY_REPORTS)
    cluster.refused = {"v1alpha2/policyreports": 403}
    (problem,) = written(cluster, SCENARIOS["violations"]())
    assert problem.startswith("the PolicyReports that are there could not be listed, so old ones stay: ")
    assert len(policy_reports(cluster)) == 2


def test_a_report_that_may_not_be_deleted_is_a_sentence() -> None:
    cluster = Stored(REPORTS, POLICY_REPORTS)
    written(cluster, SCENARIOS["violations"]())
    cluster.refused = {"namespaces/mesh": 403}
    (problem,) = written(cluster, SCENARIOS["empty"](), "2")
    assert problem.startswith("PolicyReport mesh/aksp, which is superseded, could not be deleted: ")


def test_a_cluster_that_is_gone_is_one_sentence_not_one_for_each_namespace(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aksp.kube.connection.Cancellation.pause", lambda _, seconds: None)
    cluster = Stored(REPORTS, POLICY_REPORTS)
    cluster.refused = {"namespaces": 0}
    assert written(cluster, SCENARIOS["violations"]()) == ["PolicyReports could not be written: connection refused"]


def test_the_whole_of_ten_thousand_findings_fits() -> None:
    cluster = Stored(REPORTS, POLICY_REPORTS)
    violations = SCENARIOS["violations"]()
    report = replace(violations, results=tuple(violations.results) * 11)
    assert written(cluster, report) == []
    listed = sum(len(each["results"]) for path, each in cluster.objects.items() if POLR in path)
    assert listed == len(report.results)
    assert json.dumps(cluster.objects[FIRST])
