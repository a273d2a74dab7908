"""What Argo CD's Applications and Flux's Kustomizations and HelmReleases name, where it lies in the repository."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from msgspec import Struct
from msgspec.structs import replace

from aksp.errors import InvalidInput
from aksp.model.fields import mapping
from aksp.sources.rendering.application_sets import Unknown, applications
from aksp.sources.rendering.helm import CHART, Chart, ChartOptions
from aksp.sources.rendering.kustomize import Overlay, kustomization_file
from aksp.sources.rendering.options import Unit
from aksp.yaml_reader import read_yaml

#: Fields of a Kustomization of Flux that change what its path makes.
_CHANGES: Final = (
    "postBuild", "patches", "patchesStrategicMerge", "patchesJson6902", "components", "images", "namePrefix", "nameSuffix",
    "commonMetadata", "decryption",
)  # fmt: skip
#: Fields of ``helm`` of an Application that are not read, and change what a chart makes.
_HELM_CHANGES: Final = ("fileParameters", "kubeVersion", "apiVersions", "namespace")
_VARIABLE: Final = re.compile(r"\$\{?[A-Za-z_]|\{\{")


class Followed(Struct, frozen=True, kw_only=True):
    """What one resource names: a chart, an overlay or a folder of manifests; or why it is not followed."""

    by: str
    unit: Unit | None = None
    folder: str | None = None
    recursive: bool = False
    namespace: str | None = None
    """Where what names no namespace is put."""
    problem: str = ""

    @property
    def place(self) -> str:
        """The folder."""
        return self.unit.folder if self.unit else self.folder or ""


def named_in(text: bytes, file: str) -> Iterator[Followed]:
    """What the resources of a text name. A text that cannot be read has nothing: its gap is told where it is judged."""
    root = root_of(Path(file))
    try:
        documents = [document for document, _ in read_yaml(text.decode("utf-8-sig"), file)]
    except (InvalidInput, UnicodeDecodeError):
        return
    for document in documents:
        items = document.get("items") if isinstance(document, Mapping) else None
        for one in items if isinstance(items, list) else [document]:
            if isinstance(one, Mapping):
                yield from _of(one, root)


def root_of(file: Path) -> Path:
    """The root of the repository that a file lies in, which paths of such resources start from; else the working folder."""
    folder = file.resolve()
    found = next((one for one in (folder, *folder.parents) if (one / ".git").exists()), None)
    return found or Path.cwd()


def _of(document: Mapping[str, Any], root: Path) -> Iterator[Followed]:
    group = str(document.get("apiVersion")).partition("/")[0]
    kind, spec = document.get("kind"), _mapping(document, "spec")
    by = f"{kind} {_mapping(document, 'metadata').get('name')}"
    if (group, kind) == ("argoproj.io", "Application"):
        sources = [one for one in [spec.get("source"), *_list(spec, "sources")] if isinstance(one, Mapping)]
        if not sources:
            yield Followed(by=by, problem="it names no source")
        references = {str(one["ref"]) for one in sources if one.get("ref")}
        namespace = _text(_mapping(spec, "destination"), "namespace")
        name = _text(_mapping(document, "metadata"), "name")
        for source in sources:
            if "ref" not in source or "path" in source or "chart" in source:
                yield _application(source, by, name, namespace, references, root)
    elif (group, kind) == ("argoproj.io", "ApplicationSet"):
        for one in applications(spec, root):
            if isinstance(one, Unknown):
                yield Followed(by=by, problem=str(one))
                continue
            for named in _of({**one, "apiVersion": document["apiVersion"], "kind": "Application"}, root):
                yield replace(named, by=f"{by}, {named.by}")
    elif (group, kind) == ("kustomize.toolkit.fluxcd.io", "Kustomization"):
        found = _at(by, spec.get("path") or ".", root, recursive=True)
        changed = next((one for one in _CHANGES if spec.get(one)), None)
        if changed and not found.problem:
            yield Followed(by=by, problem=f"its field {changed} changes what {found.place} makes")
        else:
            yield replace(found, namespace=_text(spec, "targetNamespace"))
    elif (group, kind) == ("helm.toolkit.fluxcd.io", "HelmRelease"):
        yield _release(document, spec, by, root)


def _application(
    source: Mapping[str, Any], by: str, name: str | None, namespace: str | None, references: set[str], root: Path
) -> Followed:
    if source.get("chart") or not source.get("path"):
        what = source.get("chart") or source.get("repoURL")
        return Followed(
            by=by, problem=f"it names {what} of {source.get('repoURL')}, and nothing is fetched from the network"
        )
    helm = _mapping(source, "helm")
    if source.get("plugin"):
        return Followed(by=by, problem="a plugin of Argo CD's makes it")
    found = _at(by, source["path"], root, recursive=bool(_mapping(source, "directory").get("recurse")))
    if isinstance(found.unit, Overlay) and source.get("kustomize"):
        return Followed(by=by, problem=f"its field kustomize changes what {found.place} makes")
    if not isinstance(found.unit, Chart):
        return replace(found, namespace=namespace)
    try:
        inline = _inline(helm.get("valuesObject") or _values(helm.get("values")))
        files = [_value_file(str(one), found.place, references, root) for one in _list(helm, "valueFiles")]
        missing = next((one for one in files if not os.path.isfile(one)), None)
        if missing is not None and not helm.get("ignoreMissingValueFiles"):
            raise InvalidInput(f"its file of values is not there: {missing}")
    except InvalidInput as error:
        return Followed(by=by, problem=str(error))
    if (changed := next((one for one in _HELM_CHANGES if helm.get(one)), None)) is not None:
        return Followed(by=by, problem=f"its field helm.{changed} changes what {found.place} makes, and is not read")
    parameters = [one for one in _list(helm, "parameters") if isinstance(one, Mapping)]
    options = ChartOptions(
        values=tuple(one for one in files if os.path.isfile(one)),
        set=tuple(_parameter(one) for one in parameters if not one.get("forceString")),
        set_string=tuple(_parameter(one) for one in parameters if one.get("forceString")),
        release_name=_text(helm, "releaseName") or name,
        namespace=namespace,
        inline=inline,
    )
    return Followed(by=by, unit=Chart(folder=found.place, options=options), namespace=namespace)


def _release(document: Mapping[str, Any], spec: Mapping[str, Any], by: str, root: Path) -> Followed:
    chart = _mapping(_mapping(spec, "chart"), "spec")
    if _mapping(chart, "sourceRef").get("kind") not in ("GitRepository", "Bucket") or not chart.get("chart"):
        what = chart.get("chart") or "a chart"
        return Followed(
            by=by, problem=f"it names {what} of a repository of charts, and nothing is fetched from the network"
        )
    if spec.get("valuesFrom"):
        return Followed(by=by, problem="its values come from objects of the cluster (valuesFrom)")
    if spec.get("postRenderers"):
        return Followed(by=by, problem="its postRenderers change what the chart makes")
    found = _at(by, chart["chart"], root, recursive=False)
    if not isinstance(found.unit, Chart):
        return found if found.problem else Followed(by=by, problem=f"{found.place} has no {CHART}")
    metadata = _mapping(document, "metadata")
    namespace = _text(spec, "targetNamespace") or _text(metadata, "namespace")
    name = "-".join(one for one in (_text(spec, "targetNamespace"), _text(metadata, "name")) if one)
    try:
        files = tuple(_inside(root / str(one), root) for one in _list(chart, "valuesFiles"))
        inline = _inline(spec.get("values"))
    except InvalidInput as error:
        return Followed(by=by, problem=str(error))
    options = ChartOptions(
        values=files,
        release_name=_text(spec, "releaseName") or name or None,
        namespace=namespace,
        inline=inline,
    )
    return Followed(by=by, unit=Chart(folder=found.place, options=options), namespace=namespace)


def _at(by: str, path: Any, root: Path, *, recursive: bool) -> Followed:
    """What lies at a path of the repository."""
    if not isinstance(path, str) or _VARIABLE.search(path):
        return Followed(by=by, problem=f"its path {path!r} is filled in elsewhere")
    try:
        folder = _inside(root / path.lstrip("/"), root)
    except InvalidInput as error:
        return Followed(by=by, problem=str(error))
    if not os.path.isdir(folder):
        return Followed(by=by, problem=f"there is no folder {path} in the repository {root}")
    if Path(folder, CHART).is_file():
        return Followed(by=by, unit=Chart(folder=folder))
    if kustomization_file(Path(folder)):
        return Followed(by=by, unit=Overlay(folder=folder))
    return Followed(by=by, folder=folder, recursive=recursive)


def _value_file(name: str, chart: str, references: set[str], root: Path) -> str:
    """A file of values: from the chart's folder, from the root with ``$ref/`` or a slash before it."""
    if "://" in name:
        raise InvalidInput(f"it names {name}, and nothing is fetched from the network")
    reference, _, rest = name.removeprefix("$").partition("/")
    if name.startswith("$"):
        if reference not in references:
            raise InvalidInput(f"its file of values {name} names no source")
        return _inside(root / rest, root)
    return _inside(root / name.lstrip("/") if name.startswith("/") else Path(chart, name), root)


