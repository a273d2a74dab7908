"""An explanation as JSON values, for scripts: versioned, lists never null."""

from __future__ import annotations

from typing import Any

from aksp.compliance import fixes
from aksp.compliance.explanation import ContainerVerdict, LeftOut, Setting, Waiver, lineage
from aksp.compliance.plan import MatchSource, Ready
from aksp.model.assignment import PRINTED_VERSION
from aksp.model.compliance import Target
from aksp.model.times import rfc3339
from aksp.report import wire
from aksp.report.explain.excerpt import Excerpt
from aksp.report.explain.explanation import (
    AssignmentExplanation,
    Case,
    DistinctFinding,
    Explanation,
    ResourceExplanation,
)
from aksp.report.figures import one_decimal

Wire = dict[str, Any]


def explanation_wire(explanation: Explanation) -> Wire:
    """The document of ``-o json`` and ``-o yaml``."""
    if isinstance(explanation, ResourceExplanation):
        return _resource(explanation)
    return _assignment(explanation)


def _resource(explanation: ResourceExplanation) -> Wire:
    owner = explanation.owner
    return {
        **_head(explanation, "ResourceExplanation"),
        "target": _target(explanation.target),
        "resource": wire.resource(explanation.resource),
        "owner": {"kind": owner.kind, "name": owner.name} if owner else None,
        "container": explanation.container,
        "pods": explanation.pods,
        "fromTemplate": explanation.from_template,
        "state": explanation.state.value if explanation.state else None,
        "assignments": [
            _case(case, explanation.context) for case in explanation.cases if case.standing.left_out is None
        ],
        "leftOut": [
            *(
                _left_out(case.standing.ready.key.name, case.standing.left_out)
                for case in explanation.cases
                if case.standing.left_out is not None
            ),
            *(_left_out(assignment.name, why) for assignment, why in explanation.elsewhere),
        ],
        "gaps": [wire.gap(gap) for gap in explanation.gaps],
    }


def _case(case: Case, context: str | None) -> Wire:
    standing = case.standing
    return {
        **_ready(standing.ready),
        "state": standing.state.value if standing.state else None,
        "place": str(standing.place),
        "lineage": [str(scope) for scope in lineage(standing.place)],
        "parameters": [_setting(one) for one in standing.settings],
        "containers": [_verdict(one) for one in standing.verdicts],
        "exemptions": [{**_waiver(one), "covers": one.covers} for one in standing.waivers],
        "findings": [_found(one, context) for one in case.found],
    }


def _assignment(explanation: AssignmentExplanation) -> Wire:
    summary, ready = explanation.summary, explanation.ready
    selection = ready.selection
    left_out = explanation.left_out
    return {
        **_head(explanation, "AssignmentExplanation"),
        "target": _target(explanation.target) if explanation.target else None,
        **_ready(ready),
        "state": summary.state.value if summary else None,
        "compliancePercent": one_decimal(summary.compliance_percent) if summary else None,
        "message": summary.message if summary else "",
        "counts": wire.counts(summary.counts) if summary else None,
        "leftOut": {"by": left_out.by, "message": left_out.message} if left_out else None,
        "namespaces": list(selection.namespaces),
        "excludedNamespaces": list(selection.excluded_namespaces),
        "labelSelector": selection.selector.document(),
        "namespaceSelector": selection.namespace_selector.document(),
        "match": _match(ready),
        "parameters": [_setting(one) for one in explanation.settings],
        "exemptions": [_waiver(one) for one in explanation.waivers],
        "results": [wire.result(one) for one in explanation.results],
        "gaps": [wire.gap(gap) for gap in explanation.gaps],
    }


def _match(ready: Ready) -> Wire:
    """What else the definition selects by, if anything: as it is written there, with expressions resolved."""
    definition, selection = ready.definition, ready.selection
    return {
        **({"scope": selection.object_scope.value} if definition.object_scope is not None else {}),
        **({"name": selection.name} if selection.name else {}),
        **({"source": ready.source.value} if ready.source is not MatchSource.ORIGINAL else {}),
        **({"warn": ready.warns} if ready.warns is not None else {}),
    }


def _head(explanation: Explanation, kind: str) -> Wire:
    return {
        "apiVersion": PRINTED_VERSION,
        "kind": kind,
        "aksp": explanation.version,
        "evaluatedAt": rfc3339(explanation.evaluated_at),
    }


def _ready(ready: Ready) -> Wire:
    assignment, definition = ready.assignment, ready.definition
    return {
        "name": ready.key.name,
        "displayName": assignment.display_name or definition.display_name,
        "document": assignment.origin or None,
        "definition": definition.slug,
        "definitionId": definition.name,
        "version": definition.version,
        "severity": definition.severity,
        "description": definition.description,
        "remediation": definition.remediation,
        "effect": ready.effect.value,
        "enforcementMode": assignment.enforcement_mode.value,
        "refuses": ready.refuses,
        "scope": str(assignment.scope),
        "notScopes": [str(scope) for scope in assignment.not_scopes],
    }


def _setting(setting: Setting) -> Wire:
    return {
        "name": setting.name,
        "value": setting.value,
        "from": setting.origin.value,
        "document": setting.document or None,
    }


def _verdict(verdict: ContainerVerdict) -> Wire:
    container = verdict.container
    by = verdict.left_out
    return {
        "name": container.name,
        "type": container.type,
        "image": container.image,
        "state": verdict.state.value if verdict.state else None,
        "leftOut": {"by": by[0], "value": by[1]} if by else None,
    }


def _waiver(waiver: Waiver) -> Wire:
    exemption = waiver.exemption
    return {
        "name": exemption.name,
        "category": exemption.category.value,
        "expiresOn": rfc3339(exemption.expires_on) if exemption.expires_on else None,
        "expired": waiver.expired,
        "displayName": exemption.display_name,
        "containers": [one.name for one in waiver.containers],
    }


def _found(found: DistinctFinding, context: str | None) -> Wire:
    result = found.result
    fix = result.finding.fix
    return {
        **wire.result(result),
        "resources": [wire.resource(one) for one in found.resources],
        "sources": [wire.source(one) for one in found.sources],
        "excerpt": _excerpt(found.excerpt) if found.excerpt else None,
        "fix": dict(fix) if fix else None,
        "patch": fixes.patch(result),
        "command": fixes.command(result, context=context),
        "obstacle": fixes.obstacle(result),
    }


def _excerpt(excerpt: Excerpt) -> Wire:
    return {
        "file": excerpt.file,
        "lines": [{"line": one.number, "text": one.text, "marked": one.marked} for one in excerpt.lines],
    }


def _left_out(name: str, why: LeftOut) -> Wire:
    return {"assignment": name, "by": why.by, "message": why.message}


def _target(target: Target) -> Wire:
    return {"kind": target.kind.value, "name": target.name, "scope": target.scope, "server": target.server}
