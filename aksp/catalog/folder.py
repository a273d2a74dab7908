"""A folder of definitions: ``<slug>/definition.json`` with its Rego beside it, ``lib/*.rego`` shared.

Initiatives lie in it as ``initiatives/<slug>.json``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache, cached_property
from pathlib import Path
from typing import Any, TypeVar

from aksp.catalog.common import is_preview, joined, joined_initiative
from aksp.catalog.document import Reader, definition_from, details_of
from aksp.catalog.initiatives import initiative_from
from aksp.catalog.interface import BrokenDefinition
from aksp.catalog.rego_files import BUNDLED, INITIATIVES, LIBRARIES, SLUG, used_libraries
from aksp.catalog.template import Template, template_from, template_from_base64
from aksp.errors import InvalidInput, InvalidPolicy
from aksp.model.definition import Definition, RegoModule
from aksp.model.initiative import Initiative
from aksp.model.json_text import decode_held
from aksp.yaml_reader import read_file

T = TypeVar("T")

_PACKAGE = re.compile(r"^\s*package\s+lib\.([A-Za-z_]\w*)", re.MULTILINE)


class Folder:
    """The definitions of one folder, and those that cannot be loaded; an absent folder has none."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def __iter__(self) -> Iterator[Definition | BrokenDefinition]:
        """The definitions."""
        if not self._root.is_dir():
            return
        for folder in sorted(self._root.iterdir()):
            path = folder / "definition.json"
            if folder.name in (LIBRARIES, INITIATIVES) or not folder.is_dir():
                continue
            if path.exists() or path.is_symlink():
                yield self._read_or_broken(path)
            elif written := sorted(
                one.name for one in folder.iterdir() if one.suffix in (".rego", ".json", ".yaml", ".yml")
            ):
                error = InvalidPolicy(
                    f"there is no definition.json beside {written[0]}",
                    where=str(folder),
                    hint="write one: docs/definitions.md has an example",
                )
                yield BrokenDefinition(slug=folder.name, error=error)

    def get(self, slug: str) -> Definition | Initiative | None:
        """One by its slug, or None; the others are not read. Raises InvalidPolicy when it is broken."""
        if slug in (LIBRARIES, INITIATIVES) or not SLUG.fullmatch(slug):
            return None
        if (path := self._root / slug / "definition.json").is_file():
            return self._read(path)
        if (path := self._root / INITIATIVES / f"{slug}.json").is_file():
            return initiative_from(initiative_as_json(path), slug=slug, origin=str(path))
        return None

    def initiatives(self) -> Iterator[Initiative | BrokenDefinition]:
        """The initiatives, and those that cannot be loaded."""
        for path in sorted((self._root / INITIATIVES).glob("*.json")):
            try:
                document = initiative_as_json(path)
                yield initiative_from(document, slug=path.stem, origin=str(path))
            except InvalidPolicy as error:
                yield BrokenDefinition(slug=path.stem, error=error)

    def _read_or_broken(self, path: Path) -> Definition | BrokenDefinition:
        try:
            return self._read(path)
        except InvalidPolicy as error:
            return BrokenDefinition(slug=path.parent.name, error=error)

    def _name(self, path: Path) -> str:
        """The name of a file in messages: the path by which an editor finds it. Nobody edits a file that comes with aksp."""
        if self._root == BUNDLED:
            return f"{path.parent.name}/{path.name}"
        whole, here = path.absolute(), Path.cwd()
        return str(whole.relative_to(here) if whole.is_relative_to(here) else whole)

    @cached_property
    def _libraries(self) -> dict[str, RegoModule | InvalidPolicy]:
        """Libraries by their names; one that cannot be read concerns only the rules that import it."""
        found: dict[str, RegoModule | InvalidPolicy] = {}
        for path in sorted((self._root / LIBRARIES).glob("*.rego")):
            try:
                source = _text(path)
            except InvalidPolicy as error:
                found[path.stem] = error
                continue
            if match := _PACKAGE.search(source):
                found[match[1]] = RegoModule(name=self._name(path), source=source)
        return found

    def _read(self, path: Path) -> Definition:
        origin = str(path)
        document = as_json(path)
        info = details_of(document, origin).object("templateInfo")
        template = self._template(info, path.parent)
        return definition_from(document, slug=path.parent.name, origin=origin, template=template)

    def _template(self, info: Reader, beside: Path) -> Template:
        kind = info.text("sourceType")
        if kind == "File":
            path = beside / info.text("path")
            try:
                # A plain name that is no link is within the folder. Most are, and resolving paths takes long.
                plain = path.parent == beside and path.name != ".." and not path.is_symlink()
                within = plain or beside.resolve() in path.resolve().parents
            except (OSError, RuntimeError, ValueError) as error:  # a loop of links, or a NUL in the path
                raise InvalidPolicy(
                    f"templateInfo.path {info.text('path')!r} leads nowhere", where=info.origin
                ) from error
            if not within:
                raise InvalidPolicy(
                    f"templateInfo.path {info.text('path')!r} leads out of the definition's folder", where=info.origin
                )
            if path.suffix in (".yaml", ".yml", ".json"):
                return template_from(_text(path), str(path))
            source = _text(path)
            own = RegoModule(name=self._name(path), source=source)
            return Template(modules=(own, *_imported(source, self._libraries, str(path))))
        if kind == "Base64Encoded":
            return template_from_base64(info.text("content"), info.origin)
        if kind == "PublicURL":
            raise InvalidPolicy(
                f"templateInfo.sourceType PublicURL is not fetched: {info.text('url', '')}",
                where=info.origin,
                hint="download the template beside the definition and name it with sourceType File",
            )
        raise InvalidPolicy(
            f"templateInfo.sourceType {kind!r} is not one of File, Base64Encoded, PublicURL", where=info.origin
        )


