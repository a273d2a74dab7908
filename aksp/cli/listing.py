"""What the commands that list print: a table, documents, or names."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, assert_never

from aksp.cli.ci import say, tell
from aksp.cli.options import ListFormat
from aksp.runners import as_it_is, in_json


def print_list(
    output: ListFormat,
    *,
    headers: Sequence[str] = (),
    rows: Iterable[Sequence[str]] = (),
    documents: Iterable[Any] = (),
    names: Iterable[str] = (),
    empty: str = "",
) -> None:
    """Print rows (tables), documents (JSON and YAML, as a list) or names. Only the iterable that is printed is read."""
    match output:
        case ListFormat.TABLE | ListFormat.WIDE:
            if not (shown := list(rows)):
                tell(empty)
                return
            for line in _lines(headers, shown):
                say(line.removesuffix("\n"))
        case ListFormat.JSON | ListFormat.YAML:
            print_document(output, list(documents))
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


def print_document(output: ListFormat, document: Any) -> None:
    """Print one document as JSON, else as YAML, keys in their order."""
    if output is ListFormat.JSON:
        from aksp.model.json_text import encode

        say(encode(document, indent=2), in_json)
    else:
        from aksp.yaml_writer import to_yaml

        say(to_yaml(document).removesuffix("\n"), as_it_is)


def print_shown(output: ListFormat, documents: Sequence[Any], names: Sequence[str]) -> None:
    """Print the documents that were asked for: one as it is, several as a list."""
    if len(documents) == 1 and output is not ListFormat.NAME:
        print_document(output, documents[0])
    else:
        print_list(output, documents=documents, names=names)
