"""aksp test: gator's suites as they are, with exit codes that say whether something failed or could not be judged."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest
import yaml
from junitparser import JUnitXml

from tests.cli.conftest import Aksp, Run
from tests.gatekeeper.builders import constraint, template
from tests.gatekeeper.test_audits import RULE, pod

KIND = "NoPrivileged"
REQUEST = """package noprivileged

violation[{"msg": msg}] {
  input.review.operation == "DELETE"
  msg := sprintf("%v deletes %v", [input.review.userInfo.username, input.review.object.metadata.name])
}
"""
UNIQUE = """package noprivileged

violation[{"msg": msg}] {
  other := data.inventory.namespace[ns]["v1"]["Pod"][name]
  other.spec.hostname == input.review.object.spec.hostname
  msg := sprintf("taken by %v/%v", [ns, name])
}
"""
SCHEMA = {
    "type": "object",
    "required": ["limit"],
    "properties": {"limit": {"type": "integer"}, "mode": {"type": "string", "enum": ["a"]}},
}


class Suites:
    """Writes a suite with its files beside it, and runs it."""

    def __init__(self, aksp: Aksp) -> None:
        self.aksp = aksp
        self._files = 0

    def file(self, *documents: Any) -> str:
        self._files += 1
        name = f"f{self._files}.yaml"
        self.aksp.put(name, yaml.safe_dump_all(json.loads(json.dumps(documents))))
        return name

    def test(self, *cases: Mapping[str, Any], rego: str = RULE, **more: Any) -> dict[str, Any]:
        made = more.pop("made", None) or template(KIND, rego, more.pop("schema", {"type": "object"}))
        own = more.pop("constraint", None) or constraint("none", KIND, parameters={})
        return {"name": "t", "template": self.file(made), "constraint": self.file(own), "cases": list(cases), **more}

    def case(self, one: Any, *assertions: Mapping[str, Any], **more: Any) -> dict[str, Any]:
        inventory = [self.file(each) for each in more.pop("inventory", ())]
        return {"name": "c", "object": self.file(one), "inventory": inventory, "assertions": list(assertions), **more}

    def run(self, *tests: Mapping[str, Any], **more: Any) -> Run:
        suite = {"apiVersion": "test.gatekeeper.sh/v1alpha1", "kind": "Suite", "tests": list(tests), **more}
        self.aksp.put("suite.yaml", yaml.safe_dump(suite))
        return self.aksp("test", "suite.yaml", "-o", "json")

    def outcome(self, *cases: Mapping[str, Any], **more: Any) -> tuple[int, str]:
        """The exit code, and the outcome of the one case."""
        run = self.run(self.test(*cases, **more))
        return run.code, run.json["suites"][0]["tests"][0]["cases"][0]["outcome"]


@pytest.fixture
def suites(aksp: Aksp) -> Suites:
    return Suites(aksp)


@pytest.mark.parametrize(
    ("assertions", "passes"),
    [
        ([{"violations": "yes"}], True),
        ([{"violations": True}], True),
        ([{}], True),
        ([{"violations": 2}], True),
        ([{"violations": 1}], False),
        ([{"violations": "no"}], False),
        ([{"violations": False}], False),
        ([{"message": "container: (web|proxy)$"}], True),
        ([{"violations": 1, "message": "proxy"}], True),
        ([{"violations": "no", "message": "sidecar"}], True),
        ([{"violations": "yes"}, {"violations": 3}], False),
    ],
)
def test_assertions_count_violations_and_read_their_messages(suites: Suites, assertions: Any, passes: bool) -> None:
    code, outcome = suites.outcome(suites.case(pod("a", "web", "proxy"), *assertions))

    assert (code, outcome) == ((0, "passed") if passes else (1, "failed"))


def test_a_failure_says_what_was_expected_and_what_was_found(suites: Suites) -> None:
    suites.run(suites.test(suites.case(pod("a", "web"), {"violations": 2, "message": "privileged"})))
    run = suites.aksp("test", ".")

    assert run.code == 1
    assert "  FAIL  t: c\n" in run.out
    assert (
        "expected 2 violations whose message has 'privileged', found 1; violations: privileged container: web"
        in run.out
    )
    assert run.out.endswith("1 suite: 1 failed\n")


@pytest.mark.parametrize(
    ("more", "outcome"),
    [
        ({"match": {"kinds": [{"apiGroups": [""], "kinds": ["Service"]}]}}, "failed"),
        ({"match": {"namespaces": ["shop"]}}, "passed"),
        ({"match": {"excludedNamespaces": ["sh*"]}}, "failed"),
        ({"match": {"namespaceSelector": {"matchLabels": {"env": "prod"}}}}, "error"),
        ({"enforcementAction": "dryrun"}, "passed"),
        (
            {
                "enforcementAction": "scoped",
                "scopedEnforcementActions": [{"action": "deny", "enforcementPoints": [{"name": "vap.k8s.io"}]}],
            },
            "failed",
        ),
    ],
)
def test_what_the_constraint_does_not_match_has_no_violation(suites: Suites, more: Any, outcome: str) -> None:
    own = constraint("none", KIND, parameters={}, **more)
    assert suites.outcome(suites.case(pod("a", "web"), {"violations": 1}), constraint=own)[1] == outcome


def test_namespaces_of_the_inventory_have_the_labels_that_are_asked_for(suites: Suites) -> None:
    own = constraint("none", KIND, parameters={}, match={"namespaceSelector": {"matchLabels": {"env": "prod"}}})
    space = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop", "labels": {"env": "prod"}}}

    assert suites.outcome(suites.case(pod("a", "web"), {}, inventory=[space]), constraint=own) == (0, "passed")


def test_an_inventory_is_there_for_its_case_alone(suites: Suites) -> None:
    one = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a", "namespace": "x"}, "spec": {"hostname": "h"}}
    other = {**one, "metadata": {"name": "b", "namespace": "y"}}
    run = suites.run(
        suites.test(
            suites.case(one, {"violations": 1, "message": "taken by y/b"}, inventory=[other]),
            suites.case(one, {"violations": "no"}),
            rego=UNIQUE,
        )
    )

    assert run.code == 0, run.out


def test_objects_are_judged_as_they_are_written(suites: Suites) -> None:
    service = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "a"}, "spec": {"ports": [{"port": 80}]}}
    rego = 'package noprivileged\n\nviolation[{"msg": "no type"}] { not input.review.object.spec.type }\n'
    own = constraint("none", KIND, parameters={}, match={})

    assert suites.outcome(suites.case(service, {"violations": 1}), rego=rego, constraint=own) == (0, "passed")


@pytest.mark.parametrize("operation", ["DELETE", "CREATE"])
def test_admission_reviews_have_their_request(suites: Suites, operation: str) -> None:
    request = {
        "operation": operation,
        "kind": {"group": "", "version": "v1", "kind": "Pod"},
        "userInfo": {"username": "eve"},
        "name": "a",
        "namespace": "shop",
        ("oldObject" if operation == "DELETE" else "object"): pod("a"),
    }
    review = {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": request}
    expected = {"violations": 1, "message": "^eve deletes a$"} if operation == "DELETE" else {"violations": "no"}

    assert suites.outcome(suites.case(review, expected), rego=REQUEST) == (0, "passed")


@pytest.mark.parametrize(
    ("parameters", "outcome"),
    [({"limit": "x"}, "passed"), ({}, "passed"), ({"limit": 1, "mode": "b"}, "passed"), ({"limit": 1}, "failed"), ({"limit": 1, "more": 1}, "error")],
)  # fmt: skip
def test_a_constraint_that_should_be_invalid_is(suites: Suites, parameters: Any, outcome: str) -> None:
    own = constraint("none", KIND, parameters=parameters)
    run = suites.run(suites.test(constraint=own, schema=SCHEMA, invalid=True))

    assert run.json["suites"][0]["tests"][0]["outcome"] == outcome
    assert run.code == {"passed": 0, "failed": 1, "error": 4}[outcome]


def test_what_is_skipped_is_not_run(suites: Suites) -> None:
    wrong = {"violations": 9}
    skipped = suites.test(suites.case(pod("a"), wrong), skip=True)
    run = suites.run(skipped, suites.test(suites.case(pod("a"), wrong, skip=True)))
    assert (run.code, run.json["counts"]) == (0, {"passed": 0, "failed": 0, "error": 0, "skipped": 2})
    assert suites.run(suites.test(suites.case(pod("a"), wrong)), skip=True).code == 0


def test_pods_of_workloads_are_judged_with_an_expansion_template(suites: Suites) -> None:
    spec = pod("a", "web")["spec"]
    deployment = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "a", "namespace": "shop"},
        "spec": {"template": {"spec": spec}},
    }
    expansion = {
        "apiVersion": "expansion.gatekeeper.sh/v1beta1",
        "kind": "ExpansionTemplate",
        "metadata": {"name": "deployments"},
        "spec": {
            "applyTo": [{"groups": ["apps"], "versions": ["v1"], "kinds": ["Deployment"]}],
            "templateSource": "spec.template",
            "generatedGVK": {"group": "", "version": "v1", "kind": "Pod"},
        },
    }
    case = suites.case(
        deployment, {"violations": 1, "message": r"^\[Implied by deployments\] privileged container: web$"}
    )

    assert suites.outcome(case, expansion=suites.file(expansion)) == (0, "passed")
    assert suites.outcome(suites.case(deployment, {"violations": "no"})) == (0, "passed")


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ({"made": template(KIND, engines=["K8sNativeValidation"])}, "K8sNativeValidation"),
        ({"rego": 'package a\n\nviolation[{"msg": "x"}] { external_data({}) }\n'}, "external_data"),
        ({"template": "nowhere.yaml"}, "nowhere.yaml"),
        ({"template": "/etc/passwd"}, "from the suite's folder"),
        ({"constraint": constraint("none", "Other")}, "expected NoPrivileged"),
    ],
)
def test_a_test_that_cannot_be_judged_is_in_error_and_says_why(suites: Suites, more: Any, told: str) -> None:
    run = suites.run(suites.test(suites.case(pod("a"), {}), **more))

    (one,) = run.json["suites"][0]["tests"]
    assert (run.code, one["outcome"]) == (4, "error")
    assert told in one["message"]


def test_cases_that_cannot_be_judged_are_in_error_and_beside_a_failure_the_exit_code_is_1(suites: Suites) -> None:
    fine, bad = suites.case(pod("a"), {"violations": "no"}), suites.case(pod("a"))
    pattern = suites.case(pod("a", "web"), {"message": "(?=x)"})
    failing = suites.case(pod("a"), {"violations": 1})
    run = suites.run(suites.test(fine, bad, pattern))
    assert (run.code, run.json["counts"]["error"]) == (4, 2)
    assert suites.run(suites.test(fine, bad, failing)).code == 1


def test_a_rule_that_fails_is_no_pass(suites: Suites) -> None:
    rego = (
        'package noprivileged\n\nviolation[{"msg": "x"}] { 1 / (count(input.review.object.metadata.name) - 1) > 0 }\n'
    )
    assert suites.outcome(suites.case(pod("a"), {"violations": "no"}), rego=rego) == (4, "error")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("tests: 3", "tests is 3"),
        ("tests: [{cases: [{assertions: [{violations: -1}]}]}]", "tests[0].cases[0].assertions[0].violations"),
        ("tests: [{cases: [{name: [1]}]}]", "tests[0].cases[0].name"),
        ("tests: [{invalid: true, cases: [{}]}]", "invalid"),
        ("tests: [", "suite.yaml:"),
        ("test: [{name: a}]", "'test' is not known"),
        ("tests: [{case: [{name: a}]}]", "'case' of tests[0] is not known"),
        ("tests: [{cases: [{assertion: []}]}]", "'assertion' of tests[0].cases[0]"),
        ("tests: [{cases: [{assertions: [{mesage: x}]}]}]", "did you mean 'message'"),
        ("tests: []\n---\napiVersion: test.gatekeeper.sh/v1alpha1\nkind: Suite\ntests: []", "holds 2 suites"),
    ],
)
def test_a_suite_that_is_wrong_is_told_with_its_field(aksp: Aksp, text: str, told: str) -> None:
    aksp.put("suite.yaml", f"apiVersion: test.gatekeeper.sh/v1alpha1\nkind: Suite\n{text}\n")
    run = aksp("test", "suite.yaml")

    assert run.code == 2
    assert told in run.err


def test_where_there_is_no_suite_nothing_passes(aksp: Aksp) -> None:
    aksp.put("folder/pod.yaml", pod("a"))
    assert aksp("test", "folder").code == 4
    assert aksp("test", "folder/pod.yaml").code == 2
    assert aksp("test", "nowhere").code == 2
    aksp.put("empty.yaml", "apiVersion: test.gatekeeper.sh/v1alpha1\nkind: Suite\ntests: []\n")
    assert aksp("test", "empty.yaml").code == 4


def test_suites_are_found_in_folders_and_other_files_are_passed_over(suites: Suites) -> None:
    suites.run(suites.test(suites.case(pod("a"), {"violations": "no"})))
    suites.aksp.put("helm.yaml", "{{- if .Values.x }}\nkind: x\n")
    for path in (".", "./..."):
        assert suites.aksp("test", path).code == 0


def test_samples_of_definitions_are_judged_as_their_own_command_judges_them(aksp: Aksp) -> None:
    aksp.done("definitions", "new", "mine")
    folder = aksp.workspace / "definitions" / "mine"
    assert aksp.done("test", str(folder)).out.endswith(" passed\n")
    for sample in (folder / "samples").iterdir():
        text = sample.read_text(encoding="utf-8")
        if "expect: []" not in text:
            sample.write_text(text.replace("path: ", "path: else."), encoding="utf-8")
            run = aksp("test", str(sample), "-o", "json")
            assert (run.code, run.json["counts"]["failed"], run.json["counts"]["passed"]) == (1, 1, 0)
            assert "is expected and not found" in run.json["suites"][0]["tests"][0]["message"]
    (folder / "policy.rego").write_text("package x\n\nnothing := 1 +\n", encoding="utf-8")
    assert aksp("test", str(aksp.workspace)).code == 4


def test_junit_counts_failures_errors_and_what_is_skipped(suites: Suites) -> None:
    suites.run(
        suites.test(
            suites.case(pod("a", "web"), {"violations": "no"}, name='<&">\x07'),
            suites.case(pod("a")),
            suites.case(pod("a"), {}, skip=True),
            suites.case(pod("a"), {"violations": "no"}),
        )
    )
    run = suites.aksp("test", "suite.yaml", "-o", "junit")
    (suite,) = JUnitXml.fromstring(run.out.encode())

    assert (suite.tests, suite.failures, suite.errors, suite.skipped) == (4, 1, 1, 1)
    assert len(list(suite)) == 4
