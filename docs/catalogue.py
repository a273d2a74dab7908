"""Makes docs/definitions/ from the definitions.

Run it with the Python of the virtual environment, from anywhere: ``.venv/bin/python docs/catalogue.py``.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parent.parent
# Also where this tree is not installed.
sys.path.insert(0, str(ROOT))


from aksp.catalog.common import unavailable  # noqa: E402
from aksp.catalog.folder import bundled  # noqa: E402
from aksp.cli.describe import judged  # noqa: E402
from aksp.cli.options import COMMON_PARAMETERS, long_default, option_of  # noqa: E402
from aksp.model.definition import Definition, Parameter, ParameterType  # noqa: E402
from docs.reference import cell, filled, prose  # noqa: E402

PAGES = ROOT / "docs" / "definitions"
MADE = "<!-- Made from definitions/ by `make docs`; changes belong there. -->"
#: Parameters that every definition has: their meaning stands in one place, the page of all.
EVERYWHERE = {*COMMON_PARAMETERS, "source", "warn"}
SAMPLE_LINES = 40
"""Of a longer document the page shows so many lines, and says where the rest is."""


def pages() -> dict[Path, str]:
    """Every page by its path."""
    found = bundled()
    return {PAGES / "README.md": _index(found), **{PAGES / f"{one.slug}.md": _page(one) for one in found}}


def _option(parameter: Parameter) -> str:
    option = option_of(parameter)
    if parameter.type is not ParameterType.BOOLEAN:
        return f"{option} {parameter.metavar or parameter.type.upper()}"
    return option if "/" in option else f"{option}/--no-{option.removeprefix('--')}"


def _index(found: list[Definition]) -> str:
    azure = sorted((one.name, one.id, definition.slug) for definition in found for one in definition.azure)
    parts = [
        "# The definitions",
        MADE,
        filled(
            f"The {len(found)} definitions that come with `aksp`, each with a page: what it demands and why, its parameters, "
            "samples that comply and that do not, and the definitions of Azure's that it stands for. `aksp definitions` lists "
            "them, `aksp definitions show SLUG` says what its page says, and [definitions of your own](../definitions.md) have "
            "a page too."
        ),
        _table(
            ("Definition", "What it demands", "Judges", "Severity"),
            [
                (f"[`{one.slug}`]({one.slug}.md)", cell(one.display_name), cell(judged(one)), one.severity)
                for one in found
            ],
        ),
        "## What all have in common",
        _table(("Option", "Parameter", "Meaning"), [_row(found[0].parameters[name]) for name in _common(found[0])]),
        "## Azure's built-ins",
        filled(
            f"Azure has {len(azure) + len(unavailable())} built-in definitions that judge objects of a cluster. Commands and "
            "assignments take the name and the id that they have there. Each page says where the two judge otherwise. Where "
            "a definition has the parameter `azureBehaviour`, `--azure-behaviour` judges as Azure does."
        ),
        _table(
            ("In Azure", "Id", "Here"), [(name, f"`{guid}`", f"[`{slug}`]({slug}.md)") for name, guid, slug in azure]
        ),
        "Not to be had:",
        _table(
            ("In Azure", "Id", "Why, and what instead"),
            [(one["name"], f"`{one['id']}`", cell(f"{one['reason']}; {one['instead']}")) for one in unavailable()],
        ),
    ]
    return "\n\n".join(parts) + "\n"


def _common(definition: Definition) -> list[str]:
    return [name for name in definition.parameters if name in EVERYWHERE]


def _page(definition: Definition) -> str:
    own = [one for one in definition.parameters.values() if one.name not in EVERYWHERE]
    parts = [
        f"# {definition.slug}",
        MADE,
        f"**{cell(definition.display_name)}.**",
        prose(definition.description),
        _table(
            ("", ""),
            [
                ("Judges", cell(judged(definition))),
                ("Severity", definition.severity),
                ("Category", definition.category),
                ("Asked for by", "<br>".join(map(cell, definition.standards)) or "-"),
                ("To comply", cell(definition.remediation)),
                *(
                    [("Compares with", ", ".join(dict.fromkeys(k.kind for k in definition.requires_inventory)))]
                    * bool(definition.requires_inventory)
                ),
            ],
        ),
        f"```sh\n{_assign(definition)}\n```",
        "## Parameters",
        _table(("Option", "Parameter", "Meaning"), [_row(one) for one in own])
        if own
        else "It has no parameters of its own.",
        "All have the [common ones](README.md#what-all-have-in-common), too.",
        *_samples(definition),
        *_azure(definition),
    ]
    return "\n\n".join(parts) + "\n"


def _assign(definition: Definition) -> str:
    needed = [one for one in definition.parameters.values() if one.required]
    needed += [definition.parameters[names[0]] for names in definition.require_any_of]
    return " ".join([f"aksp assign {definition.slug}", *(f"{option_of(p)} {p.metavar or 'VALUE'}" for p in needed)])


def _row(parameter: Parameter) -> tuple[str, str, str]:
    default = "required" if parameter.required else "optional"
    if parameter.has_default:
        default = long_default(parameter) or f"default `{json.dumps(parameter.default, ensure_ascii=False)}`"
    allowed = (
        f"; one of {', '.join(f'`{one}`' for one in parameter.allowed_values)}" if parameter.allowed_values else ""
    )
    return (
        f"`{_bar(_option(parameter))}`",
        f"`{parameter.name}`, {parameter.type}",
        f"{cell(parameter.description)} ({_bar(default)}{_bar(allowed)})",
    )


def _bar(text: str) -> str:
    return text.replace("|", "\\|")


def _samples(definition: Definition) -> Iterator[str]:
    folder = Path(definition.origin).parent / "samples"
    for sort, title in (("compliant", "Complies"), ("noncompliant", "Does not comply")):
        found = [_read(path) for path in folder.glob(f"{sort}-*.yaml")]
        # The shortest that judges something tells most at a glance; parameters of its own make it harder to read.
        head, text = min(found, key=lambda one: (bool(one[0]["parameters"]), len(one[1]), one[1]))
        yield f"## {title}"
        yield prose(head["title"])
        if head["parameters"]:
            yield f"With the parameters `{json.dumps(head['parameters'], ensure_ascii=False)}`:"
        lines = text.splitlines()
        shown = "\n".join(lines[:SAMPLE_LINES]).removesuffix("\n---")
        yield f"```yaml\n{shown}\n```"
        if len(lines) > SAMPLE_LINES:
            yield f"The rest, and more of them, are in `definitions/{definition.slug}/samples/`."
        if head["expect"]:
            rows = [(one["name"], one.get("container", "-"), f"`{one['path']}`") for one in head["expect"]]
            yield _table(("Object", "Container", "Field"), list(dict.fromkeys(rows)))


def _read(path: Path) -> tuple[dict[str, Any], str]:
    text = path.read_text(encoding="utf-8")
    head, _, objects = text.partition("\n---\n")
    return yaml.load(head, yaml.CSafeLoader)["spec"], objects.rstrip("\n")


def _azure(definition: Definition) -> Iterator[str]:
    if not definition.azure:
        return
    yield "## In Azure"
    yield _table(
        ("Name", "Id", "Versions"),
        [(one.name, f"`{one.id}`", ", ".join(one.versions)) for one in definition.azure],
    )
    names = [(theirs, ours) for one in definition.azure for theirs, ours in one.parameters.items()]
    if names:
        yield _table(("Parameter in Azure", "Here"), [(f"`{theirs}`", f"`{ours}`") for theirs, ours in names])
    differences = [(one.name, cell(text)) for one in definition.azure for text in one.differences]
    if differences:
        yield "What the two judge otherwise:"
        yield _table(("In Azure", "Difference"), differences)


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, ("---",) * len(head), *rows))


def main() -> int:
    """Write the pages, and take away those of definitions that are gone."""
    PAGES.mkdir(exist_ok=True)
    made = pages()
    for path in PAGES.glob("*.md"):
        if path not in made:
            path.unlink()
    for path, text in made.items():
        path.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
