"""The change that would comply, where the rule says one: as a strategic-merge patch, and as a kubectl command.

A rule says values by path (``Finding.fix``). A patch names what it changes, so the entry of a list is known by
its merge key, never by its number: kubectl and the API server would take a list without one for the whole list.
Kubernetes: "Update API Objects in Place Using kubectl patch", and ``patchMergeKey`` in its API types.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping
from typing import Any

from aksp.model.compliance import Result
from aksp.model.resource import Container, Resource

#: Where each workload keeps its Pod, and the API version that has it.
TEMPLATES: Mapping[str, tuple[str, str]] = {
    "Deployment": ("apps/v1", "spec.template"),
    "StatefulSet": ("apps/v1", "spec.template"),
    "DaemonSet": ("apps/v1", "spec.template"),
    "ReplicaSet": ("apps/v1", "spec.template"),
    "ReplicationController": ("v1", "spec.template"),
    "Job": ("batch/v1", "spec.template"),
    "CronJob": ("batch/v1", "spec.jobTemplate.spec.template"),
}
_CONTAINERS = ("containers", "initContainers", "ephemeralContainers")
# The lists whose entries a strategic-merge patch names by a key; all others it can only replace.
_MERGE_KEYS = {
    **dict.fromkeys(_CONTAINERS, "name"),
    "volumes": "name",
    "env": "name",
    "imagePullSecrets": "name",
    "volumeMounts": "mountPath",
    "volumeDevices": "devicePath",
}
_STEP = re.compile(r"\.?([A-Za-z_$][^.\[\]'\"]*)|\[(\d+)\]|\['([^']*)'\]")
# More lists that are merged, entry by entry, when a patch gives them.
_MERGED = {*_MERGE_KEYS, "ports", "finalizers", "ownerReferences", "hostAliases", "topologySpreadConstraints"}
# The groups of the API types that have merge keys. Other groups that end in k8s.io are of custom resources.
_BUILT_IN = {
    *("", "apps", "autoscaling", "batch", "extensions", "policy"),
    *(
        f"{name}.k8s.io"
        for name in (
            "admissionregistration", "apiextensions", "apiregistration", "certificates", "coordination", "discovery",
            "events", "flowcontrol.apiserver", "networking", "node", "rbac.authorization", "resource", "scheduling",
            "storage",
        )
    ),
}  # fmt: skip
# What the API server lets be changed of a Pod that is there (Kubernetes: "Pod update and replacement").
_CHANGEABLE = re.compile(r"metadata\.(?:labels|annotations)\b|spec\.(?:containers|initContainers)\[\d+\]\.image$")
# Names of objects and namespaces; RBAC's have colons. None begins with a dash, like an option.
_NAME = re.compile(r"[A-Za-z0-9][-A-Za-z0-9.:_]{0,252}")

Step = str | int


def patch(result: Result) -> dict[str, Any] | None:
    """The strategic-merge patch of the result's fix, with apiVersion, kind and metadata of what it changes.

    For the Pod of a workload that is the workload: it would make the Pod again as it was. None when the rule says
    no fix, or when a patch would not do just what the rule says.
    """
    fix, subject = result.finding.fix, subject_of(result)
    if not fix or subject is None or _unsafe(result):
        return None
    resource, template = subject
    content = _content(result, fix, template)
    if not resource.name or content is None or (_has_entries(content) and not _built_in(resource)):
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


def command(result: Result, *, context: str | None = None) -> str | None:
    """The kubectl command that makes the change in a cluster, for a POSIX shell; None when none can.

    What was read from a file is changed there. ``context`` is the kubeconfig context to name. The text is ASCII,
    whatever the objects hold.
    """
    change, subject = patch(result), subject_of(result)
    if change is None or subject is None or result.source is not None or obstacle(result):
        return None
    resource, _ = subject
    names = [name for name in (resource.namespace, resource.name) if name]
    if not all(map(_NAME.fullmatch, [*names, resource.kind])):
        return None
    kind = resource.kind.lower()
    body = {key: value for key, value in change.items() if key not in ("apiVersion", "kind")}
    body["metadata"] = {k: v for k, v in body["metadata"].items() if k not in ("name", "namespace", "generateName")}
    if not body["metadata"]:
        del body["metadata"]
    words = ["kubectl", "patch", kind if _built_in(resource) else f"{kind}.{resource.group}", resource.name]
    words += ["--namespace", resource.namespace] if resource.namespace else []
    words += ["--context", context] if context else []
    words += ["--type", "strategic" if _built_in(resource) else "merge", "-p", json.dumps(body, separators=(",", ":"))]
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
    if owner.kind not in TEMPLATES or (resource.api_version, resource.kind) != ("v1", "Pod"):
        return None
    api_version, template = TEMPLATES[owner.kind]
    return Resource(api_version=api_version, kind=owner.kind, namespace=resource.namespace, name=owner.name), template


def steps(path: str) -> tuple[Step, ...] | None:
    """A path's keys and indices: ``spec.containers[0].ports``, ``metadata.labels['app']``; None for what is no path."""
    found: list[Step] = []
    at = 0
    while at < len(path):
        match = _STEP.match(path, at)
        if match is None or (not at and path.startswith(".")):
            return None
        key, index, quoted = match.groups()
        found.append(int(index) if index is not None else key if key is not None else quoted)
        at = match.end()
    return tuple(found) or None


