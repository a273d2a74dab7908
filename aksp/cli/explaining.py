"""What ``aksp explain`` does: look the subject up, judge it by all that reaches it, and tell."""

from __future__ import annotations

import gc
import io
import json
import os
import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

from aksp.cli.ci import harmless, running
from aksp.cli.explain import ExplainFormat
from aksp.cli.options import ColorWhen
from aksp.cli.outputs import PLAIN_WIDTH, wants_color
from aksp.cli.stores import named_cluster, note
from aksp.compliance.plan import Plan, Ready, reaches
from aksp.engine import Engine
from aksp.errors import ClusterError, InvalidInput
from aksp.inventory.interface import Inventory
from aksp.kube.connection import Connection
from aksp.model.assignment import Assignment, Exemption
from aksp.model.compliance import Target, TargetKind
from aksp.model.scope import Scope
from aksp.report.explanation import Explanation
from aksp.report.interface import Style
from aksp.scan import Outcome, Scan
from aksp.workspace import Workspace, prepare, ready_for


@dataclass(frozen=True, kw_only=True, slots=True)
class Question:
    """The command line of one explanation."""

    subject: str
    cluster: str | None
    files: Sequence[str]
    recursive: bool
    namespace: str | None
    container: str | None
    output: ExplainFormat
    context: str | None
    kubeconfig: str | None
    color: ColorWhen
    request_timeout: float
    workspace: str | None

    @property
    def written(self) -> Target:
        """The manifests as a target."""
        return Target(kind=TargetKind.MANIFESTS, name=" ".join(self.files), scope=str(self.written_scope or "/"))

    @property
    def written_scope(self) -> Scope | None:
        """The cluster by whose assignments manifests are judged; None without one. Raises ClusterError."""
        if not self.cluster:
            return None
        from aksp.kube.config import current_context

        name = named_cluster(self.cluster) or self.context or current_context(self.kubeconfig)
        if name is None:
            raise ClusterError("there is no current context", hint="name the cluster: --cluster NAME")
        return Scope.cluster(name)


@dataclass(frozen=True, kw_only=True)
class Desk:
    """What an answer is made from: the documents of the workspace, an engine, and the time."""

    question: Question
    workspace: Workspace
    engine: Engine
    now: datetime
    assignments: Sequence[Assignment]
    exemptions: Sequence[Exemption]

    def ready(self, target: Scope | None) -> list[Ready]:
        """The assignments that reach a target, made ready; None is files without a cluster."""
        return [self.ready_for(one, target) for one in self.assignments if target is None or reaches(one, target)]

    def ready_for(self, assignment: Assignment, target: Scope | None) -> Ready:
        """One assignment, made ready. Raises InvalidInput for one that is wrong."""
        definition = self.workspace.definition_of(assignment)
        return ready_for(assignment, definition, self.exemptions, target, self.now)

    def judge(self, plan: Plan, inventory: Inventory, target: Target, *, compliant: bool = False) -> Outcome:
        """Scan an inventory, as ``aksp compliance`` does."""
        prepare(self.engine, plan)
        outcome = Scan(plan, self.engine, collect_compliant=compliant).run(inventory, target, self.now)
        if outcome.interrupted:
            raise KeyboardInterrupt
        return outcome

    @contextmanager
    def connected(self) -> Iterator[tuple[Connection, Target]]:
        """The cluster that is asked, and it as a target. Raises ClusterError."""
        from aksp.kube.config import connect

        asked = self.question
        named = named_cluster(asked.cluster)
        with connect(asked.context or named, asked.kubeconfig, request_timeout=asked.request_timeout) as connection:
            for warning in connection.warnings:
                note(warning)
            name = named or connection.name
            scope = str(Scope.cluster(name))
            yield connection, Target(kind=TargetKind.CLUSTER, name=name, scope=scope, server=connection.server)


def answer(question: Question) -> None:
    """Explain, and write it. Raises InvalidInput for a subject that is not there."""
    from aksp.cli.explain_assignment import explain_assignment
    from aksp.cli.explain_resource import explain_resource

    # As in a scan: many small objects, and the process ends with them.
    gc.disable()
    if question.files and not question.cluster and (question.context or question.kubeconfig):
        raise InvalidInput("--context and --kubeconfig name a cluster, and -f means manifests", hint="add --cluster")
    workspace = Workspace.open(question.workspace)
    with Engine() as engine:
        desk = Desk(
            question=question,
            workspace=workspace,
            engine=engine,
            now=datetime.now(UTC).replace(microsecond=0),
            assignments=workspace.store.assignments(),
            exemptions=workspace.store.exemptions(),
        )
        if not desk.assignments:
            note(f"nothing is assigned in {workspace.root}: `aksp assign` lists what can be")
        _write(explain_resource(desk) if "/" in question.subject else explain_assignment(desk), question)


def _write(explanation: Explanation, question: Question) -> None:
    if isinstance(sys.stdout, io.TextIOWrapper):
        # Names are not ASCII, whatever the locale says.
        sys.stdout.reconfigure(encoding="utf-8", errors="backslashreplace")
    if question.output is ExplainFormat.TABLE:
        from aksp.report.explanation_text import render_explanation

        terminal = sys.stdout.isatty()
        width = shutil.get_terminal_size().columns if terminal or os.environ.get("COLUMNS") else PLAIN_WIDTH
        style = Style(color=wants_color(question.color, terminal), width=width, terminal=terminal)
        out = io.StringIO()
        render_explanation(explanation, out, style)
        text = out.getvalue()
        sys.stdout.write(harmless(text) if running(os.environ) else text)
        return
    from aksp.report.explanation_wire import explanation_wire
    from aksp.report.yaml_text import to_yaml

    document = explanation_wire(explanation)
    if question.output is ExplainFormat.JSON:
        print(json.dumps(document, indent=2, ensure_ascii=False))
    else:
        sys.stdout.write(to_yaml(document))
