"""Overlays, rendered by ``kustomize build`` or ``kubectl kustomize``."""

from __future__ import annotations

import json
import os
import re
import shutil
import tempfile
from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from msgspec import Struct

from aksp.errors import InvalidInput
from aksp.model.fields import mappings
from aksp.sources.rendering.rendered import Rendered
from aksp.sources.rendering.tool import NotRendered, run, version_of
from aksp.yaml_reader import read_file, read_yaml
from aksp.yaml_writer import to_yaml

#: The names that kustomize looks for in a folder.
NAMES: Final = ("kustomization.yaml", "kustomization.yml", "Kustomization")
_ORIGIN: Final = "config.kubernetes.io/origin"
_SEPARATOR: Final = b"\n---\n"
#: Fields whose entries are files or folders, and those whose entries have them in `path` or `files`.
_PATHS: Final = (
    "resources", "bases", "components", "patchesStrategicMerge", "crds", "configurations", "generators", "transformers",
    "validators",
)  # fmt: skip
_WITH_PATH: Final = ("patches", "patchesJson6902", "replacements")
_GENERATORS: Final = ("configMapGenerator", "secretGenerator")
_KEYS: Final = {key.lower(): key for key in (*_PATHS, *_WITH_PATH, *_GENERATORS, "helmCharts")}
#: Fields whose entries are settings of generators and transformers; and, in lower case, fields that are mere texts.
_PLUGINS: Final = ("generators", "transformers", "validators")
_TEXTS: Final = frozenset(
    ["literals", "patch", "commonannotations", "commonlabels", "labels", "annotations", "metadata", "images"]
)
_URL: Final = re.compile(r"(?:[^=\n]*=)?[a-z][a-z0-9+.-]*://.*", re.IGNORECASE)


class Overlay(Struct, frozen=True, kw_only=True):
    """A folder with a kustomization file."""

    folder: str

    @property
    def home(self) -> str:
        """The kustomization file."""
        return str(kustomization_file(Path(self.folder)) or Path(self.folder, NAMES[0]))

    def render(self) -> Rendered:
        """What kustomize makes of it. Raises NotRendered, also for what kustomize would have to fetch."""
        remote = next(remotes(Path(self.folder)), None)
        if remote is not None:
            file, name = remote
            raise NotRendered(
                f"{file} names {name}, and nothing is fetched from the network: vendor it, or judge what kustomize makes of it: kustomize build {self.folder} | aksp compliance -f -"
            )
        command, by = _tool()
        text = run([*command, "--", self.folder])
        return Rendered(text, by, self._file_of(command, text))

    def is_component(self) -> bool:
        """Whether overlays alone use it: it makes nothing by itself."""
        file = kustomization_file(Path(self.folder))
        return file is not None and any(one.get("kind") == "Component" for one in _read(file))

    def _file_of(self, command: Sequence[str], text: bytes) -> Callable[[int, int], str]:
        """The files of the documents, by where these begin; the kustomization's own where kustomize does not tell."""
        starts = [0, *(at.end() for at in re.finditer(_SEPARATOR, text))]
        origins = self._origins(command, len(starts))
        return lambda offset, length: origins[bisect_right(starts, offset) - 1]

    def _origins(self, command: Sequence[str], count: int) -> list[str]:
        """The file of each document. The overlay is rendered once more, with an annotation that judged documents lack."""
        unknown = [self.home] * count
        with tempfile.TemporaryDirectory(prefix="aksp-overlay-") as folder:
            root = Path(folder).resolve()
            try:
                overlay = os.path.relpath(Path(self.folder).resolve(), root)
            except ValueError:  # on another drive
                return unknown
            wrapper = {"resources": [Path(overlay).as_posix()], "buildMetadata": ["originAnnotations"]}
            (root / NAMES[0]).write_text(to_yaml(wrapper), encoding="utf-8")
            try:
                texts = run([*command, "--", str(root)]).split(_SEPARATOR)
            except NotRendered:
                return unknown
            if len(texts) != count:
                return unknown
            return [self._origin(text, root) or self.home for text in texts]

    def _origin(self, text: bytes, root: Path) -> str | None:
        # Above its metadata an object can have a text that reads like the annotation.
        metadata = re.search(rb"^metadata:\n", text, re.MULTILINE)
        text = text[metadata.start() :] if metadata else b""
        found = re.search(rf"^    {re.escape(_ORIGIN)}: \|\n((?:      .*\n?)+)".encode(), text, re.MULTILINE)
        path = re.search(rb"^\s+(?:path|configuredIn): (.+)$", found[1], re.MULTILINE) if found else None
        if path is None:
            return None
        file = Path(os.path.normpath(root / path[1].decode(errors="replace")))
        if not file.is_file():
            return None
        return str(file) if Path(self.folder).is_absolute() else os.path.relpath(file)


def kustomization_file(folder: Path) -> Path | None:
    """The kustomization file of a folder."""
    return next((folder / name for name in NAMES if (folder / name).is_file()), None)


