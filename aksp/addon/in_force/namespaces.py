"""The labels of the cluster's Namespaces, watched while some assignment selects by them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Any

from aksp.addon.in_force.policies import Standing
from aksp.errors import ClusterError
from aksp.kube.connection import Connection
from aksp.kube.kinds import KINDS, list_path
from aksp.kube.watch import Watch

#: Seconds that what is in force waits for the first list.
SYNC_SECONDS = 20.0
Labels = Mapping[str, Mapping[str, str]]


class Namespaces:
    """``labels`` are those known now, by name; ``changed`` is told when they are others than before.

    What lies in a Namespace that is not known cannot be judged by an assignment that selects by its labels
    (aksp.compliance.selection, undecided).
    """

    def __init__(
        self, connection: Connection, *, changed: Callable[[], None], troubled: Callable[[ClusterError], None]
    ) -> None:
        self._connection = connection
        self._changed = changed
        self._troubled = troubled
        self._watch: Watch | None = None
        self._failed = threading.Event()
        self.labels: Labels = {}

    def follow(self, standing: Standing) -> Labels:
        """Watch, if an assignment in force needs it, and else no longer; the labels that are known."""
        if all(one.selection.namespace_selector.empty for one in standing.plan.ready):
            self.stop()
        elif self._watch is None:
            self._failed.clear()
            self._watch = Watch(
                self._connection,
                list_path(KINDS["", "Namespace"]),
                replaced=lambda objects: self._set({_name(one): _labels(one) for one in objects}),
                changed=self._event,
                troubled=self._trouble,
            )
            self._watch.start()
            for _ in range(int(SYNC_SECONDS * 20)):
                if self._watch.synced.wait(0.05) or self._failed.is_set():
                    break
        return self.labels

    def _event(self, what: str, one: dict[str, Any]) -> None:
        others = {name: labels for name, labels in self.labels.items() if name != _name(one)}
        self._set(others if what == "DELETED" else {**others, _name(one): _labels(one)})

    def _set(self, labels: Labels) -> None:
        if labels != self.labels:
            self.labels = labels
            self._changed()

    def _trouble(self, error: ClusterError) -> None:
        self._failed.set()
        self._troubled(error)

    def stop(self) -> None:
        """End the watch."""
        watch, self._watch, self.labels = self._watch, None, {}
        if watch is not None:
            watch.stop()


def _name(one: Mapping[str, Any]) -> str:
    return str(one["metadata"]["name"])


def _labels(one: Mapping[str, Any]) -> Mapping[str, str]:
    return dict(one["metadata"].get("labels") or {})
