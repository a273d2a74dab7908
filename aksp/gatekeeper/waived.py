"""Exemptions as Gatekeeper can express them: it excludes whole namespaces, and without an end."""

from __future__ import annotations

import re
from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import Final

from msgspec import Struct

from aksp.compliance.plan import Ready
from aksp.model.assignment import ExemptedResource, Exemption
from aksp.model.scope import EVERYWHERE, Scope
from aksp.model.times import rfc3339

_PATTERN: Final = re.compile(r"\*?[-a-z0-9]+\*?")


class Waived(Struct, frozen=True, kw_only=True):
    """What the exemptions of an assignment become.

    ``namespaces`` are excluded. ``everything``: of the exemptions that waive all of the assignment, the one that ends last.
    ``until`` is when the first of the expressed exemptions ends; the exclusion has no end.
    """

    namespaces: tuple[str, ...] = ()
    everything: Exemption | None = None
    expressed: tuple[str, ...] = ()
    not_expressed: tuple[str, ...] = ()
    until: str = ""
    lost: tuple[str, ...] = ()


def waived(ready: Ready, cluster: Scope | None, *, kept: bool = False) -> Waived:
    """The exemptions of an assignment in a cluster (None: in any). ``kept``: the exclusion is taken back when they end."""
    namespaces: list[str] = []
    expressed: list[Exemption] = []
    not_expressed: list[str] = []
    lost: list[str] = []
    everything: Exemption | None = None
    judges_namespaces = any(one.covers("", "Namespace") for one in ready.selection.kinds)
    for exemption in ready.exemptions:
        own, why = _namespaces(exemption, cluster)
        if own and judges_namespaces:
            own, why = [], "it is for what is in a namespace, and excludedNamespaces leave the Namespace itself out too"
        if own is None:
            everything = exemption if everything is None else max(everything, exemption, key=_end)
        elif own:
            namespaces += own
            expressed.append(exemption)
        if why:
            not_expressed.append(exemption.name)
            lost.append(f"exemption {exemption.name} is not expressed, what it waives is refused and reported: {why}")
        elif (own is None or own) and exemption.expires_on is not None and not kept:
            end = rfc3339(exemption.expires_on, "auto")
            lost.append(
                f"exemption {exemption.name} ends on {end}, and what is excluded for it stays so: export again then"
            )
    ends = [one.expires_on for one in expressed if one.expires_on is not None]
    return Waived(
        namespaces=tuple(dict.fromkeys(namespaces)),
        everything=everything,
        expressed=tuple(one.name for one in expressed),
        not_expressed=tuple(not_expressed),
        until=rfc3339(min(ends), "auto") if ends else "",
        lost=tuple(lost),
    )


def _end(exemption: Exemption) -> tuple[bool, float]:
    end = exemption.expires_on
    return end is None, 0 if end is None else end.timestamp()


def _namespaces(exemption: Exemption, cluster: Scope | None) -> tuple[list[str] | None, str]:
    """The namespaces that an exemption waives, None for everything, and why something of it cannot be expressed."""
    scope = exemption.scope
    if cluster is None and scope != EVERYWHERE:
        return [], f"its scope is {scope}: name the cluster with --cluster"
    whole = cluster is None or scope.covers(cluster)
    if not whole and (cluster is None or not cluster.covers(scope)):
        return [], ""  # it is about another cluster
    own = None if whole else scope.key[-1]
    if not exemption.resources:
        return (None if own is None else [own]), ""
    found = [entry.namespace for entry in exemption.resources if _is_namespace(entry) and entry.namespace]
    others = sum(not _is_namespace(entry) for entry in exemption.resources)
    if own is not None:
        found = [own] if any(fnmatchcase(own, one) for one in found) else []
    told = (
        f"Gatekeeper leaves out whole namespaces, and {others} of {len(exemption.resources)} entries say something else"
    )
    return found, told if others else ""


def _is_namespace(entry: ExemptedResource) -> bool:
    """Whether an entry names only namespaces, by a pattern that Gatekeeper understands too."""
    others: Sequence[str | None] = (entry.kind, entry.name, entry.container, entry.image)
    return not any(one is not None for one in others) and bool(_PATTERN.fullmatch(entry.namespace or ""))
