"""The workspace: where it is, and what it makes of its documents."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from aksp.assigned import idle
from aksp.engine import Engine
from aksp.errors import ExitCode, InvalidInput, InvalidPolicy
from aksp.model.assignment import Assignment, Exemption, ExemptionCategory
from aksp.model.initiative import Initiative
from aksp.model.scope import Scope
from aksp.workspace import Workspace, check_regexes, compile_definition, prepare
from aksp.workspace_folder import workspace_root
from tests.catalog.documents import DETAILS, document, write

NOW = datetime(2026, 6, 1, tzinfo=UTC)


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace.open(str(tmp_path / "ws"), new=True)


def assign(workspace: Workspace, name: str = "one", definition: str = "no-privileged", **more: Any) -> str:
    parameters = more.pop("parameters", {})
    made = Assignment(name=name, definition_id=definition, parameters=parameters, **more)
    return workspace.store.save(made, replace=True)[1]


def exempt(workspace: Workspace, name: str, assignment: str, **spec: Any) -> None:
    path = workspace.root / "exemptions" / f"{name}.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    made = {
        "apiVersion": "policy.aksp.io/v1alpha1",
        "kind": "PolicyExemption",
        "metadata": {"name": name},
        "spec": {"policyAssignmentId": assignment, "exemptionCategory": "Waiver", **spec},
    }
    path.write_text(yaml.safe_dump(made), encoding="utf-8")


# Where it is


def test_a_home_of_nobody_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InvalidInput, match=r"^--workspace ~nobody-here/x: "):
        workspace_root("~nobody-here/x")
    monkeypatch.setenv("AKSP_WORKSPACE", "~nobody-here/x")
    with pytest.raises(InvalidInput, match=r"^AKSP_WORKSPACE ~nobody-here/x: "):
        workspace_root(new=True)


def test_the_option_beats_the_environment_beats_the_folder_upward_beats_the_user_s_data(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deep = tmp_path / "project" / "deep"
    deep.mkdir(parents=True)
    monkeypatch.delenv("AKSP_WORKSPACE", raising=False)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    assert workspace_root(cwd=deep) == tmp_path / "data" / "aksp"

    (tmp_path / "project" / ".aksp").mkdir()
    assert workspace_root(cwd=deep) == tmp_path / "project" / ".aksp"

    monkeypatch.setenv("AKSP_WORKSPACE", "/from/environment")
    assert workspace_root(new=True, cwd=deep) == Path("/from/environment")
    assert workspace_root("/given", new=True, cwd=deep) == Path("/given")


def test_a_workspace_that_is_named_must_be_there_unless_it_is_to_be_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    missing, file = tmp_path / "missing", tmp_path / "file"
    file.write_text("", encoding="utf-8")
    for named, what in ((missing, "is not there"), (file, "is no folder")):
        monkeypatch.delenv("AKSP_WORKSPACE", raising=False)
        with pytest.raises(InvalidInput, match=rf"--workspace .*{what}"):
            workspace_root(str(named))
        monkeypatch.setenv("AKSP_WORKSPACE", str(named))
        with pytest.raises(InvalidInput, match=rf"AKSP_WORKSPACE .*{what}"):
            workspace_root()
    monkeypatch.setenv("AKSP_WORKSPACE", str(missing))
    assert workspace_root(str(tmp_path)) == tmp_path


def test_a_file_named_like_the_folder_is_passed_by(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".aksp").write_text("", encoding="utf-8")

    monkeypatch.delenv("AKSP_WORKSPACE", raising=False)
    monkeypatch.setenv("XDG_DATA_HOME", "/data")
    assert workspace_root(cwd=tmp_path) == Path("/data/aksp")


# Plans


def test_a_plan_has_the_assignments_that_reach_a_target_and_those_switched_off_apart(workspace: Workspace) -> None:
    assign(workspace, "everywhere")
    assign(workspace, "prod", scope=Scope("/clusters/prod"))
    assign(workspace, "inside", scope=Scope("/clusters/prod/namespaces/shop"))
    assign(workspace, "dev", scope=Scope("/clusters/dev"))
    assign(workspace, "off", parameters={"effect": "disabled".title()})
    plan = workspace.plan(Scope("/clusters/prod"), NOW)

    assert [one.key.name for one in plan.ready] == ["everywhere", "inside", "prod"]
    assert [one.key.name for one in plan.disabled] == ["off"]


def test_files_without_a_cluster_are_checked_against_every_assignment(workspace: Workspace) -> None:
    assign(workspace, "prod", scope=Scope("/clusters/prod"))
    assign(workspace, "dev", scope=Scope("/clusters/dev"))

    assert [one.key.name for one in workspace.plan(None, NOW).ready] == ["dev", "prod"]


def test_an_assignment_whose_definition_is_gone_is_refused_with_its_file(workspace: Workspace) -> None:
    where = assign(workspace, definition="allowed-imags")
    with pytest.raises(
        InvalidInput, match="assignment 'one': there is no definition or initiative 'allowed-imags'"
    ) as error:
        workspace.plan(None, NOW)

    assert error.value.where == where
    assert "allowed-images" in (error.value.hint or "")
    assert workspace.effect_of(workspace.store.assignments()[0]) == "?"


def test_parameters_are_checked_again_when_they_are_loaded(workspace: Workspace) -> None:
    where = assign(workspace, parameters={"effekt": "Deny"})
    with pytest.raises(InvalidInput, match="assignment 'one': parameter 'effekt': no-privileged has no such") as error:
        workspace.plan(None, NOW)

    assert (error.value.where, error.value.hint) == (where, "did you mean 'effect'?")


def test_an_assignment_of_a_definition_that_cannot_be_understood_is_broken(workspace: Workspace) -> None:
    write(workspace.root / "definitions", made=document(**{f"{DETAILS}.values": {"x": "[parameters('gone')]"}}))
    assign(workspace, "one", definition="ours")
    assign(workspace, "two")
    made = workspace.plan(None, NOW)

    assert [(one.assignment.name, "there is no parameter 'gone'" in one.problem) for one in made.broken] == [
        ("one", True)
    ]
    assert [one.key.name for one in made.ready] == ["two"]


def test_a_definition_of_the_workspace_can_be_assigned_by_guid(workspace: Workspace) -> None:
    write(workspace.root / "definitions")
    assign(workspace, definition="11111111-2222-3333-4444-555555555555")

    assert [one.definition.slug for one in workspace.plan(None, NOW).ready] == ["ours"]


# Exemptions


def test_a_definition_called_as_an_initiative_of_aksp_takes_its_name_at_no_time(workspace: Workspace) -> None:
    write(workspace.root / "definitions", "pod-security-baseline", made=document(name="pod-security-baseline"))
    before = workspace.catalog.find("pod-security-baseline")
    (broken,) = workspace.catalog.broken

    assert isinstance(before, Initiative)
    assert workspace.catalog.find("pod-security-baseline") == before
    assert "initiative 'pod-security-baseline' has its name" in broken.error.what
    assert broken.error.hint == "rename the folder of yours"


def test_exemptions_that_do_nothing_or_soon_will_are_noted(workspace: Workspace) -> None:
    assign(workspace)
    exempt(workspace, "lasting", "one", expiresOn="2026-06-20T00:00:00Z")
    exempt(workspace, "ending", "one", expiresOn="2026-06-10T00:00:00Z")
    exempt(workspace, "ended", "one", expiresOn="2026-05-31T00:00:00Z")
    exempt(workspace, "orphan", "gone")
    plan = workspace.plan(None, NOW)

    assert [exemption.name for exemption in plan.ready[0].exemptions] == ["ending", "lasting"]
    assert len(plan.notes) == 3
    assert any("ending of one ends in 9 days, on 2026-06-10T00:00:00Z" in note for note in plan.notes)
    assert any("ended expired on 2026-05-31" in note for note in plan.notes)
    assert any("there is no assignment 'gone'" in note for note in plan.notes)


def test_a_malformed_exemption_ends_the_run_with_file_line_and_field(workspace: Workspace) -> None:
    assign(workspace)
    exempt(workspace, "bad", "one", exemptionCategory="Forever")
    with pytest.raises(InvalidInput, match=r"spec\.exemptionCategory") as error:
        workspace.plan(None, NOW)

    assert error.value.exit_code is ExitCode.INVALID
    assert str(error.value.where).endswith("exemptions/bad.yaml:6")


def test_an_exemption_of_an_assignment_that_is_there_does_something_until_it_ends() -> None:
    ends = datetime(2026, 6, 1, 12, tzinfo=UTC)
    one = Exemption(name="waiver", assignment="one", category=ExemptionCategory.WAIVER, expires_on=ends)

    assert idle(one, {"one": ()}, NOW) is None
    assert idle(one, {"one": ()}, ends) == "exemption waiver expired on 2026-06-01, so it does nothing"
    assert "there is no assignment 'one'" in (idle(one, {"two": ()}, NOW) or "")


# Engine


def test_a_definition_can_be_compiled_under_another_id(workspace: Workspace, engine: Engine) -> None:
    definition = workspace.catalog.get("no-privileged")
    compile_definition(engine, definition, "no-privileged@9")

    assert engine.reads("no-privileged@9")


def test_a_pattern_that_is_no_re2_is_refused_by_name(workspace: Workspace, engine: Engine) -> None:
    made = Assignment(name="one", definition_id="x", parameters={"allowedContainerImagesRegex": "^(?!evil)"})
    with pytest.raises(InvalidInput, match=r"'allowedContainerImagesRegex': '\^\(\?!evil\)' is no RE2") as error:
        check_regexes(engine, [(made, workspace.catalog.get("allowed-images"))])

    assert "look-around" in (error.value.hint or "")


@pytest.mark.parametrize(
    ("rego", "row", "col"),
    [
        ("package rule\n\nviolation contains {\n  x ==\n}\n", 5, 1),
        ("package rule\n\nviolation contains {\"msg\": y} if { true }\n", 3, 28),
        ("package rule\n\ndeny contains 1 if { true }\n", 1, 1),
        ("", 1, 1),
    ],
)  # fmt: skip
def test_rego_that_does_not_parse_is_refused_with_file_line_and_column(
    rego: str, row: int, col: int, workspace: Workspace, engine: Engine
) -> None:
    write(workspace.root / "definitions", policy_rego=rego)
    with pytest.raises(InvalidPolicy, match="definition 'ours' does not compile") as error:
        compile_definition(engine, workspace.catalog.get("ours"))

    assert error.value.exit_code is ExitCode.INVALID
    assert error.value.where == f"{workspace.root / 'definitions/ours/policy.rego'}:{row}:{col}"


def test_a_definition_that_is_assigned_twice_is_compiled_once(workspace: Workspace) -> None:
    assign(workspace, "one")
    assign(workspace, "two")
    plan = workspace.plan(None, NOW)
    compiled: list[str] = []

    class Counting(Engine):
        def compile(self, policy: str, modules: Any) -> Any:
            compiled.append(policy)
            return super().compile(policy, modules)

    with Counting() as engine:
        prepare(engine, plan)

    assert compiled == ["no-privileged"]
