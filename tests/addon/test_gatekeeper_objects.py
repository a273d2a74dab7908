"""What Gatekeeper is to have of what is in force, and what the conditions say of what it has."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aksp.addon.gatekeeper.conditions import ExportCondition, GatekeeperReader
from aksp.addon.gatekeeper.live_objects import Uptake, as_wanted, has_foreign_fields, is_ours
from aksp.addon.gatekeeper.wanted import (
    SYNC_SETS_PATH,
    TEMPLATES_PATH,
    WantedObjects,
    constraints_path,
    wanted_objects,
)
from aksp.addon.names import FIELD_MANAGER, MANAGED_BY
from aksp.engine import Engine
from aksp.kube import errors
from aksp.kube.connection import Connection, Response
from aksp.model.times import rfc3339
from tests.addon.custom import V1, assigned, defined, exempted
from tests.addon.test_policies import NEEDS_WORD, NOW, standing

DENY = {"effect": "Deny"}
PRIVILEGED = "akspnoprivileged"


def wanted(engine: Engine, *documents: Mapping[str, Any], **more: Any) -> WantedObjects:
    return wanted_objects(engine, standing(engine, *documents, **more))


class Cluster:
    """A Connection to Gatekeeper's lists. A server-side apply, which is a dry run, has the answer ``says``."""

    server = "https://cluster"

    def __init__(self, found: WantedObjects, *, says: int = 200, unserved: tuple[str, ...] = ()) -> None:
        self.says, self.unserved = says, unserved
        self.forbidden: tuple[str, ...] = ()
        self.lists: dict[str, dict[str, dict[str, Any]]] = {}
        for path, one in {**found.templates, **found.sync_sets, **found.constraints}.items():
            self.lists.setdefault(path.rpartition("/")[0], {})[path] = live(one)

    def get(self, path: str, *, query: Mapping[str, str] | None = None, cancellation: object = None) -> Response:
        if path in self.forbidden:
            raise errors.refusal(403, {}, b'{"message": "may not"}', where=path)
        if path in self.unserved or path not in self.lists:
            raise errors.refusal(404, {}, b"not found", where=path)
        items = list(self.lists[path].values())
        body = json.dumps({"apiVersion": "v1", "kind": "List", "metadata": {}, "items": items}).encode()
        return Response(status=200, headers={}, body=body)

    def send(self, method: str, path: str, *, body: bytes, query: Mapping[str, str], **more: Any) -> Response:
        assert method == "PATCH" and query["dryRun"] == "All" and query["fieldManager"] == FIELD_MANAGER
        if self.says != 200:
            raise errors.refusal(self.says, {}, b'{"message": "it says no"}', where=path)
        return Response(status=200, headers={}, body=body)

    @property
    def objects(self) -> dict[str, dict[str, Any]]:
        return {path: one for each in self.lists.values() for path, one in each.items()}

    def about(self, found: WantedObjects, name: str = "one", now: datetime = NOW) -> ExportCondition:
        return GatekeeperReader(cast(Connection, self), found, now).about(name)


def live(one: Mapping[str, Any]) -> dict[str, Any]:
    """An object that Gatekeeper has taken up."""
    made = copy.deepcopy(dict(one))
    made["metadata"] |= {"uid": "u", "generation": 3}
    pod = {"id": "gatekeeper-1", "observedGeneration": 3, "operations": ["webhook", "audit"], "enforced": True}
    made["status"] = {"byPod": [pod]}
    return made


def test_what_is_in_force_is_wanted_with_the_add_ons_label_and_what_is_disabled_is_not(engine: Engine) -> None:
    found = wanted(engine, assigned(parameters=DENY), assigned("off", parameters={"effect": "Disabled"}))
    assert list(found.templates) == [f"{TEMPLATES_PATH}/{PRIVILEGED}"]
    assert list(found.constraints) == [f"{constraints_path(PRIVILEGED)}/one"]
    for one in (*found.templates.values(), *found.constraints.values()):
        assert one["metadata"]["labels"] == MANAGED_BY
    assert not found.held


def test_nothing_is_refused_in_the_namespaces_that_are_left_out_and_those_of_the_assignment(engine: Engine) -> None:
    made = standing(engine, assigned(parameters={**DENY, "excludedNamespaces": ["vault", "mine"]}))
    found = wanted_objects(engine, made, ["kube-system", "vault"])
    (one,) = found.constraints.values()
    assert one["spec"]["match"]["excludedNamespaces"] == ["vault", "mine", "kube-system"]
    assert Cluster(found).about(found).reason == "Exported"


