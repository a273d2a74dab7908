"""Azure's policy documents, taken out of whatever they are wrapped in: ARM REST, ``az``, the portal, ARM templates."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

from msgspec import Struct

from aksp.azure.expressions import Expressions, NotKnown
from aksp.azure.terraform import is_terraform, not_yet, resources
from aksp.errors import InvalidInput
from aksp.model.json_text import decode_held
from aksp.sources.paths import refuse_empty
from aksp.yaml_reader import read_file

STANDARD_INPUT: Final = "standard input"
#: The deepest document that is read: as deep as a workspace's own may be.
_DEEPEST: Final = 100
#: The fields beside ``properties``. ``az`` prints the properties at the same level.
_BESIDE: Final = (
    "id", "name", "type", "systemData", "apiVersion", "location", "identity", "dependsOn", "condition", "copy", "comments",
    "tags", "resourceGroup", "existing", "properties",
)  # fmt: skip
#: Those that other fields tell too, that concern only templates, or that Azure itself writes.
_NOT_KEPT: Final = (
    "id", "name", "type", "scope", "systemData", "apiVersion", "dependsOn", "condition", "copy", "comments", "resourceGroup",
    "existing", "properties",
)  # fmt: skip
#: Columns of the resource graph that no policy document has.
_COLUMNS: Final = ("tenantId", "subscriptionId", "kind", "managedBy", "sku", "plan", "zones", "extendedLocation")


class NotImported(Exception):
    """A document is right, and cannot be imported, as where its template cannot be had; the text says why."""


class AzureKind(StrEnum):
    """The kinds of policy documents, as the types of Microsoft.Authorization."""

    DEFINITION = "policyDefinitions"
    INITIATIVE = "policySetDefinitions"
    ASSIGNMENT = "policyAssignments"
    EXEMPTION = "policyExemptions"


#: A field that only documents of this kind have.
_SHAPES: Final = {
    "policyRule": AzureKind.DEFINITION,
    "policyDefinitions": AzureKind.INITIATIVE,
    "exemptionCategory": AzureKind.EXEMPTION,
    "policyAssignmentId": AzureKind.EXEMPTION,
    "policyDefinitionId": AzureKind.ASSIGNMENT,
}


class AzureDocument(Struct, frozen=True, kw_only=True):
    """One document. ``scope``: its ARM scope, empty where it does not say one. ``where``: file and JSON path.

    ``beside``: the fields beside its properties, such as identity and location.
    """

    kind: AzureKind
    name: str
    scope: str
    properties: Mapping[str, Any]
    where: str
    beside: Mapping[str, Any] = {}

    @property
    def id(self) -> str:
        """Its ARM id in lower case; empty where its scope is not known. Built-ins have no scope."""
        if not self.scope:
            return ""
        return f"{self.scope.rstrip('/')}/providers/microsoft.authorization/{self.kind}/{self.name}".lower()

    def __str__(self) -> str:
        return f"{self.kind.removesuffix('s')} {self.name}"


class AzureDocuments(Struct, kw_only=True):
    """What was found. ``lost`` says what could not be read and why, ``others`` counts resources that are no policies."""

    found: list[AzureDocument] = []
    lost: list[str] = []
    others: dict[str, int] = {}


def from_paths(paths: Sequence[str]) -> AzureDocuments:
    """The documents of files, of folders' ``*.json``, and of ``-``. Raises InvalidInput for what is none of Azure's."""
    refuse_empty(paths)
    documents = AzureDocuments()
    for path in paths:
        if path == "-":
            data = sys.stdin.buffer.read()
            try:
                _read(data.decode("utf-8-sig"), STANDARD_INPUT, documents)
            except UnicodeDecodeError as error:
                raise InvalidInput("is no UTF-8", where=STANDARD_INPUT) from error
        elif Path(path).is_dir():
            files = [file for file in sorted(Path(path).rglob("*.json")) if not _is_part(file)]
            if not files:
                raise InvalidInput("has no file *.json", where=path)
            for file in files:
                _read(read_file(file), str(file), documents)
        else:
            _read(read_file(Path(path)), path, documents)
    return documents


def _is_part(file: Path) -> bool:
    """Whether a file repeats a part of the one beside it, as in Azure's repositories, or has values for a deployment of it."""
    whole, _, part = file.stem.rpartition(".")
    return part in ("rules", "parameters") and file.with_name(f"{whole}.json").is_file()


