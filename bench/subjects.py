"""What is compared: how each tool is called on the same objects, and what it found."""

import json
import os
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from bench.measure import Command
from bench.peers import gatekeeper

ROOT = Path(__file__).resolve().parents[1]
PARAMETERS = ROOT / "bench" / "parameters.json"
KYVERNO_POLICIES = ROOT / "bench" / "peers" / "policies" / "kyverno"
#: Kyverno's own rule for a level of the Pod Security Standards.
KYVERNO_POD_SECURITY = ROOT / "bench" / "peers" / "policies" / "kyverno-pod-security"
POD_POLICIES = ("allowed-images", "allowed-container-ports", "required-labels", "no-privileged", "resource-limits")


@dataclass(frozen=True, kw_only=True)
class Findings:
    """What a tool reported for each policy: how many findings, and which resources they are about."""

    counts: Mapping[str, int]
    resources: Mapping[str, frozenset[str]]

    @classmethod
    def of(cls, found: Iterable[tuple[str, str]]) -> "Findings":
        """From pairs of policy and resource (`namespace/Kind/name`), one for each finding."""
        counts: Counter[str] = Counter()
        resources: dict[str, set[str]] = {}
        for policy, resource in found:
            counts[policy] += 1
            resources.setdefault(policy, set()).add(resource)
        return cls(counts=counts, resources={policy: frozenset(names) for policy, names in resources.items()})

    @property
    def total(self) -> int:
        return sum(self.counts.values())


def parameters() -> dict[str, dict[str, object]]:
    """The parameters of the nine policies, by definition. The Pod policies come first."""
    found = json.loads(PARAMETERS.read_text())
    assert isinstance(found, dict) and tuple(found)[: len(POD_POLICIES)] == POD_POLICIES
    return found


def aksp_executable() -> Path | None:
    """The `aksp` beside this interpreter, when the product is installed there."""
    found = Path(sys.executable).parent / "aksp"
    return found if os.access(found, os.X_OK) else None


def write_workspace(folder: Path, values: Mapping[str, Mapping[str, object]]) -> Path:
    """Writes an aksp workspace that assigns these definitions at `/`, with the values of their parameters."""
    (folder / "assignments").mkdir(parents=True, exist_ok=True)
    for slug, given in values.items():
        document = {
            "apiVersion": "policy.aksp.io/v1alpha1",
            "kind": "PolicyAssignment",
            "metadata": {"name": slug},
            "spec": {
                "policyDefinitionId": slug,
                "scope": "/",
                "parameters": {name: {"value": value} for name, value in given.items()},
            },
        }
        (folder / "assignments" / f"{slug}.yaml").write_text(json.dumps(document, indent=2) + "\n")
    return folder


def aksp(
    label: str, executable: Path, workspace: Path, arguments: Iterable[str], report: Path, processors: int | None = None
) -> Command:
    """`aksp compliance` with a JSON report; `processors` limits the engine."""
    environment = {"AKSP_WORKSPACE": str(workspace)}
    if processors:
        environment["AKSP_ENGINE_PROCS"] = str(processors)
    return Command(
        label=label,
        argv=(str(executable), "compliance", *arguments, "-o", f"json={report}"),
        output=report.with_suffix(".stdout"),
        environment=environment,
        expected=(0, 1),
    )


def reading(workspace: Path, path: Path, output: Path, label: str = "reading and parsing alone") -> Command:
    """Reading and parsing alone, as aksp does it: what it cannot pass."""
    argv = (sys.executable, str(ROOT / "bench" / "reading.py"), str(workspace), str(path))
    return Command(label=label, argv=argv, output=output)


def gator(label: str, binaries: Path, policies: Path, manifests: Path, output: Path) -> Command:
    """`gator test`, which exits with 1 when it finds something; a JSON report when `output` is a .json file."""
    argv: tuple[str, ...] = (str(binaries / "gator"), "test", "-f", str(manifests), "-f", str(policies))
    if output.suffix == ".json":
        argv += ("-o", "json")
    return Command(label=label, argv=argv, output=output, expected=(0, 1))


def kyverno(
    label: str, binaries: Path, arguments: Iterable[str], output: Path, policies: Path = KYVERNO_POLICIES
) -> Command:
    """`kyverno apply`, which exits with 1 when it finds something."""
    argv = (str(binaries / "kyverno"), "apply", str(policies), *arguments, "--remove-color")
    return Command(label=label, argv=argv, output=output, expected=(0, 1))


def aksp_findings(report: Path) -> Findings:
    """From aksp's JSON report."""
    found = []
    for result in json.loads(report.read_text())["results"]:
        if result["state"] == "NonCompliant":
            resource = result["resource"]
            found.append((result["assignment"], f"{resource['namespace']}/{resource['kind']}/{resource['name']}"))
    return Findings.of(found)


_GATOR_FINDING = re.compile(r'^\S+/(\S+) ([^/\s]+)/(\S+): \["(\S+)"\] Message: ', re.MULTILINE)


_GATOR_KIND = re.compile(r' {12}"kind": "(Aksp\w+)"')


def gator_findings(output: Path) -> Findings:
    """From gator's text, a line for each finding; its JSON of hundreds of megabytes is only counted."""
    if output.suffix == ".json":
        with output.open() as lines:
            kinds = Counter(found[1] for line in lines if (found := _GATOR_KIND.match(line)))
        slugs = {gatekeeper.kind(slug): slug for slug in parameters()}
        counts = {slugs[kind]: count for kind, count in kinds.items()}
        return Findings(counts=counts, resources={})
    every = _GATOR_FINDING.finditer(output.read_text())
    return Findings.of((found[4], f"{found[2]}/{found[1]}/{found[3]}") for found in every)


_KYVERNO_FAILURE = re.compile(r"^policy (\S+) -> resource (\S+) failed:", re.MULTILINE)


def kyverno_findings(output: Path) -> Findings:
    """From Kyverno's text: one finding for each policy and resource, since a rule stops at its first failure."""
    return Findings.of((found[1], found[2]) for found in _KYVERNO_FAILURE.finditer(output.read_text()))


READERS: Mapping[str, Callable[[Path], Findings]] = {
    "aksp": aksp_findings,
    "gator": gator_findings,
    "kyverno": kyverno_findings,
}
"""How to read what each tool wrote."""
