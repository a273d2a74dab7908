"""Small definitions, assignments and documents, with defaults that no test needs to see."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from aksp.compliance.plan import Plan, Ready, make_ready
from aksp.model.assignment import Assignment, Exemption
from aksp.model.definition import MISSING, Definition, Parameter, ParameterType, RegoModule, ResourceKind
from aksp.model.resource import Container, Document, Owner, Problem, Resource
from aksp.model.scope import Scope

NOW = datetime(2026, 6, 1, 12, 0, tzinfo=UTC)
POD = ResourceKind(group="", kind="Pod")
SERVICE = ResourceKind(group="", kind="Service")
DEPLOYMENT = ResourceKind(group="apps", kind="Deployment")


def parameter(name: str, kind: ParameterType = ParameterType.STRING, default: Any = MISSING, **more: Any) -> Parameter:
    return Parameter(name=name, type=kind, default=default, **more)


def definition(
    slug: str = "rule", *parameters: Parameter, kinds: Sequence[ResourceKind] = (POD,), **more: Any
) -> Definition:
    """With ``effect`` and the selecting parameters that every definition has."""
    lists = [
        parameter(name, ParameterType.ARRAY, [])
        for name in ("namespaces", "excludedNamespaces", "excludedContainers", "excludedImages")
    ]
    every = [
        parameter("effect", default="Audit"),
        parameter("labelSelector", ParameterType.OBJECT, {}),
        *lists,
        *parameters,
    ]
    fields: dict[str, Any] = {
        "name": f"guid-of-{slug}",
        "display_name": f"The rule {slug}",
        "description": "",
        "category": "Test",
        "version": "1.0.0",
        "severity": "high",
        "remediation": "",
        "parameters": {p.name: p for p in every},
        "namespaces": "[parameters('namespaces')]",
        "excluded_namespaces": "[parameters('excludedNamespaces')]",
        "label_selector": "[parameters('labelSelector')]",
        "kinds": tuple(kinds),
    }
    return Definition(slug=slug, **{**fields, **more})


def module(rule: str, *, version: str = "v1", name: str = "policy.rego") -> RegoModule:
    return RegoModule(name=name, source=f"package rule\n\n{rule}\n", version=version)


def assignment(name: str = "rule", **more: Any) -> Assignment:
    return Assignment(name=name, **{"definition_id": name, **more})


def ready(
    name: str = "rule",
    *,
    parameters: Mapping[str, Any] | None = None,
    of: Definition | None = None,
    target: Scope | None = None,
    exemptions: Sequence[Exemption] = (),
    **more: Any,
) -> Ready:
    made = assignment(name, parameters=parameters or {}, **more)
    return make_ready(made, of or definition(name), exemptions, target, NOW)


def plan(*assignments: Ready, disabled: Sequence[Ready] = ()) -> Plan:
    return Plan(target=Scope("/"), ready=assignments, disabled=disabled)


def container(name: str = "web", image: str = "contoso.azurecr.io/web:1", type: str = "containers") -> Container:
    return Container(name=name, type=type, image=image)


def pod(
    name: str = "pod",
    *containers: Container,
    namespace: str = "shop",
    labels: Mapping[str, str] | None = None,
    owner: Owner | None = None,
    problems: Sequence[str] = (),
) -> Document:
    return Document(
        resource=Resource(api_version="v1", kind="Pod", namespace=namespace, name=name),
        labels=labels or {},
        owner=owner,
        containers=containers or (container(),),
        problems=tuple(Problem(message=problem) for problem in problems),
    )


def thing(api_version: str, kind: str, name: str = "thing", namespace: str = "shop", **more: Any) -> Document:
    return Document(resource=Resource(api_version=api_version, kind=kind, namespace=namespace, name=name), **more)


def deployment(name: str = "web", *containers: Container, namespace: str = "shop") -> tuple[Document, Document]:
    """The Deployment, and the Pod that its template would make."""
    itself = thing("apps/v1", "Deployment", name, namespace)
    made = Document(
        resource=Resource(api_version="v1", kind="Pod", namespace=namespace, name=""),
        containers=containers or (container(),),
        template="spec.template",
        parent=itself.resource,
    )
    return itself, made
