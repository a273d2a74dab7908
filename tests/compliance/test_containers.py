"""Whose violation it is."""

from __future__ import annotations

import json
from typing import Any

import pytest

from aksp.compliance.containers import Findings, attribute
from aksp.compliance.judgement import FindingRecord, IsolatedRecord
from aksp.model.resource import Container
from tests.compliance.builders import container, deployment, pod

WEB, DB = container("web"), container("db")
SETUP = container("setup", type="initContainers")


def record(msg: str = "bad", **details: Any) -> FindingRecord:
    return {"msg": msg, "details": json.dumps(details)}


def isolated(*containers: list[FindingRecord], without: list[FindingRecord] | None = None) -> IsolatedRecord:
    return {"d": 0, "without": without or [], "containers": list(containers), "faults": []}


def rows(records: list[FindingRecord], copies: IsolatedRecord) -> list[tuple[str, str | None]]:
    document = pod("pod", WEB, DB, SETUP)
    found = attribute(records, document, copies, Findings())
    return sorted((f.message, f.container.name if f.container else None) for f in found)


def test_what_remains_in_one_copy_belongs_to_its_container() -> None:
    assert rows([record()], isolated([], [record()], [])) == [("bad", "db")]


def test_what_remains_in_several_copies_belongs_to_each_of_their_containers() -> None:
    assert rows([record()], isolated([record()], [], [record()])) == [("bad", "setup"), ("bad", "web")]


def test_what_remains_in_the_copy_without_containers_belongs_to_the_pod() -> None:
    every = [record("host network")]

    assert rows(every, isolated(every, every, every, without=every)) == [("host network", None)]


def test_what_remains_in_no_copy_belongs_to_the_pod() -> None:
    assert rows([record("two containers share a port")], isolated([], [], [])) == [
        ("two containers share a port", None)
    ]


def test_a_violation_that_only_a_copy_has_is_attributed_where_it_is() -> None:
    # "web is bad, db is bad" in one message becomes a message each in the copies.
    found = rows([record("web, db")], isolated([record("web")], [record("db")], []))

    assert ("web", "web") in found and ("db", "db") in found


def test_messages_with_equal_text_and_other_details_are_told_apart() -> None:
    one, other = record("bad", port=1), record("bad", port=2)

    assert rows([one, other], isolated([one], [other], [])) == [("bad", "db"), ("bad", "web")]


def test_when_the_copies_could_not_be_judged_the_violation_stays_with_the_pod() -> None:
    assert rows([record()], {"d": 0, "without": [], "containers": [], "faults": ["died"]}) == [("bad", None)]


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


def test_a_violation_with_a_path_says_itself_where_it_is() -> None:
    findings = Findings()

    assert findings.structured(record(path="spec"))
    assert not findings.structured(record(container="web"))
    assert not findings.structured({"msg": "bad", "details": "null"})