def _imported(source: str, libraries: Mapping[str, RegoModule | InvalidPolicy], origin: str) -> tuple[RegoModule, ...]:
    """The libraries that a module names, and those that they name. Raises InvalidPolicy for one not there.

    To OPA a library that is not there is only undefined, so the rule would find nothing.
    """

    def library(name: str) -> RegoModule:
        if name not in libraries:
            raise InvalidPolicy(
                f"data.lib.{name} is not there: no lib/*.rego has package lib.{name}",
                where=origin,
                hint="libraries lie in the folder lib beside the definitions",
            )
        found = libraries[name]
        if isinstance(found, InvalidPolicy):
            raise found
        return found

    return tuple(map(library, used_libraries(source, lambda name: library(name).source)))


def _text(path: Path) -> str:
    try:
        return read_file(path)
    except InvalidInput as error:
        raise InvalidPolicy(error.what, where=error.where, hint=error.hint) from error


class FolderReadOnce:
    """The definitions and initiatives of a folder whose files do not change."""

    def __init__(self, folder: Folder) -> None:
        self._folder = folder
        self._single: dict[str, Definition | Initiative] = {}

    def __iter__(self) -> Iterator[Definition | BrokenDefinition]:
        """The definitions."""
        return iter(self._definitions)

    def get(self, slug: str) -> Definition | Initiative | None:
        """One by its slug, as of a Folder."""
        found = self._single.get(slug) or self._folder.get(slug)
        return self._single.setdefault(slug, found) if found is not None else None

    def initiatives(self) -> Iterator[Initiative | BrokenDefinition]:
        """The initiatives."""
        return iter(self._initiatives)

    @cached_property
    def _definitions(self) -> Sequence[Definition | BrokenDefinition]:
        return tuple(self._folder)

    @cached_property
    def _initiatives(self) -> Sequence[Initiative | BrokenDefinition]:
        return tuple(self._folder.initiatives())


@cache
def bundled_folder() -> FolderReadOnce:
    """What comes with aksp."""
    return FolderReadOnce(Folder(BUNDLED))


def bundled() -> list[Definition]:
    """The definitions that come with aksp. Raises InvalidPolicy for one that is broken: a broken installation."""
    return [_whole(one) for one in bundled_folder()]


def bundled_initiatives() -> list[Initiative]:
    """The initiatives that come with aksp. Raises InvalidPolicy for one that is broken: a broken installation."""
    return [_whole(one) for one in bundled_folder().initiatives()]


def _whole(one: T | BrokenDefinition) -> T:
    if isinstance(one, BrokenDefinition):
        raise one.error
    return one


def is_bundled(definition: Definition | Initiative) -> bool:
    """Whether it comes with aksp, and so is in every add-on already."""
    return Path(definition.origin).is_relative_to(BUNDLED)


def as_json(path: Path) -> Any:
    """A definition's document, whole, for ``aksp definitions show -o json``. Raises InvalidPolicy."""
    document = joined(_decoded(path), str(path))
    if is_preview(document):
        from aksp.catalog import preview

        origin = str(path)
        return preview.converted(document, _text(preview.rego_beside(document, path.parent, origin)), origin)
    return document


def initiative_as_json(path: Path) -> Any:
    """An initiative's document, whole. Raises InvalidPolicy."""
    return joined_initiative(_decoded(path), str(path))


def _decoded(path: Path) -> Any:
    try:
        return decode_held(_text(path))
    except (ValueError, RecursionError) as error:
        raise InvalidPolicy(f"not JSON: {error}", where=str(path)) from error
