"""Values of parameters: what fits, what does not, and what is worth a warning."""

from __future__ import annotations

from typing import Any

import pytest
from jsonschema import Draft201909Validator

from aksp.catalog.folder import bundled
from aksp.compliance import parameters
from aksp.compliance.parameters import (
    advice,
    effective,
    format_problem,
    image_regex_advice,
    problems,
    regexes,
    value_problem,
)
from aksp.model.definition import AzureDefinition, Parameter, ParameterType
from tests.compliance.builders import definition, parameter
from tests.replacing import replace

T = ParameterType


@pytest.mark.parametrize(
    ("kind", "fits", "does_not"),
    [
        (T.STRING, ["", "x"], [1, None, ["x"], True]),
        (T.ARRAY, [[], ["x", 1]], ["x", {}, None]),
        (T.BOOLEAN, [True, False], ["true", 1, 0, None]),
        (T.INTEGER, [0, -1, 10**12], [1.5, "1", True, None]),
        (T.FLOAT, [0.5, 1], ["1", False, None]),
        (T.OBJECT, [{}, {"a": 1}], [[], "x", None]),
        (T.DATE_TIME, ["2026-12-31T00:00:00Z", "2026-12-31T00:00:00+02:00"], ["soon", "2026-13-01T00:00:00Z", 5]),
    ],
)
def test_a_value_must_have_the_type_of_its_parameter(kind: ParameterType, fits: list[Any], does_not: list[Any]) -> None:
    one = parameter("x", kind)

    assert [value_problem(one, value) for value in fits] == [None] * len(fits)
    assert all(value_problem(one, value) for value in does_not)


@pytest.mark.parametrize("kind", T)
def test_types_are_those_of_json_schema(kind: T) -> None:
    # Any of them has the same meaning in a schema of its own, which the package reads.
    for value in ("", "1", 0, 1, 1.0, 1.5, float("inf"), True, False, None, [], [1], {}, {"a": 1}):
        with_a_schema = value_problem(parameter("x", kind, schema={"title": "any"}), value)
        assert with_a_schema == value_problem(parameter("x", kind), value)
        named = {T.DATE_TIME: "string", T.FLOAT: "number"}.get(kind, kind.value.lower())
        assert ("is not of type" in (with_a_schema or "")) == (
            not Draft201909Validator({"type": named}).is_valid(value)
        )


def test_allowed_values_are_all_that_is_allowed_and_the_nearest_is_named() -> None:
    effect = parameter("effect", allowed_values=("Audit", "Deny", "Disabled"))

    assert value_problem(effect, "Audit") is None
    assert value_problem(effect, "Deni") == (
        "'Deni' is not allowed: expected one of Audit, Deny, Disabled (did you mean 'Deny'?)"
    )
    assert value_problem(effect, "zzz") == "'zzz' is not allowed: expected one of Audit, Deny, Disabled"


def test_a_schema_is_held_and_the_complaint_says_where() -> None:
    schema = {"type": "array", "items": {"type": "string", "minLength": 2}, "maxItems": 2}
    one = parameter("x", T.ARRAY, schema=schema)

    assert value_problem(one, ["ab"]) is None
    assert value_problem(one, ["ab", 5]) == "5 at [1] is not of type string"
    assert (value_problem(one, ["a"]) or "").startswith("[0]: ")
    assert value_problem(one, ["ab", "cd", "ef"])


def test_a_schema_cannot_loosen_the_type() -> None:
    assert value_problem(parameter("x", T.ARRAY, schema={"type": "string"}), "text")


@pytest.mark.parametrize("schema", [{"type": "array", "items": {"pattern": "["}}, {"minLength": "two"}, {"items": 5}])
def test_a_schema_that_is_none_is_a_fault_and_no_crash(schema: dict[str, Any]) -> None:
    assert "schema" in (value_problem(parameter("x", T.ARRAY, schema=schema), ["a"]) or "")


# All parameters together


def test_an_unknown_parameter_is_named_with_the_nearest_that_there_is() -> None:
    (problem,) = problems(definition("rule", parameter("allowedPorts", T.ARRAY, [])), {"allowedPort": []})

    assert str(problem) == "parameter 'allowedPort': rule has no such parameter"
    assert problem.hint == "did you mean 'allowedPorts'?"


