"""Manifests: which files, which documents, which lines, and what cannot be read."""

from __future__ import annotations

import errno
import io
import json
import os
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aksp.compliance.selection import Selector
from aksp.engine import Engine
from aksp.errors import EngineError, InvalidInput
from aksp.model.compliance import KnownLocation, Report, Target, TargetKind
from aksp.model.kinds import BUILT_IN
from aksp.model.resource import Document
from aksp.scan import Scan
from aksp.sources.interface import Wanted
from aksp.sources.manifests import PAGE_BYTES, Manifests
from aksp.workspace import prepare
from tests.compliance.builders import DEPLOYMENT, POD, SERVICE
from tests.definitions.samples import DEFINITIONS, NOW, plan_of

EVERYTHING = Wanted(kinds=[POD, SERVICE, DEPLOYMENT])


def pod(name: str = "web", *, privileged: bool = False, **metadata: Any) -> dict[str, Any]:
    security = {"securityContext": {"privileged": True}} if privileged else {}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, **metadata},
        "spec": {"containers": [{"name": "web", "image": "web:1", **security}]},
    }


def kube_list(*items: Any, kind: str = "List") -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": kind, "metadata": {"resourceVersion": ""}, "items": list(items)}


def put(folder: Path, name: str, text: str | bytes) -> str:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return str(path)


def documents(engine: Engine, *paths: str, **more: Any) -> list[Document]:
    """What any assignment could select."""
    pages = Manifests(engine, paths, **more).pages(EVERYTHING)
    return [document for page in pages for document in page.documents if document.resource.kind]


def names(engine: Engine, *paths: str, **more: Any) -> list[str]:
    return [(d.parent or d.resource).name for d in documents(engine, *paths, **more)]


def gaps(engine: Engine, *paths: str) -> list[str]:
    return [gap.message for page in Manifests(engine, paths).pages(EVERYTHING) for gap in page.gaps]


def report(engine: Engine, *paths: str) -> Report:
    """Judged by no-privileged."""
    plan = plan_of(DEFINITIONS["no-privileged"], {})
    prepare(engine, plan)
    target = Target(kind=TargetKind.MANIFESTS, name="test", scope="/")
    return Scan(plan, engine).run(Manifests(engine, paths), target, NOW).report


def lines(engine: Engine, *paths: str) -> list[tuple[str, int]]:
    """Resource and line of each finding."""
    found = []
    for result in report(engine, *paths).results:
        assert result.source is not None
        found.append((result.resource.name, result.source.line))
    return found


def line_with(text: str, part: str) -> int:
    """The one line that has a part, counted from 1."""
    (line,) = [number for number, one in enumerate(text.split("\n"), 1) if part in one]
    return line


# Files and folders


def test_a_folder_gives_its_manifests_in_order_and_not_those_below(engine: Engine, tmp_path: Path) -> None:
    for name in ("b.yaml", "a.yml", "c.json", "README.md", "below/d.yaml"):
        put(tmp_path, name, json.dumps(pod(Path(name).stem)))

    assert names(engine, str(tmp_path)) == ["a", "b", "c"]
    assert names(engine, str(tmp_path), recursive=True) == ["a", "b", "d", "c"]


def test_a_folder_gives_the_files_that_are_named_by_a_suffix_alone(engine: Engine, tmp_path: Path) -> None:
    for name in (".yaml", ".yml", ".json"):
        put(tmp_path, name, json.dumps(pod(name[1:])))

    assert names(engine, str(tmp_path)) == ["json", "yaml", "yml"]


