"""JUnit XML: a report as test results, for Jenkins, GitLab, Azure DevOps and others.

There is no standard; this is what its readers have in common (Apache Ant's writer, the xunit plugin of Jenkins, GitLab's
"Unit test reports"). A suite is an assignment, of several clusters one in each; a case is a container, or the resource
where it has none. Readers keep one failure of a case, and GitLab passes over a second case of the same name, so findings
of one container are put together.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence, Set
from typing import Final, TextIO
from xml.sax.saxutils import escape, quoteattr

from msgspec import Struct

from aksp import runners
from aksp.compliance.fingerprints import fingerprints
from aksp.compliance.fleet import separate
from aksp.model.compliance import AssignmentSummary, ComplianceState, Gap, PolicyResult, Report, Result
from aksp.model.times import rfc3339
from aksp.report.figures import value_text
from aksp.report.groups import GroupedSubject, Grouping, grouped
from aksp.report.interface import Format, Style
from aksp.report.pipeline.repository import Place, PlaceKind, in_file, place_of
from aksp.report.pipeline.unique_findings import advice_on, gap_text, is_known, other_gaps, waiver
from aksp.report.text import safe

#: The suite of what could not be judged.
GAPS: Final = "gaps"

#: The element of each outcome, that of the first counts in a case with several; one that passed has none.
_ELEMENTS: Final = {
    PolicyResult.FAIL: "failure",
    PolicyResult.ERROR: "error",
    PolicyResult.PASS: "",
    PolicyResult.SKIP: "skipped",
}


class _Case(Struct, frozen=True, kw_only=True):
    """The results of one container for one assignment, each with whether a baseline knows it: then it fails no more."""

    name: str
    results: Sequence[tuple[Result, bool]]

    @property
    def outcome(self) -> str:
        """The element that tells it; empty for one that passed."""
        found = {_element_of(*one) for one in self.results}
        return next(element for element in _ELEMENTS.values() if element in found)


class _Suite(Struct, frozen=True, kw_only=True):
    """An assignment and its cases. ``line`` is what it came to."""

    line: AssignmentSummary
    cases: Sequence[_Case]

    @property
    def idle(self) -> str:
        """The element of an assignment that judged nothing; empty for one that did.

        A suite without cases would pass for one in which all is well.
        """
        state = self.line.state
        nothing = state is ComplianceState.NOT_STARTED or (state is ComplianceState.ERROR and not self.cases)
        return _ELEMENTS[state.outcome] if nothing else ""

    @property
    def outcomes(self) -> Sequence[str]:
        """The elements of its cases."""
        return [*(case.outcome for case in self.cases), *filter(None, [self.idle])]


def render_junit(report: Report, out: TextIO, style: Style) -> None:
    """Write one XML document. All text in it is safe to print, so that XML allows it too."""
    parts = [(each, _suites(each), other_gaps(each)) for each in separate(report)]
    outcomes = [outcome for _, suites, _ in parts for suite in suites for outcome in suite.outcomes]
    outcomes += ["error" for _, _, gaps in parts for _ in gaps]
    head = {"name": "aksp", **_totals(outcomes)}
    out.write(f'<?xml version="1.0" encoding="UTF-8"?>\n<testsuites{_attributes(head)}>\n')
    for each, suites, gaps in parts:
        cluster = each.target.name if report.clusters else ""
        for suite in suites:
            out.writelines(_suite(suite, each, style, cluster))
        if gaps:
            out.writelines(_gaps(gaps, each, style, cluster))
    out.write("</testsuites>\n")


def _gaps(gaps: Sequence[Gap], report: Report, style: Style, cluster: str) -> Iterator[str]:
    head = {"name": _within(cluster, GAPS), **_totals(["error"] * len(gaps)), **_run(report)}
    yield f"  <testsuite{_attributes(head)}>\n"
    if cluster:
        yield from _properties({"cluster": cluster})
    class_attribute = _attributes({"classname": _class(cluster, GAPS)})
    for number, gap in enumerate(gaps, 1):
        name = f"{number} {gap.reason}" + (f" {gap.resource}" if gap.resource else "")
        place = in_file(gap.source, style) if gap.source else None
        yield f"    <testcase{class_attribute}{_attributes({'name': name, **_file(place)})}>\n"
        yield _element("error", {"type": gap.reason, "message": gap_text(gap)}, "")
        yield "    </testcase>\n"
    yield "  </testsuite>\n"


def _within(cluster: str, name: str) -> str:
    """A suite's name, with its cluster where there are several."""
    return f"{cluster}: {name}" if cluster else name


