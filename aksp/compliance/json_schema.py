"""Values checked against the JSON Schema that a definition has for a parameter, within bounds: its author may mean harm."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping
from contextvars import ContextVar
from typing import Any

#: Keywords of a JSON Schema that are checked for a value, and more of them for each value within it.
_MOST_CHECKS = 10_000
_MOST_CHECKS_EACH = 50


def schema_problem(schema: Mapping[str, Any], value: Any) -> str | None:
    """Why a value does not fit a JSON Schema, or None."""
    # Of nearly all values this is known, and to import the package takes as long as to judge a file.
    if _is_plain(schema) and _fits_plainly(schema, value):
        return None
    from jsonschema import Draft201909Validator, FormatChecker, SchemaError
    from referencing import Registry
    from referencing.exceptions import Unresolvable

    # An empty registry: by itself the package fetches what a $ref names, from wherever a definition says.
    registry: Registry[Any] = Registry()
    try:
        # Without formats: whether a pattern is one is for RE2 to say.
        Draft201909Validator.check_schema(schema, format_checker=FormatChecker(()))
        checks_left = _checks_left.set([_MOST_CHECKS + _MOST_CHECKS_EACH * _size(value)])
        try:
            found = _bounded_validator()(schema, registry=registry).iter_errors(value)
            error = min(found, key=lambda e: (len(e.path), e.message), default=None)
        finally:
            _checks_left.reset(checks_left)
    except _TooMuch:
        return "its schema in the definition takes more checks than a value of its size may"
    except RecursionError:
        return "its schema in the definition, or the value, is too deep or refers to itself"
    except ArithmeticError:
        return "a number in it, or in its schema in the definition, is too large or too small to be compared"
    except Unresolvable as problem:
        return f"its schema in the definition refers to {problem.ref!r}, which is not in it"
    except (SchemaError, ValueError) as problem:
        return f"its schema in the definition is wrong: {getattr(problem, 'message', problem)}"
    if error is None:
        return None
    at = "".join(f"[{key!r}]" for key in error.path)
    if error.validator == "type":
        return f"{shown(error.instance)}{' at ' + at if at else ''} is not of type {error.validator_value}"
    return f"{at + ': ' if at else ''}{error.message}"


#: Levels of a schema that are looked at without the package.
_PLAIN_DEPTH = 8
#: Python's types of JSON Schema's; a bool is no number there.
TYPES: Mapping[str, tuple[type, ...]] = {
    "array": (list,),
    "boolean": (bool,),
    "integer": (int,),
    "null": (type(None),),
    "number": (int, float),
    "object": (dict,),
    "string": (str,),
}
_KINDS = frozenset(kind for kinds in TYPES.values() for kind in kinds)
#: What the length of is bounded, and which numbers are compared exactly, whether they are whole or not.
_SIZED: Mapping[str, type] = {"minLength": str, "minItems": list, "minProperties": dict}
_EXACT = 2**53


def _is_plain(schema: Any, depth: int = 0) -> bool:
    """Whether a schema is right and has only the keywords that ``_fits_plainly`` knows."""
    if type(schema) is not dict or depth > _PLAIN_DEPTH:
        return False
    for keyword, said in schema.items():
        if keyword == "type":
            right = type(said) is str and said in TYPES
        elif keyword in _SIZED:
            right = type(said) is int and said >= 0
        elif keyword in ("minimum", "maximum"):
            right = type(said) is int and abs(said) < _EXACT
        elif keyword == "pattern":
            right = type(said) is str
        elif keyword in ("enum", "required"):
            right = type(said) is list and bool(said) and all(type(one) is str for one in said)
            right = right and len(set(said)) == len(said)
        elif keyword == "items" or (keyword == "additionalProperties" and said is not False):
            right = _is_plain(said, depth + 1)
        elif keyword == "properties":
            right = type(said) is dict and all(_is_plain(one, depth + 1) for one in said.values())
        else:
            right = keyword == "additionalProperties"
        if not right:
            return False
    return True


def _fits_plainly(schema: Mapping[str, Any], value: Any) -> bool:
    """Whether a value fits a plain schema. False may also mean that the package must tell."""
    kind = type(value)
    if kind not in _KINDS or (kind is float and not abs(value) < _EXACT):
        return False
    properties = schema.get("properties", {})
    for keyword, said in schema.items():
        fits = True
        if keyword == "type":
            fits = kind in TYPES[said]
        elif keyword in _SIZED:
            fits = kind is not _SIZED[keyword] or len(value) >= said
        elif keyword == "minimum" and kind in (int, float):
            fits = value >= said
        elif keyword == "maximum" and kind in (int, float):
            fits = value <= said
        elif keyword == "enum":
            fits = kind is str and value in said
        elif keyword == "pattern" and kind is str:
            try:
                fits = compiled_re2(said).search(value) is not None
            except ValueError:
                fits = False
        elif keyword == "items" and kind is list:
            fits = all(_fits_plainly(said, one) for one in value)
        elif keyword == "required" and kind is dict:
            fits = all(one in value for one in said)
        elif keyword == "properties" and kind is dict:
            fits = all(_fits_plainly(one, value[name]) for name, one in said.items() if name in value)
        elif keyword == "additionalProperties" and kind is dict:
            others = value.keys() - properties.keys()
            fits = not others if said is False else all(_fits_plainly(said, value[name]) for name in others)
        if not fits:
            return False
    return True


class _TooMuch(Exception):
    """A schema takes more checks than any that is meant well."""


def _size(value: Any) -> int:
    """How many values there are in a value, itself among them."""
    if isinstance(value, Mapping):
        return 1 + sum(map(_size, value.values()))
    return 1 + sum(map(_size, value)) if isinstance(value, list) else 1


#: How many checks the validation under way may still make: one number, in a list so that it can be counted down.
_checks_left: ContextVar[list[int]] = ContextVar("_checks_left")


@functools.cache
def _bounded_validator() -> Any:
    """A validator that ends soon: it counts its checks, and matches patterns as RE2 does, without backtracking.

    One class for all values: a class for each would take 20 KB that only the garbage collector, which a scan switches off,
    gives back.
    """
    import attrs
    from jsonschema import Draft201909Validator
    from jsonschema.exceptions import ValidationError
    from jsonschema.validators import extend

    def counted(check: Callable[..., Any]) -> Callable[..., Any]:
        def run(*arguments: Any) -> Any:
            left = _checks_left.get()
            left[0] -= 1
            if left[0] < 0:
                raise _TooMuch
            return check(*arguments)

        return run

    def pattern(validator: Any, written: str, instance: Any, schema: Any) -> Iterator[ValidationError]:
        if validator.is_type(instance, "string") and not compiled_re2(written).search(instance):
            yield ValidationError(f"{shown(instance)} does not match {shown(written)}")

    def pattern_properties(validator: Any, written: Any, instance: Any, schema: Any) -> Iterator[ValidationError]:
        if not validator.is_type(instance, "object"):
            return
        for one, subschema in written.items():
            for key in filter(compiled_re2(one).search, instance):
                yield from validator.descend(instance[key], subschema, path=key, schema_path=one)

    def additional(validator: Any, allowed: Any, instance: Any, schema: Any) -> Iterator[ValidationError]:
        if not validator.is_type(instance, "object"):
            return
        named = schema.get("properties", {})
        patterns = [compiled_re2(one) for one in schema.get("patternProperties", {})]
        others = [key for key in instance if key not in named and not any(one.search(key) for one in patterns)]
        if validator.is_type(allowed, "object"):
            for key in others:
                yield from validator.descend(instance[key], allowed, path=key)
        elif not allowed and others:
            listed = ", ".join(map(shown, others[:5])) + (", …" if len(others) > 5 else "")
            verb = "was" if len(others) == 1 else "were"
            yield ValidationError(f"Additional properties are not allowed ({listed} {verb} unexpected)")

    def unknown(validator: Any, given: Any, instance: Any, schema: Any) -> Iterator[ValidationError]:
        raise ValueError("unevaluatedItems and unevaluatedProperties are not supported")

    checks = {
        **Draft201909Validator.VALIDATORS,
        "pattern": pattern,
        "patternProperties": pattern_properties,
        "additionalProperties": additional,
        "unevaluatedItems": unknown,
        "unevaluatedProperties": unknown,
    }
    bounded = extend(Draft201909Validator, {name: counted(check) for name, check in checks.items()})  # type: ignore[no-untyped-call]

    def evolve(self: Any, **changes: Any) -> Any:
        # The package's own would leave the bounds behind where a part of the schema has a $schema.
        for field in attrs.fields(bounded):
            if field.init:
                changes.setdefault(field.alias, getattr(self, field.name))
        return bounded(**changes)

    bounded.evolve = evolve
    return bounded


def compiled_re2(pattern: str) -> Any:
    """A compiled RE2 expression. Raises ValueError."""
    import re2  # type: ignore[import-untyped]

    options = re2.Options()
    options.log_errors = False
    try:
        return re2.compile(pattern.encode(errors="replace").decode(), options)
    except re2.error as error:
        raise ValueError(f"{shown(pattern)} is no RE2 regular expression: {error}") from error


def shown(value: Any) -> str:
    """A value as messages write it, cut to 80 characters."""
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."
