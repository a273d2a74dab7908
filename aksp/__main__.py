"""``python -m aksp``: the same as the ``aksp`` command."""

from aksp.cli.app import main

if __name__ == "__main__":
    raise SystemExit(main())
