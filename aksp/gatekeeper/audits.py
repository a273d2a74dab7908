"""What Gatekeeper's audit says of its constraints, beside what is found by judging them now."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from msgspec import Struct
from msgspec.structs import replace

from aksp.compliance.plan import BrokenAssignment, Plan, make_ready
from aksp.engine import Engine
from aksp.gatekeeper.documents import Documents, Written
from aksp.gatekeeper.importing import read_import
from aksp.model.assignment import Assignment
from aksp.model.azure_ids import ADDON_DEFINITION
from aksp.model.compliance import ComplianceState, Gap, Report
from aksp.model.fields import mappings
from aksp.model.kinds import api_version
from aksp.model.resource import Resource
from aksp.model.scope import Scope
from aksp.model.times import rfc3339
from aksp.report.figures import plural
from aksp.workspace import plan_of

#: Two intervals of Azure's add-on, which audits every 15 minutes; Gatekeeper itself does every minute.
STALE_AFTER: Final = timedelta(minutes=30)


class Audits(Struct, frozen=True, kw_only=True):
    """The constraints of a cluster as assignments, and the audits of each by the assignment's name."""

    plan: Plan
    constraints: Mapping[str, Written]
    templates: Sequence[Written]

    def compared(self, report: Report, now: datetime, namespaces: Sequence[str] = ()) -> Report:
        """The report, with a gap wherever an audit differs from it or does not tell enough.

        With ``namespaces`` the report is about objects in these alone.
        """
        judged: dict[str, set[tuple[str, ...]]] = {}
        for one in report.results:
            if one.state is ComplianceState.COMPLIANT:
                continue
            judged.setdefault(one.assignment.name, set()).add(_key(one.resource))
        broken = {one.assignment.name for one in self.plan.broken}
        gaps = [gap for one in self.templates for gap in _template_gaps(one)]
        for name, written in sorted(self.constraints.items()):
            gaps += _gaps(written, judged.get(name, set()), name in broken, now, namespaces)
        return replace(report, gaps=[*report.gaps, *gaps])


def audits(engine: Engine, found: Documents, scope: Scope, now: datetime) -> Audits:
    """The constraints of a cluster, as a plan that judges by them. Those that cannot judge are its broken assignments."""
    made = read_import(engine, found, None, scope, now)
    definitions = {one.slug: one.definition for one in made.definitions}
    ready = []
    constraints: dict[str, Written] = {}
    for assignment, written in zip(made.assignments, made.constraints, strict=True):
        definition = definitions[assignment.definition_id]
        if azure := written.annotations.get(ADDON_DEFINITION):
            definition = replace(definition, name=azure.rpartition("/")[2])
        ready.append(make_ready(assignment, definition, (), scope, now))
        constraints[assignment.name] = written
    broken = []
    for written, why in made.refused:
        kind = str(written.document.get("kind"))
        name = written.name if written.name not in constraints else f"{kind.lower()}.{written.name}"
        constraints[name] = written
        assignment = Assignment(name=name, definition_id=kind.lower(), scope=scope)
        broken.append(BrokenAssignment(assignment=assignment, definition=kind.lower(), problem=why))
    return Audits(
        plan=plan_of(scope, ready, notes=made.lost, broken=broken), constraints=constraints, templates=found.templates
    )


def _gaps(
    written: Written, judged: set[tuple[str, ...]], broken: bool, now: datetime, namespaces: Sequence[str]
) -> Iterator[Gap]:
    """Where the audit of one constraint does not tell enough, or tells something else."""
    called = f"constraint {written.document.get('kind')}/{written.name}"
    status = written.status
    yield from _errors(called, status)
    audited = _moment(status.get("auditTimestamp"))
    if audited is None:
        yield Gap(reason="NotAudited", message=f"{called}: Gatekeeper has not audited it")
        return
    at = f"the audit of {rfc3339(audited)}"
    if now - audited > STALE_AFTER:
        minutes = (now - audited) // timedelta(minutes=1)
        yield Gap(
            reason="StaleAudit", message=f"{called}: {at} is {minutes} minutes old: is Gatekeeper's audit running?"
        )
    listed = mappings(status.get("violations"))
    reported = [_resource(one) for one in listed]
    total = status.get("totalViolations")
    if isinstance(total, int) and total > len(reported):
        yield Gap(
            reason="AuditIncomplete",
            message=f"{called}: {at} counts {plural(total, 'violation')} and lists {len(reported)}: what violates is what"
            " the templates find now",
        )
    messages = {_key(_resource(one)): str(one.get("message")) for one in listed}
    asked = [one for one in dict.fromkeys(reported) if not namespaces or one.namespace in namespaces]
    unconfirmed = [one for one in asked if _key(one) not in judged]
    if broken:
        for one in unconfirmed:
            yield Gap(reason="NotJudgedAgain", message=f"{called}: {at} reports: {messages[_key(one)]}", resource=one)
    elif unconfirmed:
        first = unconfirmed[0]
        yield Gap(
            reason="NotConfirmed",
            message=f"{called}: {at} reports {plural(len(unconfirmed), 'resource')} in which the template finds nothing now,"
            f" or which are gone, the first {first}: {messages[_key(first)]}",
            resource=first if len(unconfirmed) == 1 else None,
        )


def _template_gaps(written: Written) -> Iterator[Gap]:
    called = f"ConstraintTemplate {written.name}"
    yield from _errors(called, written.status)
    if not written.status.get("created"):
        yield Gap(reason="GatekeeperError", message=f"{called}: Gatekeeper has not created its kind of constraints")


def _errors(called: str, status: Mapping[str, Any]) -> Iterator[Gap]:
    """What the Pods of Gatekeeper say is wrong, each once."""
    told: dict[str, None] = {}
    for pod in mappings(status.get("byPod")):
        for error in mappings(pod.get("errors")):
            told[str(error.get("message"))] = None
        if pod.get("enforced") is False:
            told[f"{pod.get('id')} does not enforce it"] = None
    for text in told:
        yield Gap(reason="GatekeeperError", message=f"{called}: {text}")


def _resource(violation: Mapping[str, Any]) -> Resource:
    group, version = str(violation.get("group") or ""), str(violation.get("version") or "v1")
    return Resource(
        api_version=api_version(group, version),
        kind=str(violation.get("kind")),
        namespace=str(violation.get("namespace") or ""),
        name=str(violation.get("name")),
    )


def _key(resource: Resource) -> tuple[str, ...]:
    return (resource.group, resource.kind, resource.namespace, resource.name)


def _moment(value: Any) -> datetime | None:
    try:
        found = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        return None
    return found if found.tzinfo else None
