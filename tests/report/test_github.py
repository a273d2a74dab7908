"""GitHub's commands are read back as the runner reads them, and none is dropped unsaid."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aksp.model.compliance import Finding, Report
from aksp.report.formats.github import command
from tests.replacing import replace
from tests.results import changed

from .render import render
from .scenarios import IMAGES, PRIVILEGED, SCENARIOS, Line, many, pod


def read(line: str) -> tuple[str, dict[str, str], str]:
    """Name, properties and message of a command, as the runner's documentation describes them."""
    match = re.fullmatch(r"::(\w+)(?: ([^:]*(?::(?!:)[^:]*)*?))?::(.*)", line)
    assert match is not None, line
    properties = dict(each.split("=", 1) for each in (match[2] or "").split(",") if each)
    return match[1], {key: _plain(value) for key, value in properties.items()}, _plain(match[3])


def _plain(text: str) -> str:
    for escaped, char in (("%2C", ","), ("%3A", ":"), ("%0A", "\n"), ("%0D", "\r"), ("%25", "%")):
        text = text.replace(escaped, char)
    return text


def commands(report: Report, **style: str) -> list[tuple[str, dict[str, str], str]]:
    *lines, _ = render(report, "github", **style).splitlines()
    return [read(line) for line in lines]


@given(st.text(), st.text(), st.text())
def test_any_text_comes_back_and_stays_on_its_line(message: str, file: str, title: str) -> None:
    text = command("error", message, {"file": file, "title": title})
    line = text.removesuffix("\n")
    assert "\n" not in line and "\r" not in line
    match = re.match(r"::error file=([^,:]*),title=([^,:]*)::", line)
    assert match is not None
    assert (_plain(match[1]), _plain(match[2]), _plain(line[match.end() :])) == (file, title, message)


def test_a_violation_is_an_error_on_its_line_with_what_to_do() -> None:
    found = commands(SCENARIOS["manifests"](), base="infra")
    assert found[1] == (
        "error",
        {
            "file": "infra/deploy/base/web/deployment.yaml",
            "line": "23",
            "endLine": "23",
            "col": "5",
            "endColumn": "29",
            "title": "contoso-images",
        },
        "Deployment shop/web, container web: image nginx:1.29 is not from an allowed registry (contoso.azurecr.io). "
        "Field: spec.template.spec.containers[0].image. "
        "Push the image to an allowed registry, then name it from there.",
    )


@pytest.mark.parametrize(
    ("file", "said"), [("-", "standard input, line 7: "), ("/etc/w.yaml", "/etc/w.yaml, line 7: ")]
)
def test_what_is_in_no_file_of_the_repository_has_its_place_in_the_message(file: str, said: str) -> None:
    report = SCENARIOS["manifests"]()
    ((_, properties, message), *_) = commands(
        replace(report, results=(replace(report.results[1], source=Line(file, 7)),), gaps=())
    )
    assert set(properties) == {"title"}
    assert message.startswith(said + "Deployment shop/web")


def test_a_document_that_cannot_be_read_is_a_warning_on_its_line() -> None:
    name, properties, message = commands(SCENARIOS["manifests"](), base="infra")[-1]
    assert (name, properties["file"], properties["line"]) == ("warning", "infra/deploy/base/cart.yaml", "7")
    assert message.startswith("could not be judged: deploy/base/cart.yaml:7: yaml:")


def test_live_objects_are_named_in_the_message_alone() -> None:
    for _, properties, message in commands(SCENARIOS["violations"]()):
        assert set(properties) == {"title"}
        assert re.match(r"(Pod|Deployment|Service) shop/", message)


def test_what_would_not_be_refused_is_a_warning_and_gaps_come_first() -> None:
    found = [(name, properties["title"]) for name, properties, _ in commands(SCENARIOS["violations"]())]
    assert found == [
        ("error", "no-privileged"),
        ("error", "contoso-images"),
        ("error", "contoso-images"),
        ("warning", "resource-limits"),
        ("warning", "resource-limits"),
        ("warning", "allowed-service-ports"),
    ]
    assert [(name, p["title"]) for name, p, _ in commands(SCENARIOS["gaps"]())] == [
        ("warning", "Forbidden"),
        ("warning", "resource-limits"),
    ]


def test_the_most_severe_are_shown_and_the_rest_is_counted() -> None:
    found = commands(many())
    names = [name for name, _, _ in found]
    assert names == ["error"] * 10 + ["warning"] * 10 + ["notice"]
    assert found[-1][2].startswith("1990 more errors and 1990 more warnings not shown here")


def test_severity_decides_which_are_shown() -> None:
    report = SCENARIOS["violations"]()
    critical = replace(PRIVILEGED, severity="critical")
    low = replace(IMAGES, severity="low")
    template = report.results[-2]
    results = [
        changed(template, assignment=key, owner=None, resource=pod("shop", f"p{at:02}"), finding=Finding(message="m"))
        for at, key in enumerate([*[low] * 20, critical])
    ]
    found = commands(replace(report, results=results))
    assert found[0][1]["title"] == "no-privileged"
    assert found[-1][2].startswith("11 more errors not shown here")


class Asked:
    """A source that counts how often its line is asked for."""

    file = "a.yaml"
    columns = None
    times = 0

    @property
    def line(self) -> int:
        Asked.times += 1
        return 1

    def at(self, path: str | None) -> Asked:
        return self


def test_lines_are_looked_up_only_for_what_is_shown() -> None:
    report = SCENARIOS["manifests"]()
    results = [replace(report.results[1], resource=pod("shop", f"p{at}"), source=Asked()) for at in range(50)]
    commands(replace(report, results=results))
    assert 0 < Asked.times <= 10


def test_a_clean_report_says_so_in_a_plain_line() -> None:
    assert render(SCENARIOS["clean"](), "github") == "Everything that was judged complies.\n"


def test_the_remedy_is_not_offered_for_what_could_not_be_judged() -> None:
    assert "Set resources.limits" in render(SCENARIOS["violations"](), "github")
    assert "Set resources.limits" not in render(SCENARIOS["gaps"](), "github")
