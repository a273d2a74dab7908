"""What a workspace assigns as Azure's documents: definitions, initiatives, assignments and exemptions as ARM has them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from msgspec import Struct

from aksp.azure.custom_mutations import CustomMutation
from aksp.azure.documents import AzureKind
from aksp.azure.exported_definition import (
    NotExported,
    as_built_in,
    azure_effects,
    custom_definition,
    exported_parameters,
    with_azure_effect,
)
from aksp.azure.kept import KeptOfAzure, kept_of, restore, without_kept
from aksp.azure.naming import numbered, valid
from aksp.azure.scopes import ScopeMap, is_implied
from aksp.azure.templates import as_it_came
from aksp.catalog.folder import as_json, initiative_as_json, is_bundled
from aksp.catalog.interface import Assignable, Catalogs
from aksp.catalog.mutations import mutation_named
from aksp.compliance.members import is_azure_id, last_segment
from aksp.compliance.parameters import effective
from aksp.engine import Engine
from aksp.errors import InvalidInput, InvalidPolicy
from aksp.model.assignment import Assignment, Exemption
from aksp.model.azure_ids import NOWHERE, arm_id
from aksp.model.definition import Definition
from aksp.model.effect import Effect
from aksp.model.initiative import Initiative, Member
from aksp.model.scope import EVERYWHERE, Scope
from aksp.store.documents import assignment_document, exemption_document

#: The longest name that Azure takes, and at a management group for an assignment ("Resource naming rules").
_LONGEST, _LONGEST_IN_GROUPS = 64, 24
#: The folder of each kind in an export, in the order in which Azure takes them.
_FOLDERS: Final = {
    AzureKind.DEFINITION: "definitions",
    AzureKind.INITIATIVE: "initiatives",
    AzureKind.ASSIGNMENT: "assignments",
    AzureKind.EXEMPTION: "exemptions",
}
_ORDER: Final = tuple(_FOLDERS)

Properties = dict[str, Any]


class AzureExport(Struct, kw_only=True):
    """Documents in the order in which Azure takes them. ``lost``: what is assigned and not in them.

    ``notes`` is what else is to be known.
    """

    documents: list[tuple[AzureKind, Mapping[str, Any]]] = []
    lost: list[str] = []
    notes: list[str] = []
    whole: bool = True
    """Whether no document is missing that should be there."""

    def by_file(self) -> dict[str, Mapping[str, Any]]:
        """The documents by path, each kind in a folder of its own."""
        files: dict[str, Mapping[str, Any]] = {}
        for kind, document in self.documents:
            taken = {path.removesuffix(".json") for path in files}
            name = f"{_FOLDERS[kind]}/{valid(document['name'])}"
            files[f"{numbered(name, taken)}.json"] = document
        return files


class _Put(Struct, frozen=True, kw_only=True):
    """What became of an assignment: its ARM id, empty where its scope is not known, and that scope."""

    id: str
    scope: str


def export(
    engine: Engine, catalog: Catalogs, assignments: Sequence[Assignment], exemptions: Sequence[Exemption], map: ScopeMap,
    mutations: Mapping[str, CustomMutation] = MappingProxyType({}),
) -> AzureExport:  # fmt: skip
    """All that is assigned, exempt or defined. Raises InvalidInput for a document of the workspace that is wrong."""
    return _Exporting(engine, catalog, map, mutations).all(assignments, exemptions)


class _Exporting:
    """One export. Copies of one document of Azure's become one document again."""

    def __init__(
        self, engine: Engine, catalog: Catalogs, map: ScopeMap, mutations: Mapping[str, CustomMutation]
    ) -> None:
        self._engine, self._catalog, self._map, self._mutations = engine, catalog, map, mutations
        self._made: dict[tuple[AzureKind, str], dict[str, Any]] = {}
        lost = [f"definition {one.slug}: {one.error}" for one in catalog.broken]
        self._export = AzureExport(lost=lost, whole=not lost)

    def all(self, assignments: Sequence[Assignment], exemptions: Sequence[Exemption]) -> AzureExport:
        """The documents."""
        for own in (*self._catalog, *self._catalog.initiatives):
            kept = _kept(own)
            if not is_bundled(own) and kept.name:
                self._try(_called(own), lambda own=own, kept=kept: self._own(own, kept.scope))
        for each in self._mutations.values():
            if kept_of(each.written["properties"].get("metadata", {}), each.origin).name:
                self._try(f"definition {each.slug}", lambda each=each: self._own_mutation(each, "", ""))
        put: dict[str, _Put] = {}
        for one in sorted(assignments, key=lambda each: each.name):
            done = self._try(f"assignment {one.name}", lambda one=one: self._assignment(one))
            if done is not None:
                put[one.name] = done
        for waived in sorted(exemptions, key=lambda each: each.name):
            self._try(f"exemption {waived.name}", lambda one=waived: self._exemption(one, put))
        found = sorted(self._made.items(), key=lambda item: (_ORDER.index(item[0][0]), item[0][1]))
        self._export.documents = [(kind, document) for (kind, _), document in found]
        return self._export

    def _try(self, what: str, make: Any) -> Any:
        try:
            return make()
        except (NotExported, InvalidPolicy) as error:
            self._export.lost.append(f"{what}: not exported: {error}")
            self._export.whole = False
            return None

    def _assignment(self, one: Assignment) -> _Put:
        kept = kept_of(one.metadata, one.origin)
        scope = self._arm(one.scope, kept)
        spec = assignment_document(one)["spec"]
        lost: list[str] = []
        version: str | None = None
        if (own := self._mutations.get(one.definition_id)) is not None:
            assigned, values = self._own_mutation(own, kept.refersTo, scope), one.parameters
        elif (mutation := mutation_named(one.definition_id)) is not None:
            assigned, values = f"{NOWHERE}/{AzureKind.DEFINITION}/{mutation.id}", one.parameters
        else:
            try:
                found = self._catalog.find(one.definition_id)
            except InvalidInput as error:
                raise NotExported(error.what) from error
            assigned, values, version = self._assigned(one, found, scope, kept.refersTo)
        properties = {
            "displayName": one.display_name, "description": one.description, "policyDefinitionId": assigned,
            "definitionVersion": None if kept.name else version,
            "notScopes": [*kept.notScopes, *self._not_scopes(one, lost)],
            "parameters": {name: {"value": value} for name, value in values.items()},
            "enforcementMode": one.enforcement_mode.value, "metadata": dict(one.metadata),
            "nonComplianceMessages": spec.get("nonComplianceMessages"), "overrides": _overrides(spec),
            "resourceSelectors": spec.get("resourceSelectors"),
        }  # fmt: skip
        if properties["nonComplianceMessages"] and not kept.name:
            properties["nonComplianceMessages"] = None
            lost.append("nonComplianceMessages are left out: Azure takes none for Kubernetes")
        properties = {key: value for key, value in properties.items() if value not in (None, "", [], {})}
        put = self._put(AzureKind.ASSIGNMENT, kept.name or one.name, scope, kept, properties, one.origin)
        self._export.lost += [f"assignment {one.name}: {text}" for text in lost]
        return put

    def _assigned(
        self, one: Assignment, found: Assignable, scope: str, refers_to: str
    ) -> tuple[str, Mapping[str, Any], str | None]:
        """The id of what is assigned, the values for its parameters, and its version."""
        given = dict(one.parameters)
        if not is_bundled(found):
            values = given if azure_effects(found.parameters.get("effect")) else _told(given, found)
            return self._custom(found, refers_to, scope), values, None
        if is_azure_id(one.definition_id):
            return _built_in(found, last_segment(one.definition_id)), given, None
        if isinstance(found, Initiative):
            values = _told({**given, **_effect_of(found, given)}, found)
            if is_azure_id(found.name):
                return _built_in(found, found.name), values, None
            return self._own(found, _home(scope)), values, None
        return self._definition(found, effective(found, given), scope)

    def _definition(
        self, found: Definition, values: Mapping[str, Any], scope: str
    ) -> tuple[str, Mapping[str, Any], str | None]:
        """A definition that comes with aksp: under an id of Azure's where that takes the values, else as a custom one."""
        reasons = []
        for one in found.azure:
            try:
                theirs = as_built_in(found, one, values)
            except NotExported as error:
                reasons.append(str(error))
                continue
            major, _, rest = one.versions[0].partition(".")
            preview = "-preview" if rest.endswith("-preview") else ""
            return _built_in(found, one.id), theirs, f"{major}.*.*{preview}"
        if reasons:
            self._export.notes.append(f"{found.slug} goes out as a custom definition: {'; '.join(reasons)}")
        return self._own(found, _home(scope)), _told(values, found), None

    def _custom(self, found: Assignable, named: str, scope: str) -> str:
        """The id of a definition of the workspace, for what lies at a scope and had it as ``named`` at Azure.

        What did not say its own scope is where it was named.
        """
        kept = _kept(found)
        if kept.name and not kept.scope and kept.name.lower() == last_segment(named).lower():
            return named
        return self._own(found, kept.scope or _home(scope))

    def _own(self, found: Assignable, scope: str) -> str:
        """The id of a custom definition or initiative at a scope; the document is made too."""
        kept = _kept(found)
        name = kept.name or (f"aksp-{found.slug}" if is_bundled(found) else found.slug)
        if isinstance(found, Initiative):
            properties = self._initiative(found, kept, scope)
            return self._put(AzureKind.INITIATIVE, name, scope, kept, properties, found.origin).id
        properties = custom_definition(self._engine, found)
        return self._put(AzureKind.DEFINITION, name, scope, kept, properties, found.origin).id

    def _initiative(self, found: Initiative, kept: KeptOfAzure, scope: str) -> Properties:
        properties: Properties = deepcopy(dict(initiative_as_json(Path(found.origin))["properties"]))
        if is_bundled(found):
            properties["policyType"] = "Custom"
        if "parameters" in properties:
            properties["parameters"] = exported_parameters(properties["parameters"], found.parameters)
        for at, (entry, member) in enumerate(zip(properties["policyDefinitions"], found.members, strict=True)):
            named = kept.fields.get(f"/policyDefinitions/{at}/policyDefinitionId", "")
            entry["policyDefinitionId"], values = self._member(member, str(named), scope)
            if values:
                entry["parameters"] = {name: {"value": value} for name, value in values.items()}
        return properties

    def _member(self, member: Member, named: str, scope: str) -> tuple[str, Mapping[str, Any]]:
        """The id of a member's definition, which Azure's document had as ``named``, and the values for it."""
        wanted, values = member.definition_id, member.parameters
        try:
            found = self._catalog.find(wanted)
        except InvalidInput:
            return wanted, values  # it was not imported, so that it still has its whole id
        if not is_bundled(found):
            return self._custom(found, named, scope), values
        if is_azure_id(wanted) or isinstance(found, Initiative):
            return _built_in(found, last_segment(wanted)), values
        wanted, values, _ = self._definition(found, values, scope)
        return wanted, values

    def _own_mutation(self, found: CustomMutation, named: str, scope: str) -> str:
        """The id of a custom definition that changes objects; the document is made too."""
        properties: Properties = deepcopy(dict(found.written["properties"]))
        kept = kept_of(properties.get("metadata", {}), found.origin)
        if kept.name and not kept.scope and kept.name.lower() == last_segment(named).lower():
            return named
        details = properties["policyRule"]["then"]["details"]
        details["mutationInfo"] = dict(as_it_came(details["mutationInfo"], kept.template))
        name, home = kept.name or found.slug, kept.scope or (scope and _home(scope))
        return self._put(AzureKind.DEFINITION, name, home, kept, properties, found.origin).id

    def _exemption(self, one: Exemption, put: Mapping[str, _Put]) -> None:
        kept = kept_of(one.metadata, one.origin)
        of = put.get(one.assignment)
        if of is None:
            raise NotExported(f"its assignment {one.assignment} is not exported")
        if one.resources:
            raise NotExported("it names resources, and Azure's waive all that lies in their scope")
        scope = of.scope if one.scope == EVERYWHERE else self._arm(one.scope, kept)
        spec = exemption_document(one)["spec"]
        properties = {**{key: value for key, value in spec.items() if key not in ("scope", "resources")}}
        properties["policyAssignmentId"] = of.id or kept.refersTo
        properties["metadata"] = dict(one.metadata)
        if not properties["policyAssignmentId"]:
            raise NotExported(f"the scope of its assignment {one.assignment} is not known")
        self._put(AzureKind.EXEMPTION, kept.name or one.name, scope, kept, properties, one.origin)

    def _put(
        self, kind: AzureKind, name: str, scope: str, kept: KeptOfAzure, properties: Properties, where: str
    ) -> _Put:
        """Make a document, once. Raises NotExported where another document has its id, or where Azure does not take its name."""
        in_group = kind is AzureKind.ASSIGNMENT and Scope(scope).key[:1] == ("providers",)
        if not kept.name and len(name) > (longest := _LONGEST_IN_GROUPS if in_group else _LONGEST):
            raise NotExported(f"its name has more than {longest} characters, the most that Azure takes")
        if "metadata" in properties:
            properties["metadata"] = without_kept(properties["metadata"])
            if not properties["metadata"]:
                del properties["metadata"]
        nowhere = restore(properties, deepcopy(dict(kept.fields)))
        self._export.lost += [f"{where}: {pointer} of Azure's document has no place any more" for pointer in nowhere]
        own = arm_id(scope, kind, name)
        document = {
            **({"id": own} if own else {}), "type": f"Microsoft.Authorization/{kind}", "name": name, **kept.beside,
            "properties": properties,
        }  # fmt: skip
        there = self._made.setdefault((kind, (own or name).lower()), document)
        if there != document:
            raise NotExported(f"{own or name} at Azure is another here already, of the same name")
        return _Put(id=own, scope=scope)

    def _arm(self, scope: Scope, kept: KeptOfAzure) -> str:
        """The ARM scope of a scope here; empty where the document had none. Raises NotExported where it is not known."""
        if kept.name and str(scope) == (kept.here or kept.scope):
            return kept.scope
        if _is_arm(scope):
            return str(scope)
        for place in self._map.places:
            if place.arm is not None and place.here.key == scope.key:
                return str(place.arm)
        if scope.key[2:3] == ("namespaces",):
            raise NotExported(f"its scope {scope} is a namespace, and Azure's scopes end at the cluster")
        raise NotExported(f"its scope {scope} is none of Azure's: say which with --scope-map ARMID={scope}")

    def _not_scopes(self, one: Assignment, lost: list[str]) -> list[str]:
        found = []
        for scope in one.not_scopes:
            if is_implied(scope):
                continue
            try:
                found.append(self._arm(scope, KeptOfAzure()))
            except NotExported:
                lost.append(f"notScopes {scope} is none of Azure's, so it judges that as well")
        return found


