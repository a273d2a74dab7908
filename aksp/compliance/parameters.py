"""Values for a definition's parameters: checked against their types, filled up with defaults."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Final

from msgspec import Struct

from aksp.compliance.json_schema import TYPES, schema_problem, shown
from aksp.model.definition import Definition, Parameter, ParameterType
from aksp.model.initiative import Initiative

_PORT = re.compile(r"(?P<first>\d{1,5})(?:-(?P<last>\d{1,5}))?(?:/(?:TCP|UDP|SCTP))?", re.IGNORECASE)
_QUANTITY = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?0*[0-9]{1,3}|[numkMGTPE]|[KMGTPE]i)?")
# A label key: an optional DNS prefix, then up to 63 characters (Kubernetes: "Labels and Selectors").
_LABEL_KEY = re.compile(r"(?:[a-z0-9](?:[-a-z0-9.]{0,251}[a-z0-9])?/)?[A-Za-z0-9](?:[-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")
_REGISTRY = re.compile(r"[A-Za-z0-9][A-Za-z0-9.\-]*(?::\d+)?(?:/[a-z0-9._\-]+)*/?")


class ParameterProblem(Struct, frozen=True, kw_only=True):
    """What is wrong with one parameter: its name, what is wrong, and what may help."""

    parameter: str
    problem: str
    hint: str = ""

    def __str__(self) -> str:
        return f"parameter {self.parameter!r}: {self.problem}" if self.parameter else self.problem


_JSON_TYPES: Final[Mapping[ParameterType, str]] = {
    ParameterType.STRING: "string",
    ParameterType.DATE_TIME: "string",
    ParameterType.ARRAY: "array",
    ParameterType.BOOLEAN: "boolean",
    ParameterType.INTEGER: "integer",
    ParameterType.FLOAT: "number",
    ParameterType.OBJECT: "object",
}


def nearest(name: str, known: Iterable[str]) -> str:
    """A hint with the known name that is most like this one, or with all of them."""
    names = sorted(known)
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.6)
    if close:
        return f"did you mean {close[0]!r}?"
    return "known: " + ", ".join(names) if names else "there are none"


def problems(definition: Definition | Initiative, given: Mapping[str, Any]) -> list[ParameterProblem]:
    """Everything that is wrong with the values given for a definition's parameters."""
    given = as_called_here(definition, given)
    found: list[ParameterProblem] = []

    def wrong(name: str, problem: str, hint: str = "") -> None:
        found.append(ParameterProblem(parameter=name, problem=problem, hint=hint))

    for name, value in given.items():
        parameter = definition.parameters.get(name)
        if parameter is None:
            hint = _ours(definition, name) or nearest(name, definition.parameters)
            wrong(name, f"{definition.slug} has no such parameter", hint)
        elif problem := value_problem(parameter, value):
            wrong(name, problem)
    for name, parameter in definition.parameters.items():
        if parameter.required and name not in given:
            option = f"give it with {parameter.option}" if parameter.option else ""
            wrong(name, f"{definition.slug} needs a value of type {parameter.type}", option)
    if not found:
        values = effective(definition, given)
        for names in definition.require_any_of:
            if not any(values.get(name) for name in names):
                options = " or ".join(definition.parameters[name].option or name for name in names)
                wrong("", f"{definition.slug} needs at least one of {', '.join(names)}", f"give {options}")
    return found


def _ours(definition: Definition | Initiative, name: str) -> str:
    """That a value is given by both names; empty for a name that Azure does not have either."""
    ours = _azure_names(definition).get(name)
    return f"Azure's {name} is called {ours} here, which is given too" if ours else ""


def _azure_names(definition: Definition | Initiative) -> Mapping[str, str]:
    """What parameters are called in the definitions of Azure's that one stands for, and here."""
    return {theirs: ours for one in definition.azure for theirs, ours in one.parameters.items()}


def as_called_here(definition: Definition | Initiative, given: Mapping[str, Any]) -> dict[str, Any]:
    """The values by the names that parameters have here, and the effect in its own case.

    So an assignment of a built-in of Azure's keeps its parameters (catalogue of Azure Policy: labelsList, cpuLimit, …;
    newer built-ins write deny, audit and disabled). A value that is given by both names stays under Azure's, and is a problem.
    """
    of_azure = _azure_names(definition)
    found: dict[str, Any] = {}
    for name, value in given.items():
        ours = name if name in definition.parameters else of_azure.get(name, name)
        found[name if ours in given else ours] = value
    effect, parameter = found.get("effect"), definition.parameters.get("effect")
    if isinstance(effect, str) and parameter is not None:
        allowed = (one for one in parameter.allowed_values if isinstance(one, str) and one.lower() == effect.lower())
        found["effect"] = effect if effect in parameter.allowed_values else next(allowed, effect)
    return found


def effective(definition: Definition | Initiative, given: Mapping[str, Any]) -> dict[str, Any]:
    """The values given, and the defaults of the others."""
    defaults = {name: p.default for name, p in definition.parameters.items() if p.has_default}
    return {**defaults, **as_called_here(definition, given)}


