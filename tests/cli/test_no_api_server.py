"""A server that answers 404 to everything is no Kubernetes API server: no command takes it for an empty cluster."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from tests.cli.conftest import Aksp, kubeconfig
from tests.kube.apiserver import ApiServer, Reply, status

COMMANDS = [
    ["addon", "disable"],
    ["addon", "disable", "--keep-data"],
    ["addon", "disable", "-n", "policy"],
    ["addon", "status"],
    ["addon", "status", "-n", "policy"],
    ["addon", "enable"],
    ["addon", "enable", "--dry-run", "--cluster"],
    ["assign", "no-privileged", "--store", "cluster"],
    ["assignments", "--store", "cluster"],
    ["assignments", "show", "x", "--store", "cluster"],
    ["assignments", "delete", "x", "--store", "cluster"],
    ["exemptions", "--store", "cluster"],
    ["compliance", "--cluster"],
    ["compliance", "--cluster", "--from", "addon"],
    ["compliance", "--cluster", "--from", "gatekeeper"],
    ["denials"],
    ["explain", "pod/web", "--cluster"],
    ["explain", "deployment/web", "-n", "shop", "--cluster"],
    ["import", "gatekeeper", "--cluster", "--dry-run"],
    ["sync"],
    ["sync", "--dry-run"],
]


def _config(aksp: Aksp, api: ApiServer) -> str:
    return aksp.put("config", kubeconfig("prod", current="prod", server=api.url))


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_it_is_told_with_exit_3(aksp: Aksp, command: Sequence[str]) -> None:
    aksp.done("assign", "no-privileged")
    with ApiServer(lambda _: Reply(status=404, body=b"nothing here")) as api:
        run = aksp(*command, "--kubeconfig", _config(aksp, api))

    assert (run.code, run.out) == (3, ""), run.err
    assert "no Kubernetes API server" in run.err


def test_an_api_server_that_refuses_to_say_what_it_serves_is_one(aksp: Aksp) -> None:
    with ApiServer(lambda request: status(403 if request.path == "/api" else 404, "no")) as api:
        run = aksp("addon", "disable", "--kubeconfig", _config(aksp, api))

    assert run.code == 0
    assert "there was nothing to delete" in run.err
