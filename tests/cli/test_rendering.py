"""Charts and overlays: rendered by the tools that are there, and judged; what is not rendered is told."""

from __future__ import annotations

import json
import os
import shutil
import stat
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from aksp.sources.rendering import tool
from aksp.sources.rendering.rendered import line_in
from tests.cli.conftest import Aksp
from tests.renderers import renderers as renderers

DEPLOYMENT = """\
{{- if .Values.enabled }}
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ .Release.Name }}
spec:
  template:
    spec:
      initContainers:
      - name: first
        image: {{ .Values.image }}
        securityContext:
          privileged: false
      containers:
      {{- range .Values.containers }}
      - name: {{ . }}
        image: {{ required "an image is needed" $.Values.image }}
        securityContext:
          privileged: {{ $.Values.privileged }}
      {{- end }}
{{- end }}
"""
CHART = {
    "Chart.yaml": "apiVersion: v2\nname: web\nversion: 1.0.0\n",
    "values.yaml": "enabled: true\nimage: nginx\nprivileged: true\ncontainers: [a, b]\n",
    "templates/deployment.yaml": DEPLOYMENT,
}
POD = """\
apiVersion: v1
kind: Pod
metadata:
  name: {name}
spec:
  containers:
  - name: a
    image: nginx
    securityContext:
      privileged: {privileged}
"""
BASE = {"kustomization.yaml": "resources: [pod.yaml]\n", "pod.yaml": POD.format(name="web", privileged="true")}
OVERLAY = {"kustomization.yaml": "namePrefix: prod-\nnamespace: prod\nresources: [../base]\n"}


def put(aksp: Aksp, folder: str, files: Mapping[str, str]) -> None:
    for name, text in files.items():
        aksp.put(f"{folder}/{name}", text)


@pytest.fixture
def judging(renderers: str, aksp: Aksp, monkeypatch: pytest.MonkeyPatch) -> Aksp:
    """With no-privileged assigned, and the tools installed."""
    monkeypatch.setenv("PATH", renderers)
    aksp.done("assign", "no-privileged")
    return aksp


def found(report: Any) -> list[tuple[str, str, str, str, int]]:
    """Namespace, name, container, file and line of what does not comply."""
    return [
        (
            one["resource"]["namespace"],
            one["resource"]["name"],
            one["container"]["name"],
            one["source"]["file"],
            one["source"]["line"],
        )
        for one in report["results"]
    ]


# Charts


def test_a_chart_is_rendered_and_its_findings_name_the_template_and_the_line(judging: Aksp) -> None:
    put(judging, "chart", CHART)
    run = judging("compliance", "chart", "-o", "json")
    template = os.path.join("chart", "templates", "deployment.yaml")
    assert found(run.json) == [("default", "web", "a", template, 19), ("default", "web", "b", template, 19)]
    assert (run.code, run.gaps) == (1, [])
    assert "rendered by helm v" in run.err and run.err.rstrip().count("\n") == 0


def test_links_within_a_chart_are_followed_as_helm_does(judging: Aksp) -> None:
    put(judging, "chart", {name: text for name, text in CHART.items() if not name.startswith("templates/")})
    put(judging, "chart/parts", {"deployment.yaml": CHART["templates/deployment.yaml"]})
    (judging.folder / "chart/templates").symlink_to("parts")
    run = judging("compliance", "chart", "-o", "json")
    assert [(name, file) for _, name, _, file, _ in found(run.json)] == [("web", "chart/templates/deployment.yaml")] * 2
    assert run.gaps == []


@pytest.mark.parametrize(
    ("link", "target", "said"),
    [
        ("templates/more.yaml", "../../outside.yaml", "leads out of the chart, to ../../outside.yaml"),
        ("charts/sub", "../../sub", "leads out of the chart, to ../../sub"),
        ("templates/gone.yaml", "nothing.yaml", "leads nowhere"),
        ("templates/again", "..", "leads in a circle"),
    ],
)
def test_a_link_that_leads_out_of_a_chart_is_named_and_not_followed(
    judging: Aksp, link: str, target: str, said: str
) -> None:
    put(judging, "chart", CHART)
    put(judging, "sub", CHART)
    judging.put("outside.yaml", POD.format(name="outside", privileged="true"))
    path = judging.folder / "chart" / link
    path.parent.mkdir(exist_ok=True)
    path.symlink_to(target)
    run = judging("compliance", "chart", "-o", "json")
    assert (run.code, run.json["results"]) == (4, [])
    (gap,) = run.gaps
    assert f"chart: not rendered, so not judged: its link chart/{link} {said}" in gap


