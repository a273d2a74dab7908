"""Prometheus metrics of one replica.

No label can hold what somebody else chooses without bound: no namespace, user, object or image. ``assignment`` takes
the names of assignments that exist, ``kind`` those that the webhook's rules name; everything else is ``other``.
"""

from __future__ import annotations

import platform
import time
from collections.abc import Callable, Collection, Mapping
from threading import Lock
from typing import Any, Final

import prometheus_client
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from aksp import __version__
from aksp.addon.review.asking import Unjudged
from aksp.addon.review.decision import RULE, Decision
from aksp.model.compliance import ComplianceState
from aksp.model.effect import Effect

#: Seconds. The API server waits 3 s, and 15 ms is what 99 of 100 reviews are to need at most.
ADMISSION_BUCKETS: Final = (0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.015, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 3.0)
SCAN_BUCKETS: Final = (0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0)
OTHER: Final = "other"
OPERATIONS: Final = frozenset({"CREATE", "UPDATE", "DELETE", "CONNECT"})
#: What `aksp.addon.in_force.deviations` tells apart; a field that is new in Kubernetes counts as ``other``.
PARTS: Final = (
    "object", "webhooks", "rules", "caBundle", "clientConfig", "namespaceSelector", "objectSelector", "matchConditions",
    "failurePolicy", "matchPolicy", "timeoutSeconds", "sideEffects", "admissionReviewVersions", "labels", "annotations",
)  # fmt: skip
_STATES: Final = tuple(state.value for state in ComplianceState)
_EFFECTS: Final = frozenset(effect.value for effect in Effect)

# A second series per counter and histogram, with when it began, which nobody asks for.
prometheus_client.disable_created_metrics()  # type: ignore[no-untyped-call]


