"""An explanation for people, from the resource or the assignment down to the line and the change."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any, TextIO

from aksp.compliance import fixes
from aksp.compliance.explanation import ContainerVerdict, Setting, ValueOrigin, Waiver, lineage
from aksp.compliance.plan import MatchSource, Ready
from aksp.compliance.selection import ObjectScope
from aksp.model.assignment import EnforcementMode
from aksp.model.compliance import ComplianceState, Gap, Result, Target, TargetKind
from aksp.model.json_text import encode
from aksp.model.scope import Scope
from aksp.model.times import day, rfc3339
from aksp.report.explain.excerpt import Excerpt
from aksp.report.explain.explanation import (
    AssignmentExplanation,
    Case,
    DistinctFinding,
    Explanation,
    ResourceExplanation,
)
from aksp.report.fields import place
from aksp.report.figures import plural, total
from aksp.report.interface import GroupBy, Style
from aksp.report.table import findings
from aksp.report.table.blocks import Block, Column, Grid, Line, Paragraph, Row, Span, Tone, cell, span, stated, titled
from aksp.report.table.plain import draw_plain
from aksp.report.table.terminal import draw_rich
from aksp.yaml_writer import to_yaml

#: Columns of the names of fields.
_NAMES = 13
#: Resources that are named; the others are counted.
_NAMED = 3


def render_explanation(explanation: Explanation, out: TextIO, style: Style) -> None:
    """Write an explanation, at most ``style.width`` columns wide but for what is to be copied."""
    blocks = _resource(explanation) if isinstance(explanation, ResourceExplanation) else _assignment(explanation)
    draw = draw_rich if style.terminal else draw_plain
    for at, (verbatim, some) in enumerate(groupby(blocks, key=lambda part: isinstance(part, _Verbatim))):
        if at:
            out.write("\n")
        shown = [part.paragraph if isinstance(part, _Verbatim) else part for part in some]
        draw(shown, out, width=None if verbatim else style.width, color=style.color)


# A resource


def _resource(explanation: ResourceExplanation) -> Iterator[_Part]:
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
        shown = (Row(cells=tuple(map(cell, row))) for row in left_out)
        yield titled("Not judged by", ("ASSIGNMENT", "LEFT OUT BY", "WHY"), shown)
    yield from _gaps(explanation.gaps)


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
        gist = (stated(state), Span(f"  by {len(bad)} of {number}" if bad else f"  by {number}"))
    evaluated = Span(f"  evaluated {rfc3339(explanation.evaluated_at)}", Tone.MUTED)
    return Paragraph(lines=(name, _target(explanation.target), (*gist, evaluated)), hang=2)


def _case(case: Case, context: str | None) -> Iterator[_Part]:
    standing, ready = case.standing, case.standing.ready
    title: Line = (span(ready.key.name, Tone.STRONG),)
    if standing.state is not None:
        title += (Span("  "), stated(standing.state))
    lines: list[Line] = [title, *_rule(ready), *_scopes(ready.assignment.scope, standing.place)]
    lines += _effect(ready)
    lines += _fields("Containers", [_verdict(one) for one in standing.verdicts])
    lines += _fields("Exemptions", [_waiver(one) for one in standing.waivers])
    yield Paragraph(lines=tuple(lines), hang=_NAMES)
    yield _parameters(standing.settings)
    for found in case.found:
        yield _found(found)
    yield from _excerpts([found.excerpt for found in case.found if found.excerpt])
    violations = [one.result for one in case.found if one.result.state is ComplianceState.NON_COMPLIANT]
    if violations and ready.definition.remediation:
        yield Paragraph(lines=tuple(_fields("To comply", [ready.definition.remediation])), hang=_NAMES)
    yield from _change(violations, context)


def _found(found: DistinctFinding) -> Paragraph:
    result, finding = found.result, found.result.finding
    title: Line = (stated(result.state),)
    if finding.container:
        title += (span(f"  container {finding.container.name}"),)
    lines: list[Line] = [(*title, span(f"  {finding.message}")), *_fields("Found in", [_resources(found)])]
    first, *others = list(dict.fromkeys(map(place, found.sources))) or [""]
    if finding.path:
        lines += _fields("Field", [f"{first}  {finding.path}" if first else finding.path])
        lines += _fields("And at", others)
        lines += _fields("Observed", [_value_text(finding.observed)])
        lines += _fields("Expected", [_value_text(finding.expected)])
    if result.exemption:
        lines += _fields("Exempt by", [result.exemption.name])
    return Paragraph(lines=tuple(lines), hang=_NAMES)


def _resources(found: DistinctFinding) -> str:
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
        texts = [", ".join(map(_verdict, standing.verdicts))] if standing.verdicts else []
        texts += [
            f"{one.name}: {_value_text(one.value)}"
            for one in standing.settings
            if one.origin is not ValueOrigin.DEFAULT
        ]
        why += [(span(text, Tone.MUTED),) for text in texts]
        scope = standing.ready.assignment.scope
        rows.append(Row(cells=(cell(standing.ready.key.name), cell(str(scope)), tuple(why))))
    return titled("Complies with", ("ASSIGNMENT", "SCOPE", "NOTHING FOUND AGAINST"), rows)


# An assignment


def _assignment(explanation: AssignmentExplanation) -> Iterator[_Part]:
    ready, summary, target = explanation.ready, explanation.summary, explanation.target
    assignment, selection = ready.assignment, ready.selection
    title: Line = (span(f"Assignment {ready.key.name}", Tone.STRONG),)
    if summary is not None:
        title += (Span("  "), stated(summary.state))
    lines: list[Line] = [title, *_fields("Says", [assignment.display_name, assignment.description]), *_rule(ready)]
    lines += _fields("Scope", [f"{assignment.scope}, and all below it"])
    lines += _fields("Not scopes", [", ".join(map(str, assignment.not_scopes))])
    lines += _fields("Namespaces", [", ".join(selection.namespaces)])
    lines += _fields("Left out", [", ".join(selection.excluded_namespaces)])
    lines += _fields("Labels", [selection.selector.text()])
    lines += [line for name, value in _match(ready) for line in _fields(name, [value])]
    lines += _effect(ready)
    lines += _fields("Exemptions", [_waiver(one, of_resource=False) for one in explanation.waivers])
    yield Paragraph(lines=tuple(lines), hang=_NAMES)
    yield _parameters(explanation.settings)
    if target is None:
        why = explanation.left_out.message if explanation.left_out else "give --cluster, or -f for manifests"
        yield Paragraph(lines=((Span("Not judged here: ", Tone.STRONG), span(why)),), hang=2)
        return
    yield Paragraph(lines=(_target(target), *_counts(explanation)), hang=_NAMES)
    yield from findings.findings(explanation.results, GroupBy.ASSIGNMENT)
    yield from findings.exempted(explanation.results, GroupBy.OWNER)
    yield from _gaps(explanation.gaps)


def _match(ready: Ready) -> Iterator[tuple[str, str]]:
    """What else the definition selects by, if anything."""
    selection = ready.selection
    yield "Names", selection.name
    if selection.object_scope is not ObjectScope.ANY:
        yield "Lies", "in a namespace" if selection.object_scope is ObjectScope.NAMESPACED else "in no namespace"
    yield "Of namespace", selection.namespace_selector.text()
    if ready.source is not MatchSource.ORIGINAL:
        yield "Source", ready.source.value
    if ready.warns is not None:
        yield "Warn", "true" if ready.warns else "false"


def _counts(explanation: AssignmentExplanation) -> Iterator[Line]:
    summary = explanation.summary
    if summary is None or not total(summary.counts.resources):
        why = f" {sentence}" if summary and (sentence := summary.message) else ""
        yield (Span("Nothing here was judged by it.", Tone.STRONG), span(why))
        return
    for name, counts in (("Resources", summary.counts.resources), ("Containers", summary.counts.containers)):
        shown = [f"{number} {state}" for state in ComplianceState if (number := counts.get(state, 0))]
        yield from _fields(name, [", ".join(shown)])


# Parts of both


class _Verbatim:
    """Lines that must not be wrapped, since they are to be copied."""

    def __init__(self, text: str) -> None:
        self.paragraph = Paragraph(lines=tuple((span(f"  {line}"),) for line in text.splitlines()))


_Part = Block | _Verbatim


def _fields(name: str, values: Sequence[str]) -> Iterator[Line]:
    """A named field with a line for each value that is not empty; no line without any."""
    for at, value in enumerate([one for one in values if one]):
        yield (Span((name if not at else "").ljust(_NAMES), Tone.MUTED), span(value))


def _rule(ready: Ready) -> Iterator[Line]:
    """The definition, and what it demands in its own words."""
    definition = ready.definition
    title = f"{definition.slug} {definition.version}, severity {definition.severity}: {definition.display_name}"
    yield from _fields("Definition", [title])
    yield from _fields("Rule", [definition.description])
    yield from _fields("Document", [ready.assignment.origin])


def _scopes(scope: Scope, place: Scope) -> Iterator[Line]:
    """The scopes that cover a place, from the top down, with the one that is assigned."""
    shown = [
        f"{one} (assigned here)" if one.covers(scope) and scope.covers(one) else str(one) for one in lineage(place)
    ]
    yield from _fields("Scope", [" > ".join(shown)])


def _effect(ready: Ready) -> Iterator[Line]:
    """What the assignment does about a violation."""
    text = f"{ready.effect}: {ready.effect.meaning}"
    if ready.assignment.enforcement_mode is EnforcementMode.DO_NOT_ENFORCE and ready.effect.judges:
        text = f"{ready.effect}, but enforcementMode DoNotEnforce: reported, nothing is refused"
    yield from _fields("Effect", [text])


def _parameters(settings: Sequence[Setting]) -> Grid:
    """The parameters with their sources; defaults that are empty say nothing and are left out."""
    rows = []
    for one in settings:
        given = one.origin is not ValueOrigin.DEFAULT
        tone = Tone.PLAIN if given else Tone.MUTED
        if given or one.value not in ("", [], {}, None):
            rows.append(Row(cells=(cell(one.name, tone), cell(_value_text(one.value), tone), cell(one.origin, tone))))
    columns = (Column(header="PARAMETER"), Column(header="VALUE"), Column(header="FROM"))
    title: Line = (Span("Parameters", Tone.STRONG),)
    if len(rows) < len(settings):
        title += (Span("  without those that are empty by default", Tone.MUTED),)
    return Grid(title=title, columns=columns, rows=tuple(rows))


def _excerpts(given: Sequence[Excerpt]) -> Iterator[Paragraph]:
    """The lines around findings; those of one text together."""
    for excerpt in Excerpt.together(given):
        width = len(str(excerpt.lines[-1].number)) if excerpt.lines else 0
        lines: list[Line] = []
        for one in excerpt.lines:
            # Line numbers of a live object mean nothing to the reader.
            number = f"{one.number:>{width}} | " if excerpt.file else ""
            if one.gap:
                lines.append((Span(f"    {' ' * width if excerpt.file else ''}…", Tone.MUTED),))
            mark, tone = (Span("  > ", Tone.BAD), Tone.STRONG) if one.marked else (Span("    "), Tone.MUTED)
            lines.append((mark, Span(number, Tone.MUTED), Span(one.text, tone)))
        yield Paragraph(lines=tuple(lines), hang=4 + width)


def _change(results: Sequence[Result], context: str | None) -> Iterator[_Part]:
    """The change that removes violations, where their rule knows it, and how to make it."""
    fixed = [one for one in results if fixes.patch(one) is not None]
    if not fixed:
        return
    for one in fixes.together(fixed, context=context):
        some = f" {len(fixed)} of these {len(results)} findings" if len(fixed) < len(results) else ""
        what = f"takes{some} away" if some else "complies"
        obstacle = next((why for each in fixed if each.source is None and (why := fixes.obstacle(each))), None)
        how = f"; {obstacle}" if obstacle else ""
        text = f"The change that {what}, as a strategic-merge patch{how}:"
        yield Paragraph(lines=((span(text, Tone.MUTED),),), hang=2)
        yield _Verbatim(to_yaml(one.patch))
        if one.command:
            yield _Verbatim(one.command)


def _gaps(given: Sequence[Gap]) -> Iterator[Grid]:
    """What could not be judged."""
    if given:
        rows = (Row(cells=(cell(gap.reason, Tone.WARNING), cell(gap.message))) for gap in given)
        yield titled("Could not be judged", ("GAP", "WHAT"), rows)


def _verdict(given: ContainerVerdict) -> str:
    """A container and its state, or what leaves it out."""
    if given.left_out:
        parameter, value = given.left_out
        return f"{given.container.name} is left out by {parameter} {value}"
    return f"{given.container.name} {given.state}"


def _waiver(given: Waiver, *, of_resource: bool = True) -> str:
    """An exemption with its end, and whether it covers the resource."""
    exemption = given.exemption
    until = "no end date" if exemption.expires_on is None else f"until {day(exemption.expires_on)}"
    if given.expired and exemption.expires_on is not None:
        until = f"expired on {day(exemption.expires_on)}, so it no longer counts"
    whom = ""
    if of_resource and not given.covers:
        whom = ", does not cover this"
    elif given.containers:
        whom = f", for {', '.join(one.name for one in given.containers)}"
    why = exemption.display_name or exemption.description
    return f"{exemption.name} ({exemption.category}, {until}{whom}){f': {why}' if why else ''}"


def _target(given: Target) -> Line:
    """What was judged."""
    kind = "Cluster" if given.kind is TargetKind.CLUSTER else "Manifests"
    line: Line = (span(f"{kind} {given.name}"),)
    return (*line, span(f"  {given.server}", Tone.MUTED)) if given.server else line


def _value_text(value: Any) -> str:
    """A value in words: text as it is, the rest as JSON."""
    if value is None:
        return "(not set)"
    return value if isinstance(value, str) and value else encode(value)
