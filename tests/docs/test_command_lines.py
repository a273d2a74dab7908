"""Every command line of aksp that a page or an example names is one that the command takes: commands and options exist."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from aksp.catalog.folder import bundled, bundled_initiatives
from aksp.cli import root
from aksp.cli.commands.assign import AssignGroup
from tests.docs.pages import PAGES, ROOT, blocks, code, named, prose, write_files
from tests.examples.pipelines import ALL

pytestmark = pytest.mark.slow

#: Words that stand for a definition of the reader's.
ANY_DEFINITION = re.compile(r"SLUG|…")
#: Options that pages name and that are no command's: the API server's, and two that stand for an author's own.
OF_OTHERS = {"--admission-control-config-file", "--allow-x", "--forbid-x"}
#: Pages about aksp: RESULTS.md names options of bench/run.py.
ABOUT = [page for page in PAGES if page.parent.name != "bench"]
#: The definition that docs/definitions.md writes.
EXAMPLE = "image-tags"


@pytest.fixture(autouse=True)
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A workspace with the definition of docs/definitions.md."""
    write_files(ROOT / "docs" / "definitions.md", tmp_path)
    monkeypatch.setenv("AKSP_WORKSPACE", str(tmp_path))


def written() -> Iterator[tuple[str, str]]:
    """(where, command line) of everything that begins with ``aksp``."""
    for page in PAGES:
        for span in code(prose(page)):
            yield from ((named(page), line) for line in commands(span))
        for block in blocks(page):
            if block.language == "sh":
                for line in block.text.splitlines():
                    yield from ((named(page), command) for command in commands(line))
    for pipeline in ALL:
        yield pipeline.file, pipeline.judging
    for path in (ROOT / "examples" / "demo.sh", ROOT / "examples" / "addon" / "try.sh"):
        for line in path.read_text(encoding="utf-8").replace("\\\n", " ").splitlines():
            # Both scripts print a command and then run it.
            yield from ((path.name, command) for command in commands(re.sub(r"^(?:run|set --|if) ", "", line.strip())))
    notes = (ROOT / "charts" / "aksp" / "templates" / "NOTES.txt").read_text(encoding="utf-8")
    for line in notes.splitlines():
        yield from (("NOTES.txt", command) for command in commands(re.sub(r"^[A-Z][\w ]+: +", "", line)))
    for hook in yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text(encoding="utf-8")):
        yield ".pre-commit-hooks.yaml", hook["entry"]


def commands(line: str) -> list[str]:
    """The commands of aksp in a line of shell, without what is redirected."""
    parts = re.split(r"\s\|\|?\s|\s&&\s|;\s|\s#\s", line)
    return [re.sub(r"\s+\d?>\S+.*", "", part).strip() for part in parts if re.match(r"\s*aksp(?: |$)", part)]


def test_a_command_line_is_one_that_the_command_takes() -> None:
    found = sorted(set(written()))
    assert {"README.md", "github-actions.yml", "demo.sh", "try.sh", "NOTES.txt"} <= {where for where, _ in found}
    wrong = [(where, line, said) for where, line in found if (said := obstacle(words(line)))]
    assert not wrong


def words(line: str) -> list[str]:
    """What follows ``aksp``; what is in brackets may be there or not, and here is."""
    found = shlex.split(re.sub(r"\[(=?\w+)\]", r"\1", line), comments=True)
    return found[1:]


def obstacle(arguments: list[str]) -> str | None:
    """Why the command does not take this; None when it does. Values are not looked at, and may be left out at the end."""
    command = root.command()
    while True:
        context = command.make_context(command.name, [], resilient_parsing=True)
        # A context for completion: one for running would run what --version asks for.
        context.resilient_parsing = False
        parser = command.make_parser(context)
        try:
            _, left, _ = parser.parse_args(list(arguments))
        except Exception as error:  # noqa: BLE001 - the class is that of a library within a library
            cut = "requires an argument" in str(error) and arguments[-1].startswith("-")
            return None if cut else f"{type(error).__name__}: {error}"
        if not hasattr(command, "get_command"):
            return f"nothing takes {' '.join(left)}" if left else None
        if not left:
            return None
        name, *arguments = left
        if isinstance(command, AssignGroup) and ANY_DEFINITION.fullmatch(name):
            name = bundled()[0].slug
        below = command.get_command(context, name)
        if below is None:
            return f"there is no {name}"
        command = below


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("aksp compliances", "there is no"),
        ("aksp compliance --clusters", "NoSuchOption"),
        ("aksp addon enable --unjudge refuse", "NoSuchOption"),
        ("aksp assign allowed-images --registries x", "NoSuchOption"),
        ("aksp history prod", "nothing takes"),
    ],
)
def test_a_command_line_that_is_wrong_is_found(line: str, said: str) -> None:
    assert said in str(obstacle(words(line)))


def test_every_option_that_a_page_names_exists() -> None:
    known = options() | OF_OTHERS
    named_there = {
        (named(page), option)
        for page in ABOUT
        for span in code(prose(page))
        if not span.startswith(("kubectl", "helm", "make", "git", "docker", "gator", "kyverno", "az"))
        for option in re.findall(r"(?<![\w-])--[a-z][a-z-]+", span)
    }
    assert len(named_there) > 100
    assert {(page, option) for page, option in named_there if option not in known} == set()


def options() -> set[str]:
    """The options of every command."""
    found = {"--help"}
    below = [root.command()]
    while below:
        command = below.pop()
        for option in command.params:
            found |= {*option.opts, *option.secondary_opts}
        if isinstance(command, AssignGroup):
            context = command.make_context("assign", [], resilient_parsing=True)
            below += [
                command.get_command(context, slug)
                for slug in [*(one.slug for one in bundled()), *(one.slug for one in bundled_initiatives())]
            ]
            below.append(command.get_command(context, EXAMPLE))
        else:
            below += getattr(command, "commands", {}).values()
    return found
