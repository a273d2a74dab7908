"""Kubernetes objects as the engine describes them, and who made them."""

from __future__ import annotations

import re
from collections.abc import Mapping

from msgspec import Struct, field

# A CronJob names its Jobs by the scheduled time in minutes since 1970: eight digits until 2160
# (Kubernetes: CronJob controller, getJobName).
_CRON_JOB = re.compile(r"^(?P<name>.+)-\d{8}$")


class Container(Struct, frozen=True, kw_only=True, gc=False):
    """A container of a Pod; type is the field it stands in, as in ``initContainers``."""

    name: str
    type: str
    image: str = ""


class Owner(Struct, frozen=True, kw_only=True, gc=False):
    """The workload that made a Pod."""

    kind: str
    name: str


class Resource(Struct, frozen=True, kw_only=True, gc=False):
    """An object's identity. namespace is empty for cluster-scoped objects, cluster where there is but one."""

    api_version: str
    kind: str
    namespace: str
    name: str
    uid: str = ""
    cluster: str = ""

    @property
    def group(self) -> str:
        """The API group; empty for core."""
        group, slash, _ = self.api_version.partition("/")
        return group if slash else ""

    @property
    def is_namespace(self) -> bool:
        """Whether it is a Namespace."""
        return self.kind == "Namespace" and self.api_version == "v1"

    def __str__(self) -> str:
        place = f"{self.namespace}/" if self.namespace else ""
        where = f"{self.cluster}: " if self.cluster else ""
        return f"{where}{self.kind} {place}{self.name}"


class Problem(Struct, frozen=True, kw_only=True, gc=False):
    """What is wrong with a document, and with which field: a path from the root of what is written."""

    message: str
    path: str = ""


class Document(Struct, frozen=True, kw_only=True, gc=False):
    """One object to judge: identity, labels, owner, containers, and what is wrong with it.

    A Pod that a workload's template would make has ``template`` set, the path of the template in
    the workload's document, and ``parent``, the workload itself. ``reviewed`` is set of the object of an AdmissionReview. ``namespace_labels`` are the labels of
    the Namespace that it lies in, where somebody has asked for them and they are known.
    """

    resource: Resource
    labels: Mapping[str, str] = field(default_factory=dict)
    owner: Owner | None = None
    containers: tuple[Container, ...] = ()
    problems: tuple[Problem, ...] = ()
    template: str = ""
    reviewed: bool = False
    parent: Resource | None = None
    namespace_labels: Mapping[str, str] | None = None

    def unreadable(self, path: str) -> bool:
        """Whether a field, or what holds it, is of a wrong type, so that its value is not known."""
        places = [path, f"{self.template}.{path}"] if self.template else [path]
        return any(
            place == wrong.path or place.startswith((f"{wrong.path}.", f"{wrong.path}["))
            for wrong in self.problems
            if wrong.path
            for place in places
        )


def workload_of(kind: str, name: str, labels: Mapping[str, str]) -> Owner:
    """The workload behind a Pod's controller.

    A Deployment's ReplicaSet is named after it and the pod-template-hash, a CronJob's Job after
    it and the time; the Pod names just the ReplicaSet or the Job, and reading those too would
    need rights that a scan of Pods does not otherwise need.
    """
    pod_hash = labels.get("pod-template-hash", "")
    if kind == "ReplicaSet" and pod_hash and name.endswith("-" + pod_hash):
        return Owner(kind="Deployment", name=name[: -len(pod_hash) - 1])
    if kind == "Job" and (match := _CRON_JOB.match(name)):
        return Owner(kind="CronJob", name=match["name"])
    return Owner(kind=kind, name=name)
