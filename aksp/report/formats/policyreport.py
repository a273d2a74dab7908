"""PolicyReports: a report as the objects that Policy Reporter, Kyverno's UI and others read. Pure.

``wgpolicyk8s.io/v1alpha2`` by the Kubernetes Policy Working Group
(https://github.com/kubernetes-sigs/wg-policy-prototypes), and its successor ``openreports.io/v1alpha1``
(https://github.com/openreports/reports-api), which differs only in names and in a ``source`` of the whole object.

One object per namespace, and one for what has no namespace and for the gaps; more where one would grow too large.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, TextIO

from msgspec import Struct

from aksp import runners
from aksp.model.assignment import API_GROUP
from aksp.model.compliance import (
    AssignmentSummary,
    ComplianceState,
    Gap,
    PolicyResult,
    Report,
    Result,
    SharedResult,
    SourceLocation,
)
from aksp.model.effect import Effect
from aksp.model.json_text import encode
from aksp.model.resource import Resource
from aksp.report import wire
from aksp.report.fields import PROPERTIES
from aksp.report.figures import value_text
from aksp.report.interface import Format, Style
from aksp.yaml_writer import to_yaml

NAME: Final = "aksp"
SOURCE: Final = "aksp"
MANAGED_BY: Final = {"app.kubernetes.io/managed-by": "aksp"}
#: The annotation with the options that left something out.
FILTERS: Final = f"{API_GROUP}/filters"

LIMIT_BYTES: Final = 1_000_000
"""Longest JSON of one object; etcd takes requests of 1.5 MiB, and the API server adds its own fields."""
LONGEST_MESSAGE: Final = 2048
LONGEST_PROPERTY: Final = 1024
"""In characters. What is left out is counted at the end of the text; `-o json` has everything."""

_SEVERITIES: Final = ("critical", "high", "medium", "low", "info")
# Room for metadata, scope and summary.
_HEAD_BYTES: Final = 2048
# Replicas follow one another, so a thousand are enough to remember.
_REMEMBERED: Final = 1024


class Kinds(Struct, frozen=True, kw_only=True):
    """The two kinds of one API: with a namespace and without. ``source``: whether the object has one too."""

    group: str
    version: str
    namespaced: str
    cluster: str
    source: bool

    @property
    def api_version(self) -> str:
        """As objects name it."""
        return f"{self.group}/{self.version}"


POLICY_REPORTS: Final = Kinds(
    group="wgpolicyk8s.io", version="v1alpha2", namespaced="PolicyReport", cluster="ClusterPolicyReport", source=False
)
OPEN_REPORTS: Final = Kinds(
    group="openreports.io", version="v1alpha1", namespaced="Report", cluster="ClusterReport", source=True
)


class _Entry(Struct, frozen=True):
    """One result: what replicas share, made once for all of them, and the resource. Sizes in bytes of JSON."""

    shared: Mapping[str, Any]
    resources: tuple[Mapping[str, str], ...]
    size: int


class _Part(Struct, frozen=True, kw_only=True):
    """One object to be: ``number`` counts the objects of its namespace from 1."""

    namespace: str
    number: int
    entries: tuple[_Entry, ...]


def one_cluster(name: str) -> tuple[str, str]:
    """Why formats of these objects cannot show several clusters, and what to do instead."""
    return (
        "its objects lie in the cluster that they are about, and a stream of several could be applied to none",
        "for each cluster by itself: "
        f"aksp compliance --cluster NAME -o {name} | kubectl --context NAME apply --server-side -f -",
    )


def policy_reports(
    report: Report, results: Iterable[Result], kinds: Kinds = POLICY_REPORTS, *, limit: int = LIMIT_BYTES
) -> Iterator[dict[str, Any]]:
    """The objects, one at a time, none longer than ``limit`` bytes of JSON.

    ``results``: those of the report that are listed. ``summary`` counts what the object lists, so compliant results only
    when they are listed.
    """
    for part in _parts(report, results, limit):
        yield {
            **_head(report, part, kinds),
            "results": [
                {**entry.shared, "resources": list(entry.resources)} if entry.resources else dict(entry.shared)
                for entry in part.entries
            ],
        }


def write_policy_reports(report: Report, out: TextIO, style: Style, kinds: Kinds) -> None:
    """Write the objects as a stream of YAML documents, for `kubectl apply -f`.

    What replicas share is encoded once: encoding is what takes the time.
    """
    texts: dict[int, str] = {}
    last: tuple[Mapping[str, str], ...] = ()
    last_text = ""
    separator = ""
    for part in _parts(report, wire.shown(report, style.show), LIMIT_BYTES):
        out.write(separator + to_yaml(_head(report, part, kinds)) + "results:\n")
        separator = "---\n"
        # By identity, for one part only: its entries keep the shared objects alive no longer.
        texts.clear()
        for entry in part.entries:
            text = texts.get(id(entry.shared))
            if text is None:
                text = texts[id(entry.shared)] = to_yaml([entry.shared])
            out.write(text)
            if not entry.resources:
                continue
            if entry.resources is not last:
                last = entry.resources
                # One more key of the mapping above.
                last_text = "  " + to_yaml([{"resources": list(last)}]).removeprefix("- ")
            out.write(last_text)
    if not separator:
        out.write("# nothing to report\n")


def render_policy_reports(report: Report, out: TextIO, style: Style) -> None:
    """Write wgpolicyk8s.io/v1alpha2 objects."""
    write_policy_reports(report, out, style, POLICY_REPORTS)


def outcome(state: ComplianceState, effect: str) -> str:
    """The word for a state.

    By the API's own descriptions: fail is a requirement not met, warn one not met that is not scored, skip not
    selected or excepted.
    """
    known = Effect.named(effect)
    failed_unscored = state.outcome is PolicyResult.FAIL and known is not None and not known.scored
    return (PolicyResult.WARN if failed_unscored else state.outcome).value


def _parts(report: Report, results: Iterable[Result], limit: int) -> Iterator[_Part]:
    """The entries put together by namespace and size. A report's results stand by namespace, those without first."""
    numbers: Counter[str] = Counter()
    namespace = ""
    entries: list[_Entry] = []
    room = limit - _HEAD_BYTES
    for place_of, entry in _entries(report, results):
        if entries and (place_of != namespace or entry.size > room):
            numbers[namespace] += 1
            yield _Part(namespace=namespace, number=numbers[namespace], entries=tuple(entries))
            entries.clear()
            room = limit - _HEAD_BYTES
        namespace = place_of
        entries.append(entry)
        room -= entry.size
    if entries:
        yield _Part(namespace=namespace, number=numbers[namespace] + 1, entries=tuple(entries))


