"""An explanation for people, from the resource or the assignment down to the line and the change."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import TextIO

from aksp.compliance.explanation import Origin
from aksp.model.compliance import ComplianceState
from aksp.report import explanation_parts as parts
from aksp.report import findings
from aksp.report.blocks import Column, Grid, Line, Paragraph, Row, Span, Tone, cell, span
from aksp.report.explanation import AssignmentExplanation, Case, Explanation, Found, ResourceExplanation
from aksp.report.explanation_parts import NAMES, Part, Verbatim, fields
from aksp.report.figures import plural, rfc3339, total
from aksp.report.interface import GroupBy, Style
from aksp.report.plain import draw_plain
from aksp.report.subjects import place
from aksp.report.terminal import draw_rich

#: Resources that are named; the others are counted.
_NAMED = 3


def render_explanation(explanation: Explanation, out: TextIO, style: Style) -> None:
    """Write an explanation, at most ``style.width`` columns wide but for what is to be copied."""
    blocks = _resource(explanation) if isinstance(explanation, ResourceExplanation) else _assignment(explanation)
    draw = draw_rich if style.terminal else draw_plain
    for at, (verbatim, some) in enumerate(groupby(blocks, key=lambda part: isinstance(part, Verbatim))):
        if at:
            out.write("\n")
        shown = [part.paragraph if isinstance(part, Verbatim) else part for part in some]
        draw(shown, out, width=None if verbatim else style.width, color=style.color)


# A resource


def _resource(explanation: ResourceExplanation) -> Iterator[Part]:
    yield _heading(explanation)
    judging = [case for case in explanation.cases if case.standing.left_out is None]
    for case in judging:
        if case.found:
            yield from _case(case, explanation.context)
    if complying := [case for case in judging if not case.found]:
        yield _complying(complying)
    rows = [(case.standing.ready.key.name, case.standing.left_out) for case in explanation.cases]
    rows += [(assignment.name, why) for assignment, why in explanation.elsewhere]
    left_out = sorted((name, why.by, why.message) for name, why in rows if why is not None)
    if left_out:
        yield Grid(
            title=(Span("Not judged by", Tone.STRONG),),
            columns=(Column(header="ASSIGNMENT"), Column(header="LEFT OUT BY"), Column(header="WHY")),
            rows=tuple(Row(cells=tuple(cell(text) for text in row)) for row in left_out),
        )
    yield from parts.gaps(explanation.gaps)


def _heading(explanation: ResourceExplanation) -> Paragraph:
    state = explanation.state
    name: Line = (span(str(explanation.resource), Tone.STRONG),)
    if explanation.owner:
        name += (span(f"  of {explanation.owner.kind} {explanation.owner.name}", Tone.MUTED),)
    if explanation.container:
        name += (span(f"  container {explanation.container}"),)
    if explanation.pods:
        name += (Span(f"  judged by its {plural(explanation.pods, 'pod')}", Tone.MUTED),)
    elif explanation.from_template:
        name += (Span("  judged by its template, as there are no pods", Tone.MUTED),)
    judging = [case for case in explanation.cases if case.standing.left_out is None]
    bad = [case for case in judging if case.standing.state is ComplianceState.NON_COMPLIANT]
    number = plural(len(judging), "assignment")
    gist: Line = (Span("Not judged by any assignment", Tone.STRONG),)
    if state is not None:
        gist = (parts.state(state), Span(f"  by {len(bad)} of {number}" if bad else f"  by {number}"))
    evaluated = Span(f"  evaluated {rfc3339(explanation.evaluated_at)}", Tone.MUTED)
    return Paragraph(lines=(name, parts.target(explanation.target), (*gist, evaluated)), hang=2)


def _case(case: Case, context: str | None) -> Iterator[Part]:
    standing, ready = case.standing, case.standing.ready
    title: Line = (span(ready.key.name, Tone.STRONG),)
    if standing.state is not None:
        title += (Span("  "), parts.state(standing.state))
    lines: list[Line] = [title, *parts.rule(ready), *parts.scopes(ready.assignment.scope, standing.place)]
    lines += parts.effect(ready)
    lines += fields("Containers", [parts.verdict(one) for one in standing.verdicts])
    lines += fields("Exemptions", [parts.waiver(one) for one in standing.waivers])
    yield Paragraph(lines=tuple(lines), hang=NAMES)
    yield parts.parameters(standing.settings)
    for found in case.found:
        yield _found(found)
    yield from parts.excerpts([found.excerpt for found in case.found if found.excerpt])
    violations = [one.result for one in case.found if one.result.state is ComplianceState.NON_COMPLIANT]
    if violations and ready.definition.remediation:
        yield Paragraph(lines=tuple(fields("To comply", [ready.definition.remediation])), hang=NAMES)
    yield from parts.change(violations, context)


def _found(found: Found) -> Paragraph:
    result, finding = found.result, found.result.finding
    title: Line = (parts.state(result.state),)
    if finding.container:
        title += (span(f"  container {finding.container.name}"),)
    lines: list[Line] = [(*title, span(f"  {finding.message}")), *fields("Found in", [_resources(found)])]
    if finding.path:
        where = finding.path if result.source is None else f"{place(result.source)}  {finding.path}"
        lines += fields("Field", [where])
        lines += fields("Observed", [parts.value_text(finding.observed)])
        lines += fields("Expected", [parts.value_text(finding.expected)])
    if result.exemption:
        lines += fields("Exempt by", [result.exemption.name])
    return Paragraph(lines=tuple(lines), hang=NAMES)


def _resources(found: Found) -> str:
    """The replicas that have a finding; nothing where it is the resource itself."""
    if found.result.owner is None:
        return ""
    names = [one.name for one in found.resources]
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return f"{plural(len(names), found.resources[0].kind.lower())}: {', '.join(names[:_NAMED])}{more}"


def _complying(cases: Sequence[Case]) -> Grid:
    rows = []
    for case in cases:
        standing, definition = case.standing, case.standing.ready.definition
        why: list[Line] = [(span(definition.display_name),)]
        texts = [", ".join(map(parts.verdict, standing.verdicts))] if standing.verdicts else []
        texts += [
            f"{one.name}: {parts.value_text(one.value)}" for one in standing.settings if one.origin is Origin.ASSIGNMENT
        ]
        why += [(span(text, Tone.MUTED),) for text in texts]
        scope = standing.ready.assignment.scope
        rows.append(Row(cells=(cell(standing.ready.key.name), cell(str(scope)), tuple(why))))
    columns = (Column(header="ASSIGNMENT"), Column(header="SCOPE"), Column(header="NOTHING FOUND AGAINST"))
    return Grid(title=(Span("Complies with", Tone.STRONG),), columns=columns, rows=tuple(rows))


# An assignment


def _assignment(explanation: AssignmentExplanation) -> Iterator[Part]:
    ready, summary, target = explanation.ready, explanation.summary, explanation.target
    assignment, selection = ready.assignment, ready.selection
    title: Line = (span(f"Assignment {ready.key.name}", Tone.STRONG),)
    if summary is not None:
        title += (Span("  "), parts.state(summary.state))
    lines: list[Line] = [title, *fields("Says", [assignment.display_name, assignment.description]), *parts.rule(ready)]
    lines += fields("Scope", [f"{assignment.scope}, and all below it"])
    lines += fields("Not scopes", [", ".join(map(str, assignment.not_scopes))])
    lines += fields("Namespaces", [", ".join(selection.namespaces)])
    lines += fields("Left out", [", ".join(selection.excluded_namespaces)])
    lines += fields("Labels", [selection.selector.text()])
    lines += parts.effect(ready)
    lines += fields("Exemptions", [parts.waiver(one, of_resource=False) for one in explanation.waivers])
    yield Paragraph(lines=tuple(lines), hang=NAMES)
    yield parts.parameters(explanation.settings)
    if target is None:
        why = explanation.left_out.message if explanation.left_out else "give --cluster, or -f for manifests"
        yield Paragraph(lines=((Span("Not judged here: ", Tone.STRONG), span(why)),), hang=2)
        return
    yield Paragraph(lines=(parts.target(target), *_counts(explanation)), hang=NAMES)
    yield from findings.findings(explanation.results, GroupBy.ASSIGNMENT)
    yield from findings.exempted(explanation.results, GroupBy.OWNER)
    yield from parts.gaps(explanation.gaps)


def _counts(explanation: AssignmentExplanation) -> Iterator[Line]:
    summary = explanation.summary
    if summary is None or not total(summary.counts.resources):
        yield (Span("Nothing here was judged by it.", Tone.STRONG),)
        return
    for name, counts in (("Resources", summary.counts.resources), ("Containers", summary.counts.containers)):
        shown = [f"{number} {state}" for state in ComplianceState if (number := counts.get(state, 0))]
        yield from fields(name, [", ".join(shown)])
