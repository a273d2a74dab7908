"""aksp denials: who was refused, by what, for which workload."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import yaml

from tests.cli.conftest import Aksp, Run, chosen, kubeconfig
from tests.kube.apiserver import ApiServer, Reply, Request, status


def denial(
    name: str,
    *,
    ago: timedelta,
    namespace: str = "shop",
    assignment: str = "images",
    workload: str | None = "web",
    **spec: Any,
) -> dict[str, Any]:
    last = datetime.now(UTC) - ago
    return {
        "metadata": {"name": name, "namespace": namespace, "managedFields": [{"manager": "aksp"}]},
        "spec": {
            "assignment": assignment,
            "definition": "allowed-images",
            "operation": "CREATE",
            "user": "system:serviceaccount:kube-system:replicaset-controller",
            "resource": {"apiVersion": "v1", "kind": "Pod", "namespace": namespace, "name": "web-5d9-x"},
            **({"workload": {"kind": "Deployment", "name": workload}} if workload else {}),
            "containers": [{"name": "web", "image": "nginx:1"}],
            "message": "containers web: image nginx:1 does not match ^contoso",
            "count": 12,
            "firstTime": f"{last - timedelta(hours=20):%Y-%m-%dT%H:%M:%SZ}",
            "lastTime": f"{last:%Y-%m-%dT%H:%M:%SZ}",
        }
        | spec,
    }


SECONDS, MINUTES, HOURS = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)
PATH = "/apis/policy.aksp.io/v1alpha1/policydenials"


def run(aksp: Aksp, found: Sequence[Any], *arguments: str, answer: Reply | None = None) -> tuple[Run, list[str]]:
    """The command against a cluster with these denials: what it did, and the path that it asked for."""

    def reply(request: Request) -> Reply:
        listed = {"apiVersion": "policy.aksp.io/v1alpha1", "kind": "PolicyDenialList", "metadata": {}, "items": found}
        return (request.path != "/api" and answer) or Reply(body=json.dumps(listed).encode())

    with ApiServer(reply) as server:
        config = aksp.put("config", kubeconfig("prod", "test", current="prod", server=server.url))
        result = aksp("denials", *arguments, "--kubeconfig", config)
    # This API server speaks HTTP, which is said.
    err = "".join(line for line in result.err.splitlines(keepends=True) if "is not encrypted" not in line)
    return Run(result.code, result.out, err), [request.path for request in server.requests]


def test_the_newest_refusal_comes_first(aksp: Aksp) -> None:
    older = denial("images-1", ago=3 * HOURS, workload="api")
    newer = denial("images-2", ago=5 * MINUTES + 10 * SECONDS)
    result, paths = run(aksp, [older, newer])

    lines = result.out.splitlines()
    assert (result.code, result.err, paths) == (0, "", [PATH])
    assert lines[0].split() == ["LAST", "COUNT", "ASSIGNMENT", "WORKLOAD", "USER", "MESSAGE"]
    assert lines[1].split()[:5] == [
        lines[1].split()[0], "12", "images", "shop/Deployment/web", "system:serviceaccount:kube-system:replicaset-controller",
    ]  # fmt: skip
    assert lines[1].startswith("5m1") and lines[1].endswith("does not match ^contoso")
    assert lines[2].startswith("3h") and "shop/Deployment/api" in lines[2]


def test_wide_tells_when_it_began_what_was_asked_and_the_containers(aksp: Aksp) -> None:
    result, _ = run(aksp, [denial("images-1", ago=3 * HOURS, message="x" * 500)], "-o", "wide")

    assert result.out.split()[5:8] == ["FIRST", "OPERATION", "CONTAINERS"]
    row = result.out.splitlines()[1]
    assert "23h" in row and "CREATE" in row and "web=nginx:1" in row and "x" * 500 in row


def test_the_table_cuts_long_messages_and_says_so(aksp: Aksp) -> None:
    result, _ = run(aksp, [denial("images-1", ago=HOURS, message="x" * 500)])

    assert result.out.rstrip().endswith("x" * 99 + "…")
    assert "x" * 100 not in result.out


@pytest.mark.parametrize(
    ("since", "names"),
    [("30s", "a"), ("15m", "ab"), ("2h", "abc"), ("1h30m", "ab"), ("7d", "abcd"), ("999999d", "abcd")],
)
def test_since_looks_back_so_far(since: str, names: str, aksp: Aksp) -> None:
    ages = {"a": SECONDS, "b": 10 * MINUTES, "c": 100 * MINUTES, "d": 50 * HOURS}
    result, _ = run(aksp, [denial(name, ago=ago) for name, ago in ages.items()], "--since", since, "-o", "name")

    assert result.out.split() == [f"policydenial.policy.aksp.io/{name}" for name in names]


@pytest.mark.parametrize("since", ["1w", "", "5", "h", "-5m", "1.5h", "5m ago"])
def test_since_takes_only_durations(since: str, aksp: Aksp) -> None:
    result, paths = run(aksp, [], f"--since={since}")

    assert (result.code, paths) == (2, [])
    assert "this is no duration" in result.err and "e.g. 30s, 15m, 2h, 7d" in result.err


def test_one_namespace_and_one_assignment(aksp: Aksp) -> None:
    found = [denial("images-1", ago=HOURS), denial("labels-1", ago=HOURS, assignment="labels")]
    result, paths = run(aksp, found, "-n", "shop", "--assignment", "labels", "-o", "name")

    assert result.out.split() == ["policydenial.policy.aksp.io/labels-1"]
    assert paths == ["/apis/policy.aksp.io/v1alpha1/namespaces/shop/policydenials"]


def test_json_and_yaml_are_the_custom_resources(aksp: Aksp) -> None:
    found = [denial("images-1", ago=HOURS)]
    result, _ = run(aksp, found, "-o", "json")
    (document,) = result.json
    assert (document["apiVersion"], document["kind"]) == ("policy.aksp.io/v1alpha1", "PolicyDenial")
    assert document["spec"] == found[0]["spec"]
    assert "managedFields" not in document["metadata"]

    assert yaml.safe_load(run(aksp, found, "-o", "yaml")[0].out) == result.json
    assert run(aksp, [], "-o", "json")[0].json == []


def test_nothing_refused_is_a_sentence_beside_the_output(aksp: Aksp) -> None:
    result, _ = run(aksp, [])
    assert (result.code, result.out, result.err) == (0, "", "Nothing was refused in the last seven days.\n")

    result, _ = run(aksp, [denial("x", ago=HOURS)], "--since", "5m", "-n", "shop", "--assignment", "images")
    assert result.err == "Nothing was refused by assignment images in namespace shop in the last 5m.\n"


def test_a_cluster_without_the_add_on_says_so(aksp: Aksp) -> None:
    result, _ = run(aksp, [], answer=status(404, "the server could not find the requested resource"))

    assert result.code == 3
    assert "the add-on is not enabled on cluster prod" in chosen(result.err.splitlines(), "error")
    assert "aksp addon enable" in chosen(result.err.splitlines(), "hint")


def test_a_cluster_that_refuses_is_exit_3(aksp: Aksp) -> None:
    result, _ = run(aksp, [], answer=status(403, 'policydenials is forbidden: User "jane" cannot list'))

    assert result.code == 3
    assert "cannot list" in result.err


def test_the_cluster_is_named_by_its_context(aksp: Aksp) -> None:
    assert run(aksp, [], "--cluster", "test")[0].code == 0
    assert run(aksp, [], "--cluster")[0].code == 0
    assert run(aksp, [], "--context", "nowhere")[0].code == 2


def test_text_from_the_cluster_cannot_steer_the_terminal(aksp: Aksp) -> None:
    hostile = "\x1b[2J\u202e\nfake line"
    found = denial(
        "x", ago=HOURS, workload=hostile, user=hostile, message=hostile, assignment=hostile, operation=hostile
    )
    found["spec"]["containers"] = [{"name": hostile, "image": hostile}]
    result, _ = run(aksp, [found], "-o", "wide")

    assert len(result.out.splitlines()) == 2
    assert all(line.isprintable() for line in result.out.splitlines())


@pytest.mark.parametrize(
    "spec", [None, [], {}, {"containers": "x", "resource": 7, "workload": [], "count": "x", "lastTime": 3}]
)
def test_a_denial_that_somebody_has_spoiled_is_listed_all_the_same(spec: Any, aksp: Aksp) -> None:
    result, _ = run(aksp, [{"metadata": {"name": "x", "namespace": "shop"}, "spec": spec}], "-o", "wide")

    assert (result.code, result.err) == (0, "")
    assert result.out.splitlines()[1].split()[:2] == ["?", "?"]


def test_an_object_without_a_workload_or_a_namespace_stands_for_itself(aksp: Aksp) -> None:
    role = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "namespace": "", "name": "all"}
    result, _ = run(aksp, [denial("x", ago=HOURS, workload=None, resource=role)])

    assert result.out.splitlines()[1].split()[3] == "ClusterRole/all"
