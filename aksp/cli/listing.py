"""What the commands that list print: a table, documents, or names."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, assert_never

import typer

from aksp.cli.options import ListFormat


def print_list(
    output: ListFormat,
    *,
    headers: Sequence[str],
    rows: Sequence[Sequence[str]],
    documents: Sequence[Any],
    names: Sequence[str],
    empty: str,
) -> None:
    """Print rows (tables), documents (JSON and YAML, one as itself, more as a list) or names."""
    match output:
        case ListFormat.TABLE | ListFormat.WIDE:
            if not rows:
                typer.echo(empty, err=True)
                return
            from tabulate import tabulate

            typer.echo(tabulate(rows, headers=headers, tablefmt="plain", disable_numparse=True))
        case ListFormat.JSON:
            typer.echo(json.dumps(list(documents), indent=2, ensure_ascii=False))
        case ListFormat.YAML:
            print_yaml(list(documents))
        case ListFormat.NAME:
            for name in names:
                typer.echo(name)
        case _:
            assert_never(output)


def print_document(output: ListFormat, document: Any, name: str) -> None:
    """Print one document; a table of it is YAML."""
    if output is ListFormat.JSON:
        typer.echo(json.dumps(document, indent=2, ensure_ascii=False))
    elif output is ListFormat.NAME:
        typer.echo(name)
    else:
        print_yaml(document)


def print_yaml(document: Any) -> None:
    """Print a document as YAML, keys in their order."""
    from aksp.store.files import to_yaml

    typer.echo(to_yaml(document), nl=False)
