"""Typed access to the fields of a document; what is wrong is told with file and field."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import UTC, date, datetime, time
from typing import Any

from aksp.compliance.parameters import nearest
from aksp.errors import InvalidInput
from aksp.model.assignment import API_VERSION, NAME
from aksp.model.scope import Scope
from aksp.model.times import in_utc

#: RFC 3339, where the time and its offset may be left out.
_MOMENT = re.compile(r"\d{4}-\d\d-\d\d([Tt ]\d\d:\d\d(:\d\d(\.\d+)?)?([Zz]|[+-]\d\d:?\d\d)?)?", re.ASCII)


class WrongField(InvalidInput):
    """A field of a document cannot be used; ``field`` is its path, as in ``spec.resources[0].name``."""

    def __init__(self, what: str, *, field: str, where: str, hint: str | None = None) -> None:
        super().__init__(what, where=where, hint=hint)
        self.field = field


class SpecFields:
    """Typed access to a document's spec; every complaint names file and field."""

    def __init__(self, value: Any, origin: str, path: str, known: tuple[str, ...]) -> None:
        self.origin, self.path = origin, path
        if not isinstance(value, Mapping):
            raise self.wrong("", "a mapping", value)
        self._value = value
        for key in value:
            if key not in known:
                field = f"{path}.{key}"
                raise WrongField(
                    f"{field} is not a known field", field=field, where=origin, hint=nearest(str(key), known)
                )

    def wrong(self, key: str, expected: str, got: Any) -> InvalidInput:
        field = f"{self.path}.{key}" if key else self.path
        found = "missing" if got is None else f"{got!r}"
        return WrongField(f"{field} is {found}, expected {expected}", field=field, where=self.origin)

    def text(self, key: str, *, required: bool = False) -> str:
        value = self._value.get(key)
        if value is None and not required:
            return ""
        if not isinstance(value, str) or (required and not value.strip()):
            raise self.wrong(key, "a string", value)
        return value

    def mapping(self, key: str) -> Mapping[str, Any]:
        value = self._value.get(key)
        if value is None:
            return {}
        if not isinstance(value, Mapping):
            raise self.wrong(key, "a mapping", value)
        return {str(name): self._json(entry, f"{key}.{name}") for name, entry in value.items()}

    def _json(self, value: Any, path: str) -> Any:
        """A value as JSON has it: YAML's own times become text, and what JSON cannot hold is wrong."""
        match value:
            case None | bool() | int() | str():
                return value
            case float() if math.isfinite(value):
                return value
            case datetime():
                return in_utc(value).isoformat().replace("+00:00", "Z")
            case date():
                return value.isoformat()
            case list():
                return [self._json(entry, f"{path}[{at}]") for at, entry in enumerate(value)]
            case Mapping():
                return {str(name): self._json(entry, f"{path}.{name}") for name, entry in value.items()}
        raise self.wrong(path, "a value that JSON has too", value)

    def array(self, key: str) -> list[Any]:
        value = self._value.get(key)
        if value is None:
            return []
        if not isinstance(value, list):
            raise self.wrong(key, "a list", value)
        return value

    def texts(self, key: str) -> tuple[str, ...]:
        value = self.array(key)
        if not all(isinstance(entry, str) and entry.strip() for entry in value):
            raise self.wrong(key, "a list of strings", value)
        return tuple(value)

    def scope(self, key: str) -> Scope:
        return self._scope(key, self.text(key) or "/")

    def scopes(self, key: str) -> tuple[Scope, ...]:
        return tuple(self._scope(f"{key}[{at}]", entry) for at, entry in enumerate(self.array(key)))

    def _scope(self, key: str, text: Any) -> Scope:
        if not isinstance(text, str):
            raise self.wrong(key, "a scope", text)
        try:
            return Scope.parse(text)
        except ValueError as error:
            field = f"{self.path}.{key}"
            raise WrongField(f"{field}: {error}", field=field, where=self.origin) from error

    def strings(self, key: str) -> dict[str, str]:
        """A mapping of strings, as labels are."""
        found: dict[str, str] = {}
        for name, value in self.mapping(key).items():
            if not isinstance(value, str):
                raise self.wrong(f"{key}.{name}", "a string", value)
            found[name] = value
        return found

    def time(self, key: str) -> datetime | None:
        value = self._value.get(key)
        if value is None:
            return None
        if isinstance(value, date) and not isinstance(value, datetime):  # YAML's own dates and timestamps
            value = datetime.combine(value, time.min)
        try:
            if isinstance(value, str):
                if not _MOMENT.fullmatch(value):  # Python also takes weeks and days of a year.
                    raise ValueError(value)
                # Azure writes seven digits of a second, one more than Python reads.
                value = datetime.fromisoformat(re.sub(r"(\.\d{6})\d+", r"\1", value.upper()))
            if isinstance(value, datetime):
                value = in_utc(value)
                value.astimezone(UTC)
                return value
        except (ValueError, OverflowError):  # OverflowError: before the year 1 or past 9999 in UTC
            pass
        raise self.wrong(key, "a date and time such as 2026-12-31T00:00:00Z", str(value))


def name_and_spec(document: Any, origin: str, kind: str) -> tuple[str, Any]:
    """The name and the spec of a document of the expected kind."""
    if not isinstance(document, Mapping):
        raise InvalidInput("not a mapping", where=origin)
    if document.get("apiVersion") != API_VERSION:
        raise WrongField(
            f"apiVersion is {document.get('apiVersion')!r}, expected {API_VERSION}", field="apiVersion", where=origin
        )
    if document.get("kind") != kind:
        raise WrongField(f"kind is {document.get('kind')!r}, expected {kind}", field="kind", where=origin)
    metadata = document.get("metadata")
    name = metadata.get("name") if isinstance(metadata, Mapping) else None
    if not isinstance(name, str) or not NAME.fullmatch(name):
        raise WrongField(
            f"metadata.name is {name!r}, expected lower-case letters, digits, - and .",
            field="metadata.name",
            where=origin,
        )
    return name, document.get("spec")
