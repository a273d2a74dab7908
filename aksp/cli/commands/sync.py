"""``aksp sync``: what the workspace assigns to a cluster, as the cluster's custom resources."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from aksp.cli.ci import note, say
from aksp.cli.clusters import ClusterOptions
from aksp.cli.groups import with_shared_options
from aksp.cli.options import ListFormat, WorkspaceOption
from aksp.cli.stores import cluster_store, own_resource, print_documents

if TYPE_CHECKING:
    from aksp.catalog.interface import Assignable
    from aksp.model.scope import Scope
    from aksp.store.cluster import ClusterStore
    from aksp.workspace import Workspace

PLACE = 50

#: On every object that is written here; --prune deletes no other.
MANAGED_BY = {"app.kubernetes.io/managed-by": "aksp-sync"}

Document = Mapping[str, Any]


@with_shared_options
def sync(
    *,
    where: ClusterOptions,
    prune: Annotated[
        bool, typer.Option("--prune", help="Delete what an earlier sync wrote and the workspace no longer has.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Let the API server check everything, and keep nothing.")
    ] = False,
    output: Annotated[
        ListFormat | None,
        typer.Option("--output", "-o", metavar="FORMAT", help="Print the objects: yaml, json or name."),
    ] = None,
    workspace: WorkspaceOption = None,
) -> None:
    """Write the assignments that reach a cluster into it, for the add-on.

    The exemptions that name them and the workspace's own definitions that they need go with them.
    Everything is checked first; when something is wrong, nothing is written.

    Example: `aksp sync --cluster prod --dry-run`
    """
    from aksp.errors import InvalidInput
    from aksp.model.scope import Scope
    from aksp.workspace import Workspace

    opened = Workspace.open(workspace)
    if prune and not opened.root.is_dir():
        raise InvalidInput(
            f"there is no workspace {opened.root}, so --prune would delete everything",
            hint="give --workspace, or leave --prune out",
        )
    with cluster_store(where) as store:
        scope = Scope.cluster(where.named or store.name)
        documents = wanted(opened, scope)
        if not documents:
            note(f"nothing is assigned in {opened.root} that reaches {scope}")
        _write(store, documents, prune=prune, dry_run=dry_run, quiet=output is not None)
    if output is not None:
        print_documents(output, documents)


def wanted(opened: Workspace, scope: Scope) -> list[Document]:
    """The objects of a cluster by the workspace: definitions, initiatives, exemptions, assignments, each by name.

    Raises InvalidInput when anything about them is wrong, their Rego included.
    """
    from datetime import UTC, datetime

    from msgspec.structs import replace

    from aksp.compliance.placing import at_place, in_own_terms, localized
    from aksp.engine import Engine
    from aksp.errors import InvalidPolicy
    from aksp.store.documents import assignment_document, exemption_document
    from aksp.workspace import prepare, waiving

    plan = opened.plan(scope, datetime.now(UTC))
    assigned = sorted([*plan.ready, *plan.disabled], key=lambda one: one.assignment.name)
    with Engine() as engine:
        # A disabled assignment may be enabled by one word, so it must be right too.
        every = prepare(engine, replace(plan, ready=assigned)).broken
    # A definition that is missing here is missing in the cluster too; the add-on tells that as well.
    unavailable = [one for one in every if one.unavailable]
    if broken := [one for one in every if not one.unavailable]:
        # A cluster must not lose an assignment because its definition is wrong at the moment.
        raise InvalidPolicy(f"assignment {broken[0].assignment.full_name!r}: {broken[0].problem}")
    for text in [*plan.notes, *(f"{one.assignment.full_name} is not judged: {one.problem}" for one in unavailable)]:
        note(text)
    names = {one.assignment.name for one in assigned} | {one.assignment.name for one in plan.initiatives}
    tree = opened.scope_tree()
    place = tree.place(scope)
    reaching = [at_place(one, place, tree) for one in opened.store.assignments() if one.name in names]
    waived = [
        (one, one.scope if one.scope.cluster_name is not None else in_own_terms(one.scope, place))
        # The plan notes the assignments of which that is not known.
        for one in waiving(opened.store.exemptions(), place)[0]
        if one.assignment in names
    ]
    found: list[Assignable] = [*(one.definition for one in assigned), *(one.initiative for one in plan.initiatives)]
    own = map(own_resource, {one.slug: one for one in found}.values())
    return [
        {**document, "metadata": {**document["metadata"], "labels": dict(MANAGED_BY)}}
        for document in (
            # A definition is written before it is assigned, and an exemption before anything can be refused.
            *sorted(filter(None, own), key=lambda one: (one["kind"], one["metadata"]["name"])),
            *(
                exemption_document(replace(one, scope=there, resource_selectors=()))
                for one, there in waived
                if there is not None
            ),
            *(assignment_document(localized(one, place)) for one in reaching if one is not None),
        )
    ]


def _write(store: ClusterStore, documents: Sequence[Document], *, prune: bool, dry_run: bool, quiet: bool) -> None:
    from aksp.store.cluster import PLURALS, label

    known: dict[str, Document] = {label(one): one for kind in PLURALS for one in store.documents(kind)}
    goal = {label(document) for document in documents}
    others = [document for name, document in known.items() if name not in goal]
    doomed = [document for document in others if _is_ours(document)] if prune else []
    doomed = _without_needed(doomed, [*documents, *(one for one in others if one not in doomed)])

    def tell(document: Document, change: str) -> None:
        if not quiet:
            say(f"{label(document)} {change}{' (server dry run)' if dry_run else ''}")

    # The API server judges all before it keeps one: a refusal leaves the cluster as it was.
    trial = [store.apply(document, known.get(label(document)), dry_run=True) for document in documents]
    for document, change in zip(documents, trial, strict=True):
        tell(document, change if dry_run else store.apply(document, known.get(label(document))))
    # An exemption goes after its assignment, a definition last.
    for document in reversed(doomed):
        if store.remove(document["kind"], document["metadata"]["name"], dry_run=dry_run):
            tell(document, "pruned")
    _tell_others([one for one in others if one not in doomed], prune=prune)


def _without_needed(doomed: Sequence[Document], staying: Sequence[Document]) -> list[Document]:
    """What may be deleted: not the definition or initiative of an assignment that stays, nor the members of such an initiative."""
    needed: set[str] = set()
    going = list(doomed)
    # An initiative that stays because of an assignment needs its members.
    for kind, kept in (("PolicySetDefinition", ["PolicyAssignment"]), ("PolicyDefinition", ["PolicySetDefinition"])):
        spared = [one for one in (*staying, *(one for one in doomed if one not in going)) if one["kind"] in kept]
        needed |= {name for one in spared for name in _named_by(one)}
        going = [one for one in going if one["kind"] != kind or not needed & _names_of(one)]
    return going


def _named_by(document: Document) -> set[str]:
    """What a document names as its definition, or those of its members."""
    spec = document.get("spec") or {}
    ids = [
        spec.get("policyDefinitionId"),
        *(one.get("policyDefinitionId") for one in spec.get("policyDefinitions") or ()),
    ]
    return {str(one).rstrip("/").rpartition("/")[2].lower() for one in ids if one}


def _names_of(definition: Document) -> set[str]:
    spec = definition.get("spec") or {}
    names = (definition["metadata"]["name"], spec.get("name"), (spec.get("metadata") or {}).get("azurePolicyId"))
    return {str(name).lower() for name in names if name}


def _tell_others(others: Sequence[Document], *, prune: bool) -> None:
    from aksp.store.cluster import label

    stale = [label(one) for one in others if _is_ours(one)]
    foreign = [label(one) for one in others if not _is_ours(one)]
    if stale:
        why = "kept, an assignment in the cluster is about them" if prune else "--prune deletes them"
        note(f"no longer in the workspace ({why}): {', '.join(stale)}")
    if foreign:
        note(f"in the cluster, and not from a workspace: {', '.join(foreign)}")


def _is_ours(document: Document) -> bool:
    labels = document["metadata"].get("labels") or {}
    return bool(MANAGED_BY.items() <= labels.items())
