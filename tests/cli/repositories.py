"""Small repositories in the shapes that real ones have, and what judging each of them whole must come to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class Repository:
    """Files, the options of the scan, and what it must find by no-privileged.

    ``violations`` are namespace, name, container, file and line; ``gaps`` reasons with a part of each message.
    """

    files: Mapping[str, str]
    options: tuple[str, ...] = ("-R", "-f", ".")
    violations: frozenset[tuple[str, str, str, str, int]] = frozenset()
    compliant: frozenset[tuple[str, str]] = frozenset()
    gaps: tuple[tuple[str, str], ...] = ()
    notes: tuple[str, ...] = ()
    code: int = field(default=1)


def pod(name: str, privileged: bool, namespace: str = "") -> str:
    """A Pod whose last line is the field that is judged."""
    where = f"  namespace: {namespace}\n" if namespace else ""
    return (
        f"apiVersion: v1\nkind: Pod\nmetadata:\n  name: {name}\n{where}spec:\n  containers:\n  - name: app\n"
        f"    image: nginx\n    securityContext:\n      privileged: {str(privileged).lower()}\n"
    )


def deployment(name: str, privileged: str) -> str:
    """A Deployment whose last line is the field that is judged; both may be templates."""
    return (
        f"apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: {name}\nspec:\n  selector: {{matchLabels: {{app: x}}}}\n"
        "  template:\n    metadata: {labels: {app: x}}\n    spec:\n      containers:\n      - name: app\n        image: nginx\n"
        f"        securityContext:\n          privileged: {privileged}\n"
    )


def chart(name: str, more: str = "", values: str = "privileged: true\n") -> dict[str, str]:
    """A chart of one Deployment, which its values make privileged."""
    return {
        "Chart.yaml": f"apiVersion: v2\nname: {name}\nversion: 1.0.0\n{more}",
        "values.yaml": values,
        "templates/_helpers.tpl": '{{- define "name" -}}{{ .Release.Name }}-{{ .Chart.Name }}{{- end -}}\n',
        "templates/deployment.yaml": deployment('{{ include "name" . }}', "{{ .Values.privileged }}"),
        "templates/NOTES.txt": "Thank you for installing {{ .Chart.Name }}.\n",
    }


def below(folder: str, files: Mapping[str, str]) -> dict[str, str]:
    """The files in a folder."""
    return {f"{folder}/{name}": text for name, text in files.items()}


def application(name: str, path: str, namespace: str, helm: str = "") -> str:
    """An Application of Argo CD."""
    return (
        f"apiVersion: argoproj.io/v1alpha1\nkind: Application\nmetadata: {{name: {name}, namespace: argocd}}\nspec:\n"
        f"  project: default\n  destination: {{server: https://kubernetes.default.svc, namespace: {namespace}}}\n"
        f"  source: {{repoURL: https://git.example.com/x.git, targetRevision: HEAD, path: {path}{helm}}}\n"
    )


GIT = {".git/HEAD": "ref: refs/heads/main\n"}
TEMPLATE_LINE = 14
POD_LINE = 10

REPOSITORIES: dict[str, Repository] = {
    "plain manifests": Repository(
        files={
            **below("k8s", {"a.yaml": pod("a", True), "b.yml": pod("b", False), "c.json": "[]\n"}),
            "k8s/several.yaml": pod("d", False) + "---\n" + pod("e", True),
            "README.md": "# x\n",
        },
        violations=frozenset(
            {("default", "a", "app", "k8s/a.yaml", POD_LINE), ("default", "e", "app", "k8s/several.yaml", 21)}
        ),
        compliant=frozenset({("default", "b"), ("default", "d")}),
    ),
    "one chart": Repository(
        files=chart("web"),
        violations=frozenset({("default", "web-web", "app", "templates/deployment.yaml", TEMPLATE_LINE)}),
        notes=("rendered by helm v",),
    ),
    "a chart that needs values": Repository(
        files={
            **chart("web", values=""),
            "templates/deployment.yaml": deployment("web", '{{ required "set privileged" .Values.privileged }}'),
            "prod.yaml": "privileged: true\n",
        },
        gaps=(("NotRendered", "set privileged"),),
        code=4,
    ),
    "a chart that needs values and gets them": Repository(
        files={
            **chart("web", values=""),
            "templates/deployment.yaml": deployment("web", '{{ required "set privileged" .Values.privileged }}'),
            "prod.yaml": "privileged: true\n",
        },
        options=("-f", ".", "--values", "prod.yaml", "--release-name", "prod", "-n", "shop"),
        violations=frozenset({("shop", "web", "app", "templates/deployment.yaml", TEMPLATE_LINE)}),
    ),
    "an umbrella chart": Repository(
        files={
            **below("umbrella", chart("umbrella", values="privileged: false\nfirst: {privileged: true}\n")),
            **below("umbrella/charts/first", chart("first", values="privileged: false\n")),
            **below("umbrella/charts/second", chart("second", values="privileged: false\n")),
            **below("umbrella/charts/shared", chart("shared", more="type: library\n")),
        },
        options=("-R", "-f", "umbrella"),
        violations=frozenset(
            {("default", "umbrella-first", "app", "umbrella/charts/first/templates/deployment.yaml", TEMPLATE_LINE)}
        ),
        compliant=frozenset({("default", "umbrella-umbrella"), ("default", "umbrella-second")}),
    ),
    "a base and overlays": Repository(
        files={
            "base/kustomization.yaml": "resources: [deployment.yaml]\n",
            "base/deployment.yaml": deployment("web", "true"),
            "overlays/dev/kustomization.yaml": "namespace: dev\nresources: [../../base]\npatches: [{path: patch.yaml}]\n",
            "overlays/dev/patch.yaml": deployment("web", "false"),
            "overlays/prod/kustomization.yaml": "namespace: prod\nresources: [../../base]\n",
        },
        violations=frozenset({("prod", "web", "app", "base/deployment.yaml", TEMPLATE_LINE)}),
        compliant=frozenset({("dev", "web")}),
        notes=("rendered by kustomize v",),
    ),
    "an app of apps for Argo CD": Repository(
        files={
            **GIT,
            "root.yaml": application("root", "apps", "argocd"),
            "apps/web.yaml": application("web", "charts/web", "shop", ", helm: {valueFiles: [prod.yaml]}"),
            "apps/web-dev.yaml": application(
                "web-dev", "charts/web", "dev", ', helm: {parameters: [{name: privileged, value: "false"}]}'
            ),
            "apps/raw.yaml": application("raw", "manifests", "raw"),
            "apps/redis.yaml": application("redis", "''", "redis").replace("path: ''", "chart: redis"),
            **below("charts/web", chart("web", values="privileged: false\n")),
            "charts/web/prod.yaml": "privileged: true\n",
            "manifests/pod.yaml": pod("raw", True),
        },
        options=("-f", "root.yaml", "--follow"),
        violations=frozenset(
            {
                ("shop", "web-web", "app", "charts/web/templates/deployment.yaml", TEMPLATE_LINE),
                ("raw", "raw", "app", "manifests/pod.yaml", POD_LINE),
            }
        ),
        compliant=frozenset({("dev", "web-dev-web")}),
        gaps=(("NotFollowed", "redis"),),
        notes=("followed: Application root to apps",),
    ),
    "ApplicationSets of Argo CD": Repository(
        files={
            **GIT,
            "sets/apps.yaml": (
                "apiVersion: argoproj.io/v1alpha1\nkind: ApplicationSet\nmetadata: {name: apps, namespace: argocd}\nspec:\n"
                "  generators:\n"
                "  - git: {repoURL: https://git.example.com/x.git, directories: [{path: apps/*}, {path: apps/old, exclude: true}]}\n"
                "  template:\n"
                "    metadata: {name: '{{path.basenameNormalized}}'}\n"
                "    spec:\n"
                "      destination: {server: https://kubernetes.default.svc, namespace: '{{path[1]}}'}\n"
                "      source: {repoURL: https://git.example.com/x.git, path: '{{path}}'}\n"
            ),
            "sets/web.yaml": (
                "apiVersion: argoproj.io/v1alpha1\nkind: ApplicationSet\nmetadata: {name: web}\nspec:\n  goTemplate: true\n"
                "  generators:\n"
                "  - list: {elements: [{env: dev, values: {privileged: false}}, {env: prod, values: {privileged: true}}]}\n"
                "  - clusters: {}\n"
                "  template:\n"
                "    metadata: {name: 'web-{{.env}}'}\n"
                "    spec:\n"
                "      destination: {namespace: '{{ .env }}'}\n"
                "      source:\n"
                "        path: charts/web\n"
                "        helm: {parameters: [{name: privileged, value: '{{.values.privileged}}'}]}\n"
            ),
            "apps/API_v1/pod.yaml": pod("api", True),
            "apps/db/pod.yaml": pod("db", False),
            "apps/old/pod.yaml": pod("old", True),
            "apps/db/deep/pod.yaml": pod("deep", True),
            **below("charts/web", chart("web", values="privileged: false\n")),
        },
        options=("-f", "sets", "--follow"),
        violations=frozenset(
            {
                ("API_v1", "api", "app", "apps/API_v1/pod.yaml", POD_LINE),
                ("prod", "web-prod-web", "app", "charts/web/templates/deployment.yaml", TEMPLATE_LINE),
            }
        ),
        compliant=frozenset({("db", "db"), ("dev", "web-dev-web")}),
        gaps=(("NotFollowed", "its generator clusters asks the clusters that Argo CD knows"),),
        notes=("followed: ApplicationSet apps, Application api-v1 to apps/API_v1",),
    ),
    "clusters of Flux": Repository(
        files={
            **GIT,
            "clusters/prod/apps.yaml": (
                "apiVersion: kustomize.toolkit.fluxcd.io/v1\nkind: Kustomization\nmetadata: {name: apps, namespace: flux-system}\n"
                "spec: {path: ./apps/prod, prune: true, sourceRef: {kind: GitRepository, name: flux-system}}\n---\n"
                "apiVersion: kustomize.toolkit.fluxcd.io/v1\nkind: Kustomization\nmetadata: {name: infra, namespace: flux-system}\n"
                "spec: {path: ./infra, targetNamespace: infra, sourceRef: {kind: GitRepository, name: flux-system}}\n"
            ),
            "apps/base/kustomization.yaml": "resources: [release.yaml]\n",
            "apps/base/release.yaml": (
                "apiVersion: helm.toolkit.fluxcd.io/v2\nkind: HelmRelease\nmetadata: {name: web, namespace: shop}\nspec:\n"
                "  chart: {spec: {chart: ./charts/web, sourceRef: {kind: GitRepository, name: flux-system}}}\n"
                "  values: {privileged: false}\n"
            ),
            "apps/prod/kustomization.yaml": "resources: [../base]\npatches: [{path: values.yaml}]\n",
            "apps/prod/values.yaml": (
                "apiVersion: helm.toolkit.fluxcd.io/v2\nkind: HelmRelease\nmetadata: {name: web, namespace: shop}\n"
                "spec: {values: {privileged: true}}\n"
            ),
            **below("charts/web", chart("web", values="")),
            "infra/deep/pod.yaml": pod("deep", True),
        },
        options=("-f", "clusters/prod", "--follow"),
        violations=frozenset(
            {
                ("shop", "web-web", "app", "charts/web/templates/deployment.yaml", TEMPLATE_LINE),
                ("infra", "deep", "app", "infra/deep/pod.yaml", POD_LINE),
            }
        ),
    ),
    "a monorepo": Repository(
        files={
            **GIT,
            ".github/workflows/ci.yml": "on: push\njobs: {build: {runs-on: ubuntu-latest}}\n",
            ".gitlab-ci.yml": "build: {script: [make]}\n",
            "docker-compose.yml": "services: {web: {image: nginx, privileged: true}}\n",
            "package.json": '{"name": "web", "version": "1.0.0"}\n',
            "services/web/tsconfig.json": '{\n  // strict\n  "strict": true,\n}\n',
            "services/web/openapi.yaml": "openapi: 3.1.0\ninfo: {title: web}\npaths: {}\n",
            **below("services/web/chart", chart("web")),
            "services/api/k8s/kustomization.yml": "resources: [pod.yaml]\n",
            "services/api/k8s/pod.yaml": pod("api", False),
            "services/vendor/pod.yaml": pod("vendor", True),
            ".akspignore": "vendor/\n",
        },
        violations=frozenset(
            {("default", "web-web", "app", "services/web/chart/templates/deployment.yaml", TEMPLATE_LINE)}
        ),
        compliant=frozenset({("default", "api")}),
        notes=("no manifests, left out:", "left out by --exclude or .akspignore: ./services/vendor"),
    ),
    "manifests made by other tools": Repository(
        files={
            "environments/default/main.jsonnet": "{ deployment: { apiVersion: 'apps/v1' } }\n",
            "jsonnetfile.json": '{"version": 1, "dependencies": []}\n',
            "cdk8s.yaml": "language: typescript\napp: node main.js\n",
            "helmfile.yaml": "releases: [{name: web, chart: ./charts/web}]\n",
            "skaffold.yaml": "apiVersion: skaffold/v4beta6\nkind: Config\nmetadata: {name: web}\n",
            "terraform/main.tf": 'resource "x" "y" {}\n',
            "dist/web.k8s.yaml": pod("made", False),
        },
        compliant=frozenset({("default", "made")}),
        notes=("no manifests, left out: ./cdk8s.yaml, ./helmfile.yaml, ./jsonnetfile.json",),
        code=0,
    ),
    "remote bases": Repository(
        files={
            "own/kustomization.yaml": "resources: [pod.yaml]\n",
            "own/pod.yaml": pod("own", False),
            "remote/kustomization.yaml": "resources: ['https://github.com/org/repo//base?ref=v1']\n",
        },
        compliant=frozenset({("default", "own")}),
        gaps=(("NotRendered", "names https://github.com/org/repo//base?ref=v1"),),
        code=4,
    ),
}
