"""``aksp exempt`` and ``aksp exemptions``, in a workspace and in a cluster."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import yaml

from tests.cli.conftest import Aksp, Run, pod
from tests.store.objects import Objects

IMAGES = ("--assignment", "allowed-images", "--category", "Waiver")
FOREIGN = "docker.io/proxy:1"


def workload(name: str, *images: str, namespace: str = "shop") -> dict[str, Any]:
    containers = [{"name": f"c{at}", "image": image} for at, image in enumerate(images)]
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "selector": {"matchLabels": {"app": name}},
            "template": {"metadata": {"labels": {"app": name}}, "spec": {"containers": containers}},
        },
    }


@pytest.fixture
def assigned(aksp: Aksp) -> Aksp:
    aksp.done("assign", "allowed-images", "--registry", "contoso.azurecr.io")
    aksp.put("web.json", workload("web", "contoso.azurecr.io/web:1", FOREIGN))
    aksp.put("db.json", workload("db", FOREIGN))
    aksp.put("other.json", workload("web", FOREIGN, namespace="other"))
    return aksp


def states(run: Run) -> dict[tuple[str, str, str], str]:
    return {
        (one["resource"]["namespace"], one["resource"]["name"], (one["container"] or {}).get("name", "")): one["state"]
        for one in run.json["results"]
    }


def in_days(days: float) -> str:
    return (datetime.now(UTC) + timedelta(days=days)).strftime("%Y-%m-%dT%H:%M:%SZ")


# What is exempt


@pytest.mark.parametrize(
    ("what", "exempt"),
    [
        (["deploy/web", "-n", "shop"], {("shop", "web", "c1")}),
        (["deploy/web", "-A"], {("shop", "web", "c1"), ("other", "web", "c0")}),
        (["deployments.apps/web", "Deployment/db", "-n", "shop"], {("shop", "web", "c1"), ("shop", "db", "c0")}),
        (["deploy/*", "-n", "sh*", "-c", "c0"], {("shop", "db", "c0")}),
        (["-n", "shop", "-n", "other"], {("shop", "web", "c1"), ("shop", "db", "c0"), ("other", "web", "c0")}),
        (["-c", "c1", "-c", "nobody"], {("shop", "web", "c1")}),
        (["--image", "docker.io/*"], {("shop", "web", "c1"), ("shop", "db", "c0"), ("other", "web", "c0")}),
        (["--image", "quay.io/*"], set()),
        (["--scope", "/"], {("shop", "web", "c1"), ("shop", "db", "c0"), ("other", "web", "c0")}),
        (["--scope", "/clusters/prod/namespaces/shop"], set()),
    ],
)
def test_what_the_options_name_is_exempt_and_nothing_else(
    assigned: Aksp, what: list[str], exempt: set[tuple[str, str, str]]
) -> None:
    before = states(assigned.judge("."))
    assert set(before.values()) == {"NonCompliant"} and len(before) == 3
    assigned.done("exempt", *what, *IMAGES, "--until", "2999-01-31")
    after = assigned.judge(".")
    assert {place for place, state in states(after).items() if state == "Exempt"} == exempt
    assert after.code == (0 if len(exempt) == 3 else 1)


def test_the_document_has_the_reason_the_ticket_and_the_end(assigned: Aksp) -> None:
    run = assigned.done(
        "exempt", "deploy/payments", "-n", "shop", "-c", "proxy", "--assignment", "allowed-images", "--until", "2999-01-31",
        "--category", "mitigated", "--reason", "the mirror is not ready", "--ticket", "OPS-1", "--requested-by", "ann",
    )  # fmt: skip
    name = "allowed-images-shop-payments-proxy"
    path = assigned.workspace / "exemptions" / f"{name}.yaml"
    assert (
        run.out == (f"policyexemption.policy.aksp.io/{name} created ({path}): Deployment/payments -n shop -c proxy\n")
        and run.err == ""
    )
    assert yaml.safe_load(path.read_text())["spec"] == {
        "policyAssignmentId": "allowed-images",
        "exemptionCategory": "Mitigated",
        "expiresOn": "2999-01-31T00:00:00Z",
        "description": "the mirror is not ready",
        "scope": "/",
        "resources": [{"namespace": "shop", "kind": "Deployment", "name": "payments", "container": "proxy"}],
        "metadata": {"requestedBy": "ann", "ticketRef": "OPS-1"},
    }
    assert assigned.done("exemptions", "show", name).out == path.read_text()


def test_a_dry_run_prints_what_would_be_written_and_writes_nothing(assigned: Aksp) -> None:
    command = ("exempt", "deploy/web", "-n", "shop", *IMAGES, "--until", "2999-01-31")
    shown = assigned.done(*command, "--dry-run").out
    assert not (assigned.workspace / "exemptions").exists()
    assigned.done(*command, "-o", "name")
    assert next((assigned.workspace / "exemptions").iterdir()).read_text() == shown


def test_again_is_unchanged_and_another_end_needs_replace(assigned: Aksp) -> None:
    command = ("exempt", "deploy/web", "-n", "shop", *IMAGES, "--until")
    assigned.done(*command, "2999-01-31")
    assert " unchanged (" in assigned.done(*command, "2999-01-31").out
    refused = assigned(*command, "2999-02-28")
    assert refused.code == 2 and "exists with other content" in refused.err and "--replace" in refused.err
    assert " configured (" in assigned.done(*command, "2999-02-28", "--replace").out


def test_without_an_end_it_lasts_and_that_is_told(assigned: Aksp) -> None:
    run = assigned.done("exempt", "-c", "c1", *IMAGES)
    assert "warning: without --until the exemption has no end" in run.err
    assert " never " in assigned.done("exemptions").out


# What cannot be meant


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["-c", "x", "--category", "Waiver"], "--assignment is missing\n  hint: known: allowed-images"),
        (["-c", "x", "--assignment", "allowed-image", "--category", "Waiver"], "did you mean 'allowed-images'?"),
        (["-c", "x", "--assignment", "allowed-images"], "--category is missing\n  hint: Waiver or Mitigated"),
        ([*IMAGES], "this would exempt everything from allowed-images"),
        *(
            ([*IMAGES, "--resource-selectors", text], "this would exempt everything from allowed-images")
            for text in ("[]", "null", "[{}]", '[{"name": "all", "selectors": []}]')
        ),
        (["deploy/web", *IMAGES], "deploy/web is in a namespace, and none is named\n  hint: give -n NAMESPACE, or -A"),
        (["web", "-n", "shop", *IMAGES], "'web' is no KIND/NAME"),
        (["deplyo/web", "-n", "shop", *IMAGES], "did you mean 'deploy'?"),
        (["svc/web", "-n", "shop", *IMAGES], "allowed-images judges Pod, and svc/web is none and makes none"),
        (["ns/shop", *IMAGES], "hint: -n shop exempts what is in the namespace"),
        (["-n", "a,b", *IMAGES], "no namespace has a comma in its name"),
        (["-n", "Shop", *IMAGES], "names of namespaces are lower case"),
        (["-c", "x", "--scope", "prod", *IMAGES], "scope 'prod' does not start with /"),
        (["-c", "x", "--scope", "/", "--cluster", "x", *IMAGES], "two ways to say the same"),
        (["-c", "x", "--name", "Big", *IMAGES], "--name 'Big': expected lower-case letters"),
        (["-c", "x", "--until", "2020-01-31", *IMAGES], "--until 2020-01-31 is past"),
        (["-c", "x", "--until", "tomorrow", *IMAGES], "--until tomorrow: this is no date, time or duration"),
        (["-c", "x", "--until", "0001-01-01T00:00:00+14:00", *IMAGES], "this is no date, time or duration"),
        (["-c", "x", "--select", "name=*", *IMAGES], "--select chooses violations of a report"),
        (["-c", "x", "--context", "prod", *IMAGES], "--context names a cluster"),
    ],
)
def test_what_would_cover_nothing_or_too_much_is_refused(assigned: Aksp, options: list[str], said: str) -> None:
    run = assigned("exempt", *options)
    assert (run.code, run.out) == (2, "") and said in run.err
    assert not (assigned.workspace / "exemptions").exists()


def test_a_scope_that_has_nothing_in_common_with_the_assignment_s_is_refused(aksp: Aksp) -> None:
    aksp.done("assign", "no-privileged", "--scope", "/clusters/prod")
    command = ("exempt", "-c", "x", "--assignment", "no-privileged", "--category", "Waiver", "--scope")
    refused = aksp(*command, "/clusters/dev")
    assert refused.code == 2 and "have nothing in common: it would cover nothing" in refused.err
    assert aksp(*command, "/clusters/prod/namespaces/shop").code == 0


def test_containers_are_refused_where_no_pod_is_judged(aksp: Aksp) -> None:
    aksp.done("assign", "https-ingress")
    run = aksp("exempt", "-c", "x", "--assignment", "https-ingress", "--category", "Waiver")
    assert run.code == 2 and "https-ingress judges Ingress: it would cover nothing" in run.err
    assert aksp("exempt", "ing/front", "-n", "shop", "--assignment", "https-ingress", "--category", "Waiver").code == 0


def test_a_kind_of_others_is_written_as_in_manifests(assigned: Aksp) -> None:
    shown = assigned.done("exempt", "Rollout/web", "-n", "shop", *IMAGES, "--dry-run", "--until", "30d").out
    assert yaml.safe_load(shown)["spec"]["resources"] == [{"namespace": "shop", "kind": "Rollout", "name": "web"}]


# From a report


def test_the_violations_of_a_report_that_are_selected_become_exempt(assigned: Aksp) -> None:
    assigned.done("assign", "no-privileged", "--name", "privileged")
    assigned.put("pod.json", pod("bad", privileged=True, image=FOREIGN))
    assigned("compliance", ".", "-o", "json=report.json")
    run = assigned.done(
        "exempt", "--from-report", "report.json", "--select", "namespace=shop,name=w*", "--select", "namespace=default",
        "--select", "name=bad", "--category", "Waiver", "--until", "30d",
    )  # fmt: skip
    assert [line.split()[0] for line in run.out.splitlines()] == [
        "policyexemption.policy.aksp.io/known-allowed-images",
        "policyexemption.policy.aksp.io/known-privileged",
    ]
    left = {place for place, state in states(assigned.judge(".")).items() if state == "NonCompliant"}
    assert left == {("shop", "db", "c0"), ("other", "web", "c0")}


def test_an_assignment_alone_selects_too(assigned: Aksp) -> None:
    report = assigned.judge(".").out
    run = assigned("exempt", "--from-report", "-", *IMAGES, "--name", "all-of-it", "--until", "30d", stdin=report)
    assert run.out.startswith("policyexemption.policy.aksp.io/all-of-it created")
    assert assigned.judge(".").code == 0


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ([], "would exempt every violation of the report"),
        (["--select", "name=nobody"], "report.json: no violation of the report is selected"),
        (["--select", "pod=web"], "a violation has no 'pod' to select by"),
        (["--select", "namespace"], "--select namespace: expected FIELD=PATTERN"),
        (["-n", "shop"], "--from-report takes what is exempt from the report"),
    ],
)
def test_what_selects_nothing_or_all_without_saying_so_is_refused(
    assigned: Aksp, options: list[str], said: str
) -> None:
    assigned("compliance", ".", "-o", "json=report.json")
    run = assigned("exempt", "--from-report", "report.json", *options, "--category", "Waiver")
    assert run.code == 2 and said in run.err


@pytest.mark.parametrize("content", ["", "[]", "{}", "not json", '{"apiVersion": "policy.aksp.io/v1"}'])
def test_what_is_no_report_is_named(assigned: Aksp, content: str) -> None:
    assigned.put("report.json", content)
    run = assigned("exempt", "--from-report", "report.json", "--select", "name=*", "--category", "Waiver")
    assert run.code == 2 and "report.json: " in run.err and "hint: " in run.err


def test_a_name_that_looks_like_a_pattern_exempts_itself_alone(assigned: Aksp) -> None:
    assigned.put("star.json", workload("*", FOREIGN))
    assigned("compliance", ".", "-o", "json=report.json")
    assigned.done("exempt", "--from-report", "report.json", "--select", "name=[*]", *IMAGES, "--until", "30d")
    found = states(assigned.judge("."))
    assert {place for place, state in found.items() if state == "Exempt"} == {("shop", "*", "c0")}


# aksp exemptions


@pytest.fixture
def three(assigned: Aksp) -> Aksp:
    for name, until in (("soon", in_days(9.5)), ("later", in_days(100)), ("always", None)):
        ends = ["--until", until] if until else []
        assigned.done("exempt", "-c", name, "--name", name, *IMAGES, *ends)
    return assigned


def names(run: Run) -> list[str]:
    return [line.removeprefix("policyexemption.policy.aksp.io/") for line in run.out.splitlines()]


def test_those_that_end_within_a_time_are_listed_alone(three: Aksp) -> None:
    assert names(three.done("exemptions", "-o", "name")) == ["always", "later", "soon"]
    assert names(three.done("exemptions", "--expiring", "30d", "-o", "name")) == ["soon"]
    assert names(three.done("exemptions", "list", "--expiring", "365d", "-o", "name")) == ["later", "soon"]
    assert three.done("exemptions", "--expiring", "1d").err == "No exemption ends within 1d.\n"
    assert three("exemptions", "--expiring", "soon").code == 2


def test_the_list_says_what_is_in_force_and_what_is_not(three: Aksp) -> None:
    document = yaml.safe_load(three.done("exemptions", "show", "soon").out)
    document["metadata"]["name"], document["spec"]["expiresOn"] = "old", "2020-01-01"
    three.put("ws/exemptions/old.yaml", yaml.safe_dump(document))
    document["metadata"]["name"], document["spec"]["policyAssignmentId"] = "lost", "nothing"
    three.put("ws/exemptions/lost.yaml", yaml.safe_dump(document))
    lines = {line.split()[0]: line for line in three.done("exemptions", "-o", "wide").out.splitlines()}
    assert " in force " in lines["soon"] and " expired " in lines["old"] and " no such assignment " in lines["lost"]


def test_names_as_they_are_printed_can_be_deleted(three: Aksp) -> None:
    first, second = three.done("exemptions", "-o", "name").out.splitlines()[:2]
    refused = three("exemptions", "delete", first, "gone")
    assert refused.code == 2 and "there is no exemption 'gone', so none was deleted" in refused.err
    assert three.done("exemptions", "delete", first, second).out.count(" deleted (") == 2
    assert names(three.done("exemptions", "-o", "name")) == ["soon"]
    three.done("exemptions", "delete", "--all")
    assert three.done("exemptions").err == "Nothing is exempt. `aksp exempt` makes it so.\n"


# In a cluster


def test_an_exemption_becomes_a_custom_resource(aksp: Aksp, server: Objects) -> None:
    aksp.done("assign", "allowed-images", "--registry", "contoso.azurecr.io", "--store", "cluster")
    where = ("--store", "cluster", "--context", "prod")
    run = aksp.done("exempt", "-n", "shop", "-c", "proxy", *IMAGES, "--until", "2999-01-31", "--name", "x", *where)
    assert run.out == "policyexemption.policy.aksp.io/x created (cluster prod): -n shop -c proxy\n"
    assert server.document("policyexemptions/x")["spec"]["resources"] == [{"namespace": "shop", "container": "proxy"}]
    assert not (aksp.workspace / "exemptions").exists()
    assert " in force " in aksp.done("exemptions", *where).out
    assert "policyAssignmentId: allowed-images" in aksp.done("exemptions", "show", "x", *where).out
    refused = aksp("exempt", "-n", "other", *IMAGES, "--until", "2999-01-31", "--name", "x", *where)
    assert refused.code == 2 and "with other content" in refused.err and "--replace" in refused.err
    assert aksp.done("exemptions", "delete", "x", *where).out.endswith('"x" deleted (cluster prod)\n')
    refused = aksp("exempt", "-n", "shop", "--assignment", "other", "--category", "Waiver", *where)
    assert refused.code == 2 and "there is no assignment 'other'" in refused.err


# Notes of a scan


def test_a_scan_tells_what_ends_soon_and_what_waives_nothing(three: Aksp) -> None:
    three.done("exempt", "deploy/db", "-n", "shop", "--name", "needed", *IMAGES, "--until", "2999-01-31")
    told = three.judge(".").err
    assert "exemption soon of allowed-images ends in 9 days, on " in told and "exemption later of" not in told
    assert "exemptions always, later, soon waive nothing here: what they cover complies, or is not there" in told
    three.done("exemptions", "delete", "always", "later")
    assert "exemption soon waives nothing here: what it covers complies, or is not there" in three.judge(".").err


def test_of_a_part_nobody_can_say_that_an_exemption_waives_nothing(three: Aksp) -> None:
    assert "nothing here" not in three("compliance", ".", "-n", "other").err
    assert "nothing here" not in three("compliance", ".", "-l", "app=web").err
    three.put("broken.yaml", "kind: [")
    assert "nothing here" not in three.judge(".").err


def test_many_that_waive_nothing_are_one_note(assigned: Aksp) -> None:
    for number in range(12):
        assigned.done("exempt", "-c", f"x{number}", *IMAGES, "--until", "2999-01-31")
    (line,) = [line for line in assigned.judge(".").err.splitlines() if "nothing here" in line]
    assert " and 2 more waive nothing here" in line
