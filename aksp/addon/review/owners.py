"""Whose Pod it is. An exemption by workload covers the Pods that the workload makes, and anybody can write an owner.

An owner counts where the request comes from a controller's own account, and the owner is there with the uid that is
written. Names alone say that a ReplicaSet is a Deployment's; here the ReplicaSet is asked, since anybody may have made one
of such a name. The API server is asked only about what an exemption would apply to (reviewer).
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Collection, Mapping
from threading import Lock
from typing import Any

from aksp.errors import AkspError
from aksp.kube import objects
from aksp.kube.connection import Connection
from aksp.kube.errors import NotServed
from aksp.kube.fetch import ONCE
from aksp.kube.kinds import Discovery
from aksp.model.resource import Owner, Resource

#: Who makes Pods and workloads for others. kube-controller-manager has an account for each controller
#: (--use-service-account-credentials, as kubeadm and AKS set it), else one for all.
ACCOUNTS = (
    "system:kube-controller-manager",
    *(
        f"system:serviceaccount:kube-system:{name}"
        for name in (
            "cronjob-controller", "daemon-set-controller", "deployment-controller", "job-controller",
            "replicaset-controller", "replication-controller", "statefulset-controller",
        )
    ),
)  # fmt: skip
#: The workloads of Kubernetes, by API group: what the add-on may get.
WORKLOADS = {
    "": ("replicationcontrollers",),
    "apps": ("daemonsets", "deployments", "replicasets", "statefulsets"),
    "batch": ("cronjobs", "jobs"),
}
#: Seconds for connecting and for the answer. A Pod of a Deployment takes two requests, and a review 2.7 s at most.
TIMEOUT = 0.5
#: Seconds that an owner, once seen, counts; and how many are remembered before all are forgotten.
KEPT_SECONDS, KEPT = 60.0, 5000


class Unconfirmed(Exception):
    """An owner that is not there, or cannot be asked about; the text says why."""


class Owners:
    """Asks one cluster about owners. For several threads."""

    def __init__(
        self, connection: Connection, accounts: Collection[str] = (), *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._connection = connection
        self._accounts = frozenset((*ACCOUNTS, *accounts))
        self._clock = clock
        self._lock = Lock()
        self._discovery = Discovery(connection, backoff=ONCE)
        self._known: dict[tuple[Resource, Owner], tuple[float, Owner]] = {}

    def trusts(self, user: str) -> bool:
        """Whether it is a controller's account."""
        return user in self._accounts

    def confirm(self, owner: Resource, workload: Owner) -> Owner:
        """The workload behind an owner: ``workload``, as the names have it, or the owner itself. Raises Unconfirmed."""
        key, now = (owner, workload), self._clock()
        with self._lock:
            found = self._known.get(key)
        if found is not None and now - found[0] < KEPT_SECONDS:
            return found[1]
        confirmed = self._asked(owner, workload)
        with self._lock:
            if len(self._known) >= KEPT:
                self._known.clear()
            self._known[key] = (now, confirmed)
        return confirmed

    def _asked(self, owner: Resource, workload: Owner) -> Owner:
        itself = Owner(kind=owner.kind, name=owner.name)
        there = self._get(owner)
        if workload == itself:
            return itself
        above = next((one for one in there["metadata"].get("ownerReferences") or () if one.get("controller")), None)
        if above is None or (above["kind"], above["name"]) != (workload.kind, workload.name):
            return itself
        self._get(
            Resource(
                api_version=above["apiVersion"], kind=above["kind"], namespace=owner.namespace, name=above["name"],
                uid=above["uid"],
            )
        )  # fmt: skip
        return workload

    def _get(self, wanted: Resource) -> Mapping[str, Any]:
        """The object with that uid."""
        what = f"{wanted.kind} {wanted.name}"
        try:
            with self._lock:
                kind = self._discovery.find(wanted.group, wanted.kind)
            path = objects.object_path_of(kind, wanted.name, wanted.namespace)
            answer = self._connection.send("GET", path, timeout=TIMEOUT)
            found: dict[str, Any] = json.loads(answer.body)
        except NotServed:
            found = {}
        except (AkspError, ValueError) as error:
            raise Unconfirmed(f"{what} could not be read: {error}") from error
        if not wanted.uid or (found.get("metadata") or {}).get("uid") != wanted.uid:
            raise Unconfirmed(f"there is no {what} with the uid of the ownerReference")
        return found
