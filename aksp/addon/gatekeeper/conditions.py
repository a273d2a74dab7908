"""Whether Gatekeeper has what an assignment says, as a condition: ``Exported``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Final, NamedTuple

from aksp.addon.gatekeeper.live_objects import Uptake, as_wanted, by_path, is_ours
from aksp.addon.gatekeeper.wanted import (
    SYNC_SETS_PATH,
    TEMPLATES_PATH,
    Object,
    WantedObjects,
    constraint_path,
    constraints_path,
)
from aksp.addon.in_force.problems import sentence
from aksp.addon.names import FIELD_MANAGER
from aksp.errors import ClusterError, Forbidden
from aksp.gatekeeper.audits import STALE_AFTER
from aksp.kube import objects
from aksp.kube.connection import Connection
from aksp.kube.errors import NotServed
from aksp.model.fields import status_of
from aksp.model.times import moment

INSTALL: Final = "https://open-policy-agent.github.io/gatekeeper/website/docs/install"


class ExportCondition(NamedTuple):
    """A condition's status, reason and message."""

    status: str
    reason: str
    message: str


_PENDING: Final = "GatekeeperPending"


class GatekeeperReader:
    """Gatekeeper's objects as they are when this is made; never raises."""

    def __init__(self, connection: Connection, wanted: WantedObjects, now: datetime) -> None:
        self._connection, self._wanted, self._now = connection, wanted, now
        self._live: dict[str, Object] = {}
        self._otherwise: ExportCondition | None = None
        self._why: dict[str, ExportCondition] = {}
        self._unread: dict[str, ExportCondition] = {}
        """Why what is at the path of a list is not known."""
        try:
            self._read(TEMPLATES_PATH)
        except NotServed:
            self._otherwise = ExportCondition(
                "False",
                "GatekeeperMissing",
                f"Gatekeeper is not installed in this cluster, so it refuses nothing: install it ({INSTALL}),"
                " and the add-on writes its objects",
            )
        except ClusterError as error:
            text = f"Gatekeeper's objects cannot be read: {sentence(error)}"
            self._otherwise = ExportCondition("Unknown", "GatekeeperUnknown", text)
        for path in [SYNC_SETS_PATH, *(constraints_path(one.rpartition("/")[2]) for one in wanted.templates)]:
            try:
                if self._otherwise is None:
                    self._read(path)
            except NotServed:
                continue  # what is missing is told where it is looked for
            except ClusterError as error:
                self._unread[path] = _cannot("read", f"objects at {path}", error)

    def _read(self, collection: str) -> None:
        self._live |= by_path(collection, objects.list_all(self._connection, collection))

    def about(self, assignment: str) -> ExportCondition:
        """What Gatekeeper has of an assignment; of an initiative what is wrong first of its members."""
        if self._otherwise is not None:
            return self._otherwise
        exported = self._wanted.exported.get(assignment, ())
        wrong: list[ExportCondition] = []
        told: list[str] = []
        for one in exported:
            member = f"member {one.assignment.reference}: " if one.assignment.reference else ""
            if one.problem:
                found: Sequence[ExportCondition] = [ExportCondition("False", "NotExpressed", one.problem)]
            else:
                found = list(self._of(one.constraint, one.template)) if one.constraint is not None else []
            wrong += [each._replace(message=member + each.message) for each in found[:1]]
            told += [member + text for text in (*one.lost, *self._wanted.untold.get(one.template, ()))]
            told += [member + one.note] if one.note else []
        if wrong:
            first = min(wrong, key=lambda each: each.reason == _PENDING)
            return first._replace(message="; ".join(each.message for each in wrong))
        if any(one.constraint is not None for one in exported):
            reason = "NotAllExpressed" if any(one.lost for one in exported) else "Exported"
            return ExportCondition("True", reason, "; ".join(told))
        return ExportCondition("True" if exported else "False", "NothingToExport", "; ".join(told))

    def _of(self, constraint: Object, template: str) -> Iterator[ExportCondition]:
        """What is wrong with the objects of one constraint, worst first."""
        path = f"{TEMPLATES_PATH}/{template}"
        yield from self._object(
            path, self._wanted.templates[path], "TemplateRejected", f"ConstraintTemplate {template}"
        )
        name = f"constraint {constraint['kind']} {constraint['metadata']['name']}"
        path = constraint_path(constraint)
        yield from self._object(path, self._wanted.constraints[path], "ConstraintRejected", name)
        if any(
            "requires-sync-data" in key
            for key in self._wanted.templates[f"{TEMPLATES_PATH}/{template}"]["metadata"]["annotations"]
        ):
            for each, document in self._wanted.sync_sets.items():
                yield from self._object(each, document, "", "SyncSet aksp, with what the rule compares with")
        live = self._live.get(path)
        if live is None:
            return
        uptake = Uptake.of(live)
        if uptake.taken_up and not uptake.refuses:
            yield ExportCondition(
                "False",
                "NoGatekeeperWebhook",
                f"no Pod of Gatekeeper that answers the API server (--operation=webhook) enforces the {name}",
            )
        audited = moment(status_of(live).get("auditTimestamp"))
        if audited is not None and self._now - audited > STALE_AFTER:
            yield ExportCondition(
                "Unknown",
                "GatekeeperSilent",
                f"the last audit of the {name} is of {status_of(live)['auditTimestamp']}: does Gatekeeper still run?",
            )

    def _object(self, path: str, wanted: Object, rejected: str, called: str) -> Iterator[ExportCondition]:
        """What is wrong with one object."""
        live = self._live.get(path)
        if (unread := self._unread.get(path.rpartition("/")[0])) is not None:
            yield unread
        elif live is not None and not is_ours(live):
            yield ExportCondition(
                "False",
                "NameTaken",
                f"the {called} is there, and the add-on did not make it: delete it, or rename the assignment",
            )
        elif live is None or not as_wanted(wanted["spec"], live.get("spec")):
            yield self._reason(path, wanted, called)
        elif rejected:
            uptake = Uptake.of(live)
            if uptake.errors:
                yield ExportCondition("False", rejected, f"Gatekeeper rejects the {called}: {'; '.join(uptake.errors)}")
            if not uptake.taken_up:
                yield ExportCondition(
                    "False",
                    _PENDING,
                    f"Gatekeeper has not taken up the {called} yet: if it stays so, see whether it runs,"
                    " `kubectl -n gatekeeper-system get pods`",
                )

    def _reason(self, path: str, wanted: Object, called: str) -> ExportCondition:
        """Why an object is not as wanted: what the API server says to it, else that the leader has yet to write it."""
        if path not in self._why:
            self._why[path] = ExportCondition("False", _PENDING, f"the {called} is still to be written")
            try:
                objects.apply(self._connection, path, wanted, manager=FIELD_MANAGER, dry_run=True)
            except NotServed:
                pass  # its kind is made of the template, a moment after it is there
            except ClusterError as error:
                self._why[path] = _cannot("written", f"the {called}", error)
        return self._why[path]


def _cannot(what: str, called: str, error: ClusterError) -> ExportCondition:
    if isinstance(error, Forbidden):
        # Also what an admission webhook refuses, Gatekeeper's among them, is answered so.
        text = (
            f"{error.what} (the add-on may write the constraints of the definitions that there were when it was enabled:"
            " run `aksp addon enable` again)"
            if "webhook" not in error.what
            else error.what
        )
    else:
        text = sentence(error)
    return ExportCondition("False", "NotWritten", f"{called} cannot be {what}: {text}")
