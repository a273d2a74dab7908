"""aksp definitions new and test: a definition to begin with, and its samples."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from aksp.model.kinds import BUILT_IN
from tests.cli.conftest import Aksp

SERVED = [one for one in BUILT_IN if one.version]


def samples(aksp: Aksp, slug: str) -> list[Path]:
    return sorted((aksp.workspace / "definitions" / slug / "samples").iterdir())


@pytest.mark.parametrize(
    "kind", ["Pod", "pod", "Service", "Deployment", "CronJob", "ClusterRole", "Widget.v1.example.com"]
)
def test_what_is_written_works_at_once(kind: str, aksp: Aksp) -> None:
    aksp.done("definitions", "new", "mine", "--kind", kind)

    assert "mine" in aksp.done("definitions", "-o", "name").out.split()
    assert aksp.done("definitions", "test", "mine").out.endswith("1 suite: 2 passed\n")
    assert aksp.done("definitions", "test").out.count("  ok    ") == 2
    aksp.done("assign", "mine")
    for path in samples(aksp, "mine"):
        run = aksp.judge(str(path))
        assert run.code == (1 if path.stem.startswith("noncompliant") else 0), run.out


def test_every_built_in_kind_can_be_judged(aksp: Aksp) -> None:
    for one in SERVED:
        aksp.done(
            "definitions", "new", one.kind.lower(), "--kind", f"{one.kind}.{one.group}" if one.group else one.kind
        )
    run = aksp.done("definitions", "test")

    assert run.out.endswith(f"{len(SERVED)} suites: {2 * len(SERVED)} passed\n")


def test_the_document_has_what_is_common_and_reports_only(aksp: Aksp) -> None:
    aksp.done("definitions", "new", "mine")
    show = aksp.done("definitions", "show", "mine", "-o", "json").json["properties"]

    assert show["parameters"]["effect"]["defaultValue"] == "Audit"
    assert set(show["parameters"]) >= {"source", "warn", "namespaces", "forbiddenImages"}
    written = json.loads((aksp.workspace / "definitions" / "mine" / "definition.json").read_text())
    assert "policyRule" not in written["properties"]


def test_another_folder_may_be_named(aksp: Aksp) -> None:
    aksp.done("definitions", "new", "mine", "--folder", "elsewhere")

    assert {path.name for path in (aksp.folder / "elsewhere" / "mine").iterdir()} == {
        "definition.json",
        "policy.rego",
        "samples",
    }
    assert not (aksp.workspace / "definitions").exists()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["Mine"], "cannot be a definition's name"),
        (["../mine"], "cannot be a definition's name"),
        (["no-privileged"], "there is a definition 'no-privileged' already"),
        (["ContainerNoPrivilege".lower()], "already"),
        (["mine", "--kind", "Widget"], "needs its group, as in Widget.example.com"),
        (["mine", "--kind", "Servce"], "did you mean 'Service'?"),
        (["mine", "--kind", "a b"], "is no kind"),
        (["mine", "--folder", "file"], "cannot be written"),
    ],
)
def test_what_cannot_be_written_is_told_and_leaves_nothing(arguments: list[str], told: str, aksp: Aksp) -> None:
    aksp.put("file", "")
    run = aksp("definitions", "new", *arguments)

    assert run.code == 2 and told in run.err
    assert not (aksp.workspace / "definitions").exists()


def test_a_folder_that_is_there_is_left_alone(aksp: Aksp) -> None:
    (aksp.folder / "d" / "mine").mkdir(parents=True)
    run = aksp("definitions", "new", "mine", "--folder", "d")

    assert run.code == 2 and "there is something already" in run.err
    assert [path.name for path in (aksp.folder / "d").iterdir()] == ["mine"]


def test_samples_that_are_not_as_they_say_are_told(aksp: Aksp) -> None:
    aksp.done("definitions", "new", "mine")
    compliant, noncompliant = samples(aksp, "mine")
    text = compliant.read_text()
    compliant.write_text(noncompliant.read_text().replace("container: web", "container: other"))
    noncompliant.write_text(text.replace("kind: Pod\n", "kind: ConfigMap\n"))
    run = aksp("definitions", "test")

    assert run.code == 1
    assert "is expected and not found: web container other spec.containers[0].image" in run.out
    assert "is found and not expected: web container web spec.containers[0].image" in run.out
    assert "nothing in it was judged" in run.out
    assert run.out.endswith("1 suite: 2 failed\n")


def test_a_sample_is_judged_with_either_ending_of_yaml(aksp: Aksp) -> None:
    aksp.done("definitions", "new", "mine")
    for path in samples(aksp, "mine"):
        path.rename(path.with_suffix(".yml"))
    assert aksp.done("definitions", "test", "mine").out.endswith("1 suite: 2 passed\n")


def test_a_rule_that_fails_is_no_pass(aksp: Aksp) -> None:
    aksp.done("definitions", "new", "mine")
    rego = aksp.workspace / "definitions" / "mine" / "policy.rego"
    rego.write_text(rego.read_text().replace("image in input.parameters.forbiddenImages", "to_number(image) > 1"))

    run = aksp("definitions", "test")
    assert run.code == 1 and "could not be judged: web" in run.out


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "a sample has a PolicySample before its objects"),
        ("a: [", "invalid YAML"),
        ("kind: Pod\n", "its first document is no PolicySample"),
        (
            "apiVersion: policy.aksp.io/v1alpha1\nkind: PolicySample\nspec: {title: A., expcet: []}\n",
            "spec.expcet is not known",
        ),
        ("apiVersion: policy.aksp.io/v1alpha1\nkind: PolicySample\nspec: {expect: []}\n", "spec.title is missing"),
        (
            yaml.safe_dump(
                {
                    "apiVersion": "policy.aksp.io/v1alpha1",
                    "kind": "PolicySample",
                    "spec": {"title": "A.", "parameters": {"forbiddenImages": "a"}, "expect": []},
                }
            ),
            "forbiddenImages",
        ),
    ],
)
def test_a_sample_that_is_wrong_is_told(text: str, told: str, aksp: Aksp) -> None:
    aksp.done("definitions", "new", "mine")
    samples(aksp, "mine")[0].write_text(text)
    run = aksp("definitions", "test")

    # A file that cannot be read as a sample ends the run; what can be read and not judged is told among the others.
    assert run.code in (2, 4) and told in run.out + run.err, run.err


def test_without_any_sample_nothing_is_said_to_pass(aksp: Aksp) -> None:
    assert aksp("definitions", "test").code == 4
    aksp.done("definitions", "new", "mine")
    for path in samples(aksp, "mine"):
        path.unlink()
    run = aksp("definitions", "test", "mine")

    assert run.code == 4 and "definition mine has no samples" in run.err
