"""What the Pods of a made-up Deployment have in common: images, containers, labels, and the rules they break."""

import random
import string
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Object = dict[str, Any]

IMAGE_COUNT = 300
TEAMS = ("shop", "pay", "search", "ship", "crm", "ledger", "media", "auth", "stock", "mail")
STAGES = ("dev", "test", "stage", "prod")
APPS = ("api", "web", "worker", "gateway", "cache", "indexer", "sync", "report", "events", "admin", "feed", "jobs")
_PUBLIC = (
    "nginx", "redis", "docker.io/library/busybox", "docker.io/bitnami/postgresql", "quay.io/prometheus/node-exporter",
    "mcr.microsoft.com/dotnet/aspnet", "ghcr.io/fluxcd/source-controller", "gcr.io/distroless/static",
    "contoso.azurecr.io.example.net/shop/api", "registry.example.net/contoso.azurecr.io/web",
)  # fmt: skip
_ALLOWED_PORTS = (80, 443, 8080, 8443, 9090, 9095)
_ODD_PORTS = (22, 3000, 5000, 5432, 6379, 8081, 8880, 9229, 11211, 15090, 27017)
_SIDECARS = ("istio-proxy", "log-agent", "otel-collector", "vault-agent")
_INITS = ("migrate", "wait-for-db", "fix-permissions")
_QUANTITIES = (("100m", "128Mi"), ("250m", "256Mi"), ("500m", "512Mi"), ("1", "1Gi"), ("2", "2Gi"), ("1500m", "1536Mi"))
_TOO_MUCH = (("4", "8Gi"), ("8", "16Gi"), ("2500m", "2049Mi"))
_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"


@dataclass(frozen=True, kw_only=True)
class Deployment:
    """What the Pods of one Deployment have in common."""

    name: str
    namespace: str
    team: str
    hash: str
    replica_set_uid: str
    labels: Mapping[str, str]
    containers: tuple[Object, ...]
    init_containers: tuple[Object, ...]
    ephemeral_containers: tuple[Object, ...]
    scratch: bool
    """Whether the containers mount an emptyDir."""


def images(rng: random.Random) -> list[str]:
    """References to the images; about two thirds of them are in contoso's registry."""
    found = []
    for number in range(IMAGE_COUNT):
        tag = f"{rng.randint(1, 9)}.{rng.randint(0, 30)}.{rng.randint(0, 12)}"
        if rng.random() < 0.68:
            found.append(f"contoso.azurecr.io/{rng.choice(TEAMS)}/{rng.choice(APPS)}-{number}:{tag}")
        else:
            found.append(f"{rng.choice(_PUBLIC)}:{tag}")
    return found


def deployment(rng: random.Random, pool: list[str], serial: int) -> Deployment:
    """Deployment number `serial`, its images from `pool`."""
    team = rng.choice(TEAMS)
    stage = rng.choice(STAGES)
    app = rng.choice(APPS)
    name = f"{team}-{app}-{serial}"
    template_hash = suffix(rng, 10)
    labels = {
        "app": name,
        "app.kubernetes.io/instance": name,
        "app.kubernetes.io/managed-by": "Helm",
        "app.kubernetes.io/part-of": team,
        "app.kubernetes.io/version": f"{rng.randint(1, 9)}.{rng.randint(0, 30)}",
        "environment": stage,
        "pod-template-hash": template_hash,
    }
    if rng.random() < 0.75:
        labels["app.kubernetes.io/name"] = app
    if rng.random() < 0.7:
        labels["team"] = team
    if rng.random() < 0.7:
        labels["cost-center"] = f"cc-{rng.randint(1000, 9999)}" if rng.random() < 0.85 else "unknown"
    containers = [_container(rng, app, rng.choice(pool))]
    while rng.random() < 0.24 and len(containers) < 4:
        containers.append(_container(rng, _SIDECARS[len(containers)], rng.choice(pool)))
    inits = [_container(rng, name, rng.choice(pool)) for name in _INITS if rng.random() < 0.08]
    if rng.random() < 0.05:
        inits.append(_container(rng, "mesh-proxy", rng.choice(pool)) | {"restartPolicy": "Always"})
    ephemeral = []
    if rng.random() < 0.01:
        ephemeral.append(_ephemeral(rng, rng.choice(pool), app))
    return Deployment(
        name=name,
        namespace=f"{team}-{stage}",
        team=team,
        hash=template_hash,
        replica_set_uid=uid(rng),
        labels=dict(sorted(labels.items())),
        containers=tuple(containers),
        init_containers=tuple(inits),
        ephemeral_containers=tuple(ephemeral),
        scratch=rng.random() < 0.4,
    )


