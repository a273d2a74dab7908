"""The Deployment of the add-on, its Service, its NetworkPolicy and its PodDisruptionBudget.

The Pod meets the Pod Security Standard "restricted": https://kubernetes.io/docs/concepts/security/pod-security-standards/
"""

from __future__ import annotations

from typing import Any

from aksp.addon import names
from aksp.addon.settings import Settings, made

HTTPS_PORT, PLAIN_PORT = 8443, 8080
SELECTED = {"app.kubernetes.io/name": names.NAME, "app.kubernetes.io/component": "addon"}
#: The user and group of the image (Dockerfile); distroless' "nonroot".
USER = 65532
CERTIFICATES = "/certificates"
CLIENT_CA = "/client-ca"


def service(settings: Settings) -> dict[str, Any]:
    """What the API server calls."""
    port = {"name": "https", "port": 443, "protocol": "TCP", "targetPort": "https"}
    return made(
        "v1", "Service", names.NAME, settings.namespace,
        spec={"type": "ClusterIP", "selector": SELECTED, "ports": [port]},
    )  # fmt: skip


def disruption_budget(settings: Settings) -> dict[str, Any]:
    """One replica stays while nodes are drained."""
    spec = {"minAvailable": 1, "selector": {"matchLabels": SELECTED}}
    return made("policy/v1", "PodDisruptionBudget", names.NAME, settings.namespace, spec=spec)


def network_policy(settings: Settings) -> dict[str, Any]:
    """Who reaches the Pods: who asks for reviews, at one port; /metrics only when it is open.

    Probes come from the Pod's own node, which is always let in (Kubernetes: "Network Policies").
    """
    ingress: list[dict[str, Any]] = []
    asked: dict[str, Any] = {"ports": [{"port": "https", "protocol": "TCP"}]}
    if settings.api_server_cidrs:
        asked["from"] = [{"ipBlock": {"cidr": cidr}} for cidr in settings.api_server_cidrs]
    if not settings.gatekeeper:
        ingress.append(asked)
    if settings.open_metrics:
        ingress.append({"ports": [{"port": "plain", "protocol": "TCP"}]})
    spec = {"podSelector": {"matchLabels": SELECTED}, "policyTypes": ["Ingress"], "ingress": ingress}
    return made("networking.k8s.io/v1", "NetworkPolicy", names.NAME, settings.namespace, spec=spec)


def deployment(settings: Settings) -> dict[str, Any]:
    """The replicas."""
    return made(
        "apps/v1",
        "Deployment",
        names.NAME,
        settings.namespace,
        spec={
            "replicas": settings.replicas,
            "selector": {"matchLabels": SELECTED},
            # A new replica answers before an old one goes.
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}},
            "template": {"metadata": {"labels": {**SELECTED, **names.MANAGED_BY}}, "spec": pod_spec(settings)},
        },
    )


def pod_spec(settings: Settings) -> dict[str, Any]:
    """The Pod of a replica."""
    critical = settings.namespace == names.NAMESPACE
    # Certificates pass through files on their way into TLS, and belong on no disk.
    volumes: list[dict[str, Any]] = [{"name": "tmp", "emptyDir": {"medium": "Memory", "sizeLimit": "32Mi"}}]
    if settings.cert_secret:
        volumes.append({"name": "certificates", "secret": {"secretName": settings.cert_secret, "defaultMode": 0o440}})
    if settings.client_ca:
        item = {"key": names.CLIENT_CA_KEY, "path": names.CLIENT_CA_KEY}
        volumes.append({"name": "client-ca", "configMap": {"name": names.CONFIG_MAP, "items": [item]}})
    spec: dict[str, Any] = {
        "serviceAccountName": names.NAME,
        "automountServiceAccountToken": True,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": 60,
        "nodeSelector": {"kubernetes.io/os": "linux"},
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": USER,
            "runAsGroup": USER,
            "fsGroup": USER,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "affinity": {
            "podAntiAffinity": {
                "preferredDuringSchedulingIgnoredDuringExecution": [
                    {
                        "weight": 100,
                        "podAffinityTerm": {
                            "topologyKey": "kubernetes.io/hostname",
                            "labelSelector": {"matchLabels": SELECTED},
                        },
                    }
                ]
            }
        },
        "topologySpreadConstraints": [
            {
                "maxSkew": 1,
                "topologyKey": "topology.kubernetes.io/zone",
                "whenUnsatisfiable": "ScheduleAnyway",
                "labelSelector": {"matchLabels": SELECTED},
            }
        ],
        "containers": [_container(settings)],
        "volumes": volumes,
    }
    if critical:
        # The class is kept for the namespace of the system; node pools of AKS for it have the taint.
        spec["priorityClassName"] = "system-cluster-critical"
        spec["tolerations"] = [{"key": "CriticalAddonsOnly", "operator": "Exists"}]
    return spec


def arguments(settings: Settings) -> list[str]:
    """The command line of a replica."""
    given = [
        "addon",
        "run",
        f"--namespace={settings.namespace}",
        f"--cluster-name={settings.cluster_name}",
        f"--sync-interval={settings.sync_interval}",
        f"--engine={settings.engine}" if settings.gatekeeper else f"--unjudged={settings.of_unjudged}",
    ]
    if settings.gatekeeper:
        given += [f"--exclude-namespace={name}" for name in settings.exclude_namespaces]
    if settings.cert_secret:
        given.append(f"--cert-dir={CERTIFICATES}")
    if settings.client_ca:
        given.append(f"--client-ca={CLIENT_CA}/{names.CLIENT_CA_KEY}")
    given += [f"--client-name={name}" for name in settings.client_names]
    if settings.open_metrics:
        given.append("--open-metrics")
    given += [f"--controller-account={account}" for account in settings.controller_accounts]
    return given


def _container(settings: Settings) -> dict[str, Any]:
    mounts: list[dict[str, Any]] = [{"name": "tmp", "mountPath": "/tmp"}]  # noqa: S108 - the container's own
    if settings.cert_secret:
        mounts.append({"name": "certificates", "mountPath": CERTIFICATES, "readOnly": True})
    if settings.client_ca:
        mounts.append({"name": "client-ca", "mountPath": CLIENT_CA, "readOnly": True})
    return {
        "name": names.NAME,
        "image": settings.image,
        "imagePullPolicy": "IfNotPresent",
        "args": arguments(settings),
        # The identity in the Lease.
        "env": [{"name": "POD_NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}],
        "ports": [
            *([] if settings.gatekeeper else [{"name": "https", "containerPort": HTTPS_PORT, "protocol": "TCP"}]),
            {"name": "plain", "containerPort": PLAIN_PORT, "protocol": "TCP"},
        ],
        # Definitions are compiled before it listens.
        "startupProbe": _probe("/healthz", periodSeconds=2, failureThreshold=60),
        "livenessProbe": _probe("/healthz", periodSeconds=10, failureThreshold=6, timeoutSeconds=5),
        "readinessProbe": _probe("/readyz", periodSeconds=5, failureThreshold=2, timeoutSeconds=3),
        "resources": {"requests": {"cpu": "100m", "memory": "128Mi"}, "limits": {"memory": "512Mi"}},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": mounts,
    }


def _probe(path: str, **timing: int) -> dict[str, Any]:
    return {"httpGet": {"path": path, "port": "plain"}, **timing}
