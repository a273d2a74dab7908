"""One evaluation from pages to report."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest

from aksp.compliance.containers import Findings
from aksp.compliance.plan import Plan, Ready
from aksp.engine import Engine
from aksp.model.compliance import ComplianceState, Gap, Target, TargetKind
from aksp.model.definition import ResourceKind
from aksp.scan import Scan, ScanResult
from aksp.sources.interface import Page, Wanted, documents_of
from aksp.workspace import prepare
from tests.catalog.documents import V0_RULE
from tests.compliance.builders import NOW, POD, SERVICE, definition, module, plan, ready
from tests.engine.hostile import DIVISION, GREEDY, HONEST
from tests.reachable import reachable

S = ComplianceState
TARGET = Target(kind=TargetKind.CLUSTER, name="test", scope="/clusters/test", server="https://127.0.0.1")
OTHERS = """
violation contains {"msg": sprintf("%s is there too", [name]), "details": {"path": "metadata.name"}} if {
    some name
    data.inventory.namespace.shop["v1"].Pod[name]
    name != input.review.name
}
"""
NAMED = """
violation contains {"msg": sprintf("a Pod called %s", [input.review.name])}
"""


def pod(name: str, *containers: dict[str, Any], privileged: bool = False, **spec: Any) -> dict[str, Any]:
    plain = [{"name": "web", "image": "web", "securityContext": {"privileged": privileged}}]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": "shop"},
        "spec": {"containers": list(containers) or plain, **spec},
    }


Script = Sequence[Sequence[dict[str, Any]] | Page | type[BaseException]]


class Pages:
    """A source that follows a script: objects, a ready page, or an exception to raise."""

    def __init__(self, engine: Engine, script: Script, listing: str = "Pod") -> None:
        self._engine = engine
        self._script = script
        self._listing = listing
        self.wanted: Wanted | None = None

    def pages(self, wanted: Wanted) -> Iterator[Page]:
        self.wanted = wanted
        for step in self._script:
            if isinstance(step, type):
                raise step
            if isinstance(step, Page):
                yield step
                continue
            body = json.dumps({"apiVersion": "v1", "kind": "List", "metadata": {}, "items": step}).encode()
            batch = self._engine.load_list(body, whole_kinds=wanted.whole_names)
            yield Page(listing=self._listing, batch=batch, documents=documents_of(batch.documents))


def rule(name: str, rego: str, *, version: str = "v1", **more: Any) -> Ready:
    text = rego.removeprefix("package rule\n")
    return ready(name, of=definition(name, modules=(module(text, version=version),), **more))


def scan(judged: Plan, script: Script, *, collect_compliant: bool = False) -> ScanResult:
    with Engine() as engine:
        judged = prepare(engine, judged)
        one = Scan(judged, engine, collect_compliant=collect_compliant)
        return one.run(Pages(engine, script), TARGET, NOW)


def rows(outcome: ScanResult) -> list[tuple[str, str, str | None]]:
    return [
        (r.resource.name, r.state.value, r.finding.container.name if r.finding.container else None)
        for r in outcome.report.results
    ]


def test_pages_are_judged_and_added_up() -> None:
    outcome = scan(plan(rule("honest", HONEST)), [[pod("a", privileged=True), pod("b")], [pod("c")]])

    assert rows(outcome) == [("a", "NonCompliant", None)]
    assert outcome.report.counts.resources[S.NON_COMPLIANT] == 1
    assert outcome.report.counts.resources[S.COMPLIANT] == 2
    assert outcome.report.compliance_percent == pytest.approx(200 / 3)
    assert (outcome.report.state, outcome.interrupted, outcome.evaluations) == (S.NON_COMPLIANT, False, 3)
    assert (outcome.report.target, outcome.report.evaluated_at) == (TARGET, NOW)


def test_an_old_template_without_container_details_gets_a_row_for_each_container() -> None:
    bad, fine = {"name": "bad", "securityContext": {"privileged": True}}, {"name": "fine"}
    setup = {"name": "setup", "securityContext": {"privileged": True}}
    outcome = scan(
        plan(rule("old", V0_RULE, version="v0")),
        [[pod("a", bad, fine, initContainers=[setup]), pod("b", fine)]],
        collect_compliant=True,
    )

    assert rows(outcome) == [
        ("a", "NonCompliant", "bad"),
        ("a", "Compliant", "fine"),
        ("a", "NonCompliant", "setup"),
        ("b", "Compliant", "fine"),
    ]
    types = {r.finding.container.type for r in outcome.report.results if r.finding.container}
    assert types == {"containers", "initContainers"}


def test_an_old_template_s_finding_on_the_pod_stays_with_the_pod() -> None:
    rego = 'violation[{"msg": "host network"}] { input.review.object.spec.hostNetwork }'
    outcome = scan(plan(rule("old", rego, version="v0")), [[pod("a", hostNetwork=True), pod("b")]])

    assert rows(outcome) == [("a", "NonCompliant", None)]


def test_a_list_that_begins_anew_is_not_counted_twice() -> None:
    restart = Page(listing="Pod", restart=True)
    gap = Page(listing="Pod", gaps=[Gap(reason="UnreadableDocument", message="broken")])
    script: Script = [[pod("a", privileged=True)], gap, restart, [pod("a", privileged=True), pod("b")]]
    outcome = scan(plan(rule("honest", HONEST)), script)

    assert rows(outcome) == [("a", "NonCompliant", None)]
    assert sum(outcome.report.counts.resources.values()) == 2
    assert outcome.report.gaps == []


def test_gaps_of_the_inventory_are_in_the_report() -> None:
    gap = Gap(reason="Forbidden", message="Services could not be listed")
    outcome = scan(plan(rule("honest", HONEST)), [Page(listing="Service", gaps=[gap]), [pod("a")]])

    assert outcome.report.gaps == [gap]
    assert outcome.report.counts.resources[S.COMPLIANT] == 1


def test_an_error_of_a_rule_is_a_result_and_a_gap() -> None:
    outcome = scan(plan(rule("division", DIVISION), rule("honest", HONEST)), [[pod("a", privileged=True)]])

    assert rows(outcome) == [("a", "Error", None), ("a", "NonCompliant", None)]
    (gap,) = outcome.report.gaps
    assert (gap.reason, "divide by zero" in gap.message) == ("EvaluationError", True)


@pytest.mark.parametrize("pages", [4])
def test_a_policy_that_brings_the_engine_down_is_in_error_on_every_page_and_the_rest_is_judged(
    pages: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AKSP_ENGINE_EVALUATION_MEMORY", str(64 << 30))
    judged = plan(rule("greedy", GREEDY), rule("honest", HONEST))
    script = [[pod(f"pod-{page}", privileged=True)] for page in range(pages)]
    with Engine(evaluation_deadline_ms=20_000, memory_cap=150 << 20) as engine:
        prepare(engine, judged)
        report = Scan(judged, engine).run(Pages(engine, script), TARGET, NOW).report
    greedy, honest = report.assignments

    assert (greedy.state, greedy.counts.resources[S.ERROR]) == (S.ERROR, pages)
    assert (honest.state, honest.counts.resources[S.NON_COMPLIANT]) == (S.NON_COMPLIANT, pages)
    assert any("more than 150 MiB" in gap.message for gap in report.gaps)


def test_rules_that_compare_objects_see_those_of_every_page() -> None:
    judged = plan(rule("others", OTHERS, requires_inventory=(POD,)), rule("honest", HONEST))
    outcome = scan(judged, [[pod("a")], [pod("b", privileged=True)]])

    assert [(r.assignment.name, r.resource.name, r.finding.message) for r in outcome.report.results] == [
        ("others", "a", "b is there too"),
        ("honest", "b", "privileged"),
        ("others", "b", "a is there too"),
    ]


def test_rules_that_compare_one_kind_with_another_wait_for_both() -> None:
    alone = """
    violation contains {"msg": "no Service", "details": {"path": "metadata.name"}} if {
        not data.inventory.namespace.shop["v1"].Service[input.review.name]
    }
    """
    service = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "a", "namespace": "shop"}}
    outcome = scan(plan(rule("alone", alone, requires_inventory=(SERVICE,))), [[pod("a"), pod("b")], [service]])

    assert rows(outcome) == [("b", "NonCompliant", None)]


def test_a_rule_that_compares_objects_does_not_compare_with_what_a_restarted_list_had() -> None:
    judged = plan(rule("others", OTHERS, requires_inventory=(POD,)))
    outcome = scan(judged, [[pod("a")], Page(listing="Pod", restart=True), [pod("a")]])

    assert rows(outcome) == []
    assert outcome.report.counts.resources[S.COMPLIANT] == 1


SERVICE_OF_THE_POD = """
violation contains {"msg": "no Service", "details": {"path": "metadata.name"}} if not served

