"""YAML is what a reader takes for the same values, in the form that PyYAML would give it."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from aksp.runners import commands
from aksp.yaml_writer import to_yaml

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)
# Where YAML would see something else than text.
TRICKY = st.text(alphabet="ab:,. -/()#=+@_0'\"{}[]&*!|>%yntrue~?1e\n\t", max_size=12)


@settings(max_examples=50, deadline=None)
@given(st.dictionaries(TRICKY | st.text(), VALUES | TRICKY, min_size=1))
def test_what_is_written_is_read_again(value: dict[str, Any]) -> None:
    text = to_yaml(value)
    # A lone surrogate becomes a question mark; keys that differ by it alone become one.
    expected = json.loads(json.dumps(value, ensure_ascii=False).encode(errors="replace"))
    if len(expected) == len(value):
        assert yaml.safe_load(text) == expected
    assert text.replace("\n", "").isprintable()


@settings(max_examples=50, deadline=None)
@given(
    TRICKY.filter(str.isprintable).filter(lambda text: text == "::" or not (commands(text) or text.startswith("::")))
)
def test_scalars_look_as_pyyaml_writes_them(text: str) -> None:
    like = yaml.safe_dump({"key": text}, width=1 << 30, allow_unicode=True)
    # But for what is no text for other readers.
    assert to_yaml({"key": text}) in (
        like,
        f"key: '{text}'\n" if text in "yYnN" or text.lstrip("-+")[:1] in set(".0123456789_") else like,
    )


def test_structures_look_as_pyyaml_writes_them() -> None:
    value = {"a": [{"b": [1, [2, []]], "c": {}}, [], "x"], "d": {"e": {"f": None}}, "g": [[True]], "h": 1.5}
    assert to_yaml(value) == yaml.safe_dump(value, sort_keys=False)
    assert to_yaml([{"a": 1, "b": [2]}]) == yaml.safe_dump([{"a": 1, "b": [2]}], sort_keys=False)


@pytest.mark.parametrize("text", ["on", "No", "1e3", "0x1F", "2026-09-01", "~", "null", "=", "12:30:45", "1_000", ".5"])
def test_text_that_looks_like_something_else_stays_text(text: str) -> None:
    assert yaml.safe_load(to_yaml({"key": text, "list": [text]})) == {"key": text, "list": [text]}


LINES = st.lists(st.text(alphabet="ab \t#:-|'\"%é☃\x07\\", max_size=6), max_size=5).map("\n".join)


@settings(max_examples=50, deadline=None)
@given(st.lists(LINES | TRICKY, min_size=1), LINES)
def test_texts_of_several_lines_stand_as_they_are_and_are_read_again(texts: list[str], one: str) -> None:
    value = {"libs": texts, "rule": {"rego": one}, "again": [{"rego": one}]}
    assert yaml.safe_load(to_yaml(value, literal=True)) == value
    source = "package a\n\nviolation if {\n\tinput.x # why\n}\n"
    text = to_yaml({"spec": {"rego": source, "libs": [source]}}, literal=True)
    assert text.count("\n      \tinput.x # why\n") == 0 and "\n    \tinput.x # why\n" in text
