"""``aksp version``: the version, as --version prints it."""

from __future__ import annotations

import typer

from aksp import __version__

PLACE = 70


def version() -> None:
    """Print the version.

    Example: `aksp version`
    """
    typer.echo(f"aksp {__version__}")
