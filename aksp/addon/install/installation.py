"""The add-on's objects in a cluster: put there, brought up to date, taken away."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Any

from aksp.addon import names
from aksp.addon.in_force.documents import conditions_of
from aksp.addon.install import gatekeeper_objects
from aksp.addon.install.manifests import Document, crds, manifests, removable
from aksp.addon.settings import Listed, Settings
from aksp.catalog.folder import is_bundled
from aksp.compliance.expressions import is_expression
from aksp.errors import ClusterError, InvalidInput
from aksp.kube import objects
from aksp.kube.connection import Connection
from aksp.kube.errors import NotServed
from aksp.kube.kinds import KINDS, Discovery, list_path
from aksp.model.definition import Definition, ResourceKind
from aksp.model.initiative import Initiative
from aksp.report.formats.policyreport import OPEN_REPORTS, POLICY_REPORTS
from aksp.sources.interface import NAMESPACE

MANAGER = "aksp"
ESTABLISHED_SECONDS = 30.0
GONE_SECONDS = 60.0
POLL_SECONDS = 0.1
_BINDING = f"/apis/rbac.authorization.k8s.io/v1/clusterrolebindings/{names.CLUSTER_ROLE}"
_CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
Tell = Callable[[str], None]
#: What may be listed whatever is assigned: kinds that most policies are about. Roles, nodes, webhooks and the like tell
#: much of a cluster.
_USUAL_GROUPS = ("apps", "autoscaling", "batch", "networking.k8s.io", "policy")
_USUAL_KINDS = ("Namespace", "Pod", "ReplicationController", "Service")


def label(document: Mapping[str, Any]) -> str:
    """An object as kubectl names it: ``deployment.apps/aksp``."""
    group = document["apiVersion"].rpartition("/")[0].partition("/")[0]
    return f"{document['kind'].lower()}{'.' if group else ''}{group}/{document['metadata']['name']}"


def installed_in(connection: Connection) -> str | None:
    """The namespace of the add-on in a cluster; None when it is not there."""
    binding = objects.get(connection, _BINDING)
    for subject in (binding or {}).get("subjects") or ():
        return str(subject.get("namespace", names.NAMESPACE))
    return None


def listed_kinds(
    definitions: Iterable[Definition],
    discovery: Discovery | None,
    note: Tell,
    assigned: Collection[ResourceKind] = (),
    used: Collection[str] = (),
) -> tuple[Listed, ...]:
    """What must be listed for these definitions; with discovery just what the cluster serves.

    ``assigned`` are the kinds of assignments, as parameters may give them, ``used`` the slugs of the definitions that
    are assigned. Of others that come with aksp only usual kinds count.
    """
    compared = {
        one
        for definition in definitions
        for kind in definition.requires_inventory
        for one in _each_group(kind, discovery)
    }
    if any(definition.namespace_selector for definition in definitions):
        compared.add(NAMESPACE)
    wanted = {
        kind
        for definition in definitions
        for kind in definition.kinds
        if kind.group in _USUAL_GROUPS
        or (kind.group == "" and kind.kind in _USUAL_KINDS)
        or definition.slug in used
        or not is_bundled(definition)
    }
    wanted |= compared | set(assigned)
    # What comes with aksp is also about kinds that clusters no longer have, or not all have.
    expected = {kind for definition in definitions if is_bundled(definition) for kind in definition.kinds}
    expected -= {kind for kind in assigned if "*" in (kind.group, kind.kind)}
    found: dict[tuple[str, str], Listed] = {}
    for kind in sorted(wanted, key=lambda kind: (kind.group, kind.kind)):
        for plural in _plurals(kind, discovery, (lambda text: None) if kind in expected else note):
            key = kind.group, plural
            watched = kind in compared or (key in found and found[key].watched)
            found[key] = Listed(group=kind.group, plural=plural, watched=watched)
    return tuple(found[key] for key in sorted(found))


def _each_group(kind: ResourceKind, discovery: Discovery | None) -> list[ResourceKind]:
    """A kind that rules compare with; one of any group as it is in each, as far as that can be told."""
    if kind.group != "*":
        return [kind]
    if discovery is None:
        return [ResourceKind(group=group, kind=name) for group, name in KINDS if name == kind.kind] or [kind]
    with contextlib.suppress(NotServed):
        return [ResourceKind(group=one.group, kind=one.kind) for one in discovery.named(kind.kind)]
    return []


def _plurals(kind: ResourceKind, discovery: Discovery | None, note: Tell) -> Iterator[str]:
    if is_expression(kind.kind) or is_expression(kind.group):
        # Those that it stands for are known by assignments.
        return
    elif "*" in (kind.group, kind.kind):
        note(
            f"a definition is about {kind.group}/{kind.kind}: the add-on gets no right to list every kind, so name the kinds"
        )
    elif known := KINDS.get((kind.group, kind.kind)):
        yield known.plural
    elif discovery is not None:
        try:
            yield discovery.find(kind.group, kind.kind).plural
        except NotServed:
            # Most often extensions/Ingress, which no cluster has had since Kubernetes 1.22.
            return
    elif kind.group != "extensions":
        note(
            f"{kind.kind}.{kind.group} is not a kind that every cluster has: give --cluster to look its plural up,"
            " else the add-on may not list it"
        )


def cluster_definitions(connection: Connection, note: Tell) -> list[Definition]:
    """The cluster's own definitions; those that are wrong are told and left out."""
    from aksp.catalog.custom import definition_from_resource

    found = []
    for document in _custom_resources(connection, names.DEFINITIONS):
        try:
            found.append(definition_from_resource(document, label(document)))
        except InvalidInput as error:
            note(f"{error}; its kinds get no rights yet")
    return found


