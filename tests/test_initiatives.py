"""An initiative is judged as its members are, assigned one by one with the same parameters: in files, in scans, at admission.

Nothing that was not judged makes it look compliant.
"""

from __future__ import annotations

import asyncio
import json
import random
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import pytest
import yaml

from aksp.addon.in_force.policies import Standing, stand
from aksp.addon.review.decision import Decision
from aksp.addon.review.owners import Owners
from aksp.addon.review.reviewer import Reviewer
from aksp.engine import Engine
from aksp.errors import InvalidInput
from aksp.kube.connection import Connection
from aksp.model.compliance import AssignmentSummary, ComplianceState, Counts, Report, Target, TargetKind
from aksp.model.scope import Scope
from aksp.report.wire import result as wire
from aksp.scan import Scan
from aksp.sources.manifests import Manifests
from aksp.workspace import Workspace, prepare
from tests.addon.custom import Memory, assigned, defined, exempted, resource
from tests.addon.test_parity import generated
from tests.engine.reviews import review
from tests.replacing import replace

NOW = datetime(2026, 6, 1, tzinfo=UTC)
TARGET = Target(kind=TargetKind.MANIFESTS, name="files", scope="/")
GUID = "5dc99dae-cfb2-42cc-8762-9aae02b74e27"
S = ComplianceState
Object = dict[str, Any]
#: Members: what they are called, their definitions, and parameters.
MEMBERS: Sequence[tuple[str, str, Object]] = (
    ("Privileged", "no-privileged", {}),
    ("PrivilegedInShop", "no-privileged", {"namespaces": ["shop"], "effect": "Warn"}),
    ("Images", "allowed-images", {"allowedRegistries": ["contoso.azurecr.io"]}),
    ("ImagesBut", "allowed-images", {"allowedContainerImagesRegex": "^nginx$", "excludedImages": ["docker.io/*"]}),
    ("Limits", "resource-limits", {"maxCpu": "500m", "maxMemory": "128Mi", "excludedContainers": ["c1"]}),
    ("Labels", "required-labels", {"labels": ["tier"]}),
    ("Ports", "allowed-container-ports", {"allowedPorts": ["80"], "effect": "Audit"}),
    ("Services", "allowed-service-ports", {"allowedPorts": ["80", "443"]}),
    ("Https", "https-ingress", {}),
    ("Hosts", "unique-ingress-hosts", {"allowSameNamespace": False}),
    ("Off", "no-host-process", {"effect": "Disabled"}),
)
GROUPS = {
    "pods": {"Privileged", "Images", "Limits"},
    "nets": {"Services", "Https", "Privileged"},
    "one": {"Labels"},
    "none": set[str](),
}


def initiative(draw: random.Random, members: Iterable[tuple[str, str, Object]] = MEMBERS) -> tuple[Object, Object]:
    """An initiative's properties, which take some values from its own parameters; and values for these."""
    parameters: Object = {"effect": {"type": "String", "defaultValue": "Deny"}}
    given: Object = {}
    listed = []
    for reference, definition, values in members:
        passed: Object = {}
        for name, value in {"effect": "Deny", **values}.items():
            passed[name] = {"value": value}
            if name == "effect" and value == "Deny":
                passed[name] = {"value": "[parameters('effect')]"}
            elif draw.random() < 0.5:
                own = f"{name}Of{reference}"
                kind = "Boolean" if isinstance(value, bool) else "Array" if isinstance(value, list) else "String"
                parameters[own] = {"type": kind}
                if draw.random() < 0.5:
                    parameters[own]["defaultValue"] = value
                else:
                    given[own] = value
                passed[name] = {"value": f"[parameters('{own}')]"}
        listed.append(
            {
                "policyDefinitionId": definition,
                "policyDefinitionReferenceId": reference,
                "parameters": passed,
                "groupNames": sorted(name for name, names in GROUPS.items() if reference in names),
            }
        )
    groups = [{"name": name} for name in GROUPS]
    return {"parameters": parameters, "policyDefinitions": listed, "policyDefinitionGroups": groups}, given


