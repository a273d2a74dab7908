"""Hostile workspaces, and what refusing them takes: ``python -m tests.cli.hostile`` prints seconds and MiB of each.

Memory is that of the command and all its descendants (bench.measure).
"""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

from bench.measure import Command, Sample, measure
from tests.catalog.documents import DETAILS, V1_RULE, document, template, write
from tests.forked import USAGE
from tests.replacing import replace

CASES: Final = Path(__file__).parent / "cases"
HEAD: Final = "apiVersion: policy.aksp.io/v1alpha1\nkind: PolicyAssignment\nmetadata:\n  name: a\nspec:\n  policyDefinitionId: no-privileged\n"
POD: Final = {
    "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}, "spec": {"containers": [{"name": "a", "image": "a"}]},
}  # fmt: skip
#: A command that has not ended after so many seconds is killed.
_PATIENCE: Final = 60
JUDGE: Final = ("compliance", "-f", "pod.json")
_DRAFT_7: Final = "http://json-schema.org/draft-07/schema#"


@dataclass(frozen=True, kw_only=True)
class Hostile:
    """A workspace that ``make`` writes into a folder, the command that meets it, and what its message names."""

    make: Callable[[Path], object]
    arguments: tuple[str, ...] = JUDGE
    place: str
    alone: bool = False
    """It is for a process of its own, which may hang or take too much."""

    def write(self, folder: Path) -> None:
        self.make(folder)
        (folder / "ws").mkdir(exist_ok=True)
        (folder / "pod.json").write_text(json.dumps(POD))


def _nested(levels: int, open_: str, close: str) -> str:
    return open_ * levels + close * levels


#: By kind: what stands at spec.metadata.x, from a random source.
YAML: Final[Mapping[str, Callable[[random.Random], str]]] = {
    "deep lists": lambda r: _nested(r.randint(101, 9000), "[", "]"),
    "deep mappings": lambda r: _nested(r.randint(101, 3000), "{a: ", "}"),
    "a complex key": lambda r: r.choice(("{[a]: b}", "{{a: b}: c}", "{? [a, [b]] : c}")),
    "a wrong tag": lambda r: f"!!{r.choice(('map', 'set', 'omap', 'pairs'))} [a]",
    "a tag of a scalar": lambda r: (
        f"!!{r.choice(('int', 'float', 'bool', 'timestamp', 'binary', 'python/object:os.system'))} foo"
    ),
    "a list that is no list": lambda r: r.choice(("!!seq {a: b}", "!!str [a]", "!!int {a: b}", "!own [a]")),
    "recursion": lambda r: "&a " + _nested(r.randint(1, 20), "[", "]").replace("[]", "[*a]"),
    "an alias of nothing": lambda r: "*nothing",
    "aliases that multiply": lambda r: "{" + ", ".join(
        f"k{at}: &k{at} [{', '.join([f'*k{at - 1}'] * 10)}]" if at else f"k0: &k0 [{'x, ' * 10}]" for at in range(r.randint(6, 30))
    ) + "}",
    "merges that multiply": lambda r: "{k0: &k0 {a: b}, " + ", ".join(
        f"k{at}: &k{at} {{<<: [{', '.join([f'*k{at - 1}'] * 10)}]}}" for at in range(1, r.randint(7, 30))
    ) + "}",
    "a long number": lambda r: r.choice(("9" * r.randint(700, 9000), "0x" + "f" * r.randint(600, 9000))),
    "no number of JSON": lambda r: r.choice((".inf", ".nan", "-.inf", "1.0e+999")),
    "no date": lambda r: f"2026-{r.randint(13, 99)}-{r.randint(32, 99)}",
    "half a surrogate pair": lambda r: r'"\ud800"',
    "a key that is there twice": lambda r: "{a: 1, a: 2}",
    "a control character": lambda r: r.choice(("\0", "\x01", "\x7f\x1b")),
    "an open bracket": lambda r: _nested(r.randint(1, 50), "[", ""),
    "4 MiB of brackets": lambda r: "[" * (4 << 20),
    "a file that is too long": lambda r: "x" * (4 << 20),
    "4 MiB of a number": lambda r: "9" * ((4 << 20) - 1000),
    "4 MiB of keys": lambda r: "{" + ", ".join(f"k{at}: {{}}" for at in range(200_000)) + ", k1: {}}",
}  # fmt: skip

