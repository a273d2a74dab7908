"""The assignment that the options of ``aksp assign`` describe."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from aksp.catalog.interface import Assignable
from aksp.cli.clusters import ClusterChoice, scope_of
from aksp.compliance.reach import check_namespaces
from aksp.compliance.selection import Selector
from aksp.errors import InvalidInput
from aksp.model.assignment import NAME, Assignment, EffectOverride, EnforcementMode, ResourceSelector
from aksp.model.definition import Parameter, ParameterType
from aksp.model.effect import Effect
from aksp.model.json_text import decode_held
from aksp.model.scope import Scope
from aksp.store.documents import overrides_from, selectors_from
from aksp.yaml_reader import read_file, read_yaml


def choice_of(options: Mapping[str, Any]) -> ClusterChoice:
    """The cluster that the options name."""
    named = {key: options[key] for key in ("cluster", "context", "kubeconfig", "request_timeout")}
    return ClusterChoice(**named)


def assignment_of(definition: Assignable, given: Mapping[str, Any], options: Mapping[str, Any]) -> Assignment:
    """The assignment that the options describe. Raises InvalidInput."""
    parameters = {
        name: _value(definition.parameters[name], value) for name, value in given.items() if value not in (None, [])
    }
    _common_parameters(definition, options, parameters)
    name = options["name"] or definition.slug
    if not NAME.fullmatch(name):
        raise InvalidInput(f"--name {name!r}: expected lower-case letters, digits, - and .")
    mode = next((m for m in EnforcementMode if m.lower() == options["enforcement_mode"].lower()), None)
    if mode is None:
        raise InvalidInput(f"--enforcement-mode {options['enforcement_mode']!r} is not Default or DoNotEnforce")
    scope = scope_of(options["scope"], choice_of(options))
    try:
        not_scopes = tuple(Scope.parse(text) for text in options["not_scope"] or ())
    except ValueError as error:
        raise InvalidInput(str(error)) from error
    return Assignment(
        name=name,
        definition_id=definition.slug,
        scope=scope,
        display_name=options["display_name"],
        description=options["description"],
        not_scopes=not_scopes,
        parameters=parameters,
        enforcement_mode=mode,
        non_compliance_message=options["message"],
        overrides=(
            *overrides_from(json_of("--overrides", options["overrides"]), "--overrides"),
            *map(_override, options.get("override") or ()),
        ),
        resource_selectors=selectors_of(options["resource_selectors"]),
    )


def selectors_of(text: str | None) -> tuple[ResourceSelector, ...]:
    """What --resource-selectors gives. Raises InvalidInput."""
    return selectors_from(json_of("--resource-selectors", text), "--resource-selectors")


def json_of(option: str, text: str | None) -> Any:
    """The JSON that an option gives, itself or as @FILE, in which it may be YAML too; None for none. Raises InvalidInput."""
    if text is None:
        return None
    if text.startswith("@"):
        documents = read_yaml(read_file(Path(text[1:])), text[1:])
        if len(documents) != 1:
            raise InvalidInput(
                f"{option}: a file with one list is expected, not {len(documents)} documents", where=text[1:]
            )
        return documents[0][0]
    try:
        return decode_held(text)
    except ValueError as error:
        raise InvalidInput(
            f"{option}: not JSON: {error}",
            hint=f"give it quoted, as in {option} '[{{…}}]', or a file, as in {option} @FILE",
        ) from error


def _override(text: str) -> EffectOverride:
    reference, equals, effect = text.partition("=")
    known = Effect.named(effect)
    if not reference or not equals or known is None:
        raise InvalidInput(f"--override {text!r} is not REFERENCE=EFFECT", hint=f"effects are {', '.join(Effect)}")
    return EffectOverride(effect=known.value, selected=(reference,))


def _common_parameters(definition: Assignable, options: Mapping[str, Any], parameters: dict[str, Any]) -> None:
    def selection(option: str, name: str) -> None:
        if name not in definition.parameters:
            raise InvalidInput(f"{option}: {definition.slug!r} has no parameter {name!r}")

    def named(option: str, patterns: Sequence[str]) -> None:
        try:
            check_namespaces(option, patterns)
        except ValueError as error:
            raise InvalidInput(str(error)) from error

    if options["effect"]:
        known = Effect.named(options["effect"])
        parameters["effect"] = known.value if known else options["effect"]
    if options["namespace"]:
        selection("--namespace", "namespaces")
        named("--namespace", options["namespace"])
        parameters["namespaces"] = options["namespace"]
    if options["exclude_namespace"] or options["no_default_exclusions"]:
        selection("--exclude-namespace", "excludedNamespaces")
        named("--exclude-namespace", options["exclude_namespace"] or ())
        default = definition.parameters["excludedNamespaces"].default
        kept = [] if options["no_default_exclusions"] or not isinstance(default, list) else default
        parameters["excludedNamespaces"] = list(dict.fromkeys([*kept, *(options["exclude_namespace"] or [])]))
    if options["selector"]:
        selection("--selector", "labelSelector")
        try:
            parameters["labelSelector"] = Selector.parse_text(options["selector"]).document()
        except ValueError as error:
            raise InvalidInput(f"--selector: {error}") from error


def _value(parameter: Parameter, value: Any) -> Any:
    try:
        if parameter.type is ParameterType.OBJECT:
            return decode_held(value)
        if parameter.type is ParameterType.ARRAY and any(entry.lstrip().startswith("{") for entry in value):
            # Arrays of objects, as third-party definitions have them.
            return [decode_held(entry) for entry in value]
    except ValueError as error:
        raise InvalidInput(f"{parameter.option or parameter.name}: not JSON: {error}") from error
    return value
