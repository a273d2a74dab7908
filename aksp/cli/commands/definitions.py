"""``aksp definitions``: the catalogue."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from aksp.cli import candidates
from aksp.cli.ci import note, say
from aksp.cli.groups import list_command
from aksp.cli.listing import print_list, print_shown
from aksp.cli.options import ListFormat, OutputOption, TestOutputOption, WorkspaceOption

if TYPE_CHECKING:
    from aksp.model.definition import Definition

PLACE = 10

app = typer.Typer(invoke_without_command=True)

CategoryOption = Annotated[
    str | None,
    typer.Option(metavar="CATEGORY", help="Only this category.", autocompletion=candidates.categories),
]
KindOption = Annotated[
    str | None,
    typer.Option(
        metavar="KIND",
        help="Only definitions that judge this kind, such as Pod.",
        autocompletion=candidates.kinds,
    ),
]

SeverityOption = Annotated[
    str | None,
    typer.Option(
        metavar="SEVERITY",
        help="Only this severity: critical, high, medium or low.",
        autocompletion=candidates.severities,
    ),
]
StandardOption = Annotated[
    str | None,
    typer.Option(
        metavar="TEXT",
        help="Only what a standard asks for, such as 'PSS restricted' or 'CIS Kubernetes 5.2'.",
        autocompletion=candidates.standards,
    ),
]
SearchOption = Annotated[
    str | None,
    typer.Option(metavar="WORDS", help="Only definitions in whose names, texts, ids and standards all the words are."),
]


@list_command(app, "The catalogue of definitions.\n\nExample: `aksp definitions --search probe --kind Pod`")
def list_definitions(
    category: CategoryOption = None,
    kind: KindOption = None,
    severity: SeverityOption = None,
    standard: StandardOption = None,
    search: SearchOption = None,
    output: OutputOption = ListFormat.TABLE,
    workspace: WorkspaceOption = None,
) -> None:
    """List the definitions.

    Example: `aksp definitions list --severity high,critical`
    """
    from aksp.assigned import problem_of
    from aksp.catalog.folder import as_json
    from aksp.cli.describe import judged
    from aksp.model.definition import SEVERITIES
    from aksp.workspace import Workspace

    catalog = Workspace.open(workspace).catalog
    for broken in catalog.broken:
        note(f"definition {broken.slug} cannot be loaded: {problem_of(broken.error)}")
    _check_known("--category", category, [d.category for d in catalog], equals=True)
    _check_known("--severity", severity, SEVERITIES, equals=True)
    _check_known("--standard", standard, [one for d in catalog for one in d.standards])
    found = [
        d
        for d in catalog
        if (category is None or d.category.lower() == category.lower())
        and (kind is None or any(k.kind.lower() in ("*", kind.lower()) for k in d.kinds))
        and (severity is None or d.severity.lower() == severity.lower())
        and (standard is None or any(_begins(one, standard) for one in d.standards))
        and (search is None or _says(d, search))
    ]
    wide = output is ListFormat.WIDE
    print_list(
        output,
        headers=["NAME", "KINDS", "SEVERITY", "DISPLAY NAME", *(["CATEGORY", "VERSION", "ID"] if wide else [])],
        rows=[
            [
                d.slug,
                judged(d).replace(", ", ","),
                d.severity,
                d.display_name,
                *([d.category, d.version, d.name] if wide else []),
            ]
            for d in found
        ],
        documents=(as_json(Path(d.origin)) for d in found),
        names=[d.slug for d in found],
        empty="No definition matches.",
    )


def _check_known(option: str, wanted: str | None, known: Iterable[str], *, equals: bool = False) -> None:
    """Raise InvalidInput for a value that nothing in the catalogue has: an empty list would look like an answer."""
    from aksp.errors import InvalidInput

    there = set(known)
    if wanted is None or any(one.lower() == wanted.lower() if equals else _begins(one, wanted) for one in there):
        return
    # Of a standard only the name: it has many sections.
    names = there if equals else {re.sub(r"(:.*| [\d.]+)$", "", one) for one in there}
    raise InvalidInput(f"{option} {wanted!r}: no definition has it", hint=f"known: {', '.join(sorted(names))}")


def _begins(standard: str, wanted: str) -> bool:
    """Whether a standard is the one that is wanted, or a section of it: CIS 5.2 has 5.2.1, and not 5.20."""
    rest = standard.lower().removeprefix(wanted.lower().rstrip())
    return rest != standard.lower() and not rest[:1].isalnum()


def _says(definition: Definition, words: str) -> bool:
    azure = (text for one in definition.azure for text in (one.id, one.name))
    texts = (
        definition.slug,
        definition.display_name,
        definition.description,
        definition.remediation,
        definition.name,
        definition.azure_policy_id or "",
        *definition.standards,
        *azure,
    )
    said = "\n".join(texts).lower()
    return all(word in said for word in words.lower().split())


@app.command("show")
def show_definition(
    names: Annotated[
        list[str],
        typer.Argument(
            metavar="SLUG...",
            help="Definitions' names, as -o name prints them, GUIDs or Azure policy names.",
            autocompletion=candidates.definitions,
        ),
    ],
    output: OutputOption = ListFormat.TABLE,
    workspace: WorkspaceOption = None,
) -> None:
    """Show what definitions demand, and their options.

    Example: `aksp definitions show allowed-images`
    """
    from aksp.catalog.folder import as_json
    from aksp.cli.describe import describe_definition
    from aksp.engine import Engine
    from aksp.workspace import Workspace

    catalog = Workspace.open(workspace).catalog
    found = list({one.slug: one for one in map(catalog.get, names)}.values())
    if output not in (ListFormat.TABLE, ListFormat.WIDE):
        print_shown(output, [as_json(Path(one.origin)) for one in found], [one.slug for one in found])
        return
    texts = []
    with Engine() as engine:
        for one in found:
            faults = engine.compile(one.slug, one.modules)
            unplanned = "" if faults else engine.unplanned(one.slug)
            texts.append(describe_definition(one, unplanned=unplanned, rego=output is ListFormat.WIDE))
    say("\n\n".join(texts))


@app.command("new")
def new_definition(
    slug: Annotated[str, typer.Argument(metavar="SLUG", help="What it is called: lower-case words with - between.")],
    kind: Annotated[
        str,
        typer.Option(
            metavar="KIND",
            help="What it judges, as kubectl names it: Pod, Service, Widget.example.com.",
            autocompletion=candidates.kinds,
        ),
    ] = "Pod",
    folder: Annotated[
        str | None,
        typer.Option(metavar="DIR", help="The folder of definitions to write to, instead of the workspace's."),
    ] = None,
    workspace: WorkspaceOption = None,
) -> None:
    """Write a definition to begin with: a rule that works, and samples of what complies and what does not.

    Example: `aksp definitions new team-label --kind Deployment`
    """
    from aksp.catalog.interface import names_of
    from aksp.catalog.skeleton import find_kind, write
    from aksp.errors import InvalidInput
    from aksp.workspace import Workspace

    opened = Workspace.open(workspace, new=True)
    found = find_kind(kind)
    if any(slug.lower() in names_of(one) for one in opened.catalog):
        raise InvalidInput(f"there is a definition {slug!r} already", hint="take another name")
    place = write(slug, found, Path(folder) if folder else opened.root / "definitions")
    say(f"definition {slug} written ({place}): change policy.rego and the samples, and test it with")
    say(f"  aksp definitions test {slug}")


@app.command("test")
def judge_samples(
    slugs: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[SLUG]...",
            help="The definitions, by name, GUID or Azure policy name. Default: those of the workspace.",
            autocompletion=candidates.definitions,
        ),
    ] = None,
    output: TestOutputOption = "text",
    workspace: WorkspaceOption = None,
) -> None:
    """Judge the samples of definitions, and tell which are not as they say.

    `aksp test PATH` judges the samples in any folder, and the suites of gator.

    Example: `aksp definitions test team-label`
    """
    from datetime import UTC, datetime

    from aksp.catalog.folder import is_bundled
    from aksp.cli.tested_samples import judged_samples, tell
    from aksp.errors import NothingToJudge
    from aksp.samples import samples_of
    from aksp.workspace import Workspace

    catalog = Workspace.open(workspace).catalog
    chosen = [catalog.get(slug) for slug in slugs] if slugs else [one for one in catalog if not is_bundled(one)]
    if not slugs and catalog.broken:
        raise catalog.broken[0].error
    samples = [sample for one in chosen for sample in samples_of(one)]
    for one in chosen:
        if not any(sample.definition is one for sample in samples):
            note(f"definition {one.slug} has no samples")
    if not samples:
        raise NothingToJudge("there is no sample", hint="aksp definitions new writes a definition with samples")
    by_folder: dict[Path, set[str]] = {}
    for sample in samples:
        by_folder.setdefault(sample.path.parent.parent, set()).add(sample.path.name)
    raise typer.Exit(tell(judged_samples(by_folder, datetime.now(UTC)), output))
