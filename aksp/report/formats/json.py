"""JSON: the report's contract, written result by result."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from json.encoder import encode_basestring
from typing import Any, Final, TextIO

from aksp import runners
from aksp.model.compliance import ComplianceState, Report, Result
from aksp.model.json_text import encode
from aksp.model.resource import Container, Owner, Resource
from aksp.report import wire
from aksp.report.interface import Format, Style

#: Lines that are written at once.
_TOGETHER: Final = 128
_BETWEEN: Final = ",\n    "


def render_json(report: Report, out: TextIO, style: Style) -> None:
    """Write the report as one JSON document: the envelope indented, a line per result and gap."""
    envelope = encode_readable(wire.head(report), indent=2)
    out.write(envelope.removesuffix("\n}"))
    _write_list("results", _results(report, style), out)
    _write_list("gaps", (encode_readable(gap) for gap in wire.gaps(report)), out)
    out.write("\n}\n")


def _results(report: Report, style: Style) -> Iterator[str]:
    """The lines of results, some at a time, each as ``encode_readable(wire.result(result))`` in a quarter of the time."""
    line_of = _lines()
    rest = iter(wire.shown(report, style.show))
    while some := list(islice(rest, _TOGETHER)):
        lines = [*map(line_of, some)]
        # Line by line: to look at each character of those in ASCII, too, takes a twentieth of a scan.
        if not all(map(_prints, lines)):
            lines = [encode_readable(wire.result(one)) for one in some]
        yield _BETWEEN.join(lines)


def _lines() -> Callable[[Result], str]:
    """What makes the line of a result.

    The fields are written out here, since to go by their table takes twice as long. The last resource, owner and container
    are kept: a resource has many results.
    """
    text = encode_basestring
    #: What comes first, the severity, and the end, by the identity of assignments, which the report keeps.
    known: dict[tuple[int, ComplianceState], tuple[str, str, str]] = {}
    resource: Resource | None = None
    owner: Owner | None = None
    container: Container | None = None
    of_resource, cluster, of_owner, of_container = "", "", "null", "null"

    def line_of(result: Result) -> str:
        nonlocal resource, owner, container, of_resource, cluster, of_owner, of_container
        shared, source = result.shared, result.source
        assignment, finding, exemption = shared.assignment, shared.finding, shared.exemption
        which = id(assignment), shared.state
        if (parts := known.get(which)) is None:
            parts = known[which] = (
                f'"assignment": {text(assignment.assignment)}, "definition": {text(assignment.definition)}'
                f', "effect": {text(assignment.effect)}, "state": {text(shared.state.value)}',
                f'"severity": {text(assignment.severity)}',
                f'"initiative": {_text(assignment.initiative)}, "referenceId": {_text(assignment.reference)}',
            )
        first, severity, last = parts
        if (now := result.resource) is not resource:
            resource, cluster = now, text(now.cluster)
            of_resource = (
                f'{{"apiVersion": {text(now.api_version)}, "kind": {text(now.kind)}, "namespace": {text(now.namespace)}'
                f', "name": {text(now.name)}, "uid": {text(now.uid)}}}'
            )
        if shared.owner is not owner:
            owner = shared.owner
            of_owner = f'{{"kind": {text(owner.kind)}, "name": {text(owner.name)}}}' if owner else "null"
        if finding.container is not container:
            container = one = finding.container
            of_container = (
                f'{{"name": {text(one.name)}, "type": {text(one.type)}, "image": {text(one.image)}}}' if one else "null"
            )
        where = f'{{"file": {text(source.file)}, "line": {source.line}}}' if source else "null"
        return (
            f'{{{first}, "message": {text(finding.message)}, {severity}, "resource": {of_resource}, "owner": {of_owner}'
            f', "container": {of_container}, "path": {_text(finding.path)}, "observed": {_text(finding.observed)}'
            f', "expected": {_text(finding.expected)}, "exemption": {text(exemption.name) if exemption else "null"}'
            f', "source": {where}, {last}, "cluster": {cluster}}}'
        )

    return line_of


def _text(value: Any) -> str:
    if type(value) is str:
        return encode_basestring(value)
    return "null" if value is None else encode(value)


def _write_list(name: str, items: Iterable[str], out: TextIO) -> None:
    """Write a list of lines, which come one or several together."""
    out.write(f',\n  "{name}": [')
    before = "\n    "
    for some in items:
        out.write(before + some)
        before = _BETWEEN
    out.write("]" if before == "\n    " else "\n  ]")


def encode_readable(value: Any, indent: int | None = None) -> str:
    """Readable as it is, but in ASCII when something in it does not print.

    JSON leaves C1 controls and bidirectional overrides as they are, and a report is read on
    terminals too.
    """
    text = encode(value, indent=indent)
    return text if _prints(text) else encode(value, ascii_only=True, indent=indent).replace("\x7f", "\\u007f")


def _prints(text: str) -> bool:
    """Whether lines of encoded values print. Of ASCII, which is told at once, only DEL is not escaped in JSON."""
    return text.replace("\n", "").isprintable() if "\x7f" in text or not text.isascii() else True


FORMAT = Format(
    name="json",
    description="the versioned report, by aksp/report/report.schema.json",
    render=render_json,
    suffixes=(".json",),
    in_log=runners.in_json,
)
