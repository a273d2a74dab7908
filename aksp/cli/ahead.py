"""The engine, started before the rest of aksp is imported, with the Rego that the command will most likely ask for.

Compiling and importing take as long as each other. What is assigned is guessed from the texts of the files. A guess decides
nothing: a policy is used when the plan asks for the same Rego, what was guessed in vain costs only time, and what was
not guessed is compiled later.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from aksp.catalog.rego_files import BUNDLED, INITIATIVES, LIBRARIES, SLUG, used_libraries
from aksp.engine_start import end_ahead, start_ahead
from aksp.workspace_folder import is_document, workspace_root
from aksp.yaml_reader import read_file

_DEFINITION = re.compile(r"""\bpolicyDefinitionId["']?\s*:\s*["']?([^\s"',}]+)""")
#: Options after which the engine is not needed, or few of the assignments are.
_NOT = ("-h", "--help", "--from", "--assignment", "--definition", "--severity")


def begin(arguments: Sequence[str]) -> None:
    """Start the engine for a command line that judges; never fails. What is wrong is told by whoever needs the engine."""
    if any(one.partition("=")[0] in _NOT for one in arguments):
        return
    # Whatever it is, the command finds it, too, and there it is told.
    with contextlib.suppress(Exception):
        engine = start_ahead()
        engine.ask("hello", {})
        for request in compile_requests(workspace_root(_workspace(arguments))):
            engine.ask("compile", request)


def end() -> None:
    """Stop the engine if nobody wanted it."""
    end_ahead()


def _workspace(arguments: Sequence[str]) -> str | None:
    """The value of --workspace."""
    for number, one in enumerate(arguments):
        name, equals, value = one.partition("=")
        if name == "--workspace":
            return value if equals else next(iter(arguments[number + 1 :]), None)
    return None


def compile_requests(root: Path) -> Iterator[dict[str, Any]]:
    """What the engine will be asked to compile of the definitions that come with aksp and are assigned in a workspace."""
    texts: dict[str, str] = {}

    def library(name: str) -> str:
        if name not in texts:
            texts[name] = read_file(BUNDLED / LIBRARIES / f"{name}.rego")
        return texts[name]

    for slug in _assigned(root):
        own = read_file(BUNDLED / slug / "policy.rego")
        names = used_libraries(own, library)
        modules = [(f"{slug}/policy.rego", own), *((f"{LIBRARIES}/{name}.rego", texts[name]) for name in names)]
        yield {
            "policy": slug,
            "modules": [{"name": name, "source": source, "version": "v1"} for name, source in modules],
        }


def _assigned(root: Path) -> list[str]:
    """The definitions that assignments name, and those of initiatives that they name."""
    found: dict[str, None] = {}
    for path in sorted((root / "assignments").iterdir()):
        if path.name.startswith(".") or not is_document(path):
            continue
        text = read_file(path)
        for slug in _slugs(text):
            initiative = BUNDLED / INITIATIVES / f"{slug}.json"
            for one in _slugs(read_file(initiative)) if initiative.is_file() else [slug]:
                if (BUNDLED / one / "policy.rego").is_file():
                    found[one] = None
    return list(found)


def _slugs(text: str) -> list[str]:
    names = (name.rstrip("/").rpartition("/")[2].lower() for name in _DEFINITION.findall(text))
    return [name for name in names if SLUG.fullmatch(name)]