class Folder:
    """A workspace to be filled and judged."""

    def __init__(self, root: Path, engine: Engine) -> None:
        self.root, self._engine = root, engine

    def write(self, kind: str, name: str, spec: Object) -> None:
        path = self.root / f"{kind}s" / f"{name}.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        kinds = {"assignment": "PolicyAssignment", "exemption": "PolicyExemption"}
        head = {"apiVersion": "policy.aksp.io/v1alpha1", "kind": kinds[kind], "metadata": {"name": name}}
        path.write_text(yaml.safe_dump({**head, "spec": spec}), encoding="utf-8")

    def initiative(self, properties: Object, slug: str = "team") -> None:
        path = self.root / "definitions" / "initiatives" / f"{slug}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({"properties": properties}), encoding="utf-8")

    def assign(self, name: str, definition: str, values: Mapping[str, Any] | None = None, **more: Any) -> None:
        parameters = {key: {"value": value} for key, value in (values or {}).items()}
        self.write("assignment", name, {"policyDefinitionId": definition, "parameters": parameters, **more})

    def report(self, objects: Path) -> Report:
        workspace = Workspace.open(str(self.root))
        plan = prepare(self._engine, workspace.plan(None, NOW))
        return Scan(plan, self._engine, collect_compliant=True).run(
            Manifests(self._engine, [str(objects)]), TARGET, NOW
        ).report  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Iterable[Callable[[str], Folder]]:
    with Engine() as engine:
        yield lambda name: Folder(tmp_path / name, engine)


