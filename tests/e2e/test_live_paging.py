"""More Pods than a page holds, over a connection that misbehaves."""

from __future__ import annotations

import contextlib

import pytest

from aksp.kube import errors
from tests.e2e.command import Aksp, Ended, Report, Started, judged, reasons, state_of, violations
from tests.e2e.meddler import ALWAYS, Fault, Hang, Meddled, Meddler, cut_short, end_early, refuse
from tests.e2e.objects import FOREIGN, OUR_REGISTRY, OURS, create_pods, ingress, namespace, pod, service
from tests.kube.apiserver import Authority
from tests.replacing import replace
from tests.testbed.controlplane import ControlPlane

pytestmark = pytest.mark.e2e

CROWD = "crowd"
PODS = 1200
BAD = {f"pod-{number:04}" for number in range(0, PODS, 7)}
HOSTS = ("hosts-one", "hosts-two")


@pytest.fixture(scope="module")
def crowd(plane: ControlPlane) -> None:
    """1,200 Pods, every seventh with a foreign image, of three teams; Services; Ingresses that clash."""
    plane.apply([namespace(CROWD), *map(namespace, HOSTS)])
    names = [f"pod-{number:04}" for number in range(PODS)]
    create_pods(plane, [
        pod(name, CROWD, FOREIGN if name in BAD else OURS, {"team": f"team-{number % 3}"})
        for number, name in enumerate(names)
    ])  # fmt: skip
    plane.apply([service("web", CROWD, 8080)])
    plane.apply([ingress(f"site-{number}", one, f"{number}.example.com") for number in range(4) for one in HOSTS])


@pytest.fixture
def assigned(aksp: Aksp, crowd: None) -> Aksp:
    aksp.assign("allowed-images", parameters=OUR_REGISTRY, scope=f"/clusters/testbed/namespaces/{CROWD}")
    return replace(aksp, within=True)


LASTING = {
    "breaks off": Fault(harm=cut_short, page="later", after=1, times=ALWAYS),
    "never comes": Fault(harm=end_early, times=ALWAYS),
    "fails": Fault(harm=refuse(503, "apiserver is shutting down"), times=ALWAYS),
}


@pytest.fixture(scope="module")
def lasting(
    plane: ControlPlane, crowd: None, authority: Authority, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Ended]:
    """Runs that meet a fault which does not go away: five attempts take seconds, so all runs are made at once."""
    runs: dict[str, Started] = {}
    with contextlib.ExitStack() as stack:
        for name, fault in LASTING.items():
            proxy = stack.enter_context(Meddler(plane, authority, [fault]))
            aksp = Aksp(folder=tmp_path_factory.mktemp("lasting"), kubeconfig=proxy.kubeconfig)
            aksp.assign("allowed-images", parameters=OUR_REGISTRY)
            if name != "fails":
                aksp.assign(
                    "allowed-service-ports", parameters={"allowedPorts": ["80" if name == "breaks off" else "8080"]}
                )
            runs[name] = aksp.start("compliance", "-o", "json", "--chunk-size", "100", "-n", CROWD)
        return {name: run.wait() for name, run in runs.items()}


def _everything(report: Report) -> None:
    """The report is complete and right."""
    assert report["gaps"] == []
    assert {name for name, _ in violations(report)} == BAD and len(report["results"]) == len(BAD)
    assert report["counts"]["resources"]["NonCompliant"] == len(BAD)
    assert report["counts"]["resources"]["Compliant"] == PODS - len(BAD)
    assert report["counts"]["containers"]["NonCompliant"] == len(BAD)


def test_small_pages_give_exactly_what_one_page_gives(assigned: Aksp, meddled: Meddled) -> None:
    with meddled() as proxy:
        paged = assigned.judge("--chunk-size", "100", "-n", CROWD, kubeconfig=proxy.kubeconfig)
    assert len(proxy.asked) == 12
    whole = assigned.judge("--chunk-size", "100000", "-n", CROWD)
    _everything(paged.report)
    for field in ("state", "compliancePercent", "counts", "assignments", "results"):
        assert paged.report[field] == whole.report[field]
    assert paged.code == whole.code == 1


