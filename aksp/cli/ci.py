"""Pipelines: which one runs this, what it reads, and where its repository is."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from msgspec import Struct

from aksp.runners import parted

#: The format that stands for the outputs of the current pipeline.
CI: Final = "ci"


class Pipeline(Struct, frozen=True, kw_only=True):
    """A CI system: the variable that tells it, the outputs it reads, and the variable of the repository's folder."""

    name: str
    variable: str
    outputs: Sequence[str]
    repository: str = ""


PIPELINES: Final = (
    Pipeline(name="GitHub Actions", variable="GITHUB_ACTIONS", outputs=("github",), repository="GITHUB_WORKSPACE"),
    Pipeline(
        name="Azure Pipelines", variable="TF_BUILD", outputs=("azuredevops",), repository="BUILD_SOURCESDIRECTORY"
    ),
    Pipeline(
        name="GitLab CI",
        variable="GITLAB_CI",
        outputs=("table", "gitlab=gl-code-quality-report.json"),
        repository="CI_PROJECT_DIR",
    ),
    Pipeline(name="Jenkins", variable="JENKINS_URL", outputs=("table", "junit=aksp-junit.xml")),
)


class Repository(Struct, frozen=True, kw_only=True):
    """``root`` is the root folder of the repository, ``base`` the current folder as seen from there; empty at the root."""

    root: str
    base: str


def running(environment: Mapping[str, str]) -> Pipeline | None:
    """The pipeline that runs this; None where a person does, or an unknown one."""
    return next((one for one in PIPELINES if environment.get(one.variable, "").lower() not in ("", "false")), None)


def expand(texts: Sequence[str], environment: Mapping[str, str]) -> tuple[list[str], str]:
    """The values of -o with ``ci`` replaced, and a note that tells by what; the note is empty without ``ci``."""
    if CI not in texts:
        return list(texts), ""
    pipeline = running(environment)
    chosen = pipeline.outputs if pipeline else ("table",)
    expanded = [output for text in texts for output in (chosen if text == CI else (text,))]
    why = (
        f"{pipeline.name} runs this ({pipeline.variable} is set)" if pipeline else "no pipeline that it knows runs this"
    )
    return expanded, f"-o ci: {why}, so it is -o {' -o '.join(chosen)}"


def logged(environment: Mapping[str, str]) -> bool:
    """Whether a runner may take lines of standard output for commands: a known pipeline, or any that sets CI."""
    others = ("CI", "TEAMCITY_VERSION")
    return running(environment) is not None or any(
        environment.get(name, "").lower() not in ("", "false") for name in others
    )


def tell(text: str) -> None:
    """Print to standard error. All text goes through here, since runners take commands from it too. It must be safe to print."""
    print(parted(text), file=sys.stderr)


def note(text: str) -> None:
    """Tell the user something that is not the result."""
    from aksp.report.text import safe

    tell(f"aksp: note: {safe(text)}")


def say(text: str, in_log: Callable[[str], str] = parted) -> None:
    """Print lines to standard output; ``in_log`` makes them harmless where a pipeline reads them."""
    print(in_log(text) if logged(os.environ) else text)


def repository(environment: Mapping[str, str], here: Path) -> Repository:
    """Where the current folder lies: in the pipeline's checkout, or below the nearest folder with ``.git``.

    Without either the current folder is taken for the root.
    """
    named = (environment.get(one.repository, "") for one in PIPELINES)
    above = next((str(folder) for folder in (here, *here.parents) if (folder / ".git").exists()), "")
    for root in (*named, above):
        base = _below(here, root) if root else None
        if base is not None:
            return Repository(root=root, base=base)
    return Repository(root=str(here), base="")


def _below(here: Path, root: str) -> str | None:
    """The path from the root to here; None when it does not lead there."""
    try:
        path = Path(os.path.realpath(here)).relative_to(os.path.realpath(root)).as_posix()
    except (OSError, ValueError):
        return None
    return "" if path == "." else path
