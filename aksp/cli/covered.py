"""What an exemption covers: from the options that name it to its entries, and in words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product

from msgspec import Struct

from aksp.compliance.kinds import can_be_about, may_judge_pods
from aksp.compliance.parameters import nearest
from aksp.compliance.reach import check_namespaces
from aksp.errors import InvalidInput
from aksp.kube.kinds import KINDS
from aksp.kube.names import SHORT_NAMES, ResourceName
from aksp.model.assignment import ExemptedResource, Exemption
from aksp.model.definition import Definition


class Covered(Struct, frozen=True, kw_only=True):
    """What the options name: all combinations of the subjects, namespaces, containers and images."""

    subjects: Sequence[str] = ()
    namespaces: Sequence[str] = ()
    every_namespace: bool = False
    containers: Sequence[str] = ()
    images: Sequence[str] = ()

    @property
    def named(self) -> bool:
        """Whether any of it is named."""
        return bool(self.subjects or self.namespaces or self.containers or self.images)

    def entries(self, definition: Definition | None) -> list[ExemptedResource]:
        """The entries of an exemption, none for everything. Raises InvalidInput for what would cover nothing, or too much."""
        if not self.named:
            return []
        try:
            # Only exemptions have patterns with sets of characters.
            check_namespaces("-n", [one for one in self.namespaces if "[" not in one and "?" not in one])
        except ValueError as error:
            raise InvalidInput(str(error)) from error
        if (self.containers or self.images) and definition is not None and not may_judge_pods(definition.kinds):
            option = "-c" if self.containers else "--image"
            raise InvalidInput(
                f"{option} names containers of Pods, and {definition.slug} judges {_kinds(definition)}: it would cover nothing"
            )
        kinds = [(_kind_and_name(text, definition), text) for text in self.subjects]
        for (kind, _), text in kinds:
            if not self.namespaces and not self.every_namespace and _namespaced(kind):
                raise InvalidInput(
                    f"{text} is in a namespace, and none is named",
                    hint="give -n NAMESPACE, or -A to exempt those of this name in all namespaces",
                )
            if self.namespaces and not _namespaced(kind, unknown=True):
                raise InvalidInput(f"{text} is in no namespace, so with -n it would cover nothing", hint="leave out -n")
        pairs: list[tuple[str | None, str | None]] = [pair for pair, _ in kinds]
        none: list[str | None] = [None]
        return [
            ExemptedResource(namespace=namespace, kind=kind, name=name, container=container, image=image)
            for (kind, name), namespace, container, image in product(
                pairs or [(None, None)], self.namespaces or none, self.containers or none, self.images or none
            )
        ]


def _kind_and_name(text: str, definition: Definition | None) -> tuple[str, str]:
    """A subject as documents name it: ``deploy/web`` is of the kind Deployment. Raises InvalidInput."""
    named = ResourceName.parse(text)
    judged = [] if definition is None else [(one.group, one.kind) for one in definition.kinds]
    found = next((kind for group, kind in [*KINDS, *judged] if named.is_kind(group, kind)), None)
    if found is None:
        # Other kinds that make Pods, such as an Argo Rollout, are not known here.
        written = text.partition("/")[0].partition(".")[0]
        if not written[0].isupper():
            known = {*SHORT_NAMES, *(kind.lower() for _, kind in KINDS)}
            raise InvalidInput(
                f"{text}: this kind is none of Kubernetes' own",
                hint=f"{nearest(named.kind, known)}; others are written as in manifests: Rollout/{named.name}",
            )
        found = written
    elif definition is not None and not can_be_about(found, definition.kinds):
        hint = f"-n {named.name} exempts what is in the namespace" if found == "Namespace" else None
        raise InvalidInput(
            f"{definition.slug} judges {_kinds(definition)}, and {text} is none and makes none: it would cover nothing",
            hint=hint,
        )
    return found, named.name


def _kinds(definition: Definition) -> str:
    return ", ".join(dict.fromkeys(one.kind for one in definition.kinds))


def _namespaced(kind: str, *, unknown: bool = False) -> bool:
    return next((one.namespaced for (_, name), one in KINDS.items() if name == kind), unknown)


def covers_words(exemption: Exemption) -> str:
    """What an exemption covers, in a line: its first entry, and how many more there are."""
    where = ", where its resourceSelectors select" if exemption.resource_selectors else ""
    if not exemption.resources:
        return f"everything in its scope{where}"
    first, *more = exemption.resources
    return " ".join(_words(first)) + (f" and {len(more)} more" if more else "") + where


def _words(entry: ExemptedResource) -> Iterator[str]:
    if entry.kind or entry.name:
        yield f"{entry.kind or '*'}/{entry.name or '*'}"
    if entry.namespace:
        yield f"-n {entry.namespace}"
    if entry.container:
        yield f"-c {entry.container}"
    if entry.image:
        yield f"--image {entry.image}"
