"""How the add-on in a cluster is: itself, and what became of each assignment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from aksp.addon import names
from aksp.addon.checkins import checkin_record
from aksp.addon.checkins.checkin_record import Failure
from aksp.addon.checkins.status import RULES_PENDING
from aksp.addon.gatekeeper.conditions import INSTALL
from aksp.addon.in_force.configuration import PATH, read_intention
from aksp.addon.in_force.deviations import deviations, digest, webhook_of, written
from aksp.addon.in_force.documents import conditions_of
from aksp.addon.in_force.problems import Reason
from aksp.addon.install.gatekeeper_objects import is_installed
from aksp.addon.names import EngineName
from aksp.errors import Forbidden
from aksp.kube import objects
from aksp.kube.connection import Connection
from aksp.kube.errors import NotServed
from aksp.model.assignment import PRINTED_VERSION
from aksp.model.compliance import ComplianceState
from aksp.model.effect import Effect
from aksp.model.times import moment
from aksp.report.figures import plural

KIND = "AddonStatus"
#: How many durations of the Lease its holder may be late before nobody leads; clocks differ a little.
STALE_AFTER = 2


class AssignmentLine(Struct, frozen=True, kw_only=True):
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
    """It would refuse, and the API server does not ask about all that it judges; or Gatekeeper does not have it."""
    enforced: bool = False
    """Its status says that violations are refused."""

    @property
    def applied(self) -> bool:
        """Whether this generation is in force."""
        return self.applied_generation == self.generation

    @property
    def pending(self) -> bool:
        """Whether something is still to come, or wrong. One that is Disabled, or of another cluster, awaits nothing."""
        if self.elsewhere:
            return False
        # One that was evaluated and is NotStarted found nothing to judge.
        started = (
            self.state != ComplianceState.NOT_STARTED
            or ((effect := Effect.named(self.effect)) is not None and not effect.judges)
            or self.last_evaluated is not None
        )
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


class AddonStatus(Struct, frozen=True, kw_only=True, rename="camel"):
    """The add-on and the assignments, as the JSON document has them. ``replicas`` is None when it runs outside the cluster.

    ``last_check_in`` is when the last one ended well, ``failed_check_in`` what has failed since. ``missing`` are objects that are not there, ``webhook_deviations`` what of the webhook configuration is not as it was
    enabled, by part. ``problems`` are the reasons for which not all is well, a sentence each.
    """

    enabled: bool
    namespace: str
    engine: EngineName
    image: str | None
    replicas: int | None
    ready_replicas: int | None
    leader: str | None
    leader_renewed: str | None
    last_check_in: str | None
    failed_check_in: Failure | None
    failure_policy: str | None
    webhook: str | None
    excluded_namespaces: tuple[str, ...]
    webhook_rules: tuple[str, ...]
    webhook_deviations: Mapping[str, str]
    missing: tuple[str, ...]
    assignments: tuple[AssignmentLine, ...]
    problems: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """The document that `aksp addon status -o json` prints; its fields stay, more may come."""
        addon = msgspec.json.decode(msgspec.json.encode(self))
        addon["webhookDeviations"] = [{"part": part, "message": text} for part, text in self.webhook_deviations.items()]
        del addon["assignments"]
        problems = addon.pop("problems")
        assignments = [line.to_json() for line in self.assignments]
        return {
            "apiVersion": PRINTED_VERSION,
            "kind": KIND,
            "addon": addon,
            "assignments": assignments,
            "problems": problems,
        }


def look(connection: Connection, namespace: str, now: datetime) -> AddonStatus:
    """Read everything there is. Raises ClusterError."""
    inside = f"/namespaces/{namespace}"
    found = InstalledObjects(
        webhook=objects.get(connection, PATH),
        intended=read_intention(connection, namespace),
        lease=objects.get(connection, f"/apis/coordination.k8s.io/v1{inside}/leases/{names.LEASE}"),
        deployment=objects.get(connection, f"/apis/apps/v1{inside}/deployments/{names.NAME}"),
        kinds=_served(connection),
        secret=_has_secret(connection, namespace),
    )
    if found.engine is EngineName.GATEKEEPER:
        found = replace(found, gatekeeper=is_installed(connection))
    try:
        assignments = objects.list_all(connection, names.collection(names.ASSIGNMENTS))
    except NotServed:
        assignments = []
    return overview(namespace, found, assignments, now)


class InstalledObjects(Struct, frozen=True, kw_only=True):
    """The add-on's objects in a cluster, None where one is not there; ``kinds`` are the custom resources' plurals.

    ``intended`` is what the webhook configuration is to be. ``secret``: whether there is one with certificates; None
    when that is not for us to see.
    """

    webhook: Mapping[str, Any] | None
    intended: Mapping[str, Any] | None
    lease: Mapping[str, Any] | None
    deployment: Mapping[str, Any] | None
    kinds: frozenset[str]
    secret: bool | None
    gatekeeper: bool = True
    """Whether Gatekeeper is installed; looked up only where it is to refuse."""

    @property
    def engine(self) -> EngineName:
        """Who refuses, as the Deployment's replicas are told."""
        template = ((self.deployment or {}).get("spec") or {}).get("template") or {}
        given = [each for one in (template.get("spec") or {}).get("containers") or [] for each in one.get("args") or []]
        return EngineName.GATEKEEPER if f"--engine={EngineName.GATEKEEPER}" in given else EngineName.AKSP

    @property
    def enabled(self) -> bool:
        """Whether the add-on was enabled here: what is missing then has gone since."""
        return self.webhook is not None or self.intended is not None or self.deployment is not None


