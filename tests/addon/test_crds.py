"""The custom resources' definitions are structural, and say what the documents have."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from aksp.addon import names
from aksp.addon.install.manifests import crds
from aksp.model.assignment import API_VERSION, EnforcementMode, ExemptionCategory
from aksp.model.compliance import ComplianceState
from aksp.store import documents

BY_KIND = {one["spec"]["names"]["kind"]: one for one in crds()}
PRESERVE = "x-kubernetes-preserve-unknown-fields"


def schema_of(kind: str) -> Any:
    (version,) = BY_KIND[kind]["spec"]["versions"]
    return version["schema"]["openAPIV3Schema"]


def schemas(schema: Any, path: str) -> Iterator[tuple[str, Any]]:
    """A schema and all below it."""
    yield path, schema
    for name, field in schema.get("properties", {}).items():
        yield from schemas(field, f"{path}.{name}")
    for key in ("items", "additionalProperties"):
        if key in schema:
            yield from schemas(schema[key], f"{path}[]")


@pytest.mark.parametrize("kind", BY_KIND)
def test_every_field_has_a_type_and_a_description(kind: str) -> None:
    for path, schema in schemas(schema_of(kind), kind):
        assert "type" in schema or schema.get(PRESERVE), path
        assert schema.get("description") or path.rpartition(".")[2] in ("apiVersion", "kind", "metadata"), path


def test_names_do_not_collide() -> None:
    every = [one["spec"]["names"] for one in crds()]
    short = [name for one in every for name in one["shortNames"]]
    assert len(set(short)) == len(short) == len(every)
    assert {one["plural"] for one in every} == {
        names.DEFINITIONS, names.INITIATIVES, names.ASSIGNMENTS, names.EXEMPTIONS, names.DENIALS, names.REPORTS
    }  # fmt: skip


def test_only_denials_have_a_namespace() -> None:
    assert [kind for kind, one in BY_KIND.items() if one["spec"]["scope"] == "Namespaced"] == ["PolicyDenial"]


def test_only_what_the_add_on_judges_by_has_a_status() -> None:
    with_status = {kind for kind, one in BY_KIND.items() if "subresources" in one["spec"]["versions"][0]}
    assert with_status == {"PolicyDefinition", "PolicySetDefinition", "PolicyAssignment", "PolicyExemption"}
    assert with_status == {kind for kind in BY_KIND if "status" in schema_of(kind)["properties"]}


def test_specs_have_the_fields_of_documents() -> None:
    for kind, fields in (
        ("PolicyAssignment", documents.ASSIGNMENT_FIELDS),
        ("PolicyExemption", documents.EXEMPTION_FIELDS),
    ):
        spec = schema_of(kind)["properties"]["spec"]
        assert set(spec["properties"]) == set(fields)
        assert PRESERVE not in spec


def test_fields_that_may_be_left_out_may_be_null() -> None:
    for kind in ("PolicyAssignment", "PolicyExemption"):
        spec = schema_of(kind)["properties"]["spec"]
        for name, field in spec["properties"].items():
            assert name in spec["required"] or field.get("nullable") or "default" in field, name


def test_an_exemption_of_an_empty_list_of_resources_is_refused_as_an_empty_entry_is() -> None:
    resources = schema_of("PolicyExemption")["properties"]["spec"]["properties"]["resources"]
    assert (resources["minItems"], resources["items"]["minProperties"]) == (1, 1)


def test_columns_name_fields_that_there_are() -> None:
    for kind, one in BY_KIND.items():
        for column in one["spec"]["versions"][0]["additionalPrinterColumns"]:
            schema: Any = schema_of(kind)
            for part in column["jsonPath"].partition("[")[0].strip(".").split("."):
                if part == "creationTimestamp":
                    break
                schema = schema.get("properties", {}).get(part) or schema.get("additionalProperties")
                if part == "metadata":
                    break
                assert schema is not None, f"{kind}: {column['jsonPath']}"


def test_words_are_those_of_the_program() -> None:
    assignment, exemption = (schema_of(kind)["properties"] for kind in ("PolicyAssignment", "PolicyExemption"))
    mode = assignment["spec"]["properties"]["enforcementMode"]
    assert (mode["enum"], mode["default"]) == ([*EnforcementMode, ""], EnforcementMode.DEFAULT)
    assert exemption["spec"]["properties"]["exemptionCategory"]["enum"] == list(ExemptionCategory)
    status = assignment["status"]["properties"]
    assert status["state"]["enum"] == list(ComplianceState)
    assert status["members"]["items"]["properties"]["state"]["enum"] == list(ComplianceState)
    columns = [
        one["jsonPath"] for one in BY_KIND["PolicyAssignment"]["spec"]["versions"][0]["additionalPrinterColumns"]
    ]
    counted = [one.rpartition(".")[2] for one in columns if one.startswith(".status.counts.")]
    assert counted == [ComplianceState.NON_COMPLIANT] * 2
    for one in BY_KIND.values():
        assert one["spec"]["group"] == names.GROUP
        assert [version["name"] for version in one["spec"]["versions"]] == [API_VERSION.rpartition("/")[2]]
        assert one["metadata"]["name"] == f"{one['spec']['names']['plural']}.{names.GROUP}"
        assert one["metadata"]["labels"] == names.MANAGED_BY


def test_what_several_have_is_the_same_in_each() -> None:
    def alike(named: dict[str, Any]) -> bool:
        """But for the words about it."""
        words = ({key: value for key, value in one.items() if key != "description"} for one in named.values())
        return len({json.dumps(one, sort_keys=True) for one in words}) == 1

    statuses = {kind: schema_of(kind)["properties"].get("status") for kind in BY_KIND}
    conditions = {kind: one["properties"]["conditions"]["items"] for kind, one in statuses.items() if one}
    assert len(conditions) == 4
    for field in conditions["PolicyAssignment"]["properties"]:
        assert alike({kind: one["properties"][field] for kind, one in conditions.items()}), field
    in_force = ("PolicyDefinition", "PolicySetDefinition", "PolicyAssignment")
    for field in ("appliedGeneration", "appliedSpec", "message", "lastCheckIn", "observedGeneration"):
        assert alike({kind: statuses[kind]["properties"][field] for kind in in_force}), field
    scopes = {
        path: one
        for kind in BY_KIND
        for path, one in schemas(schema_of(kind), kind)
        if "/namespaces" in str(one.get("x-kubernetes-validations"))
    }
    assert list(scopes) == [
        "PolicyAssignment.spec.scope",
        "PolicyAssignment.spec.notScopes[]",
        "PolicyExemption.spec.scope",
    ]
    assert alike({path: {**one, "nullable": True} for path, one in scopes.items()})
