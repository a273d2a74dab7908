"""``aksp diff``: two remembered scans, or two reports."""

from __future__ import annotations

import json
import sqlite3
from datetime import UTC, datetime, timedelta
from typing import Any

import html5lib
import pytest
import yaml

from aksp.cli.differing import moment
from aksp.errors import InvalidInput
from tests.cli.conftest import Aksp, Run, pod

NOW = datetime(2026, 11, 29, 12, tzinfo=UTC)


@pytest.fixture
def assigned(aksp: Aksp) -> Aksp:
    aksp.done("assign", "no-privileged")
    aksp.done("assign", "allowed-images", "--registry", "contoso.azurecr.io")
    return aksp


def scan(aksp: Aksp, *pods: dict[str, Any], out: str = "report.json", more: tuple[str, ...] = ()) -> None:
    aksp.put("pods.json", {"apiVersion": "v1", "kind": "List", "items": list(pods)})
    assert aksp("compliance", "-f", "pods.json", "-o", f"json={out}", *more).code in (0, 1, 4)


def changes(run: Run) -> list[tuple[str, str, str]]:
    return [(one["change"], one["name"], one["assignment"]) for one in run.json["changes"]]


def remembered_at(aksp: Aksp, *moments: datetime) -> None:
    """Make the scans of these moments, oldest first."""
    with sqlite3.connect(aksp.workspace / "data" / "history.sqlite3") as database:
        for at, moment in enumerate(moments):
            database.execute(
                "UPDATE scans SET evaluated_at = ? WHERE id = (SELECT id FROM scans ORDER BY id LIMIT 1 OFFSET ?)",
                (moment.isoformat(), at),
            )
    database.close()


def test_it_says_what_is_new_resolved_and_changed(assigned: Aksp) -> None:
    scan(assigned, pod("a", privileged=True), pod("b", privileged=True), pod("c"))
    assigned.done(
        "exempt", "pod/b", "-n", "default", "--assignment", "no-privileged", "--category", "Waiver", "--until", "30d"
    )
    scan(assigned, pod("a"), pod("b", privileged=True), pod("c", image="docker.io/x"))
    run = assigned.done("diff", "-o", "json")
    assert changes(run) == [
        ("resolved", "a", "no-privileged"),
        ("changed", "b", "no-privileged"),
        ("new", "c", "allowed-images"),
    ]
    assert run.json["counts"] == {"new": 1, "resolved": 1, "changed": 1, "notJudged": 0}
    assert run.json["before"]["target"] == run.json["after"]["target"] == "manifests pods.json"
    assert yaml.safe_load(assigned.done("diff", "-o", "yaml").out) == run.json
    for form in ("table", "markdown"):
        out = assigned.done("diff", "-o", form).out
        assert "resolved" in out and "now exempt" in out and "1 new violation, 1 resolved, 1 other change." in out


def test_the_exit_code_is_0_unless_new_violations_are_to_fail(assigned: Aksp) -> None:
    scan(assigned, pod("a"))
    scan(assigned, pod("a", privileged=True))
    assert assigned("diff").code == 0
    assert assigned("diff", "--fail-on-new").code == 1
    scan(assigned, pod("a"))
    assert assigned("diff", "--fail-on-new").code == 0


def test_two_reports_are_compared_as_the_scans_were(assigned: Aksp) -> None:
    scan(assigned, pod("a", privileged=True), pod("b"), out="one.json")
    scan(assigned, pod("a"), pod("b", image="docker.io/x"), out="two.json")
    by_history, by_files = (
        assigned.done("diff", "-o", "json").json,
        assigned.done("diff", "one.json", "two.json", "-o", "json").json,
    )
    assert by_history["changes"] == by_files["changes"] != []
    unchanged = assigned.done("diff", "one.json", "one.json").out
    # It is said once.
    assert "No finding has changed since" in unchanged and "o change" not in unchanged
    # The other way round what was new is resolved, and that is told.
    back = assigned("diff", "two.json", "one.json", "-o", "json")
    assert {one["change"] for one in back.json["changes"]} == {"new", "resolved"}


