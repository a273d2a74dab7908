"""Definitions as custom resources: written, read again, and judged the same by the real engine."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from aksp.catalog.custom import definition_from_resource, resource_of
from aksp.catalog.folder import Folder, as_json, bundled, is_bundled
from aksp.catalog.interface import Catalogs
from aksp.catalog.template import template_of
from aksp.compliance.expressions import resolve
from aksp.compliance.judgement import Task
from aksp.compliance.parameters import effective
from aksp.engine import Engine
from aksp.errors import ExitCode, InvalidPolicy
from aksp.model.definition import Definition, RegoModule
from tests.catalog.documents import DETAILS, TEMPLATE_INFO, V0_RULE, base64_of, document, template, write
from tests.docs.pages import ROOT, blocks
from tests.replacing import replace

WHERE = "policydefinition.policy.aksp.io/ours"
INFO = "spec.policyRule.then.details.templateInfo"

PODS: list[dict[str, Any]] = [
    {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": "shop"},
        "spec": {
            "bad": name == "web",
            "containers": [{"name": "c", "image": image, "securityContext": {"privileged": name == "web"}}],
            "initContainers": [{"name": "i", "image": "busybox"}],
        },
    }
    for name, image in (("web", "nginx:latest"), ("db", "registry:5000/postgres:17"), ("pinned", "a@sha256:0"))
]
V0_WITH_LIBRARY = """package rule

import data.lib.words

violation[{"msg": msg}] { input.review.object.spec.containers[_].image == words.bad; msg := words.said }
"""
V0_LIBRARY = """package lib.words

