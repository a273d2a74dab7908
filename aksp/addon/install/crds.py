"""The custom resources' definitions.

They take every document that aksp.store.documents and aksp.catalog.custom read, and refuse what can
be told from a field by itself. What needs the definition (parameters) or the engine (Rego) shows in
the status. ``charts/aksp/files/crds`` holds the same as YAML.
"""

from __future__ import annotations

from typing import Any

from aksp.addon import names
from aksp.addon.install.crd import APPLIED, MESSAGE, MOST_SCOPES, crd, in_force, scope, status_of
from aksp.addon.install.schema import (
    anything,
    array,
    free,
    mapping,
    named,
    number,
    optional,
    text,
    time,
    whole,
)
from aksp.model.assignment import EnforcementMode, ExemptionCategory
from aksp.model.compliance import ComplianceState


def crds() -> list[dict[str, Any]]:
    """All CustomResourceDefinitions, in the order to be applied."""
    return [_definitions(), _initiatives(), _assignments(), _exemptions(), _denials(), _reports()]


def _definitions() -> dict[str, Any]:
    info = mapping(
        "Where the Rego is.",
        {
            "sourceType": text("In a cluster there are no files beside the document.", enum=["Base64Encoded"]),
            "content": text("A Gatekeeper ConstraintTemplate as YAML, in base64.", minLength=1),
        },
        ["sourceType", "content"],
    )
    details = free("What is judged and with which Rego.", required=["templateInfo", "kinds"])
    details["properties"] = {
        "templateInfo": info,
        "kinds": {**array("The kinds to judge.", anything("A kind, or apiGroups and kinds.")), "minItems": 1},
    }
    then = free("The effect, and what it is about.", required=["details"], properties={"details": details})
    spec = mapping(
        "The `properties` of an Azure Policy definition.",
        {
            "name": text("Its GUID in Azure; the object's name when there is none."),
            "displayName": text("What people call it."),
            "description": text("What it demands, and why."),
            "policyType": text("BuiltIn or Custom."),
            "mode": text("Microsoft.Kubernetes.Data.", pattern=r"^(?i:Microsoft\.Kubernetes\.Data)$"),
            "version": anything("Its version."),
            "versions": anything("Versions that Azure keeps."),
            "metadata": optional(free("category, version, severity, remediation and more.")),
            "parameters": optional(
                named(
                    "Its parameters by name.",
                    free("A parameter.", required=["type"], properties={"type": text("Its type.")}),
                )
            ),
            "policyRule": free("When, and then what.", required=["then"], properties={"then": then}),
        },
        ["policyRule"],
    )
    return crd(
        "PolicyDefinition",
        names.DEFINITIONS,
        ["poldef"],
        "A rule with typed parameters that assignments put to work.",
        spec,
        status=status_of(in_force(), "Applied: this generation's Rego compiles and is in use."),
        columns=[("Display name", ".spec.displayName"), APPLIED, MESSAGE],
    )


def _initiatives() -> dict[str, Any]:
    value = mapping(
        "What a member's parameter is.",
        {"value": anything("A value, or an expression over the initiative's.")},
        ["value"],
    )
    member = mapping(
        "A definition of the initiative.",
        {
            "policyDefinitionId": text(
                "A definition: by name, GUID, Azure resource id or Azure policy name.", pattern=r"\S"
            ),
            "policyDefinitionReferenceId": text("What the member is called.", pattern=r"^[^\s/]+$"),
            "definitionVersion": optional(text("The version that is meant, such as 1.*.*.")),
            "latestDefinitionVersion": optional(text("Azure's; without meaning here.")),
            "effectiveDefinitionVersion": optional(text("Azure's; without meaning here.")),
            "parameters": optional(named("Values of the definition's parameters, by name.", value)),
            "groupNames": optional(array("The groups that it is in.", text("A group's name."))),
        },
        ["policyDefinitionId", "policyDefinitionReferenceId"],
    )
    group = mapping(
        "Members that belong together.",
        {
            "name": text("What members call it.", minLength=1),
            "displayName": optional(text("What people call it.")),
            "description": optional(text("What it is about.")),
            "category": optional(text("What it is part of.")),
            "additionalMetadataId": optional(text("Azure's; without meaning here.")),
        },
        ["name"],
    )
    spec = mapping(
        "The `properties` of an Azure Policy initiative.",
        {
            "name": text("Its GUID in Azure; the object's name when there is none."),
            "displayName": text("What people call it."),
            "description": text("What it demands, and why."),
            "policyType": text("BuiltIn or Custom."),
            "version": anything("Its version."),
            "versions": anything("Versions that Azure keeps."),
            "metadata": optional(free("category, version and more.")),
            "parameters": optional(
                named(
                    "Its parameters by name.",
                    free("A parameter.", required=["type"], properties={"type": text("Its type.")}),
                )
            ),
            "policyDefinitions": {**array("Its members.", member), "minItems": 1},
            "policyDefinitionGroups": optional(array("Groups of members.", group)),
        },
        ["policyDefinitions"],
    )
    return crd(
        "PolicySetDefinition",
        names.INITIATIVES,
        ["polset"],
        "An initiative: definitions that are assigned together.",
        spec,
        status=status_of(in_force(), "Applied: this generation is in use."),
        columns=[("Display name", ".spec.displayName"), APPLIED, MESSAGE],
    )


