"""What the add-on may do: list the kinds that rules are about, write its own objects, and nothing more.

Every rule is a list of names; there is no ``*``. The only Secret that it can read is its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from aksp.addon import names
from aksp.addon.review.owners import WORKLOADS
from aksp.addon.settings import Listed, made
from aksp.gatekeeper.names import SYNC_SET

_GROUP = "rbac.authorization.k8s.io"
_WRITE = ["create", "delete", "get", "list", "patch", "update"]


def cluster_role(kinds: Sequence[Listed], constraints: Sequence[str] | None = None) -> dict[str, Any]:
    """Rights in the whole cluster. ``constraints``: the kinds of constraints, by plural, where Gatekeeper refuses."""
    own = [names.DEFINITIONS, names.INITIATIVES, names.ASSIGNMENTS, names.EXEMPTIONS]
    rules = [
        _rule([names.GROUP], own, ["get", "list", "watch"]),
        _rule([names.GROUP], [f"{plural}/status" for plural in own], ["get", "patch", "update"]),
        _rule([names.GROUP], [names.DENIALS, names.REPORTS], _WRITE),
        *(_of_webhook() if constraints is None else _of_gatekeeper(sorted(constraints))),
        # Whether documents went because somebody deleted them, or their kind.
        _rule(
            ["apiextensions.k8s.io"],
            ["customresourcedefinitions"],
            ["get"],
            [f"{plural}.{names.GROUP}" for plural in own],
        ),
        # Reports of the Policy Working Group, where the cluster has them.
        _rule(["wgpolicyk8s.io"], ["clusterpolicyreports", "policyreports"], _WRITE),
        _rule(["openreports.io"], ["clusterreports", "reports"], _WRITE),
    ]
    for kind in sorted(kinds):
        rules.append(_rule([kind.group], [kind.plural], ["list", "watch"] if kind.watched else ["list"]))
    return made(f"{_GROUP}/v1", "ClusterRole", names.CLUSTER_ROLE, rules=rules)


def _of_webhook() -> list[dict[str, Any]]:
    """What the add-on's own webhook needs: its configuration, and what it asks and writes for a review."""
    return [
        # `create` counts for server-side apply alone, which names what it makes: a POST does not, and is refused.
        # `list` and `watch` count for a field selector that names it.
        _rule(
            ["admissionregistration.k8s.io"],
            ["validatingwebhookconfigurations"],
            ["create", "get", "list", "patch", "update", "watch"],
            [names.NAME],
        ),
        _rule([""], ["events"], ["create", "patch"]),
        # Whether the workload that is exempted has made a Pod.
        *(_rule([group], list(plurals), ["get"]) for group, plurals in WORKLOADS.items()),
    ]


def _of_gatekeeper(constraints: list[str]) -> list[dict[str, Any]]:
    """What keeping Gatekeeper's objects in step needs: a template is called as the kind of its constraints."""
    write = ["create", "delete", "get", "patch", "update"]
    listed = ["list", "watch"]
    return [
        _rule(["templates.gatekeeper.sh"], ["constrainttemplates"], listed),
        _rule(["templates.gatekeeper.sh"], ["constrainttemplates"], write, constraints),
        _rule(["constraints.gatekeeper.sh"], constraints, sorted([*write, *listed])),
        _rule(["syncset.gatekeeper.sh"], ["syncsets"], listed),
        _rule(["syncset.gatekeeper.sh"], ["syncsets"], write, [SYNC_SET]),
    ]


def role(namespace: str, secret: str | None, *, webhook: bool = True) -> dict[str, Any]:
    """Rights in the add-on's namespace: its Lease, and its Secret unless somebody else makes the certificate.

    What the webhook configuration is to be it may only read.
    """
    verbs = ["get", "patch", "update"]
    rules = [_rule(["coordination.k8s.io"], ["leases"], verbs, [names.LEASE])]
    if webhook:
        rules.append(_rule([""], ["configmaps"], ["get"], [names.CONFIG_MAP]))
    if secret:
        rules.append(_rule([""], ["secrets"], verbs, [secret]))
    return made(f"{_GROUP}/v1", "Role", names.CLUSTER_ROLE, namespace, rules=rules)


def binding(role: str, namespace: str) -> dict[str, Any]:
    """The ``Role`` or the ``ClusterRole``, given to the add-on's ServiceAccount in ``namespace``."""
    return made(
        f"{_GROUP}/v1",
        f"{role}Binding",
        names.CLUSTER_ROLE,
        namespace if role == "Role" else None,
        roleRef={"apiGroup": _GROUP, "kind": role, "name": names.CLUSTER_ROLE},
        subjects=[{"kind": "ServiceAccount", "name": names.NAME, "namespace": namespace}],
    )


def _rule(groups: list[str], resources: list[str], verbs: list[str], only: list[str] | None = None) -> dict[str, Any]:
    rule = {"apiGroups": groups, "resources": resources, "verbs": list(verbs)}
    return rule | ({"resourceNames": only} if only else {})
