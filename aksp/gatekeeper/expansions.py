"""ExpansionTemplates: which workloads Gatekeeper judges by the Pods that these would make, and what differs here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from msgspec import Struct

from aksp.gatekeeper.documents import Written
from aksp.model.fields import mapping, mappings
from aksp.model.kinds import WORKLOADS


class Expanded(Struct, kw_only=True):
    """What the ExpansionTemplates say: ``kinds`` are the workloads of which Gatekeeper judges Pods.

    ``lost`` is what differs here, ``notes`` what is the same.
    """

    kinds: set[str] = set()
    lost: list[str] = []
    notes: list[str] = []


def expanded(found: Sequence[Written]) -> Expanded:
    """Read them. All workloads of Kubernetes are judged by their templates here, whatever they say."""
    made = Expanded()
    for written in sorted(found, key=lambda one: one.name):
        _one(written, made)
    if made.kinds and (others := [kind for kind in WORKLOADS if kind not in made.kinds]):
        made.lost.append(
            f"no ExpansionTemplate is about {', '.join(others)}: by their templates they are judged here, too"
        )
    return made


def _one(written: Written, made: Expanded) -> None:
    called, spec = f"ExpansionTemplate {written.name}", mapping(written.document.get("spec"))
    source, pod = spec.get("templateSource"), mapping(spec.get("generatedGVK"))
    if (pod.get("group") or "", pod.get("version"), pod.get("kind")) != ("", "v1", "Pod"):
        made.lost.append(f"{called}: it makes {pod.get('kind')} and no Pods, which is not done here")
        return
    if spec.get("enforcementAction"):
        made.lost.append(
            f"{called}: enforcementAction {spec['enforcementAction']} is for what it makes alone, and here the assignment's"
            " effect holds"
        )
    known = []
    for group, kind in _kinds(mappings(spec.get("applyTo"))):
        workload = WORKLOADS.get(kind)
        if workload is None or workload.group != group:
            made.lost.append(
                f"{called}: {kind}{f'.{group}' if group else ''} is no workload of Kubernetes: in manifests a Pod template in it is"
                " judged, in a cluster the Pods that are made of it"
            )
        elif source != workload.template:
            made.lost.append(f"{called}: it takes {source} of a {kind}, and its Pods are made of {workload.template}")
        else:
            known.append(kind)
    made.kinds |= set(known)
    if known:
        made.notes.append(f"{called}: {', '.join(known)}: judged by the template, with source All")


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _kinds(applies: Iterable[Mapping[str, Any]]) -> list[tuple[str, str]]:
    return [
        (str(group), str(kind))
        for one in applies
        for group in _listed(one.get("groups"))
        for kind in _listed(one.get("kinds"))
    ]
