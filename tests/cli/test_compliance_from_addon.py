"""`aksp compliance --from addon` shows what the add-on found, with its age, and needs nothing else."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from aksp.addon.checkins.reports import publish
from aksp.cli.last_report import ages
from aksp.kube import errors
from aksp.model.compliance import Report
from tests.addon.stored import REPORTS, Stored
from tests.cli import conftest
from tests.cli.conftest import Aksp
from tests.kube.apiserver import ApiServer, Reply, Request, kubeconfig, status
from tests.replacing import replace
from tests.report.render import render
from tests.report.scenarios import SCENARIOS

NOW = datetime(2026, 9, 2, 4, 15, 33, tzinfo=UTC)


class Cluster:
    """A server with the add-on's objects, and a kubeconfig that names it."""

    def __init__(self, aksp: Aksp) -> None:
        self.stored = Stored(REPORTS)
        self.server = ApiServer(self._answer)
        self.kubeconfig = kubeconfig(aksp.folder, self.server.url, name="prod")

    def checked_in(self, report: Report, age: timedelta = timedelta(seconds=61)) -> Report:
        report = replace(report, evaluated_at=(datetime.now(UTC) - age).replace(microsecond=0))
        assert publish(self.stored.connection, report, evaluation="1", namespace="kube-system") == []
        return report

    def _answer(self, request: Request) -> Reply:
        try:
            return Reply(body=self.stored.get(request.path, query=request.query).body)
        except errors.NotServed:
            return status(404, "not found")


@pytest.fixture
def cluster(aksp: Aksp) -> Iterator[Cluster]:
    made = Cluster(aksp)
    with made.server:
        yield made


def last(aksp: Aksp, cluster: Cluster, *more: str) -> tuple[int, str, str]:
    run = aksp("compliance", "--from", "addon", "--kubeconfig", cluster.kubeconfig, *more)
    return run.code, run.out, run.err


@pytest.mark.parametrize("format", ["json", "csv", "policyreport", "openreports", "yaml"])
def test_the_report_of_the_add_on_is_shown_in_any_format(aksp: Aksp, cluster: Cluster, format: str) -> None:
    report = cluster.checked_in(SCENARIOS["violations"]())
    code, out, _ = last(aksp, cluster, "--cluster", "-o", format)
    assert code == 1
    assert out == render(report, format)


def test_the_table_has_the_time_in_its_heading_and_the_age_goes_to_standard_error(aksp: Aksp, cluster: Cluster) -> None:
    report = cluster.checked_in(SCENARIOS["violations"]())
    code, out, err = last(aksp, cluster, "--cluster", "prod")
    assert code == 1
    assert f"evaluated {report.evaluated_at:%Y-%m-%dT%H:%M:%SZ}" in out
    assert "302 of 320 resources do not comply." in out
    assert re.search(r"(?m)^aksp: note: as of (\S+ )?\d\d:\d\d:\d\dZ, 1 minute ago, by the add-on$", err)


def test_outputs_go_to_files_as_of_a_scan(aksp: Aksp, cluster: Cluster) -> None:
    report = cluster.checked_in(SCENARIOS["violations"]())
    code, out, _ = last(aksp, cluster, "-o", "table", "-o", "json=out.json", "-o", "policyreport=out.yaml")
    assert code == 1 and out
    assert (aksp.folder / "out.json").read_text(encoding="utf-8") == render(report, "json")
    assert (aksp.folder / "out.yaml").read_text(encoding="utf-8") == render(report, "policyreport")


@pytest.mark.parametrize(
    ("scenario", "options", "code"),
    [
        ("violations", (), 1),
        ("violations", ("--fail-on", "enforced"), 1),
        ("violations", ("--fail-on", "none"), 0),
        ("gaps", (), 4),
        ("clean", (), 0),
        ("empty", (), 4),
        ("unmatched", (), 0),
        ("unmatched", ("--require-match",), 4),
    ],
)
def test_exit_codes_are_those_of_a_scan(
    aksp: Aksp, cluster: Cluster, scenario: str, options: tuple[str, ...], code: int
) -> None:
    cluster.checked_in(SCENARIOS[scenario]())
    assert last(aksp, cluster, *options)[0] == code


