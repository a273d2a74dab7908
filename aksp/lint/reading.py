"""Definitions whose rule reads parameters that are never set, or which set parameters that the rule does not read."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from msgspec.structs import replace

from aksp.compliance.expressions import parameter_named, parameters_in
from aksp.engine import Engine
from aksp.lint.finding import LintFinding, Severity, found_in
from aksp.model.definition import Definition
from aksp.workspace import compile_definition

UNSET = "parameter-not-set"
UNREAD = "parameter-not-read"
#: Exclusions that `aksp` itself applies, whatever the rule reads.
_APPLIED = {"excludedContainers", "excludedImages"}


def misread(engine: Engine, definition: Definition) -> Iterator[LintFinding]:
    """The differences between what a definition declares, sets and reads. Raises InvalidPolicy when it does not compile."""
    compile_definition(engine, definition)
    # Empty where the rule takes all of its parameters, or computes a name: then it may read any.
    reads = set(engine.parameters(definition.slug))
    selecting = parameters_in(
        [
            definition.effect, definition.object_scope, definition.object_name, definition.namespaces,
            definition.excluded_namespaces, definition.label_selector, definition.namespace_selector,
            definition.source, definition.warn, [(one.group, one.kind) for one in definition.kinds],
        ]
    )  # fmt: skip
    used = selecting | parameters_in(definition.values)
    for name in sorted(definition.parameters.keys() - used - _APPLIED):
        yield found_in(
            definition,
            UNREAD,
            Severity.WARNING,
            f"definition {definition.slug} has the parameter {name}, and nothing of its rule takes it",
            next=f"write [parameters('{name}')] where it belongs, or remove it",
            field=f"properties.parameters.{name}",
        )
    if not isinstance(definition.values, Mapping) or not reads:
        return
    values = "properties.policyRule.then.details.values"
    for name in sorted(definition.values.keys() - reads - _APPLIED):
        if parameters_in(definition.values[name]) & selecting:
            continue  # its parameter is used outside the Rego
        plain = parameter_named(definition.values[name])
        yield found_in(
            definition,
            UNREAD,
            Severity.WARNING,
            f"definition {definition.slug} sets input.parameters.{name}, which its Rego does not read",
            next="read it in the Rego, or remove it from values",
            # Values that `common` makes of the parameters do not stand in the document.
            field=f"{values}.{name}" if plain is None else f"properties.parameters.{plain}",
        )
    for name in sorted(reads - definition.values.keys() - _APPLIED):
        finding = found_in(
            definition,
            UNSET,
            Severity.ERROR,
            f"the Rego of definition {definition.slug} reads input.parameters.{name}, which its values do not set",
            next=f"set {name} in values, or correct the name in the Rego",
            field=values,
        )
        yield _in_rego(definition, name, finding)


def _in_rego(definition: Definition, name: str, finding: LintFinding) -> LintFinding:
    """The finding where the Rego names the parameter, if it does so plainly."""
    for module in definition.modules:
        if match := re.search(
            rf"\binput\.parameters(?:\.{re.escape(name)}\b|\[\"{re.escape(name)}\"\])", module.source
        ):
            line = module.line + module.source.count("\n", 0, match.start())
            # A module is called by its folder and file, which lies beside the document.
            file = Path(definition.origin).parent / Path(module.name).name
            return replace(finding, file=str(file), line=line) if file.is_file() else finding
    return finding