def _names_in(documents: Sequence[Any]) -> Iterator[str]:
    """What a kustomization names: files, folders and addresses."""
    for document in mappings(documents):
        for key in _PATHS:
            yield from _texts(document.get(key))
        for key in _WITH_PATH:
            yield from _texts(one.get("path") for one in mappings(document.get(key)))
        for key in _GENERATORS:
            for one in mappings(document.get(key)):
                named = [*_texts(one.get("files")), *_texts(one.get("envs")), *_texts([one.get("env")])]
                yield from (name.partition("=")[2] or name for name in named)
        for one in mappings(document.get("helmCharts")):
            yield from _texts([one.get("valuesFile"), *_texts(one.get("additionalValuesFiles"))])
        if isinstance(openapi := document.get("openapi"), Mapping):
            yield from _texts([openapi.get("path")])


def used_by(folder: Path) -> Iterator[Path]:
    """The files and folders that a kustomization names, resolved; nothing of one that cannot be read."""
    file = kustomization_file(folder)
    for name in _names_in(_read(file)) if file else ():
        path = folder / name
        # A text of several lines is a patch that stands in the file itself.
        if "\n" not in name and os.path.exists(path):
            yield path.resolve()


def remotes(folder: Path) -> Iterator[tuple[Path, str]]:
    """What kustomize would fetch for a folder, and the file that names it. Raises NotRendered for a file that cannot be read."""
    waiting, seen = [(folder, False)], set()
    while waiting:
        path, plugins = waiting.pop()
        file = kustomization_file(path) if path.is_dir() else path
        if file is None or (file, plugins) in seen:
            continue
        seen.add((file, plugins))
        documents = _documents(file)
        for name in _urls(documents):
            yield file, name
        settings = {name for one in mappings(documents) for key in _PLUGINS for name in _texts(one.get(key))}
        for name in _names_in(documents) if path.is_dir() else ():
            below = path / name
            if not os.path.exists(below):
                for url in _urls(_within(name, file)) if name in settings else [name] if _is_address(name) else ():
                    yield file, url
            elif below.is_dir() or plugins or name in settings:
                # The settings of a generator or a transformer may name files, too.
                waiting.append((below.resolve(), plugins or name in settings))


def _is_address(name: str) -> bool:
    host = r"[a-z+]+://|git@|git::|[^/:]+@[^/:]+:|(?:www\.)?(?:github|gitlab|bitbucket)\.[a-z]+[/:]"
    named = re.match(host, name, re.IGNORECASE) or "?ref=" in name or "?version=" in name
    return bool(named) and "\n" not in name


def _urls(value: Any) -> Iterator[str]:
    """The URLs in a document that are no mere text: kustomize fetches one wherever it takes the name of a file."""
    if isinstance(value, Mapping):
        for key, one in value.items():
            if str(key).lower() not in _TEXTS:
                yield from _urls(one)
    elif isinstance(value, list):
        for one in value:
            yield from _urls(one)
    elif isinstance(value, str) and _URL.fullmatch(value):
        yield value


def _within(text: str, file: Path) -> list[Any]:
    """The documents of a text that stands in a kustomization in the place of a file. Raises NotRendered."""
    try:
        return [document for document, _ in read_yaml(text, str(file))]
    except InvalidInput as error:
        raise NotRendered(str(error)) from error


def _documents(file: Path) -> list[Any]:
    """The documents of a file, with kustomize's spelling of the keys, which it reads in any case. Raises NotRendered."""
    try:
        text = read_file(file)
    except InvalidInput as error:
        raise NotRendered(str(error)) from error
    return [
        {_KEYS.get(str(key).lower(), key): value for key, value in one.items()} if isinstance(one, Mapping) else one
        for one in _within(text, file)
    ]


def _read(file: Path) -> list[Mapping[str, Any]]:
    try:
        return mappings(_documents(file))
    except NotRendered:
        return []  # told when it is rendered


def _texts(values: Any) -> Iterator[str]:
    if isinstance(values, (list, Iterator)):
        yield from (one for one in values if isinstance(one, str) and one)


def _tool() -> tuple[tuple[str, ...], str]:
    """The command that renders, and its exact version. Raises NotRendered without one."""
    if kustomize := shutil.which("kustomize"):
        return (kustomize, "build"), f"kustomize {version_of(kustomize, 'version')}"
    if kubectl := shutil.which("kubectl"):
        try:
            found = json.loads(version_of(kubectl, "version", "--client", "--output=json"))
            version = f"{found['kustomizeVersion']} of kubectl {found['clientVersion']['gitVersion']}"
        except (ValueError, LookupError, TypeError) as error:
            raise NotRendered(f"{kubectl} does not tell its version") from error
        return (kubectl, "kustomize"), f"kustomize {version}"
    raise NotRendered(
        "it is an overlay, and neither kustomize nor kubectl is installed: install one, or judge what it makes: kustomize build … | aksp compliance -f -"
    )
