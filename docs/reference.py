"""Makes docs/cli.md and docs/aksp.1 from the commands themselves, and what the report's JSON Schema says of a result.

Run it with the Python of the virtual environment, from anywhere: ``.venv/bin/python docs/reference.py``.
"""

from __future__ import annotations

import json
import os
import re
import sys
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
# Also where this tree is not installed.
sys.path.insert(0, str(ROOT))


from aksp import __version__  # noqa: E402
from aksp.cli import root  # noqa: E402
from aksp.cli.commands.assign import AssignGroup  # noqa: E402
from aksp.errors import EXIT_MEANINGS  # noqa: E402
from aksp.report.fields import NAMED, OBJECTS  # noqa: E402
from aksp.report.registry import FORMATS  # noqa: E402

PAGE = ROOT / "docs" / "cli.md"
MANUAL = ROOT / "docs" / "aksp.1"
SCHEMA = ROOT / "aksp" / "report" / "report.schema.json"
WIDTH = 120
ENVIRONMENT = (
    ("AKSP_WORKSPACE", "The workspace, unless `--workspace` names one."),
    ("AKSP_DEBUG", "When it is not empty: the same as `--debug`."),
    ("AKSP_ENGINE", "The engine's program, instead of the one that comes with aksp."),
    (
        "AKSP_ENGINE_EVALUATOR",
        "How rules are evaluated: plan (the default: aksp's own evaluator runs OPA's plan, and OPA itself what it has no "
        "answer for), topdown (OPA itself), or both, where a difference is a gap.",
    ),
    ("KUBECONFIG", "Kubeconfig files, as for kubectl, unless `--kubeconfig` names one."),
    ("NO_COLOR", "When it is not empty: no colour, unless `--color always` is given."),
    ("FORCE_COLOR, CLICOLOR_FORCE", "When one is not empty: colour, also where no terminal reads."),
    ("COLUMNS", "How wide tables are, where no terminal tells."),
    ("CI", "When it is not empty: no progress bar."),
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Line:
    """An option or an argument: how it is written, and what it means."""

    names: str
    meaning: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Command:
    """A command, its options apart from its arguments. `groups` are further options under a title of their own."""

    path: str
    usage: str
    help: str
    arguments: tuple[Line, ...]
    options: tuple[Line, ...]
    groups: tuple[tuple[str, str, tuple[Line, ...]], ...] = ()

    @property
    def summary(self) -> str:
        """The first paragraph of its help."""
        return " ".join(self.help.partition("\n\n")[0].split())


def commands() -> list[Command]:
    """All commands that are not hidden, each group before what is in it."""
    top: Any = root.command()
    # The installation of completion is typer's, and its text depends on the machine: bash's own version is asked.
    return list(_walk(top, top.make_context("aksp", [], resilient_parsing=True, max_content_width=80)))


def schema() -> str:
    """The report's JSON Schema with a result's fields as aksp/report/fields.py has them; the rest of it as it is."""
    document = json.loads(SCHEMA.read_text(encoding="utf-8"))
    parts, written = document["$defs"], document["$defs"]["result"]["properties"]
    properties: dict[str, Any] = {}
    for field in NAMED:
        if not field.within:
            properties[field.name] = field.schema
        elif field.within in parts:
            properties[field.within] = {"$ref": f"#/$defs/{field.within}"}
        else:
            given = _closed({one.key: one.schema for one in OBJECTS[field.within]})
            properties[field.within] = {**written.get(field.within, {}), "anyOf": [given, {"type": "null"}]}
    parts["resource"] = _closed({one.key: one.schema for one in OBJECTS["resource"]})
    parts["result"] = _closed(properties)
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def _closed(properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "additionalProperties": False, "required": list(properties), "properties": properties}


def _walk(command: Any, context: Any) -> Iterator[Command]:
    records = [
        (parameter, Line(names=record[0], meaning=_meaning(record[1])))
        for parameter in command.get_params(context)
        if (record := parameter.get_help_record(context)) and "--help" not in parameter.opts
    ]
    own = Command(
        path=context.command_path,
        usage=context.get_usage().removeprefix("Usage: "),
        help=command.help or "",
        arguments=tuple(line for one, line in records if one.param_type_name == "argument"),
        options=tuple(line for one, line in records if one.param_type_name == "option"),
    )
    if isinstance(command, AssignGroup):
        yield _assign(command, context, own)
        return
    yield own
    for name in command.list_commands(context) if hasattr(command, "list_commands") else ():
        below = command.get_command(context, name)
        if not below.hidden:
            yield from _walk(below, below.make_context(name, [], parent=context, resilient_parsing=True))


def _assign(group: Any, context: Any, own: Command) -> Command:
    """`aksp assign`: the options that all definitions have once, then those of each definition."""
    # The workspace of whoever runs this has definitions of its own, perhaps.
    context.params["workspace"] = os.devnull
    found = []
    for name in group.list_commands(context):
        definition = group.get_command(context, name)
        found += list(_walk(definition, definition.make_context(name, [], parent=context, resilient_parsing=True)))
    shared = set.intersection(*({line.names for line in one.options} for one in found))
    common = tuple(line for line in found[0].options if line.names in shared)
    return Command(
        path=own.path,
        usage=own.usage,
        help=own.help,
        arguments=own.arguments,
        options=(),
        groups=(
            ("Options of every definition", "", common),
            *(
                (one.path, one.summary, tuple(line for line in one.options if line.names not in shared))
                for one in found
            ),
        ),
    )


def _meaning(text: str) -> str:
    """A help text, with what typer puts in brackets behind it in words."""
    words, _, extra = text.partition("  [")
    extra = re.sub(r"x>=([\d.]+)", r"\1 or more", extra.removesuffix("]"))
    return f"{words} ({extra})" if extra else words


def markdown() -> str:
    """The page docs/cli.md."""
    found = commands()
    parts = [
        "# Command line",
        "<!-- Made from the code by `make docs`; changes belong into the code. -->",
        filled(
            "Every command, argument and option of `aksp`. Options are named as kubectl names them. `--help` or `-h` "
            "shows the same for one command; `--debug` may stand anywhere."
        ),
        filled(
            "Installed beside kubectl, `aksp` is a plugin of it: `kubectl aksp` takes the same commands, and the shell's "
            "completion of kubectl completes them (kubectl 1.26 or later)."
        ),
        filled(
            "`aksp --install-completion` sets up completion for bash, zsh, fish or PowerShell: commands, options, contexts "
            "of the kubeconfig, definitions, assignments of the workspace, and formats. A key press reads files, and asks "
            "no cluster. With the command the manual page aksp(1) is installed, which says what this page says."
        ),
        _table(
            "Command",
            "What it does",
            [(f"[`{one.path}`](#{_anchor(one.path)})", cell(one.summary)) for one in found[1:]],
        ),
    ]
    for one in found:
        parts += [f"## {one.path}", f"```text\n{one.usage}\n```", prose(one.help)]
        if one.arguments:
            parts.append(_options("Argument", one.arguments))
        if one.options:
            parts.append(_options("Option", one.options))
        for title, text, lines in one.groups:
            parts.append(f"### {title}")
            if text:
                parts.append(prose(text))
            parts.append(_options("Option", lines) if lines else "It has no options of its own.")
    parts += [
        "## Report formats",
        filled("`aksp compliance -o FORMAT[=FILE]`, any number of them, at most one without a file."),
        _table("Format", "What it is", [(f"`{one.name}`", cell(one.description)) for one in FORMATS.values()]),
        "## Exit codes",
        _table("Code", "Meaning", [(str(int(code)), cell(text)) for code, text in EXIT_MEANINGS.items()]),
        filled("5, 3 and 2 end the run. Of the rest 1 beats 4 beats 0."),
        "## Environment variables",
        _table(
            "Variable",
            "Meaning",
            [(", ".join(f"`{name}`" for name in names.split(", ")), cell(text)) for names, text in ENVIRONMENT],
        ),
    ]
    return "\n\n".join(parts) + "\n"


def _options(head: str, lines: Sequence[Line]) -> str:
    return _table(head, "Meaning", [(f"`{_bar(one.names)}`", cell(one.meaning)) for one in lines])


def _table(first: str, second: str, rows: Sequence[tuple[str, str]]) -> str:
    return "\n".join([f"| {first} | {second} |", "|---|---|", *(f"| {left} | {right} |" for left, right in rows)])


def cell(text: str) -> str:
    return _bar(_escaped(" ".join(text.split())))


def _bar(text: str) -> str:
    return text.replace("|", "\\|")


def prose(text: str) -> str:
    return "\n\n".join(filled(_escaped(" ".join(one.split()))) for one in text.split("\n\n"))


def filled(text: str) -> str:
    return textwrap.fill(text, WIDTH, break_long_words=False, break_on_hyphens=False)


def _escaped(text: str) -> str:
    """Text in which Markdown finds nothing but the code that is meant."""
    parts = re.split(r"(`[^`]*`)", text)
    return "".join(one if one.startswith("`") else re.sub(r"[<*_\\\[\]]", r"\\\g<0>", one) for one in parts)


def _anchor(title: str) -> str:
    return title.lower().replace(" ", "-")


def manual() -> str:
    """The manual page docs/aksp.1, for man(7)."""
    found = commands()
    root, *rest = found
    lines = [
        '.\\" Made from the code by "make docs"; changes belong into the code.',
        f'.TH AKSP 1 "" "aksp {_roff(__version__)}" "User Commands"',
        '.\\" Names are not broken at the ends of lines, nor spaced out.',
        ".nh",
        ".ad l",
        ".SH NAME",
        f"aksp \\- {_roff(root.summary.rstrip('.'))}",
        ".SH SYNOPSIS",
        f"\\fBaksp\\fR {_roff(root.usage.removeprefix('aksp '))}",
        ".SH DESCRIPTION",
        *_paragraphs(
            "aksp assigns policy definitions, judges a live cluster or manifests against them, and reports compliance "
            "for every container. `aksp COMMAND --help` shows the options of one command, `aksp assign SLUG --help` "
            "those of one definition."
        ),
        ".SH OPTIONS",
        *_items(root.options),
        ".SH COMMANDS",
    ]
    for one in rest:
        lines += [f".SS {_roff(one.usage)}", *_paragraphs(one.help), *_items([*one.arguments, *one.options])]
        for title, text, options in one.groups:
            lines += [f".SS {_roff(title)}", *_paragraphs(text), *_items(options)]
    lines += [
        ".SH REPORT FORMATS",
        *_items([Line(names=one.name, meaning=one.description) for one in FORMATS.values()]),
        ".SH EXIT STATUS",
        *_items([Line(names=str(int(code)), meaning=text) for code, text in EXIT_MEANINGS.items()]),
        ".SH ENVIRONMENT",
        *_items([Line(names=names, meaning=text) for names, text in ENVIRONMENT]),
        ".SH SEE ALSO",
        ".BR kubectl (1)",
    ]
    return "\n".join(lines) + "\n"


def _items(lines: Sequence[Line]) -> Iterator[str]:
    for one in lines:
        yield from (".TP", f"\\fB{_roff(one.names)}\\fR", inline(one.meaning))


def _paragraphs(text: str) -> Iterator[str]:
    for at, one in enumerate(text.split("\n\n") if text else ()):
        # A heading begins a paragraph by itself.
        yield from (".PP", inline(one)) if at else (inline(one),)


def inline(text: str) -> str:
    """Lines of text, code in bold."""
    parts = re.split(r"`([^`]*)`", text)
    told = "".join(f"\\fB{_roff(one)}\\fR" if at % 2 else _roff(one) for at, one in enumerate(parts))
    lines = textwrap.wrap(told, 79, break_long_words=False, break_on_hyphens=False)
    # A line that begins with a point would be a request.
    return "\n".join(f"\\&{line}" if line.startswith(".") else line for line in lines)


def _roff(text: str) -> str:
    """Text that roff prints as it is: hyphens stay hyphens to be copied, other than ASCII goes by number."""
    text = (
        text.replace("\\", "\\e").replace("-", "\\-").replace("'", "\\(aq").replace("`", "\\(ga").replace("^", "\\(ha")
    )
    # A long pattern may be broken after its bars.
    text = text.replace("~", "\\(ti").replace('"', "\\(dq").replace("|", "|\\:")
    return "".join(one if ord(one) < 128 else f"\\[u{ord(one):04X}]" for one in re.sub(r"\s+", " ", text))


if __name__ == "__main__":
    for path, text in ((PAGE, markdown()), (MANUAL, manual()), (SCHEMA, schema())):
        path.write_text(text, encoding="utf-8")
        print(path.relative_to(ROOT))
