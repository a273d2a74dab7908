"""The objects that `aksp addon enable` applies; the chart under ``charts/aksp`` makes the same.

The custom resources' definitions are the chart's own files: ``aksp/crds`` is a link to them. They take every document that
aksp.store.documents and aksp.catalog.custom read, and refuse what can be told from a field by itself. What needs the
definition (parameters) or the engine (Rego) shows in the status.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from aksp.addon import names
from aksp.addon.install import rbac, workload
from aksp.addon.settings import Settings, made
from aksp.yaml_reader import read_file, read_yaml

Document = dict[str, Any]


def crds() -> list[Document]:
    """All CustomResourceDefinitions, in the order to be applied."""
    paths = sorted((Path(__file__).parents[2] / "crds").glob("*.yaml"))
    return [document for path in paths for document, _ in read_yaml(read_file(path), path.name)]


def everything(settings: Settings) -> list[Document]:
    """The CustomResourceDefinitions, then `manifests`."""
    return [*crds(), *manifests(settings)]


def manifests(settings: Settings) -> list[Document]:
    """All objects but the CustomResourceDefinitions, in the order to be applied.

    The webhook comes last: by then there is somebody to answer, and it has no rules before the
    add-on writes them. Where Gatekeeper refuses there is none. They, the CA bundle, the certificate and what the Lease says are the running
    add-on's own.
    """
    secret = None if settings.cert_secret or settings.gatekeeper else names.SECRET
    found: list[Document] = []
    if settings.create_namespace and settings.namespace != names.NAMESPACE:
        found.append(_namespace(settings))
    found += [
        made("v1", "ServiceAccount", names.NAME, settings.namespace, automountServiceAccountToken=False),
        rbac.cluster_role(settings.kinds, settings.constraints if settings.gatekeeper else None),
        rbac.binding("ClusterRole", settings.namespace),
        rbac.role(settings.namespace, secret, webhook=not settings.gatekeeper),
        rbac.binding("Role", settings.namespace),
        made("coordination.k8s.io/v1", "Lease", names.LEASE, settings.namespace),
    ]
    if secret:
        found.append(made("v1", "Secret", secret, settings.namespace, type="Opaque"))
    if settings.webhook_url is None:
        found += [] if settings.gatekeeper else [workload.service(settings)]
        found += [workload.network_policy(settings), workload.deployment(settings)]
        # One replica could never be drained.
        found += [workload.disruption_budget(settings)] if settings.replicas > 1 else []
    return found if settings.gatekeeper else [*found, _intention(settings), _webhook(settings)]


def removable(namespace: str) -> list[Document]:
    """Whatever `manifests` may have made, in the order to be deleted. A namespace is nobody's alone, and stays.

    First what the webhook configuration is to be, so that nobody makes it again, then the configuration: from then on
    nothing asks the add-on.
    """
    webhook, intention, *others = reversed(manifests(Settings(namespace=namespace)))
    return [intention, webhook, *others]


def _namespace(settings: Settings) -> Document:
    found = made("v1", "Namespace", settings.namespace)
    found["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] = "restricted"
    return found


def _intention(settings: Settings) -> Document:
    """What the running add-on keeps the webhook configuration at, and `aksp addon status` compares it with."""
    text = json.dumps(_webhook(settings), sort_keys=True, separators=(",", ":"))
    data = {names.WEBHOOK_KEY: text}
    if settings.client_ca:
        data[names.CLIENT_CA_KEY] = settings.client_ca
    return made("v1", "ConfigMap", names.CONFIG_MAP, settings.namespace, data=data)


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