def test_a_day_back_is_the_last_scan_until_then(assigned: Aksp) -> None:
    for at in range(4):
        scan(assigned, pod("good"), *(pod(f"p{number}", privileged=True) for number in range(at)))
    now = datetime.now(UTC)
    remembered_at(assigned, now - timedelta(days=9), now - timedelta(days=2), now - timedelta(hours=1), now)
    assert [one[1] for one in changes(assigned.done("diff", "-o", "json"))] == ["p2"]
    assert [one[1] for one in changes(assigned.done("diff", "--since", "yesterday", "-o", "json"))] == ["p1", "p2"]
    assert [one[1] for one in changes(assigned.done("diff", "--since", "7d", "-o", "json"))] == ["p0", "p1", "p2"]
    run = assigned("diff", "--since", "2020-01-01")
    assert run.code == 2 and "no scan of manifests pods.json at or before 2020-01-01T00:00:00Z is remembered" in run.err


def test_what_is_no_longer_assigned_is_not_resolved(assigned: Aksp) -> None:
    scan(assigned, pod("a", privileged=True), out="one.json")
    assigned.done("assignments", "delete", "no-privileged")
    scan(assigned, pod("a", privileged=True), out="two.json")
    for command in (["diff"], ["diff", "one.json", "two.json"]):
        assert changes(assigned.done(*command, "-o", "json")) == [("notJudged", "a", "no-privileged")]
        out = assigned.done(*command).out
        assert "not judged any more, was not compliant" in out and "resolved" not in out


def test_of_a_whole_and_its_parts_the_whole_is_compared(assigned: Aksp) -> None:
    for privileged in (False, True):
        scan(assigned, pod("a", privileged=privileged))
        scan(assigned, pod("a", privileged=privileged), more=("--severity", "high"))
    assert changes(assigned.done("diff", "-o", "json")) == [("new", "a", "no-privileged")]


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (["diff"], "no scan is remembered in "),
        (["diff", "a.json"], "two reports are compared, the earlier one first"),
        (["diff", "a.json", "b.json"], "a.json: cannot be read as a report: No such file"),
        (
            ["diff", "a.json", "b.json", "--since", "7d"],
            "--since, --cluster, --all-clusters and -f are about remembered scans",
        ),
        (["diff", "--cluster", "prod"], "no scan of cluster prod is remembered"),
    ],
)
def test_what_is_not_there_is_an_error(aksp: Aksp, command: list[str], said: str) -> None:
    run = aksp(*command)
    assert (run.code, run.out) == (2, "") and said in run.err


def test_a_first_scan_and_several_targets_are_errors(assigned: Aksp) -> None:
    scan(assigned, pod("a"))
    run = assigned("diff")
    assert run.code == 2 and "no scan of manifests pods.json before the last is remembered" in run.err
    assert assigned("compliance", "-f", assigned.put("other.json", pod("x"))).code == 0
    run = assigned("diff")
    assert run.code == 2 and "several targets are remembered: manifests other.json, manifests pods.json" in run.err
    assert assigned("diff", "-f", "other.json").code == 2


@pytest.mark.parametrize(
    ("text", "then"),
    [
        ("yesterday", datetime(2026, 11, 28, 12, tzinfo=UTC)),
        ("90m", datetime(2026, 11, 29, 10, 30, tzinfo=UTC)),
        ("2026-11-01", datetime(2026, 11, 1, tzinfo=UTC)),
        ("2026-11-01T10:00:00Z", datetime(2026, 11, 1, 10, tzinfo=UTC)),
    ],
)
def test_moments_are_given_as_people_do(text: str, then: datetime) -> None:
    assert moment(text, NOW) == then


def test_what_is_no_moment_is_an_error() -> None:
    with pytest.raises(InvalidInput, match="this is no moment"):
        moment("last week", NOW)


def test_gaps_of_a_report_are_told(assigned: Aksp) -> None:
    scan(assigned, pod("a"), out="one.json")
    assigned.put("broken.yaml", "a: [")
    assigned("compliance", "-f", "pods.json", "-f", "broken.yaml", "-o", "json=two.json")
    run = assigned.done("diff", "one.json", "two.json")
    assert "two.json has 1 gap: what it could not judge is not called resolved" in run.err


