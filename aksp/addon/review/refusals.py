"""A refused request, taken apart by the assignments that refuse it: what Events, denials and logs tell. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from aksp.addon.review import wording
from aksp.addon.review.decision import Refusal, Violation
from aksp.model.resource import Container

#: Bytes of a message in the cluster: what an Event may hold (Kubernetes: core validation, NoteLengthLimit).
LONGEST_MESSAGE = 1024
MORE = "…"


def refusals(message: str, refused_by: Sequence[Violation], errors: Sequence[tuple[str, str]]) -> tuple[Refusal, ...]:
    """Who refuses, in the order of the answer, which is ``message``; none when it is refused by no assignment."""
    told = message.split("\n")
    by_name: dict[str, list[str]] = {}
    containers: dict[str, dict[Container, None]] = {}
    definitions: dict[str, str] = {}
    for violation in refused_by:
        name, finding = violation.assignment.name, violation.finding
        definitions[name] = violation.assignment.definition
        found = containers.setdefault(name, {})
        if finding.container is not None:
            found[finding.container] = None
        by_name.setdefault(name, []).append(_words(finding.message, finding.container))
    for name, error in errors:
        # Only with --fail-closed does the answer itself hold such a line; else it is a warning.
        if wording.unjudged(name, error) in told:
            definitions.setdefault(name, "")
            by_name.setdefault(name, []).append(f"could not be judged: {error}")
    return tuple(
        Refusal(
            assignment=name,
            definition=definitions[name],
            containers=tuple(containers.get(name, ())),
            message=cut("; ".join(_answered(told, name) or dict.fromkeys(words))),
        )
        for name, words in by_name.items()
    )


def cut(text: str, longest: int = LONGEST_MESSAGE) -> str:
    """The text in at most ``longest`` bytes of UTF-8, ended by an ellipsis after a whole character if it is longer."""
    # A lone surrogate cannot be written; JSON may hold one.
    encoded = text.encode("utf-8", "replace")
    if len(encoded) <= longest:
        return encoded.decode("utf-8")
    return encoded[: longest - len(MORE.encode())].decode("utf-8", "ignore") + MORE


def _answered(told: list[str], name: str) -> list[str]:
    """The lines of the answer that are the assignment's: they have path, observed and expected too."""
    prefix = f"[{name}] "
    return [line.removeprefix(prefix) for line in told if line.startswith(prefix)]


def _words(message: str, container: Container | None) -> str:
    return f"{container.type} {container.name}: {message}" if container is not None else message
