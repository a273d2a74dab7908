"""Azure's records compared with a report: what differs, and why, as far as the two tell."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Final

from msgspec import Struct

from aksp.azure.kept import kept_of
from aksp.azure.scopes import NEVER
from aksp.azure.states import StateRecord
from aksp.model.assignment import Assignment
from aksp.model.compliance import AssignmentSummary, ComplianceState, Report, Result
from aksp.model.definition import Definition
from aksp.model.resource import Resource
from aksp.report.policy_insights import components, worst

#: How many records of one policy and cluster Azure keeps, and how old they may be when it shows them ("Policy for Kubernetes").
CAP: Final = 500
FRESH: Final = timedelta(minutes=45)
#: The cause where a side lists nothing that complies.
NOT_LISTED: Final = "notListed"
_FAILED: Final = ComplianceState.NON_COMPLIANT
#: The suffix that a controller adds to the name of a workload.
_OF_WORKLOAD: Final = re.compile(r"(-[a-z0-9]{1,10})?-[a-z0-9]{1,5}")

#: An object: its kind in lower case, and namespace and name.
Key = tuple[str, str]


class StateDifference(Struct, frozen=True, kw_only=True):
    """What only one side says of an object, or, where ``component`` is empty, of the cluster.

    ``cause`` is a word, empty where none is known, and ``text`` the same as a sentence.
    """

    assignment: str
    kind: str
    component: str
    azure: str
    here: str
    cause: str
    text: str


class StateComparison(Struct, kw_only=True):
    """The differences, how many records say the same, and what could not be compared.

    ``one_sided`` is what one side alone has and does not call non-compliant, each with its reason.
    """

    same: int = 0
    differences: list[StateDifference] = []
    one_sided: list[StateDifference] = []
    left_out: list[str] = []

    @property
    def unlisted(self) -> int:
        """How many objects comply here of which Azure has no record, as it has of nothing that complies."""
        return sum(one.cause == NOT_LISTED and not one.azure for one in self.one_sided)

    @property
    def incomplete(self) -> bool:
        """Whether something could not be compared. What Azure leaves out because it complies does not count."""
        return bool(self.left_out) or len(self.one_sided) > self.unlisted


class _Side(Struct, frozen=True, kw_only=True):
    """One line of a report with the records of its assignment at Azure."""

    line: AssignmentSummary
    records: Sequence[StateRecord]
    results: Mapping[Key, Sequence[Result]]
    definition: Definition | None
    everywhere: frozenset[Key]
    complete: bool
    report: Report


def compare(
    report: Report,
    records: Iterable[StateRecord],
    assignments: Sequence[Assignment],
    definitions: Mapping[str, Definition],
) -> StateComparison:
    """Compare what both have. ``assignments`` tell the names at Azure, ``definitions`` are by slug."""
    made = StateComparison()
    ids = {one.name: _arm_id(one) for one in assignments}
    by_assignment: dict[tuple[str, str], list[StateRecord]] = {}
    for one in _newest(records):
        by_assignment.setdefault((one.assignment, one.reference), []).append(one)
    found: dict[str, dict[Key, list[Result]]] = {}
    for together in components(report.results):
        key = _key(together[0].resource)
        found.setdefault(together[0].assignment.name, {}).setdefault(key, []).extend(together)
    listed = {key for one in found.values() for key in one}
    compliant = ComplianceState.COMPLIANT
    for line in report.judged:
        wanted = _wanted(by_assignment, line.azure_id.lower() or ids.get(line.assignment, ""), line)
        if wanted is None:
            made.left_out.append(f"assignment {line.name}: Azure's records have none of it")
            continue
        told = any(one.state is compliant for each in found.get(line.name, {}).values() for one in each)
        complete = told or not line.counts.resources.get(compliant)
        side = _Side(
            line=line, records=by_assignment.pop(wanted), results=found.get(line.name, {}),
            definition=definitions.get(line.definition), everywhere=frozenset(listed), complete=complete,
            report=report,
        )  # fmt: skip
        _line(side, made)
    for arm, reference in by_assignment:
        made.left_out.append(f"{arm}{f' ({reference})' if reference else ''}: the report has no such assignment")
    return made


def _newest(records: Iterable[StateRecord]) -> Iterable[StateRecord]:
    """The newest record of each object and assignment; among equally new ones a record that says NonCompliant."""
    found: dict[tuple[str, ...], StateRecord] = {}
    for one in records:
        key = one.assignment, one.reference, one.definition, one.kind, one.component
        other = found.get(key)
        if other is None or (_age(one), one.state is _FAILED) > (_age(other), other.state is _FAILED):
            found[key] = one
    return found.values()


def _arm_id(one: Assignment) -> str:
    kept = kept_of(one.metadata, one.origin)
    if not kept.name or not kept.scope:
        return ""
    return f"{kept.scope.rstrip('/')}/providers/microsoft.authorization/policyassignments/{kept.name}".lower()


def _wanted(
    found: Mapping[tuple[str, str], Sequence[StateRecord]], arm: str, line: AssignmentSummary
) -> tuple[str, str] | None:
    """The key of the records of an assignment: by its id at Azure, else by its name where one alone has it.

    A constraint that Azure's add-on made of a member of an initiative is found by the member's definition.
    """
    reference = (line.reference or line.azure_reference).lower()
    if arm and (arm, reference) in found:
        return arm, reference
    if arm:
        wanted = line.azure_definition_id.lower()
        of_it = [key for key, some in found.items() if key[0] == arm and wanted and some[0].definition == wanted]
        return of_it[0] if len(of_it) == 1 and not reference else None
    named = [key for key in found if key[1] == reference and key[0].rpartition("/")[2] == line.assignment.lower()]
    return named[0] if len(named) == 1 else None


def _line(side: _Side, made: StateComparison) -> None:
    azure = {(one.kind, one.component): one for one in side.records if one.component}
    for one in side.records:
        if not one.component:
            if one.state is side.line.state:
                made.same += 1
            elif side.line.message:
                made.one_sided.append(_difference(side, ("", ""), one, side.line.state, _absent(side, ("", ""))))
            else:
                made.differences.append(_difference(side, ("", ""), one, side.line.state, _of_cluster(side, one)))
    if not azure:
        if any(worst(one) is _FAILED for one in side.results.values()):
            made.left_out.append(
                f"assignment {side.line.name}: Azure's records name no objects of it: see --expand Components"
            )
        return
    for key in sorted({*azure, *side.results}):
        theirs, ours = azure.get(key), worst(side.results[key]) if key in side.results else None
        if theirs is not None and ours is not None and theirs.state is ours:
            made.same += 1
        elif (why := _unjudged(side, key, ours)) is not None:
            made.one_sided.append(_difference(side, key, theirs, ours, why))
        elif theirs is not None and theirs.state is _FAILED:
            why = _only_there(side, key, theirs)
            unjudged = why is not None and why[0] == "notJudged"
            (made.one_sided if unjudged else made.differences).append(_difference(side, key, theirs, ours, why))
        elif ours is _FAILED:
            made.differences.append(_difference(side, key, theirs, ours, _only_here(side, key, theirs, len(azure))))
        elif theirs is not None and ours is not None:
            made.differences.append(
                _difference(
                    side, key, theirs, ours, _exempt(side, key) or _stale(side, theirs) or _version(side, theirs)
                )
            )
        else:
            cause = _absent(side, key) if theirs else _unlisted(side, key, ours, azure)
            made.one_sided.append(_difference(side, key, theirs, ours, cause))


#: Why a difference is there: a word and a sentence.
_Cause = tuple[str, str] | None


def _difference(
    side: _Side, key: Key, theirs: StateRecord | None, ours: ComplianceState | None, cause: _Cause
) -> StateDifference:
    word, text = cause or ("", "neither Azure's record nor the report tells why")
    return StateDifference(
        assignment=side.line.name, kind=key[0], component=key[1],
        azure=(theirs.state.value if theirs.state else "not known here") if theirs else "", here=ours.value if ours else "",
        cause=word, text=text,
    )  # fmt: skip


def _of_cluster(side: _Side, theirs: StateRecord) -> _Cause:
    waived = any(one.exemption for found in side.results.values() for one in found)
    if theirs.state is _FAILED and waived:
        return "exempt", "here exemptions waive what was found: Azure has none of single objects"
    objects = [one for one in side.records if one.component]
    # What the objects say is told of each of them.
    return (
        _stale(side, theirs)
        or _version(side, theirs)
        or (("components", "see its objects") if objects else _rule(side))
    )


def _only_there(side: _Side, key: Key, theirs: StateRecord) -> _Cause:
    if waived := _exempt(side, key):
        return waived
    if other := _wrapped(key, (one for one, found in side.results.items() if worst(found) is _FAILED), side):
        return "wrapped", f"here it is told of {other}"
    if key not in side.results and (why := _absent(side, key)) is not None and why[0] != NOT_LISTED:
        return why
    return _stale(side, theirs) or _version(side, theirs) or _rule(side)


def _absent(side: _Side, key: Key) -> _Cause:
    """Why the report has no result of an object by an assignment."""
    if side.line.message:
        return "notJudged", f"here it was not judged: {side.line.message}"
    of_it = [one for one in side.report.gaps if one.resource and _key(one.resource) == key]
    if of_it:
        return "notJudged", f"here it could not be judged: {of_it[0].message}"
    if _space(key) in NEVER:
        return "excluded", f"nothing in {_space(key)} is judged here, as Azure says of itself"
    if side.complete and key in side.everywhere:
        return "excluded", "this assignment leaves it out here: see its scopes, namespaces and selectors"
    if side.report.target.filters:
        return "notInScan", f"the report has no such object; it is one of {' '.join(side.report.target.filters)} alone"
    if not side.complete:
        return NOT_LISTED, "the report lists nothing that complies: make it with --show all"
    if side.report.gaps:
        return "notJudged", f"the report has no such object, and a gap: {side.report.gaps[0].message}"
    return "stale", "the report has no such object: it is gone, or nothing here judges it"


def _unjudged(side: _Side, key: Key, ours: ComplianceState | None) -> _Cause:
    """What kept an object from being judged here; None where it was."""
    if ours is None or ours in (_FAILED, ComplianceState.COMPLIANT, ComplianceState.EXEMPT):
        return None
    told = next((one.finding.message for one in side.results[key] if one.finding.message), "")
    return "notJudged", f"here it is {ours}{f': {told}' if told else ''}"


def _unlisted(side: _Side, key: Key, ours: ComplianceState | None, azure: Mapping[Key, StateRecord]) -> _Cause:
    """Why Azure has no record of an object in which nothing violates here."""
    if ours is ComplianceState.EXEMPT:
        return _exempt(side, key)
    if _space(key) in NEVER:
        return "excluded", f"Azure judges nothing in {_space(key)}"
    if other := _wrapped(key, azure, side):
        return "wrapped", f"at Azure it is told of {other}"
    if not any(one.state is ComplianceState.COMPLIANT for one in azure.values()):
        return NOT_LISTED, "Azure's records have nothing that complies"
    newest = max(azure.values(), key=_age)
    return _stale(side, newest) or ("", "Azure's records have others that comply, and not this one")


def _only_here(side: _Side, key: Key, theirs: StateRecord | None, count: int) -> _Cause:
    if _space(key) in NEVER:
        return "excluded", f"Azure judges nothing in {_space(key)}"
    there = {(one.kind, one.component) for one in side.records if one.component and one.state is _FAILED}
    if other := _wrapped(key, there, side):
        return "wrapped", f"at Azure it is told of {other}"
    if theirs is None and count >= CAP:
        return "capped", f"Azure keeps {CAP} records of a policy and a cluster, and has {count}"
    newest = theirs or max(side.records, key=_age)
    return _stale(side, newest) or _version(side, newest) or _rule(side)


def _age(one: StateRecord) -> float:
    return one.at.timestamp() if one.at else 0


def _key(resource: Resource) -> Key:
    name = resource.name
    return resource.kind.lower(), f"{resource.namespace}/{name}" if resource.namespace else name


def _space(key: Key) -> str:
    """The namespace of an object; empty where it lies in none."""
    return key[1].rpartition("/")[0]


def _exempt(side: _Side, key: Key) -> _Cause:
    names = sorted({one.exemption.name for one in side.results.get(key, ()) if one.exemption})
    return ("exempt", f"exempt here by {', '.join(names)}") if names else None


def _stale(side: _Side, theirs: StateRecord) -> _Cause:
    if theirs.at is None or side.report.evaluated_at - theirs.at <= FRESH:
        return None
    age = side.report.evaluated_at - theirs.at
    return (
        "stale",
        f"Azure's record is {age.days * 24 + age.seconds // 3600} h {age.seconds // 60 % 60} min older than the report",
    )


def _version(side: _Side, theirs: StateRecord) -> _Cause:
    """That Azure used another major version of the definition than the rule here follows."""
    named = theirs.definition.rpartition("/")[2]
    one = next((each for each in (side.definition.azure if side.definition else ()) if each.id == named), None)
    if one is None or not theirs.version or not one.versions:
        return None
    majors = {each.partition(".")[0] for each in one.versions}
    if theirs.version.partition(".")[0] in majors:
        return None
    return "version", f"Azure judged by version {theirs.version}, and the rule here is {', '.join(one.versions)}"


def _rule(side: _Side) -> _Cause:
    """That the rule here is known to judge otherwise."""
    told = [text for one in (side.definition.azure if side.definition else ()) for text in one.differences]
    return ("rule", f"the two rules are not the same: {' '.join(told)}") if told else None


def _wrapped(key: Key, others: Iterable[Key], side: _Side) -> str:
    """The object by which the other side means the same: the workload of a Pod, or a Pod of a workload."""
    owners = {f"{one.owner.kind.lower()} {one.owner.name}" for one in side.results.get(key, ()) if one.owner}
    space, _, name = key[1].rpartition("/")
    counted = Counter(others)
    for kind, component in counted:
        other_space, _, other_name = component.rpartition("/")
        if other_space != space or (kind, component) == key:
            continue
        related = f"{kind} {other_name}" in owners or any(
            one.owner and f"{one.owner.kind.lower()} {one.owner.name}" == f"{key[0]} {name}"
            for one in side.results.get((kind, component), ())
        )
        pod, workload = (name, other_name) if key[0] == "pod" else (other_name, name)
        by_name = "pod" in (kind, key[0]) and kind != key[0] and pod.startswith(workload)
        if related or (by_name and _OF_WORKLOAD.fullmatch(pod.removeprefix(workload))):
            return f"{kind} {component}"
    return ""
