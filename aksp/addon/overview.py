"""How the add-on in a cluster is: itself, and what became of each assignment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from aksp.addon import names
from aksp.addon.problems import Reason
from aksp.addon.status import RULES_PENDING
from aksp.kube import objects
from aksp.kube.connection import Connection
from aksp.kube.faults import NotServed
from aksp.model.compliance import ComplianceState
from aksp.model.definition import Effect

API_VERSION = "policy.aksp.io/v1"
KIND = "AddonStatus"
#: How many durations of the Lease its holder may be late before nobody leads; clocks differ a little.
STALE_AFTER = 2


@dataclass(frozen=True, kw_only=True, slots=True)
class AssignmentLine:
    """One assignment: the generation wanted and applied, and its states. Times are RFC 3339, None: never."""

    name: str
    definition: str
    enforcement_mode: str
    effect: str
    state: str
    compliance_percent: float | None
    generation: int
    applied_generation: int | None
    last_check_in: str | None
    last_evaluated: str | None
    message: str
    elsewhere: bool = False
    unasked: bool = False
    """It would refuse, and the API server does not ask about all that it judges."""

    @property
    def applied(self) -> bool:
        """Whether this generation is in force."""
        return self.applied_generation == self.generation

    @property
    def pending(self) -> bool:
        """Whether something is still to come, or wrong. One that is Disabled, or of another cluster, awaits nothing."""
        if self.elsewhere:
            return False
        started = self.state != ComplianceState.NOT_STARTED or self.effect == Effect.DISABLED
        return not (self.applied and started) or self.unasked

    def to_json(self) -> dict[str, Any]:
        """The entry in `assignments`."""
        return {
            "name": self.name,
            "definition": self.definition,
            "enforcementMode": self.enforcement_mode,
            "effect": self.effect,
            "state": self.state,
            "compliancePercent": self.compliance_percent,
            "generation": self.generation,
            "appliedGeneration": self.applied_generation,
            "applied": self.applied,
            "lastCheckIn": self.last_check_in,
            "lastEvaluated": self.last_evaluated,
            "message": self.message,
        }


@dataclass(frozen=True, kw_only=True, slots=True)
class Overview:
    """The add-on and the assignments. ``replicas`` is None when it runs outside the cluster.

    ``problems`` are the reasons for which not all is well, a sentence each.
    """

    namespace: str
    enabled: bool
    image: str | None
    replicas: int | None
    ready_replicas: int | None
    leader: str | None
    renewed: str | None
    failure_policy: str | None
    webhook: str | None
    excluded_namespaces: tuple[str, ...]
    rules: tuple[str, ...]
    assignments: tuple[AssignmentLine, ...]
    problems: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """The document that `aksp addon status -o json` prints; its fields stay, more may come."""
        return {
            "apiVersion": API_VERSION,
            "kind": KIND,
            "addon": {
                "enabled": self.enabled,
                "namespace": self.namespace,
                "image": self.image,
                "replicas": self.replicas,
                "readyReplicas": self.ready_replicas,
                "leader": self.leader,
                "leaderRenewed": self.renewed,
                "failurePolicy": self.failure_policy,
                "webhook": self.webhook,
                "excludedNamespaces": list(self.excluded_namespaces),
                "webhookRules": list(self.rules),
            },
            "assignments": [line.to_json() for line in self.assignments],
            "problems": list(self.problems),
        }


def look(connection: Connection, namespace: str, now: datetime) -> Overview:
    """Read everything there is. Raises ClusterError."""
    inside = f"/namespaces/{namespace}"
    webhook = objects.get(
        connection, f"/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations/{names.NAME}"
    )
    lease = objects.get(connection, f"/apis/coordination.k8s.io/v1{inside}/leases/{names.LEASE}")
    deployment = objects.get(connection, f"/apis/apps/v1{inside}/deployments/{names.NAME}")
    try:
        found = objects.list_all(connection, f"/apis/{names.GROUP}/{names.VERSION}/{names.ASSIGNMENTS}")
        served = True
    except NotServed:
        found, served = [], False
    return overview(
        namespace, webhook=webhook, lease=lease, deployment=deployment, assignments=found, served=served, now=now
    )


def overview(
    namespace: str,
    *,
    webhook: Mapping[str, Any] | None,
    lease: Mapping[str, Any] | None,
    deployment: Mapping[str, Any] | None,
    assignments: list[dict[str, Any]],
    served: bool,
    now: datetime,
) -> Overview:
    """The overview of these objects, None where one is not there."""
    enabled = served and webhook is not None
    hook: Mapping[str, Any] = next(
        (one for one in (webhook or {}).get("webhooks") or [] if one.get("name") == names.WEBHOOK), {}
    )
    spec = (lease or {}).get("spec") or {}
    lines = tuple(sorted(map(line_of, assignments), key=lambda line: line.name))
    problems = []
    replicas = ready = image = None
    if deployment is not None:
        replicas = int((deployment.get("spec") or {}).get("replicas", 1))
        ready = int((deployment.get("status") or {}).get("readyReplicas") or 0)
        image = deployment["spec"]["template"]["spec"]["containers"][0].get("image")
        if not ready:
            problems.append(f"no replica of {replicas} is ready: see `kubectl -n {namespace} describe deployment aksp`")
    if not enabled:
        problems.insert(0, "the add-on is not enabled in this cluster: run `aksp addon enable`")
    elif (trouble := _lease_problem(spec, now)) is not None:
        problems.append(trouble)
    waiting = [line.name for line in lines if line.pending]
    if enabled and waiting:
        problems.append(f"not in force as wanted, or not yet judged: {', '.join(waiting)}")
    client = hook.get("clientConfig") or {}
    return Overview(
        namespace=namespace,
        enabled=enabled,
        image=image,
        replicas=replicas,
        ready_replicas=ready,
        leader=spec.get("holderIdentity") or None,
        renewed=spec.get("renewTime"),
        failure_policy=hook.get("failurePolicy"),
        webhook=client.get("url")
        or ("{namespace}/{name}".format(**client["service"]) if "service" in client else None),
        excluded_namespaces=_excluded(hook),
        rules=tuple(_rules(hook)),
        assignments=lines,
        problems=tuple(problems),
    )


def line_of(document: Mapping[str, Any]) -> AssignmentLine:
    """A PolicyAssignment as a line; one that nobody has looked at yet is NotStarted."""
    spec, status = document.get("spec") or {}, document.get("status") or {}
    reasons = {one.get("type"): one.get("reason") for one in status.get("conditions") or []}
    return AssignmentLine(
        name=document["metadata"]["name"],
        definition=str(spec.get("policyDefinitionId", "")),
        enforcement_mode=spec.get("enforcementMode") or "Default",
        effect=status.get("effect") or "",
        state=status.get("state") or ComplianceState.NOT_STARTED,
        compliance_percent=status.get("compliancePercent"),
        generation=int(document["metadata"].get("generation") or 0),
        applied_generation=status.get("appliedGeneration"),
        last_check_in=status.get("lastCheckIn"),
        last_evaluated=status.get("lastEvaluated"),
        message=status.get("message") or "",
        elsewhere=reasons.get("Applied") == Reason.NOT_IN_SCOPE,
        unasked=reasons.get("Enforced") == RULES_PENDING,
    )


def _lease_problem(spec: Mapping[str, Any], now: datetime) -> str | None:
    if not spec.get("holderIdentity"):
        return "nobody leads, so nothing is judged: no replica of the add-on has come up yet, or the last one ended"
    renewed = moment(spec.get("renewTime"))
    duration = float(spec.get("leaseDurationSeconds") or 15)
    if renewed is None or (now - renewed).total_seconds() > STALE_AFTER * duration:
        since = f"since {spec['renewTime']}" if renewed else "ever"
        return f"the leader {spec['holderIdentity']} has not renewed its lease {since}, so nothing is judged"
    return None


def moment(text: str | None) -> datetime | None:
    """An RFC 3339 time as the API server writes it."""
    if not text:
        return None
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _excluded(hook: Mapping[str, Any]) -> tuple[str, ...]:
    expressions = (hook.get("namespaceSelector") or {}).get("matchExpressions") or []
    return tuple(
        name
        for one in expressions
        if one.get("key") == "kubernetes.io/metadata.name" and one.get("operator") == "NotIn"
        for name in one.get("values") or []
    )


def _rules(hook: Mapping[str, Any]) -> list[str]:
    """``CREATE,UPDATE pods``: operations, and resources with their group."""
    found = []
    for rule in hook.get("rules") or []:
        operations = ",".join(rule.get("operations") or [])
        for group in rule.get("apiGroups") or []:
            found += [f"{operations} {one}{'.' if group else ''}{group}" for one in rule.get("resources") or []]
    return found
