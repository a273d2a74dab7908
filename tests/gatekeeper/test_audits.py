"""A cluster's constraints judge as assignments, and what Gatekeeper's audit says otherwise, or does not say, is a gap."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import pytest

from aksp.engine import Engine
from aksp.gatekeeper.audits import STALE_AFTER, audits
from aksp.gatekeeper.documents import Documents
from aksp.model.compliance import ComplianceState, Report, Target, TargetKind
from aksp.model.scope import Scope
from aksp.report.interface import Style
from aksp.report.registry import FORMATS
from aksp.scan import Scan
from aksp.sources.manifests import Manifests
from aksp.workspace import prepare
from tests.gatekeeper.builders import constraint, template

NOW = datetime(2026, 9, 1, 10, tzinfo=UTC)
RULE = """package noprivileged

violation[{"msg": msg}] {
  c := input.review.object.spec.containers[_]
  c.securityContext.privileged
  msg := sprintf("privileged container: %v", [c.name])
}
"""
KIND = "NoPrivileged"


@pytest.fixture
def engine() -> Iterator[Engine]:
    with Engine() as made:
        yield made


def pod(name: str, *privileged: str) -> dict[str, Any]:
    containers = [
        {"name": one, "image": "i", "securityContext": {"privileged": one in privileged}} for one in ("web", "proxy")
    ]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": "shop"},
        "spec": {"containers": containers},
    }


def violation(name: str, message: str = "privileged container: proxy") -> dict[str, Any]:
    return {"group": "", "version": "v1", "kind": "Pod", "namespace": "shop", "name": name, "message": message}


def status(
    *violations: Any, total: int | None = None, age: timedelta = timedelta(minutes=1), **more: Any
) -> dict[str, Any]:
    return {
        "auditTimestamp": (NOW - age).isoformat().replace("+00:00", "Z"),
        "totalViolations": len(violations) if total is None else total,
        "violations": list(violations),
        **more,
    }


def report(engine: Engine, folder: Path, documents: list[Any], *pods: Any, namespaces: tuple[str, ...] = ()) -> Report:
    found = Documents()
    for one in documents:
        found.add(one, "cluster prod")
    (folder / "pods.json").write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": list(pods)}), "utf-8")
    made = audits(engine, found, Scope("/clusters/prod"), NOW)
    target = Target(kind=TargetKind.CLUSTER, name="prod", scope="/clusters/prod")
    scanned = Scan(prepare(engine, made.plan), engine).run(Manifests(engine, [str(folder / "pods.json")]), target, NOW)
    return made.compared(scanned.report, NOW, namespaces)


def audited(reported: Any, **more: Any) -> list[Any]:
    made = constraint("none", KIND, parameters={}, **more)
    return [{**template(KIND, RULE, {"type": "object"}), "status": {"created": True}}, {**made, "status": reported}]


def reasons(found: Report) -> list[str]:
    return [gap.reason for gap in found.gaps]


def test_a_complete_and_fresh_audit_has_rows_for_containers_and_no_gap(engine: Engine, tmp_path: Path) -> None:
    found = report(engine, tmp_path, audited(status(violation("a"))), pod("a", "proxy"), pod("b"))

    assert reasons(found) == []
    ((row),) = found.results
    assert row.finding.container is not None
    assert (row.resource.name, row.finding.container.name, row.state) == ("a", "proxy", ComplianceState.NON_COMPLIANT)
    assert found.assignments[0].counts.resources[ComplianceState.COMPLIANT] == 1


def test_violations_above_those_that_are_listed_are_a_gap_and_judged(engine: Engine, tmp_path: Path) -> None:
    found = report(
        engine, tmp_path, audited(status(violation("a"), total=25)), pod("a", "proxy"), pod("b", "web", "proxy")
    )

    assert reasons(found) == ["AuditIncomplete"]
    assert "25 violations and lists 1" in found.gaps[0].message
    assert [one.resource.name for one in found.results] == ["a", "b", "b"]


@pytest.mark.parametrize(
    ("reported", "reason"),
    [
        ({}, "NotAudited"),
        ({"auditTimestamp": "2026-09-01T09:59:00"}, "NotAudited"),
        ({"auditTimestamp": ["2026-09-01T09:59:00Z"]}, "NotAudited"),
        (status(age=STALE_AFTER + timedelta(minutes=1)), "StaleAudit"),
        (status(byPod=[{"id": "p", "errors": [{"code": "x", "message": "wrong"}]}]), "GatekeeperError"),
        (status(byPod=[{"id": "p", "enforced": False}]), "GatekeeperError"),
        (status(violation("gone")), "NotConfirmed"),
        (status(violation("b")), "NotConfirmed"),
    ],
)
def test_what_an_audit_does_not_tell_or_tells_otherwise_is_a_gap(
    engine: Engine, tmp_path: Path, reported: Any, reason: str
) -> None:
    found = report(engine, tmp_path, audited(reported), pod("b"))

    assert reasons(found) == [reason]
    assert found.results == []


def test_a_template_that_gatekeeper_does_not_take_is_a_gap(engine: Engine, tmp_path: Path) -> None:
    made, one = audited(status())
    made["status"] = {
        "byPod": [{"id": "p", "errors": [{"message": "rego_parse_error"}, {"message": "rego_parse_error"}]}]
    }
    found = report(engine, tmp_path, [made, one], pod("b"))

    assert [gap.message.split(": ")[1] for gap in found.gaps] == [
        "rego_parse_error",
        "Gatekeeper has not created its kind of constraints",
    ]


def test_what_cannot_be_judged_again_is_in_error_and_each_violation_a_gap(engine: Engine, tmp_path: Path) -> None:
    made = template("Cel", engines=["K8sNativeValidation"])
    one = {**constraint("cel", "Cel"), "status": status(violation("a", "no"), violation("b", "no"))}
    found = report(engine, tmp_path, [{**made, "status": {"created": True}}, one], pod("a"))

    assert reasons(found) == ["InvalidDefinition", "NotJudgedAgain", "NotJudgedAgain"]
    assert [gap.resource.name for gap in found.gaps if gap.resource] == ["a", "b"]
    assert [line.state for line in found.assignments] == [ComplianceState.ERROR]


def test_constraints_of_azures_add_on_have_azures_names(engine: Engine, tmp_path: Path) -> None:
    documents = audited(status())
    documents[1]["metadata"]["annotations"] = {
        "azure-policy-assignment-id": "/subscriptions/s/providers/Microsoft.Authorization/policyAssignments/no-priv",
        "azure-policy-definition-id": "/providers/Microsoft.Authorization/policyDefinitions/95edb821",
        "azure-policy-setdefinition-id": "/providers/Microsoft.Authorization/policySetDefinitions/a8640138",
        "azure-policy-definition-reference-id": "NoPrivilegedContainers",
    }
    found = report(engine, tmp_path, documents, pod("a"))
    (line,) = found.assignments

    assert (line.display_name, line.definition_id) == ("no-priv", "95edb821")
    written = StringIO()
    FORMATS["azure-policystates"].render(found, written, Style())
    (record,) = json.loads(written.getvalue())["value"]
    assert record["policyAssignmentId"] == documents[1]["metadata"]["annotations"]["azure-policy-assignment-id"]
    assert record["policyDefinitionId"].endswith("/policyDefinitions/95edb821")
    assert record["policySetDefinitionId"].endswith("/policySetDefinitions/a8640138")
    assert record["policyDefinitionReferenceId"] == "NoPrivilegedContainers"


def test_what_is_reported_of_other_namespaces_than_those_asked_for_is_left_out(engine: Engine, tmp_path: Path) -> None:
    documents = audited(status(violation("gone")))

    assert reasons(report(engine, tmp_path, documents, pod("b"), namespaces=("other",))) == []
    assert reasons(report(engine, tmp_path, documents, pod("b"), namespaces=("shop",))) == ["NotConfirmed"]