def _unsafe(result: Result) -> bool:
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
    workload = TEMPLATES.get(result.resource.kind)
    return f"{workload[1]}.metadata.labels" if workload else None


def _content(result: Result, fix: Mapping[str, Any], template: str) -> dict[str, Any] | None:
    """The patch without the identity; None when an entry of a list cannot be named."""
    ways = {path: steps(f"{template}.{path}" if template else path) for path in fix}
    known: dict[tuple[Step, ...], Any] = {}
    for path, way in ways.items():
        if way is not None:
            known |= {way: fix[path], **_container_key(way, result.finding.container)}
    content: dict[str, Any] = {}
    for path, way in ways.items():
        if way is None or not _mergeable(way, fix[path]) or not _placed(content, way, _replacing(fix[path]), known):
            return None
    return content


def _container_key(way: tuple[Step, ...], container: Container | None) -> dict[tuple[Step, ...], Any]:
    """The merge key of the container that a path leads through, which is the finding's."""
    if container is not None:
        for at in range(1, len(way)):
            if way[at - 1] == container.type and isinstance(way[at], int):
                return {(*way[: at + 1], "name"): container.name}
    return {}


def _mergeable(way: tuple[Step, ...], value: Any) -> bool:
    """Whether a patch can set this value at all: it cannot rename, nor give a whole list that is merged."""
    if way in (("metadata", "name"), ("metadata", "generateName"), ("metadata", "namespace")):
        return False
    return not (isinstance(value, list) and way[-1] in _MERGED)


def _placed(content: dict[str, Any], way: tuple[Step, ...], value: Any, keys: Mapping[tuple[Step, ...], Any]) -> bool:
    """Put a value into the patch, where its path leads; False when the path cannot be followed there."""
    here = content
    for at, step in enumerate(way[:-1]):
        if isinstance(step, int):
            # The entry was found with the list that it is in; a list within a list has no name.
            if at == 0 or isinstance(way[at - 1], int):
                return False
            continue
        if not isinstance(way[at + 1], int):
            here = here.setdefault(step, {})
        else:
            name = _merge_key(way[:at], step)
            wanted = keys.get((*way[: at + 2], name)) if name else None
            if name is None or wanted == "" or not isinstance(wanted, str | int):
                return False
            entries = here.setdefault(step, [])
            if not isinstance(entries, list):
                return False
            entry = next((one for one in entries if one[name] == wanted), None)
            if entry is None:
                entry = {name: wanted}
                entries.append(entry)
            here = entry
        if not isinstance(here, dict):
            return False
    last = way[-1]
    if isinstance(last, int):
        return False
    here[last] = value
    return True


def _merge_key(before: tuple[Step, ...], name: str) -> str | None:
    """The merge key of a list. A container's ports have another than a Service's."""
    if name == "ports":
        return "containerPort" if any(step in _CONTAINERS for step in before) else "port"
    return _MERGE_KEYS.get(name)


def _replacing(value: Any) -> Any:
    """A value as it must stand in a patch to take the place of what is there, not to be merged with it."""
    return {**value, "$patch": "replace"} if isinstance(value, dict) else value


def _has_entries(content: Any) -> bool:
    """Whether a patch names entries of lists, which only the API types of Kubernetes itself let it do."""
    if isinstance(content, dict):
        return any(_has_entries(value) for value in content.values()) or "$patch" in content
    return isinstance(content, list) and any(isinstance(one, dict) for one in content)


def _built_in(resource: Resource) -> bool:
    """Whether the kind is one of Kubernetes' own: only those have merge keys."""
    return resource.group in _BUILT_IN
