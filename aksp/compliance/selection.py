"""Which documents an assignment judges: kinds, scopes, names, namespaces and labels.

Gatekeeper's match (its pkg/mutation/match), within the scopes that Azure has.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from functools import cached_property
from typing import Any

from msgspec import Struct

from aksp.compliance.globs import matches_glob
from aksp.compliance.kinds import judges_pods
from aksp.model.assignment import API_GROUP
from aksp.model.definition import ResourceKind
from aksp.model.resource import Document
from aksp.model.scope import Scope

#: The head of a sample: what its objects are to show.
_SAMPLE = (API_GROUP, "PolicySample")

_KEY = r"\s*(?P<key>[A-Za-z0-9](?:[-A-Za-z0-9_./]*[A-Za-z0-9])?)\s*"
_EQUAL = re.compile(_KEY + r"(?P<operator>==?|!=)\s*(?P<value>[-A-Za-z0-9_.]*)\s*")
_SET = re.compile(_KEY + r"(?<=\s)(?P<operator>in|notin)\s*\(\s*(?P<values>[^()]*)\)\s*")
_EXISTS = re.compile(r"\s*(?P<not>!?)" + _KEY)


#: A label's key, an operator (In, NotIn, Exists, DoesNotExist), and values.
Requirement = tuple[str, str, tuple[str, ...]]


class Selector(Struct, frozen=True, kw_only=True):
    """A Kubernetes label selector (metav1.LabelSelector)."""

    match_labels: tuple[tuple[str, str], ...] = ()
    match_expressions: tuple[Requirement, ...] = ()

    @classmethod
    def parse(cls, value: Any, what: str = "labelSelector") -> Selector:
        """Read the JSON form. Raises ValueError with what is wrong; ``what`` is the field it stands in."""
        if value is None:
            return cls()
        if not isinstance(value, Mapping):
            raise ValueError(f"{what} is not an object with matchLabels and matchExpressions")
        if unknown := set(value) - {"matchLabels", "matchExpressions"}:
            raise ValueError(f"{what}: {min(map(str, unknown))!r} is neither matchLabels nor matchExpressions")
        labels = value.get("matchLabels") or {}
        if not isinstance(labels, Mapping) or not all(isinstance(wanted, str) for wanted in labels.values()):
            raise ValueError(f"{what}: matchLabels is not an object of strings")
        entries = value.get("matchExpressions") or []
        if not isinstance(entries, list) or not all(isinstance(entry, Mapping) for entry in entries):
            raise ValueError(f"{what}: matchExpressions is not a list of objects")
        return cls(
            match_labels=tuple(labels.items()),
            match_expressions=tuple(_expression(entry, what) for entry in entries),
        )

    @classmethod
    def parse_text(cls, text: str) -> Selector:
        """Read kubectl's form: ``a=b,c!=d,e in (f,g),h notin (i),j,!k``. Raises ValueError."""
        labels: list[tuple[str, str]] = []
        expressions: list[Requirement] = []
        for term in re.split(r",(?![^(]*\))", text):
            if match := _SET.fullmatch(term):
                values = tuple(value.strip() for value in match["values"].split(","))
                expressions.append((match["key"], "In" if match["operator"] == "in" else "NotIn", values))
            elif match := _EQUAL.fullmatch(term):
                if match["operator"] == "!=":
                    expressions.append((match["key"], "NotIn", (match["value"],)))
                elif match["key"] in dict(labels):
                    # An object has a key once; a second value must not take the place of the first.
                    expressions.append((match["key"], "In", (match["value"],)))
                else:
                    labels.append((match["key"], match["value"]))
            elif match := _EXISTS.fullmatch(term):
                expressions.append((match["key"], "DoesNotExist" if match["not"] else "Exists", ()))
            else:
                raise ValueError(
                    f"label selector {text!r}: {term.strip()!r} is not key=value, key!=value, key in (…), key or !key"
                )
        return cls(match_labels=tuple(labels), match_expressions=tuple(expressions))

    def document(self) -> dict[str, Any]:
        """The JSON form."""
        document: dict[str, Any] = {}
        if self.match_labels:
            document["matchLabels"] = dict(self.match_labels)
        if self.match_expressions:
            document["matchExpressions"] = [
                {"key": key, "operator": operator, **({"values": list(values)} if values else {})}
                for key, operator, values in self.match_expressions
            ]
        return document

    def text(self) -> str:
        """kubectl's form, as a request for a list takes it."""
        labels = [(key, "In", (value,)) for key, value in self.match_labels]
        return ",".join(requirement_text(one) for one in (*labels, *self.match_expressions))

    @property
    def empty(self) -> bool:
        """Whether it selects everything."""
        return not self.match_labels and not self.match_expressions

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Whether labels meet every requirement."""
        return self.unmet(labels) is None

    def rejects(self, document: Document) -> Requirement | None:
        """The first requirement that a document does not meet; a label that cannot be read may meet any."""
        unmet = self.unmet(document.labels)
        if unmet is not None and document.problems and document.unreadable(label_path(unmet[0])):
            return None
        return unmet

    def unmet(self, labels: Mapping[str, str]) -> Requirement | None:
        """The first requirement that labels do not meet.

        Kubernetes: "Labels and Selectors". NotIn also selects what lacks the key.
        """
        for key, wanted in self.match_labels:
            if labels.get(key) != wanted:
                return key, "In", (wanted,)
        for key, operator, values in self.match_expressions:
            present = key in labels
            if operator == "In":
                selected = present and labels[key] in values
            elif operator == "NotIn":
                selected = not present or labels[key] not in values
            elif operator == "Exists":
                selected = present
            else:
                selected = not present
            if not selected:
                return key, operator, values
        return None


def label_path(key: str) -> str:
    """Where a label stands, as the engine writes it."""
    return f"metadata.labels.{key}" if re.fullmatch(r"[A-Za-z_][A-Za-z0-9_-]*", key) else f"metadata.labels['{key}']"


def requirement_text(requirement: Requirement) -> str:
    """A requirement as kubectl writes it: ``app=web``, ``tier notin (a, b)``, ``!debug``."""
    key, operator, values = requirement
    listed = ", ".join(values)
    match operator:
        case "In":
            return f"{key}={listed}" if len(values) == 1 else f"{key} in ({listed})"
        case "NotIn":
            return f"{key}!={listed}" if len(values) == 1 else f"{key} notin ({listed})"
        case "Exists":
            return key
        case _:
            return f"!{key}"


def _expression(entry: Mapping[str, Any], what: str) -> Requirement:
    """One of matchExpressions."""
    key, operator, values = entry.get("key"), entry.get("operator"), entry.get("values") or []
    if operator not in ("In", "NotIn", "Exists", "DoesNotExist"):
        raise ValueError(f"{what}: operator {operator!r} is not one of In, NotIn, Exists, DoesNotExist")
    if not isinstance(key, str):
        raise ValueError(f"{what}: a matchExpressions entry has no key")
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise ValueError(f"{what}: the values for {key!r} are not a list of strings")
    if (operator in ("In", "NotIn")) != bool(values):
        raise ValueError(f"{what}: operator {operator} {'needs' if not values else 'takes no'} values")
    return key, operator, tuple(values)


class Criterion(StrEnum):
    """What a document must pass to be judged, in the order in which it is tried."""

    KINDS = "kinds"
    SCOPE = "scope"
    NOT_SCOPES = "notScopes"
    OBJECT_SCOPE = "match.scope"
    NAMESPACES = "namespaces"
    EXCLUDED_NAMESPACES = "excludedNamespaces"
    NAMESPACE_SELECTOR = "namespaceSelector"
    NAME = "name"
    LABEL_SELECTOR = "labelSelector"


class ObjectScope(StrEnum):
    """Whether objects in namespaces are meant, or those in none, to which Namespaces belong (``match.scope``)."""

    ANY = "*"
    CLUSTER = "Cluster"
    NAMESPACED = "Namespaced"


class Rejection(Struct, frozen=True, kw_only=True):
    """Why a document is not selected: the test it does not pass, and the value that decided, as the assignment has it.

    The value is the scope, the pattern or the requirement; empty where all of a list were tried.
    """

    test: Criterion
    value: Scope | Requirement | str = ""


class Selection(Struct, frozen=True, kw_only=True, dict=True):
    """What one assignment selects. ``name`` and namespaces are names or globs with ``*``.

    ``scope`` is the assignment's, ``target`` the cluster that is evaluated (for files without a
    cluster: the assignment's own, or ``/``). An object of a namespace lies at
    ``<target>/namespaces/<namespace>``, any other at the target.

    What lies in no namespace is not asked for one: ``namespaces``, ``excluded_namespaces`` and
    ``namespace_selector`` let it pass. A Namespace is asked for its own name and labels.
    """

    kinds: tuple[ResourceKind, ...]
    target: Scope
    scope: Scope
    not_scopes: tuple[Scope, ...] = ()
    object_scope: ObjectScope = ObjectScope.ANY
    name: str = ""
    namespaces: tuple[str, ...] = ()
    excluded_namespaces: tuple[str, ...] = ()
    selector: Selector = Selector()
    namespace_selector: Selector = Selector()

    @cached_property
    def _namespaces_seen(self) -> dict[tuple[str, bool], Rejection | None]:
        return {}

    @cached_property
    def _kinds_seen(self) -> dict[tuple[str, str], bool]:
        return {}

    @property
    def judges_pods(self) -> bool:
        """Whether it selects Pods, and so containers."""
        return judges_pods(self.kinds)

    def choose(self, documents: Sequence[Document], groups: DocumentGroups | None = None) -> Sequence[int]:
        """The indices of the documents that it selects; ``groups`` are theirs, where there are other selections, too."""
        if self.name or not self.selector.empty or not self.namespace_selector.empty:
            return [at for at, document in enumerate(documents) if self.selects(document)]
        groups = groups or DocumentGroups(documents)
        return groups.within([number for number, at in enumerate(groups.first) if self.selects(documents[at])])

    def about(self, document: Document) -> bool:
        """Whether a document is of a kind that it is about, wherever it lies."""
        resource = document.resource
        kind = (resource.api_version, resource.kind)
        known = self._kinds_seen.get(kind)
        if known is None:
            known = self._kinds_seen[kind] = self.about_kind(resource.group, resource.kind)
        return known

    def about_kind(self, group: str, kind: str) -> bool:
        """Whether it is about a kind. The head of a sample is never an object of a cluster, so nothing is."""
        return (group, kind) != _SAMPLE and any(one.covers(group, kind) for one in self.kinds)

    def selects(self, document: Document) -> bool:
        """Whether it selects a document."""
        return self.rejection(document) is None

    def rejection(self, document: Document) -> Rejection | None:
        """Why it does not select a document; None when it does."""
        if not self.about(document):
            return _OTHER_KIND
        resource = document.resource
        # A Namespace counts as lying in itself, as in Gatekeeper's matching.
        own = resource.is_namespace
        place = (resource.name if own else resource.namespace, own)
        if place in self._namespaces_seen:
            outside = self._namespaces_seen[place]
        else:
            outside = self._namespaces_seen[place] = self._outside(*place)
        if outside is not None and not document.unreadable("metadata.namespace"):
            return outside
        if not self.namespace_selector.empty:
            labels = document.labels if own else document.namespace_labels
            # Without the Namespace it cannot be told: see undecided.
            if labels is not None and (unmet := self.namespace_selector.unmet(labels)) is not None:
                return Rejection(test=Criterion.NAMESPACE_SELECTOR, value=unmet)
        named = not self.name or matches_glob(self.name, resource.name) or document.unreadable("metadata.name")
        if not named:
            return Rejection(test=Criterion.NAME, value=self.name)
        if self.selector.empty:
            return None
        unmet = self.selector.rejects(document)
        return None if unmet is None else Rejection(test=Criterion.LABEL_SELECTOR, value=unmet)

    def undecided(self, document: Document) -> str | None:
        """Why it cannot be told whether a document that nothing else rejects is selected; None when it can.

        Gatekeeper too takes an object for wrong when its namespaceSelector meets one without its Namespace.
        """
        resource = document.resource
        if self.namespace_selector.empty or resource.is_namespace or not resource.namespace:
            return None
        if document.namespace_labels is not None:
            return None
        return (
            f"its namespaceSelector cannot be decided: the labels of the Namespace {resource.namespace} are not known"
        )

    def _outside(self, namespace: str, itself: bool) -> Rejection | None:
        """Why what lies in a namespace, or in none, is not selected, whatever it is; ``itself`` for the Namespace."""
        place = self.place(namespace)
        if not self.scope.covers(place):
            return Rejection(test=Criterion.SCOPE, value=self.scope)
        left_out = next((other for other in self.not_scopes if other.covers(place)), None)
        if left_out is not None:
            return Rejection(test=Criterion.NOT_SCOPES, value=left_out)
        in_cluster = itself or not namespace
        if self.object_scope is (ObjectScope.NAMESPACED if in_cluster else ObjectScope.CLUSTER):
            return Rejection(test=Criterion.OBJECT_SCOPE, value=self.object_scope)
        if not namespace:
            return None
        if self.namespaces and not any(matches_glob(glob, namespace) for glob in self.namespaces):
            return Rejection(test=Criterion.NAMESPACES)
        excluded = next((glob for glob in self.excluded_namespaces if matches_glob(glob, namespace)), None)
        return None if excluded is None else Rejection(test=Criterion.EXCLUDED_NAMESPACES, value=excluded)

    def reaches_namespace(self, name: str) -> bool:
        """Whether objects in a namespace can be selected, as far as its name decides."""
        return self._outside(name, False) is None

    def place(self, namespace: str) -> Scope:
        """Where what is in a namespace lies, or, with an empty name, what is in none."""
        return self.target.namespace(namespace) if namespace else self.target


class DocumentGroups:
    """The indices of documents, those of one kind in one namespace together, but for what has a problem: that is alone.

    Where neither names nor labels decide, a page of a thousand documents is selected by looking at the ``first`` of each. Selections
    of the same places have one list.
    """

    def __init__(self, documents: Sequence[Document]) -> None:
        groups: dict[object, list[int]] = {}
        for at, document in enumerate(documents):
            one = document.resource
            place = one.api_version, one.kind, one.namespace, one.name if one.is_namespace else ""
            groups.setdefault(at if document.problems else place, []).append(at)
        self._groups = list(groups.values())
        self._known: dict[tuple[int, ...], list[int]] = {}
        self.first = [group[0] for group in self._groups]

    def within(self, numbers: Iterable[int]) -> Sequence[int]:
        """The indices of the documents of these places, in order."""
        which = tuple(numbers)
        known = self._known.get(which)
        if known is None:
            known = self._known[which] = sorted(at for number in which for at in self._groups[number])
        return known


_OTHER_KIND = Rejection(test=Criterion.KINDS)
