"""A definition or an initiative in words, for ``aksp definitions show`` and ``aksp initiatives show``."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Mapping

from aksp.cli.options import long_default, option_of
from aksp.compliance.expressions import is_expression
from aksp.compliance.members import last_segment, unavailable_members
from aksp.model.definition import Definition, Parameter
from aksp.model.effect import Effect
from aksp.model.initiative import Initiative


def describe_definition(definition: Definition, *, unplanned: str = "", rego: bool = False) -> str:
    """Headed paragraphs, 80 columns; unplanned is why the rule has no plan; with rego also the rule's source."""
    fields = [
        ("Name", definition.slug),
        ("Display name", definition.display_name),
        ("Id", definition.name),
        *([("Azure name", definition.azure_policy_id)] if definition.azure_policy_id else []),
        ("Category", definition.category),
        ("Version", definition.version),
        ("Severity", definition.severity),
        ("Judges", judged(definition)),
        *_match(definition),
    ]
    lines = [f"{name + ':':<14}{value}" for name, value in fields]
    lines += ["", textwrap.fill(definition.description, 80, break_on_hyphens=False)]
    if definition.remediation:
        lines += ["", textwrap.fill("To comply: " + definition.remediation, 80)]
    lines += _standing(definition)
    if unplanned:
        why = f"Evaluated by OPA's topdown, several times slower, since the rule has no plan: {unplanned}"
        lines += ["", textwrap.fill(why, 80)]
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


def judged(definition: Definition) -> str:
    """The kinds that it judges, in words; of many the first."""
    kinds = list(
        dict.fromkeys("any" if is_expression(kind.kind) or kind.kind == "*" else kind.kind for kind in definition.kinds)
    )
    return ", ".join(kinds if len(kinds) <= 6 else [*kinds[:3], f"{len(kinds) - 3} more"])


def describe_initiative(initiative: Initiative, known: Mapping[str, Definition]) -> str:
    """Headed paragraphs, 80 columns. ``known`` are the definitions that there are, by all their names in lower case."""
    fields = [
        ("Name", initiative.slug),
        ("Display name", initiative.display_name),
        ("Id", initiative.name),
        *([("Azure name", initiative.azure_policy_id)] if initiative.azure_policy_id else []),
        ("Category", initiative.category),
        ("Version", initiative.version),
    ]
    lines = [f"{name + ':':<14}{value}" for name, value in fields]
    lines += ["", textwrap.fill(initiative.description, 80)]
    for text in initiative.differences:
        lines.append(textwrap.fill(text, 80, initial_indent="  - ", subsequent_indent="    "))
    lines += ["", "Members:"]
    gone = unavailable_members(initiative, known)
    for one in initiative.members:
        definition = known.get(last_segment(one.definition_id).lower())
        what = gone.get(one.reference) or (definition.slug if definition else "")
        named = one.reference if what == one.reference else f"{one.reference}: {what}"
        groups = f" (group{'s' * (len(one.groups) > 1)} {', '.join(one.groups)})" if one.groups else ""
        lines.append(textwrap.fill(named + groups, 80, initial_indent="  ", subsequent_indent="      "))
    if gone:
        told = f"{len(gone)} of {len(initiative.members)} members cannot be judged."
        lines += [
            "",
            textwrap.fill(f"{told} In reports each is an error, unless its effect is {Effect.DISABLED.value}.", 80),
        ]
    lines += ["", "Parameters:"]
    for parameter in initiative.parameters.values():
        lines += _parameter(parameter)
    lines += ["", f"Assign it:  aksp assign {initiative.slug} {_example(initiative)}".rstrip()]
    return "\n".join(lines)


def _standing(definition: Definition) -> list[str]:
    """The standards that ask for it, and where it differs from the definition of Azure's that it stands for."""
    lines = (
        ["", "Asked for by:", *(f"  {standard}" for standard in definition.standards)] if definition.standards else []
    )
    for one in definition.azure:
        lines += ["", f"In Azure: {one.name} {', '.join(one.versions)}", f"  {one.id}"]
        for name, ours in one.parameters.items():
            lines.append(f"  its parameter {name} is {ours} here")
        for text in one.differences:
            lines.append(textwrap.fill(text, 80, initial_indent="  - ", subsequent_indent="    "))
    return lines


def _match(definition: Definition) -> list[tuple[str, str]]:
    """What else selects the objects, as far as that is more than the usual parameters."""
    usual = ("namespaces", "excludedNamespaces", "labelSelector", "source", "warn", "scope")
    fields = {
        "Scope": definition.object_scope,
        "Names": definition.object_name,
        "Namespaces": definition.namespaces,
        "Left out": definition.excluded_namespaces,
        "Labels": definition.label_selector,
        "Of namespace": definition.namespace_selector,
        "Source": definition.source,
        "Warn": definition.warn,
    }
    return [
        (name, value if isinstance(value, str) else json.dumps(value))
        for name, value in fields.items()
        if value not in (None, [], (), {}) and value not in [f"[parameters('{one}')]" for one in usual]
    ]


def _parameter(parameter: Parameter) -> list[str]:
    default = "required" if parameter.required else "optional"
    if parameter.has_default:
        default = long_default(parameter) or f"default {json.dumps(parameter.default)}"
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


def _example(definition: Definition | Initiative) -> str:
    needed = [p for p in definition.parameters.values() if p.required]
    needed += [definition.parameters[names[0]] for names in definition.require_any_of]
    return " ".join(f"{option_of(p)} {p.metavar or 'VALUE'}" for p in needed)