def test_a_parameter_that_is_called_otherwise_at_azure_is_the_one_here() -> None:
    of_azure = AzureDefinition(id="a", name="A", parameters={"cpuLimit": "maxCpu"})
    one = definition(parameters={"maxCpu": parameter("maxCpu", T.STRING, default="")}, azure=(of_azure,))

    assert problems(one, {"cpuLimit": "1"}) == []
    assert effective(one, {"cpuLimit": "1"}) == effective(one, {"maxCpu": "1"}) == {"maxCpu": "1"}
    (both,) = problems(one, {"cpuLimit": "1", "maxCpu": "2"})
    assert (both.parameter, both.hint) == ("cpuLimit", "Azure's cpuLimit is called maxCpu here, which is given too")
    # What has Azure's name here too is that.
    named = replace(one, parameters={**one.parameters, "cpuLimit": parameter("cpuLimit", T.STRING, default="")})
    assert effective(named, {"cpuLimit": "1"}) == {"maxCpu": "", "cpuLimit": "1"}


@pytest.mark.parametrize("given", ["deny", "DENY", "Deny"])
def test_an_effect_is_taken_in_any_case_and_is_the_one_that_is_allowed(given: str) -> None:
    allowed = parameter("effect", T.STRING, allowed_values=("Audit", "Deny"), default="Audit")
    one = definition(parameters={"effect": allowed})

    assert problems(one, {"effect": given}) == [] and effective(one, {"effect": given}) == {"effect": "Deny"}
    assert problems(one, {"effect": "denied"}) != []


def test_no_name_of_azure_means_two_parameters_here() -> None:
    for one in bundled():
        pairs = {(theirs, ours) for each in one.azure for theirs, ours in each.parameters.items()}
        assert len({theirs for theirs, _ in pairs}) == len(pairs), one.slug
        assert {ours for _, ours in pairs} <= one.parameters.keys()
        assert not {theirs for theirs, _ in pairs} & one.parameters.keys(), one.slug


def test_a_parameter_like_no_other_gets_all_names_as_hint() -> None:
    (problem,) = problems(definition("rule"), {"zzz": 1})

    assert problem.hint.startswith("known: ") and "labelSelector" in problem.hint


def test_a_missing_parameter_is_named_with_its_type_and_its_option() -> None:
    (problem,) = problems(definition("rule", parameter("ports", T.ARRAY, option="--port")), {})

    assert str(problem) == "parameter 'ports': rule needs a value of type Array"
    assert problem.hint == "give it with --port"


def test_null_is_a_value_and_no_default() -> None:
    assert problems(definition("rule", parameter("x", T.OBJECT, None)), {}) == []
    assert [f.parameter for f in problems(definition("rule", parameter("x")), {"x": None})] == ["x"]


def test_every_fault_is_told_at_once() -> None:
    found = problems(definition("rule", parameter("x"), parameter("n", T.INTEGER)), {"n": "1", "y": 2})

    assert [problem.parameter for problem in found] == ["n", "y", "x"]


@pytest.mark.parametrize(
    ("given", "count"), [({}, 1), ({"a": ""}, 1), ({"b": []}, 1), ({"a": "x"}, 0), ({"b": ["x"]}, 0)]
)
def test_of_some_parameters_at_least_one_must_have_a_value(given: dict[str, Any], count: int) -> None:
    one = definition(
        "rule",
        parameter("a", default="", option="--regex"),
        parameter("b", T.ARRAY, [], option="--port"),
        require_any_of=(("a", "b"),),
    )
    found = problems(one, given)

    assert len(found) == count
    assert all(problem.hint == "give --regex or --port" for problem in found)


def test_values_given_take_the_place_of_defaults() -> None:
    one = definition("rule", parameter("a", default=1), parameter("b"))
    values = effective(one, {"b": 2, "effect": "Deny"})

    assert (values["a"], values["b"], values["effect"]) == (1, 2, "Deny")


# Formats


@pytest.mark.parametrize(
    ("form", "right", "wrong"),
    [
        (
            "port",
            ["80", " 443 ", "8000-8999", "53/UDP", "53/udp", "1-65535/SCTP", ""],
            ["0", "65536", "90-80", "80/HTTP", "80,443", "-80", "8000-", "x", "80 - 90"],
        ),
        (
            "quantity",
            ["500m", "2", "512Mi", "0.5", ".5", "1e3", "1E3", "128974848", "1Ei", "+1", "100k", ""],
            ["1GB", "1 Gi", "Mi", "1.2.3", "1KI", "--1", "1e", "0x10"],
        ),
        (
            "label",
            ["app", "app=web", "app.kubernetes.io/name", "a=.*", " team ", "app = x"],
            ["-app", "=x", "app/", "/app", "a b", "A.example.com/x", "a" * 64],
        ),
        (
            "registry",
            ["contoso.azurecr.io", "contoso.azurecr.io/team/", "localhost:5000", "docker.io/library", ""],
            ["https://contoso.azurecr.io", "contoso.azurecr.io/*", "-x", "a b", "contoso.azurecr.io/web:1"],
        ),
    ],
)
def test_a_format_accepts_what_it_describes_and_shows_what_it_refuses(
    form: str, right: list[str], wrong: list[str]
) -> None:
    assert {text: format_problem(form, text) for text in right} == dict.fromkeys(right)
    for text in wrong:
        assert repr(text) in (format_problem(form, text) or ""), text