def test_all_namespaces_are_judged_unless_some_are_named(assigned: Aksp) -> None:
    everywhere = assigned.judge()
    _everything(everywhere.report)
    assert assigned.judge("-A", "-n", HOSTS[0]).report["counts"] == everywhere.report["counts"]
    elsewhere = assigned.judge("-n", HOSTS[0])
    assert elsewhere.code == 0 and judged(elsewhere.report) == 0
    assert "allowed-images matched nothing" in elsewhere.stderr
    assert assigned.judge("-n", HOSTS[0], "--require-match").code == 4
    both = assigned.judge("-n", HOSTS[0], "-n", CROWD)
    assert both.report["counts"] == everywhere.report["counts"]


@pytest.mark.parametrize("name", [f"{CROWD},{HOSTS[0]}", "cro*", "Crowd", ""])
def test_what_can_be_no_namespace_is_refused_instead_of_finding_nothing(assigned: Aksp, name: str) -> None:
    ended = assigned.judge("-n", name)
    assert ended.code == 2 and f"-n {name}: no namespace has such a name" in ended.stderr


def test_a_selector_is_the_api_servers(assigned: Aksp) -> None:
    ended = assigned.judge("-n", CROWD, "-l", "team in (team-0, team-1)", "--chunk-size", "100")
    expected = {f"pod-{number:04}" for number in range(PODS) if number % 3 != 2} & BAD
    assert {name for name, _ in violations(ended.report)} == expected and judged(ended.report) == 800
    refused = assigned.judge("-n", CROWD, "-l", "team ~ x")
    assert refused.code == 2 and "team ~ x" in refused.stderr


def test_a_list_that_expires_starts_again_and_counts_nothing_twice(assigned: Aksp, meddled: Meddled) -> None:
    with meddled(Fault(harm=refuse(410, "the continue token is too old"), page="later", after=4)) as proxy:
        ended = assigned.judge("--chunk-size", "100", "-n", CROWD, kubeconfig=proxy.kubeconfig)
    assert len(proxy.asked) == 6 + 12 and ended.code == 1
    _everything(ended.report)


def test_a_list_that_always_expires_is_asked_for_in_one_piece(assigned: Aksp, meddled: Meddled) -> None:
    with meddled(Fault(harm=refuse(410), page="later", times=ALWAYS)) as proxy:
        ended = assigned.judge("--chunk-size", "100", "-n", CROWD, kubeconfig=proxy.kubeconfig)
    _everything(ended.report)
    assert ended.code == 1 and len(proxy.asked) < 12


def test_an_expired_list_of_ingresses_makes_none_its_own_neighbour(aksp: Aksp, crowd: None, meddled: Meddled) -> None:
    for one in HOSTS:
        aksp.assign("unique-ingress-hosts", f"unique-{one}", scope=f"/clusters/testbed/namespaces/{one}")
    with meddled(Fault(harm=refuse(410), plural="ingresses", page="later", after=2)) as proxy:
        ended = aksp.judge("--chunk-size", "2", kubeconfig=proxy.kubeconfig)
    found = sorted(name for name, _ in violations(ended.report))
    assert found == ["site-0", "site-1", "site-2", "site-3"] and ended.report["gaps"] == []
    assert judged(ended.report) == 8


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (Fault(harm=refuse(429, "slow down", Retry_After="1"), page="later"), "too busy (429): slow down"),
        (Fault(harm=refuse(500), page="later", after=3, times=2), "failed (500)"),
        (Fault(harm=refuse(503), page="first"), "failed (503)"),
        (Fault(harm=cut_short, page="later", after=1), "broke off"),
        (Fault(harm=end_early, page="later", after=1), "cut off"),
        (Fault(harm=cut_short, page="first"), "broke off"),
    ],
    ids=["429 with Retry-After", "500 twice", "503 at first", "cut short", "ended early", "cut short at first"],
)
def test_what_goes_wrong_once_costs_a_note_and_no_result(
    assigned: Aksp, meddled: Meddled, fault: Fault, said: str
) -> None:
    with meddled(fault) as proxy:
        ended = assigned.judge("--chunk-size", "100", "-n", CROWD, kubeconfig=proxy.kubeconfig)
    _everything(ended.report)
    assert ended.code == 1
    assert said in ended.stderr and "trying again in" in ended.stderr


