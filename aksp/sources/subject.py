"""One object of a cluster, or the Pods of one workload, to be explained; and one object among manifests."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from msgspec.structs import replace

from aksp.compliance.selection import Selector
from aksp.engine import Batch, Engine
from aksp.errors import Forbidden, InvalidInput
from aksp.kube import objects
from aksp.kube.connection import Connection
from aksp.kube.errors import BadRequest, ServerError
from aksp.kube.fetch import get_json
from aksp.kube.kinds import Kind, list_path, refuse_other_servers
from aksp.kube.names import ResourceName
from aksp.model.compliance import Gap, SourceLocation
from aksp.model.kinds import WORKLOADS
from aksp.model.resource import Document, Owner, Resource, workload_of
from aksp.sources.cluster import Cluster
from aksp.sources.folders import some
from aksp.sources.interface import Page, Wanted, documents_of
from aksp.sources.manifests import Manifests, hidden

Object = dict[str, Any]
#: How many objects one request to the engine brings.
_PAGE = 500


class LiveSubject:
    """One object of a cluster; of a workload also its Pods, or the Pod of its template when it has none.

    ``namespace`` counts for a kind with namespaces; None is whichever it lies in.
    """

    def __init__(self, engine: Engine, connection: Connection, kind: Kind, name: str, namespace: str | None) -> None:
        self._engine, self._connection, self._kind = engine, connection, kind
        self._name = name
        self._anywhere = namespace is None and kind.namespaced
        self._namespace = namespace or "" if kind.namespaced else ""
        self.documents: list[Document] = []
        self._gaps: list[Gap] = []
        self._surroundings: list[Object] = []
        self.pods: list[Object] = []
        self.itself: Object = {}

    @property
    def is_workload(self) -> bool:
        """Whether it makes Pods."""
        known = WORKLOADS.get(self._kind.kind)
        return known is not None and known.api_version == self._kind.api_version

    def fetch(self) -> None:
        """Get it from the cluster. Raises InvalidInput when it is not there, ClusterError when it cannot be had."""
        if self._anywhere:
            self._namespace = self._place()
        path = objects.object_path_of(self._kind, self._name, self._namespace or None)
        found = objects.get(self._connection, path)
        if found is None:
            refuse_other_servers(self._connection)
            where = f" in namespace {self._namespace}" if self._namespace else ""
            raise InvalidInput(f"there is no {self._kind.kind} {self._name!r}{where}", hint=self._near())
        self.itself = {"apiVersion": self._kind.api_version, "kind": self._kind.kind, **found}
        if self.is_workload:
            self._get_pods()
            if not self.pods:
                self._get_surroundings()

    def object_of(self, resource: Resource) -> Object | None:
        """The object that a result is about, as the cluster has it."""
        for one in (self.itself, *self.pods):
            metadata = one.get("metadata") or {}
            if (one.get("kind"), metadata.get("name")) == (resource.kind, resource.name):
                return one
        return None

    def pages(self, wanted: Wanted) -> Iterator[Page]:
        """What referential rules compare with, then the object and its Pods."""
        if self._gaps:
            yield Page(listing="Pods", gaps=self._gaps)
        if wanted.whole:
            yield from self._compared(wanted)
        template = self.is_workload and not self.pods
        # Only manifests are taken apart into the Pod that they would make.
        yield self._page([self.itself], wanted, as_manifest=template)
        for start in range(0, len(self.pods), _PAGE):
            yield self._page(self.pods[start : start + _PAGE], wanted)

    def _compared(self, wanted: Wanted) -> Iterator[Page]:
        everything = Cluster(self._engine, self._connection)
        try:
            for page in everything.pages(Wanted(kinds=wanted.whole, whole=wanted.whole)):
                yield replace(page, documents=())
        except (Forbidden, ServerError):
            # It is a gap of the page before; the object itself was had.
            return

    def _page(self, items: Sequence[Object], wanted: Wanted, *, as_manifest: bool = False) -> Page:
        batch = self._loaded(items, wanted, as_manifest=as_manifest)
        documents = documents_of(batch.documents)
        self.documents += documents
        listing = f"{items[0].get('kind')} {self._name}"
        gaps = [Gap(reason="UnreadableDocument", message=f"{listing}: {one['message']}") for one in batch.problems]
        return Page(listing=listing, batch=batch, documents=documents, gaps=gaps)

    def _loaded(self, items: Sequence[Object], wanted: Wanted, *, as_manifest: bool) -> Batch:
        if as_manifest:
            (one,) = items
            text = json.dumps(one, ensure_ascii=False).encode()
            loading = self._engine.load_files(
                [{"length": len(text)}], text, whole_kinds=wanted.whole_names, surroundings=self._surroundings
            )
            return self._engine.loaded(loading)
        named = {"apiVersion": items[0]["apiVersion"], "kind": f"{items[0]['kind']}List", "metadata": {}}
        body = json.dumps({**named, "items": list(items)}, ensure_ascii=False).encode()
        return self._engine.load_list(body, whole_kinds=wanted.whole_names)

    def _get_pods(self) -> None:
        path = f"/api/v1/namespaces/{self._namespace}/pods"
        try:
            listed = objects.list_all(self._connection, path, label_selector=_pod_selector(self.itself))
        except (Forbidden, ServerError) as error:
            reason = "Forbidden" if isinstance(error, Forbidden) else "ListFailed"
            self._gaps.append(Gap(reason=reason, message=f"Pods of {self._name} could not be listed: {error.what}"))
            return
        owner = Owner(kind=self._kind.kind, name=self._name)
        self.pods = [one for one in listed if _made_by(one, owner)]

    def _get_surroundings(self) -> None:
        """Get what the API server would change the Pod of the template by; without it, it is judged all the same."""
        for kind, plural in (("LimitRange", "limitranges"), ("ServiceAccount", "serviceaccounts")):
            path = f"/api/v1/namespaces/{self._namespace}/{plural}"
            try:
                self._surroundings += objects.list_all(self._connection, path)
            except (Forbidden, ServerError) as error:
                reason = "Forbidden" if isinstance(error, Forbidden) else "ListFailed"
                what = f"{kind}s of {self._namespace} could not be listed, and the template is judged without them"
                self._gaps.append(Gap(reason=reason, message=f"{what}: {error.what}"))

    def _place(self) -> str:
        """The one namespace in which it lies. Raises InvalidInput where there is none, or several."""
        query = {"fieldSelector": f"metadata.name={self._name}"}
        listed = get_json(self._connection, list_path(self._kind, None), query=query).get("items") or ()
        places = sorted(str((one.get("metadata") or {}).get("namespace")) for one in listed)
        if len(places) == 1:
            return places[0]
        if not places:
            raise InvalidInput(f"there is no {self._kind.kind} {self._name!r} in any namespace", hint=self._near())
        raise InvalidInput(f"there are {len(places)} {self._kind.plural} called {self._name!r}", hint=_places(places))

    def _near(self) -> str:
        """What is there under the same name in other namespaces, or under a similar one in this, as a hint."""
        command = f"see `kubectl get {self._kind.plural}{f' -n {self._namespace}' if self._namespace else ''}`"
        same = self._names(None, {"fieldSelector": f"metadata.name={self._name}"}) if self._namespace else []
        places = _places(namespace for _, namespace in same)
        if places:
            return places
        there = self._names(self._namespace or None, {"limit": str(_PAGE)})
        return near(self._name, [name for name, _ in there]) or command

    def _names(self, namespace: str | None, query: Mapping[str, str]) -> list[tuple[str, str]]:
        """(name, namespace) of some objects of the kind; none where they cannot be listed."""
        try:
            listed = get_json(self._connection, list_path(self._kind, namespace), query=query).get("items") or ()
        except (Forbidden, ServerError, BadRequest):
            return []
        found = [one.get("metadata") or {} for one in listed]
        return [(str(one.get("name")), str(one.get("namespace"))) for one in found]


class WrittenSubject:
    """One object among manifests, with what its template would make, and the Pods that say they are its own.

    All others stay unjudged, though referential rules compare with them.
    """

    def __init__(self, objects: Manifests, named: ResourceName, namespace: str | None) -> None:
        self._objects, self._named, self._namespace = objects, named, namespace
        self.documents: list[Document] = []
        self.sources: list[SourceLocation | None] = []
        self._others: set[str] = set()
        self._elsewhere: set[str] = set()

    def pages(self, wanted: Wanted) -> Iterator[Page]:
        """The pages of the manifests with all other documents hidden."""
        for page in self._objects.pages(wanted):
            kept = []
            for at, document in enumerate(page.documents):
                if self._is(document):
                    self.documents.append(document)
                    self.sources.append(page.sources[at] if page.sources else None)
                    kept.append(document)
                else:
                    if document.resource.kind and document.parent is None:
                        self._note(document.resource)
                    kept.append(hidden(document))
            yield replace(page, documents=kept)

    @property
    def resources(self) -> list[Resource]:
        """The objects of the name, without the Pods that they make."""
        own = [one.parent or one.resource for one in self.documents if self._itself(one.parent or one.resource)]
        return list(dict.fromkeys(own))

    def missing(self, gaps: Sequence[Gap]) -> InvalidInput:
        """The message when the subject was not found; it may be in a document that could not be read."""
        where = f" in namespace {self._namespace}" if self._namespace else ""
        unread = f", of which some could not be read ({gaps[0].message})" if gaps else ""
        what = f"there is no {self._named} in these manifests{where}{unread}"
        return InvalidInput(what, hint=_places(self._elsewhere) or near(str(self._named), sorted(self._others)) or None)

    def _is(self, document: Document) -> bool:
        resource = document.parent or document.resource
        if self._itself(resource):
            return True
        owner = document.owner
        known = WORKLOADS.get(owner.kind) if owner else None
        group = known.group if known else ""
        return (
            owner is not None
            and owner.name == self._named.name
            and self._named.is_kind(group, owner.kind)
            and self._namespace in (None, resource.namespace)
        )

    def _note(self, resource: Resource) -> None:
        """Keep what is there, spelled as the name that is looked for is."""
        same = self._named.is_kind(resource.group, resource.kind)
        self._others.add(f"{self._named.kind if same else resource.kind.lower()}/{resource.name}")
        if same and resource.name == self._named.name:
            self._elsewhere.add(resource.namespace)

    def _itself(self, resource: Resource) -> bool:
        return (
            resource.name == self._named.name
            and self._named.is_kind(resource.group, resource.kind)
            and (self._namespace is None or resource.namespace in ("", self._namespace))
        )


#: A source of one thing to be explained; what it found, its ``documents``, is known once its pages have been taken.
SubjectSource = LiveSubject | WrittenSubject


def _places(namespaces: Iterable[str]) -> str:
    """A hint that there is one of the name in other namespaces; empty when there is none."""
    known = sorted(namespaces)
    return f"there is one in namespace {some(known)}: give it with -n" if known else ""


def near(name: str, known: Sequence[str]) -> str:
    """A hint with up to three names like this one; empty when there is none."""
    close = difflib.get_close_matches(name, known, n=3, cutoff=0.6)
    return f"did you mean {' or '.join(close)}?" if close else ""


def _pod_selector(workload: Mapping[str, Any]) -> str | None:
    """A workload's selector of Pods as a request takes it; None where it has none, and all Pods are looked at."""
    selector = (workload.get("spec") or {}).get("selector")
    if not isinstance(selector, Mapping) or not selector:
        return None
    document = {"matchLabels": selector} if workload.get("kind") == "ReplicationController" else selector
    try:
        return Selector.parse(document).text() or None
    except ValueError:
        return None


def _made_by(pod: Mapping[str, Any], owner: Owner) -> bool:
    """Whether a Pod's controller is the workload, or was made by it."""
    metadata = pod.get("metadata") or {}
    for one in metadata.get("ownerReferences") or ():
        if one.get("controller"):
            direct = Owner(kind=one["kind"], name=one["name"])
            return owner in (direct, workload_of(one["kind"], one["name"], metadata.get("labels") or {}))
    return False