def _container(rng: random.Random, name: str, image: str) -> Object:
    container: Object = {"name": name, "image": image}
    if rng.random() < 0.4:
        container["args"] = [f"--{flag}={rng.randint(1, 999)}" for flag in ("workers", "timeout", "buffer")]
    if ports := _ports(rng):
        container["ports"] = ports
    container["env"] = _environment(rng)
    container["resources"] = _resources(rng)
    if name not in _INITS and rng.random() < 0.4:
        port = container["ports"][0]["containerPort"] if ports else 8080
        container["livenessProbe"] = _probe("/healthz", port)
        container["readinessProbe"] = _probe("/ready", port)
    container["terminationMessagePath"] = "/dev/termination-log"
    container["terminationMessagePolicy"] = "File"
    container["imagePullPolicy"] = "IfNotPresent"
    if context := _security_context(rng):
        container["securityContext"] = context
    return container


def _ephemeral(rng: random.Random, image: str, target: str) -> Object:
    return {
        "name": f"debugger-{suffix(rng, 5)}",
        "image": image,
        "resources": {},
        "terminationMessagePath": "/dev/termination-log",
        "terminationMessagePolicy": "File",
        "imagePullPolicy": "IfNotPresent",
        "stdin": True,
        "tty": True,
        "targetContainerName": target,
    }


def _ports(rng: random.Random) -> list[Object]:
    numbers = rng.choices((0, 1, 2, 3), (15, 50, 25, 10))[0]
    chosen: list[int] = []
    for _ in range(numbers):
        port = rng.choice(_ODD_PORTS if rng.random() < 0.36 else _ALLOWED_PORTS)
        if port not in chosen:
            chosen.append(port)
    names = ("http", "metrics", "admin")
    return [{"name": name, "containerPort": port, "protocol": "TCP"} for name, port in zip(names, chosen, strict=False)]


def _environment(rng: random.Random) -> list[Object]:
    found: list[Object] = [{"name": "LOG_LEVEL", "value": rng.choice(("info", "warn", "debug"))}]
    if rng.random() < 0.3:
        by_field = {"fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.name"}}
        found.append({"name": "POD_NAME", "valueFrom": by_field})
    for key in rng.sample(("DATABASE_URL", "CACHE_URL", "QUEUE_URL", "FEATURES", "REGION"), rng.randint(0, 2)):
        if key.endswith("_URL") and rng.random() < 0.4:
            reference = {"name": key.lower().replace("_", "-"), "key": "url"}
            found.append({"name": key, "valueFrom": {"secretKeyRef": reference}})
        else:
            found.append({"name": key, "value": f"{key.lower()}-{rng.randint(1, 999)}.internal.contoso.com"})
    return found


def _resources(rng: random.Random) -> Object:
    cpu, memory = rng.choice(_QUANTITIES)
    requests = {"cpu": "50m", "memory": "64Mi"}
    kind = rng.choices(("good", "none", "no-cpu", "no-memory", "requests", "large"), (55, 14, 14, 3, 9, 5))[0]
    match kind:
        case "none":
            return {}
        case "requests":
            return {"requests": requests}
        case "no-cpu":
            return {"limits": {"memory": memory}, "requests": requests}
        case "no-memory":
            return {"limits": {"cpu": cpu}, "requests": requests}
        case "large":
            cpu, memory = rng.choice(_TOO_MUCH)
    return {"limits": {"cpu": cpu, "memory": memory}, "requests": requests}


def _security_context(rng: random.Random) -> Object:
    if rng.random() < 0.03:
        return {"privileged": True}
    if rng.random() < 0.4:
        return {}
    return {
        "capabilities": {"drop": ["ALL"]},
        "privileged": False,
        "runAsNonRoot": True,
        "readOnlyRootFilesystem": rng.random() < 0.6,
        "allowPrivilegeEscalation": False,
    }


def _probe(path: str, port: int) -> Object:
    return {
        "httpGet": {"path": path, "port": port, "scheme": "HTTP"},
        "timeoutSeconds": 1,
        "periodSeconds": 10,
        "successThreshold": 1,
        "failureThreshold": 3,
    }


def suffix(rng: random.Random, length: int) -> str:
    """Letters and digits as Kubernetes appends them to generated names."""
    return "".join(rng.choices(_ALPHABET, k=length))


def uid(rng: random.Random) -> str:
    """A UID in the form of a random UUID."""
    digits = "".join(rng.choices(string.hexdigits[:16], k=32))
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-a{digits[17:20]}-{digits[20:]}"