def _class(*names: str) -> str:
    """Readers know a case by its class and its name, and show what is before a dot as a folder."""
    return ".".join(filter(None, names))


def _properties(values: Mapping[str, str]) -> Iterator[str]:
    yield "    <properties>\n"
    for name, value in values.items():
        yield f"      <property{_attributes({'name': name, 'value': value})}/>\n"
    yield "    </properties>\n"


def _suites(report: Report) -> Sequence[_Suite]:
    known: Set[int] = set()
    if report.known is not None:
        known = {at for at, pair in enumerate(fingerprints(report.results)) if is_known(report, *pair)}
    found = {section.title: section.subjects for section in grouped(report.results, _BY_CASE)}
    # Every result is of one of these.
    lines = {line.name: line for line in report.judged}
    names = dict.fromkeys((*lines, *found))
    return [_Suite(line=lines[name], cases=_cases(found.get(name, ()), known)) for name in names]


def _cases(subjects: Iterable[GroupedSubject], known: Set[int]) -> list[_Case]:
    """A case for each subject. Its name has a number when another has the same: the same object in two files, for one."""
    names: Counter[str] = Counter()
    made = []
    for subject in subjects:
        name = _name(subject.first)
        names[name] += 1
        while names[name] > 1:
            name = f"{name} #{names[name]}"
            names[name] += 1
        results = [(group.first, at in known) for at, group in subject.groups.items()]
        made.append(_Case(name=name, results=results))
    return made


def _case_key(result: Result) -> Hashable:
    """What makes two results of an assignment the same case."""
    container = result.finding.container
    place = (container.type, container.name) if container else None
    return result.resource, place, result.source.file if result.source else ""


_BY_CASE: Final = Grouping(title=lambda result: result.assignment.name, subject=_case_key, row=None)


def _suite(suite: _Suite, report: Report, style: Style, cluster: str) -> Iterator[str]:
    line = suite.line
    head = {"name": _within(cluster, line.name), **_totals(suite.outcomes), **_run(report)}
    yield f"  <testsuite{_attributes(head)}>\n"
    properties = {
        **({"cluster": cluster} if cluster else {}),
        "definition": line.definition,
        "effect": line.effect,
        "enforcementMode": line.enforcement_mode,
        "scope": line.scope,
        "state": line.state.value,
        **({"filters": " ".join(report.target.filters)} if report.target.filters else {}),
    }
    if line.reference:
        # A member tells what the initiative came to, so that a reader of one suite sees it.
        whole = next(one for one in report.assignments if one.name == line.assignment)
        properties |= {
            "initiative": line.initiative,
            "referenceId": line.reference,
            "initiativeState": whole.state.value,
        }
        properties |= {
            f"groupState.{group.name}": group.state.value for group in whole.groups if group.name in line.group_names
        }
    yield from _properties(properties)
    class_name = _class(cluster, line.name, line.definition if line.name != line.definition else "")
    class_attribute = _attributes({"classname": class_name})
    if suite.idle:
        yield f"    <testcase{class_attribute}{_attributes({'name': 'nothing judged'})}>\n"
        yield _element(suite.idle, {"message": ": ".join(filter(None, (line.state.value, line.message)))}, "")
        yield "    </testcase>\n"
    for case in suite.cases:
        yield from _case(case, class_attribute, report, style)
    yield "  </testsuite>\n"