def _assignments() -> dict[str, Any]:
    message = mapping(
        "What a developer reads who is refused.",
        {
            "message": text("The text."),
            "policyDefinitionReferenceId": optional(text("The member of an initiative that it is about; else all.")),
        },
        ["message"],
    )
    value = mapping("A parameter's value.", {"value": anything("The value, of the parameter's type.")}, ["value"])
    references = array("Reference ids.", text("A member.", pattern=r"\S"))
    selector = mapping(
        "Which members: in, or notIn.",
        {
            "kind": text("By reference id.", enum=["policyDefinitionReferenceId"]),
            "in": optional(references),
            "notIn": optional(references),
        },
        ["kind"],
    )
    override = mapping(
        "Another effect for members of an initiative.",
        {
            "kind": text("What is overridden.", enum=["policyEffect"]),
            "value": text("The effect.", pattern=r"\S"),
            "selectors": optional(array("Which members; without it all.", selector, maxItems=1)),
        },
        ["kind", "value"],
    )
    spec = mapping(
        "A definition or an initiative put to work at a scope.",
        {
            "policyDefinitionId": text(
                "A definition or an initiative: by name, GUID, Azure resource id or Azure policy name.", pattern=r"\S"
            ),
            "displayName": optional(text("A title.")),
            "description": optional(text("A reason.")),
            "scope": optional(scope("How far it reaches: /, /clusters/NAME, /clusters/NAME/namespaces/NAMESPACE.")),
            "notScopes": optional(
                array("Scopes that are left out.", scope("A scope below the assignment's."), maxItems=MOST_SCOPES)
            ),
            "parameters": optional(named("Values of the definition's parameters, by name.", value)),
            # With a default null is one way to leave it out, and so is "".
            "enforcementMode": text(
                "DoNotEnforce reports compliance and refuses nothing.",
                enum=[*map(str, EnforcementMode), ""],
                default=str(EnforcementMode.DEFAULT),
            ),
            "nonComplianceMessages": optional(array("Of one member the last one counts.", message)),
            "overrides": optional(array("In their order: the last one about a member holds.", override)),
            # The scope tree of a workspace knows where clusters lie, and no cluster does.
            "resourceSelectors": optional(
                array(
                    "None in a cluster: aksp sync writes only assignments that select it.",
                    anything("None."),
                    maxItems=0,
                )
            ),
            "metadata": optional(free("Anything.")),
        },
        ["policyDefinitionId"],
    )
    numbers = named("How many, by state.", whole("How many."))
    counts = {
        "resources": {**numbers, "description": "Resources by state."},
        "containers": {**numbers, "description": "Containers by state."},
    }
    member = mapping(
        "One member.",
        {
            "policyDefinitionReferenceId": text("Which one."),
            "definition": text("Its definition."),
            "effect": text("Its effect."),
            "state": text("Its compliance state.", enum=[str(state) for state in ComplianceState]),
            "compliancePercent": optional(number("Of the resources judged, in percent.", minimum=0, maximum=100)),
            "message": optional(text("Why nothing was judged.")),
        },
        ["policyDefinitionReferenceId", "state"],
    )
    status = status_of(
        {
            **in_force(),
            "state": text("Its compliance state.", enum=[str(state) for state in ComplianceState]),
            "compliancePercent": optional(number("Of the resources judged, in percent.", minimum=0, maximum=100)),
            "counts": optional(mapping("What was judged.", counts)),
            "effect": optional(text("The effect in force; Mixed when members of an initiative differ.")),
            "members": optional(array("What was found of each member of an initiative.", member)),
            "lastEvaluated": optional(time("When the cluster was last scanned for it.")),
        },
        "Applied: this generation is in force. Evaluated: the cluster was scanned. Enforced: violations are refused.",
    )
    return crd(
        "PolicyAssignment",
        names.ASSIGNMENTS,
        ["polassign"],
        "A definition put to work at a scope, with values for its parameters.",
        spec,
        status=status,
        columns=[
            ("Definition", ".spec.policyDefinitionId"),
            ("Effect", ".status.effect"),
            ("Mode", ".spec.enforcementMode"),
            ("State", ".status.state"),
            ("Compliance", ".status.compliancePercent", "number"),
            ("Non-compliant", f".status.counts.resources.{ComplianceState.NON_COMPLIANT}", "integer"),
            ("Containers", f".status.counts.containers.{ComplianceState.NON_COMPLIANT}", "integer", 1),
            ("Checked-in", ".status.lastCheckIn", "date"),
            MESSAGE,
        ],
    )


