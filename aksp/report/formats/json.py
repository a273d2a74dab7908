"""JSON: the report's contract, written result by result."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any, TextIO

from aksp import runners
from aksp.model.compliance import Report, Result, SharedResult
from aksp.model.json_text import encode
from aksp.model.resource import Resource
from aksp.report import wire
from aksp.report.interface import Format, Style

# Replicas follow one another, so a thousand texts are enough to remember.
_REMEMBERED = 1024

# Stands for what is filled in later.
_HOLE = "<filled in later>"


def render_json(report: Report, out: TextIO, style: Style) -> None:
    """Write the report as one JSON document: the envelope indented, a line per result and gap."""
    envelope = _encode(wire.head(report), indent=2)
    out.write(envelope.removesuffix("\n}"))
    _write_list("results", _results(report, style), out)
    _write_list("gaps", (_encode(gap) for gap in wire.gaps(report)), out)
    out.write("\n}\n")


def _results(report: Report, style: Style) -> Iterator[str]:
    """The results one at a time. Replicas differ in resource and source alone: the rest is encoded once.

    What no second one has in common is encoded whole, which is quicker than in parts.
    """
    around: dict[tuple[SharedResult, str], list[str]] = {}
    last: Resource | None = None
    resource = ""
    for result in wire.shown(report, style.show):
        key = result.shared, result.resource.cluster
        texts = around.get(key)
        if texts is None:
            if len(around) >= _REMEMBERED:
                around.clear()
            texts = around[key] = []
            whole = encode(wire.result(result))
            if whole.isprintable():
                yield whole
                continue
        if not texts:
            texts[:] = _around(result)
        if len(texts) != 3:
            yield _encode(wire.result(result))
            continue
        before, between, after = texts
        if result.resource is not last:
            last, resource = result.resource, _encode(wire.resource(result.resource))
        yield f"{before}{resource}{between}{_encode(wire.source(result.source))}{after}"


def _around(result: Result) -> list[str]:
    """A result's text before, between and after its resource and its source.

    Of another length when the text holds what stands for those two: then it is encoded as it is.
    """
    whole: dict[str, Any] = {**wire.result(replace(result, source=None)), "resource": _HOLE, "source": _HOLE}
    return _encode(whole).split(_encode(_HOLE))


def _write_list(name: str, items: Iterable[str], out: TextIO) -> None:
    out.write(f',\n  "{name}": [')
    before = "\n    "
    for item in items:
        out.write(before + item)
        before = ",\n    "
    out.write("]" if before == "\n    " else "\n  ]")


def _encode(value: Any, indent: int | None = None) -> str:
    """Readable as it is, but in ASCII when something in it does not print.

    JSON leaves C1 controls and bidirectional overrides as they are, and a report is read on
    terminals too.
    """
    text = encode(value, indent=indent)
    if text.replace("\n", "").isprintable():
        return text
    return encode(value, ascii_only=True, indent=indent).replace("\x7f", "\\u007f")


FORMAT = Format(
    name="json",
    description="the versioned report, by aksp/report/report.schema.json",
    render=render_json,
    suffixes=(".json",),
    in_log=runners.in_json,
)
