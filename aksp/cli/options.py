"""Options that several commands have, with kubectl's names."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from aksp.cli import candidates
from aksp.errors import InvalidInput
from aksp.model import times

if TYPE_CHECKING:
    from aksp.cli.manifests import ManifestOptions
    from aksp.model.definition import Parameter

#: What ``--cluster`` without a value stands for.
CURRENT = "@current"
#: Seconds. Sockets take no time of many years, and kubectl's 0, for ever, would hang where nobody looks.
_SHORTEST_TIMEOUT, _LONGEST_TIMEOUT = 0.1, 86_400


class ListFormat(StrEnum):
    """The outputs of every command that lists."""

    TABLE = "table"
    WIDE = "wide"
    JSON = "json"
    YAML = "yaml"
    NAME = "name"


class StoreKind(StrEnum):
    """Where assignments are kept."""

    FILES = "files"
    CLUSTER = "cluster"


class ColorWhen(StrEnum):
    """When to use colour."""

    AUTO = "auto"
    ALWAYS = "always"
    NEVER = "never"


class ReportSource(StrEnum):
    """Where a cluster's report comes from."""

    SCAN = "scan"
    ADDON = "addon"
    GATEKEEPER = "gatekeeper"


class FailOn(StrEnum):
    """Which violations make the exit code 1."""

    ANY = "any"
    ENFORCED = "enforced"
    NONE = "none"


def cluster_option(help: str) -> Any:
    """``--cluster`` with or without a name."""
    return typer.Option("--cluster", metavar="[NAME]", help=help, autocompletion=candidates.contexts)


def _context_option(help: str) -> Any:
    return typer.Option("--context", metavar="NAME", help=help, autocompletion=candidates.contexts)


def files_option(help: str) -> Any:
    """``-f``, of one file or several."""
    return typer.Option("--filename", "-f", metavar="PATH", help=help)


WorkspaceOption = Annotated[
    str | None,
    typer.Option(
        "--workspace",
        metavar="DIR",
        help="The workspace, a folder. Default: $AKSP_WORKSPACE, the nearest .aksp/ upward, the user's data folder.",
    ),
]
ClusterOption = Annotated[
    str | None, cluster_option("Cluster, by its kubeconfig context; without NAME the current one.")
]
AllClustersOption = Annotated[
    bool, typer.Option("--all-clusters", help="Every cluster that was scanned, and all of them together.")
]
ContextOption = Annotated[str | None, _context_option("Kubeconfig context to connect with. Default: --cluster's.")]
StoreContextOption = Annotated[
    str | None, _context_option("With --store cluster: kubeconfig context to connect with. Default: the current one.")
]
NamedContextOption = Annotated[
    str | None, _context_option("The cluster of this kubeconfig context, as --cluster NAME names it.")
]
KubeconfigOption = Annotated[
    str | None,
    typer.Option("--kubeconfig", metavar="FILE", help="Kubeconfig file. Default: $KUBECONFIG, ~/.kube/config."),
]
ClustersOption = Annotated[
    list[str] | None,
    cluster_option(
        "Cluster, by its kubeconfig context; without NAME the current one. Repeatable: one report of several."
    ),
]
StoreOption = Annotated[
    StoreKind,
    typer.Option("--store", help="files: the workspace; cluster: the custom resources of a cluster with the add-on."),
]
OnlyAssignmentsOption = Annotated[
    list[str] | None,
    typer.Option(
        "--assignment",
        metavar="NAME",
        help="Only this assignment; repeatable, patterns. What is left out has no state.",
        autocompletion=candidates.assignments,
    ),
]
OnlyNamespacesOption = Annotated[
    list[str] | None,
    typer.Option("--namespace", "-n", metavar="NAMESPACE", help="Only this namespace; repeatable on a cluster."),
]
OnlyDefinitionsOption = Annotated[
    list[str] | None,
    typer.Option(
        "--definition",
        metavar="SLUG",
        help="Only assignments of this definition; repeatable.",
        autocompletion=candidates.definitions,
    ),
]
OnlySeveritiesOption = Annotated[
    list[str] | None,
    typer.Option(
        "--severity",
        metavar="SEVERITY",
        help="Only assignments of this severity: critical, high, medium or low; repeatable.",
        autocompletion=candidates.severities,
    ),
]
RecursiveOption = Annotated[bool, typer.Option("--recursive", "-R", help="Look into the folders of -f's folders too.")]
CustomWorkloadsOption = Annotated[
    bool,
    typer.Option(
        "--custom-workloads/--no-custom-workloads",
        help="With -f: also judge Pod templates in objects of kinds that are not built in, such as a Rollout.",
    ),
]
ExcludeOption = Annotated[
    list[str] | None,
    typer.Option(
        "--exclude",
        metavar="PATTERN",
        help="Leave out what matches in folders of -f, as .gitignore would; repeatable. .akspignore has more patterns.",
    ),
]
ColorOption = Annotated[ColorWhen, typer.Option(help="Colour; auto minds NO_COLOR and the terminal.")]
AllNamespacesOption = Annotated[bool, typer.Option("--all-namespaces", "-A", help="All namespaces (the default).")]


