"""The objects that `aksp addon enable` applies; the chart under ``charts/aksp`` makes the same."""

from __future__ import annotations

from typing import Any

from aksp.addon import names, rbac, workload
from aksp.addon.crds import crds
from aksp.addon.settings import Settings, made

Document = dict[str, Any]


def everything(settings: Settings) -> list[Document]:
    """The CustomResourceDefinitions, then `manifests`."""
    return [*crds(), *manifests(settings)]


def manifests(settings: Settings) -> list[Document]:
    """All objects but the CustomResourceDefinitions, in the order to be applied.

    The webhook comes last: by then there is somebody to answer, and it has no rules before the
    add-on writes them. They, the certificate and the Lease are the running add-on's own.
    """
    secret = None if settings.cert_secret else names.SECRET
    found: list[Document] = []
    if settings.create_namespace and settings.namespace != names.NAMESPACE:
        found.append(_namespace(settings))
    found += [
        made("v1", "ServiceAccount", names.NAME, settings.namespace, automountServiceAccountToken=False),
        rbac.cluster_role(settings.kinds),
        rbac.cluster_role_binding(settings.namespace),
        rbac.role(settings.namespace, secret),
        rbac.role_binding(settings.namespace),
        made("coordination.k8s.io/v1", "Lease", names.LEASE, settings.namespace),
    ]
    if secret:
        found.append(made("v1", "Secret", secret, settings.namespace, type="Opaque"))
    if settings.webhook_url is None:
        found += [workload.service(settings), workload.deployment(settings)]
        # One replica could never be drained.
        found += [workload.disruption_budget(settings)] if settings.replicas > 1 else []
    return [*found, _webhook(settings)]


def removable(namespace: str) -> list[Document]:
    """Whatever `manifests` may have made, in the order to be deleted: nothing asks the add-on after the first.

    A namespace is nobody's alone, and stays.
    """
    settings = Settings(namespace=namespace)
    made_last, *others = reversed(manifests(settings))
    return [made_last, *others]


def _namespace(settings: Settings) -> Document:
    found = made("v1", "Namespace", settings.namespace)
    found["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] = "restricted"
    return found


def _webhook(settings: Settings) -> Document:
    """The webhook, without rules and CA bundle: the running add-on owns those, by server-side apply.

    So an add-on that never came up can block nothing.
    """
    service = {"namespace": settings.namespace, "name": names.NAME, "path": names.ADMIT_PATH, "port": 443}
    client = {"url": settings.webhook_url} if settings.webhook_url else {"service": service}
    found = made(
        "admissionregistration.k8s.io/v1",
        "ValidatingWebhookConfiguration",
        names.NAME,
        webhooks=[
            {
                "name": names.WEBHOOK,
                "admissionReviewVersions": ["v1"],
                "clientConfig": client,
                "failurePolicy": settings.failure_policy,
                "matchPolicy": "Equivalent",
                # Whatever happens to the add-on, these can be repaired.
                "namespaceSelector": {
                    "matchExpressions": [
                        {
                            "key": "kubernetes.io/metadata.name",
                            "operator": "NotIn",
                            "values": settings.unwatched_namespaces,
                        }
                    ]
                },
                # A refusal is remembered, but for a dry run.
                "sideEffects": "NoneOnDryRun",
                "timeoutSeconds": 3,
            }
        ],
    )
    if settings.inject_ca_from:
        found["metadata"]["annotations"] = {"cert-manager.io/inject-ca-from": settings.inject_ca_from}
    return found
