"""JSON: the report's contract, written result by result."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import islice
from operator import attrgetter, itemgetter
from typing import Any, Final, TextIO

from msgspec import Raw, defstruct
from msgspec.json import Encoder
from msgspec.json import format as spaced

from aksp import runners
from aksp.model.compliance import ComplianceState, Report, Result
from aksp.model.json_text import Number, encode
from aksp.report import wire
from aksp.report.fields import ALWAYS, NAMED, OBJECTS, within_result
from aksp.report.interface import Format, Style

#: Lines that are written at once.
_TOGETHER: Final = 128
#: What the results of an assignment in one state have in common.
_COMMON: Final = ("assignment", "state")
_FIELDS: Final = {one.within or one.name: one for one in NAMED}
_BETWEEN: Final = ",\n    "


def render_json(report: Report, out: TextIO, style: Style) -> None:
    """Write the report as one JSON document: the envelope indented, a line per result and gap."""
    envelope = _encode(wire.head(report), indent=2)
    out.write(envelope.removesuffix("\n}"))
    _write_list("results", _results(report, style), out)
    _write_list("gaps", (_encode(gap) for gap in wire.gaps(report)), out)
    out.write("\n}\n")


def _results(report: Report, style: Style) -> Iterator[str]:
    """The lines of results, some at a time, each as ``_encode(wire.result(result))`` in a quarter of the time."""
    line_of = _lines()
    encode_lines = Encoder(enc_hook=_number).encode_lines
    line: Callable[[bytes], bytes] = partial(spaced, indent=0)  # type: ignore[assignment]
    between = _BETWEEN.encode()
    rest = iter(wire.shown(report, style.show))
    while some := list(islice(rest, _TOGETHER)):
        try:
            text = between.join(map(line, encode_lines(map(line_of, some)).splitlines())).decode()
        except UnicodeEncodeError:  # a lone surrogate
            text = ""
        yield text if text and _prints(text) else _BETWEEN.join(_encode(wire.result(one)) for one in some)


def _lines() -> Callable[[Result], Any]:
    """What makes a struct of a result, to be encoded, by the table of the fields."""
    #: Where a result has each field, or the object that holds it: those that the results of an assignment in one state have in
    #: common, and the others by what has them.
    common: dict[str, str] = {}
    own: dict[str, dict[str, str]] = {}
    made: dict[str, Callable[[Any], Any]] = {}
    for key, one in _FIELDS.items():
        place = within_result(one.holder)
        if key in OBJECTS:
            made[key] = _object(key)
        elif one.holder not in ALWAYS:
            made[key] = attrgetter(one.attribute)
        elif one.attribute != "value":  # an enumeration is written as its value
            place = f"{place}.{one.attribute}"
        if key not in OBJECTS and one.holder in _COMMON:
            common[key] = place
        else:
            within, _, name = place.rpartition(".")
            own.setdefault(within, {})[key] = name
    keys = [*common, *(key for those in own.values() for key in those)]
    common_of = attrgetter(*common.values())
    parts = [(attrgetter(within) if within else None, attrgetter(*those.values())) for within, those in own.items()]
    makers = [(keys.index(key), make) for key, make in made.items()]
    in_order = itemgetter(*map(keys.index, _FIELDS))
    struct = defstruct("Line", list(_FIELDS), gc=False)
    #: By the identity of the assignments, which the report keeps.
    known: dict[tuple[int, ComplianceState], tuple[Any, ...]] = {}

    def line_of(result: Result) -> Any:
        shared = result.shared
        which = id(shared.assignment), shared.state
        values = known.get(which)
        if values is None:
            values = known[which] = common_of(result)
        texts = [*values]
        for holder, values_of in parts:
            texts += values_of(holder(result) if holder else result)
        for at, make in makers:
            value = texts[at]
            if value is not None:
                texts[at] = make(value)
        return struct(*in_order(texts))

    return line_of


def _object(name: str) -> Callable[[Any], Any]:
    """What makes a struct of an object within a result of what has its fields. The last one is kept: a resource has many results."""
    fields = OBJECTS[name]
    values = attrgetter(*(one.attribute for one in fields))
    struct = defstruct(name, [one.key for one in fields], gc=False)
    last: Any = None
    made: Any = None

    def make(of: Any) -> Any:
        nonlocal last, made
        if of is not last:
            last, made = of, struct(*values(of))
        return made

    return make


def _number(value: Any) -> Raw:
    """A number as it was read."""
    if isinstance(value, Number):
        return Raw(value.text.encode())
    raise TypeError(f"JSON has nothing like a {type(value).__name__}")


def _ascii(value: Any, indent: int | None = None) -> str:
    return encode(value, ascii_only=True, indent=indent).replace("\x7f", "\\u007f")


def _write_list(name: str, items: Iterable[str], out: TextIO) -> None:
    """Write a list of lines, which come one or several together."""
    out.write(f',\n  "{name}": [')
    before = "\n    "
    for some in items:
        out.write(before + some)
        before = _BETWEEN
    out.write("]" if before == "\n    " else "\n  ]")


def _encode(value: Any, indent: int | None = None) -> str:
    """Readable as it is, but in ASCII when something in it does not print.

    JSON leaves C1 controls and bidirectional overrides as they are, and a report is read on
    terminals too.
    """
    text = encode(value, indent=indent)
    return text if _prints(text) else _ascii(value, indent)


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
