"""Pods for each control of the Pod Security Standards: allowed and forbidden values, everywhere they can stand."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Iterator
from typing import Any

Object = dict[str, Any]

APPARMOR = "container.apparmor.security.beta.kubernetes.io"
SAFE = [
    "kernel.shm_rmid_forced", "net.ipv4.ip_local_port_range", "net.ipv4.ip_local_reserved_ports",
    "net.ipv4.ip_unprivileged_port_start", "net.ipv4.ping_group_range", "net.ipv4.tcp_fin_timeout",
    "net.ipv4.tcp_keepalive_intvl", "net.ipv4.tcp_keepalive_probes", "net.ipv4.tcp_keepalive_time",
    "net.ipv4.tcp_rmem", "net.ipv4.tcp_syncookies", "net.ipv4.tcp_wmem",
]  # fmt: skip
CAPABILITIES = [
    "ALL", "AUDIT_CONTROL", "AUDIT_READ", "AUDIT_WRITE", "BLOCK_SUSPEND", "BPF", "CHECKPOINT_RESTORE", "CHOWN",
    "DAC_OVERRIDE", "DAC_READ_SEARCH", "FOWNER", "FSETID", "IPC_LOCK", "IPC_OWNER", "KILL", "LEASE",
    "LINUX_IMMUTABLE", "MAC_ADMIN", "MAC_OVERRIDE", "MKNOD", "NET_ADMIN", "NET_BIND_SERVICE", "NET_BROADCAST",
    "NET_RAW", "PERFMON", "SETFCAP", "SETGID", "SETPCAP", "SETUID", "SYSLOG", "SYS_ADMIN", "SYS_BOOT", "SYS_CHROOT",
    "SYS_MODULE", "SYS_NICE", "SYS_PACCT", "SYS_PTRACE", "SYS_RAWIO", "SYS_RESOURCE", "SYS_TIME", "SYS_TTY_CONFIG",
    "WAKE_ALARM", "CAP_CHOWN", "chown", "*", "",
]  # fmt: skip
PROFILES: list[Object | None] = [
    {"type": "RuntimeDefault"}, {"type": "Localhost", "localhostProfile": "profiles/a"}, {"type": "Unconfined"}, None,
]  # fmt: skip
TYPES = ["container_t", "container_init_t", "container_kvm_t", "container_engine_t", "spc_t", ""]

#: What a container or a Pod may say in its securityContext, by control; the values of a Pod stand beside all of a container.
OF_BOTH: dict[str, list[Object]] = {
    "seccomp": [{"seccompProfile": profile} for profile in PROFILES],
    "AppArmor": [{"appArmorProfile": profile} for profile in PROFILES],
    "SELinux": [
        *({"seLinuxOptions": {"type": each}} for each in TYPES),
        {"seLinuxOptions": {"user": "system_u"}},
        {"seLinuxOptions": {"role": "system_r"}},
        {"seLinuxOptions": {"level": "s0:c1,c2"}},
        {"seLinuxOptions": {"user": "", "role": "", "type": "container_t"}},
        {"seLinuxOptions": None},
    ],
    "non-root": [{"runAsNonRoot": value} for value in (True, False, None)],
    "user": [{"runAsUser": value} for value in (0, 1, 1000, None)],
    "non-root and user": [{"runAsNonRoot": value, "runAsUser": user} for value in (True, False) for user in (0, 1000)],
    "host process": [{"windowsOptions": {"hostProcess": value}} for value in (True, False, None)],
}
#: What a container alone may say there.
OF_CONTAINERS: dict[str, list[Object]] = {
    "privileged": [{"privileged": value} for value in (True, False, None)],
    "privileged, and no escalation": [{"privileged": True, "allowPrivilegeEscalation": None}],
    "escalation": [{"allowPrivilegeEscalation": value} for value in (True, False, None)],
    "added": [{"capabilities": {"drop": ["ALL"], "add": [name]}} for name in CAPABILITIES],
    "dropped": [
        *({"capabilities": {"drop": names}} for names in ([], ["ALL"], ["NET_RAW"], ["all"], ["NET_RAW", "ALL"])),
        {"capabilities": {"drop": ["ALL"], "add": ["NET_BIND_SERVICE", "CHOWN", "SYS_ADMIN"]}},
        {"capabilities": {"add": ["NET_BIND_SERVICE"]}},
        {"capabilities": None},
        {"capabilities": {}},
    ],
    "/proc": [{"procMount": value} for value in ("Default", "Unmasked", None)],
}
#: Other fields of a container.
FIELDS: dict[str, list[Object]] = {
    "ports": [
        *({"ports": [{"containerPort": 80, "hostPort": value}]} for value in (0, 80, 65535, None)),
        {"ports": [{"containerPort": 80}, {"containerPort": 81, "protocol": "UDP", "hostPort": 81}]},
    ],
    "probes": [
        {probe: {handler: {"port": 80, "path": "/", "host": host} if handler == "httpGet" else {"port": 80, "host": host}}}
        for probe in ("livenessProbe", "readinessProbe", "startupProbe")
        for handler in ("httpGet", "tcpSocket")
        for host in ("", "127.0.0.1", "example.com")
    ],
    "hooks": [
        {"lifecycle": {hook: {handler: {"port": 80, "host": host}}}}
        for hook in ("postStart", "preStop")
        for handler in ("httpGet", "tcpSocket")
        for host in ("", "127.0.0.1")
    ],
}  # fmt: skip
#: Sources of volumes.
VOLUMES: list[Object] = [
    {"awsElasticBlockStore": {"volumeID": "a"}},
    {"azureDisk": {"diskName": "a", "diskURI": "https://a.blob.core.windows.net/a/a.vhd"}},
    {"azureFile": {"secretName": "a", "shareName": "a"}},
    {"cephfs": {"monitors": ["a"]}},
    {"cinder": {"volumeID": "a"}},
    {"configMap": {"name": "a"}},
    {"csi": {"driver": "a.example.com"}},
    {"downwardAPI": {"items": []}},
    {"emptyDir": {}},
    {"ephemeral": {"volumeClaimTemplate": {"spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}}}},
    {"fc": {"lun": 0, "targetWWNs": ["a"]}},
    {"flexVolume": {"driver": "a/a"}},
    {"flocker": {"datasetName": "a"}},
    {"gcePersistentDisk": {"pdName": "a"}},
    {"gitRepo": {"repository": "https://example.com/a"}},
    {"glusterfs": {"endpoints": "a", "path": "a"}},
    {"hostPath": {"path": "/"}},
    {"hostPath": {"path": "/var/log", "type": "Directory"}},
    {"image": {"reference": "contoso.azurecr.io/data:1"}},
    {"iscsi": {"targetPortal": "10.0.0.1", "iqn": "iqn.2001-04.com.example:a", "lun": 0}},
    {"nfs": {"server": "a", "path": "/"}},
    {"persistentVolumeClaim": {"claimName": "a"}},
    {"photonPersistentDisk": {"pdID": "a"}},
    {"portworxVolume": {"volumeID": "a"}},
    {"projected": {"sources": [{"configMap": {"name": "a"}}]}},
    {"quobyte": {"registry": "a:1", "volume": "a"}},
    {"rbd": {"monitors": ["a"], "image": "a"}},
    {"scaleIO": {"gateway": "a", "system": "a", "secretRef": {"name": "a"}, "volumeName": "a"}},
    {"secret": {"secretName": "a"}},
    {"storageos": {"volumeName": "a", "volumeNamespace": "a"}},
    {"vsphereVolume": {"volumePath": "a"}},
    {},
]  # fmt: skip
#: Fields of a Pod.
OF_PODS: dict[str, list[Object]] = {
    "host namespaces": [
        {name: value for name, value in zip(("hostNetwork", "hostPID", "hostIPC"), values, strict=True) if value is not None}
        for values in itertools.product((True, False, None), repeat=3)
    ],
    "sysctls": [
        *({"securityContext": {"sysctls": [{"name": name, "value": "1"}]}} for name in SAFE),
        *(
            {"securityContext": {"sysctls": [{"name": name, "value": "1"}]}}
            for name in ("kernel.msgmax", "net.core.somaxconn", "net/ipv4/tcp_syncookies", "net.ipv4.tcp_syncookies2", "fs.mqueue.a")
        ),
        {"securityContext": {"sysctls": [{"name": SAFE[0], "value": "1"}, {"name": "kernel.sem", "value": "1"}]}},
        {"securityContext": {"sysctls": []}},
    ],
    "volumes": [{"volumes": [{"name": "a", **source}]} for source in VOLUMES],
}  # fmt: skip
#: Values of the old annotation for AppArmor.
ANNOTATIONS = ["runtime/default", "localhost/a", "unconfined", ""]

#: What else is said of a Pod, whatever the control.
SORTS: dict[str, Object] = {
    "plain": {},
    "linux": {"os": {"name": "linux"}},
    "windows": {"os": {"name": "windows"}},
    "user namespace": {"hostUsers": False},
    "no user namespace": {"hostUsers": True},
}
KINDS = ("initContainers", "containers", "ephemeralContainers")
#: What complies with the restricted level, of a container and of a Pod.
GOOD: Object = {
    "allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}, "runAsNonRoot": True,
    "seccompProfile": {"type": "RuntimeDefault"},
}  # fmt: skip


def base(sort: str, *, good: bool) -> Object:
    """The spec of a Pod that complies with the restricted level, or that says as little as it can."""
    spec: Object = {**SORTS[sort], "securityContext": {}}
    for kind in KINDS:
        spec[kind] = [{"name": kind.lower(), "image": "contoso.azurecr.io/app:1", "securityContext": {}}]
    if good:
        context = {"runAsNonRoot": True} if sort == "windows" else GOOD
        for kind in KINDS:
            spec[kind][0]["securityContext"] = copy.deepcopy(context)
    return copy.deepcopy(spec)


def specs() -> Iterator[tuple[str, Object, Object]]:
    """A word for each Pod, its annotations and its spec; what stands in an ephemeral container has to be added to it."""
    for sort, good in itertools.product(SORTS, (True, False)):
        said_anyway = sort in ("linux", "no user namespace")
        if said_anyway and not good:
            continue
        # What is true of any Pod makes no difference in one kind of container, so one is enough.
        kinds = KINDS[1:2] if said_anyway else KINDS
        of = f"{sort}, {'good' if good else 'bare'}"
        for control, value, places in _placed(kinds):
            spec = base(sort, good=good)
            for place in places:
                target = spec if place == "Pod" else spec[place][0]
                target["securityContext"] = target["securityContext"] | value
            yield f"{of}: {control} {value} in {', '.join(places)}", {}, spec
        for control, pods, own in _overriding():
            for kind in kinds[:2]:
                spec = base(sort, good=good)
                spec["securityContext"] |= pods
                spec[kind][0]["securityContext"] |= own
                yield f"{of}: {control} {pods} in the Pod and {own} in {kind}", {}, spec
        for control, values in FIELDS.items():
            for value, kind in itertools.product(values, kinds):
                spec = base(sort, good=good)
                spec[kind][0] |= value
                if kind == "initContainers" and control != "ports":
                    spec[kind][0]["restartPolicy"] = "Always"
                yield f"{of}: {control} {value} in {kind}", {}, spec
        for control, values in OF_PODS.items():
            for value in values:
                spec = base(sort, good=good)
                context = spec["securityContext"] | value.get("securityContext", {})
                yield f"{of}: {control} {value}", {}, spec | value | {"securityContext": context}
        for of_pod, of_each in itertools.product((True, False, None), repeat=2):
            spec = base(sort, good=good) | {"hostNetwork": True}
            spec["securityContext"] |= {"windowsOptions": {"hostProcess": of_pod}}
            for kind in KINDS[:2]:
                spec[kind][0]["securityContext"] |= {"windowsOptions": {"hostProcess": of_each}}
            yield f"{of}: host process {of_pod} in the Pod and {of_each} in its containers", {}, spec
        for profile, kind in itertools.product(ANNOTATIONS, KINDS[:2]):
            annotations = {f"{APPARMOR}/{kind.lower()}": profile}
            yield f"{of}: annotation {profile!r} for {kind}", annotations, base(sort, good=good)


def _placed(kinds: tuple[str, ...]) -> Iterator[tuple[str, Object, tuple[str, ...]]]:
    """Each value at each place where it can stand alone."""
    for control, values in OF_CONTAINERS.items():
        for value, kind in itertools.product(values, kinds):
            yield control, value, (kind,)
    for control, values in OF_BOTH.items():
        for value, place in itertools.product(values, (*kinds, "Pod")):
            yield control, value, (place,)


def _overriding() -> Iterator[tuple[str, Object, Object]]:
    """Each value of a Pod with each of a container."""
    for control, values in OF_BOTH.items():
        if control not in ("SELinux", "AppArmor"):
            for pods, own in itertools.product(values, values):
                yield control, pods, own
