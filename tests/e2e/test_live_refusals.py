"""A cluster that cannot be reached, or does not let us in: exit 3 and the way out, in one or two lines."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from aksp.kube import errors
from tests.e2e.command import Aksp, Ended
from tests.e2e.objects import OUR_REGISTRY, Place, may, pod
from tests.kube.apiserver import Authority
from tests.testbed.controlplane import ControlPlane
from tests.testbed.ports import free_port

pytestmark = pytest.mark.e2e

NAMESPACE = "refusals"


@pytest.fixture(autouse=True)
def assigned(aksp: Aksp) -> None:
    aksp.assign("allowed-images", parameters=OUR_REGISTRY)


def _refused(ended: Ended, *said: str, code: int = 3) -> None:
    """The exit code, no report, one error with its hint and no more, and no credentials in it."""
    assert ended.code == code, ended
    assert ended.stdout == ""
    lines = [line for line in ended.stderr.splitlines() if "trying again in" not in line]
    assert len(lines) == 2 and lines[0].startswith("aksp: error: ") and lines[1].startswith("  hint: "), ended.stderr
    for text in said:
        assert text in ended.stderr


def test_a_token_that_is_none_is_refused(aksp: Aksp, plane: ControlPlane) -> None:
    ended = aksp.judge(kubeconfig=plane.kubeconfig_for(token="not-a-token"))
    _refused(ended, "does not accept the credentials (401)", "log in again", plane.server)
    assert "not-a-token" not in ended.stderr


def test_a_service_account_may_scan_until_its_token_expires(aksp: Aksp, plane: ControlPlane, place: Place) -> None:
    place(NAMESPACE, [pod("bad", NAMESPACE)])
    plane.apply(may(f"system:serviceaccount:{NAMESPACE}:scanner", NAMESPACE, "pods"))
    fresh = plane.kubeconfig_for(token=plane.service_account_token(NAMESPACE, "scanner"))
    assert aksp.judge("-n", NAMESPACE, kubeconfig=fresh).code == 1
    expired = plane.service_account_token(NAMESPACE, "scanner", seconds=0)
    ended = aksp.judge("-n", NAMESPACE, kubeconfig=plane.kubeconfig_for(token=expired))
    _refused(ended, "does not accept the credentials (401)", "the token has expired", "log in again")
    assert expired not in ended.stderr


def test_the_token_of_a_service_account_that_is_gone_is_refused(aksp: Aksp, plane: ControlPlane, place: Place) -> None:
    place(NAMESPACE, [pod("bad", NAMESPACE)])
    token = plane.service_account_token(NAMESPACE, "leaver")
    plane.request("DELETE", f"/api/v1/namespaces/{NAMESPACE}/serviceaccounts/leaver")
    ended = aksp.judge("-n", NAMESPACE, kubeconfig=plane.kubeconfig_for(token=token))
    _refused(ended, "does not accept the credentials (401)")


def test_a_server_that_is_gone_is_told_after_few_attempts(aksp: Aksp, plane: ControlPlane) -> None:
    port = free_port()
    ended = aksp.judge(kubeconfig=plane.kubeconfig_for(server=f"https://127.0.0.1:{port}"))
    _refused(ended, f"connection to https://127.0.0.1:{port} refused", "is the cluster up?")
    assert f"({errors.REFUSED_TRIES} attempts)" in ended.stderr


def test_a_server_with_another_authoritys_certificate_is_not_trusted(
    aksp: Aksp, plane: ControlPlane, authority: Authority
) -> None:
    ended = aksp.judge(kubeconfig=plane.kubeconfig_for(ca=authority.pem))
    _refused(ended, f"the certificate of {plane.server} cannot be trusted", "certificate-authority")


@pytest.mark.parametrize("option", ["--cluster", "--context"])
def test_an_unknown_context_names_those_that_are_known(aksp: Aksp, option: str) -> None:
    ended = aksp.judge(option, "testbad")
    _refused(ended, "unknown context 'testbad'; known: testbed", "did you mean 'testbed'?", code=2)


def test_no_kubeconfig_says_where_it_was_looked_for(aksp: Aksp) -> None:
    ended = dataclasses.replace(aksp, kubeconfig=None).judge()
    _refused(ended, "no kubeconfig found", str(aksp.folder / "home" / ".kube" / "config"), "-f", code=2)
    ended = dataclasses.replace(aksp, kubeconfig=None).judge("--kubeconfig", "nowhere.yaml")
    _refused(ended, "nowhere.yaml", "no such kubeconfig", code=2)


def test_a_kubeconfig_without_a_current_context_names_the_contexts(aksp: Aksp, plane: ControlPlane) -> None:
    document = json.loads(plane.kubeconfig.read_text())
    del document["current-context"]
    path = Path(aksp.folder / "no-current.json")
    path.write_text(json.dumps(document))
    ended = aksp.judge(kubeconfig=path)
    _refused(ended, "no current context; known: testbed", "--context", code=2)
    assert aksp.judge("--cluster", "testbed", "-n", "kube-public", kubeconfig=path).code == 0


def test_a_report_file_of_an_earlier_run_outlives_a_refusal(aksp: Aksp, plane: ControlPlane) -> None:
    path = aksp.folder / "report.json"
    path.write_text("the last good one")
    garbage = plane.kubeconfig_for(token="not-a-token")
    ended = aksp.run("compliance", "-o", f"json={path}", kubeconfig=garbage)
    assert ended.code == 3
    assert path.read_text() == "the last good one" and [each.name for each in aksp.folder.glob("*report*")] == [
        path.name
    ]