def test_each_entry_of_a_list_must_have_the_format() -> None:
    ports = parameter("ports", T.ARRAY, format="port")

    assert value_problem(ports, ["80", "443"]) is None
    assert "'http'" in (value_problem(ports, ["80", "http"]) or "")
    assert value_problem(ports, [80]) == "80 is not a string"


@pytest.mark.parametrize("form", ["label", "port", "quantity", "registry"])
@pytest.mark.parametrize("blank", ["", " ", "\t"])
def test_an_entry_of_a_list_is_not_blank_since_it_would_ask_for_nothing(form: str, blank: str) -> None:
    assert "is blank" in (value_problem(parameter("asked", T.ARRAY, format=form), [blank]) or "")


def test_patterns_are_collected_for_the_engine_from_regexes_and_from_label_values() -> None:
    one = definition(
        "rule",
        parameter("image", default="", format="image-regex"),
        parameter("port", default="", format="regex"),
        parameter("labels", T.ARRAY, [], format="label"),
        parameter("other", default=""),
    )
    values = {"image": "^a", "port": "", "labels": ["team", "app=web.*", "x="], "other": "("}

    assert regexes(one, values) == [("image", "^a"), ("labels", "web.*"), ("labels", "")]


# Advice


def test_a_careful_pattern_gets_no_advice() -> None:
    for pattern in (r"^contoso\.azurecr\.io/.+$", r"^contoso\.azurecr\.io/", r"\Acontoso\.azurecr\.io/team/"):
        assert image_regex_advice(pattern) == [], pattern


@pytest.mark.parametrize(
    ("pattern", "word"),
    [
        (r"contoso\.azurecr\.io/", "not anchored"),
        (r"^contoso.azurecr.io/.+$", "unescaped ."),
        (r"^contoso\.azurecr\.io", "no slash"),
        (r"^.+azurecr\.io/.+$", "wildcard"),
        (r"^.*/web$", "wildcard"),
    ],
)
def test_a_careless_pattern_is_told_what_it_lets_through(pattern: str, word: str) -> None:
    (note,) = image_regex_advice(pattern)

    assert word in note


@pytest.mark.parametrize(
    "pattern",
    [r"^a\.io/x|b\.io/", r"^a\.io/|evil", r"^(a|b)\.azurecr\.io/x|c"],
)
def test_an_alternative_that_the_anchor_does_not_reach_is_told(pattern: str) -> None:
    assert any("not anchored" in note for note in image_regex_advice(pattern))


def test_a_group_of_alternatives_behind_the_anchor_is_fine() -> None:
    assert image_regex_advice(r"^(a|b)\.azurecr\.io/") == []


@pytest.mark.parametrize(
    ("value", "warned"), [("512", True), ("512m", True), ("0.5", True), ("512Mi", False), ("1e9", False)]
)
def test_a_memory_maximum_without_unit_is_warned_about(value: str, warned: bool) -> None:
    one = definition(
        "rule", Parameter(name="memoryLimit", type=T.STRING, default="", format="quantity", option="--memory")
    )
    notes = advice(one, {"memoryLimit": value})

    assert bool(notes) == warned
    assert all("--memory" in note and "bytes" in note for note in notes)


def test_a_cpu_maximum_needs_no_unit() -> None:
    one = definition("rule", Parameter(name="cpuLimit", type=T.STRING, default="", format="quantity"))

    assert advice(one, {"cpuLimit": "2"}) == []


def test_the_nearest_of_nothing_is_nothing() -> None:
    assert parameters.nearest("x", ()) == "there are none"


def test_a_schema_that_refers_elsewhere_is_wrong_and_nothing_is_fetched(monkeypatch: pytest.MonkeyPatch) -> None:
    def fetched(*_: Any, **__: Any) -> None:
        raise AssertionError("something was fetched")

    monkeypatch.setattr("urllib.request.urlopen", fetched)
    one = parameter("x", T.OBJECT, schema={"type": "object", "properties": {"a": {"$ref": "http://example.com/a"}}})

    assert value_problem(one, {"a": 1}) == (
        "its schema in the definition refers to 'http://example.com/a', which is not in it"
    )
