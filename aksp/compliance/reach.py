"""Assignments that can reach nothing: told when they are made, since later they would only ever match nothing."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable

from aksp.compliance.globs import matches_glob
from aksp.compliance.plan import Ready
from aksp.compliance.selection import Selector
from aksp.model.assignment import Assignment
from aksp.model.scope import Scope

#: A namespace's name (RFC 1123 label), in which ``*`` may stand for any text.
_PATTERN = re.compile(r"[a-z0-9*](?:[-a-z0-9*]{0,61}[a-z0-9*])?")
#: What the path of a scope begins with: a cluster, a subscription, a management group.
_KINDS_OF_SCOPE = ("clusters", "subscriptions", "providers")


def check_namespaces(option: str, patterns: Iterable[str]) -> None:
    """Raise ValueError for a pattern that no namespace's name can match."""
    for pattern in patterns:
        if not pattern.strip():
            raise ValueError(f"{option}: the name of a namespace is empty")
        if "," in pattern:
            raise ValueError(
                f"{option} {pattern!r}: no namespace has a comma in its name; give {option} again for each"
            )
        if pattern != pattern.lower():
            raise ValueError(f"{option} {pattern!r}: names of namespaces are lower case")
        if not _PATTERN.fullmatch(pattern):
            raise ValueError(f"{option} {pattern!r}: no namespace has such a name")


def check_scope(assignment: Assignment) -> None:
    """Raise ValueError for a scope under which nothing lies, or that its notScopes leave out as a whole."""
    parts = [part for part in assignment.scope.path.split("/") if part]
    if parts and parts[0].lower() not in _KINDS_OF_SCOPE:
        raise ValueError(
            f"scope {assignment.scope} is none that anything lies under: expected /, /clusters/NAME[/namespaces/NAMESPACE],"
            " or the ARM id of a management group, a subscription, a resource group or a managed cluster"
        )
    if len(parts) == 4 and parts[0].lower() == "clusters":
        check_namespaces("scope", [parts[3]])
    for left_out in assignment.not_scopes:
        if left_out.covers(assignment.scope):
            raise ValueError(f"--not-scope {left_out} leaves out the whole of the scope {assignment.scope}")


def check_selection(ready: Ready) -> None:
    """Raise ValueError for namespaces that are all left out, and for labels that no object can have."""
    selection = ready.selection
    names = _within(ready.assignment.scope, selection.namespaces)
    if selection.namespaces and not names:
        raise ValueError(
            f"its scope {ready.assignment.scope} has none of its namespaces {', '.join(selection.namespaces)}"
        )
    if names and all(_left_out(name, selection.excluded_namespaces) for name in names):
        raise ValueError(
            f"excludedNamespaces leave out all of its namespaces {', '.join(names)}: see --exclude-namespace and"
            " --no-default-exclusions"
        )
    if (terms := impossible(selection.selector)) is not None:
        raise ValueError(f"its label selector matches nothing: no object can meet {terms}")


def impossible(selector: Selector) -> str | None:
    """The requirements on one label that contradict one another, as kubectl writes them; None when there are none."""
    wanted = [(key, "In", (value,)) for key, value in selector.match_labels]
    requirements = [*wanted, *selector.match_expressions]
    for key in dict.fromkeys(key for key, *_ in requirements):
        own = Selector(match_expressions=tuple(one for one in requirements if one[0] == key))
        values = {value for _, _, values in own.match_expressions for value in values}
        # No label, each value that is named, and one that is not.
        if not any(own.matches(labels) for labels in [{}, {key: "\0"}, *({key: value} for value in values)]):
            return own.text()
    return None


def _within(scope: Scope, patterns: Collection[str]) -> list[str]:
    """The patterns that can match a namespace in a scope."""
    parts = [part for part in scope.path.split("/") if part]
    if len(parts) != 4 or parts[0].lower() != "clusters":
        return list(patterns)
    return [pattern for pattern in patterns if matches_glob(pattern, parts[3])]


def _left_out(pattern: str, excluded: Iterable[str]) -> bool:
    """Whether whatever a pattern matches is left out for certain."""
    return any(other in ("*", pattern) or ("*" not in pattern and matches_glob(other, pattern)) for other in excluded)