#: Of these kinds those that are large as they are written.
LARGE: Final = frozenset(kind for kind in YAML if "4 MiB" in kind or "too long" in kind)

SCHEMAS: Final[Mapping[str, tuple[dict[str, Any], Any, str]]] = {
    "endless": ({"$ref": "#"}, "a", "refers to itself"),
    "endless twice": ({"allOf": [{"$ref": "#"}, {"$ref": "#"}]}, "a", "refers to itself"),
    "a bomb in another draft": (
        {"$defs": {f"a{at}": {"$schema": _DRAFT_7, "allOf": [{"$ref": f"#/$defs/a{at + 1}"}] * 10} for at in range(9)}
         | {"a9": {}}, "$ref": "#/$defs/a0"}, "a", "more checks"),
    "backtracking": ({"pattern": "^(a+)+$"}, "a" * 40 + "b", "does not match"),
    "backtracking within": ({"allOf": [{"$schema": _DRAFT_7, "pattern": "^(a|a)*$"}]}, "a" * 40 + "b", "does not match"),
    "look-around": ({"pattern": "(?=a)"}, "a", "no RE2"),
    "a pattern that is too large": ({"pattern": "((((a{1,100}){1,100}){1,100}){1,100})"}, "a", "no RE2"),
    "unevaluated": ({"unevaluatedProperties": False}, "a", "not supported"),
}  # fmt: skip

JSON: Final[Mapping[str, str]] = {
    "deep lists": _nested(200_000, "[", "]"),
    "deep objects": '{"a":' * 200_000 + "1" + "}" * 200_000,
    "half a document": '{"name": "d", "properties": {',
    "4 MiB of brackets": "[" * (4 << 20),
    "a file that is too long": '"' + "x" * (4 << 20) + '"',
    "a list": "[1, 2]",
    "nothing": "",
    "no number of JSON": '{"name": NaN}',
    "a NUL": "\0",
    "4 MiB of values": "[" + "{}," * 1_200_000 + "{}]",
    "4 MiB of keys": "{" + ", ".join(f'"k{at}": []' for at in range(200_000)) + "}",
}

#: Rego that no parser, compiler or reader of names likes.
REGO: Final[Mapping[str, str]] = {
    "deep brackets": f"{V1_RULE}\nx := {_nested(200_000, '[', ']')}\n",
    "deep parentheses": f"{V1_RULE}\nx := {_nested(200_000, '(', ')')}\n",
    "deep comprehensions": f"{V1_RULE}\nx := {'[y | y := ' * 50_000}1{']' * 50_000}\n",
    "open brackets to the end": f"{V1_RULE}\nx := {'[' * (100_000)}",
    "a long number": f"{V1_RULE}\nx := {'9' * 200_000} +\n",
    "a string without an end": f'{V1_RULE}\nx := "{"a" * (100_000)}\n',
    "a NUL": f"{V1_RULE}\n\0\n",
    "recursion": f"{V1_RULE}\nf(x) := f(x)\n",
    "a library of nothing": f"{V1_RULE}\nimport data.lib.nothing\n",
    "no rule": "package rule\n",
    "nothing": "",
    "4 MiB of rules": V1_RULE + "x := 1\n" * 500_000,
    "4 MiB of values": f"{V1_RULE}\nx := [{'1,' * 2_000_000}1]\n",
    "a body of 5,000 expressions": f"{V1_RULE}\nx if {{ a0 := input; {'; '.join(f'a{at} := a{at - 1}' for at in range(1, 5000))} }}\n",
    "256 KiB of rules": V1_RULE + "x := 1\n" * 36_000 + "x := y\n",
    "256 KiB of values": f"{V1_RULE}\nx := [{'1,' * 130_000}y]\n",
    "a file that is too long": "#" * ((4 << 20) + 1),
}


def assigned(folder: Path, text: str) -> None:
    (folder / "ws" / "assignments").mkdir(parents=True)
    (folder / "ws" / "assignments" / "a.yaml").write_text(text, encoding="utf-8", newline="")


