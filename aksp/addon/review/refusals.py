"""A refused request, taken apart by the assignments that refuse it: what Events, denials and logs tell. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from aksp.addon.review.decision import Refusal, Violation
from aksp.model.resource import Container

#: Bytes of a message in the cluster: what an Event may hold (Kubernetes: core validation, NoteLengthLimit).
LONGEST_MESSAGE = 1024
MORE = "…"


def refusals(refused_by: Sequence[Violation], lines: Mapping[str, Sequence[str]]) -> tuple[Refusal, ...]:
    """Who refuses, in the order of the answer; none when it is refused by no assignment.

    ``lines`` are those of the answer, without its name, of each assignment that refuses: also of those that refuse
    because they could not be judged.
    """
    containers: dict[str, dict[Container, None]] = {}
    definitions: dict[str, str] = {}
    for violation in refused_by:
        assignment, container = violation.assignment, violation.finding.container
        name = assignment.name
        if name not in definitions:
            definitions[name], containers[name] = assignment.definition, {}
        if container is not None:
            containers[name][container] = None
    return tuple(
        [
            Refusal(
                assignment=name,
                definition=definitions.get(name, ""),
                containers=tuple(containers.get(name, ())),
                message=cut("; ".join(told)),
            )
            for name, told in lines.items()
        ]
    )


def cut(text: str, longest: int = LONGEST_MESSAGE) -> str:
    """The text in at most ``longest`` bytes of UTF-8, ended by an ellipsis after a whole character if it is longer."""
    if text.isascii() and len(text) <= longest:
        return text
    # A lone surrogate cannot be written; JSON may hold one.
    encoded = text.encode("utf-8", "replace")
    if len(encoded) <= longest:
        return encoded.decode("utf-8")
    return encoded[: longest - len(MORE.encode())].decode("utf-8", "ignore") + MORE