def test_values_release_and_namespace_reach_the_chart(judging: Aksp) -> None:
    put(judging, "chart", CHART)
    judging.put("prod.yaml", "containers: [c]\n")
    options = ("--values", "prod.yaml", "--set", "image=httpd", "--release-name", "rel", "-n", "shop")
    run = judging("compliance", "chart", *options, "-o", "json")
    (one,) = run.json["results"]
    assert (one["resource"]["namespace"], one["resource"]["name"]) == ("shop", "rel")
    assert one["container"] == {"name": "c", "type": "containers", "image": "httpd"}
    assert judging("compliance", "chart", "--set", "privileged=false").code == 0


def test_a_folder_with_charts_and_manifests_has_each_object_once(judging: Aksp) -> None:
    put(judging, "repo/charts/web", CHART)
    put(judging, "repo/charts/web/charts/sub", {**CHART, "Chart.yaml": "apiVersion: v2\nname: sub\nversion: 1.0.0\n"})
    put(judging, "repo/charts/shared", {"Chart.yaml": "apiVersion: v2\nname: shared\nversion: 1.0.0\ntype: library\n"})
    judging.put("repo/pod.yaml", POD.format(name="plain", privileged="true"))
    # Beside the chart in its folder, and no part of it.
    judging.put("repo/charts/web/extra/pod.yaml", POD.format(name="extra", privileged="true"))
    run = judging("compliance", "repo", "-R", "-o", "json")
    places = {(name, file) for _, name, _, file, _ in found(run.json)}
    assert places == {
        ("web", "repo/charts/web/templates/deployment.yaml"),
        ("web", "repo/charts/web/charts/sub/templates/deployment.yaml"),
        ("plain", "repo/pod.yaml"),
        ("extra", "repo/charts/web/extra/pod.yaml"),
    }
    assert run.gaps == []
    assert "library charts and components, which others use, left out: repo/charts/shared" in run.err


def test_a_chart_that_cannot_be_rendered_is_a_gap_with_helms_words(judging: Aksp) -> None:
    put(judging, "chart", CHART)
    judging.put("pod.yaml", POD.format(name="plain", privileged="false"))
    run = judging("compliance", "chart", "pod.yaml", "--set", "image=null", "-o", "json")
    (gap,) = run.json["gaps"]
    assert (run.code, gap["reason"]) == (4, "NotRendered")
    assert "an image is needed" in gap["message"] and gap["message"].startswith(
        "chart: not rendered, so not judged: helm"
    )


def test_dependencies_that_are_not_there_are_not_fetched(judging: Aksp) -> None:
    dependency = "dependencies: [{name: redis, version: 1.0.0, repository: 'https://charts.example.com'}]\n"
    put(judging, "chart", {**CHART, "Chart.yaml": CHART["Chart.yaml"] + dependency})
    run = judging("compliance", "chart", "-o", "json")
    assert run.code == 4 and "redis" in run.gaps[0] and "charts/ directory" in run.gaps[0]
    assert not Path("chart", "charts").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("chart", "--values", "none.yaml"), "--values none.yaml: there is no such file"),
        (("chart", "--values", "https://example.com/values.yaml"), "nothing is fetched from the network"),
        (("pod.yaml", "--set", "a=b"), "--set is about a chart, and none is named"),
        (("chart", "other", "--release-name", "x"), "--release-name is about one chart, and there are 2"),
        (("-k", "chart"), "the folder has no kustomization.yaml"),
        (("-k", "none"), "there is no such folder"),
    ],
)
def test_options_that_fit_nothing_are_wrong_usage(judging: Aksp, arguments: tuple[str, ...], said: str) -> None:
    put(judging, "chart", CHART)
    put(judging, "other", CHART)
    judging.put("pod.yaml", POD.format(name="plain", privileged="true"))
    run = judging("compliance", *arguments)
    assert run.code == 2 and said in run.err