class Metrics:
    """All metrics, in a registry of their own. ``kinds`` are those that the webhook's rules name. Thread-safe.

    What a check-in found stays with the replica that made it: when it leads no more these metrics go, so that no two
    replicas tell different things.
    """

    def __init__(self, kinds: Collection[str] = (), *, now: Callable[[], float] = time.time) -> None:
        registry = self._registry = CollectorRegistry(auto_describe=False)
        ProcessCollector(registry=registry)
        self._kinds = frozenset(kinds)
        self._now = now
        self._lock = Lock()
        self._requests = Counter(
            "aksp_admission_requests",
            "Reviews answered.",
            ("operation", "kind", "decision"),
            registry=registry,
        )
        self._seconds = Histogram(
            "aksp_admission_duration_seconds",
            "From the last byte of a review to the answer.",
            buckets=ADMISSION_BUCKETS,
            registry=registry,
        )
        self._errors = Counter(
            "aksp_policy_errors",
            "Times that an assignment could not judge something.",
            ("assignment",),
            registry=registry,
        )
        self._unjudged = Counter(
            "aksp_unjudged",
            "Reviews that could not be judged, or not by all assignments, by the reason.",
            ("reason",),
            registry=registry,
        )
        self._disagreements = Counter(
            "aksp_evaluator_disagreements",
            "Times that OPA's own evaluator found something else in a review that was judged by both.",
            registry=registry,
        )
        self._scans = Counter("aksp_scans", "Scans of the cluster, by how they ended.", ("result",), registry=registry)
        self._scan_seconds = Histogram(
            "aksp_scan_duration_seconds",
            "Time that scans of the cluster took.",
            buckets=SCAN_BUCKETS,
            registry=registry,
        )
        self._repairs = Counter(
            "aksp_webhook_repairs",
            "Times that the webhook configuration was put back, by what somebody had changed.",
            ("part",),
            registry=registry,
        )
        self._leader = Gauge("aksp_leader", "1 in the replica that checks in.", registry=registry)
        info = Gauge("aksp_build_info", "1.", ("version", "python_version"), registry=registry)
        info.labels(__version__, platform.python_version()).set(1)
        # Told from the first check-in on: 0 would be a lie before, above all in a time.
        found = self._found = CollectorRegistry(auto_describe=False)
        self._published = False
        self._last_success = Gauge(
            "aksp_scan_last_success_timestamp_seconds", "When the last complete scan ended.", registry=found
        )
        self._violations = Gauge(
            "aksp_violations", "What does not comply, by the last scan.", ("assignment", "effect"), registry=found
        )
        self._resources = Gauge(
            "aksp_resources",
            "Resources by compliance state, by the last scan.",
            ("assignment", "state"),
            registry=found,
        )
        self._containers = Gauge(
            "aksp_containers",
            "Containers by compliance state, by the last scan.",
            ("assignment", "state"),
            registry=found,
        )
        self._assignments = Gauge(
            "aksp_assignments", "Assignments by compliance state, by the last scan.", ("state",), registry=found
        )
        #: Children by labels: `labels` builds and checks a tuple each time.
        self._request: dict[tuple[str, str, str], Counter] = {}
        self._error: dict[str, Counter] = {}
        self._effects: dict[str, str] = {}
        for result in ("succeeded", "failed"):
            self._scans.labels(result)
        for reason in (*Unjudged, RULE):
            self._unjudged.labels(str(reason))
        for part in (*PARTS, OTHER):
            self._repairs.labels(part)

    def name_kinds(self, kinds: Collection[str]) -> None:
        """Take note of the kinds that the webhook's rules name now."""
        self._kinds = frozenset(kinds)

    def observe(self, decision: Decision) -> None:
        """Count an answered review."""
        request = decision.request
        kind = request.resource.kind
        self._count(
            request.operation if request.operation in OPERATIONS else OTHER,
            kind if kind in self._kinds else OTHER,
            _word(decision),
        )
        self._seconds.observe(decision.seconds)
        if decision.unjudged or decision.outcome.errors:
            self._unjudged.labels(decision.unjudged or RULE).inc()
        for assignment, _ in decision.outcome.errors:
            self._policy_error(assignment, 1)

    def observe_failure(self, seconds: float = 0.0) -> None:
        """Count a review that was answered with an error: malformed, too large, or nothing to judge it by."""
        self._count(OTHER, OTHER, "error")
        self._seconds.observe(seconds)

    def observe_disagreement(self) -> None:
        """Count a policy of which the two evaluators found something else in one object."""
        self._disagreements.inc()

    def observe_leader(self, leading: bool) -> None:
        """Take note of the lease won or lost."""
        self._leader.set(int(leading))
        if leading:
            return
        with self._lock:
            self._published = False
            for metric in (self._violations, self._resources, self._containers, self._assignments):
                metric.clear()
            self._effects.clear()

    def observe_repair(self, parts: Collection[str]) -> None:
        """Count what somebody had changed in the webhook configuration, and was put back."""
        for part in parts:
            self._repairs.labels(part if part in PARTS else OTHER).inc()

    def observe_check_in(self, summary: Mapping[str, Any]) -> None:
        """Take note of a check-in: its summary as in `aksp.addon.checkins.checkin.Summary.to_json`. What is missing stays as it was."""
        seconds = _number(summary.get("seconds"))
        failed = bool(summary.get("failed"))
        self._scans.labels("failed" if failed else "succeeded").inc()
        found = summary.get("assignments")
        by_name = {
            str(one["name"]): one
            for one in (found if isinstance(found, list) else [])
            if isinstance(one, Mapping) and "name" in one
        }
        errors = summary.get("policyErrors")
        for name, count in (errors if isinstance(errors, Mapping) else {}).items():
            if str(name) in by_name and (times := _number(count)) is not None:
                self._policy_error(str(name), times)
        # A scan that failed knows no counts: those of the last one stay, and its time tells how old they are.
        if failed:
            return
        if seconds is not None:
            self._scan_seconds.observe(seconds)
        with self._lock:
            self._last_success.set(self._now())
            self._published = True
            if not isinstance(found, list):
                return
            for name in [known for known in self._effects if known not in by_name]:
                self._forget_findings(name)
            for name, one in by_name.items():
                self._findings(name, one)
            states = [one.get("state") for one in by_name.values()]
            for state in _STATES:
                self._assignments.labels(state).set(states.count(state))

    def keep(self, assignments: Collection[str]) -> None:
        """Drop the series of all assignments but these. For replicas that do not check in, too."""
        kept = frozenset(assignments)
        with self._lock:
            for name in [known for known in self._effects if known not in kept]:
                self._forget_findings(name)
            for name in [known for known in self._error if known not in kept]:
                del self._error[name]
                self._errors.remove(name)

    def expose(self) -> tuple[str, bytes]:
        """Content type and body of an answer to Prometheus."""
        found = generate_latest(self._found) if self._published else b""
        return CONTENT_TYPE_LATEST, generate_latest(self._registry) + found

    def _count(self, operation: str, kind: str, decision: str) -> None:
        labels = operation, kind, decision
        child = self._request.get(labels)
        if child is None:
            child = self._request[labels] = self._requests.labels(*labels)
        child.inc()

    def _policy_error(self, assignment: str, times: float) -> None:
        child = self._error.get(assignment)
        if child is None:
            with self._lock:
                child = self._error[assignment] = self._errors.labels(assignment)
        child.inc(times)

    def _findings(self, name: str, one: Mapping[str, Any]) -> None:
        effect = one.get("effect")
        label = effect if isinstance(effect, str) and effect in _EFFECTS else OTHER
        if self._effects.get(name, label) != label:
            self._forget_findings(name)
        self._effects[name] = label
        if (violations := _number(one.get("violations"))) is not None:
            self._violations.labels(name, label).set(violations)
        counts = one.get("counts")
        for gauge, unit in ((self._resources, "resources"), (self._containers, "containers")):
            numbers = counts.get(unit) if isinstance(counts, Mapping) else None
            for state in _STATES:
                number = _number(numbers.get(state, 0)) if isinstance(numbers, Mapping) else None
                if number is not None:
                    gauge.labels(name, state).set(number)
                elif "counts" in one:
                    # It was not evaluated: it has no numbers, not old ones.
                    _quietly(gauge.remove, name, state)

    def _forget_findings(self, name: str) -> None:
        _quietly(self._violations.remove, name, self._effects.pop(name))
        for state in _STATES:
            _quietly(self._resources.remove, name, state)
            _quietly(self._containers.remove, name, state)


def _word(decision: Decision) -> str:
    outcome = decision.outcome
    if not outcome.allowed:
        return "denied"
    if outcome.errors or decision.unjudged:
        return "error"
    return "warned" if outcome.warnings else "allowed"


def _number(value: Any) -> float | None:
    """A count or a time; None for anything else."""
    return value if isinstance(value, int | float) and not isinstance(value, bool) and value >= 0 else None


def _quietly(remove: Callable[..., None], *labels: str) -> None:
    try:
        remove(*labels)
    except KeyError:
        pass