def _exemptions() -> dict[str, Any]:
    words = {
        "namespace": "Its namespace.",
        "kind": "Its kind, or that of the workload that made it.",
        "name": "Its name, or that of the workload that made it.",
        "container": "The container's name.",
        "image": "The container's image, as written.",
    }
    resource = mapping(
        "Patterns with *, ? and […]; every one that is given must match.",
        {field: optional(text(description)) for field, description in words.items()},
        minProperties=1,
    )
    spec = mapping(
        "An assignment's findings waived.",
        {
            "policyAssignmentId": text("The assignment's name.", pattern=r"\S"),
            "policyDefinitionReferenceIds": optional(
                array(
                    "The members of the initiative whose findings are waived; else all.",
                    text("A member.", pattern=r"\S"),
                )
            ),
            "exemptionCategory": text(
                "Waiver: the risk is accepted. Mitigated: it is met in another way.",
                enum=[str(category) for category in ExemptionCategory],
            ),
            # Not format date-time: a day, and Azure's seven digits of a second, are fine too.
            "expiresOn": optional(
                text("From then on it does nothing; RFC 3339, or a day.", pattern="^[0-9]{4}-?W?[0-9]{2}")
            ),
            "displayName": optional(text("A title, shown in reports.")),
            "description": optional(text("Why, shown in reports.")),
            "metadata": optional(free("Anything; requestedBy, else approvedBy, else createdBy is shown.")),
            "scope": optional(scope("Where it holds.")),
            "resourceSelectors": optional(
                array(
                    "None in a cluster: aksp sync writes only exemptions that select it.", anything("None."), maxItems=0
                )
            ),
            "resources": optional(
                array("What it holds for; without the field everything in the scope.", resource, minItems=1)
            ),
        },
        ["policyAssignmentId", "exemptionCategory"],
    )
    return crd(
        "PolicyExemption",
        names.EXEMPTIONS,
        ["polexempt"],
        "An assignment's findings waived for a scope, resources or containers, until a date.",
        spec,
        status=status_of({}, "Applied: it counts now."),
        columns=[
            ("Assignment", ".spec.policyAssignmentId"),
            ("Category", ".spec.exemptionCategory"),
            ("Expires", ".spec.expiresOn"),
            APPLIED,
            MESSAGE,
        ],
    )


def _denials() -> dict[str, Any]:
    resource = mapping(
        "The object that was refused.",
        {field: text(f"Its {field}.") for field in ("apiVersion", "kind", "namespace", "name")},
        ["apiVersion", "kind"],
    )
    workload = mapping("What made the object.", {"kind": text("Its kind."), "name": text("Its name.")})
    container = mapping("A container.", {"name": text("Its name."), "image": text("Its image, as written.")})
    spec = mapping(
        "Who was refused, when, and why; written by the add-on.",
        {
            "assignment": text("The assignment that refused."),
            "definition": text("Its definition."),
            "operation": text("CREATE or UPDATE."),
            "user": text("Who asked, the last time."),
            "resource": resource,
            "workload": optional(workload),
            "containers": array("The containers that it was about.", container),
            "message": text("What was answered, the last time."),
            "count": whole("How often.", minimum=1),
            "firstTime": time("The first time."),
            "lastTime": time("The last time."),
        },
        ["assignment", "resource", "message", "count", "lastTime"],
    )
    return crd(
        "PolicyDenial",
        names.DENIALS,
        ["poldenial"],
        "Requests that an assignment refused, for one workload.",
        spec,
        scope="Namespaced",
        columns=[
            ("Assignment", ".spec.assignment"),
            ("Workload", ".spec.workload.name"),
            ("Kind", ".spec.workload.kind", "string", 1),
            ("Object", ".spec.resource.name", "string", 1),
            ("User", ".spec.user"),
            ("Count", ".spec.count", "integer"),
            ("Last", ".spec.lastTime", "date"),
            ("Message", ".spec.message", "string", 1),
        ],
    )


def _reports() -> dict[str, Any]:
    spec = mapping(
        "A part of the last report; written by the add-on.",
        {
            "evaluatedAt": time("When the cluster was judged."),
            "evaluation": text("Which evaluation: all parts of one report have the same."),
            "part": whole("Which part this is, from 0.", minimum=0),
            "parts": whole("How many parts there are.", minimum=1),
            "encoding": text("How data is written.", enum=["gzip+base64"]),
            "data": text("Part of the JSON of `aksp compliance -o json`."),
        },
        ["evaluatedAt", "evaluation", "part", "parts", "encoding", "data"],
    )
    return crd(
        "ComplianceReport",
        names.REPORTS,
        ["compreport"],
        "The add-on's last report, for `aksp compliance --from addon`.",
        spec,
        columns=[
            ("Evaluated", ".spec.evaluatedAt", "date"),
            ("Part", ".spec.part", "integer"),
            ("Parts", ".spec.parts", "integer"),
        ],
    )
