"""Documents that the API server would not decode: told once, at their place, whatever would have chosen them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from aksp.compliance.selection import Selector
from aksp.engine import Engine
from aksp.model.compliance import ComplianceState, Report, Target, TargetKind
from aksp.scan import Scan
from aksp.sources.manifests import Manifests
from aksp.workspace import prepare
from tests.definitions.samples import DEFINITIONS, NOW, plan_of
from tests.sources.test_manifests import EVERYTHING, gaps, put

DATA = Path(__file__).parent / "data"
NUMBER = "apiVersion: v1\nkind: Pod\nmetadata: {name: p, %s}\nspec: {containers: [{name: c, image: a}]}\n"
TEMPLATE = (
    "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: d, %s}\nspec: {template: {spec: {containers: []}}}\n"
)


def judged(engine: Engine, path: str, slug: str = "no-privileged", parameters: Any = None, **more: Any) -> Report:
    plan = plan_of(DEFINITIONS[slug], parameters or {})
    prepare(engine, plan)
    target = Target(kind=TargetKind.MANIFESTS, name="test", scope="/")
    return Scan(plan, engine).run(Manifests(engine, [path], **more), target, NOW).report


@pytest.mark.parametrize(
    ("name", "field", "line", "said"),
    [
        ("containers-mapping", "spec.template.spec.containers", 9, "is an object, not a list"),
        ("numeric-template-label", "spec.template.metadata.labels.ver", 16, "is a number, not a string"),
    ],
)
@pytest.mark.parametrize(
    ("slug", "parameters"),
    [
        ("no-privileged", {}),
        ("allowed-images", {"allowedContainerImagesRegex": "^quay"}),
        ("required-labels", {"labels": ["app"]}),
    ],
)
def test_a_field_that_cannot_be_decoded_is_one_error_at_its_path_and_line(
    slug: str, parameters: dict[str, Any], name: str, field: str, line: int, said: str, engine: Engine
) -> None:
    report = judged(engine, str(DATA / f"{name}.yaml"), slug, parameters)
    (error,) = [one for one in report.results if one.state is ComplianceState.ERROR]

    assert (error.finding.message, error.finding.path) == (f"{field} {said}", field)
    assert error.source is not None and error.source.line == line
    assert [gap.message for gap in report.gaps] == [f"Deployment default/d: {field} {said}"]
    assert report.results == [error]


def test_a_null_label_is_the_empty_text(engine: Engine) -> None:
    labels = {"labels": ["team", "app"]}
    report = judged(engine, str(DATA / "null-label.yaml"), "required-labels", labels)

    assert (report.state, report.results, report.gaps) == (ComplianceState.COMPLIANT, [], [])
    assert gaps(engine, str(DATA / "null-label.yaml")) == []


@pytest.mark.parametrize("text", [NUMBER, TEMPLATE], ids=["Pod", "Deployment"])
@pytest.mark.parametrize(
    ("field", "selector", "namespace", "told"),
    [
        ("labels: {app: 1}", "app=1", None, True),
        ("labels: {app: 1}", "app in (a, b)", None, True),
        ("labels: {app: 1}", "!app", None, True),
        ("labels: {app: 1, tier: a}", "tier=b", None, False),
        ("labels: {'a.b/c': true}", "a.b/c=true", None, True),
        ("labels: [app]", "app=1", None, True),
        ("namespace: 7", None, "shop", True),
        ("namespace: {}", "app=1", "shop", False),
        ("labels: {app: 1}, namespace: 7", "app=1", "shop", True),
    ],
)
def test_what_cannot_be_read_may_be_what_n_and_l_ask_for(
    field: str, selector: str | None, namespace: str | None, told: bool, text: str, engine: Engine, tmp_path: Path
) -> None:
    path = put(tmp_path, "x.yaml", text % field)
    chosen = Selector.parse_text(selector) if selector else None
    pages = Manifests(engine, [path], selector=chosen, namespace=namespace).pages(EVERYTHING)
    kinds = {document.resource.kind for page in pages for document in page.documents}

    assert (kinds != {""}) == told
