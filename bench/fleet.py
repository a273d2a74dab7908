"""A made-up but lifelike fleet: the Pods, Services and Ingresses of one large cluster, from a seed.

Pods look as the API server returns them (about 4.7 KB of compact JSON each): ten replicas to a Deployment on average,
about 40 namespaces, 300 images, 1.6 containers to a Pod. What breaks rules, breaks them for all Pods of a Deployment,
as it does in life; about 3.3 findings come on a Pod with the parameters of bench/parameters.json.
"""

import random
from collections.abc import Iterable, Iterator, Mapping

from bench.workload import APPS, STAGES, TEAMS, Deployment, Object, deployment, images, suffix, uid

PODS_PER_DEPLOYMENT = 10
CREATED = "2026-02-03T04:05:06Z"


def pods(count: int, seed: int) -> Iterator[Object]:
    """`count` Pods, the same ones for the same seed, and a shorter run is the beginning of a longer one."""
    rng = random.Random(f"pods {seed}")
    pool = images(rng)
    made = serial = 0
    while made < count:
        serial += 1
        owner = deployment(rng, pool, serial)
        for _ in range(min(rng.randint(1, 2 * PODS_PER_DEPLOYMENT - 1), count - made)):
            yield _pod(rng, owner)
            made += 1


def unlike_pods(count: int, seed: int) -> Iterator[Object]:
    """`count` Pods of which each is its own Deployment's, with images and resources that no other one has."""
    rng = random.Random(f"unlike pods {seed}")
    pool = images(rng)
    for serial in range(1, count + 1):
        pod = _pod(rng, deployment(rng, pool, serial))
        spec = pod["spec"]
        yield pod | {"spec": spec | _unlike({kind: spec[kind] for kind in _CONTAINERS if kind in spec}, serial)}


def deployments(count: int, seed: int) -> Iterator[Object]:
    """`count` Deployments as somebody commits them, each with images and resources that no other one has."""
    rng = random.Random(f"deployments {seed}")
    pool = images(rng)
    for serial in range(1, count + 1):
        owner = deployment(rng, pool, serial)
        labels = {name: value for name, value in owner.labels.items() if name != "pod-template-hash"}
        containers = {"containers": owner.containers}
        if owner.init_containers:
            containers["initContainers"] = owner.init_containers
        yield {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": owner.name, "namespace": owner.namespace, "labels": labels},
            "spec": {
                "replicas": rng.randint(1, 9),
                "selector": {"matchLabels": {"app": owner.name}},
                "template": {
                    "metadata": {"labels": labels},
                    "spec": {"serviceAccountName": owner.team} | _unlike(containers, serial),
                },
            },
        }


def services(count: int, seed: int) -> Iterator[Object]:
    """`count` Services: mostly ClusterIP, some load balancers (half of them public), some node ports."""
    rng = random.Random(f"services {seed}")
    for number in range(count):
        team = rng.choice(TEAMS)
        app = rng.choice(APPS)
        kind = rng.choices(("ClusterIP", "LoadBalancer", "NodePort", "ExternalName"), (80, 12, 5, 3))[0]
        metadata = _metadata(rng, f"{app}-{number}", f"{team}-{rng.choice(STAGES)}", {"app.kubernetes.io/name": app})
        if kind == "LoadBalancer" and rng.random() < 0.5:
            metadata["annotations"] = {"service.beta.kubernetes.io/azure-load-balancer-internal": "true"}
        spec: Object = {"type": kind, "sessionAffinity": "None"}
        if kind == "ExternalName":
            spec["externalName"] = f"{app}.{team}.example.com"
        else:
            spec |= _service_network(rng, number, kind, app)
        yield {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": metadata,
            "spec": spec,
            "status": {"loadBalancer": {}},
        }