def _request_timeout(given: str | float) -> float:
    """Seconds, from a number of them or from a duration, as kubectl takes both. Raises typer.BadParameter."""
    try:
        # Python also reads 1_0, and digits of other scripts.
        seconds = float(given if re.fullmatch("[-+.0-9a-z]+", str(given)) else "")
    except ValueError:
        try:
            seconds = times.duration(str(given)).total_seconds()
        except ValueError:
            raise typer.BadParameter(
                f"{given!r} is neither a number of seconds nor a duration such as 30s or 2m"
            ) from None
    if not _SHORTEST_TIMEOUT <= seconds <= _LONGEST_TIMEOUT:
        raise typer.BadParameter(f"{given!r} is not between {_SHORTEST_TIMEOUT} s and {_LONGEST_TIMEOUT} s")
    return seconds


TimeoutOption = Annotated[
    float,
    typer.Option(
        "--request-timeout",
        parser=_request_timeout,
        metavar="DURATION",
        help="How long to wait for the API server: seconds, or as in 30s or 2m.",
    ),
]
TestFormat = Literal["text", "json", "junit"]
TestOutputOption = Annotated[TestFormat, typer.Option("--output", "-o", help="text, json or junit.")]
OutputOption = Annotated[ListFormat, typer.Option("--output", "-o", help="Output format.")]


_ManifestsOf = Callable[[Sequence[str], str | None], "ManifestOptions"]


def _reading(
    kustomize: Annotated[
        list[str] | None,
        typer.Option("--kustomize", "-k", metavar="DIR", help="Judge what kustomize makes of an overlay; repeatable."),
    ] = None,
    recursive: RecursiveOption = False,
    exclude: ExcludeOption = None,
    values: Annotated[
        list[str] | None,
        typer.Option("--values", metavar="FILE", help="Values for the chart that is judged; repeatable."),
    ] = None,
    set_values: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="KEY=VALUE", help="A value for the chart that is judged, as for helm; repeatable."
        ),
    ] = None,
    release_name: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="The release that the chart is judged as. Default: the chart's name."),
    ] = None,
    follow: Annotated[
        bool,
        typer.Option(
            "--follow", help="Also judge what Argo CD and Flux resources name, where it is in the repository."
        ),
    ] = False,
    custom_workloads: CustomWorkloadsOption = True,
) -> _ManifestsOf:
    """Of the paths, and of the namespace in which charts are rendered: the manifests, and how they are read."""

    def of(files: Sequence[str], namespace: str | None) -> ManifestOptions:
        from aksp.cli.manifests import ManifestOptions
        from aksp.sources.rendering.helm import ChartOptions
        from aksp.sources.rendering.options import Rendering

        chart = ChartOptions(
            values=tuple(values or ()), set=tuple(set_values or ()), release_name=release_name, namespace=namespace
        )
        return ManifestOptions(
            files=files, recursive=recursive, exclude=tuple(exclude or ()), custom_workloads=custom_workloads,
            rendering=Rendering(chart=chart, overlays=tuple(kustomize or ()), follow=follow),
        )  # fmt: skip

    return of