def _called(file: Path) -> str:
    """The name of a document that does not say it. In Azure's repositories each has a folder, and the file is always called the same."""
    return file.absolute().parent.name if file.stem == "azurepolicy" else file.stem


def _read(text: str, file: str, documents: AzureDocuments) -> None:
    try:
        value = decode_held(text)
        json.dumps(value, ensure_ascii=False).encode()  # half of a surrogate pair cannot be written into a file
    except (ValueError, RecursionError) as error:
        raise InvalidInput(f"not JSON: {error}", where=file, hint="-o json prints it with az") from error
    _Walk(documents, file).walk(value, "$", None, 0)


def without_nulls(value: Mapping[str, Any]) -> dict[str, Any]:
    """An object without the members that are null: ``az`` prints one for each that is not set."""
    return {key: entry for key, entry in value.items() if entry is not None}


class _Walk:
    """Goes through the wrappings of one file."""

    def __init__(self, documents: AzureDocuments, file: str) -> None:
        self._into, self._file = documents, file

    def _at(self, path: str) -> str:
        return f"{self._file}: {path}"

    def walk(self, value: Any, path: str, template: Expressions | None, depth: int) -> None:
        """Find the documents in a value. Raises InvalidInput for what is none, and no wrapping of any."""
        if depth > _DEEPEST:
            raise InvalidInput("is nested too deep", where=self._at(path))
        if isinstance(value, list):
            for at, entry in enumerate(value):
                self.walk(entry, f"{path}[{at}]", template, depth + 1)
            return
        if not isinstance(value, Mapping):
            raise InvalidInput("is no object, expected a policy document of Azure's", where=self._at(path))
        if is_terraform(value):
            for place, one in resources(value, path, self._file):
                missing = not_yet(one) if "planned_values" in value else None
                if missing is None:
                    self.walk(one, place, None, depth + 1)
                else:
                    kind = AzureKind(one["type"].rpartition("/")[2])
                    self._lost(kind, one, place, f"its {missing} is known only once the plan is applied")
        elif _is_template(value):
            self._template(value, path, Expressions(value), depth)
        elif isinstance(value.get("value"), list) and "properties" not in value:
            if value.get("nextLink"):
                self._into.lost.append(f"{self._at(path)}: the list goes on at its nextLink, which is not fetched")
            self.walk(value["value"], f"{path}.value", template, depth + 1)
        elif isinstance(value.get("data"), list) and "total_records" in value:
            if value.get("skip_token") or value["total_records"] != len(value["data"]):
                self._into.lost.append(
                    f"{self._at(path)}: the answer is a part: {len(value['data'])} of {value['total_records']}"
                )
            self.walk([_of_graph(entry) for entry in value["data"]], f"{path}.data", template, depth + 1)
        else:
            self._resource(value, path, template, depth)

    def _template(self, value: Mapping[str, Any], path: str, expressions: Expressions, depth: int) -> None:
        resources = value["resources"]
        if isinstance(resources, Mapping):  # with symbolic names, as Bicep writes them
            for name, entry in resources.items():
                self.walk(entry, f"{path}.resources.{name}", expressions, depth + 1)
        else:
            self.walk(resources, f"{path}.resources", expressions, depth + 1)

    def _nested(self, deployment: Mapping[str, Any], path: str, outer: Expressions, depth: int) -> None:
        """A deployment within another. Bicep's modules have their own values; other deployments use those of the outer one."""
        template, options = deployment["template"], deployment.get("expressionEvaluationOptions")
        own = isinstance(options, Mapping) and str(options.get("scope")).lower() == "inner"
        given = outer.passed(deployment.get("parameters"), f"{path}.parameters")
        self._template(template, f"{path}.template", Expressions(template, given) if own else outer, depth)

    def _resource(self, value: Mapping[str, Any], path: str, template: Expressions | None, depth: int) -> None:
        kind = _kind_of(value)
        inner = value.get("properties")
        if kind is None:
            if isinstance(inner, Mapping) and _is_template(inner.get("template")):
                self._nested(inner, f"{path}.properties", template or Expressions({}), depth + 1)
                return
            if isinstance(found := value.get("type"), str) and found:
                self._into.others[found] = self._into.others.get(found, 0) + 1
                if template is not None and isinstance(children := value.get("resources"), list):
                    self.walk(children, f"{path}.resources", template, depth + 1)
                return
            raise InvalidInput(
                "is no definition, initiative, assignment or exemption of Azure's", where=self._at(path),
                hint="expected policyRule, policyDefinitions, policyDefinitionId or policyAssignmentId in its properties",
            )  # fmt: skip
        if template is not None:
            for key in ("copy", "condition"):
                if value.get(key) not in (None, True):
                    self._lost(kind, value, path, f"{path}.{key} of a template is not evaluated")
                    return
            try:
                value = template.resolved(value, path)
            except NotKnown as error:
                self._lost(kind, value, path, str(error))
                return
            inner = value.get("properties")
        if "properties" in value and not isinstance(inner, Mapping):
            raise InvalidInput("is no object", where=self._at(f"{path}.properties"))
        properties = inner if isinstance(inner, Mapping) else {k: v for k, v in value.items() if k not in _BESIDE}
        properties = without_nulls(properties)
        flat = () if isinstance(inner, Mapping) else properties
        beside = {k: v for k, v in without_nulls(value).items() if k not in _NOT_KEPT and k not in flat}
        own = text_at(value.get("id"), self._at(f"{path}.id"))
        scope = _scope_of(own) or text_at(properties.get("scope"), self._at(f"{path}.scope"))
        scope = scope or text_at(value.get("scope"), self._at(f"{path}.scope"))
        properties.pop("scope", None)
        name = text_at(value.get("name"), self._at(f"{path}.name")) or own.rstrip("/").rpartition("/")[2]
        # The name of a resource within another is the names of both.
        name = name.rpartition("/")[2]
        if not name and path == "$" and self._file != STANDARD_INPUT:
            name = _called(Path(self._file))
        if not name.strip():
            raise InvalidInput("is missing", where=self._at(f"{path}.name"), hint="each document needs name or id")
        self._into.found.append(
            AzureDocument(kind=kind, name=name, scope=scope, properties=properties, where=self._at(path), beside=beside)
        )

    def _lost(self, kind: AzureKind, value: Mapping[str, Any], path: str, why: str) -> None:
        name = value.get("name")
        called = name if isinstance(name, str) else path
        self._into.lost.append(f"{kind.removesuffix('s')} {called}: not imported: {why} ({self._file})")