def test_an_exemption_that_ends_is_no_loss_and_the_constraint_comes_back(engine: Engine) -> None:
    end = NOW + timedelta(hours=1)
    documents = [assigned(parameters=DENY), exempted(expiresOn=rfc3339(end))]
    assert not wanted(engine, *documents).constraints
    assert wanted(engine, *documents, now=end).constraints


@pytest.mark.parametrize(
    "wrong",
    [
        {"parameters": {"effekt": "x"}},
        {"definition": "no-such-definition"},
        {"parameters": {**DENY, "namespaces": ["a*b"]}},
    ],
)
def test_the_constraint_of_what_is_wrong_now_stays(engine: Engine, wrong: dict[str, Any]) -> None:
    (before,) = wanted(engine, assigned(parameters=DENY)).constraints.values()
    found = wanted(engine, assigned(**wrong))
    assert not found.constraints and found.holds(before)
    assert not wanted(engine).holds(before)
    assert not wanted(engine, assigned(scope="/clusters/other", parameters=DENY)).holds(before)


def test_a_template_has_the_newest_version_and_constraints_of_an_older_one_stay(engine: Engine) -> None:
    old = assigned("old", "ours", parameters=DENY)
    first = standing(engine, defined(), old)
    (before,) = wanted_objects(engine, first).constraints.values()
    # The first assignment lacks the parameter that is new, so it stays with the definition as it was.
    newer = defined(rego=V1.replace("bad", "worse"), parameters=NEEDS_WORD, generation=2)
    fitting = assigned("new", "ours", parameters={**DENY, "word": "w"})
    found = wanted_objects(engine, standing(engine, newer, old, fitting, previous=first))
    (template,) = found.templates.values()
    assert "worse" in json.dumps(template)
    assert [one["metadata"]["name"] for one in found.constraints.values()] == ["new"]
    assert found.holds(before)


def test_all_is_well_where_gatekeeper_has_taken_up_everything(engine: Engine) -> None:
    found = wanted(engine, assigned(parameters=DENY), assigned("two", "unique-ingress-hosts"))
    assert found.sync_sets
    assert Cluster(found).about(found) == ("True", "Exported", "")
    assert Cluster(found).about(found, "two") == ("True", "Exported", "")


def test_what_cannot_be_expressed_is_in_the_message(engine: Engine) -> None:
    found = wanted(engine, assigned(parameters=DENY), exempted(resources=[{"container": "sidecar"}]))
    told = Cluster(found).about(found)
    assert (told.status, told.reason) == ("True", "NotAllExpressed")
    assert "exemption waiver is not expressed" in told.message


def changed(path: str, **fields: Any) -> Any:
    def change(cluster: Cluster) -> None:
        cluster.objects[path].update(fields)

    return change


def by_pod(path: str, **fields: Any) -> Any:
    def change(cluster: Cluster) -> None:
        cluster.objects[path]["status"]["byPod"][0].update(fields)

    return change


def gone(path: str) -> Any:
    return lambda cluster: cluster.lists[path.rpartition("/")[0]].pop(path)


def taken(path: str) -> Any:
    return lambda cluster: cluster.objects[path]["metadata"].update(labels={"app": "theirs"})


TEMPLATE, CONSTRAINT = f"{TEMPLATES_PATH}/{PRIVILEGED}", f"{constraints_path(PRIVILEGED)}/one"


@pytest.mark.parametrize(
    ("change", "told", "said"),
    [
        (gone(TEMPLATE), ("False", "GatekeeperPending"), "still to be written"),
        (gone(CONSTRAINT), ("False", "GatekeeperPending"), "still to be written"),
        (changed(CONSTRAINT, spec={"enforcementAction": "dryrun"}), ("False", "GatekeeperPending"), "to be written"),
        (taken(TEMPLATE), ("False", "NameTaken"), "did not make it"),
        (taken(CONSTRAINT), ("False", "NameTaken"), "did not make it"),
        (by_pod(TEMPLATE, errors=[{"code": "c", "message": "no rule"}]), ("False", "TemplateRejected"), "no rule"),
        (by_pod(CONSTRAINT, errors=[{"message": "bad match"}]), ("False", "ConstraintRejected"), "bad match"),
        (by_pod(TEMPLATE, observedGeneration=2), ("False", "GatekeeperPending"), "has not taken up"),
        (by_pod(CONSTRAINT, observedGeneration=2), ("False", "GatekeeperPending"), "has not taken up"),
        (by_pod(CONSTRAINT, constraintUID="older"), ("False", "GatekeeperPending"), "has not taken up"),
        (by_pod(CONSTRAINT, operations=["audit"]), ("False", "NoGatekeeperWebhook"), "--operation=webhook"),
        (by_pod(CONSTRAINT, enforced=False), ("False", "NoGatekeeperWebhook"), "--operation=webhook"),
    ],
)
def test_what_gatekeeper_has_not_is_told(engine: Engine, change: Any, told: tuple[str, str], said: str) -> None:
    found = wanted(engine, assigned(parameters=DENY))
    cluster = Cluster(found)
    change(cluster)
    condition = cluster.about(found)
    assert condition[:2] == told and said in condition.message


