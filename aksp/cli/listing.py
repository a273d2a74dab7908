"""What the commands that list print: a table, documents, or names."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, assert_never

from aksp.cli.ci import say, tell
from aksp.cli.options import ListFormat
from aksp.runners import as_it_is, in_json


def print_list(
    output: ListFormat,
    *,
    headers: Sequence[str],
    rows: Iterable[Sequence[str]],
    documents: Iterable[Any],
    names: Iterable[str],
    empty: str,
) -> None:
    """Print rows (tables), documents (JSON and YAML, as a list) or names. Only the iterable that is printed is read."""
    match output:
        case ListFormat.TABLE | ListFormat.WIDE:
            if not (shown := list(rows)):
                tell(empty)
                return
            for line in _lines(headers, shown):
                say(line.removesuffix("\n"))
        case ListFormat.JSON:
            say(json.dumps(list(documents), indent=2, ensure_ascii=False), in_json)
        case ListFormat.YAML:
            print_yaml(list(documents))
        case ListFormat.NAME:
            for name in names:
                say(name)
        case _:
            assert_never(output)


def _lines(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """A table's lines, without a rule. A cell that is wider than a column may be moves the rest of its row."""
    from aksp.report.table.blocks import Column, Grid, Row, Span
    from aksp.report.table.layout import GAP, fit
    from aksp.report.table.plain import row_lines
    from aksp.report.text import safe

    grid = Grid(
        title=(),
        columns=tuple(Column(header=header + " " * GAP) for header in headers),
        rows=tuple(Row(cells=tuple(((Span(safe(text).strip()),),) for text in row)) for row in rows),
    )
    fitted = fit(grid, None)
    for cells in (fitted.headers, *(row.cells for row in fitted.rows)):
        yield from row_lines(cells, fitted, color=False)


def print_document(output: ListFormat, document: Any, name: str) -> None:
    """Print one document; a table of it is YAML."""
    if output is ListFormat.JSON:
        say(json.dumps(document, indent=2, ensure_ascii=False), in_json)
    elif output is ListFormat.NAME:
        say(name)
    else:
        print_yaml(document)


def print_shown(output: ListFormat, documents: Sequence[Any], names: Sequence[str]) -> None:
    """Print the documents that were asked for: one as it is, several as a list."""
    if len(documents) == 1:
        print_document(output, documents[0], names[0])
    else:
        print_list(output, headers=(), rows=(), documents=documents, names=names, empty="")


def print_yaml(document: Any) -> None:
    """Print a document as YAML, keys in their order."""
    from aksp.yaml_writer import to_yaml

    say(to_yaml(document).removesuffix("\n"), as_it_is)
