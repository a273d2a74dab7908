"""The text around findings: lines of files, or of live objects as YAML."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from aksp.engine import Engine
from aksp.model.compliance import Result
from aksp.model.resource import Resource
from aksp.report.explain.excerpt import Excerpt, Text
from aksp.sources.lines import FileSource
from aksp.sources.rendering.rendered import RenderedSource
from aksp.yaml_writer import to_yaml

#: In this annotation kubectl keeps a copy of the whole object.
_LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"


class Excerpts:
    """Finds the lines of results: in their files, else in the objects that ``live`` knows."""

    def __init__(self, engine: Engine, live: Callable[[Resource], Mapping[str, Any] | None] | None) -> None:
        self._engine, self._live = engine, live
        self._files: dict[str, Text | None] = {}

    def of(self, results: Sequence[Result]) -> list[Excerpt | None]:
        """The lines of each; None for a result that names no field, or whose text is gone."""
        # A document is read whole to find a place in it, so all places of an object are asked for at once.
        paths: dict[Resource, dict[str, None]] = {}
        for one in results:
            if one.finding.path is not None and not isinstance(one.source, (FileSource, RenderedSource)):
                paths.setdefault(one.resource, {})[one.finding.path] = None
        objects = {resource: self._within(resource, list(wanted)) for resource, wanted in paths.items()}
        return [self._of(one, objects) for one in results]

    def _of(self, result: Result, objects: Mapping[Resource, Mapping[str, Excerpt]]) -> Excerpt | None:
        path, source = result.finding.path, result.source
        if path is None:
            return None
        if not isinstance(source, (FileSource, RenderedSource)):
            return objects[result.resource].get(path)
        if source.file not in self._files:
            text = source.lines.text(source.file)
            self._files[source.file] = None if text is None else Text(text, source.file)
        whole = self._files[source.file]
        return None if whole is None else whole.around(source.line, source.columns[0] if source.columns else 1)

    def _within(self, resource: Resource, paths: Sequence[str]) -> dict[str, Excerpt]:
        """The lines of fields of a live object by their paths; none when it is gone."""
        found = self._live(resource) if self._live else None
        if found is None:
            return {}
        written = to_yaml(shown(found))
        body, text = written.encode(), Text(written)
        asked = [{"length": len(body), "line": 1, "json": False, "paths": list(paths)}]
        (positions,) = self._engine.locate(asked, body)
        return {path: text.around(place["line"], place["column"]) for path, place in zip(paths, positions, strict=True)}


def shown(document: Mapping[str, Any]) -> dict[str, Any]:
    """An object without the fields that its owner does not write, and without secrets."""
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
