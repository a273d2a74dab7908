"""What the add-on's objects in a cluster are called; the Helm chart uses the same names."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import Final

from aksp.model.assignment import API_GROUP, API_VERSION


class EngineName(StrEnum):
    """Who refuses by what is assigned: the add-on's own webhook, or the cluster's Gatekeeper."""

    AKSP = "aksp"
    GATEKEEPER = "gatekeeper"


GROUP: Final = API_GROUP
API: Final = f"/apis/{API_VERSION}"

NAME: Final = "aksp"
"""Service, Deployment, ServiceAccount, PodDisruptionBudget and ValidatingWebhookConfiguration."""
NAMESPACE: Final = "kube-system"
"""Where the add-on runs by default, as Azure's does (Azure: "Understand Azure Policy for Kubernetes clusters")."""
WEBHOOK: Final = "validation.policy.aksp.io"
"""The webhook in the ValidatingWebhookConfiguration; kubectl shows it beside every refusal."""
CLUSTER_ROLE: Final = "aksp-addon"
SECRET: Final = "aksp-webhook-cert"
LEASE: Final = "aksp-leader"
CONFIG_MAP: Final = "aksp-webhook"
"""What the webhook configuration is to be, as it was enabled; see `aksp.addon.in_force.configuration`."""
WEBHOOK_KEY: Final = "webhook.json"
CLIENT_CA_KEY: Final = "client-ca.crt"
WRITTEN: Final = f"{GROUP}/written"
"""An annotation of the webhook configuration: the digest of the rules and CA bundle that the add-on wrote."""
ADMIT_PATH: Final = "/v1/admit"
FIELD_MANAGER: Final = "aksp-addon"
"""Owns what the running add-on writes: the webhook's rules and CA bundle. `aksp` owns what commands apply."""
MANAGED_BY: Final = {"app.kubernetes.io/managed-by": "aksp"}
OURS: Final = "app.kubernetes.io/managed-by=aksp"
"""The label selector of what has that label."""


def left_out(namespace: str, given: Iterable[str] = ()) -> list[str]:
    """The namespaces in which nothing is refused, so that whatever happens can be repaired: those of the system and the add-on."""
    return sorted({NAMESPACE, namespace, *given})


#: Plurals of the custom resources; all but PolicyDenial are without a namespace.
DEFINITIONS: Final = "policydefinitions"
INITIATIVES: Final = "policysetdefinitions"
ASSIGNMENTS: Final = "policyassignments"
EXEMPTIONS: Final = "policyexemptions"
DENIALS: Final = "policydenials"
REPORTS: Final = "compliancereports"


def collection(plural: str) -> str:
    """The path of all custom resources of a kind."""
    return f"{API}/{plural}"