def _of_graph(row: Any) -> Any:
    """A row of the resource graph without the columns that it has for every resource, and those that are empty."""
    if not isinstance(row, Mapping):
        return row
    return {key: entry for key, entry in row.items() if key not in _COLUMNS and entry != ""}


def _is_template(value: Any) -> bool:
    """Whether it is an ARM template, which names its schema; Bicep's compiler writes one."""
    return (
        isinstance(value, Mapping)
        and isinstance(value.get("resources"), list | Mapping)
        and "deploymentTemplate.json" in str(value.get("$schema")).replace("DeploymentTemplate", "deploymentTemplate")
    )


def _kind_of(value: Mapping[str, Any]) -> AzureKind | None:
    written = [str(value.get("type")).rpartition("/")[2], *reversed(list(_segments(value.get("id"))))]
    for segment in written:
        for kind in AzureKind:
            if segment.lower() == kind.lower():
                return kind
    inner = value.get("properties")
    body = inner if isinstance(inner, Mapping) else value
    if isinstance(value.get("type"), str) and "/" in value["type"]:
        return None
    return next((kind for key, kind in _SHAPES.items() if key in body), None)


def _segments(text: Any) -> Iterator[str]:
    if isinstance(text, str):
        yield from text.split("/")[-2:-1]


def _scope_of(own: str) -> str:
    """The scope of an ARM id of a policy document; empty for that of a built-in."""
    at = own.lower().rfind("/providers/microsoft.authorization/")
    return own[:at] if at > 0 else ""


def text_at(value: Any, where: str) -> str:
    """A text, empty for null. Raises InvalidInput for anything else."""
    if value is None:
        return ""
    if not isinstance(value, str):
        raise InvalidInput("is no text", where=where)
    return value