served if data.inventory.namespace.shop[_].Service[input.review.name]
"""
SERVICE_A = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "a", "namespace": "shop"}}
NO_RIGHT = Gap(reason="Forbidden", message="Service could not be listed: forbidden")


@pytest.mark.parametrize("rego", [SERVICE_OF_THE_POD, SERVICE_OF_THE_POD.replace("[_]", '["v1"]')])
def test_what_a_rule_looks_up_is_compared_though_nothing_declares_it(rego: str) -> None:
    outcome = scan(plan(rule("served", rego)), [[pod("a"), pod("b")], [SERVICE_A]])

    assert rows(outcome) == [("b", "NonCompliant", None)]
    assert outcome.report.counts.resources[S.COMPLIANT] == 1


def test_a_rule_that_computes_the_kinds_is_in_error_unless_they_are_declared() -> None:
    computed = SERVICE_OF_THE_POD.replace(".Service[", '[concat("", ["Serv", "ice"])][')
    undeclared, declared = rule("computed", computed), rule("told", computed, requires_inventory=(SERVICE,))
    outcome = scan(plan(undeclared, declared), [[pod("a"), pod("b")], [SERVICE_A]])

    assert [(r.assignment.name, *row) for r, row in zip(outcome.report.results, rows(outcome), strict=True)] == [
        ("computed", "a", "Error", None),
        ("computed", "b", "Error", None),
        ("told", "b", "NonCompliant", None),
    ]
    assert "requiresInventory" in outcome.report.results[0].finding.message
    assert [(line.name, line.state) for line in outcome.report.assignments] == [
        ("computed", S.ERROR),
        ("told", S.NON_COMPLIANT),
    ]
    assert [gap.reason for gap in outcome.report.gaps] == ["EvaluationError"]


@pytest.mark.parametrize(
    ("looked_up", "why"),
    [
        ('["v1"].service', "kind service in v1, which Kubernetes does not have"),
        ('["core/v1"].Service', "kind Service in core/v1, which Kubernetes does not have"),
        ('["apps/v1"].Deployments', "kind Deployments in apps/v1, which Kubernetes does not have"),
        ('["v1"].Service', None),
        ('["example.com/v1"].service', None),
    ],
)
def test_a_rule_that_looks_up_a_kind_that_kubernetes_does_not_have_is_in_error(looked_up: str, why: str | None) -> None:
    _looked_up(f"namespace.shop{looked_up}[input.review.name]", why)


@pytest.mark.parametrize(
    ("looked_up", "why"),
    [
        (
            'cluster["v1"].Service[_]',
            "looks Service up in data.inventory.cluster: its objects are in data.inventory.namespace",
        ),
        ("cluster[_].Service[_]", "looks Service up in data.inventory.cluster"),
        (
            'namespace.shop["v1"].Namespace[_]',
            "looks Namespace up in data.inventory.namespace: its objects are in data.inventory.cluster",
        ),
        ("namespace[_][_].Namespace[_]", "looks Namespace up in data.inventory.namespace"),
        ('cluster["v1"].Namespace[_]', None),
        ('cluster["example.com/v1"].Service[_]', None),
    ],
)
def test_a_rule_that_looks_a_kind_up_where_its_objects_never_are_is_in_error(looked_up: str, why: str | None) -> None:
    _looked_up(looked_up, why)


def test_a_rule_may_look_a_kind_up_in_both_places() -> None:
    body = """violation contains {"msg": "x"} if at(data.inventory.cluster)[input.review.name]
