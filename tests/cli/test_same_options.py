"""Commands have the same options for the same: which cluster, which namespaces, how long to wait."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import typer.main

from aksp.cli.root import app

#: -n is a parameter of what is assigned, or where the add-on is.
_OTHER_NAMESPACE = ("assign", "addon")
#: Commands that name a cluster of the workspace or of the history, and connect to none.
_UNCONNECTED = ("diff", "export gatekeeper", "fix", "history", "import azure", "mutate", "scope add")
#: The add-on itself, which runs in the cluster.
_ADDON = ("addon run", "addon check-in")


def commands(group: Any, path: str = "") -> Iterator[tuple[str, set[str]]]:
    """Every command by its path, with its options."""
    context = typer.Context(group)
    for name in group.list_commands(context):
        if path == "assign":
            name = "no-privileged"
        command = group.get_command(context, name)
        whole = f"{path} {name}".strip()
        yield whole, {option for one in command.params for option in one.opts}
        if hasattr(command, "list_commands"):
            yield from commands(command, whole)
        if path == "assign":
            return


COMMANDS = dict(commands(typer.main.get_command(app)))


def test_what_connects_to_a_cluster_says_to_which_and_how_long_to_wait() -> None:
    named = {path: own for path, own in COMMANDS.items() if own & {"--context", "--cluster"} and path not in _ADDON}
    assert {"compliance", "denials", "sync", "addon status", "assignments delete", "assign no-privileged"} <= set(named)
    wanted = {"--context", "--kubeconfig"}
    for path, own in named.items():
        if path in ("scope add", "import azure"):
            continue  # they name what is kept, or what a document is for
        assert wanted <= own, path
        assert path in _UNCONNECTED or "--request-timeout" in own, path


def test_what_takes_a_namespace_takes_all_of_them() -> None:
    with_namespace = {path for path, own in COMMANDS.items() if "-n" in own and not path.startswith(_OTHER_NAMESPACE)}
    assert {"compliance", "explain", "denials", "exempt", "compare azure"} <= with_namespace
    assert not [path for path in with_namespace if not {"-A", "--namespace", "--all-namespaces"} <= COMMANDS[path]]