def ingresses(count: int, seed: int) -> Iterator[Object]:
    """`count` Ingresses: one in five without TLS, one in ten on a host that another one has too."""
    rng = random.Random(f"ingresses {seed}")
    hosts: list[str] = []
    for number in range(count):
        team = rng.choice(TEAMS)
        app = rng.choice(APPS)
        if hosts and rng.random() < 0.1:
            host = rng.choice(hosts)
        else:
            host = f"{app}-{number}.{team}.contoso.com"
            hosts.append(host)
        metadata = _metadata(rng, f"{app}-{number}", f"{team}-{rng.choice(STAGES)}", {"app.kubernetes.io/name": app})
        backend = {"service": {"name": f"{app}-{number}", "port": {"number": 80}}}
        rule = {"host": host, "http": {"paths": [{"path": "/", "pathType": "Prefix", "backend": backend}]}}
        spec: Object = {"ingressClassName": "nginx", "rules": [rule]}
        if rng.random() < 0.8:
            spec["tls"] = [{"hosts": [host], "secretName": f"{app}-{number}-tls"}]
        yield {
            "apiVersion": "networking.k8s.io/v1",
            "kind": "Ingress",
            "metadata": metadata,
            "spec": spec,
            "status": {"loadBalancer": {}},
        }


def namespaces() -> Iterator[Object]:
    """The Namespaces that all these objects are in."""
    for team in TEAMS:
        for stage in STAGES:
            yield {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": f"{team}-{stage}"}}


_CONTAINERS = ("containers", "initContainers", "ephemeralContainers")


def _unlike(containers: Mapping[str, Iterable[Object]], serial: int) -> Object:
    """Lists of containers, by their fields, with images and memory limits of this number alone.

    The limits are above what is requested: an API server takes no others.
    """

    def one(container: Object) -> Object:
        resources = container["resources"]
        if "memory" in resources.get("limits", ()):
            resources = resources | {"limits": resources["limits"] | {"memory": f"{(64 << 10) + serial}Ki"}}
        return container | {"image": f"{container['image']}-{serial}", "resources": resources}

    return {kind: [one(container) for container in each] for kind, each in containers.items()}


def _pod(rng: random.Random, owner: Deployment) -> Object:
    replica_set = f"{owner.name}-{owner.hash}"
    token_volume = f"kube-api-access-{suffix(rng, 5)}"
    volumes = [_token_volume(token_volume)]
    mounts: list[Object] = [
        {"name": token_volume, "readOnly": True, "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount"}
    ]
    if owner.scratch:
        volumes.append({"name": "scratch", "emptyDir": {}})
        mounts.append({"name": "scratch", "mountPath": "/scratch"})
    metadata: Object = {
        "name": f"{replica_set}-{suffix(rng, 5)}",
        "generateName": f"{replica_set}-",
        "namespace": owner.namespace,
        "uid": uid(rng),
        "resourceVersion": str(rng.randint(10_000_000, 99_999_999)),
        "generation": 1,
        "creationTimestamp": CREATED,
        "labels": owner.labels,
        "annotations": {"prometheus.io/scrape": "true"},
        "ownerReferences": [
            {
                "apiVersion": "apps/v1",
                "kind": "ReplicaSet",
                "name": replica_set,
                "uid": owner.replica_set_uid,
                "controller": True,
                "blockOwnerDeletion": True,
            }
        ],
        "managedFields": _managed_fields(owner),
    }
    spec: Object = {
        "volumes": volumes,
        "containers": [container | {"volumeMounts": mounts} for container in owner.containers],
        "restartPolicy": "Always",
        "terminationGracePeriodSeconds": 30,
        "dnsPolicy": "ClusterFirst",
        "serviceAccountName": owner.team,
        "serviceAccount": owner.team,
        "nodeName": f"aks-pool-{rng.randint(10_000_000, 10_000_999)}-vmss{rng.randint(0, 199):06x}",
        "securityContext": {"fsGroup": 2000},
        "schedulerName": "default-scheduler",
        "tolerations": [
            {"key": f"node.kubernetes.io/{what}", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300}
            for what in ("not-ready", "unreachable")
        ],
        "priority": 0,
        "enableServiceLinks": True,
        "preemptionPolicy": "PreemptLowerPriority",
    }
    if owner.init_containers:
        spec["initContainers"] = [container | {"volumeMounts": mounts} for container in owner.init_containers]
    if owner.ephemeral_containers:
        spec["ephemeralContainers"] = list(owner.ephemeral_containers)
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": metadata,
        "spec": spec,
        "status": _status(rng, owner),
    }