@pytest.fixture(scope="module")
def objects(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("objects") / "all.json"
    items = [one.new for one in generated(150)[0]]
    path.write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": items}), encoding="utf-8")
    return path


def results(report: Report, *, members: bool) -> Counter[str]:
    """The results by what they say, a member's as if its reference id were the assignment's name."""
    told = []
    for one in map(wire, report.results):
        if members:
            one = {**one, "assignment": one["referenceId"], "initiative": None, "referenceId": None}
        told.append(json.dumps(one, sort_keys=True))
    return Counter(told)


def figures(line: Any) -> tuple[ComplianceState, float | None, Counts]:
    return line.state, line.compliance_percent, line.counts


@pytest.mark.parametrize("seed", range(4))
def test_an_initiative_in_files_is_judged_as_its_members_one_by_one(
    seed: int, folder: Callable[[str], Folder], objects: Path
) -> None:
    properties, given = initiative(random.Random(seed))
    whole, parts = folder("whole"), folder("parts")
    whole.initiative(properties)
    whole.assign("all", "team", given)
    for reference, definition, values in MEMBERS:
        parts.assign(reference.lower(), definition, {"effect": "Deny", **values})
    together, single = whole.report(objects), parts.report(objects)

    lowered = {reference: reference.lower() for reference, *_ in MEMBERS}
    found = replace(
        together,
        results=[
            replace(
                one,
                shared=replace(
                    one.shared, assignment=replace(one.assignment, reference=lowered[str(one.assignment.reference)])
                ),
            )
            for one in together.results
        ],
    )
    assert results(found, members=True) == results(single, members=False)
    assert Counter(one.state for one in single.results).keys() >= {S.NON_COMPLIANT, S.COMPLIANT}
    (line,) = together.assignments
    assert (line.definition, line.effect, line.severity) == ("team", "Mixed", "critical")
    assert [member.reference for member in line.members] == [reference for reference, *_ in MEMBERS]
    alone = {one.name: one for one in single.assignments}
    for member in line.members:
        assert figures(member) == figures(alone[member.reference.lower()]), member.name
        assert (member.effect, member.message) == (
            alone[member.reference.lower()].effect, alone[member.reference.lower()].message
        )  # fmt: skip
    # Over distinct resources, as the report counts all assignments.
    assert figures(line) == (single.state, single.compliance_percent, single.counts)
    assert (together.state, together.counts) == (single.state, single.counts)


def test_a_group_is_counted_as_a_report_of_its_members_alone(folder: Callable[[str], Folder], objects: Path) -> None:
    properties, given = initiative(random.Random(7))
    whole = folder("whole")
    whole.initiative(properties)
    whole.assign("all", "team", given)
    (line,) = whole.report(objects).assignments
    for group in line.groups:
        parts = folder(group.name)
        names = GROUPS[group.name]
        for reference, definition, values in MEMBERS:
            if reference in names:
                parts.assign(reference.lower(), definition, {"effect": "Deny", **values})
        if names:
            single = parts.report(objects)
            assert figures(group) == (single.state, single.compliance_percent, single.counts), group.name
        else:
            assert (group.state, group.compliance_percent) == (S.NOT_STARTED, None)


# What was not judged


def only(report: Report) -> AssignmentSummary:
    (line,) = report.assignments
    return line


@pytest.fixture
def good(tmp_path: Path) -> Path:
    path = tmp_path / "good.yaml"
    path.write_text(
        "apiVersion: v1\nkind: Pod\nmetadata: {name: a, namespace: shop}\nspec: {containers: [{name: c, image: i}]}\n",
        encoding="utf-8",
    )
    return path


def with_a_member(definition: str, **more: Any) -> Object:
    """An initiative of what complies, and of another member."""
    other = {"policyDefinitionId": definition, "policyDefinitionReferenceId": "Other", "groupNames": ["g"], **more}
    return {
        "policyDefinitions": [{"policyDefinitionId": "no-privileged", "policyDefinitionReferenceId": "Good"}, other],
        "policyDefinitionGroups": [{"name": "g"}],
    }


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ({"definition": GUID}, f"no definition here stands for Azure's {GUID}"),
        ({"definition": "no-priviliged"}, "did you mean 'no-privileged'?"),
        ({"definition": "run-as-non-root", "definitionVersion": "9.*.*"}, "it asks for version 9.*.* of run-as-non-root, and there is 1.0.0"),
        ({"definition": "required-labels"}, "parameter 'labels': required-labels needs a value of type Array"),
        ({"definition": "no-privileged", "parameters": {"effekt": {"value": "Deny"}}}, "no-privileged has no such parameter"),
        ({"definition": "broken"}, "definition 'broken' does not compile"),
        ({"definition": "wrong"}, "properties.policyRule is missing"),
        ({"definition": "team"}, "is an initiative, and a definition is asked for"),
    ],
)  # fmt: skip
def test_a_member_that_cannot_be_judged_keeps_its_initiative_from_being_compliant(
    more: Object, told: str, folder: Callable[[str], Folder], good: Path
) -> None:
    one = folder("one")
    definitions = one.root / "definitions"
    for slug, rego in (("broken", "violation contains {"), ("wrong", None)):
        (definitions / slug).mkdir(parents=True)
        written = defined(slug)["spec"]
        if rego is None:
            del written["policyRule"]
        else:
            written["policyRule"]["then"]["details"]["templateInfo"] = {"sourceType": "File", "path": "policy.rego"}
            (definitions / slug / "policy.rego").write_text(f"package {slug}\n{rego}\n", encoding="utf-8")
        written.pop("name")
        document = {"name": f"guid-of-{slug}", "properties": written}
        (definitions / slug / "definition.json").write_text(json.dumps(document), encoding="utf-8")
    one.initiative(with_a_member(**more))
    one.assign("all", "team")
    report = one.report(good)
    line = only(report)

    assert (line.state, line.compliance_percent) == (S.ERROR, None)
    assert line.message == "1 of 2 members not judged: Other"
    member = line.members[1]
    assert (member.state, member.compliance_percent) == (S.ERROR, None)
    assert told in member.message and line.groups[0].state is S.ERROR
    assert any("all/Other" in gap.message and told in gap.message for gap in report.gaps), report.gaps
    assert line.members[0].state is S.COMPLIANT


def test_a_member_that_an_override_disables_is_not_missed(folder: Callable[[str], Folder], good: Path) -> None:
    one = folder("one")
    one.initiative(with_a_member(GUID))
    selectors = [{"kind": "policyDefinitionReferenceId", "in": ["other"]}]
    one.assign("all", "team", overrides=[{"kind": "policyEffect", "value": "Disabled", "selectors": selectors}])
    report = one.report(good)
    line = only(report)

    assert (line.state, line.compliance_percent, line.message) == (S.COMPLIANT, 100.0, "")
    assert (line.members[1].state, line.members[1].message) == (S.NOT_STARTED, "its effect is Disabled")
    assert list(report.gaps) == []


