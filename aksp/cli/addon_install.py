"""What ``aksp addon enable`` and ``disable`` do."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path

import typer
from msgspec.structs import replace

from aksp.addon.settings import Listed, Settings
from aksp.cli.ci import note
from aksp.cli.clusters import ClusterChoice
from aksp.errors import AkspError, InvalidInput, InvalidPolicy
from aksp.kube.connection import Connection
from aksp.model.assignment import Assignment
from aksp.model.definition import Definition, ResourceKind
from aksp.model.initiative import Initiative


def enable_in(
    settings: Settings,
    where: ClusterChoice,
    cluster_name: str | None,
    *,
    dry_run: bool,
    as_json: bool,
    workspace: str | None,
) -> None:
    """Print the documents, or apply them and tell the next step. Raises AkspError.

    Two of the ``settings`` are found here: the cluster's name, unless it is given, and the kinds of the definitions.
    """
    if dry_run and not where.given:
        _print(_filled(settings, cluster_name or _current(), workspace, None), as_json)
        return
    from aksp.kube.kinds import refuse_other_servers

    with where.connected() as connection:
        refuse_other_servers(connection)
        name = cluster_name or where.name_of(connection)
        settings = _filled(settings, name, workspace, connection)
        if dry_run:
            _print(settings, as_json)
            return
        from aksp.addon.gatekeeper.conditions import INSTALL
        from aksp.addon.install.gatekeeper_objects import is_installed
        from aksp.addon.install.installation import install

        install(connection, settings, typer.echo)
        if settings.gatekeeper and not is_installed(connection):
            note(f"Gatekeeper is not installed in this cluster, so nothing is refused yet: install it ({INSTALL})")
    note(f"the add-on judges this cluster as /clusters/{name}; assignments at that scope, and at /, reach it")
    note("`aksp addon status` tells when it has come up, and `aksp sync` gives it the workspace's assignments")


def disable_in(where: ClusterChoice, namespace: str | None, *, keep_data: bool) -> None:
    """Delete the add-on's objects. Raises AkspError."""
    from aksp.addon.install.installation import installed_in, uninstall
    from aksp.addon.names import NAMESPACE
    from aksp.kube.kinds import refuse_other_servers

    deleted: list[str] = []

    def tell(line: str) -> None:
        deleted.append(line)
        typer.echo(line)

    with where.connected() as connection:
        refuse_other_servers(connection)
        place = namespace or installed_in(connection) or NAMESPACE
        uninstall(connection, place, keep_data=keep_data, tell=tell)
    if not deleted:
        note("there was nothing to delete")
    elif keep_data:
        note("the custom resources are kept; `aksp addon enable` puts them into force again")


def read_ca(path: Path | None) -> str | None:
    """The text of a file with certificates. Raises InvalidInput."""
    if path is None:
        return None
    try:
        return path.read_text(encoding="ascii")
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "it is not PEM"
        raise InvalidInput(f"--client-ca cannot be read: {reason}", where=str(path)) from error


def _filled(settings: Settings, cluster_name: str, workspace: str | None, connection: Connection | None) -> Settings:
    """The settings with what follows from all definitions: bundled ones, the workspace's, and, if wanted, the cluster's."""
    from aksp.gatekeeper.names import kind_of

    kinds, definitions = _kinds(workspace, connection)
    constraints = sorted({kind_of(one.slug).lower() for one in definitions}) if settings.gatekeeper else ()
    return replace(settings, cluster_name=cluster_name, kinds=kinds, constraints=tuple(constraints))


def _kinds(workspace: str | None, connection: Connection | None) -> tuple[tuple[Listed, ...], Sequence[Definition]]:
    """The kinds of all definitions, and these."""
    from aksp.addon.install.installation import cluster_definitions, cluster_initiatives, listed_kinds
    from aksp.assigned import problem_of
    from aksp.engine import Engine
    from aksp.kube.kinds import Discovery
    from aksp.store.cluster import ClusterStore
    from aksp.workspace import Workspace, compile_definition

    opened = Workspace.open(workspace)
    catalog = opened.catalog
    for broken in catalog.broken:
        note(f"definition {broken.slug} cannot be loaded, so its kinds get no rights: {problem_of(broken.error)}")
    definitions = [*catalog]
    own_initiatives: list[Initiative] = []
    assignments = [*opened.store.assignments()]
    discovery = None
    if connection is not None:
        definitions += cluster_definitions(connection, note)
        own_initiatives += cluster_initiatives(connection)
        discovery = Discovery(connection)
        with suppress(AkspError):
            # A cluster that never had the add-on has none.
            assignments += ClusterStore(connection).assignments()
    compiled = []
    with Engine() as engine:
        for definition in definitions:
            # Compiling tells what a rule compares with. The add-on tells what is wrong with a rule.
            with suppress(InvalidPolicy):
                definition = compile_definition(engine, definition)
            compiled.append(definition)
    assigned, used = _assigned(definitions, [*catalog.initiatives, *own_initiatives], assignments)
    return listed_kinds(compiled, discovery, note, assigned, used), definitions


def _assigned(
    definitions: Sequence[Definition], initiatives: Sequence[Initiative], assignments: Iterable[Assignment]
) -> tuple[set[ResourceKind], set[str]]:
    """The kinds that assignments set by parameters, and the slugs of all definitions that are assigned."""
    from datetime import UTC, datetime

    from aksp.assigned import judged_for
    from aksp.catalog.interface import Catalogs
    from aksp.compliance.expressions import is_expression

    by_parameter = [one for one in definitions if any(is_expression(f) for k in one.kinds for f in (k.kind, k.group))]
    catalog = Catalogs([definitions], initiatives)
    found: set[ResourceKind] = set()
    used: set[str] = set()
    for assignment in assignments:
        # Those that are wrong are told where they are judged.
        with suppress(InvalidInput):
            of = catalog.find(assignment.definition_id)
            for ready in judged_for(assignment, of, catalog, (), None, datetime.now(UTC)).ready:
                used.add(ready.definition.slug)
                if any(ready.definition.slug == one.slug for one in by_parameter):
                    found.update(ready.selection.kinds)
    for one in by_parameter:
        # Bundled definitions are reported only where they are assigned.
        if one.slug not in used and one.policy_type != "BuiltIn":
            note(
                f"definition {one.slug} takes its kinds from parameters: enable the add-on again once it is assigned,"
                " so that it may list them"
            )
    return found, used


def _print(settings: Settings, as_json: bool) -> None:
    from aksp.addon.install.manifests import everything
    from aksp.yaml_writer import to_yaml

    documents = everything(settings)
    if as_json:
        typer.echo(json.dumps({"apiVersion": "v1", "kind": "List", "items": documents}, indent=2, ensure_ascii=False))
    else:
        typer.echo("---\n".join(map(to_yaml, documents)), nl=False)


def _current() -> str:
    """The current context's name, else the name of the cluster that a Pod runs in."""
    from aksp.kube.config import IN_CLUSTER, current_context

    return current_context(None) or IN_CLUSTER
