"""The HTML report as a file: complete, closed to the outside, and of a bearable size. What it does is in tests/pages."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections import Counter
from datetime import timedelta
from html.parser import HTMLParser
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from aksp.model.compliance import ComplianceState, Finding, Report, Result
from aksp.model.resource import Container, Owner, Resource
from aksp.report.html import commented, timeline
from aksp.report.html.commented import CommentedValue
from aksp.report.html.remedy import remedy
from aksp.report.interface import Show
from aksp.report.text import safe
from tests.pages.many import many
from tests.pages.pages import renamed
from tests.pages.with_history import with_changes, with_history
from tests.replacing import replace
from tests.results import a_result

from .render import render
from .scenarios import IMAGES, LIMITS, PRIVILEGED, SCENARIOS, pod

S = ComplianceState


class _Parser(HTMLParser):
    """The elements of a page with their attributes, and the texts of its scripts and style sheets."""

    def __init__(self) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, list[str]] = {"script": [], "style": []}
        self._in = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag in self.texts:
            self.texts[tag].append("")
            self._in = tag

    def handle_endtag(self, tag: str) -> None:
        if tag == self._in:
            self._in = ""

    def handle_data(self, data: str) -> None:
        if self._in:
            self.texts[self._in][-1] += data


def parsed(page: str) -> _Parser:
    parser = _Parser()
    parser.feed(page)
    return parser


def data_of(page: str) -> dict[str, Any]:
    data: dict[str, Any] = json.loads(parsed(page).texts["script"][0])
    return data


def read_back(data: dict[str, Any]) -> list[dict[str, Any]]:
    """The rows as the scripts see them."""

    def text(at: int) -> str | None:
        return None if at < 0 else data["strings"][at]

    found = []
    for entry, resource, line in zip(*data["rows"].values(), strict=True):
        of = {name: column[entry] for name, column in data["entries"].items()}
        finding = {name: text(column[of["finding"]]) for name, column in data["findings"].items()}
        found.append(
            {
                "assignment": data["assignments"][of["assignment"]]["name"],
                "state": data["states"][of["state"]],
                "exemption": data["exemptions"][of["exemption"]]["name"] if of["exemption"] >= 0 else None,
                "namespace": text(of["namespace"]),
                "kind": text(of["kind"]),
                "owner": text(of["owner"]),
                "name": text(data["resources"]["name"][resource]),
                "file": text(data["resources"]["file"][resource]),
                "line": line,
                **finding,
            }
        )
    return found


@pytest.mark.parametrize("scenario", [*SCENARIOS, "many"])
def test_every_result_is_in_the_page_with_all_that_is_known_of_it(scenario: str) -> None:
    report = SCENARIOS[scenario]() if scenario in SCENARIOS else many(500, replicas=7)
    rows = read_back(data_of(render(report, "html", show=Show.ALL)))
    assert len(rows) == len(report.results)
    for row, result in zip(rows, report.results, strict=True):
        container, source = result.finding.container, result.source
        assert row["assignment"] == safe(result.assignment.name)
        assert row["state"] == result.state
        assert row["exemption"] == (result.exemption and result.exemption.name)
        assert (row["namespace"], row["name"]) == (safe(result.resource.namespace), safe(result.resource.name))
        assert row["kind"] == result.resource.kind
        assert row["owner"] == (f"{result.owner.kind}/{result.owner.name}" if result.owner else None)
        assert row["message"] == safe(result.finding.message)
        assert (row["container"], row["type"], row["image"]) == (
            (safe(container.name), container.type, safe(container.image)) if container else (None, None, None)
        )
        assert row["path"] == (safe(result.finding.path) if result.finding.path else None)
        assert (row["file"], row["line"]) == ((source.file, source.line) if source else (None, -1))
        for name in ("observed", "expected"):
            value = getattr(result.finding, name)
            assert (row[name] is None) == (value is None)
            if not isinstance(value, str) or value.isprintable():
                assert row[name] is None or yaml.safe_load(row[name]) == value


def test_what_complies_is_there_only_when_asked_for() -> None:
    report = SCENARIOS["clean"]()
    assert read_back(data_of(render(report, "html"))) == []
    assert len(read_back(data_of(render(report, "html", show=Show.ALL)))) == 1


def test_replicas_share_an_entry_and_those_that_differ_have_links_of_their_own() -> None:
    entries = data_of(render(SCENARIOS["violations"](), "html"))["entries"]
    assert len(entries["link"]) == 9
    owner = Owner(kind="Deployment", name="web")
    finding = Finding(message="no", container=Container(name="web", type="containers"), path="spec.x", observed=1)
    results = [
        a_result(
            assignment=IMAGES,
            state=S.NON_COMPLIANT,
            resource=pod("shop", f"web-{at}"),
            owner=owner,
            finding=replace(finding, observed=[at // 2]),
        )
        for at in range(4)
    ]
    links = data_of(render(replace(SCENARIOS["violations"](), results=results), "html"))["entries"]["link"]
    assert links == [links[0], f"{links[0]}-2"]


def test_links_to_findings_stay_when_other_findings_come_and_go() -> None:
    report = SCENARIOS["violations"]()

    def links(results: Any) -> dict[str, str]:
        data = data_of(render(replace(report, results=results), "html"))
        return {
            row["message"]: data["entries"]["link"][entry]
            for row, entry in zip(read_back(data), data["rows"]["entry"], strict=True)
        }

    assert links(report.results[6:]).items() <= links(report.results).items()


@pytest.mark.parametrize("scenario", [*SCENARIOS, "history"])
def test_the_page_asks_for_nothing_and_runs_only_what_its_policy_names(scenario: str) -> None:
    report = with_history(SCENARIOS["violations"]()) if scenario == "history" else SCENARIOS[scenario]()
    page = parsed(render(report, "html"))
    metas = [attributes for tag, attributes in page.elements if tag == "meta"]
    policy = next(str(each["content"]) for each in metas if each.get("http-equiv") == "Content-Security-Policy")
    rules = dict(rule.split(" ", 1) for rule in policy.split("; "))
    assert rules["default-src"] == "'none'"
    assert "unsafe" not in policy
    assert len(page.texts["script"]) == 2
    for name, texts in (("script-src", page.texts["script"][1:]), ("style-src", page.texts["style"])):
        (text,) = texts
        assert rules[name] == f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
    for tag, attributes in page.elements:
        assert tag not in ("link", "img", "iframe", "object", "embed", "base", "audio", "video")
        assert not {name for name in attributes if name.startswith("on")} | (
            {"src", "style", "action"} & set(attributes)
        )
        assert str(attributes.get("href", "#")).startswith("#")


def test_the_scripts_make_no_markup_of_text_and_run_none() -> None:
    script = parsed(render(SCENARIOS["clean"](), "html")).texts["script"][1]
    for word in (
        "innerHTML",
        "outerHTML",
        "insertAdjacentHTML",
        "document.write",
        "eval(",
        "Function(",
        "fetch(",
        "http:",
        "https:",
    ):
        assert word not in script.replace("http://www.w3.org/2000/svg", "")


@pytest.mark.parametrize(
    "name", ["</script><script>alert(1)</script>", "<!--<script>", "<b>", "\"'&amp;", "\u2028\u2029"]
)
def test_no_name_can_end_an_element_or_begin_one(name: str) -> None:
    plain = parsed(render(renamed(SCENARIOS["gaps"](), "name"), "html"))
    page = parsed(render(renamed(SCENARIOS["gaps"](), name), "html"))
    assert [tag for tag, _ in page.elements] == [tag for tag, _ in plain.elements]
    assert page.texts["script"][1] == plain.texts["script"][1]
    row = read_back(json.loads(page.texts["script"][0]))[0]
    assert row["message"] == safe(name)


def test_the_static_part_tells_state_gaps_assignments_and_exemptions() -> None:
    page = re.sub(r"<(script|style)\b.*?</\1>", "", render(SCENARIOS["violations"](), "html"), flags=re.DOTALL)
    text = " ".join(re.sub(r"<[^>]*>", " ", page).split())
    for words in (
        "NonCompliant 302 of 320 resources do not comply.",
        "5.6 %",
        "300 of 316 resources, 302 of 920 containers not compliant, 1 exempt",
        "legacy-billing requested by jane@contoso.com contoso-images Waiver 2026-12-31 Vendor image: Replaced by our own build in the fourth quarter 2",
        "mesh-agents requested by platform team no-privileged Mitigated no end date",
        "The 909 findings of this report are in this file, and going through them needs JavaScript",
    ):
        assert words in text
    gaps = render(SCENARIOS["gaps"](), "html")
    assert "Could not be judged" in gaps
    assert "cannot list resource &#34;ingresses&#34;" in gaps
    assert 'class="hero card tint-Error"' in gaps


def test_bars_add_up_and_the_least_part_can_be_seen() -> None:
    page = parsed(render(SCENARIOS["violations"](), "html"))
    widths: list[list[float]] = []
    for tag, attributes in page.elements:
        if tag == "svg" and attributes.get("class") == "bar":
            widths.append([])
        elif tag == "rect" and str(attributes.get("class")).startswith("fill-"):
            widths[-1].append(float(str(attributes["width"]).rstrip("%")))
    assert len(widths) == 6
    for bar in widths:
        assert sum(bar) == pytest.approx(100, abs=0.1)
        assert min(bar) > 0.9


@pytest.mark.parametrize("replicas", [10, 1])
def test_twenty_thousand_rows_are_under_six_megabytes(replicas: int) -> None:
    assert len(render(many(20_000, replicas=replicas), "html").encode()) < 6_000_000


def test_without_history_there_is_no_chart() -> None:
    report = SCENARIOS["violations"]()
    assert timeline.overall(report) is None
    assert "<polyline" not in render(report, "html")
    assert "Trend" not in re.sub(r"<script>.*", "", render(report, "html"), flags=re.DOTALL)


def test_the_chart_has_every_evaluation_by_its_time_and_says_so_in_words() -> None:
    report = with_history(SCENARIOS["violations"]())
    chart = timeline.overall(report, width=106, height=106)
    assert chart
    points = [tuple(map(float, point.split(","))) for point in chart.points.split()]
    assert len(points) == 13
    assert points[0] == (3.0, 3.0 + 39.0)
    assert points[6][0] == pytest.approx(53.0)
    assert points[-1] == chart.last
    assert chart.last == pytest.approx((103.0, 97.4))
    assert chart.words == "13 evaluations, from 61.0% on 2026-08-08 to 5.6% on 2026-09-01"
    page = render(report, "html")
    assert page.count("<polyline") == 5
    assert page.count(chart.words) == 2


def test_what_changed_since_the_last_scan_is_told() -> None:
    report = with_changes(SCENARIOS["violations"]())
    assert report.changes
    page = render(report, "html")
    assert "Changes since 2026-08-30T10:00:00Z" in page
    text = " ".join(re.sub(r"<[^>]*>", " ", page.partition('id="changes-title"')[2]).split())
    assert "new shop Deployment/&lt;b&gt;web&lt;/b&gt; web contoso-images image nginx" in text
    assert "resolved shop Deployment/&lt;b&gt;web&lt;/b&gt;" in text
    calm = render(replace(report, changes=replace(report.changes, findings=())), "html")
    assert "No finding has changed since 2026-08-30T10:00:00Z." in calm
    assert "Changes" not in render(SCENARIOS["violations"](), "html")


def test_changes_near_the_top_are_not_flattened() -> None:
    report = SCENARIOS["clean"]()
    past = [replace(each, compliance_percent=97.0) for each in with_history(report).past]
    chart = timeline.overall(replace(report, past=past))
    assert chart
    assert chart.lowest == 90


def test_evaluations_at_one_time_stand_side_by_side() -> None:
    report = with_history(SCENARIOS["clean"]())
    past = [replace(each, evaluated_at=report.evaluated_at + timedelta(0)) for each in report.past]
    chart = timeline.overall(replace(report, past=past))
    assert chart
    assert len({point.split(",")[0] for point in chart.points.split()}) == 13


def test_a_member_of_an_initiative_has_a_trend_of_its_own() -> None:
    report = SCENARIOS["initiatives"]()
    name = "pods/Images"
    (line,) = [one for one in report.lines if one.name == name]
    past = [replace(each, assignments={name: (line.state, 10.0)}) for each in with_history(report).past]

    chart = timeline.of_assignment(replace(report, past=past), name)
    assert chart and len(chart.points.split()) == len(past) + 1


def _result(finding: Finding, resource: Resource | None = None, owner: Owner | None = None) -> Result:
    return a_result(
        assignment=PRIVILEGED,
        state=S.NON_COMPLIANT,
        resource=resource or pod("shop", "web-1"),
        owner=owner,
        finding=finding,
    )


def test_the_patch_of_a_live_pod_is_of_its_workload() -> None:
    path = "spec.containers[0].securityContext.privileged"
    web = Container(name="web", type="containers")
    found = remedy(
        _result(
            Finding(message="no", container=web, path=path, fix={path: False}), owner=Owner(kind="DaemonSet", name="a")
        )
    )
    assert found
    assert found.kind == "patch"
    assert yaml.safe_load("\n".join(found.lines)) == {
        "apiVersion": "apps/v1",
        "kind": "DaemonSet",
        "metadata": {"name": "a", "namespace": "shop"},
        "spec": {"template": {"spec": {"containers": [{"name": "web", "securityContext": {"privileged": False}}]}}},
    }


def test_a_pod_that_must_be_made_anew_is_said_to() -> None:
    path = "spec.containers[0].securityContext.privileged"
    web = Container(name="web", type="containers")
    found = remedy(_result(Finding(message="no", container=web, path=path, fix={path: False})))
    assert found
    assert found.lines[0].startswith("# a Pod cannot be changed in this")


@pytest.mark.parametrize(
    ("finding", "excerpt", "notes"),
    [
        (
            Finding(message="", path="spec.ports[1].port", observed=8080, expected=["80", "443"]),
            {"spec": {"ports": [{"port": 8080}]}},
            ["# number 2 of this list", "# expected: ['80', '443']"],
        ),
        (
            Finding(
                message="",
                container=Container(name="a", type="initContainers"),
                path="spec.initContainers[0].resources.limits.cpu",
                expected="at most 2",
            ),
            {"spec": {"initContainers": [{"name": "a", "resources": {"limits": {"cpu": None}}}]}},
            ["# now: not set", "# expected: at most 2"],
        ),
        (
            Finding(
                message="", path="metadata.labels['app.kubernetes.io/x']", observed="", fix={"spec.rules[1].x": None}
            ),
            {"metadata": {"name": "web-1", "namespace": "shop", "labels": {"app.kubernetes.io/x": ""}}},
            ["# to comply, remove spec.rules[1].x"],
        ),
        (
            Finding(message="", path="spec.rules[0]", observed={"host": "a", "http": None}),
            {"spec": {"rules": [{"host": "a", "http": None}]}},
            ["# number 1 of this list"],
        ),
        (
            Finding(message="", path="spec.externalIPs", observed=[str(at) for at in range(20)]),
            {"spec": {"externalIPs": None}},
            ["# now: too long to repeat here"],
        ),
    ],
)
def test_without_a_patch_the_place_is_shown(finding: Finding, excerpt: dict[str, Any], notes: list[str]) -> None:
    found = remedy(_result(finding))
    assert found
    assert found.kind == "place"
    read = yaml.safe_load("\n".join(found.lines))
    assert excerpt.items() <= read.items()
    comments = [line.strip() for line in found.lines if line.strip().startswith("#")]
    assert set(notes) <= set(comments)


@pytest.mark.parametrize("path", [None, "", ".", "spec[x]", "a..b"])
def test_a_finding_of_no_field_has_no_yaml(path: str | None) -> None:
    assert remedy(_result(Finding(message="no", path=path))) is None


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner, max_size=4)
    ),
    max_leaves=12,
)
TRICKY = st.text(alphabet="ab:,. -/#=[]{}'\"*&!|>%~1e\n", max_size=8)


@given(st.dictionaries(TRICKY, JSON | TRICKY, min_size=1))
def test_commented_yaml_reads_back_as_the_value(value: dict[str, Any]) -> None:
    noted = {key: CommentedValue([CommentedValue(inner, ("b",))], ("a: #",)) for key, inner in value.items()}
    text = "\n".join(commented.lines(noted))
    assert yaml.load(text, yaml.CSafeLoader) == {key: [inner] for key, inner in value.items()}
    assert text.replace("\n", "").isprintable()


@given(JSON | st.lists(TRICKY) | st.dictionaries(TRICKY, TRICKY))
def test_a_value_on_one_line_reads_back_too(value: Any) -> None:
    text = commented.flow(value)
    assert "\n" not in text
    assert yaml.load(f"- {text}", yaml.CSafeLoader) == [value]


def test_the_counts_of_assignments_and_exemptions_are_those_of_the_results() -> None:
    report = SCENARIOS["violations"]()
    page = render(report, "html")
    counted = Counter(each.assignment.name for each in report.results)
    for name in (IMAGES.name, LIMITS.name, PRIVILEGED.name):
        row = re.search(rf'<tr data-policy="{name}">.*?</tr>', page, re.DOTALL)
        assert row
        assert f'data-title="Findings">{counted[name]}</td>' in row[0]


def test_rendering_is_a_function_of_the_report_alone() -> None:
    def once() -> Report:
        return with_history(SCENARIOS["violations"]())

    assert render(once(), "html") == render(once(), "html")