def test_overrides_messages_and_exemptions_are_of_members(folder: Callable[[str], Folder], tmp_path: Path) -> None:
    bad = tmp_path / "bad.yaml"
    bad.write_text(
        "apiVersion: v1\nkind: Pod\nmetadata: {name: a, namespace: shop}\n"
        "spec: {hostPID: true, containers: [{name: c, image: i, securityContext: {privileged: true}}]}\n",
        encoding="utf-8",
    )
    one = folder("one")
    one.initiative(with_a_member("block-host-namespaces"))
    selectors = [{"kind": "policyDefinitionReferenceId", "notIn": ["Good"]}]
    one.assign("all", "team", overrides=[{"kind": "policyEffect", "value": "Audit", "selectors": selectors}])
    one.write(
        "exemption",
        "waived",
        {"policyAssignmentId": "all", "exemptionCategory": "Waiver", "policyDefinitionReferenceIds": ["OTHER"]},
    )
    report = one.report(bad)
    states = {(one.assignment.reference, one.assignment.effect): one.state for one in report.results}

    assert states == {("Good", "EnforceRegoPolicy"): S.NON_COMPLIANT, ("Other", "Audit"): S.EXEMPT}


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ({"overrides": [{"kind": "policyEffect", "value": "Audit", "selectors": [{"kind": "policyDefinitionReferenceId", "in": ["Orther"]}]}]},
         r"spec\.overrides names the policyDefinitionReferenceId 'Orther'"),
        ({"nonComplianceMessages": [{"message": "x", "policyDefinitionReferenceId": "x"}]}, r"spec\.nonComplianceMessages names"),
        ({"parameters": {"x": {"value": 1}}}, "team has no such parameter"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_the_assignment_itself_ends_the_run(
    more: Object, told: str, folder: Callable[[str], Folder], good: Path
) -> None:
    one = folder("one")
    one.initiative(with_a_member("run-as-non-root"))
    one.write("assignment", "all", {"policyDefinitionId": "team", **more})
    with pytest.raises(InvalidInput, match=told):
        one.report(good)


def test_a_definition_has_no_members_to_speak_of(folder: Callable[[str], Folder], good: Path) -> None:
    one = folder("one")
    messages = [{"message": "x", "policyDefinitionReferenceId": "a"}]
    one.assign("all", "no-privileged", nonComplianceMessages=messages)
    with pytest.raises(InvalidInput, match="what is assigned is one definition"):
        one.report(good)


def test_an_exemption_of_a_member_that_is_not_there_is_told(folder: Callable[[str], Folder]) -> None:
    one = folder("one")
    one.initiative(with_a_member("run-as-non-root"))
    one.assign("all", "team")
    spec = {"policyAssignmentId": "all", "exemptionCategory": "Waiver"}
    one.write("exemption", "some", {**spec, "policyDefinitionReferenceIds": ["good", "gone"]})
    one.write("exemption", "none", {**spec, "policyDefinitionReferenceIds": ["gone"]})
    assert list(Workspace.open(str(one.root)).plan(None, NOW).notes) == [
        "exemption none: assignment 'all' has no member gone, so it does nothing",
        "exemption some: assignment 'all' has no member gone, so it does nothing for these",
    ]


# At admission


def standing(engine: Engine, *documents: Object, previous: Standing | None = None) -> Standing:
    def of(kind: str) -> list[Object]:
        return [one for one in documents if one["kind"] == kind]

    return stand(
        engine,
        definitions=of("PolicyDefinition"),
        initiatives=of("PolicySetDefinition"),
        assignments=of("PolicyAssignment"),
        exemptions=of("PolicyExemption"),
        cluster=Scope.cluster("c"),
        now=NOW,
        previous=previous,
    )


def admitted(engine: Engine, made: Standing, asked: Sequence[Any], cluster: Memory) -> dict[str, Decision]:
    """What admission says of each object, by its name."""
    decisions: list[Decision] = []
    reviewer = Reviewer(
        engine, owners=Owners(cast(Connection, cluster)), fail_closed=False, decided=decisions.append,
        disagreed=lambda one: pytest.fail(one.message),
    )  # fmt: skip
    reviewer.use(made.plan)

    async def ask() -> None:
        for one in asked:
            assert (await reviewer(review(one.new, one.old, userInfo={"username": one.user}))).status == 200

    asyncio.run(ask())
    return {decision.request.resource.name: decision for decision in decisions}


def test_admission_by_an_initiative_is_that_by_its_members_one_by_one() -> None:
    asked, cluster = generated(200)
    properties, given = initiative(random.Random(11))
    values = [(reference, definition, {"effect": "Deny", **values}) for reference, definition, values in MEMBERS]
    resources = [{"kind": "Deployment", "name": "web"}]
    with Engine() as first, Engine() as second:
        whole = standing(
            first,
            resource("PolicySetDefinition", "team", properties),
            assigned("all", "team", parameters=given),
            exempted("w", "all", policyDefinitionReferenceIds=["privileged"], resources=resources),
        )
        # As long as the members' names: warnings are cut.
        parts = standing(
            second,
            *(assigned(f"all-{name.lower()}", definition, parameters=given) for name, definition, given in values),
            exempted("w", "all-privileged", resources=resources),
        )
        assert [one.problem for one in (*whole.assignments, *parts.assignments) if one.problem] == []
        together, single = admitted(first, whole, asked, cluster), admitted(second, parts, asked, cluster)
    names = {f"all/{reference}": f"all-{reference.lower()}" for reference, *_ in MEMBERS}

    def renamed(text: str) -> list[str]:
        for name, other in names.items():
            text = text.replace(f"[{name}]", f"[{other}]")
        return sorted(text.splitlines())

    refused = 0
    for name, decision in together.items():
        mine, theirs = decision.outcome, single[name].outcome
        assert mine.allowed == theirs.allowed, name
        assert renamed(mine.message) == renamed(theirs.message)
        assert [renamed(one) for one in sorted(map("".join, map(renamed, mine.warnings)))] == [
            renamed(one) for one in sorted(map("".join, map(renamed, theirs.warnings)))
        ]
        found = Counter((names[one.assignment.name], one.finding) for one in mine.violations)
        assert found == Counter((one.assignment.name, one.finding) for one in theirs.violations)
        refused += not mine.allowed
    assert refused > 40
    assert any("[all/Privileged]" in one.outcome.message for one in together.values())


def test_in_a_cluster_a_member_that_cannot_be_judged_is_told_and_the_others_are_in_force() -> None:
    with Engine() as engine:
        made = standing(engine, resource("PolicySetDefinition", "team", with_a_member(GUID)), assigned("all", "team"))
        (one,) = made.assignments

        assert [ready.key.name for ready in made.plan.ready] == ["all/Good"]
        assert one.problem is None and one.judges and one.effect == "Mixed"
        assert [(broken.assignment.reference, broken.unavailable) for broken in one.broken] == [("Other", True)]


def test_a_member_stays_in_force_as_it_was_when_its_definition_no_longer_takes_its_parameters() -> None:
    needs = {"word": {"type": "String"}}
    with Engine() as engine:
        documents = (resource("PolicySetDefinition", "team", with_a_member("ours")), assigned("all", "team"))
        first = standing(engine, *documents, defined())
        second = standing(engine, *documents, defined(parameters=needs, generation=2), previous=first)
        fresh = standing(engine, *documents, defined(parameters=needs, generation=2))

    assert [ready.key.name for ready in first.plan.ready] == ["all/Good", "all/Other"]
    assert second.plan.ready == first.plan.ready
    assert "member Other: parameter 'word'" in second.assignments[0].note
    assert [ready.key.name for ready in fresh.plan.ready] == ["all/Good"]


def test_an_initiative_that_breaks_stays_in_force_as_it_was() -> None:
    with Engine() as engine:
        good = resource("PolicySetDefinition", "team", with_a_member("run-as-non-root"))
        bad = resource("PolicySetDefinition", "team", {"policyDefinitions": []}, generation=2)
        first = standing(engine, good, assigned("all", "team"))
        second = standing(engine, bad, assigned("all", "team"), previous=first)

    assert [one.key.name for one in second.plan.ready] == ["all/Good", "all/Other"]
    assert "policyDefinitions names no definition" in (second.definitions[0].problem or "")
    assert (
        "initiative team is wrong in its newest version, and generation 1 stays in force" in second.assignments[0].note
    )
