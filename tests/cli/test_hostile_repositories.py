"""Repositories that mean harm, or are odd: nothing of them is run or fetched, and nothing is left out unseen."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from tests.cli.conftest import Aksp, Run
from tests.cli.repositories import GIT, application, below, chart, pod
from tests.cli.test_rendering import judging as judging
from tests.cli.test_rendering import program, put
from tests.renderers import renderers as renderers

pytestmark = pytest.mark.slow


def states(run: Run) -> set[tuple[str, str, str]]:
    """Namespace, name and state of what was judged."""
    return {(one["resource"]["namespace"], one["resource"]["name"], one["state"]) for one in run.json["results"]}


def judged(aksp: Aksp, *options: str) -> Run:
    return aksp("compliance", *options, "-o", "json", "--show", "all")


# What nothing else would have


@pytest.mark.parametrize(
    "overlays",
    [
        {"a": "resources: [../b]\n", "b": "resources: [../a, pod.yaml]\n"},
        {"b": "resources: [., pod.yaml]\n"},
        {"a": "kind: Component\nresources: [../b]\n", "b": "resources: [pod.yaml]\n"},
        {"b": "Resources: [pod.yaml, ../b]\n"},
    ],
    ids=["a circle", "itself", "a component that nothing uses", "itself, in another case"],
)
def test_an_overlay_that_no_judged_one_uses_is_judged_or_told(judging: Aksp, overlays: dict[str, str]) -> None:
    for name, text in overlays.items():
        judging.put(f"repo/{name}/kustomization.yaml", text)
    judging.put("repo/b/pod.yaml", pod("bad", True))
    judging.put("repo/good.yaml", pod("good", False))
    run = judged(judging, "-R", "-f", "repo")
    assert ("default", "bad", "NonCompliant") in states(run) or [gap["reason"] for gap in run.json["gaps"]] == [
        "NotRendered"
    ]
    assert run.code in (1, 4)


def test_a_chart_whose_file_cannot_be_read_is_a_gap(judging: Aksp) -> None:
    put(judging, "chart", {**chart("web"), "Chart.yaml": "name: [\n"})
    run = judged(judging, "-R", "-f", ".")
    assert run.code == 4 and "chart/Chart.yaml:2: invalid YAML" in run.gaps[0]


def test_resources_of_one_name_have_a_chart_each_in_their_way(judging: Aksp) -> None:
    put(judging, "repo", {**GIT, **below("chart", chart("web"))})
    for space, privileged in (("dev", "true"), ("prod", "false")):
        helm = f", helm: {{parameters: [{{name: privileged, value: '{privileged}'}}]}}"
        judging.put(f"repo/apps/{space}.yaml", application("web", "chart", space, helm))
    os.chdir("repo")
    run = judged(judging, "-f", "apps", "--follow")
    assert states(run) >= {("dev", "web-web", "NonCompliant"), ("prod", "web-web", "Compliant")}


def test_a_folder_is_judged_in_each_namespace_that_it_is_put_into(judging: Aksp) -> None:
    put(judging, "repo", {**GIT, "manifests/pod.yaml": pod("web", True), "manifests/fixed.yaml": pod("x", True, "own")})
    judging.put("repo/apps/a.yaml", application("a", "manifests", "shop"))
    judging.put("repo/apps/b.yaml", application("b", "manifests", "blog"))
    os.chdir("repo")
    for options in (("-f", "apps"), ("-R", "-f", ".")):
        assert {place[:2] for place in states(judged(judging, *options, "--follow"))} == {
            ("shop", "web"),
            ("blog", "web"),
            ("own", "x"),
        }


def test_a_folder_that_is_followed_does_not_bring_back_charts_that_are_followed(judging: Aksp) -> None:
    put(judging, "repo", {**GIT, **below("chart", chart("web")), "manifests/pod.yaml": pod("plain", False)})
    for name, path in (("a", "chart"), ("b", "manifests"), ("c", "chart")):
        judging.put(f"repo/apps/{name}.yaml", application(name, path, name))
    os.chdir("repo")
    run = judged(judging, "-R", "-f", ".", "--follow")
    assert {place[:2] for place in states(run)} == {("a", "a-web"), ("b", "plain"), ("c", "c-web")}


# What a resource that is followed says of a chart


@pytest.mark.parametrize(
    "helm",
    ["kubeVersion: v1.1.0", "apiVersions: [x/v1]", "namespace: other", 'values: "[1]"', "valuesObject: [1]"],
)
def test_what_changes_a_chart_and_is_not_read_is_told(judging: Aksp, helm: str) -> None:
    put(judging, "repo", {**GIT, **below("chart", chart("web", values="privileged: false\n"))})
    judging.put("repo/app.yaml", application("web", "chart", "shop", f", helm: {{{helm}}}"))
    os.chdir("repo")
    run = judged(judging, "-f", "app.yaml", "--follow")
    assert run.code == 4 and run.json["gaps"][0]["reason"] == "NotFollowed"


def test_parameters_are_what_argo_cd_makes_of_them(judging: Aksp) -> None:
    files = chart("web", values="")
    files["templates/deployment.yaml"] = (
        "apiVersion: v1\nkind: Pod\nmetadata: {name: web}\nspec:\n  containers:\n  - name: a\n    image: {{ .Values.a | quote }}\n"
        "  - name: b\n    image: {{ kindOf .Values.b }}\n  - name: c\n    image: {{ index .Values.c 1 }}\n"
    )
    put(judging, "repo", {**GIT, **below("chart", files)})
    parameters = '{name: a, value: "x,y=z"}, {name: b, value: "1", forceString: true}, {name: c, value: "{p,q}"}'
    judging.put("repo/app.yaml", application("web", "chart", "shop", f", helm: {{parameters: [{parameters}]}}"))
    os.chdir("repo")
    run = judged(judging, "-f", "app.yaml", "--follow")
    assert [one["container"]["image"] for one in run.json["results"]] == ["x,y=z", "string", "q"]


def test_a_file_of_values_may_have_a_comma_in_its_name(judging: Aksp) -> None:
    put(judging, "repo", {**GIT, **below("chart", chart("web")), 'chart/a,"b".yaml': "privileged: false\n"})
    helm = ", helm: {valueFiles: ['a,\"b\".yaml']}"
    judging.put("repo/app.yaml", application("web", "chart", "shop", helm))
    os.chdir("repo")
    assert judged(judging, "-f", "app.yaml", "--follow").code == 0


@pytest.mark.parametrize("name", [r"a\0b", "x" * 300, "circle", "--help"])
def test_odd_names_are_told_and_are_no_option(judging: Aksp, name: str) -> None:
    put(judging, "repo", {**GIT, **below("chart", chart("web"))})
    os.symlink("circle", "repo/circle")
    judging.put("repo/path.yaml", application("web", f'"{name}"', "shop"))
    judging.put("repo/release.yaml", application("web", "chart", "shop", f', helm: {{releaseName: "{name}"}}'))
    judging.put("repo/values.yaml.yaml", application("web", "chart", "shop", f', helm: {{valueFiles: ["{name}"]}}'))
    judging.put("repo/overlay/kustomization.yaml", f'resources: ["{name}"]\n')
    os.chdir("repo")
    for options in (("path.yaml", "--follow"), ("values.yaml.yaml", "--follow"), ("overlay",)):
        run = judged(judging, "-f", *options)
        assert run.code == 4 and run.json["gaps"][0]["reason"] in ("NotFollowed", "NotRendered")
    run = judged(judging, "-f", "release.yaml", "--follow")
    assert run.code == (1 if name == "circle" else 4)


# What tools are kept from, and what they print


@pytest.fixture
def asked() -> Iterator[tuple[str, list[str]]]:
    """A server on this machine, to which no proxy leads: its address, and what it is asked for."""
    paths: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            paths.append(self.path)
            self.send_error(404)

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"127.0.0.1:{server.server_port}", paths
        server.shutdown()


MAP = {"apiVersion": "builtin", "kind": "ConfigMapGenerator", "metadata": {"name": "x"}}


@pytest.mark.parametrize("scheme", ["http", "HTTP"])
@pytest.mark.parametrize("where", ["generator", "there", "file", "inline", "folder", "case", "patch"])
def test_no_field_makes_kustomize_fetch(judging: Aksp, asked: tuple[str, list[str]], scheme: str, where: str) -> None:
    url = f"{scheme}://{asked[0]}/x"
    settings = json.dumps({**MAP, "files": [f"key={url}"]})
    made = {
        "generator": {"configMapGenerator": [{"name": "x", "files": [url]}]},
        "there": {"resources": [url]},
        "file": {"generators": ["settings.yaml"]},
        "inline": {"generators": [settings]},
        "folder": {"generators": ["settings"]},
        "case": {"ReSources": [url]},
        "patch": {"patches": [{"PATH": url, "target": {"kind": "Pod"}}]},
    }[where]
    judging.put(f"repo/{scheme}:/{asked[0]}/x", "")
    judging.put("repo/kustomization.yaml", json.dumps(made))
    judging.put("repo/settings.yaml", settings)
    put(judging, "repo/settings", {"kustomization.yaml": "resources: [one.yaml]\n", "one.yaml": settings})
    run = judged(judging, "-k", "repo")
    assert run.code == 4 and "nothing is fetched from the network" in run.gaps[0]
    assert asked[1] == []


def test_what_helm_prints_cannot_name_a_file_outside_the_chart(judging: Aksp, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = judging.folder / "bin"
    folder.mkdir()
    program(folder / "helm", f"print({'# Source: web//etc/passwd' + chr(10) + pod('web', True)!r})")
    monkeypatch.setenv("PATH", str(folder))
    put(judging, "chart", chart("web"))
    (one,) = judging("compliance", "-f", "chart", "-o", "json").json["results"]
    assert one["source"]["file"] == os.path.join("chart", "Chart.yaml")


def test_a_text_of_an_object_is_not_its_origin(judging: Aksp) -> None:
    text = "config.kubernetes.io/origin: |\n      path: ../../../../../../../etc/passwd\n"
    data = f"apiVersion: v1\nkind: Pod\ndata:\n  a: |\n    {text}metadata: {{name: x}}\nspec: {{containers: [{{name: a, securityContext: {{privileged: true}}}}]}}\n"
    put(judging, "base", {"kustomization.yaml": "resources: [pod.yaml]\n", "pod.yaml": data})
    run = judged(judging, "-k", "base")
    assert {one["source"]["file"] for one in run.json["results"]} == {os.path.join("base", "pod.yaml")}


def test_a_folder_whose_name_reads_like_an_option_is_rendered(judging: Aksp) -> None:
    put(judging, "--help", {"kustomization.yaml": "resources: [pod.yaml]\n", "pod.yaml": pod("web", True)})
    put(judging, "--version", chart("web"))
    judging.put("apps/a.yaml", application("a", "--help", "shop"))
    judging.put("apps/b.yaml", application("b", "--version", "shop"))
    judging.put(".git/HEAD", "")
    run = judged(judging, "-f", "apps", "--follow")
    assert states(run) == {("shop", "web", "NonCompliant"), ("shop", "b-web", "NonCompliant")}
