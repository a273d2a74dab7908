"""Decisions about Pods, and a stand-in for the objects of an API server."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, cast

from msgspec import structs

from aksp.addon.review import wording
from aksp.addon.review.decision import Decision, Outcome, ReviewRequest, Violation
from aksp.addon.review.refusals import refusals
from aksp.errors import ClusterError
from aksp.kube import errors
from aksp.kube.connection import Connection, Response
from aksp.model.compliance import AssignmentKey, ComplianceState, Finding, Result
from aksp.model.resource import Container, Owner, Resource
from tests.results import a_result

START = datetime(2026, 9, 1, 10, tzinfo=UTC)
REPLICA_SET = Resource(api_version="apps/v1", kind="ReplicaSet", namespace="shop", name="web-5d9", uid="u-1")
DEPLOYMENT = Owner(kind="Deployment", name="web")
WEB = Container(name="web", type="containers", image="nginx:1")


class Clock:
    """A time that tests move, as a datetime and as monotonic seconds."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def now(self) -> datetime:
        return START + timedelta(seconds=self.seconds)

    def monotonic(self) -> float:
        return self.seconds

    def time(self) -> float:
        return self.now().timestamp()


class Cluster:
    """A Connection to objects by their paths, with resource versions; ``failure`` is raised instead of any answer."""

    server = "https://127.0.0.1:6443"

    def __init__(self) -> None:
        self.objects: dict[str, dict[str, Any]] = {}
        self.requests: list[tuple[str, str]] = []
        self.failure: ClusterError | None = None
        #: Run before the next write, once: what another replica does meanwhile.
        self.meanwhile: list[Any] = []
        self._version = 0

    @property
    def connection(self) -> Connection:
        return cast(Connection, self)

    def get(self, path: str, **_: object) -> Response:
        if path.endswith("/policydenials"):
            self._begin("LIST", path)
            within = path.rpartition("/")[0] if "/namespaces/" in path else ""
            return _answer(
                {"metadata": {}, "items": [one for at, one in self.objects.items() if at.startswith(within)]}
            )
        self._begin("GET", path)
        if path not in self.objects:
            raise errors.NotServed("not found")
        return _answer(self.objects[path])

    def send(self, method: str, path: str, *, body: bytes = b"null", **_: object) -> Response:
        self._begin(method, path)
        document = json.loads(body)
        if method == "POST":
            path = f"{path}/{document['metadata']['name']}"
            if path in self.objects:
                raise errors.AlreadyExists("it is there already")
        elif path not in self.objects:
            raise errors.NotServed("not found")
        elif method == "DELETE":
            return _answer(self.objects.pop(path))
        elif method == "PATCH":
            document = {**self.objects[path], **document}
        elif self.objects[path]["metadata"]["resourceVersion"] != document["metadata"]["resourceVersion"]:
            raise errors.Conflict("it has changed")
        self._version += 1
        document["metadata"]["resourceVersion"] = str(self._version)
        self.objects[path] = document
        return _answer(document)

    @property
    def only(self) -> dict[str, Any]:
        """The one object that there is."""
        (one,) = self.objects.values()
        return one

    def verbs(self) -> list[str]:
        """What was asked since the last time."""
        asked = [verb for verb, _ in self.requests]
        self.requests.clear()
        return asked

    def _begin(self, verb: str, path: str) -> None:
        self.requests.append((verb, path))
        if self.failure is not None:
            raise self.failure
        if verb in ("POST", "PUT") and self.meanwhile:
            self.meanwhile.pop(0)()


def _answer(document: dict[str, Any]) -> Response:
    return Response(status=200, headers={}, body=json.dumps(document).encode())


def result(
    assignment: str = "images", message: str = "image nginx:1 is wrong", container: Container | None = WEB
) -> Result:
    return a_result(
        assignment=AssignmentKey(assignment=assignment, definition="allowed-images", effect="Deny", severity=""),
        state=ComplianceState.NON_COMPLIANT,
        resource=Resource(api_version="v1", kind="Pod", namespace="shop", name="web-5d9-x"),
        finding=Finding(message=message, container=container),
    )


def request(**more: Any) -> ReviewRequest:
    given: dict[str, Any] = {
        "uid": "r-1",
        "operation": "CREATE",
        "user": "system:serviceaccount:kube-system:replicaset-controller",
        "resource": Resource(api_version="v1", kind="Pod", namespace="shop", name="web-5d9-x"),
        "owner": REPLICA_SET,
        "workload": DEPLOYMENT,
    }
    return ReviewRequest(**given | more)


def refused(
    *results: Result, message: str = "refused", errors: tuple[tuple[str, str], ...] = (), **more: Any
) -> Decision:
    return refused_by(*(results or (result(),)), message=message, errors=errors, **more)


def refused_by(
    *results: Result, message: str = "refused", errors: tuple[tuple[str, str], ...] = (), **more: Any
) -> Decision:
    by = tuple(Violation(assignment=each.assignment, finding=each.finding) for each in results)
    outcome = Outcome(
        allowed=False,
        message=message,
        refused_by=by,
        violations=by,
        errors=errors,
        refusals=refusals(by, _lines(by, message, errors)),
    )
    return Decision(request=request(**more), outcome=outcome, seconds=0.004)


def _lines(by: Sequence[Violation], message: str, errors: Sequence[tuple[str, str]]) -> Mapping[str, Sequence[str]]:
    """The lines of an answer by assignment; where it has none, the rules' own words."""
    answered: dict[str, list[str]] = {}
    for line in message.split("\n"):
        for name in dict.fromkeys([one.assignment.name for one in by] + [name for name, _ in errors]):
            if line.startswith(f"[{name}] "):
                answered.setdefault(name, []).append(wording.unnamed(name, line))
    lines: dict[str, list[str]] = {}
    for one in by:
        name, container = one.assignment.name, one.finding.container
        where = f"{container.type} {container.name}: " if container is not None else ""
        lines[name] = list(dict.fromkeys([*lines.get(name, []), where + one.finding.message]))
    return {**lines, **answered}


def changed(decision: Decision, **fields: Any) -> Decision:
    """The decision with other fields of its outcome."""
    return structs.replace(decision, outcome=structs.replace(decision.outcome, **fields))


def allowed(**more: Any) -> Decision:
    return Decision(request=request(**more), outcome=Outcome(allowed=True), seconds=0.001)
