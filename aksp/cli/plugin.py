"""``kubectl aksp``: kubectl runs the program ``kubectl-aksp`` that it finds on PATH, with all arguments after the name.

Kubernetes, "Extend kubectl with plugins"; for completion, kubectl 1.26 and later run ``kubectl_complete-aksp``.
"""

from __future__ import annotations

import sys

from aksp.cli.app import main, run


def entry() -> None:
    """The console script ``kubectl-aksp``."""
    run(_command, sys.argv[1:])


def _command() -> int:
    from aksp.cli.root import app

    # Completion comes by kubectl's own scripts: there is none to install for a command of two words.
    app._add_completion = False
    return main(name="kubectl aksp")


def complete() -> None:
    """The console script ``kubectl_complete-aksp``; its arguments are those typed so far, the last one perhaps empty."""
    run(_complete)


def _complete() -> int:
    from aksp.cli.completion import for_kubectl

    for line in for_kubectl(sys.argv[1:]):
        print(line)
    return 0
