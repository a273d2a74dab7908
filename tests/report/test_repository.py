"""Files have their path from the root of the repository; what is in no file has one of its own."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aksp.model.compliance import Gap, KnownLocation, Result
from aksp.model.resource import Owner, Resource
from aksp.report.interface import Style
from aksp.report.pipeline.repository import PlaceKind, file_path, gap_place, object_path, place_of
from tests.replacing import replace
from tests.results import changed

from .scenarios import CLUSTER, FILES, SCENARIOS, Line, pod


@pytest.mark.parametrize(
    ("file", "base", "root", "path"),
    [
        ("deploy/web.yaml", "", "", "deploy/web.yaml"),
        ("./deploy//web.yaml", "", "", "deploy/web.yaml"),
        ("web.yaml", "deploy/base", "", "deploy/base/web.yaml"),
        ("../web.yaml", "deploy/base", "", "deploy/web.yaml"),
        ("/src/deploy/web.yaml", "", "/src", "deploy/web.yaml"),
        ("/src/deploy/web.yaml", "deploy", "/src/", "deploy/web.yaml"),
        ("/src/../src/web.yaml", "", "/src", "web.yaml"),
        ("/srcs/web.yaml", "", "/src", "/srcs/web.yaml"),
        ("../web.yaml", "", "", "../web.yaml"),
        ("../../web.yaml", "deploy", "/home/src", "/home/web.yaml"),
    ],
)
def test_a_path_leads_from_the_root_of_the_repository(file: str, base: str, root: str, path: str) -> None:
    assert file_path(file, Style(base=base, root=root)) == path


def result(**changes: object) -> Result:
    return changed(SCENARIOS["manifests"]().results[1], **changes)


@pytest.mark.parametrize(
    ("file", "origin", "uri"),
    [
        ("a b/größe#1?.yaml", PlaceKind.REPOSITORY, "a%20b/gr%C3%B6%C3%9Fe%231%3F.yaml"),
        ("c:d.yaml", PlaceKind.REPOSITORY, "c%3Ad.yaml"),
        ("latin-\udce9.yaml", PlaceKind.REPOSITORY, "latin-%E9.yaml"),
        ("half-\ud800.yaml", PlaceKind.REPOSITORY, "half-%5Cud800.yaml"),
        ("/etc/web.yaml", PlaceKind.ELSEWHERE, "file:///etc/web.yaml"),
        ("../web.yaml", PlaceKind.ELSEWHERE, "../web.yaml"),
        ("-", PlaceKind.STDIN, "stdin"),
    ],
)
def test_a_file_has_a_uri_and_is_known_to_be_in_the_repository_or_not(file: str, origin: PlaceKind, uri: str) -> None:
    place = place_of(result(source=Line(file, 7)), FILES, Style())
    assert (place.origin, place.uri, place.line, place.columns) == (origin, uri, 7, (5, 30))


def test_what_is_in_no_file_is_named_by_cluster_namespace_and_workload() -> None:
    replica = result(source=None, resource=pod("shop", "web-1"), owner=Owner(kind="Deployment", name="web"))
    alone = result(source=None, resource=pod("shop", "web-1"), owner=None)
    assert place_of(replica, CLUSTER, Style()).uri == "cluster/prod/shop/Deployment/web.yaml"
    assert place_of(alone, CLUSTER, Style()).uri == "cluster/prod/shop/Pod/web-1.yaml"
    assert place_of(alone, FILES, Style()).uri == "manifests/shop/Pod/web-1.yaml"


def test_names_are_escaped_and_never_lead_elsewhere() -> None:
    evil = replace(CLUSTER, name="..")
    assert object_path(evil, "", "ClusterRole", "system:node/x") == "cluster/__/ClusterRole/system%3Anode%2Fx.yaml"


@given(st.lists(st.text(), min_size=1))
def test_a_path_of_any_names_is_ascii_without_empty_or_dotted_segments(names: list[str]) -> None:
    segments = object_path(CLUSTER, *names).split("/")
    assert all(segment.isascii() and segment not in ("", ".", "..") for segment in segments)
    assert len(segments) >= 2 + sum(map(bool, names)) - (not names[-1])


def test_a_gap_is_at_its_resource_or_named_by_its_reason() -> None:
    about = Gap(reason="PolicyError", message="", resource=pod("shop", "cart"))
    assert gap_place(about, CLUSTER, Style()).path == "cluster/prod/shop/Pod/cart.yaml"
    assert gap_place(replace(about, resource=None), CLUSTER, Style()).path == "cluster/prod/gaps/PolicyError.yaml"
    node = Resource(api_version="v1", kind="Node", namespace="", name="n1")
    assert gap_place(replace(about, resource=node), CLUSTER, Style()).path == "cluster/prod/Node/n1.yaml"
    written = replace(about, source=KnownLocation(file="cart.yaml", line=7))
    place = gap_place(written, FILES, Style(base="deploy"))
    assert (place.path, place.line, place.origin) == ("deploy/cart.yaml", 7, PlaceKind.REPOSITORY)