def test_retry_after_is_waited_for(assigned: Aksp, meddled: Meddled) -> None:
    with meddled(Fault(harm=refuse(429, Retry_After="2"), page="first")) as proxy:
        ended = assigned.judge("-n", CROWD, kubeconfig=proxy.kubeconfig)
    _everything(ended.report)
    assert ended.seconds > 2 and "trying again in 2.0 s" in ended.stderr


def test_a_list_that_breaks_off_for_good_is_a_gap_and_what_came_before_counts(lasting: dict[str, Ended]) -> None:
    ended = lasting["breaks off"]
    assert ended.code == 1
    (gap,) = ended.report["gaps"]
    assert gap["reason"] == "ListFailed" and gap["message"].startswith("Pod could not be listed: the answer broke off")
    assert "(5 attempts)" in gap["message"]
    assert state_of(ended.report, "allowed-images") == ("NonCompliant", 200)
    assert {name for name, _ in violations(ended.report, kind="Pod")} == {name for name in BAD if name < "pod-0200"}
    assert violations(ended.report, kind="Service") == [("web", "-")]


def test_a_kind_whose_list_never_comes_makes_the_scan_inconclusive(lasting: dict[str, Ended]) -> None:
    # It is the first kind that is listed, and the others are listed still.
    ended = lasting["never comes"]
    assert ended.code == 4 and reasons(ended.report) == ["ListFailed"]
    assert "Pod could not be listed: the answer is cut off after" in ended.report["gaps"][0]["message"]
    assert state_of(ended.report, "allowed-service-ports") == ("Compliant", 1) and judged(ended.report) == 1


def test_a_server_that_fails_every_request_is_the_end(lasting: dict[str, Ended]) -> None:
    ended = lasting["fails"]
    assert ended.code == 3 and ended.stdout == ""
    assert "trying again in" in ended.stderr
    error, hint = ended.stderr.splitlines()[-2:]
    assert error.startswith("aksp: error: ") and hint.startswith("  hint: try again later")
    assert error.endswith("the API server failed (503): apiserver is shutting down (5 attempts)")


def test_a_server_that_hangs_is_given_up_after_the_time_out(assigned: Aksp, meddled: Meddled) -> None:
    with meddled(Fault(harm=Hang(), page="later", after=2, times=ALWAYS)) as proxy:
        ended = assigned.judge(
            "--chunk-size", "100", "--request-timeout", "0.7", "-n", CROWD, kubeconfig=proxy.kubeconfig
        )
        assert ended.code == 1
    (gap,) = ended.report["gaps"]
    assert (
        gap["reason"] == "ListFailed" and f"no answer within 0.7 s ({errors.SILENT_TRIES} attempts)" in gap["message"]
    )
    assert judged(ended.report) == 300


def test_credentials_that_expire_during_a_scan_leave_a_gap(assigned: Aksp, meddled: Meddled) -> None:
    assigned.assign("allowed-service-ports", parameters={"allowedPorts": ["80"]}, scope="/clusters/testbed")
    with meddled(
        Fault(harm=refuse(401, "Unauthorized"), page="later", after=1, times=ALWAYS),
        Fault(harm=refuse(401, "Unauthorized"), plural="services", times=ALWAYS),
    ) as proxy:
        ended = assigned.judge("--chunk-size", "100", "-n", CROWD, kubeconfig=proxy.kubeconfig)
    assert ended.code == 1 and judged(ended.report) == 200
    assert reasons(ended.report) == ["ListFailed", "ListFailed"]
    assert all("does not accept the credentials (401)" in gap["message"] for gap in ended.report["gaps"])
