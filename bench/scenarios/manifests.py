"""Manifests: the same file with nine policies through aksp, gator and Kyverno."""

from bench import subjects
from bench.measure import Command, Series, interleaved
from bench.peers import gatekeeper
from bench.peers.build import GATOR_VERSION, KYVERNO_VERSION, peers
from bench.results import Goal, Section, Table, ratio, series_table
from bench.setting import Setting
from bench.subjects import Findings

_PEER_FORMS = ("yaml", "json")
_FORMS = (*_PEER_FORMS, "list")
_GATOR_JSON = "gator -o json, YAML"
_READ = {"yaml": "YAML", "json": "JSON documents", "list": "JSON List"}


def run(setting: Setting) -> Section:
    """Measures every tool on every form of the file that it can read."""
    commands = _commands(setting)
    series = interleaved([(command, count) for _, command, count in commands])
    findings = {command.label: _findings(tool, command) for tool, command, _ in commands if tool in subjects.READERS}
    tables = []
    for form in _FORMS:
        chosen = [each for label, each in series.items() if label.endswith(f", {_READ[form]}")]
        if chosen:
            reference = series.get(_label("aksp", form))
            tables.append(series_table(f"{setting.pods:,} Pods, {_READ[form]}", chosen, reference))
    tables += [_counts(findings), *_agreement(findings)]
    return Section(
        title="Manifests",
        notes=(
            (
                f"{setting.pods:,} Pods, {setting.others(setting.pods)} Services and as many Ingresses in one file; "
                f"nine policies with the parameters of `bench/parameters.json`. gator {GATOR_VERSION} judges aksp's "
                f"own Rego. Kyverno {KYVERNO_VERSION} has comparable policies of its own; it reports at most one "
                "finding for a policy and a resource, the others one for each container and field, so resources are "
                "compared too. Of two Ingresses with one host aksp's Rego names the younger, Kyverno's policy both."
            ),
            (
                "aksp writes its JSON report. gator is run with its text output, and on YAML with `-o json` too, the "
                "report that compares with aksp's; it repeats the whole object in each finding. Kyverno writes text. Reading and "
                "parsing alone is what aksp does before it judges: no scan by it takes less time than that."
            ),
            (
                "Forms: all three read YAML, and JSON documents with `---` between them. A JSON `List`, which is what "
                "`kubectl get -o json` prints, only aksp reads: gator finds nothing in it without a word, and Kyverno "
                "panics."
            ),
        ),
        commands=tuple(command.shell() for _, command, _ in commands),
        tables=tuple(tables),
        goals=tuple(_goals(series)),
    )


def _label(tool: str, form: str) -> str:
    return f"{tool}, {_READ[form]}"


def _commands(setting: Setting) -> list[tuple[str, Command, int]]:
    """Tool, command and number of runs."""
    binaries = peers()
    policies = setting.scratch / "gatekeeper"
    gatekeeper.write(policies)
    found = []
    if setting.aksp:
        workspace = subjects.write_workspace(setting.scratch / "workspace", subjects.parameters())
        for form in _FORMS:
            path, report = setting.manifests(form), setting.scratch / f"aksp-{form}.json"
            command = subjects.aksp(_label("aksp", form), setting.aksp, workspace, ("-f", str(path)), report)
            found.append(("aksp", command, setting.repetitions))
        path, output = setting.manifests("yaml"), setting.scratch / "reading.txt"
        command = subjects.reading(workspace, path, output, _label("reading and parsing alone", "yaml"))
        found.append(("reading", command, setting.repetitions))
    path, output = setting.manifests("yaml"), setting.scratch / "gator-report.json"
    command = subjects.gator(_GATOR_JSON, binaries, policies, path, output)
    found.append(("gator", command, setting.peer_repetitions))
    for form in _PEER_FORMS:
        path, output = setting.manifests(form), setting.scratch / f"gator-{form}.txt"
        command = subjects.gator(_label("gator", form), binaries, policies, path, output)
        found.append(("gator", command, setting.peer_repetitions))
        output = setting.scratch / f"kyverno-{form}.txt"
        command = subjects.kyverno(_label("kyverno", form), binaries, ("--resource", str(path)), output)
        found.append(("kyverno", command, setting.peer_repetitions))
    return found


def _findings(tool: str, command: Command) -> Findings:
    """What a run found; aksp's report lies beside its output."""
    return subjects.READERS[tool](command.output.with_suffix(".json") if tool == "aksp" else command.output)


def _counts(findings: dict[str, Findings]) -> Table:
    policies = tuple(subjects.parameters())
    rows = [(policy, *(f"{found.counts.get(policy, 0):,}" for found in findings.values())) for policy in policies]
    rows.append(("all", *(f"{found.total:,}" for found in findings.values())))
    return Table(caption="Findings", header=("policy", *findings), rows=tuple(rows))


def _agreement(findings: dict[str, Findings]) -> list[Table]:
    """For each policy the resources that break it, by tool; in brackets those that only this tool does not name."""
    chosen = {label: found for label, found in findings.items() if label.endswith(_READ["yaml"]) and found.resources}
    rows = []
    for policy in subjects.parameters():
        named = [found.resources.get(policy, frozenset()) for found in chosen.values()]
        everything = frozenset[str]().union(*named)
        rows.append((policy, *(f"{len(each):,} ({len(everything - each):,})" for each in named)))
    caption = "Resources that break a policy (in brackets: named by another tool, not by this one)"
    return [Table(caption=caption, header=("policy", *chosen), rows=tuple(rows))]


def _goals(series: dict[str, Series]) -> list[Goal]:
    goals: list[Goal] = []
    if (mine := series.get(_label("aksp", "yaml"))) and (gator := series[_GATOR_JSON]):
        what = "manifests, YAML, JSON report: "
        goals.append(ratio(what + "faster than gator -o json", gator.seconds, mine.seconds, at_least=60))
        goals.append(ratio(what + "less memory than gator -o json", gator.peak_bytes, mine.peak_bytes, at_least=10))
    for form in _PEER_FORMS:
        mine = series.get(_label("aksp", form))
        if not mine:
            continue
        gator, kyverno = series[_label("gator", form)], series[_label("kyverno", form)]
        what = f"manifests, {_READ[form]}: "
        goals.append(ratio(what + "faster than gator (text)", gator.seconds, mine.seconds, at_least=40))
        goals.append(ratio(what + "faster than Kyverno", kyverno.seconds, mine.seconds, at_least=25))
        goals.append(ratio(what + "less memory than gator (text)", gator.peak_bytes, mine.peak_bytes, at_least=10))
    return goals