def test_what_a_member_of_an_initiative_found_is_resolved_where_it_has_judged_since(aksp: Aksp) -> None:
    aksp.done("assign", "pod-security-baseline")
    scan(aksp, pod("a", privileged=True), out="one.json")
    scan(aksp, pod("a"), out="two.json")
    for command in (["diff"], ["diff", "one.json", "two.json"]):
        found = changes(aksp.done(*command, "-o", "json"))
        assert found and {kind for kind, *_ in found} == {"resolved"}
        assert all(name.startswith("pod-security-baseline/") for _, _, name in found)
    # The history tells each member below its initiative.
    (one,) = aksp.done("history", "-o", "json").json
    (initiative, *members) = one["scans"][0]["assignments"]
    assert initiative["name"] == "pod-security-baseline" and len(members) > 5
    lines = aksp.done("history").out.partition("ASSIGNMENT")[2].splitlines()[1 : 2 + len(members)]
    assert [line.split()[0] for line in lines] == [
        "(all)", "pod-security-baseline", *(each["name"] for each in members[:-1])
    ]  # fmt: skip
    (privileged,) = [each for each in members if each["name"].endswith("/no-privileged")]
    assert (privileged["state"], privileged["compliancePercent"]) == ("NonCompliant", 0.0)
    assert any(line.startswith("pod-security-baseline/no-privileged") and "Compliant" in line for line in lines)


BROKEN = "apiVersion: v1\nkind: Pod\nmetadata: {name: b}\nspec: [}\n"


@pytest.fixture
def in_files(assigned: Aksp) -> Aksp:
    """Two Pods in two files that do not comply."""
    for name in ("a", "b"):
        assigned.put(f"deploy/{name}.json", pod(name, privileged=True))
    assert assigned("compliance", "-f", "deploy", "-o", "json=one.json").code == 1
    return assigned


def both_ways(aksp: Aksp, *more: str) -> list[tuple[str, str, str]]:
    """What became of the two Pods: by reports, by the history, and as the scan itself tells it."""
    run = aksp("compliance", "-f", "deploy", "-o", "json=two.json", "--diff", *more)
    assert run.code in (0, 1, 4)
    of_files = changes(aksp.done("diff", "one.json", "two.json", "-o", "json"))
    if not more:
        history = aksp.done("diff", "-o", "json")
        assert changes(history) == of_files
        found = history.json["counts"]
        assert (f"{found['resolved']} resolved" in run.err) == bool(found["resolved"])
    return of_files


def test_what_cannot_be_read_any_more_is_not_resolved(in_files: Aksp) -> None:
    in_files.put("deploy/b.json", BROKEN)
    assert both_ways(in_files) == [("notJudged", "b", "no-privileged")]


def test_what_is_in_error_is_not_resolved(in_files: Aksp) -> None:
    wrong = pod("b")
    wrong["spec"]["containers"] = "web"
    in_files.put("deploy/b.json", wrong)
    assert ("notJudged", "b", "no-privileged") in both_ways(in_files)


def test_what_a_part_leaves_out_is_not_resolved(in_files: Aksp) -> None:
    found = both_ways(in_files, "-n", "elsewhere")
    assert {one[0] for one in found if one[2] == "no-privileged"} == {"notJudged", "new"}


def test_a_gap_that_was_there_before_hides_nothing_new(in_files: Aksp) -> None:
    in_files.put("deploy/c.yaml", BROKEN)
    assert in_files("compliance", "-f", "deploy", "-o", "json=one.json").code == 1
    in_files.put("deploy/b.json", pod("b"))
    assert both_ways(in_files) == [("resolved", "b", "no-privileged")]


def test_a_baseline_says_that_gaps_may_hide_what_is_no_longer_found(in_files: Aksp) -> None:
    in_files("compliance", "-f", "deploy", "--write-baseline")
    in_files.put("deploy/b.json", BROKEN)
    err = in_files("compliance", "-f", "deploy", "--fail-on-new").err
    assert "0 new violations, 1 known, 1 no longer found, which gaps may hide" in err