def test_without_the_tools_a_chart_and_an_overlay_are_gaps_that_say_how(
    aksp: Aksp, monkeypatch: pytest.MonkeyPatch
) -> None:
    aksp.done("assign", "no-privileged")
    put(aksp, "chart", CHART)
    put(aksp, "base", BASE)
    monkeypatch.setenv("PATH", str(aksp.folder / "home"))
    run = aksp("compliance", ".", "-R", "-o", "json")
    assert run.code == 4 and run.json["results"] == []
    assert [gap["reason"] for gap in run.json["gaps"]] == ["NotRendered"] * 2
    assert "kustomize nor kubectl is installed" in run.gaps[0] and "helm is not installed" in run.gaps[1]


# Overlays


def test_an_overlay_is_rendered_and_its_findings_name_the_file_of_the_base(judging: Aksp) -> None:
    put(judging, "base", BASE)
    put(judging, "prod", OVERLAY)
    run = judging("compliance", "-k", "prod", "-o", "json")
    assert found(run.json) == [("prod", "prod-web", "a", os.path.join("base", "pod.yaml"), 10)]
    assert "rendered by kustomize v5" in run.err
    # The annotation by which it is found is not judged, and nothing was written.
    assert sorted(os.listdir("prod")) == ["kustomization.yaml"]


def test_kubectl_renders_where_kustomize_is_not_installed(judging: Aksp, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = judging.folder / "bin"
    folder.mkdir()
    program(
        folder / "kubectl",
        """
        import json, subprocess, sys
        if sys.argv[1] == "version":
            print(json.dumps({"kustomizeVersion": "v5.5.0", "clientVersion": {"gitVersion": "v1.32.4"}}))
        else:
            assert sys.argv[1] == "kustomize"
            sys.exit(subprocess.run([KUSTOMIZE, "build", *sys.argv[2:]]).returncode)
    """.replace("KUSTOMIZE", repr(shutil.which("kustomize"))),
    )
    monkeypatch.setenv("PATH", str(folder))
    put(judging, "base", BASE)
    run = judging("compliance", "-k", "base", "-o", "json")
    assert found(run.json) == [("default", "web", "a", os.path.join("base", "pod.yaml"), 10)]
    assert "rendered by kustomize v5.5.0 of kubectl v1.32.4: base" in run.err


def test_of_a_folder_the_overlays_are_rendered_and_what_they_use_is_not_judged_by_itself(judging: Aksp) -> None:
    put(judging, "repo/base", BASE)
    patch = "apiVersion: v1\nkind: Pod\nmetadata: {name: web}\nspec: {containers: [{name: a, securityContext: {privileged: false}}]}\n"
    put(
        judging,
        "repo/overlays/dev",
        {"kustomization.yaml": "resources: [../../base]\npatches: [{path: p.yaml}]\n", "p.yaml": patch},
    )
    put(judging, "repo/overlays/prod", {"kustomization.yaml": "namePrefix: prod-\nresources: [../../base]\n"})
    judging.put("repo/overlays/prod/alone.yaml", POD.format(name="alone", privileged="true"))
    component = "apiVersion: kustomize.config.k8s.io/v1alpha1\nkind: Component\npatches: [{path: p.yaml}]\n"
    put(judging, "repo/component", {"kustomization.yaml": component, "p.yaml": patch})
    run = judging("compliance", "repo", "-R", "-o", "json", "--show", "all")
    states = {(one["resource"]["name"], one["state"]) for one in run.json["results"]}
    assert states == {("web", "Compliant"), ("prod-web", "NonCompliant"), ("alone", "NonCompliant")}
    assert run.gaps == [] and "left out: repo/component" in run.err


@pytest.mark.parametrize(
    "name",
    [
        "https://example.com/a.yaml",
        "github.com/org/repo?ref=v1",
        "git@github.com:org/repo.git",
        "ssh://git@example.com/repo",
        "github.com/org/repo/base",
    ],
)
def test_what_kustomize_would_fetch_is_a_gap_and_is_not_asked_for(
    judging: Aksp, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    put(judging, "base", {**BASE, "kustomization.yaml": json.dumps({"resources": ["pod.yaml", name]})})
    put(judging, "prod", OVERLAY)
    run = judging("compliance", "-k", "prod", "-o", "json")
    assert run.code == 4
    assert f"base/kustomization.yaml names {name}, and nothing is fetched" in run.gaps[0].replace("prod/../", "")


# The tools as processes


def program(path: Path, text: str) -> None:
    """A program in Python."""
    lines = text.strip("\n").split("\n")
    indent = len(lines[0]) - len(lines[0].lstrip())
    body = "\n".join(line[indent:] for line in lines)
    path.write_text(f"#!{sys.executable}\n{body}\n", encoding="utf-8")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("import time; time.sleep(60)", "took longer than 1 s"),
        ("import sys\nwhile True: sys.stdout.write('x' * 65536)", "printed more than 1 MiB"),
        ("import sys; sys.stderr.write('\\x1b[2Jbad'); sys.exit(3)", "\\x1b[2Jbad"),
        ("import sys; sys.exit(3)", "exit code 3"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "exit code -9"),
    ],
)
def test_a_tool_that_hangs_floods_or_fails_is_a_gap(
    aksp: Aksp, monkeypatch: pytest.MonkeyPatch, text: str, said: str
) -> None:
    monkeypatch.setattr(tool, "LONGEST_RUN", 1.0)
    monkeypatch.setattr(tool, "LONGEST_OUTPUT", 1 << 20)
    folder = aksp.folder / "bin"
    folder.mkdir()
    program(folder / "helm", f"import sys\nif sys.argv[1] == 'version': print('v9'); sys.exit()\n{text}")
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    aksp.done("assign", "no-privileged")
    put(aksp, "chart", CHART)
    run = aksp("compliance", "chart")
    assert run.code == 4 and "NotRendered" in run.out
    assert said in " ".join(run.out.split()) and "\x1b" not in run.out