def _inside(path: Path, root: Path) -> str:
    """A path as seen from the working folder. Raises InvalidInput for one that leads out of the repository."""
    try:
        whole = path.resolve()
    except (OSError, ValueError, RuntimeError) as error:  # a NUL, a link in a circle
        raise InvalidInput(f"its path {str(path)!r} cannot be looked at: {error}") from error
    if not whole.is_relative_to(root.resolve()):
        raise InvalidInput(f"its path {path} leads out of the repository {root}")
    here = Path.cwd()
    return str(whole.relative_to(here)) if whole.is_relative_to(here) else str(whole)


def _values(text: Any) -> Any:
    found = read_yaml(text, "values") if isinstance(text, str) else []
    return found[0][0] if len(found) == 1 else text


def _inline(values: Any) -> Mapping[str, Any]:
    """Values that stand in the resource. Raises InvalidInput for what is no mapping."""
    if values and not isinstance(values, Mapping):
        raise InvalidInput("its values are no mapping")
    return values or {}


def _parameter(one: Mapping[str, Any]) -> str:
    """A parameter as ``--set`` takes it: for Argo CD a comma is part of the value, but for a list in braces."""
    name, value = str(one.get("name")), str(one.get("value"))
    if not (value.startswith("{") and value.endswith("}")):
        value = re.sub(r"(?<!\\),", r"\\,", value)
    return f"{name}={value}"


def _mapping(value: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    return mapping(value.get(key))


def _list(value: Mapping[str, Any], key: str) -> Sequence[Any]:
    found = value.get(key)
    return found if isinstance(found, list) else []


def _text(value: Mapping[str, Any], key: str) -> str | None:
    found = value.get(key)
    return found if isinstance(found, str) and found else None
