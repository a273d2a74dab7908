"""Whose violation it is."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aksp.compliance.containers import Findings, attribute
from aksp.compliance.judgement import FindingRecord, IsolatedRecord
from aksp.model.resource import Container
from tests.compliance.builders import container, deployment, pod

WEB, DB = container("web"), container("db")
SETUP = container("setup", type="initContainers")


def record(msg: str = "bad", **details: Any) -> FindingRecord:
    return {"msg": msg, "details": json.dumps(details)}


def isolated(*containers: list[FindingRecord]) -> IsolatedRecord:
    return {"d": 0, "containers": list(containers), "faults": []}


def rows(records: list[FindingRecord], apportioned: IsolatedRecord) -> list[tuple[str, str | None]]:
    document = pod("pod", WEB, DB, SETUP)
    found = attribute(records, document, apportioned, Findings())
    return sorted((f.message, f.container.name if f.container else None) for f in found)


def test_what_belongs_to_one_container_is_told_of_it() -> None:
    assert rows([record()], isolated([], [record()], [])) == [("bad", "db")]


def test_what_belongs_to_several_containers_is_told_of_each() -> None:
    assert rows([record()], isolated([record()], [], [record()])) == [("bad", "setup"), ("bad", "web")]


def test_what_belongs_to_no_container_belongs_to_the_pod() -> None:
    assert rows([record("two containers share a port")], isolated([], [], [])) == [
        ("two containers share a port", None)
    ]


def test_a_violation_that_the_rule_did_not_return_for_the_whole_pod_is_not_told() -> None:
    assert rows([record("web, db")], isolated([record("web")], [record("db")], [])) == [("web, db", None)]


def test_messages_with_equal_text_and_other_details_are_told_apart() -> None:
    one, other = record("bad", port=1), record("bad", port=2)

    assert rows([one, other], isolated([one], [other], [])) == [("bad", "db"), ("bad", "web")]


def test_when_the_copies_could_not_be_judged_the_violation_stays_with_the_pod() -> None:
    assert rows([record()], {"d": 0, "containers": [], "faults": ["died"]}) == [("bad", None)]


def test_a_violation_that_names_its_container_or_path_is_told_there_whatever_copies_say() -> None:
    one, other = record(container="db"), record("host", path="spec.hostNetwork")

    assert rows([one, other], isolated([one, other], [], [])) == [("bad", "db"), ("host", None)]


_RECORDS = st.builds(
    record,
    st.sampled_from(["bad", "worse", "container 1: bad"]),
    observed=st.integers(0, 2),
    container=st.sampled_from([None, "web", "gone", {"name": "db"}, {"name": "db", "type": 5}, {"name": ["db"]}]),
)


@given(st.lists(_RECORDS, unique_by=lambda one: (one["msg"], one["details"])), st.lists(st.lists(_RECORDS), max_size=4))
def test_what_is_told_is_what_the_rule_returned_for_the_whole_pod(
    records: list[FindingRecord], containers: list[list[FindingRecord]]
) -> None:
    document, findings = pod("pod", WEB, DB, SETUP), Findings()
    told = []
    for one in records:
        found = attribute([one], document, isolated(*containers), findings)
        assert found and {(f.message, f.observed) for f in found} == {
            (one["msg"], json.loads(one["details"])["observed"])
        }
        told += found

    assert attribute(records, document, isolated(*containers), findings) == told


def test_finding_the_containers_that_violations_name_is_linear() -> None:
    containers = [container(f"c{number}") for number in range(5000)]
    document, findings = pod("pod", *containers), Findings()

    began = time.process_time()
    for one in containers:
        assert findings.finding(record(container=one.name), document).container is one
        assert findings.finding(record(container={"name": one.name, "type": one.type}), document).container is one
    # To search all containers for each took 4 s.
    assert time.process_time() - began < 1.5


@pytest.mark.parametrize(
    ("details", "found"),
    [
        ({"container": {"name": "db", "type": "containers"}}, DB),
        ({"container": {"name": "setup"}}, SETUP),
        ({"container": "setup"}, SETUP),
        ({"container": "gone"}, None),
        ({"container": {"name": "gone"}}, Container(name="gone", type="containers")),
        ({"container": {"name": "db", "type": "initContainers"}}, Container(name="db", type="initContainers")),
        ({"container": {"name": ""}}, None),
        ({"container": 5}, None),
        ({}, None),
    ],
)
def test_details_may_name_the_container_by_name_and_type_or_by_name(
    details: dict[str, Any], found: Container | None
) -> None:
    assert Findings().finding(record(**details), pod("pod", WEB, DB, SETUP)).container == found


def test_path_observed_and_expected_come_from_details() -> None:
    finding = Findings().finding(record(path="spec.hostNetwork", observed=True, expected=False), pod())

    assert (finding.path, finding.observed, finding.expected) == ("spec.hostNetwork", True, False)
    assert Findings().finding(record(path=5), pod()).path is None
    assert Findings().finding({"msg": "bad", "details": "[1]"}, pod()).observed is None


def test_the_path_of_a_workload_s_finding_begins_at_the_workload() -> None:
    _, made = deployment()

    assert Findings().finding(record(path="spec.hostNetwork"), made).path == "spec.template.spec.hostNetwork"


def test_replicas_share_one_finding() -> None:
    findings = Findings()

    assert findings.finding(record(path="a"), pod("one")) is findings.finding(record(path="a"), pod("two"))
    assert findings.finding(record(path="a"), pod("one", DB), DB) is not findings.finding(
        record(path="a"), pod("one"), WEB
    )
    assert findings.finding(record(path="a"), deployment()[1]) is not findings.finding(record(path="a"), pod("one"))


def test_a_violation_with_a_path_or_a_container_of_the_pod_says_itself_where_it_is() -> None:
    findings, document = Findings(), pod("pod", WEB)

    assert findings.located(record(path="spec"), document)
    assert findings.located(record(container="web"), document)
    assert not findings.located(record(container="gone"), document)
    assert not findings.located({"msg": "bad", "details": "null"}, document)
