"""The definitions as documents: names, parameters, options, Rego."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from aksp.catalog.folder import as_json
from aksp.compliance.parameters import problems, value_problem
from aksp.engine import Engine
from aksp.model.definition import Definition, ParameterType, RegoModule
from aksp.model.effect import Effect
from tests.definitions.samples import DEFINITIONS

#: slug: (Azure policy id, GUID, display name), from the table in the issue and Azure's documents.
PREVIEW = {
    "allowed-images": (
        "ContainerAllowedImages",
        "5f86cb6e-c4da-441b-807c-44bd0cc14e66",
        "Ensure only allowed container images in AKS",
    ),
    "allowed-container-ports": (
        "ContainerAllowedPorts",
        "0f636243-1b1c-4d50-880f-310f6199f2cb",
        "Ensure containers listen only on allowed ports in AKS",
    ),
    "allowed-service-ports": (
        "ServiceAllowedPorts",
        "25dee3db-6ce0-4c02-ab5d-245887b24077",
        "Ensure services listen only on allowed ports in AKS",
    ),
    "required-labels": (
        "PodEnforceLabels",
        "16c6ca72-89d2-4798-b87e-496f9de7fcb7",
        "Enforce labels on pods in AKS",
    ),
    "https-ingress": ("HttpsIngressOnly", "2fbff515-eecc-4b7e-9b63-fcc7138b7dc3", "Enforce HTTPS ingress in AKS"),
    "no-privileged": (
        "ContainerNoPrivilege",
        "7ce7ac02-a5c6-45d6-8d1b-844feb1c1531",
        "Do not allow privileged containers in AKS",
    ),
    "resource-limits": (
        "ContainerResourceLimits",
        "a2d3ed81-8d11-4079-80a5-1faadc0024f4",
        "Ensure CPU and memory resource limits defined on containers in AKS",
    ),
    "internal-load-balancers": (
        "LoadBalancersInternal",
        "a74d8f00-2fd9-4ce4-968e-0ee1eb821698",
        "Enforce internal load balancers in AKS",
    ),
    "unique-ingress-hosts": (
        "UniqueIngressHostnames",
        "d011d9f7-ba32-4005-b727-b3d09371ca60",
        "Enforce unique ingress hostnames across namespaces in AKS",
    ),
}
#: The options that the issue names, by slug.
OPTIONS = {
    "allowed-images": {"--regex", "--registry"},
    "allowed-container-ports": {"--port", "--regex"},
    "allowed-service-ports": {"--port", "--regex", "--include-node-ports"},
    "required-labels": {"--label"},
    "https-ingress": {"--require-redirect"},
    "no-privileged": set(),
    "resource-limits": {
        "--cpu",
        "--memory",
        "--require-cpu",
        "--no-require-cpu",
        "--require-memory",
        "--no-require-memory",
    },
    "internal-load-balancers": {"--allow-node-port", "--no-allow-node-port"},
    "unique-ingress-hosts": {"--allow-same-namespace", "--forbid-same-namespace"},
}
SYSTEM_NAMESPACES = ["kube-system", "gatekeeper-system", "azure-arc", "azure-extensions-usage-system", "aksp-system"]
#: What asks for definitions.
STANDARDS = ("PSS baseline: ", "PSS restricted: ", "CIS Kubernetes 5.", "NSA/CISA: ", "AKS Deployment Safeguards")
#: Definitions that compare an object with others.
COMPARING = {
    "disruption-budgets",
    "https-ingress",
    "required-autoscalers",
    "required-disruption-budgets",
    "required-network-policies",
    "unique-ingress-hosts",
    "unique-service-selectors",
}
#: Definitions that know objects by kind and name, or by what they compare with texts of their own.
NAMING = {"allowed-kinds", "forbidden-kinds", "no-cluster-admin", "no-default-namespace"}
EACH = pytest.mark.parametrize("definition", DEFINITIONS.values(), ids=DEFINITIONS)


def _document(definition: Definition) -> Any:
    return as_json(Path(definition.origin))


def _options(definition: Definition) -> list[str]:
    """As `aksp assign` has them: a switch that names no opposite gets one."""
    options: list[str] = []
    for parameter in definition.parameters.values():
        option = parameter.option or ""
        options += option.split("/")
        if parameter.type is ParameterType.BOOLEAN and "/" not in option:
            options.append(option.replace("--", "--no-", 1))
    return options


def test_the_nine_of_the_preview_are_there_and_the_others_are_of_today() -> None:
    told = {slug: (d.azure_policy_id, d.name, d.display_name) for slug, d in DEFINITIONS.items()}
    assert {slug: told[slug] for slug in PREVIEW} == PREVIEW
    assert {slug for slug, d in DEFINITIONS.items() if d.category == "Kubernetes service"} == set(PREVIEW)
    assert {d.category for d in DEFINITIONS.values()} == {"Kubernetes service", "Kubernetes"}


@EACH
def test_a_definition_says_for_which_of_azure_s_it_stands_and_what_standards_ask_for_it(definition: Definition) -> None:
    assert definition.azure or definition.name == definition.slug
    for one in definition.azure:
        assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", one.id)
        assert one.versions and all(text.endswith(".") for text in one.differences)
        assert set(one.parameters.values()) <= set(definition.parameters)
    assert all(one.startswith(STANDARDS) for one in definition.standards)
    if definition.slug not in PREVIEW:
        names = {(one.id, one.name) for one in definition.azure}
        assert (definition.name, definition.azure_policy_id) in {*names, (definition.slug, None)}


@EACH
def test_options_are_those_of_the_issue_and_none_is_given_twice(definition: Definition) -> None:
    options = _options(definition)

    assert len(options) == len(set(options))
    assert OPTIONS.get(definition.slug, set()) <= set(options)


@EACH
def test_every_parameter_has_an_option_a_title_a_description_and_a_default_that_fits(definition: Definition) -> None:
    for parameter in definition.parameters.values():
        assert parameter.option, parameter.name
        assert parameter.display_name != parameter.name
        assert parameter.description.endswith((".", "$", "]")), parameter.description
        if parameter.has_default:
            assert value_problem(parameter, parameter.default) is None, parameter.name


@EACH
def test_the_common_parameters_are_the_same_everywhere(definition: Definition) -> None:
    common = definition.parameters

    # Messages about mutations must refuse nobody.
    assert common["effect"].default == ("Warn" if definition.slug == "mutation-messages" else "EnforceRegoPolicy")
    assert list(common["effect"].allowed_values) == [effect.value for effect in Effect]
    assert common["excludedNamespaces"].default == SYSTEM_NAMESPACES
    assert common["namespaces"].default == []
    assert common["labelSelector"].default == {}
    assert [common["source"].optional, common["warn"].optional] == [True, True]
    asks_for_containers = any(module.name == "lib/containers.rego" for module in definition.modules)
    assert ("excludedContainers" in common) == asks_for_containers
    assert ("excludedImages" in common) == asks_for_containers


@EACH
def test_the_document_is_an_azure_policy_in_data_mode_with_its_rego_in_a_file(definition: Definition) -> None:
    properties = _document(definition)["properties"]

    assert properties["mode"] == "Microsoft.Kubernetes.Data"
    assert properties["policyType"] == "BuiltIn"
    assert properties["policyRule"]["then"]["effect"] == "[parameters('effect')]"
    assert properties["policyRule"]["then"]["details"]["templateInfo"] == {"sourceType": "File", "path": "policy.rego"}
    assert properties["metadata"]["remediation"]
    assert set(definition.values) <= set(definition.parameters)


@EACH
def test_a_label_selector_is_checked_as_a_label_selector(definition: Definition) -> None:
    parameter = definition.parameters["labelSelector"]

    assert value_problem(parameter, {"matchLabels": {"app": "web"}}) is None
    assert value_problem(parameter, {"matchLabels": {"app": 1}})
    assert value_problem(parameter, {"matchLabel": {"app": "web"}})
    assert value_problem(parameter, {"matchExpressions": [{"key": "a", "operator": "Is"}]})


@pytest.mark.parametrize(
    ("slug", "names"),
    [
        ("allowed-images", ["--regex", "--registry"]),
        ("allowed-container-ports", ["--port", "--regex"]),
        ("allowed-service-ports", ["--port", "--regex"]),
    ],
)
def test_a_list_of_nothing_allowed_is_refused(slug: str, names: list[str]) -> None:
    (problem,) = problems(DEFINITIONS[slug], {})

    assert all(name in problem.hint for name in names)


# Rego


@EACH
def test_rego_compiles(definition: Definition, engine: Engine) -> None:
    assert engine.compile(definition.slug, definition.modules) == []


@EACH
def test_rego_reads_fields_and_never_a_whole_object(definition: Definition, engine: Engine) -> None:
    engine.compile(definition.slug, definition.modules)
    reads = engine.reads(definition.slug) or []
    fields = ("containers", "initContainers", "ephemeralContainers")
    whole = {"", "metadata", "spec", "status", "metadata.annotations", "metadata.labels", "spec.template"}
    whole |= {f"spec.{field}" for field in fields} | {f"spec.{field}[*]" for field in fields}

    assert reads or definition.slug in NAMING
    assert set(reads) & whole == set()
    assert "metadata.name" not in reads


@EACH
def test_rego_is_what_gatekeeper_would_load_as_a_constraint_template(definition: Definition) -> None:
    """Gatekeeper: a template imports nothing but its libraries, which are below package lib."""
    policy, *libraries = definition.modules

    assert _package(policy) == definition.slug.replace("-", "_")
    for module in (policy, *libraries):
        assert module.version == "v1"
        imports = re.findall(r"^import\s+(\S+)", module.source, re.MULTILINE)
        assert [name for name in imports if not name.startswith("data.lib.")] == []
        referred = set(re.findall(r"\bdata\.(\w+)", module.source))
        assert referred <= {"lib", "inventory"}
    assert all(_package(library).startswith("lib.") for library in libraries)
    named = {name for module in definition.modules for name in re.findall(r"data\.(lib\.\w+)", module.source)}
    assert named == {_package(library) for library in libraries}


def _package(module: RegoModule) -> str:
    match = re.search(r"^package\s+(\S+)", module.source, re.MULTILINE)
    assert match is not None
    return match[1]


@EACH
def test_only_a_rule_that_compares_objects_reads_the_inventory(definition: Definition) -> None:
    uses = any("data.inventory" in module.source for module in definition.modules)

    assert uses == bool(definition.requires_inventory) == (definition.slug in COMPARING)


def test_what_is_removed_is_among_the_kinds_that_are_judged() -> None:
    definition = DEFINITIONS["no-removed-apis"]
    removed = [
        (entry["apiVersion"].partition("/")[0], kind)
        for entry in definition.parameters["removed"].default
        for kind in entry["kinds"]
    ]

    assert len(removed) > 30
    assert [one for one in removed if not any(kind.covers(*one) for kind in definition.kinds)] == []
    assert [kind for kind in definition.kinds if (kind.group, kind.kind) not in removed and kind.group != "apps"] == []
