"""Azure's definitions and initiatives as those of a workspace."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from typing import Any, Final

from msgspec.structs import replace

from aksp.azure.custom_mutations import CustomMutation, custom_mutation
from aksp.azure.documents import AzureDocument, NotImported, without_nulls
from aksp.azure.expressions import UNKNOWN_SCOPE
from aksp.azure.kept import KeptOfAzure, escaped, split
from aksp.azure.naming import Ids, numbered, valid
from aksp.azure.templates import TemplateUrls, embedded
from aksp.azure.written_constraints import WRITTEN, generated, kept_details, text_of
from aksp.catalog import document, initiatives, preview
from aksp.catalog.common import is_preview
from aksp.catalog.interface import Catalogs, names_of
from aksp.catalog.mutations import mutation_named
from aksp.catalog.template import template_from_base64
from aksp.compliance.members import last_segment
from aksp.engine import Engine
from aksp.errors import InvalidInput, InvalidPolicy
from aksp.model.azure_ids import KEPT
from aksp.model.definition import Definition
from aksp.model.effect import Effect
from aksp.model.initiative import Initiative
from aksp.workspace import compile_definition

#: What of a definition's properties concerns Azure alone.
_OF_AZURE: Final = ("externalEvaluationEnforcementSettings",)
#: Objects within the properties, by the field that has them, and what they may have.
_OBJECTS: Final = {
    "parameters": document.PARAMETER, "policyDefinitions": initiatives.MEMBER, "policyDefinitionGroups": initiatives.GROUP,
}  # fmt: skip


def today(effect: Any) -> Any:
    """An effect of the preview by its name in Azure's definitions of today; any other value unchanged."""
    return Effect.DENY.value if Effect.named(effect) is Effect.ENFORCE_REGO_POLICY else effect


def _kept_in(properties: Mapping[str, Any]) -> dict[str, Any] | None:
    """What the metadata of a document of the workspace keep of Azure's; None where they are wrong, which is told later."""
    metadata = properties.get("metadata")
    found = metadata.get(KEPT) if isinstance(metadata, Mapping) else None
    return found if isinstance(found, dict) else None


def _with_details(one: AzureDocument, details: Mapping[str, Any]) -> AzureDocument:
    """A definition with other details."""
    rule = one.properties["policyRule"]
    then = {**rule["then"], "details": details}
    return replace(one, properties={**one.properties, "policyRule": {**rule, "then": then}})


class NotForKubernetes(Exception):
    """A document is about other resources of Azure's."""


def of_azure(id: str) -> bool:
    """Whether an id, or a plain name, may be that of a built-in: those have no scope."""
    return "/" not in id.strip("/") or id.lower().startswith("/providers/microsoft.authorization/")


