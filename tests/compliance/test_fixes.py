"""The change that would comply, as a patch that does just that, and as a command that is safe to paste."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from aksp.compliance.fixes import command, obstacle, patch, together
from aksp.compliance.strategic import steps
from aksp.model.compliance import AssignmentKey, ComplianceState, Finding, Result
from aksp.model.resource import Container, Owner, Resource
from tests.replacing import replace
from tests.results import a_result

KEY = AssignmentKey(assignment="rule", definition="rule", effect="Deny", severity="high")
WEB = Container(name="web", type="containers", image="nginx:1")
PRIVILEGED = "spec.containers[1].securityContext.privileged"


@dataclass(frozen=True)
class Place:
    file: str = "a.yaml"
    line: int = 1
    columns: tuple[int, int] | None = None

    def at(self, path: str | None) -> Place:
        return self


def result(
    fix: Mapping[str, Any] | None,
    *,
    api_version: str = "v1",
    kind: str = "Pod",
    namespace: str = "shop",
    name: str = "web-7d9f-x2x4q",
    owner: Owner | None = None,
    container: Container | None = None,
    observed: Any = None,
    source: Place | None = None,
) -> Result:
    return a_result(
        assignment=KEY,
        state=ComplianceState.NON_COMPLIANT,
        resource=Resource(api_version=api_version, kind=kind, namespace=namespace, name=name),
        finding=Finding(message="no", container=container, path=None, observed=observed, fix=fix),
        owner=owner,
        source=source,
    )


def of_deployment(fix: Mapping[str, Any] | None, **more: Any) -> Result:
    return result(fix, owner=Owner(kind="Deployment", name="web"), container=WEB, **more)


def content(made: Mapping[str, Any] | None) -> dict[str, Any]:
    assert made is not None
    return {key: value for key, value in made.items() if key not in ("apiVersion", "kind", "metadata")}


# What is patched


def test_a_bare_pod_is_patched_itself_its_container_named_not_numbered() -> None:
    assert patch(result({PRIVILEGED: False}, container=WEB)) == {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "web-7d9f-x2x4q", "namespace": "shop"},
        "spec": {"containers": [{"name": "web", "securityContext": {"privileged": False}}]},
    }


@pytest.mark.parametrize(
    ("kind", "api_version", "way"),
    [
        ("Deployment", "apps/v1", ["spec", "template"]),
        ("StatefulSet", "apps/v1", ["spec", "template"]),
        ("DaemonSet", "apps/v1", ["spec", "template"]),
        ("ReplicaSet", "apps/v1", ["spec", "template"]),
        ("ReplicationController", "v1", ["spec", "template"]),
        ("Job", "batch/v1", ["spec", "template"]),
        ("CronJob", "batch/v1", ["spec", "jobTemplate", "spec", "template"]),
    ],
)
def test_for_a_workloads_pod_the_workload_is_patched_in_its_template(
    kind: str, api_version: str, way: list[str]
) -> None:
    made = patch(result({PRIVILEGED: False}, owner=Owner(kind=kind, name="web"), container=WEB))

    assert made is not None
    assert (made["apiVersion"], made["kind"]) == (api_version, kind)
    assert made["metadata"] == {"name": "web", "namespace": "shop"}
    inner = made
    for step in way:
        inner = inner[step]
    assert inner["spec"] == {"containers": [{"name": "web", "securityContext": {"privileged": False}}]}


def test_a_pods_owner_of_a_kind_with_rules_of_its_own_gets_no_patch() -> None:
    assert patch(result({PRIVILEGED: False}, owner=Owner(kind="Rollout", name="web"), container=WEB)) is None
    assert patch(result({PRIVILEGED: False}, owner=Owner(kind="Node", name="n1"), container=WEB)) is None


def test_what_another_object_owns_and_would_set_back_gets_no_patch() -> None:
    owned = result({"spec.type": "ClusterIP"}, kind="Service", owner=Owner(kind="Deployment", name="web"))
    assert patch(owned) is None


def test_a_manifests_path_leads_through_the_template_already() -> None:
    made = patch(
        result(
            {f"spec.template.{PRIVILEGED}": False},
            api_version="apps/v1",
            kind="Deployment",
            name="web",
            container=WEB,
            source=Place(),
        )
    )
    assert content(made) == {
        "spec": {"template": {"spec": {"containers": [{"name": "web", "securityContext": {"privileged": False}}]}}}
    }


def test_an_object_without_a_namespace_or_with_a_generated_name_is_named_as_it_is() -> None:
    cluster_wide = patch(result({"spec.a": 1}, kind="Node", namespace="", name="n1"))
    generated = patch(result({"spec.a": 1}, name="web-*"))

    assert cluster_wide is not None and cluster_wide["metadata"] == {"name": "n1"}
    assert generated is not None and generated["metadata"] == {"generateName": "web-", "namespace": "shop"}


# What is in it


def test_null_removes_a_field_and_keys_may_hold_dots() -> None:
    made = patch(result({"spec.externalIPs": None, "metadata.annotations['a.example/b']": "x"}, kind="Service"))
    assert content(made) == {"spec": {"externalIPs": None}}
    assert made is not None and made["metadata"]["annotations"] == {"a.example/b": "x"}
    assert made["metadata"]["name"] == "web-7d9f-x2x4q"


def test_entries_of_other_lists_are_named_by_the_key_that_the_fix_repeats() -> None:
    port = {"spec.containers[0].ports[2].hostPort": None, "spec.containers[0].ports[2].containerPort": 8080}
    service = {"spec.ports[0].nodePort": None, "spec.ports[0].port": 80}
    volume = {"spec.volumes[0].image.reference": "r.example/a:1", "spec.volumes[0].name": "data"}

    assert content(patch(result(port, container=WEB))) == {
        "spec": {"containers": [{"name": "web", "ports": [{"containerPort": 8080, "hostPort": None}]}]}
    }
    assert content(patch(result(service, kind="Service"))) == {"spec": {"ports": [{"port": 80, "nodePort": None}]}}
    assert content(patch(result(volume))) == {
        "spec": {"volumes": [{"name": "data", "image": {"reference": "r.example/a:1"}}]}
    }


def test_two_changes_of_one_container_stand_in_one_entry() -> None:
    fix = {"spec.initContainers[3].image": "a", "spec.initContainers[3].resources.limits.cpu": "1"}
    made = patch(result(fix, container=replace(WEB, type="initContainers")))
    assert content(made) == {
        "spec": {"initContainers": [{"name": "web", "image": "a", "resources": {"limits": {"cpu": "1"}}}]}
    }


def test_an_object_as_a_value_takes_the_place_of_what_is_there() -> None:
    assert content(patch(result({"spec.securityContext": {"runAsNonRoot": True}}))) == {
        "spec": {"securityContext": {"runAsNonRoot": True, "$patch": "replace"}}
    }


@pytest.mark.parametrize(
    "fix",
    [
        None,
        {},
        {"spec.containers[0].ports[0].hostPort": None},
        {"spec.volumes[0].image.reference": "a"},
        {"spec.initContainers[0].image": "a"},
        {"spec.tolerations[0].key": "a"},
        {"spec.rules[0].host": "a"},
        {"spec.containers[0]": {}},
        {"spec.containers": []},
        {"spec.containers[0][1].image": "a"},
        {"[0].a": "a"},
        {"metadata.name": "other"},
        {"metadata.namespace": "other"},
        {"spec..a": 1},
        {"spec['it's']": 1},
        {".spec": 1},
        {"": 1},
        {"spec.a.b": 1, "spec.a[0].c": 2},
        {"metadata": None},
    ],
    ids=str,
)
def test_what_a_patch_could_not_say_exactly_is_no_patch(fix: dict[str, Any] | None) -> None:
    assert patch(result(fix, container=WEB)) is None


def test_a_debug_container_that_runs_cannot_be_changed() -> None:
    debug = replace(WEB, type="ephemeralContainers")
    fix = {"spec.ephemeralContainers[0].securityContext.privileged": False}

    assert patch(result(fix, container=debug)) is None
    assert patch(result(fix, container=debug, source=Place())) is not None


def test_a_label_that_a_workload_may_select_by_is_left_alone_and_one_that_is_missing_is_set() -> None:
    fix = {"metadata.labels['env']": "prod"}

    assert patch(of_deployment(fix, observed="dev")) is None
    assert content(patch(of_deployment(fix))) == {"spec": {"template": {"metadata": {"labels": {"env": "prod"}}}}}
    bare = patch(result(fix, observed="dev"))
    assert bare is not None and bare["metadata"]["labels"] == {"env": "prod"}
    within = {"spec.template.metadata.labels['env']": "prod"}
    assert patch(result(within, kind="Deployment", api_version="apps/v1", observed="dev", source=Place())) is None


@pytest.mark.parametrize("api_version", ["example.com/v1", "gateway.networking.k8s.io/v1"])
def test_a_custom_resource_has_no_merge_keys(api_version: str) -> None:
    listed = {"spec.ports[0].name": "web", "spec.ports[0].port": 80}

    assert patch(result(listed, api_version=api_version, kind="Thing")) is None
    assert patch(result({"spec.tls": {"a": 1}}, api_version=api_version, kind="Thing")) is None
    assert content(patch(result({"spec.tls.on": True}, api_version=api_version, kind="Thing"))) == {
        "spec": {"tls": {"on": True}}
    }


# Paths


def test_a_path_is_keys_and_indices() -> None:
    assert steps("spec.containers[0].ports") == ("spec", "containers", 0, "ports")
    assert steps("metadata.annotations['a.b/c'].d") == ("metadata", "annotations", "a.b/c", "d")


# The command


def test_the_command_patches_the_workload_and_survives_a_shell() -> None:
    line = command(of_deployment({PRIVILEGED: False}), context="prod cluster")

    assert line is not None
    *words, body = shlex.split(line)
    assert words == [
        "kubectl", "patch", "deployment", "web", "--namespace", "shop", "--context", "prod cluster",
        "--type", "strategic", "-p",
    ]  # fmt: skip
    assert json.loads(body) == {
        "spec": {"template": {"spec": {"containers": [{"name": "web", "securityContext": {"privileged": False}}]}}}
    }


def test_values_of_any_text_stay_one_word_without_control_characters() -> None:
    value = "it's $(rm) `x`\n\x1b[31m\u202e"
    line = command(of_deployment({"spec.containers[0].image": value}))

    assert line is not None and line.isascii() and line.isprintable()
    body = json.loads(shlex.split(line)[-1])
    assert body["spec"]["template"]["spec"]["containers"][0]["image"] == value


def test_a_custom_resource_is_patched_by_merging() -> None:
    line = command(result({"spec.on": True}, api_version="example.com/v1", kind="Thing", name="a"))

    assert line == ("""kubectl patch thing.example.com a --namespace shop --type merge -p '{"spec":{"on":true}}'""")


@pytest.mark.parametrize("name", ["-o", "a b", "web\n", "$(x)", "", "*"])
def test_a_name_that_no_object_has_gets_no_command(name: str) -> None:
    assert command(result({"spec.a": 1}, kind="Service", name=name)) is None
    assert command(result({"spec.a": 1}, kind="Service", namespace=name or "-", name="a")) is None


def test_what_was_read_from_a_file_is_changed_there() -> None:
    assert command(result({"spec.a": 1}, kind="Service", source=Place())) is None


def test_what_cannot_be_changed_in_place_is_said_and_gets_no_command() -> None:
    bare = result({PRIVILEGED: False}, container=WEB)
    job = result({PRIVILEGED: False}, owner=Owner(kind="Job", name="once"), container=WEB)
    generated = result({"spec.a": 1}, kind="Service", name="web-*")

    assert "a Pod cannot be changed" in (obstacle(bare) or "")
    assert "template of a Job" in (obstacle(job) or "")
    assert "name is generated" in (obstacle(generated) or "")
    assert [command(one) for one in (bare, job, generated)] == [None, None, None]


def test_an_image_and_a_label_of_a_pod_can_be_changed_where_it_is() -> None:
    for fix in ({"spec.containers[1].image": "a"}, {"metadata.labels['env']": "prod"}):
        assert obstacle(result(fix, container=WEB)) is None
        assert command(result(fix, container=WEB)) is not None


# Several changes


def test_the_changes_of_one_object_are_one_patch_and_one_command() -> None:
    side = replace(WEB, name="side")
    first = of_deployment({PRIVILEGED: False})
    second = of_deployment({"spec.containers[1].image": "r.example/web"})
    third = result(
        {"spec.containers[0].image": "r.example/side"}, owner=Owner(kind="Deployment", name="web"), container=side
    )
    label = of_deployment({"metadata.labels['env']": "prod"})

    (change,) = together([first, second, third, label])
    assert change.patch["spec"]["template"] == {
        "spec": {
            "containers": [
                {"name": "web", "securityContext": {"privileged": False}, "image": "r.example/web"},
                {"name": "side", "image": "r.example/side"},
            ]
        },
        "metadata": {"labels": {"env": "prod"}},
    }
    assert change.command is not None
    body = {key: value for key, value in change.patch.items() if key == "spec"}
    assert json.loads(shlex.split(change.command)[-1]) == body


def test_changes_of_two_objects_are_two_and_what_has_none_adds_nothing() -> None:
    one, other = result({"spec.a": 1}, kind="Service", name="a"), result({"spec.a": 1}, kind="Service", name="b")

    made = together([one, result(None), other])
    assert [change.patch["metadata"]["name"] for change in made] == ["a", "b"]
    assert together([]) == []


def test_one_change_that_cannot_be_made_in_place_leaves_no_command_for_the_whole() -> None:
    label, privileged = result({"metadata.labels['env']": "prod"}), result({PRIVILEGED: False}, container=WEB)

    (change,) = together([label, privileged])
    assert change.command is None and change.patch["metadata"]["labels"] == {"env": "prod"}
