"""No format hands a runner a command that stands in a manifest, and its parser reads what it always read."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any
from xml.etree import ElementTree

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from aksp.model.compliance import Gap, KnownLocation, Report, Result
from aksp.report.registry import FORMATS
from aksp.runners import commands
from tests.replacing import replace
from tests.report.render import render
from tests.report.scenarios import violations
from tests.results import changed

PIECES = (
    "##vso[task.setvariable variable=PATH]", "##[add-mask]", "##teamcity[message]", "::error::x", "::set-output name=a::",
    "###vso[", "##VSO[", "#", "\\", '"', "'", "\n", "\r\n", " ", "\t", ": ", "- ", "<b>", "&#35;", "%0A", "\x1b[0K", "ä", "|", "x",
)  # fmt: skip
TEXTS = st.lists(st.sampled_from(PIECES), min_size=1, max_size=6).map("".join)


def said(report: Report, text: str) -> Report:
    """A report that has a text wherever a manifest, a cluster or a rule could put one."""

    def result(one: Result) -> Result:
        finding = one.finding
        container = finding.container and replace(finding.container, name=text, image=text)
        return changed(
            one,
            resource=replace(one.resource, name=text, namespace=text, kind=text),
            source=KnownLocation(file=text, line=3),
            finding=replace(
                finding,
                message=text,
                path=text,
                observed={text: [text, {text: text}]},
                expected=text,
                container=container,
            ),
        )

    return replace(
        report,
        target=replace(report.target, name=text),
        results=[result(one) for one in report.results[:4]],
        gaps=[Gap(reason="UnreadableDocument", message=text, source=KnownLocation(file=text, line=1))],
    )


PARSERS: dict[str, Callable[[str], Any]] = {
    "json": json.loads,
    "sarif": json.loads,
    "gitlab": json.loads,
    "yaml": lambda text: yaml.load(text, yaml.CSafeLoader),
    "policyreport": lambda text: list(yaml.load_all(text, yaml.CSafeLoader)),
    "openreports": lambda text: list(yaml.load_all(text, yaml.CSafeLoader)),
    "junit": lambda text: ElementTree.canonicalize(text),
}
#: What a format begins its own lines with.
OWN = {"github": "::", "azuredevops": "##vso["}


@pytest.mark.parametrize("form", [name for name, one in FORMATS.items() if one.in_log])
@settings(max_examples=60, deadline=None)
@given(text=TEXTS)
def test_no_line_of_a_log_holds_a_command_from_the_data(form: str, text: str) -> None:
    in_log = FORMATS[form].in_log
    assert in_log is not None
    plain = render(said(violations(), text), form)
    logged = in_log(plain)
    for line in logged.splitlines():
        own = OWN.get(form, "")
        assert not commands(line.removeprefix(own) if own and line.startswith(own) else line), line
        assert "\x1b" not in line
    if form in PARSERS:
        assert PARSERS[form](logged) == PARSERS[form](plain)


def test_what_cannot_be_said_otherwise_is_what_no_parser_could_undo() -> None:
    assert {name for name, one in FORMATS.items() if one.in_log is None} == {"csv", "html", "prometheus"}


@given(text=TEXTS)
def test_yaml_says_every_text_as_it_is(text: str) -> None:
    from aksp.yaml_writer import to_yaml

    written = to_yaml({text: [text, {text: {text: text}}]})
    assert not any(commands(line) for line in written.splitlines()), written
    assert yaml.safe_load(written) == {text: [text, {text: {text: text}}]}
