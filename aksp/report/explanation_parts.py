"""What explanations for people are made of: named fields, parameters, exemptions, excerpts, changes."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from aksp.compliance import fixes
from aksp.compliance.explanation import Origin, Setting, Verdict, Waiver, lineage
from aksp.compliance.plan import Ready
from aksp.model.assignment import EnforcementMode
from aksp.model.compliance import ComplianceState, Gap, Result, Target, TargetKind
from aksp.model.definition import Effect
from aksp.model.scope import Scope
from aksp.report.blocks import STATE_TONES, Block, Column, Grid, Line, Paragraph, Row, Span, Tone, cell, span
from aksp.report.excerpt import Excerpt
from aksp.report.figures import day
from aksp.report.yaml_text import to_yaml

#: Columns of the names of fields.
NAMES = 13
_EFFECTS = {
    Effect.ENFORCE_REGO_POLICY: "where the add-on runs, what does not comply is refused",
    Effect.DENY: "where the add-on runs, what does not comply is refused",
    Effect.AUDIT: "reported, not refused",
    Effect.WARN: "reported; where the add-on runs, with a warning at admission",
    Effect.DISABLED: "not evaluated",
}


class Verbatim:
    """Lines that must not be wrapped, since they are to be copied."""

    def __init__(self, text: str) -> None:
        self.paragraph = Paragraph(lines=tuple((span(f"  {line}"),) for line in text.splitlines()))


Part = Block | Verbatim


def fields(name: str, values: Sequence[str]) -> Iterator[Line]:
    """A named field with a line for each value that is not empty; no line without any."""
    for at, value in enumerate([one for one in values if one]):
        yield (Span((name if not at else "").ljust(NAMES), Tone.MUTED), span(value))


def rule(ready: Ready) -> Iterator[Line]:
    """The definition, and what it demands in its own words."""
    definition = ready.definition
    title = f"{definition.slug} {definition.version}, severity {definition.severity}: {definition.display_name}"
    yield from fields("Definition", [title])
    yield from fields("Rule", [definition.description])
    yield from fields("Document", [ready.assignment.origin])


def scopes(scope: Scope, place: Scope) -> Iterator[Line]:
    """The scopes that cover a place, from the top down, with the one that is assigned."""
    shown = [
        f"{one} (assigned here)" if one.covers(scope) and scope.covers(one) else str(one) for one in lineage(place)
    ]
    yield from fields("Scope", [" > ".join(shown)])


def effect(ready: Ready) -> Iterator[Line]:
    """What the assignment does about a violation."""
    text = f"{ready.effect}: {_EFFECTS[ready.effect]}"
    if ready.assignment.enforcement_mode is EnforcementMode.DO_NOT_ENFORCE and ready.effect is not Effect.DISABLED:
        text = f"{ready.effect}, but enforcementMode DoNotEnforce: reported, nothing is refused"
    yield from fields("Effect", [text])


def parameters(settings: Sequence[Setting]) -> Grid:
    """The parameters with their sources; defaults that are empty say nothing and are left out."""
    rows = []
    for one in settings:
        given = one.origin is Origin.ASSIGNMENT
        tone = Tone.PLAIN if given else Tone.MUTED
        if given or one.value not in ("", [], {}, None):
            rows.append(Row(cells=(cell(one.name, tone), cell(value_text(one.value), tone), cell(one.origin, tone))))
    columns = (Column(header="PARAMETER"), Column(header="VALUE"), Column(header="FROM"))
    title: Line = (Span("Parameters", Tone.STRONG),)
    if len(rows) < len(settings):
        title += (Span("  without those that are empty by default", Tone.MUTED),)
    return Grid(title=title, columns=columns, rows=tuple(rows))


def excerpts(given: Sequence[Excerpt]) -> Iterator[Paragraph]:
    """The lines around findings; those of one text together."""
    for excerpt in Excerpt.together(given):
        width = len(str(excerpt.lines[-1].number)) if excerpt.lines else 0
        lines: list[Line] = []
        for one in excerpt.lines:
            # Lines of a live object have no number that anybody could look up.
            number = f"{one.number:>{width}} | " if excerpt.file else ""
            if one.gap:
                lines.append((Span(f"    {' ' * width if excerpt.file else ''}…", Tone.MUTED),))
            mark, tone = (Span("  > ", Tone.BAD), Tone.STRONG) if one.marked else (Span("    "), Tone.MUTED)
            lines.append((mark, Span(number, Tone.MUTED), Span(one.text, tone)))
        yield Paragraph(lines=tuple(lines), hang=4 + width)


def change(results: Sequence[Result], context: str | None) -> Iterator[Part]:
    """The change that takes violations away, where their rule can say it, and how to make it."""
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
        yield Verbatim(to_yaml(one.patch))
        if one.command:
            yield Verbatim(one.command)


def gaps(given: Sequence[Gap]) -> Iterator[Grid]:
    """What could not be judged."""
    if given:
        yield Grid(
            title=(Span("Could not be judged", Tone.STRONG),),
            columns=(Column(header="GAP"), Column(header="WHAT")),
            rows=tuple(Row(cells=(cell(gap.reason, Tone.FAULT), cell(gap.message))) for gap in given),
        )


def verdict(given: Verdict) -> str:
    """A container and its state, or what leaves it out."""
    if given.left_out:
        parameter, value = given.left_out
        return f"{given.container.name} is left out by {parameter} {value}"
    return f"{given.container.name} {given.state}"


def waiver(given: Waiver, *, of_resource: bool = True) -> str:
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


def target(given: Target) -> Line:
    """What was judged."""
    kind = "Cluster" if given.kind is TargetKind.CLUSTER else "Manifests"
    line: Line = (span(f"{kind} {given.name}"),)
    return (*line, span(f"  {given.server}", Tone.MUTED)) if given.server else line


def state(given: ComplianceState) -> Span:
    """A state in its tone."""
    return Span(given.value, STATE_TONES[given])


def value_text(value: Any) -> str:
    """A value in words: text as it is, the rest as JSON."""
    if value is None:
        return "(not set)"
    return value if isinstance(value, str) and value else json.dumps(value, ensure_ascii=False)