def test_what_a_folder_holds_and_cannot_be_read_is_a_gap(engine: Engine, tmp_path: Path) -> None:
    put(tmp_path, "a.yaml", json.dumps(pod("a")))
    put(tmp_path, "elsewhere/b.yaml", json.dumps(pod("b")))
    (tmp_path / "folder.yaml").mkdir()
    (tmp_path / "gone.yaml").symlink_to("nowhere")
    (tmp_path / "linked.yaml").symlink_to("elsewhere")
    (tmp_path / "linked").symlink_to("elsewhere")
    (tmp_path / "loop.json").symlink_to("loop.json")
    os.mkfifo(tmp_path / "pipe.yml")
    expected = [
        f"{tmp_path}/gone.yaml: No such file or directory",
        f"{tmp_path}/linked.yaml: a link to a folder, which is not followed",
        f"{tmp_path}/loop.json: Too many levels of symbolic links",
        f"{tmp_path}/pipe.yml: not a regular file: give it with -f itself to read it",
    ]

    assert gaps(engine, str(tmp_path)) == expected
    assert names(engine, str(tmp_path), recursive=True) == ["a", "b"]


@pytest.mark.parametrize("file", ["-", "/dev/zero"])
def test_a_stream_without_an_end_is_one_gap_and_nothing_of_it_is_judged(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, file: str
) -> None:
    whole = json.dumps(pod("a")).encode() + b"\n---\n" + json.dumps(pod("b")).encode()
    # The rest that is left to read would be a document of its own.
    monkeypatch.setattr("aksp.sources.manifests.LONGEST_STREAM", whole.index(b"---"))
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(whole)))

    manifests = Manifests(engine, [file])
    pages = list(manifests.pages(EVERYTHING))
    assert [document for page in pages for document in page.documents] == []
    (gap,) = [gap for page in pages for gap in page.gaps]
    assert (gap.reason, gap.message) == (
        "UnreadableFile",
        f"{file}: longer than 0 MiB, which is read of no pipe or device: give it as files",
    )


def test_a_text_longer_than_the_engine_takes_is_a_gap_of_its_file_and_none_of_it_is_held(
    engine: Engine, tmp_path: Path
) -> None:
    put(tmp_path, "a.yaml", json.dumps(pod("a")))
    put(tmp_path, "b.yaml", "")
    put(tmp_path, "c.yaml", b"\xff\xfe")
    for name in ("b.yaml", "c.yaml"):
        os.truncate(tmp_path / name, 3 << 30)  # It has nothing on the disk.

    tracemalloc.start()
    pages = list(Manifests(engine, [str(tmp_path)]).pages(EVERYTHING))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert [document.resource.name for page in pages for document in page.documents] == ["a"]
    assert [(gap.reason, gap.message) for page in pages for gap in page.gaps] == [
        (
            "UnreadableFile",
            f"{tmp_path}/{name}: has 3,072 MiB, and of what no line of --- divides 1,023 MiB are read at most:"
            " write its objects into several files",
        )
        for name in ("b.yaml", "c.yaml")
    ]
    assert peak < 20 << 20


@pytest.mark.parametrize("file", ["many.yaml", "-"])
@pytest.mark.parametrize(
    ("items", "many"),
    [
        (b"- a\n" * (5 << 20), "a list of more than 2 million items"),
        (b"- {a: b}\n" * (3 << 20), "more than 8 million keys, values and items in one document"),
    ],
)
def test_a_document_of_too_many_nodes_is_a_gap_of_its_file(
    engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, items: bytes, many: str, file: str
) -> None:
    good = put(tmp_path, "good.yaml", json.dumps(pod("good")))
    text = b"apiVersion: v1\nkind: List\nmetadata: {}\nitems:\n" + items
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(text)))
    path = file if file == "-" else put(tmp_path, file, text)
    generation = engine.pid

    pages = list(Manifests(engine, [path, good]).pages(EVERYTHING))

    assert [document.resource.name for page in pages for document in page.documents] == ["good"]
    shown = "standard input" if file == "-" else path
    assert [gap.message for page in pages for gap in page.gaps] == [
        f"{shown}:1: {many}, which is not read: write its objects into several files"
    ]
    assert engine.pid == generation


