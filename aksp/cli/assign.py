"""``aksp assign``: one command per definition, its options made from the definition's parameters."""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

import typer
from typer.core import TyperGroup

from aksp.cli import completion
from aksp.cli.options import (
    COMMON_PARAMETERS,
    ClusterOption,
    ContextOption,
    KubeconfigOption,
    ListFormat,
    StoreKind,
    StoreOption,
    WorkspaceOption,
    option_of,
)

if TYPE_CHECKING:
    from aksp.model.assignment import Assignment
    from aksp.model.definition import Definition, Parameter
    from aksp.workspace import Workspace


class AssignGroup(TyperGroup):
    """Makes the command of a definition when it is asked for."""

    def list_commands(self, ctx: Any) -> list[str]:
        """The slugs of the catalogue."""
        if ctx.resilient_parsing:
            # A shell asks, which a broken definition must not keep from completing.
            return [definition.slug for definition in completion.catalog(ctx)]
        return [definition.slug for definition in _workspace(ctx).catalog]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The command of one definition, by any of its names."""
        from aksp.errors import InvalidInput

        workspace = _workspace(ctx)
        if cmd_name == "list" or cmd_name.startswith("-"):
            return None
        try:
            definition = workspace.catalog.get(cmd_name)
        except InvalidInput:
            if not ctx.resilient_parsing:
                raise
            return next((_command(one) for one in completion.catalog(ctx) if one.slug == cmd_name), None)
        return _command(definition)


def _workspace(ctx: Any) -> Workspace:
    from aksp.workspace import Workspace

    return Workspace.open(ctx.params.get("workspace"))


app = typer.Typer(
    cls=AssignGroup,
    help="Assign a definition.\n\n`aksp assign SLUG --help` shows its options.",
    no_args_is_help=True,
    subcommand_metavar="SLUG [OPTIONS]",
)


@app.callback()
def assign(workspace: WorkspaceOption = None) -> None:
    """Assign a definition.

    `aksp assign SLUG --help` shows its options.
    """


def _command(definition: Definition) -> Any:
    """A command for one definition, by typer from a function whose signature is made here."""
    names = {
        _identifier(parameter.name): parameter
        for parameter in definition.parameters.values()
        if parameter.name not in COMMON_PARAMETERS
    }

    def run(ctx: typer.Context, **options: Any) -> None:
        given = {parameter.name: options.pop(name) for name, parameter in names.items()}
        _assign(definition, given, options, (ctx.parent.params if ctx.parent else {}).get("workspace"))

    annotations = get_type_hints(_common, include_extras=True)
    if (effect := definition.parameters.get("effect")) is not None:
        annotations["effect"] = _annotation(effect)
    common = inspect.signature(_common)
    own = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=_annotation(parameter))
        for name, parameter in names.items()
    ]
    context = inspect.Parameter("ctx", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=typer.Context)
    shared = [
        p.replace(kind=inspect.Parameter.KEYWORD_ONLY, annotation=annotations[p.name])
        for p in common.parameters.values()
    ]
    run.__signature__ = inspect.Signature([context, *own, *shared])  # type: ignore[attr-defined]
    run.__annotations__ = {p.name: p.annotation for p in [context, *own, *shared]}
    run.__doc__ = f"{definition.display_name}.\n\n{definition.description}"
    single = typer.Typer(add_completion=False, rich_markup_mode=None)
    single.command(definition.slug)(run)
    return typer.main.get_command(single)


def _common(
    name: Annotated[
        str | None, typer.Option(metavar="NAME", help="The assignment's name. Default: the definition's.")
    ] = None,
    display_name: Annotated[str, typer.Option(metavar="TEXT", help="A title for reports.")] = "",
    description: Annotated[str, typer.Option(metavar="TEXT", help="Why it is assigned.")] = "",
    message: Annotated[str, typer.Option(metavar="TEXT", help="What a developer reads who is refused.")] = "",
    effect: Annotated[
        str | None, typer.Option(metavar="EFFECT", help="EnforceRegoPolicy (default), Deny, Audit, Warn or Disabled.")
    ] = None,
    enforcement_mode: Annotated[
        str,
        typer.Option(
            metavar="MODE",
            help="Default, or DoNotEnforce: report, refuse nothing.",
            autocompletion=completion.one_of(["Default", "DoNotEnforce"]),
        ),
    ] = "Default",
    scope: Annotated[
        str | None, typer.Option(metavar="SCOPE", help="Where it applies: /, /clusters/NAME, … Default: everywhere.")
    ] = None,
    cluster: ClusterOption = None,
    not_scope: Annotated[
        list[str] | None, typer.Option(metavar="SCOPE", help="A scope below to leave out; repeatable.")
    ] = None,
    namespace: Annotated[
        list[str] | None,
        typer.Option("--namespace", "-n", metavar="NAMESPACE", help="Only this namespace; repeatable, globs."),
    ] = None,
    exclude_namespace: Annotated[
        list[str] | None,
        typer.Option(metavar="NAMESPACE", help="Leave this namespace out, besides the defaults; repeatable, globs."),
    ] = None,
    no_default_exclusions: Annotated[
        bool,
        typer.Option(
            "--no-default-exclusions", help="Judge kube-system and the other namespaces that are left out by default."
        ),
    ] = False,
    selector: Annotated[
        str | None,
        typer.Option("--selector", "-l", metavar="SELECTOR", help="Only objects with these labels, as for kubectl -l."),
    ] = None,
    replace: Annotated[bool, typer.Option("--replace", help="Overwrite the assignment of this name.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check and print, write nothing.")] = False,
    output: Annotated[
        ListFormat | None,
        typer.Option("--output", "-o", metavar="FORMAT", help="Print the document: yaml, json or name."),
    ] = None,
    store: StoreOption = StoreKind.FILES,
    context: ContextOption = None,
    kubeconfig: KubeconfigOption = None,
    workspace: WorkspaceOption = None,
) -> None:
    """The options that every definition's command has; never called."""


