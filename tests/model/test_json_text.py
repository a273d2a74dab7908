"""JSON whose numbers keep their text."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aksp.model.json_text import Number, decode, decode_held, encode

#: Every number that JSON can write, the long ones too.
NUMBERS = st.one_of(
    st.from_regex(r"-?(0|[1-9][0-9]{0,30})(\.[0-9]{1,20})?([eE][+-]?[0-9]{1,4})?", fullmatch=True).filter(str.isascii),
    st.integers(1, 9).flatmap(lambda digit: st.sampled_from((1, 640, 641, 4300, 4301, 9000)).map(str(digit).__mul__)),
    st.sampled_from(("-0", "1.0", "0.10", "1e400", "-1e400", "1E-400", "0e0", "1e3", "100000000000000000000.0")),
)
TEXTS = st.text(max_size=20)


@given(NUMBERS, TEXTS, st.booleans(), st.booleans(), st.sampled_from((None, 2)))
def test_a_number_is_written_as_it_was_read_wherever_it_stands(
    number: str, text: str, compact: bool, ascii_only: bool, indent: int | None
) -> None:
    source = f'{{"a": [{number}, {{"b": {number}}}], "c": {json.dumps(text)}}}'
    written = encode(decode(source), ascii_only=ascii_only, indent=indent, compact=compact)
    read = json.loads(written, parse_int=str, parse_float=str)
    assert read == {"a": [number, {"b": number}], "c": text}
    assert encode(decode(source)) == source or not text.isascii() or "\\" in json.dumps(text)


@given(
    st.recursive(st.none() | st.booleans() | st.integers() | TEXTS, lambda c: st.lists(c) | st.dictionaries(TEXTS, c))
)
def test_without_such_numbers_json_is_written_as_python_writes_it(value: Any) -> None:
    assert encode(value) == json.dumps(value, ensure_ascii=False)
    assert decode(encode(value)) == value


def test_a_text_is_never_taken_for_a_number() -> None:
    value = ["0", '"0"', Number("1e3"), {"1e3": Number("1e3")}]
    assert encode(value) == '["0", "\\"0\\"", 1e3, {"1e3": 1e3}]'


@pytest.mark.parametrize("value", [float("nan"), float("inf"), [-float("inf"), Number("1e3")]])
def test_what_json_does_not_have_is_never_written(value: Any) -> None:
    with pytest.raises(ValueError, match="JSON"):
        encode(value)


@pytest.mark.parametrize("text", ["NaN", "[Infinity]", "-Infinity"])
def test_what_json_does_not_have_is_not_read(text: str) -> None:
    for read in (decode, decode_held):
        with pytest.raises(ValueError, match="is not a number in JSON"):
            read(text)


@pytest.mark.parametrize("text", ["1e400", "-1e999", "9" * 5000])
def test_values_to_compute_with_are_no_larger_than_python_can_hold(text: str) -> None:
    with pytest.raises(ValueError, match="too l"):
        decode_held(text)
    assert decode_held('{"a": [-0, 1.50, 1e3]}') == {"a": [0, 1.5, 1000.0]}
