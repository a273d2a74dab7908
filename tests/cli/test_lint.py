"""``aksp lint``: each rule has a workspace that it is about, and one beside it that it is not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from aksp.catalog.folder import Folder
from aksp.catalog.rego_files import BUNDLED
from aksp.engine import Engine
from aksp.lint.reading import misread
from aksp.lint.selecting import unknown_kind
from aksp.model.definition import Definition, ResourceKind
from aksp.yaml_writer import to_yaml
from tests.cli.conftest import Aksp, pod

IMAGES = r"^contoso\.azurecr\.io/.+$"
SYSTEM = ["kube-system", "gatekeeper-system"]


def assignment(name: str, definition: str = "no-privileged", **spec: Any) -> Mapping[str, Any]:
    parameters = {key: {"value": value} for key, value in spec.pop("parameters", {}).items()}
    return {
        "apiVersion": "policy.aksp.io/v1alpha1",
        "kind": "PolicyAssignment",
        "metadata": {"name": name},
        "spec": {"policyDefinitionId": definition, **({"parameters": parameters} if parameters else {}), **spec},
    }


def exemption(name: str = "one", to: str = "a", **spec: Any) -> Mapping[str, Any]:
    return {
        "apiVersion": "policy.aksp.io/v1alpha1",
        "kind": "PolicyExemption",
        "metadata": {"name": name},
        "spec": {"policyAssignmentId": to, "exemptionCategory": "Waiver", **spec},
    }


def write(aksp: Aksp, *documents: Mapping[str, Any]) -> None:
    for one in documents:
        folder = "assignments" if one["kind"] == "PolicyAssignment" else "exemptions"
        aksp.put(f"ws/{folder}/{one['metadata']['name']}.yaml", to_yaml(one))


def rules(aksp: Aksp, *arguments: str) -> list[str]:
    run = aksp("lint", "-o", "json", *arguments)
    found = [one["rule"] for one in run.json["findings"]]
    assert run.code == (1 if found else 0), run.err
    return found


def images(name: str, regex: str = IMAGES, **spec: Any) -> Mapping[str, Any]:
    return assignment(name, "allowed-images", parameters={"allowedContainerImagesRegex": regex}, **spec)


def limits(memory: str) -> Mapping[str, Any]:
    return assignment("a", "resource-limits", parameters={"cpuLimit": "1", "memoryLimit": memory})


def within(name: str, effect: str = "Audit", **parameters: Any) -> Mapping[str, Any]:
    return assignment(name, parameters={"effect": effect, **parameters})


def labels(name: str, effect: str, value: str) -> Mapping[str, Any]:
    return within(name, effect, labelSelector={"matchLabels": {"team": value}})


def default_exclusions() -> list[str]:
    (found,) = (one for one in Folder(BUNDLED) if isinstance(one, Definition) and one.slug == "no-privileged")
    default = found.parameters["excludedNamespaces"].default
    assert set(SYSTEM) <= set(default)
    return list(default)


CASES: Sequence[tuple[str, Sequence[Mapping[str, Any]], Sequence[Mapping[str, Any]]]] = [
    ("loose-regex", [images("a", "contoso.azurecr.io/")], [images("a")]),
    ("quantity-without-unit", [limits("512")], [limits("512Mi")]),
    (
        "selects-nothing",
        [within("a", namespaces=["shop"], excludedNamespaces=["shop", *default_exclusions()])],
        [within("a", namespaces=["shop"], excludedNamespaces=["bank", *default_exclusions()])],
    ),
    (
        "selects-nothing",
        [assignment("a", scope="/nowhere/else")],
        [assignment("a", scope="/clusters/prod")],
    ),
    (
        "system-namespaces",
        [within("a", excludedNamespaces=["shop"])],
        [within("a", excludedNamespaces=["shop", *default_exclusions()])],
    ),
    (
        "system-namespaces",
        [within("a", excludedNamespaces=[], namespaces=["kube-*"])],
        [within("a", excludedNamespaces=[], namespaces=["shop"])],
    ),
    (
        "system-namespaces",
        [assignment("a", parameters={"excludedNamespaces": []}, scope="/subscriptions/1")],
        [assignment("a", parameters={"excludedNamespaces": []}, scope="/clusters/prod/namespaces/shop")],
    ),
    ("exemption-covers-nothing", [exemption(to="b"), assignment("a")], [exemption(), assignment("a")]),
    (
        "exemption-covers-nothing",
        [exemption(expiresOn="2020-01-01T00:00:00Z"), assignment("a")],
        [exemption(expiresOn="2999-01-01T00:00:00Z"), assignment("a")],
    ),
    (
        "exemption-covers-nothing",
        [exemption(scope="/clusters/dev"), assignment("a", scope="/clusters/prod")],
        [exemption(scope="/clusters/prod"), assignment("a", scope="/clusters/prod")],
    ),
    (
        "exemption-covers-nothing",
        [exemption(resources=[{"kind": "Service", "name": "web"}]), assignment("a")],
        [exemption(resources=[{"kind": "Deployment", "name": "web"}]), assignment("a")],
    ),
    (
        "exemption-covers-nothing",
        [exemption(resources=[{"namespace": "kube-system", "name": "web"}]), assignment("a")],
        [exemption(resources=[{"namespace": "shop", "name": "web"}]), assignment("a")],
    ),
    (
        "assignments-in-conflict",
        [within("a", "Audit"), within("b", "Deny")],
        [within("a", "Audit"), within("b", "Audit")],
    ),
    (
        "assignments-in-conflict",
        [images("a"), images("b", r"^fabrikam\.azurecr\.io/.+$")],
        [images("a", scope="/clusters/dev"), images("b", r"^fabrikam\.azurecr\.io/.+$", scope="/clusters/prod")],
    ),
    (
        "assignments-in-conflict",
        [images("a"), images("b", r"^fabrikam\.azurecr\.io/.+$", scope="/clusters/prod")],
        [
            images("a", notScopes=["/clusters/prod"]),
            images("b", r"^fabrikam\.azurecr\.io/.+$", scope="/clusters/prod"),
        ],
    ),
    (
        "assignments-in-conflict",
        [within("a", namespaces=["shop"]), within("b", "Deny", namespaces=["sh*"])],
        [within("a", namespaces=["shop"]), within("b", "Deny", namespaces=["ba*"])],
    ),
    (
        "assignments-in-conflict",
        [labels("a", "Audit", "red"), labels("b", "Deny", "red")],
        [labels("a", "Audit", "red"), labels("b", "Deny", "blue")],
    ),
]


def test_assignments_in_conflict_have_the_name_of_azures_state(aksp: Aksp) -> None:
    aksp.done("assign", "allowed-images", "--registry", "a.io", "--name", "one")
    aksp.done("assign", "allowed-images", "--registry", "b.io", "--name", "two")

    assert (
        "assignment two of allowed-images is Conflicting with what judges the same otherwise: one"
        " (allowedRegistries is ['a.io'] there and ['b.io'] here) [assignments-in-conflict]"
    ) in aksp("lint").out


@pytest.mark.parametrize(("rule", "wrong", "right"), CASES)
def test_a_rule_finds_its_workspace_and_not_the_one_beside_it(
    aksp: Aksp, rule: str, wrong: Sequence[Mapping[str, Any]], right: Sequence[Mapping[str, Any]]
) -> None:
    write(aksp, *wrong)
    assert set(rules(aksp)) == {rule}
    write(aksp, *right)
    assert rules(aksp) == []


def test_a_finding_has_file_and_line_of_the_field_and_what_to_do(aksp: Aksp) -> None:
    write(aksp, limits("512"))
    path = aksp.workspace / "assignments" / "a.yaml"
    line = path.read_text().splitlines().index("    memoryLimit:") + 1
    run = aksp("lint")
    assert run.code == 1
    first, then, last = run.out.splitlines()
    assert first.startswith(f"ws/assignments/a.yaml:{line}: warning: assignment a: ") and first.endswith(
        "[quantity-without-unit]"
    )
    assert then == "  write the unit, such as Mi or Gi" and last == "0 errors, 1 warning"


def test_a_workspace_without_findings_says_so_with_exit_code_0(aksp: Aksp) -> None:
    write(aksp, images("a"))
    run = aksp("lint")
    assert (run.code, run.out, run.err) == (0, "0 errors, 0 warnings\n", "")


def test_an_invalid_document_is_exit_code_2_with_its_place(aksp: Aksp) -> None:
    write(aksp, assignment("a", parameters={"nothing": 1}))
    run = aksp("lint")
    assert run.code == 2 and "a.yaml" in run.err and "no such parameter" in run.err and run.out == ""


def test_manifests_show_what_matches_and_waives_nothing(aksp: Aksp) -> None:
    write(aksp, assignment("a"), assignment("b", "internal-load-balancers"), exemption(resources=[{"name": "other"}]))
    aksp.put("pod.yaml", pod("web"))
    assert rules(aksp) == []
    assert sorted(rules(aksp, "-f", "pod.yaml")) == ["exemption-covers-nothing", "matches-nothing"]


def test_what_cannot_be_judged_hides_no_finding_and_is_no_success(aksp: Aksp) -> None:
    write(aksp, assignment("a"))
    aksp.put("bad.yaml", "kind: [")
    run = aksp("lint", "-f", "bad.yaml")
    assert run.code == 4 and "not judged" in run.err


def own(aksp: Aksp) -> Path:
    aksp.done("definitions", "new", "mine", "--kind", "Pod")
    (rego,) = (aksp.workspace / "definitions" / "mine").glob("*.rego")
    return rego


def test_a_new_definition_has_no_finding(aksp: Aksp) -> None:
    aksp.workspace.mkdir()
    own(aksp)
    assert rules(aksp) == []


def test_a_rule_that_reads_what_nothing_sets_is_found_in_its_rego(aksp: Aksp) -> None:
    aksp.workspace.mkdir()
    rego = own(aksp)
    rego.write_text(
        rego.read_text() + '\nextra if input.parameters.wanted == 1\n\nviolation contains {"msg": "x"} if extra\n'
    )
    run = aksp("lint", "-o", "json")
    (one,) = (each for each in run.json["findings"] if each["rule"] == "parameter-not-set")
    assert (
        run.code == 1
        and Path(one["file"]).resolve() == rego.resolve()
        and "wanted" in rego.read_text().splitlines()[one["line"] - 1]
    )


def test_a_parameter_that_nothing_takes_is_found_where_it_is_declared(aksp: Aksp) -> None:
    aksp.workspace.mkdir()
    path = own(aksp).parent / "definition.json"
    text = path.read_text()
    path.write_text(
        text.replace('"parameters": {', '"parameters": {\n"idle": {"type": "String", "defaultValue": ""},', 1)
    )
    run = aksp("lint", "-o", "json")
    (one,) = run.json["findings"]
    assert one["rule"] == "parameter-not-read" and '"idle"' in path.read_text().splitlines()[one["line"] - 1]


def test_a_kind_of_another_group_is_unknown_and_one_of_others_is_not() -> None:
    assert unknown_kind(ResourceKind(group="", kind="Deployment")) == "Deployment is of the API group 'apps'"
    assert unknown_kind(ResourceKind(group="core", kind="Pod")) == "Pod is of the API group ''"
    assert unknown_kind(ResourceKind(group="v1", kind="pods")) == "the API group of Pods is ''"
    for kind in ("Pods", "pods", "pod", "Podd"):
        assert unknown_kind(ResourceKind(group="", kind=kind)) == "did you mean 'Pod'?"
    for group, kind in (
        ("extensions", "Ingress"),
        ("apps", "Deployment"),
        ("", "*"),
        ("argoproj.io", "Rollout"),
        ("*", "Pods"),
        ("", "Binding"),
    ):
        assert unknown_kind(ResourceKind(group=group, kind=kind)) is None


def test_an_assigned_definition_of_a_kind_that_is_not_there_is_found(aksp: Aksp) -> None:
    aksp.workspace.mkdir()
    path = own(aksp).parent / "definition.json"
    write(aksp, assignment("a", "mine"))
    assert rules(aksp) == []
    path.write_text(path.read_text().replace('"Pod"', '"Pods"', 1))
    assert "unknown-kind" in rules(aksp)


def test_the_bundled_definitions_with_their_defaults_have_no_finding(aksp: Aksp) -> None:
    definitions = [one for one in Folder(BUNDLED) if isinstance(one, Definition)]
    with Engine() as engine:
        assert [found for one in definitions for found in misread(engine, one)] == []
    assigned = [
        one for one in definitions if not one.require_any_of and not any(p.required for p in one.parameters.values())
    ]
    write(aksp, *(assignment(one.slug, one.slug) for one in assigned))
    assert len(assigned) > 30
    run = aksp("lint")
    assert (run.code, run.out) == (0, "0 errors, 0 warnings\n")
