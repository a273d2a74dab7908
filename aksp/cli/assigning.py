"""What ``aksp assign SLUG`` does: check the assignment, tell what is likely not meant, and keep it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import typer

from aksp.assigned import check_assigned
from aksp.catalog.interface import Assignable
from aksp.cli.assignment_options import assignment_of, choice_of
from aksp.cli.ci import note, say, tell
from aksp.cli.clusters import unreached
from aksp.cli.options import ListFormat, StoreKind
from aksp.cli.stores import StoreChoice, cluster_store, own_resource, print_documents
from aksp.cli.what_if import what_if
from aksp.compliance.parameters import advice
from aksp.compliance.plan import Ready, reaches
from aksp.compliance.template_values import unset
from aksp.engine import Engine
from aksp.errors import InvalidInput
from aksp.model.assignment import Assignment
from aksp.model.scope import Scope
from aksp.store.cluster import label
from aksp.store.documents import assignment_document
from aksp.workspace import Workspace, check_regexes, compile_definition


def assign_found(
    found: Assignable, given: Mapping[str, Any], options: dict[str, Any], outer_workspace: str | None
) -> None:
    """Assign what was found, by the options given. Raises InvalidInput, and typer.Exit with --what-if."""
    if not options["what_if"]:
        StoreChoice(kind=options["store"], where=choice_of(options)).check()
    _refuse_mixed(options)
    opened = Workspace.open(options["workspace"] or outer_workspace, new=True)
    assignment = assignment_of(found, given, options)
    ready, unavailable = check_assigned(assignment, found, opened.catalog, datetime.now(UTC))
    with Engine() as engine:
        check_regexes(engine, [(one.assignment, one.definition) for one in ready])
        unread = _unread(engine, ready)
    for name in unread:
        typer.echo(
            f"aksp: warning: the rule reads input.parameters.{name}, which nothing sets:"
            " where it does not provide for that, it finds nothing",
            err=True,
        )
    for member in unavailable:
        tell(
            f"aksp: warning: {member.assignment.full_name} cannot be judged, and reports show it as an error: {member.problem}"
        )
    unknown = (
        unreached(assignment.scope, opened.scope_tree(), options["kubeconfig"])
        if options["store"] is StoreKind.FILES
        else None
    )
    for warning in [*advice(found, assignment.parameters), *([unknown] if unknown else [])]:
        tell(f"aksp: warning: {warning}")
    if options["what_if"]:
        raise typer.Exit(
            what_if(
                assignment, where=choice_of(options), files=options["filename"] or (), recursive=options["recursive"],
                outputs=options["output"] or (), workspace=options["workspace"] or outer_workspace,
            )
        )  # fmt: skip
    documents = [assignment_document(assignment)]
    if options["store"] is StoreKind.CLUSTER:
        documents = [*_own(found, ready), *documents]
    output = ListFormat(options["output"][0]) if options["output"] else None
    if options["dry_run"]:
        print_documents(output or ListFormat.YAML, documents)
        return
    if options["store"] is StoreKind.CLUSTER:
        lines = _keep_in_cluster(assignment, documents, options)
    else:
        change, where = opened.store.save(assignment, replace=options["replace"])
        lines = [f"policyassignment.policy.aksp.io/{assignment.name} {change} ({where})"]
    if output is not None:
        print_documents(output, documents)
    else:
        say("\n".join(lines))


def _refuse_mixed(options: Mapping[str, Any]) -> None:
    """Raise InvalidInput for options that need --what-if, or that exclude it."""
    if options["what_if"]:
        for option, given in (
            ("--dry-run", options["dry_run"]),
            ("--store cluster", options["store"] is StoreKind.CLUSTER),
        ):
            if given:
                raise InvalidInput(
                    f"{option} does not combine with --what-if, which writes nothing and judges by the workspace",
                    hint=f"leave out {option}",
                )
        return
    if options["filename"] or options["recursive"]:
        raise InvalidInput("-f and -R say what --what-if judges", hint="add --what-if")
    wrong = [one for one in options["output"] or () if one not in tuple(ListFormat)]
    if wrong or len(options["output"] or ()) > 1:
        what = wrong[0] if wrong else " -o ".join(options["output"])
        raise InvalidInput(f"-o {what}: the document is printed as yaml, json or name", hint="reports need --what-if")


def _unread(engine: Engine, ready: Sequence[Ready]) -> list[str]:
    """The parameters that rules read and nothing sets. Raises InvalidPolicy for one that does not compile."""
    found: list[str] = []
    for one in ready:
        compile_definition(engine, one.definition)
        found += unset(engine.parameters(one.definition.slug), one.values)
    return list(dict.fromkeys(found))


def _own(found: Assignable, ready: Sequence[Ready]) -> list[dict[str, Any]]:
    """The custom resources of a workspace's own definitions. The add-on has aksp's own, and knows no workspace."""
    named: dict[str, Assignable] = {one.definition.slug: one.definition for one in ready}
    return [own for one in {**named, found.slug: found}.values() if (own := own_resource(one)) is not None]


def _keep_in_cluster(
    assignment: Assignment, documents: Sequence[Mapping[str, Any]], options: Mapping[str, Any]
) -> list[str]:
    """Apply the documents and say what changed."""
    choice = choice_of(options)
    with cluster_store(choice) as store:
        if not reaches(assignment, Scope.cluster(choice.named or store.name)):
            note(f"scope {assignment.scope} does not reach cluster {store.name}, in which the assignment is kept")
        changes = store.save_all(documents, replace=options["replace"])
        return [
            f"{label(document)} {change} (cluster {store.name})"
            for document, change in zip(documents, changes, strict=True)
        ]