class DefinitionsRead:
    """Definitions and initiatives, read one after the other; assignments find them by ``resolved``."""

    def __init__(
        self,
        engine: Engine,
        bundled: Catalogs,
        there: Catalogs,
        urls: TemplateUrls,
        mutating: Mapping[str, CustomMutation],
    ) -> None:
        self._engine, self._bundled, self._there, self._urls = engine, bundled, there, urls
        self._mutating = mutating
        self._taken = {name for one in (*bundled, *bundled.initiatives) for name in names_of(one)}
        self._ids = Ids()
        self._refused = Ids()
        self._foreign = Ids()
        self._read: dict[str, Definition | Initiative] = {}
        self.documents: dict[str, Mapping[str, Any]] = {}
        """By slug, as they are written."""
        self.notes: list[str] = []
        #: Built-ins among what was read for which something here stands.
        self.built_ins = 0
        self.mutations: dict[str, CustomMutation] = {}
        """Those that change objects, by slug."""
        self._of_preview: set[str] = set()

    @property
    def all(self) -> list[Definition | Initiative]:
        """What was read."""
        return list(self._read.values())

    def refuse(self, one: AzureDocument, why: str) -> None:
        """Remember why a document is not imported."""
        self._refused.add(one, why)

    def foreign(self, one: AzureDocument) -> None:
        """Remember a document that is not for Kubernetes."""
        self._foreign.add(one, "")

    def resolved(self, id: str) -> str:
        """The name here of an id at Azure. Raises NotImported, and NotForKubernetes."""
        if (slug := self._ids.find(id)) is not None:
            return slug
        if self._foreign.find(id) is not None:
            raise NotForKubernetes(id)
        if (why := self._refused.find(id)) is not None:
            raise NotImported(f"{last_segment(id)} is not imported: {why}")
        if not of_azure(id) and valid(last_segment(id)) in self._mutating:
            return valid(last_segment(id))
        try:
            found = (self._bundled if of_azure(id) else self._there).find(id)
        except InvalidInput as error:
            raise NotImported(f"{error.what}{f' ({error.hint})' if of_azure(id) and error.hint else ''}") from error
        if not of_azure(id):
            if found.slug in {one.slug for one in (*self._bundled, *self._bundled.initiatives)}:
                raise NotImported(f"there is no definition {id!r}, neither in the workspace nor in what is imported")
            return found.slug
        return last_segment(id)

    def mutation(self, slug: str) -> CustomMutation | None:
        """The definition of a name that changes objects, of those that are read or of the workspace's."""
        return self.mutations.get(slug) or self._mutating.get(slug)

    def definition(self, one: AzureDocument, lost: list[str]) -> None:
        """Read a definition. Raises NotImported, NotForKubernetes, and InvalidInput for one that is wrong."""
        mode = one.properties.get("mode", "Indexed")
        if not isinstance(mode, str):
            raise InvalidPolicy("properties.mode is no text", where=one.where)
        if of_preview := is_preview({"properties": one.properties}):
            if self._stands_for(one):
                return
            one, mode = self._converted(one), document.MODE
        if mode.lower() != document.MODE.lower():
            raise NotForKubernetes(mode)
        if self._stands_for(one):
            return
        details = document.details_of({"properties": one.properties}, one.where)
        slug = numbered(valid(one.name), {*self._taken, *self._read, *self.mutations})
        if details.any("mutationInfo") is not None:
            self._mutation(one, slug, details, lost)
            return
        came = dict(one.properties["policyRule"]["then"]["details"])
        constraint = None
        if any(came.get(key) is not None for key in WRITTEN):
            constraint = generated(came, self._urls, one.where)
            one = _with_details(one, constraint.details)
        written = self._written(one, slug, document.PROPERTIES, {}, lost)
        content = self._content(document.details_of(written, one.where).object("templateInfo"), written)
        made = written["properties"]["policyRule"]["then"]["details"]
        kept = _kept_in(written["properties"])
        if constraint is not None and kept is not None:
            kept["details"] = kept_details(came, made)
            kept.pop("template", None)  # the original details say where it came from
        try:
            template = template_from_base64(content, one.where)
        except InvalidPolicy as error:
            raise NotImported(str(error.what)) from error
        if constraint is not None:
            constraint.check_kind(template, one.where)
        try:
            read = document.definition_from(written, slug=slug, origin=one.where, template=template)
        except InvalidPolicy as error:
            if error.what.endswith("is not known"):
                raise NotImported(error.what) from error
            raise
        try:
            compile_definition(self._engine, read)
        except InvalidPolicy as error:
            raise NotImported(str(error)) from error
        self._keep(one, slug, read, written)
        if of_preview:
            self._of_preview.add(slug)

    def _mutation(self, one: AzureDocument, slug: str, details: document.Reader, lost: list[str]) -> None:
        """Read a definition that changes objects. Raises NotImported, and InvalidInput for one that is wrong."""
        written = self._written(one, slug, document.PROPERTIES, {}, lost)
        text = text_of(details.object("mutationInfo"), self._urls, "mutation")
        properties = written["properties"] = deepcopy(written["properties"])
        body = properties["policyRule"]["then"]["details"]
        info, kept = embedded(body["mutationInfo"], text)
        if body["mutationInfo"] != info:
            body["mutationInfo"] = info
            if (within := _kept_in(properties)) is not None:
                within["template"] = kept
        try:
            self.mutations[slug] = custom_mutation(written, text, slug, one.where)
        except InvalidInput as error:
            raise NotImported(f"its mutation: {error.what}") from error
        self._ids.add(one, slug)

    def today(self, slug: str, effect: Any) -> Any:
        """An effect that is given to a definition; for a definition of the preview by the name that Azure has for it today."""
        return today(effect) if slug in self._of_preview else effect

    def _converted(self, one: AzureDocument) -> AzureDocument:
        """A definition of the preview as one of today, which Azure takes. Raises NotImported."""
        written = {"name": one.name, "properties": one.properties}
        try:
            rego = self._urls.text(preview.address(written, one.where), "Rego")
            made = preview.converted(written, rego, one.where)
        except InvalidPolicy as error:
            raise NotImported(error.what) from error
        properties = deepcopy(made["properties"])
        then = properties["policyRule"]["then"]
        then["effect"] = today(then.get("effect"))
        parameters = properties.get("parameters")
        effect = parameters.get("effect") if isinstance(parameters, Mapping) else None
        if isinstance(effect, dict):
            if "defaultValue" in effect:
                effect["defaultValue"] = today(effect["defaultValue"])
            if isinstance(effect.get("allowedValues"), list):
                effect["allowedValues"] = list(dict.fromkeys(map(today, effect["allowedValues"])))
        old, new = Effect.ENFORCE_REGO_POLICY, Effect.DENY
        self.notes.append(f"{one}: it is of the preview, and is imported in today's format, with {new} for {old}")
        return replace(one, properties=properties)

    def _content(self, info: document.Reader, written: dict[str, Any]) -> str:
        """The template in Base64, which the document has in it when this returns. Raises NotImported."""
        match info.text("sourceType"):
            case "Base64Encoded":
                return info.text("content")
            case "PublicURL":
                text = self._urls.text(info.text("url"))
            case other:
                raise NotImported(f"its template is of sourceType {other}, which is not known")
        properties = written["properties"] = deepcopy(written["properties"])
        details = properties["policyRule"]["then"]["details"]
        details["templateInfo"], kept = embedded(details["templateInfo"], text)
        if (within := _kept_in(properties)) is not None:
            within["template"] = kept
        content: str = details["templateInfo"]["content"]
        return content

    def initiative(self, one: AzureDocument, lost: list[str]) -> None:
        """Read an initiative; raises as for a definition. A member that is not imported is told; the others work."""
        if self._stands_for(one):
            return
        members, had, outside = [], 0, []
        taken: set[str] = set()
        named: dict[str, str] = {}
        for at, entry in enumerate(_objects(one, "policyDefinitions")):
            member = without_nulls(entry)
            wanted = member.get("policyDefinitionId")
            if not isinstance(wanted, str) or not wanted.strip("/ "):
                raise InvalidInput(f"properties.policyDefinitions[{at}].policyDefinitionId is no id", where=one.where)
            reference = member.setdefault("policyDefinitionReferenceId", numbered(last_segment(wanted), taken))
            taken.add(str(reference))
            if isinstance(reference, str) and not initiatives.is_reference(reference):
                raise NotImported(f"its policyDefinitionReferenceId {reference!r} has a slash, or blanks around it")
            try:
                slug = self.resolved(wanted)
                if self.mutation(slug) is not None:
                    raise NotImported(f"{slug} changes objects, and nothing is judged by it")
                member["policyDefinitionId"] = slug
                given = member.get("parameters")
                effect = given.get("effect") if isinstance(given, Mapping) else None
                if isinstance(given, Mapping) and isinstance(effect, Mapping) and "value" in effect:
                    effect = {**effect, "value": self.today(slug, effect["value"])}
                    member["parameters"] = {**given, "effect": effect}
                if not of_azure(wanted) and not wanted.startswith(UNKNOWN_SCOPE):
                    named[f"/policyDefinitions/{at}/policyDefinitionId"] = wanted
                had += 1
            except NotForKubernetes:
                outside.append(f"{one}: member {reference} is not for Kubernetes")
            except NotImported as error:
                outside.append(f"{one}: member {reference} cannot be had: {error}")
            members.append(member)
        if not had and members:
            if all(text.endswith("is not for Kubernetes") for text in outside):
                raise NotForKubernetes(one.name)
            raise NotImported(f"none of its members can be had: {outside[0].partition(': ')[2]}")
        groups = [without_nulls(entry) for entry in _objects(one, "policyDefinitionGroups")]
        slug = numbered(valid(one.name), {*self._taken, *self._read, *self.mutations})
        lists = {"policyDefinitions": members} | ({"policyDefinitionGroups": groups} if groups else {})
        written = self._written(one, slug, initiatives.PROPERTIES, lists, lost, named)
        read = initiatives.initiative_from(written, slug=slug, origin=one.where)
        lost += outside
        self._keep(one, slug, read, written)

    def _stands_for(self, one: AzureDocument) -> bool:
        """Whether it is a built-in that a rule here stands for. Raises NotImported for a built-in that none does."""
        if str(one.properties.get("policyType")).lower() not in ("builtin", "static"):
            return False
        if mutation_named(one.name) is None:
            try:
                self._bundled.find(one.name)
            except InvalidInput as error:
                raise NotImported(f"no rule here stands for this built-in: {error.what}") from error
        self.built_ins += 1
        return True

    def _written(
        self,
        one: AzureDocument,
        slug: str,
        known: tuple[str, ...],
        lists: dict[str, Any],
        lost: list[str],
        named: Mapping[str, str] | None = None,
    ) -> dict[str, Any]:
        """The document of a workspace. Its objects have the fields that are known; all others are kept in its metadata."""
        others: dict[str, Any] = {}
        properties = split(one.properties, known, "", others) | lists
        for key, entries in ((key, properties.get(key)) for key in _OBJECTS):
            if isinstance(entries, Mapping):
                properties[key] = {name: _split(body, key, name, others) for name, body in entries.items()}
            elif isinstance(entries, list):
                properties[key] = [_split(body, key, str(at), others) for at, body in enumerate(entries)]
        unknown = (pointer[1:] for pointer in others if pointer[1:] not in _OF_AZURE)
        lost += [f"{one}: {name} is not known: kept for the export, and without meaning here" for name in unknown]
        metadata = properties.get("metadata", {})
        if isinstance(metadata, Mapping):
            kept = KeptOfAzure(name=one.name, scope=one.scope, beside=one.beside, fields={**others, **(named or {})})
            properties["metadata"] = kept.in_metadata(metadata)
        # Definitions are found by name in any case. One that was numbered is not found by its name at Azure.
        return {"name": one.name if valid(one.name) == slug else slug, "properties": properties}

    def _keep(self, one: AzureDocument, slug: str, read: Definition | Initiative, written: Mapping[str, Any]) -> None:
        self._ids.add(one, slug)
        self._read[slug] = read
        self.documents[slug] = written


def _split(body: Any, key: str, name: str, others: dict[str, Any]) -> Any:
    if not isinstance(body, Mapping):
        return body
    body = without_nulls(body)
    if isinstance(metadata := body.get("metadata"), Mapping):
        body["metadata"] = without_nulls(metadata)
    return split(body, _OBJECTS[key], f"/{key}/{escaped(name)}", others)


def _objects(one: AzureDocument, key: str) -> list[Mapping[str, Any]]:
    value = one.properties.get(key, [])
    if not isinstance(value, list) or not all(isinstance(entry, Mapping) for entry in value):
        raise InvalidInput(f"properties.{key} is no list of objects", where=one.where)
    return value
