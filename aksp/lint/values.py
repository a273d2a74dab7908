"""Values of parameters that are allowed and rarely meant: patterns that accept too much, quantities without a unit."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from aksp.compliance.parameters import advice_by_parameter, as_called_here
from aksp.compliance.plan import Ready
from aksp.lint.finding import LintFinding, Severity, found_in
from aksp.model.assignment import Assignment

LOOSE_REGEX = "loose-regex"
NO_UNIT = "quantity-without-unit"


def doubtful_values(ready: Ready, assignments: Mapping[str, Assignment]) -> Iterator[LintFinding]:
    """The doubtful values of an assignment, or of a member of an initiative. ``assignments`` are the documents by name."""
    written = assignments[ready.assignment.name]
    values = as_called_here(ready.definition, ready.assignment.parameters)
    for parameter, text in advice_by_parameter(ready.definition, values):
        # The assignment may write it by a name of Azure's, or of its initiative. What it does not write is the initiative's.
        alike = [name for name, value in written.parameters.items() if value == values[parameter.name]]
        if not alike:
            continue
        quantity = parameter.format == "quantity"
        yield found_in(
            written,
            NO_UNIT if quantity else LOOSE_REGEX,
            Severity.WARNING,
            f"assignment {written.name}: {text}",
            next="write the unit, such as Mi or Gi" if quantity else "correct the pattern",
            field=f"spec.parameters.{parameter.name if parameter.name in alike else alike[0]}",
        )