def value_problem(parameter: Parameter, value: Any) -> str | None:
    """Why a value does not fit a parameter, or None."""
    kind = _JSON_TYPES[parameter.type]
    problem = None if _is_a(value, kind) else f"{shown(value)} is not of type {kind}"
    if problem is None and parameter.schema:
        problem = schema_problem({**parameter.schema, "type": kind}, value)
    if problem is None and parameter.allowed_values and value not in parameter.allowed_values:
        hint = nearest(value, map(str, parameter.allowed_values)) if isinstance(value, str) else ""
        allowed = ", ".join(map(str, parameter.allowed_values))
        return f"{shown(value)} is not allowed: expected one of {allowed}" + (
            f" ({hint})" if hint.startswith("did") else ""
        )
    if problem is None and parameter.type is ParameterType.DATE_TIME:
        problem = _date_problem(value)
    if problem is None and parameter.format:
        entries = value if isinstance(value, list) else [value]
        problem = next((p for entry in entries if (p := format_problem(parameter.format, entry))), None)
        # A blank text counts as not given. In a list it is an error: every value would comply with it.
        if problem is None and isinstance(value, list):
            problem = next((f"{entry!r} in it is blank" for entry in value if not entry.strip()), None)
    return problem


def _is_a(value: Any, kind: str) -> bool:
    """Whether a value has a type of JSON Schema. Here, since its package takes longer to import than a small scan to run."""
    if isinstance(value, bool):
        return kind == "boolean"
    whole = kind == "integer" and isinstance(value, float) and value.is_integer()
    return whole or isinstance(value, TYPES[kind])


def _date_problem(value: str) -> str | None:
    try:
        datetime.fromisoformat(value.replace("Z", "+00:00"))
    except ValueError:
        return f"{value!r} is not an ISO 8601 date and time, such as 2026-12-31T00:00:00Z"
    return None


def format_problem(form: str, value: Any) -> str | None:
    """Why a string does not have a named form, or None. Regexes are the engine's to check."""
    if not isinstance(value, str):
        return f"{shown(value)} is not a string"
    text = value.strip()
    if not text:
        return None
    if form == "port":
        match = _PORT.fullmatch(text)
        if not match:
            return f"{value!r} is not a port: expected 80, 8000-8999 or 53/UDP"
        first, last = int(match["first"]), int(match["last"] or match["first"])
        if not 1 <= first <= last <= 65535:
            return f"{value!r} is not a port or a range within 1-65535"
    elif form == "quantity" and not _QUANTITY.fullmatch(text):
        return f"{value!r} is not a quantity such as 500m, 2 or 512Mi"
    elif form == "label" and not _LABEL_KEY.fullmatch(text.partition("=")[0].strip()):
        return f"{value!r} does not start with a label key: expected KEY or KEY=REGEX"
    elif form == "registry" and "://" in text:
        return f"{value!r} has a scheme: leave it out, as in {text.partition('://')[2] or 'contoso.azurecr.io'}"
    elif form == "registry" and not _REGISTRY.fullmatch(text):
        return f"{value!r} is not a registry such as contoso.azurecr.io or contoso.azurecr.io/team"
    return None


def regexes(definition: Definition | Initiative, values: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The regular expressions among values, as (parameter, pattern), for the engine to compile."""
    values = as_called_here(definition, values)
    found: list[tuple[str, str]] = []
    for name, parameter in definition.parameters.items():
        value = values.get(name)
        entries = value if isinstance(value, list) else [value]
        for entry in entries:
            if not isinstance(entry, str) or not entry:
                continue
            if parameter.format in ("regex", "image-regex"):
                found.append((name, entry))
            elif parameter.format == "label" and "=" in entry:
                found.append((name, entry.partition("=")[2]))
    return found


def advice(definition: Definition | Initiative, values: Mapping[str, Any]) -> list[str]:
    """Warnings about values, by the names here, that are allowed and yet rarely what was meant."""
    return [text for _, text in advice_by_parameter(definition, values)]


def advice_by_parameter(definition: Definition | Initiative, values: Mapping[str, Any]) -> list[tuple[Parameter, str]]:
    """The same warnings, each with the parameter that it is about."""
    notes: list[tuple[Parameter, str]] = []
    for name, parameter in definition.parameters.items():
        value = values.get(name)
        called = f"{parameter.option or name} {value!r}"
        if parameter.format == "image-regex" and isinstance(value, str) and value:
            notes += [(parameter, f"{called}: {note}") for note in image_regex_advice(value)]
        if (
            parameter.format == "quantity"
            and "emory" in name
            and isinstance(value, str)
            and re.fullmatch(r"[\d.]+m?", value.strip())
        ):
            text = f"{called} has no unit, so it means bytes: did you mean {value.rstrip('m')}Mi?"
            notes.append((parameter, text))
    return notes


def image_regex_advice(pattern: str) -> list[str]:
    """What an image pattern accepts that its author hardly meant."""
    notes = []
    for alternative in _alternatives(pattern):
        if not alternative.startswith(("^", r"\A", "(?i)^")):
            accepted = re.sub(r"[\\^$].*", "", alternative)[:30]
            notes.append(f"it is not anchored with ^, so it also accepts evil.example/{accepted}…")
            break
    if re.search(r"(?<!\\)\.(?![*+?{])(?=[A-Za-z0-9])", pattern):
        notes.append(r"an unescaped . stands for any character: write \.")
    bare = pattern.lstrip("^")
    if "/" not in bare:
        notes.append(
            "it has no slash after the registry, so it also accepts a registry whose name goes on, such as contoso.azurecr.io.evil.example"
        )
    elif re.match(r"\.[*+]", bare):
        notes.append("it starts with a wildcard, so any registry may come before what it names")
    return notes


def _alternatives(pattern: str) -> list[str]:
    """The parts of a pattern between the | that are in no group: an anchor holds for one of them."""
    parts = [""]
    depth, in_class = 0, False
    for token in re.findall(r"\\.|.", pattern, re.DOTALL):
        if in_class:
            in_class = token != "]"
        elif token == "[":
            in_class = True
        elif token in "()":
            depth += 1 if token == "(" else -1
        elif token == "|" and depth == 0:
            parts.append("")
            continue
        parts[-1] += token
    return parts
