"""Whatever a name is, each format stays what its own parser takes it for, and names keep their text."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable, Mapping
from typing import Any, Final

import html5lib
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree
from markdown_it import MarkdownIt
from prometheus_client.parser import text_string_to_metric_families
from ruamel.yaml import YAML

from aksp.model.compliance import ComplianceState, Gap, Report
from aksp.report.text import safe
from tests.replacing import replace
from tests.results import changed

from .render import render
from .scenarios import SCENARIOS
from .test_html import data_of

PLAIN: Final = "plain"
#: What ends or begins something in one of the formats.
# fmt: off
PIECES: Final = st.sampled_from([
    "<", ">", "&", '"', "'", "</script>", "<!--", "-->", "]]>", "&amp;", "\\", "\n", "\r", "\t", "\x00", "\x1b[31m",
    "|", "`", "*", "_", "[a](b)", "![a](b)", "# ", "- ", "1. ", "~~", "@x", "#1", "https://a.b", "==", "---", "\n\n",
    ",", ";", "=1+1", "=cmd|'/C calc'!A1", "+", "-1", "@a", "{", "}", "::error::", "##vso[a]", "%", "\u0085", "\u2028", "\u202e", "\ufeff", "\ufffe",
    "1e3", "yes", "null", ": ", " #", "a", "é", "😀", "/", "\\/", "{{ x }}", "${x}", "$(x)"])
# fmt: on
NAMES: Final = st.lists(PIECES, min_size=1, max_size=6).map("".join) | st.text(
    st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8
)


def named(name: str) -> Report:
    """A report in which what people write is this text."""
    report = SCENARIOS["violations"]()
    results = tuple(
        changed(
            one,
            resource=replace(one.resource, name=name, namespace=name),
            finding=replace(one.finding, message=f"message {name}", observed=name, expected=[name]),
        )
        for one in report.results
        if one.exemption is not None or (one.state is ComplianceState.NON_COMPLIANT and one.finding.fix)
    )
    return replace(report, results=results, gaps=(Gap(reason="Unreadable", message=f"gap {name}"),))


def shape(value: Any) -> Any:
    """What is left of a value without its texts."""
    if isinstance(value, dict):
        return {key: shape(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [shape(inner) for inner in value]
    return type(value).__name__


def xml(text: str) -> Any:
    """lxml takes what XML allows and nothing else, entities and recovery left out."""
    root = etree.fromstring(text.encode(), etree.XMLParser(resolve_entities=False, no_network=True, recover=False))
    return [(one.tag, sorted(one.attrib)) for one in root.iter()]


def metrics(text: str) -> Any:
    return [
        (sample.name, sorted(sample.labels), sample.value)
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    ]


def page(text: str) -> Any:
    """The elements that a browser makes of a page, and its data; there is nothing that a browser would have to mend."""
    parser = html5lib.HTMLParser(namespaceHTMLElements=False)
    root = parser.parse(text)
    assert parser.errors == []
    # Its table has each text once: a name that is another text, too, leaves it shorter.
    data = data_of(text)
    strings = {type(one) for one in data.pop("strings")}
    return [(str(one.tag), sorted(one.attrib)) for one in root.iter()], strings, shape(data)


def markdown(text: str) -> Any:
    """Its blocks, and what stands within lines beside text and the comments that keep @ and # from acting."""
    tokens = MarkdownIt("gfm-like", {"linkify": False}).parse(text)
    inner = [child for token in tokens for child in token.children or ()]
    within = [(child.type, child.content) for child in inner if child.type not in ("text", "softbreak", "hardbreak")]
    return [token.type for token in tokens], [one for one in within if one != ("html_inline", "<!-- -->")]


SHAPES: Final[Mapping[str, Callable[[str], Any]]] = {
    **dict.fromkeys(("json", "sarif", "gitlab"), lambda text: shape(json.loads(text))),
    **dict.fromkeys(("policyreport", "openreports"), lambda text: shape(list(yaml.load_all(text, yaml.CSafeLoader)))),
    "csv": lambda text: [sorted(row) for row in csv.DictReader(io.StringIO(text, newline=""), strict=True)],
    "junit": xml,
    "prometheus": metrics,
    "html": page,
    "markdown": markdown,
    "yaml": lambda text: shape(yaml.load(text, yaml.CSafeLoader)),
}


@given(NAMES)
@settings(max_examples=15, deadline=None)
def test_a_name_changes_nothing_but_texts(name: str) -> None:
    for kind, read in SHAPES.items():
        assert read(render(named(name), kind)) == read(render(named(PLAIN), kind)), kind


@given(NAMES)
@settings(max_examples=15, deadline=None)
def test_a_name_is_read_back(name: str) -> None:
    report = named(name)
    document = json.loads(render(report, "json"))
    assert {one["resource"]["name"] for one in document["results"]} == {name}
    text = render(report, "yaml")
    assert yaml.safe_load(text) == YAML(typ="safe", pure=True).load(text) == document
    rows = list(csv.DictReader(io.StringIO(render(report, "csv"), newline="")))
    # A spreadsheet takes what begins so for a formula.
    assert [cell for row in rows for cell in row.values() if cell.startswith(("=", "+", "-", "@", "\t", "\r"))] == []
    for row in rows[: len(report.results)]:
        assert row["resource.name"] in (safe(name), f"'{safe(name)}")
    assert safe(name) in {
        sample.labels.get("namespace")
        for family in text_string_to_metric_families(render(report, "prometheus"))
        for sample in family.samples
    }
    cases = etree.fromstring(render(report, "junit").encode()).iter("testcase")
    assert any(str(safe(name)) in str(case.get("name")) for case in cases)
    assert safe(name) in data_of(render(report, "html"))["strings"]
    for kind in ("github", "azuredevops"):
        for line in re.split(r"[\r\n]", render(report, kind)):
            assert line == "" or line.isprintable()