@pytest.mark.parametrize("files", [1, 3])
def test_what_the_engine_fails_of_is_a_gap_of_its_file(
    engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, files: int
) -> None:
    paths = [put(tmp_path, f"{name}.yaml", json.dumps(pod(name))) for name in ("bad", "b", "c")[:files]]
    loaded = engine.loaded

    def failing(loading: Any) -> Any:
        if b'"bad"' in loading.body:
            raise EngineError("the engine failed in load")
        return loaded(loading)

    monkeypatch.setattr(engine, "loaded", failing)
    pages = list(Manifests(engine, paths).pages(EVERYTHING))

    assert [document.resource.name for page in pages for document in page.documents] == ["b", "c"][: files - 1]
    assert [(gap.reason, gap.message) for page in pages for gap in page.gaps] == [
        ("UnreadableDocument", f"{paths[0]}:1: the engine failed in load")
    ]


@pytest.mark.parametrize("more", [0, 1])
@pytest.mark.parametrize("before", [0, 1, 150_000, 400_000])
@pytest.mark.parametrize("file", ["long.yaml", "-"])
def test_the_longest_text_is_read_and_a_longer_one_is_not(
    engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, file: str, before: int, more: int
) -> None:
    longest = 3 * PAGE_BYTES
    monkeypatch.setattr("aksp.sources.manifests.LONGEST_TEXT", longest)
    first = json.dumps(pod("first", annotations={"a": "x" * before})) + "\n" if before else ""
    # What no marker divides begins with one.
    long = f"---\n{json.dumps(pod('long'))}\n# ".ljust(longest - 1 + 5 * more, "x") + "\n"
    text = (first + long + "---\n" + json.dumps(pod("last"))).encode()
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(text)))
    path = file if file == "-" else put(tmp_path, file, text)

    sent: list[int] = []
    split = engine.split

    def noted(body: bytes, target: int) -> Any:
        sent.append(len(body))
        return split(body, target)

    monkeypatch.setattr(engine, "split", noted)
    pages = list(Manifests(engine, [path]).pages(EVERYTHING))
    found = [document.resource.name for page in pages for document in page.documents]
    told = [gap.message for page in pages for gap in page.gaps]

    assert max(sent, default=0) <= longest
    if more:
        assert "last" not in found and "long" not in found
        assert len(told) == 1 and told[0].startswith(f"{path}: has {len(text) >> 20} MiB, ")
    else:
        assert (found[-2:], told) == (["long", "last"], [])


