"""The text that findings are about: of files as they are, of live objects as YAML."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from aksp.engine import Engine
from aksp.inventory.lines import FileSource
from aksp.model.compliance import Result
from aksp.model.resource import Resource
from aksp.report.excerpt import Excerpt, excerpt
from aksp.report.yaml_text import to_yaml

#: kubectl keeps the whole object in it, once more.
_LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"


class Excerpts:
    """Finds the lines of a result: in its file, else in the object that ``live`` knows."""

    def __init__(self, engine: Engine, live: Callable[[Resource], Mapping[str, Any] | None] | None) -> None:
        self._engine, self._live = engine, live
        self._files: dict[str, str | None] = {}
        self._objects: dict[Resource, str | None] = {}

    def of(self, result: Result) -> Excerpt | None:
        """The lines; None for a result that names no field, or whose text is gone."""
        path, source = result.finding.path, result.source
        if path is None:
            return None
        if isinstance(source, FileSource):
            if source.file not in self._files:
                self._files[source.file] = source.lines.text(source.file)
            text = self._files[source.file]
            return None if text is None else excerpt(text, source.line, source.columns[0], source.file)
        if result.resource not in self._objects:
            found = self._live(result.resource) if self._live else None
            self._objects[result.resource] = None if found is None else to_yaml(shown(found))
        text = self._objects[result.resource]
        if text is None:
            return None
        body = text.encode()
        ((position,),) = self._engine.locate([{"length": len(body), "line": 1, "json": False, "paths": [path]}], body)
        return excerpt(text, position["line"], position["column"])


def shown(document: Mapping[str, Any]) -> dict[str, Any]:
    """An object without what its owner does not write, and without secrets."""
    metadata = {key: value for key, value in (document.get("metadata") or {}).items() if key != "managedFields"}
    if isinstance(annotations := metadata.get("annotations"), Mapping):
        metadata["annotations"] = {key: value for key, value in annotations.items() if key != _LAST_APPLIED}
    kept = {key: value for key, value in document.items() if key not in ("status", "metadata")}
    # apiVersion and kind come first, as people write them.
    made = {"apiVersion": kept.pop("apiVersion", None), "kind": kept.pop("kind", None), "metadata": metadata, **kept}
    if made["kind"] == "Secret":
        for name in ("data", "stringData"):
            if isinstance(made.get(name), Mapping):
                made[name] = dict.fromkeys(made[name], "(not shown)")
    return made
