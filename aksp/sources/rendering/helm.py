"""Charts, rendered by ``helm template``."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from msgspec import Struct

from aksp.errors import InvalidInput
from aksp.sources.rendering.rendered import Rendered
from aksp.sources.rendering.tool import NotRendered, run, version_of
from aksp.yaml_reader import read_file, read_yaml
from aksp.yaml_writer import to_yaml

CHART: Final = "Chart.yaml"
#: What of a chart's folder is the chart's: Helm reads it, and nothing else does.
PARTS: Final = ("templates", "charts", "crds")
_SOURCE: Final = re.compile(rb"^# Source: (.+?)\r?$", re.MULTILINE)


class ChartOptions(Struct, frozen=True, kw_only=True):
    """What ``helm template`` is told besides the chart."""

    values: tuple[str, ...] = ()
    set: tuple[str, ...] = ()
    set_string: tuple[str, ...] = ()
    release_name: str | None = None
    namespace: str | None = None
    inline: Mapping[str, Any] = {}
    """Values that no file has."""

    def checked(self) -> ChartOptions:
        """These options. Raises InvalidInput for files that are not there or would have to be fetched."""
        for name in self.values:
            if "://" in name:
                raise InvalidInput("nothing is fetched from the network", where=f"--values {name}")
            if not Path(name).is_file():
                raise InvalidInput("there is no such file", where=f"--values {name}")
        return self

    @property
    def given(self) -> list[str]:
        """The options that are about charts alone, as the command line names them."""
        told = {"--values": self.values, "--set": self.set, "--release-name": self.release_name}
        return [option for option, value in told.items() if value]


class Chart(Struct, frozen=True, kw_only=True):
    """A chart in a folder."""

    folder: str
    options: ChartOptions = ChartOptions()

    @property
    def home(self) -> str:
        """The file that stands for it."""
        return str(Path(self.folder, CHART))

    def render(self) -> Rendered:
        """What Helm makes of it. Raises NotRendered."""
        helm, by = _tool()
        self._check_links()
        name = self._metadata().get("name") or ""
        options = self.options
        command = [helm, "template", "--include-crds", f"--namespace={options.namespace or 'default'}"]
        command += [f"--values={_quoted(one)}" for one in options.values]
        command += [f"--set={one}" for one in options.set]
        command += [f"--set-string={one}" for one in options.set_string]
        if options.inline:
            # Behind the files: Argo CD and Flux let it win over them.
            command.append("--values=-")
        # A name that a repository gives must not be taken for an option of Helm, even when it begins with a dash.
        command += ["--", options.release_name or _release_name(str(name)), self.folder]
        text = run(command, to_yaml(options.inline).encode())
        return Rendered(text, by, lambda offset, length: self._file_of(text, offset, length))

    def is_library(self) -> bool:
        """Whether other charts alone use it: it makes nothing by itself."""
        try:
            return self._metadata().get("type") == "library"
        except NotRendered:
            return False  # told when it is rendered

    def _check_links(self) -> None:
        """Raise NotRendered for a link that leads out of the chart, or in a circle: Helm follows every one that is there."""
        root = Path(self.folder).resolve()
        for path, folders, files in os.walk(self.folder):
            for link in (Path(path, one) for one in (*folders, *files)):
                if not link.is_symlink():
                    continue
                try:
                    target = link.resolve(strict=True)
                except (OSError, RuntimeError) as error:
                    raise NotRendered(f"its link {link} leads nowhere") from error
                if not target.is_relative_to(root):
                    raise NotRendered(
                        f"its link {link} leads out of the chart, to {os.readlink(link)}: Helm would read what is there;"
                        " put a copy in its place"
                    )
                if link.parent.resolve().is_relative_to(target):
                    raise NotRendered(f"its link {link} leads in a circle, to {os.readlink(link)}")

    def _metadata(self) -> Mapping[str, Any]:
        try:
            found = read_yaml(read_file(Path(self.home)), self.home)
        except InvalidInput as error:
            raise NotRendered(str(error)) from error
        return found[0][0] if found and isinstance(found[0][0], dict) else {}

    def _file_of(self, text: bytes, offset: int, length: int) -> str:
        """The template of a document, as Helm's comment names it, with the chart's name in the place of its folder."""
        own = _SOURCE.search(text, offset, offset + length)
        if own is None:
            start = text.rfind(b"# Source: ", 0, offset)
            own = _SOURCE.search(text, start) if start >= 0 else None
        if own is not None:
            below = Path(own[1].decode(errors="replace").partition("/")[2])
            file = Path(self.folder, below)
            # A template can write such a comment itself.
            if not below.is_absolute() and ".." not in below.parts and os.path.isfile(file):
                return str(file)
        return self.home


def _tool() -> tuple[str, str]:
    """Helm, and its exact version. Raises NotRendered without it."""
    helm = shutil.which("helm")
    if helm is None:
        raise NotRendered(
            "it is a chart, and helm is not installed: install it, or judge what it makes elsewhere:"
            " helm template … | aksp compliance -f -"
        )
    return helm, f"helm {version_of(helm, 'version', '--template', '{{.Version}}')}"


def _quoted(file: str) -> str:
    """A file's name as an option of Helm's takes it, for which a comma would end it."""
    return '"' + file.replace('"', '""') + '"' if "," in file or '"' in file else file


def _release_name(chart: str) -> str:
    """A name as Helm takes it: that of the chart."""
    return re.sub("[^a-z0-9-]+", "-", chart.lower()).strip("-")[:53].strip("-") or "release-name"