def test_neither_a_workspace_nor_the_engine_is_needed(
    aksp: Aksp, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster.checked_in(SCENARIOS["clean"]())
    aksp.put("ws/assignments/broken.yaml", "kind: [")
    monkeypatch.setenv("AKSP_ENGINE", "/nowhere")
    monkeypatch.setattr("aksp.cli.evaluation.Engine", None)
    assert last(aksp, cluster, "-o", "json")[0] == 0


def test_an_old_report_is_called_stale_and_quiet_keeps_quiet(aksp: Aksp, cluster: Cluster) -> None:
    cluster.checked_in(SCENARIOS["clean"](), timedelta(minutes=16))
    assert "stale" in last(aksp, cluster)[2]
    assert last(aksp, cluster, "--quiet")[2] == ""


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (NOW - timedelta(minutes=3), "as of 04:12:33Z, 3 minutes ago, by the add-on"),
        (NOW - timedelta(seconds=1), "as of 04:15:32Z, 1 second ago, by the add-on"),
        (NOW + timedelta(seconds=9), "as of 04:15:42Z, 0 seconds ago, by the add-on"),
        (NOW - timedelta(hours=5), "as of 2026-09-01 23:15:33Z, 5 hours ago, by the add-on"),
        (NOW - timedelta(days=2), "as of 2026-08-31 04:15:33Z, 2 days ago, by the add-on"),
    ],
)
def test_ages_are_told_in_the_unit_that_people_think_in(made: datetime, said: str) -> None:
    assert ages(made, NOW)[0] == said


@pytest.mark.parametrize(("minutes", "stale"), [(15, False), (16, True)])
def test_three_missed_check_ins_make_a_report_stale(minutes: int, stale: bool) -> None:
    assert (len(ages(NOW - timedelta(minutes=minutes), NOW)) == 2) is stale


def test_without_the_add_on_it_says_how_to_enable_it(aksp: Aksp, cluster: Cluster) -> None:
    cluster.stored.served.clear()
    code, out, err = last(aksp, cluster)
    assert (code, out) == (3, "")
    assert "the add-on is not enabled in this cluster" in err
    assert "aksp addon enable" in err


def test_before_the_first_check_in_it_says_so(aksp: Aksp, cluster: Cluster) -> None:
    code, _, err = last(aksp, cluster)
    assert code == 3
    assert "it has not checked in since it was enabled" in err


def test_a_report_of_another_version_is_refused_with_its_place(aksp: Aksp, cluster: Cluster) -> None:
    cluster.checked_in(SCENARIOS["clean"]())
    (path,) = cluster.stored.objects
    cluster.stored.objects[path]["spec"]["encoding"] = "later"
    code, _, err = last(aksp, cluster)
    assert code == 2
    assert f"{path}: spec.encoding 'later' is not gzip+base64" in err


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("-f", "x.yaml"), "-f judges manifests"),
        (("-n", "shop"), "-n does not combine with --from addon: the add-on counts the whole cluster"),
        (("-l", "app=web"), "-l does not combine with --from addon"),
        (("--show", "all"), "--show all does not combine with --from addon"),
    ],
)
def test_what_a_report_that_is_made_cannot_follow_is_refused(
    aksp: Aksp, cluster: Cluster, options: tuple[str, ...], said: str
) -> None:
    cluster.checked_in(SCENARIOS["clean"]())
    code, out, err = last(aksp, cluster, *options)
    assert (code, out) == (2, "")
    assert said in err
    assert cluster.server.requests == []


def test_all_namespaces_is_what_it_shows_anyway(aksp: Aksp, cluster: Cluster) -> None:
    cluster.checked_in(SCENARIOS["clean"]())
    assert last(aksp, cluster, "-A")[0] == 0


def test_an_unreachable_cluster_exits_with_3(aksp: Aksp, cluster: Cluster) -> None:
    aksp.put("dead", conftest.kubeconfig("dead", current="dead"))
    run = aksp("compliance", "--from", "addon", "--kubeconfig", "dead", "--request-timeout", "1")
    assert run.code == 3
