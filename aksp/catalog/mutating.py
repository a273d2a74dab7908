"""What Gatekeeper's mutators would make of an object: Assign, AssignMetadata, ModifySet and AssignImage, as it applies them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from copy import deepcopy
from typing import Any, Final

from msgspec import Struct

from aksp.catalog.mutation_paths import EachStep, EntryStep, FieldStep, Step, starts_with, steps_of
from aksp.errors import InvalidInput

GROUP: Final = "mutations.gatekeeper.sh"
_DOMAIN: Final = re.compile(r"\w[\w-]*\.[\w.-]*\w(?::\d+)?|localhost(?::\d+)?", re.ASCII)
_PATH: Final = re.compile(r"[a-z0-9]+(?:(?:[._/]|__|-*)[a-z0-9]+)*")
_TAG: Final = re.compile(
    r":\w[\w.-]{0,127}|@[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9A-Fa-f]{32,}", re.ASCII
)
_CONDITIONS: Final = ("MustExist", "MustNotExist")
#: What the parameters of a kind may have.
_PARAMETERS: Final = {
    "Assign": ("assign", "pathTests"), "AssignMetadata": ("assign",),
    "ModifySet": ("operation", "values", "pathTests"),
    "AssignImage": ("assignDomain", "assignPath", "assignTag", "pathTests"),
}  # fmt: skip
#: The kinds of mutators.
MUTATORS: Final = tuple(_PARAMETERS)


class NotMutated(Exception):
    """Gatekeeper would refuse the object with an error, or nobody can tell what it would make of it; the text says why."""


class PatchOperation(Struct, frozen=True, kw_only=True):
    """One operation of a JSON patch (RFC 6902)."""

    op: str
    path: str
    value: Any = None

    def document(self) -> dict[str, Any]:
        """As it is written."""
        return {"op": self.op, "path": self.path} | ({} if self.op == "remove" else {"value": self.value})


class Mutator(Struct, frozen=True, kw_only=True):
    """A mutator that was checked. ``tests`` are the conditions of its pathTests, by the depth of the step that they end at."""

    kind: str
    name: str
    steps: tuple[Step, ...]
    tests: Mapping[int, frozenset[str]]
    parameters: Mapping[str, Any]

    @classmethod
    def read(cls, document: Mapping[str, Any], where: str) -> Mutator:
        """Read a mutator as Gatekeeper's webhook does. Raises InvalidInput for what it refuses, and for external data."""
        kind = str(document.get("kind"))
        metadata = document.get("metadata")
        name = str(metadata.get("name") if isinstance(metadata, Mapping) else "")
        spec = document.get("spec")
        if kind not in _PARAMETERS or not str(document.get("apiVersion")).startswith(f"{GROUP}/"):
            raise InvalidInput(
                f"is {document.get('apiVersion')} {kind}, expected {' or '.join(MUTATORS)} of {GROUP}", where=where
            )
        called = f"{kind} {name}"
        if not isinstance(spec, Mapping) or not isinstance(spec.get("location"), str):
            raise InvalidInput(f"{called}: spec.location is no text", where=where)
        parameters = spec.get("parameters")
        if not isinstance(parameters, Mapping):
            raise InvalidInput(f"{called}: spec.parameters is no mapping", where=where)
        if (unknown := next((key for key in parameters if key not in _PARAMETERS[kind]), None)) is not None:
            raise InvalidInput(f"{called}: spec.parameters.{unknown} is not known", where=where)
        try:
            steps = steps_of(spec["location"])
            _check(kind, steps, parameters)
            tests = _tests(kind, steps, parameters.get("pathTests") or [])
        except ValueError as error:
            raise InvalidInput(f"{called}: {error}", where=where) from error
        return cls(kind=kind, name=name, steps=steps, tests=tests, parameters=parameters)

    def mutated(self, document: Any) -> Any:
        """The object as Gatekeeper makes it; the same where it changes nothing. Raises NotMutated."""
        made = deepcopy(document)
        return made if self._walk(made, 0, document) else document

    def _walk(self, found: Any, depth: int, whole: Mapping[str, Any]) -> bool:
        """Change what is at a step. False where a path test says that nothing is to be changed."""
        step, last = self.steps[depth], depth == len(self.steps) - 1
        if isinstance(step, FieldStep):
            if not isinstance(found, dict):
                raise NotMutated(f"{self.kind} {self.name}: {step.name} is asked for in what is no object")
            there = step.name in found
            if not self._may(depth, there):
                return False
            if last:
                self._set(found, step.name, whole)
                return True
            below = (
                found[step.name] if there else ([] if isinstance(self.steps[depth + 1], EachStep | EntryStep) else {})
            )
            changed = self._walk(below, depth + 1, whole)
            if changed:
                found[step.name] = below
            return changed
        if not isinstance(found, list):
            raise NotMutated(f"{self.kind} {self.name}: entries by {step.key} are asked for in what is no list")
        if isinstance(step, EachStep):
            if not self._may(depth, True):
                return False
            changes = [self._walk(one, depth + 1, whole) for one in found]
            return any(changes)
        return self._entry(step, found, depth, whole, last)

    def _entry(self, step: EntryStep, found: list[Any], depth: int, whole: Mapping[str, Any], last: bool) -> bool:
        """Change the entry of a list that has a key, or add it."""
        places = [at for at, one in enumerate(found) if isinstance(one, dict) and one.get(step.key) == step.value]
        if not self._may(depth, bool(places)):
            return False
        if last:
            value = self._value(whole)
            if not isinstance(value, dict) or (places and value.get(step.key) != step.value):
                raise NotMutated(f"{self.kind} {self.name}: its value is no object with {step.key} {step.value!r}")
            if places:
                found[places[0]] = value
            else:
                found.append(value)
            return True
        if places:
            changes = [self._walk(found[at], depth + 1, whole) for at in places]
            return any(changes)
        made = {step.key: step.value}
        changed = self._walk(made, depth + 1, whole)
        if changed:
            found.append(made)
        return changed

    def _may(self, depth: int, there: bool) -> bool:
        return ("MustNotExist" if there else "MustExist") not in self.tests.get(depth, ())

    def _value(self, whole: Mapping[str, Any]) -> Any:
        assign = self.parameters["assign"]
        if "value" in assign:
            return deepcopy(assign["value"])
        metadata = whole.get("metadata")
        found = metadata.get(assign["fromMetadata"]["field"]) if isinstance(metadata, Mapping) else None
        return found or ""

    def _set(self, found: dict[str, Any], key: str, whole: Mapping[str, Any]) -> None:
        match self.kind:
            case "Assign" | "AssignMetadata":
                found[key] = self._value(whole)
            case "ModifySet":
                self._modify(found, key)
            case _:
                image = found.get(key, "")
                if not isinstance(image, str):
                    raise NotMutated(f"{self.kind} {self.name}: what is to be an image is no text")
                found[key] = _image(image, self.parameters)

    def _modify(self, found: dict[str, Any], key: str) -> None:
        values = self.parameters["values"]["fromList"]
        if key in found and not isinstance(found[key], list):
            raise NotMutated(f"{self.kind} {self.name}: {key} is no list")
        if self.parameters["operation"] == "merge":
            there = found.get(key, [])
            # As in Gatekeeper, a new list gets all values, also those that come twice.
            found[key] = [*there, *(one for one in values if key not in found or one not in there)]
        elif key in found:
            found[key] = [one for one in found[key] if one not in values]


