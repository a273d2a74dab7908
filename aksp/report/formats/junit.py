"""JUnit XML: a report as test results, for Jenkins, GitLab, Azure DevOps and others.

There is no standard; this is what its readers have in common (Apache Ant's writer, the xunit plugin of Jenkins, GitLab's
"Unit test reports"). A suite is an assignment, of several clusters one in each; a case is a container, or the resource
where it has none. Readers keep one failure of a case, and GitLab passes over a second case of the same name, so findings
of one container are put together.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, TextIO
from xml.sax.saxutils import escape, quoteattr

from aksp import runners
from aksp.compliance.fingerprints import fingerprints
from aksp.compliance.fleet import separate
from aksp.model.compliance import AssignmentSummary, ComplianceState, Gap, PolicyResult, Report, Result
from aksp.model.times import rfc3339
from aksp.report.figures import value_text
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


@dataclass(kw_only=True, slots=True)
class _Case:
    """The results of one container for one assignment."""

    name: str
    results: list[Result] = field(default_factory=list)
    known: set[int] = field(default_factory=set)
    """The results that a baseline knows, by their places among them: they fail no more."""

    def outcome_of(self, at: int) -> PolicyResult:
        """What one of the results comes to."""
        return PolicyResult.SKIP if at in self.known else self.results[at].state.outcome

    @property
    def outcome(self) -> str:
        """The element that tells it; empty for one that passed."""
        found = set(map(self.outcome_of, range(len(self.results))))
        return next(element for outcome, element in _ELEMENTS.items() if outcome in found)


@dataclass(kw_only=True, slots=True)
class _Suite:
    """An assignment and its cases, by what makes two results the same case. ``line`` is what it came to, if that is known."""

    name: str
    definition: str
    line: AssignmentSummary | None = None
    cases: dict[object, _Case] = field(default_factory=dict)
    names: dict[str, int] = field(default_factory=dict)

    def add(self, result: Result, *, known: bool) -> None:
        """Put a result into its case."""
        container = result.finding.container
        place = (container.type, container.name) if container else None
        key = (result.resource, place, result.source.file if result.source else "")
        case = self.cases.get(key)
        if case is None:
            case = self.cases[key] = _Case(name=self._unique(_name(result)))
        if known:
            case.known.add(len(case.results))
        case.results.append(result)

    @property
    def idle(self) -> str:
        """The element of an assignment that judged nothing; empty for one that did.

        A suite without cases would pass for one in which all is well.
        """
        state = self.line.state if self.line else ComplianceState.UNKNOWN
        nothing = state is ComplianceState.NOT_STARTED or (state is ComplianceState.ERROR and not self.cases)
        return _ELEMENTS[state.outcome] if nothing else ""

    @property
    def outcomes(self) -> Sequence[str]:
        """The elements of its cases."""
        return [*(case.outcome for case in self.cases.values()), *filter(None, [self.idle])]

    def _unique(self, name: str) -> str:
        """The name, with a number when another case has it: the same object in two files, for one."""
        number = self.names[name] = self.names.get(name, 0) + 1
        return name if number == 1 else self._unique(f"{name} #{number}")


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
    suites = {line.name: _Suite(name=line.name, definition=line.definition, line=line) for line in report.judged}
    for result, fingerprint in fingerprints(report.results):
        key = result.assignment
        suite = suites.get(key.name)
        if suite is None:
            suite = suites[key.name] = _Suite(name=key.name, definition=key.definition)
        suite.add(result, known=is_known(report, result, fingerprint))
    return list(suites.values())


def _suite(suite: _Suite, report: Report, style: Style, cluster: str) -> Iterator[str]:
    line = suite.line
    head = {"name": _within(cluster, suite.name), **_totals(suite.outcomes), **_run(report)}
    yield f"  <testsuite{_attributes(head)}>\n"
    if line is not None:
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
                f"groupState.{group.name}": group.state.value
                for group in whole.groups
                if group.name in line.group_names
            }
        yield from _properties(properties)
    class_name = _class(cluster, suite.name, suite.definition if suite.name != suite.definition else "")
    class_attribute = _attributes({"classname": class_name})
    if line is not None and suite.idle:
        yield f"    <testcase{class_attribute}{_attributes({'name': 'nothing judged'})}>\n"
        yield _element(suite.idle, {"message": ": ".join(filter(None, (line.state.value, line.message)))}, "")
        yield "    </testcase>\n"
    for case in suite.cases.values():
        yield from _case(case, class_attribute, report, style)
    yield "  </testsuite>\n"


def _case(case: _Case, class_attribute: str, report: Report, style: Style) -> Iterator[str]:
    outcome = case.outcome
    first = case.results[0]
    place = place_of(first, report.target, style) if first.source else None
    opening = f"    <testcase{class_attribute}{_attributes({'name': case.name, **_file(place)})}"
    if not outcome:
        yield f"{opening}/>\n"
        return
    yield f"{opening}>\n"
    if outcome == "skipped":
        yield _element(
            "skipped",
            {
                "message": "; ".join(
                    dict.fromkeys(_skipped(one, known=at in case.known) for at, one in enumerate(case.results))
                )
            },
            "",
        )
    else:
        yield _problem(outcome, case, report, style)
    yield "    </testcase>\n"


def _problem(outcome: str, case: _Case, report: Report, style: Style) -> str:
    """A failure or an error: the first reason as its message, all of them in its text, then the remedy."""
    results = case.results
    first = next(one for at, one in enumerate(results) if _ELEMENTS[case.outcome_of(at)] == outcome)
    more = f" (and {len(results) - 1} more)" if len(results) > 1 else ""
    lines: list[str] = []
    for at, result in enumerate(results):
        place = place_of(result, report.target, style) if result.source else None
        lines += _evidence(result, place, known=at in case.known)
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