def _entries(report: Report, results: Iterable[Result]) -> Iterator[tuple[str, _Entry]]:
    """Namespace and entry; gaps and assignments that judged nothing first, since they belong to no namespace."""
    moment = {"seconds": int(report.evaluated_at.timestamp()), "nanos": 0}
    # A rule that failed on a resource is a result of that resource, and also a gap.
    failed = {each.resource for each in report.results if each.state is ComplianceState.ERROR} if report.gaps else ()
    for gap in report.gaps:
        if gap.resource is None or gap.resource not in failed:
            yield "", _entry(_gap(gap, moment), _reference(gap.resource))
    for line in report.judged:
        if line.state is ComplianceState.NOT_STARTED:
            yield "", _entry(_idle(line, moment), ())
    groups = report.group_names
    shared: dict[tuple[SharedResult, SourceLocation | None], tuple[dict[str, Any], int]] = {}
    last: Resource | None = None
    reference: tuple[dict[str, str], ...] = ()
    size = 0
    for each in results:
        key = each.shared, each.source
        known = shared.get(key)
        if known is None:
            if len(shared) >= _REMEMBERED:
                shared.clear()
            common = _common(each, groups.get(each.assignment.name, ()), moment)
            known = shared[key] = common, _size(common)
        if each.resource is not last:
            last, reference = each.resource, _reference(each.resource)
            size = _size(reference)
        yield each.resource.namespace, _Entry(known[0], reference, known[1] + size + len(', "resources": '))