def overview(namespace: str, found: InstalledObjects, assignments: list[dict[str, Any]], now: datetime) -> AddonStatus:
    """The overview of these objects."""
    hook, deployment = webhook_of(found.webhook), found.deployment
    spec = (found.lease or {}).get("spec") or {}
    lines = tuple(sorted(map(line_of, assignments), key=lambda line: line.name))
    problems = []
    replicas = ready = image = None
    if deployment is not None:
        replicas = int((deployment.get("spec") or {}).get("replicas", 1))
        ready = int((deployment.get("status") or {}).get("readyReplicas") or 0)
        image = deployment["spec"]["template"]["spec"]["containers"][0].get("image")
    missing = _missing(found) if found.enabled else ()
    differing = _deviations(found, lines) if found.enabled else {}
    if not found.enabled:
        problems.append("the add-on is not enabled in this cluster: run `aksp addon enable`")
    if not found.gatekeeper:
        problems.append(f"Gatekeeper is not installed in this cluster, so nothing is refused: install it ({INSTALL})")
    if missing:
        problems.append(f"missing: {', '.join(missing)}; `aksp addon enable` makes what is missing")
    problems += [f"the webhook configuration is not as it was enabled: {text}" for text in differing.values()]
    if replicas is not None and not ready:
        problems.append(f"no replica of {replicas} is ready: see `kubectl -n {namespace} describe deployment aksp`")
    if found.enabled and found.lease is not None and (trouble := _lease_problem(spec, now)) is not None:
        problems.append(trouble)
    last_check_in, failed = checkin_record.read(found.lease)
    if found.enabled and failed is not None:
        problems.append(f"check-ins fail since {failed.since}, {plural(failed.times, 'time')}: {failed.cause}")
    waiting = [line.name for line in lines if line.pending]
    if found.enabled and waiting:
        problems.append(f"not in force as wanted, or not yet judged: {', '.join(waiting)}")
    client = hook.get("clientConfig") or {}
    return AddonStatus(
        namespace=namespace,
        enabled=found.enabled,
        engine=found.engine,
        image=image,
        replicas=replicas,
        ready_replicas=ready,
        leader=spec.get("holderIdentity") or None,
        leader_renewed=spec.get("renewTime"),
        last_check_in=last_check_in,
        failed_check_in=failed,
        failure_policy=hook.get("failurePolicy"),
        webhook=client.get("url")
        or ("{namespace}/{name}".format(**client["service"]) if "service" in client else None),
        excluded_namespaces=_excluded(hook),
        webhook_rules=tuple(_rules(hook)),
        missing=missing,
        webhook_deviations=differing,
        assignments=lines,
        problems=tuple(problems),
    )


def _missing(found: InstalledObjects) -> tuple[str, ...]:
    """The objects that are not there, as kubectl names them."""
    kinds = [names.DEFINITIONS, names.INITIATIVES, names.ASSIGNMENTS, names.EXEMPTIONS, names.DENIALS, names.REPORTS]
    gone = [f"customresourcedefinition/{one}.{names.GROUP}" for one in kinds if one not in found.kinds]
    webhook = found.engine is EngineName.AKSP
    if webhook and found.webhook is None:
        gone.append(f"validatingwebhookconfiguration/{names.NAME}")
    if webhook and found.intended is None:
        gone.append(f"configmap/{names.CONFIG_MAP}")
    if found.lease is None:
        gone.append(f"lease/{names.LEASE}")
    if found.secret is False:
        gone.append(f"secret/{names.SECRET}")
    return tuple(gone)


def _deviations(found: InstalledObjects, lines: Sequence[AssignmentLine]) -> dict[str, str]:
    if found.webhook is None:
        return {}
    differing = {} if found.intended is None else deviations(found.intended, found.webhook)
    mark = written(found.webhook)
    if mark is not None and mark != digest(found.webhook):
        differing["rules"] = "its rules or its CA bundle are not those that the add-on wrote"
    elif mark is None and any(line.enforced for line in lines):
        differing["rules"] = "the add-on has not written its rules"
    return differing


def _served(connection: Connection) -> frozenset[str]:
    """The custom resources that the API server serves; one on its way out takes no new objects."""
    group = objects.get(connection, names.API)
    resources = (group or {}).get("resources") or []
    return frozenset(one["name"] for one in resources if "create" in (one.get("verbs") or []))


def _has_secret(connection: Connection, namespace: str) -> bool | None:
    """Whether the Secret is there. With a certificate of somebody else the add-on has no right to one, and needs none."""
    role = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{namespace}/roles/{names.CLUSTER_ROLE}"
    try:
        rules = (objects.get(connection, role) or {}).get("rules") or []
        if not any(names.SECRET in (rule.get("resourceNames") or []) for rule in rules):
            return None
        return objects.get(connection, f"/api/v1/namespaces/{namespace}/secrets/{names.SECRET}") is not None
    except Forbidden:
        return None


def line_of(document: Mapping[str, Any]) -> AssignmentLine:
    """A PolicyAssignment as a line; one that nobody has looked at yet is NotStarted."""
    spec, status = document.get("spec") or {}, document.get("status") or {}
    conditions = conditions_of(document)
    applied, enforced, exported = (conditions.get(kind, {}) for kind in ("Applied", "Enforced", "Exported"))
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
        elsewhere=applied.get("reason") == Reason.NOT_IN_SCOPE,
        unasked=enforced.get("reason") == RULES_PENDING or exported.get("status", "True") != "True",
        enforced=enforced.get("reason") == "Enforced",
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
