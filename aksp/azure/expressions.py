"""The expressions of an ARM template, as far as they have a value without a deployment."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

_NAMED = re.compile(r"\[\s*(parameters|variables)\(\s*'([^']*)'\s*\)\s*((?:\.\w+)*)\s*\]")
#: The id of another resource of the template or the tenant, as Bicep's compiler writes it. Only the subscription, or the
#: management group, is not known.
_ID = re.compile(
    r"\[\s*(tenantResourceId|subscriptionResourceId|extensionResourceId|managementGroupResourceId|resourceId)\("
    r"(?:\s*(?:managementGroup|subscription)\(\)\.\w+\s*,)?\s*'(Microsoft\.Authorization/\w+)'\s*,\s*(.+?)\s*\)\s*\]"
)
_TEXT = re.compile(r"'([^']*)'")
#: Stands for the subscription or management group that a template is deployed to.
UNKNOWN_SCOPE: Final = "/subscriptions/-"


class NotKnown(Exception):
    """An expression whose value only a deployment has; the text says where it stands."""


class Expressions:
    """The values that a template gives to its parameters, by default or ``given``, and to its variables."""

    def __init__(self, template: Mapping[str, Any], given: Mapping[str, Any] | None = None) -> None:
        parameters, variables = template.get("parameters"), template.get("variables")
        self._values: dict[tuple[str, str], Any] = {}
        self._asked: list[tuple[str, str]] = []
        for name, one in parameters.items() if isinstance(parameters, Mapping) else ():
            if isinstance(one, Mapping) and "defaultValue" in one:
                self._values["parameters", str(name).lower()] = one["defaultValue"]
        for name, one in variables.items() if isinstance(variables, Mapping) else ():
            self._values["variables", str(name).lower()] = one
        # Given values are resolved already: brackets that are left in them are expressions of Azure Policy.
        self._given = {str(name).lower(): one for name, one in (given or {}).items()}

    def passed(self, parameters: Any, path: str) -> dict[str, Any]:
        """The parameters that are passed on to a deployment within, without those that are not known."""
        found: dict[str, Any] = {}
        for name, one in parameters.items() if isinstance(parameters, Mapping) else ():
            if isinstance(one, Mapping) and "value" in one:
                try:
                    found[name] = self.resolved(one["value"], f"{path}.{name}")
                except NotKnown:
                    continue  # told where it is used
        return found

    def resolved(self, value: Any, path: str) -> Any:
        """A value with its expressions replaced, and what is escaped as ``[[`` unescaped. Raises NotKnown."""
        if isinstance(value, Mapping):
            # The template's own bookkeeping is not read, so it need not be known.
            return {
                key: one if key == "dependsOn" else self.resolved(one, f"{path}.{key}") for key, one in value.items()
            }
        if isinstance(value, list):
            return [self.resolved(one, f"{path}[{at}]") for at, one in enumerate(value)]
        if not isinstance(value, str) or not value.startswith("["):
            return value
        if value.startswith("[["):
            return value[1:]
        if not value.endswith("]"):
            return value
        if match := _NAMED.fullmatch(value):
            return self._named(match[1], match[2].lower(), match[3].split(".")[1:], NotKnown(_unknown(path, value)))
        if match := _ID.fullmatch(value):
            name = self._text(match[3], NotKnown(_unknown(path, value)))
            scope = "" if match[1] == "tenantResourceId" else UNKNOWN_SCOPE
            return f"{scope}/providers/{match[2]}/{name}"
        raise NotKnown(_unknown(path, value))

    def _named(self, where: str, name: str, fields: list[str], unknown: NotKnown) -> Any:
        key = (where, name)
        if where == "parameters" and name in self._given:
            found = self._given[name]
        elif key not in self._values or key in self._asked:
            raise unknown
        else:
            self._asked.append(key)  # so that a value that refers to itself is found
            try:
                found = self.resolved(self._values[key], name)
            except NotKnown as error:
                raise unknown from error
            finally:
                self._asked.pop()
        for one in fields:
            if not isinstance(found, Mapping) or one not in found:
                raise unknown
            found = found[one]
        if found is None:
            raise unknown
        return found

    def _text(self, written: str, unknown: NotKnown) -> str:
        """A text in quotes, or an expression that stands for one."""
        if match := _TEXT.fullmatch(written):
            return match[1]
        found = self.resolved(f"[{written}]", "") if _NAMED.fullmatch(f"[{written}]") else None
        if not isinstance(found, str):
            raise unknown
        return found


def _unknown(path: str, value: str) -> str:
    return f"{path} is {value}, which only a deployment has a value for"
