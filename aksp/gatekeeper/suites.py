"""Suites of gator: which templates and constraints are tested, with which objects, and what is expected (its pkg/gator/verify)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from msgspec import Struct

from aksp.compliance.parameters import nearest
from aksp.errors import InvalidInput
from aksp.sources.folders import Folders
from aksp.yaml_reader import read_file, read_yaml

GROUP: Final = "test.gatekeeper.sh"
KIND: Final = "Suite"


class Assertion(Struct, frozen=True, kw_only=True):
    """How many violations are expected: ``yes``, ``no`` or a number, counting only messages that match a regular expression."""

    violations: int | str = "yes"
    message: str | None = None


class SuiteCase(Struct, frozen=True, kw_only=True):
    """One object, other objects that it is compared with, and what is expected."""

    name: str
    object: str
    inventory: Sequence[str]
    assertions: Sequence[Assertion]
    skip: bool


class SuiteTest(Struct, frozen=True, kw_only=True):
    """A template and a constraint, and the cases that they judge; with ``invalid`` the template must not take the constraint."""

    name: str
    template: str
    constraint: str
    expansion: str
    cases: Sequence[SuiteCase]
    invalid: bool
    skip: bool


class Suite(Struct, frozen=True, kw_only=True):
    """The tests of one file; paths in them are relative to it."""

    path: Path
    tests: Sequence[SuiteTest]
    skip: bool


def suites_of(paths: Sequence[str]) -> list[Suite]:
    """The suites of files, and of folders with all below them, in order; other files are passed over.

    Raises InvalidInput for a path that is not there, a file that is named and holds no suite, and a suite that is wrong.
    """
    found: dict[Path, Suite] = {}
    for text in paths:
        # gator's way to say that folders below are meant too.
        path = Path(text.removesuffix("/..."))
        if path.is_dir():
            for file in Folders(recursive=True).files(path):
                if (suite := _read(Path(file))) is not None:
                    found[suite.path] = suite
        elif (suite := _read(path)) is not None:
            found[suite.path] = suite
        else:
            raise InvalidInput(f"holds no {KIND} of {GROUP}", where=text)
    return [found[path] for path in sorted(found)]


def _read(path: Path) -> Suite | None:
    """The suite of a file; None for a file that holds something else, which may be no YAML, as templates of Helm are."""
    text = read_file(path)
    if KIND not in text or GROUP not in text:
        return None
    found = [
        document
        for document, _ in read_yaml(text, str(path))
        if isinstance(document, Mapping)
        and document.get("kind") == KIND
        and str(document.get("apiVersion")).partition("/")[0] == GROUP
    ]
    if not found:
        return None
    if len(found) > 1:
        raise InvalidInput(
            f"holds {len(found)} suites, of which gator runs one", where=str(path), hint="one in each file"
        )
    fields = _SuiteFields(found[0], str(path), "")
    fields.only("apiVersion", "kind", "metadata", "tests", "skip")
    return Suite(path=path, tests=[_test(one) for one in fields.entries("tests")], skip=fields.flag("skip"))


def _test(fields: _SuiteFields) -> SuiteTest:
    fields.only(*SuiteTest.__struct_fields__)
    cases = [_case(one) for one in fields.entries("cases")]
    invalid = fields.flag("invalid")
    if invalid and cases:
        raise fields.wrong("cases", "nothing beside invalid: true")
    return SuiteTest(
        name=fields.text("name"),
        template=fields.text("template"),
        constraint=fields.text("constraint"),
        expansion=fields.text("expansion"),
        cases=cases,
        invalid=invalid,
        skip=fields.flag("skip"),
    )


def _case(fields: _SuiteFields) -> SuiteCase:
    fields.only(*SuiteCase.__struct_fields__)
    return SuiteCase(
        name=fields.text("name"),
        object=fields.text("object"),
        inventory=fields.texts("inventory"),
        assertions=[_assertion(one) for one in fields.entries("assertions")],
        skip=fields.flag("skip"),
    )


def _assertion(fields: _SuiteFields) -> Assertion:
    fields.only(*Assertion.__struct_fields__)
    violations = fields.value("violations")
    if violations is None or isinstance(violations, bool):
        # YAML 1.1 takes a bare yes or no for true or false.
        violations = "no" if violations is False else "yes"
    if violations not in ("yes", "no") and not (_number(violations) and violations >= 0):
        raise fields.wrong("violations", '"yes", "no" or a number')
    message = fields.value("message")
    if message is not None and not isinstance(message, str):
        raise fields.wrong("message", "a regular expression")
    return Assertion(violations=violations, message=message)


def _number(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


class _SuiteFields:
    """Typed access to a part of a suite; every complaint names file and field."""

    def __init__(self, value: Any, origin: str, path: str) -> None:
        self._origin, self._path = origin, path
        if not isinstance(value, Mapping):
            raise InvalidInput(f"{path} is {value!r}, expected a mapping", where=origin)
        self._value = value

    def only(self, *names: str) -> None:
        """Raise InvalidInput for other fields: a misspelt one would not be tested, and the suite would pass."""
        for key in self._value:
            if key not in names:
                where = f" of {self._path}" if self._path else ""
                raise InvalidInput(
                    f"{key!r}{where} is not known, and would not be tested", where=self._origin,
                    hint=nearest(str(key), names),
                )  # fmt: skip

    def wrong(self, key: str, expected: str) -> InvalidInput:
        field = f"{self._path}.{key}" if self._path else key
        return InvalidInput(f"{field} is {self._value.get(key)!r}, expected {expected}", where=self._origin)

    def value(self, key: str) -> Any:
        return self._value.get(key)

    def text(self, key: str) -> str:
        value = self._value.get(key)
        if value is None:
            return ""
        if not isinstance(value, str):
            raise self.wrong(key, "a text")
        return value

    def flag(self, key: str) -> bool:
        value = self._value.get(key)
        if value is not None and not isinstance(value, bool):
            raise self.wrong(key, "true or false")
        return bool(value)

    def texts(self, key: str) -> list[str]:
        value = self._value.get(key) or []
        if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
            raise self.wrong(key, "a list of texts")
        return value

    def entries(self, key: str) -> list[_SuiteFields]:
        value = self._value.get(key) or []
        if not isinstance(value, list):
            raise self.wrong(key, "a list")
        own = f"{self._path}.{key}" if self._path else key
        return [_SuiteFields(one, self._origin, f"{own}[{at}]") for at, one in enumerate(value)]
