"""Whatever stands in a document of Gatekeeper, it is imported, tested or told; nothing ends in a bug."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from aksp.engine import Engine
from aksp.errors import InvalidInput
from aksp.gatekeeper.audits import audits
from aksp.gatekeeper.documents import Documents
from aksp.gatekeeper.importing import read_import
from aksp.gatekeeper.suites import suites_of
from aksp.gatekeeper.verifying import verify
from aksp.model.compliance import Target, TargetKind
from aksp.model.scope import EVERYWHERE, Scope
from aksp.scan import Scan
from aksp.sources.manifests import Manifests
from aksp.workspace import prepare
from tests.gatekeeper.builders import constraint, template

pytestmark = pytest.mark.slow

NOW = datetime(2026, 9, 1, tzinfo=UTC)
VALUES: list[Any] = [None, 3, "x", [], {}, [1], ["x"], {"a": 1}, True]
SCOPED = [{"action": "deny", "enforcementPoints": [{"name": "*"}]}]
STATUS = {
    "auditTimestamp": "2026-09-01T00:00:00Z",
    "totalViolations": 1,
    "violations": [{"group": "", "version": "v1", "kind": "Pod", "namespace": "a", "name": "b", "message": "m"}],
    "byPod": [{"id": "p", "errors": [{"message": "m"}], "enforced": True}],
}
TEMPLATE = {**template(operations=["CREATE"]), "status": {"created": True, "byPod": [{"errors": [{"message": "m"}]}]}}
CONSTRAINT = {
    **constraint(
        match={"kinds": [{"apiGroups": [""], "kinds": ["Pod"]}], "labelSelector": {"matchLabels": {"a": "b"}}, "namespaces": ["a"]},
        enforcementAction="scoped",
        scopedEnforcementActions=SCOPED,
    ),
    "status": STATUS,
}  # fmt: skip
OTHERS = [
    {
        "apiVersion": "config.gatekeeper.sh/v1alpha1",
        "kind": "Config",
        "metadata": {"name": "config"},
        "spec": {"match": [{"excludedNamespaces": ["x"], "processes": ["*"]}]},
    },
    {
        "apiVersion": "expansion.gatekeeper.sh/v1beta1",
        "kind": "ExpansionTemplate",
        "metadata": {"name": "e"},
        "spec": {
            "applyTo": [{"groups": [""], "versions": ["v1"], "kinds": ["Pod"]}],
            "templateSource": "spec",
            "generatedGVK": {"group": "", "version": "v1", "kind": "Thing"},
        },
    },
]


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield path
    entries = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, one in entries:
        yield from places(one, (*path, key))


def changed(document: Any) -> Iterator[Any]:
    """The document with one value in it replaced, by each of the values and at each place."""
    for path in places(document):
        for value in VALUES:
            made = copy.deepcopy(document)
            if not path:
                yield value
                continue
            place = made
            for key in path[:-1]:
                place = place[key]
            place[path[-1]] = value
            yield made


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    with Engine() as made:
        yield made


@pytest.mark.parametrize("which", range(4), ids=["template", "constraint", "Config", "ExpansionTemplate"])
def test_documents_with_something_wrong_in_them_are_imported_or_told(
    engine: Engine, tmp_path: Path, which: int
) -> None:
    documents = [TEMPLATE, CONSTRAINT, *OTHERS]
    (tmp_path / "pod.yaml").write_text(
        "{apiVersion: v1, kind: Pod, metadata: {name: p}, spec: {containers: [{name: c, image: i}]}}"
    )
    target = Target(kind=TargetKind.MANIFESTS, name="x", scope="/")
    tried = 0
    for other in changed(documents[which]):
        found = Documents()
        for at, one in enumerate(documents):
            found.add(other if at == which else one, "file.yaml")
        made = read_import(engine, found, None, EVERYWHERE, NOW)
        assert len(made.assignments) + len(made.refused) + len(made.lost) + len(found.others) > 0
        tried += 1
        if tried % 7 == 0:
            judged = audits(engine, found, Scope("/"), NOW)
            scanned = Scan(prepare(engine, judged.plan), engine).run(
                Manifests(engine, [str(tmp_path / "pod.yaml")]), target, NOW
            )
            judged.compared(scanned.report, NOW)
    assert tried > 100


REVIEW = {
    "apiVersion": "admission.k8s.io/v1",
    "kind": "AdmissionReview",
    "request": {
        "uid": "u",
        "operation": "CREATE",
        "kind": {"group": "", "version": "v1", "kind": "Pod"},
        "name": "p",
        "namespace": "a",
        "userInfo": {"username": "eve"},
        "object": {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": "p"},
            "spec": {"containers": [{"name": "c"}]},
        },
    },
}


@pytest.mark.parametrize("which", ["object.yaml", "expansion.yaml", "suite.yaml", "inventory.yaml"])
def test_files_of_a_suite_with_something_wrong_in_them_are_judged_or_told(
    engine: Engine, tmp_path: Path, which: str
) -> None:
    suite = {
        "apiVersion": "test.gatekeeper.sh/v1alpha1",
        "kind": "Suite",
        "skip": False,
        "tests": [
            {
                "name": "t",
                "template": "template.yaml",
                "constraint": "constraint.yaml",
                "expansion": "expansion.yaml",
                "invalid": False,
                "skip": False,
                "cases": [
                    {
                        "name": "c",
                        "object": name,
                        "inventory": ["inventory.yaml"],
                        "assertions": [{"violations": 1, "message": "x"}],
                    }
                    for name in ("object.yaml", "review.yaml")
                ],
            }
        ],
    }
    files: dict[str, Any] = {
        "suite.yaml": suite,
        "template.yaml": template(),
        "constraint.yaml": constraint(),
        "object.yaml": REVIEW["request"]["object"],  # type: ignore[index]
        "review.yaml": REVIEW,
        "expansion.yaml": OTHERS[1],
        "inventory.yaml": {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "a", "labels": {"a": "b"}}},
    }
    if which == "object.yaml":
        which = "review.yaml"
    for name, document in files.items():
        (tmp_path / name).write_text(yaml.safe_dump(document), encoding="utf-8")
    for other in changed(files[which]):
        (tmp_path / which).write_text(yaml.safe_dump(other), encoding="utf-8")
        try:
            found = suites_of([str(tmp_path / "suite.yaml")])
        except InvalidInput:
            assert which == "suite.yaml"
            continue
        for one in found:
            assert verify(engine, one, NOW).path == tmp_path / "suite.yaml"
