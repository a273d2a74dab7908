"""Schemas of parameters: what is told without the package is what the package tells."""

from __future__ import annotations

import re
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft201909Validator, FormatChecker, SchemaError

from aksp.compliance.json_schema import schema_problem

_NAMES = st.sampled_from(["a", "b", "c", ""])
_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.floats(-3, 3) | st.just(2.0) | _NAMES | st.just("ab"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_NAMES, inner, max_size=3),
    max_leaves=6,
)
_TYPES = st.sampled_from(["array", "boolean", "integer", "null", "number", "object", "string", "text", ["string"]])


def _schemas(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.fixed_dictionaries(
        {},
        optional={
            "type": _TYPES,
            "minLength": st.integers(-1, 2),
            "minItems": st.integers(0, 2) | st.just("1"),
            "minProperties": st.integers(0, 2),
            "minimum": st.integers(-2, 2) | st.just(1.5) | st.booleans(),
            "maximum": st.integers(-2, 2),
            "enum": st.lists(_NAMES, max_size=3) | st.just([1, True]),
            "pattern": st.sampled_from(["^a", "(", ".", 1]),
            "required": st.lists(_NAMES, max_size=2),
            "properties": st.dictionaries(_NAMES, inner, max_size=2) | st.just([]),
            "additionalProperties": inner | st.booleans(),
            "items": inner,
            "uniqueItems": st.booleans(),
        },
    )


@given(_schemas(st.recursive(st.just({"type": "string"}) | st.just(7), _schemas, max_leaves=4)), _VALUES)
def test_what_fits_is_what_fits_by_the_package(schema: Any, value: Any) -> None:
    try:
        # Whether a pattern is one is for RE2 to say.
        Draft201909Validator.check_schema(schema, format_checker=FormatChecker(()))
        fits = Draft201909Validator(schema).is_valid(value)
    except (SchemaError, re.error):
        fits = False
    assert (schema_problem(schema, value) is None) == fits, (schema, value)


def test_schemas_as_definitions_have_them_are_told_without_the_package() -> None:
    entries = {"type": "array", "items": {"type": "string", "minLength": 1, "pattern": "^[a-z]"}, "minItems": 1}
    ports = {"type": "object", "required": ["min"], "properties": {"min": {"type": "integer", "minimum": 0}}}
    closed = {
        "type": "object",
        "additionalProperties": False,
        "properties": {"ranges": {"type": "array", "items": ports}},
    }
    cases: list[tuple[dict[str, Any], Any, list[Any]]] = [
        (entries, ["a"], [[], [""], ["1"], "a"]),
        (closed, {"ranges": [{"min": 1}]}, [{"ranges": [{}]}, {"other": 1}, {"ranges": [{"min": True}]}, []]),
    ]
    for schema, fits, does_not in cases:
        with pytest.MonkeyPatch.context() as without:
            # An import of it fails.
            without.setitem(sys.modules, "jsonschema", None)
            assert schema_problem(schema, fits) is None
        for value in does_not:
            assert schema_problem(schema, value)
