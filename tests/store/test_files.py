"""A workspace's documents: kept, read again, and refused with file and field."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from aksp.errors import ExitCode, InvalidInput
from aksp.model.assignment import Assignment, EnforcementMode, ExemptedResource, Exemption, ExemptionCategory
from aksp.model.scope import Scope
from aksp.store.documents import assignment_document, assignment_from, exemption_document, exemption_from
from aksp.store.files import Files, write_beside
from aksp.store.interface import ApplyResult
from aksp.yaml_reader import read_yaml
from aksp.yaml_writer import to_yaml
from tests.replacing import replace

FULL = Assignment(
    name="images",
    definition_id="allowed-images",
    scope=Scope("/clusters/prod"),
    display_name="Only our images",
    description="Because.",
    not_scopes=(Scope("/clusters/prod/namespaces/sandbox"),),
    parameters={"effect": "Deny", "allowedRegistries": ["contoso.azurecr.io"], "nothing": None, "n": 1.5},
    enforcement_mode=EnforcementMode.DO_NOT_ENFORCE,
    non_compliance_message="Push it to our registry — bitte.",
    metadata={"assignedBy": "ann"},
)
PLAIN = Assignment(name="plain", definition_id="no-privileged")


@pytest.fixture
def store(tmp_path: Path) -> Files:
    return Files(tmp_path / "ws")


def assignment(name: str = "images", **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "policy.aksp.io/v1alpha1",
        "kind": "PolicyAssignment",
        "metadata": {"name": name},
        "spec": {"policyDefinitionId": "allowed-images", **spec},
    }


def exemption(name: str = "waived", **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "policy.aksp.io/v1alpha1",
        "kind": "PolicyExemption",
        "metadata": {"name": name},
        "spec": {"policyAssignmentId": "images", "exemptionCategory": "Waiver", **spec},
    }


def put(store: Files, text: str, name: str = "one.yaml", folder: str = "assignments") -> Path:
    path = store.root / folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def refused(read: Callable[[], object]) -> InvalidInput:
    with pytest.raises(InvalidInput) as error:
        read()
    assert error.value.exit_code is ExitCode.INVALID
    return error.value


# Round trips


@pytest.mark.parametrize("one", [FULL, PLAIN], ids=lambda one: one.name)
def test_an_assignment_is_read_as_it_was_saved(one: Assignment, store: Files) -> None:
    _, where = store.save(one, replace=False)

    assert store.assignments() == [replace(one, origin=where)]
    assert Path(where) == store.root / "assignments" / f"{one.name}.yaml"


TEXT = st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=20)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)


@given(TEXT, TEXT.filter(str.strip), st.dictionaries(TEXT, JSON, max_size=3))
def test_any_text_and_any_json_survive_the_file(title: str, definition: str, parameters: dict[str, Any]) -> None:
    one = Assignment(name="x", definition_id=definition, display_name=title, parameters=parameters)
    text = to_yaml(assignment_document(one))

    assert assignment_from(yaml.safe_load(text), "") == one


def test_an_exemption_is_read_with_all_its_fields(store: Files) -> None:
    document = exemption(
        scope="/clusters/prod",
        exemptionCategory="Mitigated",
        expiresOn="2026-12-31T10:00:00.1234567Z",
        displayName="Until the new release",
        description="See the ticket",
        metadata={"requestedBy": "ann"},
        resources=[{"namespace": "shop", "kind": "Deployment", "name": "web", "container": "*", "image": "a/*"}],
    )
    path = put(store, yaml.safe_dump(document), folder="exemptions")
    (one,) = store.exemptions()

    assert (one.name, one.assignment, one.category) == ("waived", "images", ExemptionCategory.MITIGATED)
    assert one.expires_on == datetime(2026, 12, 31, 10, 0, 0, 123456, tzinfo=UTC)
    assert one.scope == Scope("/clusters/prod")
    assert one.resources == (
        ExemptedResource(namespace="shop", kind="Deployment", name="web", container="*", image="a/*"),
    )
    assert (one.requested_by, one.display_name, one.description) == ("ann", "Until the new release", "See the ticket")
    assert one.origin == str(path)


@pytest.mark.parametrize(
    ("written", "moment"),
    [
        ("2026-12-31", datetime(2026, 12, 31, tzinfo=UTC)),
        ("'2026-12-31'", datetime(2026, 12, 31, tzinfo=UTC)),
        ("2026-12-31T23:00:00", datetime(2026, 12, 31, 23, tzinfo=UTC)),
        ("2026-12-31T23:00:00Z", datetime(2026, 12, 31, 23, tzinfo=UTC)),
        ("'2026-12-31T23:00:00+02:00'", datetime(2026, 12, 31, 21, tzinfo=UTC)),
        ("2026-12-31 23:00:00 +02:00", datetime(2026, 12, 31, 21, tzinfo=UTC)),
        ("null", None),
    ],
)
def test_a_date_may_be_written_as_people_do(written: str, moment: datetime | None, store: Files) -> None:
    put(store, to_yaml(exemption()) + f"  expiresOn: {written}\n", folder="exemptions")

    assert store.exemptions()[0].expires_on == moment


def test_an_absent_workspace_is_empty_and_reading_makes_none(store: Files) -> None:
    assert store.assignments() == [] and store.exemptions() == []
    assert not store.root.exists()


def test_a_document_in_a_folder_of_a_folder_is_refused_since_nobody_would_judge_by_it(store: Files) -> None:
    put(store, yaml.safe_dump(assignment("one")), "sub/team/one.YAML")
    with pytest.raises(InvalidInput, match="nothing is read") as caught:
        store.assignments()
    assert caught.value.where == str(store.root / "assignments" / "sub" / "team" / "one.YAML")


def test_a_suffix_counts_in_any_case_and_other_folders_are_none_of_ours(store: Files) -> None:
    put(store, yaml.safe_dump(assignment("one")), "one.YAML")
    put(store, "what the team agreed on", "notes/README.md")
    put(store, "not: ours", ".git/one.yaml")
    assert [one.name for one in store.assignments()] == ["one"]


def test_documents_may_share_a_file_and_other_files_are_none_of_ours(store: Files) -> None:
    put(store, "\n---\n".join(to_yaml(assignment(name)) for name in ("b", "a")) + "\n---\n")
    put(store, yaml.safe_dump(assignment("c")), "json-is-yaml.json")
    put(store, "not: ours", "README.md")
    put(store, "not: ours", ".hidden.yaml")

    assert [one.name for one in store.assignments()] == ["a", "b", "c"]


# Refused


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"apiVersion": "v1"}, "apiVersion is 'v1', expected policy.aksp.io/v1alpha1"),
        ({"kind": "Pod"}, "kind is 'Pod', expected PolicyAssignment"),
        ({"metadata": None}, "metadata.name is None"),
        ({"metadata": {"name": "With Blanks"}}, "metadata.name is 'With Blanks'"),
        ({"metadata": {"name": "../escape"}}, "metadata.name is '../escape'"),
        ({"metadata": {"name": 5}}, "metadata.name is 5"),
        ({"spec": None}, "spec is missing, expected a mapping"),
        ({"spec": []}, "spec is [], expected a mapping"),
        ({"spec": {}}, "spec.policyDefinitionId is missing"),
        ({"spec": {"policyDefinitionId": " "}}, "spec.policyDefinitionId is ' '"),
    ],
)
def test_a_malformed_head_is_named(change: dict[str, Any], field: str) -> None:
    error = refused(lambda: assignment_from({**assignment(), **change}, "ws/one.yaml"))

    assert field in error.what
    assert error.where == "ws/one.yaml"


@pytest.mark.parametrize("document", [None, [], "text", 5])
def test_what_is_no_mapping_is_no_document(document: Any) -> None:
    assert refused(lambda: assignment_from(document, "x")).what == "not a mapping"


@pytest.mark.parametrize(
    ("spec", "field"),
    [
        ({"policyDefinitionId": 5}, "spec.policyDefinitionId is 5, expected a string"),
        ({"displayName": []}, "spec.displayName is []"),
        ({"description": {}}, "spec.description is {}"),
        ({"scope": 5}, "spec.scope is 5"),
        ({"scope": "prod"}, "spec.scope: scope 'prod' does not start with /"),
        ({"notScopes": "/x"}, "spec.notScopes is '/x', expected a list"),
        ({"notScopes": ["/clusters"]}, "spec.notScopes[0]: scope '/clusters' ends in the middle"),
        ({"notScopes": [5]}, "spec.notScopes[0] is 5, expected a scope"),
        ({"parameters": []}, "spec.parameters is [], expected a mapping"),
        ({"parameters": {"effect": "Deny"}}, "spec.parameters.effect is 'Deny', expected {value: …}"),
        ({"parameters": {"effect": {"value": 1, "x": 2}}}, "spec.parameters.effect"),
        ({"parameters": {"effect": {}}}, "spec.parameters.effect"),
        ({"enforcementMode": "Sometimes"}, "spec.enforcementMode is 'Sometimes', expected Default or DoNotEnforce"),
        ({"enforcementMode": True}, "spec.enforcementMode is True"),
        ({"nonComplianceMessages": "no"}, "spec.nonComplianceMessages is 'no'"),
        ({"nonComplianceMessages": ["no"]}, "spec.nonComplianceMessages[0] is 'no'"),
        ({"nonComplianceMessages": [{"message": 5}]}, "spec.nonComplianceMessages"),
        ({"metadata": "ann"}, "spec.metadata is 'ann'"),
        ({"notScope": []}, "spec.notScope is not a known field"),
        ({5: []}, "spec.5 is not a known field"),
    ],
)
def test_every_malformed_field_of_an_assignment_is_named(spec: dict[Any, Any], field: str) -> None:
    error = refused(lambda: assignment_from({**assignment(), "spec": {"policyDefinitionId": "x", **spec}}, "one.yaml"))

    assert error.what.startswith(field)
    assert error.where == "one.yaml"


def test_an_unknown_field_gets_the_nearest_as_a_hint() -> None:
    assert refused(lambda: assignment_from(assignment(notScope=[]), "x")).hint == "did you mean 'notScopes'?"


@pytest.mark.parametrize(
    ("spec", "field"),
    [
        ({"policyAssignmentId": None}, "spec.policyAssignmentId is missing"),
        ({"policyAssignmentId": ["a"]}, "spec.policyAssignmentId is ['a']"),
        ({"exemptionCategory": None}, "spec.exemptionCategory is missing"),
        ({"exemptionCategory": "waiver"}, "spec.exemptionCategory is 'waiver', expected Waiver or Mitigated"),
        ({"expiresOn": "soon"}, "spec.expiresOn is 'soon', expected a date and time"),
        ({"expiresOn": 5}, "spec.expiresOn is '5'"),
        ({"expiresOn": "2030-W01-1"}, "spec.expiresOn is '2030-W01-1'"),
        ({"expiresOn": "20300101T000000Z"}, "spec.expiresOn is '20300101T000000Z'"),
        ({"expiresOn": ["2026-01-01"]}, "spec.expiresOn"),
        ({"scope": "x"}, "spec.scope: scope 'x'"),
        ({"metadata": []}, "spec.metadata is []"),
        ({"displayName": 1}, "spec.displayName is 1"),
        ({"description": 1}, "spec.description is 1"),
        ({"policyDefinitionReferenceIds": "x"}, "spec.policyDefinitionReferenceIds is 'x', expected a list"),
        (
            {"policyDefinitionReferenceIds": [" "]},
            "spec.policyDefinitionReferenceIds is [' '], expected a list of strings",
        ),
        ({"resources": {}}, "spec.resources is {}, expected a list"),
        ({"resources": ["web"]}, "spec.resources[0] is 'web', expected a mapping"),
        ({"resources": [{"name": "a"}, {"pod": "x"}]}, "spec.resources[1].pod is not a known field"),
        ({"resources": [{"name": 5}]}, "spec.resources[0].name is 5"),
        ({"resources": []}, "spec.resources is empty: it exempts nothing"),
        ({"resources": [{}]}, "spec.resources[0] is empty, so it would exempt everything"),
        ({"resources": [{"name": ""}]}, "spec.resources[0] is empty, so it would exempt everything"),
        ({"resources": [{"name": None, "kind": None}]}, "spec.resources[0] is empty"),
        ({"expires": "2026-01-01"}, "spec.expires is not a known field"),
    ],
)
def test_every_malformed_field_of_an_exemption_is_named(spec: dict[str, Any], field: str) -> None:
    error = refused(lambda: exemption_from(exemption(**spec), "two.yaml"))

    assert error.what.startswith(field)
    assert error.where == "two.yaml"


@pytest.mark.parametrize(
    ("text", "line", "problem"),
    [
        ("a: b\nc: [\n", 3, "invalid YAML"),
        ("a: b\n\tc: d\n", 2, "invalid YAML"),
        ("a: 1\nb: 2\na: 3\n", 3, "key 'a' is there twice"),
        ("spec:\n  scope: /a\n  scope: /b\n", 3, "key 'scope' is there twice"),
        ("a: !!python/object:os.system x\n", 1, "invalid YAML"),
    ],
)
def test_broken_yaml_is_refused_with_file_and_line(text: str, line: int, problem: str, store: Files) -> None:
    path = put(store, text)
    error = refused(store.assignments)

    assert problem in error.what
    assert error.where == f"{path}:{line}"


def test_a_key_is_the_text_that_is_written() -> None:
    # For Python 1, 1.0 and true are one key.
    ((value, _),) = read_yaml("{1: a, 1.0: b, true: c, ~: d, 2026-01-01: e}", "x.yaml")

    assert value == {"1": "a", "1.0": "b", "true": "c", "~": "d", "2026-01-01": "e"}


@pytest.mark.parametrize("text", ["a: 2026-13-45\n", "[" * 5000])
def test_yaml_that_its_own_parser_cannot_bear_is_refused(text: str, store: Files) -> None:
    path = put(store, text)

    assert str(path) in str(refused(store.assignments))


def test_text_in_no_encoding_is_refused(store: Files) -> None:
    path = put(store, "")
    path.write_bytes(b"a: \xff\xfe\xff\n")

    assert str(path) in str(refused(store.assignments))


def test_a_name_that_is_there_twice_is_refused_with_both_files(store: Files) -> None:
    one, two = put(store, to_yaml(assignment("x"))), put(store, to_yaml(assignment("x")), "two.yaml")
    error = refused(store.assignments)

    assert str(one) in error.what
    assert error.where == str(two)


# Saved


def test_the_same_content_again_changes_nothing(store: Files) -> None:
    where = Path(store.save(FULL, replace=False)[1])
    where.write_text(where.read_text(encoding="utf-8") + "# by hand\n", encoding="utf-8")

    assert store.save(FULL, replace=False) == (ApplyResult.UNCHANGED, str(where))
    assert where.read_text(encoding="utf-8").endswith("# by hand\n")


def test_other_content_needs_replace(store: Files) -> None:
    where = Path(store.save(FULL, replace=False)[1])
    before = where.read_bytes()
    other = replace(FULL, description="Another reason.")
    error = refused(lambda: store.save(other, replace=False))

    assert (error.where, where.read_bytes()) == (str(where), before)
    assert "--replace" in (error.hint or "")
    store.save(other, replace=True)
    assert store.assignments() == [replace(other, origin=str(where))]


def test_what_is_replaced_stays_in_its_file_whatever_the_file_is_called(store: Files) -> None:
    path = put(store, to_yaml(assignment_document(FULL)), "by-hand.yml")

    assert store.save(replace(FULL, description="x"), replace=True) == (ApplyResult.CONFIGURED, str(path))
    assert [p.name for p in path.parent.iterdir()] == ["by-hand.yml"]


def test_a_file_of_several_assignments_is_neither_overwritten_nor_deleted(store: Files) -> None:
    path = put(store, "\n---\n".join(to_yaml(assignment(name)) for name in ("a", "b")))
    before = path.read_bytes()
    for error in (
        refused(lambda: store.save(replace(PLAIN, name="a"), replace=True)),
        refused(lambda: store.delete("a")),
    ):
        assert error.what == "the file holds other assignments too: b"
        assert error.where == str(path)
    assert path.read_bytes() == before


def test_a_workspace_where_a_file_is_in_the_way_is_refused_and_nothing_is_left(tmp_path: Path) -> None:
    (tmp_path / "ws").write_text("a file", encoding="utf-8")
    error = refused(lambda: Files(tmp_path / "ws").save(PLAIN, replace=False))

    assert str(tmp_path / "ws") in str(error)
    assert [p.name for p in tmp_path.iterdir()] == ["ws"]


def test_a_place_that_is_a_folder_is_refused_and_no_half_of_a_file_is_left(store: Files) -> None:
    taken = store.root / "assignments" / "plain.yaml"
    (taken / "inside").mkdir(parents=True)
    error = refused(lambda: write_beside(taken, "text"))

    assert "cannot be written" in error.what
    assert [p.name for p in taken.parent.iterdir()] == ["plain.yaml"]


def test_a_file_that_cannot_be_written_whole_leaves_the_old_one(store: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    where = Path(store.save(FULL, replace=False)[1])
    before = where.read_bytes()

    def full_disk(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full_disk)
    error = refused(lambda: store.save(replace(FULL, description="x"), replace=True))

    assert "No space left on device" in error.what
    assert (where.read_bytes(), [p.name for p in where.parent.iterdir()]) == (before, ["images.yaml"])


def test_a_file_has_the_rights_that_the_user_s_mask_gives(store: Files) -> None:
    mask = os.umask(0o027)
    try:
        where = Path(store.save(PLAIN, replace=False)[1])
    finally:
        os.umask(mask)

    assert where.stat().st_mode & 0o777 == 0o640


def test_an_assignment_is_deleted_with_its_file(store: Files) -> None:
    where = Path(store.save(PLAIN, replace=False)[1])

    assert store.delete("plain") == str(where)
    assert not where.exists()
    error = refused(lambda: store.delete("plain"))
    assert "there is no assignment 'plain'" in error.what


def test_the_nearest_name_is_offered_for_one_that_is_not_there(store: Files) -> None:
    store.save(PLAIN, replace=False)

    assert refused(lambda: store.delete("plan")).hint == "did you mean 'plain'?"


@pytest.mark.parametrize(
    "one",
    [
        Exemption(name="little", assignment="images", category=ExemptionCategory.MITIGATED),
        Exemption(
            name="all",
            assignment="images",
            category=ExemptionCategory.WAIVER,
            scope=Scope("/clusters/prod"),
            expires_on=datetime(2030, 1, 2, 3, 4, 5, 678901, tzinfo=UTC),
            display_name="Until then",
            description="Because.",
            metadata={"requestedBy": "ann", "n": [1, {"x": None}]},
            resources=(
                ExemptedResource(namespace="shop", kind="DaemonSet", name="log-*", container="agent", image="a:*"),
                ExemptedResource(name="x"),
            ),
        ),
    ],
    ids=lambda one: one.name,
)
def test_an_exemption_is_read_as_its_document_says(one: Exemption) -> None:
    document = yaml.safe_load(to_yaml(exemption_document(one)))
    assert replace(exemption_from(document, "here"), origin="") == one


def test_what_an_api_server_adds_does_not_matter() -> None:
    added = {
        "uid": "1", "resourceVersion": "5", "generation": 2, "creationTimestamp": "2026-01-01T00:00:00Z",
        "managedFields": [{"manager": "aksp", "operation": "Apply", "fieldsV1": {"f:spec": {}}}],
        "labels": {"a": "b"}, "annotations": {"c": "d"}, "finalizers": ["x"],
    }  # fmt: skip
    for made, read in ((assignment(), assignment_from), (exemption(), exemption_from)):
        served = {**made, "metadata": {**made["metadata"], **added}, "status": {"state": "Compliant", "conditions": []}}
        assert read(served, "here") == read(made, "here")


def test_values_are_those_that_a_cluster_could_keep_too(store: Files) -> None:
    values = "{day: 2026-01-01, at: 2026-01-01T10:00:00Z, list: [2026-01-02], 5: x, n: 1.5, none: null}"
    text = to_yaml(assignment()) + f"  metadata: {values}\n  parameters: {{since: {{value: 2026-01-03}}}}\n"
    put(store, text)

    (one,) = store.assignments()
    assert one.metadata == {
        "day": "2026-01-01", "at": "2026-01-01T10:00:00Z", "list": ["2026-01-02"], "5": "x", "n": 1.5, "none": None,
    }  # fmt: skip
    assert one.parameters == {"since": "2026-01-03"}


@pytest.mark.parametrize("value", ["!!binary aGk=", ".nan", ".inf", "!!set {a}"])
def test_values_that_json_has_not_are_refused(value: str, store: Files) -> None:
    put(store, to_yaml(assignment()) + f"  metadata: {{x: [{value}]}}\n")
    told = str(refused(store.assignments))
    assert "one.yaml:7: invalid YAML: " in told if "!!" in value else "spec.metadata.x[0] is " in told


# Exemptions

WAIVED = Exemption(
    name="waived",
    assignment="images",
    category=ExemptionCategory.WAIVER,
    expires_on=datetime(2030, 1, 1, tzinfo=UTC),
    resources=(ExemptedResource(namespace="shop", container="web"),),
)


def test_an_exemption_is_kept_beside_an_assignment_of_its_name(store: Files) -> None:
    store.save(replace(PLAIN, name="waived"), replace=False)
    _, where = store.save(WAIVED, replace=False)
    assert Path(where) == store.root / "exemptions" / "waived.yaml"
    assert store.exemptions() == [replace(WAIVED, origin=where)]
    assert store.save(WAIVED, replace=False)[0] is ApplyResult.UNCHANGED
    longer = replace(WAIVED, expires_on=None)
    assert "exemption 'waived' exists with other content" in refused(lambda: store.save(longer, replace=False)).what
    assert store.save(longer, replace=True) == (ApplyResult.CONFIGURED, where)
    assert store.delete("waived", "PolicyExemption") == where
    assert store.exemptions() == [] and [one.name for one in store.assignments()] == ["waived"]
    error = refused(lambda: store.delete("waived", "PolicyExemption"))
    assert error.what == f"there is no exemption 'waived' in {store.root}"


@pytest.mark.parametrize(
    ("spec", "line"),
    [
        ("exemptionCategory: Forever", 6),
        ("exemptionCategory: Waiver\n  resources:\n  - namespace: a\n  - name: [1]", 9),
        ("exemptionCategory: Waiver\n  resources:\n  - namespace: a\n  - pod: a\n    name: b", 9),
        ("exemptionCategory: Waiver\n  resources: [{name: a}, {}]", 7),
        ("exemptionCategory: Waiver\n  metadata:\n    a.b:\n      c: .nan", 9),
        ("scope: /", 5),
    ],
)
def test_a_wrong_field_is_named_with_its_line(spec: str, line: int, store: Files) -> None:
    head = "apiVersion: policy.aksp.io/v1alpha1\nkind: PolicyExemption\nmetadata: {name: x}\n"
    path = put(store, f"{head}spec:\n  policyAssignmentId: a\n  {spec}\n", folder="exemptions")
    error = refused(store.exemptions)
    # A field that is missing is named at what should have it.
    assert error.where == f"{path}:{line if 'scope' not in spec else 4}"


def test_a_wrong_field_of_a_second_document_is_named_with_its_line(store: Files) -> None:
    path = put(store, f"{to_yaml(assignment('a'))}---\n{to_yaml(assignment('b', notScope=[]))}")
    lines = path.read_text().splitlines()
    assert refused(store.assignments).where == f"{path}:{lines.index('  notScope: []') + 1}"