def test_a_tool_sees_no_credential_and_no_network(aksp: Aksp, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = aksp.folder / "bin"
    folder.mkdir()
    seen = aksp.folder / "seen.json"
    program(
        folder / "helm",
        f"""
        import json, os, sys
        json.dump([sys.argv, dict(os.environ)], open({str(seen)!r}, "w"))
        print("apiVersion: v1\\nkind: Pod\\nmetadata: {{name: x}}\\nspec: {{containers: [{{name: a, image: b}}]}}")
    """,
    )
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    for name in ("KUBECONFIG", "AZURE_CLIENT_SECRET", "HELM_PLUGINS", "NO_PROXY", "HELM_REGISTRY_CONFIG"):
        monkeypatch.setenv(name, "secret")
    aksp.done("assign", "no-privileged")
    put(aksp, "chart", CHART)
    assert aksp("compliance", "chart", "--set", "a=$(id); b").code == 0
    arguments, environment = json.loads(seen.read_text())
    assert "--set=a=$(id); b" in arguments
    assert "secret" not in environment.values()
    assert environment["HTTPS_PROXY"] == "http://127.0.0.1:1" and environment["GIT_ALLOW_PROTOCOL"] == "none"


# Lines


TEMPLATE = DEPLOYMENT.splitlines()


@pytest.mark.parametrize(
    ("shown", "path", "line"),
    [
        ("          privileged: false", "spec.template.spec.initContainers[0].securityContext.privileged", 13),
        ("          privileged: true", "spec.template.spec.containers[0].securityContext.privileged", 19),
        ("        image: nginx", "spec.template.spec.containers[1].image", 17),
        ("      - name: a", "spec.template.spec.containers[0].name", 16),
        ("  replicas: 3", "spec.replicas", 6),
        ("kind: Deployment", "kind", 3),
        ("", "", 1),
    ],
)
def test_the_line_of_a_template_is_found_by_its_text_else_by_its_keys(shown: str, path: str, line: int) -> None:
    assert line_in(TEMPLATE, shown, path) == line


def test_a_template_that_is_empty_has_a_first_line() -> None:
    assert line_in([], "a: b", "a") == 1