def _check(kind: str, steps: Sequence[Step], parameters: Mapping[str, Any]) -> None:
    """Raise ValueError for what Gatekeeper's webhook refuses."""
    of_metadata = steps[0] == FieldStep("metadata")
    if kind == "AssignMetadata":
        if len(steps) != 3 or not of_metadata or steps[1] not in (FieldStep("labels"), FieldStep("annotations")):
            raise ValueError("its location is no label and no annotation, as metadata.labels.NAME is")
        _assign(parameters)
        if "value" in parameters["assign"] and not isinstance(parameters["assign"]["value"], str):
            raise ValueError("spec.parameters.assign.value is no text")
        return
    if of_metadata:
        raise ValueError("its location is in metadata, which AssignMetadata alone may set")
    if len(steps) > 1 and isinstance(before := steps[-2], EntryStep | EachStep) and steps[-1] == FieldStep(before.key):
        raise ValueError("its location would change the key by which an entry is found")
    if isinstance(steps[-1], EachStep) or (kind != "Assign" and isinstance(steps[-1], EntryStep)):
        raise ValueError("its location ends with the entries of a list")
    if kind == "Assign":
        _assign(parameters)
    elif kind == "ModifySet":
        values = parameters.get("values")
        if not isinstance(values, Mapping) or not isinstance(values.get("fromList"), list):
            raise ValueError("spec.parameters.values.fromList is no list")
        if parameters.get("operation", "merge") not in ("merge", "prune"):
            raise ValueError(f"spec.parameters.operation is {parameters['operation']!r}, expected merge or prune")
    else:
        _check_image(parameters)


