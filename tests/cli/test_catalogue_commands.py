"""aksp definitions and aksp assignments: listing, showing, deleting."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from aksp.catalog import folder
from aksp.catalog.folder import as_json, bundled
from tests.catalog.documents import write
from tests.cli.conftest import Aksp, chosen

BUNDLED = {definition.slug: definition for definition in bundled()}
SLUGS = list(BUNDLED)


def test_definitions_lists_all_with_kinds_and_titles(aksp: Aksp) -> None:
    lines = aksp.done("definitions").out.splitlines()

    assert lines[0].split() == ["NAME", "KINDS", "SEVERITY", "DISPLAY", "NAME"]
    assert [line.split()[0] for line in lines[1:]] == SLUGS
    assert "Service" in chosen(lines, "allowed-service-ports")
    assert aksp.done("definitions", "list").out.splitlines() == lines


def test_definitions_are_listed_in_every_format(aksp: Aksp) -> None:
    assert aksp.done("definitions", "-o", "name").out.splitlines() == SLUGS
    assert [d["name"] for d in aksp.done("definitions", "-o", "json").json] == [d.name for d in bundled()]
    assert yaml.safe_load(aksp.done("definitions", "-o", "yaml").out) == aksp.done("definitions", "-o", "json").json
    wide = aksp.done("definitions", "-o", "wide").out
    assert "5f86cb6e-c4da-441b-807c-44bd0cc14e66" in chosen(wide.splitlines(), "allowed-images")


@pytest.mark.parametrize(
    ("arguments", "slugs"),
    [
        (["--kind", "service", "--severity", "high"], ["allowed-external-ips", "internal-load-balancers"]),
        (["--kind", "Ingress", "--category", "kubernetes service"], ["https-ingress", "unique-ingress-hosts"]),
        (["--kind", "Widget"], ["allowed-kinds"]),
    ],
)
def test_definitions_are_filtered(arguments: list[str], slugs: list[str], aksp: Aksp) -> None:
    assert aksp.done("definitions", "list", *arguments, "-o", "name").out.split() == slugs
    assert aksp.done("definitions", *arguments, "-o", "name").out.split() == slugs


def test_a_list_with_nothing_in_it_says_so_beside_the_output(aksp: Aksp) -> None:
    run = aksp.done("definitions", "--search", "nowhere")

    assert (run.out, run.err) == ("", "No definition matches.\n")


@pytest.mark.parametrize("slug", SLUGS)
def test_show_tells_what_a_definition_demands_and_how_to_assign_it(slug: str, aksp: Aksp) -> None:
    definition = BUNDLED[slug]
    out = aksp.done("definitions", "show", slug).out
    flat = " ".join(out.split())

    assert max(map(len, out.splitlines())) <= 80
    for part in (definition.display_name, definition.name, definition.description, definition.remediation,
                 *(p.option for p in definition.parameters.values() if p.option), f"aksp assign {slug}", *definition.standards,
                 *(part for one in definition.azure for part in (one.id, one.name, *one.parameters, *one.differences))):  # fmt: skip
        assert " ".join(part.split()) in flat


def test_show_gives_the_document_and_the_rego(aksp: Aksp) -> None:
    origin = Path({d.slug: d for d in bundled()}["no-privileged"].origin)

    assert aksp.done("definitions", "show", "no-privileged", "-o", "json").json == as_json(origin)
    assert yaml.safe_load(aksp.done("definitions", "show", "ContainerNoPrivilege", "-o", "yaml").out)["name"]
    assert aksp.done("definitions", "show", "no-privileged", "-o", "name").out == "no-privileged\n"
    wide = aksp.done("definitions", "show", "no-privileged", "-o", "wide").out
    assert "package no_privileged" in wide and "package lib.containers" in wide


def test_show_of_an_unknown_definition_names_the_nearest(aksp: Aksp) -> None:
    run = aksp("definitions", "show", "no-priviledged")

    assert run.code == 2
    assert "did you mean 'no-privileged'?" in run.err


def test_a_definition_of_the_workspace_is_listed_with_the_others(aksp: Aksp) -> None:
    write(aksp.workspace / "definitions")

    assert aksp.done("definitions", "-o", "name").out.split() == sorted([*SLUGS, "ours"])
    assert "A rule of our own" in aksp.done("definitions", "show", "ours").out


#: OPA cannot plan that one rule reads another one of which a part of the name is computed.
WITHOUT_PLAN = """package ours

