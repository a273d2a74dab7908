"""ApplicationSets: which Applications the repository decides, and that all others are told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from aksp.sources.rendering.application_sets import Unknown, applications

TEMPLATE = {"metadata": {"name": "{{name}}"}, "spec": {"source": {"path": "apps/{{name}}"}}}
LIST = {"list": {"elements": [{"name": "a"}]}}


def made(root: Path, **spec: Any) -> list[Any]:
    return list(applications({"template": TEMPLATE, **spec}, root))


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        *(
            ({"generators": [{kind: {}}]}, f"its generator {kind} asks")
            for kind in ("clusters", "scmProvider", "pullRequest", "matrix", "merge", "plugin", "clusterDecisionResource")
        ),
        ({"generators": []}, "no generators"),
        ({"generators": ["x"]}, "cannot be read"),
        ({"generators": [{**LIST, "git": {"directories": [{"path": "*"}]}}]}, "is several: list, git"),
        ({"generators": [{"future": {}}]}, "its generator future is not known"),
        ({"generators": [{"git": {"files": [{"path": "a.json"}]}}]}, "files of its generator git"),
        ({"generators": [{"git": {"directories": [{"path": "none/*"}]}}]}, "brings nothing"),
        ({"generators": [{"list": {"elementsYaml": "{{x}}"}}]}, "elementsYaml"),
        ({"generators": [{"list": {"elements": []}}]}, "brings nothing"),
        ({"generators": [{**LIST, "selector": {"matchLabels": {"a": "b"}}}]}, "the field selector"),
        ({"generators": [{"list": {**LIST["list"], "template": {"spec": {}}}}]}, "the field template"),
        ({"generators": [LIST], "templatePatch": "spec: {}"}, "templatePatch"),
        ({"generators": [LIST], "template": {"metadata": {"name": "{{other}}"}}}, "{{other}}"),
        ({"generators": [LIST], "goTemplate": True, "template": {"metadata": {"name": "{{.name | lower}}"}}}, "lower"),
    ],
)  # fmt: skip
def test_what_the_repository_does_not_decide_is_told_by_name(tmp_path: Path, spec: dict[str, Any], said: str) -> None:
    (why,) = made(tmp_path, **spec)
    assert isinstance(why, Unknown)
    assert said in str(why)


def test_an_element_that_the_template_cannot_take_does_not_hide_those_behind_it(tmp_path: Path) -> None:
    elements = [{"name": "a"}, {"name": ["b"]}, {"other": "c"}, {"name": "d"}]
    found = made(tmp_path, generators=[{"list": {"elements": elements}, "git": None}])

    paths = [one["spec"]["source"]["path"] for one in found if not isinstance(one, Unknown)]
    assert paths == ["apps/a", "apps/d"]
    # Told once.
    (why,) = [one for one in found if isinstance(one, Unknown)]
    assert "{{name}}" in str(why)


def test_folders_are_those_that_argo_cd_takes(tmp_path: Path) -> None:
    for folder in ("apps/a", "apps/B_c", "apps/a/deep", "apps/.hidden", "apps/old", "other"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "apps/link").symlink_to(tmp_path / "other")
    directories = [{"path": "apps/*"}, {"path": "apps/old", "exclude": True}]
    for go, path, normal, first in (
        (False, "{{path}}", "{{path.basenameNormalized}}", "{{ path[0] }}"),
        (True, "{{.path.path}}", "{{ .path.basenameNormalized }}", "{{- index .path.segments 0 -}}"),
    ):
        template = {
            "metadata": {"name": normal},
            "spec": {"source": {"path": path}, "destination": {"namespace": first}},
        }
        found = made(tmp_path, template=template, goTemplate=go, generators=[{"git": {"directories": directories}}])
        assert [(one["metadata"]["name"], one["spec"]["source"]["path"]) for one in found] == [
            ("b-c", "apps/B_c"),
            ("a", "apps/a"),
        ]
        assert {one["spec"]["destination"]["namespace"] for one in found} == {"apps"}


def test_values_beside_folders_and_a_prefix_reach_the_template(tmp_path: Path) -> None:
    (tmp_path / "apps/a").mkdir(parents=True)
    git = {"directories": [{"path": "apps/*"}], "pathParamPrefix": "my", "values": {"name": "x-{{my.path.basename}}"}}
    template = {"metadata": {"name": "{{values.name}}"}, "spec": {"source": {"path": "{{my.path}}"}}}
    (found,) = made(tmp_path, template=template, generators=[{"git": git}])
    assert (found["metadata"]["name"], found["spec"]["source"]["path"]) == ("x-a", "apps/a")
