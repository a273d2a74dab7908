"""Definitions from a folder: what is read, and what is refused with file and field."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from aksp.catalog.folder import Folder, FolderReadOnce, bundled
from aksp.catalog.interface import BrokenDefinition, Catalogs
from aksp.catalog.rego_files import BUNDLED
from aksp.catalog.template import SYNC_DATA
from aksp.errors import ExitCode, InvalidInput, InvalidPolicy
from aksp.model.definition import MISSING, Definition, ParameterType, ResourceKind
from tests.catalog.documents import DETAILS, TEMPLATE_INFO, V0_RULE, V1_RULE, base64_of, document, template, write

EFFECT = "properties.policyRule.then.effect"
PARAMETERS = "properties.parameters"


def read(root: Path) -> Definition:
    (one,) = Folder(root)
    assert isinstance(one, Definition), one
    return one


def refused(root: Path) -> InvalidPolicy:
    (error,) = [one.error for one in Folder(root) if isinstance(one, BrokenDefinition)]
    assert error.exit_code is ExitCode.INVALID
    return error


# Documents


def test_an_azure_document_is_read_field_by_field(tmp_path: Path) -> None:
    folder = write(tmp_path)
    one = read(tmp_path)

    assert (one.slug, one.name) == ("ours", "11111111-2222-3333-4444-555555555555")
    assert (one.display_name, one.category, one.version, one.severity) == ("A rule of our own", "Ours", "2.1.0", "low")
    assert (one.policy_type, one.azure_policy_id) == ("Custom", "OurRule")
    assert one.kinds == (ResourceKind(group="", kind="Pod"),)
    assert [(m.name, m.source, m.version) for m in one.modules] == [(str(tmp_path / "ours/policy.rego"), V1_RULE, "v1")]
    assert one.parameters["effect"].type is ParameterType.STRING
    assert one.parameters["effect"].allowed_values == ("Audit", "Deny", "Disabled")
    assert one.origin == str(folder / "definition.json")


def test_little_is_enough(tmp_path: Path) -> None:
    made = document(
        name=None,
        **{"properties.displayName": None, "properties.metadata": None, PARAMETERS: None, EFFECT: "Audit"},
    )
    write(tmp_path, made=made)
    one = read(tmp_path)

    assert (one.name, one.display_name, one.category, one.severity) == ("ours", "ours", "Custom", "medium")
    assert one.parameters == {}


def test_no_default_is_no_null(tmp_path: Path) -> None:
    parameters = {"a": {"type": "Object"}, "b": {"type": "Object", "defaultValue": None}}
    write(tmp_path, made=document(**{PARAMETERS: parameters, EFFECT: "Audit"}))
    one = read(tmp_path)

    assert one.parameters["a"].default is MISSING and one.parameters["a"].required
    assert one.parameters["b"].default is None and not one.parameters["b"].required


@pytest.mark.parametrize(
    ("details", "kinds"),
    [
        ({"apiGroups": ["", "apps"], "kinds": ["Pod"]}, {("", "Pod"), ("apps", "Pod")}),
        ({"kinds": ["Pod"]}, {("*", "Pod")}),
        ({"kinds": [{"apiGroups": ["apps"], "kinds": ["Deployment"]}, {"apiGroups": [""], "kinds": ["Pod"]}]},
         {("apps", "Deployment"), ("", "Pod")}),
        ({"kinds": [{"apiGroups": ["apps"]}]}, {("apps", "*")}),
    ],
)  # fmt: skip
def test_kinds_may_be_written_in_azure_s_two_ways(
    details: dict[str, Any], kinds: set[tuple[str, str]], tmp_path: Path
) -> None:
    info = document()["properties"]["policyRule"]["then"]["details"]["templateInfo"]
    write(tmp_path, made=document(**{DETAILS: {"templateInfo": info, **details}}))

    assert {(k.group, k.kind) for k in read(tmp_path).kinds} == kinds


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"properties": None}, "properties is missing"),
        ({"properties": []}, "properties is a list, expected an object"),
        ({"properties.policyRule": None}, "properties.policyRule is missing"),
        ({"properties.policyRule": {"if": {}}}, "properties.policyRule.then is missing"),
        ({DETAILS: None}, "properties.policyRule.then.details is missing"),
        ({TEMPLATE_INFO: None}, "properties.policyRule.then.details.templateInfo is missing"),
        ({f"{TEMPLATE_INFO}.sourceType": None}, "templateInfo.sourceType is missing"),
        ({f"{TEMPLATE_INFO}.path": None}, "templateInfo.path is missing"),
        ({f"{DETAILS}.kinds": None}, "kinds names no kind"),
        ({f"{DETAILS}.kinds": "Pod"}, "kinds is a string, expected a list"),
        ({f"{DETAILS}.kinds": [5]}, "kinds is a list, expected a list of strings"),
        ({f"{DETAILS}.kinds": [{"kinds": "Pod"}]}, "kinds[0].kinds is a string, expected a list"),
        ({f"{DETAILS}.kinds": [{"kinds": ["Pod"]}, "Pod"]}, "kinds[1] is a string, expected an object"),
        ({f"{DETAILS}.apiGroups": [None]}, "apiGroups is a list, expected a list of strings"),
        ({"properties.mode": "All"}, "properties.mode is 'All', expected Microsoft.Kubernetes.Data"),
        ({"properties.metadata.severity": "awful"}, "properties.metadata.severity 'awful' is not one of low, medium"),
        ({"properties.metadata.azurePolicyId": 5}, "properties.metadata.azurePolicyId is a number"),
        ({"properties.metadata.requireAnyOf": [["gone"]]}, "properties.metadata.requireAnyOf has ['gone']"),
        ({"properties.metadata.requireAnyOf": ["effect"]}, "properties.metadata.requireAnyOf has 'effect'"),
        ({"properties.metadata.requiresInventory": ["Pod"]}, "requiresInventory[0] is a string, expected an object"),
        ({PARAMETERS: []}, "properties.parameters is a list"),
        ({f"{PARAMETERS}.x": 5}, "properties.parameters.x is a number, expected an object"),
        ({f"{PARAMETERS}.x": {}}, "properties.parameters.x.type is missing"),
        ({f"{PARAMETERS}.x": {"type": "Text"}}, "properties.parameters.x.type 'Text' is not one of String, Array"),
        ({f"{PARAMETERS}.x": {"type": "Array", "schema": []}}, "properties.parameters.x.schema is a list"),
        ({f"{PARAMETERS}.x": {"type": "Array", "allowedValues": 5}}, "properties.parameters.x.allowedValues is a number"),
        ({f"{PARAMETERS}.x": {"type": "Array", "metadata": []}}, "properties.parameters.x.metadata is a list"),
        ({f"{PARAMETERS}.x": {"type": "Array", "metadata": {"option": "x"}}}, "x.metadata.option 'x' is not --NAME"),
        ({"properties.displayName": 5}, "properties.displayName is a number, expected a string"),
        ({"name": True}, "name is a boolean, expected a string"),
    ],
)  # fmt: skip
def test_a_malformed_document_is_refused_with_file_and_field(
    changes: dict[str, Any], problem: str, tmp_path: Path
) -> None:
    folder = write(tmp_path, made=document(**changes))
    error = refused(tmp_path)

    assert problem in error.what
    assert error.where == str(folder / "definition.json")


@pytest.mark.parametrize("text", ["", "{", "[1, 2", '{"a": }', "[" * 100_000])
def test_what_is_no_json_is_refused(text: str, tmp_path: Path) -> None:
    write(tmp_path, made=text)

    assert refused(tmp_path).what.startswith("not JSON: ")


@pytest.mark.parametrize("text", ["[]", '"text"', "null", "5"])
def test_json_that_is_no_object_is_refused(text: str, tmp_path: Path) -> None:
    write(tmp_path, made=text)

    assert "the document is" in refused(tmp_path).what


def test_text_that_is_no_utf_8_is_refused(tmp_path: Path) -> None:
    folder = write(tmp_path)
    (folder / "definition.json").write_bytes(b"\xff\xfe{")

    assert "cannot be read" in refused(tmp_path).what


# Rego


def test_libraries_that_a_rule_imports_come_with_it_and_with_theirs(tmp_path: Path) -> None:
    library = tmp_path / "lib"
    library.mkdir()
    for name, source in {
        "one": "package lib.one\n\nimport data.lib.two\n\nx := two.x\n",
        "two": "package lib.two\n\nx := 1\n",
        "unused": "package lib.unused\n",
    }.items():
        (library / f"{name}.rego").write_text(source, encoding="utf-8")
    write(tmp_path, policy_rego="package rule\n\nimport data.lib.one\n\nviolation contains {} if one.x\n")

    names = [str(tmp_path / name) for name in ("lib/one.rego", "lib/two.rego", "ours/policy.rego")]
    assert sorted(m.name for m in read(tmp_path).modules) == names


@pytest.mark.parametrize("path", ["../other/policy.rego", "/etc/passwd", "..", ".", "a/../../x.rego"])
def test_a_path_out_of_the_definition_s_folder_is_refused(path: str, tmp_path: Path) -> None:
    write(tmp_path, "other")
    write(tmp_path, made=document(**{f"{TEMPLATE_INFO}.path": path}))

    assert "leads out of the definition's folder" in refused(tmp_path).what


def test_a_link_out_of_the_definition_s_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "secret.rego").write_text(V1_RULE, encoding="utf-8")
    folder = write(tmp_path / "definitions")
    (folder / "policy.rego").unlink()
    (folder / "policy.rego").symlink_to(tmp_path / "secret.rego")

    assert "leads out of the definition's folder" in refused(tmp_path / "definitions").what


def test_rego_that_is_not_there_is_refused_with_its_path(tmp_path: Path) -> None:
    folder = write(tmp_path, made=document(**{f"{TEMPLATE_INFO}.path": "gone.rego"}))
    error = refused(tmp_path)

    assert (error.what, error.where) == ("there is no such file", str(folder / "gone.rego"))


def test_a_public_url_is_not_fetched_and_the_way_out_is_told(tmp_path: Path) -> None:
    info = {"sourceType": "PublicURL", "url": "https://example.com/template.yaml"}
    write(tmp_path, made=document(**{TEMPLATE_INFO: info}))
    error = refused(tmp_path)

    assert "https://example.com/template.yaml" in error.what
    assert "sourceType File" in (error.hint or "")


def test_an_unknown_source_is_refused(tmp_path: Path) -> None:
    write(tmp_path, made=document(**{f"{TEMPLATE_INFO}.sourceType": "Carrier pigeon"}))

    assert "'Carrier pigeon' is not one of File, Base64Encoded, PublicURL" in refused(tmp_path).what


# Constraint templates


@pytest.mark.parametrize(
    ("target", "modules"),
    [
        ({"rego": V0_RULE}, [(V0_RULE, "v0")]),
        ({"rego": V0_RULE, "libs": ["package lib.a", "package lib.b"]},
         [(V0_RULE, "v0"), ("package lib.a", "v0"), ("package lib.b", "v0")]),
        ({"code": [{"engine": "Rego", "source": {"version": "v1", "rego": V1_RULE}}]}, [(V1_RULE, "v1")]),
        ({"code": [{"engine": "K8sNativeValidation", "source": {}}, {"engine": "Rego", "source": {"rego": V0_RULE}}]},
         [(V0_RULE, "v0")]),
    ],
)  # fmt: skip
def test_a_gatekeeper_template_gives_its_rego_and_libraries(
    target: dict[str, Any], modules: list[tuple[str, str]], tmp_path: Path
) -> None:
    write(tmp_path, made=document(**{f"{TEMPLATE_INFO}.path": "template.yaml"}), template_yaml=template(target))

    assert [(m.source, m.version) for m in read(tmp_path).modules] == modules


def test_a_template_in_base64_is_as_good_as_one_in_a_file(tmp_path: Path) -> None:
    write(tmp_path, made=document(**{TEMPLATE_INFO: base64_of(template())}))

    assert [(m.source, m.version) for m in read(tmp_path).modules] == [(V0_RULE, "v0")]


@pytest.mark.parametrize("content", ["not base64!", "//79", "====", 5])
def test_what_is_no_base64_of_text_is_refused(content: Any, tmp_path: Path) -> None:
    write(tmp_path, made=document(**{TEMPLATE_INFO: {"sourceType": "Base64Encoded", "content": content}}))

    assert "content is" in refused(tmp_path).what


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a: [", "invalid YAML"),
        ("a: 2026-13-45", "invalid YAML"),
        ("[" * 5000, "invalid YAML"),
        ("kind: Pod", "not a ConstraintTemplate"),
        ("[]", "not a ConstraintTemplate"),
        (template(spec=[]), "spec.targets must have exactly one target"),
        (template(spec={"targets": []}), "spec.targets must have exactly one target"),
        (template(spec={"targets": [{}, {}]}), "spec.targets must have exactly one target"),
        (template({"target": "elsewhere", "rego": V0_RULE}), "spec.targets[0].target is 'elsewhere'"),
        (
            template({"code": [{"engine": "K8sNativeValidation", "source": {}}]}),
            "no Rego: the template's engines are K8s",
        ),
        (template({"code": "Rego"}), "code must be a list"),
        (template({"code": ["Rego"]}), "code must be a list"),
        (template({"code": [{"engine": "Rego"}]}), "has no source"),
        (template({"code": [{"engine": "Rego", "source": {"rego": 5}}]}), "rego and libs must be text"),
        (template({"rego": V0_RULE, "libs": [5]}), "rego and libs must be text"),
        (template({"rego": V0_RULE, "libs": "package a"}), "rego and libs must be text"),
        (template({"rego": V0_RULE, "version": "v2"}), "Rego version 'v2' is not v0 or v1"),
        (template({"x": 1}), "neither rego nor code"),
    ],
)
def test_a_template_without_usable_rego_is_refused(text: str, problem: str, tmp_path: Path) -> None:
    folder = write(tmp_path, made=document(**{f"{TEMPLATE_INFO}.path": "template.yaml"}), template_yaml=text)
    error = refused(tmp_path)

    assert problem in error.what
    line = str(error.where).removeprefix(str(folder / "template.yaml"))
    assert line in ((":1", ":2") if problem == "invalid YAML" else ("",))


# Several catalogues


def test_a_definition_is_found_by_any_of_its_names_in_any_case(tmp_path: Path) -> None:
    write(tmp_path)
    catalogs = Catalogs([Folder(tmp_path)])
    guid = "11111111-2222-3333-4444-555555555555"

    for name in ("ours", "OURS", guid, "ourrule", f"/providers/Microsoft.Authorization/policyDefinitions/{guid}/"):
        assert catalogs.get(name).slug == "ours"


@pytest.mark.parametrize(
    ("name", "slug"),
    [
        ("95edb821-ddaf-4404-9732-666045e056b4", "no-privileged"),
        ("7ce7ac02-a5c6-45d6-8d1b-844feb1c1531", "no-privileged"),
        ("/providers/Microsoft.Authorization/policyDefinitions/1A5B4DCA-0b6f-4cf5-907c-56316bc1bf3d", "https-ingress"),
        ("IngressHttpsOnly", "https-ingress"),
        ("httpsingressonly", "https-ingress"),
        ("BlockHostNamespace", "block-host-namespaces"),
    ],
)
def test_a_definition_is_found_by_the_names_of_all_definitions_of_azure_that_it_stands_for(
    name: str, slug: str
) -> None:
    assert Catalogs([bundled()]).get(name).slug == slug


def test_what_comes_with_aksp_is_read_by_its_slug_as_among_all_others() -> None:
    folder = Folder(BUNDLED)
    every = [*folder, *folder.initiatives()]
    assert len(every) > 80
    for one in every:
        assert folder.get(one.slug) == one


@pytest.mark.parametrize(
    "slug", ["lib", "initiatives", "..", ".", "", "no-privileged/../no-host-ports", "x\0", "nothing"]
)
def test_nothing_else_is_read_by_a_slug(slug: str) -> None:
    assert Folder(BUNDLED).get(slug) is None


def test_a_definition_that_is_named_by_its_slug_is_the_only_one_that_is_read(tmp_path: Path) -> None:
    read = []

    class Noted(Folder):
        def __iter__(self) -> Iterator[Definition | BrokenDefinition]:
            read.append("all")
            return super().__iter__()

    catalogs = Catalogs([Noted(BUNDLED), Noted(tmp_path)], first=FolderReadOnce(Noted(BUNDLED)).get)

    assert catalogs.get("No-Privileged").slug == "no-privileged"
    assert catalogs.find("pod-security-baseline") is catalogs.find("pod-security-baseline")
    assert read == []
    assert catalogs.get("ContainerNoPrivilege").slug == "no-privileged"
    assert read == ["all", "all"]


def test_an_unknown_definition_is_refused_with_the_nearest() -> None:
    with pytest.raises(InvalidInput, match="there is no definition 'allowed-image'") as error:
        Catalogs([bundled()]).get("allowed-image")

    assert "did you mean 'allowed-images'?" in (error.value.hint or "")


def test_a_slug_that_is_taken_is_refused_with_both_places(tmp_path: Path) -> None:
    folder = write(tmp_path, "no-privileged")
    catalogs = Catalogs([bundled(), Folder(tmp_path)])
    (broken,) = catalogs.broken

    assert "definition 'no-privileged' is there already" in broken.error.what
    assert broken.error.where == str(folder / "definition.json")
    assert "definitions/no-privileged/definition.json" in broken.error.what
    assert len(list(catalogs)) == len(bundled())
    assert catalogs.get("no-privileged").origin != str(folder / "definition.json")


@pytest.mark.parametrize(
    ("slug", "changes", "taken"),
    [
        ("second", {}, "11111111-2222-3333-4444-555555555555"),
        ("second", {"name": "OURS"}, "ours"),
        ("second", {"name": "other"}, "ourrule"),
        ("OURS", {"name": "other", "properties.metadata.azurePolicyId": None}, "there already"),
        ("zz", {"name": "Allowed-Images", "properties.metadata.azurePolicyId": None}, "allowed-images"),
    ],
)
def test_a_name_that_another_definition_has_keeps_the_later_one_out(
    slug: str, changes: dict[str, Any], taken: str, tmp_path: Path
) -> None:
    root, other = tmp_path / "one", tmp_path / "two"
    write(root, "ours")
    write(other, slug, made=document(**changes))
    catalogs = Catalogs([bundled(), Folder(root), Folder(other)])
    (broken,) = catalogs.broken

    assert (broken.slug, taken in broken.error.what) == (slug, True)
    assert catalogs.get("ours").origin == str(root / "ours" / "definition.json")


def test_one_definition_that_is_broken_harms_no_other(tmp_path: Path) -> None:
    write(tmp_path, "a", made=document(name="a", **{"properties.metadata": None}))
    write(tmp_path, "b", made="{")
    write(tmp_path, "c", made=document(name="c", **{"properties.metadata": None}))
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "policy.rego").write_text(V1_RULE, encoding="utf-8")
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "bad.rego").write_bytes(b"\xff")
    catalogs = Catalogs([Folder(tmp_path)])

    assert [one.slug for one in catalogs] == ["a", "c"]
    assert [(one.slug, one.error.what.partition(":")[0]) for one in catalogs.broken] == [
        ("b", "not JSON"),
        ("d", "there is no definition.json beside policy.rego"),
    ]
    for slug in ("B", "d"):
        with pytest.raises(InvalidPolicy):
            catalogs.get(slug)
    with pytest.raises(InvalidInput, match="there is no definition 'e'") as error:
        catalogs.get("e")
    assert "b, d cannot be loaded" in (error.value.hint or "")


def test_a_library_that_cannot_be_read_concerns_the_rules_that_import_it(tmp_path: Path) -> None:
    write(tmp_path, "a", made=document(name="a", **{"properties.metadata": None}))
    importing = "package rule\n\nimport data.lib.bad\n\nviolation contains {} if bad.x\n"
    write(tmp_path, "b", made=document(name="b", **{"properties.metadata": None}), policy_rego=importing)
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "bad.rego").write_bytes(b"\xff")
    catalogs = Catalogs([Folder(tmp_path)])

    assert [one.slug for one in catalogs] == ["a"]
    assert [(one.slug, "cannot be read" in one.error.what) for one in catalogs.broken] == [("b", True)]


def test_definitions_come_by_slug_and_an_absent_folder_has_none(tmp_path: Path) -> None:
    for slug in ("b", "a"):
        write(tmp_path, slug, made=document(name=slug, **{"properties.metadata": None}))
    (tmp_path / "empty").mkdir()

    assert [d.slug for d in Catalogs([Folder(tmp_path), Folder(tmp_path / "gone")])] == ["a", "b"]


def test_every_document_of_ours_is_what_azure_s_schema_asks_of_a_name(tmp_path: Path) -> None:
    for one in bundled():
        made = json.loads(Path(one.origin).read_text(encoding="utf-8"))
        assert made["name"] == one.name
        assert len(one.display_name) <= 128 and len(one.description) <= 512, one.slug


@pytest.mark.parametrize("quotes", ["", '"', '"\n'])
def test_a_template_says_with_what_its_rego_compares(tmp_path: Path, quotes: str) -> None:
    told = [
        [{"groups": ["extensions", "networking.k8s.io"], "versions": ["v1"], "kinds": ["Ingress"]}],
        [{"groups": [""], "versions": ["v1"], "kinds": ["Service", "Endpoints"]}],
    ]
    made = yaml.safe_load(template())
    made["metadata"]["annotations"] = {SYNC_DATA: f"{quotes}{json.dumps(told)}{quotes[::-1]}"}
    own = document(
        **{
            TEMPLATE_INFO: base64_of(yaml.safe_dump(made)),
            "properties.metadata.requiresInventory": [{"group": "", "kind": "Service"}],
        }
    )
    write(tmp_path, made=own)

    found = read(tmp_path)
    assert [(kind.group, kind.kind) for kind in found.requires_inventory] == [
        ("", "Service"), ("extensions", "Ingress"), ("networking.k8s.io", "Ingress"), ("", "Endpoints")
    ]  # fmt: skip


@pytest.mark.parametrize(
    "told", ["[", "{}", "[{}]", '[[{"groups": [""]}]]', '[[{"groups": [1], "kinds": ["Pod"]}]]', 3]
)
def test_what_a_template_says_that_nobody_understands_is_told(tmp_path: Path, told: Any) -> None:
    made = yaml.safe_load(template())
    made["metadata"]["annotations"] = {SYNC_DATA: told}
    write(tmp_path, made=document(**{TEMPLATE_INFO: base64_of(yaml.safe_dump(made))}))

    assert "requires-sync-data" in refused(tmp_path).what
