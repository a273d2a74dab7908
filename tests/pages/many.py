"""Reports of many results, as large clusters have them: for what must stay quick."""

from __future__ import annotations

import random

from aksp.model.compliance import ComplianceState, Finding, Report, Result
from aksp.model.resource import Container, Owner
from tests.report.scenarios import IMAGES, LEGACY, LIMITS, PRIVILEGED, pod, report, summary
from tests.results import a_result, changed

NAMESPACES = tuple(
    f"{team}-{stage}" for team in ("shop", "payments", "search", "data") for stage in ("dev", "test", "prod")
)
APPS = ("web", "api", "worker", "cache", "gateway", "billing", "mailer", "indexer")
S = ComplianceState


def many(count: int, *, replicas: int = 10, seed: int = 1) -> Report:
    """A cluster with ``count`` results, of workloads with so many replicas; with one, every result has texts of its own."""
    rng = random.Random(seed)
    results: list[Result] = []
    number = 0
    while len(results) < count:
        number += 1
        namespace, app = rng.choice(NAMESPACES), rng.choice(APPS)
        owner = Owner(kind="Deployment", name=f"{app}-{number:05}")
        found = _findings(app, number, exempt=rng.random() < 0.05)
        suffix = f"{rng.randrange(16**9):09x}"
        for replica in range(replicas):
            resource = pod(namespace, f"{owner.name}-{suffix}-{replica:05}")
            results += [changed(each, resource=resource, owner=owner) for each in found]
    results.sort(key=lambda each: (each.resource.namespace, each.resource.name))
    results = results[:count]
    bad = len({each.resource for each in results if each.state is S.NON_COMPLIANT})
    judged = {S.NON_COMPLIANT: bad, S.COMPLIANT: bad // 2}
    return report(
        state=S.NON_COMPLIANT,
        percent=100 / 3,
        resources=judged,
        containers=judged,
        assignments=tuple(
            summary(key, S.NON_COMPLIANT, 100 / 3, judged, judged) for key in (IMAGES, PRIVILEGED, LIMITS)
        ),
        results=results,
    )


def _findings(app: str, number: int, *, exempt: bool) -> list[Result]:
    """What is found of each Pod of one workload."""
    image = f"docker.io/contoso/{app}:1.{number}.0"
    main = Container(name=app, type="containers", image=image)
    blank = pod("", "")
    return [
        a_result(
            assignment=IMAGES,
            state=S.EXEMPT if exempt else S.NON_COMPLIANT,
            exemption=LEGACY if exempt else None,
            resource=blank,
            finding=Finding(
                message=f"image {image} is not from an allowed registry (contoso.azurecr.io)",
                container=main,
                path="spec.containers[0].image",
                observed=image,
                expected=["contoso.azurecr.io"],
            ),
        ),
        a_result(
            assignment=LIMITS,
            state=S.NON_COMPLIANT,
            resource=blank,
            finding=Finding(
                message="no memory limit is set",
                container=main,
                path="spec.containers[0].resources.limits.memory",
                expected="at most 4Gi",
            ),
        ),
        a_result(
            assignment=PRIVILEGED,
            state=S.NON_COMPLIANT,
            resource=blank,
            finding=Finding(
                message="privileged is true",
                container=main,
                path="spec.containers[0].securityContext.privileged",
                observed=True,
                expected=False,
                fix={"spec.containers[0].securityContext.privileged": False},
            ),
        ),
    ]
