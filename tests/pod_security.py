"""The levels of the Pod Security Standards, as definitions with their parameters."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

DEFAULT_CAPABILITIES = [
    "AUDIT_WRITE", "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "MKNOD", "NET_BIND_SERVICE", "SETFCAP",
    "SETGID", "SETPCAP", "SETUID", "SYS_CHROOT",
]  # fmt: skip
#: The definitions of each level with their parameters.
BASELINE: Mapping[str, Mapping[str, Any]] = {
    "allowed-capabilities": {"allowedCapabilities": DEFAULT_CAPABILITIES},
    "allowed-host-paths": {},
    "allowed-proc-mount-types": {},
    "allowed-sysctls": {},
    "apparmor-profiles": {},
    "block-host-namespaces": {},
    "host-network-ports": {},
    "no-host-process": {},
    "no-privileged": {},
    "no-probe-hosts": {},
    "seccomp-profiles": {"requireProfile": False},
    "selinux-options": {},
}
RESTRICTED: Mapping[str, Mapping[str, Any]] = {
    **{slug: given for slug, given in BASELINE.items() if slug != "allowed-host-paths"},
    "allowed-capabilities": {"allowedCapabilities": ["NET_BIND_SERVICE"], "requiredDropCapabilities": ["ALL"]},
    "allowed-proc-mount-types": {"allowInUserNamespaces": False},
    "allowed-volume-types": {},
    "no-privilege-escalation": {},
    "run-as-non-root": {},
    "seccomp-profiles": {},
}
LEVELS = {"baseline": BASELINE, "restricted": RESTRICTED}