violation contains {"msg": "no"} if data.ours.q.r.b.c == 2

q.r.a := 1

q[x].b.c := y if {
	some x in ["r"]
	y := data.ours.q.r.a
}
"""


def test_show_tells_of_a_rule_that_has_no_plan_and_why(aksp: Aksp, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AKSP_ENGINE_EVALUATOR", raising=False)
    write(aksp.workspace / "definitions", policy_rego=WITHOUT_PLAN)

    out = aksp.done("definitions", "show", "ours").out
    assert max(map(len, out.splitlines())) <= 80
    assert "Evaluated by OPA's topdown, several times slower, since the rule has no plan:" in " ".join(out.split())
    assert "definitions/ours/policy.rego:9:reference" in "".join(out.split())
    assert "no plan" not in aksp.done("definitions", "show", "no-privileged").out


# Assignments


def test_nothing_assigned_is_said_beside_the_output(aksp: Aksp) -> None:
    run = aksp.done("assignments")

    assert run.out == ""
    assert f"Nothing is assigned in {aksp.workspace}" in run.err
    assert aksp.done("assignments", "-o", "json").json == []


def test_assignments_are_listed_shown_and_deleted(aksp: Aksp) -> None:
    aksp.done("assign", "no-privileged", "--effect", "Warn", "--display-name", "None, please")
    aksp.done("assign", "no-privileged", "--name", "strict", "--cluster", "prod", "--enforcement-mode", "DoNotEnforce")
    rows = [line.split() for line in aksp.done("assignments").out.splitlines()]

    assert rows == [
        ["NAME", "DEFINITION", "EFFECT", "SCOPE", "MODE", "SELECTS"],
        ["no-privileged", "no-privileged", "Warn", "/", "Default", "-"],
        ["strict", "no-privileged", "EnforceRegoPolicy", "/clusters/prod", "DoNotEnforce", "-"],
    ]
    assert "None, please" in aksp.done("assignments", "list", "-o", "wide").out
    assert [d["metadata"]["name"] for d in aksp.done("assignments", "-o", "json").json] == ["no-privileged", "strict"]
    shown = aksp.done("assignments", "show", "strict")
    assert yaml.safe_load(shown.out) == aksp.done("assignments", "show", "strict", "-o", "json").json
    assert "deleted" in aksp.done("assignments", "delete", "strict").out
    assert aksp.done("assignments", "-o", "name").out == "policyassignment.policy.aksp.io/no-privileged\n"


@pytest.mark.parametrize("command", ["show", "delete"])
def test_an_unknown_assignment_is_refused_with_the_nearest(command: str, aksp: Aksp) -> None:
    aksp.done("assign", "no-privileged")
    run = aksp("assignments", command, "no-priviliged")

    assert run.code == 2
    assert "there is no assignment 'no-priviliged'" in run.err
    assert "did you mean 'no-privileged'?" in run.err


def test_an_assignment_whose_definition_is_gone_is_still_listed_and_can_be_deleted(aksp: Aksp) -> None:
    aksp.done("assign", "no-privileged")
    path = aksp.workspace / "assignments" / "no-privileged.yaml"
    path.write_text(path.read_text().replace("Id: no-privileged", "Id: gone"), encoding="utf-8")

    assert "?" in chosen(aksp.done("assignments").out.splitlines(), "gone")
    aksp.done("assignments", "delete", "no-privileged")
    assert not path.exists()


@pytest.mark.parametrize(
    "arguments",
    [
        ["assignments", "--workspace", "elsewhere", "list"],
        ["assignments", "-o", "json", "list"],
        ["definitions", "--kind", "Pod", "show", "no-privileged"],
    ],
)
def test_an_option_that_would_be_ignored_is_refused(arguments: list[str], aksp: Aksp) -> None:
    run = aksp(*arguments)

    assert (run.code, run.out) == (2, "")
    assert "stands before" in run.err


# The command itself


def test_without_arguments_help_is_printed(aksp: Aksp) -> None:
    run = aksp()

    assert "definitions" in run.out + run.err
    assert "compliance" in run.out + run.err


def test_the_version_is_printed(aksp: Aksp) -> None:
    from aksp import __version__

    assert aksp.done("--version").out == f"aksp {__version__}\n"


@pytest.mark.parametrize("arguments", [["complianse"], ["compliance", "--nope"], ["definitions", "-o", "xml"]])
def test_wrong_usage_is_exit_2_and_named(arguments: list[str], aksp: Aksp) -> None:
    run = aksp(*arguments)

    assert (run.code, run.out) == (2, "")
    assert arguments[-1] in run.err


def test_help_of_assign_reads_the_catalogue_once_however_many_definitions_there_are(
    aksp: Aksp, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[Path] = []
    from_file = folder.as_json

    def counted(path: Path) -> Any:
        read.append(path)
        return from_file(path)

    monkeypatch.setattr(folder, "as_json", counted)
    folder.bundled_folder.cache_clear()
    aksp.done("assign", "--help")
    assert len(read) == len(set(read)) >= 26


def listed(aksp: Aksp, *options: str) -> list[str]:
    return aksp.done("definitions", *options, "-o", "name").out.split()


def test_definitions_are_found_by_severity_standard_and_words(aksp: Aksp) -> None:
    by_name = {one.slug: one for one in bundled()}
    assert listed(aksp, "--severity", "Critical") == [s for s in SLUGS if by_name[s].severity == "critical"] != []
    levels = {level: set(listed(aksp, "--standard", f"PSS {level}")) for level in ("baseline", "restricted")}
    # Each control of baseline is one of restricted, too; restricted has more.
    assert "no-privileged" in levels["baseline"] and "run-as-non-root" in levels["restricted"] - levels["baseline"]
    assert listed(aksp, "--standard", "pss restricted: seccomp") == ["seccomp-profiles"]
    assert listed(aksp, "--search", "SECCOMP profile") == ["seccomp-profiles"]
    assert listed(aksp, "--search", by_name["seccomp-profiles"].name) == ["seccomp-profiles"]
    assert listed(aksp, "--search", "allowedseccompprofile", "--severity", "medium") == ["seccomp-profiles"]
    assert listed(aksp, "--search", "seccomp nowhere") == []
    assert listed(aksp, "--standard", "CIS Kubernetes") == [
        s for s in SLUGS if any(text.startswith("CIS ") for text in by_name[s].standards)
    ]


@pytest.mark.parametrize(
    ("option", "value", "hint"),
    [
        ("--severity", "foo", "known: critical, high, low, medium"),
        ("--category", "other", "known: Kubernetes, Kubernetes service"),
        ("--standard", "PSS res", "known: AKS Deployment Safeguards, CIS Kubernetes, NSA/CISA, PSS baseline, PSS restricted"),
    ],
)  # fmt: skip
def test_a_value_that_nothing_has_is_refused_with_those_that_there_are(
    option: str, value: str, hint: str, aksp: Aksp
) -> None:
    run = aksp("definitions", option, value)

    assert (run.code, run.out) == (2, "")
    assert f"{option} {value!r}: no definition has it" in run.err and hint in run.err


def test_a_section_of_a_standard_is_no_beginning_of_a_number(aksp: Aksp) -> None:
    sections = {
        text.removeprefix("CIS Kubernetes ") for one in bundled() for text in one.standards if text.startswith("CIS ")
    }
    for section in sections:
        whole = listed(aksp, "--standard", f"CIS Kubernetes {section}")
        assert whole and set(whole) <= set(listed(aksp, "--standard", f"CIS Kubernetes {section.rpartition('.')[0]}"))
    assert aksp("definitions", "--standard", "CIS Kubernetes 5.").code == 2
    assert "5.2.1" not in sections or listed(aksp, "--standard", "CIS Kubernetes 5.2.1") != listed(
        aksp, "--standard", "CIS Kubernetes 5.2.10"
    )


def test_help_lists_commands_with_whole_sentences(aksp: Aksp) -> None:
    for group in ((), ("definitions",), ("assign",), ("addon",), ("export",)):
        listed = aksp.done(*group, "--help").out.partition("Commands:\n" if group else "Definitions:\n")[2]
        assert listed and "..." not in listed


def test_a_group_alone_shows_its_help(aksp: Aksp) -> None:
    for group in ("assign", "export", "import", "addon"):
        run = aksp(group)
        assert run.code == 2 and run.err == aksp.done(group, "--help").out
