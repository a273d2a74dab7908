"""YAML: the same document as JSON, written result by result."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from typing import Any, TextIO

from aksp.model.compliance import Report
from aksp.report import wire
from aksp.report.interface import Style


def render_yaml(report: Report, out: TextIO, style: Style) -> None:
    """Write the report as one YAML document."""
    encode = encoder()
    out.write(encode(wire.head(report)))
    _write_list("results", wire.results(report, style.show), out, encode)
    _write_list("gaps", wire.gaps(report), out, encode)


def _write_list(name: str, items: Any, out: TextIO, encode: Callable[[Any], str]) -> None:
    empty = True
    for item in items:
        if empty:
            out.write(f"{name}:\n")
            empty = False
        out.write(encode([item]))
    if empty:
        out.write(f"{name}: []\n")


@functools.cache
def encoder() -> Callable[[Any], str]:
    """What makes YAML in block style of a JSON value, readable, and escaped where something does not print."""
    import yaml

    # libyaml's emitter is seven times faster; PyYAML is built without it in places.
    fastest: type[yaml.SafeDumper] = getattr(yaml, "CSafeDumper", yaml.SafeDumper)

    class Dumper(fastest):  # type: ignore[valid-type,misc]
        def ignore_aliases(self, data: Any) -> bool:
            return True

    def dump(value: Any, *, unicode: bool) -> str:
        try:
            return emit(value, unicode=unicode)
        except UnicodeEncodeError:
            # Half a surrogate pair, as in a file name that is no UTF-8, cannot be written in YAML.
            return emit(json.loads(json.dumps(value, ensure_ascii=False).encode(errors="replace")), unicode=unicode)

    def emit(value: Any, *, unicode: bool) -> str:
        text: str = yaml.dump(
            value,
            Dumper=Dumper,
            sort_keys=False,
            default_flow_style=False,
            width=1_000_000,
            allow_unicode=unicode,
        )
        return text

    def encode(value: Any) -> str:
        text = dump(value, unicode=True)
        # As in JSON: readable, but escaped where something does not print.
        return text if text.replace("\n", "").isprintable() else dump(value, unicode=False)

    return encode
