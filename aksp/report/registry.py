"""Every report format by name, for the command line, the documentation and the tests."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import import_module
from pkgutil import iter_modules
from typing import TYPE_CHECKING, Final

from aksp.report import formats

if TYPE_CHECKING:
    from aksp.report.interface import Format

#: What is written unless another format is asked for.
DEFAULT: Final = "table"
#: A module has the name of its format, with _ for -.
_OTHERS = sorted(found.name.replace("_", "-") for found in iter_modules(formats.__path__) if found.name != DEFAULT)


class _Formats(Mapping[str, "Format"]):
    """The formats by name, the default first. One is imported when it is asked for."""

    def __getitem__(self, name: str) -> Format:
        if name not in (DEFAULT, *_OTHERS):
            raise KeyError(name)
        found: Format = import_module(f"{formats.__name__}.{name.replace('-', '_')}").FORMAT
        return found

    def __iter__(self) -> Iterator[str]:
        return iter((DEFAULT, *_OTHERS))

    def __len__(self) -> int:
        return 1 + len(_OTHERS)


#: Formats by name, in the order in which help and documentation list them.
FORMATS: Final = _Formats()
