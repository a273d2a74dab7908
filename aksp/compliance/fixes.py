"""The change that would comply, where the rule says one: as a strategic-merge patch, and as a kubectl command.

A rule says values by path (``Finding.fix``).
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Mapping
from typing import Any

from msgspec import Struct

from aksp.compliance.strategic import BUILT_IN, has_entries, merged, patch_of
from aksp.model.compliance import Result
from aksp.model.json_text import encode
from aksp.model.kinds import WORKLOADS
from aksp.model.resource import Resource

# What the API server lets be changed of a Pod that is there (Kubernetes: "Pod update and replacement").
_CHANGEABLE = re.compile(r"metadata\.(?:labels|annotations)\b|spec\.(?:containers|initContainers)\[\d+\]\.image$")
# Names of objects and namespaces; RBAC's have colons. None begins with a dash, like an option.
_NAME = re.compile(r"[A-Za-z0-9][-A-Za-z0-9.:_]{0,252}")


def patch(result: Result) -> dict[str, Any] | None:
    """The strategic-merge patch of the result's fix, with apiVersion, kind and metadata of what it changes.

    For the Pod of a workload that is the workload: it would make the Pod again as it was. None when the rule says
    no fix, or when a patch would not do just what the rule says.
    """
    fix, subject = result.finding.fix, subject_of(result)
    if not fix or subject is None or unsafe(result):
        return None
    resource, template = subject
    content = patch_of(fix, template, result.finding.container)
    if not resource.name or content is None or (has_entries(content) and resource.group not in BUILT_IN):
        return None
    identity: dict[str, Any] = (
        {"generateName": resource.name[:-1]} if resource.name.endswith("*") else {"name": resource.name}
    )
    if resource.namespace:
        identity["namespace"] = resource.namespace
    metadata = content.pop("metadata", {})
    if not isinstance(metadata, dict):
        return None
    return {
        "apiVersion": resource.api_version,
        "kind": resource.kind,
        "metadata": {**identity, **metadata},
        **content,
    }


class Patch(Struct, frozen=True, kw_only=True):
    """One patch, and the kubectl command that makes it in a cluster where one can."""

    patch: dict[str, Any]
    command: str | None


def together(results: Iterable[Result], *, context: str | None = None) -> list[Patch]:
    """The patches of results, one for all changes of one object; results without a patch add nothing."""
    changes: dict[Resource, tuple[dict[str, Any], bool]] = {}
    for result in results:
        made, subject = patch(result), subject_of(result)
        if made is not None and subject is not None:
            before, feasible = changes.get(subject[0], ({}, True))
            changes[subject[0]] = merged(before, made), feasible and not _elsewhere(result)
    return [
        Patch(patch=made, command=_command(resource, made, context) if feasible else None)
        for resource, (made, feasible) in changes.items()
    ]


def command(result: Result, *, context: str | None = None) -> str | None:
    """The kubectl command that makes the change in a cluster, for a POSIX shell; None when none can.

    What was read from a file is changed there. ``context`` is the kubeconfig context to name. The text is ASCII,
    whatever the objects hold.
    """
    return next((one.command for one in together([result], context=context)), None)


def _elsewhere(result: Result) -> bool:
    """Whether a change is not to be made in a cluster, or cannot be made in place."""
    return result.source is not None or obstacle(result) is not None


def _command(resource: Resource, change: Mapping[str, Any], context: str | None) -> str | None:
    names = [name for name in (resource.namespace, resource.name) if name]
    if not all(map(_NAME.fullmatch, [*names, resource.kind])):
        return None
    kind = resource.kind.lower()
    body = {key: value for key, value in change.items() if key not in ("apiVersion", "kind")}
    body["metadata"] = {k: v for k, v in body["metadata"].items() if k not in ("name", "namespace", "generateName")}
    if not body["metadata"]:
        del body["metadata"]
    words = ["kubectl", "patch", kind if resource.group in BUILT_IN else f"{kind}.{resource.group}", resource.name]
    words += ["--namespace", resource.namespace] if resource.namespace else []
    words += ["--context", context] if context else []
    words += [
        "--type",
        "strategic" if resource.group in BUILT_IN else "merge",
        "-p",
        encode(body, ascii_only=True, compact=True),
    ]
    line = shlex.join(words)
    return line if line.isascii() and line.isprintable() else None


def obstacle(result: Result) -> str | None:
    """Why the change cannot be made in place, though a new object would comply; None when it can."""
    subject = subject_of(result)
    if subject is None or not result.finding.fix:
        return None
    resource, _ = subject
    if resource.name.endswith("*"):
        return "its name is generated, so there is no object to change: create it with the change"
    if resource.kind == "Job":
        return "the template of a Job cannot be changed: delete the Job and create it with the change"
    if resource.kind == "Pod" and not all(map(_CHANGEABLE.match, result.finding.fix)):
        return "a Pod cannot be changed in this: delete it and create it with the change"
    return None


def subject_of(result: Result) -> tuple[Resource, str] | None:
    """What to change, and the path of the template in it that is to be changed; empty for the resource itself.

    None when that is not known: an owner of another kind makes its Pods by rules of its own, and undoes what is
    done to objects other than Pods.
    """
    resource, owner = result.resource, result.owner
    if owner is None:
        return resource, ""
    workload = WORKLOADS.get(owner.kind)
    if workload is None or (resource.api_version, resource.kind) != ("v1", "Pod"):
        return None
    made_by = Resource(api_version=workload.api_version, kind=owner.kind, namespace=resource.namespace, name=owner.name)
    return made_by, workload.template


def unsafe(result: Result) -> bool:
    """Whether the change might break what it is made in, which the rule cannot see."""
    finding = result.finding
    fix = finding.fix or {}
    # A running Pod's debug containers stay as they are, and templates have none.
    if result.source is None and finding.container is not None and finding.container.type == "ephemeralContainers":
        return True
    # A label that is there already may be in the workload's selector, which must go on to match.
    labels = _selected_labels(result)
    return finding.observed is not None and labels is not None and any(path.startswith(labels) for path in fix)


def _selected_labels(result: Result) -> str | None:
    """The path of the labels that a workload selects its Pods by, as the fix would name it."""
    if result.owner is not None:
        return "metadata.labels"
    workload = WORKLOADS.get(result.resource.kind)
    return f"{workload.template}.metadata.labels" if workload and workload.template != "template" else None
