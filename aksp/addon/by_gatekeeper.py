"""Gatekeeper refuses: the replica that leads keeps Gatekeeper's objects in step with what is in force.

They are written by server-side apply. What somebody changes in them, adds to them or deletes is put back; what is no longer
wanted is deleted, if the add-on made it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Mapping
from typing import Any, Final

from msgspec import Struct

from aksp.addon.gatekeeper.live_objects import Uptake, by_path, has_foreign_fields, is_ours, marked
from aksp.addon.gatekeeper.wanted import (
    SYNC_SETS_PATH,
    TEMPLATES_PATH,
    Object,
    WantedObjects,
    constraints_path,
    wanted_objects,
)
from aksp.addon.in_force.policies import Standing
from aksp.addon.names import FIELD_MANAGER
from aksp.addon.reconciler import RETRY_SECONDS, Reconciler, tell
from aksp.engine import Engine
from aksp.errors import ClusterError
from aksp.kube import objects
from aksp.kube.connection import Connection
from aksp.kube.errors import Conflict, NotServed, ServerError, Unauthorized, Unreachable
from aksp.live.objects import FollowedObjects
from aksp.model.fields import metadata_of

_log = logging.getLogger("aksp.addon.gatekeeper")

#: Seconds until another look while Gatekeeper has not taken up everything: it makes a kind of each template.
PENDING_SECONDS: Final = 1.0
#: Objects in a row that the API server fails before the others are left for the next try.
PATIENCE: Final = 3


class _SeenObject(Struct, frozen=True, kw_only=True):
    """An object as it was last seen to be as wanted."""

    wanted: Object
    uid: str
    generation: int


class ByGatekeeper:
    """Gatekeeper's templates, constraints and SyncSet, brought up to date.

    ``left_out`` are the namespaces in which nothing is to be refused. ``published`` is told when Gatekeeper says something new
    of them.
    """

    def __init__(
        self,
        connection: Connection,
        engine: Engine,
        reconciler: Reconciler,
        *,
        left_out: Collection[str] = (),
        published: Callable[[], None],
    ) -> None:
        self._connection, self._engine, self._reconciler = connection, engine, reconciler
        self._left_out = left_out
        self._published = published
        self._standing: Standing | None = None
        self._wanted: WantedObjects | None = None
        self._follows: dict[str, FollowedObjects] = {}
        """What is there, by the path of its list."""
        self._kept: dict[str, _SeenObject] = {}
        self._uptake: Mapping[str, Uptake] = {}
        self._told: dict[str, str] = {}
        """What was last logged of each path, so that it is not logged at each look."""
        self._again: float | None = None
        self._silent = 0
        """Objects in a row that the API server failed."""

    def start(self) -> None:
        """Nothing is watched before this replica leads."""

    def stop(self) -> None:
        """End the watches; what is there stays."""
        for one in list(self._follows.values()):
            one.stop()

    def use(self, standing: Standing) -> bool:
        """There is no review to judge; nothing lacks."""
        return False

    def publish(self, standing: Standing) -> float | None:
        """Apply what is wanted and is not there, and delete what is no longer wanted."""
        if self._wanted is None or standing is not self._standing:
            self._standing, self._wanted = standing, wanted_objects(self._engine, standing, self._left_out)
        wanted = self._wanted
        self._again, self._silent = None, 0
        self._follow(TEMPLATES_PATH)
        if not self._follows[TEMPLATES_PATH].synced:
            self._say(TEMPLATES_PATH, "Gatekeeper is not installed in this cluster, so nothing is refused: install it")
            return RETRY_SECONDS
        live = self._live(TEMPLATES_PATH)
        ours = {path for path, one in live.items() if is_ours(one)}
        lists = {constraints_path(path.rpartition("/")[2]) for path in {*wanted.templates, *ours}}
        for path in sorted(lists | {SYNC_SETS_PATH}):
            self._follow(path)
        for path in self._follows.keys() - lists - {SYNC_SETS_PATH, TEMPLATES_PATH}:
            self._follows.pop(path).stop()
        for path in sorted(lists | {SYNC_SETS_PATH}):
            live |= self._live(path)
        for path, document in {**wanted.templates, **wanted.sync_sets, **wanted.constraints}.items():
            self._attempt(path, lambda path=path, document=document: self._keep(path, document, live.get(path)))  # type: ignore[misc]
        self._prune(wanted, live)
        self._take_note({path: live.get(path) for path in (*wanted.templates, *wanted.constraints)})
        return self._again

    def _follow(self, path: str) -> None:
        if path not in self._follows:
            follow = FollowedObjects(self._connection, {path: path}, changed=self._reconciler.look, troubled=_untold)
            self._follows[path] = follow
            follow.start()

    def _live(self, collection: str) -> dict[str, dict[str, Any]]:
        return by_path(collection, self._follows[collection].snapshot()[collection])

    def _attempt(self, path: str, work: Callable[[], None]) -> None:
        """Do one thing; what goes wrong with it stops no other, unless the API server itself does not answer."""
        try:
            work()
        except (NotServed, Conflict):
            # Its kind is still to be made, or somebody else wrote in this moment.
            self._again = PENDING_SECONDS
        except ClusterError as error:
            # One object may fail by itself; of an API server that does not answer the others need not be asked.
            self._silent = self._silent + 1 if isinstance(error, ServerError) else 0
            if isinstance(error, Unreachable | Unauthorized) or self._silent >= PATIENCE:
                raise
            self._say(path, str(error))
            self._again = self._again or RETRY_SECONDS
        else:
            self._silent = 0
            self._told.pop(path, None)

    def _keep(self, path: str, wanted: Object, live: Object | None) -> None:
        kept = self._kept.get(path)
        same = kept is not None and kept.wanted == wanted
        if live is None:
            # The watch may be behind.
            live = objects.get(self._connection, path)
        if live is not None:
            uid, generation = _version(live)
            if not (is_ours(live) or (kept is not None and kept.uid == uid)):
                raise ClusterError(
                    "it is there, and the add-on did not make it",
                    where=path,
                    hint="delete it, or rename the assignment",
                )
            if kept is not None and same and kept.uid == uid and generation <= kept.generation and marked(wanted, live):
                return
        now = objects.apply(self._connection, path, wanted, manager=FIELD_MANAGER)
        if has_foreign_fields(now):
            now = objects.replace(self._connection, path, _exactly(wanted, now))
        uid, generation = _version(now)
        if kept is not None and same and (uid, generation) != (kept.uid, kept.generation):
            _log.warning("somebody had changed an object of the add-on; it is as assigned again", extra={"path": path})
        elif kept is None or not same:
            _log.info("applied", extra={"path": path})
        self._kept[path] = _SeenObject(wanted=wanted, uid=uid, generation=generation)

    def _prune(self, wanted: WantedObjects, live: Mapping[str, Object]) -> None:
        kept = {*wanted.templates, *wanted.sync_sets, *wanted.constraints}
        gone = {path: one for path, one in live.items() if path not in kept and is_ours(one) and not wanted.holds(one)}
        # Constraints go before their templates: a template takes all of its kind with it.
        for path in sorted(gone, key=lambda path: path.startswith(f"{TEMPLATES_PATH}/")):
            self._attempt(path, lambda path=path: self._delete(path))  # type: ignore[misc]

    def _delete(self, path: str) -> None:
        collection, _, name = path.rpartition("/")
        if collection == TEMPLATES_PATH:
            try:
                left = objects.list_all(self._connection, constraints_path(name))
            except NotServed:
                left = []
            if left:
                names = ", ".join(str(metadata_of(one).get("name")) for one in left)
                raise ClusterError(f"it is no longer needed, but has constraints that stay: {names}", where=path)
        if objects.delete(self._connection, path):
            _log.info("deleted, as it is no longer assigned", extra={"path": path})
        self._kept.pop(path, None)

    def _take_note(self, live: Mapping[str, Object | None]) -> None:
        """Have the statuses written anew when Gatekeeper says something else, and look again while it has yet to."""
        uptake = {path: Uptake.of(one) for path, one in live.items() if one is not None}
        if any(one is None or not uptake[path].taken_up for path, one in live.items()):
            self._again = self._again or PENDING_SECONDS
        if uptake != self._uptake:
            self._uptake = uptake
            self._published()

    def _say(self, path: str, text: str) -> None:
        if self._told.get(path) != text:
            self._told[path] = text
            _log.warning(text, extra={"path": path})


def _untold(error: ClusterError) -> None:
    """A kind that is not served is no error here: what looks for the kind reports it, once."""
    if not isinstance(error, NotServed):
        tell(error)


def _version(live: Object) -> tuple[str, int]:
    metadata = metadata_of(live)
    return str(metadata.get("uid")), int(metadata.get("generation") or 0)


def _exactly(wanted: Object, live: Object) -> dict[str, Any]:
    """The object with the spec that is wanted and nothing else in it; what others need of its metadata stays."""
    metadata = {key: value for key, value in metadata_of(live).items() if key != "managedFields"}
    return {
        **wanted,
        "metadata": {
            **metadata,
            **{
                key: {**(metadata.get(key) or {}), **value}
                for key, value in wanted["metadata"].items()
                if isinstance(value, Mapping)
            },
        },
    }
