"""Reports of every kind that the formats must render, made by hand and named."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from aksp.model.assignment import Exemption, ExemptionCategory
from aksp.model.compliance import (
    AssignmentKey,
    AssignmentSummary,
    ComplianceState,
    Counts,
    Finding,
    Gap,
    GroupSummary,
    KnownLocation,
    Report,
    Result,
    RuleDescriptor,
    Target,
    TargetKind,
)
from aksp.model.resource import Container, Owner, Resource
from tests.replacing import replace
from tests.results import a_result

NOW = datetime(2026, 9, 1, 10, 0, 0, tzinfo=UTC)
S = ComplianceState
CLUSTER = Target(
    kind=TargetKind.CLUSTER, name="prod", scope="/clusters/prod", server="https://prod.westeurope.azmk8s.io:443"
)
FILES = Target(kind=TargetKind.MANIFESTS, name="./deploy", scope="/")

IMAGES = AssignmentKey(
    assignment="contoso-images", definition="allowed-images", effect="EnforceRegoPolicy", severity="High"
)
PRIVILEGED = AssignmentKey(
    assignment="no-privileged", definition="no-privileged", effect="EnforceRegoPolicy", severity="High"
)
LIMITS = AssignmentKey(assignment="resource-limits", definition="resource-limits", effect="Audit", severity="Medium")
PORTS = AssignmentKey(
    assignment="allowed-service-ports", definition="allowed-service-ports", effect="Warn", severity="Low"
)
INGRESS = AssignmentKey(
    assignment="unique-ingress-hosts", definition="unique-ingress-hosts", effect="EnforceRegoPolicy", severity="High"
)

RULES = {
    slug: RuleDescriptor(
        slug=slug,
        display_name=f"Rule about {slug.replace('-', ' ')}",
        description=f"What {slug} demands of containers.",
        remediation=remediation,
        category="Kubernetes service",
        version="1.0.0",
        severity=severity,
    )
    for slug, severity, remediation in (
        ("allowed-images", "high", "Push the image to an allowed registry, then name it from there."),
        ("no-privileged", "critical", "Remove securityContext.privileged or set it to false."),
        ("resource-limits", "medium", "Set resources.limits.cpu and resources.limits.memory."),
        ("allowed-service-ports", "low", ""),
        ("unique-ingress-hosts", "high", "Give each Ingress a host of its own."),
    )
}

LEGACY = Exemption(
    name="legacy-billing",
    assignment="contoso-images",
    category=ExemptionCategory.WAIVER,
    expires_on=datetime(2026, 12, 31, tzinfo=UTC),
    display_name="Vendor image",
    description="Replaced by our own build in the fourth quarter",
    metadata={"requestedBy": "jane@contoso.com"},
)
MESH = Exemption(
    name="mesh-agents",
    assignment="no-privileged",
    category=ExemptionCategory.MITIGATED,
    description="The nodes are isolated by the sandboxed runtime",
    metadata={"approvedBy": "platform team"},
)


@dataclass(frozen=True)
class Line:
    """A source that is already looked up."""

    file: str
    line: int
    columns: tuple[int, int] | None = (5, 30)

    def at(self, path: str | None) -> Line:
        return self


def pod(namespace: str, name: str) -> Resource:
    return Resource(api_version="v1", kind="Pod", namespace=namespace, name=name, uid=f"uid-{namespace}-{name}")


def container(name: str, image: str, type: str = "containers") -> Container:
    return Container(name=name, type=type, image=image)


def counts(resources: dict[S, int], containers: dict[S, int]) -> Counts:
    return Counts(
        resources={state: resources.get(state, 0) for state in S},
        containers={state: containers.get(state, 0) for state in S},
    )


def summary(
    key: AssignmentKey,
    state: S,
    percent: float | None,
    resources: dict[S, int],
    containers: dict[S, int],
    **changes: Any,
) -> AssignmentSummary:
    return replace(
        AssignmentSummary(
            name=key.name,
            display_name=key.name.replace("-", " ").capitalize(),
            definition=key.definition,
            definition_id=f"/providers/Microsoft.Authorization/policyDefinitions/{key.definition}",
            effect=key.effect,
            enforcement_mode="Default",
            scope="/clusters/prod",
            severity=key.severity,
            state=state,
            compliance_percent=percent,
            counts=counts(resources, containers),
        ),
        **changes,
    )


def report(
    *,
    target: Target = CLUSTER,
    state: S = S.COMPLIANT,
    percent: float | None = 100.0,
    resources: dict[S, int] | None = None,
    containers: dict[S, int] | None = None,
    assignments: Sequence[AssignmentSummary] = (),
    results: Iterable[Result] = (),
    gaps: Sequence[Gap] = (),
) -> Report:
    return Report(
        version="1.2.3",
        evaluated_at=NOW,
        target=target,
        state=state,
        compliance_percent=percent,
        counts=counts(resources or {}, containers or {}),
        assignments=assignments,
        results=tuple(results),
        gaps=gaps,
        rules={each.definition: RULES[each.definition] for each in assignments if each.definition in RULES},
    )


def clean() -> Report:
    web = container("web", "contoso.azurecr.io/shop/web:1.4.2")
    return report(
        resources={S.COMPLIANT: 12, S.EXEMPT: 0},
        containers={S.COMPLIANT: 19},
        assignments=(
            summary(IMAGES, S.COMPLIANT, 100.0, {S.COMPLIANT: 12}, {S.COMPLIANT: 19}),
            summary(PRIVILEGED, S.COMPLIANT, 100.0, {S.COMPLIANT: 12}, {S.COMPLIANT: 19}),
        ),
        results=(
            a_result(
                assignment=IMAGES,
                state=S.COMPLIANT,
                resource=pod("shop", "web-6d4cf56db6-x2x1z"),
                owner=Owner(kind="Deployment", name="web"),
                finding=Finding(message="", container=web),
            ),
        ),
    )


def _image(image: str, name: str, at: int = 0) -> Finding:
    return Finding(
        message=f"image {image} is not from an allowed registry (contoso.azurecr.io)",
        container=container(name, image),
        path=f"spec.containers[{at}].image",
        observed=image,
        expected=["contoso.azurecr.io"],
    )


def _limit(resource: str, of: Container, at: int = 0) -> Finding:
    return Finding(
        message=f"no {resource} limit is set",
        container=of,
        path=f"spec.{of.type}[{at}].resources.limits.{resource.lower()}",
        expected="at most 2" if resource == "CPU" else "at most 4Gi",
    )


def violations() -> Report:
    """300 replicas of a Deployment, and others, and exemptions."""
    results: list[Result] = []
    agent = Owner(kind="DaemonSet", name="mesh-agent")
    for node in range(3):
        results.append(
            a_result(
                assignment=PRIVILEGED,
                state=S.EXEMPT,
                resource=pod("mesh", f"mesh-agent-{node:05}"),
                owner=agent,
                exemption=MESH,
                finding=Finding(
                    message="privileged is true",
                    container=container("agent", "contoso.azurecr.io/mesh:2.1"),
                    path="spec.containers[0].securityContext.privileged",
                    observed=True,
                    expected=False,
                    fix={"spec.containers[0].securityContext.privileged": False},
                ),
            )
        )
    billing = pod("shop", "billing-0")
    vendor = Owner(kind="StatefulSet", name="billing")
    results += [
        a_result(
            assignment=IMAGES,
            state=S.EXEMPT,
            resource=billing,
            owner=vendor,
            exemption=LEGACY,
            finding=_image("vendor.example.com/billing/server:9", "billing"),
        ),
        a_result(
            assignment=IMAGES,
            state=S.EXEMPT,
            resource=billing,
            owner=vendor,
            exemption=LEGACY,
            finding=_image("vendor.example.com/billing/sidecar:9", "sidecar", 1),
        ),
    ]
    results.append(
        a_result(
            assignment=PRIVILEGED,
            state=S.NON_COMPLIANT,
            resource=pod("shop", "debug"),
            finding=Finding(
                message="privileged is true",
                container=container("shell", "contoso.azurecr.io/tools:1", "ephemeralContainers"),
                path="spec.ephemeralContainers[0].securityContext.privileged",
                observed=True,
                expected=False,
                fix={"spec.ephemeralContainers[0].securityContext.privileged": False},
            ),
        )
    )
    web = Owner(kind="Deployment", name="web")
    migrate = container("migrate", "contoso.azurecr.io/shop/migrate:1.4.2", "initContainers")
    for number in range(300):
        replica = pod("shop", f"web-6d4cf56db6-{number:05}")
        found = [(IMAGES, _image("docker.io/library/nginx:latest", "web"))]
        if number < 2:
            found.append((IMAGES, _image("ghcr.io/contoso-experiments/tracing-sidecar:v0.3.1-rc2", "tracing", 1)))
        found += [(LIMITS, _limit("CPU", migrate)), (LIMITS, _limit("memory", migrate))]
        results += [
            a_result(assignment=key, state=S.NON_COMPLIANT, resource=replica, owner=web, finding=finding)
            for key, finding in found
        ]
    results.append(
        a_result(
            assignment=PORTS,
            state=S.NON_COMPLIANT,
            resource=Resource(api_version="v1", kind="Service", namespace="shop", name="web", uid="uid-service"),
            finding=Finding(
                message="service port 8080/TCP is not allowed (80, 443)",
                path="spec.ports[1].port",
                observed=8080,
                expected=["80", "443"],
            ),
        )
    )
    return report(
        state=S.NON_COMPLIANT,
        percent=5.625,
        resources={S.NON_COMPLIANT: 302, S.COMPLIANT: 14, S.EXEMPT: 4},
        containers={S.NON_COMPLIANT: 603, S.COMPLIANT: 312, S.EXEMPT: 5},
        assignments=(
            summary(
                PORTS, S.NON_COMPLIANT, 75.0, {S.NON_COMPLIANT: 1, S.COMPLIANT: 3}, {}, enforcement_mode="DoNotEnforce"
            ),
            summary(
                IMAGES,
                S.NON_COMPLIANT,
                5.063,
                {S.NON_COMPLIANT: 300, S.COMPLIANT: 15, S.EXEMPT: 1},
                {S.NON_COMPLIANT: 302, S.COMPLIANT: 616, S.EXEMPT: 2},
            ),
            summary(
                PRIVILEGED,
                S.NON_COMPLIANT,
                99.684,
                {S.NON_COMPLIANT: 1, S.COMPLIANT: 312, S.EXEMPT: 3},
                {S.NON_COMPLIANT: 1, S.COMPLIANT: 916, S.EXEMPT: 3},
            ),
            summary(
                LIMITS,
                S.NON_COMPLIANT,
                5.063,
                {S.NON_COMPLIANT: 300, S.COMPLIANT: 16},
                {S.NON_COMPLIANT: 300, S.COMPLIANT: 620},
            ),
        ),
        results=results,
    )


def gaps() -> Report:
    """Nothing non-compliant, a rule that failed, and kinds and documents that could not be read."""
    failed = "policy.rego:12:3: eval_conflict_error: complete rules must not produce multiple outputs"
    return report(
        state=S.COMPLIANT,
        percent=80.0,
        resources={S.COMPLIANT: 8, S.ERROR: 2},
        containers={S.COMPLIANT: 9, S.ERROR: 2},
        assignments=(
            summary(PRIVILEGED, S.COMPLIANT, 100.0, {S.COMPLIANT: 10}, {S.COMPLIANT: 11}),
            summary(LIMITS, S.ERROR, 0.0, {S.ERROR: 2}, {S.ERROR: 2}),
            summary(INGRESS, S.NOT_STARTED, None, {}, {}, effect="Disabled", message="its effect is Disabled"),
        ),
        results=[
            a_result(
                assignment=LIMITS,
                state=S.ERROR,
                resource=pod("shop", f"cart-{at}"),
                owner=Owner(kind="StatefulSet", name="cart"),
                finding=Finding(message=failed),
            )
            for at in range(2)
        ],
        gaps=(
            Gap(
                reason="Forbidden",
                message='Ingresses could not be listed: user "scanner" cannot list resource "ingresses" in API group '
                '"networking.k8s.io" at the cluster scope',
            ),
            Gap(
                reason="PolicyError",
                message=f"resource-limits: {failed}",
                resource=pod("shop", "cart-0"),
            ),
        ),
    )


def initiatives() -> Report:
    """An initiative of which a member is not available, one that complies, and one definition besides."""
    images, privileged = (
        replace(one, assignment="pods", initiative="team-pods", reference=reference)
        for one, reference in ((IMAGES, "Images"), (PRIVILEGED, "NoPrivileged"))
    )
    signed = replace(images, definition="cf426bb8-b320-4321-8545-1b784a5df3a4", reference="Signed")
    nothing: dict[S, int] = {}
    members = (
        summary(
            images, S.NON_COMPLIANT, 50.0, {S.NON_COMPLIANT: 1, S.COMPLIANT: 1}, {S.NON_COMPLIANT: 1, S.COMPLIANT: 1}
        ),
        summary(privileged, S.COMPLIANT, 100.0, {S.COMPLIANT: 2}, {S.COMPLIANT: 2}),
        summary(signed, S.ERROR, None, nothing, nothing, message="no definition here stands for Azure's cf426bb8"),
    )
    in_groups = (("supply",), (), ("supply", "signatures"))
    whole = replace(
        summary(
            IMAGES, S.NON_COMPLIANT, None, {S.NON_COMPLIANT: 1, S.COMPLIANT: 1}, {S.NON_COMPLIANT: 1, S.COMPLIANT: 1}
        ),
        name="pods",
        display_name="What Pods of the team must be",
        definition="team-pods",
        message="1 of 3 members not judged: Signed",
        members=tuple(
            replace(one, initiative="team-pods", reference=one.name.partition("/")[2], group_names=names)
            for one, names in zip(members, in_groups, strict=True)
        ),
        groups=(
            GroupSummary(
                name="supply",
                display_name="Supply chain",
                state=S.NON_COMPLIANT,
                compliance_percent=None,
                counts=members[0].counts,
            ),
            GroupSummary(
                name="signatures",
                display_name="Signatures",
                state=S.ERROR,
                compliance_percent=None,
                counts=members[2].counts,
            ),
        ),
    )
    good = replace(privileged, assignment="calm")
    calm = replace(
        summary(PRIVILEGED, S.COMPLIANT, 100.0, {S.COMPLIANT: 2}, {S.COMPLIANT: 2}),
        name="calm",
        definition="team-calm",
        members=(
            summary(
                good,
                S.COMPLIANT,
                100.0,
                {S.COMPLIANT: 2},
                {S.COMPLIANT: 2},
                initiative="team-calm",
                reference="NoPrivileged",
            ),
        ),
        groups=(
            GroupSummary(
                name="all", display_name="All", state=S.COMPLIANT, compliance_percent=100.0, counts=members[1].counts
            ),
        ),
    )
    return report(
        state=S.NON_COMPLIANT,
        percent=50.0,
        resources={S.NON_COMPLIANT: 1, S.COMPLIANT: 1},
        containers={S.NON_COMPLIANT: 1, S.COMPLIANT: 1},
        assignments=(calm, summary(LIMITS, S.COMPLIANT, 100.0, {S.COMPLIANT: 2}, {S.COMPLIANT: 2}), whole),
        results=(
            a_result(
                assignment=images,
                state=S.NON_COMPLIANT,
                resource=pod("shop", "web"),
                finding=_image("docker.io/library/nginx:latest", "web"),
            ),
        ),
        gaps=(
            Gap(
                reason="InvalidDefinition",
                message="assignment pods/Signed not judged: no definition here stands for Azure's cf426bb8",
            ),
        ),
    )


def hostile() -> Report:
    """What an attacker, or simply another language, may put in names and messages."""
    evil = container("web\x1b[2K\rinnocent", "evil.example/\u202egnp.exe\u2066:\u200b1|`<b>`")
    key = replace(IMAGES, assignment="[bold red]images[/] | `x`")
    return report(
        state=S.NON_COMPLIANT,
        percent=99.96,
        resources=(judged := {S.NON_COMPLIANT: 2, S.CONFLICTING: 1, S.COMPLIANT: 7497}),
        containers=judged,
        assignments=(summary(key, S.NON_COMPLIANT, 99.96, judged, judged, display_name="Größe 画像"),),
        results=(
            a_result(
                assignment=key,
                state=S.NON_COMPLIANT,
                resource=pod("läden", "商店-前端"),
                finding=Finding(
                    message="镜像 nginx 不允许使用 (erlaubt: größere Registries), see https://example.com/?a=1&b=<script>",
                    container=container("网页", "nginx"),
                    path="spec.containers[0].image",
                    observed="nginx",
                    expected={"größe": [1, None, "\x9b31m"]},
                ),
            ),
            a_result(
                assignment=key,
                state=S.NON_COMPLIANT,
                resource=pod("shop", "=HYPERLINK(1)"),
                finding=Finding(
                    message="=cmd|' /C calc'!A0\x07 two\nlines\tand \x9b31m C1 [link=https://evil]click[/link] @alice #1 **x**",
                    container=evil,
                    path="spec.containers[0].image",
                    observed="\ud800 lone",
                ),
            ),
            a_result(
                assignment=key,
                state=S.CONFLICTING,
                resource=pod("shop", "plain"),
                finding=Finding(message="-1 \ufeffhidden\u00ad \U000e0041 tags\u2028line", path="+1"),
            ),
        ),
        gaps=(Gap(reason="Un\x1b]0;titled\x07", message="\x1b[31mred"),),
    )


def manifests() -> Report:
    """Findings in files, each with its line."""
    web = Resource(api_version="apps/v1", kind="Deployment", namespace="shop", name="web")
    job = Resource(api_version="batch/v1", kind="CronJob", namespace="", name="nightly-report")
    of = container("web", "nginx:1.29")
    return report(
        target=FILES,
        state=S.NON_COMPLIANT,
        percent=200 / 3,
        resources={S.NON_COMPLIANT: 2, S.COMPLIANT: 4},
        containers={S.NON_COMPLIANT: 2, S.COMPLIANT: 5},
        assignments=(
            summary(
                IMAGES,
                S.NON_COMPLIANT,
                200 / 3,
                {S.NON_COMPLIANT: 2, S.COMPLIANT: 4},
                {S.NON_COMPLIANT: 2, S.COMPLIANT: 5},
                scope="/",
            ),
        ),
        results=(
            a_result(
                assignment=IMAGES,
                state=S.NON_COMPLIANT,
                resource=job,
                finding=_image("docker.io/library/busybox", "report"),
                source=Line("-", 41),
            ),
            a_result(
                assignment=IMAGES,
                state=S.NON_COMPLIANT,
                resource=web,
                finding=replace(
                    _image("nginx:1.29", "web"), path="spec.template.spec.containers[0].image", container=of
                ),
                source=Line("deploy/base/web/deployment.yaml", 23),
            ),
        ),
        gaps=(
            Gap(
                reason="UnreadableDocument",
                message="deploy/base/cart.yaml:7: yaml: line 7: mapping values are not allowed in this context",
                source=KnownLocation(file="deploy/base/cart.yaml", line=7),
            ),
        ),
    )


@functools.cache
def many() -> Report:
    """10,000 findings: 2,000 workloads with two Pods each, every image and every CPU limit wrong, and 2,000 exempt.

    Not among the scenarios below: what they are used for would take minutes.
    """
    results: list[Result] = []
    for number in range(2_000):
        name = f"shop-{number:04}"
        owner = Owner(kind="Deployment", name=name)
        main = container("main", f"docker.io/library/app:{number}")
        found = [
            (IMAGES, S.NON_COMPLIANT, _image(main.image, "main")),
            (LIMITS, S.NON_COMPLIANT, _limit("CPU", main)),
        ]
        waived = Finding(
            message="privileged is true",
            container=container("agent", "contoso.azurecr.io/mesh:2.1"),
            path="spec.containers[1].securityContext.privileged",
            observed=True,
            expected=False,
        )
        for replica in range(2):
            here = pod(f"team-{number // 100:02}", f"{name}-{replica}")
            exempt = [(PRIVILEGED, S.EXEMPT, waived)] if not replica else []
            results += [
                a_result(
                    assignment=key,
                    state=state,
                    resource=here,
                    owner=owner,
                    finding=finding,
                    exemption=MESH if state is S.EXEMPT else None,
                )
                for key, state, finding in (*found, *exempt)
            ]
    wrong = {S.NON_COMPLIANT: 4_000}
    return report(
        state=S.NON_COMPLIANT,
        percent=0.0,
        resources=wrong,
        containers=wrong | {S.EXEMPT: 2_000},
        assignments=(
            summary(IMAGES, S.NON_COMPLIANT, 0.0, wrong, wrong),
            summary(PRIVILEGED, S.COMPLIANT, 100.0, {S.EXEMPT: 2_000, S.COMPLIANT: 2_000}, {S.EXEMPT: 2_000}),
            summary(LIMITS, S.NON_COMPLIANT, 0.0, wrong, wrong),
        ),
        results=results,
    )


def empty() -> Report:
    return report(
        state=S.NOT_STARTED,
        percent=None,
        gaps=(
            Gap(
                reason="NothingAssigned",
                message="no assignment that is in force reaches /clusters/prod, so nothing was judged",
            ),
        ),
    )


def unmatched() -> Report:
    line = summary(IMAGES, S.NOT_STARTED, None, {}, {}, message="matched nothing: no Pod that it reaches")
    return report(state=S.NOT_STARTED, percent=None, assignments=(line,))


SCENARIOS: dict[str, Callable[[], Report]] = {
    each.__name__: each for each in (clean, violations, gaps, initiatives, hostile, manifests, empty, unmatched)
}


def states(results: Iterable[Result]) -> Counter[S]:
    return Counter(each.state for each in results)
