"""JSON: the report's contract, written result by result."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from json.encoder import encode_basestring, encode_basestring_ascii
from operator import attrgetter
from typing import Any, Final, TextIO

from aksp import runners
from aksp.model.compliance import ComplianceState, Report, Result
from aksp.model.json_text import encode
from aksp.model.resource import Resource
from aksp.report import wire
from aksp.report.fields import ALWAYS, NAMED, OBJECTS, within_result
from aksp.report.interface import Format, Style

#: Lines that are written at once.
_TOGETHER: Final = 128
_RESOURCE: Final = "resource"
_SOURCE: Final = "source"
#: Owners and containers follow one another, so a thousand are enough to remember.
_REMEMBERED: Final = 1024
#: What the results of an assignment in one state have in common.
_COMMON: Final = ("assignment", "state")
_FIELDS: Final = {one.within or one.name: one for one in NAMED}
_KEYS: Final = tuple(_FIELDS)

_Encode = Callable[[Any], str]


def render_json(report: Report, out: TextIO, style: Style) -> None:
    """Write the report as one JSON document: the envelope indented, a line per result and gap."""
    envelope = _encode(wire.head(report), indent=2)
    out.write(envelope.removesuffix("\n}"))
    _write_list("results", _results(report, style), out)
    _write_list("gaps", (_encode(gap) for gap in wire.gaps(report)), out)
    out.write("\n}\n")


def _results(report: Report, style: Style) -> Iterator[str]:
    """The results one at a time, each as ``_encode(wire.result(result))`` in a quarter of the time.

    Where something does not print, a result's resource, its source and all the rest are in ASCII each by itself.
    """
    plain, ascii_only = _ResultTexts(ascii_only=False), _ResultTexts(ascii_only=True)
    last: Resource | None = None
    resource = ""
    for result in wire.shown(report, style.show):
        if result.resource is not last:
            last, resource = result.resource, plain.resource(result.resource)
            if not _prints(resource):
                resource = ascii_only.resource(result.resource)
        source = plain.source(result.source)
        if not _prints(source):
            source = ascii_only.source(result.source)
        line = plain.line(result, resource, source)
        yield line if _prints(line) else ascii_only.line(result, resource, source)


class _ResultTexts:
    """Results as JSON, by the table of their fields."""

    def __init__(self, *, ascii_only: bool) -> None:
        self._quoted: Callable[[str], str] = _ascii_quoted if ascii_only else encode_basestring
        self._encoded: _Encode = _ascii if ascii_only else encode
        self.resource, self.source = self._object(_RESOURCE), self._object(_SOURCE)
        own = [key for key in _KEYS if not _common(key)]
        self._places = own.index(_RESOURCE), own.index(_SOURCE)
        #: What differs from one result to the next: the objects and values that have it, and what encodes those that are no text.
        holders, self._encoders = zip(
            *(self._value(key) for key in own if key not in (_RESOURCE, _SOURCE)), strict=True
        )
        self._values = attrgetter(*holders)
        #: Lines with places for these. By the identity of the assignments, which the report keeps.
        self._lines: dict[tuple[int, ComplianceState], str] = {}

    def line(self, result: Result, resource: str, source: str) -> str:
        """One result, its resource and its source as they are given."""
        shared, quoted = result.shared, self._quoted
        key = id(shared.assignment), shared.state
        if (line := self._lines.get(key)) is None:
            line = self._lines[key] = self._line(result)
        texts = [
            quoted(value) if type(value) is str else "null" if value is None else encoded(value)
            for value, encoded in zip(self._values(result), self._encoders, strict=True)
        ]
        before, after = self._places
        texts.insert(before, resource)
        texts.insert(after, source)
        return line % tuple(texts)

    def _line(self, result: Result) -> str:
        """A line with what the results of an assignment in one state have in common."""
        texts = (self._text(_FIELDS[key].read(result)).replace("%", "%%") if _common(key) else "%s" for key in _KEYS)
        return f"{{{', '.join(f'{self._text(key)}: {text}' for key, text in zip(_KEYS, texts, strict=True))}}}"

    def _text(self, value: Any) -> str:
        """A value in JSON; nearly all are texts."""
        if type(value) is str:
            return self._quoted(value)
        if type(value) is int:
            return str(value)
        return "null" if value is None else self._encoded(value)

    def _value(self, key: str) -> tuple[str, _Encode]:
        """Where a result has a value, or the object that holds it; and what encodes it."""
        one = _FIELDS[key]
        holder = within_result(one.holder)
        if key not in OBJECTS:
            if one.holder in ALWAYS:
                return f"{holder}.{one.attribute}", self._text
            value_of = attrgetter(one.attribute)
            return holder, lambda held: self._text(value_of(held))
        made = self._object(key)
        known: dict[Any, str] = {}

        def remembered(of: Any) -> str:
            text = known.get(of)
            if text is None:
                if len(known) >= _REMEMBERED:
                    known.clear()
                text = known[of] = made(of)
            return text

        return holder, remembered

    def _object(self, name: str) -> _Encode:
        """What makes the text of an object within a result of what has its fields; null of None."""
        fields, quoted, text = OBJECTS[name], self._quoted, self._text
        values = attrgetter(*(one.attribute for one in fields))
        made = f"{{{', '.join(f'{text(one.key)}: %s' for one in fields)}}}"

        def encoded(of: Any) -> str:
            if of is None:
                return "null"
            return made % tuple([quoted(value) if type(value) is str else text(value) for value in values(of)])

        return encoded


def _common(key: str) -> bool:
    return key not in OBJECTS and _FIELDS[key].holder in _COMMON


def _ascii_quoted(text: str) -> str:
    return encode_basestring_ascii(text).replace("\x7f", "\\u007f")


def _ascii(value: Any, indent: int | None = None) -> str:
    return encode(value, ascii_only=True, indent=indent).replace("\x7f", "\\u007f")


def _write_list(name: str, items: Iterable[str], out: TextIO) -> None:
    out.write(f',\n  "{name}": [')
    before = "\n    "
    rest = iter(items)
    while some := list(islice(rest, _TOGETHER)):
        out.write(before + ",\n    ".join(some))
        before = ",\n    "
    out.write("]" if before == "\n    " else "\n  ]")


def _encode(value: Any, indent: int | None = None) -> str:
    """Readable as it is, but in ASCII when something in it does not print.

    JSON leaves C1 controls and bidirectional overrides as they are, and a report is read on
    terminals too.
    """
    text = encode(value, indent=indent)
    return text if _prints(text.replace("\n", "")) else _ascii(value, indent)


def _prints(text: str) -> bool:
    """Whether an encoded value prints. Of ASCII, which is told at once, only DEL is not escaped in JSON."""
    return text.isprintable() if "\x7f" in text or not text.isascii() else True


FORMAT = Format(
    name="json",
    description="the versioned report, by aksp/report/report.schema.json",
    render=render_json,
    suffixes=(".json",),
    in_log=runners.in_json,
)