@pytest.mark.parametrize(("minutes", "reason"), [(29, "Exported"), (31, "GatekeeperSilent")])
def test_an_audit_that_is_old_makes_it_doubtful_that_gatekeeper_runs(engine: Engine, minutes: int, reason: str) -> None:
    found = wanted(engine, assigned(parameters=DENY))
    cluster = Cluster(found)
    cluster.objects[CONSTRAINT]["status"]["auditTimestamp"] = rfc3339(NOW - timedelta(minutes=minutes))
    told = cluster.about(found)
    assert told.reason == reason and told.status == ("True" if reason == "Exported" else "Unknown")


def test_without_gatekeeper_every_assignment_says_so(engine: Engine) -> None:
    found = wanted(engine, assigned(parameters=DENY))
    told = Cluster(found, unserved=(TEMPLATES_PATH,)).about(found)
    assert told[:2] == ("False", "GatekeeperMissing") and "install it" in told.message


def test_what_the_api_server_says_to_an_object_is_the_reason(engine: Engine) -> None:
    found = wanted(engine, assigned(parameters=DENY))
    cluster = Cluster(found, says=422)
    gone(CONSTRAINT)(cluster)
    told = cluster.about(found)
    assert told[:2] == ("False", "NotWritten") and "it says no" in told.message


def test_one_kind_that_may_not_be_read_concerns_its_own_assignments_alone(engine: Engine) -> None:
    found = wanted(engine, assigned(parameters=DENY), assigned("two", "block-host-namespaces"))
    cluster = Cluster(found)
    cluster.forbidden = (constraints_path(PRIVILEGED),)
    told = cluster.about(found)
    assert told[:2] == ("False", "NotWritten") and "aksp addon enable" in told.message
    assert cluster.about(found, "two").status == "True"


def test_a_sync_set_that_is_missing_is_told_where_the_rule_compares(engine: Engine) -> None:
    found = wanted(engine, assigned(parameters=DENY), assigned("two", "unique-ingress-hosts"))
    cluster = Cluster(found)
    cluster.lists.pop(SYNC_SETS_PATH)
    told = cluster.about(found, "two")
    assert told.status == "False" and "SyncSet" in told.message
    assert cluster.about(found).status == "True"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner, max_size=3),
    max_leaves=12,
)


@given(JSON)
def test_an_object_with_defaults_added_is_as_wanted_and_one_with_another_value_is_not(value: Any) -> None:
    assert as_wanted({"a": value}, {"a": _filled(value), "more": 1})
    assert not as_wanted({"a": value}, {"a": [value]})
    assert not as_wanted({"a": value, "b": 1}, {"a": value})


def _filled(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {**{key: _filled(one) for key, one in value.items()}, "default-of-the-schema": 1}
    return [_filled(one) for one in value] if isinstance(value, list) else value


def test_whose_an_object_is_shows_also_when_its_label_is_taken() -> None:
    applied = {"manager": FIELD_MANAGER, "operation": "Apply", "fieldsV1": {"f:spec": {}}}
    edited = {"manager": "kubectl-edit", "operation": "Update", "fieldsV1": {"f:spec": {}}}
    status = {"manager": "gatekeeper", "operation": "Update", "subresource": "status", "fieldsV1": {"f:status": {}}}
    assert is_ours({"metadata": {"managedFields": [applied, status]}})
    assert not is_ours({"metadata": {"managedFields": [edited]}})
    assert not has_foreign_fields({"metadata": {"managedFields": [applied, status]}})
    assert has_foreign_fields({"metadata": {"managedFields": [applied, edited]}})


@given(st.dictionaries(st.sampled_from(["metadata", "status", "spec"]), JSON))
def test_no_status_of_whatever_shape_is_taken_for_an_uptake(one: dict[str, Any]) -> None:
    uptake = Uptake.of(one)
    assert not uptake.refuses and not uptake.errors
