"""The values that options and arguments complete to in a shell.

Whatever goes wrong, nothing is raised or printed: the shell would show it in the middle of the line that is being typed.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from aksp.catalog.interface import Assignable
    from aksp.model.definition import Definition
    from aksp.store.files import Files

#: Set by the scripts of ``aksp completion``; typer makes the name from the command's.
VARIABLE = "_AKSP_COMPLETE"

Candidates = Iterable[tuple[str, str]]
"""Values, each with what zsh, fish and kubectl show beside it."""


def contexts(ctx: typer.Context, incomplete: str) -> Candidates:
    """The contexts of the kubeconfig, for --context and --cluster."""
    from aksp.errors import AkspError
    from aksp.kube.kubeconfig import read

    with contextlib.suppress(AkspError, OSError):
        if config := read(ctx.params.get("kubeconfig")):
            return [
                (name, "the current context" if name == config.current else f"cluster {entry.value.get('cluster')}")
                for name, entry in config.contexts.items()
                # A line end in a name would make two candidates of it.
                if name.isprintable()
            ]
    return []


def _of_catalog(values: Callable[[Definition], Iterable[str]]) -> Callable[[typer.Context, str], Candidates]:
    """What the definitions of the catalogue have; where the workspace cannot be read, those that come with aksp."""

    def found(ctx: typer.Context, incomplete: str) -> Candidates:
        return [(name, "") for name in sorted({text for one in _catalog(ctx) for text in values(one)})]

    return found


def _catalog(ctx: typer.Context) -> list[Definition]:
    from aksp.catalog.folder import bundled
    from aksp.errors import AkspError
    from aksp.workspace import Workspace

    try:
        return list(Workspace.open(_workspace(ctx)).catalog)
    except (AkspError, OSError):
        return bundled()


categories = _of_catalog(lambda one: [one.category])
severities = _of_catalog(lambda one: [one.severity])
standards = _of_catalog(lambda one: one.standards)
# A kind that a parameter sets is not known here.
kinds = _of_catalog(lambda one: [kind.kind for kind in one.kinds if kind.kind.isalnum()])


def assignable(ctx: typer.Context) -> list[Assignable]:
    """The definitions and initiatives of the catalogue; where the workspace cannot be read, what comes with aksp."""
    from aksp.catalog.folder import bundled_initiatives
    from aksp.errors import AkspError
    from aksp.workspace import Workspace

    try:
        initiatives = list(Workspace.open(_workspace(ctx)).catalog.initiatives)
    except (AkspError, OSError):
        initiatives = bundled_initiatives()
    return [*_catalog(ctx), *initiatives]


def definitions(ctx: typer.Context, incomplete: str) -> Candidates:
    """The definitions and initiatives of the catalogue."""
    return [(one.slug, one.display_name) for one in assignable(ctx)]


def initiatives(ctx: typer.Context, incomplete: str) -> Candidates:
    """The initiatives of the catalogue."""
    return [(one.slug, one.display_name) for one in assignable(ctx) if hasattr(one, "members")]


def assignments(ctx: typer.Context, incomplete: str) -> Candidates:
    """The assignments of the workspace."""
    return _stored(ctx, lambda store: [(one.name, one.definition_id) for one in store.assignments()])


def exemptions(ctx: typer.Context, incomplete: str) -> Candidates:
    """The exemptions of the workspace."""
    return _stored(ctx, lambda store: [(one.name, one.assignment) for one in store.exemptions()])


def scopes(ctx: typer.Context, incomplete: str) -> Candidates:
    """The entries of the workspace's scope tree."""
    return _stored(ctx, lambda store: [(one.name, str(one.scope)) for one in store.scopes()])


def _stored(ctx: typer.Context, read: Callable[[Files], Candidates]) -> Candidates:
    """What the workspace keeps. A cluster is not asked: a key press must not wait for a server."""
    from aksp.errors import AkspError
    from aksp.workspace import Workspace

    if str(ctx.params.get("store") or "files") != "files":
        return []
    with contextlib.suppress(AkspError, OSError):
        return read(Workspace.open(_workspace(ctx)).store)
    return []


def formats(ctx: typer.Context, incomplete: str) -> Candidates:
    """The formats of a report, and ci. Behind the = a shell completes files by itself."""
    from aksp.cli.ci import CI
    from aksp.report.registry import FORMATS

    if "=" in incomplete:
        return []
    return [*((one.name, one.description) for one in FORMATS.values()), (CI, "what the pipeline reads that runs this")]


def one_of(values: Iterable[object]) -> Callable[[str], list[str]]:
    """The completion of an option that takes certain values and is no enumeration to typer."""
    texts = [str(value) for value in values]

    def choose(incomplete: str) -> list[str]:
        return texts

    return choose


def _workspace(ctx: typer.Context) -> str | None:
    """The --workspace of the command, or of the group that it is in."""
    outer: dict[str, str | None] = ctx.parent.params if ctx.parent else {}
    return ctx.params.get("workspace") or outer.get("workspace")
