"""YAML that is written is the same for whatever reads it: PyYAML in C and in Python, ruamel, workspaces, the engine."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Mapping
from typing import Any, Final

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from aksp.engine import Engine
from aksp.model.json_text import decode
from aksp.report.html import commented
from aksp.yaml_reader import read_yaml
from aksp.yaml_writer import to_yaml

READERS: Final[Mapping[str, Callable[[str], Any]]] = {
    "PyYAML in C": lambda text: yaml.load(text, Loader=yaml.CSafeLoader),
    "PyYAML": lambda text: yaml.load(text, Loader=yaml.SafeLoader),
    "ruamel": lambda text: YAML(typ="safe", pure=True).load(text),
    "workspaces": lambda text: read_yaml(text, "x.yaml")[0][0],
}
WRITERS: Final[Mapping[str, Callable[[Any], str]]] = {
    "reports": to_yaml,
    "commented": lambda value: "\n".join(commented.lines(value)),
    "on one line": lambda value: commented.flow(value),
}

#: What ends lines for some, what is escaped, and what YAML takes for something else.
# fmt: off
PIECES: Final = st.sampled_from([
    "\u0085", "\u2028", "\u2029", "\r", "\r\n", "\n", "\t", "\v", "\f", "\x00", "\x7f", "\u00a0", "\ufeff", "\ufffe",
    "/", "\\/", "\\", '"', "'", "a", "b c", " ", ": ", " #", "- ", "? ", "---\n", "...", "{", "}", "[", "]", ",", "&", "*",
    "!", "|", ">", "%", "@", "`", "~", "é", "😀", "yes", "1e3", "1", "e", "_", ".", "0o7", "0x1F", "0b1", "010", "+", "-",
    "12:30:45", "2026-09-01", "=", "<<", "null", "{{ x }}", "NaN", ".inf",
])
# fmt: on
TEXTS: Final = st.lists(PIECES, max_size=8).map("".join) | st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
#: Around 128, where PyYAML begins to write keys behind a question mark, and 1,024, where readers give up.
LONG: Final = st.builds(
    lambda text, count, end: text * count + end,
    st.sampled_from(["k", "k/", "é", "😀", '"', "\\", "\u0085", "k ", ": "]),
    st.sampled_from([60, 100, 127, 128, 129, 200, 341, 499, 500, 512, 999, 1000, 1001, 1020, 1023, 1024, 1025, 5000]),
    TEXTS,
)
VALUES: Final = st.recursive(
    st.booleans() | st.integers(-(2**53), 2**53) | TEXTS | LONG,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS | LONG, inner, max_size=3),
    max_leaves=8,
)
CHECKED: Final = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


@pytest.mark.parametrize("writer", WRITERS)
@CHECKED
@given(value=VALUES)
def test_every_reader_reads_what_was_written(writer: str, value: Any) -> None:
    document = {"kind": "LimitRange", "x": value}
    text = WRITERS[writer](document)
    for name, read in READERS.items():
        assert read(text) == document, name


@pytest.mark.parametrize("writer", WRITERS)
@CHECKED
@given(value=VALUES)
def test_the_engine_reads_what_was_written(writer: str, value: Any, engine: Engine) -> None:
    document = {"apiVersion": "v1", "kind": "LimitRange", "metadata": {"name": "x"}, "x": value}
    assert engine_reads(WRITERS[writer](document), engine)["x"] == value


def engine_reads(text: str, engine: Engine) -> Any:
    body = text.encode()
    (read,) = engine.gather([{"length": len(body)}], body)
    return read


@pytest.mark.parametrize(
    "text",
    ["1e3", "-1E5", "1_0", "0o17", "0x_1F", "0b1", "1.", ".5e1", "1e400", "-0", "1.5", "1E+2", "12", "y", "N", "on"],
)
@pytest.mark.parametrize("writer", WRITERS)
def test_numbers_are_numbers_and_texts_are_texts_to_every_reader(writer: str, text: str, engine: Engine) -> None:
    value = {"text": text, text: "key"}
    with contextlib.suppress(ValueError):
        value["number"] = decode(text)
    written = WRITERS[writer]({"apiVersion": "v1", "kind": "LimitRange", "metadata": {"name": "x"}, "x": value})
    for name, read in (*READERS.items(), ("engine", lambda written: engine_reads(written, engine))):
        found = read(written)["x"]
        assert (found["text"], found[text]) == (text, "key"), name
        if "number" in value and text != "1e400":
            # A number keeps its text: for PyYAML one with an exponent and no point is text.
            assert float(str(found["number"])) == float(text), name


@pytest.mark.parametrize("length", [1, 998, 999, 1000, 1001, 1024, 1025, 2000])
@pytest.mark.parametrize("inner", [1, [1], {"a": 1}, {}, [], [{"a": [1]}], {"k" * 1500: {"k" * 1500: [1]}}])
@pytest.mark.parametrize("writer", WRITERS)
def test_a_key_of_any_length_keeps_what_stands_under_it(writer: str, length: int, inner: Any, engine: Engine) -> None:
    value = {
        "apiVersion": "v1",
        "kind": "LimitRange",
        "metadata": {"name": "x"},
        "x": [{"k" * length: inner, "z": inner}],
    }
    text = WRITERS[writer](value)
    assert {name: read(text) == value for name, read in READERS.items()} == dict.fromkeys(READERS, True)
    assert engine_reads(text, engine)["x"] == value["x"]


def test_an_escaped_slash_is_a_slash_where_a_reader_has_that_escape(engine: Engine) -> None:
    # YAML 1.1, as kubectl and the engine read it, has none: there it is an error, and not something else.
    head = '{"apiVersion": "v1", "kind": "LimitRange", "metadata": {"name": "x"}, "x": '
    assert engine_reads(head + r'"a\/b"}', engine)["x"] == "a/b"
    assert engine_reads("---\n" + head + r'"a\/b"}', engine)["x"] == "a/b"
    assert (
        engine.gather(
            [{"length": 79}],
            rf'apiVersion: v1{chr(10)}kind: LimitRange{chr(10)}metadata: {{name: x}}{chr(10)}x: "a\/b"'.encode().ljust(
                79
            ),
        )
        == []
    )
    for name, read in READERS.items():
        assert read('x: "a\\/b"') == {"x": "a/b"}, name
    assert json.loads(r'"a\/b"') == "a/b"