def test_what_a_report_of_new_violations_does_not_list_is_not_resolved(in_files: Aksp) -> None:
    in_files("compliance", "-f", "deploy", "--write-baseline")
    in_files.put("deploy/c.json", pod("c", privileged=True))
    in_files("compliance", "-f", "deploy", "--fail-on-new", "--show", "new", "-o", "json=two.json")
    run = in_files.done("diff", "one.json", "two.json", "-o", "json")
    assert [one[0] for one in changes(run)] == ["notJudged", "notJudged", "new"]
    assert "two.json does not list all that does not comply" in run.err


def test_a_violation_with_another_value_is_new(assigned: Aksp) -> None:
    scan(assigned, pod("a", image="docker.io/x"), pod("b", image="docker.io/x"), out="one.json")
    assigned("compliance", "-f", "pods.json", "--write-baseline")
    scan(assigned, pod("a", image="docker.io/y"), pod("b", image="docker.io/x"), out="two.json")
    run = assigned("diff", "--fail-on-new", "-o", "json")
    (one,) = run.json["changes"]
    assert (one["change"], one["name"], one["before"], one["after"]) == ("new", "a", "NonCompliant", "NonCompliant")
    assert run.code == 1 and run.json["counts"]["new"] == 1
    assert assigned.done("diff", "one.json", "two.json", "-o", "json").json["changes"] == run.json["changes"]
    assert "new value" in assigned.done("diff").out
    against = assigned("compliance", "-f", "pods.json", "--fail-on-new", "-o", "sarif")
    states = [one["baselineState"] for one in against.json["runs"][0]["results"]]
    assert against.code == 1 and sorted(states) == ["new", "unchanged"]
    assert "1 new violation, 1 known, 0 no longer found" in against.err
    # A baseline from before values were kept knows any.
    baseline = json.loads((assigned.workspace / "baseline.json").read_text())
    for entry in baseline["findings"]:
        del entry["observed"]
    assigned.put("old.json", baseline)
    assert assigned("compliance", "-f", "pods.json", "--baseline", "old.json", "--fail-on-new").code == 0


def test_what_an_assignment_selects_no_more_is_not_resolved(assigned: Aksp) -> None:
    scan(
        assigned,
        pod("a", privileged=True),
        pod("b", privileged=True) | {"metadata": {"name": "b", "namespace": "shop"}},
    )
    assigned.done("assign", "no-privileged", "--exclude-namespace", "shop", "--replace")
    scan(
        assigned,
        pod("a", privileged=True),
        pod("b", privileged=True) | {"metadata": {"name": "b", "namespace": "shop"}},
    )
    run = assigned.done("diff", "-o", "json")
    assert changes(run) == [("notJudged", "b", "no-privileged")]
    assert "not judged any more, was not compliant" in " ".join(assigned.done("diff").out.split())
    # The same selection once more: what goes now is resolved.
    scan(assigned, pod("a"), pod("b", privileged=True) | {"metadata": {"name": "b", "namespace": "shop"}})
    assert changes(assigned.done("diff", "-o", "json")) == [("resolved", "a", "no-privileged")]


def test_a_page_of_what_changed_has_all_changes_and_no_markup_of_names(assigned: Aksp) -> None:
    scan(assigned, pod("a"))
    scan(assigned, pod("<b>a</b>", privileged=True))
    page = assigned.done("diff", "-o", "html").out
    assert "&lt;b&gt;a&lt;/b&gt;" in page and "<b>a</b>" not in page
    assert "securityContext.privileged is true" in page and "1 new violation" in page
    html5lib.HTMLParser(strict=True).parse(page)
    scan(assigned, pod("<b>a</b>", privileged=True))
    assert "No finding has changed since" in assigned.done("diff", "-o", "html").out


def test_standard_input_cannot_be_both_reports(aksp: Aksp) -> None:
    run = aksp("diff", "-", "-")

    assert (run.code, run.out) == (2, "")
    assert "standard input can be read once" in run.err