bad = "nginx:latest"
said = "tab\\tand \\"quotes\\""
"""


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    with Engine() as running:
        yield running


def the_example(root: Path) -> Path:
    """The definition with a library in docs/definitions.md."""
    for block in blocks(ROOT / "docs" / "definitions.md"):
        if block.file is not None:
            path = root / block.file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(block.text, encoding="utf-8")
    return root / "definitions"


def stored(definition: Definition) -> dict[str, Any]:
    """The custom resource as an API server gives it back."""
    made = json.loads(json.dumps(resource_of(definition, as_json(Path(definition.origin)))))
    made["metadata"] |= {"uid": "1", "generation": 3, "managedFields": [{"manager": "aksp"}]}
    return {**made, "status": {"observedGeneration": 3, "appliedSpec": {}}}


def findings(engine: Engine, definition: Definition) -> list[tuple[str, str]]:
    """What the rule finds with its default parameters, by the real engine."""
    assert engine.compile("rule", definition.modules) == []
    page = {"apiVersion": "v1", "kind": "PodList", "metadata": {}, "items": PODS}
    batch = engine.load_list(json.dumps(page).encode())
    values = resolve(definition.values, effective(definition, {}))
    judgement = engine.judge(batch, [Task(policy="rule", parameters=values, documents=range(len(PODS)))])
    engine.release(batch)
    assert not judgement.faults
    return sorted(
        (PODS[hit.document]["metadata"]["name"], json.dumps(judgement.findings[number], sort_keys=True))
        for hit in judgement.hits
        for number in hit.findings
    )


def library_template(version: str | None, rego: str, *libraries: str) -> str:
    source: dict[str, Any] = {"rego": rego, "libs": list(libraries)}
    if version:
        source["version"] = version
    return template({"code": [{"engine": "Rego", "source": source}]})


def v1(rego: str) -> str:
    return rego.replace("[{", " contains {").replace("}] {", "} if {")


SOURCES: Mapping[str, Any] = {
    "v1 in a file": {},
    "v0 in a template": {"info": {"sourceType": "File", "path": "t.yaml"}, "t_yaml": template()},
    "v0 with a library": {
        "info": {"sourceType": "File", "path": "t.json"},
        "t_json": json.dumps(yaml.safe_load(library_template(None, V0_WITH_LIBRARY, V0_LIBRARY))),
    },
    "v1 with a library": {
        "info": {"sourceType": "File", "path": "t.yml"},
        "t_yml": library_template("v1", v1(V0_WITH_LIBRARY), V0_LIBRARY.replace(" = ", " := ")),
    },
    "v0 in base64": {"info": base64_of(library_template(None, V0_WITH_LIBRARY, V0_LIBRARY))},
}


@pytest.mark.parametrize("source", SOURCES)
def test_a_definition_of_any_source_judges_the_same_from_a_custom_resource(
    source: str, engine: Engine, tmp_path: Path
) -> None:
    files = dict(SOURCES[source])
    info = files.pop("info", None)
    write(tmp_path, made=document(**({TEMPLATE_INFO: info} if info else {})), **files)
    (before,) = Catalogs([Folder(tmp_path)])
    after = definition_from_resource(stored(before), WHERE)

    assert [(m.source, m.version) for m in after.modules] == [(m.source, m.version) for m in before.modules]
    assert replace(after, modules=(), origin="") == replace(before, modules=(), origin="")
    assert after.origin == WHERE
    found = findings(engine, before)
    assert found
    assert findings(engine, after) == found


def test_the_example_of_the_docs_judges_the_same_from_a_custom_resource(engine: Engine, tmp_path: Path) -> None:
    (before,) = Catalogs([Folder(the_example(tmp_path))])
    assert len(before.modules) == 2
    after = definition_from_resource(stored(before), WHERE)

    assert replace(after, modules=(), origin="") == replace(before, modules=(), origin="")
    found = findings(engine, before)
    assert {name for name, _ in found} == {"web", "db", "pinned"}
    assert findings(engine, after) == found


def test_every_definition_that_comes_with_aksp_would_be_the_same(engine: Engine) -> None:
    for before in bundled():
        after = definition_from_resource(stored(before), WHERE)
        assert [m.source for m in after.modules] == [m.source for m in before.modules]
        assert replace(after, modules=(), origin="") == replace(before, modules=(), origin="")
        assert engine.compile("rule", after.modules) == []


def test_text_of_every_kind_comes_back_as_it_was() -> None:
    odd = "package x\r\n\n# ü 😀 \u2028 \x85 \ufeff trailing \t\n\n\n"
    modules = (RegoModule(name="a", source=odd), RegoModule(name="b", source="package lib.y"))
    text = template_of("x", modules, "here")

    assert yaml.safe_load(text)["spec"]["targets"][0]["code"][0]["source"] == {
        "version": "v1",
        "rego": odd,
        "libs": ["package lib.y"],
    }


def test_the_template_inside_is_one_for_gatekeeper(tmp_path: Path) -> None:
    write(tmp_path, slug="no-bad.rule")
    (one,) = Catalogs([Folder(tmp_path)])
    info = resource_of(one, document())["spec"]["policyRule"]["then"]["details"]["templateInfo"]
    made = yaml.safe_load(base64.b64decode(info["content"]))

    assert info["sourceType"] == "Base64Encoded" and set(info) == {"sourceType", "content"}
    assert made["metadata"]["name"] == "nobadrule"
    assert made["spec"]["crd"]["spec"]["names"]["kind"] == "NoBadRule"


def test_a_resource_has_the_properties_and_the_name_of_the_document(tmp_path: Path) -> None:
    write(tmp_path)
    (one,) = Catalogs([Folder(tmp_path)])
    written = document()
    made = resource_of(one, written)

    assert written == document(), "the document is left as it was"
    assert made["metadata"] == {"name": "ours"}
    assert made["spec"]["name"] == written["name"]
    assert made["spec"]["parameters"] == written["properties"]["parameters"]
    del written["name"]
    assert "name" not in resource_of(one, written)["spec"]


def test_rego_of_two_versions_fits_no_template(tmp_path: Path) -> None:
    write(tmp_path)
    (one,) = Catalogs([Folder(tmp_path)])
    mixed = replace(
        one, modules=(*one.modules, RegoModule(name="lib/old.rego", source="package lib.old", version="v0"))
    )

    with pytest.raises(InvalidPolicy, match="is of the versions v0, v1, and a template has one") as error:
        resource_of(mixed, document())
    assert error.value.where == one.origin
    assert error.value.hint == "write all of its modules in Rego v1"


def test_a_folder_whose_name_no_object_can_have_is_refused(tmp_path: Path) -> None:
    write(tmp_path, slug="Our_Rule")
    (one,) = Catalogs([Folder(tmp_path)])

    with pytest.raises(InvalidPolicy, match="'Our_Rule' cannot be called so in a cluster") as error:
        resource_of(one, document())
    assert error.value.hint == "rename its folder"


def test_definitions_that_come_with_aksp_are_told_from_others(tmp_path: Path) -> None:
    write(tmp_path)
    assert all(map(is_bundled, bundled()))
    assert not any(map(is_bundled, Catalogs([Folder(tmp_path)])))


def resource(**changes: Any) -> dict[str, Any]:
    """A PolicyDefinition; changes of its spec by dotted path, as of a document."""
    made = document(**{TEMPLATE_INFO: base64_of(template()), **changes})
    return {
        "apiVersion": "policy.aksp.io/v1alpha1",
        "kind": "PolicyDefinition",
        "metadata": {"name": "ours"},
        "spec": {"name": made["name"], **made["properties"]},
    }


def wrong(made: Any) -> InvalidPolicy:
    with pytest.raises(InvalidPolicy) as error:
        definition_from_resource(made, WHERE)
    assert (error.value.where, error.value.exit_code) == (WHERE, ExitCode.INVALID)
    return error.value


@pytest.mark.parametrize(
    ("made", "problem"),
    [
        ([], "the document is a list, expected an object"),
        ({**resource(), "apiVersion": "v1"}, "apiVersion is 'v1', expected policy.aksp.io/v1alpha1"),
        ({**resource(), "kind": "Policy"}, "kind is 'Policy', expected PolicyDefinition"),
        ({**resource(), "metadata": None}, "metadata is null, expected an object"),
        ({**resource(), "metadata": {}}, "metadata.name is missing"),
        ({**resource(), "metadata": {"name": "Ours"}}, "metadata.name is 'Ours', expected lower-case letters"),
        ({**resource(), "spec": None}, "spec is null, expected an object"),
        ({**resource(), "spec": {}}, "spec.policyRule is missing"),
        ({**resource(), "spec": {**resource()["spec"], "name": 5}}, "spec.name is a number, expected a string"),
        (resource(**{TEMPLATE_INFO: None}), f"{INFO} is missing"),
        (resource(**{TEMPLATE_INFO: {"sourceType": "File", "path": "x"}}), f"{INFO}.sourceType is 'File', expected"),
        (resource(**{TEMPLATE_INFO: {"sourceType": "Base64Encoded"}}), f"{INFO}.content is missing"),
        (resource(**{TEMPLATE_INFO: {"sourceType": "Base64Encoded", "content": "?"}}), "content is not base64"),
        (resource(**{TEMPLATE_INFO: base64_of("kind: Pod")}), "not a ConstraintTemplate"),
        (resource(**{f"{DETAILS}.kinds": None}), "spec.policyRule.then.details.kinds names no kind"),
        (resource(**{"properties.mode": "All"}), "spec.mode is 'All', expected Microsoft.Kubernetes.Data"),
        (resource(**{"properties.metadata.severity": "x"}), "spec.metadata.severity 'x' is not one of"),
        (resource(**{"properties.parameters.x": {"type": "Map"}}), "spec.parameters.x.type 'Map' is not one of"),
    ],
)  # fmt: skip
def test_a_resource_that_is_wrong_names_the_field(made: Any, problem: str) -> None:
    assert problem in wrong(made).what


def test_a_resource_by_hand_needs_little() -> None:
    made = resource()
    del made["spec"]["name"]
    one = definition_from_resource(made, WHERE)

    assert (one.slug, one.name, one.display_name) == ("ours", "ours", "A rule of our own")
    assert [(m.name, m.source, m.version) for m in one.modules] == [(f"{WHERE} (lines of rego)", V0_RULE, "v0")]
