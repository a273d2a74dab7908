"""ApplicationSets of Argo CD: the Applications that the repository alone decides, and why others cannot be known."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Final

#: Generators of which the Applications are known nowhere but in the cluster, and what they ask.
_ELSEWHERE: Final = {
    "clusters": "the clusters that Argo CD knows",
    "clusterDecisionResource": "an object of the cluster",
    "scmProvider": "the repositories of a code host",
    "pullRequest": "the pull requests of a code host",
    "plugin": "a plugin of Argo CD's",
    "matrix": "other generators, combined, which is not done here",
    "merge": "other generators, combined, which is not done here",
}
#: Fields beside those of a generator that change which Applications there are, or what they are.
_CHANGES: Final = ("selector", "template", "templatePatch")
_TAG: Final = re.compile(r"\{\{(.*?)\}\}", re.DOTALL)
_GO_INDEX: Final = re.compile(r"index\s+\.path\.segments\s+(\d+)")

#: What a generator brings for one Application, by the name that a template has for it.
Values = Mapping[str, str]


class Unknown(Exception):
    """Which Applications an ApplicationSet makes cannot be told; the text says why."""


def applications(spec: Mapping[str, Any], root: Path) -> Iterator[Mapping[str, Any] | Unknown]:
    """The Applications that an ApplicationSet makes in the repository at ``root``, and why there are others."""
    template, go = spec.get("template"), spec.get("goTemplate") is True
    generators = spec.get("generators")
    if not isinstance(template, Mapping) or not isinstance(generators, list) or not generators:
        yield Unknown("it has no generators, or no template")
        return
    if spec.get("templatePatch"):
        yield Unknown("its templatePatch changes what its Applications are")
        return
    for generator in generators:
        told: dict[str, Unknown] = {}
        try:
            for values in _values(generator, root, go=go):
                try:
                    yield _filled(template, values, go=go)
                except Unknown as why:
                    told.setdefault(str(why), why)
        except Unknown as why:
            yield why
        yield from told.values()


def _values(generator: Any, root: Path, *, go: bool) -> list[Values]:
    """What one generator brings. Raises Unknown."""
    if not isinstance(generator, Mapping) or not generator:
        raise Unknown("one of its generators cannot be read")
    kinds = [str(one) for one, given in generator.items() if one not in _CHANGES and given is not None]
    if len(kinds) > 1:
        raise Unknown(f"one of its generators is several: {', '.join(kinds)}")
    kind = next(iter(kinds), "")
    own = generator.get(kind)
    if (asked := _ELSEWHERE.get(kind)) is not None:
        raise Unknown(f"its generator {kind} asks {asked}")
    if kind not in ("list", "git") or not isinstance(own, Mapping):
        raise Unknown(f"its generator {kind or 'without a name'} is not known")
    changed = next((one for one in _CHANGES if generator.get(one) or own.get(one)), None)
    if changed is not None:
        raise Unknown(f"the field {changed} of its generator {kind} is not read")
    found = _listed(own) if kind == "list" else _folders(own, root, go=go)
    if not found:
        raise Unknown(f"its generator {kind} brings nothing: no element, or no such folder in the repository {root}")
    return found


def _listed(own: Mapping[str, Any]) -> list[Values]:
    if own.get("elementsYaml"):
        raise Unknown("the field elementsYaml of its generator list is filled in elsewhere")
    elements = own.get("elements")
    if not isinstance(elements, list) or not all(isinstance(one, Mapping) for one in elements):
        raise Unknown("its generator list has no list of elements")
    return [dict(_flat(one, "")) for one in elements]


def _flat(value: Any, path: str) -> Iterator[tuple[str, str]]:
    """The texts of an element by the paths to them."""
    if isinstance(value, Mapping):
        for key, one in value.items():
            yield from _flat(one, f"{path}.{key}" if path else str(key))
    elif isinstance(value, bool):
        yield path, "true" if value else "false"
    elif isinstance(value, (str, int, float)):
        yield path, str(value)


def _folders(own: Mapping[str, Any], root: Path, *, go: bool) -> list[Values]:
    """What the git generator brings for each folder of the repository that it names."""
    if own.get("files"):
        raise Unknown("the field files of its generator git is not read")
    entries = own.get("directories")
    if not isinstance(entries, list) or not all(isinstance(one, Mapping) for one in entries):
        raise Unknown("its generator git names no directories")
    wanted = [str(one.get("path")).strip("/") for one in entries if not one.get("exclude")]
    left_out = [str(one.get("path")).strip("/") for one in entries if one.get("exclude")]
    prefix = f"{own['pathParamPrefix']}." if own.get("pathParamPrefix") else ""
    extra = dict(_flat({"values": own.get("values")}, ""))
    depth = max((one.count("/") for one in wanted), default=0)
    found: list[Values] = []
    for folder in sorted(_below(root, depth)):
        if any(_fits(one, folder) for one in wanted) and not any(_fits(one, folder) for one in left_out):
            values = {prefix + name: text for name, text in _of_folder(folder, go=go).items()}
            found.append({**values, **{name: _fill(text, values, go=go) for name, text in extra.items()}})
    return found


def _below(root: Path, depth: int) -> Iterator[str]:
    """The folders of a repository down to a depth, but for hidden ones and links, which Argo CD leaves out too."""
    for path, folders, _ in os.walk(root):
        folders[:] = [one for one in folders if not one.startswith(".") and not os.path.islink(os.path.join(path, one))]
        at = Path(path).relative_to(root)
        yield from ((at / one).as_posix() for one in folders)
        if len(at.parts) >= depth:
            folders.clear()


def _fits(pattern: str, folder: str) -> bool:
    """Whether a folder fits a pattern, in which a wildcard stands for no slash."""
    patterns, parts = pattern.split("/"), folder.split("/")
    return len(patterns) == len(parts) and all(
        fnmatchcase(part, one.replace("[^", "[!")) for one, part in zip(patterns, parts, strict=True)
    )


def _of_folder(folder: str, *, go: bool) -> dict[str, str]:
    name = folder.rpartition("/")[2]
    normal = re.sub("[^-a-z0-9.]", "-", name.lower())[:253].strip("-.")
    segments = "path.segments" if go else "path"
    return {
        "path.path" if go else "path": folder,
        "path.basename": name,
        "path.basenameNormalized": normal,
        **{f"{segments}[{at}]": part for at, part in enumerate(folder.split("/"))},
    }


def _filled(template: Mapping[str, Any], values: Values, *, go: bool) -> Mapping[str, Any]:
    """The Application of a template. Raises Unknown where it asks for what is not known here."""
    filled: dict[str, Any] = _each(template, lambda text: _fill(text, values, go=go))
    metadata, spec = (one if isinstance(one := filled.get(key), Mapping) else {} for key in ("metadata", "spec"))
    place = spec.get("destination")
    namespace = place.get("namespace") if isinstance(place, Mapping) else None
    # What decides what is judged, and where.
    read = [metadata.get("name"), spec.get("source"), spec.get("sources"), namespace]
    if left := next((tag for text in _texts(read) for tag in _TAG.findall(text)), None):
        raise Unknown(f"its template has {{{{{left}}}}}, which no generator brings as it stands")
    return filled


def _fill(text: str, values: Values, *, go: bool) -> str:
    def replaced(tag: re.Match[str]) -> str:
        asked = tag[1].strip()
        if go:
            asked = asked.strip("-").strip()
            index = _GO_INDEX.fullmatch(asked)
            asked = f"path.segments[{index[1]}]" if index else asked[1:] if asked.startswith(".") else "\0"
        return values.get(asked, tag[0])

    return _TAG.sub(replaced, text)


def _each(value: Any, change: Callable[[str], str]) -> Any:
    if isinstance(value, str):
        return change(value)
    if isinstance(value, Mapping):
        return {change(key) if isinstance(key, str) else key: _each(one, change) for key, one in value.items()}
    return [_each(one, change) for one in value] if isinstance(value, list) else value


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for key, one in value.items():
            yield from _texts(key)
            yield from _texts(one)
    elif isinstance(value, Sequence):
        for one in value:
            yield from _texts(one)