def defined(folder: Path, made: Any = None, rego: str = V1_RULE, **files: str) -> Path:
    made = document(name="d") if made is None else made
    return write(folder / "ws" / "definitions", "d", made=made, policy_rego=rego, **files)


def with_schema(folder: Path, schema: Mapping[str, Any], kind: str = "String") -> None:
    made = document(name="d")
    made["properties"]["parameters"]["p"] = {"type": kind, "schema": schema}
    defined(folder, made)


def of_a_template(folder: Path, text: str) -> None:
    made = document(name="d", **{f"{DETAILS}.templateInfo.path": "template.yaml"})
    defined(folder, made, template_yaml=f"{template()}x: {text}\n")


def exempted(folder: Path, date: str) -> None:
    assigned(folder, HEAD)
    (folder / "ws" / "exemptions").mkdir()
    (folder / "ws" / "exemptions" / "e.yaml").write_text(
        "apiVersion: policy.aksp.io/v1alpha1\nkind: PolicyExemption\nmetadata: {name: e}\n"
        f"spec: {{policyAssignmentId: a, exemptionCategory: Waiver, expiresOn: {date}}}\n"
    )


def irregular(path: Path, kind: str) -> None:
    """Put what is no file in the place of one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    match kind:
        case "fifo":
            os.mkfifo(path)
        case "device":
            path.symlink_to("/dev/zero")
        case "loop":
            path.symlink_to(path)
        case _:
            path.mkdir()


def _without(folder: Path, place: str, kind: str) -> None:
    made = document(name="d")
    (defined(folder, made, f"{V1_RULE}\nimport data.lib.l\n") / ".." / "lib").mkdir()
    (folder / "ws/definitions/lib/l.rego").write_text("package lib.l\n")
    assigned(folder, HEAD)
    irregular(folder / "ws" / place, kind)


def _beside(folder: Path, place: str, kind: str) -> None:
    assigned(folder, HEAD)
    irregular(folder / place, kind)


def _path(folder: Path, path: str) -> None:
    made = document(name="d", **{f"{DETAILS}.templateInfo.path": path})
    (defined(folder, made) / "loop").symlink_to("loop")


def _copied(folder: Path, name: str) -> None:
    shutil.copytree(CASES / name, folder / "ws")


def _hostile() -> dict[str, Hostile]:
    assign, found = ("assign", "d"), {}
    a_yaml, definition = "ws/assignments/a.yaml", "ws/definitions/d/definition.json"
    for name, place in SAVED.items():
        found[name] = Hostile(make=partial(_copied, name=name), place=f"ws/{place}: ")
    for kind, written in YAML.items():
        text = written(random.Random(kind))
        found[f"assignment: {kind}"] = Hostile(
            make=partial(assigned, text=f"{HEAD}  metadata:\n    x: {text}\n"), place=a_yaml
        )
        # What stands beside a template's spec says nothing; so one of each way to go wrong will do.
        if kind in ("deep lists", "a wrong tag", "recursion", "aliases that multiply", "merges that multiply"):
            found[f"template: {kind}"] = Hostile(
                make=partial(of_a_template, text=text), arguments=assign, place="ws/definitions/d/template.yaml"
            )
    for kind, text in JSON.items():
        found[f"definition: {kind}"] = Hostile(make=partial(defined, made=text), arguments=assign, place=definition)
    for kind, text in REGO.items():
        found[f"rego: {kind}"] = Hostile(make=partial(defined, rego=text), arguments=assign, place="d/policy.rego")
    for kind, (schema, value, message) in SCHEMAS.items():
        found[f"schema: {kind}"] = Hostile(
            make=partial(with_schema, schema=schema), arguments=(*assign, "--p", value), place=message
        )
    found["schema: a multiple of next to nothing"] = Hostile(
        make=partial(with_schema, schema={"multipleOf": 1e-320}, kind="Integer"),
        arguments=(*assign, "--p", "9" * 400), place="parameter 'p'",
    )  # fmt: skip
    for date in ("9999-12-31T23:59:59-23:00", "0001-01-01T00:00:00+14:00", "99999-01-01"):
        found[f"exemption: {date}"] = Hostile(make=partial(exempted, date=date), place="spec.expiresOn")
    for path in ("a\0b", "loop/policy.rego", "../../x.rego", "~nobody/x.rego", "/dev/zero"):
        found[f"path: {path!r}"] = Hostile(make=partial(_path, path=path), arguments=assign, place="ws/definitions/d/")
    for kind in ("fifo", "device", "loop", "folder"):
        found[f"assignment: {kind}"] = Hostile(
            make=partial(_without, place="assignments/a.yaml", kind=kind), place=a_yaml
        )
        for place in ("definitions/d/definition.json", "definitions/d/policy.rego", "definitions/lib/l.rego"):
            found[f"{Path(place).name}: {kind}"] = Hostile(
                make=partial(_without, place=place, kind=kind),
                arguments=assign,
                place=Path(place).name if place.endswith("policy.rego") else f"ws/{place}",
            )
        found[f"baseline: {kind}"] = Hostile(
            make=partial(_beside, place="b.json", kind=kind), arguments=(*JUDGE, "--baseline", "b.json"), place="b.json"
        )
        if kind != "loop":  # a link that leads nowhere is no history yet
            history = "ws/data/history.sqlite3"
            found[f"history: {kind}"] = Hostile(
                make=partial(_beside, place=history, kind=kind), arguments=(*JUDGE, "--diff"), place=history
            )
    return {name: replace(one, alone=bool(_ALONE.search(name))) for name, one in found.items()}


#: In the names of those that could hang or take too much.
_ALONE: Final = re.compile("[MK]iB|deep|bomb|redos|recursi|multiply|long|end|expressions|schema|fifo|device|/dev/zero")
#: Workspaces that were found, and the place in each.
SAVED: Final = {
    "workspace-bomb": "assignments/a.yaml:13",
    "workspace-complexkey": "assignments/a.yaml:7",
    "workspace-recursive": "assignments/a.yaml:7",
    "workspace-timestamp-bad": "assignments/a.yaml:7",
    "workspace-d-pattern-redos": "assignments/a.yaml",
    "workspace-d-schema-bomb": "assignments/a.yaml",
}
HOSTILE: Final = _hostile()


def tried(one: Hostile, folder: Path, program: str = f"{sys.executable} -m aksp") -> tuple[Sample, str, str]:
    """What a real process takes to refuse one: the figures, and what it prints. Raises CommandFailed unless it exits 2.

    Of `forked`'s program the figures are those of the command and the engine that it starts, the larger one's memory.
    """
    one.write(folder)
    # In the folder, so that no message is long because of where the tests run.
    run = f'cd {folder}; exec timeout -k 5 {_PATIENCE} {program} "$@"'
    command = Command(
        label="hostile", argv=("/bin/sh", "-c", run, "aksp", *one.arguments), output=folder / "out", expected=(2,),
        environment={"AKSP_WORKSPACE": "ws", "HOME": str(folder), "PYTHONPATH": str(Path(__file__).parents[2]),
                     USAGE: str(folder / "usage")},
    )  # fmt: skip
    sample = measure(command)
    if (folder / "usage").exists():
        taken = json.loads((folder / "usage").read_text())
        sample = replace(sample, cpu_seconds=taken["seconds"], peak_bytes=taken["bytes"])
    return sample, (folder / "out").read_text(), (folder / "out.stderr").read_text()


def main() -> None:
    worst = Sample(seconds=0, cpu_seconds=0, peak_bytes=0)
    for name, one in HOSTILE.items():
        with tempfile.TemporaryDirectory() as folder:
            sample, _, _ = tried(one, Path(folder))
        print(f"{_figures(sample)}  {name}", flush=True)
        worst = Sample(
            seconds=max(worst.seconds, sample.seconds),
            cpu_seconds=max(worst.cpu_seconds, sample.cpu_seconds),
            peak_bytes=max(worst.peak_bytes, sample.peak_bytes),
        )
    print(f"{_figures(worst)}  the most of {len(HOSTILE)}")


def _figures(sample: Sample) -> str:
    return f"{sample.seconds:6.2f} s  {sample.cpu_seconds:5.2f} s of CPU  {sample.peak_bytes / 2**20:4.0f} MiB"


if __name__ == "__main__":
    main()