def _head(report: Report, part: _Part, kinds: Kinds) -> dict[str, Any]:
    """An object without its results."""
    name = NAME if part.number == 1 else f"{NAME}-{part.number}"
    found = Counter(entry.shared["result"] for entry in part.entries)
    head: dict[str, Any] = {
        "apiVersion": kinds.api_version,
        "kind": kinds.namespaced if part.namespace else kinds.cluster,
        "metadata": {"name": name},
    }
    if part.namespace:
        head["metadata"]["namespace"] = part.namespace
    head["metadata"]["labels"] = dict(MANAGED_BY)
    if report.target.filters:
        # So that a part is not taken for the whole.
        head["metadata"]["annotations"] = {FILTERS: _text(" ".join(report.target.filters), LONGEST_PROPERTY)}
    if kinds.source:
        head["source"] = SOURCE
    if part.namespace:
        head["scope"] = {"apiVersion": "v1", "kind": "Namespace", "name": part.namespace}
    head["summary"] = {word: found[word] for word in PolicyResult}
    return head


def _common(result: Result, groups: Sequence[str], moment: Mapping[str, int]) -> dict[str, Any]:
    """A result without its resource; ``groups`` are those of the member that it is of."""
    key = result.assignment
    word = outcome(result.state, key.effect)
    severity = key.severity.lower() if key.severity.lower() in _SEVERITIES else ""
    properties = {"state": result.state.value, "effect": key.effect}
    properties |= {field.entry: value_text(field.read(result)) for field in PROPERTIES}
    return {
        **_made(key.name, key.definition, word, result.finding.message, moment, severity=severity),
        "properties": _properties({**properties, **_of_groups(groups)}),
    }


def _made(
    policy: str, rule: str, word: str, message: str, moment: Mapping[str, int], *, severity: str = ""
) -> dict[str, Any]:
    return {
        "source": SOURCE,
        "policy": _text(policy, LONGEST_PROPERTY),
        "rule": _text(rule, LONGEST_PROPERTY),
        "result": word,
        "scored": word in ("pass", "fail", "error"),
        **({"severity": severity} if severity else {}),
        **({"message": _text(message, LONGEST_MESSAGE)} if message else {}),
        "timestamp": moment,
    }


def _of_groups(groups: Sequence[str]) -> dict[str, str]:
    """As a JSON list, since a name may hold anything."""
    return {"groupNames": value_text(groups)} if groups else {}


def _properties(values: Mapping[str, str]) -> dict[str, str]:
    return {name: _text(value, LONGEST_PROPERTY) for name, value in values.items() if value}


def _gap(gap: Gap, moment: Mapping[str, int]) -> dict[str, Any]:
    """What could not be judged, so that an object without failures is not taken for full compliance."""
    return _made(NAME, gap.reason, "error", gap.message, moment)


def _idle(line: AssignmentSummary, moment: Mapping[str, int]) -> dict[str, Any]:
    """An assignment that judged nothing, which must not count as passed."""
    word, why = outcome(line.state, line.effect), f"nothing judged: {line.message}"
    member = {"initiative": line.initiative, "referenceId": line.reference, **_of_groups(line.group_names)}
    return {
        **_made(line.name, line.definition, word, why, moment),
        "properties": _properties({"state": line.state.value, "effect": line.effect, **member}),
    }


def _entry(shared: Mapping[str, Any], resources: tuple[Mapping[str, str], ...]) -> _Entry:
    return _Entry(shared, resources, _size(shared) + _size(resources) + len(', "resources": '))


def _reference(resource: Resource | None) -> tuple[dict[str, str], ...]:
    """A list of one ObjectReference with the fields that are known; empty without a resource."""
    if resource is None:
        return ()
    fields = wire.resource(resource).items()
    return ({name: _text(value, LONGEST_PROPERTY) for name, value in fields if value},)


def _text(text: str, longest: int) -> str:
    """Text that UTF-8 can hold, of at most so many characters and a note of how many were left out."""
    if len(text) > longest:
        text = f"{text[:longest]}… ({len(text) - longest} more characters)"
    return text if text.isascii() else text.encode(errors="replace").decode()


def _size(value: Any) -> int:
    """The most bytes that it takes as JSON, with a comma: as if characters beyond ASCII were escaped."""
    return len(encode(value, ascii_only=True)) + len(", ")


FORMAT = Format(
    name="policyreport",
    description="PolicyReport objects (wgpolicyk8s.io/v1alpha2) as YAML, one per namespace",
    render=render_policy_reports,
    suffixes=(".yaml", ".yml"),
    one_cluster=one_cluster("policyreport"),
    in_log=runners.as_it_is,
)
