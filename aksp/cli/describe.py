"""A definition in words, for ``aksp definitions show``."""

from __future__ import annotations

import json
import textwrap

from aksp.cli.options import option_of
from aksp.model.definition import Definition, Parameter


def describe_definition(definition: Definition, *, rego: bool = False) -> str:
    """Headed paragraphs, 80 columns; with rego also the rule's source."""
    fields = [
        ("Name", definition.slug),
        ("Display name", definition.display_name),
        ("Id", definition.name),
        *([("Azure name", definition.azure_policy_id)] if definition.azure_policy_id else []),
        ("Category", definition.category),
        ("Version", definition.version),
        ("Severity", definition.severity),
        ("Judges", ", ".join(dict.fromkeys(kind.kind for kind in definition.kinds))),
    ]
    lines = [f"{name + ':':<14}{value}" for name, value in fields]
    lines += ["", textwrap.fill(definition.description, 80)]
    if definition.remediation:
        lines += ["", textwrap.fill("To comply: " + definition.remediation, 80)]
    lines += ["", "Parameters:"]
    for parameter in definition.parameters.values():
        lines += _parameter(parameter)
    for names in definition.require_any_of:
        options = " or ".join(option_of(definition.parameters[name]) for name in names)
        lines += ["", f"At least one of {options} must be given."]
    lines += ["", f"Assign it:  aksp assign {definition.slug} {_example(definition)}".rstrip()]
    if rego:
        for module in definition.modules:
            lines += ["", f"# {module.name} (Rego {module.version})", module.source.rstrip()]
    return "\n".join(lines)


def _parameter(parameter: Parameter) -> list[str]:
    default = "required" if parameter.required else f"default {json.dumps(parameter.default)}"
    head = f"  {option_of(parameter)}  ({parameter.name}, {parameter.type}, {default})"
    lines = textwrap.wrap(head, 80, initial_indent="", subsequent_indent="      ")
    if parameter.allowed_values:
        lines += textwrap.wrap(
            "one of " + ", ".join(map(str, parameter.allowed_values)),
            80,
            initial_indent="      ",
            subsequent_indent="      ",
        )
    lines += textwrap.wrap(parameter.description, 80, initial_indent="      ", subsequent_indent="      ")
    return lines


def _example(definition: Definition) -> str:
    needed = [p for p in definition.parameters.values() if p.required]
    needed += [definition.parameters[names[0]] for names in definition.require_any_of]
    return " ".join(f"{option_of(p)} {p.metavar or 'VALUE'}" for p in needed)