def _identifier(name: str) -> str:
    """camelCase as a Python name that no common option has."""
    snake = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()
    return "p_" + re.sub(r"\W", "_", snake)


def _annotation(parameter: Parameter) -> Any:
    from aksp.model.definition import ParameterType

    option = option_of(parameter)
    kinds: dict[ParameterType, Any] = {
        ParameterType.ARRAY: list[str],
        ParameterType.BOOLEAN: bool,
        ParameterType.INTEGER: int,
        ParameterType.FLOAT: float,
    }
    kind = kinds.get(parameter.type, str)
    if kind is bool and "/" not in option:
        option = f"{option}/--no-{option.removeprefix('--')}"
    notes = []
    if parameter.allowed_values:
        notes.append("one of " + ", ".join(map(str, parameter.allowed_values)))
    if parameter.required:
        notes.append("required")
    elif parameter.default not in ("", [], {}, None):
        notes.append(f"default {_shown_default(parameter)}")
    if parameter.type is ParameterType.ARRAY:
        notes.append("repeatable")
    metavar = (parameter.metavar or parameter.type.upper()) if kind is not bool else None
    told = " ".join(filter(None, [parameter.description, f"({'; '.join(notes)})" if notes else ""]))
    values = completion.one_of(parameter.allowed_values) if parameter.allowed_values else None
    return Annotated[
        kind | None, typer.Option(option, metavar=metavar, help=told, show_default=False, autocompletion=values)
    ]


def _shown_default(parameter: Parameter) -> str:
    import json

    if parameter.default is True or parameter.default is False:
        return "yes" if parameter.default else "no"
    return json.dumps(parameter.default) if not isinstance(parameter.default, str) else parameter.default


def _assign(
    definition: Definition, given: Mapping[str, Any], options: dict[str, Any], outer_workspace: str | None
) -> None:
    from datetime import UTC, datetime

    from aksp.cli.stores import own_resource, print_documents, refuse_cluster_options
    from aksp.compliance.parameters import advice
    from aksp.engine import Engine
    from aksp.store.documents import assignment_document
    from aksp.workspace import Workspace, check_parameters, check_regexes, check_resolves, compile_definition

    refuse_cluster_options(options["store"], options["context"], options["kubeconfig"])
    opened = Workspace.open(options["workspace"] or outer_workspace)
    assignment = _document(definition, given, options)
    check_parameters(assignment, definition)
    check_resolves(assignment, definition, datetime.now(UTC))
    with Engine() as engine:
        check_regexes(engine, [(assignment, definition)])
        compile_definition(engine, definition)
    for note in advice(definition, assignment.parameters):
        typer.echo(f"aksp: warning: {note}", err=True)
    documents = [assignment_document(assignment)]
    if options["store"] is StoreKind.CLUSTER and (own := own_resource(definition)) is not None:
        # The add-on brings aksp's own definitions, and knows no workspace.
        documents.insert(0, own)
    output: ListFormat | None = options["output"]
    if options["dry_run"]:
        print_documents(output or ListFormat.YAML, documents)
        return
    if options["store"] is StoreKind.CLUSTER:
        lines = _keep_in_cluster(assignment, documents, options)
    else:
        lines = [_keep_in_files(assignment, opened, replace=options["replace"])]
    if output is not None:
        print_documents(output, documents)
    else:
        typer.echo("\n".join(lines))


def _keep_in_files(assignment: Assignment, opened: Workspace, *, replace: bool) -> str:
    """Save it in the workspace and say what changed."""
    from aksp.store.documents import assignment_document

    before = {one.name: one for one in opened.store.assignments()}.get(assignment.name)
    where = opened.store.save(assignment, replace=replace)
    same = before is not None and assignment_document(before) == assignment_document(assignment)
    change = "unchanged" if same else "configured" if before else "created"
    return f"policyassignment.policy.aksp.io/{assignment.name} {change} ({where})"