def test_a_folder_that_cannot_be_opened_is_a_gap(
    engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(tmp_path, "a.yaml", json.dumps(pod("a")))
    put(tmp_path, "secret/b.yaml", json.dumps(pod("b")))
    scandir = os.scandir

    def refusing(path: str | Path) -> Any:
        # Nothing is refused to root, who may run the tests.
        if Path(path).name == "secret":
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        return scandir(path)

    monkeypatch.setattr("os.scandir", refusing)
    found = [gap for page in Manifests(engine, [str(tmp_path)], recursive=True).pages(EVERYTHING) for gap in page.gaps]

    assert [(gap.reason, gap.message) for gap in found] == [("UnreadableFile", f"{tmp_path}/secret: Permission denied")]


def test_an_object_of_a_kind_without_namespaces_lies_in_none(engine: Engine, tmp_path: Path) -> None:
    kinds = [one for one in BUILT_IN if one.cluster]
    text = yaml.safe_dump_all(
        {"apiVersion": one.api_version or "v1", "kind": one.kind, "metadata": {"name": "a", "namespace": "b"}}
        if one.version
        else {"apiVersion": f"{one.group}/v1", "kind": one.kind, "metadata": {"name": "a", "namespace": "b"}}
        for one in kinds
    )
    documents = [
        d for page in Manifests(engine, [put(tmp_path, "all.yaml", text)]).pages(EVERYTHING) for d in page.documents
    ]

    assert [d.resource.kind for d in documents] == [one.kind for one in kinds]
    assert {d.resource.namespace for d in documents} <= {"", None}


def test_a_file_named_outright_is_read_whatever_its_suffix(engine: Engine, tmp_path: Path) -> None:
    assert names(engine, put(tmp_path, "pod.txt", json.dumps(pod()))) == ["web"]


def test_a_path_that_is_not_there_is_refused(engine: Engine, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="no such file or folder") as error:
        Manifests(engine, [str(tmp_path / "gone")])

    assert error.value.where == str(tmp_path / "gone")


def test_a_folder_without_manifests_is_refused_with_a_hint_at_r(engine: Engine, tmp_path: Path) -> None:
    put(tmp_path, "below/pod.yaml", "")
    with pytest.raises(InvalidInput, match="give -R"):
        Manifests(engine, [str(tmp_path)])
    (tmp_path / "empty").mkdir()
    with pytest.raises(InvalidInput, match=r"no \.yaml, \.yml, \.json file in the folder$"):
        Manifests(engine, [str(tmp_path / "empty")], recursive=True)


class Stdin:
    """Standard input with something in it."""

    def __init__(self, text: bytes) -> None:
        self.buffer = io.BytesIO(text)


def test_standard_input_is_read_and_its_lines_are_known(
    engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = yaml.safe_dump_all([pod("fine"), pod("bad", privileged=True)])
    monkeypatch.setattr("sys.stdin", Stdin(text.encode()))
    found = report(engine, "-")

    assert [(r.resource.name, r.source.file, r.source.line) for r in found.results if r.source] == [
        ("bad", "-", line_with(text, "privileged"))
    ]


def test_standard_input_cannot_be_given_twice(engine: Engine) -> None:
    with pytest.raises(InvalidInput, match="-f - is given twice"):
        Manifests(engine, ["-", "-"])


def test_a_file_that_is_gone_when_it_is_to_be_read_is_a_gap(engine: Engine, tmp_path: Path) -> None:
    path = put(tmp_path, "pod.yaml", json.dumps(pod()))
    inventory = Manifests(engine, [path])
    Path(path).unlink()
    (page,) = inventory.pages(EVERYTHING)

    assert [(gap.reason, gap.message) for gap in page.gaps] == [
        ("UnreadableFile", f"{path}: No such file or directory")
    ]
    assert [gap.source for gap in page.gaps] == [KnownLocation(file=path, line=1)]


# Shapes of documents


@pytest.mark.parametrize(
    "text",
    [
        json.dumps(pod("a")) + "\n" + json.dumps(pod("b")),
        json.dumps(kube_list(pod("a"), pod("b"))),
        json.dumps(kube_list(pod("a"), pod("b"), kind="PodList"), indent=4),
        yaml.safe_dump(kube_list(pod("a"), pod("b"))),
        yaml.safe_dump_all([pod("a"), pod("b")]),
        "---\n\n# nothing\n---\n" + yaml.safe_dump_all([pod("a"), pod("b")], explicit_start=True) + "...\n---\n",
        "%YAML 1.1\n---\n" + yaml.safe_dump(pod("a")) + "---\n" + yaml.safe_dump(pod("b"), default_flow_style=True),
        yaml.safe_dump(kube_list(kube_list(pod("a")), pod("b"))),
        yaml.safe_dump_all([pod("a"), pod("b")]).replace("\n", "\r\n"),
        "\ufeff" + yaml.safe_dump_all([pod("a"), pod("b")]),
        json.dumps(pod("a")) + "\n---\n" + yaml.safe_dump(pod("b")),
    ],
    ids=["stream", "list", "podlist", "yaml-list", "documents", "empty-ones", "directive", "nested", "crlf", "bom", "mixed"],
)  # fmt: skip
def test_every_shape_that_kubectl_writes_or_reads_is_read(text: str, engine: Engine, tmp_path: Path) -> None:
    path = put(tmp_path, "pods.yaml", text)

    assert names(engine, path) == ["a", "b"]
    assert gaps(engine, path) == []


def test_items_of_a_typed_list_may_leave_kind_and_version_to_the_list(engine: Engine, tmp_path: Path) -> None:
    bare = {key: value for key, value in pod("a").items() if key not in ("apiVersion", "kind")}
    (document,) = documents(engine, put(tmp_path, "pods.json", json.dumps(kube_list(bare, kind="PodList"))))

    assert (document.resource.api_version, document.resource.kind, document.resource.name) == ("v1", "Pod", "a")


def test_an_object_without_namespace_lies_in_default_or_in_the_one_asked_for(engine: Engine, tmp_path: Path) -> None:
    path = put(tmp_path, "pods.yaml", yaml.safe_dump_all([pod("a"), pod("b", namespace="shop")]))

    assert [d.resource.namespace for d in documents(engine, path)] == ["default", "shop"]
    assert names(engine, path, namespace="default") == ["a"]
    assert names(engine, path, namespace="shop") == ["a", "b"]
    assert names(engine, path, namespace="other") == ["a"]


def test_labels_select_as_for_kubectl_by_those_of_the_object_itself(engine: Engine, tmp_path: Path) -> None:
    template = {"metadata": {"labels": {"app": "inner"}}, "spec": pod()["spec"]}
    workload = {
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "c", "labels": {"app": "outer"}},
        "spec": {"selector": {"matchLabels": {"app": "inner"}}, "template": template},
    }  # fmt: skip
    path = put(tmp_path, "x.yaml", yaml.safe_dump_all([pod("a", labels={"app": "web"}), pod("b"), workload]))

    assert names(engine, path, selector=Selector.parse_text("app=web")) == ["a"]
    assert names(engine, path, selector=Selector.parse_text("app=outer")) == ["c", "c"]
    assert names(engine, path, selector=Selector.parse_text("app=inner")) == []
    assert names(engine, path, selector=Selector.parse_text("!app")) == ["b"]


# Lines

DOCUMENTS = """\
# A shop.

---
apiVersion: v1
kind: Pod
metadata: {name: first}
spec:
  containers:
  - name: web
    image: web
    securityContext:
      # it was easier
      privileged: true # HERE-1
---
# and its
apiVersion: apps/v1
kind: Deployment
metadata:
  name: second
spec:
  template:
    spec:
      initContainers:
        - {name: a, image: a}
        - name: b
          image: b
          securityContext: {runAsUser: 0,
            privileged: true} # HERE-2
      containers: [{name: c, image: c}]
"""
JSON = """\

{
  "apiVersion": "v1",
  "kind": "List",
  "items": [
    {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "fine"},
      "spec": {"containers": [{"name": "a", "image": "a"}]}},
    {
      "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "first"},
      "spec": {
        "containers": [
          {"name": "a", "image": "a"},
          {"name": "b", "image": "b", "securityContext": {
            "privileged": true }}
        ]
      }
    },
    {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "second"}, "spec": {
      "containers": [{"name": "a", "image": "a", "securityContext": {"x": "\\"privileged\\": true",
        "privileged":
          true}}]}}
  ]
}
"""
ITEMS = """\
apiVersion: v1
items:
- apiVersion: v1
  kind: Pod
  metadata:
    name: first
  spec:
    containers:
    - image: web
      name: web
      securityContext:
        privileged: true # HERE-1
- apiVersion: v1
  kind: Pod
  metadata:
    annotations:
      kubectl.kubernetes.io/last-applied-configuration: |
        {"spec":{"containers":[{"securityContext":{"privileged":true}}]}}
    name: second
  spec:
    containers:
    - image: web
      name: web
      securityContext:
        privileged: true # HERE-2
kind: List
metadata:
  resourceVersion: ""
"""
ANCHORS = """\
apiVersion: v1
kind: Pod
metadata: {name: first}
spec:
  containers:
  - name: a
    image: a
    securityContext: &root
      privileged: true # HERE-1
---
apiVersion: v1
kind: Pod
metadata: {name: second}
spec:
  containers:
  - &one
    name: a
    image: a
    securityContext:
      privileged: true # HERE-2
"""


@pytest.mark.parametrize("text", [DOCUMENTS, ITEMS, ANCHORS], ids=["documents", "items", "anchors"])
@pytest.mark.parametrize("ends", ["\n", "\r\n"], ids=["lf", "crlf"])
def test_a_finding_in_yaml_has_its_field_s_line(text: str, ends: str, engine: Engine, tmp_path: Path) -> None:
    expected = [("first", line_with(text, "HERE-1")), ("second", line_with(text, "HERE-2"))]
    found = lines(engine, put(tmp_path, "shop.yaml", text.replace("\n", ends)))

    assert sorted(found) == expected


def test_a_finding_in_json_has_its_field_s_line(engine: Engine, tmp_path: Path) -> None:
    path = put(tmp_path, "pods.json", JSON)

    assert lines(engine, path) == [("first", 14), ("second", 20)]


def test_lines_of_a_large_file_are_right_beyond_the_first_cut(engine: Engine, tmp_path: Path) -> None:
    filler = yaml.safe_dump(pod("filler", annotations={"note": "x" * 2000})) + "---\n"
    count = 3 * PAGE_BYTES // len(filler)
    text = filler * count + DOCUMENTS
    found = lines(engine, put(tmp_path, "large.yaml", text))

    before = text[: -len(DOCUMENTS)].count("\n")
    expected = [("first", before + line_with(DOCUMENTS, "HERE-1")), ("second", before + line_with(DOCUMENTS, "HERE-2"))]
    assert sorted(found) == expected


#: What files are made of, good and bad; each piece ends its line.
_PIECES = (
    "---\n", "--- # next\n", "--- a: 1\n", "---\r\n", "...\n", "\n", "# a comment\n", "%YAML 1.1\n", "--\n", " ---\n", "[1]\n", "\t\n",
    "apiVersion: v1\nkind: Pod\nmetadata: {name: a}\n", "apiVersion: v1\r\nkind: Service\r\nmetadata: {name: s}\r\n",
    "apiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: Pod, metadata: {name: b}}\n- {kind: Pod}\n",
    "a: |\n  text\n  --- no marker\n", "a: 'open\n", '"quoted\n---\nmore"\n', "\x00\n",
    f"{json.dumps(pod('c'))}\n", f"{json.dumps(kube_list(pod('d'), pod('e')), indent=1)}\n", '{"kind": "Pod",\n',
)  # fmt: skip


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    text=st.lists(st.sampled_from(_PIECES), max_size=14).map("".join), window=st.integers(1, 200), mark=st.booleans()
)
def test_what_a_file_holds_does_not_depend_on_how_much_of_it_is_read_at_once(
    engine: Engine, tmp_path: Path, text: str, window: int, mark: bool
) -> None:
    path = put(tmp_path, "file.yaml", ("\ufeff" if mark else "") + text)

    def held() -> tuple[list[tuple[object, ...]], list[str]]:
        documents: list[tuple[object, ...]] = []
        messages: list[str] = []
        for page in Manifests(engine, [path]).pages(EVERYTHING):
            messages += [gap.message for gap in page.gaps]
            for one, source in zip(page.documents, page.sources or (), strict=True):
                # A document without a name or a uid has them made up.
                documents.append((one.resource.kind, one.resource.name, source and source.line, one.template))
        return documents, messages

    whole = held()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("aksp.sources.manifests.PAGE_BYTES", window)

        assert held() == whole


