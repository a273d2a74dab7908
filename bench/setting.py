"""What every scenario is given: sizes, repetitions, folders, and the made-up manifests, written once and kept."""

import hashlib
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from bench import fleet, generate, workload
from tests.testbed.build import cache_folder

OTHERS_SHARE = 50
"""There is a Service and an Ingress for every so many Pods."""


@dataclass(frozen=True, kw_only=True)
class Setting:
    """`pods` is the number of Pods of the main scenarios; `scratch` a folder that is gone afterwards."""

    pods: int
    many_pods: int
    repetitions: int
    peer_repetitions: int
    seed: int
    scratch: Path
    aksp: Path | None
    with_kyverno: bool = True
    """Whether Kyverno is among the peers."""

    def others(self, pods: int) -> int:
        """How many Services, and how many Ingresses, go with so many Pods."""
        return pods // OTHERS_SHARE

    def manifests(self, form: str, pods: int | None = None, *, unlike: bool = False) -> Path:
        """A file with the fleet in one of the formats of generate.py, from the cache when it is there."""
        count = pods or self.pods
        kind = "unlike-" if unlike else ""
        suffix = {"list": "list.json", "yaml-list": "list.yaml"}.get(form, form)
        path = cache_folder("AKSP_BENCH_DIR", "bench") / f"fleet-{_generator()}-{self.seed}-{kind}{count}.{suffix}"
        if not path.exists():
            scratch = path.with_name(f"{path.name}.{os.getpid()}.part")
            others = self.others(count)
            objects = generate.cluster(pods=count, services=others, ingresses=others, seed=self.seed, unlike=unlike)
            generate.write(objects, form, scratch)
            scratch.rename(path)
        return path


def forget_manifests() -> None:
    """Removes the cached manifests that another version of the generator wrote."""
    for path in cache_folder("AKSP_BENCH_DIR", "bench").glob("fleet-*"):
        if not path.name.startswith(f"fleet-{_generator()}-"):
            shutil.rmtree(path) if path.is_dir() else path.unlink()


def _generator() -> str:
    """Names the version of the generator, so that a change of it makes new files."""
    sources = b"".join(Path(str(module.__file__)).read_bytes() for module in (workload, fleet, generate))
    return hashlib.sha256(sources).hexdigest()[:8]
