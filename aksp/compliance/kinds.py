"""The kinds that an assignment is about, from what its definition has in ``apiGroups`` and ``kinds``."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from aksp.model.definition import ResourceKind
from aksp.model.kinds import WORKLOADS


def resolved_kinds(written: Iterable[ResourceKind], resolve: Callable[[Any], Any]) -> tuple[ResourceKind, ...]:
    """A definition's kinds with the expressions in them resolved, each once.

    An expression stands for a name, a list of names, or, in place of a kind, for Gatekeeper's list of
    ``{apiGroups, kinds}``. Raises ValueError for anything else, and when no kind is left.
    """
    found: dict[ResourceKind, None] = {}
    for one in written:
        for group in _names("apiGroups", resolve(one.group)):
            found.update(dict.fromkeys(_kinds(group, resolve(one.kind))))
    if not found:
        raise ValueError("kinds names no kind")
    return tuple(found)


def judges_pods(kinds: Iterable[ResourceKind]) -> bool:
    """Whether Pods are among these kinds, so that a rule about them is about containers."""
    return any(kind.covers("", "Pod") for kind in kinds)


def can_be_about(kind: str, kinds: Sequence[ResourceKind]) -> bool:
    """Whether a finding on objects of these kinds can be about a built-in kind, or about what objects of it make."""
    return any(_may_be(one, kind) for one in kinds) or (kind in WORKLOADS and may_judge_pods(kinds))


def may_judge_pods(kinds: Iterable[ResourceKind]) -> bool:
    """Whether Pods, or workloads that make Pods, are among kinds of which some may not be resolved."""
    return any(_may_be(one, kind) for one in kinds for kind in ("Pod", *WORKLOADS))


def _may_be(one: ResourceKind, kind: str) -> bool:
    # Of a kind that a parameter decides nothing is known here.
    return one.kind in (kind, "*") or one.kind.startswith("[")


def _kinds(group: str, value: Any) -> Iterator[ResourceKind]:
    for entry in value if isinstance(value, list | tuple) else [value]:
        if isinstance(entry, Mapping):
            if unknown := sorted(set(map(str, entry)) - {"apiGroups", "kinds"}):
                raise ValueError(f"kinds: {unknown[0]!r} is neither apiGroups nor kinds")
            for own in _names("apiGroups", entry.get("apiGroups") or "*"):
                for kind in _names("kinds", entry.get("kinds") or "*"):
                    yield ResourceKind(group=own, kind=kind)
        else:
            yield from (ResourceKind(group=group, kind=kind) for kind in _names("kinds", entry))


def _names(what: str, value: Any) -> list[str]:
    if value is None:
        return []
    names = value if isinstance(value, list | tuple) else [value]
    if not all(isinstance(name, str) for name in names) or (what == "kinds" and not all(names)):
        raise ValueError(f"{what} has {value!r}, expected names of {'API groups' if what == 'apiGroups' else 'kinds'}")
    return list(names)
