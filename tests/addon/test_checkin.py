"""One check-in against an API server in memory, with the real engine."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, cast

import pytest

from aksp.addon.checkins import checkin
from aksp.addon.checkins.checkin import check_in
from aksp.addon.checkins.status_writer import StatusWriter
from aksp.addon.checkins.summary import Summary
from aksp.addon.in_force.webhook_rules import webhook_rules
from aksp.addon.names import NAME
from aksp.addon.names import WEBHOOK as WEBHOOK_NAME
from aksp.engine import Engine
from aksp.errors import ClusterError, ExitCode, Forbidden
from aksp.kube.connection import Connection
from aksp.kube.errors import NotServed, ServerError, Unreachable
from aksp.kube.kinds import Discovery
from aksp.model.compliance import Report
from tests.addon.custom import ROOT, Memory, assigned, condition, defined, exempted, pod, resource
from tests.compliance.builders import POD, definition, ready
from tests.replacing import replace

NOW, LATER, LAST = (datetime(2026, 6, 1, 12, minute, tzinfo=UTC) for minute in (0, 5, 10))
WEBHOOK = f"/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations/{NAME}"
ENFORCED = {"effect": "Deny"}
ABOUT_PODS = webhook_rules([ready("one", of=definition("rule", kinds=[POD]))], Discovery(cast(Connection, None)))


class Published:
    """Takes the reports, and says what could not be written."""

    def __init__(self, *problems: str) -> None:
        self.reports: list[Report] = []
        self.evaluations: list[str] = []
        self._problems = problems

    def __call__(self, connection: Connection, report: Report, *, namespace: str, evaluation: str) -> Sequence[str]:
        assert namespace == "kube-system"
        self.reports.append(report)
        self.evaluations.append(evaluation)
        return self._problems


def checked_in(cluster: Memory, engine: Engine, published: Published | None = None, **more: Any) -> Summary:
    return check_in(
        cast(Connection, cluster), engine, cluster_name="prod", namespace="kube-system",
        publish=published or Published(), **{"now": NOW, **more},
    )  # fmt: skip


def asking(rules: list[dict[str, Any]]) -> dict[str, Any]:
    """The webhook configuration with these rules."""
    return {"kind": "ValidatingWebhookConfiguration", "webhooks": [{"name": WEBHOOK_NAME, "rules": rules}]}


def enabled(*documents: dict[str, Any], pods: list[dict[str, Any]] | None = None) -> Memory:
    cluster = Memory(*documents, pods=pods if pods is not None else [pod("a", privileged=True), pod("b")])
    cluster.others[WEBHOOK] = asking(ABOUT_PODS)
    return cluster


def test_states_are_written_and_the_report_is_handed_on(engine: Engine) -> None:
    cluster, published = enabled(assigned(parameters=ENFORCED)), Published()
    summary = checked_in(cluster, engine, published)
    status = cluster.status()

    assert (status["state"], status["compliancePercent"]) == ("NonCompliant", 50.0)
    assert status["counts"]["resources"]["NonCompliant"] == 1
    assert [condition(status, kind) for kind in ("Applied", "Evaluated", "Enforced")] == [
        ("True", "Applied"), ("True", "Evaluated"), ("True", "Enforced"),
    ]  # fmt: skip
    (report,) = published.reports
    assert published.evaluations == [summary.evaluation]
    assert summary.evaluation.startswith("20260601T120000Z-")
    assert (report.target.name, report.target.scope, len(report.results)) == ("prod", "/clusters/prod", 1)


def test_a_change_is_seen_to_be_applied_before_the_scan_is_done(engine: Engine) -> None:
    cluster = enabled(assigned(), defined(), exempted(assignment="gone"))
    checked_in(cluster, engine)
    paths = [path.removeprefix(f"{ROOT}/") for path, _ in cluster.written]
    first, last = (patch["status"] for path, patch in cluster.written if "policyassignments" in path)

    assert paths == [
        "policydefinitions/ours/status", "policyexemptions/waiver/status", "policyassignments/one/status",
        "policyassignments/one/status",
    ]  # fmt: skip
    assert [status["state"] for status in (first, last)] == ["NotStarted", "NonCompliant"]
    cluster.written.clear()
    checked_in(cluster, engine, now=LATER)
    assert [path.rsplit("/", 3)[1] for path, _ in cluster.written].count("policyassignments") == 1
    assert cluster.status()["lastCheckIn"] == "2026-06-01T12:05:00Z"


def test_the_summary_is_one_line_of_json(engine: Engine) -> None:
    ticks = iter([100.0, 101.5])
    cluster = enabled(assigned(parameters=ENFORCED), assigned("zwei", parameters={"effekt": "x"}))
    summary = checked_in(cluster, engine, Published("a report could not be written"), clock=lambda: next(ticks))
    made = json.loads(json.dumps(summary.to_json()))

    assert (made["startedAt"], made["seconds"], made["failed"]) == ("2026-06-01T12:00:00Z", 1.5, False)
    assert (made["violations"], made["gaps"], made["policyErrors"]) == (1, 1, {})
    assert made["problems"] == ["a report could not be written"]
    one, two = made["assignments"]
    assert (one["name"], one["state"], one["effect"], one["violations"], one["errors"]) == (
        "one",
        "NonCompliant",
        "Deny",
        1,
        [],
    )
    assert one["counts"]["resources"]["Compliant"] == 1
    assert (two["applied"], two["state"], two["appliedGeneration"]) == (False, "NotStarted", None)
    assert "effekt" in two["errors"][0]


def test_what_is_wrong_with_an_assignment_is_a_gap_of_the_report(engine: Engine) -> None:
    published = Published()
    wrong = assigned("wrong", parameters={"effekt": "x"})
    elsewhere = assigned("elsewhere", scope="/clusters/dev")
    checked_in(enabled(assigned(), wrong, elsewhere, exempted(resources=[{}])), engine, published)

    gaps = [(gap.reason, gap.message.partition(":")[0]) for gap in published.reports[0].gaps]
    assert gaps == [
        ("InvalidParameters", "assignment wrong"),
        ("InvalidExemption", "exemption waiver is wrong, so it does nothing"),
    ]


def test_after_a_bad_change_the_next_check_ins_go_on_with_what_was_good(engine: Engine) -> None:
    cluster = enabled(assigned(parameters=ENFORCED))
    checked_in(cluster, engine)
    held = cluster.lists[f"{ROOT}/policyassignments"]
    held[0] = {**assigned(parameters={"effect": "Denny"}, generation=2), "status": held[0]["status"]}
    for now in (LATER, LAST):
        checked_in(cluster, engine, now=now)
        status = cluster.status()

        assert (status["observedGeneration"], status["appliedGeneration"], status["state"]) == (2, 1, "NonCompliant")
        assert condition(status, "Applied") == ("False", "InvalidParameters")
        assert condition(status, "Enforced") == ("True", "Enforced")


def test_a_cluster_that_answers_no_list_leaves_the_states(engine: Engine) -> None:
    cluster, published = enabled(assigned()), Published()
    checked_in(cluster, engine)
    cluster.refuse["/api/v1/pods"] = Forbidden("pods is forbidden")
    summary = checked_in(cluster, engine, published)
    status = cluster.status()

    assert summary.failure == "nothing could be scanned: pods is forbidden"
    assert (status["state"], condition(status, "Evaluated")) == ("NonCompliant", ("False", "ScanFailed"))
    assert published.reports == []
    assert summary.to_json()["failed"] is True


def test_an_assignment_of_which_one_kind_may_not_be_listed_is_not_compliant(engine: Engine) -> None:
    cluster = enabled(assigned("one", "no-cluster-admin"))
    binding = {
        "metadata": {"name": "some", "namespace": "shop", "uid": "u"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "some"},
        "subjects": [],
    }
    cluster.lists["/apis/rbac.authorization.k8s.io/v1/rolebindings"] = [binding]
    cluster.refuse["/apis/rbac.authorization.k8s.io/v1/clusterrolebindings"] = Forbidden(
        "clusterrolebindings is forbidden"
    )
    checked_in(cluster, engine)
    status = cluster.status("one")

    assert condition(status, "Evaluated") == ("False", "ListFailed")
    assert status["message"].endswith(" could not be listed: clusterrolebindings is forbidden")
    assert status["state"] == "NotStarted"


def test_a_kind_that_cannot_be_listed_shows_on_the_assignments_that_need_it(engine: Engine) -> None:
    cluster = enabled(assigned(), assigned("two", "unique-ingress-hosts"))
    cluster.lists["/apis/networking.k8s.io/v1/ingresses"] = []
    cluster.refuse["/api/v1/pods"] = Forbidden("pods is forbidden")
    summary = checked_in(cluster, engine)

    assert condition(cluster.status("one"), "Evaluated") == ("False", "ListFailed")
    assert cluster.status("one")["message"] == "Pod could not be listed: pods is forbidden"
    assert condition(cluster.status("two"), "Evaluated") == ("True", "NothingJudged")
    assert cluster.status("two")["state"] == "NotStarted"
    assert cluster.status("two")["message"].endswith("matched nothing: no Ingress that it reaches")
    assert "compliancePercent" not in cluster.status("two")
    assert summary.gaps == 1


def test_errors_of_a_rule_show_in_the_message_and_are_counted(engine: Engine) -> None:
    rego = 'violation contains {"msg": "x"} if 1 / count(input.review.object.spec.volumes) > 0'
    pods = [pod("a"), pod("b")]
    for each in pods:
        each["spec"]["volumes"] = []
    cluster = enabled(assigned(definition="ours"), defined(rego=rego), pods=pods)
    summary = checked_in(cluster, engine)

    assert (summary.policy_errors, summary.gaps) == ({"one": 2}, 1)
    assert condition(cluster.status(), "Evaluated") == ("True", "WithErrors")
    assert cluster.status()["state"] == "Error"
    assert cluster.status()["message"].endswith("(2 resources)")


def test_one_status_that_cannot_be_written_stops_no_other(engine: Engine) -> None:
    cluster = enabled(assigned("a"), assigned("b"), assigned("c"))
    cluster.refuse[f"{ROOT}/policyassignments/a/status"] = Forbidden("no")
    cluster.refuse[f"{ROOT}/policyassignments/b/status"] = NotServed("deleted meanwhile")
    summary = checked_in(cluster, engine)

    assert set(summary.problems) == {"the status of policyassignments/a could not be written: no"}
    assert [bool(cluster.status(name)) for name in "abc"] == [False, False, True]


def test_a_status_is_written_onto_what_has_changed_meanwhile_but_not_onto_another_object(engine: Engine) -> None:
    cluster = enabled(*(assigned(name, meta={"resourceVersion": "1"}) for name in ("changed", "anew", "gone")))
    listed = json.loads(json.dumps(cluster.lists[f"{ROOT}/policyassignments"]))
    for at, uid in ((0, "uid-of-changed"), (1, "another")):
        cluster.lists[f"{ROOT}/policyassignments"][at]["metadata"] |= {"resourceVersion": "2", "uid": uid}
    del cluster.lists[f"{ROOT}/policyassignments"][2]
    statuses = StatusWriter(cast(Connection, cluster))
    for document in listed:
        statuses.write("policyassignments", document, {"state": "Compliant"})

    assert [cluster.status(name) for name in ("changed", "anew")] == [{"state": "Compliant"}, {}]
    assert statuses.problems == []


def test_an_api_server_that_takes_no_writes_is_not_asked_for_ever(engine: Engine) -> None:
    names = [f"a{number}" for number in range(9)]
    cluster = enabled(*(assigned(name) for name in names))
    for name in names:
        cluster.refuse[f"{ROOT}/policyassignments/{name}/status"] = ServerError("etcd is read-only", tries=1)
    summary = checked_in(cluster, engine)

    assert len(summary.problems) == 4
    assert summary.problems[-1].startswith("15 more statuses were not tried")


def test_without_custom_resources_it_is_said_that_the_add_on_is_not_enabled(engine: Engine) -> None:
    cluster = enabled()
    del cluster.lists[f"{ROOT}/policyassignments"]
    with pytest.raises(ClusterError, match="this cluster has no policyassignments: the add-on is not enabled") as error:
        checked_in(cluster, engine)

    assert "aksp addon enable" in (error.value.hint or "")


@pytest.mark.parametrize(
    ("there", "enforced"),
    [(None, ("False", "WebhookMissing")), (Unreachable("no", tries=1), ("Unknown", "WebhookUnknown"))],
)
def test_enforced_depends_on_the_webhook(there: ClusterError | None, enforced: tuple[str, str], engine: Engine) -> None:
    cluster = enabled(assigned(parameters=ENFORCED))
    del cluster.others[WEBHOOK]
    if there is not None:
        cluster.refuse[WEBHOOK] = there
    checked_in(cluster, engine)

    assert condition(cluster.status(), "Enforced") == enforced


def test_it_is_enforced_only_once_the_webhook_has_rules_for_it(engine: Engine) -> None:
    cluster = enabled(assigned(parameters=ENFORCED))
    cluster.others[WEBHOOK] = asking([])
    checked_in(cluster, engine)

    assert condition(cluster.status(), "Enforced") == ("False", "RulesPending")
    cluster.others[WEBHOOK] = asking(ABOUT_PODS)
    checked_in(cluster, engine, now=LATER)
    assert condition(cluster.status(), "Enforced") == ("True", "Enforced")


def test_rules_that_are_written_during_the_scan_count(engine: Engine) -> None:
    cluster = enabled(assigned(parameters=ENFORCED))
    cluster.others[WEBHOOK] = asking([])
    reading = cluster.get

    def get(path: str, **more: Any) -> Any:
        if path == "/api/v1/pods":
            cluster.others[WEBHOOK] = asking(ABOUT_PODS)
        return reading(path, **more)

    cluster.get = get  # type: ignore[method-assign]
    checked_in(cluster, engine)
    first, last = (patch["status"] for path, patch in cluster.written if "policyassignments" in path)

    assert [condition(one, "Enforced")[0] for one in (first, last)] == ["False", "True"]


def test_the_process_prints_its_summary_and_ends_well(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: dict[str, Any] = {}
    done = Summary(evaluation="e", started_at=NOW, seconds=1.0, assignments=[])

    class Connected(Memory):
        def __enter__(self) -> Connected:
            return self

        def __exit__(self, *_: object) -> None: ...

    def checking(connection: Any, engine: Engine, **given: Any) -> Summary:
        asked.update(given)
        return done

    monkeypatch.setattr("gc.disable", lambda: None)
    monkeypatch.setattr("aksp.kube.config.connect", lambda context, kubeconfig: Connected())
    monkeypatch.setattr(checkin, "check_in", checking)
    code = checkin.run_check_in(kubeconfig=None, context=None, cluster_name=None, namespace="ns")
    lines = capsys.readouterr().out.splitlines()

    assert (code, len(lines), json.loads(lines[0])["evaluation"]) == (ExitCode.OK, 1, "e")
    assert (asked["cluster_name"], asked["namespace"]) == ("test", "ns")

    done = replace(done, failure="nothing could be scanned")
    assert checkin.run_check_in(kubeconfig=None, context=None, cluster_name="c", namespace="ns") is ExitCode.CLUSTER


def test_the_status_of_an_initiatives_assignment_lists_its_members_and_its_figures_are_of_all(engine: Engine) -> None:
    members = [
        {"policyDefinitionId": "no-privileged", "policyDefinitionReferenceId": "Privileged"},
        {"policyDefinitionId": "block-host-namespaces", "policyDefinitionReferenceId": "Namespaces"},
        {"policyDefinitionId": "no-such-rule", "policyDefinitionReferenceId": "Gone"},
    ]
    published = Published()
    cluster = enabled(
        resource("PolicySetDefinition", "team", {"policyDefinitions": members}), assigned(definition="team")
    )
    summary = checked_in(cluster, engine, published)
    status = cluster.status()

    assert condition(cluster.status("team", "policysetdefinitions"), "Applied") == ("True", "Applied")
    assert (status["state"], status["effect"], "compliancePercent" in status) == ("NonCompliant", "Mixed", False)
    assert status["counts"]["resources"]["NonCompliant"] == 1
    assert [(one["policyDefinitionReferenceId"], one["state"], one.get("compliancePercent")) for one in status["members"]] == [
        ("Privileged", "NonCompliant", 50.0), ("Namespaces", "Compliant", 100.0), ("Gone", "Error", None),
    ]  # fmt: skip
    assert "1 of 3 members not judged: Gone" in status["message"]
    assert [condition(status, kind)[0] for kind in ("Applied", "Evaluated", "Enforced")] == ["True", "True", "True"]
    (one,) = summary.to_json()["assignments"]
    assert (one["violations"], one["state"]) == (1, "NonCompliant")
    (gap,) = published.reports[0].gaps
    assert "one/Gone" in gap.message

    # Until the next scan what was found stays.
    cluster.written.clear()
    held = cluster.lists[f"{ROOT}/policyassignments"]
    held[0] = {**assigned(definition="team", parameters={}, description="x", generation=2), "status": held[0]["status"]}
    checked_in(cluster, engine, now=LATER)
    first = next(patch["status"] for path, patch in cluster.written if "policyassignments" in path)
    assert first["state"] == "NonCompliant" and len(cluster.status()["members"]) == 3