def _assign(parameters: Mapping[str, Any]) -> None:
    assign = parameters.get("assign")
    known = ("value", "fromMetadata", "externalData")
    given = [key for key in known if key in assign] if isinstance(assign, Mapping) else []
    if not isinstance(assign, Mapping) or len(given) != 1 or len(assign) != 1:
        raise ValueError(f"spec.parameters.assign has not one of {', '.join(known)} alone")
    if given == ["externalData"]:
        raise ValueError("it asks providers for its value (externalData), and nobody is asked here")
    if given == ["fromMetadata"]:
        source = assign["fromMetadata"]
        if not isinstance(source, Mapping) or source.get("field") not in ("name", "namespace"):
            raise ValueError("spec.parameters.assign.fromMetadata.field is neither name nor namespace")


def _check_image(parameters: Mapping[str, Any]) -> None:
    given = {key: parameters.get(key) or "" for key in ("assignDomain", "assignPath", "assignTag")}
    if not any(given.values()):
        raise ValueError("spec.parameters has none of assignDomain, assignPath, assignTag")
    for (key, value), shape in zip(given.items(), (_DOMAIN, _PATH, _TAG), strict=True):
        if value and (not isinstance(value, str) or not shape.fullmatch(value)):
            raise ValueError(f"spec.parameters.{key} is {value!r}, which Gatekeeper does not take")
    if not given["assignDomain"] and _split(given["assignPath"])[0]:
        raise ValueError("spec.parameters.assignPath begins with what looks like a domain: give assignDomain")


def _tests(kind: str, steps: Sequence[Step], given: Any) -> dict[int, frozenset[str]]:
    found: dict[int, frozenset[str]] = {}
    if kind == "AssignMetadata":
        return {2: frozenset({"MustNotExist"})}
    if not isinstance(given, list) or not all(isinstance(one, Mapping) for one in given):
        raise ValueError("spec.parameters.pathTests is no list of objects")
    for one in given:
        condition, path = one.get("condition"), one.get("subPath")
        if condition not in _CONDITIONS or not isinstance(path, str):
            raise ValueError(
                f"spec.parameters.pathTests has {dict(one)!r}, expected subPath and {' or '.join(_CONDITIONS)}"
            )
        tested = steps_of(path)
        if not starts_with(steps, tested):
            raise ValueError(f"spec.parameters.pathTests: {path} is no beginning of its location")
        depth = len(tested) - 1
        found[depth] = found.get(depth, frozenset()) | {condition}
    return found


def _split(image: str) -> tuple[str, str]:
    """The domain of an image, and the rest, as Gatekeeper tells them apart."""
    first, slash, rest = image.partition("/")
    if not slash or (not any(mark in first for mark in ".:") and first != "localhost"):
        return "", image
    return first, rest


def _image(image: str, parameters: Mapping[str, Any]) -> str:
    domain, rest = _split(image)
    at = min((rest.find(mark) for mark in ":@" if mark in rest), default=len(rest))
    domain, path = parameters.get("assignDomain") or domain, parameters.get("assignPath") or rest[:at]
    return f"{f'{domain}/' if domain else ''}{path}{parameters.get('assignTag') or rest[at:]}"


def difference(before: Any, after: Any, at: str = "") -> list[PatchOperation]:
    """The JSON patch that makes one object of another. A list of another length is replaced whole."""
    if isinstance(before, dict) and isinstance(after, dict):
        made = []
        for key in {**before, **after}:
            here = f"{at}/{str(key).replace('~', '~0').replace('/', '~1')}"
            if key not in after:
                made.append(PatchOperation(op="remove", path=here))
            elif key not in before:
                made.append(PatchOperation(op="add", path=here, value=after[key]))
            else:
                made += difference(before[key], after[key], here)
        return made
    if isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        pairs = zip(before, after, strict=True)
        return [one for index, (old, new) in enumerate(pairs) for one in difference(old, new, f"{at}/{index}")]
    same = before == after and type(before) is type(after)
    return [] if same else [PatchOperation(op="replace", path=at, value=after)]
