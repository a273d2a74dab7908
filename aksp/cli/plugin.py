"""``kubectl aksp``: kubectl runs the program ``kubectl-aksp`` that it finds on PATH, with all arguments after the name.

Kubernetes, "Extend kubectl with plugins"; for completion, kubectl 1.26 and later run ``kubectl_complete-aksp``.
"""

from __future__ import annotations

import sys


def entry() -> None:
    """The console script ``kubectl-aksp``."""
    from aksp.cli.app import app, main

    # Completion comes by kubectl's own scripts: there is none to install for a command of two words.
    app._add_completion = False
    sys.exit(main(name="kubectl aksp"))


def complete() -> None:
    """The console script ``kubectl_complete-aksp``; its arguments are those typed so far, the last one perhaps empty."""
    from aksp.cli.completion import for_kubectl

    for line in for_kubectl(sys.argv[1:]):
        print(line)
