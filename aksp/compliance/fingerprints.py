"""What makes a finding the same one tomorrow: assignment, workload, container and path, not the Pod's name.

Baselines, the history of a target, and the readers of SARIF and Code Quality know findings by these.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from json.encoder import encode_basestring_ascii

from aksp.model.compliance import Result, SharedResult
from aksp.model.resource import Resource

# Where workloads keep the Pod that they make. Without it a finding is the same in a Deployment's manifest and in its
# Pods.
_TEMPLATE = re.compile(r"^(?:spec\.jobTemplate\.)?(?:spec\.)?template\.(?=spec\b|metadata\b)")
# A container is known by its name, wherever it stands in the list.
_CONTAINER = re.compile(r"^spec\.(?:containers|initContainers|ephemeralContainers)\[\d+\]\.?")
#: Hexadecimal digits of a fingerprint.
LENGTH = 32
# Replicas follow one another, so a few thousand are enough to remember.
_REMEMBERED = 4096


def fingerprints(results: Iterable[Result]) -> Iterator[tuple[Result, str]]:
    """Each result with its fingerprint, in the order given, which must be a report's.

    Replicas of one workload have the same. Two findings of one resource never have: the second at the same place is
    told apart by its number among them.
    """
    for result, fingerprint, _ in identified(results):
        yield result, fingerprint


def identified(results: Iterable[Result]) -> Iterator[tuple[Result, str, tuple[str, ...]]]:
    """Each result with its fingerprint, and with the identity that it is made of."""
    last: Resource | None = None
    before: tuple[str, ...] = ()
    number = 0
    #: What replicas share: their namespace and cluster, their identity and its fingerprint.
    replicas: dict[SharedResult, tuple[str, str, tuple[str, ...], str]] = {}
    for result in results:
        resource, shared = result.resource, result.shared
        known = replicas.get(shared)
        if known is not None and known[0] == resource.namespace and known[1] == resource.cluster:
            _, _, key, text = known
        else:
            key = identity(result)
            text = _digest(key)
            if shared.owner is not None and shared.finding.path is not None:
                if len(replicas) >= _REMEMBERED:
                    replicas.clear()
                replicas[shared] = resource.namespace, resource.cluster, key, text
        number = number + 1 if key == before and resource == last else 0
        last, before = resource, key
        yield result, _digest((*key, str(number))) if number else text, key


def _digest(key: tuple[str, ...]) -> str:
    # As json.dumps writes a list of texts, in a fifth of its time.
    return hashlib.sha256(f"[{', '.join(map(encode_basestring_ascii, key))}]".encode()).hexdigest()[:LENGTH]


def identity(result: Result) -> tuple[str, ...]:
    """Assignment; the workload's namespace, kind and name; the container's name; the path within it; of several its cluster.

    A violation without a path is known by its message, less the name of the Pod.
    """
    resource, shared = result.resource, result.shared
    owner, finding = shared.owner, shared.finding
    kind, name = (owner.kind, owner.name) if owner else (resource.kind, resource.name)
    container = finding.container
    return (
        shared.assignment.name,
        resource.namespace,
        kind,
        name,
        container.name if container else "",
        finding.message.replace(resource.name, name)
        if finding.path is None
        else relative(finding.path, container is not None),
        *([resource.cluster] if resource.cluster else []),
    )


@lru_cache(maxsize=_REMEMBERED)
def relative(path: str, within_container: bool) -> str:
    """A path from the Pod, or from the container, that it is about: what stays when containers change places."""
    path = _TEMPLATE.sub("", path)
    return _CONTAINER.sub("", path) if within_container else path
