"""What ``aksp assign … --what-if`` does: judge by an assignment that is not there yet, and say what it would stop."""

from __future__ import annotations

from collections.abc import Sequence

from aksp.cli.ci import note
from aksp.cli.clusters import ClusterChoice
from aksp.cli.comparison import BaselineOptions
from aksp.cli.evaluation import ComplianceRequest, judge
from aksp.cli.filters import Filters
from aksp.cli.manifests import ManifestOptions
from aksp.cli.options import ColorWhen, FailOn, ReportSource
from aksp.cli.remembered import shortened
from aksp.errors import ExitCode
from aksp.model.assignment import Assignment
from aksp.model.compliance import ComplianceState, Report
from aksp.model.kinds import WORKLOADS
from aksp.report.figures import plural
from aksp.report.interface import GroupBy, Show
from aksp.sources.rendering.options import Rendering


def what_if(
    assignment: Assignment,
    *,
    where: ClusterChoice,
    files: Sequence[str],
    recursive: bool,
    outputs: Sequence[str],
    workspace: str | None,
) -> ExitCode:
    """Judge by the assignment alone, as a scan would once it is assigned; the scan's exit code. Nothing is kept."""
    request = ComplianceRequest(
        where=where, manifests=ManifestOptions(files=files, recursive=recursive, rendering=Rendering()), outputs=outputs or ["table"], source=ReportSource.SCAN,
        filters=Filters(), show=Show.NON_COMPLIANT, group_by=GroupBy.OWNER, fail_on=FailOn.ANY, require_match=False,
        color=ColorWhen.AUTO, chunk_size=500, quiet=False, workspace=workspace,
        compared=BaselineOptions(history=False), what_if=assignment,
    )  # fmt: skip
    code, report = judge(request)
    if code is not ExitCode.INTERRUPTED:
        _tell_stopped(report)
    note(f"nothing was assigned; leave out --what-if to assign {assignment.name}")
    return code


def _tell_stopped(report: Report) -> None:
    """Say which workloads could no longer start, and what else would be refused."""
    enforced = {line.name for line in report.judged if line.enforced}
    workloads: dict[str, bool] = {}
    others: dict[str, bool] = {}
    for one in report.results:
        if one.state is not ComplianceState.NON_COMPLIANT:
            continue
        resource, owner = one.resource, one.owner
        kind, name = (owner.kind, owner.name) if owner else (resource.kind, resource.name)
        text = f"{kind} {resource.namespace}/{name}" if resource.namespace else f"{kind} {name}"
        found = workloads if owner or kind == "Pod" or kind in WORKLOADS else others
        found[text] = found.get(text, False) or one.assignment.name in enforced
    for found, noun, stopped, kept in (
        (workloads, "workload", "could no longer start", "from starting"),
        (others, "resource", "would be refused when created or changed", "from being created or changed"),
    ):
        refused = [text for text, yes in found.items() if yes]
        if refused:
            note(f"{plural(len(refused), noun)} {stopped}: {shortened(refused)}")
        if allowed := len(found) - len(refused):
            note(f"its effect refuses nothing; one that does would keep {plural(allowed, noun)} {kept}")
