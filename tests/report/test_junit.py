"""JUnit XML, read back by junitparser."""

from __future__ import annotations

from collections import Counter
from xml.etree import ElementTree

import pytest
from junitparser import Attr, Error, Failure, JUnitXml, Skipped, TestCase, TestSuite

from aksp.model.compliance import ComplianceState, Finding, Report
from aksp.model.resource import Container
from tests.replacing import replace
from tests.results import changed

from .render import render
from .scenarios import IMAGES, SCENARIOS, Line, pod, states

S = ComplianceState


def read(report: Report, **style: str) -> dict[str, TestSuite]:
    return {suite.name: suite for suite in JUnitXml.fromstring(render(report, "junit", **style).encode())}


class LocatedCase(TestCase):
    """A case with the attribute that GitLab reads, and that junitparser has no name for."""

    file = Attr("file")


def file_of(case: TestCase) -> str | None:
    file: str | None = LocatedCase.fromelem(case).file  # type: ignore[no-untyped-call]
    return file


def cases(report: Report, suite: str) -> dict[str, TestCase]:
    return {case.name: case for case in read(report)[suite]}


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_a_suite_is_an_assignment_and_its_numbers_are_those_of_its_cases(scenario: str) -> None:
    report = SCENARIOS[scenario]()
    whole = JUnitXml.fromstring(render(report, "junit").encode())
    for suite in whole:
        kinds = Counter(type(each) for case in suite for each in case.result)
        assert suite.tests == len(list(suite))
        assert (suite.failures, suite.errors, suite.skipped) == (kinds[Failure], kinds[Error], kinds[Skipped])
        names = [(case.classname, case.name) for case in suite]
        assert len(set(names)) == len(names)
    told = {suite.name for suite in whole}
    assert told - {"gaps"} == {line.name for line in report.judged}
    numbers = ("tests", "failures", "errors", "skipped")
    assert [getattr(whole, name) for name in numbers] == [sum(getattr(s, name) for s in whole) for name in numbers]


def test_a_container_that_complies_is_a_case_that_passed() -> None:
    (case,) = read(SCENARIOS["clean"]())["contoso-images"]
    assert case.name == "Pod/shop/web-6d4cf56db6-x2x1z[web]"
    assert case.classname == "contoso-images.allowed-images"
    assert case.is_passed


def test_findings_of_one_container_are_one_failure_with_all_reasons_and_the_remedy() -> None:
    found = cases(SCENARIOS["violations"](), "resource-limits")
    case = found["Pod/shop/web-6d4cf56db6-00000[initContainers/migrate]"]
    (failure,) = case.result
    assert isinstance(failure, Failure)
    assert failure.message == "no CPU limit is set (and 1 more)"
    assert failure.type == "Audit"
    assert str(failure.text).splitlines() == [
        "no CPU limit is set",
        "  path: spec.initContainers[0].resources.limits.cpu",
        "  expected: at most 2",
        "no memory limit is set",
        "  path: spec.initContainers[0].resources.limits.memory",
        "  expected: at most 4Gi",
        "remediation: Set resources.limits.cpu and resources.limits.memory.",
    ]
    assert len(found) == 300


def test_the_exempt_are_skipped_and_say_why_and_until_when() -> None:
    case = cases(SCENARIOS["violations"](), "contoso-images")["Pod/shop/billing-0[billing]"]
    (skipped,) = case.result
    assert isinstance(skipped, Skipped)
    assert str(skipped.message).startswith("exempt: legacy-billing: Waiver, until 2026-12-31")


def test_errors_are_errors_and_gaps_have_a_suite() -> None:
    suites = read(SCENARIOS["gaps"]())
    assert [type(each) for case in suites["resource-limits"] for each in case.result] == [Error, Error]
    (gap,) = suites["gaps"]
    assert gap.name == "1 Forbidden"
    assert "cannot list resource" in gap.result[0].message


def test_a_document_that_cannot_be_read_is_an_error_of_its_file() -> None:
    (gap,) = read(SCENARIOS["manifests"](), base="infra")["gaps"]
    assert file_of(gap) == "infra/deploy/base/cart.yaml"


def test_a_violation_beside_an_error_is_a_failure_that_tells_both() -> None:
    report = SCENARIOS["manifests"]()
    first = report.results[0]
    error = changed(first, state=S.ERROR, finding=replace(first.finding, message="eval failed"))
    (case,) = list(read(replace(report, results=(first, error)))["contoso-images"])
    (failure,) = case.result
    assert isinstance(failure, Failure)
    assert "Error: eval failed" in str(failure.text)


def test_the_same_object_in_two_files_is_two_cases() -> None:
    report = SCENARIOS["manifests"]()
    first = report.results[1]
    again = replace(first, source=Line("deploy/overlay/web.yaml", 3))
    found = list(read(replace(report, results=(first, again)), base="infra")["contoso-images"])
    assert [case.name for case in found] == ["Deployment/shop/web[web]", "Deployment/shop/web[web] #2"]
    assert [file_of(case) for case in found] == [
        "infra/deploy/base/web/deployment.yaml",
        "infra/deploy/overlay/web.yaml",
    ]


@pytest.mark.parametrize("text", ["\x00", "\x1b[2J", "\ud800", "\ufffe", "]]>", "\"&<>'", "\u202e", "\r\n\t"])
def test_what_xml_forbids_is_written_as_an_escape_wherever_it_stands(text: str) -> None:
    report = SCENARIOS["manifests"]()
    bad = f"a{text}b"
    result = changed(
        report.results[0],
        assignment=replace(IMAGES, assignment=bad, definition=bad, effect=bad),
        resource=pod(bad, bad),
        finding=Finding(message=bad, container=Container(name=bad, type=bad), path=bad, observed=bad, expected=[bad]),
        source=Line(bad, 1),
    )
    lines = (replace(report.assignments[0], name=bad, definition=bad, effect=bad),)
    root = ElementTree.fromstring(render(replace(report, results=(result,), assignments=lines), "junit").encode())
    case = root.find("testsuite/testcase")
    failure = root.find("testsuite/testcase/failure")
    assert case is not None and failure is not None and failure.text
    texts = [case.attrib["name"], case.attrib["file"], failure.attrib["message"], failure.text]
    for each in texts:
        before, after = each.find("a"), each.rfind("b")
        assert 0 <= before < after - 1  # something stands between: nothing is lost
        assert all(char.isprintable() or char == "\n" for char in each)


def test_every_result_is_told_once() -> None:
    report = SCENARIOS["violations"]()
    told = Counter(type(each) for suite in read(report).values() for case in suite for each in case.result)
    containers = {
        (result.assignment.name, result.resource, result.finding.container, result.state) for result in report.results
    }
    assert told[Failure] == sum(state is S.NON_COMPLIANT for *_, state in containers)
    assert told[Skipped] == states(report.results)[S.EXEMPT]


def test_a_file_on_standard_input_is_no_file_of_the_repository() -> None:
    (first, second) = list(read(SCENARIOS["manifests"]())["contoso-images"])
    assert file_of(first) is None
    assert "at: stdin:41" in str(first.result[0].text)
    assert file_of(second) == "deploy/base/web/deployment.yaml"