def test_a_large_file_is_not_held_whole(engine: Engine, tmp_path: Path) -> None:
    document = yaml.safe_dump(pod("filler", annotations={"note": "x" * 20_000})) + "---\n"
    path = put(tmp_path, "large.yaml", document * (40 * PAGE_BYTES // len(document)))
    tracemalloc.start()
    try:
        assert len(names(engine, path)) == 40 * PAGE_BYTES // len(document)
        assert tracemalloc.get_traced_memory()[1] < 10 * PAGE_BYTES
    finally:
        tracemalloc.stop()


def test_lines_of_a_large_list_are_right_beyond_the_first_cut(engine: Engine, tmp_path: Path) -> None:
    filler = pod("filler", annotations={"note": "x" * 2000})
    items = [filler] * (3 * PAGE_BYTES // 2000) + [pod("bad", privileged=True)]
    as_json = json.dumps(kube_list(*items), indent=1)
    as_yaml = yaml.dump(kube_list(*items), Dumper=_Plain)

    assert lines(engine, put(tmp_path, "a.json", as_json)) == [("bad", line_with(as_json, "privileged"))]
    assert lines(engine, put(tmp_path, "a.yaml", as_yaml)) == [("bad", line_with(as_yaml, "privileged"))]


class _Plain(yaml.CSafeDumper):
    def ignore_aliases(self, data: Any) -> bool:
        return True


def test_lines_of_findings_are_known_though_the_file_has_gone_and_others_are_their_documents(
    engine: Engine, tmp_path: Path
) -> None:
    path = put(tmp_path, "shop.yaml", DOCUMENTS)
    sources = [result.source for result in report(engine, path).results]
    Path(path).unlink()

    assert sorted(source.line for source in sources if source) == [line_with(DOCUMENTS, f"HERE-{n}") for n in (1, 2)]
    assert sorted(source.at("kind").line for source in sources if source) == [4, 15]


def test_several_files_each_keep_their_lines(engine: Engine, tmp_path: Path) -> None:
    one, two = put(tmp_path, "1.yaml", DOCUMENTS), put(tmp_path, "2.yaml", "\n\n" + DOCUMENTS)
    found = report(engine, one, two).results

    assert sorted((r.source.file, r.source.line) for r in found if r.source) == [
        (one, line_with(DOCUMENTS, "HERE-1")),
        (one, line_with(DOCUMENTS, "HERE-2")),
        (two, line_with(DOCUMENTS, "HERE-1") + 2),
        (two, line_with(DOCUMENTS, "HERE-2") + 2),
    ]


# What cannot be read

BROKEN = "a: [1,\nb: 2\n"


@pytest.mark.parametrize(
    ("text", "line", "word"),
    [
        (BROKEN, 2, "invalid YAML"),
        ("a: 1\na: 2\n", 2, "a"),
        ("just text\n", 1, "Kubernetes"),
        ("- a\n- b\n", 1, "Kubernetes"),
        ("a: b\n", 1, "Kubernetes"),
        ("kind: Pod\nmetadata: {name: x}\n", 1, "apiVersion"),
        ("apiVersion: v1\nmetadata: {name: x}\n", 1, "kind"),
        ("a: \tb\n\tc: d\n", 2, ""),
        ('{"apiVersion": "v1", "kind": \n', 1, "invalid JSON"),
    ],
)
def test_a_document_that_cannot_be_read_is_a_gap_with_its_line_and_the_others_are_judged(
    text: str, line: int, word: str, engine: Engine, tmp_path: Path
) -> None:
    before, after = yaml.safe_dump(pod("before")), yaml.safe_dump(pod("after"))
    path = put(tmp_path, "x.yaml", f"{before}---\n{text}---\n{after}")
    (gap,) = gaps(engine, path)

    assert names(engine, path) == ["before", "after"]
    begin = before.count("\n") + 2
    assert gap.startswith(f"{path}:"), gap
    told = int(gap.removeprefix(f"{path}:").partition(":")[0])
    assert begin <= told <= begin + line, gap
    assert word in gap
    sources = [gap.source for page in Manifests(engine, [path]).pages(EVERYTHING) for gap in page.gaps]
    assert sources == [KnownLocation(file=path, line=told)]


def bomb(levels: int) -> str:
    """YAML whose anchors double, and double, and double."""
    rows = ["a0: &a0 [lol, lol]"]
    rows += [f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}, *a{n - 1}, *a{n - 1}]" for n in range(1, levels)]
    return "\n".join(rows) + "\n"


def test_anchors_that_explode_are_a_gap(engine: Engine, tmp_path: Path) -> None:
    path = put(tmp_path, "x.yaml", bomb(30) + "---\n" + yaml.safe_dump(pod("after")))

    assert names(engine, path) == ["after"]
    assert len(gaps(engine, path)) == 1


@pytest.mark.parametrize(
    "junk",
    [bytes(range(256)) * 64, b"\x7fELF\x02\x01\x01" + b"\0" * 5000, b"\xff\xfe" + "a: b".encode("utf-16-le"), b"\0"],
    ids=["all-bytes", "elf", "utf-16", "nul"],
)
def test_binary_junk_is_a_gap(junk: bytes, engine: Engine, tmp_path: Path) -> None:
    assert gaps(engine, put(tmp_path, "x.yaml", junk))
    assert documents(engine, str(tmp_path / "x.yaml")) == []


@pytest.mark.parametrize("text", ["", "\n\n", "---\n---\n", "# nothing\n"])
def test_an_empty_file_is_no_gap_beside_another(text: str, engine: Engine, tmp_path: Path) -> None:
    path = put(tmp_path, "x.yaml", text)
    assert documents(engine, path) == []
    assert gaps(engine, path) == [f"there is no document in {path}, so nothing was judged"]

    put(tmp_path, "y.yaml", yaml.safe_dump(pod("there")))
    assert (names(engine, str(tmp_path)), gaps(engine, str(tmp_path))) == (["there"], [])


@pytest.mark.parametrize("opening", ['{"a":', "[", "{a: ", "- "])
def test_a_document_nested_10000_deep_is_a_gap_or_read_and_no_end(opening: str, engine: Engine, tmp_path: Path) -> None:
    deep = opening * 10_000
    path = put(tmp_path, "x.yaml", f"{deep}\n---\n{yaml.safe_dump(pod('after'))}")

    assert names(engine, path) == ["after"]
    assert gaps(engine, path)


def test_a_pod_nested_10000_deep_is_judged_or_told(engine: Engine, tmp_path: Path) -> None:
    made = json.dumps(pod("deep", privileged=True, annotations={"x": "DEEP"}))
    path = put(tmp_path, "x.json", made.replace('"DEEP"', '{"a":' * 10_000 + "1" + "}" * 10_000))
    found = report(engine, path)

    assert found.gaps or found.results


@pytest.fixture(autouse=True)
def engine_lives(engine: Engine) -> Iterator[None]:
    process = engine.pid
    yield
    assert engine.pid == process, "the engine died"


@pytest.mark.parametrize("number", ["1e400", "-1e999", "9" * 5000, "1" + "0" * 400 + ".5"])
@pytest.mark.parametrize("kind", ["LimitRange", "ServiceAccount"])
def test_numbers_that_no_float_holds_in_what_changes_pods_end_no_scan(
    kind: str, number: str, tmp_path: Path, engine: Engine
) -> None:
    odd = f'{{"apiVersion": "v1", "kind": "{kind}", "metadata": {{"name": "odd"}}, "x": {number}}}\n'
    file = put(tmp_path, "a.json", odd + json.dumps(pod(privileged=True)))
    assert lines(engine, file) == [("web", 2)]


@pytest.mark.parametrize("change", ["shorter", "longer", "other"])
def test_a_file_that_changes_between_its_parts_is_a_gap(change: str, tmp_path: Path, engine: Engine) -> None:
    one = json.dumps(pod(big="x" * PAGE_BYTES)) + "\n---\n"
    file = put(tmp_path, "a.yaml", one * 8)
    pages = Manifests(engine, [file]).pages(EVERYTHING)
    found = list(next(pages).gaps)
    with open(file, "r+b") as stream:
        os.utime(stream.fileno(), (1, 1))
        if change == "shorter":
            stream.truncate(len(one) * 4)
        else:
            stream.seek(0, os.SEEK_SET if change == "other" else os.SEEK_END)
            stream.write(b" ")
    found += [gap for page in pages for gap in page.gaps]
    assert [gap.message for gap in found] == [f"{file}: the file has changed while it was judged: scan it again"]
