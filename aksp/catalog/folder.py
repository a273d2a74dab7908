"""A folder of definitions: ``<slug>/definition.json`` with its Rego beside it, ``lib/*.rego`` shared."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from aksp.catalog.document import Reader, definition_from
from aksp.catalog.template import modules_of_base64, modules_of_template
from aksp.errors import InvalidPolicy
from aksp.model.definition import Definition, RegoModule

_LIBRARY_IMPORT = re.compile(r"\bdata\.lib\.([A-Za-z_]\w*)")
_PACKAGE = re.compile(r"^\s*package\s+lib\.([A-Za-z_]\w*)", re.MULTILINE)


class Folder:
    """The definitions of one folder; an absent folder has none."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def __iter__(self) -> Iterator[Definition]:
        if not self._root.is_dir():
            return
        libraries = self._libraries()
        for path in sorted(self._root.glob("*/definition.json")):
            yield self._read(path, libraries)

    def _libraries(self) -> dict[str, RegoModule]:
        found: dict[str, RegoModule] = {}
        for path in sorted((self._root / "lib").glob("*.rego")):
            source = _text(path)
            if match := _PACKAGE.search(source):
                found[match[1]] = RegoModule(name=f"lib/{path.name}", source=source)
        return found

    def _read(self, path: Path, libraries: dict[str, RegoModule]) -> Definition:
        origin = str(path)
        try:
            document = json.loads(_text(path))
        except (ValueError, RecursionError) as error:
            raise InvalidPolicy(f"not JSON: {error}", where=origin) from error
        info = (
            Reader(document, origin)
            .object("properties")
            .object("policyRule")
            .object("then")
            .object("details")
            .object("templateInfo")
        )
        modules = self._modules(info, path.parent, libraries)
        return definition_from(document, slug=path.parent.name, origin=origin, modules=modules)

    def _modules(self, info: Reader, beside: Path, libraries: dict[str, RegoModule]) -> tuple[RegoModule, ...]:
        kind = info.text("sourceType")
        if kind == "File":
            path = beside / info.text("path")
            if beside.resolve() not in path.resolve().parents:
                raise InvalidPolicy(
                    f"templateInfo.path {info.text('path')!r} leads out of the definition's folder", where=info.origin
                )
            if path.suffix in (".yaml", ".yml", ".json"):
                return modules_of_template(_text(path), str(path))
            source = _text(path)
            return (
                RegoModule(name=f"{beside.name}/{path.name}", source=source),
                *_imported(source, libraries, str(path)),
            )
        if kind == "Base64Encoded":
            return modules_of_base64(info.text("content"), info.origin)
        if kind == "PublicURL":
            raise InvalidPolicy(
                f"templateInfo.sourceType PublicURL is not fetched: {info.text('url', '')}",
                where=info.origin,
                hint="download the template beside the definition and name it with sourceType File",
            )
        raise InvalidPolicy(
            f"templateInfo.sourceType {kind!r} is not one of File, Base64Encoded, PublicURL", where=info.origin
        )


def _imported(source: str, libraries: dict[str, RegoModule], origin: str) -> tuple[RegoModule, ...]:
    """The libraries that a module names, and those that they name. Raises InvalidPolicy for one not there.

    To OPA a library that is not there is only undefined, so the rule would find nothing.
    """
    wanted: dict[str, RegoModule] = {}
    queue = [source]
    while queue:
        text = re.sub(r"#.*", "", queue.pop())
        for name in _LIBRARY_IMPORT.findall(text):
            if name not in libraries:
                raise InvalidPolicy(
                    f"data.lib.{name} is not there: no lib/*.rego has package lib.{name}",
                    where=origin,
                    hint="libraries lie in the folder lib beside the definitions",
                )
            if name not in wanted:
                wanted[name] = libraries[name]
                queue.append(libraries[name].source)
    return tuple(wanted.values())


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise InvalidPolicy("there is no such file", where=str(path)) from error
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidPolicy(f"cannot be read: {error}", where=str(path)) from error


BUNDLED = Path(__file__).parent.parent / "definitions"


def bundled() -> Folder:
    """The definitions that come with aksp."""
    return Folder(BUNDLED)


def is_bundled(definition: Definition) -> bool:
    """Whether a definition comes with aksp, and so is in every add-on already."""
    return Path(definition.origin).is_relative_to(BUNDLED)


def as_json(path: Path) -> Any:
    """A definition's document as written, for ``aksp definitions show -o json``."""
    return json.loads(_text(path))
