"""``aksp completion``: the script by which a shell completes what is typed."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

PLACE = 74


def completion(
    shell: Annotated[
        Literal["bash", "zsh", "fish", "powershell"],
        typer.Argument(metavar="bash|zsh|fish|powershell", help="The shell.", show_default=False),
    ],
) -> None:
    """Print the script by which a shell completes commands, options and names.

    For bash, add this line to ~/.bashrc: source <(aksp completion bash). For zsh, to ~/.zshrc after compinit:
    source <(aksp completion zsh). For fish: aksp completion fish > ~/.config/fish/completions/aksp.fish.
    `aksp --install-completion` does the like and says which file it has changed.

    Example: `aksp completion zsh`
    """
    from typer.completion import get_completion_script  # type: ignore[attr-defined]

    from aksp.cli.candidates import VARIABLE

    typer.echo(get_completion_script(prog_name="aksp", complete_var=VARIABLE, shell=shell))
