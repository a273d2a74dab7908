"""A cluster's custom resources as a store, on an API server's objects in memory."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any, TypeVar, cast

import pytest

from aksp.errors import AkspError, ClusterError, ExitCode, Forbidden, InvalidInput
from aksp.kube import errors
from aksp.kube.connection import Connection
from aksp.model.assignment import Assignment, Exemption, ExemptionCategory
from aksp.model.scope import Scope
from aksp.store import cluster
from aksp.store.cluster import ClusterStore, alike, without_server_fields
from aksp.store.documents import assignment_document, exemption_document
from aksp.store.files import Files
from aksp.store.interface import ApplyResult
from tests.replacing import replace
from tests.store.objects import Objects

IMAGES = Assignment(
    name="images",
    definition_id="allowed-images",
    scope=Scope("/clusters/prod"),
    display_name="Only ours",
    parameters={"effect": "Deny", "nothing": None, "share": 1.0},
)
WAIVED = Exemption(name="waived", assignment="images", category=ExemptionCategory.WAIVER)
DEFINITION = {
    "apiVersion": "policy.aksp.io/v1alpha1",
    "kind": "PolicyDefinition",
    "metadata": {"name": "ours"},
    "spec": {"name": "1-2-3", "policyRule": {"then": {}}},
}


class AfterALook:
    """A connection of one who writes only when another has looked as well, and found nothing."""

    def __init__(self, server: Objects, looked: threading.Barrier) -> None:
        self.name, self.server, self.looked = server.name, server.server, looked


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Objects:
    objects = Objects()
    monkeypatch.setattr(cluster, "objects", objects)
    return objects


@pytest.fixture
def store(server: Objects) -> ClusterStore:
    return ClusterStore(cast(Connection, server))


E = TypeVar("E", bound=AkspError)


def refused(kind: type[E], act: Callable[[], object]) -> E:
    with pytest.raises(kind) as error:
        act()
    return error.value


def test_a_cluster_is_a_store_like_a_workspace(store: ClusterStore) -> None:
    one: Files | ClusterStore = store
    assert one.assignments() == []
    assert one.exemptions() == []


def test_what_is_saved_is_read_again(store: ClusterStore, server: Objects) -> None:
    _, where = store.save(IMAGES, replace=False)
    store.save_all([exemption_document(WAIVED)], replace=False)
    store.save_all([DEFINITION], replace=False)

    assert where == "cluster prod"
    assert store.assignments() == [replace(IMAGES, origin="policyassignment.policy.aksp.io/images")]
    assert store.exemptions() == [replace(WAIVED, origin="policyexemption.policy.aksp.io/waived")]
    assert [one["spec"] for one in store.documents("PolicyDefinition")] == [DEFINITION["spec"]]
    assert server.names == ["policyassignments/images", "policydefinitions/ours", "policyexemptions/waived"]


def test_documents_are_listed_by_name(store: ClusterStore) -> None:
    for name in ("b", "c", "a"):
        store.save(replace(IMAGES, name=name), replace=False)
    assert [one.name for one in store.assignments()] == ["a", "b", "c"]


def test_what_the_api_server_and_the_add_on_write_does_not_matter(store: ClusterStore, server: Objects) -> None:
    store.save(IMAGES, replace=False)
    server.document("policyassignments/images")["status"] = {"state": "Compliant", "observedGeneration": 1}

    assert [one.parameters for one in store.assignments()] == [IMAGES.parameters]
    before = len(server.writes)
    store.save(IMAGES, replace=False)
    assert len(server.writes) == before


def test_the_same_content_again_writes_nothing(store: ClusterStore, server: Objects) -> None:
    store.save(IMAGES, replace=False)
    store.save(IMAGES, replace=True)
    store.save(IMAGES, replace=False)
    assert server.writes == ["create policyassignments/images"]


def test_of_two_that_assign_one_name_one_is_told(store: ClusterStore, server: Objects) -> None:
    def both(*own: str) -> list[str]:
        looked = threading.Barrier(2)

        def save(description: str) -> str:
            one = ClusterStore(cast(Connection, AfterALook(server, looked)))
            try:
                return one.save(replace(IMAGES, description=description), replace=False)[0].value
            except InvalidInput as error:
                return error.what

        with ThreadPoolExecutor(2) as pool:
            return list(pool.map(save, own))

    for _ in range(20):
        told = both("a", "b")
        assert sorted(told) == ["assignment 'images' is in cluster prod with other content", "created"]
        (kept,) = store.assignments()
        assert kept.description == "ab"[told.index("created")]
        store.delete("images")
    assert sorted(both("same", "same")) == ["created", "unchanged"]


def test_what_a_schema_fills_in_is_the_same_content(store: ClusterStore, server: Objects) -> None:
    server.put(
        {
            "apiVersion": "policy.aksp.io/v1alpha1",
            "kind": "PolicyAssignment",
            "metadata": {"name": "plain"},
            "spec": {"policyDefinitionId": "no-privileged", "notScopes": [], "metadata": {}, "description": ""},
        }
    )
    store.save(Assignment(name="plain", definition_id="no-privileged"), replace=False)
    assert server.writes == []


def test_other_content_needs_replace(store: ClusterStore, server: Objects) -> None:
    store.save(IMAGES, replace=False)
    changed = replace(IMAGES, display_name="")

    error = refused(InvalidInput, lambda: store.save(changed, replace=False))
    assert error.what == "assignment 'images' is in cluster prod with other content"
    assert error.hint == "give --replace to overwrite it, or another --name"
    store.save(changed, replace=True)
    assert "displayName" not in server.document("policyassignments/images")["spec"]

    store.save_all([DEFINITION], replace=False)
    other = {**DEFINITION, "spec": {}}
    assert refused(InvalidInput, lambda: store.save_all([other], replace=False)).hint == (
        "give --replace to overwrite it"
    )


def test_what_others_had_added_does_not_stay_in_force_unseen(store: ClusterStore, server: Objects) -> None:
    server.put(assignment_document(replace(IMAGES, not_scopes=(Scope("/clusters/prod/namespaces/a"),))))

    assert (
        store.apply(assignment_document(IMAGES), store.document("PolicyAssignment", "images")) is ApplyResult.CONFIGURED
    )
    assert store.assignments()[0].not_scopes == ()
    assert (
        store.apply(assignment_document(IMAGES), store.document("PolicyAssignment", "images")) is ApplyResult.UNCHANGED
    )


def test_several_documents_are_all_looked_at_before_one_is_written(store: ClusterStore, server: Objects) -> None:
    store.save(IMAGES, replace=False)
    server.writes.clear()
    documents = [DEFINITION, assignment_document(replace(IMAGES, display_name="Another"))]

    refused(InvalidInput, lambda: store.save_all(documents, replace=False))
    assert server.writes == []
    assert store.save_all(documents, replace=True) == [ApplyResult.CREATED, ApplyResult.CONFIGURED]


def test_a_dry_run_keeps_nothing(store: ClusterStore, server: Objects) -> None:
    store.save(IMAGES, replace=False)
    server.writes.clear()
    changed = assignment_document(replace(IMAGES, display_name="Another"))

    assert store.apply(changed, store.document("PolicyAssignment", "images"), dry_run=True) is ApplyResult.CONFIGURED
    assert store.apply(DEFINITION, None, dry_run=True) is ApplyResult.CREATED
    assert store.remove("PolicyAssignment", "images", dry_run=True)
    assert server.writes == []
    assert server.trials == ["apply policyassignments/images", "apply policydefinitions/ours", "delete policyassignments/images"]  # fmt: skip


def test_labels_of_others_stay_and_ours_are_added(store: ClusterStore, server: Objects) -> None:
    document = assignment_document(IMAGES)
    server.put({**document, "metadata": {"name": "images", "labels": {"team": "a"}}})
    labelled = {**document, "metadata": {"name": "images", "labels": {"by": "us"}}}

    assert store.apply(labelled, store.document("PolicyAssignment", "images")) is ApplyResult.CONFIGURED
    assert server.document("policyassignments/images")["metadata"]["labels"] == {"team": "a", "by": "us"}


def test_deleting_says_where_it_was_or_what_is_near(store: ClusterStore, server: Objects) -> None:
    store.save(IMAGES, replace=False)

    error = refused(InvalidInput, lambda: store.delete("image"))
    assert error.what == "there is no assignment 'image' in cluster prod"
    assert error.hint is not None and "images" in error.hint
    assert store.delete("images") == "cluster prod"
    assert server.names == []


@pytest.mark.parametrize(
    "act",
    [
        lambda store: store.assignments(),
        lambda store: store.exemptions(),
        lambda store: store.save(IMAGES, replace=False),
        lambda store: store.document("PolicyAssignment", "images"),
        lambda store: store.delete("images"),
        lambda store: store.apply(DEFINITION, None),
    ],
)
def test_a_cluster_without_the_add_on_s_resources_says_how_to_get_them(
    act: Callable[[ClusterStore], Any], store: ClusterStore, server: Objects
) -> None:
    server.served.clear()

    error = refused(ClusterError, lambda: act(store))
    assert error.what == "the add-on's resources are not in this cluster"
    assert error.hint is not None and error.hint.startswith("`aksp addon enable`")
    assert error.exit_code is ExitCode.CLUSTER


def test_a_right_that_is_missing_is_named(store: ClusterStore, server: Objects) -> None:
    for verb, overwrite in (("create", False), ("patch", True)):
        server.refuse[verb, "policyassignments"] = Forbidden(f'User "ann" cannot {verb}', where="https://…")

        error = refused(Forbidden, lambda overwrite=overwrite: store.save(IMAGES, replace=overwrite))  # type: ignore[misc]
        assert str(error) == f'policyassignment.policy.aksp.io/images: User "ann" cannot {verb}'
        assert error.hint == f"ask for the right to {verb} policyassignments.policy.aksp.io"
        assert error.exit_code is ExitCode.CLUSTER


@pytest.mark.parametrize("fault", [errors.Invalid("spec.x: wrong"), errors.BadRequest("unknown field spec.x")])
def test_what_the_api_server_finds_wrong_is_invalid_input(
    fault: ClusterError, store: ClusterStore, server: Objects
) -> None:
    for at, overwrite in ((("create", "policyassignments"), False), (("patch", "policyassignments/images"), True)):
        server.refuse[at] = fault

        error = refused(InvalidInput, lambda overwrite=overwrite: store.save(IMAGES, replace=overwrite))  # type: ignore[misc]
        assert error.where == "policyassignment.policy.aksp.io/images"
        assert error.exit_code is ExitCode.INVALID


def test_a_resource_that_is_wrong_is_named_like_kubectl_names_it(store: ClusterStore, server: Objects) -> None:
    document = assignment_document(IMAGES)
    server.put({**document, "spec": {**document["spec"], "scope": "here"}})

    error = refused(InvalidInput, store.assignments)
    assert error.where == "policyassignment.policy.aksp.io/images"
    assert not alike(server.document("policyassignments/images"), document)


def test_without_the_server_s_fields_a_document_is_as_written_with_its_status(
    store: ClusterStore, server: Objects
) -> None:
    store.save(IMAGES, replace=False)
    there = server.document("policyassignments/images")

    assert without_server_fields(there) == assignment_document(IMAGES)
    there["status"] = {"state": "Compliant"}
    assert without_server_fields(there) == {**assignment_document(IMAGES), "status": {"state": "Compliant"}}


def test_an_expiry_in_any_time_zone_is_the_same_content(store: ClusterStore, server: Objects) -> None:
    until = replace(WAIVED, expires_on=datetime(2030, 1, 1, 12, tzinfo=UTC))
    store.save_all([exemption_document(until)], replace=False)
    server.document("policyexemptions/waived")["spec"]["expiresOn"] = "2030-01-01T13:00:00+01:00"
    server.writes.clear()

    store.save_all([exemption_document(until)], replace=False)
    assert server.writes == []