def _case(case: _Case, class_attribute: str, report: Report, style: Style) -> Iterator[str]:
    outcome = case.outcome
    first, _ = case.results[0]
    place = place_of(first, report.target, style) if first.source else None
    opening = f"    <testcase{class_attribute}{_attributes({'name': case.name, **_file(place)})}"
    if not outcome:
        yield f"{opening}/>\n"
        return
    yield f"{opening}>\n"
    if outcome == "skipped":
        yield _element(
            "skipped",
            {"message": "; ".join(dict.fromkeys(_skipped(one, known=known) for one, known in case.results))},
            "",
        )
    else:
        yield _problem(outcome, case, report, style)
    yield "    </testcase>\n"


def _problem(outcome: str, case: _Case, report: Report, style: Style) -> str:
    """A failure or an error: the first reason as its message, all of them in its text, then the remedy."""
    results = case.results
    first = next(one for one, known in results if _element_of(one, known) == outcome)
    more = f" (and {len(results) - 1} more)" if len(results) > 1 else ""
    lines: list[str] = []
    for result, known in results:
        place = place_of(result, report.target, style) if result.source else None
        lines += _evidence(result, place, known=known)
    if advice := advice_on(report, first):
        lines.append(f"remediation: {advice}")
    kind = first.assignment.effect if outcome == "failure" else first.state.value
    return _element(outcome, {"type": kind, "message": f"{_reason(first)}{more}"}, "\n".join(lines))


def _evidence(result: Result, place: Place | None, *, known: bool) -> Iterator[str]:
    finding = result.finding
    state = "known: " if known else "" if result.state is ComplianceState.NON_COMPLIANT else f"{result.state.value}: "
    yield safe(f"{state}{_reason(result)}")
    facts = {
        "path": finding.path,
        "observed": value_text(finding.observed),
        "expected": value_text(finding.expected),
        "at": f"{place.path}:{place.line}" if place else "",
        "exemption": waiver(result.exemption) if result.exemption else "",
    }
    for name, fact in facts.items():
        if fact:
            yield safe(f"  {name}: {fact}")


def _reason(result: Result) -> str:
    return result.finding.message or "no reason is given"


def _skipped(result: Result, *, known: bool) -> str:
    if known:
        return f"known: {_reason(result)}"
    if result.exemption is not None:
        return f"exempt: {waiver(result.exemption)}"
    return f"{result.state.value}: {result.finding.message}" if result.finding.message else result.state.value


def _name(result: Result) -> str:
    """As in ``Pod/shop/web-1[app]``; init and ephemeral containers name their list too."""
    resource, container = result.resource, result.finding.container
    name = "/".join(part for part in (resource.kind, resource.namespace, resource.name) if part)
    if container is None:
        return name
    return (
        f"{name}[{container.name}]" if container.type == "containers" else f"{name}[{container.type}/{container.name}]"
    )


def _element_of(result: Result, known: bool) -> str:
    """The element that tells one result."""
    return _ELEMENTS[PolicyResult.SKIP if known else result.state.outcome]


def _file(place: Place | None) -> dict[str, str]:
    return {"file": place.path} if place and place.origin is not PlaceKind.STDIN else {}


def _totals(outcomes: Iterable[str]) -> dict[str, str]:
    outcomes = list(outcomes)
    return {
        "tests": str(len(outcomes)),
        "failures": str(outcomes.count("failure")),
        "errors": str(outcomes.count("error")),
        "skipped": str(outcomes.count("skipped")),
    }


def _run(report: Report) -> dict[str, str]:
    return {"timestamp": rfc3339(report.evaluated_at), "hostname": report.target.name}


def _element(name: str, attributes: dict[str, str], text: str) -> str:
    opening = f"      <{name}{_attributes(attributes)}"
    return f"{opening}>{escape(text)}</{name}>\n" if text else f"{opening}/>\n"


def _attributes(values: dict[str, str]) -> str:
    return "".join(f" {name}={quoteattr(safe(value))}" for name, value in values.items())


FORMAT = Format(
    name="junit",
    description="test results in JUnit's XML: a suite per assignment, a case per container",
    render=render_junit,
    suffixes=(".xml",),
    in_log=runners.in_xml,
    every_result=True,
)