def cluster_initiatives(connection: Connection) -> list[Initiative]:
    """The cluster's own initiatives; those that are wrong are left out, and the add-on tells of them."""
    from aksp.catalog.initiatives import initiative_from_resource

    found = []
    for document in _custom_resources(connection, names.INITIATIVES):
        with contextlib.suppress(InvalidInput):
            found.append(initiative_from_resource(document, label(document)))
    return found


def install(connection: Connection, settings: Settings, tell: Tell) -> None:
    """Apply everything, and delete what other settings made before; a line per object. Raises ClusterError."""
    before = installed_in(connection)
    if before not in (None, settings.namespace):
        raise InvalidInput(
            f"the add-on is enabled in namespace {before} of this cluster already",
            hint=f"give --namespace {before}, or run `aksp addon disable --keep-data` first",
        )
    discovery = Discovery(connection)
    definitions = crds()
    for document in definitions:
        _apply(connection, discovery, document, tell)
    for document in definitions:
        _wait_established(connection, document["metadata"]["name"])
    wanted = manifests(settings)
    for document in wanted:
        try:
            _apply(connection, discovery, document, tell)
        except NotServed as error:
            raise ClusterError(
                f"{label(document)} cannot be created: {error.what}",
                where=error.where,
                hint=f"is there a namespace {settings.namespace}? --create-namespace makes it",
            ) from error
    kept = {label(document) for document in wanted}
    for document in removable(settings.namespace):
        if label(document) not in kept:
            _delete(connection, discovery, document, tell)
    if not settings.gatekeeper:
        gatekeeper_objects.remove(connection, tell)


def uninstall(connection: Connection, namespace: str, *, keep_data: bool, tell: Tell) -> None:
    """Delete everything, the webhook first; the custom resources too unless data are kept. Raises ClusterError."""
    discovery = Discovery(connection)
    for document in removable(namespace):
        _delete(connection, discovery, document, tell)
    # By now the add-on has no right to make them again.
    gatekeeper_objects.remove(connection, tell)
    if keep_data:
        return
    _delete_reports(connection, discovery, tell)
    definitions = crds()
    for document in definitions:
        path = f"{_CRDS}/{document['metadata']['name']}"
        plural = document["spec"]["names"]["plural"]
        count = len(_custom_resources(connection, plural))
        if objects.delete(connection, path):
            tell(f"{label(document)} deleted" + (f", with {count} {plural}" if count else ""))
    # One that is on its way out would refuse whatever is applied to it.
    deadline = time.monotonic() + GONE_SECONDS
    for document in definitions:
        path = f"{_CRDS}/{document['metadata']['name']}"
        while objects.get(connection, path) is not None:
            if time.monotonic() > deadline:
                raise ClusterError(
                    f"{label(document)} is still being deleted after {GONE_SECONDS:g} s",
                    where=connection.server,
                    hint="an object of it has a finalizer: see `kubectl get " + document["metadata"]["name"] + " -A`",
                )
            time.sleep(POLL_SECONDS)


def _apply(connection: Connection, discovery: Discovery, document: Document, tell: Tell) -> None:
    path = objects.object_path(discovery, document)
    before = objects.get(connection, path)
    after = objects.apply(connection, path, document, manager=MANAGER)
    if before is None:
        change = "created"
    elif before["metadata"].get("resourceVersion") == after["metadata"].get("resourceVersion"):
        change = "unchanged"
    else:
        change = "configured"
    tell(f"{label(document)} {change}")


def _delete(connection: Connection, discovery: Discovery, document: Document, tell: Tell) -> None:
    path = objects.object_path(discovery, document)
    found = objects.get(connection, path)
    if found is None:
        return
    labels = found["metadata"].get("labels") or {}
    if not names.MANAGED_BY.items() <= labels.items():
        tell(f"{label(document)} kept: it does not have the label app.kubernetes.io/managed-by=aksp")
    elif objects.delete(connection, path):
        tell(f"{label(document)} deleted")


def _delete_reports(connection: Connection, discovery: Discovery, tell: Tell) -> None:
    """Delete the reports that the add-on wrote for others to read; they would stay as they were for ever."""
    known = (POLICY_REPORTS, OPEN_REPORTS)
    for group, kind in ((one.group, kind) for one in known for kind in (one.namespaced, one.cluster)):
        try:
            served = discovery.find(group, kind)
            found = objects.list_all(connection, list_path(served), label_selector=names.OURS)
        except NotServed:
            continue
        for document in found:
            objects.delete(connection, objects.object_path(discovery, document))
        if found:
            tell(f"{len(found)} {served.plural}.{served.group} deleted")


def _wait_established(connection: Connection, name: str) -> None:
    deadline = time.monotonic() + ESTABLISHED_SECONDS
    while True:
        found = objects.get(connection, f"{_CRDS}/{name}") or {}
        conditions = conditions_of(found)
        if conditions.get("Established", {}).get("status") == "True":
            return
        if time.monotonic() > deadline:
            refused = conditions.get("NamesAccepted", {}).get("message", "")
            raise ClusterError(
                f"customresourcedefinition {name} is not established after {ESTABLISHED_SECONDS:g} s"
                + (f": {refused}" if refused else ""),
                where=connection.server,
            )
        time.sleep(POLL_SECONDS)


def _custom_resources(connection: Connection, plural: str) -> list[dict[str, Any]]:
    """Those of a kind that there are; none where it is not served."""
    try:
        return objects.list_all(connection, names.collection(plural))
    except NotServed:
        return []
