"""The objects of `aksp addon enable`: least rights, a webhook that can lock nobody out, a Pod without privileges."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest

from aksp.addon import names
from aksp.addon.install.installation import listed_kinds
from aksp.addon.install.manifests import manifests, removable
from aksp.addon.names import EngineName
from aksp.addon.settings import Listed, Settings, seconds
from aksp.addon.webhook import certificates
from aksp.catalog.folder import bundled
from aksp.errors import InvalidInput
from aksp.model.definition import Definition, ResourceKind

PODS = Listed(group="", plural="pods")


def of(kind: str, **given: Any) -> Any:
    (found,) = [one for one in manifests(Settings(**given)) if one["kind"] == kind]
    return found


def kinds_of(**given: Any) -> list[str]:
    return [one["kind"] for one in manifests(Settings(**given))]


def definition(*kinds: tuple[str, str], compared: tuple[tuple[str, str], ...] = ()) -> Definition:
    return Definition(
        slug="own", name="own", display_name="", description="", category="", version="1", severity="low", remediation="",
        kinds=tuple(ResourceKind(group=group, kind=kind) for group, kind in kinds),
        requires_inventory=tuple(ResourceKind(group=group, kind=kind) for group, kind in compared),
    )  # fmt: skip


def granted(rules: list[Mapping[str, Any]], group: str, resource: str) -> list[str]:
    (verbs,) = [one["verbs"] for one in rules if group in one["apiGroups"] and resource in one["resources"]]
    return list(verbs)


def test_no_rule_has_a_wildcard() -> None:
    for kind in ("ClusterRole", "Role"):
        for rule in of(kind, kinds=(PODS,))["rules"]:
            assert "*" not in "".join([*rule["apiGroups"], *rule["resources"], *rule["verbs"]])


def test_kinds_are_only_listed_and_watched_only_to_compare() -> None:
    kinds = listed_kinds(bundled(), None, lambda note: None)
    assert [one.plural for one in kinds if one.watched] == [
        "services", "deployments", "statefulsets", "horizontalpodautoscalers", "ingresses", "networkpolicies",
        "poddisruptionbudgets",
    ]  # fmt: skip
    assert not {"secrets", "configmaps"} & {one.plural for one in kinds}
    rules = of("ClusterRole", kinds=kinds)["rules"]
    assert granted(rules, "", "pods") == ["list"]
    assert granted(rules, "networking.k8s.io", "ingresses") == ["list", "watch"]


def test_no_rule_of_the_whole_cluster_is_about_secrets() -> None:
    rules = of("ClusterRole", kinds=(PODS,))["rules"]
    assert not any("secrets" in rule["resources"] for rule in rules)
    (rule,) = [rule for rule in of("Role")["rules"] if "secrets" in rule["resources"]]
    assert rule["resourceNames"] == [names.SECRET] and "list" not in rule["verbs"]


def test_only_our_own_webhook_configuration_may_be_written() -> None:
    (rule,) = [rule for rule in of("ClusterRole")["rules"] if "validatingwebhookconfigurations" in rule["resources"]]
    assert rule["resourceNames"] == [names.NAME] and "delete" not in rule["verbs"]


def test_what_the_webhook_is_to_be_can_be_read_and_not_written() -> None:
    (rule,) = [rule for rule in of("Role")["rules"] if "configmaps" in rule["resources"]]
    assert (rule["resourceNames"], rule["verbs"]) == ([names.CONFIG_MAP], ["get"])
    text = of("ConfigMap", failure_policy="Fail")["data"][names.WEBHOOK_KEY]
    assert json.loads(text) == of("ValidatingWebhookConfiguration", failure_policy="Fail")


def test_where_gatekeeper_refuses_nothing_of_ours_is_asked_and_only_named_objects_may_be_written() -> None:
    given = {
        "engine": EngineName.GATEKEEPER,
        "kinds": (PODS,),
        "constraints": ("akspone", "aksptwo"),
        "exclude_namespaces": ("vault",),
    }
    kinds = set(kinds_of(**given))
    assert not kinds & {"ValidatingWebhookConfiguration", "ConfigMap", "Service", "Secret"}
    assert of("NetworkPolicy", **given)["spec"]["ingress"] == []
    (container,) = of("Deployment", **given)["spec"]["template"]["spec"]["containers"]
    assert {"--engine=gatekeeper", "--exclude-namespace=vault"} <= set(container["args"])
    assert [one["name"] for one in container["ports"]] == ["plain"]
    rules = of("ClusterRole", **given)["rules"]
    of_gatekeeper = [rule for rule in rules if "gatekeeper.sh" in rule["apiGroups"][0]]
    assert {rule["apiGroups"][0] for rule in of_gatekeeper} == {
        "templates.gatekeeper.sh", "constraints.gatekeeper.sh", "syncset.gatekeeper.sh"
    }  # fmt: skip
    for rule in of_gatekeeper:
        writes = {"create", "delete", "patch", "update"} & set(rule["verbs"])
        assert "*" not in rule["resources"]
        assert not writes or rule["resources"] == ["akspone", "aksptwo"] or rule["resourceNames"]
    others = [rule for rule in rules if rule["apiGroups"] == ["admissionregistration.k8s.io"]]
    assert not others and not any("events" in rule["resources"] for rule in rules)
    assert not any("gatekeeper" in rule["apiGroups"][0] for rule in of("ClusterRole", kinds=(PODS,))["rules"])


@pytest.mark.parametrize(
    "useless",
    [
        {"webhook_url": "https://a"},
        {"failure_policy": "Fail"},
        {"unjudged": "warn"},
        {"cert_secret": "tls"},
        {"controller_accounts": ("a",)},
        {"api_server_cidrs": ("10.0.0.0/8",)},
    ],
)
def test_an_option_of_the_webhook_is_refused_where_there_is_none(useless: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput, match="with --engine gatekeeper there is none"):
        Settings(engine=EngineName.GATEKEEPER, **useless)


def test_a_certificate_of_somebody_else_needs_no_secret_of_ours() -> None:
    assert "Secret" not in kinds_of(cert_secret="tls")
    assert not any("secrets" in rule["resources"] for rule in of("Role", cert_secret="tls")["rules"])
    (container,) = of("Deployment", cert_secret="tls")["spec"]["template"]["spec"]["containers"]
    assert "--cert-dir=/certificates" in container["args"]


def test_the_webhook_has_no_rules_and_no_certificate_of_its_own() -> None:
    (webhook,) = of("ValidatingWebhookConfiguration")["webhooks"]
    assert "rules" not in webhook and "caBundle" not in webhook["clientConfig"]
    assert webhook["failurePolicy"] == "Ignore" and webhook["timeoutSeconds"] == 3


def test_the_webhook_never_hears_of_the_namespaces_that_repair_it() -> None:
    (webhook,) = of("ValidatingWebhookConfiguration", namespace="aksp-system", exclude_namespaces=("vault", "vault"))[
        "webhooks"
    ]
    (expression,) = webhook["namespaceSelector"]["matchExpressions"]
    assert expression == {
        "key": "kubernetes.io/metadata.name", "operator": "NotIn", "values": ["aksp-system", "kube-system", "vault"]
    }  # fmt: skip


def test_on_a_host_there_is_nothing_to_run() -> None:
    url = "https://10.0.0.4:9443/v1/admit"
    assert not {"Deployment", "Service", "PodDisruptionBudget"} & set(kinds_of(webhook_url=url))
    (webhook,) = of("ValidatingWebhookConfiguration", webhook_url=url)["webhooks"]
    assert webhook["clientConfig"] == {"url": url}


def test_one_replica_can_be_drained() -> None:
    assert "PodDisruptionBudget" in kinds_of() and "PodDisruptionBudget" not in kinds_of(replicas=1)


def test_only_in_kube_system_the_pod_is_critical() -> None:
    assert of("Deployment")["spec"]["template"]["spec"]["priorityClassName"] == "system-cluster-critical"
    assert "priorityClassName" not in of("Deployment", namespace="aksp-system")["spec"]["template"]["spec"]


def test_a_namespace_is_made_only_when_asked() -> None:
    assert "Namespace" not in kinds_of(namespace="aksp-system")
    assert kinds_of(namespace="aksp-system", create_namespace=True)[0] == "Namespace"
    assert "Namespace" not in kinds_of(create_namespace=True)


def test_what_the_running_add_on_writes_is_not_applied() -> None:
    assert "data" not in of("Secret") and "spec" not in of("Lease")


def test_the_webhook_comes_last_and_goes_first() -> None:
    assert kinds_of()[-1] == "ValidatingWebhookConfiguration"
    assert [one["kind"] for one in removable("kube-system")[:2]] == ["ConfigMap", "ValidatingWebhookConfiguration"]
    assert sorted(one["kind"] for one in removable("kube-system")) == sorted(kinds_of())


def test_kinds_that_cannot_be_named_are_told() -> None:
    notes: list[str] = []
    found = listed_kinds([definition(("*", "*"), ("a.example", "Widget"), ("", "ConfigMap"))], None, notes.append)
    assert found == (Listed(group="", plural="configmaps"),)
    assert "every kind" in notes[0] and "Widget.a.example" in notes[1]


def test_every_kind_is_told_of_once_it_is_assigned_and_not_for_what_comes_with_aksp() -> None:
    notes: list[str] = []
    listed_kinds(bundled(), None, notes.append)
    assert not notes
    listed_kinds(bundled(), None, notes.append, [ResourceKind(group="*", kind="*")])
    assert len(notes) == 1 and "every kind" in notes[0]


def test_what_is_compared_with_is_listed_too() -> None:
    found = listed_kinds([definition(("", "Pod"), compared=(("apps", "Deployment"),))], None, lambda note: None)
    assert found == (PODS, Listed(group="apps", plural="deployments", watched=True))


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"namespace": "Kube"}, "--namespace Kube"),
        ({"exclude_namespaces": ("a*",)}, r"--exclude-namespace a\*"),
        ({"sync_interval": "5"}, "--sync-interval 5"),
        ({"sync_interval": "0s"}, "at least 1s"),
        ({"failure_policy": "fail"}, "expected Ignore or Fail"),
        ({"unjudged": "maybe"}, "expected warn or refuse"),
        ({"webhook_url": "http://a"}, "https://HOST"),
        ({"webhook_url": "https://user@a/b"}, "https://HOST"),
        ({"inject_ca_from": "a"}, "NAMESPACE/NAME"),
        ({"replicas": 0}, "at least 1"),
        ({"cluster_name": " "}, "is empty"),
    ],
)
def test_settings_that_cannot_be_are_refused(given: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        Settings(**given)


@pytest.mark.parametrize(("text", "expected"), [("5m", 300), ("90s", 90), ("1h30m", 5400), ("0.5s", 0.5)])
def test_durations_are_read_as_kubernetes_writes_them(text: str, expected: float) -> None:
    assert seconds(text, "-") == expected


def test_a_kind_of_any_group_that_rules_compare_with_is_watched_where_it_is_known() -> None:
    found = listed_kinds([definition(("", "Pod"), compared=(("*", "Service"),))], None, lambda note: None)
    assert [(one.group, one.plural, one.watched) for one in found] == [("", "pods", False), ("", "services", True)]


def test_pods_are_reached_at_one_port_and_from_the_addresses_that_are_told() -> None:
    (rule,) = of("NetworkPolicy")["spec"]["ingress"]
    assert rule == {"ports": [{"port": "https", "protocol": "TCP"}]}
    asked, metrics = of("NetworkPolicy", api_server_cidrs=("10.0.0.4/32",), open_metrics=True)["spec"]["ingress"]
    assert asked["from"] == [{"ipBlock": {"cidr": "10.0.0.4/32"}}]
    assert metrics == {"ports": [{"port": "plain", "protocol": "TCP"}]}
    selected = of("NetworkPolicy")["spec"]["podSelector"]["matchLabels"]
    assert selected.items() <= of("Deployment")["spec"]["template"]["metadata"]["labels"].items()


def test_the_ca_of_the_api_server_s_certificate_comes_with_the_config_map() -> None:
    pem = certificates.make_authority(datetime(2026, 1, 1, tzinfo=UTC)).certificate.decode()
    assert of("ConfigMap", client_ca=pem)["data"][names.CLIENT_CA_KEY] == pem
    spec = of("Deployment", client_ca=pem)["spec"]["template"]["spec"]
    assert "--client-ca=/client-ca/client-ca.crt" in spec["containers"][0]["args"]
    named = of("Deployment", client_ca=pem, client_names=("a", "b"))["spec"]["template"]["spec"]["containers"][0][
        "args"
    ]
    assert {"--client-name=a", "--client-name=b"} <= set(named)
    assert {"name": "client-ca", "mountPath": "/client-ca", "readOnly": True} in spec["containers"][0]["volumeMounts"]
    assert "--open-metrics" in of("Deployment", open_metrics=True)["spec"]["template"]["spec"]["containers"][0]["args"]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"client_ca": ""}, "--client-ca has no certificates"),
        ({"client_ca": "text"}, "--client-ca has no certificates"),
        ({"client_names": ("kube-apiserver",)}, "--client-name needs --client-ca"),
        ({"client_names": (" ",)}, "--client-name is empty"),
        ({"api_server_cidrs": ("10.0.0.1/8",)}, "--api-server-cidr 10.0.0.1/8"),
        ({"api_server_cidrs": ("example.org",)}, "--api-server-cidr example.org"),
    ],
)
def test_what_would_let_in_others_than_meant_is_refused(given: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        Settings(**given)
