"""Writes a made-up cluster to disk: `python bench/generate.py --pods 10000 --seed 1 --format yaml --out PATH`.

Formats: `yaml`, one file of many documents; `json`, the same documents as JSON with `---` between them (the only JSON
in one file that aksp, gator and Kyverno all read); `list`, one JSON `List` as `kubectl get -o json` gives it, an object
to a line; `yaml-list`, the same List as YAML, as `kubectl get -o yaml` gives it; `folder`, a JSON file for each object. The same arguments always give the same bytes.
"""

import argparse
import json
import re
import sys
from collections.abc import Iterable, Iterator
from functools import lru_cache
from itertools import chain
from pathlib import Path
from typing import Any, TextIO

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench import fleet
from bench.workload import Object

FORMATS = ("yaml", "json", "list", "yaml-list", "folder")


def cluster(
    *, pods: int, services: int = 0, ingresses: int = 0, seed: int = 1, unlike: bool = False
) -> Iterator[Object]:
    """The objects of one made-up cluster, in the order kubectl would list them; ``unlike``: no two Pods are alike."""
    return chain(
        (fleet.unlike_pods if unlike else fleet.pods)(pods, seed),
        fleet.services(services, seed),
        fleet.ingresses(ingresses, seed),
    )


def write(objects: Iterable[Object], form: str, path: Path) -> None:
    """Writes objects in one of FORMATS; `path` is a file, or for `folder` a folder that does not exist yet."""
    if form == "folder":
        path.mkdir(parents=True)
        for item in objects:
            metadata = item["metadata"]
            name = f"{item['kind'].lower()}-{metadata['namespace']}-{metadata['name']}.json"
            (path / name).write_text(compact(item) + "\n")
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8") as out:
        writers = {"yaml": _write_yaml, "json": _write_documents, "list": _write_list, "yaml-list": _write_yaml_list}
        writers[form](objects, out)


def compact(value: Any) -> str:
    """JSON without a blank between its parts, as the API server sends it."""
    return json.dumps(value, separators=(",", ":"))


def _write_list(objects: Iterable[Object], out: TextIO) -> None:
    out.write('{"apiVersion":"v1","items":[\n')
    out.writelines((",\n" if number else "") + compact(item) for number, item in enumerate(objects))
    out.write('\n],"kind":"List","metadata":{"resourceVersion":""}}\n')


def _write_documents(objects: Iterable[Object], out: TextIO) -> None:
    out.writelines(("---\n" if number else "") + compact(item) + "\n" for number, item in enumerate(objects))


def _write_yaml(objects: Iterable[Object], out: TextIO) -> None:
    for item in objects:
        lines = ["---"]
        _mapping(item, "", "", lines)
        out.write("\n".join(lines) + "\n")


def _write_yaml_list(objects: Iterable[Object], out: TextIO) -> None:
    out.write("apiVersion: v1\nitems:\n")
    for item in objects:
        lines: list[str] = []
        _mapping(item, "- ", "  ", lines)
        out.write("\n".join(lines) + "\n")
    out.write('kind: List\nmetadata:\n  resourceVersion: ""\n')


# PyYAML, even with its C library, needs a minute for 10,000 Pods; these few lines need seconds, and are enough for
# objects made of mappings, lists, strings, numbers, booleans and null.
def _mapping(value: Object, first: str, indent: str, lines: list[str]) -> None:
    """Appends a block mapping; `first` begins its first line (the dash of a list item), `indent` the others."""
    for key, item in value.items():
        begin = f"{first}{_scalar(key)}:"
        first = indent
        if isinstance(item, dict) and item:
            lines.append(begin)
            _mapping(item, indent + "  ", indent + "  ", lines)
        elif isinstance(item, list) and item:
            lines.append(begin)
            _sequence(item, indent, lines)
        else:
            lines.append(f"{begin} {_leaf(item)}")


def _sequence(value: list[Any], indent: str, lines: list[str]) -> None:
    for item in value:
        if isinstance(item, dict) and item:
            _mapping(item, indent + "- ", indent + "  ", lines)
        else:
            lines.append(f"{indent}- {_leaf(item)}")


def _leaf(value: Any) -> str:
    return _scalar(value) if isinstance(value, str) else json.dumps(value)


@lru_cache(maxsize=1 << 16)
def _scalar(text: str) -> str:
    """A string plain where no reader can take it for anything else, else in double quotes."""
    if re.fullmatch(r"[A-Za-z][A-Za-z0-9_./-]+", text) and text.lower() not in _WORDS:
        return text
    return json.dumps(text)


_WORDS = frozenset(("yes", "no", "on", "off", "true", "false", "null"))


def main() -> int:
    parser = argparse.ArgumentParser(description="Write a made-up cluster to disk.")
    parser.add_argument("--pods", type=int, default=10_000, help="number of Pods (default: %(default)s)")
    parser.add_argument("--unlike", action="store_true", help="Pods of which no two are alike, instead of replicas")
    parser.add_argument("--services", type=int, help="number of Services (default: a fiftieth of the Pods)")
    parser.add_argument("--ingresses", type=int, help="number of Ingresses (default: a fiftieth of the Pods)")
    parser.add_argument("--seed", type=int, default=1, help="the same seed gives the same objects (default: 1)")
    parser.add_argument("--format", choices=FORMATS, default="yaml")
    parser.add_argument("--out", type=Path, required=True, help="file, or folder with --format folder")
    options = parser.parse_args()
    if options.format == "folder" and options.out.exists():
        parser.error(f"--out: {options.out} exists already")
    share = options.pods // 50
    services = share if options.services is None else options.services
    ingresses = share if options.ingresses is None else options.ingresses
    objects = cluster(
        pods=options.pods, services=services, ingresses=ingresses, seed=options.seed, unlike=options.unlike
    )
    write(objects, options.format, options.out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