def _is_arm(scope: Scope) -> bool:
    return scope.key[:1] in (("subscriptions",), ("providers",))


def _home(scope: str) -> str:
    """Where a definition must lie to be assigned at a scope: a subscription or a management group.

    Raises NotExported where the scope is not known.
    """
    parts = scope.strip("/").split("/")
    if parts[0].lower() == "subscriptions":
        return "/" + "/".join(parts[:2])
    if parts[0].lower() == "providers":
        return "/" + "/".join(parts[:4])
    raise NotExported("its definition needs a scope: say which with --scope-map")


def _built_in(found: Assignable, guid: str) -> str:
    kind = AzureKind.INITIATIVE if isinstance(found, Initiative) else AzureKind.DEFINITION
    return f"{NOWHERE}/{kind}/{guid}"


def _kept(found: Assignable) -> KeptOfAzure:
    """What a definition or an initiative of the workspace keeps of Azure's document."""
    if is_bundled(found):
        return KeptOfAzure()
    path = Path(found.origin)
    document = initiative_as_json(path) if isinstance(found, Initiative) else as_json(path)
    return kept_of(document["properties"].get("metadata", {}), found.origin)


def _called(found: Assignable) -> str:
    return f"{'initiative' if isinstance(found, Initiative) else 'definition'} {found.slug}"


def _told(values: Mapping[str, Any], found: Assignable) -> dict[str, Any]:
    return with_azure_effect(values, "warn" in found.parameters)


def _effect_of(found: Assignable, given: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters with the effect, which is always written, since Azure's default may be another."""
    return {"effect": effective(found, given)["effect"]} if "effect" in found.parameters else {}


def _overrides(spec: Mapping[str, Any]) -> list[dict[str, Any]]:
    made = []
    for one in spec.get("overrides", []):
        effect = Effect.named(one["value"])
        if effect is None or effect is effect.at_azure:
            made.append(one)
        elif effect.warns and not effect.refuses:
            raise NotExported(f"its overrides give the effect {effect}, which Azure has not")
        else:
            made.append({**one, "value": effect.at_azure.value})
    return made