def _token_volume(name: str) -> Object:
    return {
        "name": name,
        "projected": {
            "sources": [
                {"serviceAccountToken": {"expirationSeconds": 3607, "path": "token"}},
                {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
                {
                    "downwardAPI": {
                        "items": [
                            {"path": "namespace", "fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.namespace"}}
                        ]
                    }
                },
            ],
            "defaultMode": 420,
        },
    }


def _managed_fields(owner: Deployment) -> list[Object]:
    by_manager = {
        "f:metadata": {
            "f:generateName": {},
            "f:labels": {".": {}, "f:app": {}, "f:pod-template-hash": {}},
            "f:ownerReferences": {".": {}, f'k:{{"uid":"{owner.replica_set_uid}"}}': {}},
        },
        "f:spec": {
            "f:containers": {f'k:{{"name":"{each["name"]}"}}': {".": {}} for each in owner.containers},
            "f:restartPolicy": {},
        },
    }
    return [
        {
            "manager": "kube-controller-manager",
            "operation": "Update",
            "apiVersion": "v1",
            "time": CREATED,
            "fieldsType": "FieldsV1",
            "fieldsV1": by_manager,
        },
        {
            "manager": "kubelet",
            "operation": "Update",
            "apiVersion": "v1",
            "time": CREATED,
            "fieldsType": "FieldsV1",
            "fieldsV1": {"f:status": {"f:conditions": {}, "f:containerStatuses": {}, "f:phase": {}, "f:podIP": {}}},
            "subresource": "status",
        },
    ]


def _status(rng: random.Random, owner: Deployment) -> Object:
    conditions = ("Initialized", "Ready", "PodScheduled")
    address = f"10.{rng.randint(0, 255)}.{rng.randint(0, 255)}.{rng.randint(1, 254)}"
    status: Object = {
        "phase": "Running",
        "conditions": [{"type": kind, "status": "True", "lastTransitionTime": CREATED} for kind in conditions],
        "hostIP": "10.224.0.4",
        "podIP": address,
        "podIPs": [{"ip": address}],
        "startTime": CREATED,
        "containerStatuses": [_container_status(rng, container) for container in owner.containers],
        "qosClass": "Burstable",
    }
    if owner.init_containers:
        status["initContainerStatuses"] = [_container_status(rng, each) for each in owner.init_containers]
    return status


def _container_status(rng: random.Random, container: Object) -> Object:
    return {
        "name": container["name"],
        "state": {"running": {"startedAt": CREATED}},
        "ready": True,
        "restartCount": rng.choice((0, 0, 0, 1, 3)),
        "image": container["image"],
        "imageID": f"sha256:{rng.getrandbits(256):064x}",
        "containerID": f"containerd://{rng.getrandbits(256):064x}",
        "started": True,
    }


def _service_network(rng: random.Random, number: int, kind: str, app: str) -> Object:
    """Ports and addresses; both are unique by number, as a cluster would have given them."""
    port = rng.choice((3000, 8081, 6379) if rng.random() < 0.2 else (80, 443, 8080))
    address = f"10.0.{1 + number // 250}.{1 + number % 250}"
    entry: Object = {"name": "http", "protocol": "TCP", "port": port, "targetPort": 8080}
    if kind != "ClusterIP":
        entry["nodePort"] = 30000 + number % 2768
    return {
        "ports": [entry],
        "selector": {"app.kubernetes.io/name": app},
        "clusterIP": address,
        "clusterIPs": [address],
        "ipFamilies": ["IPv4"],
        "ipFamilyPolicy": "SingleStack",
        "internalTrafficPolicy": "Cluster",
    }


def _metadata(rng: random.Random, name: str, namespace: str, labels: Object) -> Object:
    return {
        "name": name,
        "namespace": namespace,
        "uid": uid(rng),
        "resourceVersion": str(rng.randint(10_000_000, 99_999_999)),
        "creationTimestamp": f"2026-02-{rng.randint(1, 28):02}T{rng.randint(0, 23):02}:05:06Z",
        "labels": labels,
    }