def _keep_in_cluster(
    assignment: Assignment, documents: Sequence[Mapping[str, Any]], options: Mapping[str, Any]
) -> list[str]:
    """Apply the documents and say what changed."""
    from aksp.cli.stores import cluster_store, named_cluster, note
    from aksp.compliance.plan import reaches
    from aksp.model.scope import Scope
    from aksp.store.cluster import label

    named = named_cluster(options["cluster"])
    with cluster_store(options["context"] or named, options["kubeconfig"]) as store:
        if not reaches(assignment, Scope.cluster(named or store.name)):
            note(f"scope {assignment.scope} does not reach cluster {store.name}, in which the assignment is kept")
        changes = store.save_all(documents, replace=options["replace"])
        return [
            f"{label(document)} {change} (cluster {store.name})"
            for document, change in zip(documents, changes, strict=True)
        ]


def _document(definition: Definition, given: Mapping[str, Any], options: Mapping[str, Any]) -> Any:
    """The assignment that the options describe. Raises InvalidInput."""
    from aksp.errors import InvalidInput
    from aksp.model.assignment import Assignment, EnforcementMode
    from aksp.model.scope import Scope
    from aksp.store.documents import NAME

    parameters = {
        name: _value(definition.parameters[name], value) for name, value in given.items() if value not in (None, [])
    }
    _common_parameters(definition, options, parameters)
    name = options["name"] or definition.slug
    if not NAME.fullmatch(name):
        raise InvalidInput(f"--name {name!r}: expected lower-case letters, digits, - and .")
    mode = next((m for m in EnforcementMode if m.lower() == options["enforcement_mode"].lower()), None)
    if mode is None:
        raise InvalidInput(f"--enforcement-mode {options['enforcement_mode']!r} is not Default or DoNotEnforce")
    if options["scope"] and options["cluster"]:
        raise InvalidInput("--scope and --cluster are two ways to say the same", hint="give one of them")
    try:
        scope = Scope.parse(options["scope"]) if options["scope"] else Scope("/")
        not_scopes = tuple(Scope.parse(text) for text in options["not_scope"] or ())
    except ValueError as error:
        raise InvalidInput(str(error)) from error
    if options["cluster"]:
        scope = Scope.cluster(_cluster_name(options["cluster"], options["context"], options["kubeconfig"]))
    return Assignment(
        name=name,
        definition_id=definition.slug,
        scope=scope,
        display_name=options["display_name"],
        description=options["description"],
        not_scopes=not_scopes,
        parameters=parameters,
        enforcement_mode=mode,
        non_compliance_message=options["message"],
    )


def _cluster_name(value: str, context: str | None, kubeconfig: str | None) -> str:
    from aksp.cli.options import CURRENT

    if value != CURRENT:
        return value
    if context:
        return context
    from aksp.kube.config import current_context
    from aksp.kube.kubeconfig import not_found

    current = current_context(kubeconfig)
    if current is None:
        raise not_found(kubeconfig)
    return current


def _common_parameters(definition: Definition, options: Mapping[str, Any], parameters: dict[str, Any]) -> None:
    from aksp.compliance.selection import Selector
    from aksp.errors import InvalidInput
    from aksp.model.definition import Effect

    def selection(option: str, name: str) -> None:
        if name not in definition.parameters:
            raise InvalidInput(f"{option}: definition {definition.slug!r} has no parameter {name!r}")

    if options["effect"]:
        wanted: str = options["effect"]
        parameters["effect"] = next((e.value for e in Effect if e.lower() == wanted.lower()), wanted)
    if options["namespace"]:
        selection("--namespace", "namespaces")
        parameters["namespaces"] = options["namespace"]
    if options["exclude_namespace"] or options["no_default_exclusions"]:
        selection("--exclude-namespace", "excludedNamespaces")
        default = definition.parameters["excludedNamespaces"].default
        kept = [] if options["no_default_exclusions"] or not isinstance(default, list) else default
        parameters["excludedNamespaces"] = list(dict.fromkeys([*kept, *(options["exclude_namespace"] or [])]))
    if options["selector"]:
        selection("--selector", "labelSelector")
        try:
            parameters["labelSelector"] = Selector.parse_text(options["selector"]).document()
        except ValueError as error:
            raise InvalidInput(f"--selector: {error}") from error


def _value(parameter: Parameter, value: Any) -> Any:
    import json

    from aksp.errors import InvalidInput
    from aksp.model.definition import ParameterType

    if parameter.type is ParameterType.OBJECT:
        try:
            return json.loads(value)
        except ValueError as error:
            raise InvalidInput(f"{parameter.option or parameter.name}: not JSON: {error}") from error
    if parameter.type is ParameterType.ARRAY and any(entry.lstrip().startswith("{") for entry in value):
        # Arrays of objects, as third-party definitions have them.
        try:
            return [json.loads(entry) for entry in value]
        except ValueError as error:
            raise InvalidInput(f"{parameter.option or parameter.name}: not JSON: {error}") from error
    return value
