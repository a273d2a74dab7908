"""What became of suites, for people, for programs and for pipelines."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final
from xml.sax.saxutils import quoteattr

from aksp.gatekeeper.verifying import SuiteResult, TestOutcome, TestResult
from aksp.model.assignment import PRINTED_VERSION
from aksp.report.figures import plural
from aksp.report.text import safe

_WORDS: Final = {
    TestOutcome.PASSED: "ok",
    TestOutcome.FAILED: "FAIL",
    TestOutcome.ERROR: "ERROR",
    TestOutcome.SKIPPED: "skip",
}
_ELEMENTS: Final = {TestOutcome.FAILED: "failure", TestOutcome.ERROR: "error", TestOutcome.SKIPPED: "skipped"}


def counted(results: Sequence[SuiteResult]) -> Counter[TestOutcome]:
    """How many cases have which outcome. A test without cases, or that fails before them, counts as one."""
    return Counter(outcome for result in results for _, outcome, _ in _rows(result))


def _rows(result: SuiteResult) -> Iterator[tuple[str, TestOutcome, str]]:
    """The names of a suite's cases, or tests, their outcomes, and why."""
    if result.skipped:
        yield "", TestOutcome.SKIPPED, ""
    for test in result.tests:
        if test.outcome is not TestOutcome.PASSED or not test.cases:
            yield test.name, test.outcome, test.message
        for case in test.cases:
            yield f"{test.name}: {case.name}", case.outcome, case.message


def text(results: Sequence[SuiteResult]) -> str:
    """A line for each case, with the reason below where it did not pass, and the counts at the end."""
    lines = []
    for result in results:
        lines.append(safe(str(result.path)))
        for name, outcome, message in _rows(result):
            lines.append(f"  {_WORDS[outcome]:5} {safe(name)}".rstrip())
            lines += [f"        {safe(message)}"] if message else []
    counts = counted(results)
    told = [
        f"{counts[outcome]} {'in error' if outcome is TestOutcome.ERROR else outcome}"
        for outcome in TestOutcome
        if counts[outcome]
    ]
    return "\n".join([*lines, f"{plural(len(results), 'suite')}: {', '.join(told) or 'no case'}"])


def as_json(results: Sequence[SuiteResult]) -> str:
    """One document: suites, their tests and the cases of these."""
    counts = counted(results)
    document = {
        "apiVersion": PRINTED_VERSION,
        "kind": "TestReport",
        "counts": {outcome.value: counts[outcome] for outcome in TestOutcome},
        "suites": [
            {"file": str(one.path), "skipped": one.skipped, "tests": [_test(test) for test in one.tests]}
            for one in results
        ],
    }
    return json.dumps(document, indent=2, ensure_ascii=False)


def _test(test: TestResult) -> dict[str, Any]:
    cases = [{"name": one.name, "outcome": one.outcome.value, "message": one.message} for one in test.cases]
    return {"name": test.name, "outcome": test.outcome.value, "message": test.message, "cases": cases}


def junit(results: Sequence[SuiteResult]) -> str:
    """JUnit XML: a suite for each file. All text in it is safe to print, so that XML allows it too."""
    lines = [
        '<?xml version="1.0" encoding="UTF-8"?>',
        f"<testsuites{_attributes({'name': 'aksp test', **_totals(results)})}>",
    ]
    for result in results:
        lines.append(f"  <testsuite{_attributes({'name': result.path, **_totals([result])})}>")
        for name, outcome, message in _rows(result):
            head = f"    <testcase{_attributes({'classname': result.path, 'name': name or 'suite'})}"
            element = _ELEMENTS.get(outcome)
            if element is None:
                lines.append(f"{head}/>")
            else:
                told = _attributes({"message": message}) if message else ""
                lines.append(f"{head}><{element}{told}/></testcase>")
        lines.append("  </testsuite>")
    return "\n".join([*lines, "</testsuites>"])


def _totals(results: Sequence[SuiteResult]) -> dict[str, int]:
    counts = counted(results)
    return {
        "tests": counts.total(),
        "failures": counts[TestOutcome.FAILED],
        "errors": counts[TestOutcome.ERROR],
        "skipped": counts[TestOutcome.SKIPPED],
    }


def _attributes(values: Mapping[str, Any]) -> str:
    return "".join(f" {key}={quoteattr(safe(str(value)))}" for key, value in values.items())


RENDERED: Final[Mapping[str, Callable[[Sequence[SuiteResult]], str]]] = {"text": text, "json": as_json, "junit": junit}