#: How manifests are read: the options of all commands that judge them.
ReadingOptions = Annotated[_ManifestsOf, _reading]


#: The commands that take --cluster several times.
SEVERAL_CLUSTERS = ("compliance", "diff", "history")


def with_cluster_values(arguments: Sequence[str]) -> list[str]:
    """The arguments with a value for each bare ``--cluster``: option parsers have no optional values.

    It is bare when it is last or when another option follows. Raises InvalidInput when it is given twice, since the first
    would be ignored.
    """
    before = list(arguments[: arguments.index("--")] if "--" in arguments else arguments)
    command = next((one for one in before if not one.startswith("-")), "")
    if (
        command not in SEVERAL_CLUSTERS
        and sum(one == "--cluster" or one.startswith("--cluster=") for one in before) > 1
    ):
        raise InvalidInput("--cluster is given more than once", hint="run the command once for each cluster")
    filled: list[str] = []
    for at, argument in enumerate(arguments):
        if argument == "--":
            return [*filled, *arguments[at:]]
        following = arguments[at + 1] if at + 1 < len(arguments) else "-"
        filled.append(f"--cluster={CURRENT}" if argument == "--cluster" and following.startswith("-") else argument)
    return filled


def without_equals_signs(arguments: Sequence[str], command: Any) -> list[str]:
    """The arguments with ``-o=json`` as ``-ojson``: kubectl takes both. The values of options stay as they are."""
    joined = [re.fullmatch("(-[A-Za-z])=(.+)", argument, re.DOTALL) for argument in arguments]
    if not any(joined):
        return list(arguments)
    # The commands below assign are made when they are looked up. Resilient, as for completion: an unknown one is no error here.
    context = typer.Context(command, resilient_parsing=True)
    taking: set[str] = set()
    for name in ("", *arguments):
        below = command.get_command(context, name) if name and hasattr(command, "get_command") else None
        command = below or command
        taking.update(opt for one in command.params if not getattr(one, "is_flag", True) for opt in one.opts)
    found: list[str] = []
    for before, argument, short in zip(("", *arguments), arguments, joined, strict=False):
        if argument == "--":
            return [*found, *arguments[len(found) :]]
        is_option = short is not None and short[1] in taking and before not in taking
        found.append(f"{short[1]}{short[2]}" if short and is_option else argument)
    return found


def duration(option: str, text: str) -> timedelta:
    """Read 30s, 15m, 2h, 7d or 1h30m. Raises InvalidInput naming the option."""
    try:
        return times.duration(text)
    except ValueError as error:
        raise InvalidInput(f"{option} {error}", hint="e.g. 30s, 15m, 2h, 7d or 1h30m") from error


#: Options that `aksp assign` has for every definition, by the parameters that some of them set.
COMMON_PARAMETERS = {
    "effect": "--effect",
    "excludedNamespaces": "--exclude-namespace",
    "namespaces": "--namespace",
    "labelSelector": "--selector",
}
_TAKEN = {
    *COMMON_PARAMETERS.values(), "--name", "--display-name", "--description", "--message", "--enforcement-mode",
    "--scope", "--cluster", "--not-scope", "--no-default-exclusions", "--replace", "--dry-run", "--what-if", "--filename",
    "--recursive", "--output",
    "--workspace", "--store", "--context", "--kubeconfig", "--help", "--debug",
}  # fmt: skip


def long_default(parameter: Parameter) -> str:
    """How many entries a default has that is too long to show; empty for all others."""
    default = parameter.default
    if isinstance(default, list | dict) and len(str(default)) > 500:
        return f"default: {len(default)} entries"
    return ""


def option_of(parameter: Parameter) -> str:
    """The option of `aksp assign` that sets a parameter: its document's, or one made of its name."""
    if parameter.name in COMMON_PARAMETERS:
        return COMMON_PARAMETERS[parameter.name]
    kebab = re.sub(r"[^A-Za-z0-9]+", "-", re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "-", parameter.name)).strip("-").lower()
    option = parameter.option or f"--{kebab}"
    return f"--parameter-{kebab}" if _TAKEN.intersection(option.split("/")) else option
