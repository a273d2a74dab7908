"""Azure's documents as those of a workspace, each checked alone. What cannot be imported is named."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import Any, Final

from msgspec import Struct
from msgspec.structs import replace

from aksp.assigned import check_assigned
from aksp.azure.assignments import arm_scope, assignment_of, exemption_of, left_out
from aksp.azure.custom_mutations import CustomMutation
from aksp.azure.definitions import DefinitionsRead, NotForKubernetes, of_azure
from aksp.azure.documents import AzureDocument, AzureDocuments, AzureKind, NotImported
from aksp.azure.kept import kept_of
from aksp.azure.mutating import Mutating, check_mutation
from aksp.azure.naming import Ids, distinct, numbered, valid
from aksp.azure.scopes import MappedScope, ScopeMap, implied, within
from aksp.azure.templates import TemplateUrls
from aksp.catalog.interface import Catalogs
from aksp.catalog.mutations import Mutation, mutation_named
from aksp.compliance.members import fits_version, version_problem
from aksp.engine import Engine
from aksp.errors import InvalidInput
from aksp.model.assignment import Assignment, Exemption
from aksp.model.initiative import Initiative, Member
from aksp.model.scope import Scope
from aksp.model.scope_tree import ScopeTree

_NO_URLS: Final = TemplateUrls()
_NO_TREE: Final = ScopeTree()


class Copy(Struct, frozen=True, kw_only=True):
    """An imported assignment, its ARM scope, and the place that this copy is for; None: it stays at its ARM scope."""

    assignment: Assignment
    arm: Scope
    place: MappedScope | None


class AzureImport(Struct, kw_only=True):
    """What is to be written. ``lost``: what of the documents is missing in it. ``notes``: other remarks."""

    definitions: Mapping[str, Mapping[str, Any]] = {}
    mutating: Mapping[str, Mapping[str, Any]] = {}
    """Definitions that change objects."""
    initiatives: Mapping[str, Mapping[str, Any]] = {}
    copies: list[Copy] = []
    mutations: list[Copy] = []
    exemptions: list[Exemption] = []
    lost: list[str] = []
    notes: list[str] = []
    others: dict[str, int] = {}

    @property
    def documents(self) -> Sequence[Assignment | Exemption]:
        """The assignments, and the exemptions."""
        return [*(one.assignment for one in self.copies), *self.exemptions]


def read_import(
    engine: Engine, found: AzureDocuments, bundled: Catalogs, there: Catalogs, scopes: ScopeMap, now: datetime,
    urls: TemplateUrls = _NO_URLS, tree: ScopeTree = _NO_TREE, mutating: Mapping[str, CustomMutation] = MappingProxyType({}),
) -> AzureImport:  # fmt: skip
    """All that was found. ``there`` are the workspace's definitions and aksp's own, ``bundled`` the latter alone.

    ``mutating`` are the workspace's definitions that change objects, by slug.

    Raises InvalidInput for a document that is wrong.
    """
    made = AzureImport(lost=list(found.lost), others=dict(found.others))
    documents = distinct(found.found, made.lost)
    read = DefinitionsRead(engine, bundled, there, urls, mutating)
    for kind, reader in ((AzureKind.DEFINITION, read.definition), (AzureKind.INITIATIVE, read.initiative)):
        for one in documents:
            if one.kind is not kind:
                continue
            try:
                reader(one, made.lost)
            except NotForKubernetes:
                read.foreign(one)
                _count(made, one)
            except NotImported as error:
                read.refuse(one, str(error))
                made.lost.append(f"{one}: not imported: {error}")
    made.notes += read.notes
    if read.built_ins:
        made.notes.append(f"built-ins that are here already, under names of aksp: {read.built_ins}")
    sets = {one.slug for one in read.all if isinstance(one, Initiative)}
    made.initiatives = {slug: document for slug, document in read.documents.items() if slug in sets}
    made.definitions = {slug: document for slug, document in read.documents.items() if slug not in sets}
    made.mutating = {slug: mutation.written for slug, mutation in read.mutations.items()}
    known = _catalog(read, bundled, there)
    ids = Ids()
    by_name: dict[str, list[Copy]] = {}
    for one in documents:
        if one.kind is AzureKind.ASSIGNMENT:
            copies = _assignment(one, made, read, known, scopes, now, tree)
            if copies:
                ids.add(one, copies[0].assignment.name)
                by_name[copies[0].assignment.name] = copies
    for one in documents:
        if one.kind is AzureKind.EXEMPTION:
            _exemption(one, made, ids, by_name)
    return made


def _catalog(read: DefinitionsRead, bundled: Catalogs, there: Catalogs) -> Catalogs:
    """What assignments may name once all is imported. Of two with one name the one that is read now counts."""
    new = {one.slug for one in read.all}
    mine = [one for one in read.all if not isinstance(one, Initiative)]
    old = [one for one in there if one.slug not in new]
    sets = [one for one in there.initiatives if one.slug not in new]
    return Catalogs([old, mine], [*sets, *(one for one in read.all if isinstance(one, Initiative))])


def _count(made: AzureImport, one: AzureDocument) -> None:
    made.others[one.kind] = made.others.get(one.kind, 0) + 1


def _assignment(
    one: AzureDocument, made: AzureImport, read: DefinitionsRead, known: Catalogs, scopes: ScopeMap, now: datetime,
    tree: ScopeTree,
) -> list[Copy]:  # fmt: skip
    """An assignment for each place that it reaches."""
    definition_id = one.properties.get("policyDefinitionId")
    if not isinstance(definition_id, str) or not definition_id.strip("/ "):
        raise InvalidInput("properties.policyDefinitionId is no id", where=one.where)
    lost: list[str] = []
    mutation: Mutating | None = mutation_named(definition_id) if of_azure(definition_id) else None
    try:
        named = mutation.id if isinstance(mutation, Mutation) else read.resolved(definition_id)
        mutation = mutation or read.mutation(named)
        assignment = assignment_of(one, named, lost)
        assignment = _of_today(assignment, read)
        outs = left_out(one)
        if not one.scope and scopes.cluster is None:
            raise NotImported("neither it nor its id says its scope; --cluster gives it one")
        arm = arm_scope(one.scope or "/", one.where, "properties.scope")
        places: list[MappedScope | None] = [*scopes.reached(arm, outs)]
        if not places and scopes.holds_any(arm):
            raise NotImported("its notScopes leave out all that its scope reaches here")
        places = places or [None]
        target = None if mutation else known.find(assignment.definition_id)
        if mutation:
            check_mutation(mutation, assignment)
        version = one.properties.get("definitionVersion") or ""
        if not isinstance(version, str):
            raise InvalidInput("properties.definitionVersion is no text", where=one.where)
        member = Member(reference="", definition_id=assignment.definition_id, version=version)
        if mutation and version and not fits_version(version, mutation.version):
            raise NotImported(f"it asks for version {version} of {mutation.name}, and there is {mutation.version}")
        if target and (problem := version_problem(member, target)):
            raise NotImported(problem)
        taken = {each.assignment.name for each in (*made.copies, *made.mutations)}
        copies = []
        for place in places:
            scope = place.here if place else arm
            kept = [out for out in outs if place is None or place.here.covers(out)]
            beyond = [str(out) for out in outs if out not in kept]
            for cluster in [place.here] if place else within(tree, arm):
                kept += implied(cluster, kept)
            wanted = valid(one.name) if len(places) == 1 else valid(f"{one.name}-{scope.path.rpartition('/')[2]}")
            name = numbered(wanted, taken)
            taken.add(name)
            copy = replace(assignment, name=name, scope=scope, not_scopes=tuple(kept), origin=one.where)
            copy = replace(copy, metadata=_placed(copy.metadata, one, place, beyond))
            _, missing = check_assigned(copy, target, known, now) if target else (None, ())
            lost += [f"{one}: member {each.assignment.reference}: {each.problem}" for each in missing]
            copies.append(Copy(assignment=copy, arm=arm, place=place))
    except NotForKubernetes:
        _count(made, one)
        return []
    except NotImported as error:
        made.lost.append(f"{one}: not imported: {error}")
        return []
    except InvalidInput as error:
        if error.where == one.where and "assignment '" not in error.what:
            raise  # the document itself is wrong, whatever its definition is
        made.lost.append(f"{one}: not imported: {error.what}")
        return []
    made.lost += dict.fromkeys(lost)
    _tell_places(one, copies, outs, made, within(tree, arm))
    if mutation:
        made.mutations += copies
        made.notes.append(f"{one}: {mutation.name} changes objects, and nothing is judged by it: see aksp mutate")
        return []
    made.copies += copies
    return copies


def _of_today(one: Assignment, read: DefinitionsRead) -> Assignment:
    """An assignment of a definition of the preview with the effects that Azure has today."""
    found = dict(one.parameters)
    if "effect" in found:
        found["effect"] = read.today(one.definition_id, found["effect"])
    overrides = tuple(replace(each, effect=read.today(one.definition_id, each.effect)) for each in one.overrides)
    return replace(one, parameters=found, overrides=overrides)


def _placed(
    metadata: Mapping[str, Any], one: AzureDocument, place: MappedScope | None, not_scopes: Sequence[str] = ()
) -> dict[str, Any]:
    """The metadata of a copy: its place at Azure, which its scope and notScopes no longer show."""
    here = str(place.here) if place else ""
    return replace(kept_of(metadata, one.where), here=here, notScopes=list(not_scopes)).in_metadata(metadata)


def _tell_places(
    one: AzureDocument, copies: Sequence[Copy], outs: Sequence[Scope], made: AzureImport, by_tree: Sequence[Scope]
) -> None:
    for copy in copies:
        name, place = copy.assignment.name, copy.place
        if place is None and by_tree:
            made.notes.append(f"assignment {name}: {copy.arm} reaches {', '.join(map(str, by_tree))} by the scope tree")
            continue
        if place is None:
            made.lost.append(
                f"{one}: its scope {copy.arm} is kept, and reaches no cluster here: see aksp scope add, --scope-map, --cluster"
            )
            continue
        made.notes.append(f"assignment {name}: scope {copy.arm if one.scope else '(none said)'} is {place.here}")
        if any(not place.outside(out) for out in outs):
            made.lost.append(f"{one}: whether its notScopes leave out {place.here} is not known: see --scope-map")


def _exemption(one: AzureDocument, made: AzureImport, ids: Ids, by_name: Mapping[str, Sequence[Copy]]) -> None:
    """An exemption for each copy of its assignment that lies in its scope."""
    try:
        exemption = exemption_of(one, made.lost)
        found = ids.find(exemption.assignment)
        if found is None:
            raise NotImported(f"its assignment {exemption.assignment} is not imported")
        copies = by_name[found]
        scope = arm_scope(one.scope, one.where, "id") if one.scope else None
        inside = [copy for copy in copies if _exempt(scope, copy)]
        if not inside:
            raise NotImported(
                f"whether its scope {scope} holds what its assignment reaches is not known: see --scope-map"
            )
    except NotImported as error:
        made.lost.append(f"{one}: not imported: {error}")
        return
    if len(inside) < len(copies):
        made.notes.append(f"exemption {one.name}: holds for {', '.join(copy.assignment.name for copy in inside)}")
    for copy in inside:
        wanted = valid(one.name) if len(copies) == 1 else valid(f"{one.name}-{copy.assignment.name}")
        at = copy.assignment.scope if copy.place or scope is None else scope
        moved = None if at == scope else MappedScope(here=at)
        made.exemptions.append(
            replace(
                exemption,
                metadata=_placed(exemption.metadata, one, moved),
                name=numbered(wanted, {each.name for each in made.exemptions}),
                assignment=copy.assignment.name,
                scope=at,
                origin=one.where,
            )
        )


def _exempt(scope: Scope | None, copy: Copy) -> bool:
    """Whether a copy's place lies in an exemption's ARM scope. An exemption without scope has that of its assignment."""
    if scope is None or copy.place is None:
        return True
    return scope.covers(copy.place.arm or copy.arm)