violation contains {"msg": "x"} if at(data.inventory.namespace.shop)[input.review.name]
at(objects) := objects.v1.Service"""
    outcome = scan(plan(rule("both", body)), [[pod("a"), pod("b")], [SERVICE_A]])
    assert [(name, state) for name, state, _ in rows(outcome)] == [("a", "NonCompliant")]


def _looked_up(what: str, why: str | None) -> None:
    found = f'violation contains {{"msg": "x"}} if data.inventory.{what}'
    outcome = scan(plan(rule("odd", found)), [[pod("a")]])

    assert [state for _, state, _ in rows(outcome)] == (["Error"] if why else [])
    assert why is None or why in outcome.report.results[0].finding.message


@pytest.mark.parametrize(
    ("page", "why"),
    [
        (Page(listing="Service", failed=SERVICE, gaps=[NO_RIGHT]), "could not be listed"),
        (Page(listing="Service", unserved=SERVICE), "the cluster serves no kind Service in v1"),
    ],
)
def test_nothing_complies_with_a_rule_whose_objects_to_compare_with_cannot_be_had(page: Page, why: str) -> None:
    found = 'violation contains {"msg": "x"} if data.inventory.namespace.shop["v1"].Service[input.review.name]'
    outcome = scan(plan(rule("served", found), rule("honest", HONEST)), [[pod("a")], page])

    assert rows(outcome) == [("a", "Error", None)]
    assert why in outcome.report.results[0].finding.message
    assert {line.name: line.state for line in outcome.report.assignments} == {"served": S.ERROR, "honest": S.COMPLIANT}


def test_of_kinds_of_one_name_in_several_groups_one_that_is_served_is_enough() -> None:
    old = ResourceKind(group="extensions", kind="Service")
    judged = plan(rule("served", SERVICE_OF_THE_POD, requires_inventory=(old, SERVICE)))
    outcome = scan(judged, [[pod("a"), pod("b")], Page(listing="Service.extensions", unserved=old), [SERVICE_A]])

    assert rows(outcome) == [("b", "NonCompliant", None)]


def test_ctrl_c_tells_what_is_known_and_that_it_is_not_all() -> None:
    script: Script = [[pod(f"pod-{page}", privileged=True)] for page in range(4)]
    outcome = scan(plan(rule("honest", HONEST)), [*script, KeyboardInterrupt])

    assert outcome.interrupted
    assert [gap.reason for gap in outcome.report.gaps] == ["Interrupted"]
    assert len(rows(outcome)) == outcome.report.counts.resources[S.NON_COMPLIANT] >= 2


def test_other_errors_end_the_evaluation() -> None:
    with pytest.raises(RuntimeError):
        scan(plan(rule("honest", HONEST)), [[pod("a")], RuntimeError])


def test_an_assignment_about_every_kind_that_judged_nothing_says_which_could_not_be_listed() -> None:
    every = rule("every", HONEST, kinds=(ResourceKind(group="*", kind="*"),))
    outcome = scan(plan(every), [Page(listing="Service", failed=SERVICE, gaps=[NO_RIGHT])])

    assert outcome.report.assignments[0].message == "Service could not be listed"


def test_an_assignment_that_matches_nothing_is_told() -> None:
    elsewhere = ready(
        "elsewhere", of=definition("elsewhere", modules=(module(HONEST),)), parameters={"namespaces": ["x"]}
    )
    outcome = scan(plan(elsewhere, rule("honest", HONEST)), [[pod("a")]])

    assert [note for note in outcome.notes if "matched nothing" in note] == [
        "assignment elsewhere matched nothing: no Pod that it reaches"
    ]


def test_assignments_that_match_nothing_for_one_reason_share_a_note() -> None:
    elsewhere = [
        ready(name, of=definition(name, modules=(module(HONEST),)), parameters={"namespaces": ["x"]})
        for name in ("east", "west")
    ]
    outcome = scan(plan(*elsewhere, rule("honest", HONEST)), [[pod("a")]])

    assert [note for note in outcome.notes if "matched nothing" in note] == [
        "assignments east, west each matched nothing: no Pod that it reaches"
    ]


def test_nothing_is_read_when_nothing_is_in_force() -> None:
    off = ready("off", parameters={"effect": "Disabled"})
    outcome = scan(plan(disabled=[off]), [RuntimeError])

    assert [(line.name, line.state) for line in outcome.report.assignments] == [("off", S.NOT_STARTED)]
    assert (outcome.report.state, outcome.report.compliance_percent, outcome.evaluations) == (S.NOT_STARTED, None, 0)
    assert [gap.reason for gap in outcome.report.gaps] == ["NothingAssigned"]


def test_each_kind_is_asked_for_once_and_whole_where_rules_compare() -> None:
    ingress = ResourceKind(group="networking.k8s.io", kind="Ingress")
    judged = plan(
        rule("a", HONEST), rule("b", HONEST, kinds=[POD, ingress]), rule("c", HONEST, requires_inventory=(ingress,))
    )
    with Engine() as engine:
        prepare(engine, judged)
        objects = Pages(engine, [])
        Scan(judged, engine).run(objects, TARGET, NOW)

    assert objects.wanted is not None
    assert list(objects.wanted.kinds) == [POD, ingress]
    assert objects.wanted.whole_names == ["networking.k8s.io/Ingress"]


def test_progress_hears_of_every_page() -> None:
    heard: list[int] = []
    note: Callable[[Page], None] = lambda page: heard.append(len(page.documents))  # noqa: E731
    judged = plan(rule("honest", HONEST))
    with Engine() as engine:
        prepare(engine, judged)
        Scan(judged, engine).run(Pages(engine, [[pod("a"), pod("b")], [pod("c")]]), TARGET, NOW, note)

    assert heard == [2, 1]


def test_findings_that_do_not_come_again_are_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    pages = [[pod(f"pod-{page}-{at}", privileged=True) for at in range(3)] for page in range(4)]
    judged = plan(rule("named", NAMED))
    expected = scan(judged, pages).report
    assert len({result.finding.message for result in expected.results}) == 12

    monkeypatch.setattr("aksp.compliance.containers.MOST_FINDINGS", 4)
    with Engine() as engine:
        one = Scan(prepare(engine, judged), engine)
        assert one.run(Pages(engine, pages), TARGET, NOW).report == expected
    (known,) = reachable(one, Findings)
    assert 0 < len(known) < 12


def test_what_replicas_have_in_common_is_made_once() -> None:
    replicas = [pod(f"web-{at}", privileged=True) for at in range(3)]
    for one in replicas:
        owner = {"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "web", "uid": "1", "controller": True}
        one["metadata"]["ownerReferences"] = [owner]
    results = scan(plan(rule("honest", HONEST)), [replicas[:2], replicas[2:]]).report.results

    assert [one.resource.name for one in results] == ["web-0", "web-1", "web-2"]
    assert len({one.shared for one in results}) == 1
